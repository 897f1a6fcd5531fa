"""Three laws from three sweeps in one answer: images, text, teachers of known dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.fit import Fit, fit
from isoloss.plan import fit_envelope
from isoloss.runs import Runs
from isoloss.sweep.exponents import decay_exponent
from isoloss.sweep.regime_ranges import interpolated_up_to

Row = Mapping[str, Any]

WIDE = 1.5
"""A parameter whose intervals together span more than this factor is called not pinned down."""


def panels_of(
    *,
    images: Sequence[Row] = (),
    text: Sequence[Row] = (),
    teachers: Sequence[Row] = (),
) -> dict[str, Any]:
    """Fit what up to three ledgers show, each tested on larger runs that the fit did not see.

    Parameters
    ----------
    images
        Rows of one model over many D and seeds.
    text
        Rows over N and D.
    teachers
        Rows over D, of students of random teachers at several dimensions of the inputs.

    Returns
    -------
    dict
        ``images``, ``text``, ``teachers``, as far as they were given, each with its points, fits
        and held-out errors; ``text`` with a sentence on what of the joint law is not identified.

    Raises
    ------
    InputError
        When a ledger has too few finished runs.

    Examples
    --------
    >>> rows = [{"D": 2.0**k, "loss": 0.2 + 5 * 2.0 ** (-0.3 * k)} for k in range(8, 17)]
    >>> panels_of(images=rows)["images"]["sentence"][:34]
    'Loss falls as D^-0.30 [0.30, 0.30]'
    """
    found: dict[str, Any] = {}
    if images:
        found["images"] = images_panel(images)
    if text:
        found["text"] = text_panel(text)
    if teachers:
        found["teachers"] = teachers_panel(teachers)
    return found


def images_panel(rows: Sequence[Row]) -> dict[str, Any]:
    """Loss against D: ``E + A D^-b`` fitted to D up to a third of the largest, tested beyond."""
    x, y = _columns(rows, "D", "images")
    largest = x.max()
    shown = x <= largest / 3
    whole, part = _power(x, y, "D"), _power(x[shown], y[shown], "D")
    tested = _held_out(part, x[~shown], y[~shown], "D")
    b = whole.intervals["alpha"]
    return {
        "points": _points(x, y),
        "fit": _told(whole),
        "shown": _told(part),
        "shown_up_to": float(x[shown].max()),
        "held_out": tested,
        "sentence": (
            f"Loss falls as D^-{whole.parameters['alpha']:.2f} [{b.low:.2f}, {b.high:.2f}] to "
            f"{whole.parameters['E']:.3f}; fitted up to D = {x[shown].max():,.0f} it errs by "
            f"{_largest(tested):+.1f} % at worst beyond."
        ),
    }


def text_panel(rows: Sequence[Row]) -> dict[str, Any]:
    """Loss over N and D: the law of N, the frontier, and whether a joint law is identified.

    N leaves the embedding out, which is most of the smallest models.
    """
    rows = _finished(rows, "text")
    N, D, C, y = (
        np.array([float(r[k]) for r in rows], dtype=np.float64)
        for k in ("N_non_embedding", "D", "flops", "loss")
    )
    longest = _full_column(N, D)
    at = longest == D
    in_n = _power(N[at], y[at], "N")
    not_largest = at & (N.max(where=at, initial=0) > N)
    hidden_n = at & ~not_largest
    n_held = _held_out(_power(N[not_largest], y[not_largest], "N"), N[hidden_n], y[hidden_n], "N")
    joint = _joint_scan(N, D, C, y)
    envelope = fit_envelope(N, C, y)
    return {
        "sizes": [
            {"N": float(n)} | {k: v[n == N].tolist() for k, v in (("D", D), ("C", C), ("loss", y))}
            for n in np.unique(N)
        ],
        "N_law": _told(in_n) | {"D": float(longest)},
        "N_held_out": n_held,
        "D_held_out": _longest_held_out(N, D, C, y),
        "frontier": envelope.to_dict(),
        "joint": joint,
        "sentence": _joint_sentence(joint),
    }


def teachers_panel(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Loss against D at each dimension, with its exponent beside 4 over the dimension.

    Fitted up to the last D whose examples the students still fit: beyond, the optimiser decides.
    """
    rows = _finished(rows, "teachers")
    found = []
    for d in sorted({int(r["spec"]["data"]["dimension"]) for r in rows}):
        mine = [r for r in rows if int(r["spec"]["data"]["dimension"]) == d]
        x, y = _columns(mine, "D", f"teachers of dimension {d}")
        teacher = [int(r["spec"]["data"]["seed"]) for r in mine]
        fitted_up_to = interpolated_up_to(x, y, [float(r["train_loss"]) for r in mine])
        if len(np.unique(x[x <= fitted_up_to])) < 3:
            raise InputError(
                f"teachers of dimension {d}: the students fit their examples at fewer than 3 D; "
                "train longer"
            )
        law = decay_exponent(x, y, seed=teacher, floor=0.0, high=fitted_up_to)
        found.append(
            {
                "dimension": d,
                "points": _points(x, y),
                "fitted_up_to": fitted_up_to,
                "exponent": law.value,
                "interval": law.interval.to_dict(),
                "amplitude": law.amplitude,
                "four_over_d": 4 / d,
            }
        )
    return found


def _finished(rows: Sequence[Row], what: str) -> list[Row]:
    done = [r for r in rows if r.get("status", "done") == "done" and np.isfinite(r["loss"])]
    if len(done) < 4:
        raise InputError(f"{what}: {len(done)} finished runs; a law needs at least 4")
    return done


def _columns(rows: Sequence[Row], axis: str, what: str) -> tuple[Array, Array]:
    done = _finished(rows, what)
    x = np.array([float(r[axis]) for r in done])
    return x, np.array([float(r["loss"]) for r in done])


def _table(axis: str, x: Array, y: Array) -> Runs:
    return Runs(columns={axis: x, "loss": y})


def _power(x: Array, y: Array, axis: str) -> Fit:
    return fit(_table(axis, x, y), "power_floor", objective="lsq", rng=0, axis=axis)


def _told(found: Fit) -> dict[str, Any]:
    return {
        "law": found.law.name,
        "parameters": dict(found.parameters),
        "intervals": {k: v.to_dict() for k, v in found.intervals.items()},
        "scatter_percent": 100 * found.rms_residual,
        "status": found.status,
        "reasons": [r.message for r in found.reasons],
    }


def _points(x: Array, y: Array) -> list[dict[str, float]]:
    """Mean and standard error over seeds at each resource."""
    out = []
    for value in np.unique(x):
        here = y[x == value]
        error = float(here.std(ddof=1) / len(here) ** 0.5) if len(here) > 1 else float("nan")
        out.append(
            {"x": float(value), "loss": float(here.mean()), "error": error, "runs": len(here)}
        )
    return out


def _held_out(found: Fit, x: Array, y: Array, axis: str) -> list[dict[str, Any]]:
    """Forecast of the mean over seeds at each resource that was hidden."""
    out = []
    for point in _points(x, y):
        at = {axis: [point["x"]]}
        band: Interval = found.interval(at, new_run=True)[0]
        guess = float(found.predict(at)[0])
        out.append(
            point
            | {
                "predicted": guess,
                "interval": band.to_dict(),
                "error_percent": 100 * (guess / point["loss"] - 1),
            }
        )
    return out


def _largest(tested: Sequence[Mapping[str, Any]]) -> float:
    return max((float(t["error_percent"]) for t in tested), key=abs, default=float("nan"))


def _full_column(N: Array, D: Array) -> float:
    """Return the D with the most sizes; of equals the largest."""
    values = np.unique(D)
    sizes = [len(np.unique(N[value == D])) for value in values]
    return float(values[len(values) - 1 - int(np.argmax(sizes[::-1]))])


def _chinchilla(N: Array, D: Array, C: Array, y: Array) -> Fit:
    runs = Runs(columns={"N": N, "D": D, "C": C, "loss": y})
    return fit(runs, "chinchilla", objective="lsq", rng=0)


def _joint_scan(N: Array, D: Array, C: Array, y: Array) -> list[dict[str, Any]]:
    """Fit the joint law to all runs, then without those of the smallest D, and so on."""
    out: list[dict[str, Any]] = []
    for low in np.unique(D)[:-2]:
        use = low <= D
        if len(np.unique(N[use])) < 3 or use.sum() < 8:
            break
        found = _chinchilla(N[use], D[use], C[use], y[use])
        out.append(_told(found) | {"D_min": float(low), "runs": int(use.sum())})
    return out


def _joint_sentence(joint: Sequence[Mapping[str, Any]]) -> str:
    """Say what of the joint law is not identified: what a cut or the noise moves far."""
    if not joint:
        return "Too few runs for a joint law of N and D."
    names = {"E": "the floor E", "alpha": "alpha", "beta": "beta"}
    pinned: list[str] = []
    loose: list[str] = []
    for name, text in names.items():
        values = [j["parameters"][name] for j in joint]
        ranges = [j["intervals"][name] for j in joint]
        low, high = min(r["low"] for r in ranges), max(r["high"] for r in ranges)
        said = f"{text} ({min(values):.2f} to {max(values):.2f}, "
        said += f"90 % intervals {low:.2f} to {high:.2f})"
        (pinned if 0 < high < WIDE * low else loose).append(said)
    parts = []
    if loose:
        parts.append("does not pin down " + ", ".join(loose))
    if pinned:
        parts.append("pins down " + ", ".join(pinned))
    return (
        f"The joint law E + A/N^alpha + B/D^beta, fitted {len(joint)} times, each time without the "
        f"runs below another D, {' and '.join(parts)}; pinned down means that all intervals "
        f"together span less than a factor {WIDE:g}."
    )


def _longest_held_out(N: Array, D: Array, C: Array, y: Array) -> list[dict[str, Any]]:
    """Forecast the largest D of each size from the joint law of the rest."""
    hidden = D.max() == D
    if hidden.all() or (~hidden).sum() < 8:
        return []
    found = _chinchilla(N[~hidden], D[~hidden], C[~hidden], y[~hidden])
    out = []
    for n in np.unique(N[hidden]):
        at = hidden & (n == N)
        guess = float(found.predict({"N": [n], "D": [D[at][0]]})[0])
        loss = float(y[at].mean())
        out.append(
            {"N": float(n), "loss": loss, "predicted": guess}
            | {"error_percent": 100 * (guess / loss - 1)}
        )
    return out

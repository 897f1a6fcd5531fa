"""Make a sealed forecast: fit as a forecast does, and write down all that can later be judged."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any

import numpy as np

from isoloss._core.arrays import as_positive
from isoloss._core.version import package_version
from isoloss.errors import InputError, IsolossError
from isoloss.fit import Forecast, LawSet, fit, fit_laws, forecast
from isoloss.fit.backtest import run_scale
from isoloss.runs import Runs, read_runs
from isoloss.runs.rows import clean
from isoloss.runs.table import Conventions
from isoloss.study.answers import is_tested, with_compute
from isoloss.study.sealed.file import KIND, SCHEMA, SealedForecast, sealed
from isoloss.study.sealed.layout import MAX_DRAWS, MAX_POINTS, format_time
from isoloss.study.sealed.sensitivity import sensitivity_rows

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Levels of the intervals that are written down, besides the one asked for."""
LEAST_DRAWS = 100
LARGEST_LOG = 600.0
"""Of the product of all resources of a target: compute and its powers must stay finite."""
NEAR = 0.01
"""A run within this part of a target in every resource is a run of that target."""


def seal(
    runs: Any,
    at: Mapping[str, float] | Sequence[Mapping[str, float]],
    *,
    laws: Sequence[str] | None = None,
    objective: str = "auto",
    emphasis: str | float = "auto",
    outliers: str = "auto",
    draws: int = 1000,
    level: float = 0.9,
    rng: int = 0,
    axis: str | None = None,
    note: str = "",
    conventions: Mapping[str, str] | None = None,
    sensitivity: bool = False,
    reading: Mapping[str, Any] | None = None,
    now: datetime | None = None,
    on_step: Callable[[str], None] | None = None,
) -> SealedForecast:
    """Forecast, and seal the forecast with the hash of everything it says.

    Parameters
    ----------
    runs
        `Runs` or anything `read_runs` takes.
    at
        One target or several, for example ``{"N": 7e10, "D": 1.4e12}``.
    laws
        Names or formulas; by default those that suit the axes of the runs.
    objective, emphasis, outliers, draws, level, rng, axis
        As in `fit_laws`; at least 100 draws, without which there are no quantiles.
    note
        Words of your own, sealed with the rest.
    conventions
        What ``N``, ``D``, ``C`` and ``loss`` count, where the table does not say it.
    sensitivity
        Also refit under other assumptions and list which of them move the forecast most.
    reading
        How the file was read (``columns``, ``units``, ``where``), for whoever derives it again.
    now
        Time to write down; that of this machine's clock by default.
    on_step
        Called with a few words before each step.

    Returns
    -------
    SealedForecast
        Its ``sha256`` is what to give to others; ``write`` makes the file.

    Raises
    ------
    InputError, LawError, FitError
        As `fit_laws`; also for a target whose forecast has no finite quantiles.

    Examples
    --------
    >>> N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
    >>> D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
    >>> loss = 1.8 + 480 * N**-0.35 + 2100 * D**-0.37
    >>> table = {"N": N, "D": D, "loss": loss}
    >>> found = seal(table, {"N": 1e9, "D": 3e10}, laws=["chinchilla"], draws=100)
    >>> round(found.points[0]["loss"], 2), len(found.sha256)
    (2.42, 64)
    """
    table = _stated(runs if isinstance(runs, Runs) else read_runs(runs), conventions)
    targets = [dict(at)] if isinstance(at, Mapping) else [dict(a) for a in at]
    if not 1 <= len(targets) <= MAX_POINTS:
        raise InputError(f"at: {len(targets)} targets; give 1 to {MAX_POINTS}")
    if len({tuple(sorted(t.items())) for t in targets}) < len(targets):
        raise InputError("at: a target is given twice; give each once")
    if not isinstance(note, str) or len(note) > 2000:
        raise InputError("note: must be text of at most 2000 characters")
    if not LEAST_DRAWS <= draws <= MAX_DRAWS:
        raise InputError(
            f"draws = {draws!r}: a sealed forecast needs {LEAST_DRAWS} to {MAX_DRAWS}, for "
            "quantiles to be scored by"
        )
    if laws is not None and not all(isinstance(law, str) for law in laws):
        raise InputError("laws: give names or formulas, which can be written down")
    options: dict[str, Any] = {
        "laws": None if laws is None else list(laws),
        "objective": str(objective), "emphasis": emphasis, "outliers": outliers, "draws": draws,
        "level": level, "seed": rng, "axis": axis,
    }  # fmt: skip
    read = {"columns": None, "units": None, "where": None} | dict(reading or {})
    fitted = _fitted(table, options, on_step)
    points = points_of(table, fitted, targets, level)
    for point, target in zip(points, targets, strict=True):
        point["baselines"] = _baselines(table, fitted, target)
    rows = None
    if sensitivity:
        rows = sensitivity_rows(table, fitted, points, options, on_step or (lambda text: None))
    return sealed(
        {
            "kind": KIND,
            "schema": SCHEMA,
            "made": {
                "isoloss": package_version(),
                "libraries": libraries(),
                "time_utc": format_time(now),
            },
            "note": note,
            "runs": _runs_section(table, fitted, targets),
            "options": options | read,
            "laws": _laws_section(fitted),
            "axes": list(fitted.axes),
            "points": points,
            "sensitivity": rows,
        }
    )


def _stated(table: Runs, words: Mapping[str, str] | None) -> Runs:
    """State conventions that the table does not."""
    if not words:
        return table
    known = [f.name for f in fields(Conventions)]
    if strange := sorted(set(words) - set(known)):
        raise InputError(f"conventions: {strange[0]!r} is not one of {', '.join(known)}")
    return replace(table, conventions=replace(table.conventions, **words))


def _fitted(
    table: Runs, options: Mapping[str, Any], on_step: Callable[[str], None] | None
) -> LawSet:
    given = {k: v for k, v in options.items() if k not in ("laws", "seed")}
    return fit_laws(table, options["laws"], rng=options["seed"], on_step=on_step, **given)


def points_of(
    table: Runs, fitted: LawSet, targets: Sequence[Mapping[str, float]], level: float
) -> list[dict[str, Any]]:
    """Forecast each target at every level, in plain types and without baselines."""
    for target in targets:
        given = [as_positive(f"at {a}", v) for a, v in target.items()]
        if sum(abs(np.log(v)) for v in given) > LARGEST_LOG:
            shown = ", ".join(f"{a}={v:.3g}" for a, v in target.items())
            raise InputError(f"at {shown}: beyond what can be computed; check the units")
    return [_point(table, fitted, target, level) for target in targets]


def _point(
    table: Runs, fitted: LawSet, target: Mapping[str, float], level: float
) -> dict[str, Any]:
    at = with_compute(table, target)
    levels = sorted({*LEVELS, float(level)}, reverse=True)
    answers = {v: forecast(fitted, at, level=v) for v in levels}
    main = answers[float(level)]
    p, new, mean = _quantiles(main, answers, levels)
    if not np.isfinite([main.loss, *new, *mean]).all():
        raise InputError(
            f"at {', '.join(f'{a}={v:.4g}' for a, v in target.items())}: the forecast has no "
            "finite quantiles there, so that it could not be scored; ask nearer to the runs"
        )
    whole = main.to_dict()
    largest = {a: float(table[a].max()) for a in fitted.axes}
    return {
        "at": {a: float(v) for a, v in target.items()},
        "loss": main.loss,
        "interval": whole["interval"],
        "mean_interval": whole["mean_interval"],
        "quantiles": {"probability": p, "new_run": new, "mean": mean},
        "reach": main.reach,
        "beyond": {a: float(target[a]) / v for a, v in largest.items()},
        "tested": is_tested(main),
        "sentence": main.sentence,
        "laws": [
            {k: f[k] for k in ("law", "weight", "loss", "low", "high")} for f in whole["laws"]
        ],
    }


def _quantiles(
    main: Forecast, answers: Mapping[float, Forecast], levels: Sequence[float]
) -> tuple[list[float], list[float], list[float]]:
    """Return the ends of the intervals of all levels, and the median between them."""
    p = [round((1 - v) / 2, 12) for v in levels]
    found = [answers[v] for v in levels]
    new = [f.interval.low for f in found] + [main.loss] + [f.interval.high for f in found[::-1]]
    mean = [f.mean.low for f in found] + [main.loss] + [f.mean.high for f in found[::-1]]
    return [*p, 0.5, *(round(1 - v, 12) for v in p[::-1])], new, mean


def _baselines(
    table: Runs, fitted: LawSet, target: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Forecasts that cost no thought: the best of the largest runs, and one plain law."""
    scale = run_scale(table, fitted.axes)
    largest = np.flatnonzero(scale >= (1 - NEAR) * scale.max())
    k = int(largest[np.argmin(table["loss"][largest])])
    joint = {"N", "D"} <= set(fitted.axes)
    name = "chinchilla" if joint else "power_floor"
    plain: dict[str, Any] = {"law": name, "loss": None, "reason": None}
    try:
        found = fit(table, name, draws=0, axis=None if joint else fitted.axes[0])
        loss = float(found.predict({a: np.array([target[a]]) for a in found.law.axes})[0])
        plain["loss"] = loss if np.isfinite(loss) and loss > 0 else None
    except IsolossError as error:
        plain["reason"] = str(error)
    return {
        "last_run": {"run": table.names[k], "loss": float(table["loss"][k]), "reason": None},
        "plain_law": plain,
    }


def _runs_section(
    table: Runs, fitted: LawSet, targets: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    near = np.ones((len(targets), len(table)), dtype=bool)
    for a in fitted.axes:
        goal = np.array([[float(t[a])] for t in targets])
        near &= np.abs(np.log(table[a] / goal)) <= NEAR
    known = [[table.names[i] for i in np.flatnonzero(row)[:5]] for row in near]
    return {
        "source": clean(table.source),
        "digest": table.digest,
        "n_runs": len(table),
        "n_refused": len(table.refused),
        "left_out": [table.names[i] for i in np.flatnonzero(fitted.left_out)],
        "conventions": asdict(table.conventions),
        "ranges": {a: [float(table[a].min()), float(table[a].max())] for a in fitted.axes},
        "notes": [{"code": n.code, "message": n.message} for n in table.notes],
        "holding_targets": [{"point": i, "runs": names} for i, names in enumerate(known) if names],
    }


def _laws_section(fitted: LawSet) -> dict[str, Any]:
    return {
        "objective": fitted.objective.name,
        "discrepancy": fitted.discrepancy,
        "backtest_error": fitted.procedure_error,
        "backtest_reach": fitted.procedure_reach,
        "sentence": fitted.sentence,
        "set": [
            {
                "law": f.law.name,
                "parameters": f.parameters,
                "seed_noise": f.seed_noise,
                "status": f.status,
                "method": f.method,
            }
            | fitted.shares(i)
            for i, f in enumerate(fitted.fits)
        ],
        "dropped": [{"law": n, "reason": r} for n, r in fitted.dropped],
    }


def libraries() -> dict[str, str]:
    """Versions of what the last digits depend on."""
    import scipy

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }

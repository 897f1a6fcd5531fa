"""Which forecasts larger networks best: laws fitted to small runs, or the spectrum of a kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level
from isoloss.errors import InputError
from isoloss.sweep.confront_result import Confrontation, ForecastCurve, ForecastScore

_OVER_D = ("power_floor", "shifted_power", "sigmoid_power")
_OVER_BOTH = ("chinchilla", "coupled")
_SOLVABLE = ("random_features", "random_features_finite", "gradient_flow", "gradient_flow_any")
_CONTINUED = ("power_floor", "shifted_power")
_FACTOR = 8.0
_LEVEL_RANGE = 4.0
"""The level of a curve is taken from small runs of D down to this factor below the largest."""
_CURVE = 33

Row = Mapping[str, Any]


def confront(
    runs: Sequence[Row], kernels: Sequence[Row] = (), *, small_D: float | None = None,
    level: float = 0.9, draws: int = 400, rng: int = 0,
) -> Confrontation:  # fmt: skip
    """Forecast held-out runs of the widest network from small runs and from kernels, and score.

    Small runs are those of all widths with D up to ``small_D``; held out are the widest network's
    beyond. Laws of D are fitted to the small runs of the widest network, laws of N and D to all
    small runs: each alone, and as a set weighted by its back-tests (`isoloss.fit.fit_laws`). The
    curve of a kernel is taken as it is up to the D that its spectrum reaches and continued by laws
    fitted to the curve; its interval then holds the error of the spectrum and of the continuation.
    Once more it is scaled by one number so that it meets the small runs of D from small_D/4 up.

    Parameters
    ----------
    runs
        One network each: ``N``, ``D``, ``loss``; other fields are not read.
    kernels
        One point each: ``kernel``, ``kind`` (``spectrum`` or ``regression``), ``D``, ``loss``,
        ``low``, ``high``, as `isoloss.sweep.confront_kernels.kernel_rows` makes them.
    small_D
        An eighth of the largest D unless given.
    level
        Of the intervals.
    draws, rng
        Resamplings of the fits, and their seed.

    Raises
    ------
    InputError
        If runs are too few, nothing is held out, or a row holds no number where one is needed.

    Examples
    --------
    >>> D = np.repeat(2.0 ** np.arange(6, 14), 2)
    >>> runs = [{"N": 100, "D": d, "loss": 0.1 + d**-0.5} for d in D]
    >>> found = confront(runs)
    >>> found.small_D, sorted({s.D for s in found.scores})
    (1024.0, [2048.0, 4096.0, 8192.0])
    >>> name, family, error = found.ranking()[0]
    >>> family, error < 0.01
    ('law', True)
    """
    level = as_level(level)
    N, D, loss = _numbers("runs", runs, ("N", "D", "loss"))
    edge = float(D.max()) / _FACTOR if small_D is None else float(small_D)
    wide, small = np.max(N) == N, edge >= D
    if not math.isfinite(edge) or not (wide & ~small).any():
        raise InputError(f"small_D = {edge:g}: no run of the widest network lies beyond it")
    if len(set(D[wide & small].tolist())) < 5:
        raise InputError(
            f"small_D = {edge:g}: the widest network has {len(set(D[wide & small].tolist()))} "
            "values of D up to it; laws need 5 at least"
        )
    grid = np.unique(np.concatenate([np.geomspace(D[wide].min(), D[wide].max(), _CURVE), D[wide]]))
    curves: list[ForecastCurve] = []
    failed: list[tuple[str, str]] = []
    options = {"level": level, "draws": draws, "rng": rng}
    own = wide & small
    curves += _laws(
        {"D": D[own], "loss": loss[own]}, {"D": grid}, _OVER_D, "law", "laws of D", failed, options
    )
    if len(set(N[small].tolist())) > 2:
        table = {"N": N[small], "D": D[small], "loss": loss[small]}
        at = {"N": np.full(grid.shape, N.max()), "D": grid}
        for names, family, title in (
            (_OVER_BOTH, "law", "laws of N and D"),
            (_SOLVABLE, "solvable", "solvable laws"),
        ):
            curves += _laws(table, at, names, family, title, failed, options)
    points = _points(D[wide], loss[wide])
    for name, kind, table in _kernels(kernels):
        if kind == "regression":
            curves.append(ForecastCurve(name=name, family=kind, reach=math.nan, **table))
            continue
        curve = _continued(name, table, grid, failed, options)
        curves.append(curve)
        curves += _levelled(curve, D[own], loss[own], edge, level)
    scores = _scores(curves, D[wide], loss[wide], edge)
    return Confrontation(
        N=float(N.max()), small_D=edge, D=points[0], loss=points[1], sem=points[2],
        runs=points[3], curves=tuple(curves), scores=tuple(scores), failed=tuple(failed),
        level=level,
    )  # fmt: skip


def _numbers(what: str, rows: Sequence[Row], names: Sequence[str]) -> list[Array]:
    found: dict[str, list[float]] = {name: [] for name in names}
    for i, row in enumerate(rows):
        for name in names:
            try:
                value = float(row[name])
            except KeyError:
                raise InputError(f"{what}[{i}]: no field {name!r}") from None
            except (TypeError, ValueError):
                raise InputError(f"{what}[{i}]: {name} = {row[name]!r}: no number") from None
            if not (math.isfinite(value) and value > 0):
                raise InputError(
                    f"{what}[{i}]: {name} = {value:g}: must be finite and above zero; leave out "
                    "runs without a result"
                )
            found[name].append(value)
    if not rows:
        raise InputError(f"{what}: none")
    return [np.array(found[name]) for name in names]


def _laws(
    table: Mapping[str, Array], at: Mapping[str, Array], names: Sequence[str], family: str,
    title: str, failed: list[tuple[str, str]], options: Mapping[str, Any],
) -> list[ForecastCurve]:  # fmt: skip
    """Each law alone, and the set."""
    from isoloss.errors import IsolossError
    from isoloss.fit import fit_laws
    from isoloss.fit.backtest import run_scale
    from isoloss.fit.forecast import forecast_many

    try:
        laws = fit_laws(dict(table), list(names), outliers="keep", **options)
    except IsolossError as error:
        failed.append((title, str(error)))
        return []
    failed += list(laws.dropped)
    said = forecast_many(laws, at, scale=run_scale(at, laws.axes))
    grid = at["D"]
    found = [
        ForecastCurve(
            name=title, family=family, D=grid, loss=np.array([f.loss for f in said]),
            low=np.array([f.interval.low for f in said]),
            high=np.array([f.interval.high for f in said]),
        )
    ]  # fmt: skip
    for i, alone in enumerate(said[0].laws):
        parts = [f.laws[i] for f in said]
        found.append(
            ForecastCurve(
                name=alone.law, family=family, D=grid, loss=np.array([p.loss for p in parts]),
                low=np.array([p.interval.low for p in parts]),
                high=np.array([p.interval.high for p in parts]),
            )
        )  # fmt: skip
    return found


def _kernels(rows: Sequence[Row]) -> list[tuple[str, str, dict[str, Array]]]:
    tables: dict[tuple[str, str], list[Row]] = {}
    for i, row in enumerate(rows):
        key = str(row.get("kernel")), str(row.get("kind"))
        if key[1] not in ("spectrum", "regression") or "kernel" not in row:
            raise InputError(
                f"kernels[{i}]: kind = {row.get('kind')!r}; a point of a 'kernel' is of kind "
                "'spectrum' or 'regression'"
            )
        tables.setdefault(key, []).append(row)
    found = []
    for (name, kind), group in tables.items():
        fields = ("D", "loss", "low", "high")
        values = np.array(_numbers(f"kernel {name}", group, fields))
        values = values[:, np.argsort(values[0])]
        found.append((name, kind, dict(zip(fields, values, strict=True))))
    return found


def _continued(
    name: str, table: Mapping[str, Array], grid: Array, failed: list[tuple[str, str]],
    options: Mapping[str, Any],
) -> ForecastCurve:  # fmt: skip
    """Continue a spectrum's curve beyond its reach by laws fitted to it."""
    D, loss, low, high = (table[k] for k in ("D", "loss", "low", "high"))
    reach = float(D[-1])
    curve = ForecastCurve(
        name=name, family="spectrum", D=D, loss=loss, low=low, high=high, reach=reach
    )
    beyond = grid[grid > reach]
    if not beyond.size:
        return curve
    said = _laws(
        {"D": D, "loss": loss}, {"D": np.concatenate([[reach], beyond])}, _CONTINUED, "spectrum",
        f"{name}, continued", failed, options,
    )  # fmt: skip
    if not said:
        return curve
    far = said[0]
    # The laws meet the curve to a fraction of a percent; a step at its end would say otherwise.
    scale = loss[-1] / far.loss[0]
    wide = [
        np.hypot(np.log(far.loss[1:] / end), math.log(loss[-1] / own))
        for end, own in ((far.low[1:], low[-1]), (far.high[1:], high[-1]))
    ]
    more = scale * far.loss[1:]
    return ForecastCurve(
        name=name, family="spectrum", D=np.append(D, beyond), loss=np.append(loss, more),
        low=np.append(low, more * np.exp(-wide[0])), high=np.append(high, more * np.exp(wide[1])),
        reach=reach,
    )  # fmt: skip


def _levelled(
    curve: ForecastCurve, D: Array, loss: Array, edge: float, level: float
) -> list[ForecastCurve]:
    """Scale the curve by one number to the largest small runs."""
    near = edge / _LEVEL_RANGE <= D
    gap = np.log(loss[near]) - np.log(curve.at(D[near])[0])
    gap = gap[np.isfinite(gap)]
    if gap.size < 2:
        return []
    from scipy.stats import t

    half = float(t.ppf((1 + level) / 2, gap.size - 1) * gap.std(ddof=1) * math.sqrt(
        1 + 1 / gap.size
    ))  # fmt: skip
    scale = math.exp(float(gap.mean()))
    # What the spectrum does not know about the level, the runs now do; of its error only what
    # grows beyond the small runs stays.
    _, low, high = curve.at([edge])
    middle = curve.at([edge])[0]
    ends = []
    for end, own in ((curve.low, low), (curve.high, high)):
        known = math.log(float(own[0] / middle[0])) ** 2
        grown = np.maximum(np.log(end / curve.loss) ** 2 - known, 0.0)
        ends.append(np.sqrt(grown + half**2))
    return [
        ForecastCurve(
            name=f"{curve.name}, level fitted", family="level", D=curve.D, loss=scale * curve.loss,
            low=scale * curve.loss * np.exp(-ends[0]), high=scale * curve.loss * np.exp(ends[1]),
            reach=curve.reach,
        )
    ]  # fmt: skip


def _points(D: Array, loss: Array) -> tuple[Array, Array, Array, Array]:
    at = np.unique(D)
    groups = [loss[at_one == D] for at_one in at]
    sem = [g.std(ddof=1) / math.sqrt(g.size) if g.size > 1 else math.nan for g in groups]
    return (
        at, np.array([g.mean() for g in groups]), np.array(sem),
        np.array([g.size for g in groups]),
    )  # fmt: skip


def _scores(
    curves: Sequence[ForecastCurve], D: Array, loss: Array, edge: float
) -> list[ForecastScore]:
    start = float(D[edge >= D].max())
    begun = float(loss[start == D].mean())
    found = []
    for curve in curves:
        first = float(curve.at([start])[0][0])
        for d in np.unique(D[edge < D]):
            runs = loss[d == D]
            value, low, high = (float(v[0]) for v in curve.at([d]))
            mean = float(runs.mean())
            if not math.isfinite(value):
                continue
            fell = begun - mean
            found.append(
                ForecastScore(
                    name=curve.name, family=curve.family, D=float(d), forecast=value, low=low,
                    high=high, measured=mean, error=value / mean - 1,
                    inside=int(np.sum((runs >= low) & (runs <= high))), runs=int(runs.size),
                    improvement=(first - value) / fell if fell else math.nan,
                )
            )  # fmt: skip
    return found

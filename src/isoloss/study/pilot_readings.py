"""What tables of pilots say: power laws, the best share at a size, and where hard beats easy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.interval import Interval
from isoloss.study.pilot_table import pilot_means

Rows = list[dict[str, Any]]

_CELL = ("metric", "policy", "keep", "pool")
_ALIKE = 0.01
"""Sizes that differ by less, in proportion, count as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotLaw:
    """``error = amplitude D^-exponent`` over a range of D, with the interval of seeds.

    Attributes
    ----------
    what
        ``unpruned``, or ``best share``.
    data
        Which data.
    exponent, amplitude
        Means over seeds of the fits of each.
    interval
        Of the exponent, by Student's t over seeds.
    low, high
        Range of D.
    """

    what: str
    data: str
    exponent: float
    amplitude: float
    interval: Interval | None
    low: int
    high: int

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        found: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("what", "data", "exponent", "amplitude", "low", "high")
        }
        return found | {"interval": None if self.interval is None else self.interval.to_dict()}


def frontier(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Find the best way to have D examples: by chance, or out of a larger pool by a score.

    Returns
    -------
    list of dict
        For each D at which some pruned cell and one kept by chance are there: ``data``, ``D``,
        ``chance`` (error of a random set) and ``chance_se``; ``metric``, ``policy``, ``keep`` and
        ``pool`` of the cell with the least mean error, out of ``of`` cells. ``error``, with
        ``error_se``, is that of the cell which the other seeds would choose, so that it does not
        gain by having been chosen (with one seed it does); ``gain`` is chance less that error,
        over seeds, with ``gain_se``.

    Examples
    --------
    >>> row = {"data": "a", "metric": "", "policy": "random", "keep": 0.5, "pool": 8, "D": 4,
    ...        "seed": 0, "error": 0.2, "worst_error": 0.3, "loss": 1.0, "flops": 1.0,
    ...        "score_flops": 0.0}
    >>> rows = [row, row | {"metric": "el2n", "policy": "hard", "error": 0.1}]
    >>> [(r["D"], r["metric"], round(r["gain"], 3)) for r in frontier(rows)]
    [(4, 'el2n', 0.1)]
    """
    found = []
    for point in _points(rows):
        gains = [point.chance[s] - v for s, v in point.best.items() if s in point.chance]
        (mean, se), (error, error_se), (gain, gain_se) = (
            _mean(list(values)) for values in (point.chance.values(), point.best.values(), gains)
        )
        found.append({
            "data": point.data, "D": point.D, "chance": mean, "chance_se": se,
            **dict(zip(_CELL, point.cell, strict=True)), "error": error, "error_se": error_se,
            "gain": gain, "gain_se": gain_se, "of": point.of,
        })  # fmt: skip
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """One size: errors by seed by chance and of the best cell, which cell, and of how many."""

    data: str
    D: int
    chance: dict[int, float]
    best: dict[int, float]
    cell: tuple[Any, ...]
    of: int


def _points(rows: Sequence[Mapping[str, Any]]) -> list[_Point]:
    points = []
    for data, group in _by_size(rows):
        chance = [r for r in group if r["policy"] == "random"]
        cells: dict[tuple[Any, ...], Rows] = {}
        for row in group:
            if row["policy"] != "random":
                cells.setdefault(tuple(row[n] for n in _CELL), []).append(row)
        if not chance or not cells:
            continue
        errors = {key: _over_seeds(mine) for key, mine in cells.items()}
        cell = min(errors, key=lambda key: float(np.mean(list(errors[key].values()))))
        best = {}
        for seed in sorted(set().union(*errors.values())):
            others = {
                key: [v for s, v in mine.items() if s != seed] or list(mine.values())
                for key, mine in errors.items() if seed in mine
            }  # fmt: skip
            chosen = min(others, key=lambda key: float(np.mean(others[key])))
            best[seed] = errors[chosen][seed]
        points.append(_Point(
            data=data, D=cells[cell][0]["D"], chance=_over_seeds(chance), best=best, cell=cell,
            of=len(cells),
        ))  # fmt: skip
    return points


def pilot_laws(rows: Sequence[Mapping[str, Any]], *, level: float = 0.9) -> list[PilotLaw]:
    """Fit power laws to errors of random sets, and of the best way to have each D.

    Both are fitted to the same D, seed by seed: those of `frontier` from the size on from which the
    best pruned cell is always better than chance. A range that began where pruning harms would
    show a steep fall and mean the end of the harm.

    Parameters
    ----------
    rows
        Of one or several data sets.
    level
        Of the interval over seeds.

    Returns
    -------
    list of PilotLaw
        Two for each data set with three such D or more.
    """
    found = []
    for data in dict.fromkeys(r["data"] for r in rows):
        points = _winning(_points([r for r in rows if r["data"] == data]))
        if len(points) < 3:
            continue
        D = np.array([point.D for point in points], dtype=float)
        chance, picked = [p.chance for p in points], [p.best for p in points]
        for what, errors in (("unpruned", chance), ("best share", picked)):
            seeds = sorted(set.intersection(*(set(e) for e in errors)))
            lines = [
                np.polyfit(np.log(D), np.log([e[s] for e in errors]), 1)
                for s in seeds if all(e[s] > 0 for e in errors)
            ]  # fmt: skip
            if lines:
                found.append(_law(what, data, np.array(lines), D, level))
    return found


def _winning(points: list[_Point]) -> list[_Point]:
    """Points from the one on from which all gain on average."""
    start = len(points)
    while start and _gain(points[start - 1]) > 0:
        start -= 1
    return points[start:]


def _gain(point: _Point) -> float:
    return float(np.mean([point.chance[s] - v for s, v in point.best.items() if s in point.chance]))


def _law(what: str, data: str, lines: Any, D: Any, level: float) -> PilotLaw:
    from scipy.stats import t

    slopes = -lines[:, 0]
    interval = None
    if len(slopes) > 1:
        half = t.ppf((1 + level) / 2, len(slopes) - 1) * slopes.std(ddof=1) / len(slopes) ** 0.5
        middle = float(slopes.mean())
        interval = Interval(
            low=middle - float(half), high=middle + float(half), level=level,
            method="Student's t over seeds",
        )  # fmt: skip
    return PilotLaw(
        what=what, data=data, exponent=float(slopes.mean()),
        amplitude=float(np.exp(lines[:, 1].mean())), interval=interval, low=int(D.min()),
        high=int(D.max()),
    )  # fmt: skip


def crossovers(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Find the pool from which on keeping the hard beats keeping by chance, and the easy.

    Returns
    -------
    list of dict
        For each data set, metric and share: ``hard_over_random`` and ``hard_over_easy``, the pool
        at which the mean gain changes sign for good, by a straight line in log pool: NaN where it
        never does; the smallest pool where hard is better in all; and ``pools``, how many.

    Examples
    --------
    >>> rows = [{"data": "a", "metric": "m" if p != "random" else "", "policy": p, "keep": 0.5,
    ...          "pool": n, "D": n // 2, "seed": 0, "loss": 1.0, "worst_error": 0.3, "flops": 1.0,
    ...          "score_flops": 0.0, "error": 0.2 + (p == "hard") * (0.01 if n < 200 else -0.01)}
    ...         for n in (100, 400) for p in ("random", "hard", "easy")]
    >>> round(crossovers(rows)[0]["hard_over_random"])
    200
    """
    by = {(m["data"], m["metric"], m["keep"], m["policy"], m["pool"]): m for m in pilot_means(rows)}
    found = []
    kinds = dict.fromkeys((d, m, k) for d, m, k, p, _ in by if p == "hard")
    for data, metric, keep in kinds:
        pools = sorted({key[4] for key in by if key[:4] == (data, metric, keep, "hard")})
        gains, over = [], []
        for pool in pools:
            hard = by[data, metric, keep, "hard", pool]
            easy = by.get((data, metric, keep, "easy", pool))
            gains.append(hard["gain"])
            over.append(math.nan if easy is None else easy["error"] - hard["error"])
        found.append({
            "data": data, "metric": metric, "keep": keep, "pools": len(pools),
            "hard_over_random": _crossing(pools, gains),
            "hard_over_easy": _crossing(pools, over),
        })  # fmt: skip
    return found


def _crossing(pools: Sequence[int], gains: Sequence[float]) -> float:
    known = [(p, g) for p, g in zip(pools, gains, strict=True) if not math.isnan(g)]
    if not known or known[-1][1] <= 0:
        return math.nan
    last = max((i for i, (_, g) in enumerate(known) if g <= 0), default=-1)
    if last < 0:
        return float(known[0][0])
    (p, a), (q, b) = known[last], known[last + 1]
    return float(math.exp(math.log(p) + (math.log(q) - math.log(p)) * -a / (b - a)))


def _by_size(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, Rows]]:
    """Rows of one data set and, to a percent, one D."""
    groups = []
    for data in dict.fromkeys(r["data"] for r in rows):
        mine = sorted((dict(r) for r in rows if r["data"] == data), key=lambda r: int(r["D"]))
        part: Rows = []
        for row in mine:
            if part and row["D"] > part[0]["D"] * (1 + _ALIKE):
                groups.append((str(data), part))
                part = []
            part.append(row)
        if part:
            groups.append((str(data), part))
    return groups


def _over_seeds(rows: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """Mean error of each seed."""
    return {
        s: float(np.mean([r["error"] for r in rows if r["seed"] == s]))
        for s in sorted({r["seed"] for r in rows})
    }


def _mean(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return math.nan, math.nan
    spread = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else math.nan
    return float(np.mean(values)), spread

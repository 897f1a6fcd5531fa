"""Gap, multiplier and crossing of two recipes, from fits of each law of a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.plan.comparison import Crossover
from isoloss.plan.normal_scores import Scores
from isoloss.plan.recipe_fit import RecipeFit
from isoloss.plan.recipe_paths import Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Log losses and log multipliers at scales, (m,) for the best fit, (B, m) for draws.

    ``lost`` is the share of draws without a curve.
    """

    C: Array
    best: tuple[Array, Array, Array]
    draws: tuple[Array, Array, Array]
    lost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Turns draws into intervals: half-width in normal scores, level and method."""

    z: float
    level: float
    method: str

    def interval(self, draws: Array) -> Interval:
        """Interval of a quantity that the draws are of."""
        scores = Scores(draws)
        return Interval(
            low=scores.quantile(-self.z),
            high=scores.quantile(self.z),
            level=self.level,
            method=self.method,
        )

    def factor(self, log_draws: Array) -> Interval:
        """Interval of a factor, from draws of its logarithm."""
        i = self.interval(log_draws)
        with np.errstate(over="ignore"):
            low, high = float(np.exp(i.low)), float(np.exp(i.high))
        return Interval(low=low, high=high, level=i.level, method=i.method)


def law_curves(fitted: RecipeFit, paths: tuple[Path, Path], C: Array) -> Curves:
    """Follow both recipes under one law."""
    best = _follow(fitted, paths, fitted.theta[None], C)
    draws = _follow(fitted, paths, fitted.draws, C)
    good = np.isfinite(draws[0] + draws[1]).all(axis=1) & ~np.isnan(draws[2]).any(axis=1)
    return Curves(
        C=C,
        best=(best[0][0], best[1][0], best[2][0]),
        draws=(draws[0][good], draws[1][good], draws[2][good]),
        lost=1 - float(good.mean()) if len(good) else 1.0,
    )


def _follow(
    fitted: RecipeFit, paths: tuple[Path, Path], theta: Array, C: Array
) -> tuple[Array, Array, Array]:
    first, second = (fitted.recipe.part(theta, i) for i in (0, 1))
    with np.errstate(all="ignore"):
        a, b = paths[0].loss(first, C), paths[1].loss(second, C)
        needed = paths[1].compute(second, a, C)
        return np.log(a), np.log(b), np.log(C) - np.log(needed)


def mixed(curves: Sequence[Curves], weights: Array) -> Curves:
    """Mixture over laws: draws of each in proportion to its weight, logs of the best averaged."""
    most = max(len(c.draws[0]) for c in curves)
    counts = np.minimum(np.round(weights * most).astype(int), [len(c.draws[0]) for c in curves])

    def draw(i: int) -> Array:
        return np.concatenate([c.draws[i][:k] for c, k in zip(curves, counts, strict=True)])

    used = weights > 0

    def mean(i: int) -> Array:
        rows = [w * c.best[i] for c, w, u in zip(curves, weights, used, strict=True) if u]
        return np.asarray(np.sum(rows, axis=0))

    return Curves(
        C=curves[0].C,
        best=(mean(0), mean(1), mean(2)),
        draws=(draw(0), draw(1), draw(2)),
        lost=float(np.sum(weights * [c.lost for c in curves])),
    )


def find_crossover(
    curves: Curves, reader: Reader, resource: str, names: tuple[str, str]
) -> Crossover:
    r"""Find where two curves cross, on a grid of scales.

    At a crossing the gap is zero, so the scales at which the interval of the gap holds zero hold
    it with the level's probability: Fieller's argument, which needs no draw to cross.
    """
    C = curves.C
    searched = (float(C[0]), float(C[-1]))
    gap = curves.best[0] - curves.best[1]
    each = [reader.interval(d) for d in (curves.draws[0] - curves.draws[1]).T]
    low, high = np.array([i.low for i in each]), np.array([i.high for i in each])
    inside = (low <= 0) & (high >= 0)
    where = _root(C, gap)
    span = f"between {resource} = {C[0]:.3g} and {C[-1]:.3g}"

    def answer(status: str, interval: Interval | None, text: str) -> Crossover:
        return Crossover(
            status=status, C=where, interval=interval, searched=searched,
            sentence=f"crossover: {text}",
        )  # fmt: skip

    sides = np.sign(np.where(inside, 0.0, gap))
    certain = sides[sides != 0]
    if not len(certain):
        return answer("not identified", None, f"not identified, anywhere {span} or nowhere")
    changes = bool((certain[1:] != certain[:-1]).any())
    if not inside.any() and not changes:
        leader = names[1] if certain[0] > 0 else names[0]
        return answer("none", None, f"none {span}: {leader} is better throughout")
    ends = _ends(np.log(C), low, high, inside, sides)
    interval = Interval(
        low=float(np.exp(ends[0])),
        high=float(np.exp(ends[1])),
        level=reader.level,
        method="scales at which the interval of the gap holds zero",
    )
    text = f"in [{interval.low:.3g}, {interval.high:.3g}]"
    if changes and sides[0] != 0 and sides[-1] != 0:
        at = "" if where is None else f" at {resource} = {where:.3g}"
        first = names[0] if sides[0] < 0 else names[1]
        last = names[0] if sides[-1] < 0 else names[1]
        if first != last:
            return answer("found", interval, f"{first} leads below, {last} above;{at} {text}")
        return answer("found", interval, f"the curves cross more than once, {text}")
    return answer(
        "open", interval, f"not shown; if the curves cross {span}, then {text}, as far as looked"
    )


def _root(C: Array, gap: Array) -> float | None:
    """First change of sign of the best curves, by a line in the logarithm of scale."""
    k = np.flatnonzero(gap[:-1] * gap[1:] < 0)
    if not len(k):
        return None
    i = int(k[0])
    t = gap[i] / (gap[i] - gap[i + 1])
    return float(np.exp(np.log(C[i]) + t * (np.log(C[i + 1]) - np.log(C[i]))))


def _ends(x: Array, low: Array, high: Array, inside: Array, sides: Array) -> tuple[float, float]:
    """Ends of the set of scales whose interval holds zero, found between points by lines."""
    held = np.flatnonzero(inside)
    if not len(held):
        # The sides change between two neighbours.
        k = int(np.flatnonzero(sides[1:] * sides[:-1] < 0)[0])
        return float(x[k]), float(x[k + 1])

    def edge(i: int, j: int) -> float:
        """Between a scale outside, i, and its neighbour inside, j."""
        end = low if sides[i] > 0 else high
        t = end[i] / (end[i] - end[j])
        return float(x[i] + t * (x[j] - x[i]))

    first, last = int(held[0]), int(held[-1])
    left = float(x[0]) if first == 0 else edge(first - 1, first)
    right = float(x[-1]) if last == len(x) - 1 else edge(last + 1, last)
    return left, right

"""Where the curves of two recipes cross."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.plan.recipes.answer import Answer
from isoloss.plan.recipes.parts import Crossover

Flags = npt.NDArray[np.bool_]


def find_crossover(
    answer: Answer, level: float, resource: str, names: tuple[str, str]
) -> Crossover:
    r"""Find where two curves cross, on a grid of scales.

    At a crossing the gap is zero, so the scales at which the interval of the gap holds zero hold
    it with the level's probability: Fieller's argument, which needs no draw to cross.
    """
    C = answer.C
    searched = (float(C[0]), float(C[-1]))
    gap, low, high = answer.gap.best, answer.gap.low, answer.gap.high
    inside = (low <= 0) & (high >= 0)
    where = _root(C, gap, answer.multiplier.best)
    span = f"between {resource} = {C[0]:.3g} and {C[-1]:.3g}"

    def found(status: str, interval: Interval | None, text: str) -> Crossover:
        return Crossover(
            status=status, C=where, interval=interval, searched=searched,
            sentence=f"crossover: {text}",
        )  # fmt: skip

    sides = np.sign(np.where(inside, 0.0, gap))
    certain = sides[sides != 0]
    if not len(certain):
        return found("not identified", None, f"not identified, anywhere {span} or nowhere")
    changes = bool((certain[1:] != certain[:-1]).any())
    if not inside.any() and not changes:
        leader = names[1] if certain[0] > 0 else names[0]
        return found("none", None, f"none {span}: {leader} is better throughout")
    ends = _ends(np.log(C), low, high, inside, sides)
    interval = Interval(
        low=float(np.exp(ends[0])),
        high=float(np.exp(ends[1])),
        level=level,
        method="scales at which the interval of the gap holds zero",
    )
    text = f"in [{interval.low:.3g}, {interval.high:.3g}]"
    if changes and sides[0] != 0 and sides[-1] != 0:
        at = "" if where is None else f" at {resource} = {where:.3g}"
        first = names[0] if sides[0] < 0 else names[1]
        last = names[0] if sides[-1] < 0 else names[1]
        if first != last:
            return found("found", interval, f"{first} leads below, {last} above;{at} {text}")
        return found("found", interval, f"the curves cross more than once, {text}")
    return found(
        "open", interval, f"not shown; if the curves cross {span}, then {text}, as far as looked"
    )


def unknown(found: Crossover) -> Crossover:
    """Withdraw an answer that laws gave which miss the runs."""
    return replace(
        found, status="not identified", C=None, interval=None,
        sentence="crossover: not identified, as the laws miss the runs",
    )  # fmt: skip


def _root(C: Array, gap: Array, multiplier: Array) -> float | None:
    """First change of sign of the best curves, by a line in the logarithm of scale.

    The log multiplier has the sign of the gap and is straight between powers, which the gap is not.
    """
    k = np.flatnonzero(gap[:-1] * gap[1:] < 0)
    if not len(k):
        return None
    i = int(k[0])
    ends = multiplier[i : i + 2]
    y = ends if np.isfinite(ends).all() and ends[0] * ends[1] < 0 else gap[i : i + 2]
    t = y[0] / (y[0] - y[1])
    return float(np.exp(np.log(C[i]) + t * (np.log(C[i + 1]) - np.log(C[i]))))


def _ends(x: Array, low: Array, high: Array, inside: Flags, sides: Array) -> tuple[float, float]:
    """Find the ends of the scales whose interval holds zero, between points by lines."""
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

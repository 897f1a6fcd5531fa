"""From draws to intervals and p-values, and one answer from several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.plan.recipes.curves import Curves
from isoloss.plan.recipes.parts import BETTER, UNKNOWN, WORSE
from isoloss.plan.recipes.scores import Scores, p_value, quantiles, t_score


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Turns draws into intervals and p-values.

    Attributes
    ----------
    alpha
        Probability of an error.
    freedom
        Degrees of freedom of Student's distribution.
    widening
        Factor on normal scores of the draws, which are too narrow by it.
    method
        In words.
    """

    alpha: float
    freedom: float
    widening: float
    method: str

    @property
    def level(self) -> float:
        """Level of the intervals."""
        return 1 - self.alpha

    def ends(self, draws: Array) -> tuple[Array, Array]:
        """Return ends of intervals of what the draws, (B, m), are of."""
        z = t_score(self.alpha, self.freedom) * self.widening
        return quantiles(draws, -z), quantiles(draws, z)

    def p(self, draws: Array) -> float:
        """Two-sided p-value of zero."""
        return p_value(Scores(draws).score(0.0) / self.widening, self.freedom)

    def interval(self, low: float, high: float) -> Interval:
        """Write down ends with level and method."""
        return Interval(low=float(low), high=float(high), level=self.level, method=self.method)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """A value and an interval at each scale, (m,) each."""

    best: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """Both losses, their gap and the multiplier at scales, with the p-value of no gap.

    Losses and multipliers are logarithms; the gap is not.
    """

    C: Array
    baseline: Band
    recipe: Band
    multiplier: Band
    gap: Band
    p: Array

    def verdict(self, j: int, alpha: float) -> str:
        """Verdict on the recipe at one scale."""
        if not self.p[j] <= alpha:
            return UNKNOWN
        return BETTER if self.gap.best[j] > 0 else WORSE


def read(curves: Curves, reader: Reader) -> Answer:
    """Read an answer off draws."""
    gaps = np.exp(curves.draws[0]) - np.exp(curves.draws[1])
    return Answer(
        C=curves.C,
        baseline=_band(curves.best[0], curves.draws[0], reader),
        recipe=_band(curves.best[1], curves.draws[1], reader),
        multiplier=_band(curves.best[2], curves.draws[2], reader),
        gap=_band(np.exp(curves.best[0]) - np.exp(curves.best[1]), gaps, reader),
        p=np.array([reader.p(d) for d in gaps.T]),
    )


def _band(best: Array, draws: Array, reader: Reader) -> Band:
    low, high = reader.ends(draws)
    return Band(best=best, low=low, high=high)


def joined(answers: Sequence[Answer], shares: Sequence[float]) -> Answer:
    r"""Join answers of which one is right, nobody knows which.

    Intervals are the shortest that hold all of theirs, so they cover as often as the right one
    does, and the p-value is the largest, or 1 where two have gaps of different signs. The value
    is the mean by shares, which sum to one.
    """
    parts = [(a, s) for a, s in zip(answers, shares, strict=True) if s > 0]

    def hull(name: str) -> Band:
        bands = [getattr(a, name) for a in answers]
        with np.errstate(invalid="ignore"):
            best = np.sum([s * getattr(a, name).best for a, s in parts], axis=0)
        # An infinite multiplier of one and none of another have no mean.
        most = getattr(max(parts, key=lambda part: part[1])[0], name).best
        return Band(
            best=np.where(np.isnan(best), most, best),
            low=np.min([b.low for b in bands], axis=0),
            high=np.max([b.high for b in bands], axis=0),
        )

    baseline, recipe, gap = hull("baseline"), hull("recipe"), hull("gap")
    signs = np.array([np.sign(a.gap.best) for a in answers])
    p = np.max([a.p for a in answers], axis=0)
    return Answer(
        C=answers[0].C,
        baseline=baseline,
        recipe=recipe,
        multiplier=hull("multiplier"),
        gap=Band(best=np.exp(baseline.best) - np.exp(recipe.best), low=gap.low, high=gap.high),
        p=np.where((signs == signs[0]).all(axis=0), p, 1.0),
    )

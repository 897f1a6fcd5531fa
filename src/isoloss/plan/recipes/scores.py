"""Intervals and p-values from one set of draws, consistent with each other at every level."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array

_EDGE = 10
"""Draws beyond the last quantile that is read off; farther out it is extended by a line."""
_HUGE = 1e300


class Scores:
    r"""Draws read through normal scores.

    The quantile at a score z is the empirical one at :math:`\Phi(z)`. Beyond the tenth draw from
    either end, where quantiles are chance, it goes on along the line from the median through the
    tenth. The score of a value is the inverse of that. Both depend on the order of the draws
    alone, so that an interval of a monotone function of a quantity is the function of its
    interval, and an interval holds a value exactly where the test does not reject it.

    Parameters
    ----------
    draws
        (B,); may be infinite, not NaN.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = Scores(rng.standard_normal(20000))
    >>> abs(scores.quantile(1.645) - 1.645) < 0.05, abs(scores.score(4.0) - 4.0) < 0.2
    (True, True)
    """

    def __init__(self, draws: npt.ArrayLike) -> None:
        values = np.sort(np.clip(np.asarray(draws, dtype=np.float64), -_HUGE, _HUGE))
        size = len(values)
        self.median = float(np.median(values))
        # Mid-ranks: equal draws share one score.
        distinct, first, count = np.unique(values, return_index=True, return_counts=True)
        rank = (first + 0.5 * count) / size
        from scipy.special import ndtri

        self.values, self.scores = distinct, ndtri(rank)
        edge = min(_EDGE, max(size // 20, 1)) / size
        self.edge = -float(ndtri(edge))
        self.low, self.high = (float(v) for v in np.quantile(values, [edge, 1 - edge]))

    def quantile(self, z: float) -> float:
        """Value at a normal score."""
        if abs(z) <= self.edge:
            found = float(np.interp(z, self.scores, self.values))
        else:
            end = self.high if z > 0 else self.low
            found = self.median + (end - self.median) * abs(z) / self.edge
        return math.copysign(math.inf, found) if abs(found) > 1e-10 * _HUGE else found

    def score(self, value: float) -> float:
        """Return the normal score of a value."""
        if self.low <= value <= self.high:
            return float(np.interp(value, self.values, self.scores))
        end = self.high if value > self.median else self.low
        if end == self.median:
            return math.copysign(math.inf, value - self.median)
        found = self.edge * (value - self.median) / abs(end - self.median)
        return math.copysign(max(abs(found), self.edge), found)


def quantiles(draws: Array, z: float) -> Array:
    """Quantiles at one normal score of each column of (B, m): as `Scores` of each, faster."""
    values = np.sort(np.clip(draws, -_HUGE, _HUGE), axis=0)
    size = len(values)
    from scipy.special import ndtri

    found = np.empty(values.shape[1])
    # Equal draws share one score, which moves the others of their column.
    alike = (values[1:] == values[:-1]).any(axis=0)
    found[alike] = [Scores(d).quantile(z) for d in values.T[alike]]
    values = values[:, ~alike]
    edge = min(_EDGE, max(size // 20, 1)) / size
    reach = -float(ndtri(edge))
    if abs(z) <= reach:
        place = np.interp(z, ndtri((np.arange(size) + 0.5) / size), np.arange(size))
        below = min(int(place), size - 2)
        found[~alike] = values[below] + (place - below) * (values[below + 1] - values[below])
    else:
        middle = np.median(values, axis=0)
        end = np.quantile(values, 1 - edge if z > 0 else edge, axis=0)
        found[~alike] = middle + (end - middle) * abs(z) / reach
    return np.where(np.abs(found) > 1e-10 * _HUGE, np.copysign(np.inf, found), found)


def t_score(alpha: float, freedom: float) -> float:
    """Half-width, in scores, of a two-sided interval that misses with probability ``alpha``."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - alpha / 2))


def p_value(score: float, freedom: float) -> float:
    """Two-sided p-value of a score, by Student's distribution."""
    from scipy.special import stdtr

    return float(min(1.0, 2 * stdtr(freedom, -abs(score))))

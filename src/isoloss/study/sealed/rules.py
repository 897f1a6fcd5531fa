"""Scoring rules for a forecast given by quantiles, and the interval of a share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import as_level, as_vector
from isoloss.errors import InputError


def interval_score(low: float, high: float, level: float, truth: float) -> float:
    r"""Score an interval: its width, and a fine for each unit by which it missed.

    .. math:: (u - l) + \frac{2}{\alpha} (l - y)^+ + \frac{2}{\alpha} (y - u)^+,
       \qquad \alpha = 1 - \text{level}

    Smaller is better, and in the long run smallest for the true quantiles.

    References
    ----------
    Winkler 1972; Gneiting and Raftery 2007, equation 43.

    Examples
    --------
    >>> interval_score(2.0, 2.5, 0.9, 2.25), round(interval_score(2.0, 2.5, 0.9, 2.6), 6)
    (0.5, 2.5)
    """
    fine = 2 / (1 - as_level(level))
    return (high - low) + fine * (max(low - truth, 0.0) + max(truth - high, 0.0))


def crps(probability: npt.ArrayLike, quantile: npt.ArrayLike, truth: float) -> float:
    r"""Continuous ranked probability score of a distribution given by quantiles.

    .. math:: 2 \int_0^1 \rho_p(y - Q(p)) \, dp = \int (F(x) - 1\{x \ge y\})^2 \, dx

    with :math:`\rho_p(u) = u (p - 1\{u < 0\})` and Q linear between the quantiles given, constant
    beyond them; the integral is exact. In the unit of the truth; for a point forecast it is the
    absolute error, so that the two can be compared.

    Parameters
    ----------
    probability, quantile
        Rising numbers between 0 and 1, and the quantiles there, (m,).

    References
    ----------
    Gneiting and Raftery 2007, section 4.2; Laio and Tamea 2007 for the first form.

    Examples
    --------
    >>> crps([0.25, 0.75], [2.0, 2.0], 2.3)
    0.2999...
    """
    p, q = as_vector("probability", probability), as_vector("quantile", quantile)
    if len(p) != len(q) or np.any(np.diff(p) <= 0) or np.any(np.diff(q) < 0):
        raise InputError("quantile: one for each probability, and both must rise")
    p, q = np.concatenate([[0.0], p, [1.0]]), np.concatenate([q[:1], q, q[-1:]])
    crossing = np.flatnonzero((q[:-1] < truth) & (q[1:] > truth))
    if crossing.size:
        k = int(crossing[0])
        at = p[k] + (truth - q[k]) / (q[k + 1] - q[k]) * (p[k + 1] - p[k])
        p, q = np.insert(p, k + 1, at), np.insert(q, k + 1, truth)
    # Between knots the integrand is a quadratic, of which Simpson's rule is exact.
    above = (q[:-1] + q[1:]) / 2 > truth
    middle = (p[:-1] + p[1:]) / 2, (q[:-1] + q[1:]) / 2
    ends = [(p[:-1], q[:-1]), middle, (p[1:], q[1:])]
    first, centre, last = (2 * (above - a) * (b - truth) for a, b in ends)
    return float(np.sum(np.diff(p) * (first + 4 * centre + last)) / 6)


def clopper_pearson(hits: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share from a count of independent trials.

    Never covers less than its level. Counts need not be whole: a share of n trials that count for
    fewer is a share all the same.

    References
    ----------
    Clopper and Pearson 1934, Biometrika 26.

    Examples
    --------
    >>> [round(v, 3) for v in clopper_pearson(3, 3)]
    [0.292, 1.0]
    """
    if not (n > 0 and -1e-9 <= hits <= n + 1e-9):
        raise InputError(f"hits = {hits}, n = {n}: there must be a trial, and no more hits than n")
    from scipy.special import betaincinv

    tail = (1 - as_level(level)) / 2
    hits = min(max(hits, 0.0), n)
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - tail))
    return low, high


def sign_chance(above: int, below: int) -> float:
    """Chance of counts at least so uneven where above and below are as likely, two-sided.

    Examples
    --------
    >>> sign_chance(5, 0), sign_chance(2, 2)
    (0.0625, 1.0)
    """
    n, k = above + below, max(above, below)
    # Exact integers: no rounding and no overflow for any count that a record can hold.
    tail = sum(math.comb(n, i) for i in range(k, n + 1))
    return float(min(1.0, 2 * tail / 2**n))


def place(probability: Sequence[float], quantile: Sequence[float], truth: float) -> float:
    """Probability that the forecast gave to values up to the truth, as far as quantiles reach."""
    return float(np.interp(truth, quantile, probability))

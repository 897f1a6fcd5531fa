r"""How noisy a run of each setting is: a law of size and slope, and what its own repeats say.

What moves a loss from seed to seed is mostly which examples were drawn, and some are worth more
than others. As a loss then moves by what it changes with the number of examples, the standard
deviation of a log outcome is taken as

.. math:: \sigma = \sigma_0 D^a g^b, \quad g = |d \log L / d \log D|,

with g between neighbouring sizes. Settings differ from that law; by how much is told from the
spread of their own squares, and each variance is a mean of the law's and its own, weighted by the
degrees of freedom that each is worth.

References
----------
Smyth, Linear models and empirical Bayes methods for assessing differential expression, 2004,
sections 4 and 6, for variances moderated by those of others.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array

_MODELLED = 10
"""Repeated runs from which on the noise is no longer one number for all."""
_HELD = 2.0
"""Exponents are held near zero, as if measured with a standard error of 0.7."""
_FLATTEST = 0.03
"""Slopes below this are not told from it."""
_FEWEST = 3.0
"""Degrees of freedom that the law is worth at least."""
_LEAST = 1e-6


def model_noise(
    policy: npt.NDArray[np.str_], keep: Array, D: Array, log_mean: Array, runs: Array,
    squares: Array,
) -> tuple[Array, Array]:  # fmt: skip
    """Model the noise of a run in each setting.

    Parameters
    ----------
    policy, keep, D, log_mean, runs
        Of each setting, (cells,).
    squares
        Sum of squares of log outcomes from their mean, (cells,).

    Returns
    -------
    spread, freedom
        Standard deviation of a log outcome, and degrees of freedom it is known with, infinite
        where settings do not differ from the law, (cells,).

    Examples
    --------
    >>> D, n = np.array([1.0, 2.0, 4.0, 8.0]), np.full(4, 41.0)
    >>> sizes, none = 0.01 * D**0.5, np.array(["none"] * 4)
    >>> spread, _ = model_noise(none, np.ones(4), D, -0.5 * np.log(D), n, 40 * sizes**2)
    >>> (spread / sizes).round(2).tolist()
    [1.01, 1.0, 1.0, 0.99]
    """
    own = runs - 1
    total = float(own.sum())
    level = math.sqrt(float(squares.sum()) / max(total, 1.0))
    if total < _MODELLED or level == 0:
        return np.full(len(D), max(level, _LEAST)), np.full(len(D), math.inf)
    law = _law(_features(policy, keep, D, log_mean, own), squares, own)
    worth = _worth(law, squares, own)
    mixed = law if math.isinf(worth) else (worth * law + squares) / (worth + own)
    return np.asarray(np.maximum(np.sqrt(mixed), _LEAST)), worth + own


def _features(
    policy: npt.NDArray[np.str_], keep: Array, D: Array, log_mean: Array, own: Array
) -> Array:
    """Logarithms of size and slope, from their means, (cells, 2)."""
    slope = np.full(len(D), math.nan)
    for p, k in sorted(set(zip(policy.tolist(), keep.tolist(), strict=True))):
        at = np.flatnonzero((policy == p) & (keep == k))
        at = at[np.argsort(D[at])]
        if len(at) > 1:
            slope[at] = np.abs(np.gradient(log_mean[at], np.log(D[at])))
    known = slope[np.isfinite(slope)]
    slope = np.where(np.isfinite(slope), slope, np.median(known) if known.size else 1.0)
    found = np.log(np.column_stack([D, np.maximum(slope, _FLATTEST)]))
    return np.asarray(found - np.average(found, axis=0, weights=own))


def _law(features: Array, squares: Array, own: Array) -> Array:
    """Variance of each setting by the law: squares are gamma distributed around it."""
    X = np.column_stack([np.ones(len(own)), features])
    hold = np.array([0.0, *np.full(features.shape[1], _HELD)])
    theta = np.array([math.log(float(squares.sum() / own.sum())), 0.0, 0.0])

    def cost(theta: Array) -> float:
        log_v = X @ theta
        return float(own @ log_v + squares @ np.exp(-log_v) + hold @ theta**2 / 2) / 2

    for _ in range(30):
        ratio = squares * np.exp(-X @ theta)
        slope = X.T @ (ratio - own) / 2 - hold * theta / 2
        step = np.linalg.solve((X * ratio[:, None]).T @ X / 2 + np.diag(hold / 2), slope)
        while cost(theta + step) > cost(theta) and np.abs(step).max() > 1e-9:
            step = step / 2
        theta = theta + step
        if np.abs(step).max() <= 1e-9:
            break
    return np.asarray(np.exp(X @ theta))


def _worth(law: Array, squares: Array, own: Array) -> float:
    """Degrees of freedom that the law is worth: few where settings differ from it, else infinite.

    If variances are inverse gamma around the law, the logarithms of squares vary by the trigamma
    function of the settings' own freedom, and by that of the law's.
    """
    from scipy.special import digamma, polygamma

    seen = (own > 0) & (squares > 0)
    if seen.sum() < 3:
        return math.inf
    half = own[seen] / 2
    logs = np.log(squares[seen] / law[seen]) - digamma(half)
    more = float(np.var(logs, ddof=1) - np.mean(polygamma(1, half)))
    if more <= 0:
        return math.inf
    x = 0.5 + 1 / more
    for _ in range(50):
        value = float(polygamma(1, x))
        step = value * (1 - value / more) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-9 * x:
            break
    return max(2 * x, _FEWEST)

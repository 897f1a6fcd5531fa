"""How noisy one run is at its own scale: a power of scale where the residuals ask for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.laws import Law
from isoloss.laws.law import is_resource
from isoloss.runs import Runs

STEEPEST_POWER = 1.0
"""The noise of a run falls with scale by no more than this power."""
LEAST_SIGNIFICANCE = 2.0
"""A power whose square is below this many times its variance is none."""
FREEDOM = 4.0
"""Of Student's t that residuals are taken for, so that a few outliers make no power."""
NEAR_ONE = 1e-3
"""Of runs with a leverage this close to one nothing is left to see their noise by."""
TURNS = 4
"""Times that the power and what the fit makes of residuals are found from each other."""
STEPS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNoise:
    r"""Standard deviation of one run's log loss around a law, at each scale.

    .. math:: \sigma(s) = \max_k\, \sigma_k\, (s / s_{\max})^{-\gamma_k},
       \qquad s_{\min} \le s \le s_{\max}

    with one term from the residuals and, where runs are repeated, one from their spread. Outside
    of the scales that were seen it stays what it is at the nearest of them.

    Attributes
    ----------
    parts
        :math:`\sigma_k` and :math:`\gamma_k`; a power of 0 is the same noise everywhere.
    smallest, largest
        Scales of the runs that it was seen in.

    Examples
    --------
    >>> noise = RunNoise(parts=((0.01, 0.5),), smallest=1e18, largest=1e20)
    >>> noise.at([1e16, 1e18, 1e20, 1e22]).round(3).tolist()
    [0.1, 0.1, 0.01, 0.01]
    >>> noise.size, noise.power
    (0.01, 0.5)
    """

    parts: tuple[tuple[float, float], ...]
    smallest: float
    largest: float

    def at(self, scale: npt.ArrayLike) -> Array:
        """Noise at scales, of their shape."""
        within = np.clip(np.asarray(scale, dtype=np.float64), self.smallest, self.largest)
        log = np.log(within / self.largest)
        return np.asarray(np.max([size * np.exp(-g * log) for size, g in self.parts], axis=0))

    @property
    def size(self) -> float:
        """At the largest scale, and beyond."""
        return max(size for size, _ in self.parts)

    @property
    def power(self) -> float:
        """How fast it falls towards the largest scale."""
        return max(self.parts)[1]


def scale_of(x: Runs | Mapping[str, npt.ArrayLike], law: Law) -> Array:
    """Scale of points as a law sees it: the product of N and D, or else of all its axes.

    Parameters
    ----------
    x
        Axis name to values, (n,).
    """
    axes = [a for a in law.axes if is_resource(a)]
    axes = ["N", "D"] if {"N", "D"} <= set(axes) else axes
    first = np.asarray(x[law.axes[0]], dtype=np.float64)
    logs = [np.log(np.asarray(x[a], dtype=np.float64)) for a in axes]
    return np.exp(np.sum(logs, axis=0)) if logs else np.ones_like(first)


def run_noise(
    residuals: Array,
    basis: Array,
    weights: Array,
    scale: Array,
    groups: npt.NDArray[np.int64],
) -> RunNoise:
    r"""Estimate the noise of one run as a function of its scale.

    A fit is nearer to some of its runs than the truth is, and by weights farther from others. With
    M the matrix that takes measurements to predictions, noise :math:`\sigma_i` makes residuals of
    variance :math:`\sum_j (1 - M)_{ij}^2 \sigma_j^2`; :math:`g_i` is that over :math:`\sigma_i^2`.
    The :math:`r_i / \sqrt{g_i}` are taken for Student's t with four degrees of freedom and width
    :math:`\sigma (s_i/s_{\max})^{-\gamma}`, each counting by :math:`1 - M_{ii}` in the likelihood:
    together they are the n - p degrees of freedom of a restricted likelihood. g and :math:`\gamma`
    follow from each other in turns. The estimate is shrunk by what chance makes of even noise,

    .. math:: \gamma = \hat\gamma\, \max\left(0,\, 1 - 2\, \text{se}^2 / \hat\gamma^2\right)

    and is zero where noise would grow with scale: there the law may be wrong. Repeated runs are a
    floor, with a power of their own spread.

    Parameters
    ----------
    residuals, weights, scale
        Log residuals, weights and scales of the runs, (n,).
    basis
        Orthonormal basis of the columns of :math:`\sqrt W J`, (n, rank).
    groups
        Configuration of each run, (n,).

    References
    ----------
    Harvey 1976, Econometrica 44:461, on variances that are a power of something; Davidian and
    Carroll 1987, J. Am. Stat. Assoc. 82:1079, on degrees of freedom and robustness.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scale, n = np.geomspace(1e18, 1e20, 400), 400
    >>> r = 0.01 * (scale / 1e20) ** -0.25 * rng.standard_normal(n)
    >>> found = run_noise(r, np.zeros((n, 0)), np.ones(n), scale, np.arange(n))
    >>> round(found.size, 3), round(found.power, 2)
    (0.01, 0.25)
    """
    low, high = float(scale.min()), float(scale.max())
    log = np.log(scale / high)
    free = np.maximum(1 - np.sum(basis**2, axis=1), NEAR_ONE)
    power, gain = 0.0, _gain(basis, weights, np.ones(len(log)))
    for _ in range(TURNS):
        last, power = power, _falls(residuals / np.sqrt(gain), free, log)
        if power == last:
            break
        gain = _gain(basis, weights, np.exp(-2 * power * log))
    alike = residuals / np.sqrt(gain) * np.exp(power * log)
    parts = [(_level(alike, free), power)]
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if np.sum(sizes - 1) >= 3:
        left = residuals - (np.bincount(index, residuals) / sizes)[index]
        many = sizes[index] > 1
        alone = 1 - 1 / sizes[index][many]
        g = _falls(left[many] / np.sqrt(alone), alone, log[many])
        within = float(np.sqrt(np.sum((left * np.exp(g * log)) ** 2) / np.sum(sizes - 1)))
        parts.append((within, g))
    return RunNoise(parts=tuple(parts), smallest=low, largest=high)


def _gain(basis: Array, weights: Array, variance: Array) -> Array:
    """Variance of each residual over that of its run, (n,), for noise of some variance, (n,)."""
    lever = np.sum(basis**2, axis=1)
    inner = (basis.T * (weights * variance)) @ basis
    carried = np.sum((basis @ inner) * basis, axis=1) / (weights * variance)
    return np.asarray(np.maximum(1 - 2 * lever + carried, NEAR_ONE))


def _level(residuals: Array, free: Array) -> float:
    """Spread of residuals of one size, but at most three times what their middle half suggests."""
    spread = float(np.sqrt(np.sum(free * residuals**2) / np.sum(free)))
    middle = 1.4826 * float(np.median(np.abs(residuals)))
    return min(spread, 3 * middle) if middle > 0 else spread


def _falls(size: Array, free: Array, log: Array) -> float:
    """Power with which the size of residuals falls with scale; zero where chance explains it."""
    size = np.abs(size)
    typical = float(np.median(size))
    centred = log - np.average(log, weights=free)
    info = 2 * FREEDOM / (FREEDOM + 3)
    spread = info * float(free @ centred**2)
    # Exact losses have residuals of rounding only, and most may be exactly zero.
    if len(size) < 4 or not typical > 0 or not spread > 0:
        return 0.0
    total = info * float(np.sum(free))
    squares = (size / typical) ** 2
    level, slope = 0.0, 0.0
    for _ in range(STEPS):
        u = squares * np.exp(-2 * np.clip(level + slope * centred, -300, 300))
        score = free * ((FREEDOM + 1) * u / (FREEDOM + u) - 1)
        step = float(np.sum(score)) / total, float(score @ centred) / spread
        level, slope = level + step[0], slope + step[1]
        if abs(step[0]) + abs(step[1]) * float(np.ptp(centred)) < 1e-6:
            break
    shrink = 1 - LEAST_SIGNIFICANCE / max(slope**2 * spread, 1e-300)
    return float(np.clip(-slope * max(shrink, 0.0), 0.0, STEEPEST_POWER))

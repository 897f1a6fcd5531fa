"""How noisy one run is at its own scale: a power of scale where the residuals ask for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.noise import seed_noise
from isoloss.laws import Law
from isoloss.laws.law import is_resource

STEEPEST_POWER = 1.0
"""The noise of a run falls with scale by no more than this power."""
LEAST_SIGNIFICANCE = 2.0
"""A power whose square is below this many times its variance is none."""
FREEDOM = 4.0
"""Of Student's t that residuals are taken for, so that a few outliers make no power."""
NEAR_ONE = 1e-3
"""Of runs with a leverage this close to one nothing is left to see their noise by."""
_STEPS = 30


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


def scale_of(x: Mapping[str, npt.ArrayLike], law: Law) -> Array:
    """Scale of points as one law sees it: the product of N and D where it has both, else of its axes.

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
    leverage: Array,
    scale: Array,
    groups: npt.NDArray[np.int64],
    p: int,
) -> RunNoise:
    r"""Estimate the noise of one run as a function of its scale.

    Residuals :math:`r_i`, divided by :math:`\sqrt{1 - h_i}`, are taken for Student's t with four
    degrees of freedom and width :math:`\sigma (s_i/s_{\max})^{-\gamma}`. Each counts by
    :math:`1 - h_i` in the likelihood: together they are the n - p degrees of freedom of a restricted
    likelihood. The estimate is shrunk by what chance would make of even noise,

    .. math:: \gamma = \hat\gamma\, \max\left(0,\, 1 - 2\, \text{se}^2 / \hat\gamma^2\right)

    and is zero where it would grow with scale: there the law may be wrong. The level is that
    of `isoloss.fit.noise.seed_noise` for :math:`r_i (s_i/s_{\max})^{\gamma}`: without a power nothing
    else than before. Repeated runs are a floor, with a power of their own spread.

    Parameters
    ----------
    residuals, leverage, scale
        Log residuals, leverages and scales of the runs, (n,).
    groups
        Configuration of each run, (n,).
    p
        Number of parameters of the law.

    References
    ----------
    Harvey 1976, Econometrica 44:461, on variances that are a power of something; Davidian and
    Carroll 1987, J. Am. Stat. Assoc. 82:1079, on degrees of freedom and robustness.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scale = np.geomspace(1e18, 1e20, 400)
    >>> r = 0.01 * (scale / 1e20) ** -0.25 * rng.standard_normal(400)
    >>> found = run_noise(r, np.zeros(400), scale, np.arange(400), 0)
    >>> round(found.size, 3), round(found.power, 2)
    (0.01, 0.25)
    """
    low, high = float(scale.min()), float(scale.max())
    log = np.log(scale / high)
    power = _falls(residuals, leverage, log)
    parts = [(seed_noise(residuals * np.exp(power * log), groups, p), power)]
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if np.sum(sizes - 1) >= 3:
        means = np.bincount(index, residuals) / sizes
        left, many = residuals - means[index], sizes[index] > 1
        g = _falls(left[many], 1 / sizes[index][many], log[many])
        within = float(np.sqrt(np.sum((left * np.exp(g * log)) ** 2) / np.sum(sizes - 1)))
        parts.append((within, g))
    return RunNoise(parts=tuple(parts), smallest=low, largest=high)


def _falls(residuals: Array, leverage: Array, log: Array) -> float:
    """Power with which the size of residuals falls with scale; zero where chance explains it."""
    free = np.maximum(1 - leverage, NEAR_ONE)
    size = np.abs(residuals) / np.sqrt(free)
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
    for _ in range(_STEPS):
        u = squares * np.exp(-2 * np.clip(level + slope * centred, -300, 300))
        score = free * ((FREEDOM + 1) * u / (FREEDOM + u) - 1)
        step = float(np.sum(score)) / total, float(score @ centred) / spread
        level, slope = level + step[0], slope + step[1]
        if abs(step[0]) + abs(step[1]) * float(np.ptp(centred)) < 1e-6:
            break
    shrink = 1 - LEAST_SIGNIFICANCE / max(slope**2 * spread, 1e-300)
    return float(np.clip(-slope * max(shrink, 0.0), 0.0, STEEPEST_POWER))


def to_plain(noise: RunNoise) -> dict[str, Any]:
    """Plain types."""
    return {
        "size": noise.size,
        "power": noise.power,
        "smallest": noise.smallest,
        "largest": noise.largest,
    }

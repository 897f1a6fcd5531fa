"""Slopes in width with their uncertainty: one seed of one width left out at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval

METHOD = "jackknife over seeds, Student's t"
_SEEN = 3.0
"""Standard errors that a shift must stand above its noise, to ask how it falls."""
_POWERS, _STEP = (-2.0, 6.0), 1e-5
"""Exponents that are tried, and how near they are found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WidthExponent:
    """Power of 1/width by which something falls.

    Attributes
    ----------
    exponent, interval
        Slope in logarithms; none where what should fall does not stand above its noise.
    verdict
        ``consistent`` with an exponent of one, ``slower`` or ``faster`` where the interval
        excludes one, ``unresolved`` where it holds zero as well, or there is none.
    """

    exponent: float | None
    interval: Interval | None

    @property
    def verdict(self) -> str:
        """Word for the exponent beside one."""
        if self.interval is None or (0.0 in self.interval and 1.0 in self.interval):
            return "unresolved"
        if 1.0 in self.interval:
            return "consistent"
        return "slower" if self.interval.high < 1 else "faster"

    def __repr__(self) -> str:
        if self.interval is None:
            return "WidthExponent(unresolved)"
        return f"WidthExponent({self.exponent:.4g} in {self.interval}, {self.verdict})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        interval = None if self.interval is None else self.interval.to_dict()
        return {"exponent": self.exponent, "interval": interval, "verdict": self.verdict}


class Moments(NamedTuple):
    """Of the seeds of one width: their number, mean (k, p), and variance over seeds (k,)."""

    seeds: int
    mean: Array
    variance: Array


def moments(group: Array) -> Moments:
    """Reduce predictions (seed, time, point) of one width."""
    variance = group.var(axis=0, ddof=1) if len(group) > 1 else np.full(group.shape[1:], math.nan)
    return Moments(len(group), group.mean(axis=0), variance.mean(axis=-1))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A statistic, and the same without one seed of one width: an array (seed, ...) a width."""

    full: Array
    rest: list[Array]

    def map(self, function: Callable[[Array], Array]) -> LeftOut:
        """Apply a function that leaves leading axes alone."""
        return LeftOut(function(self.full), [function(r) for r in self.rest])

    def __rmul__(self, factor: float) -> LeftOut:
        return self.map(lambda v: factor * v)

    def spread(self) -> tuple[Array, Array]:
        """Jackknife variance and its degrees of freedom."""
        # Each width has draws of its own, so that their variances add.
        each = np.stack([(len(r) - 1) * np.var(r, axis=0) for r in self.rest])
        freedom = np.array([len(r) - 1 for r in self.rest]).reshape(-1, *[1] * self.full.ndim)
        total = each.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            # Welch and Satterthwaite.
            degrees = total**2 / (each**2 / freedom).sum(axis=0)
        return total, np.where(total > 0, degrees, 1.0)

    def slope(self, u: Array) -> LeftOut:
        """Least-squares slope of log values (..., w) in log u; NaN where one is not positive."""
        x = np.log(u) - np.log(u).mean()

        def slopes(values: Array) -> Array:
            good = np.all(values > 0, axis=-1)
            logs = np.log(np.where(np.expand_dims(good, -1), values, 1.0))
            return np.asarray(np.where(good, logs @ x / (x @ x), math.nan))

        return self.map(slopes)

    def power(self, u: Array) -> LeftOut:
        """Exponent q of the best fit ``A u^q`` with A above zero; NaN where A is not seen.

        Values that noise may have made negative are kept, weighted by the noise: to drop them
        would leave those that chance had made large.
        """
        variance = self.spread()[0]
        size = np.abs(self.full).max(axis=-1, keepdims=True)
        size = np.where(size > 0, size, 1.0)
        x = np.log(u) - np.log(u).mean()
        # Few seeds know their own noise badly: it is taken to be a power of width.
        noise = np.log(variance + 1e-24 * size**2)
        tilt = noise @ x / (x @ x)
        weight = np.exp(-noise.mean(axis=-1, keepdims=True) - tilt[..., None] * x)
        signal = (weight * self.full) @ np.exp(x) / np.sqrt(weight @ np.exp(2 * x))
        return self.map(lambda v: np.where(signal > _SEEN, _best_power(v, weight, x), math.nan))

    def exponents(self, level: float) -> tuple[WidthExponent, ...]:
        """With intervals, where the exponent and its spread are known."""
        from scipy.special import stdtrit

        variance, degrees = self.spread()
        half = stdtrit(np.nan_to_num(degrees, nan=1.0), 0.5 + level / 2) * np.sqrt(variance)
        return tuple(_exponent(e, h, level) for e, h in zip(self.full, half, strict=True))


def leave_out(statistic: Callable[[list[Moments]], Array], groups: list[Array]) -> LeftOut:
    """Compute a statistic of all, and without each seed of each width."""
    whole = [moments(g) for g in groups]

    def without(i: int, seed: int) -> Array:
        less = moments(np.delete(groups[i], seed, axis=0))
        return statistic([*whole[:i], less, *whole[i + 1 :]])

    rest = [np.stack([without(i, s) for s in range(len(g))]) for i, g in enumerate(groups)]
    return LeftOut(statistic(whole), rest)


def _best_power(values: Array, weight: Array, x: Array) -> Array:
    """Exponent q that minimises ``sum weight (values - A e^(q x))^2`` with A above zero."""
    middle, reach = np.full(values.shape[:-1], sum(_POWERS) / 2), (_POWERS[1] - _POWERS[0]) / 2
    weighted = values * weight
    for _ in range(3):
        q = middle[..., None] + reach * np.linspace(-1, 1, 401)
        shape = np.exp(q[..., None] * x)
        fitted = np.einsum("...gw,...w->...g", shape, weighted)
        norm = np.einsum("...gw,...w->...g", shape**2, np.broadcast_to(weight, values.shape))
        gain = np.where(fitted > 0, fitted, 0.0) ** 2 / norm
        middle = np.take_along_axis(q, gain.argmax(axis=-1)[..., None], -1)[..., 0]
        reach /= 100
    return middle


def _exponent(value: float, half: float, level: float) -> WidthExponent:
    if not (math.isfinite(value) and math.isfinite(half)):
        return WidthExponent(exponent=None, interval=None)
    # Exponents are found on a grid: without noise the end of an interval is no nearer than that.
    half += _STEP
    interval = Interval(
        low=float(value - half), high=float(value + half), level=level, method=METHOD
    )
    return WidthExponent(exponent=float(value), interval=interval)

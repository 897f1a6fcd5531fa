"""Where a curve turns: bottoms and peaks of descents that are not single."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero

_LEVEL = 1e-12
"""Relative changes below this are rounding, not a turn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turns:
    """Bottoms and peaks inside a range, in rising order of place.

    Attributes
    ----------
    bottom, bottom_value
        Places of local minima and the values there, (k,).
    peak, peak_value
        Places of local maxima and the values there, (j,).
    """

    bottom: Array
    bottom_value: Array
    peak: Array
    peak_value: Array

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return f"Turns(bottoms at {self.bottom.tolist()}, peaks at {self.peak.tolist()})"

    def to_dict(self) -> dict[str, list[float]]:
        """Plain types."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}


def find_turns(
    curve: Callable[[Array], Any], low: float, high: float, *, points: int = 401
) -> Turns:
    """Find every bottom and peak of a curve between two positive places.

    The curve is asked at places with equal ratios, then around each turn. Turns closer than two
    of these places, and ends of the range, are not seen; an infinite peak is found as such.

    Parameters
    ----------
    curve
        Function of an array of places; the values have its shape.
    low, high
        Ends of the range, ``0 < low < high``.
    points
        Places at first, 5 or more.

    Raises
    ------
    InputError
        If the range is none, or a value is not a number.

    Examples
    --------
    Double descent in data, in time at two kinds of features, and none:

    >>> from isoloss.theory import scale_time, two_groups
    >>> data = find_turns(lambda D: scale_time(100 / D, 1e4, noise=0.2).excess, 10, 1000)
    >>> data.bottom.round().tolist(), data.peak.round(2).tolist()
    ([55.0], [99.99])
    >>> words = {"ls": 0.01, "ln": 1, "Ms": 50, "Mn": 400, "D": 20000, "noise": 1, "S2": 5}
    >>> time = find_turns(lambda tau: two_groups(tau, **words), 0.01, 1e4)
    >>> time.bottom.round(2).tolist(), time.peak.round(2).tolist()
    ([0.03, 304.45], [3.74])
    >>> find_turns(lambda tau: scale_time(0.5, tau).excess, 0.01, 100)
    Turns(bottoms at [], peaks at [])
    """
    low, high = as_above_zero("low", low), as_above_zero("high", high)
    if not low < high:
        raise InputError(f"low = {low!r}, high = {high!r}: low must lie below high")
    if points < 5:
        raise InputError(f"points = {points!r}: must be 5 or more")
    x = np.geomspace(low, high, points)
    y = _values(curve, x)
    places: dict[bool, list[float]] = {True: [], False: []}
    # Equal neighbours count as one place, in the middle of them.
    with np.errstate(invalid="ignore"):
        step = np.diff(y)
        flat = np.abs(step) <= _LEVEL * np.maximum(np.abs(y[1:]), np.abs(y[:-1]))
    way = np.where(np.isfinite(step) & flat, 0.0, np.sign(step))
    moving = np.flatnonzero(way)
    for before, after in pairwise(moving):
        if way[before] != way[after]:
            places[bool(way[before] > 0)].append(
                _refine(curve, x[before], x[after + 1], 1.0 if way[before] < 0 else -1.0)
            )
    bottom, peak = np.array(places[False]), np.array(places[True])
    return Turns(
        bottom=bottom, bottom_value=_values(curve, bottom), peak=peak,
        peak_value=_values(curve, peak),
    )  # fmt: skip


def _values(curve: Callable[[Array], Any], x: Array) -> Array:
    if not x.size:
        return np.empty(0)
    y = np.asarray(curve(x), dtype=np.float64)
    if y.shape != x.shape or np.isnan(y).any():
        raise InputError("curve: must give one number for each place, none of them NaN")
    return y


def _refine(curve: Callable[[Array], Any], low: float, high: float, sign: float) -> float:
    """Narrow a bracket around a single turn on ever finer grids."""
    a, b = np.log(low), np.log(high)
    for _ in range(12):
        x = np.linspace(a, b, 17)
        y = sign * _values(curve, np.exp(x))
        best = int(np.argmin(y))
        # On a bottom flat to rounding, the middle of it.
        level = y[best] + _LEVEL * abs(y[best]) / 100 if np.isfinite(y[best]) else y[best]
        lowest = np.flatnonzero(y <= level)
        a, b = x[max(lowest[0] - 1, 0)], x[min(lowest[-1] + 1, 16)]
        if b - a < 1e-9:
            break
    return float(np.exp((a + b) / 2))

"""An interval: never a pair of numbers without its level and its method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_HUGE = 1e300
"""Stands in for infinite draws while quantiles are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Low and high ends at a level, and how they were obtained.

    Examples
    --------
    >>> Interval(low=1.9, high=2.1, level=0.9, method="case bootstrap")
    [1.9, 2.1] (90 %, case bootstrap)
    """

    low: float
    high: float
    level: float
    method: str

    @classmethod
    def from_draws(
        cls, draws: npt.ArrayLike, *, level: float, method: str, weights: Any = None
    ) -> Interval:
        """Equal-tailed interval of draws; weights need not sum to one.

        Draws may be infinite: an end among them is infinite, not a number in between.
        """
        values = np.clip(np.asarray(draws, dtype=np.float64), -_HUGE, _HUGE)
        tail = (1 - level) / 2
        if weights is None:
            low, high = np.quantile(values, [tail, 1 - tail])
        else:
            order = np.argsort(values, kind="stable")
            mass = np.cumsum(np.asarray(weights, dtype=np.float64)[order])
            low, high = np.interp([tail, 1 - tail], mass / mass[-1], values[order])
        low, high = (np.copysign(np.inf, v) if abs(v) > 1e-10 * _HUGE else v for v in (low, high))
        return cls(low=float(low), high=float(high), level=level, method=method)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __repr__(self) -> str:
        percent = f"{100 * self.level:g} %"
        return f"[{self.low:.6g}, {self.high:.6g}] ({percent}, {self.method})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"low": self.low, "high": self.high, "level": self.level, "method": self.method}

"""Losses of runs by resource and seed: what exponents and slopes are read from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class SeedTable:
    """Means over seeds at each x, and the rows behind them."""

    x: Array
    loss: Array
    seed: npt.NDArray[np.int64]
    at: Array
    seeds: int

    def means(self, *, without: int = -1, only: int = -1) -> tuple[Array, Array]:
        """Distinct x and mean losses, of all seeds, all but one, or one."""
        keep = self.seed == only if only >= 0 else self.seed != without
        at, which = np.unique(self.x[keep], return_inverse=True)
        return at, np.bincount(which, self.loss[keep]) / np.bincount(which)

    def weights(self) -> Array | None:
        """One over the variance of each log mean, smoothed as a power of x; None if unknown."""
        spread = []
        for x in self.at:
            values = self.loss[self.x == x]
            if len(values) > 1 and np.ptp(values) > 0:
                sd = np.std(values, ddof=1) / values.mean()
                spread.append((np.log(x), np.log(sd), len(values)))
        if len(spread) < 3:
            return None
        u, v, n = np.array(spread).T
        slope, level = np.polyfit(u, v, 1, w=np.sqrt(n - 1))
        sd = np.exp(level + slope * np.log(self.at))
        count = np.array([np.sum(self.x == x) for x in self.at])
        weights = count / sd**2
        return np.asarray(weights / weights.mean())


def seed_table(
    x: npt.ArrayLike, loss: npt.ArrayLike, seed: npt.ArrayLike | None, low: float, high: float
) -> SeedTable:
    """Check the runs, and keep those in range."""
    at, y = as_vector("x", x, positive=True), as_vector("loss", loss, positive=True)
    label = np.zeros(len(at)) if seed is None else np.asarray(seed)
    if not len(at) == len(y) == len(label) or label.ndim != 1:
        raise InputError(
            f"x, loss, seed: {len(at)}, {len(y)} and {label.size}; give one each a run"
        )
    keep = within(at, low, high)
    if not keep.any():
        raise InputError(f"low = {low:g}, high = {high:g}: no x lies between")
    _, number = np.unique(label[keep], return_inverse=True)
    return SeedTable(at[keep], y[keep], number, np.unique(at[keep]), int(number.max()) + 1)


def within(x: Array, low: float, high: float) -> npt.NDArray[np.bool_]:
    """Mark the x from ``low`` to ``high``."""
    return np.asarray((x >= low) & (x <= high))

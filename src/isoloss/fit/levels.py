"""Levels of a design: the budgets of an isoFLOP sweep, bands of scale, the rows of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.backtest import run_scale
from isoloss.runs import Runs

Mask = npt.NDArray[np.bool_]

SAME_BUDGET = 1.15
"""Budgets within this factor are one: whole steps and batches never meet a budget exactly."""
SAME_VALUE = 1.02
"""Sizes, or amounts of data, within this factor are one level of a grid."""
MOST_LEVELS = 24
"""An axis with more levels than this is no grid."""
BANDS = 6
LEAST_RANGE = 2.0
"""Scales that span less than this factor are not cut into bands."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """Runs of one level of scale, size or data.

    Attributes
    ----------
    axis
        ``C``, the axis itself, or ``scale`` for a product of axes.
    low, high
        Least and largest value among its runs.
    rows
        Which runs, (n,) of bool.
    band
        Whether it is a band of a continuous range rather than a level of the design.
    extreme
        ``largest`` or ``smallest`` along its axis, or empty.
    """

    axis: str
    low: float
    high: float
    rows: Mask
    band: bool = False
    extreme: str = ""

    @property
    def n_runs(self) -> int:
        """How many runs."""
        return int(self.rows.sum())

    @property
    def name(self) -> str:
        """Short text: ``C = 1e+19``, ``C = 1e+18 to 3.1e+18``."""
        low, high = f"{self.low:.3g}", f"{self.high:.3g}"
        return f"{self.axis} = {low}" + (f" to {high}" if low != high else "")

    def __repr__(self) -> str:
        return f"Level({self.name}; {self.n_runs} runs)"

    def to_dict(self) -> dict[str, Any]:
        """Plain types, without the rows."""
        return {
            "name": self.name,
            "axis": self.axis,
            "low": self.low,
            "high": self.high,
            "n_runs": self.n_runs,
            "band": self.band,
            "extreme": self.extreme,
        }


def scale_levels(runs: Runs, axes: Sequence[str]) -> tuple[Level, ...]:
    """Levels of scale, then those of N, of D and of other axes that form a grid.

    Scale (see `run_scale`) has levels where the runs crowd at a few values, as the budgets of an
    isoFLOP sweep do; else it is cut into six bands of equal width in the logarithm. An axis has
    levels where most of its values are shared by several runs.

    Parameters
    ----------
    axes
        Resources that the laws speak of.

    Examples
    --------
    >>> N = [1e7, 2e7, 4e7] * 3
    >>> D = [4e9, 2e9, 1e9, 4e10, 2e10, 1e10, 4e11, 2e11, 1e11]
    >>> runs = Runs(columns={"N": N, "D": D, "loss": [3.0] * 9})
    >>> [level.name for level in scale_levels(runs, ("N", "D"))][:3]
    ['C = 2.4e+17', 'C = 2.4e+18', 'C = 2.4e+19']
    """
    scale = run_scale(runs, axes)
    alone = len(axes) == 1
    computed = "C" in runs or {"N", "D"} <= set(axes)
    name = axes[0] if alone else "C" if computed else "scale"
    found = _levels(name, scale, SAME_BUDGET) or _bands(name, scale)
    if not alone:
        for axis in axes:
            if axis != name:
                found += _levels(axis, runs[axis], SAME_VALUE)
    return tuple(found)


def _levels(axis: str, values: Array, same: float) -> list[Level]:
    """Levels of an axis whose values crowd; none where they do not."""
    order = np.argsort(values, kind="stable")
    rising = values[order]
    starts = np.flatnonzero(np.append(True, rising[1:] > same * rising[:-1]))
    if not 3 <= len(starts) <= MOST_LEVELS or len(values) < 2 * len(starts):
        return []
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.searchsorted(starts, np.arange(len(values)), side="right") - 1
    found = _parts(axis, values, rank, band=False)
    # Values that follow one another closely make one long chain, which is no level.
    return found if all(level.high <= same * level.low for level in found) else []


def _bands(axis: str, scale: Array) -> list[Level]:
    low, high = np.log(scale.min()), np.log(scale.max())
    if high - low < np.log(LEAST_RANGE):
        return []
    # A run at an edge, to rounding, always falls on the same side.
    place = (np.log(scale) - low) / (high - low) * BANDS * (1 - 1e-9) + 1e-9
    return _parts(axis, scale, np.minimum(place.astype(np.int64), BANDS - 1), band=True)


def _parts(axis: str, values: Array, rank: npt.NDArray[np.int64], *, band: bool) -> list[Level]:
    present = np.unique(rank)
    return [
        Level(
            axis=axis,
            low=float(values[rank == k].min()),
            high=float(values[rank == k].max()),
            rows=rank == k,
            band=band,
            extreme="largest" if k == present[-1] else "smallest" if k == present[0] else "",
        )
        for k in present
    ]

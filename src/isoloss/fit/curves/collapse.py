r"""The curve that a family of runs shares once each is divided by its own end.

.. math:: \log \frac{L(x)}{L(1)} = a(x) + b(x) \log L(1)

with x the share of the run that is done. Runs of many sizes whose rates, batch and data grow
together coincide once an irreducible loss is taken off, :math:`(L(x) - \hat L) / (L(1) - \hat L)`;
to first order in the ends of the family that is the same as a part linear in log L(1), which also
follows families that do not quite collapse.

References
----------
Qiu et al., "Scaling Collapse Reveals Universal Dynamics in Compute-Optimally Trained Neural
Networks", arXiv:2507.02119.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.laws.schedule import Schedule
from isoloss.runs.curve import Curve

_GRID = np.linspace(0.05, 1.0, 96)
_ALIKE, _LEAST, _SAME = 0.05, 0.2, 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Collapsed:
    """The family's curve by share done: its level, its tilt with the log of the end."""

    x: Array
    level: Array
    tilt: Array
    centre: float

    def end(self, x: Array, loss: Array) -> float:
        """Forecast the end of a run from its points so far."""
        log_loss = np.log(loss)
        level, tilt = (np.interp(x, self.x, v) for v in (self.level, self.tilt))
        # log L = level + tilt (log end - centre) + log end, at each point.
        ends = (log_loss - level + tilt * self.centre) / np.maximum(1 + tilt, _LEAST)
        return float(np.exp(ends.mean()))

    def expected(self, x: Array, end: float) -> Array:
        """Losses of a run that ends there."""
        level, tilt = (np.interp(x, self.x, v) for v in (self.level, self.tilt))
        return np.asarray(end * np.exp(level + tilt * (np.log(end) - self.centre)))


def collapse(curves: Sequence[Curve], schedules: Sequence[Schedule]) -> Collapsed:
    """Find the family's curve from complete runs.

    Raises
    ------
    InputError
        Fewer than two runs, or schedules of different shape.

    Examples
    --------
    >>> plan = Schedule(np.ones(100))
    >>> step = np.arange(5, 100)
    >>> runs = [Curve(step, 1 + scale * (step / 99) ** -0.5) for scale in (0.5, 1.0)]
    >>> shared = collapse(runs, [plan, plan])
    >>> early = np.arange(20.0, 40.0)
    >>> bool(abs(shared.end(early / 100, 1 + 0.8 * (early / 99) ** -0.5) / 1.8 - 1) < 0.02)
    True
    """
    if len(curves) < 2:
        raise InputError("family: two complete runs or more are needed")
    for plan in schedules[1:]:
        same_shape(schedules[0], plan)
    first = max(float(c.step[0]) / len(s) for c, s in zip(curves, schedules, strict=True))
    x = _GRID[first <= _GRID]
    losses = [np.interp(x * len(s), c.step, c.loss) for c, s in zip(curves, schedules, strict=True)]
    ends = np.log([_end(c) for c in curves])
    ratio = np.log(np.array(losses)) - ends[:, None]
    off = ends - ends.mean()
    spread = float(off @ off)
    # Ends of one size say nothing of a tilt.
    tilt = off @ ratio / spread if spread > _SAME else np.zeros(x.size)
    return Collapsed(x, ratio.mean(axis=0), np.asarray(tilt), float(ends.mean()))


def same_shape(one: Schedule, other: Schedule) -> None:
    """Refuse schedules that are not one shape, stretched.

    Raises
    ------
    InputError
        The rates differ by more than 5 % of the peak somewhere.
    """
    x = np.linspace(0.02, 1, 50)
    a, b = (
        s.rates[np.minimum((x * len(s)).astype(int), len(s) - 1)] / s.peak for s in (one, other)
    )
    if np.abs(a - b).max() > _ALIKE:
        raise InputError(
            f"family: {one.name} and {other.name} are different schedules; curves collapse under "
            "one shape only; use --like for runs under others"
        )


def _end(curve: Curve) -> float:
    return float(curve.loss[-max(1, len(curve) // 50) :].mean())

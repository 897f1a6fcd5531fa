"""From curves and schedules to the points that a law of curves is fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.laws.curve_law import RateScale
from isoloss.laws.rate_nodes import RateNodes, rate_nodes
from isoloss.laws.schedule import MAX_STEPS, Schedule, rates_between
from isoloss.runs.curve import Curve

FEWEST = 8
_EARLY, _AT_PEAK = 0.05, 0.999
MOST_POINTS = 240
"""Points a curve is thinned to; more would only average noise that is alike among neighbours."""


@dataclass(frozen=True, slots=True)
class CurvePoints:
    """Points of all curves, one after the other.

    ``owner`` is the number of the curve; ``weight`` turns differences of loss into relative ones.
    """

    nodes: RateNodes
    loss: Array
    owner: npt.NDArray[np.intp]
    step: Array
    weight: Array
    scale: RateScale
    schedules: tuple[Schedule, ...]
    names: tuple[str, ...]

    def without(self, curve: int) -> npt.NDArray[np.bool_]:
        """Mark the points of all other curves."""
        return np.asarray(self.owner != curve)


def curve_points(
    curves: Sequence[Curve],
    schedules: Mapping[str, Schedule] | None,
    *,
    warmup: int,
    scale: RateScale | None = None,
) -> CurvePoints:
    """Thin curves, write out their rates and find the nodes of their sums.

    Raises
    ------
    InputError
        A curve without rates, or with steps outside its schedule.
    """
    found = [schedule_of(curve, schedules, warmup) for curve in curves]
    nodes, losses, steps, owners = [], [], [], []
    for i, (curve, schedule) in enumerate(zip(curves, found, strict=True)):
        good = curve.step >= first_step(schedule)
        if good.sum() < FEWEST:
            raise InputError(
                f"curve {curve.name}: {good.sum()} logs after the warm-up and the first "
                f"{100 * _EARLY:g} % of steps; at least {FEWEST} are needed"
            )
        if not good.all():
            curve = Curve(curve.step[good], curve.loss[good], name=curve.name)
        thin = curve.thinned(MOST_POINTS)
        at = np.rint(thin.step).astype(np.intp)
        if at[-1] > len(schedule):
            raise InputError(
                f"curve {curve.name}: step {at[-1]} lies beyond its schedule of {len(schedule)} "
                "steps"
            )
        at = np.minimum(at, len(schedule) - 1)
        nodes.append(rate_nodes(schedule.rates, at, rough=True))
        losses.append(thin.loss)
        steps.append(thin.step)
        owners.append(np.full(at.size, i, dtype=np.intp))
    loss = np.concatenate(losses)
    if scale is None:
        peak = max(schedule.peak for schedule in found)
        scale = RateScale(peak, max(float(schedule.rates.sum()) for schedule in found))
    return CurvePoints(
        nodes=RateNodes.join(nodes),
        loss=loss,
        owner=np.concatenate(owners),
        step=np.concatenate(steps),
        weight=1 / loss,
        scale=scale,
        schedules=tuple(found),
        names=tuple(curve.name for curve in curves),
    )


def first_step(schedule: Schedule) -> int:
    """Return the first step that counts: after the warm-up, and after a twentieth of the run.

    The laws describe no loss that falls from that of a guess; a peak in the second half is no
    warm-up.
    """
    rates = schedule.rates
    peak = int(np.argmax(rates >= _AT_PEAK * rates.max()))
    early = int(_EARLY * rates.size)
    return max(int(np.argmax(rates > 0)), early, peak if peak <= rates.size // 2 else 0)


def schedule_of(curve: Curve, schedules: Mapping[str, Schedule] | None, warmup: int) -> Schedule:
    """Return the schedule given for a curve, or the one that its logged rates show."""
    if schedules is not None and curve.name in schedules:
        return schedules[curve.name]
    if curve.lr is None:
        raise InputError(
            f"curve {curve.name}: no learning rates are logged; name its schedule, such as "
            "cosine:24000"
        )
    last = int(np.rint(curve.step[-1]))
    if last >= MAX_STEPS:
        raise InputError(
            f"curve {curve.name}: step {last:,} is beyond {MAX_STEPS:,}; count k steps as one at k "
            "times the rate"
        )
    rates = rates_between(curve.step, curve.lr, max(last, 1), warmup=warmup)
    return Schedule(rates, f"rates of {curve.name}")

"""Ways to spend runs on a comparison: the ladder again, its upper rungs, the target itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.plan.power_arms import Block, TwoArms, t_power
from isoloss.plan.power_result import PowerDesign

MOST = 100_000
"""More repeats than this are no advice."""
_POINTS = 24
_END = 1e12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spending:
    """Runs that are made once, and those that are repeated.

    Attributes
    ----------
    base
        Made once; ``None`` for nothing.
    extra
        Repeated.
    base_runs, extra_runs
        Of A and of B.
    base_cost, extra_cost
        Of both.
    """

    name: str
    title: str
    base: Block | None
    extra: Block
    base_runs: tuple[int, int]
    extra_runs: tuple[int, int]
    base_cost: float
    extra_cost: float

    def runs(self, times: float) -> tuple[int, int]:
        """Count the runs of A and of B."""
        a, b = (int(n + times * m) for n, m in zip(self.base_runs, self.extra_runs, strict=True))
        return a, b

    def cost(self, times: float) -> float:
        """Of all runs."""
        return self.base_cost + times * self.extra_cost


def least_times(power: Callable[[float], float], goal: float) -> int | None:
    """Find the least number of repeats whose power is enough; ``None`` where `MOST` is not.

    Examples
    --------
    >>> least_times(lambda k: 1 - 0.9**k, 0.8), least_times(lambda k: 0.5, 0.8)
    (16, None)
    """
    if power(MOST) < goal:
        return None
    low, high = 0, 1
    while power(high) < goal:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if power(middle) < goal else (low, middle)
    return min(high, MOST)


def spend(
    arms: TwoArms, g: Array, effect: float, way: Spending, *, goal: float, level: float
) -> PowerDesign:
    """Power of a design against its repeats, and the least number that is enough."""

    def power(times: float) -> float:
        error, freedom = arms.error(g, way.base, way.extra, times)
        return t_power(effect / error if error > 0 else math.inf, freedom, level)

    times = least_times(power, goal)
    end = max(4, 3 * times) if times is not None else 1000
    counts = np.unique(np.round(np.geomspace(1, end, _POINTS)))
    if times is not None:
        counts = np.union1d(counts, [times])
    return PowerDesign(
        name=way.name,
        title=way.title,
        times=times,
        runs=None if times is None else way.runs(times),
        cost=None if times is None else way.cost(times),
        power=None if times is None else power(times),
        curve_runs=np.array([float(sum(way.runs(k))) for k in counts]),
        curve_cost=np.array([way.cost(k) for k in counts]),
        curve_power=np.array([power(k) for k in counts]),
        limit=power(_END),
    )


def target_alone(
    arms: TwoArms, effect: float, title: str, cost: float, *, goal: float, level: float
) -> PowerDesign:
    r"""Power of runs at the target alone, with no law: the t test of two means.

    The standard error is :math:`\sigma \sqrt{2 (1 - r) / k}`, with :math:`2k - 2` degrees of
    freedom, or :math:`k - 1` in pairs.
    """

    def power(times: float) -> float:
        error = arms.noise * math.sqrt(2 * (1 - arms.correlation) / times)
        freedom = times - 1 if arms.correlation > 0 else 2 * times - 2
        return t_power(effect / error, freedom, level)

    times = least_times(power, goal)
    end = max(6, 3 * times) if times is not None else 1000
    counts = np.unique(np.round(np.geomspace(2, end, _POINTS)))
    return PowerDesign(
        name="target_alone",
        title=title,
        times=times,
        runs=None if times is None else (times, times),
        cost=None if times is None else times * cost,
        power=None if times is None else power(times),
        curve_runs=2 * counts,
        curve_cost=counts * cost,
        curve_power=np.array([power(k) for k in counts]),
        limit=power(_END),
    )

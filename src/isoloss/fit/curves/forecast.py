"""Forecast a curve under a schedule, and compare schedules."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, freeze
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.fit.certificate import Reason
from isoloss.fit.curves.result import CurveForecast, ScheduleComparison, ScheduleFit
from isoloss.fit.curves.schedule_fit import full_jacobian
from isoloss.laws.curve_law import check_steps
from isoloss.laws.rate_nodes import rate_nodes
from isoloss.laws.schedule import Schedule

_SHOWN = 200
_PEAK, _FAR = 1.02, 4.0
_METHOD = "blocks of residuals and curves left out"


def forecast_curve(
    fit: ScheduleFit,
    schedule: Schedule,
    *,
    at: npt.ArrayLike | None = None,
    level: float = 0.9,
) -> CurveForecast:
    r"""Forecast the loss under a schedule.

    .. math:: \hat L \pm t \sqrt{J \Sigma J^\top + (b^2 + s^2) \hat L^2}

    with the covariance of the parameters, the error b on curves left out and the noise s of one
    point; t is Student's, with as many degrees of freedom as curves.

    Parameters
    ----------
    fit
        Of `fit_schedule_law`.
    schedule
        Rates of all steps, warm-up included.
    at
        Steps; by default 200 of them from the sum of rates on that the curves begin at, the last
        among them.
    level
        Of the intervals, which are those of a measurement.

    Returns
    -------
    CurveForecast
        The curve and its final loss.

    Raises
    ------
    InputError
        Steps outside the schedule.
    """
    level = as_level(level)
    if at is None:
        first = min(int((np.cumsum(schedule.rates) < fit.reach[0]).sum()), len(schedule) - 1)
        at = np.unique(np.linspace(first, len(schedule) - 1, _SHOWN).round())
    steps = check_steps(at, schedule)
    loss, jacobian = _values(fit, schedule, np.append(steps, len(schedule) - 1))
    sizes = np.sqrt(_variance(fit, jacobian) + (fit.between**2 + fit.noise**2) * loss**2)
    half = _quantile(fit, level) * sizes
    reasons = []
    if not 1 / _PEAK < schedule.peak / fit.scale.rate < _PEAK:
        reasons.append(
            Reason(
                code="OTHER_PEAK",
                message=f"the peak rate is {schedule.peak:.4g}, that of the curves "
                f"{fit.scale.rate:.4g}; the law was made for one peak",
            )
        )
    far = float(schedule.rates.sum()) / fit.reach[1]
    if far > _FAR:
        reasons.append(
            Reason(
                code="FAR",
                message=f"the sum of rates is {far:.3g} times that of the longest curve; the "
                "interval does not know what changes on the way",
            )
        )
    end = Interval(
        low=float(loss[-1] - half[-1]), high=float(loss[-1] + half[-1]), level=level,
        method=_METHOD,
    )  # fmt: skip
    return CurveForecast(
        name=schedule.name,
        step=freeze(steps.astype(np.float64)),
        loss=freeze(loss[:-1]),
        low=freeze((loss - half)[:-1]),
        high=freeze((loss + half)[:-1]),
        final_loss=float(loss[-1]),
        final=end,
        level=level,
        reasons=tuple(reasons),
    )


def compare_schedules(
    fit: ScheduleFit, schedules: Mapping[str, Schedule], *, level: float = 0.9
) -> ScheduleComparison:
    r"""Forecast schedules of equal steps and say which ends lowest.

    Parameters are shared, so a difference is surer than either loss: its variance is
    :math:`\Delta J \Sigma \Delta J^\top + 2 b^2 \hat L^2` without the noise of a measurement.

    Raises
    ------
    InputError
        Fewer than two schedules, or unequal steps.
    """
    level = as_level(level)
    if len(schedules) < 2:
        raise InputError("schedules: give two or more to compare")
    sizes = {name: len(s) for name, s in schedules.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{n} {k:,}" for n, k in list(sizes.items())[:6])
        raise InputError(f"schedules: compared at equal steps only, not {shown}")
    named = {n: Schedule(s.rates, n) for n, s in schedules.items()}
    last = np.array([next(iter(sizes.values())) - 1])
    ends = {n: _values(fit, s, last) for n, s in named.items()}
    order = sorted(ends, key=lambda n: (float(ends[n][0][0]), n))
    best_loss, best_slope = ends[order[0]]
    behind = []
    for name in order:
        loss, slope = ends[name]
        gap = float(loss[0] - best_loss[0])
        variance = float(_variance(fit, slope - best_slope)[0])
        variance += 2 * (fit.between * float(best_loss[0])) ** 2 if name != order[0] else 0.0
        half = _quantile(fit, level) * np.sqrt(variance)
        ends_at = Interval(low=gap - half, high=gap + half, level=level, method=_METHOD)
        behind.append((gap, ends_at))
    return ScheduleComparison(
        forecasts=tuple(forecast_curve(fit, named[n], level=level) for n in order),
        behind=tuple(behind),
        decided=all(i.low > 0 for _, i in behind[1:]),
    )


def _values(
    fit: ScheduleFit, schedule: Schedule, steps: npt.NDArray[np.intp]
) -> tuple[Array, Array]:
    nodes = rate_nodes(schedule.rates, steps)
    if not nodes.sums.min() > 0:
        raise InputError("at: no rate above zero up to the first step; ask for later steps")
    columns, slopes = fit.law.columns(nodes, fit.scale, fit.shape)
    jacobian = full_jacobian(fit.law, columns, slopes, fit.amplitudes)
    return np.asarray(fit.amplitudes @ columns), jacobian


def _variance(fit: ScheduleFit, jacobian: Array) -> Array:
    return np.asarray(np.einsum("pi,pq,qi->i", jacobian, fit.covariance, jacobian))


def _quantile(fit: ScheduleFit, level: float) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + level) / 2, max(len(fit.names) - 1, 2)))

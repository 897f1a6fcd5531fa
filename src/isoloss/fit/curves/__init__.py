"""Laws of whole training curves: fitted, forecast from, compared, and watched mid-run."""

from isoloss.fit.curves.forecast import compare_schedules, forecast_curve
from isoloss.fit.curves.result import CurveForecast, LeftOut, ScheduleComparison, ScheduleFit
from isoloss.fit.curves.schedule_fit import fit_schedule_law
from isoloss.fit.curves.watch import RunWatch, watch_run

__all__ = [
    "CurveForecast",
    "LeftOut",
    "RunWatch",
    "ScheduleComparison",
    "ScheduleFit",
    "compare_schedules",
    "fit_schedule_law",
    "forecast_curve",
    "watch_run",
]

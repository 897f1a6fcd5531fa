"""Laws of whole training curves: fitted, forecast from, compared, and watched mid-run."""

from isoloss.fit.curves.forecast import compare_schedules, forecast_curve
from isoloss.fit.curves.result import CurveForecast, LeftOut, ScheduleComparison, ScheduleFit
from isoloss.fit.curves.schedule_fit import fit_schedule_law

__all__ = [
    "CurveForecast",
    "LeftOut",
    "ScheduleComparison",
    "ScheduleFit",
    "compare_schedules",
    "fit_schedule_law",
    "forecast_curve",
]

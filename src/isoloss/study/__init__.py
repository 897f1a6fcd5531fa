"""The pipeline: runs in, everything answered, one report out."""

from isoloss._core.callable_module import make_callable
from isoloss.study.answers import forecast_runs, plan_runs, plan_served_runs
from isoloss.study.pipeline import Study, run_study, study

__all__ = ["Study", "forecast_runs", "plan_runs", "plan_served_runs", "run_study", "study"]

make_callable(__name__)

"""From loss to accuracy: two steps, with the errors of both."""

from isoloss.study.downstream.downstream import check_tasks, downstream
from isoloss.study.downstream.links import Benchmark
from isoloss.study.downstream.result import Downstream, TaskAnswer, TaskForecast

__all__ = ["Benchmark", "Downstream", "TaskAnswer", "TaskForecast", "check_tasks", "downstream"]

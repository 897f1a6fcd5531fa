"""From loss to accuracy in two steps, and from published models to accuracy."""

from isoloss.study.downstream.capabilities import Capabilities, find_capabilities, rescale
from isoloss.study.downstream.downstream import check_tasks, downstream
from isoloss.study.downstream.links import Benchmark
from isoloss.study.downstream.models import Models, read_models
from isoloss.study.downstream.observational import observational
from isoloss.study.downstream.observational_result import ModelForecast, Observational
from isoloss.study.downstream.result import Downstream, TaskAnswer, TaskForecast

__all__ = [
    "Benchmark",
    "Capabilities",
    "Downstream",
    "ModelForecast",
    "Models",
    "Observational",
    "TaskAnswer",
    "TaskForecast",
    "check_tasks",
    "downstream",
    "find_capabilities",
    "observational",
    "read_models",
    "rescale",
]

"""What is known of tasks at a scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isoloss._core.interval import Interval

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskForecast:
    """Accuracy of one run at given resources.

    Attributes
    ----------
    accuracy, interval
        Median, and where one run's accuracy will lie.
    loss
        Median of the first step.
    parts
        Standard deviations of what makes the interval: ``loss`` the first step, ``link`` the
        second, ``discrepancy`` what its back-test showed beyond, ``scatter`` of runs, ``items`` the
        questions.
    """

    at: Mapping[str, float]
    loss: float
    accuracy: float
    interval: Interval
    parts: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "at": dict(self.at),
            "loss": self.loss,
            "accuracy": self.accuracy,
            "interval": self.interval.to_dict(),
            "parts": dict(self.parts),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAnswer:
    """One task: whether it can be predicted, why not, and the forecasts.

    Attributes
    ----------
    verdict
        ``predictable``, ``unpredictable`` (its back-test failed) or ``refused``.
    why
        In words.
    link
        ``sigmoid`` or ``exponential``, the better in the back-test.
    error, no_change, noise
        Of the back-test, in accuracy; see `isoloss.study.downstream.rolling.Rolled`.
    forecasts
        Empty where the task was refused; to be distrusted where it is unpredictable.
    """

    task: str
    verdict: str
    why: str
    link: str | None = None
    error: float | None = None
    no_change: float | None = None
    noise: float | None = None
    forecasts: tuple[TaskForecast, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        names = ("task", "verdict", "why", "link", "error", "no_change", "noise")
        plain = {name: getattr(self, name) for name in names}
        return plain | {"forecasts": [f.to_dict() for f in self.forecasts]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Downstream:
    """Answers for all tasks."""

    tasks: tuple[TaskAnswer, ...]
    laws_sentence: str
    level: float
    digest: str

    @property
    def predictable(self) -> tuple[str, ...]:
        """Names of the tasks that can be predicted."""
        return tuple(t.task for t in self.tasks if t.verdict == "predictable")

    def __repr__(self) -> str:
        return f"Downstream({len(self.predictable)} of {len(self.tasks)} tasks predictable)"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "kind": "downstream",
            "schema": SCHEMA,
            "level": self.level,
            "digest": self.digest,
            "laws_sentence": self.laws_sentence,
            "n_predictable": len(self.predictable),
            "tasks": [t.to_dict() for t in self.tasks],
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table: task, verdict, link, error, no_change, noise."""
        names = ("task", "verdict", "link", "error", "no_change", "noise")
        return {n: [getattr(t, n) for t in self.tasks] for n in names}

    def summary(self) -> str:
        """Lines for people."""
        lines = []
        for t in self.tasks:
            lines.append(f"{t.task}: {t.verdict}; {t.why}")
            for f in t.forecasts:
                where = ", ".join(f"{n} = {v:.4g}" for n, v in f.at.items())
                doubt = "" if t.verdict == "predictable" else "; do not rely on it"
                lines.append(
                    f"  at {where}: loss {f.loss:.3f}, accuracy {f.accuracy:.3f} "
                    f"{f.interval!r}{doubt}"
                )
        lines.append(f"{len(self.predictable)} of {len(self.tasks)} tasks predictable")
        return "\n".join([*lines, self.laws_sentence])

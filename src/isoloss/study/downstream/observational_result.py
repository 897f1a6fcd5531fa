"""What published models say of a task at a compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isoloss._core.interval import Interval

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelForecast:
    """Accuracy of one model of a family at a compute.

    Attributes
    ----------
    accuracy, interval
        Median, and where one model's accuracy will lie.
    capabilities
        Expected of it.
    parts
        Standard deviations of what makes the interval: ``family`` the family's line, ``model``
        one model around it, ``link``, ``discrepancy`` what the back-test showed beyond, ``scatter``
        around the link, ``items`` the questions.
    reach
        Compute over that of the largest model of the family.
    """

    family: str
    C: float
    accuracy: float
    interval: Interval
    capabilities: tuple[float, ...]
    parts: Mapping[str, float]
    reach: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "family": self.family,
            "C": self.C,
            "accuracy": self.accuracy,
            "interval": self.interval.to_dict(),
            "capabilities": list(self.capabilities),
            "parts": dict(self.parts),
            "reach": self.reach,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Observational:
    """Whether a task can be forecast from published models, and the forecasts.

    Attributes
    ----------
    verdict, why
        ``predictable``, ``unpredictable`` (its back-test failed) or ``refused``, and why.
    scale
        Of the benchmarks, ``raw`` or ``logit``; the one of smaller error unless it was given.
    explained, loadings
        Share of the variance of each capability; weights of each benchmark on them.
    filled
        Missing scores that were filled, a benchmark to their number.
    left_out
        Models and benchmarks left out, and why.
    families
        Name to models and slope of the first capability, an e-fold of compute.
    error, no_change, by_compute, noise, points
        Of the back-test, root mean squares in accuracy: of the forecasts, of the family's largest
        kept model, of a sigmoid in log compute alone, of a perfect forecast; and how many models
        were forecast.
    inside
        How many of them were within their interval.
    """

    task: str
    verdict: str
    why: str
    level: float
    scale: str = "raw"
    explained: tuple[float, ...] = ()
    loadings: Mapping[str, tuple[float, ...]]
    filled: Mapping[str, int]
    left_out: tuple[tuple[str, str], ...] = ()
    families: Mapping[str, tuple[int, float]]
    error: float | None = None
    no_change: float | None = None
    by_compute: float | None = None
    noise: float | None = None
    points: int = 0
    inside: int = 0
    forecasts: tuple[ModelForecast, ...] = ()

    def __repr__(self) -> str:
        return f"Observational({self.task}: {self.verdict}, {len(self.forecasts)} forecasts)"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        names = ("task", "verdict", "why", "level", "scale", "error", "no_change", "by_compute",
                 "noise", "points", "inside")  # fmt: skip
        return {
            "kind": "observational",
            "schema": SCHEMA,
            **{n: getattr(self, n) for n in names},
            "explained": list(self.explained),
            "loadings": {n: list(v) for n, v in self.loadings.items()},
            "filled": dict(self.filled),
            "left_out": [{"name": n, "why": w} for n, w in self.left_out],
            "families": {
                n: {"models": count, "slope": slope} for n, (count, slope) in self.families.items()
            },
            "forecasts": [f.to_dict() for f in self.forecasts],
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of forecasts: family, C, accuracy, low, high, reach."""
        table: dict[str, list[Any]] = {
            n: [getattr(f, n) for f in self.forecasts] for n in ("family", "C", "accuracy", "reach")
        }
        return table | {
            n: [getattr(f.interval, n) for f in self.forecasts] for n in ("low", "high")
        }

    def summary(self) -> str:
        """Lines for people."""
        lines = [f"{self.task}: {self.verdict}; {self.why}"]
        doubt = "" if self.verdict == "predictable" else "; do not rely on it"
        lines += [
            f"  {f.family} at C = {f.C:.4g}, {f.reach:.3g} times its largest: accuracy "
            f"{f.accuracy:.3f} {f.interval!r}{doubt}"
            for f in self.forecasts
        ]
        if self.explained:
            shares = ", ".join(f"{100 * v:.1f} %" for v in self.explained)
            plural = "components explain" if len(self.explained) > 1 else "component explains"
            lines.append(
                f"{len(self.explained)} {plural} {shares} of {len(self.loadings)} "
                f"benchmarks ({self.scale} scores); {len(self.families)} families have a line"
            )
        if any(self.filled.values()):
            cells = ", ".join(f"{n} {k}" for n, k in self.filled.items() if k)
            lines.append(f"missing scores filled from the components: {cells}")
        return "\n".join([*lines, *(f"left out {n}: {w}" for n, w in self.left_out)])

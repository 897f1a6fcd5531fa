"""What a fit of a curve law, a forecast of a curve and a comparison of schedules hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.fit.certificate import Reason
from isoloss.laws.curve_law import CurveLaw, RateScale


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeftOut:
    """How well the other curves forecast one that was left out.

    Attributes
    ----------
    name
        Of the curve.
    error
        Forecast over measured minus one, mean over the last tenth of its points.
    rms
        Root mean square of that over its second half.
    """

    name: str
    error: float
    rms: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScheduleFit:
    """A law of training curves fitted to curves of one model.

    Attributes
    ----------
    law
        The law.
    parameters
        By their names in print.
    scale, shape, amplitudes
        The same inside.
    covariance
        Of shape and amplitudes, from residuals that are alike within a block.
    noise
        Standard deviation of one point about the law, relative.
    between
        Root mean square of the relative errors on curves left out in turn, 0.1 % at least; where
        there is one curve only, 0.2 %.
    left_out
        How each curve was forecast by the others.
    r2
        Share of variance explained, by curve.
    names, points
        Curves and the number of points fitted to.
    reach
        Least and largest sum of rates among the points.
    status, reasons
        ``"ok"`` or ``"suspect"``, and why.
    """

    law: CurveLaw
    parameters: dict[str, float]
    scale: RateScale
    shape: Array
    amplitudes: Array
    covariance: Array
    noise: float
    between: float
    left_out: tuple[LeftOut, ...]
    r2: dict[str, float]
    names: tuple[str, ...]
    points: int
    reach: tuple[float, float]
    status: str
    reasons: tuple[Reason, ...]

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v:.4g}" for k, v in self.parameters.items())
        return f"ScheduleFit({self.law.name}: {shown}; {len(self.names)} curves, {self.status})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "law": self.law.name,
            "formula": self.law.formula,
            "parameters": dict(self.parameters),
            "noise": self.noise,
            "between": self.between,
            "left_out": [{"name": e.name, "error": e.error, "rms": e.rms} for e in self.left_out],
            "r2": dict(self.r2),
            "curves": list(self.names),
            "points": self.points,
            "reach": list(self.reach),
            "status": self.status,
            "reasons": [{"code": r.code, "message": r.message} for r in self.reasons],
        }

    def summary(self) -> str:
        """Say it in lines for people."""
        shown = ", ".join(f"{k} = {v:.5g}" for k, v in self.parameters.items())
        lines = [
            f"{self.law.name} law of {len(self.names)} curves, {self.points} points "
            f"({self.status})",
            f"  {shown}",
            f"  one point lies {100 * self.noise:.2g} % about it",
        ]
        for e in self.left_out:
            lines.append(
                f"  {e.name}, left out: the others forecast its end {100 * e.error:+.2f} % off"
            )
        lines += [f"  {r.code}: {r.message}" for r in self.reasons]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveForecast:
    """A curve under a schedule, with intervals of a measurement.

    Attributes
    ----------
    name
        Of the schedule.
    step, loss, low, high
        Shape (steps asked for,).
    final
        Interval of the loss at the last step; ``final_loss`` is its middle.
    level
        Of all intervals.
    reasons
        What makes the forecast doubtful.
    """

    name: str
    step: Array
    loss: Array
    low: Array
    high: Array
    final_loss: float
    final: Interval
    level: float
    reasons: tuple[Reason, ...]

    def __repr__(self) -> str:
        return f"CurveForecast({self.name!r}: {self.final_loss:.5g} {self.final!r})"

    def to_dict(self, *, curve: bool = True) -> dict[str, Any]:
        """Plain types; the whole curve is left out on demand."""
        found: dict[str, Any] = {
            "schedule": self.name,
            "final_step": float(self.step[-1]),
            "final_loss": self.final_loss,
            "final": self.final.to_dict(),
            "reasons": [{"code": r.code, "message": r.message} for r in self.reasons],
        }
        if curve:
            found |= {k: getattr(self, k).tolist() for k in ("step", "loss", "low", "high")}
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScheduleComparison:
    """Schedules of equal steps, the best first.

    Attributes
    ----------
    forecasts
        Of each schedule.
    behind
        Final loss minus that of the best, with an interval, in the same order; the first is zero.
    decided
        Whether the interval of every other schedule lies above zero.
    """

    forecasts: tuple[CurveForecast, ...]
    behind: tuple[tuple[float, Interval], ...]
    decided: bool

    def __repr__(self) -> str:
        return f"ScheduleComparison(best {self.forecasts[0].name!r}, decided {self.decided})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "best": self.forecasts[0].name,
            "decided": self.decided,
            "schedules": [
                f.to_dict(curve=False) | {"behind": d, "behind_interval": i.to_dict()}
                for f, (d, i) in zip(self.forecasts, self.behind, strict=True)
            ],
        }

    def summary(self) -> str:
        """Say it in lines for people."""
        lines = []
        for f, (d, i) in zip(self.forecasts, self.behind, strict=True):
            text = f"{f.name}: {f.final_loss:.4f} [{f.final.low:.4f}, {f.final.high:.4f}]"
            if f is not self.forecasts[0]:
                text += f", behind by {d:.4f} [{i.low:.4f}, {i.high:.4f}]"
            lines.append(text)
        first = self.forecasts[0].name
        lines.append(
            f"best: {first}, beyond the intervals of all others"
            if self.decided
            else f"best: {first}, but an interval of a difference reaches zero"
        )
        return "\n".join(lines)

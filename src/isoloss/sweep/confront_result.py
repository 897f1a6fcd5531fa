"""What forecasters said of larger networks, and how far off each was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze

FAMILIES = ("law", "solvable", "spectrum", "level", "regression")
"""Fitted laws of D or of N and D; solvable models fitted as laws; predicted from a spectrum; the
same with its level taken from the small runs; ridge regression carried out with the kernel."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForecastCurve:
    """What one forecaster says the wide network's loss is.

    Attributes
    ----------
    name, family
        Of the forecaster; one of `FAMILIES`.
    D, loss, low, high
        The curve and its interval, (k,); where there is no interval both ends are NaN.
    reach
        Largest D that a spectrum tells of; beyond it the curve is continued by laws. NaN for laws.
    """

    name: str
    family: str
    D: Array
    loss: Array
    low: Array
    high: Array
    reach: float = math.nan

    def __post_init__(self) -> None:
        for name in ("D", "loss", "low", "high"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def at(self, D: Any) -> tuple[Array, Array, Array]:
        """Loss, low and high between the points, straight lines in logarithms; NaN outside."""
        wanted, own = np.log(np.asarray(D, dtype=float)), np.log(self.D)
        loss, low, high = (
            np.exp(np.interp(wanted, own, np.log(v), left=np.nan, right=np.nan))
            for v in (self.loss, self.low, self.high)
        )
        return loss, low, high

    def __repr__(self) -> str:
        return f"ForecastCurve({self.name}, {self.family}, {self.D.size} points)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastScore:
    """One forecaster at one held-out D.

    Attributes
    ----------
    name, family, D
        Which, where.
    forecast, low, high
        What it said.
    measured
        Mean of the networks.
    error
        ``forecast / measured - 1``.
    inside, runs
        Networks within the interval, of how many.
    improvement
        Fall of the loss from the largest small D as forecast, over that measured: 1 is right, and
        an error of level does not count.
    """

    name: str
    family: str
    D: float
    forecast: float
    low: float
    high: float
    measured: float
    error: float
    inside: int
    runs: int
    improvement: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confrontation:
    """Forecasters of one wide network against its held-out runs.

    Attributes
    ----------
    N, small_D
        Parameters of the wide network; largest D of the runs that forecasters saw.
    D, loss, sem, runs
        The wide network's mean losses over seeds, (k,), with standard errors (NaN for one run).
    curves
        One a forecaster.
    scores
        One a forecaster and held-out D.
    failed
        Forecasters without a forecast, and why.
    level
        Of the intervals.
    """

    N: float
    small_D: float
    D: Array
    loss: Array
    sem: Array
    runs: Array
    curves: tuple[ForecastCurve, ...]
    scores: tuple[ForecastScore, ...]
    failed: tuple[tuple[str, str], ...]
    level: float

    def __post_init__(self) -> None:
        for name in ("D", "loss", "sem", "runs"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def ranking(self) -> list[tuple[str, str, float]]:
        """Name, family and root-mean-square log error over all held-out D, the least first.

        Regressions are measured at a few D alone and are no forecasts: they are left out.
        """
        held = len(set(self.D[self.small_D < self.D].tolist()))
        errors: dict[tuple[str, str], list[float]] = {}
        for s in self.scores:
            if s.family != "regression" and math.isfinite(s.forecast):
                logs = errors.setdefault((s.name, s.family), [])
                logs.append(math.log(s.forecast / s.measured))
        found = [
            (name, family, float(np.sqrt(np.mean(np.square(logs)))))
            for (name, family), logs in errors.items()
            if len(logs) == held
        ]
        return sorted(found, key=lambda entry: entry[2])

    def best(self, family: str) -> tuple[str, float] | None:
        """Name and error of the best forecaster of a family, known only after the fact."""
        return next(((n, e) for n, f, e in self.ranking() if f == family), None)

    def __repr__(self) -> str:
        return f"Confrontation({len(self.curves)} curves, N = {self.N:g}, D > {self.small_D:g})"

    def summary(self) -> str:
        """Table for people, the best first."""
        lines = [
            f"{'forecaster':<34} {'family':<10} {'error':>7} {'at D':>7} {'forecast':>9} "
            f"{'low':>7} {'high':>7} {'measured':>9} {'inside':>6} {'improvement':>11}"
        ]
        last = float(self.D.max())
        for name, family, error in self.ranking():
            key = name, family, last
            s = next(s for s in self.scores if (s.name, s.family, s.D) == key)
            lines.append(
                f"{name:<34} {family:<10} {100 * error:>5.1f} % {s.D:>7g} {s.forecast:>9.4g} "
                f"{s.low:>7.4g} {s.high:>7.4g} {s.measured:>9.4g} {s.inside:>4d}/{s.runs:d} "
                f"{s.improvement:>11.2f}"
            )
        return "\n".join(lines + [f"{name}: no forecast, {why}" for name, why in self.failed])

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        points = {n: getattr(self, n).tolist() for n in ("D", "loss", "sem", "runs")}
        return {"N": self.N, "small_D": self.small_D, "level": self.level, "measured": points} | {
            "ranking": [
                {"forecaster": n, "family": f, "error": e} for n, f, e in self.ranking()
            ],
            "scores": [
                {k: getattr(s, k) for k in ForecastScore.__slots__} for s in self.scores
            ],
            "failed": [{"forecaster": n, "reason": r} for n, r in self.failed],
        }  # fmt: skip

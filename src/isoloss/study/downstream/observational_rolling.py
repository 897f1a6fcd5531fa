"""Published models back-tested: the larger are forecast from the smaller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from isoloss._core.interval import Interval
from isoloss.study.downstream.links import Benchmark
from isoloss.study.downstream.models import Models
from isoloss.study.downstream.observational_fit import (
    MEMBERS,
    Rows,
    by_compute,
    draw_forecast,
    fit_models,
    take,
)
from isoloss.study.downstream.rolling import Rolled

FAMILIES, MODELS = 3, 12
"""Families with a line, and models with a target, that are needed."""
MOST_MISSING = 0.5
CUTS = (0.6, 0.75)
"""Shares of the models, smallest first, that the larger are forecast from."""


@dataclass(slots=True)
class Tested:
    """Misses of held-out models, one each: forecasts, no change, compute alone.

    Attributes
    ----------
    noises
        What a perfect forecast would miss by, one a model.
    surplus
        Squared misses less the variance that the forecast expected.
    inside
        Models within their interval.
    """

    misses: list[float] = field(default_factory=list)
    stays: list[float] = field(default_factory=list)
    blind: list[float] = field(default_factory=list)
    noises: list[float] = field(default_factory=list)
    surplus: list[float] = field(default_factory=list)
    inside: int = 0

    @property
    def beyond(self) -> float:
        """Standard deviation that forecasts did not expect."""
        return float(np.sqrt(max(float(np.mean(self.surplus)), 0.0))) if self.surplus else 0.0

    @property
    def error(self) -> float:
        """Root mean square miss; infinite where nothing was forecast."""
        return _rms(self.misses) if self.misses else float("inf")

    @property
    def by_compute(self) -> float:
        """Root mean square miss of compute alone."""
        return _rms(self.blind)

    def rolled(self) -> Rolled:
        """Errors, by the rule of all tasks."""
        return Rolled(
            kind="observational", error=self.error, no_change=_rms(self.stays),
            noise=_rms(self.noises), discrepancy=self.beyond, points=len(self.misses),
        )  # fmt: skip


def back_test(
    table: Models, used: Sequence[str], task: Benchmark, components: int, level: float, draws: int,
    seed: int,
) -> Tested:  # fmt: skip
    """Forecast the larger models from the smaller ones, of which alone everything is fitted."""
    found, y = Tested(), table.scores[task.column]
    order = np.argsort(table.C, kind="stable")
    for share in CUTS:
        top = table.C[order[round(share * len(order)) - 1]]
        kept, hidden = np.flatnonzero(top >= table.C), np.flatnonzero(~(top >= table.C))
        below = take(table, kept)
        if too_few(below, task) or _degenerate(below, used):
            continue
        fit = fit_models(below, used, task, components)
        plain = by_compute(below, task, table.C)
        for i in hidden:
            own = fit.families.get(table.family[i])
            before = _largest(below, table.family[i], task)
            if own is None or before is None or not np.isfinite(y[i]):
                continue
            rng = np.random.default_rng([seed, 23])
            drawn = draw_forecast(fit, task, own, float(table.C[i]), 0.0, draws, rng)
            miss = float(np.median(drawn.values) - y[i])
            found.misses.append(miss)
            found.stays.append(before - float(y[i]))
            found.blind.append(float(plain[i] - y[i]))
            found.noises.append(float(np.hypot(task.sampling(np.array([y[i]]))[0], fit.scatter)))
            found.surplus.append(miss**2 - float(np.var(drawn.values)))
            interval = Interval.from_draws(drawn.values, level=level, method="back-test")
            found.inside += float(y[i]) in interval
    return found


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def too_few(table: Models, task: Benchmark) -> str:
    """Say what there is too little of to fit anything; empty where there is enough."""
    count = int(np.isfinite(table.scores[task.column]).sum())
    if count < MODELS:
        return f"{count} models have a score of the target, {MODELS} are needed"
    pairs = set(zip(table.family, table.C.tolist(), strict=True))
    kin = [name for name, _ in pairs]
    lines = [name for name in set(kin) if kin.count(name) >= MEMBERS]
    if len(lines) < FAMILIES:
        return (
            f"{len(lines)} families have {MEMBERS} or more models of different compute, "
            f"{FAMILIES} are needed to tell families from chance"
        )
    return ""


def _degenerate(below: Models, used: Sequence[str]) -> bool:
    """Whether some benchmark says nothing among these models."""
    for b in used:
        known = below.scores[b][np.isfinite(below.scores[b])]
        if len(known) < MOST_MISSING * len(below) or not np.ptp(known) > 0:
            return True
    return False


def _largest(below: Models, family: str, task: Benchmark) -> float | None:
    """Target of the largest model of a family that has one."""
    y = below.scores[task.column]
    rows: Rows = np.flatnonzero((np.array(below.family) == family) & np.isfinite(y))
    return float(y[rows[np.argmax(below.C[rows])]]) if len(rows) else None

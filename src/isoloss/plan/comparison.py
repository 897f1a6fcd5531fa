"""Results of comparing recipes."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss._core.serial import plain
from isoloss.errors import FitError
from isoloss.plan.looks import Looks
from isoloss.plan.reason import Reason

SCHEMA = 1
BETTER, WORSE, UNKNOWN = "better", "worse", "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class LawMultiplier:
    """What one law of the set says at one scale."""

    law: str
    weight: float
    multiplier: float
    interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "law": self.law,
            "weight": self.weight,
            "multiplier": self.multiplier,
            "interval": self.interval.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleComparison:
    """Two recipes at one compute.

    Attributes
    ----------
    C
        Compute of the baseline, or whatever resource the path is of.
    reach
        C over the largest that both recipes have runs at; at most 1 within the data.
    loss_baseline, loss_recipe
        Losses at C.
    gap, gap_interval
        Loss of the baseline minus that of the recipe: above zero the recipe is better.
    multiplier, multiplier_interval
        The recipe needs C over this for the baseline's loss; zero where no compute reaches it.
    p_value
        Two-sided, of a gap of zero.
    verdict
        ``"better"``, ``"worse"`` or ``"cannot tell"``, of the recipe.
    by_law
        The spread over laws; last, with weight zero, the heaviest law with a floor for each
        recipe, where the floor was in common.
    """

    C: float
    reach: float
    loss_baseline: float
    loss_recipe: float
    gap: float
    gap_interval: Interval
    multiplier: float
    multiplier_interval: Interval
    p_value: float
    verdict: str
    by_law: tuple[LawMultiplier, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        out = {n: getattr(self, n) for n in self.__dataclass_fields__}
        out["gap_interval"] = self.gap_interval.to_dict()
        out["multiplier_interval"] = self.multiplier_interval.to_dict()
        out["by_law"] = [b.to_dict() for b in self.by_law]
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """Where the curves of two recipes cross.

    Attributes
    ----------
    status
        ``"found"``, ``"none"`` (no crossing in the range searched), ``"open"`` (one may lie in
        ``interval``, which reaches an end of the range or shows no change of sides) or
        ``"not identified"`` (anywhere).
    C
        Where the best curves cross; ``None`` where they do not.
    interval
        All scales at which the interval of the gap holds zero: it holds a crossing with the
        level's probability.
    searched
        Range looked at.
    sentence
        In words.
    """

    status: str
    C: float | None
    interval: Interval | None
    searched: tuple[float, float]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "status": self.status,
            "C": self.C,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "searched": list(self.searched),
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRuns:
    """What the runs of shared cells say without any law.

    Attributes
    ----------
    cells
        Cells in which both recipes have runs.
    gap
        Mean over cells of the log loss of the baseline minus that of the recipe.
    interval
        Of the mean, by Student's t over cells; ``None`` below two cells.
    correlation
        Of the residuals of the two recipes over shared cells: the higher, the more pairing
        gains. NaN below four cells.
    """

    cells: int
    gap: float
    interval: Interval | None
    correlation: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "cells": self.cells,
            "gap": self.gap,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "correlation": self.correlation,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """One recipe against a baseline.

    Attributes
    ----------
    baseline, recipe
        Names.
    resource
        ``"C"`` for compute, else the axis that scales are of.
    path
        Where they were compared, in words.
    tied
        Parameters in common.
    laws, weights
        The set, and how far each law was believed.
    scales
        One entry a scale asked for.
    primary
        Index of the scale that the verdict is about.
    crossover, paired
        See the classes.
    level, looks
        Asked for over all looks; intervals are at ``look_level``.
    look_level
        Level of this look's intervals.
    next_run
        What would decide.
    curves
        ``C``, ``baseline``, ``recipe`` and ``multiplier``, each with ``_low`` and ``_high``, and
        the runs: for drawing.
    status, reasons
        ``ok``, ``suspect`` or ``failed``.
    sentence
        The verdict.
    """

    baseline: str
    recipe: str
    resource: str
    path: str
    tied: tuple[str, ...]
    laws: tuple[str, ...]
    weights: Array
    scales: tuple[ScaleComparison, ...]
    primary: int
    crossover: Crossover
    paired: PairedRuns
    level: float
    looks: Looks
    look_level: float
    next_run: str
    curves: Mapping[str, Any]
    status: str
    reasons: tuple[Reason, ...]
    sentence: str

    @property
    def main(self) -> ScaleComparison:
        """The scale that the verdict is about."""
        return self.scales[self.primary]

    def require(self) -> Comparison:
        """Return the comparison if its status is ok, else raise `FitError` with a reason."""
        if self.status != "ok":
            raise FitError(self.reasons[0].code, self.reasons[0].message)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss compare --json``."""
        out: dict[str, Any] = plain(
            {
                "schema": SCHEMA,
                "baseline": self.baseline,
                "recipe": self.recipe,
                "resource": self.resource,
                "path": self.path,
                "tied": self.tied,
                "laws": dict(zip(self.laws, self.weights.tolist(), strict=True)),
                "scales": [s.to_dict() for s in self.scales],
                "primary": self.primary,
                "crossover": self.crossover.to_dict(),
                "paired_runs": self.paired.to_dict(),
                "level": self.level,
                "look": self.looks.number,
                "looks_planned": self.looks.planned,
                "look_level": self.look_level,
                "next_run": self.next_run,
                "curves": dict(self.curves),
                "status": self.status,
                "reasons": [r.to_dict() for r in self.reasons],
                "sentence": self.sentence,
            }
        )
        return out

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of scales."""
        return {
            self.resource: [s.C for s in self.scales],
            "reach": [s.reach for s in self.scales],
            "multiplier": [s.multiplier for s in self.scales],
            "low": [s.multiplier_interval.low for s in self.scales],
            "high": [s.multiplier_interval.high for s in self.scales],
            "gap": [s.gap for s in self.scales],
            "p_value": [s.p_value for s in self.scales],
            "verdict": [s.verdict for s in self.scales],
        }

    def summary(self) -> str:
        """Lines for people."""
        laws = ", ".join(
            f"{n} {w:.2f}" for n, w in zip(self.laws, self.weights, strict=True) if w >= 0.005
        )
        tied = ", ".join(self.tied) or "nothing"
        lines = [
            f"{self.recipe} against {self.baseline}, {self.path}",
            f"  laws {laws}; in common: {tied}; {self._pairing()}",
            f"  {self.resource:<10}{'beyond data':<13}{'multiplier':<24}{'loss gap':<28}p",
        ]
        lines += [_row(s) for s in self.scales]
        spread = [b for b in self.main.by_law if b.weight >= 0.005 or "free" in b.law]
        if len(spread) > 1:
            each = "; ".join(f"{b.law} x{b.multiplier:.3g} {_ends(b.interval)}" for b in spread)
            lines.append(f"  by law at {self.main.C:.3g}: {each}")
        lines.append(f"  intervals {100 * self.look_level:.4g} %, {self._look()}")
        lines.append(self.crossover.sentence)
        lines.append(self.sentence)
        lines.append(self.next_run)
        lines += [f"  {r.code}: {r.message}" for r in self.reasons]
        return "\n".join(line for line in lines if line)

    def _pairing(self) -> str:
        text = f"{self.paired.cells} shared cells"
        if np.isfinite(self.paired.correlation):
            text += f", residuals correlate {self.paired.correlation:+.2f}"
        return text

    def _look(self) -> str:
        method = self.main.multiplier_interval.method
        if self.looks.planned == 1:
            return method
        of = "" if self.looks.planned is None else f" of {self.looks.planned}"
        return f"{method}; look {self.looks.number}{of}, {100 * self.level:g} % over all looks"

    def __repr__(self) -> str:
        m = self.main
        return (
            f"Comparison({self.recipe} / {self.baseline}: x{m.multiplier:.3g} at {m.C:.3g}, "
            f"{m.verdict}; {self.status})"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparisons:
    """Several recipes against one baseline, the best first.

    Attributes
    ----------
    baseline
        Its name.
    rows
        One comparison a recipe, by the lower end of the multiplier.
    adjusted
        p-values at the primary scale, adjusted for how many there are and for looks, (rows,).
    rate
        Share of false ones tolerated among those found.
    """

    baseline: str
    rows: tuple[Comparison, ...]
    adjusted: Array
    rate: float

    @property
    def found(self) -> tuple[Comparison, ...]:
        """Recipes that differ from the baseline at the rate asked for."""
        return tuple(r for r, p in zip(self.rows, self.adjusted, strict=True) if p <= self.rate)

    @property
    def status(self) -> str:
        """Worst of the rows."""
        order = ("ok", "suspect", "failed")
        return max((r.status for r in self.rows), key=order.index)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        out: dict[str, Any] = plain(
            {
                "schema": SCHEMA,
                "baseline": self.baseline,
                "rate": self.rate,
                "comparisons": [
                    r.to_dict() | {"p_adjusted": float(p), "differs": bool(p <= self.rate)}
                    for r, p in zip(self.rows, self.adjusted, strict=True)
                ],
            }
        )
        return out

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of recipes at the primary scale."""
        return {
            "recipe": [r.recipe for r in self.rows],
            "multiplier": [r.main.multiplier for r in self.rows],
            "low": [r.main.multiplier_interval.low for r in self.rows],
            "high": [r.main.multiplier_interval.high for r in self.rows],
            "p_value": [r.main.p_value for r in self.rows],
            "p_adjusted": self.adjusted.tolist(),
            "differs": (self.adjusted <= self.rate).tolist(),
        }

    def summary(self) -> str:
        """Table for people; one recipe gets its whole page."""
        if len(self.rows) == 1:
            return self.rows[0].summary()
        first = self.rows[0]
        width = max(6, *(len(r.recipe) for r in self.rows)) + 2
        lines = [
            f"{len(self.rows)} recipes against {self.baseline} at {first.resource} = "
            f"{first.main.C:.3g}, {first.path}",
            f"  {'recipe':<{width}}{'multiplier':<24}{'p':<9}{'adjusted':<10}verdict",
        ]
        for r, p in zip(self.rows, self.adjusted, strict=True):
            text = f"x{r.main.multiplier:.3g} {_ends(r.main.multiplier_interval)}"
            verdict = r.main.verdict if p <= self.rate else UNKNOWN
            if p <= self.rate and verdict == UNKNOWN:
                verdict = BETTER if r.main.gap > 0 else WORSE
            doubt = "" if r.status == "ok" else " (" + ", ".join(x.code for x in r.reasons) + ")"
            lines.append(
                f"  {r.recipe:<{width}}{text:<24}{r.main.p_value:<9.2g}{p:<10.2g}{verdict}{doubt}"
            )
        lines.append(
            f"  intervals {100 * first.look_level:.4g} % each, {first._look()}; p adjusted by "
            f"Benjamini and Hochberg: of those found, {100 * self.rate:g} % are false at most, "
            "on average"
        )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Comparisons({len(self.rows)} against {self.baseline}; {len(self.found)} differ)"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def _ends(i: Interval) -> str:
    return f"[{i.low:.3g}, {i.high:.3g}]"


def _row(s: ScaleComparison) -> str:
    beyond = "within" if s.reach <= 1 + 1e-9 else f"{s.reach:.3g} times"
    gap = f"{s.gap:+.3g} [{s.gap_interval.low:.3g}, {s.gap_interval.high:.3g}]"
    text = f"x{s.multiplier:.3g} {_ends(s.multiplier_interval)}"
    return f"  {s.C:<10.3g}{beyond:<13}{text:<24}{gap:<28}{s.p_value:.2g}"

"""Result of comparing one recipe with a baseline."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.serial import plain
from isoloss.errors import FitError
from isoloss.plan.reason import Reason
from isoloss.plan.recipes.looks import Looks
from isoloss.plan.recipes.parts import Crossover, PairedRuns, ScaleComparison
from isoloss.plan.recipes.words import ends, names_in_common

SCHEMA = 1


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
    ties
        Parameters in common; the answer holds those of each entry.
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
    ties: tuple[tuple[str, ...], ...]
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
                "ties": self.ties,
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
        lines = [
            f"{self.recipe} against {self.baseline}, {self.path}",
            f"  laws {laws}; {self._pairing()}",
            *self._table(),
        ]
        lines.append(f"  intervals {100 * self.look_level:.4g} %, {self.looking()}")
        lines.append(self.crossover.sentence)
        lines.append(self.sentence)
        lines.append(self.next_run)
        lines += [f"  {r.code}: {r.message}" for r in self.reasons]
        return "\n".join(line for line in lines if line)

    def _table(self) -> list[str]:
        """Scales, with the multiplier under the other tie where there is one."""
        ties = self.main.by_tie
        held = " or ".join(names_in_common(t) for t in self.ties)
        other = next((t for t in ties if t.tied != self.ties[-1]), None)
        shown = "" if other is None else names_in_common(other.tied)
        rows = [
            (
                f"{s.C:.3g}",
                "within" if s.reach <= 1 + 1e-9 else f"{s.reach:.3g} times",
                f"x{s.multiplier:.3g} {ends(s.multiplier_interval)}",
                *(
                    f"x{t.multiplier:.3g} {ends(t.interval)}"
                    for t in s.by_tie
                    if other is not None and t.tied == other.tied
                ),
                f"{s.gap:+.3g} {ends(s.gap_interval)}",
                f"{s.p_value:.2g}",
                s.verdict,
            )
            for s in self.scales
        ]
        head = (self.resource, "data", "multiplier", *([f"common: {shown}"] if shown else []),
                "loss gap", "p", "verdict")  # fmt: skip
        widths = [max(len(r[i]) for r in [head, *rows]) + 2 for i in range(len(head))]
        lines = [
            "  " + "".join(f"{v:<{w}}" for v, w in zip(r, widths, strict=True)).rstrip()
            for r in [head, *rows]
        ]
        return [f"  in common: {held}", *lines]

    def _pairing(self) -> str:
        text = f"{self.paired.cells} shared cells"
        if np.isfinite(self.paired.correlation):
            text += f", residuals correlate {self.paired.correlation:+.2f}"
        return text

    def looking(self) -> str:
        """Write the method of the intervals, and which look this is."""
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

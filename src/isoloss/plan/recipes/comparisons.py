"""Result of comparing several recipes with one baseline."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from isoloss._core.arrays import Array
from isoloss._core.serial import plain
from isoloss.plan.recipes.comparison import SCHEMA, Comparison
from isoloss.plan.recipes.parts import BETTER, UNKNOWN, WORSE
from isoloss.plan.recipes.words import ends


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
            text = f"x{r.main.multiplier:.3g} {ends(r.main.multiplier_interval)}"
            verdict = r.main.verdict if p <= self.rate else UNKNOWN
            if p <= self.rate and verdict == UNKNOWN:
                verdict = BETTER if r.main.gap > 0 else WORSE
            doubt = "" if r.status == "ok" else " (" + ", ".join(x.code for x in r.reasons) + ")"
            lines.append(
                f"  {r.recipe:<{width}}{text:<24}{r.main.p_value:<9.2g}{p:<10.2g}{verdict}{doubt}"
            )
        lines.append(
            f"  intervals {100 * first.look_level:.4g} % each, {first.looking()}; p adjusted by "
            f"Benjamini and Hochberg: of those found, {100 * self.rate:g} % are false at most, "
            "on average"
        )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Comparisons({len(self.rows)} against {self.baseline}; {len(self.found)} differ)"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"

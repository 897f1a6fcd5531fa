"""Which runs of which recipe to make next: the answer."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isoloss._core.interval import Interval
from isoloss._core.serial import plain
from isoloss.plan.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NextArmRun:
    """One configuration to run, with one recipe or both, with one seed or several.

    Attributes
    ----------
    recipes
        One name, or both where each seed is run with both recipes.
    at, name
        Its resources; its name in a pool, else empty.
    cost, seeds
        Of one seed, with all its recipes; how many.
    gain, gain_per_cost
        Share of the square error of the gap that it takes off what the runs above it leave; that
        over the cost of all its seeds.
    loss
        Where one run is expected to land, for each of ``recipes``.
    multiplier
        Interval of the multiplier once this run and those above it are made.
    reason
        In words.
    shape
        A transformer of this size, ``None`` where none was asked for.
    """

    recipes: tuple[str, ...]
    at: Mapping[str, float]
    name: str
    cost: float
    seeds: int
    gain: float
    gain_per_cost: float
    loss: Mapping[str, Interval]
    multiplier: Interval
    reason: str
    shape: Mapping[str, Any] | None

    @property
    def runs(self) -> int:
        """Runs in all."""
        return self.seeds * len(self.recipes)

    @property
    def place(self) -> str:
        """Recipes and resources in words."""
        who = self.recipes[0] if len(self.recipes) == 1 else " and ".join(self.recipes)
        text = f"{who}: " + (f"{self.name}, " if self.name else "")
        text += ", ".join(f"{a} = {v:.3g}" for a, v in self.at.items())
        if len(self.recipes) == 2:
            return text + (f", {self.seeds} shared seeds" if self.seeds > 1 else ", one seed")
        return text + (f", {self.seeds} seeds" if self.seeds > 1 else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "recipes": list(self.recipes),
            "at": dict(self.at),
            "name": self.name or None,
            "cost": self.cost,
            "seeds": self.seeds,
            "gain": self.gain,
            "gain_per_cost": self.gain_per_cost,
            "loss": {name: v.to_dict() for name, v in self.loss.items()},
            "multiplier": self.multiplier.to_dict(),
            "reason": self.reason,
            "shape": None if self.shape is None else dict(self.shape),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmsTie:
    """The comparison with some parameters in common.

    Attributes
    ----------
    tied
        Which; both recipes have the rest of their own.
    gap
        Log loss of the baseline less that of the recipe.
    error, error_after
        Its standard error, now and with all runs made, the bends of laws in it.
    before, after
        Interval of the multiplier.
    power, power_many
        Chance of calling the better recipe with all runs made, were the gap as estimated; with a
        hundred times as many.
    """

    tied: tuple[str, ...]
    gap: float
    error: float
    error_after: float
    before: Interval
    after: Interval
    power: float
    power_many: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "tied": list(self.tied),
            "gap": self.gap,
            "error": self.error,
            "error_after": self.error_after,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "power": self.power,
            "power_many": self.power_many,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NextArms:
    """Runs of two recipes to make next, best first.

    Attributes
    ----------
    goal
        As it was written.
    baseline, recipe
        Names; the multiplier is that of the recipe.
    resource, scale
        Where they are compared.
    rule
        ``worst`` or ``mean`` of the sets of ties.
    budget, spent, unit
        What was allowed, what the runs cost, and in what.
    runs
        Ranked by gain per cost, each given those above it.
    multiplier
        As estimated now.
    before, after
        Its interval, now and with all runs made; it holds those of all ties.
    verdict
        ``better``, ``worse`` or ``cannot tell``: the recipe, as the runs at hand have it.
    power
        Chance of calling the better recipe with all runs made, were the gap as estimated: the
        least of all ties.
    chance
        The same as expected now, over what the gap may be.
    gain
        Share of the square error of the gap that all runs take away.
    stop
        ``True`` where no more runs are called for: settled, nothing narrows it, or out of reach.
    ties
        The comparison under each set of parameters in common.
    laws
        Name, ties, weight and gap of each law.
    noise, correlation, correlation_sentence
        Standard deviation of one run's log loss; how much of it runs of one seed share.
    n_candidates, limits
        How many places were searched, and where.
    status, reasons
        ``ok``, ``suspect`` or ``failed``, and why.
    sentence
        For people.
    """

    goal: str
    baseline: str
    recipe: str
    resource: str
    scale: float
    rule: str
    budget: float
    spent: float
    unit: str
    runs: tuple[NextArmRun, ...]
    multiplier: float
    before: Interval
    after: Interval
    verdict: str
    power: float
    chance: float
    gain: float
    stop: bool
    ties: tuple[ArmsTie, ...]
    laws: tuple[Mapping[str, Any], ...]
    noise: float
    correlation: float
    correlation_sentence: str
    n_candidates: int
    limits: str
    status: str
    reasons: tuple[Reason, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss next --json`` for two recipes."""
        out: dict[str, Any] = plain(
            {
                "goal": self.goal,
                "baseline": self.baseline,
                "recipe": self.recipe,
                "resource": self.resource,
                "scale": self.scale,
                "rule": self.rule,
                "budget": self.budget,
                "spent": self.spent,
                "unit": self.unit,
                "stop": self.stop,
                "sentence": self.sentence,
                "multiplier": self.multiplier,
                "before": self.before.to_dict(),
                "after": self.after.to_dict(),
                "verdict": self.verdict,
                "power": self.power,
                "chance": self.chance,
                "gain": self.gain,
                "runs": [r.to_dict() for r in self.runs],
                "ties": [t.to_dict() for t in self.ties],
                "laws": [dict(law) for law in self.laws],
                "noise": self.noise,
                "correlation": self.correlation,
                "correlation_sentence": self.correlation_sentence,
                "n_candidates": self.n_candidates,
                "limits": self.limits,
                "status": self.status,
                "reasons": [r.to_dict() for r in self.reasons],
            }
        )
        return out

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of the runs, best first."""
        axes = dict.fromkeys(a for r in self.runs for a in r.at)
        return {
            "recipes": [" and ".join(r.recipes) for r in self.runs],
            "name": [r.name or None for r in self.runs],
            **{a: [r.at[a] for r in self.runs] for a in axes},
            "seeds": [r.seeds for r in self.runs],
            "cost": [r.cost for r in self.runs],
            "gain": [r.gain for r in self.runs],
            "gain_per_cost": [r.gain_per_cost for r in self.runs],
            "multiplier_low": [r.multiplier.low for r in self.runs],
            "multiplier_high": [r.multiplier.high for r in self.runs],
        }

    def summary(self) -> str:
        """Lines for people."""
        lines = [self.sentence]
        for rank, r in enumerate(self.runs, 1):
            lines.append(
                f"  {rank}. {r.place} ({r.cost * r.seeds:.3g} {self.unit}): "
                f"{100 * r.gain:.2g} % off, multiplier then {ends(r.multiplier)}"
            )
            lines.append(f"     {r.reason}")
            if r.shape is not None:
                s = r.shape
                lines.append(
                    f"     {s['depth']} layers, width {s['width']}, {s['heads']} heads: "
                    f"{s['N']:,} parameters"
                )
        for t in self.ties:
            held = f"{', '.join(t.tied)} in common" if t.tied else "nothing in common"
            lines.append(
                f"  with {held}: {ends(t.before)} now, then {ends(t.after)}; the better one is "
                f"called with a chance of {100 * t.power:.0f} %"
            )
        lines.append(f"  noise of a run {100 * self.noise:.2g} %; {self.correlation_sentence}")
        lines.append(f"  searched: {self.limits}; {self.n_candidates} places, for either recipe")
        return "\n".join([*lines, *(f"  {r.code}: {r.message}" for r in self.reasons)])

    def __repr__(self) -> str:
        count = sum(r.runs for r in self.runs)
        return f"NextArms({self.goal}: {count} runs, {100 * self.gain:.0f} % off)"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def ends(v: Interval) -> str:
    """Write both ends of an interval of multipliers."""
    return f"[x{v.low:.3g}, x{v.high:.3g}]"

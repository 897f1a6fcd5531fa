"""How many runs tell two recipes apart, and where they are best made."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.plan.audit_parts import finite
from isoloss.plan.reason import Reason

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PowerDesign:
    """A way to spend runs on the comparison.

    Attributes
    ----------
    name, title
        ``ladder``, ``upper``, ``target`` or ``target_alone``; and in words.
    times
        Least number of repeats with the power asked for; ``None`` where none has it.
    runs
        Runs of both recipes at that number.
    cost
        Of all of them.
    power
        With them.
    curve_runs, curve_cost, curve_power
        Power against the number of runs, and what they cost.
    limit
        Power without end of repeats: what the ladder leaves open, no repeats of other runs close.
    """

    name: str
    title: str
    times: int | None
    runs: tuple[int, int] | None
    cost: float | None
    power: float | None
    curve_runs: Array
    curve_cost: Array
    curve_power: Array
    limit: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "name": self.name,
            "title": self.title,
            "times": self.times,
            "runs": None if self.runs is None else list(self.runs),
            "cost": self.cost,
            "power": self.power,
            "curve": {
                "runs": self.curve_runs.tolist(),
                "cost": self.curve_cost.tolist(),
                "power": self.curve_power.tolist(),
            },
            "power_without_end": self.limit,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What one ladder a recipe sees: the runs at hand, and as many of B where there are none.

    Attributes
    ----------
    shared
        Parameters that both recipes have in common.
    error, freedom
        Standard error of the difference in log loss, and its degrees of freedom.
    power
        Of the effect asked for.
    smallest_loss, smallest
        Least effect that is seen with the power asked for: in log loss, and as a multiplier of
        compute; infinite where no multiplier is that large.
    times
        Ladders that see the effect asked for; ``None`` where `MOST` do not.
    """

    shared: tuple[str, ...]
    error: float
    freedom: float
    power: float
    smallest_loss: float
    smallest: float
    times: int | None

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "shared": list(self.shared),
            "standard_error": finite(self.error),
            "degrees_of_freedom": self.freedom,
            "power": self.power,
            "smallest_loss_percent": finite(100 * math.expm1(min(self.smallest_loss, 700.0))),
            "smallest_multiplier": finite(self.smallest),
            "times": self.times,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Power:
    """Runs that tell recipe A from recipe B.

    Attributes
    ----------
    title
        Where the recipes are compared.
    at
        The place there under recipe A.
    reach
        Its scale in units of the largest run's.
    effect, loss_effect
        The difference to be seen: a multiplier of compute, and what it is in log loss.
    loss
        Of recipe A there.
    law, laws
        The leading law, and what each says: `Now` by name.
    noise, noise_sentence
        Of one run, and where it comes from.
    correlation, correlation_sentence
        Of the noise of two runs of a pair, and where it comes from.
    level, goal
        Of the two-sided test; the power asked for.
    runs, cost
        Of one ladder for both recipes.
    now, free
        With the shared parameters asked for, and with all parameters separate.
    designs
        Ways to spend runs, the cheapest that works first.
    reasons, status
        Doubts.
    sentence
        For people.
    """

    title: str
    at: Mapping[str, float]
    reach: float
    effect: float
    loss_effect: float
    loss: float
    law: str
    laws: Mapping[str, Now]
    noise: float
    noise_sentence: str
    correlation: float
    correlation_sentence: str
    level: float
    goal: float
    runs: tuple[int, int]
    cost: float
    unit: str
    now: Now
    free: Now | None
    designs: tuple[PowerDesign, ...]
    reasons: tuple[Reason, ...]
    status: str
    sentence: str

    def design(self, name: str) -> PowerDesign:
        """Find a design by name."""
        return next(d for d in self.designs if d.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss power --json``."""
        return {
            "schema": SCHEMA,
            "sentence": self.sentence,
            "status": self.status,
            "reasons": [r.to_dict() for r in self.reasons],
            "title": self.title,
            "at": dict(self.at),
            "reach": self.reach,
            "effect": finite(self.effect),
            "loss_effect_percent": 100 * math.expm1(self.loss_effect),
            "loss": self.loss,
            "law": self.law,
            "laws": {n: v.to_dict() for n, v in self.laws.items()},
            "noise": self.noise,
            "noise_sentence": self.noise_sentence,
            "correlation": self.correlation,
            "correlation_sentence": self.correlation_sentence,
            "level": self.level,
            "goal": self.goal,
            "runs": list(self.runs),
            "cost": self.cost,
            "unit": self.unit,
            "now": self.now.to_dict(),
            "free": None if self.free is None else self.free.to_dict(),
            "designs": [d.to_dict() for d in self.designs],
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of the designs."""
        return {
            "design": [d.title for d in self.designs],
            "times": [d.times for d in self.designs],
            "runs": [None if d.runs is None else sum(d.runs) for d in self.designs],
            "cost": [d.cost for d in self.designs],
            "power": [d.power for d in self.designs],
            "power_without_end": [d.limit for d in self.designs],
        }

    def summary(self) -> str:
        """Lines for people."""
        return "\n".join(_lines(self))

    def __repr__(self) -> str:
        return f"Power({self.sentence})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def multiplier_text(value: float) -> str:
    """Write a multiplier of compute.

    Examples
    --------
    >>> multiplier_text(1.0512), multiplier_text(float("inf"))
    ('1.05', 'none')
    """
    if not np.isfinite(value):
        return "none"
    return f"{value:.4g}" if value < 1.01 else f"{value:.3g}"


def _lines(p: Power) -> list[str]:
    lines = [
        p.sentence,
        f"effect: a compute multiplier of {multiplier_text(p.effect)} {p.title}: "
        f"{100 * math.expm1(p.loss_effect):.2g} % of the loss {p.loss:.4g}; "
        f"{p.reach:.3g} times the scale of the largest run",
        f"test: two-sided at {100 * p.level:g} %, power {100 * p.goal:g} %, under {p.law}",
        f"noise: {p.noise_sentence}",
        f"pairs: {p.correlation_sentence}",
        f"one ladder each ({p.runs[0]} and {p.runs[1]} runs, {p.cost:.3g} {p.unit}):",
    ]
    rows = [p.now] if p.free is None else [p.now, p.free]
    lines += [f"  {_now(n)}" for n in rows]
    if len(p.laws) > 1:
        others = [
            f"{name} {multiplier_text(n.smallest)}" for name, n in p.laws.items() if name != p.law
        ]
        lines.append(f"  smallest seen under the other laws: {', '.join(others)}")
    wide = max(len(d.title) for d in p.designs)
    lines.append(f"  {'design':<{wide}}  {'repeats':>8}  {'runs':>7}  {p.unit:>9}  {'power':>6}")
    for d in p.designs:
        if d.times is None or d.runs is None or d.cost is None or d.power is None:
            lines.append(f"  {d.title:<{wide}}  never: {100 * d.limit:.0f} % without end")
            continue
        lines.append(
            f"  {d.title:<{wide}}  {d.times:>8}  {sum(d.runs):>7}  {d.cost:>9.3g}  "
            f"{100 * d.power:>4.0f} %"
        )
    return lines + [f"{r.severity} {r.code}: {r.message}" for r in p.reasons]


def _now(n: Now) -> str:
    shared = f"{', '.join(n.shared)} in common" if n.shared else "nothing in common"
    if not math.isfinite(n.error):
        return f"{shared}: the difference is not determined"
    text = (
        f"{shared}: power {100 * n.power:.0f} %; the smallest multiplier seen is "
        f"{multiplier_text(n.smallest)} ({100 * math.expm1(min(n.smallest_loss, 9.0)):.2g} % of "
        "the loss); "
    )
    if n.times is None:
        return text + "no number of ladders up to the most tried sees the effect"
    many = "one ladder each sees" if n.times == 1 else f"{n.times} ladders each see"
    return text + f"{many} the effect"

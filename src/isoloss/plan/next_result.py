"""What to run next: the answer."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isoloss._core.arrays import Array, freeze
from isoloss._core.interval import Interval
from isoloss.plan.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRun:
    """One configuration to run, with one seed or several.

    Attributes
    ----------
    at, name
        Its resources; its name in a pool, else empty.
    cost, seeds
        Of one run; how many runs there.
    gain, gain_per_cost
        Share of the goal's variance that it takes off what the runs above it leave; that over the
        cost of all its seeds.
    companion_gain
        The same for the companion, ``None`` without one; negative where it is hurt.
    loss, noise
        Where one run there is expected to land; standard deviation of its log loss.
    goal
        Interval of the goal once this run and those above it are made.
    separates
        The pair of laws that it tells apart best, ``None`` where it tells none.
    log_odds
        Expected log likelihood ratio for the true one of that pair, over all its seeds.
    reason
        In words.
    shape
        A transformer of this size, ``None`` where none was asked for.
    """

    at: Mapping[str, float]
    name: str
    cost: float
    seeds: int
    gain: float
    gain_per_cost: float
    companion_gain: float | None
    loss: Interval
    noise: float
    goal: Interval
    separates: tuple[str, str] | None
    log_odds: float
    reason: str
    shape: Mapping[str, Any] | None

    @property
    def place(self) -> str:
        """Resources in words."""
        text = ", ".join(f"{a} = {v:.3g}" for a, v in self.at.items())
        seeds = f", {self.seeds} seeds" if self.seeds > 1 else ""
        return (f"{self.name}: " if self.name else "") + text + seeds

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "at": dict(self.at),
            "name": self.name or None,
            "cost": self.cost,
            "seeds": self.seeds,
            "gain": self.gain,
            "gain_per_cost": self.gain_per_cost,
            "companion_gain": self.companion_gain,
            "loss": self.loss.to_dict(),
            "noise": self.noise,
            "goal": self.goal.to_dict(),
            "separates": None if self.separates is None else list(self.separates),
            "log_odds": self.log_odds,
            "reason": self.reason,
            "shape": None if self.shape is None else dict(self.shape),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Considered:
    """Every candidate, as a single run.

    Attributes
    ----------
    x, cost
        Axis to values, (m,), and what each costs.
    gain
        Share of the goal's variance that one run there takes away, (m,).
    """

    x: Mapping[str, Array]
    cost: Array
    gain: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", {a: freeze(v) for a, v in self.x.items()})
        for name in ("cost", "gain"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.cost)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NextRuns:
    """Runs to make next, best first.

    Attributes
    ----------
    goal, companion
        What they narrow; what they must not ruin, ``None`` for nothing.
    budget, spent, unit
        What was allowed, what the runs cost, and in what.
    runs
        Ranked by gain per cost, each given those above it.
    waves
        Places in ``runs`` of what runs side by side, one tuple a wave.
    longest
        Sum over waves of the cost of the longest run: what the batch takes in time.
    before, after
        Interval of the goal, now and with all runs made.
    companion_before, companion_after
        The same of the companion.
    gain
        Share of the goal's variance that all of them take away.
    stop
        ``True`` where no run within the budget narrows the goal further.
    considered, limits
        All candidates, and where they lie, for people.
    noise
        Standard deviation of the log loss of one run, at the candidate where it is least.
    laws
        Name, weight, value of the goal, and the shares of its variance before and after.
    status, reasons
        ``ok``, ``suspect`` or ``failed``, and why.
    sentence
        For people.
    """

    goal: str
    companion: str | None
    budget: float
    spent: float
    unit: str
    runs: tuple[NextRun, ...]
    waves: tuple[tuple[int, ...], ...]
    longest: float
    before: Interval
    after: Interval
    companion_before: Interval | None
    companion_after: Interval | None
    gain: float
    stop: bool
    considered: Considered
    limits: str
    noise: float
    laws: tuple[Mapping[str, Any], ...]
    status: str
    reasons: tuple[Reason, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss next --json``."""
        both = (self.companion_before, self.companion_after)
        return {
            "goal": self.goal,
            "companion": self.companion,
            "budget": self.budget,
            "spent": self.spent,
            "unit": self.unit,
            "stop": self.stop,
            "sentence": self.sentence,
            "gain": self.gain,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "companion_before": None if both[0] is None else both[0].to_dict(),
            "companion_after": None if both[1] is None else both[1].to_dict(),
            "runs": [r.to_dict() for r in self.runs],
            "waves": [list(w) for w in self.waves],
            "longest": self.longest,
            "n_candidates": len(self.considered),
            "limits": self.limits,
            "noise": self.noise,
            "laws": [dict(law) for law in self.laws],
            "status": self.status,
            "reasons": [r.to_dict() for r in self.reasons],
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of the runs, best first."""
        axes = dict.fromkeys(a for r in self.runs for a in r.at)
        return {
            "name": [r.name or None for r in self.runs],
            **{a: [r.at[a] for r in self.runs] for a in axes},
            "seeds": [r.seeds for r in self.runs],
            "cost": [r.cost for r in self.runs],
            "gain": [r.gain for r in self.runs],
            "gain_per_cost": [r.gain_per_cost for r in self.runs],
            "loss": [(r.loss.low * r.loss.high) ** 0.5 for r in self.runs],
            "goal_low": [r.goal.low for r in self.runs],
            "goal_high": [r.goal.high for r in self.runs],
        }

    def summary(self) -> str:
        """Lines for people."""
        lines = [self.sentence]
        for rank, r in enumerate(self.runs, 1):
            total = r.cost * r.seeds
            lines.append(
                f"  {rank}. {r.place} ({total:.3g} {self.unit}): {100 * r.gain:.0f} % off, "
                f"goal then [{r.goal.low:.5g}, {r.goal.high:.5g}]"
            )
            lines.append(f"     {r.reason}")
            if r.shape is not None:
                s = r.shape
                lines.append(
                    f"     {s['depth']} layers, width {s['width']}, {s['heads']} heads: "
                    f"{s['N']:,} parameters"
                )
        if any(len(w) > 1 for w in self.waves):
            shown = "; ".join(" and ".join(str(i + 1) for i in w) for w in self.waves)
            lines.append(
                f"  side by side: {shown}; the longest of each come to {self.longest:.3g} "
                f"{self.unit}"
            )
        if self.companion_before is not None and self.companion_after is not None:
            b, a = self.companion_before, self.companion_after
            lines.append(
                f"  {self.companion}: [{b.low:.4g}, {b.high:.4g}] now, then "
                f"[{a.low:.4g}, {a.high:.4g}]"
            )
        lines.append(f"  searched: {self.limits}; {len(self.considered)} candidates")
        return "\n".join([*lines, *(f"  {r.code}: {r.message}" for r in self.reasons)])

    def __repr__(self) -> str:
        return f"NextRuns({self.goal}: {len(self.runs)} runs, {100 * self.gain:.0f} % off)"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"

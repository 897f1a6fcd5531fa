"""A ladder that both recipes climb: places, twins, and what each run costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.fit.backtest import run_scale
from isoloss.laws import Law
from isoloss.plan.audit_questions import fixed_axes
from isoloss.plan.cost import Cost
from isoloss.plan.design_places import read_ladder
from isoloss.plan.power_arms import Pairs
from isoloss.runs import Runs


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """A ladder for both recipes: places, twins, what each run costs."""

    a: Mapping[str, Array]
    b: Mapping[str, Array]
    twins: tuple[Pairs, Pairs]
    cost_a: Array
    cost_b: Array

    @property
    def runs(self) -> tuple[int, int]:
        """Count the runs of A and of B."""
        return len(self.cost_a), len(self.cost_b)

    @property
    def cost(self) -> float:
        """Cost of all runs."""
        return float(self.cost_a.sum() + self.cost_b.sum())

    def upper(self) -> Ladder:
        """Keep the third of the runs that cost most, and no rung halved."""
        all_costs = np.sort(np.concatenate([self.cost_a, self.cost_b]))
        least = all_costs[math.ceil(len(all_costs) * 2 / 3) - 1] * (1 + 1e-9)
        if least >= all_costs[-1]:
            least = all_costs[-1] * (1 - 1e-9)
        keep_a, keep_b = self.cost_a > least, self.cost_b > least
        new_a, new_b = np.cumsum(keep_a) - 1, np.cumsum(keep_b) - 1
        both = keep_a[self.twins[0]] & keep_b[self.twins[1]]
        return Ladder(
            {a: v[keep_a] for a, v in self.a.items()},
            {a: v[keep_b] for a, v in self.b.items()},
            (new_a[self.twins[0][both]], new_b[self.twins[1][both]]),
            self.cost_a[keep_a],
            self.cost_b[keep_b],
        )


def make_ladder(
    table: Runs,
    second: Runs | None,
    twins: tuple[Pairs, Pairs],
    design: str | Mapping[str, Any] | None,
    law: Law,
    cost: Cost,
) -> Ladder:
    """Take the ladder that the caller writes, or the places of the pilots."""
    if design is not None:
        x = read_ladder(design, cost)
        count = len(next(iter(x.values())))
        x = {a: np.full(count, v) for a, v in fixed_axes(table, law).items()} | x
        if missing := [a for a in law.axes if a not in x]:
            raise InputError(f"design: {', '.join(missing)} missing; {law.name} needs it")
        x = {a: x[a] for a in law.axes}
        price = price_of(x, law, cost)
        return Ladder(x, x, same_twins(len(price)), price, price)
    a = {name: table[name] for name in law.axes}
    b = a if second is None else {name: second[name] for name in law.axes}
    return Ladder(a, b, twins, price_of(a, law, cost), price_of(b, law, cost))


def same_twins(count: int) -> tuple[Pairs, Pairs]:
    """Make each run of A the twin of the run of B in its row."""
    return np.arange(count), np.arange(count)


def price_of(x: Mapping[str, Array], law: Law, cost: Cost) -> Array:
    """Cost runs at places: in FLOPs with N and D, else in the axis of the law."""
    if {"N", "D"} <= set(law.axes):
        return np.asarray(cost(x["N"], x["D"]))
    return run_scale(x, law.axes)

"""A law of two recipes at the scale where they are compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array, as_positive
from isoloss.errors import FitError, InputError
from isoloss.plan.audit_questions import Aim, fixed_axes, make_aim, place_under
from isoloss.plan.audit_take import Taken
from isoloss.plan.cost import Cost
from isoloss.plan.design_findings import is_one_line
from isoloss.plan.local_model import LocalModel
from isoloss.plan.power_ladder import price_of
from isoloss.plan.problem import Problem, make_problem
from isoloss.runs import Runs

_FARTHEST = 70.0
"""Largest log multiplier that is looked for: thirty decades."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A law of both recipes at the scale of the comparison."""

    a: LocalModel
    b: LocalModel
    problem: Problem
    aim: Aim
    place: dict[str, float]
    reach: float

    @classmethod
    def of(
        cls, a: Taken, b: Taken | None, table: Runs, at: Mapping[str, float], cost: Cost
    ) -> View:
        """Place the comparison under a law of the pilot, and of B where there is a pilot of it."""
        law = a.model.law
        joint = {"N", "D"} <= set(law.axes)
        where = {str(k): as_positive(f"at {k}", v) for k, v in at.items()}
        budget = where.get("C") if joint and set(where) == {"C"} else None
        line = joint and is_one_line(table["N"], table["D"])
        aim = make_aim(table, law, budget, None if budget else where, cost, line)
        problem = make_problem(law, cost, fixed_axes(table, law), None)
        place = place_under(a.model, problem, aim)
        if place is None:
            raise FitError(
                "NO_INTERIOR_OPTIMUM",
                f"{law.name} has no best split {aim.title}; compare at a place, N=...,D=...",
            )
        far = float(price_of({k: np.array([v]) for k, v in place.items()}, law, cost)[0])
        near = price_of({k: table[k] for k in law.axes}, law, cost)
        model = a.model if b is None else a.model.at(b.model.theta)
        return cls(a.model, model, problem, aim, place, far / float(near.max()))

    @property
    def loss(self) -> float:
        """Evaluate the loss of A at the scale."""
        return self.moved(0.0)

    def columns(self, model: LocalModel) -> dict[str, Array]:
        """Place the comparison under a recipe, as columns."""
        place = place_under(model, self.problem, self.aim) or self.place
        return {a: np.array([v]) for a, v in place.items()}

    def moved(self, log_m: float) -> float:
        """Loss of A with exp(log_m) times the compute: at the best split, or at the same D/N."""
        m = math.exp(log_m)
        if self.aim.C is not None:
            found = self.a.split(self.problem, self.aim.C * m)
            if found is None:
                return math.nan
            at = {"N": found[0], "D": found[1], "C": self.aim.C * m} | dict(self.problem.fixed)
            at = {a: at[a] for a in self.a.law.axes}
        elif {"N", "D"} <= set(self.place):
            power = {"N": 0.5, "D": 0.5, "C": 1.0}
            at = {a: v * m ** power.get(a, 0.0) for a, v in self.place.items()}
        else:
            lead = self.a.law.axes[0]
            at = {a: v * (m if a == lead else 1.0) for a, v in self.place.items()}
        return float(self.a.loss({a: np.array([v]) for a, v in at.items()})[0])

    def effect(self, multiplier: float | None, loss: float | None) -> float:
        """Effect in log loss that the caller asks for."""
        if (multiplier is None) == (loss is None):
            raise InputError("effect, loss_effect: give one of them, such as effect=1.05")
        if multiplier is not None:
            m = as_positive("effect", multiplier)
            if not 1e-6 < abs(math.log(m)) < _FARTHEST:
                raise InputError(f"effect = {multiplier!r}: a multiplier of compute such as 1.05")
            found = abs(math.log(self.loss / self.moved(math.log(m))))
            if not (math.isfinite(found) and found > 0):
                raise FitError("FLAT", f"{self.a.law.name} does not change with compute there")
            return found
        gap = as_positive("loss_effect", loss)
        if gap >= self.loss:
            raise InputError(f"loss_effect = {loss!r}: must be below the loss, {self.loss:.4g}")
        return -math.log1p(-gap / self.loss)

    def multiplier(self, delta: float) -> float:
        """Multiplier of compute that lowers the log loss by delta; infinite below the floor."""
        goal = self.loss * math.exp(-min(delta, 700.0))
        high = 1e-3
        while self.moved(high) > goal:
            high *= 2
            if high > _FARTHEST:
                return math.inf
        low = 0.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.moved(middle) > goal else (low, middle)
        return math.exp(high)

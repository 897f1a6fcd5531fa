"""Where along the axes two recipes are compared: loss at a compute, and compute for a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws import Law
from isoloss.plan.cheapest import cheapest
from isoloss.plan.cost import Cost
from isoloss.plan.optimum import solve
from isoloss.plan.problem import Problem
from isoloss.plan.root import bracketed_root

_REACH = 40.0
"""Natural logarithm of how far, to either side, compute for a loss is looked for."""


class Path(Protocol):
    """One recipe along a path of growing compute; batched over parameters (B, p)."""

    def loss(self, theta: Array, C: Array) -> Array:
        """Loss at computes, (m,) or (B, m) -> (B, m)."""

    def compute(self, theta: Array, loss: Array, near: Array) -> Array:
        """Compute that reaches a loss, (B, m); infinite where none does, zero where all do."""

    def point(self, theta: Array, C: float) -> dict[str, float]:
        """Where one parameter vector, (1, p), puts a compute along the axes."""


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """Each compute split between N and D where the loss is least."""

    problem: Problem

    def loss(self, theta: Array, C: Array) -> Array:
        """See `Path`."""
        return self.problem.loss(theta, solve(self.problem, theta, C).log_N, C)

    def compute(self, theta: Array, loss: Array, near: Array) -> Array:
        """See `Path`; ``near`` is not needed."""
        return cheapest(self.problem, theta, loss)

    def point(self, theta: Array, C: float) -> dict[str, float]:
        """See `Path`."""
        N = np.exp(solve(self.problem, theta, np.array([C])).log_N[0, 0])
        return {"N": float(N), "D": float(self.problem.cost.tokens(N, C))}


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A given point at each compute: one resource alone, a fixed ratio or a fixed size."""

    law: Law
    at: Callable[[Array], dict[str, Array]]

    def loss(self, theta: Array, C: Array) -> Array:
        """See `Path`."""
        return self.law(theta, self.at(np.asarray(C, dtype=np.float64)))

    def compute(self, theta: Array, loss: Array, near: Array) -> Array:
        """See `Path`; computes within `_REACH` of ``near``, (m,), are looked at."""
        target = np.log(loss)
        with np.errstate(all="ignore"):
            low = np.broadcast_to(np.log(near) - _REACH, target.shape)
            high = low + 2 * _REACH

            def miss(x: Array) -> Array:
                value = np.log(self.loss(theta, np.exp(x))) - target
                return np.where(np.isfinite(value), value, -1.0)

            root = bracketed_root(miss, low, high)
            beyond = np.where(miss(high) > 0, np.inf, 0.0)
        return np.where(np.isfinite(root), np.exp(root), beyond)

    def point(self, theta: Array, C: float) -> dict[str, float]:
        """See `Path`."""
        return {a: float(v[0]) for a, v in self.at(np.array([C])).items()}


def along_axis(law: Law) -> Line:
    """Path of a law of one resource: that resource."""
    return Line(law, lambda c: {law.axes[0]: c})


def along_ratio(law: Law, cost: Cost, ratio: float) -> Line:
    """Path with D = ratio N."""

    def at(C: Array) -> dict[str, Array]:
        # For costs k N D the size is a root; `Coefficient` is all that is used here.
        N = np.sqrt(C / (cost(1.0, 1.0) * ratio))
        return {"N": N, "D": ratio * N}

    return Line(law, at)


def along_data(law: Law, cost: Cost, size: float) -> Line:
    """Path of growing data at a fixed size."""

    def at(C: Array) -> dict[str, Array]:
        return {"N": np.full_like(C, size), "D": cost.tokens(size, C)}

    return Line(law, at)

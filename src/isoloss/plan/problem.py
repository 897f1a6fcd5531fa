"""The problem that is solved: the least loss that a budget can buy under a law."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_positive
from isoloss.errors import InputError
from isoloss.laws import Law, get_law
from isoloss.laws.calculus import derivative
from isoloss.laws.expression import Node, axis
from isoloss.laws.tape import evaluate
from isoloss.plan.cost import Coefficient, Cost, SixND, as_cost

_ROUNDING = 2e-13


@lru_cache(maxsize=1)
def _power_sums() -> dict[str, float]:
    """Formulas of the laws E + (u^k + v^k)^(1/k), whose optimum has a closed form; their k."""
    return {
        get_law("chinchilla").formula: 1.0,
        get_law("additive").formula: 1.0,
        get_law("coupled").formula: float("nan"),
    }


@lru_cache(maxsize=64)
def _slopes(node: Node) -> tuple[Node, Node]:
    return derivative(node, axis("N")), derivative(node, axis("D"))


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A law, a cost and what is held fixed; all methods are batched over parameters.

    ``theta`` has shape (B, p). Budgets and sizes are of shape (n,), shared by all parameters, or
    (B, n), each row its own.
    """

    law: Law
    cost: Cost
    fixed: Mapping[str, float] = field(default_factory=dict)
    max_D: float | None = None

    @property
    def splits(self) -> bool:
        """Whether the law speaks of both sides of the split."""
        return "N" in self.law.axes and "D" in self.law.axes

    def _inputs(self, N: Array, D: Array) -> dict[str, Array]:
        shape = np.broadcast_shapes(N.shape, D.shape)
        known = {"N": N, "D": D} | {a: np.asarray(v) for a, v in self.fixed.items()}
        return {a: np.broadcast_to(known[a], shape) for a in self.law.axes}

    def loss(self, theta: Array, log_N: Array, C: Array) -> Array:
        """Loss at size exp(log_N), the rest of the budget spent on data; (B, n)."""
        N = np.exp(log_N)
        D = self.cost.tokens(N, C)
        if self.max_D is not None:
            D = np.minimum(D, self.max_D)
        return self.law(theta, self._inputs(N, D))

    def slope(self, theta: Array, log_N: Array, C: Array) -> Array:
        """Exact derivative of `loss` with respect to log_N, the data not capped; (B, n)."""
        N = np.exp(log_N)
        D = self.cost.tokens(N, C)
        leaves: dict[str, Any] = dict(self._inputs(N, D))
        leaves |= {n: theta[:, i, None] for i, n in enumerate(self.law.names)}
        by_N, by_D = evaluate(list(_slopes(self.law.expression)), leaves)
        up, down = N * by_N, self.cost.tilt(N, D) * D * by_D
        # Where the two sides cancel to rounding the sign of the rest means nothing.
        value = np.where(np.abs(up + down) <= _ROUNDING * np.abs(up), 0.0, up + down)
        return np.asarray(np.broadcast_to(value, (len(theta), value.shape[-1])))

    def power_sum(self, theta: Array) -> dict[str, Array] | None:
        """Constants E, A, B, alpha, beta, k of shape (B, 1) where the closed form holds."""
        if type(self.cost) not in (Coefficient, SixND):
            return None
        if self.law.formula not in _power_sums() or self.max_D is not None:
            return None
        known = _power_sums()[self.law.formula]
        values = {"E": np.zeros((len(theta), 1)), "k": np.full((len(theta), 1), known)}
        for name in ("E", "A", "B", "alpha", "beta", "k"):
            source = self.law.tied.get(name, name)
            if source in self.law.names:
                values[name] = theta[:, self.law.names.index(source), None]
            elif name in self.law.pinned:
                values[name] = np.full((len(theta), 1), self.law.pinned[name])
        return values

    def least_size(self, C: Array) -> Array | None:
        """Log of the size below which the budget would ask for more data than there are."""
        if self.max_D is None:
            return None
        return np.log(self.cost.size(self.max_D, C))


def make_problem(
    law: Law,
    cost: Cost | Callable[[Any, Any], Any],
    fixed: Mapping[str, float] | None,
    max_D: float | None,
) -> Problem:
    """Check the caller's policy; U given to a law without repetition caps the data."""
    held = {str(k): as_positive(f"fixed[{k!r}]", v) for k, v in (fixed or {}).items()}
    cap = None if max_D is None else as_positive("max_D", max_D)
    if "U" in held and "U" not in law.axes:
        unique = held.pop("U")
        cap = unique if cap is None else min(cap, unique)
    taken = [a for a in held if a in ("N", "D") or a not in law.axes]
    if taken:
        raise InputError(
            f"fixed: {taken[0]!r} is not an extra axis of {law.name}, which has "
            f"{', '.join(law.axes)}; N and D are what is planned"
        )
    missing = [a for a in law.axes if a not in ("N", "D") and a not in held]
    if missing and {"N", "D"} <= set(law.axes):
        raise InputError(f"law {law.name} needs {missing[0]}: give fixed={{{missing[0]!r}: ...}}")
    return Problem(law, as_cost(cost), held, cap)


def read_source(
    law: Any, theta: Mapping[str, float] | npt.ArrayLike | None, draws: npt.ArrayLike | None
) -> tuple[Law, Array, Array | None, str | None]:
    """Accept a law with parameters, or anything that has both (such as a fit with draws)."""
    method = None
    if not isinstance(law, Law):
        if not (hasattr(law, "law") and hasattr(law, "theta")):
            raise InputError(f"law = {type(law).__name__}: expected a law, or a fit of one")
        fitted = law
        law = fitted.law
        if theta is None:
            theta = fitted.theta
            own = getattr(fitted, "draws", None)
            if draws is None and own is not None and len(own):
                draws, method = own, str(getattr(fitted, "method", "")) or None
    if theta is None:
        raise InputError("theta: a law alone has no values; give its parameters, or a fit")
    vector = law.theta(theta)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise InputError(f"theta: expected {len(law.names)} finite values, got {vector!r}")
    matrix = None
    if draws is not None:
        matrix = law.theta(draws)
        if matrix.ndim != 2 or not len(matrix) or not np.isfinite(matrix).all():
            raise InputError(
                f"draws: expected a finite array of shape (B, {len(law.names)}), "
                f"got shape {matrix.shape}"
            )
    return law, vector, matrix, method

"""A law near its fitted values: how losses and answers move with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import LeastSquares
from isoloss.fit.prepare import Prepared
from isoloss.laws import Law
from isoloss.plan.optimum import NONE, solve
from isoloss.plan.problem import Problem

_SMALLEST = 1e-3
"""Below this share of its unit a parameter has no size of its own to be measured in."""
_FLOOR = 0.3
"""Least size of a floor, in units of a typical loss: one near zero is not known to a share."""
_STEP = 1e-3
_STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))


@dataclass(frozen=True, slots=True, eq=False)
class LocalModel:
    """A law at some values, linear in relative changes of its parameters.

    Parameters are those of the law with axes and loss in units of the runs' geometric means, so
    that an amplitude is the size of its term at the middle of the runs. Each is measured in its
    own size: a change of 0.1 is one of 10 %.

    Attributes
    ----------
    law, theta
        Parameters in the user's units, (p,).
    scales
        Units of the axes and of the loss.
    q, size
        Internal coordinates of the values, and how far one relative unit of each reaches.
    """

    law: Law
    theta: Array
    scales: Mapping[str, float]
    q: Array
    size: Array

    @classmethod
    def of(cls, data: Prepared, theta: Array) -> LocalModel:
        """Take the values of a fit of ``data.law``."""
        kernel = Kernel(data.law, data.x, data.loss, LeastSquares())
        q = kernel.internal(theta)
        own = np.where(np.abs(q) > _SMALLEST, np.abs(q), 1.0)
        floors = np.array([p.unit == "L" for p in data.law.parameters])
        own = np.where(floors, np.maximum(own, _FLOOR), own)
        return cls(data.law, theta, kernel.scales, q, np.where(kernel.logs, 1.0, own))

    def at(self, theta: Array) -> LocalModel:
        """Take other values of the law, in the same units and sizes."""
        one = {a: np.ones(1) for a in self.law.axes}
        kernel = Kernel(self.law, one, np.ones(1), LeastSquares(), scales=self.scales)
        return LocalModel(self.law, theta, self.scales, kernel.internal(theta), self.size)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names for people, with a star where the value is taken at the middle of the runs."""
        mid = [p.unit and any(a in p.unit for a in self.law.axes) for p in self.law.parameters]
        return tuple(n + "*" * bool(m) for n, m in zip(self.law.names, mid, strict=True))

    def rows(self, x: Mapping[str, Array]) -> Array:
        """Differentiate the log loss at resources ``x`` by relative changes, (m, p)."""
        count = len(next(iter(x.values())))
        kernel = Kernel(self.law, x, np.ones(count), LeastSquares(), scales=self.scales)
        return np.asarray(kernel.jacobian(self.q[None], slice(0, count))[0].T * self.size)

    def loss(self, x: Mapping[str, Array]) -> Array:
        """Loss at resources ``x``, (m,)."""
        return self.law(self.theta, x)

    def split(self, problem: Problem, C: float) -> tuple[float, float] | None:
        """Best N and D of a budget, or nothing where the law has none."""
        budgets = np.array([C])
        found = solve(problem, self.theta[None], budgets)
        if found.kind[0, 0] == NONE:
            return None
        N = float(np.exp(found.log_N[0, 0]))
        return N, float(problem.cost.tokens(N, C))

    def split_row(self, problem: Problem, C: float) -> Array:
        r"""Differentiate :math:`\log N_{opt}` by relative changes, (p,).

        Along the budget the log loss :math:`\ell(n, u)` is least at :math:`n^*`, so
        :math:`dn^*/du = -\ell_{nu} / \ell_{nn}`. Both are differences in log N of exact
        derivatives.
        """
        found = self.split(problem, C)
        assert found is not None
        n = np.log(found[0]) + _STEP * np.array([i for i, _ in _STENCIL])
        weights = np.array([w for _, w in _STENCIL]) / _STEP
        N = np.exp(n)
        fixed = {a: np.full(len(n), v) for a, v in problem.fixed.items()}
        x = {"N": N, "D": np.asarray(problem.cost.tokens(N, C))} | fixed
        x = {a: x[a] for a in self.law.axes}
        cross = weights @ self.rows(x)
        budgets = np.full(len(n), C)
        slope = problem.slope(self.theta[None], n, budgets)[0] / self.loss(x)
        return np.asarray(-cross / (weights @ slope))

    def parameter_row(self, name: str) -> Array:
        """Differentiate a floor or an exponent, in the user's units, by relative changes, (p,)."""
        i = self.law.names.index(name)
        unit = float(self.scales["L"]) if self.law.parameters[i].unit == "L" else 1.0
        row = np.zeros(len(self.q))
        row[i] = unit * self.size[i]
        # Those that are fitted in their logarithm change by their own size.
        if self.size[i] == 1.0 and self.law.parameters[i].lower > 0:
            row[i] = abs(float(self.theta[i]))
        return row

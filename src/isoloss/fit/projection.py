"""Variable projection: what a walk towards a minimum sees of a kernel.

Its runs, or some of them, and its amplitudes, which follow the other parameters.
"""

from __future__ import annotations

from copy import copy

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective, Objectives

MAX_ROWS = 512
"""The approach looks at this many runs at most, spread evenly over the losses."""


class View:
    """What the approach sees of a kernel: some of its runs, and its amplitudes.

    Weights are per problem or shared, (B, n) or (1, n); the runs are thinned where shared.
    """

    def __init__(self, kernel: Kernel, weights: Array) -> None:
        self.kernel = kernel
        n = kernel.n
        self.rows: slice | npt.NDArray[np.int64] = slice(0, n)
        if n > MAX_ROWS and len(weights) == 1:
            # The runs that count, spread over the losses; of very many only every k-th,
            # which is spread over the axes too, as runs are sorted by them.
            order = np.flatnonzero(weights[0] > 0)
            order = order[:: max(1, len(order) // (16 * MAX_ROWS))]
            order = order[np.argsort(kernel.y[order], kind="stable")]
            n = min(MAX_ROWS, len(order))
            self.rows = np.sort(order[np.linspace(0, len(order) - 1, n).astype(int)])
        self.n = n
        self.weights, self.y = weights[:, self.rows], kernel.y[self.rows]
        self.floor = kernel.floor(self.weights)
        self.inverse = np.exp(-self.y)
        self.linear = list(kernel.amplitudes)
        self.bent = [i for i in range(kernel.p) if i not in kernel.amplitudes]

    def part(self, which: npt.NDArray[np.int64]) -> View:
        """See some of the problems."""
        if len(self.weights) == 1:
            return self
        found = copy(self)
        found.weights, found.floor = self.weights[which], self.floor[which]
        return found

    def residuals(self, q: Array) -> tuple[Array, Array]:
        """Residuals, (B, n), and their first derivatives, (B, p, n)."""
        return self.kernel.residuals(q, self.rows, self.n, self.y)

    def typical(self, q: Array) -> Array:
        """Median size of the residuals of the runs that count, (B,)."""
        r = np.abs(self.kernel.predict(q, self.rows) - self.y)
        return median(r, self.weights > 0)

    def terms(
        self, r: Array, jac: Array, goal: Objective | Objectives
    ) -> tuple[Array, Array, Array]:
        """Objective, gradient and Gauss-Newton matrix."""
        rho, psi, _, omega = goal.terms(r)
        value = np.add.reduce(rho * self.weights, axis=1)
        gradient = (jac @ (psi * self.weights)[:, :, None])[:, :, 0]
        matrix = (jac * (omega * self.weights)[:, None]) @ jac.transpose(0, 2, 1)
        return np.where(np.isfinite(value), value, np.inf), gradient, matrix

    def projected(self, q: Array, goal: Objective | Objectives) -> tuple[Array, Array, Array]:
        """Trials with the amplitudes that suit them, their residuals and first derivatives."""
        jac = self.kernel.shapes(q, self.rows, self.n) if self.linear else None
        if jac is None:
            q = self.restored(q, goal)
            return q, *self.residuals(q)
        columns = jac[:, self.linear]
        q = self._fitted(q, goal, columns, 0.0)
        predicted = (q[:, None, self.linear] @ columns)[:, 0]
        jac[:, self.bent] *= q[:, self.kernel.owners, None]
        if not self.kernel.objective.log:
            return q, predicted - self.y, jac
        jac *= np.reciprocal(predicted)[:, None]
        return q, np.log(predicted) - self.y, jac

    def restored(self, q: Array, goal: Objective | Objectives) -> Array:
        """Give each trial its best amplitudes, within their bounds, by least squares."""
        if not self.linear:
            return q
        return self._fitted(q, goal, *self.kernel.basis(q, self.rows, self.n))

    def _fitted(
        self, q: Array, goal: Objective | Objectives, columns: Array, rest: Array | float
    ) -> Array:
        """Amplitudes of ``columns``, (B, m, n), whose sum with ``rest`` is the scaled loss.

        In relative residuals, which are linear in the amplitudes and near the logarithmic ones,
        with the weights that the objective gives to the residuals as they are.
        """
        predicted = rest + (q[:, None, self.linear] @ columns)[:, 0]
        r = (np.log(predicted) if self.kernel.objective.log else predicted) - self.y
        omega = goal.terms(r)[3]
        if not np.isfinite(np.add.reduce(omega, axis=None)):
            # Amplitudes that make a loss negative do not say which runs to believe.
            omega = np.where(np.isfinite(omega), omega, 1.0)
        omega = omega * self.weights
        if self.kernel.objective.log:
            columns = columns * self.inverse
            r = predicted * self.inverse - 1.0
        weighted = columns * omega[:, None]
        gram = weighted @ columns.transpose(0, 2, 1)
        right = (weighted @ r[:, :, None])[:, :, 0]
        m = len(self.linear)
        d = 1 / np.sqrt(np.maximum(gram.reshape(len(q), m * m)[:, :: m + 1], 1e-300))
        gram = gram * (d[:, :, None] * d[:, None, :])
        gram.reshape(len(q), m * m)[:, :: m + 1] += 1e-12
        right = right * d
        old = q[:, self.linear]
        low, high = self.kernel.lower[self.linear], self.kernel.upper[self.linear]
        amplitudes = old - d * solved(gram, right)
        out = (amplitudes < low) | (amplitudes > high)
        if out.any():
            # Those that would leave stay at the bound, and the others follow.
            held = np.where(out, (np.clip(amplitudes, low, high) - old) / d, 0.0)
            right = np.where(out, -held, right + (gram @ held[:, :, None])[:, :, 0])
            free = np.where(out, 0.0, 1.0)
            gram = gram * (free[:, :, None] * free[:, None, :])
            gram.reshape(len(q), m * m)[:, :: m + 1] += out
            amplitudes = old - d * solved(gram, right)
        q = q.copy()
        q[:, self.linear] = np.clip(amplitudes, low, high)
        return q


def solved(matrix: Array, right: Array) -> Array:
    """Solve a batch of systems; those that are not finite give zero."""
    if not np.isfinite(np.add.reduce(matrix, axis=None) + np.add.reduce(right, axis=None)):
        good = np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(right).all(axis=1)
        bad = np.logical_not(np.asarray(good))
        matrix = np.where(bad[:, None, None], np.eye(matrix.shape[1]), matrix)
        right = np.where(bad[:, None], 0.0, right)
    try:
        return np.asarray(np.linalg.solve(matrix, right[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        return np.asarray((np.linalg.pinv(matrix) @ right[:, :, None])[:, :, 0])


def median(values: Array, used: npt.NDArray[np.bool_]) -> Array:
    """Medians of those that are used, (B,), of finite values (B, n); not a number without any."""
    count = np.count_nonzero(used, axis=1)
    ordered = np.sort(np.where(used, values, np.inf), axis=1)
    each = np.arange(len(values))
    low, high = ordered[each, np.maximum(count - 1, 0) // 2], ordered[each, count // 2]
    return np.where(count > 0, 0.5 * (low + high), np.nan)

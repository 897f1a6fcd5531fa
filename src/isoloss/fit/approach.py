"""From starts to the neighbourhood of a minimum, in a few steps of variable projection.

A sum of power laws is a narrow curved valley in all its parameters at once, and a plain one in
its exponents alone, once the amplitudes follow them. So each trial of the engine here is first
given the amplitudes that suit it. Starts that meet on the way go on as one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.engine import (
    MAX_ITER,
    MAX_ITERATIONS,
    STALLED,
    Solutions,
    minimise,
)
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective

STEPS = 20
PATIENCE = 3
"""Steps that are left once half of the starts have arrived."""
ENOUGH = 1e-5
"""A step that gains less than this share of the objective ends the approach."""
MEET = 0.02
"""Starts are one when going from one to the other would change the objective by this share."""
FIRST = 10
"""Newton steps after which a group is given up that is still above the best."""
GROUPS = 3
"""Groups of starts that are followed to the end."""
MAX_ROWS = 512
"""The approach looks at this many runs at most, spread evenly over the losses."""


def descend(kernel: Kernel, starts: Array, weights: Array) -> Solutions:
    """Minimise from every start, but follow only one of those that meet.

    Of the best group of starts that have met, the best and the one farthest from it are both
    minimised to the end; should they part, so are all the others. What is returned has one entry
    a start; a start whose group was left behind has an infinite value.
    """
    if len(starts) < 2:
        return minimise(kernel, starts, weights=weights)
    near = approach(kernel, starts, weights)
    groups = near.groups()
    if not groups:
        return minimise(kernel, starts, weights=weights)
    size = len(starts)
    answer = Solutions(
        near.q.copy(), np.full(size, np.inf), np.full(size, STALLED), near.steps.copy()
    )
    heads = [g[0] for g in groups[:GROUPS]]
    witness = near.farthest(groups[0])
    followed = list(dict.fromkeys([*heads, witness]))
    _follow(kernel, weights, answer, followed, FIRST)
    lowest = np.min(answer.value[[heads[0], witness]])
    _follow(
        kernel,
        weights,
        answer,
        [
            i
            for i in followed
            if answer.status[i] == MAX_ITER
            and (i in (heads[0], witness) or answer.value[i] < lowest)
        ],
    )
    scale = max(float(np.min(answer.value)), near.floor)
    best = int(np.argmin(answer.value))
    if answer.status[best] == STALLED:
        # The neighbourhood was no help: all the way from the starts, then.
        raw = minimise(kernel, starts, weights=weights)
        better = raw.value < answer.value
        for ours, theirs in zip(answer.arrays(), raw.arrays(), strict=True):
            ours[better] = theirs[better]
        return answer
    if answer.value[witness] <= answer.value[heads[0]] + 1e-7 * scale:
        for group in groups[:GROUPS]:
            rest = [i for i in group if i not in (group[0], witness)]
            for ours in answer.arrays()[:3]:
                ours[rest] = ours[group[0]]
    if np.sum(answer.value <= answer.value[best] + 1e-7 * scale) < 2:
        # Nobody agrees with the best so far: ask those left behind.
        left = np.isfinite(near.value) & (np.isinf(answer.value) | (answer.status == MAX_ITER))
        _follow(kernel, weights, answer, np.flatnonzero(left).tolist())
    return answer


def _follow(
    kernel: Kernel,
    weights: Array,
    answer: Solutions,
    which: list[int],
    limit: int = MAX_ITERATIONS,
) -> None:
    """Minimise some of the starts from where they are, and enter what comes of it."""
    if which:
        solved = minimise(kernel, answer.q[which], weights=weights, max_iterations=limit)
        answer.q[which], answer.value[which] = solved.q, solved.value
        answer.status[which] = solved.status
        answer.iterations[which] += solved.iterations


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """Where each start arrived: coordinates, value, Gauss-Newton matrix, steps taken."""

    q: Array
    value: Array
    matrix: Array
    steps: npt.NDArray[np.int64]
    floor: float

    def _distance(self, members: npt.NDArray[np.int64]) -> Array:
        """Give the change of the objective on the way from j to i, as a share of it, (i, j)."""
        q, m = self.q[members], self.matrix[members]
        d = q[:, None] - q[None]
        with np.errstate(all="ignore"):
            change = np.add.reduce((d[:, :, None, :] @ m)[:, :, 0] * d, axis=-1)
        return np.asarray(change / np.maximum(self.value[members], self.floor))

    def groups(self) -> list[list[int]]:
        """List starts that met, the best group and the best of each group first."""
        order = np.argsort(self.value, kind="stable")
        order = order[np.isfinite(self.value[order])]
        near = (self._distance(order) <= MEET).tolist()
        found: list[list[int]] = []
        for i in range(len(order)):
            home = next((g for g in found if near[i][g[0]]), None)
            if home is None:
                found.append([i])
            else:
                home.append(i)
        return [[int(order[i]) for i in g] for g in found]

    def farthest(self, group: list[int]) -> int:
        """Find the member of a group that is farthest from its best."""
        return group[int(np.argmax(self._distance(np.array(group))[:, 0]))]


@np.errstate(all="ignore")
def approach(kernel: Kernel, starts: Array, weights: Array) -> Near:
    """Damped Gauss-Newton steps on a relaxed objective, amplitudes projected out of each trial.

    Where the objective is robust, its threshold is raised to what the residuals of the best
    start suggest: a threshold far below the noise makes every step short.
    """
    view = _View(kernel, weights)
    q = kernel.clip(np.array(starts, dtype=np.float64))
    size, p = q.shape
    r, jac = view.residuals(q)
    typical = np.median(np.abs(r), axis=1)
    typical = typical[np.isfinite(typical)]
    if not typical.size:
        nothing = np.zeros((size, p, p))
        return Near(q, np.full(size, np.inf), nothing, np.zeros(size, dtype=int), view.floor)
    goal = replace(kernel.objective, delta=max(kernel.objective.delta, 2.2 * float(typical.min())))
    value, gradient, matrix = view.terms(r, jac, goal)
    damping = np.full(size, 1e-3)
    steps = np.zeros(size, dtype=np.int64)
    moving = np.flatnonzero(np.isfinite(value))
    patience = STEPS
    for _ in range(STEPS):
        if not moving.size or not patience:
            break
        if 2 * len(moving) <= size:
            patience = min(patience, PATIENCE) - 1
        here, old, eased = q[moving], value[moving], damping[moving]
        step = _step(kernel, here, gradient[moving], matrix[moving], eased)
        trial = view.restored(kernel.clip(here + step), goal)
        new, new_gradient, new_matrix = view.terms(*view.residuals(trial), goal)
        better = np.asarray(new < old)
        steps[moving] += 1
        took = moving[better]
        q[took], value[took] = trial[better], new[better]
        gradient[took], matrix[took] = new_gradient[better], new_matrix[better]
        damping[moving] = np.where(better, eased * 0.1, np.maximum(eased * 10.0, 1e-2))
        enough = np.abs(old - new) <= ENOUGH * np.maximum(old, view.floor)
        moving = moving[~(enough | (damping[moving] > 1e8))]
    return Near(q, value, matrix, steps, view.floor)


@np.errstate(all="ignore")
def restored(kernel: Kernel, q: Array, weights: Array) -> Array:
    """Give parameter vectors, (B, p), the amplitudes that suit the others."""
    return _View(kernel, weights).restored(kernel.clip(q), kernel.objective)


def _step(kernel: Kernel, q: Array, gradient: Array, matrix: Array, damping: Array) -> Array:
    fixed = ((q <= kernel.lower) & (gradient > 0)) | ((q >= kernel.upper) & (gradient < 0))
    p = q.shape[1]
    diagonal = np.maximum(matrix.reshape(len(q), p * p)[:, :: p + 1], 1e-300)
    d = np.where(fixed, 0.0, 1 / np.sqrt(diagonal))
    scaled = matrix * (d[:, :, None] * d[:, None, :])
    scaled.reshape(len(q), p * p)[:, :: p + 1] += fixed + (damping + 1e-12)[:, None]
    return -d * _solved(scaled, d * gradient)


def _solved(matrix: Array, right: Array) -> Array:
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


class _View:
    """What the approach sees of a kernel: some of its runs, and its amplitudes."""

    def __init__(self, kernel: Kernel, weights: Array) -> None:
        self.kernel = kernel
        n = kernel.n
        self.rows: slice | npt.NDArray[np.int64] = slice(0, n)
        if n > MAX_ROWS:
            # The runs that count, spread over the losses; of very many only every k-th,
            # which is spread over the axes too, as runs are sorted by them.
            order = np.flatnonzero(weights > 0)
            order = order[:: max(1, len(order) // (16 * MAX_ROWS))]
            order = order[np.argsort(kernel.y[order], kind="stable")]
            n = min(MAX_ROWS, len(order))
            self.rows = np.sort(order[np.linspace(0, len(order) - 1, n).astype(int)])
        self.n = n
        self.weights, self.y = weights[self.rows], kernel.y[self.rows]
        self.floor = float(kernel.floor(self.weights))
        self.inverse = np.exp(-self.y)
        self.linear = list(kernel.amplitudes)

    def residuals(self, q: Array) -> tuple[Array, Array]:
        return self.kernel.residuals(q, self.rows, self.n, self.y)

    def terms(self, r: Array, jac: Array, goal: Objective) -> tuple[Array, Array, Array]:
        rho, psi, _, omega = goal.terms(r)
        value = rho @ self.weights
        gradient = (jac @ (psi * self.weights)[:, :, None])[:, :, 0]
        matrix = (jac * (omega * self.weights)[:, None]) @ jac.transpose(0, 2, 1)
        return np.where(np.isfinite(value), value, np.inf), gradient, matrix

    def restored(self, q: Array, goal: Objective) -> Array:
        """Give each trial its best amplitudes, within their bounds, by least squares.

        In relative residuals, which are linear in the amplitudes and near the logarithmic ones,
        with the weights that the objective gives to the residuals as they are.
        """
        if not self.linear:
            return q
        columns, rest = self.kernel.basis(q, self.rows, self.n)
        predicted = rest + (q[:, None, self.linear] @ columns)[:, 0]
        if self.kernel.objective.log:
            omega = goal.terms(np.log(predicted) - self.y)[3] * self.weights
            columns *= self.inverse
            r = predicted * self.inverse - 1.0
        else:
            r = predicted - self.y
            omega = goal.terms(r)[3] * self.weights
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
        amplitudes = old - d * _solved(gram, right)
        out = (amplitudes < low) | (amplitudes > high)
        if out.any():
            # Those that would leave stay at the bound, and the others follow.
            held = np.where(out, (np.clip(amplitudes, low, high) - old) / d, 0.0)
            right = np.where(out, -held, right + (gram @ held[:, :, None])[:, :, 0])
            free = np.where(out, 0.0, 1.0)
            gram = gram * (free[:, :, None] * free[:, None, :])
            gram.reshape(len(q), m * m)[:, :: m + 1] += out
            amplitudes = old - d * _solved(gram, right)
        q = q.copy()
        q[:, self.linear] = np.clip(amplitudes, low, high)
        return q

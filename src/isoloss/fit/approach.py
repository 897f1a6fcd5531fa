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
    CONVERGED,
    MAX_ITER,
    MAX_ITERATIONS,
    STALLED,
    Solutions,
    minimise,
)
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective, Objectives
from isoloss.fit.projection import View, solved

STEPS = 20
WIDE = 2.2
"""Threshold of the approach in units of the median residual of a start."""
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
        _ask(kernel, weights, answer, np.flatnonzero(left), best, scale)
    return answer


def _ask(
    kernel: Kernel,
    weights: Array,
    answer: Solutions,
    left: npt.NDArray[np.int64],
    best: int,
    scale: float,
) -> None:
    """Follow the starts left behind, until one agrees with the best.

    Where the best is still on its way nobody can agree with it, and all go on, that one too.
    """
    if answer.status[best] != CONVERGED:
        _follow(kernel, weights, answer, left.tolist())
        return
    _follow(kernel, weights, answer, left.tolist(), enough=answer.value[best] + 1e-7 * scale)
    lowest = float(np.min(answer.value))
    if lowest < answer.value[best] - 1e-7 * scale:
        # The one that ended the batch went on to a better point: once more, for that one.
        left = left[answer.status[left] == MAX_ITER]
        _follow(kernel, weights, answer, left.tolist(), enough=lowest + 1e-7 * scale)


def _follow(
    kernel: Kernel,
    weights: Array,
    answer: Solutions,
    which: list[int],
    limit: int = MAX_ITERATIONS,
    enough: float = -np.inf,
) -> None:
    """Minimise some of the starts from where they are, and enter what comes of it."""
    if which:
        solved = minimise(
            kernel, answer.q[which], weights=weights, max_iterations=limit, enough=enough
        )
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
    view = View(kernel, weights[None])
    q = kernel.clip(np.array(starts, dtype=np.float64))
    typical = np.median(np.abs(kernel.predict(q, view.rows) - view.y), axis=1)
    typical = typical[np.isfinite(typical)]
    floor = float(view.floor[0])
    if not typical.size:
        size, p = q.shape
        nothing = np.zeros((size, p, p))
        return Near(q, np.full(size, np.inf), nothing, np.zeros(size, dtype=int), floor)
    goal = replace(kernel.objective, delta=max(kernel.objective.delta, WIDE * float(typical.min())))
    q, value, matrix, steps = _walk(view, q, goal, STEPS, PATIENCE)
    return Near(q, value, matrix, steps, floor)


@np.errstate(all="ignore")
def settle(
    kernel: Kernel, starts: Array, weights: Array, steps: int, goal: Objectives | None = None
) -> tuple[Array, Array, Array]:
    """As `approach`, for problems with weights and objectives of their own.

    Parameters
    ----------
    starts, weights
        Internal coordinates, (B, p), and weights of the runs, (B, n).
    steps
        At most this many.
    goal
        By default Huber's, with the thresholds that the median residuals of the starts suggest.

    Returns
    -------
    q, value, typical
        Where each problem arrived, (B, p), the relaxed objective there, and the median size of
        the residuals of the runs that count, (B,).
    """
    view = View(kernel, weights)
    q = kernel.clip(np.array(starts, dtype=np.float64))
    if goal is None:
        goal = Objectives(WIDE * view.typical(q)[:, None], np.ones((len(q), 1)))
    q, value, _, _ = _walk(view, q, goal, steps)
    return q, value, view.typical(q)


def _walk(
    view: View, q: Array, goal: Objective | Objectives, limit: int, patience: int | None = None
) -> tuple[Array, Array, Array, npt.NDArray[np.int64]]:
    """Take damped Gauss-Newton steps; give coordinates, values, matrices and steps taken.

    With ``patience`` the batch ends this many steps after half of it has arrived.
    """
    kernel, size = view.kernel, len(q)
    value, gradient, matrix = view.terms(*view.residuals(q), goal)
    damping = np.full(size, 1e-3)
    steps = np.zeros(size, dtype=np.int64)
    moving = np.flatnonzero(np.isfinite(value))
    seen, aim = view.part(moving), _part(goal, moving)
    left = limit
    for _ in range(limit):
        if not moving.size or not left:
            break
        if patience is not None and 2 * len(moving) <= size:
            left = min(left, patience) - 1
        here, old, eased = q[moving], value[moving], damping[moving]
        step = _step(kernel, here, gradient[moving], matrix[moving], eased)
        trial, r, jac = seen.projected(kernel.clip(here + step), aim)
        new, new_gradient, new_matrix = seen.terms(r, jac, aim)
        better = np.asarray(new < old)
        steps[moving] += 1
        took = moving[better]
        q[took], value[took] = trial[better], new[better]
        gradient[took], matrix[took] = new_gradient[better], new_matrix[better]
        damping[moving] = np.where(better, eased * 0.1, np.maximum(eased * 10.0, 1e-2))
        enough = np.abs(old - new) <= ENOUGH * np.maximum(old, seen.floor)
        stay = ~(enough | (damping[moving] > 1e8))
        if np.count_nonzero(stay) < len(stay):
            moving = moving[stay]
            seen, aim = view.part(moving), _part(goal, moving)
    return q, value, matrix, steps


def _part(goal: Objective | Objectives, which: npt.NDArray[np.int64]) -> Objective | Objectives:
    return goal.part(which) if isinstance(goal, Objectives) else goal


@np.errstate(all="ignore")
def restored(kernel: Kernel, q: Array, weights: Array) -> Array:
    """Give parameter vectors, (B, p), the amplitudes that suit the others."""
    return View(kernel, weights[None]).restored(kernel.clip(q), kernel.objective)


def _step(kernel: Kernel, q: Array, gradient: Array, matrix: Array, damping: Array) -> Array:
    fixed = ((q <= kernel.lower) & (gradient > 0)) | ((q >= kernel.upper) & (gradient < 0))
    p = q.shape[1]
    diagonal = np.maximum(matrix.reshape(len(q), p * p)[:, :: p + 1], 1e-300)
    d = np.where(fixed, 0.0, 1 / np.sqrt(diagonal))
    scaled = matrix * (d[:, :, None] * d[:, None, :])
    scaled.reshape(len(q), p * p)[:, :: p + 1] += fixed + (damping + 1e-12)[:, None]
    return -d * solved(scaled, d * gradient)

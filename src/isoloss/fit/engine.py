"""The minimiser: damped Newton steps with exact derivatives, for a whole batch of problems.

Starts, resamples and back-test cuts of one law are one batch. Each problem has its own damping
and leaves the batch when it has converged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel, Terms
from isoloss.fit.objective import Objective, Objectives

MAX_ITERATIONS = 200
CONVERGED, MAX_ITER, STALLED = 0, 1, 2
ROUNDING = 1e-12
"""Share of the objective that rounding may make of a step that changes nothing."""
RIDGE = 1e-14
"""Share of the diagonal that is added to it: singular systems have a solution."""
STILL = 1e6
"""Times the tolerance: what one parameter may still gain alone where a problem has converged."""


@dataclass(frozen=True, slots=True, eq=False)
class Solutions:
    """Where each problem of a batch ended.

    Attributes
    ----------
    q
        Internal coordinates, (B, p).
    value
        Objective, (B,).
    status
        ``CONVERGED``, ``MAX_ITER`` or ``STALLED``, (B,).
    iterations
        (B,).
    """

    q: Array
    value: Array
    status: npt.NDArray[np.int64]
    iterations: npt.NDArray[np.int64]

    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """All four, in order."""
        return self.q, self.value, self.status, self.iterations


@np.errstate(all="ignore")
def minimise(
    kernel: Kernel,
    starts: Array,
    *,
    weights: Array | None = None,
    y: Array | None = None,
    goal: Objective | Objectives | None = None,
    max_iterations: int = MAX_ITERATIONS,
    newton: bool = True,
    tolerance: float = 1e-13,
    enough: float = -np.inf,
) -> Solutions:
    r"""Minimise the kernel's objective from each start.

    Steps solve :math:`(H + \lambda M) s = -g` with H the exact Hessian and M the Gauss-Newton
    matrix with majorising weights, so that :math:`\lambda \to 0` is Newton's method (quadratic
    convergence, exact active set of a Huber loss) and large :math:`\lambda` a short step of the
    robust Gauss-Newton method, which always descends. A problem has converged when the predicted
    decrease falls below ``tolerance`` times its objective; that last step is still taken.

    Parameters
    ----------
    starts
        Internal coordinates, (B, p).
    weights, y
        Per problem or shared: (B, n) or (1, n).
    goal
        What is minimised, if not the kernel's objective; `Objectives` for one a problem.
    newton
        ``False`` leaves out the second derivatives of the law (Gauss-Newton): an engine that
        shares none with the first, used to check it.
    enough
        The batch ends when one problem has converged to this objective or a lower one.
    """
    q = kernel.clip(np.array(starts, dtype=np.float64))
    size = len(q)
    weights = np.ones((1, kernel.n)) if weights is None else np.atleast_2d(weights)
    y = kernel.y[None] if y is None else np.atleast_2d(y)
    state = kernel.terms(q, weights, y, second=newton, goal=goal)
    finite = np.isfinite(state.value)
    answer = Solutions(
        q.copy(),
        state.value.copy(),
        np.where(finite, MAX_ITER, STALLED),
        np.zeros(size, dtype=np.int64),
    )
    alive = np.arange(size)
    damping = np.full(size, 1e-2)
    floor = np.empty(size)
    floor[:] = kernel.floor(weights)
    # Problems that are done leave; the others move up, so that no step pays for the former.
    leave = ~finite
    for iteration in range(1, max_iterations + 1):
        if np.count_nonzero(leave):
            stay = np.flatnonzero(~leave)
            if not stay.size:
                break
            alive, q, damping, floor = alive[stay], q[stay], damping[stay], floor[stay]
            state = Terms(*[part[stay] for part in state.arrays()])
            weights = weights if len(weights) == 1 else weights[stay]
            y = y if len(y) == 1 else y[stay]
            goal = goal.part(stay) if isinstance(goal, Objectives) else goal
        g = state.gradient
        damped = damping[:, None, None] * state.major
        damped += state.hessian
        step, predicted = _step(damped, state.hessian, g, q, kernel)
        scale = np.maximum(state.value, floor)
        limit = tolerance * scale
        eased = 1 + damping
        # An indefinite Hessian points uphill or promises no decrease; the majorising matrix
        # never does.
        uphill = ~(predicted > 0)
        idle = _promise(g, step, eased) <= limit
        if np.count_nonzero(idle):
            # Nor does a step to a saddle promise any, as where an amplitude is zero and its
            # exponent takes the blame; that is no end while a parameter alone would gain.
            idle &= _alone(state, q, kernel) > STILL * limit
            uphill |= idle
        if np.count_nonzero(uphill):
            u = np.flatnonzero(uphill)
            m = state.major[u]
            step[u], predicted[u] = _step(eased[u, None, None] * m, m, g[u], q[u], kernel)
        trial = kernel.clip(q + step)
        new = kernel.terms(trial, weights, y, second=newton, goal=goal)
        gain = state.value - new.value
        slope = np.add.reduce(g * (trial - q), axis=1)
        promise = np.abs(slope) * eased
        small = (promise <= limit) & ~idle
        # A step this small cannot be judged by the rounded objective: take it unless it hurts.
        rounding = ROUNDING * scale
        fine = small | (promise <= rounding)
        better = np.where(fine, gain >= -rounding, (slope < 0) & (gain > 0))
        good = better & (fine | (gain > 0.75 * predicted))
        poor = ~better | (gain < 0.1 * predicted)
        fresh = damping * np.where(good, 0.2, np.where(poor, 10.0, 1.0))
        damping = np.where(good & (fresh < 1e-8), 0.0, fresh)
        if np.count_nonzero(better) == len(better):
            q, state = trial, new
        else:
            damping = np.where(better, damping, np.maximum(damping, 1e-2))
            took = np.flatnonzero(better)
            q[took] = trial[took]
            for old, found in zip(state.arrays(), new.arrays(), strict=True):
                old[took] = found[took]
        stuck = damping > 1e12
        leave = small | stuck
        if np.count_nonzero(leave) or iteration == max_iterations:
            if (state.value[small] <= enough).any():
                leave[:] = True
            answer.q[alive], answer.value[alive] = q, state.value
            answer.iterations[alive] = iteration
            answer.status[alive[stuck]] = STALLED
            answer.status[alive[small]] = CONVERGED
    return answer


def _step(damped: Array, matrix: Array, g: Array, q: Array, kernel: Kernel) -> tuple[Array, Array]:
    """Solve for the steps, and predict the decrease under ``matrix``.

    Parameters held at a bound by the gradient do not move.
    """
    ridge = _diagonal(damped)
    ridge += RIDGE * np.maximum(_diagonal(matrix), 1e-300) + 1e-300
    fixed = _held(q, g, kernel)
    bound = bool(np.count_nonzero(fixed))
    step = _solve(damped, g, fixed if bound else None, None)
    crossed = None
    # Parameters that would cross a bound stop at it, and the others take the step that is best
    # then; merely cutting the step short would leave them uphill of where they should go.
    for _ in range(2):
        aim = q + step
        crossing = (aim < kernel.lower) | (aim > kernel.upper)
        if bound:
            crossing &= ~fixed
        if not np.count_nonzero(crossing):
            break
        bound = True
        crossed = crossing if crossed is None else crossed | crossing
        rows = np.flatnonzero(np.logical_or.reduce(crossing, axis=1))
        fixed = fixed | crossing
        at = fixed[rows]
        reach = np.where(crossing[rows], kernel.clip(aim[rows]) - q[rows], step[rows])
        step[rows] = _solve(damped[rows], g[rows], at, np.where(at, reach, 0.0))
    # Logarithms of parameters may not jump by more than a factor e^3 in one step.
    if kernel.any_logs:
        longest = np.maximum.reduce(np.abs(step) * kernel.logs, axis=1, initial=0.0)
        if not np.maximum.reduce(longest, initial=0.0) <= 3.0:
            step *= np.minimum(1.0, 3.0 / np.maximum(longest, 1e-300))[:, None]
    slope = np.add.reduce(g * step, axis=1)
    curved = np.add.reduce((matrix @ step[:, :, None])[:, :, 0] * step, axis=1)
    # Uphill counts as no decrease even where a negative curvature would promise one; and so
    # does a bound that holds a parameter which the gradient wants to leave it.
    downhill = slope < 0
    if crossed is not None:
        pull = g + (damped @ step[:, :, None])[:, :, 0]
        low, high = (q <= kernel.lower) & (pull < 0), (q >= kernel.upper) & (pull > 0)
        downhill &= ~np.logical_or.reduce((low | high) & crossed, axis=1)
    return step, np.where(downhill, -(slope + 0.5 * curved), -1.0)


def _held(q: Array, g: Array, kernel: Kernel) -> npt.NDArray[np.bool_]:
    """Which parameters the gradient holds at a bound."""
    return ((q <= kernel.lower) & (g > 0)) | ((q >= kernel.upper) & (g < 0))


def _promise(g: Array, step: Array, eased: Array) -> Array:
    """By how much steps, and those without damping, change the objective to first order."""
    return np.asarray(np.abs(np.add.reduce(g * step, axis=1)) * eased)


def _alone(state: Terms, q: Array, kernel: Kernel) -> Array:
    """Twice the largest decrease that one parameter alone promises under the majorising matrix."""
    g = state.gradient
    promised = g / np.sqrt(np.maximum(_diagonal(state.major), 1e-300))
    promised = np.where(_held(q, g, kernel), 0.0, promised) ** 2
    return np.asarray(np.maximum.reduce(promised, axis=1, initial=0.0))


def _diagonal(matrices: Array) -> Array:
    """View of the diagonals of contiguous matrices, (B, p)."""
    b, p, _ = matrices.shape
    return matrices.reshape(b, p * p)[:, :: p + 1]


def _solve(
    matrix: Array, g: Array, fixed: npt.NDArray[np.bool_] | None, values: Array | None
) -> Array:
    """Solve ``matrix @ step = -g`` with some components fixed, at ``values`` or at zero."""
    rhs = -g
    if values is not None:
        rhs -= (matrix @ values[:, :, None])[:, :, 0]
    # Scale rows and columns by the root of the diagonal: amplitudes and exponents differ widely.
    d = 1.0 / np.sqrt(np.maximum(np.abs(_diagonal(matrix)), 1e-300))
    if fixed is not None:
        d = np.where(fixed, 0.0, d)
    scaled = matrix * d[:, :, None]
    scaled *= d[:, None, :]
    if fixed is not None:
        diagonal = _diagonal(scaled)
        diagonal += fixed
    bad = None
    if not math.isfinite(np.add.reduce(scaled, axis=None)):
        bad = ~np.isfinite(scaled).all(axis=(1, 2))
        scaled[bad] = np.eye(g.shape[1])
    try:
        step = np.linalg.solve(scaled, (d * rhs)[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        step = (np.linalg.pinv(scaled) @ (d * rhs)[:, :, None])[:, :, 0]
    step *= d
    if values is not None:
        step += values
    if bad is not None:
        step[bad] = 0.0
    return np.asarray(step)


__all__ = ["CONVERGED", "MAX_ITER", "STALLED", "Solutions", "Terms", "minimise"]

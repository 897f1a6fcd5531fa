"""The minimiser: damped Newton steps with exact derivatives, for a whole batch of problems.

Starts, resamples and back-test cuts of one law are one batch. Each problem has its own damping
and leaves the batch when it has converged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel, Terms

MAX_ITERATIONS = 200
CONVERGED, MAX_ITER, STALLED = 0, 1, 2


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


@np.errstate(all="ignore")
def minimise(
    kernel: Kernel,
    starts: Array,
    *,
    weights: Array | None = None,
    y: Array | None = None,
    max_iterations: int = MAX_ITERATIONS,
    newton: bool = True,
    tolerance: float = 1e-13,
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
    newton
        ``False`` replaces H by M: a slower engine that shares no second derivatives with the
        first, used to check it.
    """
    q = np.clip(np.asarray(starts, dtype=np.float64), kernel.lower, kernel.upper)
    size = len(q)
    weights = np.ones((1, kernel.n)) if weights is None else np.atleast_2d(weights)
    y = kernel.y[None] if y is None else np.atleast_2d(y)
    status = np.full(size, MAX_ITER, dtype=np.int64)
    iterations = np.zeros(size, dtype=np.int64)
    damping = np.full(size, 1e-2)
    floor = np.broadcast_to(kernel.floor(weights), size)
    state = kernel.terms(q, weights, y, second=newton)
    value, gradient = state.value.copy(), state.gradient.copy()
    major, hessian = state.major.copy(), state.hessian.copy()
    status[~np.isfinite(value)] = STALLED
    alive = np.flatnonzero(np.isfinite(value))
    for iteration in range(max_iterations):
        if not alive.size:
            break
        g, base = gradient[alive], major[alive]
        matrix = hessian[alive] if newton else base
        here = q[alive]
        extra = damping[alive, None, None] * base
        step, predicted = _step(matrix + extra, matrix, base, g, here, kernel)
        # An indefinite Hessian points uphill or promises no decrease; the majorising matrix
        # never does.
        uphill = np.flatnonzero(~(predicted > 0))
        if uphill.size and newton:
            m = base[uphill]
            step[uphill], predicted[uphill] = _step(
                m + extra[uphill], m, m, g[uphill], here[uphill], kernel
            )
        trial = np.clip(here + step, kernel.lower, kernel.upper)
        step = trial - here
        slope = np.einsum("bp,bp->b", g, step)
        iterations[alive] = iteration + 1
        shared = weights if len(weights) == 1 else weights[alive]
        seen = y if len(y) == 1 else y[alive]
        new = kernel.terms(trial, shared, seen, second=newton)
        scale = np.maximum(value[alive], floor[alive])
        small = np.abs(slope) * (1 + damping[alive]) <= tolerance * scale
        # A step this small cannot be judged by the rounded objective: take it unless it hurts.
        better = np.where(
            small,
            new.value <= value[alive] + 1e-12 * scale,
            (slope < 0) & (new.value < value[alive]),
        )
        ratio = (value[alive] - new.value) / np.maximum(predicted, 1e-300)
        took = alive[better]
        q[took], value[took] = trial[better], new.value[better]
        gradient[took], major[took] = new.gradient[better], new.major[better]
        hessian[took] = new.hessian[better]
        good = better & ((ratio > 0.75) | small)
        poor = ~better | (ratio < 0.1)
        change = np.where(good, 0.1, np.where(poor, 6.0, 1.0))
        fresh = damping[alive] * change
        damping[alive] = np.where(good & (fresh < 1e-8), 0.0, np.maximum(fresh, 0.0))
        raised = alive[~better]
        damping[raised] = np.maximum(damping[raised], 1e-4)
        done = small
        stuck = ~done & (damping[alive] > 1e12)
        status[alive[done]] = CONVERGED
        status[alive[stuck]] = STALLED
        alive = alive[~(done | stuck)]
    return Solutions(q, value, status, iterations)


def _step(
    damped: Array, matrix: Array, base: Array, g: Array, q: Array, kernel: Kernel
) -> tuple[Array, Array]:
    """Solve for the steps, and predict the decrease under ``matrix``.

    Parameters held at a bound by the gradient do not move.
    """
    ridge = 1e-14 * np.maximum(np.einsum("bpp->bp", base), 1e-300) + 1e-300
    damped = damped + ridge[:, :, None] * np.eye(q.shape[1])
    fixed = ((q <= kernel.lower) & (g > 0)) | ((q >= kernel.upper) & (g < 0))
    step = _solve(damped, g, fixed, np.zeros_like(q))
    # Parameters that would cross a bound stop at it, and the others take the step that is best
    # then; merely cutting the step short would leave them uphill of where they should go.
    for _ in range(2):
        crossing = ((q + step < kernel.lower) | (q + step > kernel.upper)) & ~fixed
        rows = np.flatnonzero(crossing.any(axis=1))
        if not rows.size:
            break
        aim = np.where(crossing, np.clip(q + step, kernel.lower, kernel.upper) - q, step)
        fixed[rows] |= crossing[rows]
        step[rows] = _solve(damped[rows], g[rows], fixed[rows], np.where(fixed, aim, 0.0)[rows])
    # Logarithms of parameters may not jump by more than a factor e^3 in one step.
    longest = np.max(np.abs(step) * kernel.logs, axis=1, initial=0.0)
    step *= np.minimum(1.0, 3.0 / np.maximum(longest, 1e-300))[:, None]
    slope = np.einsum("bp,bp->b", g, step)
    curved = np.einsum("bp,bpq,bq->b", step, matrix, step)
    # Uphill counts as no decrease even where a negative curvature would promise one.
    return step, np.where(slope < 0, -(slope + 0.5 * curved), -1.0)


def _solve(matrix: Array, g: Array, fixed: npt.NDArray[np.bool_], values: Array) -> Array:
    """Solve ``matrix @ step = -g`` with some components of the steps given."""
    rhs = -g
    if fixed.any():
        free = ~fixed
        rhs = np.where(fixed, values, rhs - np.einsum("bpq,bq->bp", matrix, values))
        matrix = matrix * (free[:, :, None] & free[:, None, :])
        index = np.arange(g.shape[1])
        matrix[:, index, index] += np.where(fixed, 1.0, 0.0)
    # Scale rows and columns by the root of the diagonal: amplitudes and exponents differ widely.
    d = 1.0 / np.sqrt(np.maximum(np.abs(np.einsum("bpp->bp", matrix)), 1e-300))
    scaled = matrix * d[:, :, None] * d[:, None, :]
    bad = ~np.isfinite(scaled).all(axis=(1, 2))
    scaled[bad] = np.eye(g.shape[1])
    try:
        step = d * np.linalg.solve(scaled, (d * rhs)[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        step = d * (np.linalg.pinv(scaled) @ (d * rhs)[:, :, None])[:, :, 0]
    step[bad] = 0.0
    return np.asarray(step)


__all__ = ["CONVERGED", "MAX_ITER", "STALLED", "Solutions", "Terms", "minimise"]

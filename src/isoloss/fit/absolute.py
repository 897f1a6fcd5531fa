"""Least absolute deviations, exactly: the optimum passes through as many runs as parameters."""

from __future__ import annotations

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit.certificate import Reason
from isoloss.fit.engine import CONVERGED, Solutions, minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective


def solve_absolute(
    kernel: Kernel, rough: Solutions, weights: Array, goal: Objective, reasons: list[Reason]
) -> tuple[Solutions, list[Reason]]:
    """Sharpen solutions of the smooth problem into the exact optimum.

    The Huber threshold is lowered in steps; then the runs that the law passes through are solved
    for exactly, and the multipliers of those runs prove the optimum: each lies within the slopes
    of the absolute value.
    """
    order = np.argsort(rough.value, kind="stable")
    # Starts that agree are one; of the others two are followed, should they cross below it.
    apart = np.diff(rough.value[order], prepend=-np.inf) > 1e-7 * rough.value[order[0]]
    q = rough.q[order[apart][:3]]
    proven = False
    for delta in (1e-5, 1e-6, 1e-7, 1e-8):
        sharper = Kernel(
            kernel.law, kernel.x_user, kernel.loss_user, goal, scales=kernel.scales, smooth=delta
        )
        q = minimise(sharper, q, weights=weights, max_iterations=100).q
        totals = np.array([_total(kernel, v, weights, goal) for v in q])
        best = q[int(np.argmin(totals))]
        vertex, proven = _vertex(kernel, best, weights, goal)
        if _total(kernel, vertex, weights, goal) <= totals.min() * (1 + 1e-12):
            best = vertex
        else:
            proven = False
        if proven and len(q) == 1:
            break
    # A law that passes through all runs needs no proof.
    floor = 1e-8 * kernel.typical * float(np.sum(weights))
    if not proven and _total(kernel, best, weights, goal) > floor:
        reasons = [
            *reasons,
            Reason(
                code="NOT_A_VERTEX",
                message="the least-absolute optimum could not be proven by multipliers; its "
                "objective is right to about 1e-7",
            ),
        ]
    value = np.array([_total(kernel, best, weights, goal)])
    one = np.zeros(1, dtype=np.int64)
    return Solutions(best[None], value, one + CONVERGED, one), reasons


def _total(kernel: Kernel, q: Array, weights: Array, goal: Objective) -> float:
    return float(goal.total(kernel.predict(q[None])[0] - kernel.y, weights))


def _vertex(kernel: Kernel, q: Array, weights: Array, goal: Objective) -> tuple[Array, bool]:
    # Equal runs are one run of their summed weight: the law passes through all or none of them.
    table = np.stack([*kernel.x.values(), kernel.y], axis=1)
    _, first, label = np.unique(table, axis=0, return_index=True, return_inverse=True)
    weights = np.asarray(np.bincount(label.ravel(), weights), dtype=np.float64)
    rows = slice(0, kernel.n)
    free = (q > kernel.lower) & (q < kernel.upper)
    k = int(free.sum())
    r = (kernel.predict(q[None])[0] - kernel.y)[first]
    # A run of no weight holds nothing.
    distance = np.where(weights > 0, np.abs(r), np.inf)
    touched = np.sort(np.argsort(distance, kind="stable")[:k])
    point = q.copy()
    for _ in range(8):
        jac = kernel.jacobian(point[None], rows)[0][free][:, first[touched]]
        r = (kernel.predict(point[None])[0] - kernel.y)[first]
        try:
            point[free] -= np.linalg.solve(jac.T, r[touched])
        except np.linalg.LinAlgError:
            return q, False
        point = np.clip(point, kernel.lower, kernel.upper)
    r = (kernel.predict(point[None])[0] - kernel.y)[first]
    if not np.isfinite(r).all() or np.max(np.abs(r[touched])) > 1e-10:
        return q, False
    jac = kernel.jacobian(point[None], rows)[0][free][:, first]
    slope = np.where(r > 0, goal.over, -1.0) * weights
    slope[touched] = 0.0
    try:
        multipliers = np.linalg.solve(jac[:, touched], -jac @ slope)
    except np.linalg.LinAlgError:
        return q, False
    w = weights[touched]
    ok = (multipliers <= goal.over * w * (1 + 1e-7)) & (multipliers >= -w * (1 + 1e-7))
    return point, bool(ok.all())

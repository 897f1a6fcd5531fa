"""Least absolute deviations, exactly: the optimum passes through as many runs as parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.certificate import Reason
from isoloss.fit.engine import CONVERGED, Solutions, minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective

PIVOTS = 200
VERTICES = 20
FIRST_BREAKS = 2048
"""Of very many runs, this many are sorted first when an edge is followed."""

Index = npt.NDArray[np.int64]


def solve_absolute(
    kernel: Kernel, rough: Solutions, weights: Array, goal: Objective, reasons: list[Reason]
) -> tuple[Solutions, list[Reason]]:
    """Turn solutions of the smooth problem into the exact optimum.

    From the smooth optimum, the law is linearised and the linear problem solved by exchanging,
    one at a time, the runs that it passes through; then those runs are solved for exactly. The
    multipliers of the runs at the end prove the optimum: each lies within the slopes of the
    absolute value. Where this does not get there, a Huber threshold is lowered in steps first.
    """
    order = np.argsort(rough.value, kind="stable")
    order = order[np.isfinite(rough.value[order])]
    # Starts that agree are one; of the others two are followed, should they cross below it.
    lowest = rough.value[order[0]]
    apart = np.append(True, np.diff(rough.value[order]) > 1e-7 * lowest)
    runs = _Runs(kernel, weights, goal)
    # A law that passes through all runs needs no proof.
    floor = 1e-8 * kernel.typical * float(np.sum(weights))
    found = []
    for q in rough.q[order[apart][:3]]:
        vertex, proven = runs.vertex(q)
        if not proven and runs.total(q) > floor:
            vertex, proven = runs.sharpened(vertex)
        found.append((runs.total(vertex), not proven, vertex))
    total, unproven, best = min(found, key=lambda f: f[:2])
    if unproven and total > floor:
        reasons = [
            *reasons,
            Reason(
                code="NOT_A_VERTEX",
                message="the least-absolute optimum could not be proven by multipliers; its "
                "objective is right to about 1e-7",
            ),
        ]
    one = np.zeros(1, dtype=np.int64)
    return Solutions(best[None], np.array([total]), one + CONVERGED, one), reasons


@dataclass(slots=True, eq=False)
class _Linear:
    """The law linearised: residuals, their derivatives (k, n), and the runs passed through."""

    residual: Array
    jac: Array
    through: Index


class _Runs:
    """The runs of a kernel, equal ones taken as one of their summed weight.

    The law passes through all of them or none, so they are one corner of the objective.
    """

    def __init__(self, kernel: Kernel, weights: Array, goal: Objective) -> None:
        self.kernel, self.all_weights, self.goal = kernel, weights, goal
        new = np.zeros(kernel.n, dtype=bool)
        new[0] = True
        for column in (*kernel.x.values(), kernel.y):
            new[1:] |= column[1:] != column[:-1]
        self.first = np.flatnonzero(new)
        self.weights = np.add.reduceat(weights, self.first)
        self.y = kernel.y[self.first]
        self.rows: slice | Index = self.first if len(self.first) < kernel.n else slice(0, kernel.n)

    def total(self, q: Array) -> float:
        """Objective in the kernel's space."""
        r = self.kernel.predict(q[None])[0] - self.kernel.y
        return float(self.goal.total(r, self.all_weights))

    def vertex(self, q: Array) -> tuple[Array, bool]:
        """Go from vertex to vertex while the objective falls; say if the last is proven best."""
        free = (q > self.kernel.lower) & (q < self.kernel.upper)
        best, total = q, self.total(q)
        r, jac = self._derivatives(q, free)
        through = _independent(np.where(self.weights > 0, np.abs(r), np.inf), jac)
        if through is None:
            return q, False
        linear = _Linear(r, jac, through)
        for _ in range(VERTICES):
            if not self._exchange(linear):
                return best, False
            point = self._passing(best, free, linear)
            if point is None:
                return best, False
            reached = self.total(point)
            if not reached < total * (1 + 1e-12):
                return best, False
            best, total = point, min(total, reached)
            linear.residual, linear.jac = self._derivatives(point, free)
            linear.residual[linear.through] = 0.0
            if self._optimal(linear):
                return best, True
        return best, False

    def sharpened(self, q: Array) -> tuple[Array, bool]:
        """Lower the Huber threshold in steps, trying for the vertex after each."""
        k = self.kernel
        best, total, proven = q, self.total(q), False
        for delta in (1e-5, 1e-6, 1e-7, 1e-8):
            sharper = Kernel(k.law, k.x_user, k.loss_user, self.goal, scales=k.scales, smooth=delta)
            q = minimise(sharper, q[None], weights=self.all_weights, max_iterations=100).q[0]
            vertex, sure = self.vertex(q)
            for point, mark in ((q, False), (vertex, sure)):
                reached = self.total(point)
                if reached < total or (mark and reached <= total * (1 + 1e-12)):
                    best, total, proven = point, reached, mark
            if proven:
                break
        return best, proven

    def _derivatives(self, q: Array, free: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            r, jac = self.kernel.residuals(q[None], self.rows, len(self.first), self.y)
        return r[0], jac[0][free]

    def _passing(self, q: Array, free: npt.NDArray[np.bool_], linear: _Linear) -> Array | None:
        """Solve for the parameters with which the law passes through the given runs."""
        rows, y = self.first[linear.through], self.y[linear.through]
        point, low, high = q.copy(), self.kernel.lower, self.kernel.upper
        last = np.inf
        with np.errstate(all="ignore"):
            for _ in range(12):
                r, jac = self.kernel.residuals(point[None], rows, len(rows), y)
                size = float(np.max(np.abs(r), initial=0.0))
                # Newton's last steps are rounding: stop when they no longer gain.
                if not size < np.inf or (size >= 0.5 * last and size < 1e-10):
                    break
                last = size
                try:
                    step = np.linalg.solve(jac[0][free].T, r[0])
                except np.linalg.LinAlgError:
                    return None
                moved = point.copy()
                moved[free] -= step
                if (moved < low).any() or (moved > high).any():
                    return None
                point = moved
        return point if size <= 1e-10 else None

    def _slopes(self, linear: _Linear) -> Array:
        slope = np.where(linear.residual > 0, self.goal.over, -1.0) * self.weights
        slope[linear.through] = 0.0
        return np.asarray(slope)

    def _excess(self, linear: _Linear, inverse: Array) -> tuple[Array, Array]:
        """Multipliers of the runs passed through, and by how much they break their limits."""
        w = self.weights[linear.through]
        multipliers = inverse @ -(linear.jac @ self._slopes(linear))
        return multipliers, np.maximum(multipliers - self.goal.over * w, -w - multipliers)

    def _optimal(self, linear: _Linear) -> bool:
        try:
            inverse = _inverse(linear.jac[:, linear.through])
        except np.linalg.LinAlgError:
            return False
        w = self.weights[linear.through]
        excess = self._excess(linear, inverse)[1]
        return bool((excess <= 1e-7 * np.maximum(self.goal.over, 1.0) * w).all())

    def _exchange(self, linear: _Linear) -> bool:
        """Solve the linear problem: leave one run, follow the edge to where it rises again."""
        jac, r = linear.jac, linear.residual.copy()
        linear.residual = r
        for pivot in range(PIVOTS):
            through = linear.through
            try:
                inverse = _inverse(jac[:, through])
            except np.linalg.LinAlgError:
                return False
            if not pivot:
                r -= (r[through] @ inverse) @ jac
                r[through] = 0.0
            multipliers, excess = self._excess(linear, inverse)
            w = self.weights[through]
            leaving = int(np.argmax(excess / np.maximum(w, 1e-300)))
            if not excess[leaving] > 1e-9 * w[leaving]:
                return bool(np.isfinite(excess).all())
            sign = 1.0 if multipliers[leaving] > 0 else -1.0
            along = (sign * inverse[leaving]) @ jac
            along[through] = 0.0
            entering, length = self._turn(r, along, float(excess[leaving]))
            if entering < 0:
                return False
            r += length * along
            r[through[leaving]] = sign * length
            r[entering] = 0.0
            through[leaving] = entering
        return False

    def _turn(self, r: Array, along: Array, falling: float) -> tuple[int, float]:
        """Run at which the objective stops falling along an edge, and how far that is."""
        with np.errstate(all="ignore"):
            when = -r / along
        ahead = np.flatnonzero((when > 0) & (self.weights > 0) & np.isfinite(when))
        if not ahead.size:
            return -1, 0.0
        bend = (1 + self.goal.over) * self.weights * np.abs(along)
        if len(ahead) > FIRST_BREAKS:
            part = ahead[np.argpartition(when[ahead], FIRST_BREAKS)[:FIRST_BREAKS]]
            if float(np.sum(bend[part])) > falling:
                ahead = part
        ahead = ahead[np.argsort(when[ahead], kind="stable")]
        place = int(np.searchsorted(np.cumsum(bend[ahead]), falling))
        if place == len(ahead):
            return -1, 0.0
        return int(ahead[place]), float(when[ahead[place]])


def _independent(distance: Array, jac: Array) -> Index | None:
    """Nearest runs that together fix all parameters, (k,)."""
    k = len(jac)
    size = np.sqrt(np.add.reduce(jac**2, axis=1))
    if not np.isfinite(size).all():
        return None
    scaled = jac / np.maximum(size, 1e-300)[:, None]
    basis = np.zeros((k, k))
    chosen: list[int] = []
    for i in np.argsort(distance, kind="stable"):
        if len(chosen) == k or distance[i] == np.inf:
            break
        v = scaled[:, i]
        rest = v - (basis @ v) @ basis
        length = float(np.sqrt(rest @ rest))
        if length > 1e-2 * float(np.sqrt(v @ v)):
            basis[len(chosen)] = rest / length
            chosen.append(int(i))
    return np.array(chosen) if len(chosen) == k else None


def _inverse(matrix: Array) -> Array:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)

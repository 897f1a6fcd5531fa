r"""Least squares with the amplitudes projected out.

For each shape the best amplitudes solve a small linear problem; the shape alone is searched by
damped Gauss-Newton steps with Kaufman's Jacobian, the part of the derivatives that the columns
cannot follow.

References
----------
Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413; Kaufman, BIT 15 (1975) 49.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws.curve_law import CurveLaw, RateScale
from isoloss.laws.rate_nodes import RateNodes

_STEPS = 80
_DONE = 1e-10
_STARTS = 4
_LARGEST = 1e12
_BEND = 8.0


@dataclass(slots=True)
class Problem:
    """What is fitted: nodes, weighted losses, a law and its units.

    ``strength`` is what one unit of the penalty on the shape weighs beside the squared residuals.
    """

    law: CurveLaw
    nodes: RateNodes
    scale: RateScale
    loss: Array
    weight: Array
    strength: float = 0.0

    def penalty(self, shape: Array) -> tuple[Array, Array]:
        r"""Return the penalty as residuals, and their derivatives.

        :math:`\nu \log(1 + z^2 / \nu)` for a distance of z spreads: near the centre a square, far
        from it ever flatter, so that data which speak against the centre are heard.
        """
        spread = np.array(self.law.spread)
        z = (shape - np.array(self.law.centre(self.scale))) / spread
        bent = np.sqrt(_BEND * np.log1p(z**2 / _BEND))
        slope = np.where(bent > 0, np.abs(z) / (1 + z**2 / _BEND) / np.where(bent > 0, bent, 1), 1)
        size = np.sqrt(self.strength)
        return np.copysign(bent, z) * size, slope / spread * size


@dataclass(slots=True)
class Solved:
    """Shape, amplitudes, weighted residuals, and their Jacobian by the shape.

    The penalty's residuals follow those of the points.
    """

    shape: Array
    amplitudes: Array
    residuals: Array
    jacobian: Array

    @property
    def objective(self) -> float:
        """Sum of squares."""
        return float(self.residuals @ self.residuals)


def solve_at(problem: Problem, shape: Array) -> Solved:
    """Find the amplitudes at a shape, none below zero."""
    columns, slopes = problem.law.columns(problem.nodes, problem.scale, shape)
    design = columns * problem.weight
    target = problem.loss * problem.weight
    kept = list(range(design.shape[0]))
    while True:
        basis, factor = np.linalg.qr(design[kept].T)
        # A column that the others make up adds nothing; a small ridge keeps its amplitude finite.
        diagonal = np.abs(np.diag(factor))
        if diagonal.min() > 1e-9 * diagonal.max():
            found = np.linalg.solve(factor, basis.T @ target)
        else:
            found = np.linalg.lstsq(design[kept].T, target, rcond=1e-9)[0]
        if (found >= 0).all() or len(kept) == 1:
            break
        kept.pop(int(np.argmin(np.where(np.array(kept) == 0, found * 1e-9, found))))
    amplitudes = np.zeros(design.shape[0])
    amplitudes[kept] = np.maximum(found, 0.0)
    residuals = amplitudes @ design - target
    moved = np.einsum("sac,a->sc", slopes, amplitudes) * problem.weight
    jacobian = moved - (moved @ basis) @ basis.T
    if problem.strength:
        pull, slope = problem.penalty(shape)
        residuals = np.append(residuals, pull)
        jacobian = np.concatenate([jacobian, np.diag(slope)], axis=1)
    return Solved(shape, amplitudes, residuals, jacobian)


def descend(problem: Problem, shape: Array, *, steps: int = _STEPS) -> tuple[Solved, bool]:
    """Walk from one start; return the end and whether it is one."""
    law = problem.law
    low, high = np.array(law.lower), np.array(law.upper)
    here, damping = solve_at(problem, np.clip(shape, low, high)), 1e-3
    for _ in range(steps):
        gradient = here.jacobian @ here.residuals
        free = ~(((here.shape <= low) & (gradient > 0)) | ((here.shape >= high) & (gradient < 0)))
        matrix = (here.jacobian @ here.jacobian.T)[np.ix_(free, free)]
        size = np.diag(matrix) + 1e-12 * max(float(np.diag(matrix).max(initial=0)), 1e-300)
        moved = np.zeros(here.shape.size)
        if not free.any():
            return here, True
        moved[free] = -np.linalg.solve(matrix + damping * np.diag(size), gradient[free])
        moved = np.clip(moved, -2.0, 2.0)
        trial = solve_at(problem, np.clip(here.shape + moved, low, high))
        gain = here.objective - trial.objective
        if gain >= 0:
            small = gain <= _DONE * here.objective
            here, damping = trial, max(damping / 5, 1e-9)
            if small:
                return here, True
        else:
            if -gain <= _DONE * here.objective:
                return here, True
            damping *= 6
            if damping > _LARGEST:
                return here, True
    return here, False


def search(problem: Problem, start: Array | None = None) -> tuple[Solved, bool, float]:
    """Descend from the best points of the law's lattice, or from one start.

    Returns the best end, whether it is one, and the second best objective over the best.
    """
    if start is not None:
        found, done = descend(problem, start)
        return found, done, 1.0
    lattice = [np.array(point) for point in product(*problem.law.starts)]
    ranked = sorted((solve_at(problem, point).objective, i) for i, point in enumerate(lattice))
    ends = [descend(problem, lattice[i]) for _, i in ranked[:_STARTS]]
    ends.sort(key=lambda end: end[0].objective)
    best, done = ends[0]
    second = ends[1][0].objective if len(ends) > 1 else best.objective
    return best, done, second / max(best.objective, 1e-300)

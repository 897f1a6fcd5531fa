"""Proof that a fit is what it says, or the reasons to doubt it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.approach import restored
from isoloss.fit.derivatives import derivative_error
from isoloss.fit.engine import CONVERGED, Solutions, minimise
from isoloss.fit.kernel import Kernel

SCALED_GRADIENT = 1e-6
CONDITION = 1e10
AGREEMENT = 1e-7
DERIVATIVE = 1e-9
DEAD = 1e-24
"""Share of the largest curvature below which a parameter does not reach the predictions."""

NUDGE = 1e-2
"""Step off a bound, in coordinates of order one, to see what is felt there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a fit is not simply good.

    Attributes
    ----------
    code
        Stable, in capitals.
    message
        What was seen and what to do about it.
    fatal
        Whether the fit cannot be used at all.
    """

    code: str
    message: str
    fatal: bool = False

    def to_dict(self) -> dict[str, str]:
        """Plain types."""
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Checks on one fit, all free of units.

    Attributes
    ----------
    scaled_gradient
        Largest component of the gradient, each divided by the root of (curvature times
        objective): the step to the minimum in units of the residual.
    edm
        Estimated distance to the minimum, ``g H^-1 g / 2``, relative to the objective.
    min_eigenvalue
        Smallest eigenvalue of the Hessian scaled to a unit diagonal; positive at a minimum.
    condition
        Condition number of the same matrix; infinite where a parameter does not reach the
        predictions and no parameter at its bound is the cause.
    n_starts, n_agree
        Starts tried, and those that ended within 1e-7 of the best objective.
    second_engine_gap
        (Objective of an engine without second derivatives, from other starts, minus ours)
        relative to ours. Negative: it found a better point.
    derivative_error
        Largest relative difference of what the engine computes (predictions, first and second
        derivatives) from the law and its derivatives by complex steps.
    at_bound
        Parameters at a bound.
    """

    scaled_gradient: float
    edm: float
    min_eigenvalue: float
    condition: float
    n_starts: int
    n_agree: int
    second_engine_gap: float
    derivative_error: float
    at_bound: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "at_bound": list(self.at_bound)
        }


def certify(
    kernel: Kernel, solutions: Solutions, starts: Array, weights: Array
) -> tuple[Certificate, list[Reason]]:
    """Examine the best of a batch of solutions.

    Parameters
    ----------
    weights
        Weights of the runs, (n,).
    """
    best = int(np.argmin(solutions.value))
    q = solutions.q[best : best + 1]
    w = weights[None]
    terms = kernel.terms(q, w)
    value, g = float(terms.value[0]), terms.gradient[0]
    scale = max(value, float(kernel.floor(weights)))
    major = np.maximum(np.diag(terms.major[0]), 1e-300)
    # A multiplier of zero is rounding, on either side of it.
    still = 1e-9 * np.sqrt(major * scale)
    held = ((q[0] <= kernel.lower) & (g >= -still)) | ((q[0] >= kernel.upper) & (g <= still))
    # The exponent of a term whose amplitude is zero is felt by no run and may be anything: it
    # says nothing on the minimum in the others.
    dead = major <= DEAD * np.max(major)
    lost = dead & ~_silenced(kernel, q[0], dead)
    free = np.flatnonzero(~held & ~dead)
    gradient = float(np.max(np.abs(g[free]) / np.sqrt(major[free] * scale), initial=0.0))
    # Curvature of a robust loss rests on the few runs inside delta; the majorising matrix says
    # whether the design identifies the parameters, the Hessian whether this is a minimum.
    smallest, condition, edm = _spectrum(terms.hessian[0][np.ix_(free, free)], g[free])
    # What is at its bound with no multiplier may leave it along a flat direction.
    loose = np.flatnonzero(~(held & (np.abs(g) > still)) & ~dead)
    _, of_design, _ = _spectrum(terms.major[0][np.ix_(loose, loose)], g[loose])
    condition = max(condition, of_design) if smallest > 0 else of_design
    agree = int(np.sum(solutions.value <= value + AGREEMENT * scale))
    gap = _second_engine(kernel, solutions, starts, w, value, scale)
    error = derivative_error(kernel, q[0], _rows(kernel))
    names = kernel.law.names
    certificate = Certificate(
        scaled_gradient=gradient,
        edm=edm / scale,
        min_eigenvalue=smallest,
        condition=float("inf") if lost.any() else condition,
        n_starts=len(solutions.value),
        n_agree=agree,
        second_engine_gap=gap,
        derivative_error=error,
        at_bound=tuple(
            n
            for n, v, lo, hi, out in zip(names, q[0], kernel.lower, kernel.upper, dead, strict=True)
            if (v <= lo or v >= hi) and not out
        ),
    )
    return certificate, _reasons(certificate, bool(solutions.status[best] == CONVERGED))


def _silenced(kernel: Kernel, q: Array, dead: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which parameters runs would feel if those that they do feel were not at their bounds."""
    if not dead.any():
        return dead
    nudge = np.where(q <= kernel.lower, NUDGE, np.where(q >= kernel.upper, -NUDGE, 0.0))
    moved = kernel.clip(q + np.where(dead, 0.0, nudge))
    jac = kernel.jacobian(moved[None], _rows(kernel))[0]
    size = np.sum(jac**2, axis=1)
    return np.asarray(size > DEAD * np.max(size))


def _spectrum(matrix: Array, g: Array) -> tuple[float, float, float]:
    """Smallest eigenvalue and condition of the unit-diagonal matrix, and ``g H^-1 g / 2``."""
    if not len(g):
        return 1.0, 1.0, 0.0
    d = 1 / np.sqrt(np.maximum(np.abs(np.diag(matrix)), 1e-300))
    scaled = matrix * d[:, None] * d[None]
    if not np.isfinite(scaled).all():
        return float("nan"), float("inf"), float("inf")
    values, vectors = np.linalg.eigh(scaled)
    smallest = float(values[0])
    largest = float(np.max(np.abs(values)))
    along = vectors.T @ (g * d)
    if not largest > 0:
        return 0.0, float("inf"), 0.0 if not np.any(g) else float("inf")
    edm = float(0.5 * np.sum(along**2 / np.maximum(np.abs(values), 1e-14 * largest)))
    condition = largest / smallest if smallest > 0 else float("inf")
    return smallest, condition, edm


def _second_engine(
    kernel: Kernel, solutions: Solutions, starts: Array, w: Array, value: float, scale: float
) -> float:
    """Relative gap of the first-order engine, run from starts that the first did not have.

    One lies half way to the start farthest from the answer, the other is the answer, shaken.
    It ends when one of the two has come back to the answer.
    """
    best = solutions.q[int(np.argmin(solutions.value))]
    near = starts[solutions.status == CONVERGED] if len(starts) else starts
    near = near if len(near) else starts
    far = near[int(np.argmax(np.max(np.abs(near - best), axis=1)))]
    nudged = best + 0.02 * np.where(np.arange(kernel.p) % 2, 1, -1)
    other = minimise(
        kernel,
        np.vstack([restored(kernel, 0.5 * (best + far)[None], w[0]), nudged[None]]),
        weights=w,
        newton=False,
        max_iterations=30,
        tolerance=1e-8,
        enough=value + AGREEMENT * scale,
    )
    return float((other.value.min() - value) / scale)


def _rows(kernel: Kernel) -> npt.NDArray[np.int64]:
    """At most 32 runs. They are sorted by their axes: take them from the whole range."""
    return np.linspace(0, kernel.n - 1, min(kernel.n, 32)).astype(int)


def _reasons(c: Certificate, converged: bool) -> list[Reason]:
    reasons: list[Reason] = []

    def doubt(code: str, message: str, fatal: bool = False) -> None:
        reasons.append(Reason(code=code, message=message, fatal=fatal))

    if not converged and not c.scaled_gradient < SCALED_GRADIENT:
        doubt(
            "MAX_ITER",
            f"the minimiser stopped with a scaled gradient of {c.scaled_gradient:.1e}; use a law "
            "with fewer parameters or pin one",
            c.scaled_gradient > 1e-2,
        )
    elif not c.scaled_gradient < SCALED_GRADIENT:
        doubt("GRADIENT", f"the scaled gradient is {c.scaled_gradient:.1e}, not zero")
    if not c.derivative_error < DERIVATIVE:
        doubt(
            "DERIVATIVE",
            "predictions or derivatives disagree with the law and complex steps of it by "
            f"{c.derivative_error:.1e}: do not use",
            True,
        )
    if not c.min_eigenvalue > 0:
        doubt(
            "NOT_A_MINIMUM",
            "the Hessian has no positive definite inertia: a saddle or a flat valley; pin a "
            "parameter or add runs that vary N and D apart",
        )
    if not c.condition < CONDITION:
        doubt(
            "FLAT",
            f"condition number {c.condition:.1e}: some combination of parameters is not "
            "identified; trust forecasts near the runs only, or pin a parameter",
        )
    for name in c.at_bound:
        doubt(
            "BOUND_HIT",
            f"{name} sits at its bound: the runs do not resolve it; forecasts that lean on it "
            "are assumptions",
        )
    if c.n_starts > 1 and c.n_agree < 2:
        doubt(
            "MULTIMODAL",
            f"only {c.n_agree} of {c.n_starts} starts reached the best objective; the optimum "
            "may not be the global one",
        )
    if not c.second_engine_gap > -1e-6:
        doubt(
            "SECOND_ENGINE",
            f"a second engine found an objective lower by {-c.second_engine_gap:.1e}",
        )
    return reasons

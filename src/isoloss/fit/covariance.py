"""Standard errors at an optimum, how far it still is from exact, and what both make doubtful."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.certificate import Reason
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective

NEXT_STEP = 1e-7
ERROR_DRIFT = 1e-5
ROUNDING = 1e-11
"""Residuals this small beside the response are differences of equal numbers: few digits."""
ROWS = 4096
POLISH = 3
NEAR = 1e-3
"""Scaled gradient below which Newton's steps need no objective to judge them."""


def squares(objective: Objective) -> bool:
    """Whether an objective is plain least squares, for which classical errors hold."""
    return math.isinf(objective.delta) and objective.over == 1.0


def coordinates(kernel: Kernel, q: Array) -> Array:
    """Differentiate the user's parameters by internal coordinates, (p,); zero where held."""
    one = kernel.natural(np.where(kernel.logs, 0.0, 1.0)[None])[0]
    inside = (q > kernel.lower) & (q < kernel.upper)
    bent = np.exp(np.where(kernel.logs, q, 0.0))
    return np.asarray(np.where(inside, one * bent, 0.0))


def next_step(kernel: Kernel, q: Array, weights: Array) -> Array:
    """Predict what one more Newton step would change in the user's parameters, (p,), or NaN."""
    return _newton(kernel, q, weights)[0] * coordinates(kernel, q)


def polish(kernel: Kernel, q: Array, weights: Array) -> tuple[Array, float]:
    """Take the last Newton steps, which the rounded objective can no longer judge.

    Where residuals are a millionth of the response, differences of the objective are rounding
    long before the gradient is. Steps are taken while the gradient shrinks.

    Returns
    -------
    q, gradient
        The point, (p,), and its scaled gradient.
    """
    step, gradient = _newton(kernel, q, weights)
    for _ in range(POLISH):
        if not (gradient < NEAR and np.isfinite(step).all()):
            break
        trial = np.clip(q + step, kernel.lower, kernel.upper)
        step, smaller = _newton(kernel, trial, weights)
        if not smaller < 0.5 * gradient:
            break
        q, gradient = trial, smaller
    return q, gradient


def _newton(kernel: Kernel, q: Array, weights: Array) -> tuple[Array, float]:
    """Newton step in internal coordinates, (p,), and the scaled gradient that asks for it."""
    terms = kernel.terms(q[None], weights[None])
    free = np.flatnonzero(coordinates(kernel, q))
    g, matrix = terms.gradient[0][free], terms.hessian[0][np.ix_(free, free)]
    scale = max(float(terms.value[0]), float(kernel.floor(weights)))
    major = np.maximum(np.diag(terms.major[0])[free], 1e-300)
    d = 1 / np.sqrt(np.maximum(np.abs(np.diag(matrix)), 1e-300))
    step = np.zeros(len(q))
    try:
        step[free] = d * np.linalg.solve(matrix * d[:, None] * d, -d * g)
    except np.linalg.LinAlgError:
        step[free] = np.nan
    return step, float(np.max(np.abs(g) / np.sqrt(major * scale), initial=0.0))


def covariance(kernel: Kernel, q: Array, weights: Array, freedom: int) -> Array:
    """Covariance of the parameters, (p, p); see `Regression`. NaN where there is none."""
    slope = coordinates(kernel, q)
    free = np.flatnonzero(slope)
    p = len(q)
    out = np.full((p, p), np.nan)
    if freedom <= 0 or not len(free):
        return out
    jac, psi = _scores(kernel, q, weights)
    jac = jac[:, free] / slope[free]
    if squares(kernel.objective):
        part = _inverse(jac * np.sqrt(weights)[:, None])
        if part is not None:
            # psi is the residual here.
            part = part * (np.sum(weights * psi**2) / freedom)
    else:
        hessian = kernel.terms(q[None], weights[None]).hessian[0][np.ix_(free, free)]
        bend = hessian / slope[free][:, None] / slope[free]
        part = _sandwich(jac * (weights * psi)[:, None], bend, len(psi) / freedom)
    if part is not None:
        out[np.ix_(free, free)] = part
    return out


def _scores(kernel: Kernel, q: Array, weights: Array) -> tuple[Array, Array]:
    """Jacobian in internal coordinates, (n, p), and derivative of the objective, (n,)."""
    jac = np.empty((kernel.n, kernel.p))
    residual = np.empty(kernel.n)
    for start in range(0, kernel.n, ROWS):
        rows = slice(start, min(start + ROWS, kernel.n))
        jac[rows] = kernel.jacobian(q[None], rows)[0].T
        residual[rows] = kernel.predict(q[None], rows)[0] - kernel.y[rows]
    return jac, kernel.objective.terms(residual)[1]


def _inverse(jac: Array) -> Array | None:
    """Compute ``(J^T J)^-1`` by orthogonal triangles, which keeps twice the digits of J^T J."""
    length = np.sqrt(np.einsum("np,np->p", jac, jac))
    if not (np.isfinite(length).all() and (length > 0).all()):
        return None
    triangle = np.linalg.qr(jac / length, mode="r")
    size = np.abs(np.diag(triangle))
    if size.min() <= 1e-13 * size.max():
        return None
    root = np.linalg.solve(triangle, np.eye(len(length))) / length[:, None]
    return np.asarray(root @ root.T)


def _sandwich(scores: Array, bend: Array, factor: float) -> Array | None:
    d = 1 / np.sqrt(np.maximum(np.abs(np.diag(bend)), 1e-300))
    try:
        root = d[:, None] * np.linalg.solve(bend * d[:, None] * d, (scores * d).T)
    except np.linalg.LinAlgError:
        return None
    return np.asarray(root @ root.T * factor)


def accuracy_reasons(
    kernel: Kernel,
    q: Array,
    weights: Array,
    freedom: int,
    step: npt.NDArray[np.float64],
    relative: npt.NDArray[np.float64],
) -> list[Reason]:
    """Doubts about the digits of parameters and standard errors.

    Parameters
    ----------
    step, relative
        Next Newton step, in the user's units and relative.
    """
    reasons: list[Reason] = []
    worst = int(np.argmax(np.where(np.isfinite(relative), relative, np.inf)))
    name = kernel.law.names[worst]
    if not relative[worst] < NEXT_STEP:
        reasons.append(
            Reason(
                code="DIGITS",
                message=f"one more step would move {name} by {relative[worst]:.1e} of itself: "
                "fewer than six digits are sure; allow more iterations or start closer",
            )
        )
    if freedom <= 0:
        reasons.append(
            Reason(
                code="FEW_CONFIGURATIONS",
                message="as many parameters as rows: the formula passes through every one, and "
                "nothing is left for standard errors; add rows",
            )
        )
    elif not _spread(kernel, q) > ROUNDING * kernel.typical:
        reasons.append(
            Reason(
                code="ROUNDING",
                message="the formula passes through the data up to rounding: the parameters hold, "
                "their standard errors are rounding too",
            )
        )
    elif not reasons and not (drift := _drift(kernel, q, weights, freedom, step)) < ERROR_DRIFT:
        reasons.append(
            Reason(
                code="DIGITS",
                message=f"one more step would change a standard error by {drift:.1e} of itself: "
                "fewer than four of its digits are sure",
            )
        )
    return reasons


def _spread(kernel: Kernel, q: Array) -> float:
    return float(np.sqrt(np.mean((kernel.predict(q[None])[0] - kernel.y) ** 2)))


def _drift(kernel: Kernel, q: Array, weights: Array, freedom: int, step: Array) -> float:
    """Largest relative change of a standard error over the next step."""
    slope = coordinates(kernel, q)
    free = slope != 0
    moved = q + np.divide(step, slope, out=np.zeros_like(q), where=free)
    here, there = (
        np.sqrt(np.diag(covariance(kernel, at, weights, freedom)))[free] for at in (q, moved)
    )
    return float(np.max(np.abs(there - here) / here, initial=0.0))

"""What the engine computes, against the law and complex steps of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel
from isoloss.laws.tape import evaluate

Rows = npt.NDArray[np.int64]

FLOOR = 1e-4
"""Entries this far below the largest are compared on its scale: they may cancel to rounding."""


def derivative_error(kernel: Kernel, q: Array, rows: Rows) -> float:
    """Largest relative error of predictions, first and second derivatives on some rows.

    Each is read where the engine reads it: predictions and first derivatives from all tapes, the
    second ones from the Hessian that its steps are solved with. NaN if anything is.
    """
    with np.errstate(all="ignore"):
        first = first_derivative_error(kernel, q, rows)
        return float(np.max([first, second_derivative_error(kernel, q, rows)]))


def first_derivative_error(kernel: Kernel, q: Array, rows: Rows) -> float:
    """Compare predictions with the law, first derivatives with complex steps of the law."""
    leaves, step = _leaves(kernel, q, rows)
    theta = kernel.scaled(q + 1j * np.diag(step))
    leaves |= {name: theta[:, i, None] for i, name in enumerate(kernel.law.names)}
    value = evaluate([kernel.root], leaves)[0]
    if kernel.objective.log:
        value = np.log(value)
    value = np.broadcast_to(value, (kernel.p, len(rows)))
    exact, size = np.imag(value) / step[:, None], np.real(value[0])
    errors = []
    for predicted, jac in _computed(kernel, q, rows):
        # A derivative this far below the others is rounding, in both ways of computing it.
        floor = 1e-12 * max(float(np.max(np.abs(jac))), 1e-280)
        scale = np.maximum(np.max(np.abs(exact), axis=1), np.max(np.abs(jac), axis=1))
        errors.append(np.max(np.max(np.abs(jac - exact), axis=1) / np.maximum(scale, floor)))
        errors.append(np.max(np.abs(predicted - size)) / max(np.max(np.abs(size)), kernel.typical))
    return float(np.max(errors))


def second_derivative_error(kernel: Kernel, q: Array, rows: Rows) -> float:
    """Compare the engine's Hessians of single runs with complex steps of first derivatives.

    The formulas of the derivatives that are stepped are those of the second-order engine, which
    are themselves compared with the law. Runs are given measurements so far from the prediction
    that the Hessian is mostly the law's second derivatives, or for a robust objective nothing
    else; where it is not, at the optimum, an error in them would drown in the rest.
    """
    n, p = len(rows), kernel.p
    leaves, step = _leaves(kernel, q, rows)
    shifted = q + 1j * np.diag(step)
    leaves |= {name: shifted[:, i, None] for i, name in enumerate(kernel.law.names)}
    roots = evaluate(kernel._full.tape.roots[: 1 + p], leaves)
    value, *slopes = (np.broadcast_to(r, (p, n)) for r in roots)
    if kernel._outer:
        value, slopes = np.log(value), [s / value for s in slopes]
    first = np.array([np.real(s[0]) for s in slopes])
    bend = np.array([np.imag(s) / step[:, None] for s in slopes])
    delta = kernel.objective.delta
    # Above the prediction: below it, the parts of the logarithm's curvature might cancel.
    y = np.real(value[0]) + 2 * (delta if np.isfinite(delta) else kernel.typical)
    _, psi, curve, _ = kernel.objective.terms(np.real(value[0]) - y)
    products = first[:, None] * first[None]
    exact = psi * bend + curve * products
    found = kernel.terms_of_runs(q, rows, y).hessian.transpose(1, 2, 0)
    size = np.abs(psi) * (np.abs(bend) + np.abs(products)) + np.abs(curve * products)
    scale = np.max(size, axis=2)
    scale = np.maximum(scale, max(FLOOR * float(np.max(scale)), 1e-280))
    return float(np.max(np.max(np.abs(found - exact), axis=2) / scale))


def _computed(kernel: Kernel, q: Array, rows: Rows) -> list[tuple[Array, Array]]:
    """Predictions, (n,), and first derivatives, (p, n), from each tape that has them."""
    n = len(rows)
    full, _, _ = kernel._outputs(q[None], rows, n, second=True)
    first, jac = kernel.residuals(q[None], rows, n, np.zeros(n))
    slopes = kernel.jacobian(q[None], rows)[0]
    return [(full[0], slopes), (first[0], jac[0]), (kernel.predict(q[None], rows)[0], slopes)]


def _leaves(kernel: Kernel, q: Array, rows: Rows) -> tuple[dict[str, Any], Array]:
    """Give the axes of some rows, and the complex steps of the parameters."""
    return {a: kernel.x[a][rows] for a in kernel.law.axes}, 1e-30 * np.maximum(np.abs(q), 1e-3)

"""Perturbed measurements: the runs stay where they are, and their losses are drawn anew."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective

NEAR_ONE = 1e-3
"""Leverages this close to one are not corrected further: nothing of their noise is left."""


def hat_basis(kernel: Kernel, q: Array, weights: Array) -> Array:
    r"""Orthonormal basis U of the columns of :math:`\sqrt W J`, (n, rank).

    J is the exact Jacobian at internal coordinates q, (p,); :math:`U U^T` is the hat matrix, and
    the squares of a row of U sum to the leverage of that run. Parameters at a bound do not move
    and so take no part.
    """
    free = (q > kernel.lower) & (q < kernel.upper)
    jac = kernel.jacobian(q[None], slice(0, kernel.n))[0][free]
    columns = (jac * np.sqrt(weights)).T
    size = np.sqrt(np.sum(columns**2, axis=0))
    columns = columns[:, size > 0] / size[size > 0]
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, values > 1e-10 * values.max(initial=0.0)])


def inflated_errors(
    kernel: Kernel, q: Array, weights: Array, groups: npt.NDArray[np.int64]
) -> Array:
    r"""Measured minus predicted, times root weight, corrected for leverage, (n,).

    The errors :math:`u_g` of a group become :math:`(I - U_g U_g^T)^{-1/2} u_g`: a fit is closer
    to its own runs than the truth is. For groups of one it is division by
    :math:`\sqrt{1 - h_i}` (HC2); their squares then have the right mean where noise is even.

    References
    ----------
    MacKinnon and White 1985, J. Econometrics 29:305; Bell and McCaffrey 2002, Survey
    Methodology 28:169.
    """
    error = np.sqrt(weights) * (kernel.y - kernel.predict(q[None])[0])
    basis = hat_basis(kernel, q, weights)
    out = error / np.sqrt(np.maximum(1 - np.sum(basis**2, axis=1), NEAR_ONE))
    sizes = np.bincount(groups)
    order = np.argsort(groups, kind="stable")
    ends = np.cumsum(sizes)
    for g in np.flatnonzero(sizes > 1):
        rows = order[ends[g] - sizes[g] : ends[g]]
        left, values, _ = np.linalg.svd(basis[rows], full_matrices=False)
        gain = 1 / np.sqrt(np.maximum(1 - values**2, NEAR_ONE)) - 1
        out[rows] = error[rows] + left @ (gain * (left.T @ error[rows]))
    return np.asarray(out)


def location(errors: Array, objective: Objective) -> float:
    r"""Centre c at which :math:`\sum \psi(c - u_i) = 0`: what the objective takes for no error.

    The mean for least squares, nearly the median for a Huber loss with a small threshold, and
    well below both for a one-sided one.
    """
    low, high = float(errors.min()), float(errors.max())
    for _ in range(100):
        centre = 0.5 * (low + high)
        if float(np.sum(objective.terms(centre - errors)[1])) > 0:
            high = centre
        else:
            low = centre
    return 0.5 * (low + high)


def unweighted(errors: Array, weights: Array) -> Array:
    """Divide by root weight; runs of no weight keep the error zero, which nothing sees."""
    root = np.sqrt(weights)
    return np.divide(errors, root, out=np.zeros_like(errors * root), where=root > 0)

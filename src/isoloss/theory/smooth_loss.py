"""Losses of a few numbers with what a gradient flow and its error bound need of them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_numbers


class SmoothLoss(Protocol):
    """A differentiable loss of alpha, (r,)."""

    @property
    def r(self) -> int:
        """Length of alpha."""

    @property
    def curvature(self) -> float:
        """Largest eigenvalue of the Hessian anywhere: the gradient's Lipschitz constant."""

    @property
    def least(self) -> float:
        """A number that the loss never falls below."""

    def value(self, alpha: Array) -> float:
        """Loss at alpha."""

    def gradient(self, alpha: Array) -> Array:
        """Gradient at alpha, (r,)."""

    def hessian(self, alpha: Array) -> Array:
        """Hessian at alpha, (r, r)."""


class Quadratic:
    """Half a squared distance: ``(alpha - target)' H (alpha - target) / 2``.

    Parameters
    ----------
    H
        Symmetric, no eigenvalue below zero, (r, r); a vector is its diagonal.
    target
        Where the loss is zero, (r,).

    Examples
    --------
    >>> Quadratic([1.0, 4.0], [1, 1]).value(np.zeros(2))
    2.5
    """

    least = 0.0

    def __init__(self, H: Any, target: Any) -> None:
        matrix, aim = as_numbers("H", H), np.atleast_1d(as_numbers("target", target))
        matrix = np.diag(matrix) if matrix.ndim == 1 else matrix
        if aim.ndim != 1 or matrix.shape != (aim.size, aim.size):
            raise InputError(f"H, target: shapes {matrix.shape} and {aim.shape} do not fit")
        if not (np.isfinite(matrix).all() and np.isfinite(aim).all()):
            raise InputError("H, target: must be finite")
        values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
        if not np.allclose(matrix, matrix.T) or values[0] < -1e-12 * abs(values[-1]):
            raise InputError("H: must be symmetric, no eigenvalue below zero")
        self.H, self.target = freeze(matrix), freeze(aim)
        self.r, self.curvature = aim.size, float(values[-1])

    def value(self, alpha: Array) -> float:
        """Loss at alpha."""
        off = alpha - self.target
        return float(off @ self.H @ off) / 2

    def gradient(self, alpha: Array) -> Array:
        """Gradient at alpha."""
        return np.asarray(self.H @ (alpha - self.target))

    def hessian(self, alpha: Array) -> Array:
        """Hessian, the same everywhere."""
        return self.H


class Logistic:
    """Mean of ``log(1 + exp(-y x.alpha))`` over samples.

    Parameters
    ----------
    X
        Inputs, (n, r).
    y
        Labels, -1 or 1, (n,).

    Examples
    --------
    >>> round(Logistic([[1.0], [2.0]], [1, -1]).value(np.zeros(1)), 6)
    0.693147
    """

    least = 0.0

    def __init__(self, X: Any, y: Any) -> None:
        inputs, labels = as_numbers("X", X), as_numbers("y", y)
        if inputs.ndim != 2 or labels.shape != inputs.shape[:1]:
            raise InputError(f"X, y: shapes {inputs.shape} and {labels.shape} do not fit")
        if not np.isfinite(inputs).all() or not np.isin(labels, [-1.0, 1.0]).all():
            raise InputError("X must be finite, and y of -1 and 1")
        self.A = freeze(inputs * labels[:, None])
        self.r = inputs.shape[1]
        self.curvature = float(np.linalg.eigvalsh(self.A.T @ self.A)[-1]) / (4 * labels.size)

    def value(self, alpha: Array) -> float:
        """Loss at alpha."""
        return float(np.mean(np.logaddexp(0.0, -self.A @ alpha)))

    def gradient(self, alpha: Array) -> Array:
        """Gradient at alpha."""
        return np.asarray(-(_chance(-self.A @ alpha) @ self.A) / len(self.A))

    def hessian(self, alpha: Array) -> Array:
        """Hessian at alpha."""
        wrong = _chance(-self.A @ alpha)
        return np.asarray((self.A.T * (wrong * (1 - wrong))) @ self.A / len(self.A))


def _chance(z: Array) -> Array:
    from scipy.special import expit

    return np.asarray(expit(z))

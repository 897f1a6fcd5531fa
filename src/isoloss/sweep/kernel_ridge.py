"""Ridge regression with a kernel: its matrix in blocks, one eigendecomposition for all ridges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.spectra.kernels import mlp_kernel
from isoloss.sweep.data.table import Data
from isoloss.sweep.shapes import KernelRidge
from isoloss.sweep.solved import (
    Guesses,
    errors_of,
    errors_on_test,
    members_of,
    targets_of,
    timed_rows,
)
from isoloss.sweep.spec import RunSpec

_MOST = 2**27
"""Numbers of a kernel's matrix: 1 GiB."""
_ROUNDING = 1e-11
"""Eigenvalues below this share of the largest are rounding."""
_BLOCK = 1024


def kernel_matrix(model: KernelRidge, x: Any, z: Any = None) -> Array:
    """Kernel of a `KernelRidge` between rows of x and rows of z.

    Parameters
    ----------
    model
        Names the kernel.
    x, z
        Inputs, (n, ...) and (m, ...), of which all but the first axis are flattened; z is x where
        absent.

    Returns
    -------
    array
        float64, (n, m).

    Raises
    ------
    InputError
        If x and z have rows of unequal length, or the matrix would take more than 1 GiB.

    References
    ----------
    Cho and Saul 2009 (arc-cosine); Jacot, Gabriel and Hongler, arXiv:1806.07572 (``ntk``).

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [2.0, 0.0]])       # |x - z|^2 / (2 d) = 1
    >>> kernel_matrix(KernelRidge(kernel="rbf"), x).round(4).tolist()
    [[1.0, 0.3679], [0.3679, 1.0]]
    """
    left = _rows("x", x)
    if z is not None:
        right = _rows("z", z)
        if right.shape[1] != left.shape[1]:
            raise InputError(
                f"z: rows of {right.shape[1]} numbers; those of x have {left.shape[1]}"
            )
        _fits(len(left), len(right))
        blocks = [_part(model, left[at], right) for at in _blocks(len(left))]
        return np.concatenate(blocks)
    n = len(left)
    _fits(n, n)
    found = np.empty((n, n))
    for at in _blocks(n):
        found[at, at] = _part(model, left[at], None)
        rest = slice(at.stop, n)
        if at.stop < n:
            found[at, rest] = _part(model, left[at], left[rest])
            found[rest, at] = found[at, rest].T
    return found


def solve_kernel(specs: Sequence[RunSpec], data: Data) -> list[dict[str, Any]]:
    """Solve runs with one kernel and any ridges, as `isoloss.sweep.solve.solve_runs` checked them.

    With k the kernel minus the means that an intercept takes out, the prediction is
    ``mean(y) + k(x, X) (k(X, X) + ridge)^-1 (y - mean(y))``. The D x D matrix takes 1 GiB at most,
    and its decomposition twice as much beside it.

    Raises
    ------
    InputError
        For a D whose matrix would take more.
    """
    D = specs[0].D
    if D * D > _MOST:
        raise InputError(
            f"D = {D}: a kernel of {8 * D * D} bytes, more than {8 * _MOST}; up to "
            f"D = {math.isqrt(_MOST)} fits; lower D, or take random-features"
        )
    return timed_rows(specs, data, lambda: _solved(specs, data))


def _solved(specs: Sequence[RunSpec], data: Data) -> tuple[Array, Array, list[int]]:
    """Errors on samples and on test rows, (runs, 2), and ranks."""
    from scipy.linalg import eigh

    models = [spec.model for spec in specs if isinstance(spec.model, KernelRidge)]
    members = members_of(specs[0], data)
    x, y = data.train_x[members], targets_of(data, data.train_y[members])
    level = y.mean(axis=0)
    K = kernel_matrix(models[0], x)
    middle = K.mean(axis=0)
    # The intercept: both sides of the kernel have mean zero over the samples.
    K -= middle
    K -= (middle - middle.mean())[:, None]
    lam, vectors = eigh(K, overwrite_a=True, check_finite=False, driver="evd")
    del K
    keep = lam > _ROUNDING * max(lam[-1], 0.0)
    lam, vectors = lam[keep], vectors[:, keep]
    along = vectors.T @ (y - level)
    weights = [vectors @ (along / (lam + model.ridge)[:, None]) for model in models]
    shrunk = [vectors @ (along * (lam / (lam + model.ridge))[:, None]) + level for model in models]

    def guesses(rows: Any) -> Guesses:
        k = kernel_matrix(models[0], rows, x) - middle
        return [k @ weight + level for weight in weights]

    return errors_of(data, shrunk, y), errors_on_test(data, guesses), [len(lam)] * len(specs)


def _part(model: KernelRidge, x: Array, z: Array | None) -> Array:
    """Kernel of few rows, from which nothing is left over in memory."""
    if model.kernel in ("nngp", "ntk"):
        return mlp_kernel(
            x, z, kind="nngp" if model.kernel == "nngp" else "ntk", depth=model.depth,
            activation=model.activation,  # type: ignore[arg-type]
            weights=model.weights, biases=model.biases,
        )  # fmt: skip
    other = x if z is None else z
    square = (x**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * (x @ other.T)
    np.maximum(square, 0.0, out=square)
    if z is None:
        # Rounding would keep a row away from itself, by the root of it in laplace.
        np.fill_diagonal(square, 0.0)
    d = x.shape[1]
    if model.kernel == "rbf":
        return np.asarray(np.exp(-square / (2 * d * model.bandwidth**2)))
    return np.asarray(np.exp(-np.sqrt(square / d) / model.bandwidth))


def _blocks(n: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]


def _fits(n: int, m: int) -> None:
    if n * m > _MOST:
        raise InputError(
            f"x and z: a kernel of {n} by {m} rows; at most {_MOST} entries are made, take fewer"
        )


def _rows(name: str, values: Any) -> Array:
    found = np.asarray(values)
    if found.dtype.kind not in "fuib" or found.ndim < 2 or not found.size:
        raise InputError(f"{name}: shape {found.shape} of {found.dtype}; expected rows of numbers")
    return found.astype(np.float64).reshape(len(found), -1)

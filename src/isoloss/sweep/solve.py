"""Ridge regression in closed form: on random features here, with kernels beside; one row a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.sweep.data.table import Data
from isoloss.sweep.shapes import RandomFeatures
from isoloss.sweep.solved import (
    Guesses,
    check_solved,
    errors_of,
    errors_on_test,
    members_of,
    targets_of,
    timed_rows,
)
from isoloss.sweep.spec import RunSpec

_MOST = 2**28
"""Numbers in the features of the training examples: 2 GiB."""
_RANK = 1e-10
"""Directions of the features weaker than this share of the strongest count as none."""


def random_feature_map(x: Any, *, width: int, activation: str = "relu", seed: int = 0) -> Array:
    """Random features ``s(w.x / sqrt(d))`` of inputs, w standard normal.

    Features of one seed are nested: those of a smaller width are the first of a larger. Inputs are
    taken as they are: of zero mean and unit variance, as `load_data` gives them, ``w.x / sqrt(d)``
    has unit variance.

    Parameters
    ----------
    x
        Inputs, (n, ...); all but the first axis are flattened to d numbers.
    width
        Features.
    activation
        ``relu``, ``gelu``, ``tanh``, ``erf`` or ``linear``.
    seed
        Of w.

    Returns
    -------
    array
        float64, (n, width).

    Raises
    ------
    InputError
        For an unknown activation or inputs that are no rows of numbers.

    Examples
    --------
    >>> x = np.ones((3, 4))
    >>> wide, narrow = (random_feature_map(x, width=w) for w in (9, 5))
    >>> wide.shape, bool((wide[:, :5] == narrow).all())
    ((3, 9), True)
    """
    shape = RandomFeatures(width=width, activation=activation)
    rows = np.asarray(x)
    if rows.dtype.kind not in "fuib" or rows.ndim < 2:
        raise InputError(f"x: shape {rows.shape} of {rows.dtype}; expected rows of numbers")
    return _features(shape, rows, _directions(shape, rows, seed))


def solve(spec: RunSpec, data: Data) -> dict[str, Any]:
    """Solve one run: ridge regression on the first D examples of its subset.

    Of `RandomFeatures`, weights minimise the sum of squared errors plus ``ridge`` times the sum of
    their squares, with an intercept that costs nothing; of a `KernelRidge`, the same of the
    features that the kernel has. Without a ridge they are those of least norm. Classes are columns
    of zeros and ones. In float64, over the smaller side.

    Parameters
    ----------
    spec
        A run with `RandomFeatures` or `KernelRidge`.
    data
        Of classes or numbers.

    Returns
    -------
    dict
        A row of the ledger. ``N`` counts what is solved for, (width + 1) outputs, of a kernel
        (D + 1) outputs; ``flops_dense`` and ``flops_head`` are those of
        `isoloss.sweep.solved.solution_flops`. ``loss`` is the squared error summed over outputs,
        and ``rank`` the number of directions that the features have.

    Raises
    ------
    InputError
        If the model is not solved, the data are text, D is more than they hold, the features
        would take more than 2 GiB, or a kernel more than 1 GiB.

    References
    ----------
    Rahimi and Recht 2007. Belkin et al., arXiv:1812.11118 (the peak at width D).

    Examples
    --------
    >>> from isoloss.sweep import Data, DataSpec
    >>> x = np.random.default_rng(0).standard_normal((300, 5)).astype("f4")
    >>> y = x[:, :1]
    >>> data = Data(kind="numbers", train_x=x[:200], train_y=y[:200], valid_x=x[:0],
    ...             valid_y=y[:0], test_x=x[200:], test_y=y[200:], outputs=1, digest="0" * 64)
    >>> spec = RunSpec(model=RandomFeatures(width=50, activation="linear"), D=100, batch=1, lr=1,
    ...                data=DataSpec(name="given"))
    >>> row = solve(spec, data)
    >>> row["N"], row["rank"], row["loss"] < 1e-12
    (51, 5, True)
    """
    return solve_runs([spec], data)[0]


def solve_runs(specs: Sequence[RunSpec], data: Data) -> list[dict[str, Any]]:
    """Solve runs that differ in width and ridge alone: features or kernel are made once.

    One eigendecomposition a width, or of the kernel, serves all ridges. Without a ridge one
    factorisation serves all widths below D as well, since the features of a narrow run are the
    first of a wide one.

    Parameters
    ----------
    specs
        Equal but for ``model.width`` and ``model.ridge``.
    data
        As in `solve`.

    Returns
    -------
    list of dict
        A row each, in the order given; the time taken is shared out by the FLOPs of each.

    Raises
    ------
    InputError
        As `solve`, or if the runs differ in more than width and ridge.
    """
    if not specs:
        return []
    check_solved(specs, data)
    shapes = [spec.model for spec in specs if isinstance(spec.model, RandomFeatures)]
    if not shapes:
        from isoloss.sweep.kernel_ridge import solve_kernel

        return solve_kernel(specs, data)
    widest = max(shapes, key=lambda shape: shape.width)
    if specs[0].D * widest.width > _MOST:
        raise InputError(
            f"D = {specs[0].D} with width = {widest.width}: features of "
            f"{8 * specs[0].D * widest.width} bytes, more than {8 * _MOST}; lower one of them"
        )
    return timed_rows(specs, data, lambda: _solved(specs[0], shapes, widest, data))


def _solved(
    spec: RunSpec, shapes: Sequence[RandomFeatures], widest: RandomFeatures, data: Data
) -> tuple[Array, Array, list[int]]:
    """Errors on samples and on test rows, (runs, 2), and ranks."""
    members = members_of(spec, data)
    directions = _directions(widest, data.train_x, spec.seed)
    features = _features(widest, data.train_x[members], directions)
    targets = targets_of(data, data.train_y[members])
    middle, level = features.mean(axis=0), targets.mean(axis=0)
    features -= middle
    solutions = _solutions(features, targets - level, shapes)

    def guesses(x: Array) -> Guesses:
        return [x[:, : len(weights)] @ weights + level for weights, _ in solutions]

    trained = errors_of(data, guesses(features), targets)
    tested = errors_on_test(data, lambda x: guesses(_features(widest, x, directions) - middle))
    return trained, tested, [rank for _, rank in solutions]


def _directions(shape: RandomFeatures, x: Any, seed: int) -> Array:
    """Directions of the features, (d, width): drawn feature by feature, so that they nest."""
    d = math.prod(x.shape[1:])
    return np.random.default_rng([seed, 6]).standard_normal((shape.width, d)).T / math.sqrt(d)


def _features(shape: RandomFeatures, x: Any, directions: Array) -> Array:
    g: Array = np.asarray(x, dtype=np.float64).reshape(len(x), -1) @ directions
    if shape.activation == "relu":
        return np.asarray(np.maximum(g, 0.0))
    if shape.activation == "tanh":
        return np.asarray(np.tanh(g))
    if shape.activation in ("erf", "gelu"):
        from scipy.special import erf, ndtr

        return np.asarray(erf(g) if shape.activation == "erf" else g * ndtr(g))
    return g


def _solutions(x: Array, y: Array, shapes: Sequence[RandomFeatures]) -> list[tuple[Array, int]]:
    """Weights and rank of each run, on the first columns."""
    found: dict[RandomFeatures, tuple[Array, int]] = {}
    for width in sorted({shape.width for shape in shapes if shape.ridge > 0}):
        alike = [shape for shape in shapes if shape.width == width and shape.ridge > 0]
        weights, rank = _ridges(x[:, :width], y, [shape.ridge for shape in alike])
        found |= {shape: (w, rank) for shape, w in zip(alike, weights, strict=True)}
    plain = {shape.width: shape for shape in shapes if shape.ridge == 0}
    for width, solution in _least_norms(x, y, sorted(plain)).items():
        found[plain[width]] = solution
    return [found[shape] for shape in shapes]


def _least_norms(x: Array, y: Array, widths: Sequence[int]) -> dict[int, tuple[Array, int]]:
    """Weights without a ridge, by width."""
    below = [width for width in widths if width < len(x)]
    found: dict[int, tuple[Array, int]] = {}
    if below:
        from scipy.linalg import qr, solve_triangular

        q, r = qr(x[:, : max(below)], mode="economic", check_finite=False)
        along = q.T @ y
        size = np.abs(np.diag(r))
        for width in below:
            # A column within the span of others would need pivots: solved alone, below.
            if size[:width].min() > _RANK * size[:width].max():
                weights = solve_triangular(r[:width, :width], along[:width], check_finite=False)
                found[width] = weights, width
    return found | {w: _least_norm(x[:, :w], y) for w in widths if w not in found}


def _least_norm(x: Array, y: Array) -> tuple[Array, int]:
    from scipy.linalg import lstsq

    weights, _, rank, _ = lstsq(x, y, cond=_RANK, lapack_driver="gelsy", check_finite=False)
    return weights, int(rank)


def _ridges(x: Array, y: Array, ridges: Sequence[float]) -> tuple[list[Array], int]:
    """Over the smaller side, by eigenvectors: a small ridge is no worse than none."""
    tall = len(x) >= x.shape[1]
    lam, vectors = np.linalg.eigh(x.T @ x if tall else x @ x.T)
    lam = np.maximum(lam, 0.0)
    along = vectors.T @ (x.T @ y if tall else y)
    found = []
    for ridge in ridges:
        weights = vectors @ (along / (lam + ridge)[:, None])
        found.append(weights if tall else x.T @ weights)
    return found, int((lam > _RANK * lam[-1]).sum())

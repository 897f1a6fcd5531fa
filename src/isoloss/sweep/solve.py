"""Ridge regression on random features: solved in closed form, and one ledger row a solution."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.sweep.counts import Counts
from isoloss.sweep.data.table import Data, subset_order
from isoloss.sweep.row import row
from isoloss.sweep.shapes import RandomFeatures
from isoloss.sweep.spec import RunSpec

_MOST = 2**28
"""Numbers in the features of the training examples: 2 GiB."""
_RANK = 1e-10
"""Directions of the features weaker than this share of the strongest count as none."""
_BLOCK = 4096


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
    """Solve one run: ridge regression on random features of the first D examples of its subset.

    Weights minimise the sum of squared errors plus ``ridge`` times the sum of their squares, with
    an intercept that costs nothing; without a ridge they are those of least norm. Classes are
    columns of zeros and ones. In float64, over the smaller side.

    Parameters
    ----------
    spec
        A run with `RandomFeatures`.
    data
        Of classes or numbers.

    Returns
    -------
    dict
        A row of the ledger. ``N`` counts what is solved for, (width + 1) outputs;
        ``flops_dense`` is 2 d P D of the features, ``flops_head`` what the solution takes: with
        n = max(D, P), m = min(D, P), 2 n m^2 - 2 m^3/3 without a ridge, n m^2 + m^3/3 with one.
        ``loss`` is the squared error summed over outputs, and ``rank`` the number of directions
        that the features have.

    Raises
    ------
    InputError
        If the model is not solved, the data are text, D is more than they hold, or the features
        would take more than 2 GiB.

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
    return solve_widths([spec], data)[0]


def solve_widths(specs: Sequence[RunSpec], data: Data) -> list[dict[str, Any]]:
    """Solve runs that differ in the width alone: their features are made once.

    Without a ridge one factorisation serves all widths below D as well, since the features of a
    narrow run are the first of a wide one.

    Parameters
    ----------
    specs
        Equal but for ``model.width``.
    data
        As in `solve`.

    Returns
    -------
    list of dict
        A row each, in the order given; the time taken is shared out by the FLOPs of each.

    Raises
    ------
    InputError
        As `solve`, or if the runs differ in more than the width.
    """
    if not specs:
        return []
    shape = _check(specs, data)
    begun, started, busy = datetime.now(UTC), time.perf_counter(), time.process_time()
    spec = specs[0]
    widths = [s.model.width for s in specs]
    subset = spec.seed if spec.subset is None else spec.subset
    members = subset_order(data.examples, subset)[: spec.D]
    widest = replace(shape, width=max(widths))
    directions = _directions(widest, data.train_x, spec.seed)
    features = _features(widest, data.train_x[members], directions)
    targets = _targets(data, data.train_y[members])
    intercept = features.mean(axis=0), targets.mean(axis=0)
    features -= intercept[0]
    solutions = _solutions(features, targets - intercept[1], widths, shape.ridge)

    trained = _errors(data, features, targets, solutions, intercept[1])
    tested = np.zeros((len(specs), 2))
    for start in range(0, len(data.test_x), _BLOCK):
        part = slice(start, start + _BLOCK)
        block = _features(widest, data.test_x[part], directions) - intercept[0]
        truth = _targets(data, data.test_y[part])
        tested += len(truth) * _errors(data, block, truth, solutions, intercept[1])
    tested /= len(data.test_x)

    wall, cpu = time.perf_counter() - started, time.process_time() - busy
    flops = [_flops(data, spec.D, width, shape.ridge) for width in widths]
    whole = sum(sum(f) for f in flops)
    rows = []
    for i, one in enumerate(specs):
        share = sum(flops[i]) / whole
        rows.append(
            _row(one, data, solutions[i][1], trained[i], tested[i], flops[i], wall * share,
                 cpu * share, begun)
        )  # fmt: skip
    return rows


def _check(specs: Sequence[RunSpec], data: Data) -> RandomFeatures:
    spec, alike = specs[0], set()
    for one in specs:
        if not isinstance(one.model, RandomFeatures):
            raise InputError(
                f"model = {one.model.kind}: is trained, not solved; only random-features are"
            )
        alike.add(replace(one, model=replace(one.model, width=1)))
        if len(alike) > 1:
            raise InputError(f"run {one.name}: differs from {spec.name} in more than its width")
    if data.kind == "text":
        raise InputError("data are text: random features need inputs of numbers")
    if spec.loss == "cross-entropy":
        raise InputError("loss = 'cross-entropy': has no closed form; write 'squared' or 'auto'")
    if data.examples < spec.D:
        raise InputError(f"D = {spec.D}: the data hold {data.examples} training examples; lower D")
    if not len(data.test_x):
        raise InputError("data: no test examples to judge by")
    widest = max(one.model.width for one in specs)
    if spec.D * widest > _MOST:
        raise InputError(
            f"D = {spec.D} with width = {widest}: features of {8 * spec.D * widest} bytes, more "
            f"than {8 * _MOST}; lower one of them"
        )
    assert isinstance(spec.model, RandomFeatures)
    return spec.model


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


def _targets(data: Data, y: Any) -> Array:
    if data.kind == "classes":
        return np.asarray(np.eye(data.outputs)[y])
    return np.asarray(y, dtype=np.float64).reshape(len(y), data.outputs)


def _solutions(x: Array, y: Array, widths: Sequence[int], ridge: float) -> list[tuple[Array, int]]:
    """Weights and rank at each width, on the first columns."""
    if ridge > 0:
        return [_ridge(x[:, :width], y, ridge) for width in widths]
    below = [width for width in widths if width < len(x)]
    found: dict[int, tuple[Array, int]] = {}
    if len(below) > 1:
        from scipy.linalg import qr, solve_triangular

        q, r = qr(x[:, : max(below)], mode="economic", check_finite=False)
        along = q.T @ y
        size = np.abs(np.diag(r))
        for width in below:
            # A column within the span of others would need pivots: solved alone, below.
            if size[:width].min() > _RANK * size[:width].max():
                weights = solve_triangular(r[:width, :width], along[:width], check_finite=False)
                found[width] = weights, width
    return [found[w] if w in found else _least_norm(x[:, :w], y) for w in widths]


def _least_norm(x: Array, y: Array) -> tuple[Array, int]:
    from scipy.linalg import lstsq

    weights, _, rank, _ = lstsq(x, y, cond=_RANK, lapack_driver="gelsy", check_finite=False)
    return weights, int(rank)


def _ridge(x: Array, y: Array, ridge: float) -> tuple[Array, int]:
    """Over the smaller side, by eigenvectors: a small ridge is no worse than none."""
    tall = len(x) >= x.shape[1]
    lam, vectors = np.linalg.eigh(x.T @ x if tall else x @ x.T)
    lam = np.maximum(lam, 0.0)
    along = vectors.T @ (x.T @ y if tall else y)
    weights = vectors @ (along / (lam + ridge)[:, None])
    rank = int((lam > _RANK * lam[-1]).sum())
    return (weights if tall else x.T @ weights), rank


def _errors(
    data: Data, x: Array, truth: Array, solutions: Sequence[tuple[Array, int]], level: Array
) -> Array:
    """Mean squared error summed over outputs, and share of wrong classes, (runs, 2)."""
    found = np.empty((len(solutions), 2))
    right = truth.argmax(axis=1)
    for i, (weights, _) in enumerate(solutions):
        guess = x[:, : len(weights)] @ weights + level
        wrong = np.mean(guess.argmax(axis=1) != right) if data.kind == "classes" else math.nan
        found[i] = ((guess - truth) ** 2).sum(axis=1).mean(), wrong
    return found


def _flops(data: Data, D: int, width: int, ridge: float) -> tuple[int, int]:
    """FLOPs of the features and of the solution."""
    n, m = max(D, width), min(D, width)
    made = 2 * math.prod(data.features) * width * D
    solved = n * m * m + m**3 // 3 if ridge > 0 else 2 * n * m * m - 2 * m**3 // 3
    return made, solved


def _row(
    spec: RunSpec, data: Data, rank: int, trained: Array, tested: Array, flops: tuple[int, int],
    seconds: float, cpu_seconds: float, begun: datetime,
) -> dict[str, Any]:  # fmt: skip
    finite = bool(np.isfinite(tested[0]))
    N = (spec.model.width + 1) * data.outputs
    return row(
        spec,
        Counts(N=N, N_non_embedding=N, flops_dense=0, flops_head=0),
        status="done" if finite else "diverged",
        reason="" if finite else "the test loss is not finite",
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        device="cpu",
        digest=data.digest,
        # Not so much an example: the solution is one.
        flops_dense=flops[0],
        flops_head=flops[1],
        flops=sum(flops),
        loss=float(tested[0]) if finite else math.nan,
        error=float(tested[1]) if data.kind == "classes" else None,
        train_loss=float(trained[0]),
        rank=rank,
        curve=[],
        started=begun.isoformat(timespec="seconds"),
    )

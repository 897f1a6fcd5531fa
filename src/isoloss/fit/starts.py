"""Deterministic starts: amplitudes projected out, the rest spread over their ranges."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel
from isoloss.laws.calculus import derivative
from isoloss.laws.expression import Node, parameter, sub
from isoloss.laws.expression import mul as product
from isoloss.laws.tape import evaluate

Rows = npt.NDArray[np.int64]
MAX_ROWS = 128
"""Starts are judged on at most this many runs, spread evenly over the losses."""


def lattice(count: int, dimension: int) -> Array:
    """Even points of the unit cube by an additive recurrence; a full grid in 1 and 2 dimensions.

    The recurrence uses powers of the root of ``t^(d+1) = t + 1``, the generalised golden ratio.
    """
    if dimension <= 2:
        side = round(count ** (1 / max(dimension, 1)))
        ticks = (np.arange(side) + 0.5) / side
        mesh = np.meshgrid(*[ticks] * dimension, indexing="ij")
        return np.stack([m.ravel() for m in mesh], axis=-1) if dimension else np.zeros((1, 0))
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (dimension + 1))
    steps = root ** -np.arange(1.0, dimension + 1)
    return (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1.0


def find_starts(
    kernel: Kernel, weights: Array | None = None, *, keep: int = 8, extra: Array | None = None
) -> Array:
    """Choose good and different starting points, (k, p) in internal coordinates.

    Every parameter the law is linear in is projected out: for each trial value of the others it
    is the (non-negative) solution of a linear least-squares problem in relative residuals. The
    trials are ranked by the objective itself, and the best that differ from each other are kept.

    Parameters
    ----------
    weights
        Weights of the runs, (n,).
    extra
        Further candidates in internal coordinates, always kept (the optimum of a nested law).
    """
    law, p = kernel.law, kernel.p
    linear = list(kernel.amplitudes[:4])
    amplitudes = [parameter(law.names[i]) for i in linear]
    others = [i for i in range(p) if i not in linear]
    count = {0: 1, 1: 32, 2: 100}.get(len(others), 384 if len(others) < 5 else 1024)
    cube = lattice(count, len(others))
    scaled = np.ones((len(cube), p))
    for column, i in enumerate(others):
        low, high = law.parameters[i].start
        if low > 0:
            scaled[:, i] = low * (high / low) ** cube[:, column]
        else:
            scaled[:, i] = low + cube[:, column] * (high - low)
    rows = _spread(kernel.y)
    if linear:
        scaled[:, linear] = _project(kernel, amplitudes, scaled, linear, rows, weights)
    q = np.where(kernel.logs, np.log(np.maximum(scaled, 1e-300)), scaled)
    q = np.clip(q, kernel.lower, kernel.upper)
    with np.errstate(all="ignore"):
        residual = _predict_rows(kernel, q, rows) - kernel.y[rows]
        share = 1.0 if weights is None else weights[rows]
        value = np.sum(share * kernel.objective.terms(residual)[0], axis=-1)
    value = np.where(np.isfinite(value), value, np.inf)
    order = np.argsort(value, kind="stable")
    chosen: list[int] = []
    for i in order:
        if not np.isfinite(value[i]) or len(chosen) == keep:
            break
        apart = all(np.max(np.abs(cube[i] - cube[j]), initial=0.0) > 0.12 for j in chosen)
        if apart or not chosen:
            chosen.append(int(i))
    starts = q[chosen]
    if extra is not None and len(extra):
        starts = np.concatenate([np.clip(extra, kernel.lower, kernel.upper), starts])
    return starts


def _spread(y: Array) -> Rows:
    if len(y) <= MAX_ROWS:
        return np.arange(len(y))
    order = np.argsort(y, kind="stable")
    return np.sort(order[np.linspace(0, len(y) - 1, MAX_ROWS).astype(int)])


def _predict_rows(kernel: Kernel, q: Array, rows: Rows) -> Array:
    if len(rows) == kernel.n:
        return kernel.predict(q)
    theta = kernel.scaled(q)
    leaves = {n: theta[:, i, None] for i, n in enumerate(kernel.law.names)}
    leaves |= {a: kernel.x[a][rows] for a in kernel.law.axes}
    value = evaluate([kernel.root], leaves)[0]
    return np.asarray(np.log(value) if kernel.objective.log else value)


def _project(
    kernel: Kernel,
    amplitudes: list[Node],
    scaled: Array,
    linear: list[int],
    rows: Rows,
    weights: Array | None,
) -> Array:
    """Best amplitudes for each trial of the other parameters, (trials, m)."""
    expression = kernel.root
    basis = [derivative(expression, a) for a in amplitudes]
    rest = expression
    for a, b in zip(amplitudes, basis, strict=True):
        rest = sub(rest, product(a, b))
    leaves = {n: scaled[:, i, None] for i, n in enumerate(kernel.law.names)}
    leaves |= {a: kernel.x[a][rows] for a in kernel.law.axes}
    shape = (len(scaled), len(rows))
    columns = [np.broadcast_to(v, shape) for v in evaluate([*basis, rest], leaves)]
    loss = np.exp(kernel.y[rows]) if kernel.objective.log else kernel.y[rows]
    # Relative residuals stand in for log residuals, which are not linear in the amplitudes.
    unit = 1 / loss if kernel.objective.log else np.ones(len(rows))
    if weights is not None:
        unit = unit * np.sqrt(weights[rows])
    with np.errstate(all="ignore"):
        design = np.stack(columns[:-1], axis=1) * unit
        target = (loss - columns[-1]) * unit
        gram = design @ design.transpose(0, 2, 1)
        right = (design @ target[:, :, None])[:, :, 0]
    return _non_negative(gram, right, kernel.lower[linear] >= 0)


def _non_negative(gram: Array, right: Array, positive: npt.NDArray[np.bool_]) -> Array:
    """Least squares with some coefficients non-negative, by trying every subset of them."""
    m = gram.shape[1]
    best = np.full(len(gram), np.inf)
    answer = np.zeros((len(gram), m))
    ok = np.isfinite(gram).all(axis=(1, 2)) & np.isfinite(right).all(axis=1)
    for size in range(m, 0, -1):
        for subset in combinations(range(m), size):
            if any(not positive[i] for i in range(m) if i not in subset):
                continue
            s = list(subset)
            part = gram[:, s][:, :, s]
            d = 1 / np.sqrt(np.maximum(np.einsum("bii->bi", part), 1e-300))
            matrix = part * d[:, :, None] * d[:, None, :] + 1e-12 * np.eye(size)
            matrix[~ok] = np.eye(size)
            with np.errstate(all="ignore"):
                c = d * np.linalg.solve(matrix, (d * right[:, s])[:, :, None])[:, :, 0]
                gain = -np.einsum("bi,bi->b", c, right[:, s])
            fits = ok & np.all((c >= 0) | ~positive[s], axis=1) & (gain < best)
            best[fits] = gain[fits]
            answer[np.ix_(fits, s)] = c[fits]
            rest = [i for i in range(m) if i not in subset]
            if rest:
                answer[np.ix_(fits, rest)] = 0.0
    return answer

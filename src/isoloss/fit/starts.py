"""Deterministic starts: amplitudes projected out, the rest spread over their ranges."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel

Rows = npt.NDArray[np.int64]
MAX_ROWS = 48
"""Starts are judged on at most this many runs, spread evenly over the losses."""


@lru_cache(maxsize=32)
def lattice(count: int, dimension: int) -> Array:
    """Even points of the unit cube by an additive recurrence; a full grid in 1 and 2 dimensions.

    The recurrence uses powers of the root of ``t^(d+1) = t + 1``, the generalised golden ratio.
    """
    if dimension <= 2:
        side = round(count ** (1 / max(dimension, 1)))
        ticks = (np.arange(side) + 0.5) / side
        mesh = np.meshgrid(*[ticks] * dimension, indexing="ij")
        points = np.stack([m.ravel() for m in mesh], axis=-1) if dimension else np.zeros((1, 0))
        points.flags.writeable = False
        return points
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (dimension + 1))
    steps = root ** -np.arange(1.0, dimension + 1)
    points = (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1.0
    points.flags.writeable = False
    return points


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
    starts = find_starts_for(kernel, [weights], keep=keep)[0]
    if extra is not None and len(extra):
        starts = np.concatenate([kernel.clip(extra), starts])
    return starts


def find_starts_for(
    kernel: Kernel, weightings: Sequence[Array | None], *, keep: int
) -> list[Array]:
    """Choose starts for each of several weights of the runs; the trials are the same for all."""
    law, p = kernel.law, kernel.p
    linear = kernel.amplitudes
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
    each = [_spread(kernel.y, weights) for weights in weightings]
    seen = each[0] if len(each) == 1 else np.unique(np.concatenate(each))
    found = []
    with np.errstate(all="ignore"):
        q = np.where(kernel.logs, np.log(np.maximum(scaled, 1e-300)), scaled)
        basis, rest = kernel.basis(q, seen, len(seen))
        for rows, weights in zip(each, weightings, strict=True):
            share = np.ones(len(rows)) if weights is None else weights[rows]
            mine = np.searchsorted(seen, rows)
            amplitudes, predicted = _project(kernel, basis[:, :, mine], rest[:, mine], rows, share)
            if kernel.objective.log:
                predicted = np.log(predicted)
            value = kernel.objective.terms(predicted - kernel.y[rows])[0] @ share
            chosen = _distinct(value, cube, keep)
            starts = q[chosen]
            starts[:, linear] = amplitudes[chosen]
            found.append(kernel.clip(starts))
    return found


def _distinct(value: Array, cube: Array, keep: int) -> list[int]:
    """Choose the best trials; whatever lies near one of them in the cube is the same start."""
    value = np.where(np.isfinite(value), value, np.inf)
    chosen: list[int] = []
    while len(chosen) < keep:
        i = int(np.argmin(value))
        if value[i] == np.inf:
            break
        chosen.append(i)
        apart = np.max(np.abs(cube - cube[i]), axis=1, initial=0.0) > 0.12
        value = np.where(apart, value, np.inf)
    return chosen


def _spread(y: Array, weights: Array | None) -> Rows:
    """Choose runs that count, evenly spread over the losses."""
    rows = np.arange(len(y)) if weights is None else np.flatnonzero(weights > 0)
    if len(rows) <= MAX_ROWS:
        return rows
    order = rows[np.argsort(y[rows], kind="stable")]
    return np.sort(order[np.linspace(0, len(order) - 1, MAX_ROWS).astype(int)])


def _project(
    kernel: Kernel, basis: Array, rest: Array, rows: Rows, share: Array
) -> tuple[Array, Array]:
    """Best amplitudes for each trial of the other parameters, (trials, m), and predictions."""
    if not kernel.amplitudes:
        return np.empty((len(rest), 0)), rest
    loss = np.exp(kernel.y[rows]) if kernel.objective.log else kernel.y[rows]
    # Relative residuals stand in for log residuals, which are not linear in the amplitudes.
    weight = share / loss**2 if kernel.objective.log else share
    weighted = basis * weight
    gram = weighted @ basis.transpose(0, 2, 1)
    right = (weighted @ (loss - rest)[:, :, None])[:, :, 0]
    amplitudes = _non_negative(gram, right, kernel.lower[list(kernel.amplitudes)] >= 0)
    return amplitudes, (amplitudes[:, None] @ basis)[:, 0] + rest


def _non_negative(gram: Array, right: Array, positive: npt.NDArray[np.bool_]) -> Array:
    """Least squares with some coefficients non-negative: negative ones are dropped in turn."""
    b, m = right.shape
    ok = np.asarray(np.isfinite(gram).all(axis=(1, 2)) & np.isfinite(right).all(axis=1))
    if not ok.all():
        gram, right = np.where(ok[:, None, None], gram, 0.0), np.where(ok[:, None], right, 0.0)
    d = 1 / np.sqrt(np.maximum(gram.reshape(b, m * m)[:, :: m + 1], 1e-300))
    gram = gram * (d[:, :, None] * d[:, None, :])
    gram.reshape(b, m * m)[:, :: m + 1] = 1 + 1e-12
    right = right * d
    dropped = np.zeros((b, m), dtype=bool)
    for _ in range(m):
        found = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
        negative = (found < 0) & positive & ~dropped
        if not negative.any():
            break
        dropped |= negative
        kept = ~dropped
        gram = np.where(kept[:, :, None] & kept[:, None, :], gram, np.eye(m))
        right = np.where(kept, right, 0.0)
    return np.where(positive, np.maximum(found, 0.0), found) * d

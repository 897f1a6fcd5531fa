"""Exact distances to the nearest rows, in blocks of bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoloss._core.arrays import Array

_BLOCK = 1 << 23
"""Distances held at a time: 64 MB."""
_TREE = 12
"""Dimension up to which a tree is faster than all pairs."""
_SPARE = 8
"""Candidates beyond those wanted, whose distances are computed again without cancellation."""


def distinct(x: Array) -> Any:
    """Places of rows without the repeats of earlier ones, rising."""
    whole = np.ascontiguousarray(x + 0.0)
    keys = whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))).ravel()
    return np.sort(np.unique(keys, return_index=True)[1])


def nearest(x: Array, k: int) -> tuple[Array, Any]:
    """Distances to the k nearest other rows, rising, and which these are: each (n, k).

    In many dimensions squares are compared by products, which loses digits of small distances; the
    candidates are therefore measured again by differences, so that the distances are exact.
    """
    if x.shape[1] <= _TREE:
        from scipy.spatial import cKDTree

        found, place = cKDTree(x).query(x, k=k + 1)
        return _without_self(np.asarray(found), np.asarray(place), k)
    n, p = x.shape
    centred = x - x.mean(axis=0)
    squares = (centred**2).sum(axis=1)
    count = min(k + 1 + _SPARE, n)
    out, who = np.empty((n, k)), np.empty((n, k), dtype=np.int64)
    step = max(1, min(_BLOCK // n, _BLOCK // (count * p)))
    for start in range(0, n, step):
        part = centred[start : start + step]
        rough = squares - 2 * part @ centred.T
        near = np.argpartition(rough, count - 1, axis=1)[:, :count]
        exact = ((centred[near] - part[:, None]) ** 2).sum(axis=2)
        order = np.argsort(exact, axis=1, kind="stable")
        near = np.take_along_axis(near, order, axis=1)
        apart = np.sqrt(np.take_along_axis(exact, order, axis=1))
        rows = slice(start, start + step)
        out[rows], who[rows] = _without_self(apart, near, k, start)
    return out, who


def _without_self(apart: Array, place: Any, k: int, start: int = 0) -> tuple[Array, Any]:
    """Drop each row's distance to itself, wherever a tie has put it."""
    n, width = place.shape
    own = place == np.arange(start, start + n)[:, None]
    # A row that is not among its own candidates loses the last of them instead.
    own[~own.any(axis=1), width - 1] = True
    keep = ~own
    shape = (n, width - 1)
    return apart[keep].reshape(shape)[:, :k], place[keep].reshape(shape)[:, :k]

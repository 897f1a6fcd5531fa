"""First centroids, from a sample that depends on row numbers and the seed alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isoloss._core.threads import one_thread
from isoloss.errors import InputError
from isoloss.prune.embeddings import Embeddings
from isoloss.prune.on_device import products_on_device
from isoloss.prune.pieces import Floats, prepare

STARTS = ("k-means++", "sample")

PER_CENTROID = 16
"""Rows of the sample for each centroid."""


def sample_size(rows: int, k: int, start: str) -> int:
    """Rows that first centroids are chosen from."""
    return k if start == "sample" else min(rows, PER_CENTROID * k)


def first_centroids(
    embeddings: Embeddings, k: int, start: str, seed: int, mean: Floats | None,
    device: str | None = None,
) -> Floats:  # fmt: skip
    """Choose k rows: at random, or by k-means++ among sixteen times as many.

    k-means++ takes each next row with a chance proportional to its squared distance from the
    nearest row taken.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    if start not in STARTS:
        raise InputError(f"start = {start!r}: write {' or '.join(STARTS)}")
    # One stream for the sample and one for the choice.
    size = sample_size(embeddings.rows, k, start)
    rows = np.random.default_rng([seed, 0]).choice(
        embeddings.rows, size, replace=False, shuffle=False
    )
    x = prepare(embeddings.take(np.sort(rows)), mean)
    if start == "sample":
        return x
    products = (lambda i: x @ x[i]) if device is None else products_on_device(x, device)
    with one_thread():
        return x[_spread(x, k, np.random.default_rng([seed, 1]), products)]


def _spread(
    x: Floats, k: int, rng: np.random.Generator, products: Callable[[int], Floats]
) -> list[int]:
    size = np.einsum("ij,ij->i", x, x)
    chosen = [int(rng.integers(len(x)))]
    left = np.full(len(x), np.inf, dtype=np.float32)
    for _ in range(1, k):
        last = chosen[-1]
        left = np.minimum(left, np.maximum(size + size[last] - 2 * products(last), 0))
        # Rounding leaves a distance between a row and itself.
        left[chosen] = 0
        mass = np.cumsum(left, dtype=np.float64)
        if mass[-1] > 0:
            next_ = int(np.searchsorted(mass, rng.random() * mass[-1], side="right"))
            chosen.append(min(next_, len(x) - 1))
        else:
            # Fewer distinct rows than centroids: the rest are copies, whose clusters stay empty.
            free = np.setdiff1d(np.arange(len(x)), chosen)
            chosen.append(int(free[rng.integers(len(free))]))
    return chosen

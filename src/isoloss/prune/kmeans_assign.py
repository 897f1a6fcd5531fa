"""The nearest centroid of every row: products in float32, distances from differences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.prune.embeddings import Embeddings
from isoloss.prune.pieces import Floats, prepare

TILE_ROWS, TILE_CENTROIDS = 1024, 1024
"""Products held at once; a tile stays in cache between the product and the search."""

FARTHEST = 32
"""Rows kept to take the place of empty clusters."""

NEAR = 0.5
"""Squared distance of unit rows below which it is taken from the difference, for its digits."""

SUMMED = 64
"""Rows of one cluster in a block up to which float32 sums them; they are then added in float64."""

Labels = npt.NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Sums:
    """What an update of centroids needs of some rows.

    Attributes
    ----------
    total, counts
        Sum and number of the rows of each cluster.
    distance
        Sum of squared distances to the nearest centroid.
    far, far_rows, far_vectors
        Largest squared distances, falling, with the rows that have them.
    """

    total: Array
    counts: Labels
    distance: float
    far: Array
    far_rows: Labels
    far_vectors: Floats

    def add(self, other: Sums) -> None:
        """Add what follows; sums depend on the order, which is that of the rows."""
        self.total += other.total
        self.counts += other.counts
        self.distance += other.distance
        self.keep_far(other.far, other.far_rows, other.far_vectors)

    def keep_far(self, far: Array, rows: Labels, vectors: Floats) -> None:
        """Keep the farthest of those held and of these."""
        far = np.concatenate([self.far, far])
        # Stable: of equal distances the lower row comes first.
        order = np.argsort(-far, kind="stable")[:FARTHEST]
        self.far = far[order]
        self.far_rows = np.concatenate([self.far_rows, rows])[order]
        self.far_vectors = np.concatenate([self.far_vectors, vectors])[order]


def empty_sums(k: int, dim: int) -> Sums:
    """Start from nothing."""
    return Sums(
        np.zeros((k, dim)), np.zeros(k, dtype=np.int64), 0.0, np.zeros(0),
        np.zeros(0, dtype=np.int64), np.zeros((0, dim), dtype=np.float32),
    )  # fmt: skip


class Search:
    """Nearest centroids of tile after tile, in memory that is taken once.

    ``|x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2)``: a row looks for the largest bracket, and for the
    largest product where rows and centroids have length one. Where x is close to c the bracket has
    lost the distance's digits, and it is taken from the difference.
    """

    def __init__(self, centroids: Floats, *, unit: bool) -> None:
        self.centroids = centroids
        # Rows times columns: BLAS is some percent faster than with centroids as rows.
        self.columns = np.ascontiguousarray(centroids.T)
        half = 0.5 * np.square(centroids, dtype=np.float64).sum(axis=1)
        self.half = None if unit else half.astype(np.float32)
        self.product = np.empty((TILE_ROWS, min(len(centroids), TILE_CENTROIDS)), np.float32)
        self.rest = np.empty((TILE_ROWS, centroids.shape[1]), np.float32)

    def tile(self, x: Floats, labels: Labels, squared: Any) -> None:
        """Write cluster and squared distance of at most `TILE_ROWS` rows."""
        best = None
        every = np.arange(len(x))
        for first in range(0, len(self.centroids), TILE_CENTROIDS):
            some = self.columns[:, first : first + TILE_CENTROIDS]
            # The last tile is narrower; products stay in one piece.
            flat = self.product.ravel()[: len(x) * some.shape[1]]
            product = np.matmul(x, some, out=flat.reshape(len(x), -1))
            if self.half is not None:
                product -= self.half[first : first + TILE_CENTROIDS]
            place = product.argmax(axis=1)
            value = product[every, place]
            if best is None:
                best, labels[:] = value, place
            else:
                better = value > best
                best[better] = value[better]
                labels[better] = place[better] + first
        if self.half is None and best is not None:
            np.multiply(best, -2.0, out=squared, dtype=np.float64)
            squared += 2.0
            close = np.flatnonzero(squared < NEAR)
            rest = x[close] - self.centroids[labels[close]]
            squared[close] = np.einsum("ij,ij->i", rest, rest)
        else:
            rest = np.subtract(x, self.centroids[labels], out=self.rest[: len(x)])
            squared[:] = np.einsum("ij,ij->i", rest, rest)


def nearest(x: Floats, centroids: Floats) -> tuple[Labels, Array]:
    """Nearest centroid of each row, the lowest of equals, and the squared distance to it."""
    search = Search(centroids, unit=False)
    labels = np.zeros(len(x), dtype=np.int64)
    squared = np.empty(len(x))
    for low in range(0, len(x), TILE_ROWS):
        tile = slice(low, low + TILE_ROWS)
        search.tile(x[tile], labels[tile], squared[tile])
    return labels, squared


def sum_rows(x: Floats, labels: Labels, k: int) -> tuple[Labels, Array]:
    """Sum rows of each cluster that has any, in the order of the rows.

    In float64 where a cluster has more than `SUMMED` of them.
    """
    from scipy.sparse import csc_array

    counts = np.bincount(labels, minlength=k)
    present = np.flatnonzero(counts)
    own = np.empty(k, dtype=np.int32)
    own[present] = np.arange(present.size)
    ends = np.arange(len(x) + 1, dtype=np.int32)
    kind = np.float32 if counts.max() <= SUMMED else np.float64
    pick = csc_array((np.ones(len(x), kind), own[labels], ends), shape=(present.size, len(x)))
    return present, np.asarray(pick @ x.astype(kind, copy=False))


def sum_piece(piece: Embeddings, block: int, centroids: Floats, mean: Floats | None) -> Sums:
    """Sum one piece, block after block."""
    k = len(centroids)
    found = empty_sums(k, piece.dim)
    for start, x, labels, squared in _assigned(piece, block, centroids, mean):
        present, sums = sum_rows(x, labels, k)
        found.total[present] += sums
        found.counts += np.bincount(labels, minlength=k)
        found.distance += float(squared.sum())
        # Rows that are no farther than those held would be dropped again.
        if found.far.size < FARTHEST or squared.max() > found.far[-1]:
            far = np.argsort(-squared, kind="stable")[:FARTHEST]
            found.keep_far(squared[far], piece.first + start + far, x[far])
    return found


def assign_piece(
    piece: Embeddings, block: int, centroids: Floats, mean: Floats | None
) -> tuple[Any, Any]:
    """Cluster of each row, int32, and its squared distance, float32."""
    labels = np.empty(piece.rows, dtype=np.int32)
    squared = np.empty(piece.rows, dtype=np.float32)
    for start, _, found, far in _assigned(piece, block, centroids, mean):
        labels[start : start + len(found)] = found
        squared[start : start + len(found)] = far
    return labels, squared


def _assigned(
    piece: Embeddings, block: int, centroids: Floats, mean: Floats | None
) -> Iterator[tuple[int, Floats, Labels, Array]]:
    """Rows as prepared, cluster and squared distance, block after block; the next overwrites them.

    A tile is prepared, multiplied and searched while it is in cache.
    """
    search = Search(centroids, unit=mean is None)
    size = min(block, piece.rows)
    x = np.empty((size, piece.dim), dtype=np.float32)
    labels, squared = np.empty(size, dtype=np.int64), np.empty(size)
    for start, raw in piece.blocks(block):
        for low in range(0, len(raw), TILE_ROWS):
            tile = slice(low, min(low + TILE_ROWS, len(raw)))
            prepare(raw[tile], mean, out=x[tile])
            search.tile(x[tile], labels[tile], squared[tile])
        n = len(raw)
        yield start, x[:n], labels[:n], squared[:n]

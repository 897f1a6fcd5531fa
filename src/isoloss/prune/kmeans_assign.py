"""The nearest centroid of every row: products in float32, distances from differences."""

from __future__ import annotations

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


def nearest(x: Floats, centroids: Floats) -> tuple[Labels, Array]:
    """Nearest centroid of each row, the lowest of equals, and the squared distance to it.

    ``|x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2)``: the row looks for the largest bracket;
    the distance is then taken from the difference, which keeps its digits where x is close to c.
    """
    half = (0.5 * np.square(centroids, dtype=np.float64).sum(axis=1)).astype(np.float32)
    labels = np.zeros(len(x), dtype=np.int64)
    squared = np.empty(len(x))
    for low in range(0, len(x), TILE_ROWS):
        rows = x[low : low + TILE_ROWS]
        best = np.full(len(rows), -np.inf, dtype=np.float32)
        found = labels[low : low + TILE_ROWS]
        for first in range(0, len(centroids), TILE_CENTROIDS):
            product = rows @ centroids[first : first + TILE_CENTROIDS].T
            product -= half[first : first + TILE_CENTROIDS]
            place = product.argmax(axis=1)
            value = product[np.arange(len(rows)), place]
            better = value > best
            best[better] = value[better]
            found[better] = place[better] + first
        rest = rows - centroids[found]
        squared[low : low + TILE_ROWS] = np.einsum("ij,ij->i", rest, rest)
    return labels, squared


def sum_rows(x: Floats, labels: Labels, k: int) -> tuple[Labels, Array]:
    """Sum rows of each cluster that has any, in float64, in the order of the rows."""
    from scipy.sparse import csr_array

    present, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(own, kind="stable")
    ends = np.concatenate([[0], np.cumsum(counts)])
    pick = csr_array((np.ones(len(x)), order, ends), shape=(present.size, len(x)))
    return present, np.asarray(pick @ x.astype(np.float64))


def sum_piece(piece: Embeddings, block: int, centroids: Floats, mean: Floats | None) -> Sums:
    """Sum one piece, block after block."""
    k = len(centroids)
    found = empty_sums(k, piece.dim)
    for start, raw in piece.blocks(block):
        x = prepare(raw, mean)
        labels, squared = nearest(x, centroids)
        present, sums = sum_rows(x, labels, k)
        found.total[present] += sums
        found.counts += np.bincount(labels, minlength=k)
        found.distance += float(squared.sum())
        far = np.argsort(-squared, kind="stable")[:FARTHEST]
        found.keep_far(squared[far], piece.first + start + far, x[far])
    return found


def assign_piece(
    piece: Embeddings, block: int, centroids: Floats, mean: Floats | None
) -> tuple[Any, Any]:
    """Cluster of each row, int32, and its squared distance, float32."""
    labels = np.empty(piece.rows, dtype=np.int32)
    squared = np.empty(piece.rows, dtype=np.float32)
    for start, raw in piece.blocks(block):
        found, far = nearest(prepare(raw, mean), centroids)
        labels[start : start + len(found)] = found
        squared[start : start + len(found)] = far
    return labels, squared

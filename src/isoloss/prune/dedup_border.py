"""Near-duplicates across borders of clusters: each row is compared in its two nearest clusters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.executor import Executor
from isoloss.prune.dedup_rules import Whole, refuse_many
from isoloss.prune.embeddings import Embeddings
from isoloss.prune.kmeans_assign import TILE_CENTROIDS, TILE_ROWS
from isoloss.prune.pieces import Floats, over_pieces, prepare
from isoloss.prune.shards import Rows


def two_nearest(
    opened: Embeddings, centroids: Array, block: int, executor: Executor | None
) -> tuple[Rows, Rows]:
    """Give the two nearest centroids of each row, of length one; the products are numpy's."""
    found = np.empty((2, opened.rows), dtype=np.int32)
    near = np.asarray(centroids, dtype=np.float32)
    for first, both in over_pieces(opened, _two_piece, near, executor=executor, block=block):
        found[:, first : first + both.shape[1]] = both
    return found[0], found[1]


def members_of(labels: Rows, second: Rows, rank: Whole, k: int) -> tuple[Whole, Whole]:
    """Rows of each cluster, nearest or second nearest, by rank; and where each cluster ends."""
    rows = np.tile(np.arange(labels.size), 2)
    codes = np.concatenate([labels, second])
    order = np.lexsort((rank[rows], codes))
    return rows[order], np.cumsum(np.bincount(codes, minlength=k))


class Links:
    """Near pairs of rows, each once, by rank."""

    def __init__(self, n: int) -> None:
        self.n, self.count = n, 0
        self.parts: list[tuple[Whole, Rows]] = []

    def add(self, earlier: Whole, later: Whole, cosines: Rows) -> None:
        """Add pairs of a cluster.

        Raises
        ------
        InputError
            If there are more than memory is set aside for.
        """
        self.count += earlier.size
        refuse_many(self.count)
        self.parts.append((earlier * self.n + later, cosines))

    def answer(self, rule: str) -> tuple[Whole, Whole, Rows]:
        """Ranks that go, the ranks they duplicate, and cosines."""
        if not self.count:
            none = np.zeros(0, dtype=np.int64)
            return none, none, np.zeros(0, dtype=np.float32)
        # A pair may share both of its clusters.
        key, place = np.unique(np.concatenate([p[0] for p in self.parts]), return_index=True)
        cosine = np.concatenate([p[1] for p in self.parts])[place]
        earlier, later = key // self.n, key % self.n
        if rule == "paper":
            return _grouped(earlier, later, cosine)
        if rule == "greedy":
            stayed = _stays(self.n, earlier, later)[earlier]
            earlier, later, cosine = earlier[stayed], later[stayed], cosine[stayed]
        # Of each later row the nearest earlier one, the first of equals.
        order = np.lexsort((earlier, -cosine, later))
        first = np.ones(order.size, dtype=bool)
        first[1:] = later[order[1:]] != later[order[:-1]]
        best = order[first]
        return later[best], earlier[best], cosine[best]


def _stays(n: int, earlier: Whole, later: Whole) -> npt.NDArray[np.bool_]:
    """Which rows stay where one goes that is near an earlier one that stayed."""
    order = np.argsort(later, kind="stable")
    earlier, later = earlier[order], later[order]
    starts = np.flatnonzero(np.append(True, later[1:] != later[:-1]))
    stays = np.ones(n, dtype=bool)
    ends = np.append(starts[1:], later.size).tolist()
    for row, low, high in zip(later[starts].tolist(), starts.tolist(), ends, strict=True):
        stays[row] = not stays[earlier[low:high]].any()
    return stays


def _grouped(earlier: Whole, later: Whole, cosine: Rows) -> tuple[Whole, Whole, Rows]:
    """Of each linked group the first rank stays; cosines are those of pairs, NaN where far."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, places = np.unique(np.concatenate([earlier, later]), return_inverse=True)
    one, other = places[: earlier.size], places[earlier.size :]
    graph = coo_array((np.ones(one.size, np.int8), (one, other)), shape=(names.size,) * 2)
    _, group = connected_components(graph, directed=False)
    # Names rise, so the first of a group has its least rank.
    _, first = np.unique(group, return_index=True)
    head = first[group]
    gone = np.flatnonzero(head != np.arange(names.size))
    return names[gone], names[head[gone]], np.full(gone.size, np.nan, dtype=np.float32)


def _two_piece(piece: Embeddings, block: int, centroids: Floats) -> Rows:
    found = np.empty((2, piece.rows), dtype=np.int32)
    for start, raw in piece.blocks(block):
        for low in range(0, len(raw), TILE_ROWS):
            x = prepare(raw[low : low + TILE_ROWS], None)
            found[:, start + low : start + low + len(x)] = _two(x, centroids).T
    return found


def _two(x: Floats, centroids: Floats) -> Whole:
    """Places of the two largest products of each row, the lower of equals first."""
    rows = np.arange(len(x))
    values, places = np.empty((len(x), 0), np.float32), np.empty((len(x), 0), np.int64)
    for first in range(0, len(centroids), TILE_CENTROIDS):
        product = x @ centroids[first : first + TILE_CENTROIDS].T
        for _ in range(min(2, product.shape[1])):
            place = product.argmax(axis=1)
            values = np.column_stack([values, product[rows, place]])
            places = np.column_stack([places, place + first])
            product[rows, place] = -np.inf
        best = np.argsort(-values, axis=1, kind="stable")[:, :2]
        values = np.take_along_axis(values, best, axis=1)
        places = np.take_along_axis(places, best, axis=1)
    return places

"""How many clusters: as many as two halves of a sample agree on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_seed, freeze
from isoloss._core.threads import one_thread
from isoloss.errors import InputError
from isoloss.prune.embeddings import Embeddings, open_embeddings
from isoloss.prune.kmeans import Clusters, fit_kmeans
from isoloss.prune.kmeans_assign import nearest
from isoloss.prune.pieces import as_geometry, as_whole, prepare

_LEAST = 2
_ROWS_EACH = 16
"""Rows of a third of the sample for each cluster."""

_STARTS = 3
"""Starts of k-means, the best of which counts: a bad start is no property of k."""

_SAME = 0.02
"""Agreements closer than this are taken as equal, and more clusters preferred."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterChoice:
    """How well two halves of a sample agree at each number of clusters.

    Attributes
    ----------
    k
        The number with the best agreement; of numbers within 0.02 of it the largest.
    ks
        Numbers tried, rising.
    agreement
        Adjusted Rand index of the clusters that two disjoint samples give to a third: 1 where they
        are the same, 0 on average by chance.
    overlap
        Share of the hardest rows of the third sample that both call so.
    keep
        Share of rows called hard; `overlap` by chance.
    rows
        Rows of the sample.
    """

    k: int
    ks: Array
    agreement: Array
    overlap: Array
    keep: float
    rows: int

    def __repr__(self) -> str:
        return f"ClusterChoice(k={self.k} of {self.ks.astype(int).tolist()})"

    def summary(self) -> str:
        """Lines for people."""
        lines = [
            f"k = {self.k}: clusters of two samples agree best "
            f"({self.rows} rows; hard: {self.keep:.0%})"
        ]
        lines += [
            f"  k {int(k)}: adjusted Rand index {a:.2f}, hard rows in common {o:.0%}"
            for k, a, o in zip(self.ks, self.agreement, self.overlap, strict=True)
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain types."""
        return {
            "schema": 1, "k": self.k, "ks": self.ks.astype(int).tolist(),
            "agreement": self.agreement.tolist(), "overlap": self.overlap.tolist(),
            "keep": self.keep, "rows": self.rows,
        }  # fmt: skip


def choose_clusters(
    embeddings: Any,
    ks: Iterable[int] | None = None,
    *,
    rows: int = 60_000,
    keep: float = 0.3,
    geometry: str = "cosine",
    passes: int = 10,
    rng: int | np.random.Generator = 0,
    on_step: Callable[[str], None] | None = None,
) -> ClusterChoice:
    """Choose a number of clusters by stability: two samples should find the same ones.

    Two thirds of a sample are clustered apart, with seeds of their own. Each gives clusters and
    distances to the last third; the two answers are compared.

    Parameters
    ----------
    embeddings
        What `open_embeddings` reads.
    ks
        Numbers to try; by default powers of two up to 4096, with 16 rows of a third each.
    rows
        Rows of the sample, in all.
    keep
        Share of rows called hard.
    geometry, passes, rng
        Of `fit_kmeans`.

    Raises
    ------
    InputError
        If a number of clusters does not fit the sample, or rows cannot be used.

    References
    ----------
    Ben-Hur, Elisseeff, Guyon, "A stability based method for discovering structure in clustered
    data", PSB 2002. Hubert and Arabie, "Comparing partitions", J. Classification 2 (1985).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = 5 * np.repeat(np.eye(8), 100, axis=0) + rng.standard_normal((800, 8)) / 2
    >>> choose_clusters(x).k
    8
    """
    opened = open_embeddings(embeddings)
    as_geometry(geometry)
    size = min(as_whole("rows", rows, 6), opened.rows) // 3
    if not 0 < keep < 1:
        raise InputError(f"keep = {keep!r}: must be a share above 0 and below 1")
    seed = int(rng.integers(2**62)) if isinstance(rng, np.random.Generator) else as_seed(rng)
    tried = _tried(ks, size)
    one, two, last = _thirds(opened, size, seed)
    agreement, overlap = [], []
    for k in tried:
        if on_step:
            on_step(f"stability of {k} clusters")
        labels, hard = [], []
        for part, start in ((one, seed), (two, seed + _STARTS)):
            found = _best(part, k, geometry, passes, start)
            near, far = _assign(last, found)
            labels.append(near)
            hard.append(far >= np.partition(far, int(size * (1 - keep)))[int(size * (1 - keep))])
        agreement.append(rand_index(*labels))
        overlap.append(float((hard[0] & hard[1]).sum() / max(1, hard[0].sum())))
    best = max(agreement)
    k = max(k for k, a in zip(tried, agreement, strict=True) if a >= best - _SAME)
    return ClusterChoice(
        k=k, ks=freeze(np.array(tried, dtype=np.float64)), agreement=freeze(np.array(agreement)),
        overlap=freeze(np.array(overlap)), keep=float(keep), rows=3 * size,
    )  # fmt: skip


def rand_index(a: Any, b: Any) -> float:
    """Compare two labellings of the same rows, whole numbers from 0: adjusted Rand index.

    Examples
    --------
    >>> rand_index(np.array([0, 0, 1, 1]), np.array([5, 5, 2, 2]))
    1.0
    """
    width = int(b.max()) + 1
    _, both = np.unique(a.astype(np.int64) * width + b, return_counts=True)
    pairs = [
        float((n * (n - 1.0) / 2).sum()) for n in (both, np.bincount(a), np.bincount(b))
    ]  # fmt: skip
    expected = pairs[1] * pairs[2] / max(1.0, len(a) * (len(a) - 1.0) / 2)
    most = (pairs[1] + pairs[2]) / 2
    return 1.0 if most == expected else (pairs[0] - expected) / (most - expected)


def _tried(ks: Iterable[int] | None, size: int) -> list[int]:
    if ks is None:
        found = [k for k in (2**i for i in range(1, 13)) if k * _ROWS_EACH <= size]
        if not found:
            raise InputError(
                f"embeddings: a third of the sample has {size} rows, and two clusters need "
                f"{_LEAST * _ROWS_EACH}; give k"
            )
        return found
    found = sorted({as_whole("ks", k, _LEAST) for k in ks})
    if not found or found[-1] > size:
        raise InputError(f"ks = {found}: give numbers from 2 to {size}, a third of the sample")
    return found


def _thirds(opened: Embeddings, size: int, seed: int) -> list[Any]:
    chance = np.random.default_rng([seed, 2])
    rows = chance.choice(opened.rows, 3 * size, replace=False, shuffle=False)
    x = opened.take(np.sort(rows))
    mixed = chance.permutation(3 * size)
    return [x[np.sort(mixed[i * size : (i + 1) * size])] for i in range(3)]


def _best(part: Any, k: int, geometry: str, passes: int, seed: int) -> Clusters:
    fits = [
        fit_kmeans(part, k, geometry=geometry, passes=passes, rng=seed + i) for i in range(_STARTS)
    ]
    return min(fits, key=lambda found: float(found.objective[-1]))


def _assign(rows: Any, found: Clusters) -> tuple[Any, Any]:
    mean = found.checked.mean.astype(np.float32) if found.geometry == "euclidean" else None
    centroids = found.centroids if mean is None else found.centroids - mean.astype(np.float64)
    with one_thread():
        return nearest(prepare(rows, mean), centroids.astype(np.float32))

"""Near-duplicates within clusters of embeddings, exactly, at bounded memory."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.executor import Executor
from isoloss.errors import InputError
from isoloss.prune.dedup_rules import RULES, duplicates
from isoloss.prune.embeddings import Embeddings, open_embeddings
from isoloss.prune.kmeans import Clusters, fit_kmeans
from isoloss.prune.pieces import BLOCK, in_order, prepare
from isoloss.prune.plan import DEDUP_CLUSTER_BYTES
from isoloss.prune.prototypes import score_pieces
from isoloss.prune.shards import ArrayPart, Rows

ORDERS = ("hard", "easy")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deduplicated:
    """What stays, what goes, and because of which row.

    Attributes
    ----------
    kept, removed
        Row numbers in canonical order, rising.
    partners
        For each removed row the row that it duplicates.
    cosines
        Cosine of the two, float32.
    eps, rule, prefer
        As asked for.
    clusters
        The clusters that rows were compared in; read their ``converged``: what is removed is a
        duplicate either way, and clusters that have not settled part more pairs.
    """

    kept: npt.NDArray[np.int64]
    removed: npt.NDArray[np.int64]
    partners: npt.NDArray[np.int64]
    cosines: Rows
    eps: float
    rule: str
    prefer: str
    clusters: Clusters

    def __repr__(self) -> str:
        rows = self.kept.size + self.removed.size
        return f"Deduplicated({self.removed.size} of {rows} rows removed, {self.rule})"

    def summary(self) -> str:
        """One sentence for people, and another where clusters had not settled."""
        rows, k = self.kept.size + self.removed.size, len(self.clusters.centroids)
        text = (
            f"{self.removed.size} of {rows} rows go as duplicates (rule {self.rule}, "
            f"eps {self.eps:g}, {k} clusters)"
        )
        if self.clusters.converged:
            return text
        return (
            f"{text}; k-means had not converged, so more pairs than need be may lie in two "
            "clusters: give more passes"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain types; the rows themselves are not among them."""
        return {
            "schema": 1,
            "rows": int(self.kept.size + self.removed.size),
            "kept": int(self.kept.size),
            "removed": int(self.removed.size),
            "eps": self.eps,
            "rule": self.rule,
            "prefer": self.prefer,
            "clusters": self.clusters.to_dict(),
        }


def default_clusters(rows: int, passes: int = 10) -> int:
    """Clusters at which passes and pairs cost the same: rows^2 / k = 2 passes rows k.

    Examples
    --------
    >>> default_clusters(1_000_000)
    224
    """
    return max(1, round(math.sqrt(rows / (2.0 * passes))))


def find_duplicates(
    embeddings: Any,
    *,
    eps: float,
    rule: str = "greedy",
    prefer: str = "hard",
    k: int | None = None,
    clusters: Clusters | None = None,
    passes: int = 10,
    rng: int | np.random.Generator = 0,
    journal: str | Path | None = None,
    executor: Executor | None = None,
    scratch: str | Path | None = None,
    cluster_bytes: int = DEDUP_CLUSTER_BYTES,
    on_step: Callable[[str], None] | None = None,
) -> Deduplicated:
    """Find rows whose cosine with another row of their cluster is above 1 - eps.

    Parameters
    ----------
    embeddings
        What `open_embeddings` reads.
    eps
        Largest distance, 1 - cosine, of duplicates; strictly below it. From 0 to 2.
    rule
        ``greedy``: a row goes if a row before it that stayed is near. ``code``: it goes if any row
        before it is near, as in the program that came with the paper. ``paper``: of each group of
        rows linked by near pairs one stays. Each removes at least what the one named before does.
    prefer
        Which rows stand first and so stay: ``hard``, far from their centroid, or ``easy``.
    k, passes, rng, journal
        Of `fit_kmeans` with ``cosine``; k is `default_clusters` where it is not given.
    clusters
        Those that are known already; then no others are sought.
    executor
        Where pieces and clusters are worked on.
    scratch, cluster_bytes
        Where rows of a cluster are laid out if they take more memory than this.

    Returns
    -------
    Deduplicated
        Exact within clusters; pairs that a border of clusters parts are not seen.

    Raises
    ------
    InputError
        If rows or arguments cannot be used.

    Notes
    -----
    Products are taken in float32; pairs within rounding of the limit are computed again in
    float64, so that a copy has distance zero and the answer does not depend on rounding.

    References
    ----------
    Abbas et al., "SemDeDup: data-efficient learning at web-scale through semantic deduplication",
    arXiv:2303.09540.

    Examples
    --------
    >>> rows = [[1.0, 0.0], [0.0, 1.0], [2.0, 0.001]]
    >>> found = find_duplicates(rows, eps=0.01, k=1)
    >>> found.removed.tolist(), found.partners.tolist()
    ([2], [0])
    """
    opened = open_embeddings(embeddings)
    if not 0 <= eps <= 2:
        raise InputError(f"eps = {eps!r}: must lie between 0 and 2, for example 0.05")
    if rule not in RULES:
        raise InputError(f"rule = {rule!r}: write one of {', '.join(RULES)}")
    if prefer not in ORDERS:
        raise InputError(f"prefer = {prefer!r}: write hard or easy")
    if clusters is None:
        clusters = fit_kmeans(
            opened, k or default_clusters(opened.rows, passes), passes=passes, rng=rng,
            journal=journal, executor=executor, on_step=on_step,
        )  # fmt: skip
    elif clusters.geometry != "cosine":
        raise InputError(
            "clusters: were found with the Euclidean distance; duplicates go by cosine"
        )
    elif clusters.checked.rows != opened.rows:
        raise InputError(
            f"clusters: are those of {clusters.checked.rows} rows, and there are {opened.rows}"
        )
    labels = np.empty(opened.rows, dtype=np.int32)
    far = np.empty(opened.rows, dtype=np.float32)
    for first, _, scores, found in score_pieces(opened, clusters, executor=executor):
        labels[first : first + len(found)], far[first : first + len(found)] = found, scores
    # Ranks by cluster, then by preference, then by number.
    order = np.lexsort((far if prefer == "easy" else -far, labels))
    ends = np.cumsum(np.bincount(labels, minlength=len(clusters.centroids)))
    del labels, far
    partner = np.full(opened.rows, -1)
    cosine = np.empty(opened.rows, dtype=np.float32)
    calls = _calls(opened, order, ends, eps, rule, scratch, cluster_bytes, executor is not None)
    for j, (gone, of, cosines) in in_order(compare_cluster, calls, executor):
        members = order[ends[j - 1] if j else 0 : ends[j]]
        partner[members[gone]] = members[of]
        cosine[members[gone]] = cosines
        if on_step and (j + 1) % max(1, len(ends) // 20) == 0:
            on_step(f"compared cluster {j + 1} of {len(ends)}")
    removed = np.flatnonzero(partner >= 0)
    return Deduplicated(
        kept=np.flatnonzero(partner < 0), removed=removed, partners=partner[removed],
        cosines=cosine[removed], eps=float(eps), rule=rule, prefer=prefer, clusters=clusters,
    )  # fmt: skip


def _calls(
    opened: Embeddings, order: Rows, ends: Rows, eps: float, rule: str, scratch: Any,
    cluster_bytes: int, away: bool,
) -> Iterator[tuple[int, tuple[Any, ...]]]:  # fmt: skip
    """Give each cluster of two rows or more to a task."""
    in_memory = any(isinstance(part, ArrayPart) for part in opened.parts)
    for j in range(len(ends)):
        rows = order[ends[j - 1] if j else 0 : ends[j]]
        if len(rows) < 2:
            continue
        source = opened
        if away and in_memory:
            # A worker is sent the rows of the cluster and no others.
            source, rows = open_embeddings(opened.take(np.sort(rows))), np.argsort(np.argsort(rows))
        yield j, (source, rows, eps, rule, scratch, cluster_bytes)


def compare_cluster(
    source: Embeddings, rows: Rows, eps: float, rule: str, scratch: Any, cluster_bytes: int
) -> tuple[Rows, Rows, Rows]:
    """Ranks of removed rows, of their partners, and their cosines."""
    # Taking, scaling and laying out in order hold three copies, the panels a fourth.
    if len(rows) * source.dim * 16 <= cluster_bytes:
        return _compare(_in_order_of(source, rows), eps, rule)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="isoloss-") as folder:
        shape = (len(rows), source.dim)
        laid = np.memmap(Path(folder) / "rows", dtype=np.float32, mode="w+", shape=shape)
        for low in range(0, len(rows), BLOCK):
            laid[low : low + BLOCK] = _in_order_of(source, rows[low : low + BLOCK])
        return _compare(laid, eps, rule)


def _in_order_of(source: Embeddings, rows: Rows) -> Rows:
    rising = np.argsort(rows)
    found = np.empty((len(rows), source.dim), dtype=np.float32)
    found[rising] = prepare(source.take(rows[rising]), None)
    return found


def _compare(x: Any, eps: float, rule: str) -> tuple[Rows, Rows, Rows]:
    removed, partner = duplicates(x, eps, rule)
    gone = np.flatnonzero(removed)
    cosines = np.empty(len(gone), dtype=np.float32)
    for low in range(0, len(gone), BLOCK):
        some = gone[low : low + BLOCK]
        a, b = np.asarray(x[some]), np.asarray(x[partner[some]])
        cosines[low : low + BLOCK] = 1 - np.square(a - b).sum(axis=1, dtype=np.float64) / 2
    return gone, partner[gone], cosines

"""Near-duplicates within clusters of embeddings, exactly, at bounded memory."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from isoloss._core.executor import Executor
from isoloss.errors import InputError
from isoloss.prune.dedup_border import Links, members_of, two_nearest
from isoloss.prune.dedup_rules import RULES, duplicates, near_pairs
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
    eps, rule, prefer, neighbours
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
    neighbours: int
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
            "neighbours": self.neighbours,
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
    neighbours: int = 1,
    passes: int = 10,
    rng: int | np.random.Generator = 0,
    journal: str | Path | None = None,
    executor: Executor | None = None,
    device: str | None = None,
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
    neighbours
        1: rows are compared with those that have the same nearest centroid. 2: with those that
        share any of the two nearest, which sees most pairs that a border of clusters parts, takes
        about four times the products, and holds all near pairs in memory.
    executor
        Where pieces and clusters are worked on.
    device
        Where torch takes the products, as for `fit_kmeans`. Which pairs are near does not depend on
        it, as doubtful ones are computed again; clusters and the order of rows may, by rounding.
    scratch, cluster_bytes
        Where rows of a cluster are laid out if they take more memory than this.

    Returns
    -------
    Deduplicated
        Exact among rows that are compared; others are not seen.

    Raises
    ------
    InputError
        If rows or arguments cannot be used, or there are more near pairs than can be held.

    Notes
    -----
    With two neighbours the rule works on all near pairs at once, rows in the order of their
    distance from the nearest centroid; with one that is the same as cluster by cluster. The cosine
    of a row with the first of its group, which rule ``paper`` may link through others, is computed
    from both rows.

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
    if neighbours not in (1, 2):
        raise InputError(f"neighbours = {neighbours!r}: write 1 or 2")
    if clusters is None:
        clusters = fit_kmeans(
            opened, k or default_clusters(opened.rows, passes), passes=passes, rng=rng,
            journal=journal, executor=executor, device=device, on_step=on_step,
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
    for first, _, scores, found in score_pieces(opened, clusters, executor=executor, device=device):
        labels[first : first + len(found)], far[first : first + len(found)] = found, scores
    work = Work(eps, rule, device, scratch, cluster_bytes)
    key = far if prefer == "easy" else -far
    if neighbours == 2 and len(clusters.centroids) > 1:
        order = np.argsort(key, kind="stable")
        del labels, far, key
        partner, cosine = _across(opened, clusters, order, work, executor, on_step)
    else:
        # Ranks by cluster, then by preference, then by number.
        order = np.lexsort((key, labels))
        ends = np.cumsum(np.bincount(labels, minlength=len(clusters.centroids)))
        del labels, far, key
        partner, cosine = _within(opened, order, ends, work, executor, on_step)
    removed = np.flatnonzero(partner >= 0)
    return Deduplicated(
        kept=np.flatnonzero(partner < 0), removed=removed, partners=partner[removed],
        cosines=cosine[removed], eps=float(eps), rule=rule, prefer=prefer,
        neighbours=int(neighbours), clusters=clusters,
    )  # fmt: skip


class Work(NamedTuple):
    """What a task has to know beside the rows of its cluster."""

    eps: float
    rule: str
    device: str | None
    scratch: str | Path | None
    cluster_bytes: int


def _within(
    opened: Embeddings, order: Rows, ends: Rows, work: Work, executor: Executor | None,
    on_step: Callable[[str], None] | None,
) -> tuple[Any, Rows]:  # fmt: skip
    """Partner of each row or -1, and cosines, cluster by cluster."""
    partner = np.full(opened.rows, -1)
    cosine = np.empty(opened.rows, dtype=np.float32)
    calls = _calls(opened, order, ends, work, executor is not None)
    for j, (gone, of, cosines) in in_order(compare_cluster, calls, executor):
        members = order[ends[j - 1] if j else 0 : ends[j]]
        partner[members[gone]] = members[of]
        cosine[members[gone]] = cosines
        _show(on_step, j, len(ends))
    return partner, cosine


def _across(
    opened: Embeddings, clusters: Clusters, order: Rows, work: Work, executor: Executor | None,
    on_step: Callable[[str], None] | None,
) -> tuple[Any, Rows]:  # fmt: skip
    """Partner of each row or -1, and cosines, by all near pairs that share a cluster of two."""
    rank = np.empty(opened.rows, dtype=np.int64)
    rank[order] = np.arange(opened.rows)
    both = two_nearest(opened, clusters.centroids, clusters.checked.block, executor)
    rows, ends = members_of(*both, rank, len(clusters.centroids))
    links = Links(opened.rows)
    calls = _calls(opened, rows, ends, work, executor is not None)
    for j, (earlier, later, cosines) in in_order(pairs_of_cluster, calls, executor):
        ranks = rank[rows[ends[j - 1] if j else 0 : ends[j]]]
        links.add(ranks[earlier], ranks[later], cosines)
        _show(on_step, j, len(ends))
    gone, of, cosines = links.answer(work.rule)
    partner = np.full(opened.rows, -1)
    cosine = np.empty(opened.rows, dtype=np.float32)
    partner[order[gone]], cosine[order[gone]] = order[of], cosines
    far = order[gone[np.isnan(cosines)]]
    for low in range(0, far.size, BLOCK):
        some = far[low : low + BLOCK]
        pair = [_in_order_of(opened, which) for which in (some, partner[some])]
        cosine[some] = _cosines(*pair)
    return partner, cosine


def _show(on_step: Callable[[str], None] | None, j: int, k: int) -> None:
    if on_step and (j + 1) % max(1, k // 20) == 0:
        on_step(f"compared cluster {j + 1} of {k}")


def _calls(
    opened: Embeddings, order: Rows, ends: Rows, work: Work, away: bool
) -> Iterator[tuple[int, tuple[Any, ...]]]:
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
        yield j, (source, rows, work)


def compare_cluster(source: Embeddings, rows: Rows, work: Work) -> tuple[Rows, Rows, Rows]:
    """Ranks of removed rows, of their partners, and their cosines."""
    with _laid_out(source, rows, work) as x:
        removed, partner = duplicates(x, work.eps, work.rule, work.device)
        gone = np.flatnonzero(removed)
        return gone, partner[gone], _cosines_of(x, gone, partner[gone])


def pairs_of_cluster(source: Embeddings, rows: Rows, work: Work) -> tuple[Rows, Rows, Rows]:
    """Ranks of the earlier and the later row of each near pair, and their cosines."""
    with _laid_out(source, rows, work) as x:
        earlier, later = near_pairs(x, work.eps, work.device)
        return earlier, later, _cosines_of(x, earlier, later)


@contextmanager
def _laid_out(source: Embeddings, rows: Rows, work: Work) -> Iterator[Any]:
    """Rows of a cluster in order, of length one: in memory, or in a file where they are many."""
    # Taking, scaling and laying out in order hold three copies, the panels a fourth.
    if len(rows) * source.dim * 16 <= work.cluster_bytes:
        yield _in_order_of(source, rows)
        return
    with tempfile.TemporaryDirectory(dir=work.scratch, prefix="isoloss-") as folder:
        shape = (len(rows), source.dim)
        laid = np.memmap(Path(folder) / "rows", dtype=np.float32, mode="w+", shape=shape)
        for low in range(0, len(rows), BLOCK):
            laid[low : low + BLOCK] = _in_order_of(source, rows[low : low + BLOCK])
        yield laid


def _in_order_of(source: Embeddings, rows: Rows) -> Rows:
    # Of rows asked for more than once one is read.
    rising, place = np.unique(rows, return_inverse=True)
    return np.asarray(prepare(source.take(rising), None)[place])


def _cosines_of(x: Any, one: Rows, other: Rows) -> Rows:
    found = np.empty(len(one), dtype=np.float32)
    for low in range(0, len(one), BLOCK):
        part = slice(low, low + BLOCK)
        found[part] = _cosines(np.asarray(x[one[part]]), np.asarray(x[other[part]]))
    return found


def _cosines(a: Rows, b: Rows) -> Any:
    return 1 - np.square(a - b).sum(axis=1, dtype=np.float64) / 2

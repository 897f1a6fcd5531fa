"""Message passing on a graph of neighbours: a score that counts difficulty and diversity."""

from __future__ import annotations

import heapq
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.prune.scores_checks import as_whole
from isoloss.prune.scores_embeddings import as_embeddings
from isoloss.prune.scores_ids import hash_ids
from isoloss.prune.scores_result import Scores, as_score_values, refuse_nan

Forward = Literal["sum", "product"]


def neighbour_graph(embeddings: Any, k: int = 10) -> tuple[npt.NDArray[np.int64], Array]:
    """Find the k nearest other rows of each row, exactly, in blocks of bounded memory.

    Parameters
    ----------
    embeddings
        (n, width).
    k
        How many, below n.

    Returns
    -------
    neighbours, distances
        Rows and Euclidean distances, nearest first, (n, k) each. Time grows as n squared.

    Examples
    --------
    >>> neighbour_graph([[0.0], [1.0], [3.0]], 1)[0].ravel().tolist()
    [1, 0, 1]
    """
    from isoloss.spectra.neighbours import nearest

    x = np.asarray(as_embeddings(embeddings), dtype=np.float64)
    if not np.isfinite(x).all():
        raise InputError("embeddings: are not finite; leave such rows out")
    if as_whole("k", k, 1) >= x.shape[0]:
        raise InputError(f"k = {k!r}: must be below the {x.shape[0]} rows")
    distances, places = nearest(x, int(k))
    return np.asarray(places, dtype=np.int64), distances


def score_d2(
    score: Any, neighbours: Any, distances: Any, *, gamma: float = 1.0, forward: Forward = "sum"
) -> Scores:
    """Score by the order in which graph message passing picks examples; the first is the highest.

    Forward, each example adds what its neighbours have: ``s_i + sum_j exp(-d_ij) s_j``, or times
    the sum. Backward, the largest is picked, and takes ``exp(-gamma d) s`` from its neighbours,
    again and again. Picks do not depend on how many are wanted, so that the order serves every
    budget with the policy ``"hard"``.

    Parameters
    ----------
    score
        `Scores` or numbers, high is hard, zero or more, (n,).
    neighbours, distances
        What `neighbour_graph` gives, or of any other graph, (n, k). Used as it is: i takes from
        its own neighbours, and gives to them.
    gamma
        How fast the penalty falls with distance, zero or more: the scale of distances matters.
        Zero takes all from each neighbour.
    forward
        ``"sum"`` or ``"product"``.

    Raises
    ------
    InputError
        If shapes differ, neighbours are no rows, or distances are below zero.

    Notes
    -----
    Picks are made in Python with a heap, n k log n steps in all.

    References
    ----------
    arXiv:2310.07931 and its code; gamma acts backward alone, as in the code.

    Examples
    --------
    >>> graph = neighbour_graph([[0.0], [0.1], [5.0]], 1)
    >>> score_d2([1.0, 0.9, 0.5], *graph).values.tolist()
    [3.0, 1.0, 2.0]
    """
    given = score if isinstance(score, Scores) else None
    ids: Any = np.arange(np.size(score)) if given is None else given.ids
    s = np.asarray(score.values if given else as_score_values(score), dtype=np.float64)
    refuse_nan(s, ids)
    if not np.isfinite(s).all() or (s < 0).any():
        raise InputError(f"score = {float(s.min())!r} at least: must be finite and zero or more")
    near, d = np.asarray(neighbours), np.asarray(distances)
    n = s.size
    if near.ndim != 2 or near.shape != d.shape or near.shape[0] != n or near.dtype.kind not in "iu":
        raise InputError(f"neighbours: shape {near.shape}, distances {d.shape}; give ({n}, k) both")
    if near.size and (near.min() < 0 or near.max() >= n):
        raise InputError(f"neighbours: must be rows from 0 to {n - 1}")
    if not (np.isfinite(d).all() and (d >= 0).all()):
        raise InputError("distances: must be finite and zero or more")
    if not (np.isfinite(gamma) and gamma >= 0):
        raise InputError(f"gamma = {gamma!r}: must be finite, zero or more")
    if forward not in ("sum", "product"):
        raise InputError(f"forward = {forward!r}: write 'sum' or 'product'")
    message = (np.exp(-d) * s[near]).sum(axis=1)
    start = s + message if forward == "sum" else s * message
    order = _picks(start, near, np.exp(-gamma * d), np.argsort(np.argsort(hash_ids(ids))))
    values = np.empty(n)
    values[order] = np.arange(n, 0, -1)
    made = Scores(
        metric="d2", values=values, source="arXiv:2310.07931",
        definition=f"order of picks by message passing over {near.shape[1]} neighbours, "
        f"{forward}, gamma {gamma:g}" + (f", of {given.metric}" if given else ""),
    )  # fmt: skip
    return made if given is None else made.with_ids(given.ids, given.labels)


def _picks(
    density: Array, near: npt.NDArray[Any], weight: Array, tie: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    now, ties = density.tolist(), tie.tolist()
    heap = [(-v, ties[i], i) for i, v in enumerate(now)]
    heapq.heapify(heap)
    picked = np.zeros(len(now), dtype=bool)
    order = []
    while heap:
        value, _, i = heapq.heappop(heap)
        # Each change has pushed a new entry; older ones no longer say what is.
        if picked[i] or -value != now[i]:
            continue
        picked[i] = True
        order.append(i)
        for j, w in zip(near[i].tolist(), weight[i].tolist(), strict=True):
            if j != i and not picked[j]:
                now[j] -= w * now[i]
                heapq.heappush(heap, (-now[j], ties[j], j))
    return np.array(order, dtype=np.int64)

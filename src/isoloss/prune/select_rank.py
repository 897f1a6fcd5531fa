"""The first rows of an order, without sorting: the same rows in whatever order they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.prune.scores_ids import Ids, Rows, hash_ids

Key = npt.NDArray[Any]


def first(key: Key, ids: Ids, seed: int, count: int) -> Rows:
    """Places of the ``count`` largest keys; ties go to the smallest hash of the id, then the id.

    Linear in time: the key at the cut is found by partition, and only rows that tie there are
    hashed.
    """
    n = key.size
    if count <= 0:
        return np.empty(0, dtype=np.int64)
    if count >= n:
        return np.arange(n)
    cut = np.partition(key, n - count)[n - count]
    above = key > cut
    missing = count - int(above.sum())
    tied = np.flatnonzero(key == cut)
    if tied.size > missing:
        tied = tied[_least(hash_ids(ids[tied], seed), ids[tied], missing)]
    above[tied] = True
    return np.flatnonzero(above)


def ranks(key: Key, ids: Ids, seed: int) -> Rows:
    """Rank of each key from the smallest, 0; ties by hash of the id, then the id."""
    found = np.empty(key.size, dtype=np.int64)
    found[np.lexsort((ids, hash_ids(ids, seed), key))] = np.arange(key.size)
    return found


def first_of_groups(
    key: Key, ids: Ids, seed: int, codes: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> Rows:
    """Places of the first rows of each group, as many as its count."""
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=counts.size))
    found = []
    for group in np.flatnonzero(counts):
        members = order[(ends[group - 1] if group else 0) : ends[group]]
        found.append(members[first(key[members], ids[members], seed, int(counts[group]))])
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _least(hashes: npt.NDArray[np.uint64], ids: Ids, count: int) -> Rows:
    if count <= 0:
        return np.empty(0, dtype=np.int64)
    cut = np.partition(hashes, count - 1)[count - 1]
    below = np.flatnonzero(hashes < cut)
    at = np.flatnonzero(hashes == cut)
    # Hashes of texts may meet; then the ids themselves decide.
    at = at[np.argsort(ids[at], kind="stable")]
    return np.concatenate([below, at[: count - below.size]])

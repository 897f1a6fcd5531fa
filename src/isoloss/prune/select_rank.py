"""The first rows of an order, without sorting: the same rows in whatever order they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.prune.scores_ids import Ids, Rows, hash_ids
from isoloss.prune.scores_order import settle_ties

Key = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

_PART = 1 << 20


def first(key: Key, ids: Ids, seed: int, count: int, *, among: Bools | None = None) -> Bools:
    """Mark the ``count`` largest keys; ties go to the smallest hash of the id, then the id.

    Linear in time: the key at the cut is found by partition, and only rows that tie there are
    hashed. ``among`` tells which rows there are to choose from.
    """
    pool = key if among is None else key[among]
    if count <= 0:
        return np.zeros(key.size, dtype=bool)
    if count >= pool.size:
        return np.ones(key.size, dtype=bool) if among is None else among.copy()
    cut = _at(pool, pool.size - count)
    del pool
    above: Bools = key > cut
    at = key == cut
    if among is not None:
        above &= among
        at &= among
    tied = np.flatnonzero(at)
    missing = count - int(np.count_nonzero(above))
    if tied.size > missing:
        tied = tied[_least(hash_ids(ids[tied], seed), ids[tied], missing)]
    above[tied] = True
    return above


def _at(key: Key, place: int) -> Any:
    return np.partition(key, place)[place]


def ranks(key: Key, ids: Ids, seed: int) -> Rows:
    """Rank of each key from the smallest, 0; ties by hash of the id, then the id."""
    found = np.empty(key.size, dtype=np.int64)
    order = _by_single(key) if key.dtype == np.float32 else np.argsort(key, kind="stable")
    settle_ties(order, key, lambda rows: (ids[rows], hash_ids(ids[rows], seed)))
    found[order] = np.arange(key.size)
    return found


def middle(key: Key, ids: Ids, seed: int, count: int) -> Bools:
    """Mark the ``count`` rows whose `ranks` are nearest to the middle one, without the ranks.

    They are the lowest ``high`` rows but for the lowest ``low``. Two ends are equally far; where
    one has to go, the smaller hash of the id stays, or the smaller id.
    """
    low = (key.size - count) // 2
    odd = (key.size - count) % 2
    kept = first(-key, ids, seed, low + count + odd) & ~first(-key, ids, seed, low)
    if odd:
        rows = np.flatnonzero(kept)
        values = key[rows]
        ends = []
        for value, place in ((values.min(), 0), (values.max(), -1)):
            tied = rows[values == value]
            ends.append(tied[np.lexsort((ids[tied], hash_ids(ids[tied], seed)))[place]])
        pair = np.array(ends)
        kept[pair[np.lexsort((ids[pair], hash_ids(ids[pair], seed)))[1]]] = False
    return kept


def _by_single(key: Key) -> Rows:
    """Order single precision, equal numbers by row: sixteen bits at a time, by counting."""
    # Adding zero makes -0.0 and 0.0 the same bits.
    bits = (key + np.float32(0)).view(np.int32)
    whole = np.where(bits < 0, ~bits, bits ^ np.int32(-(2**31))).view(np.uint32)
    order = np.argsort(whole.astype(np.uint16), kind="stable")
    upper = (whole >> np.uint32(16)).astype(np.uint16)
    return np.asarray(order[np.argsort(upper[order], kind="stable")])


def first_of_groups(
    key: Key, ids: Ids, seed: int, codes: Key, counts: npt.NDArray[np.int64],
    *, among: Bools | None = None,
) -> Bools:  # fmt: skip
    """Mark the first rows of each group, as many as its count."""
    found = np.zeros(key.size, dtype=bool)
    rows = None if among is None else np.flatnonzero(among)
    some = codes if rows is None else codes[rows]
    order = np.argsort(some, kind="stable")
    ends = np.cumsum(count_codes(some, counts.size))
    for group in np.flatnonzero(counts):
        members = order[(ends[group - 1] if group else 0) : ends[group]]
        members = members if rows is None else rows[members]
        values, count = key[members], int(counts[group])
        if 0 < count < members.size:
            cut = _at(values, members.size - count)
            above, tied = values > cut, members[values == cut]
            missing = count - int(np.count_nonzero(above))
            if tied.size > missing:
                tied = tied[_least(hash_ids(ids[tied], seed), ids[tied], missing)]
            found[members[above]] = True
            found[tied] = True
        elif count:
            found[members] = True
    return found


def count_codes(codes: Key, size: int, among: Bools | None = None) -> npt.NDArray[np.int64]:
    """Count rows of each code, in parts: counting widens what it counts."""
    found = np.zeros(size, dtype=np.int64)
    for start in range(0, codes.size, _PART):
        part = codes[start : start + _PART]
        if among is not None:
            part = part[among[start : start + _PART]]
        found += np.bincount(part, minlength=size)
    return found


def _least(hashes: npt.NDArray[np.uint64], ids: Ids, count: int) -> Rows:
    if count <= 0:
        return np.empty(0, dtype=np.int64)
    cut = np.partition(hashes, count - 1)[count - 1]
    below = np.flatnonzero(hashes < cut)
    at = np.flatnonzero(hashes == cut)
    # Hashes of texts may meet; then the ids themselves decide.
    at = at[np.argsort(ids[at], kind="stable")]
    return np.concatenate([below, at[: count - below.size]])

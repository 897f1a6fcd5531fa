"""One look at every row and every id before hours of work are spent on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss._core.executor import Executor
from isoloss.errors import InputError
from isoloss.prune.embeddings import Embeddings
from isoloss.prune.pieces import (
    BLOCK,
    BLOCKS,
    as_geometry,
    as_whole,
    is_shown,
    lengths,
    over_pieces,
    read_floats,
)
from isoloss.prune.shards import Rows

_ID_BYTES = 1 << 28
"""Memory for ids that are compared with each other at once."""

_TILE = 1024
"""Rows summed at once: in float64 they fit in cache."""

_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checked:
    """What one look at all rows found.

    Attributes
    ----------
    rows, dim
        Shape.
    digest
        SHA-256 over the rows in float32 and their ids, however they are cut into shards.
    mean
        Mean row, (dim,).
    shortest, longest
        Euclidean lengths.
    block
        Rows read at once: part of what answers depend on.
    """

    rows: int
    dim: int
    digest: str
    mean: Array
    shortest: float
    longest: float
    block: int


def check_embeddings(
    embeddings: Embeddings,
    *,
    geometry: str = "cosine",
    executor: Executor | None = None,
    block: int = BLOCK,
    on_step: Callable[[str], None] | None = None,
) -> Checked:
    """Read everything once: every number finite, every id its own, no row without direction.

    Raises
    ------
    InputError
        Naming the shard and the row.

    Examples
    --------
    >>> from isoloss.prune import open_embeddings
    >>> check_embeddings(open_embeddings([[3.0, 4.0], [0.0, 1.0]])).longest
    5.0
    """
    as_geometry(geometry)
    block = as_whole("block", block, 1, 10**7)
    whole = hashlib.sha256(f"{embeddings.rows} {embeddings.dim} {block}".encode())
    total = np.zeros(embeddings.dim)
    shortest, longest = np.inf, 0.0
    for start, found in over_pieces(
        embeddings, _look, geometry == "cosine", executor=executor, block=block
    ):
        digest, sums, low, high, bad = found
        if bad is not None:
            row, what = bad
            raise InputError(f"{embeddings.where(start + row)}: {what}")
        whole.update(digest)
        total += sums
        shortest, longest = min(shortest, low), max(longest, high)
        if on_step and is_shown(start, embeddings.rows, block):
            on_step(
                f"checked row {min(embeddings.rows, start + block * BLOCKS)} of {embeddings.rows}"
            )
    check_ids(embeddings, block=block)
    return Checked(
        rows=embeddings.rows, dim=embeddings.dim, digest=whole.hexdigest(),
        mean=freeze(total / embeddings.rows), shortest=shortest, longest=longest, block=block,
    )  # fmt: skip


def require_usable(checked: Checked, embeddings: Embeddings, geometry: str) -> None:
    """Refuse what was checked for another purpose, or for other rows.

    Raises
    ------
    InputError
        If shapes differ, rows have no direction, or squares of distances leave float32.
    """
    if (checked.rows, checked.dim) != (embeddings.rows, embeddings.dim):
        raise InputError(
            f"checked: is of {checked.rows} rows of {checked.dim}, and these are "
            f"{embeddings.rows} of {embeddings.dim}"
        )
    if geometry == "cosine" and checked.shortest == 0:
        raise InputError("checked: a row is zero and has no direction; drop it, or use euclidean")
    if geometry == "euclidean" and checked.longest and not 1e-15 < checked.longest < 1e18:
        raise InputError(
            f"embeddings: the longest row has length {checked.longest:.3g}, and squares of "
            "distances leave float32; bring lengths between 1e-15 and 1e18"
        )


def _look(piece: Embeddings, block: int, directions: bool) -> Any:
    """Digest, sum, least and greatest length of a piece; its first bad row, if any."""
    digest, total = hashlib.sha256(), np.zeros(piece.dim)
    low, high = np.inf, 0.0
    for start, raw in piece.blocks(block):
        x = read_floats(raw)
        size = lengths(x)
        bad = ~np.isfinite(size)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            column = int(np.flatnonzero(~np.isfinite(x[row]))[0])
            said = raw[row, column]
            rule = "larger than float32 holds" if np.isfinite(said) else "not a finite number"
            return b"", total, low, high, (start + row, f"column {column} is {said}, {rule}")
        if directions and not size.all():
            row = int(np.flatnonzero(size == 0)[0])
            what = "is zero and has no direction; drop it, or use the Euclidean distance"
            return b"", total, low, high, (start + row, what)
        digest.update(x.data)
        digest.update(_plain_bytes(piece.ids(start, start + len(x))))
        for tile in range(0, len(x), _TILE):
            total += x[tile : tile + _TILE].astype(np.float64).sum(axis=0)
        low, high = min(low, float(size.min())), max(high, float(size.max()))
    return digest.digest(), total, low, high, None


def _plain_bytes(ids: Rows) -> bytes:
    """Bytes that do not depend on how wide the text of a shard is stored."""
    if ids.dtype.kind == "U":
        return "\n".join(ids.tolist()).encode()
    return b"\n".join(ids.tolist()) if ids.dtype.kind == "S" else ids.tobytes()


def check_ids(embeddings: Embeddings, *, block: int = BLOCK, memory: int = _ID_BYTES) -> None:
    """Find an id that two rows share, in memory that does not grow with the rows.

    Ids that rise are told apart in one look. Others are split by a hash, and looked at as often as
    memory asks for.

    Raises
    ------
    InputError
        Naming both rows.
    """
    if not embeddings.ids_in or _rise(embeddings, block):
        return
    # Hashes of a share, their order and their sorted copy, and row numbers beside them.
    looks = max(1, -(-embeddings.rows * 40 // memory))
    for look in range(looks):
        hashes, rows = [], []
        for start in range(0, embeddings.rows, block):
            mixed = _mixed(embeddings.ids(start, min(embeddings.rows, start + block)))
            mine = np.flatnonzero(mixed % np.uint64(looks) == look)
            hashes.append(mixed[mine])
            rows.append(mine + start)
        _compare(embeddings, np.concatenate(hashes), np.concatenate(rows))


def _compare(embeddings: Embeddings, hashes: Rows, rows: Rows) -> None:
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    seen: dict[Any, int] = {}
    last = None
    for i in np.flatnonzero(same):
        if hashes[order[i]] != last:
            seen, last = {}, hashes[order[i]]
        for row in (int(rows[order[i]]), int(rows[order[i + 1]])):
            value = str(embeddings.ids(row, row + 1)[0])
            if seen.setdefault(value, row) != row:
                raise InputError(
                    f"{embeddings.where(row)}: has the id {value} of "
                    f"{embeddings.where(seen[value])}; ids must differ, so that a selection says "
                    "what it means"
                )


def _rise(embeddings: Embeddings, block: int) -> bool:
    last: Any = None
    for start in range(0, embeddings.rows, block):
        ids = embeddings.ids(start, min(embeddings.rows, start + block))
        if ids.ndim > 1:
            return False
        if not (ids[1:] > ids[:-1]).all() or (last is not None and not ids[0] > last):
            return False
        last = ids[-1]
    return True


def _mixed(ids: Rows) -> Rows:
    """Spread ids over 64 bits; equal ids, also text of unequal width, get equal numbers."""
    columns: Rows
    if ids.dtype.kind == "U":
        columns = np.ascontiguousarray(ids).view(np.uint32).reshape(len(ids), -1)
    elif ids.dtype.kind == "S":
        columns = np.ascontiguousarray(ids).view(np.uint8).reshape(len(ids), -1)
    elif ids.ndim > 1:
        columns = ids
    else:
        columns = ids.astype(np.int64).view(np.uint64)[:, None]
    found = np.zeros(len(ids), dtype=np.uint64)
    weight = _MIX
    with np.errstate(over="ignore"):
        # Text is padded with zeros, which add nothing.
        for column in columns.T:
            mixed = column.astype(np.uint64) * weight
            found += (mixed ^ (mixed >> np.uint64(29))) * _MIX
            weight = weight * _MIX + np.uint64(2)
        return found ^ (found >> np.uint64(32))

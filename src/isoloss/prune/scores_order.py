"""The order of ids, in which all else is done: found by counting where ids allow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune.scores_ids import Ids, Rows, show_ids

_DENSE = 4
"""Whole numbers that span at most so many times their count have a place each in a table."""

_SHOWN = 5
_WORD = 8


def canonical_order(ids: Ids) -> tuple[Rows | None, Ids]:
    """Order by id; refuse an id that is there twice.

    Returns
    -------
    order, ids
        Rows in the order of their ids, or None where they stand in it, and the ids in order.

    Raises
    ------
    InputError
        If ids repeat; names the first ones.
    """
    if bool((ids[1:] > ids[:-1]).all()):
        return None, ids
    if ids.dtype.kind == "S":
        order = _by_text(ids)
    else:
        low, high = int(ids.min()), int(ids.max())
        if high - low < _DENSE * ids.size and ids.size < 2**31:
            counted = _by_place(ids, low, high)
            if counted is not None:
                return counted
        order = _by_number(_from_least(ids))
    ordered = ids[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    if same.size:
        shown = np.unique(ordered[same[: 4 * _SHOWN]])[:_SHOWN]
        raise InputError(
            f"ids: {same.size} repeat, such as {show_ids(shown)}; each row needs an id of its own"
        )
    return order, ordered


def _by_place(ids: Ids, low: int, high: int) -> tuple[Rows, Ids] | None:
    """Put each row at the place of its id in a table; None where two ids share one."""
    table = np.full(high - low + 1, -1, dtype=np.int32)
    least = ids.dtype.type(low)
    table[(ids - least).view(np.int64)] = np.arange(ids.size, dtype=np.int32)
    places = np.flatnonzero(table >= 0)
    if places.size < ids.size:
        return None
    order = table[places].astype(np.int64)
    return order, places.view(ids.dtype) + least


def _from_least(ids: Ids) -> npt.NDArray[np.uint64]:
    """Whole numbers as distances from the least, which fit in 64 bits whatever their sign."""
    whole = ids.view(np.uint64)
    with np.errstate(over="ignore"):
        return np.asarray(whole - whole[ids.argmin()])


def _by_number(key: npt.NDArray[np.uint64]) -> Rows:
    """Order whole numbers, equal ones by row: blocks of near numbers first, then within them.

    Sixteen bits are sorted by counting; what is left is in rising blocks that fit in cache, which a
    merge sort finds.
    """
    shift = max(0, int(key.max()).bit_length() - 16)
    order = np.argsort((key >> np.uint64(shift)).astype(np.uint16), kind="stable")
    if shift:
        order = order[np.argsort(key[order], kind="stable")]
    return order


def _by_text(ids: Ids) -> Rows:
    """Order texts by eight bytes from the first that differs, then ties by all."""
    n, width = ids.size, max(1, ids.dtype.itemsize)
    letters = np.ascontiguousarray(ids).view(np.uint8).reshape(n, width)
    start = next((j for j in range(width) if (letters[:, j] != letters[0, j]).any()), 0)
    some = letters[:, start : start + _WORD]
    words = np.zeros((n, _WORD), dtype=np.uint8)
    words[:, : some.shape[1]] = some
    key = words.view(">u8").ravel().astype(np.uint64)
    del words
    order = _by_number(key - key.min())
    if width <= start + _WORD:
        return order
    return settle_ties(order, key, lambda rows: (ids[rows],))


def settle_ties(
    order: Rows, key: npt.NDArray[Any], columns: Callable[[Rows], tuple[npt.NDArray[Any], ...]]
) -> Rows:
    """Put rows of equal keys in the order of columns, the last one first as `numpy.lexsort` does.

    Most keys have no tie, so that few rows are asked for their columns. Changes ``order``.
    """
    ranked = key[order]
    tied = np.zeros(order.size, dtype=bool)
    np.equal(ranked[1:], ranked[:-1], out=tied[1:])
    tied[:-1] |= tied[1:]
    places = np.flatnonzero(tied)
    if places.size:
        rows = order[places]
        order[places] = rows[np.lexsort((*columns(rows), ranked[places]))]
    return order

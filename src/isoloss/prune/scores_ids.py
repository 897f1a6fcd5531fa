"""Ids of examples: read once, unique, and hashed alike on every platform and in every order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError

Ids = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_SHOWN, _PART = 5, 1 << 20
_GOLDEN = 0x9E3779B97F4A7C15
_FNV_START, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


def as_ids(ids: Any, rows: int | None = None) -> Ids:
    """Read ids: whole numbers (int64, or uint64 above its range) or texts (UTF-8 bytes).

    Parameters
    ----------
    ids
        One id for each row, or None for the row numbers. Pairs of unsigned 64-bit numbers, (n, 2)
        or two fields, which are how 128-bit ids are kept, become the 32 hexadecimal digits of both.
    rows
        How many there must be; None for any number.

    Raises
    ------
    InputError
        If they are neither whole numbers nor texts, or of another number.
    """
    if ids is None:
        return np.arange(rows or 0, dtype=np.int64)
    array = np.asarray(ids)
    if array.dtype == object:
        array = _of_objects(array)
    if array.dtype.names is not None or (array.ndim == 2 and array.dtype.kind == "u"):
        array = _of_pairs(array)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iuSU":
        raise InputError(
            f"ids: shape {array.shape} of {array.dtype}; give one whole number or text for each row"
        )
    if rows is not None and array.size != rows:
        raise InputError(f"ids: {array.size} for {rows} rows; one for each row")
    if array.dtype.kind == "U":
        return _as_bytes(array)
    if array.dtype.kind == "S":
        return array
    if array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.int64).max:
        return array.astype(np.uint64)
    return array.astype(np.int64, copy=False)


def hash_ids(ids: Ids, seed: int = 0) -> Hashes:
    """Hash ids to 64 bits that depend on the id and the seed alone.

    Whole numbers go through the finaliser of SplitMix64, which is one to one; the bytes of texts
    through FNV-1a before it. Neither the width of the array nor the order of rows matters.

    References
    ----------
    Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.

    Examples
    --------
    >>> [hex(int(h)) for h in hash_ids(as_ids([0, 1]))]
    ['0xe220a8397b1dcdaf', '0x910a2dec89025cc1']
    """
    start = np.uint64((seed * 0xD1342543DE82EF95 + _GOLDEN) % 2**64)
    with np.errstate(over="ignore"):
        return _mix((_fnv(ids) if ids.dtype.kind == "S" else ids.astype(np.uint64)) + start)


def show_ids(ids: Ids, most: int = _SHOWN) -> str:
    """List a few ids for a message."""
    shown = ", ".join(str(v) for v in plain_ids(ids[:most]))
    return shown + (", ..." if ids.size > most else "")


def plain_ids(ids: Ids) -> list[Any]:
    """Ids as plain numbers or texts."""
    if ids.dtype.kind == "S":
        return [v.decode("utf8", "backslashreplace") for v in ids.tolist()]
    return list(ids.tolist())


def pairs_of(ids: Ids) -> npt.NDArray[Any]:
    """Turn 32 hexadecimal digits back into pairs of unsigned 64-bit numbers, in their order.

    Raises
    ------
    InputError
        If an id is of another form.

    Examples
    --------
    >>> pairs_of(as_ids(np.array([[1, 2**63]], dtype=np.uint64))).tolist()
    [(1, 9223372036854775808)]
    """
    try:
        good = ids.dtype == np.dtype("S32") and bool((np.char.str_len(ids) == 32).all())
        found = bytes.fromhex(ids.tobytes().decode("ascii")) if good else b""
    except ValueError:
        found = b""
    if len(found) != 16 * ids.size:
        raise InputError("uids: ids are not all 32 hexadecimal digits; write ids instead")
    return np.frombuffer(found, dtype=">u8").astype("<u8").view("<u8,<u8")


def _as_bytes(array: npt.NDArray[Any]) -> Ids:
    """Texts in UTF-8, as wide as the longest; where all is ASCII each letter is its byte."""
    width = array.dtype.itemsize // 4
    letters = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).view(np.uint32)
    table = letters.reshape(array.size, width)
    found = np.empty((array.size, width), dtype=np.uint8)
    used = np.zeros(width, dtype=bool)
    for start in range(0, array.size, _PART):
        part = table[start : start + _PART]
        if part.max(initial=0) > 127:
            return np.char.encode(array, "utf8")
        found[start : start + _PART] = part
        used |= found[start : start + _PART].any(axis=0)
    longest = int(np.flatnonzero(used)[-1]) + 1 if used.any() else 0
    if longest == 0:
        return np.char.encode(array, "utf8")
    return np.ascontiguousarray(found[:, :longest]).view(f"S{longest}").ravel()


def _of_objects(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    values = array.ravel().tolist()
    if all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        try:
            return np.array(values)
        except OverflowError:
            pass
    elif all(isinstance(v, str) for v in values):
        return np.array(values, dtype=str)
    raise InputError("ids: give whole numbers up to 64 bits, or texts, not a mixture")


def _of_pairs(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    names = array.dtype.names
    if names is not None and len(names) == 2:
        array = np.stack([array[name] for name in names], axis=-1)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind != "u" or array.size == 0:
        raise InputError(f"ids: shape {array.shape} of {array.dtype}; pairs are (n, 2) of uint64")
    digits = np.ascontiguousarray(array.astype(">u8")).tobytes().hex().encode("ascii")
    return np.frombuffer(digits, dtype="S32")


def _fnv(ids: Ids) -> Hashes:
    width = ids.dtype.itemsize
    found = np.full(ids.size, _FNV_START, dtype=np.uint64)
    if width == 0:
        return found
    letters = np.ascontiguousarray(ids).view(np.uint8).reshape(ids.size, width)
    length = np.char.str_len(ids)
    prime = np.uint64(_FNV_PRIME)
    for place in range(width):
        # Padding is no part of the id: the width of the array is that of its longest text.
        inside = length > place
        found[inside] = (found[inside] ^ letters[inside, place]) * prime
    return found


def _mix(x: Hashes) -> Hashes:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))

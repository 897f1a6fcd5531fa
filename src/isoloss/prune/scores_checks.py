"""Checks at the border of the scores: outputs of classifiers, labels, yes-or-no tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError

Of = Literal["logits", "probabilities"]
BLOCK = 1 << 21
"""Numbers worked on at a time: 16 MB."""

_SUM = 0.01
"""How far rows of probabilities may sum from one: half precision with a thousand classes."""


def as_outputs(outputs: Any) -> npt.NDArray[Any]:
    """Read outputs as (runs, n, classes); one run may lack its first dimension. Maps no copy."""
    array = np.asarray(outputs)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.size == 0 or array.dtype.kind not in "biuf":
        raise InputError(
            f"outputs: shape {np.shape(outputs)} of {array.dtype}; give numbers as "
            "(n, classes) or (runs, n, classes)"
        )
    if array.shape[2] < 2:
        raise InputError("outputs: one class; give a column for each of two classes or more")
    return array


def as_labels(labels: Any, n: int, classes: int) -> npt.NDArray[np.int64]:
    """Read labels, whole numbers from 0."""
    array = np.asarray(labels)
    if array.shape != (n,) or array.dtype.kind not in "biuf":
        raise InputError(f"labels: shape {array.shape} of {array.dtype} for {n} examples")
    bad = np.flatnonzero(~((array >= 0) & (array < classes) & (array == np.floor(array))))
    if bad.size:
        raise InputError(
            f"labels[{bad[0]}] = {array[bad[0]].item()!r}: must be a whole number from 0 to "
            f"{classes - 1}, the number of a column of the outputs"
        )
    return array.astype(np.int64)


def as_yes_no(name: str, table: Any, columns: int | None = None) -> npt.NDArray[Any]:
    """Read a table of yes or no, (runs, columns); numbers must be 0 or 1. Maps no copy."""
    array = np.asarray(table)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "biuf":
        raise InputError(f"{name}: shape {array.shape} of {array.dtype}; give (runs, examples)")
    if columns is not None and array.shape[1] != columns:
        raise InputError(f"{name}: {array.shape[1]} columns where {columns} are expected")
    if array.dtype.kind != "b":
        for rows in parts(array.shape[0], array.shape[1]):
            part = array[rows]
            if not ((part == 0) | (part == 1)).all():
                raise InputError(f"{name}: holds numbers other than 0 and 1; give yes or no")
    return array


def as_whole(name: str, value: Any, least: int) -> int:
    """Read one whole number, not below the least."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:
        raise InputError(f"{name} = {value!r}: must be a whole number, {least} or more")
    return int(value)


def parts(rows: int, width: int) -> Iterator[slice]:
    """Slices of rows whose blocks stay small."""
    step = max(1, BLOCK // max(width, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def finite(part: npt.NDArray[Any], start: int = 0) -> Array:
    """Take a block of outputs as float64; name the first example that is not finite."""
    block = np.asarray(part, dtype=np.float64)
    good = np.isfinite(block).all(axis=1)
    if not good.all():
        raise InputError(
            f"outputs of example {start + int(np.flatnonzero(~good)[0])}: are not finite; "
            "leave it out or train again"
        )
    return block


def probable(part: npt.NDArray[Any], start: int = 0) -> Array:
    """Take a block of probabilities; refuse what does not sum to one."""
    block = finite(part, start)
    bad = (block < -1e-6).any(axis=1) | (np.abs(block.sum(axis=1) - 1) > _SUM)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"probabilities of example {start + i}: sum to {float(block[i].sum()):.6g}, least "
            f"{float(block[i].min()):.6g}; give softmax(logits), rows that sum to one"
        )
    return block


def softmax(logits: Any) -> Array:
    """Turn logits into probabilities along the last axis, without overflow.

    Examples
    --------
    >>> softmax([[0.0, 0.0], [1000.0, 0.0]]).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    try:
        z = np.asarray(logits, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("logits: expected numbers") from error
    if z.ndim < 1 or z.size == 0 or not np.isfinite(z).all():
        raise InputError(f"logits: shape {z.shape}; give finite numbers, classes last")
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))

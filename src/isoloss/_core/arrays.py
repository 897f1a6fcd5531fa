"""Checks at the border: array-likes in, finite read-only float64 arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError

Array = npt.NDArray[np.float64]


def freeze(values: npt.ArrayLike) -> Array:
    """Return a float64 array that cannot be written to (a copy if it could)."""
    array = np.asarray(values, dtype=np.float64)
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def as_vector(name: str, values: Any, *, positive: bool = False) -> Array:
    """Read a finite 1-D array; the error names the first bad element."""
    try:
        array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers, got {_short(values)}") from error
    if array.ndim != 1:
        raise InputError(f"{name}: expected one dimension, got shape {array.shape}")
    bad = ~np.isfinite(array) | (array <= 0 if positive else np.zeros(array.shape, dtype=bool))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        rule = "finite and positive" if positive else "finite"
        raise InputError(f"{name}[{i}] = {array[i]!r}: must be {rule}; fix or drop that row")
    return array


def as_positive(name: str, value: Any) -> float:
    """Read one finite positive number."""
    vector = as_vector(name, value, positive=True)
    if vector.size != 1:
        raise InputError(f"{name}: expected one number, got {vector.size}")
    return float(vector[0])


def as_level(level: float) -> float:
    """Read a confidence level, strictly between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise InputError(f"level = {level!r}: must lie between 0 and 1, for example 0.9")
    return float(level)


def as_seed(seed: int) -> int:
    """Read a seed: a whole number that is not negative, so that it can be written down."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"rng = {seed!r}: must be a whole number, zero or more")
    return int(seed)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

"""Checks at the border of the room: numbers that may be infinite, arrays that broadcast."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError

_LARGEST = 1e290
"""Larger amounts overflow as soon as two of them meet."""

_LOUDEST = 1e150
"""Noise is amplified, and the result has to fit."""


def as_numbers(name: str, value: Any) -> Array:
    """Read numbers of any shape."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers, got {value!r}") from error
    if array.size == 0:
        raise InputError(f"{name}: is empty; give at least one number")
    return array


def as_resources(name: str, value: Any) -> Array:
    """Read numbers of features or samples: real, and infinite ones too, of any shape."""
    array = as_counts(name, value)
    bad = (array < 1e-3) | ((array > 1e200) & np.isfinite(array))
    if bad.any():
        raise InputError(
            f"{name} = {float(array[bad].flat[0])!r}: must lie between 1e-3 and 1e200, or be inf"
        )
    return array


def as_counts(name: str, value: Any) -> Array:
    """Read numbers above zero, of any shape; infinity counts."""
    return _obey(name, as_numbers(name, value), 0.0, True, "positive; inf is allowed")


def as_amounts(name: str, value: Any, *, infinite: bool = False) -> Array:
    """Read numbers that are zero or more, of any shape."""
    rule = "zero or more" + ("; inf is allowed" if infinite else f" and at most {_LARGEST:g}")
    array = _obey(name, as_numbers(name, value), -1.0, infinite, rule)
    if not infinite and (array > _LARGEST).any():
        raise InputError(f"{name} = {float(array.max())!r}: must be {rule}")
    return array


def as_noise(value: Any) -> Array:
    """Read variances of label noise, of any shape."""
    array = as_amounts("noise", value)
    if (array > _LOUDEST).any():
        raise InputError(f"noise = {float(array.max())!r}: must be at most {_LOUDEST:g}")
    return array


def as_amount(name: str, value: Any) -> float:
    """Read one finite number that is zero or more."""
    array = as_amounts(name, value)
    if array.ndim:
        raise InputError(f"{name}: expected one number, got shape {array.shape}")
    return float(array)


def as_above_zero(name: str, value: Any) -> float:
    """Read one finite number above zero."""
    array = _obey(name, as_numbers(name, value), 0.0, False, "finite and positive")
    if array.ndim:
        raise InputError(f"{name}: expected one number, got shape {array.shape}")
    return float(array)


def as_whole(name: str, value: Any) -> Array:
    """Read whole numbers that are zero or more, of any shape."""
    array = as_amounts(name, value)
    bad = array != np.floor(array)
    if bad.any():
        raise InputError(f"{name} = {float(array[bad].flat[0])!r}: must be a whole number")
    return array


def broadcast(**named: Array) -> tuple[Array, ...]:
    """Broadcast arrays against each other; the error names their shapes."""
    try:
        return tuple(np.array(v) for v in np.broadcast_arrays(*named.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in named.items())
        raise InputError(f"{shapes}: these shapes do not broadcast; see numpy's rules") from error


def _obey(name: str, array: Array, above: float, infinite: bool, rule: str) -> Array:
    good = array > above if above == 0 else array >= 0
    if not infinite:
        good &= np.isfinite(array)
    if not good.all():
        where = np.argwhere(~good)[0]
        place = f"[{', '.join(map(str, where))}]" if array.ndim else ""
        raise InputError(f"{name}{place} = {float(array[tuple(where)])!r}: must be {rule}")
    return array

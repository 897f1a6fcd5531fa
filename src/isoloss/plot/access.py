"""Read a study that may be partial: absent numbers become NaN, absent lists become empty.

A report must still render when half of the study is missing, so nothing here raises.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from isoloss._core.arrays import Array

# Control characters, lone surrogates and direction overrides: invisible in a name, yet able to
# break an encoder or to make a line of the report read backwards.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)


def number(value: Any) -> float:
    """Return a finite float, or NaN for anything else (null, text, booleans, overflow).

    Examples
    --------
    >>> number(3), number(None), number("x")
    (3.0, nan, nan)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.generic)):
        return math.nan
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return result if math.isfinite(result) else math.nan


def vector(value: Any, size: int | None = None) -> Array:
    """Return a float64 array; shorter input is padded with NaN, longer input is cut."""
    items = [number(v) for v in sequence(value)]
    if size is not None:
        items = (items + [math.nan] * size)[:size]
    return np.array(items, dtype=np.float64)


def sequence(value: Any) -> list[Any]:
    """Return a list; anything that is not a list, a tuple or an array counts as empty."""
    if isinstance(value, np.ndarray):
        return list(value.tolist()) if value.ndim else []
    return list(value) if isinstance(value, (list, tuple)) else []


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping; anything else counts as empty."""
    return value if isinstance(value, Mapping) else {}


def records(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list, dropping everything else."""
    return [item for item in sequence(value) if isinstance(item, Mapping)]


def text(value: Any) -> str:
    r"""Return printable text (empty for null); unprintable characters become U+FFFD.

    Examples
    --------
    >>> text("run\x1b[31m"), text(None), text(7)
    ('run\ufffd[31m', '', '7')
    """
    if value is None or isinstance(value, (Mapping, list, tuple)):
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return _UNPRINTABLE.sub("\ufffd", str(value))


def texts(value: Any) -> list[str]:
    """Return the non-empty texts of a list."""
    return [line for line in (text(item) for item in sequence(value)) if line]

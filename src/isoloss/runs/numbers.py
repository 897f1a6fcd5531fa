"""Cells to float64: a fast path for whole columns, a careful one that names each bad cell."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.runs.rows import short

Problem = tuple[str, str]
"""Reason code and the rest of a sentence that starts with the axis name."""

Cells = Sequence[Any] | np.ndarray[Any, Any]

_MISSING = frozenset({"", "na", "n/a", "<na>", "null", "none", "-", "--", "?"})
_CELL_LIMIT = 400
# No two parts of these patterns can match the same character, so they run in linear time.
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE
)
_SUFFIXED = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)) ?([kmbt])", re.IGNORECASE)
_EXPONENT = {"k": "e3", "m": "e6", "b": "e9", "t": "e12"}


def read_numbers(cells: Cells, *, suffix: bool) -> tuple[Array, dict[int, Problem]]:
    """Read one column; positions with a problem hold NaN.

    Parameters
    ----------
    cells
        Text, numbers, or a numpy array of any kind.
    suffix
        Accept ``350M`` and ``1.3B``.

    Examples
    --------
    >>> read_numbers(["1.3B", "2e9", "1,000"], suffix=True)[0].tolist()
    [1300000000.0, 2000000000.0, nan]
    """
    if isinstance(cells, np.ndarray):
        if cells.dtype.kind in "fiu":
            with np.errstate(over="ignore"):  # wider floats may exceed float64: inf, caught below
                values = np.array(np.ma.filled(np.ma.asarray(cells, np.float64), np.nan))
            return values, _not_finite(values, values)
        cells = list(cells.tolist())
    fast = _fast(cells)
    if fast is not None:
        return fast, _not_finite(fast, cells)
    values = np.empty(len(cells))
    problems: dict[int, Problem] = {}
    for i, cell in enumerate(cells):
        value = _cell(cell, suffix)
        if isinstance(value, float):
            values[i] = value
        else:
            values[i] = np.nan
            problems[i] = value
    return values, problems


def _fast(cells: Sequence[Any]) -> Array | None:
    """Whole column at once, or None when some cell needs a closer look."""
    kinds = set(map(type, cells))
    try:
        if kinds == {str}:
            text = "".join(cells)
            # float() also reads digit groups (1_000) and the digits of other scripts.
            if not text.isascii() or "_" in text or len(text) > 40 * len(cells):
                return None
        elif not kinds <= {float, int}:
            return None
        return np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
    except (ValueError, OverflowError):
        return None


def _not_finite(values: Array, cells: Cells) -> dict[int, Problem]:
    bad = np.flatnonzero(~np.isfinite(values)).tolist()
    problems = {i: _infinite(cells[i]) for i in bad}
    if bad:
        values[bad] = np.nan
    return problems


def _cell(cell: Any, suffix: bool) -> float | Problem:
    if isinstance(cell, str):
        return _text(cell.strip(), suffix)
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return "MISSING", "is missing"
    if isinstance(cell, (bool, np.bool_)) or not isinstance(cell, (numbers.Real, Decimal)):
        return "NOT_A_NUMBER", f"= {short(cell)}: not a number"
    try:
        value = float(cell)
    except (OverflowError, ValueError):  # a huge integer, a signalling NaN
        return _infinite(cell)
    return value if math.isfinite(value) else _infinite(cell)


def _text(text: str, suffix: bool) -> float | Problem:
    if text.casefold() in _MISSING:
        return "MISSING", "is missing"
    if len(text) <= _CELL_LIMIT:
        if _NUMBER.fullmatch(text):
            value = float(text)
            return value if math.isfinite(value) else _infinite(text)
        if match := _SUFFIXED.fullmatch(text):
            if suffix:
                return float(match[1] + _EXPONENT[match[2].casefold()])
            return "NOT_A_NUMBER", f"= {short(text)}: no unit letter is possible here"
    hint = "; write 1234567.8, a point for decimals and no separators" if "," in text else ""
    return "NOT_A_NUMBER", f"= {short(text)}: not a number{hint}"


def _infinite(cell: object) -> Problem:
    return "NOT_FINITE", f"= {short(cell)}: not a finite number of at most 1.8e308"

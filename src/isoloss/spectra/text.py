"""Numbers in text files: one row a line, split at commas, semicolons, tabs or blanks."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError

_LONGEST_LINE = 50_000_000


def read_rows(path: Path) -> Array:
    """Read a table of numbers, (rows, columns); a first line of names is passed over.

    Empty cells and ``nan`` become NaN, so that the row can be refused by its number.

    Raises
    ------
    InputError
        If a cell is no number, rows differ in length, or nothing is there.
    """
    values, width = array("d"), 0
    for number, cells in _lines(path):
        try:
            row = [float(c) if c else np.nan for c in cells]
        except ValueError:
            if width == 0:
                # Names, if anything; data start on the next line.
                width = -len(cells)
                continue
            bad = next(i for i, c in enumerate(cells) if not _is_number(c))
            raise InputError(
                f"{path.name}, line {number}, column {bad + 1}: {_short(cells[bad])} is no number"
            ) from None
        if width > 0 and len(row) != width:
            raise InputError(
                f"{path.name}, line {number}: {len(row)} cells where rows before have {width}"
            )
        width = len(row)
        values.extend(row)
    if not values:
        raise InputError(f"{path.name}: holds no row of numbers")
    return np.frombuffer(values, dtype=np.float64).reshape(-1, width)


def read_labels(path: Path) -> np.ndarray[Any, Any]:
    """Read targets: one column of numbers or of names of classes, or several of numbers.

    Raises
    ------
    InputError
        As `read_rows`; several columns must be numbers.
    """
    first: list[str] = []
    for _, cells in _lines(path):
        if len(cells) > 1:
            return read_rows(path)
        first.append(cells[0])
    if not first:
        raise InputError(f"{path.name}: holds no label")
    numeric = [_is_number(c) for c in first]
    if all(numeric[1:]) and any(numeric):
        kept = first if numeric[0] else first[1:]
        return np.array([float(c) if c else np.nan for c in kept])
    return np.array(first)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    separator = ""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise InputError(
                    f"{path.name}, line {number}: is longer than {_LONGEST_LINE} bytes"
                )
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf8").strip("\r\n")
            except UnicodeDecodeError:
                raise InputError(
                    f"{path.name}, line {number}: is not text; give a .npy file or a table"
                ) from None
            if "\0" in text:
                raise InputError(
                    f"{path.name}, line {number}: holds a zero byte; give a .npy file or a table"
                )
            if not text.strip():
                continue
            if not separator:
                separator = next((s for s in (",", ";", "\t") if s in text), " ")
            cells = text.split() if separator == " " else text.split(separator)
            yield number, [c.strip().strip('"') for c in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")

"""What a reader of released tables returns, and how small files are read without trust."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.rows import short
from isoloss.runs.table import Runs

MAX_BYTES = 64 * 2**20
MAX_ROWS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A benchmark: what guessing scores there, and of how many questions it is made.

    Attributes
    ----------
    chance
        Accuracy of guessing, between 0 and 1.
    items
        Questions.
    """

    chance: float
    items: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReleasedTable:
    """One table of runs of a release.

    Attributes
    ----------
    family, name
        Which release, and which of its tables.
    runs
        The rows.
    source, licence
        Where they come from, and under which licence their authors released them.
    tasks
        Accuracies among the columns, by column name.
    """

    family: str
    name: str
    runs: Runs
    source: str
    licence: str
    tasks: Mapping[str, Task] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"ReleasedTable({self.name}: {len(self.runs)} rows; {self.licence})"


def refuse_link(path: Path) -> None:
    """Refuse a file or folder that may lie anywhere else."""
    if path.is_symlink():
        raise InputError(f"{path}: is a link, and links are not followed; copy what it points to")


def read_bytes(path: Path) -> bytes:
    """Whole file, if it is no link and of a size that such a table has."""
    refuse_link(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size:,} bytes; at most {MAX_BYTES:,} are read")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_rows(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file with a header that holds the names needed."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
        reader = csv.DictReader(text.splitlines())
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: no column {', '.join(missing)}")
        rows = []
        for row in reader:
            rows.append({k: v or "" for k, v in row.items() if k is not None})
            if len(rows) > MAX_ROWS:
                raise InputError(f"{path}: more than {MAX_ROWS:,} rows")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({error})") from None
    if not rows:
        raise InputError(f"{path}: no rows")
    return rows


def read_objects(path: Path) -> list[dict[str, Any]]:
    """Objects of a JSON file, one, or one a line."""
    text = read_bytes(path).decode("utf8", errors="replace")
    found = []
    lines = [text] if path.suffix == ".json" else [t for t in text.splitlines() if t.strip()]
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(f"{path}, line {number}: not JSON") from None
        if not isinstance(value, dict):
            raise InputError(f"{path}, line {number}: an object was expected")
        found.append(value)
    return found


def number(value: Any, where: str, *, positive: bool = True) -> float:
    """One finite number."""
    try:
        if isinstance(value, bool):
            raise ValueError
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: {short(value)} is not a number") from None
    if not math.isfinite(found) or (positive and found <= 0):
        raise InputError(f"{where}: {short(value)} must be finite{' and positive' * positive}")
    return found

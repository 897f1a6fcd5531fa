"""What every reader hands over: a header, then batches of columns, within stated limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from isoloss.errors import InputError
from isoloss.runs.notes import Note
from isoloss.runs.numbers import Cells
from isoloss.runs.rows import clean
from isoloss.runs.table import Refusal

MAX_COLUMNS = 10_000
MAX_CELLS = 200_000_000
"""Numbers held at once: 1.6 GB of float64."""
MAX_OBJECTS = 50_000_000
"""Cells held as Python objects, which cost several times more (JSON)."""
MAX_JSON_BYTES = 256 * 2**20
"""A JSON document is parsed whole; JSON lines are not."""
BATCH_ROWS = 32_768
BATCH_CELLS = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Most rows and bytes of one source."""

    rows: int
    bytes: int

    def check(self, rows: int, columns: int, *, cells: int = MAX_CELLS) -> None:
        """Refuse a table beyond the limits."""
        if rows > self.rows:
            raise InputError(f"more than {self.rows:,} rows; raise max_rows or read fewer")
        if columns > MAX_COLUMNS:
            raise InputError(f"{columns:,} columns; at most {MAX_COLUMNS:,} can be read")
        if rows * columns > cells:
            raise InputError(
                f"{rows:,} rows of {columns:,} columns are more than {cells:,} cells; "
                "keep the columns that matter, as CSV or Parquet"
            )

    def too_large(self, most: int | None = None) -> InputError:
        """Build the error for a source of too many bytes."""
        limit = self.bytes if most is None else min(most, self.bytes)
        what = "raise max_bytes" if limit == self.bytes else "write JSON lines, CSV or Parquet"
        return InputError(f"the source is larger than {limit:,} bytes; {what}")


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows, column by column; ``rows`` are their numbers in the source, from 1."""

    rows: Sequence[int]
    columns: Sequence[Cells]
    refused: Sequence[Refusal] = ()


@dataclass(slots=True)
class Source:
    """A table that can be read once; header names are clean."""

    label: str
    header: list[str]
    batches: Iterator[Batch]
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.header = [clean(name) for name in self.header]

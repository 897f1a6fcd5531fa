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
MAX_CONTAINERS = 10_000_000
"""Objects and lists of one JSON document: an empty one takes three bytes of text, 70 in memory."""
MAX_GAPS = 50
"""Cells that may be absent for each that is given, in tables of more than `FEW_CELLS`."""
FEW_CELLS = 2_000_000
MAX_REFUSED = 1_000_000
"""Refused rows are all listed, so there must be an end to them."""
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

    def check_gaps(self, rows: int, columns: int, given: int) -> None:
        """Refuse objects that share hardly any names: as a table they would be all gaps."""
        if rows * columns > FEW_CELLS and rows * columns > MAX_GAPS * given:
            raise InputError(
                f"{rows:,} rows name {columns:,} columns and fill one cell in {MAX_GAPS} or fewer; "
                "is this a table of runs? Keep the columns that matter"
            )

    def too_large(self, most: int | None = None) -> InputError:
        """Build the error for a source of too many bytes."""
        limit = self.bytes if most is None else min(most, self.bytes)
        what = "raise max_bytes" if limit == self.bytes else "write JSON lines, CSV or Parquet"
        return InputError(f"the source is larger than {limit:,} bytes; {what}")


def check_refused(refused: Sequence[Refusal]) -> None:
    """Stop where nearly nothing of a large source can be used."""
    if len(refused) > MAX_REFUSED:
        first = refused[0]
        raise InputError(
            f"more than {MAX_REFUSED:,} rows cannot be used, such as row {first.row}: "
            f"{first.reason}; is this a table of runs?"
        )


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

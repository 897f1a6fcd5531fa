"""CSV, TSV, JSON and JSON lines from a stream of bytes, in bounded memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.frames import from_mapping, from_objects
from isoloss.runs.numbers import read_numbers
from isoloss.runs.rows import automatic_name, clean, sharer, short
from isoloss.runs.source import (
    BATCH_CELLS,
    BATCH_ROWS,
    MAX_CONTAINERS,
    MAX_JSON_BYTES,
    Batch,
    Limits,
    Source,
)
from isoloss.runs.table import Refusal

LINE_LIMIT = 4 * 2**20
BATCH_LIMIT = 2**28
_DELIMITERS = ",\t;|"


class CappedStream(io.RawIOBase):
    """Bytes already read, then the rest, up to a limit; the caller's file stays open."""

    def __init__(self, head: bytes, pull: Callable[[int], bytes], limits: Limits) -> None:
        super().__init__()
        self.lines = False  # set where text is read line by line
        self.batch = 0  # bytes since the reader last took stock
        self._line = 0
        self._pending = memoryview(head)
        self._pull = pull
        self._limits = limits
        self._left = limits.bytes - len(head)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer."""
        if not self._pending:
            data = self._pull(len(buffer))
            self._left -= len(data)
            self._pending = memoryview(data)
        if self._left < 0:
            raise self._limits.too_large()
        size = min(len(buffer), len(self._pending))
        buffer[:size] = self._pending[:size]
        if self.lines:
            self._check_lines(bytes(self._pending[:size]))
        self._pending = self._pending[size:]
        return size

    def _check_lines(self, data: bytes) -> None:
        """Stop a line, or the rows of one batch, before they fill the memory."""
        end = max(data.rfind(b"\n"), data.rfind(b"\r"))
        self._line = self._line + len(data) if end < 0 else len(data) - end - 1
        self.batch += len(data)
        if self._line > LINE_LIMIT or self.batch > BATCH_LIMIT:
            raise InputError(
                f"a line is longer than {LINE_LIMIT:,} bytes, or rows are huge; "
                "is this a table of runs?"
            )


def read_csv(stream: CappedStream, label: str, limits: Limits, *, suffix: str) -> Source:
    """Header and batches of a delimited text; the delimiter is told from the header."""
    text = _text(stream, newline="")
    first = next((line for line in text if line.strip()), "")
    delimiter = _delimiter(first, suffix)
    reader = csv.reader(chain([first], text), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise InputError(f"the header cannot be read: {csv_fault(error)}") from None
    limits.check(1, len(header))
    if header and not read_numbers(header, suffix=False)[1]:
        raise InputError(
            f"the first line holds numbers ({short(first.strip())}); it must name the columns"
        )
    return Source(label, header, _csv_batches(reader, stream, len(header), limits))


def csv_fault(error: csv.Error) -> str:
    """Say what the csv module objects to; it quotes the delimiter, which may be a tab."""
    return clean(str(error).replace("'\t'", "a tab"))


def _text(stream: CappedStream, *, newline: str) -> io.TextIOWrapper:
    stream.lines = True
    return io.TextIOWrapper(io.BufferedReader(stream, 2**18), encoding="utf-8-sig", newline=newline)


def _delimiter(line: str, suffix: str) -> str:
    outside = "".join(line.split('"')[::2])
    if suffix == "tsv" and "\t" in outside:
        return "\t"
    return max(_DELIMITERS, key=outside.count)


def _csv_batches(
    reader: Iterator[list[str]], stream: CappedStream, width: int, limits: Limits
) -> Iterator[Batch]:
    size = max(1, min(BATCH_ROWS, BATCH_CELLS // max(width, 1)))
    done, share = 0, sharer()
    while True:
        stream.batch = 0
        try:
            chunk = list(islice(reader, size))
        except csv.Error as error:
            raise InputError(
                f"after row {done}: {csv_fault(error)}; a quote may be left open or a field "
                "too long"
            ) from None
        if not chunk:
            return
        even = set(map(len, chunk)) == {width}
        if not even:
            chunk = [r for r in chunk if len(r) > 1 or (r and (r[0].strip() or width == 1))]
        limits.check(done + len(chunk), width)
        rows: list[int] | range = range(done + 1, done + len(chunk) + 1)
        done += len(chunk)
        refused = []
        if not even:
            numbered = list(zip(rows, chunk, strict=True))
            refused = [
                Refusal(n, automatic_name(n), "FIELDS", share(_uneven(len(r), width)))
                for n, r in numbered
                if len(r) != width
            ]
            rows = [n for n, r in numbered if len(r) == width]
            chunk = [r for r in chunk if len(r) == width]
        columns = list(zip(*chunk, strict=True)) if chunk else [()] * width
        yield Batch(rows, columns, refused)


def _uneven(count: int, width: int) -> str:
    return f"{count} fields where the header has {width}"


def read_json(stream: CappedStream, label: str, limits: Limits) -> Source | dict[str, Any]:
    """Read a list of objects, an object of columns, one object, or a saved runs artifact."""
    most = min(MAX_JSON_BYTES, limits.bytes)
    data = _whole(stream, most)
    if len(data) > most:
        raise limits.too_large(MAX_JSON_BYTES)
    if data.count(b"{") + data.count(b"[") > MAX_CONTAINERS:
        raise InputError(
            f"the JSON holds more than {MAX_CONTAINERS:,} objects and lists; write JSON lines, CSV "
            "or Parquet"
        )
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise InputError("the JSON is nested too deeply; expected a list of flat objects") from None
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise InputError(f"the JSON cannot be read: {short(str(error), 120)}") from None
    if isinstance(value, list):
        return from_objects(enumerate(value, 1), label, limits)
    if value.get("kind") == "runs" and "schema" in value:
        return dict(value)
    if any(isinstance(column, list) for column in value.values()):
        return from_mapping(value, label, limits)
    if value and all(isinstance(column, dict) for column in value.values()):
        return from_mapping(value, label, limits)
    return from_objects([(1, value)], label, limits)


def _whole(stream: CappedStream, most: int) -> bytes:
    """Read up to one byte more than ``most``, without room for bytes that never come."""
    parts, size = [], 0
    while size <= most and (part := stream.read(2**20)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def read_jsonl(stream: CappedStream, label: str, limits: Limits) -> Source:
    """One object a line; a line that is none is refused, not fatal."""
    return from_objects(_objects(_text(stream, newline="\n"), stream), label, limits)


def _objects(lines: Iterable[str], stream: CappedStream) -> Iterator[tuple[int, object]]:
    row = 0
    for line in lines:
        stream.batch = 0
        if not line.strip():
            continue
        row += 1
        try:
            yield row, json.loads(line)
        except (ValueError, RecursionError):
            yield row, line.strip()

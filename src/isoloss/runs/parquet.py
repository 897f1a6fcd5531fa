"""Parquet through pyarrow: sizes are checked in the metadata before anything is expanded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from isoloss.errors import InputError, IsolossError
from isoloss.runs.frames import arrow, left_out
from isoloss.runs.numbers import Cells
from isoloss.runs.rows import short
from isoloss.runs.source import BATCH_CELLS, BATCH_ROWS, Batch, Limits, Source

_THRIFT_LIMIT = 64 * 2**20


def read_parquet(file: io.BufferedIOBase | io.BytesIO, label: str, limits: Limits) -> Source:
    """Read the number and text columns of a Parquet file batch by batch.

    Raises
    ------
    MissingExtra
        pyarrow is not installed.
    InputError
        Damaged, or larger when expanded than the limits.
    """
    pq = arrow("pyarrow.parquet")
    options: dict[str, Any] = {
        "thrift_string_size_limit": _THRIFT_LIMIT,
        "thrift_container_size_limit": 1_000_000,
        "page_checksum_verification": True,
    }
    try:
        meta = pq.ParquetFile(file, **options)
        names, texts, skipped = _readable(meta.schema_arrow)
        limits.check(meta.metadata.num_rows, max(1, len(names)))
        expanded = sum(
            meta.metadata.row_group(i).total_byte_size for i in range(meta.num_row_groups)
        )
        if expanded > limits.bytes:
            raise limits.too_large()
        file.seek(0)
        # A text of many megabytes repeated on every row stays one text when read as a dictionary.
        handle = pq.ParquetFile(file, read_dictionary=texts, **options)
    except IsolossError:
        raise
    except Exception as error:  # pyarrow raises its own and many built-in errors on bad files
        raise _damaged(error) from None
    batches = _batches(handle, names, limits)
    notes = [left_out(name, "it holds no plain values") for name in skipped]
    return Source(label, names, batches, notes)


def _readable(schema: Any) -> tuple[list[str], list[str], list[str]]:
    """Names of columns to read, of the text columns among them, and of those left out."""
    types = arrow("pyarrow.types")

    names, texts, skipped = [], [], []
    for item in schema:
        kind = item.type.value_type if types.is_dictionary(item.type) else item.type
        if types.is_boolean(kind):
            names.append(item.name)
            continue
        if types.is_string(kind) or types.is_large_string(kind):
            texts.append(item.name)
        elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
            skipped.append(item.name)
            continue
        names.append(item.name)
    return names, texts, skipped


def _batches(handle: Any, names: list[str], limits: Limits) -> Iterator[Batch]:
    size = max(1, min(BATCH_ROWS, BATCH_CELLS // max(1, len(names))))
    done = 0
    try:
        for batch in handle.iter_batches(batch_size=size, columns=names, use_threads=False):
            count = batch.num_rows
            limits.check(done + count, max(1, len(names)))
            yield Batch(range(done + 1, done + count + 1), [_cells(c) for c in batch.columns])
            done += count
    except IsolossError:
        raise
    except Exception as error:  # as above
        raise _damaged(error) from None


def _cells(column: Any) -> Cells:
    types = arrow("pyarrow.types")

    if types.is_dictionary(column.type):
        values = [*column.dictionary.to_pylist(), None]
        codes = column.indices.fill_null(len(values) - 1).to_pylist()
        return [values[code] for code in codes]
    if types.is_boolean(column.type):
        return list(column.to_pylist())
    if types.is_decimal(column.type):
        column = column.cast("float64")
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _damaged(error: Exception) -> InputError:
    return InputError(
        f"the Parquet file cannot be read; it may be cut short or damaged: {short(str(error), 160)}"
    )

"""Rows in files or in memory: what each part says of itself is checked before it is read."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from isoloss.errors import InputError, MissingExtra
from isoloss.spectra.npy import read_npy

Rows = np.ndarray[Any, Any]

_PAIR = re.compile(
    r"\{'descr': \[\('\w{1,20}', '<u8'\), \('\w{1,20}', '<u8'\)\], "
    r"'fortran_order': False, 'shape': \((\d{1,15}),\), \} *\n"
)


class Part(Protocol):
    """Consecutive rows of one file or array; ids have no second dimension."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, and what a row holds."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored."""
        ...

    @property
    def bytes_held(self) -> int:
        """Memory that reading takes beside the rows asked for."""
        ...

    def read(self, start: int, stop: int) -> Rows:
        """Return consecutive rows."""
        ...

    def take(self, rows: Rows) -> Rows:
        """Return rows by number, rising."""
        ...

    def cut(self, start: int, stop: int) -> tuple[Part, int]:
        """Return a part that is enough for these rows, and how many rows it begins later."""
        ...


@dataclass(frozen=True, slots=True)
class ArrayPart:
    """Rows in memory."""

    name: str
    values: Rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, and what a row holds."""
        return tuple(self.values.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """As given."""
        return np.dtype(self.values.dtype)

    @property
    def bytes_held(self) -> int:
        """Nothing: the array is the caller's."""
        return 0

    def read(self, start: int, stop: int) -> Rows:
        """Return consecutive rows."""
        return np.asarray(self.values[start:stop])

    def take(self, rows: Rows) -> Rows:
        """Return rows by number."""
        return np.asarray(self.values[rows])

    def cut(self, start: int, stop: int) -> tuple[Part, int]:
        """Return these rows alone, which is what a worker has to be sent."""
        return ArrayPart(self.name, np.array(self.values[start:stop])), start


@dataclass(frozen=True, slots=True)
class NpyPart:
    """Rows of a ``.npy`` file, read where they are asked for."""

    name: str
    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    fortran: bool

    @property
    def bytes_held(self) -> int:
        """Nothing: only what is asked for is read."""
        return 0

    def read(self, start: int, stop: int) -> Rows:
        """Return consecutive rows."""
        if self.fortran and len(self.shape) > 1:
            return np.array(self._map()[start:stop])
        width = math.prod(self.shape[1:])
        values = np.fromfile(
            self.path, dtype=self.dtype, count=(stop - start) * width,
            offset=self.offset + start * width * self.dtype.itemsize,
        )  # fmt: skip
        if values.size != (stop - start) * width:
            raise InputError(f"{self.name}: was cut short while it was read; write it again")
        return values.reshape(stop - start, *self.shape[1:])

    def take(self, rows: Rows) -> Rows:
        """Return rows by number."""
        return np.asarray(self._map())[rows]

    def cut(self, start: int, stop: int) -> tuple[Part, int]:
        """Return itself: a path is all that travels."""
        return self, 0

    def _map(self) -> Rows:
        order: Any = "F" if self.fortran else "C"
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, order)


@dataclass(frozen=True, slots=True)
class ParquetPart:
    """Rows of one column of a Parquet file; one row group is held at a time."""

    name: str
    path: str
    column: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    ends: tuple[int, ...]

    @property
    def bytes_held(self) -> int:
        """The largest row group, encoded and not."""
        sizes = np.diff(np.array((0, *self.ends)))
        return int(3 * sizes.max() * math.prod(self.shape[1:]) * self.dtype.itemsize)

    def read(self, start: int, stop: int) -> Rows:
        """Return consecutive rows."""
        first, last = np.searchsorted(self.ends, [start, stop - 1], side="right")
        found = []
        for group in range(first, last + 1):
            begin = self.ends[group - 1] if group else 0
            values = _row_group(self, group)
            found.append(values[max(0, start - begin) : stop - begin])
        return found[0] if len(found) == 1 else np.concatenate(found)

    def take(self, rows: Rows) -> Rows:
        """Return rows by number, rising."""
        groups = np.searchsorted(self.ends, rows, side="right")
        found = []
        for group in np.unique(groups):
            begin = self.ends[group - 1] if group else 0
            found.append(_row_group(self, int(group))[rows[groups == group] - begin])
        return np.concatenate(found)

    def cut(self, start: int, stop: int) -> tuple[Part, int]:
        """Return itself: a path is all that travels."""
        return self, 0


def open_npy(path: Path) -> NpyPart:
    """Look at a ``.npy`` file: its header must agree with its size.

    Raises
    ------
    InputError
        As `isoloss.spectra.npy.read_npy`.
    """
    pairs = _pairs(path)
    if pairs is not None:
        return pairs
    mapped: Any = read_npy(path)
    fortran = bool(mapped.ndim > 1 and mapped.flags.f_contiguous and not mapped.flags.c_contiguous)
    return NpyPart(path.name, str(path), mapped.shape, mapped.dtype, mapped.offset, fortran)


def open_parquet(path: Path, column: str) -> ParquetPart | None:
    """Look at one column of a Parquet file; None where there is no such column.

    Raises
    ------
    MissingExtra
        Without pyarrow.
    InputError
        If the file is damaged, or the column holds neither numbers, lists of numbers nor text.
    """
    file = _parquet(path)
    names = file.schema_arrow.names
    if column not in names:
        return None
    meta = file.metadata
    ends = np.cumsum([meta.row_group(i).num_rows for i in range(meta.num_row_groups)], dtype=int)
    ends = ends[np.diff(ends, prepend=0) > 0]
    if ends.size == 0 or ends.size != meta.num_row_groups:
        raise InputError(f"{path.name}: has row groups without rows; write it again")
    probe = ParquetPart(
        path.name, str(path), column, (int(ends[-1]),), np.dtype("f4"), tuple(ends.tolist())
    )
    first = _row_group(probe, 0)
    return ParquetPart(
        path.name, str(path), column, (int(ends[-1]), *first.shape[1:]), first.dtype, probe.ends
    )


def parquet_columns(path: Path) -> list[str]:
    """Names of the columns of a Parquet file."""
    return list(_parquet(path).schema_arrow.names)


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    try:
        return parquet.ParquetFile(path)
    except Exception as error:  # pyarrow raises its own and many built-in errors on bad files
        # Of those OSError without a number; with one it is the system's.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(
            f"{path.name}: the Parquet file cannot be read; it may be cut short or damaged"
        ) from error


@lru_cache(maxsize=2)
def _row_group(part: ParquetPart, group: int) -> Rows:
    """Read one row group; blocks that follow each other share it."""
    import pyarrow as pa

    try:
        with _parquet(Path(part.path)) as file:
            table = file.read_row_group(group, columns=[part.column], use_threads=False)
        column = table.column(0).combine_chunks()
    except InputError:
        raise
    except Exception as error:  # as above
        raise InputError(f"{part.name}: row group {group} cannot be read; it is damaged") from error
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        begin = part.ends[group - 1] if group else 0
        raise InputError(f"{part.name} row {begin + row}: column {part.column!r} is null")
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(column.to_pylist(), dtype=np.str_)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        flat = column.flatten()
        if flat.null_count or len(flat) % len(column):
            raise InputError(f"{part.name}: lists in {part.column!r} differ in length or hold null")
        if not pa.types.is_fixed_size_list(kind) and len(set(np.diff(column.offsets))) > 1:
            raise InputError(f"{part.name}: lists in {part.column!r} differ in length")
        return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(len(column), -1)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    raise InputError(
        f"{part.name}: column {part.column!r} holds {kind}; numbers or text can be read"
    )


def _pairs(path: Path) -> NpyPart | None:
    """Read the header of a file of 128-bit ids, stored as records of two ``u8``; else None."""
    with path.open("rb") as file:
        start = file.read(2000)
    if start[:8] != b"\x93NUMPY\x01\x00" or len(start) < 10:
        return None
    (length,) = struct.unpack("<H", start[8:10])
    match = _PAIR.fullmatch(start[10 : 10 + length].decode("latin1"))
    if match is None:
        return None
    rows, offset = int(match[1]), 10 + length
    if rows * 16 != path.stat().st_size - offset:
        raise InputError(
            f"{path.name}: the header claims {rows} ids of 16 bytes, and the file holds "
            f"{path.stat().st_size - offset} bytes after it; it is damaged or was cut"
        )
    return NpyPart(path.name, str(path), (rows, 2), np.dtype("<u8"), offset, False)

"""Embeddings out of core: shards in an order of their own, so that no answer depends on another."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from isoloss.errors import InputError
from isoloss.prune.shards import (
    ArrayPart,
    NpyPart,
    ParquetPart,
    Part,
    Rows,
    open_npy,
    open_parquet,
    parquet_columns,
)

_IDS = ".ids.npy"
_DIM = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embeddings:
    """Rows of numbers, each with an id, wherever they are stored.

    Attributes
    ----------
    parts
        What holds the rows, in canonical order.
    ids_in
        What holds the ids, in the same order; empty where a row's number is its id.
    rows, dim
        Shape of all rows together.
    """

    parts: tuple[Part, ...]
    ids_in: tuple[Part, ...]
    rows: int
    dim: int
    first: int = 0
    starts: tuple[int, ...] = field(repr=False)
    id_starts: tuple[int, ...] = field(repr=False)

    def __repr__(self) -> str:
        return f"Embeddings({self.rows} rows of {self.dim}, {len(self.parts)} parts)"

    def read(self, start: int, stop: int) -> Rows:
        """Return consecutive rows as stored."""
        return _read(self.parts, self.starts, start, stop)

    def ids(self, start: int, stop: int) -> Rows:
        """Return ids of consecutive rows: int64, text, or (n, 2) uint64."""
        if not self.ids_in:
            return np.arange(self.first + start, self.first + stop, dtype=np.int64)
        return _read(self.ids_in, self.id_starts, start, stop)

    def take(self, rows: Rows) -> Rows:
        """Return rows by number, in float32; the numbers must rise."""
        found = np.empty((len(rows), self.dim), dtype=np.float32)
        edges = np.searchsorted(rows, self.starts)
        for part, begin, low, high in zip(
            self.parts, self.starts, edges, [*edges[1:], len(rows)], strict=True
        ):
            if high > low:
                found[low:high] = part.take(rows[low:high] - begin)
        return found

    def where(self, row: int) -> str:
        """Name the part and the row in it, for people."""
        i = bisect_right(self.starts, row) - 1
        return f"{self.parts[i].name} row {row - self.starts[i]}"

    def blocks(self, size: int) -> Iterator[tuple[int, Rows]]:
        """Go through all rows, ``size`` at a time."""
        for start in range(0, self.rows, size):
            yield start, self.read(start, min(self.rows, start + size))

    def cut(self, start: int, stop: int) -> Embeddings:
        """Return consecutive rows alone, small enough to be sent to a worker."""
        parts, starts = _cut(self.parts, self.starts, start, stop)
        ids, id_starts = _cut(self.ids_in, self.id_starts, start, stop) if self.ids_in else ((), ())
        return Embeddings(
            parts=parts, ids_in=ids, rows=stop - start, dim=self.dim, first=self.first + start,
            starts=starts, id_starts=id_starts,
        )  # fmt: skip


def open_embeddings(
    source: Any, *, ids: Any = None, column: str = "embedding", id_column: str = "id"
) -> Embeddings:
    """Look at embeddings without reading them.

    Parameters
    ----------
    source
        A ``.npy`` or Parquet file, a folder of them, a list of these, or an array, (rows, dim), of
        real numbers of any width.
    ids
        An array or a ``.npy`` file with an id for each row in canonical order; or a folder with a
        file of the same name for each shard. Whole numbers, text, or pairs of ``u8``. By default
        ``NAME.ids.npy`` beside each ``NAME.npy``, or the column ``id_column`` of Parquet shards,
        and where there are none the number of the row in canonical order.
    column
        Where the rows are in Parquet shards: lists of one length.
    id_column
        Where the ids are in Parquet shards.

    Returns
    -------
    Embeddings
        Shards stand in the order of their file names, digits taken as numbers (``x2`` before
        ``x10``), then of their folders; the order in which they were given does not matter.

    Raises
    ------
    InputError
        If a file is damaged, widths differ, a shard is named twice, or ids are missing or of
        another length; the message names the shard.
    MissingExtra
        For Parquet without pyarrow.

    Examples
    --------
    >>> import numpy as np
    >>> found = open_embeddings(np.eye(3, dtype=np.float32), ids=["a", "b", "c"])
    >>> found.rows, found.dim, found.ids(1, 3).tolist()
    (3, 3, ['b', 'c'])
    """
    if isinstance(source, Embeddings):
        return source
    paths: list[Path] = []
    if isinstance(source, (str, Path)):
        paths = _files([source])
    elif isinstance(source, Sequence) and source and isinstance(source[0], (str, Path)):
        paths = _files(source)
    if paths:
        parts = tuple(_open(path, column) for path in paths)
    else:
        parts = (ArrayPart("array", _array("embeddings", source)),)
    for part in parts:
        if len(part.shape) != 2 or part.shape[1] > _DIM:
            raise InputError(
                f"{part.name}: has shape {part.shape}; give a row of numbers for each example"
            )
        if part.dtype.kind not in "iuf" or part.dtype.itemsize > 8:
            raise InputError(f"{part.name}: holds {part.dtype}; give real numbers of 8 to 64 bits")
        if part.shape[1] != parts[0].shape[1]:
            raise InputError(
                f"{part.name}: rows hold {part.shape[1]} numbers, those of {parts[0].name} "
                f"{parts[0].shape[1]}; these are embeddings of different kinds"
            )
    rows = sum(part.shape[0] for part in parts)
    ids_in = _ids(ids, paths, parts, rows, id_column)
    return Embeddings(
        parts=parts, ids_in=ids_in, rows=rows, dim=parts[0].shape[1],
        starts=_starts(parts), id_starts=_starts(ids_in),
    )  # fmt: skip


def read_column(name: str, source: Any, rows: int) -> Part:
    """Look at one value a row, as labels: an array or a ``.npy`` file.

    Raises
    ------
    InputError
        If there is not one value a row.
    """
    if isinstance(source, (str, Path)):
        part: Part = open_npy(Path(source))
    else:
        part = ArrayPart(name, _array(name, source))
    if part.shape[:1] != (rows,):
        raise InputError(f"{name}: {part.name} has shape {part.shape}, and there are {rows} rows")
    return part


def _files(given: Sequence[Any]) -> list[Path]:
    """List shards in canonical order."""
    found: list[Path] = []
    for item in map(Path, given):
        if item.is_dir():
            inner = [
                p for p in item.iterdir()
                if p.suffix in (".npy", ".parquet") and not p.name.startswith(".")
                and not p.name.endswith(_IDS)
            ]  # fmt: skip
            if not inner:
                raise InputError(f"{item}: holds no .npy or .parquet file")
            found += inner
        elif item.exists():
            found.append(item)
        else:
            raise InputError(f"{item}: there is no such file or folder")
    seen: set[Path] = set()
    for path in found:
        try:
            place = path.resolve()
            # A pipe would be waited for, and a folder can be named as a file is.
            if not path.is_file():
                raise InputError(f"{path}: is no file, or a link to none; take it out")
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path}: symbolic links that lead back to themselves") from error
        if place in seen:
            raise InputError(f"{path}: is given twice")
        seen.add(place)
    return sorted(found, key=_order)


def _order(path: Path) -> Any:
    digits = re.compile(r"(\d+)")
    parts = [(int(p), "") if p.isdigit() else (-1, p) for p in digits.split(path.name) if p]
    return parts, path.name, str(path.parent)


def _open(path: Path, column: str) -> Part:
    if path.suffix != ".parquet":
        return open_npy(path)
    part = open_parquet(path, column)
    if part is None:
        raise InputError(
            f"{path.name}: has no column {column!r}, but {', '.join(parquet_columns(path)[:20])}; "
            "name it with column"
        )
    return part


def _array(name: str, source: Any) -> Rows:
    try:
        found = np.asanyarray(source)
    except ValueError as error:
        raise InputError(f"{name}: rows differ in length") from error
    if found.dtype == object:
        raise InputError(f"{name}: expected an array of plain values, got {type(source).__name__}")
    if found.size == 0:
        raise InputError(f"{name}: shape {found.shape} holds nothing")
    return np.asarray(found)


def _ids(
    ids: Any, paths: list[Path], parts: tuple[Part, ...], rows: int, id_column: str
) -> tuple[Part, ...]:
    if isinstance(ids, (str, Path)) and Path(ids).is_dir():
        beside: list[Part | None] = [
            open_npy(Path(ids) / path.with_suffix(".npy").name) for path in paths
        ]
    elif ids is not None:
        part = read_column("ids", ids, rows)
        _kind(part)
        return (part,)
    else:
        beside = [_beside(path, id_column) for path in paths]
    found = [part for part in beside if part is not None]
    if not found:
        return ()
    if len(found) < len(beside):
        lack = next(p for p, part in zip(paths, beside, strict=True) if part is None)
        raise InputError(f"{lack.name}: has no ids, and {found[0].name} does; give all or none")
    for part, shard in zip(found, parts, strict=True):
        if part.shape[0] != shard.shape[0]:
            raise InputError(
                f"{part.name}: holds {part.shape[0]} ids, and {shard.name} {shard.shape[0]} rows"
            )
        if _kind(part) != _kind(found[0]):
            raise InputError(
                f"{part.name}: ids are {_kind(part)}, and those of {found[0].name} not"
            )
    return tuple(found)


def _beside(path: Path, id_column: str) -> Part | None:
    if path.suffix == ".parquet":
        return open_parquet(path, id_column)
    other = path.with_name(path.stem + _IDS)
    return open_npy(other) if other.exists() else None


def _kind(part: Part) -> str:
    """Whole numbers, text or pairs."""
    if part.dtype.kind in "iu" and len(part.shape) == 1:
        return "whole numbers"
    if part.dtype.kind in "SU" and len(part.shape) == 1:
        return "text"
    if part.dtype == np.uint64 and part.shape[1:] == (2,):
        return "pairs of u8"
    raise InputError(
        f"{part.name}: ids have shape {part.shape} of {part.dtype}; give whole numbers, text, or "
        "pairs of unsigned 64-bit numbers, one a row"
    )


def _starts(parts: tuple[Part, ...]) -> tuple[int, ...]:
    return tuple(np.cumsum([0, *(part.shape[0] for part in parts)])[:-1].tolist()) if parts else ()


def _spans(
    parts: tuple[Part, ...], starts: tuple[int, ...], start: int, stop: int
) -> Iterator[tuple[Part, int, int]]:
    i = bisect_right(starts, start) - 1
    while start < stop:
        end = min(stop, starts[i] + parts[i].shape[0])
        yield parts[i], start - starts[i], end - starts[i]
        start, i = end, i + 1


def _read(parts: tuple[Part, ...], starts: tuple[int, ...], start: int, stop: int) -> Rows:
    found = [part.read(low, high) for part, low, high in _spans(parts, starts, start, stop)]
    return found[0] if len(found) == 1 else np.concatenate(found)


def _cut(
    parts: tuple[Part, ...], starts: tuple[int, ...], start: int, stop: int
) -> tuple[tuple[Part, ...], tuple[int, ...]]:
    found, begins, at = [], [], 0
    for part, low, high in _spans(parts, starts, start, stop):
        smaller, later = part.cut(low, high)
        found.append(smaller)
        begins.append(at - (low - later))
        at += high - low
    return tuple(found), tuple(begins)


__all__ = ["ArrayPart", "Embeddings", "NpyPart", "ParquetPart", "open_embeddings", "read_column"]

"""Marginal contributions of data points: what a likelihood needs of them, in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError

Ids = npt.NDArray[np.int64]
Chunk = tuple[Any, Any, Any]
_LARGEST = float(2**53)
_SIZES = (1e-3, 1e10)
"""Powers of sizes, up to the cube of the largest exponent, have to fit."""

_ROW = np.dtype([("point", "<i8"), ("size", "<f8"), ("delta", "<f8")])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contributions:
    """Sums of contributions, one row for each size at which a point was tried.

    They are sufficient: any number of samples of one point at one size is three numbers, and the
    likelihood of `fit_points` is the same.

    Attributes
    ----------
    point
        Ids of the points, rising, (points,).
    first
        Rows of point i are ``first[i]`` to ``first[i + 1]``, (points + 1,).
    size, count, mean, spread
        Size of the set before the point was added, samples, mean of their contributions, and sum
        of squares around it, (rows,).

    Examples
    --------
    >>> found = group_contributions([7, 7, 7, 3], [100, 100, 200, 100], [0.1, 0.3, 0.0, 0.5])
    >>> found.point.tolist(), found.first.tolist(), found.count.tolist()
    ([3, 7], [0, 1, 3], [1.0, 2.0, 1.0])
    """

    point: Ids
    first: Ids
    size: Array
    count: Array
    mean: Array
    spread: Array

    def __post_init__(self) -> None:
        for name in ("size", "count", "mean", "spread"):
            object.__setattr__(self, name, freeze(getattr(self, name)))
        for name in ("point", "first"):
            array = np.array(getattr(self, name), dtype=np.int64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return self.point.size

    def __repr__(self) -> str:
        return f"Contributions({len(self)} points, {self.count.sum():.0f} samples)"

    def part(self, start: int, stop: int) -> Contributions:
        """Points from one position to another."""
        rows = slice(int(self.first[start]), int(self.first[stop]))
        return Contributions(
            point=self.point[start:stop], first=self.first[start : stop + 1] - self.first[start],
            size=self.size[rows], count=self.count[rows], mean=self.mean[rows],
            spread=self.spread[rows],
        )  # fmt: skip


def group_contributions(point: Any, k: Any, delta: Any) -> Contributions:
    """Sum up samples of marginal contributions by point and size.

    Parameters
    ----------
    point
        Whole-number id of each sample, any order, (n,).
    k
        Size of the set that the point was added to, from 0.001 to 1e10, (n,).
    delta
        Utility with the point minus utility without; higher is better, (n,).

    Raises
    ------
    InputError
        If lengths differ, or a value breaks these rules.

    Examples
    --------
    >>> group_contributions([0, 0], [10, 10], [1.0, 3.0]).spread.tolist()
    [2.0]
    """
    return _grouped(*_checked((point, k, delta), 0))


def stream_contributions(
    chunks: Iterable[Chunk], *, in_order: bool = True, folder: Path | str | None = None,
    buckets: int = 64,
) -> Iterator[Contributions]:  # fmt: skip
    """Sum up any number of samples that come in chunks, some points at a time.

    Parameters
    ----------
    chunks
        Triples of point, k and delta as `group_contributions` takes, a part of the samples each.
    in_order
        Whether ids never fall from one sample to the next, so that a point is complete once the
        next begins. Otherwise samples go through files, ``buckets`` of them, and memory is that of
        the largest.
    folder
        Where these files go; the system's temporary folder by default. They are removed.
    buckets
        Number of files.

    Yields
    ------
    Contributions
        Whole points; no point comes twice.

    Raises
    ------
    InputError
        If a value breaks the rules, or ids fall and ``in_order`` was said.

    Examples
    --------
    >>> chunks = [([1, 1, 2], [5, 6, 5], [0.1, 0.2, 0.3]), ([2, 4], [6, 5], [0.4, 0.5])]
    >>> [part.point.tolist() for part in stream_contributions(chunks)]
    [[1], [2], [4]]
    """
    if in_order:
        yield from _ordered(chunks)
        return
    if not 1 <= buckets <= 4096:
        raise InputError(f"buckets = {buckets!r}: must lie between 1 and 4096")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".contributions-") as name:
        for path in _split(chunks, Path(name), buckets):
            rows = np.fromfile(path, dtype=_ROW)
            path.unlink()
            if rows.size:
                yield _grouped(rows["point"], rows["size"], rows["delta"])


def _ordered(chunks: Iterable[Chunk]) -> Iterator[Contributions]:
    held: list[tuple[Ids, Array, Array]] = []
    seen = 0
    for chunk in chunks:
        point, k, delta = _checked(chunk, seen)
        if not point.size:
            continue
        before = held[-1][0][-1] if held else point[0]
        fall = np.flatnonzero(np.diff(np.concatenate([[before], point])) < 0)
        if fall.size:
            i = int(fall[0])
            raise InputError(
                f"point[{seen + i}] = {point[i]}: comes after a higher id; sort the samples by "
                "point, or say that they are in no order (in_order=False, or --unsorted)"
            )
        seen += point.size
        # The last point may go on in the next chunk.
        cut = int(np.searchsorted(point, point[-1]))
        if cut or before != point[0]:
            held.append((point[:cut], k[:cut], delta[:cut]))
            parts = [np.concatenate(v) for v in zip(*held, strict=True)]
            yield _grouped(parts[0], parts[1], parts[2])
            held = []
        held.append((point[cut:], k[cut:], delta[cut:]))
    if held:
        parts = [np.concatenate(v) for v in zip(*held, strict=True)]
        yield _grouped(parts[0], parts[1], parts[2])


def _split(chunks: Iterable[Chunk], folder: Path, buckets: int) -> Iterator[Path]:
    """Write samples to files by id; yield these once all are written."""
    paths = [folder / f"{i}.rows" for i in range(buckets)]
    files: list[BinaryIO] = [path.open("wb") for path in paths]
    seen = 0
    try:
        for chunk in chunks:
            point, k, delta = _checked(chunk, seen)
            seen += point.size
            rows = np.empty(point.size, dtype=_ROW)
            rows["point"], rows["size"], rows["delta"] = point, k, delta
            bucket = point % buckets
            order = np.argsort(bucket, kind="stable")
            ends = np.searchsorted(bucket[order], np.arange(buckets + 1))
            rows = rows[order]
            for i in np.flatnonzero(np.diff(ends)):
                files[i].write(rows[ends[i] : ends[i + 1]].tobytes())
    finally:
        for file in files:
            file.close()
    yield from paths


def _checked(chunk: Chunk, seen: int) -> tuple[Ids, Array, Array]:
    """Read a chunk; places in errors count from the start of the stream."""
    arrays = []
    for name, values in zip(("point", "k", "delta"), chunk, strict=True):
        try:
            array = np.atleast_1d(np.asarray(values))
            if name != "point" or array.dtype.kind not in "iu":
                array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}: expected numbers, got {str(values)[:60]}") from error
        if array.ndim != 1:
            raise InputError(f"{name}: expected one dimension, got shape {array.shape}")
        arrays.append(array)
    point, k, delta = arrays
    if not point.size == k.size == delta.size:
        sizes = f"{point.size}, {k.size} and {delta.size}"
        raise InputError(f"point, k, delta: lengths differ ({sizes})")
    for name, array, good, rule in (
        ("point", point, np.isfinite(point) & (np.floor(point) == point), "a whole number"),
        ("k", k, (k >= _SIZES[0]) & (k <= _SIZES[1]), "between 0.001 and 1e10"),
        (
            "delta",
            delta,
            (np.abs(delta) < 1e150) & ((np.abs(delta) > 1e-150) | (delta == 0)),
            "zero, or between 1e-150 and 1e150 in size",
        ),
    ):
        if not good.all():
            i = int(np.flatnonzero(~good)[0])
            raise InputError(f"{name}[{seen + i}] = {array[i].item()!r}: must be {rule}")
    if point.size and np.abs(point).max() >= _LARGEST:
        raise InputError(f"point = {point.max()}: ids must stay below 2^53")
    return point.astype(np.int64), k, delta


def _grouped(point: Ids, k: Array, delta: Array) -> Contributions:
    order = np.lexsort((k, point))
    point, k, delta = point[order], k[order], delta[order]
    new = np.ones(point.size, dtype=bool)
    new[1:] = (point[1:] != point[:-1]) | (k[1:] != k[:-1])
    start = np.flatnonzero(new)
    if not start.size:
        none = np.empty(0)
        return Contributions(
            point=np.empty(0, dtype=np.int64), first=np.zeros(1, dtype=np.int64), size=none,
            count=none, mean=none, spread=none,
        )  # fmt: skip
    count = np.diff(np.append(start, point.size)).astype(np.float64)
    mean = np.add.reduceat(delta, start) / count
    off = delta - np.repeat(mean, count.astype(np.int64))
    ids, first = np.unique(point[start], return_index=True)
    return Contributions(
        point=ids, first=np.append(first, start.size), size=k[start], count=count, mean=mean,
        spread=np.add.reduceat(off * off, start),
    )  # fmt: skip

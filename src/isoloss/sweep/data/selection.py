"""Selections that `isoloss.prune` wrote, read as rows of the training part."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.spectra.npy import read_npy
from isoloss.sweep.data.place import read_file, shown, size_of

CONTENTS = ("ids", "rows", "dropped", "mask", "record", "shards")
_MOST = 1 << 30
_WHOLE = re.compile(r"[0-9]{1,18}")

Rows = npt.NDArray[np.int64]


def read_selection(path: Path, n: int) -> tuple[Rows, str]:
    """Read which of n training examples are kept.

    ``PATH.json`` beside the file, where it is there, says what the file holds and is held against
    it. Without it, a table of one column or a whole-number array is ids that are kept, a boolean
    array a mask.

    Returns
    -------
    rows, digest
        Rows that are kept, rising; SHA-256 of the rows and of n.

    Raises
    ------
    InputError
        If the file is of another form or of other data, names a row that is not there or names one
        twice, or keeps nothing.
    """
    about = _about(path)
    content = about.get("content")
    if content is not None and content not in CONTENTS:
        raise InputError(f"{shown(path)}.json: content = {content!r}: not known")
    if about.get("rows", n) != n:
        raise InputError(
            f"{shown(path)}: was made of {about['rows']!r} examples, and there are {n} for "
            "training; make it of the training part of these data"
        )
    if path.is_dir():
        rows = _shards(path, n)
    else:
        _check_digest(path, about)
        rows = _rows(path, n, content)
    if not rows.size:
        raise InputError(f"{shown(path)}: keeps nothing")
    digest = hashlib.sha256(f"{n}\n".encode() + rows.astype("<i8").tobytes()).hexdigest()
    return rows, digest


def _about(path: Path) -> dict[str, Any]:
    side = path.parent / (path.name + ".json")
    if not side.is_file():
        return {}
    found = _json(read_file(side, 1 << 26), side)
    if not isinstance(found, dict):
        raise InputError(f"{shown(side)}: is no record of a selection")
    return found


def _check_digest(path: Path, about: dict[str, Any]) -> None:
    size_of(path, _MOST)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if about.get("sha256", found) != found:
        raise InputError(f"{shown(path)}: is not the file that {shown(path.name)}.json describes")


def _rows(path: Path, n: int, content: str | None) -> Rows:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        values = np.array(read_npy(path))
        if values.dtype == bool:
            return _mask(values, n, path)
        named = values
    elif suffix in (".csv", ".jsonl"):
        table = _csv(path) if suffix == ".csv" else _jsonl(path)
        first = next(table, {})
        column = next((c for c in ("id", "row") if c in first), None)
        if column is None:
            raise InputError(f"{shown(path)}: no column id or row")
        named = np.array(list(_kept(first, table, column, path)), dtype=np.int64)
    else:
        raise InputError(f"{shown(path)}: must end in .npy, .csv or .jsonl, or be a folder")
    rows = _whole(named, n, path)
    if content == "dropped":
        rest = np.ones(n, dtype=bool)
        rest[rows] = False
        return np.flatnonzero(rest)
    return rows


def _whole(values: npt.NDArray[Any], n: int, path: Path) -> Rows:
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise InputError(
            f"{shown(path)}: ids are {values.dtype}; they must be rows of the training part, "
            "whole numbers from 0"
        )
    bad = (values < 0) | (values >= n)
    if bad.any():
        raise InputError(f"{shown(path)}: id {values[bad][0]}: there are only rows 0 to {n - 1}")
    rows = np.unique(values.astype(np.int64))
    if rows.size < values.size:
        raise InputError(f"{shown(path)}: {values.size - rows.size} ids are named twice")
    return rows


def _mask(values: npt.NDArray[Any], n: int, path: Path) -> Rows:
    if values.shape != (n,):
        raise InputError(f"{shown(path)}: a mask of {values.shape} for {n} training examples")
    return np.flatnonzero(values)


def _kept(
    first: dict[str, Any], rest: Iterator[dict[str, Any]], column: str, path: Path
) -> Iterator[int]:
    for row in (first, *rest):
        if "kept" in row and row["kept"] not in (True, False, "true", "false"):
            raise InputError(f"{shown(path)}: kept = {row['kept']!r}: must be true or false")
        if row.get("kept", True) in (True, "true"):
            value = str(row.get(column))
            if not _WHOLE.fullmatch(value):
                raise InputError(
                    f"{shown(path)}: {column} {value[:40]!r}: must be a row of the training part, "
                    "a whole number from 0"
                )
            yield int(value)


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    try:
        yield from csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    except csv.Error as error:
        raise InputError(f"{shown(path)}: is no table ({error})") from None


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    for line in _text(path).splitlines():
        row = _json(line.encode(), path)
        if not isinstance(row, dict):
            raise InputError(f"{shown(path)}: each line must be an object")
        yield row


def _text(path: Path) -> str:
    try:
        return read_file(path, _MOST).decode("utf8")
    except UnicodeDecodeError:
        raise InputError(f"{shown(path)}: is no text") from None


def _json(content: bytes, path: Path) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{shown(path)}: is no JSON") from None


def _shards(folder: Path, n: int) -> Rows:
    manifest = folder / "manifest.json"
    found = _json(read_file(manifest, 1 << 26), manifest)
    shards = found.get("shards") if isinstance(found, dict) else None
    if not isinstance(shards, list) or not all(isinstance(s, dict) for s in shards):
        raise InputError(f"{shown(manifest)}: is no manifest of a selection")
    parts = []
    for number, shard in enumerate(shards):
        rows, kept = shard.get("rows"), shard.get("kept")
        if type(rows) is not int or not 0 <= rows <= n:
            raise InputError(f"{shown(manifest)}: shard {number} has rows = {rows!r}")
        # The name is ours and not the manifest's, which could point anywhere.
        bits = _bits(folder / f"{number:05d}.npy", rows)
        if bits.sum() != kept:
            raise InputError(f"{shown(folder)}: shard {number} keeps {bits.sum()}, not {kept!r}")
        parts.append(bits)
    return _mask(np.concatenate(parts) if parts else np.empty(0, dtype=bool), n, folder)


def _bits(path: Path, rows: int) -> npt.NDArray[np.bool_]:
    if rows == 0:
        return np.empty(0, dtype=bool)
    size_of(path)
    packed = np.array(read_npy(path))
    if packed.dtype != np.uint8 or packed.shape != ((rows + 7) // 8,):
        raise InputError(f"{shown(path)}: is no bitmap of {rows} rows")
    return np.unpackbits(packed, count=rows).astype(bool)

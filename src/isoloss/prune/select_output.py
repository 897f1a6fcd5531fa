"""Selections on disk: ids, rows, masks, a record of every example, bitmaps by shard."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from isoloss._core.serial import to_json, write_atomic
from isoloss.errors import InputError
from isoloss.prune.scores_ids import pairs_of, plain_ids
from isoloss.prune.select_result import BUDGET, REASONS, Selection

CONTENTS: dict[str, tuple[str, ...]] = {
    "ids": (".npy", ".csv", ".jsonl"),
    "dropped": (".npy", ".csv", ".jsonl"),
    "rows": (".npy", ".csv", ".jsonl"),
    "uids": (".npy",),
    "mask": (".npy",),
    "record": (".csv", ".jsonl"),
    "shards": ("",),
}
"""What can be written, and the endings that it can be written to."""

_STEP = 1 << 16


def write_selection(
    selection: Selection, path: Any, *, content: str = "ids", overwrite: bool = False,
    lengths: Sequence[int] | None = None, about: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """Write a selection, whole or not at all, and how it was made to ``PATH.json`` beside it.

    Parameters
    ----------
    selection
        What to write.
    path
        The ending chooses the form: ``.npy``, ``.csv`` or ``.jsonl``; a folder for shards.
    content
        ``"ids"`` kept, ``"dropped"`` ids, ``"rows"`` kept of the input, ``"uids"``: 128-bit ids
        kept, as the sorted pairs of ``u8`` that DataComp reads, ``"mask"`` of the input's rows,
        ``"record"`` of every example with reason, score and neighbour, in the order of ids, or
        ``"shards"``: a bitmap for each shard, ``numpy.packbits`` of its rows.
    overwrite
        Write over a file that is there.
    lengths
        Rows of each shard.
    about
        Further lines of ``PATH.json``, such as the digest of the input.

    Raises
    ------
    InputError
        If the file is there, or its ending does not go with the content.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from isoloss.prune import select
    >>> with TemporaryDirectory() as place:
    ...     file = write_selection(select([0.2, 0.9], 1, ids=["a", "b"]), Path(place) / "kept.csv")
    ...     file.read_text().split()
    ['id', 'b']
    """
    place = Path(path)
    check_target(place, content, overwrite)
    if content == "shards":
        if lengths is None:
            raise InputError("lengths: give the rows of each shard to write bitmaps of shards")
        digest = _write_shards(selection, place, lengths)
    else:
        with _whole_file(place) as file:
            _write(selection, content, place.suffix.lower(), file)
        with place.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    lines = {**selection.to_dict(), "content": content, **(about or {}), "sha256": digest}
    write_atomic(place.with_name(place.name + ".json"), to_json(lines))
    return place


def check_target(path: Any, content: str, overwrite: bool = False) -> None:
    """Refuse a target that is there, or whose ending does not go with the content.

    Raises
    ------
    InputError
        With what to write instead.
    """
    place = Path(path)
    if content not in CONTENTS:
        raise InputError(f"content = {content!r}: write one of {', '.join(CONTENTS)}")
    if place.suffix.lower() not in CONTENTS[content] and content != "shards":
        raise InputError(
            f"{place}: {content} can be written to {', '.join(CONTENTS[content])}; choose one of "
            "these endings"
        )
    if place.is_dir() or (place.exists() and (content == "shards" or not overwrite)):
        raise InputError(f"{place}: is there already; give another name")


def _write(selection: Selection, content: str, suffix: str, file: BinaryIO) -> None:
    if content == "record":
        _write_table(_record(selection), _heading(selection), suffix, file)
        return
    if content == "mask":
        values: Any = selection.mask
    elif content == "rows":
        values = selection.rows
    elif content == "uids":
        values = pairs_of(selection.kept_ids)
    else:
        values = selection.kept_ids if content == "ids" else selection.dropped_ids
    if suffix == ".npy":
        np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
        return
    parts = (plain_ids(values[s : s + _STEP]) for s in range(0, values.size, _STEP))
    rows = ([v] for part in parts for v in part)
    _write_table(rows, ["row" if content == "rows" else "id"], suffix, file)


def _heading(selection: Selection) -> list[str]:
    beside = [] if selection.neighbour is None else ["neighbour"]
    return ["id", "kept", "reason", "score", *beside]


def _record(selection: Selection) -> Iterator[list[Any]]:
    for start in range(0, selection.ids.size, _STEP):
        part = slice(start, start + _STEP)
        codes = selection.reason[part].tolist()
        columns: list[Any] = [
            plain_ids(selection.ids[part]), [c < BUDGET for c in codes],
            [REASONS[c] for c in codes], [_number(v) for v in selection.score[part]],
        ]  # fmt: skip
        if selection.neighbour is not None:
            columns.append(plain_ids(selection.neighbour[part]))
        yield from (list(row) for row in zip(*columns, strict=True))


def _number(value: Any) -> float | str:
    """Shortest digits that read back as the same float32 or float64."""
    text = str(value)
    return float(text) if np.isfinite(value) else text


def _write_table(rows: Iterator[list[Any]], head: list[str], suffix: str, file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, "utf8", newline="", write_through=True)
    if suffix == ".csv":
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(head)
        writer.writerows([str(v).lower() if isinstance(v, bool) else v for v in r] for r in rows)
    else:
        for row in rows:
            named = dict(zip(head, row, strict=True))
            text.write(json.dumps(named, ensure_ascii=False, allow_nan=False) + "\n")
    text.flush()
    text.detach()


def _write_shards(selection: Selection, place: Path, lengths: Sequence[int]) -> str:
    parts = selection.by_shard(lengths)
    place.mkdir(parents=True)
    digests, shards = [], []
    for number, (rows, length) in enumerate(zip(parts, lengths, strict=True)):
        bits = np.zeros(length, dtype=bool)
        bits[rows] = True
        name = f"{number:05d}.npy"
        buffer = io.BytesIO()
        np.save(buffer, np.packbits(bits), allow_pickle=False)
        write_atomic(place / name, buffer.getvalue())
        digests.append(hashlib.sha256(buffer.getvalue()).hexdigest())
        shards.append({"bits": name, "rows": int(length), "kept": int(rows.size)})
    write_atomic(
        place / "manifest.json", to_json({"schema": 1, "bits": "big-endian", "shards": shards})
    )
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside the path that takes its place when all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise

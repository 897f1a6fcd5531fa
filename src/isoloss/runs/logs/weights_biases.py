"""Weights & Biases: the offline file ``run-ID.wandb``.

A header of seven bytes (``:W&B``, the number 0xBEE1, a version), then blocks of 32 KiB as LevelDB's
log has them: fragments of records, each with a checksum, a length and a kind (whole, first, middle,
last). Each record is a protocol buffer, of which the run, its configuration, its history, its
summary and its exit are of use here.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from isoloss.runs.logs.record import Log, LoggedRun, Wanted, as_number, flatten
from isoloss.runs.logs.wire import WireError, fields, signed, text

MAGIC = b":W&B"
_BLOCK = 32768
_HEAD = 7
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_MAX_RECORD = 64 * 2**20
# Numbers of fields in wandb_internal.proto.
_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT = 2, 3, 5, 17, 18
_KEY, _NESTED, _JSON = 1, 2, 16


class _Damage(Exception):
    """The rest of the file cannot be read; says why."""


def read_wandb(log: Log, wanted: Wanted) -> Iterator[LoggedRun]:
    """Read the file of one run, or those of a run that was resumed, in the order of their names."""
    run = LoggedRun(name="", kind=log.kind, source=log.label, closed=False, steps_counted=True)
    records = 0
    for path in log.paths:
        run.closed = False
        try:
            for record in _records(path):
                records += 1
                _take(run, record, wanted)
        except _Damage as damage:
            run.note(
                "TRUNCATED",
                "warning",
                f"{path.name}: {damage}; what was before it is used",
                "copy the file again if it is whole elsewhere",
            )
    if len(log.paths) > 1:
        run.note("MERGED_FILES", "info", f"{len(log.paths)} files of one run id were joined")
    run.run_id = run.run_id or log.paths[0].stem.removeprefix("run-")
    run.name = run.name or run.run_id
    if not records:
        run.note("UNREADABLE", "dropped", "no record can be read", "copy the file again")
    yield run


def _records(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if len(head) < _HEAD or not head.startswith(MAGIC) or head[4:6] != b"\xe1\xbe":
            raise _Damage("the header is not that of a W&B file")
        parts: list[bytes] = []
        size = 0
        for kind, data in _fragments(file):
            if kind in (_WHOLE, _FIRST):
                if parts:
                    raise _Damage("a record has no end")
                parts, size = [], 0
            elif not parts:
                raise _Damage("a record has no beginning")
            size += len(data)
            if size > _MAX_RECORD:
                raise _Damage(f"a record is larger than {_MAX_RECORD:,} bytes")
            parts.append(data)
            if kind in (_WHOLE, _LAST):
                yield b"".join(parts)
                parts = []
        if parts:
            raise _Damage("the last record is cut short")


def _fragments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Fragments until the end of the file; the rest of a block that is too short holds zeros."""
    place = _HEAD
    while True:
        left = _BLOCK - place % _BLOCK
        if left < _HEAD:
            place += len(file.read(left))
            left = _BLOCK
        head = file.read(_HEAD)
        if not head:
            return
        if len(head) < _HEAD:
            raise _Damage("the last record is cut short")
        length, kind = int.from_bytes(head[4:6], "little"), head[6]
        if kind == 0 and length == 0:
            raise _Damage("zeros stand where a record should")
        if not _WHOLE <= kind <= _LAST or length > left - _HEAD:
            raise _Damage(f"no record begins at byte {place}")
        data = file.read(length)
        if len(data) < length:
            raise _Damage("the last record is cut short")
        if int.from_bytes(head[:4], "little") != _checksum(kind, data):
            raise _Damage(f"the checksum at byte {place} does not match")
        place += _HEAD + length
        yield kind, data


def _checksum(kind: int, data: bytes) -> int:
    """CRC-32 of kind and content: neither LevelDB's polynomial nor its mask."""
    return zlib.crc32(data, zlib.crc32(bytes([kind])))


def _take(run: LoggedRun, record: bytes, wanted: Wanted) -> None:
    try:
        for number, kind, _, data in fields(record):
            if kind != 2:
                continue
            if number == _HISTORY:
                _history(run, data, wanted)
            elif number == _SUMMARY:
                for key, value in _items(data, 1):
                    flatten(run.summary, key, _scalar(value))
            elif number == _CONFIG:
                _config(run, data)
            elif number == _RUN:
                _run(run, data)
            elif number == _EXIT:
                run.closed = True
    except WireError as error:
        run.note("CORRUPT", "warning", f"a record is no message: {error}", "copy the file again")


def _run(run: LoggedRun, data: bytes) -> None:
    for number, kind, _, value in fields(data):
        if kind != 2:
            continue
        if number == 1:
            run.run_id = text(value)
        elif number == 4:
            _config(run, value)
        elif number == 6:
            run.config["group"] = text(value)[:1000]
        elif number == 8:
            run.name = text(value)
        elif number == 10 and len(run.tags) < 1000 and text(value) not in run.tags:
            run.tags.append(text(value))


def _config(run: LoggedRun, data: bytes) -> None:
    for key, value in _items(data, 1):
        if not key.startswith("_wandb"):
            run.set(key, _scalar(value))


def _history(run: LoggedRun, data: bytes, wanted: Wanted) -> None:
    step: float | None = None
    found: dict[str, object] = {}
    for number, kind, _, inner in fields(data):
        if number == 2 and kind == 2:
            step = next((float(signed(v)) for n, k, v, _ in fields(inner) if (n, k) == (1, 0)), 0.0)
        elif number == 1 and kind == 2:
            key, value = _item(inner)
            flatten(found, key, _scalar(value))
    logged = as_number(found.get("_step"))
    if logged is not None and math.isfinite(logged):
        step = logged
    elif step is None:
        step = run.last_step + 1 if math.isfinite(run.last_step) else 0.0
    for name, content in found.items():
        read = as_number(content)
        if read is not None and not name.startswith("_"):
            run.log(name, step, read, wanted)


def _items(data: bytes, field: int) -> Iterator[tuple[str, str]]:
    for number, kind, _, inner in fields(data):
        if number == field and kind == 2:
            yield _item(inner)


def _item(data: bytes) -> tuple[str, str]:
    key, value, nested = "", "", []
    for number, kind, _, inner in fields(data):
        if kind == 2 and number == _KEY:
            key = text(inner)
        elif kind == 2 and number == _NESTED:
            nested.append(text(inner))
        elif kind == 2 and number == _JSON:
            value = text(inner)
    return key or ".".join(nested), value


def _scalar(value: str) -> object:
    """Read the JSON of one value; NaN is no JSON, but Python and W&B write it."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None

"""TensorBoard: event files, scalars as plain numbers (first version) or as tensors (second).

A record is a length (8 bytes), a masked CRC-32C of the length, the event, a masked CRC-32C of the
event. The checksum of the length is what keeps the reader in step, so it must hold. That of an
event only tells whether this one event is damaged: one that fails is left out and counted.
"""

from __future__ import annotations

import json
import math
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path

from isoloss.runs.logs.record import Log, LoggedRun, Wanted
from isoloss.runs.logs.wire import WireError, fields, signed, text, varint

_MAX_EVENT = 256 * 2**20
_CHECKED = 2**16
"""Events up to this size are checked; larger ones are pictures and graphs, of no use here."""
_SUBFOLDERS = ("train", "training", "validation", "valid", "val", "eval", "test")
_FLOAT, _DOUBLE, _INT32, _STRING, _INT64, _BFLOAT, _HALF = 1, 2, 3, 7, 9, 14, 19


def _table() -> array[int]:
    rows = array("L")
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        rows.append(value)
    return rows


_CRC = _table()


def masked_crc(data: bytes) -> int:
    """CRC-32C as TFRecord files write it.

    Examples
    --------
    >>> hex(masked_crc(b"123456789"))
    '0xc78ab0e5'
    """
    crc, rows = 0xFFFFFFFF, _CRC
    for byte in data:
        crc = rows[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def is_event_file(head: bytes) -> bool:
    """Whether the first bytes are a record of the kind that events are kept in."""
    return len(head) >= 12 and masked_crc(head[:8]) == int.from_bytes(head[8:12], "little")


def subfolder(name: str) -> bool:
    """Whether a folder holds one side of a run (training or evaluation), not a run of its own."""
    return name.casefold() in _SUBFOLDERS


def read_tensorboard(log: Log, wanted: Wanted) -> Iterator[LoggedRun]:
    """Read all event files of one run, in the order of their names, which begin with the time."""
    run = LoggedRun(name="", kind=log.kind, source=log.label)
    root = min((path.parent for path in log.paths), key=lambda p: len(p.parts))
    if subfolder(root.name) and any(p.parent != root for p in log.paths):
        root = root.parent
    for path in log.paths:
        inner = path.parent.name if path.parent != root and subfolder(path.parent.name) else ""
        _read_file(run, path, f"{inner}/" if inner else "", wanted)
    if len(log.paths) > 1:
        run.note("MERGED_FILES", "info", f"{len(log.paths)} event files were joined")
    yield run


def _read_file(run: LoggedRun, path: Path, prefix: str, wanted: Wanted) -> None:
    damaged = 0
    remedy = "copy the file again if it is whole elsewhere"
    with path.open("rb") as file:
        size = path.stat().st_size
        while head := file.read(12):
            if len(head) < 12:
                run.note(
                    "TRUNCATED", "warning", f"{path.name}: the last record is cut short", remedy
                )
                break
            length = int.from_bytes(head[:8], "little")
            if masked_crc(head[:8]) != int.from_bytes(head[8:], "little"):
                run.note(
                    "CORRUPT",
                    "warning",
                    f"{path.name}: no record begins at byte "
                    f"{file.tell() - 12}; what was before it is used",
                    remedy,
                )
                break
            if length + 4 > size - file.tell():
                run.note(
                    "TRUNCATED", "warning", f"{path.name}: the last record is cut short", remedy
                )
                break
            if length > _MAX_EVENT:
                file.seek(length + 4, 1)
                continue
            data, tail = file.read(length), file.read(4)
            if length <= _CHECKED and masked_crc(data) != int.from_bytes(tail, "little"):
                damaged += 1
                continue
            try:
                _event(run, data, prefix, wanted)
            except WireError:
                damaged += 1
    if damaged:
        run.note(
            "CORRUPT", "warning", f"{path.name}: {damaged} damaged events are left out", remedy
        )


def _event(run: LoggedRun, data: bytes, prefix: str, wanted: Wanted) -> None:
    step = 0
    summaries = []
    for number, kind, value, inner in fields(data):
        if number == 2 and kind == 0:
            step = signed(value)
        elif number == 5 and kind == 2:
            summaries.append(inner)
    for summary in summaries:
        for number, kind, _, inner in fields(summary):
            if number == 1 and kind == 2:
                _value(run, inner, float(step), prefix, wanted)


def _value(run: LoggedRun, data: bytes, step: float, prefix: str, wanted: Wanted) -> None:
    tag, number, words = "", None, b""
    settings = b""
    for field, kind, bits, inner in fields(data):
        if field == 1 and kind == 2:
            tag = text(inner)
        elif field == 2 and kind == 5:
            number = struct.unpack("<f", bits.to_bytes(4, "little"))[0]
        elif field == 8 and kind == 2:
            number, words = tensor_scalar(inner)
        elif field == 9 and kind == 2:
            settings = _plugin(inner)
    if number is not None:
        run.log(prefix + tag, step, number, wanted)
    elif settings and tag.startswith("_hparams_/session_start"):
        _settings(run, settings)
    elif words and tag.partition("/")[0] in ("args", "model_config", "config", "hparams"):
        _words(run, words)


def tensor_scalar(data: bytes) -> tuple[float | None, bytes]:
    """Read a tensor that holds one number; else its first text."""
    dtype, content, elements, words = 0, b"", 1, b""
    number: float | None = None
    for field, kind, bits, inner in fields(data):
        if field == 1 and kind == 0:
            dtype = bits
        elif field == 2 and kind == 2:
            elements = _elements(inner)
        elif field == 4 and kind == 2:
            content = inner
        elif field == 5:
            number = _packed("<f", 4, kind, bits, inner)
        elif field == 6:
            number = _packed("<d", 8, kind, bits, inner)
        elif field in (7, 10):
            number = float(signed(_first_varint(kind, bits, inner)))
        elif field == 13:
            raw = _first_varint(kind, bits, inner) & 0xFFFF
            number = _short(dtype, raw.to_bytes(2, "little"))
        elif field == 8 and kind == 2 and not words:
            words = inner
    if elements != 1:
        return None, words
    return (_content(dtype, content) if content else number), words


def _elements(shape: bytes) -> int:
    count = 1
    for number, kind, _, inner in fields(shape):
        if number == 2 and kind == 2:
            size = next((v for n, k, v, _ in fields(inner) if (n, k) == (1, 0)), 0)
            count *= min(size, 2**31)
    return count


def _packed(layout: str, width: int, kind: int, bits: int, inner: bytes) -> float | None:
    raw = inner[:width] if kind == 2 else bits.to_bytes(8, "little")[:width]
    return float(struct.unpack(layout, raw)[0]) if len(raw) == width else None


def _first_varint(kind: int, bits: int, inner: bytes) -> int:
    return varint(inner, 0)[0] if kind == 2 else bits


def _content(dtype: int, content: bytes) -> float | None:
    layout = {_FLOAT: "<f", _DOUBLE: "<d", _INT32: "<i", _INT64: "<q"}.get(dtype)
    if layout is not None and len(content) == struct.calcsize(layout):
        return float(struct.unpack(layout, content)[0])
    return _short(dtype, content) if len(content) == 2 else None


def _short(dtype: int, raw: bytes) -> float | None:
    if dtype == _HALF:
        return float(struct.unpack("<e", raw)[0])
    if dtype == _BFLOAT:
        return float(struct.unpack("<f", b"\0\0" + raw)[0])
    return None


def _plugin(metadata: bytes) -> bytes:
    """Content that the hparams plugin keeps beside a tag."""
    for number, kind, _, inner in fields(metadata):
        if number == 1 and kind == 2:
            parts = {n: v for n, k, _, v in fields(inner) if k == 2}
            if parts.get(1) == b"hparams":
                return parts.get(2, b"")
    return b""


def _settings(run: LoggedRun, data: bytes) -> None:
    """Hyperparameters: a map from text to a number, a text or a truth value."""
    for number, kind, _, session in fields(data):
        if number != 3 or kind != 2:
            continue
        for field, inner_kind, _, entry in fields(session):
            if field != 1 or inner_kind != 2:
                continue
            key, value = "", b""
            for n, k, _, v in fields(entry):
                key = text(v) if (n, k) == (1, 2) else key
                value = v if (n, k) == (2, 2) else value
            for n, k, bits, v in fields(value):
                if (n, k) == (2, 1):
                    plain = struct.unpack("<d", bits.to_bytes(8, "little"))[0]
                    run.set(key, plain if math.isfinite(plain) else None)
                elif (n, k) == (3, 2):
                    run.set(key, text(v))


def _words(run: LoggedRun, words: bytes) -> None:
    """Take settings that were logged as a text of JSON, as the Transformers library does."""
    try:
        value = json.loads(text(words[: 2**20]))
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        run.set("", value)

"""The state of a run under way in one file: numbers and JSON, nothing that could execute."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.serial import write_atomic

EVERY = 30.0
"""Seconds between checkpoints."""

_MAGIC = b"isoloss checkpoint 1\n"
Arrays = Mapping[str, npt.NDArray[np.float32]]


class Checkpoint:
    """A file that is written whole or not at all, and read only by the run that wrote it.

    A line of magic, the SHA-256 of what follows, a line of JSON (whose it is, what was noted, names
    and shapes of the arrays), and the arrays as little-endian float32 one after the other. A file
    that is damaged, cut short, or of another run counts as absent.

    Parameters
    ----------
    path
        The file; None keeps nothing.
    key
        What the state depends on: run, data, versions.
    most
        Numbers that the arrays of this run can hold: larger files are not read.
    """

    def __init__(self, path: Path | None, key: str, most: int) -> None:
        self.path, self.key, self.most = path, key, most
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time to write."""
        return self.path is not None and time.monotonic() - self._last >= EVERY

    def write(self, notes: Mapping[str, Any], arrays: Arrays) -> None:
        """Keep notes, which JSON must be able to hold, and arrays.

        A full disk does not end the run: it goes on, with an older checkpoint or none.
        """
        if self.path is None:
            return
        shapes = [[name, list(a.shape)] for name, a in arrays.items()]
        header = json.dumps({"key": self.key, "notes": notes, "shapes": shapes}).encode() + b"\n"
        raw = [np.ascontiguousarray(a, dtype="<f4").tobytes() for a in arrays.values()]
        body = b"".join([header, *raw])
        digest = hashlib.sha256(body).hexdigest().encode() + b"\n"
        with contextlib.suppress(OSError):
            write_atomic(self.path, b"".join([_MAGIC, digest, body]))
        self._last = time.monotonic()

    def read(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float32]]] | None:
        """Return notes and arrays, or None if there is no whole checkpoint of this run."""
        content = self._content()
        if content is None or not content.startswith(_MAGIC):
            return None
        digest, _, body = content[len(_MAGIC) :].partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        line, _, raw = body.partition(b"\n")
        try:
            header = json.loads(line)
            if header["key"] != self.key:
                return None
            numbers = np.frombuffer(raw, dtype="<f4")
            arrays, start = {}, 0
            for name, shape in header["shapes"]:
                stop = start + int(np.prod(shape, dtype=np.int64))
                arrays[str(name)] = numbers[start:stop].reshape(shape)
                start = stop
            return (dict(header["notes"]), arrays) if start == len(numbers) else None
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def _content(self) -> bytes | None:
        if self.path is None:
            return None
        try:
            if self.path.stat().st_size > 4 * self.most + 2**24:
                return None
            return self.path.read_bytes()
        except OSError:
            return None

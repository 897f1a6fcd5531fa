"""Finished pieces of a long computation, kept in a folder so that a kill loses none of them."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss._core.serial import digest_bytes, plain, write_atomic
from isoloss._core.version import package_version


class Journal:
    """Arrays by name in a folder named after a digest of what they depend on.

    Another input, seed or version has another digest and so another folder: a stale piece is
    never taken for a fresh one. Pieces are plain ``.npy`` without pickled objects, written whole
    or not at all, each beside the digest of its bytes; a damaged one counts as absent.
    """

    def __init__(self, root: Path, key: Any) -> None:
        text = json.dumps(plain([package_version(), key]), sort_keys=True, default=repr)
        self.folder = Path(root) / hashlib.sha256(text.encode()).hexdigest()[:24]

    def read(self, name: str) -> Array | None:
        """Return a piece, or ``None`` if it is not there whole."""
        try:
            content = (self.folder / f"{name}.npy").read_bytes()
            digest = (self.folder / f"{name}.sha256").read_text("ascii")
        except (OSError, ValueError):
            return None
        return _parse(content) if digest.strip() == digest_bytes(content) else None

    def write(self, name: str, values: Array) -> None:
        """Keep a piece."""
        buffer = io.BytesIO()
        array = np.asarray(values, dtype=np.float64, order="C")
        np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
        write_atomic(self.folder / f"{name}.npy", buffer.getvalue())
        write_atomic(self.folder / f"{name}.sha256", digest_bytes(buffer.getvalue()) + "\n")


_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '<f8', 'fortran_order': False, "
    rb"'shape': \((?P<shape>(?:\d{1,15},? ?){0,8})\), \} *\n",
    re.DOTALL,
)


def _parse(content: bytes) -> Array | None:
    """Read what `Journal.write` writes and nothing else; the header is never evaluated."""
    match = _HEADER.match(content)
    if match is None:
        return None
    shape = [int(n) for n in match["shape"].split(b",") if n.strip()]
    if math.prod(shape) * 8 != len(content) - match.end():
        return None
    return freeze(np.frombuffer(content, dtype="<f8", offset=match.end()).reshape(shape))

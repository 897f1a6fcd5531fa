"""Finished repeats on disk: a line each, so that a kill costs only those in flight."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import isoloss
from isoloss._core.append import append_line
from isoloss._core.serial import digest_bytes
from isoloss.coverage.procedures import PROCEDURES, QUANTITIES, Repeat, Settings
from isoloss.sweep.ledger import read_ledger

_CODE = (
    "_core",
    "laws",
    "runs",
    "fit",
    "plan",
    "study/answers.py",
    *(f"coverage/{n}.py" for n in ("truths", "designs", "noises", "cells", "procedures")),
)


@lru_cache(maxsize=1)
def source_digest() -> str:
    """SHA-256 of the code that the numbers come from; words and pages about them do not count.

    A changed procedure has other intervals under the same version, and neither a journal nor a
    result may pass for those of another one.
    """
    root = Path(isoloss.__file__).parent
    found = [p for name in _CODE for p in ([root / name], (root / name).rglob("*.py"))]
    files = sorted({p for some in found for p in some if p.suffix == ".py"})
    whole = hashlib.sha256()
    for path in files:
        # Line ends may differ where the code was checked out; the numbers do not.
        content = path.read_bytes().replace(b"\r\n", b"\n")
        whole.update(f"{path.relative_to(root).as_posix()} {digest_bytes(content)}\n".encode())
    return whole.hexdigest()


def digest_of(repeat: Repeat) -> str:
    """Digest of what a repeat found, to its last bit; of neither time nor words."""
    return digest_bytes(json.dumps(_numbers(repeat)).encode())[:16]


def _numbers(repeat: Repeat) -> list[Any]:
    # Python writes floats so that they read back to the same bits, NaN and infinity included.
    return [list(repeat.fresh), repeat.values.tolist(), list(repeat.laws)]


class RepeatJournal:
    """Repeats in one file, under a key of source, libraries and settings.

    Lines of another key are left alone and not used; damaged ones count as absent.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        key = [source_digest(), *libraries().values(), settings.to_dict()]
        self.path = path
        self.key = digest_bytes(json.dumps(key, sort_keys=True).encode())[:16]

    def name(self, cell: str, index: int) -> str:
        """Name of a repeat's line."""
        return f"{self.key} {cell} {index}"

    def write(self, repeat: Repeat) -> None:
        """Append a repeat, flushed to disk."""
        row = {
            "run": self.name(repeat.cell, repeat.index),
            "digest": digest_of(repeat),
            "fresh": list(repeat.fresh),
            "values": repeat.values.tolist(),
            "laws": list(repeat.laws),
            "cpu": list(repeat.cpu),
            "failures": [list(f) for f in repeat.failures],
        }
        # Infinite ends of intervals are numbers here: the digest of a repeat holds them.
        append_line(self.path, json.dumps(row))

    def read(self) -> dict[tuple[str, int], Repeat]:
        """All whole repeats of this key, by cell and number."""
        found = {}
        for row in read_ledger(self.path):
            repeat = self._repeat(row)
            if repeat is not None:
                found[repeat.cell, repeat.index] = repeat
        return found

    def _repeat(self, row: dict[str, Any]) -> Repeat | None:
        key, _, rest = str(row["run"]).partition(" ")
        cell, _, index = rest.rpartition(" ")
        if key != self.key:
            return None
        try:
            repeat = Repeat(
                cell=cell,
                index=int(index),
                fresh=tuple(float(v) for v in row["fresh"]),
                values=_array(row["values"]),
                laws=tuple(map(str, row["laws"])),
                cpu=tuple(float(v) for v in row["cpu"]),
                failures=tuple((str(p), str(why)) for p, why in row["failures"]),
            )
        except (KeyError, TypeError, ValueError):
            return None
        return repeat if digest_of(repeat) == row.get("digest") else None


def _array(values: Any) -> Any:
    array = np.array(values, dtype=np.float64)
    if array.ndim != 4 or array.shape[1:] != (len(PROCEDURES), len(QUANTITIES), 3):
        raise ValueError("shape")
    return array


def libraries() -> dict[str, str]:
    """Versions of what the last digits depend on."""
    import platform

    import scipy

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }

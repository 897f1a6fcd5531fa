"""An append-only ledger: one JSON line a finished run, written as it finishes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add one row: a single write to the end of the file, flushed to disk before returning.

    A kill between two rows loses nothing; a kill inside the write leaves a last line without
    its newline, which `read_ledger` ignores and the next append repairs.
    """
    line = json.dumps(row, allow_nan=True) + "\n"
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    handle = os.open(path, flags, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = "\n" + line
        rest = line.encode()
        while rest:
            # A full disk takes a part first and refuses the rest at the next write.
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Read the finished rows; half-written lines are skipped, the last row of a name wins."""
    rows: dict[str, dict[str, Any]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(row, dict) and "run" in row:
                rows[str(row["run"])] = row
    return list(rows.values())


def unfinished(names: Iterable[str], path: Path) -> list[str]:
    """Names that have no row yet, in the order given."""
    done = {row["run"] for row in read_ledger(path)}
    return [name for name in names if name not in done]

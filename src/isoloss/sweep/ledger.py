"""An append-only ledger: one JSON line a run, written as the run ends."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from isoloss._core.append import append_line, repair_end
from isoloss._core.serial import plain
from isoloss.errors import InputError

ENDED = ("done", "diverged")
"""Status of runs that are not trained again."""

_LOSSES = ("loss", "loss_last", "train_loss", "error")


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add one row, on disk before returning; numbers that are not finite become ``null``.

    A kill between two rows loses nothing; a kill inside the write leaves a torn last line, which
    `read_ledger` skips and the next append keeps apart.

    Raises
    ------
    OSError
        When it cannot be written; the ledger is as it was.
    """
    append_line(path, json.dumps(plain(row), allow_nan=False))


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Read the rows, one a run, in the order in which the runs first came.

    Of several rows of a run the last counts, but a failure never takes the place of a result.
    Lines that are no rows, such as a half-written last one, are skipped. A loss of ``null`` is NaN.
    """
    rows: dict[str, dict[str, Any]] = {}
    if path.exists():
        with path.open(encoding="utf8", errors="replace") as file:
            for line in file:
                row = _row(line)
                if row is None:
                    continue
                name = str(row["run"])
                if row.get("status") == "failed" and ended(rows.get(name)):
                    continue
                rows[name] = row
    return list(rows.values())


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return None
    if not (isinstance(row, dict) and isinstance(row.get("run"), str)):
        return None
    for name in _LOSSES:
        if name in row and row[name] is None:
            row[name] = math.nan
    return row


def ended(row: dict[str, Any] | None) -> bool:
    """Whether the row says that its run is over; rows without a status are of finished runs."""
    return row is not None and row.get("status", "done") in ENDED


def unfinished(names: Iterable[str], path: Path) -> list[str]:
    """Names that have no finished row yet, in the order given."""
    over = {row["run"] for row in read_ledger(path) if ended(row)}
    return [name for name in names if name not in over]


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the ledger for this process, with a torn last line cut off.

    The lock belongs to the open file, so it ends with the process however that ends.

    Raises
    ------
    InputError
        When another process holds it, or the path is no file.
    """
    if path.is_dir():
        raise InputError(f"ledger = {path}: is a folder; give a file, such as {path}/ledger.jsonl")
    if path.parent.exists() and not path.parent.is_dir():
        raise InputError(f"ledger = {path}: {path.parent} is a file; give another path")
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file of its own: locks of some network disks end when any handle of the file is closed.
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(handle, path)
        repair_end(path)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not everywhere
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
        raise InputError(
            f"ledger = {path}: another sweep writes it" + (f" (process {holder})" if holder else "")
            + "; wait for it, stop it, or give another ledger"
        ) from None  # fmt: skip
    # For the message above; a full disk is no reason to stop here.
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

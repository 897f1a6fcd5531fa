"""What a group of runs has shown so far, and the file that it is saved to and resumed from."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from isoloss._core.serial import write_atomic

SAVE_EVERY = 30.0
"""Seconds between checkpoints."""

_FORMAT = "isoloss batched 1"


@dataclass(slots=True, kw_only=True)
class Record:
    """State of the members that train together, but for their weights.

    ``rows`` are those of the members of the same call that have finished before; lists have an
    entry a member. ``reasons`` and ``stopped``: why and after which step a member diverged.
    ``best`` and ``chosen``: lowest validation loss and its step.
    """

    runs: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    started: str = ""
    reasons: list[str] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    curves: list[list[list[float]]] = field(default_factory=list)

    def fits(self, members: int, updates: int) -> bool:
        """Whether the entries are as many as the members, and the step one of theirs."""
        lists = (self.reasons, self.stopped, self.best, self.chosen, self.curves)
        if not all(isinstance(entries, list) and len(entries) == members for entries in lists):
            return False
        return isinstance(self.step, int) and 0 <= self.step <= updates


class Saver:
    """The checkpoint: a line of JSON, then the numbers of the buffers as they lie in memory.

    The line holds a digest of the rest. A file that is damaged or of other runs counts as absent:
    a sweep that runs unattended then loses time, not rows.

    Parameters
    ----------
    path
        The file; None saves nothing.
    runs
        Digest of what is trained.
    """

    def __init__(self, path: Path | None, runs: str) -> None:
        self.path, self.runs, self._last = path, runs, time.monotonic()

    def due(self) -> bool:
        """Whether it is time to save."""
        return self.path is not None and time.monotonic() - self._last >= SAVE_EVERY

    def save(self, record: Record, buffers: Sequence[bytes]) -> None:
        """Replace the file as a whole."""
        if self.path is None:
            return
        numbers = b"".join(buffers)
        head = {"format": _FORMAT, "digest": hashlib.sha256(numbers).hexdigest()}
        line = json.dumps(head | {"record": asdict(record)})
        write_atomic(self.path, line.encode() + b"\n" + numbers)
        self._last = time.monotonic()

    def read(self) -> tuple[Record, bytes] | None:
        """Read what was saved; None where there is nothing of these runs."""
        if self.path is None or not self.path.exists():
            return None
        try:
            line, _, numbers = self.path.read_bytes().partition(b"\n")
            head = json.loads(line)
            if head["format"] != _FORMAT or head["digest"] != hashlib.sha256(numbers).hexdigest():
                return None
            record = Record(**head["record"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        ours = record.runs == self.runs and isinstance(record.rows, list)
        return (record, numbers) if ours else None

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
from isoloss.errors import InputError

SAVE_EVERY = 30.0
"""Seconds between checkpoints."""

_FORMAT = "isoloss batched 1"


@dataclass(slots=True, kw_only=True)
class Record:
    """State of the members that train together, but for their weights.

    ``rows`` are those of the members of the same call that have finished before; lists have an
    entry a member. ``best`` and ``chosen``: lowest validation loss and its step.
    """

    runs: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    started: str = ""
    train_loss: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    curves: list[list[list[float]]] = field(default_factory=list)

    def fits(self, members: int, updates: int) -> bool:
        """Whether the entries are as many as the members, and the step one of theirs."""
        lists = (self.train_loss, self.reasons, self.best, self.chosen, self.curves)
        if not all(isinstance(entries, list) and len(entries) == members for entries in lists):
            return False
        return isinstance(self.step, int) and 0 <= self.step <= updates


class Saver:
    """The checkpoint: a line of JSON, then the numbers of the buffers as they lie in memory.

    The line holds a digest of the rest, so that a damaged file is refused.

    Parameters
    ----------
    path
        The file; None saves nothing.
    runs
        Digest of what is trained: a file of other runs is refused.
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
        """Read what was saved; None where there is nothing.

        Raises
        ------
        InputError
            When the file is damaged, no checkpoint, or one of other runs.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            line, _, numbers = self.path.read_bytes().partition(b"\n")
            head = json.loads(line)
            if head["format"] != _FORMAT:
                raise ValueError("another format")
            record = Record(**head["record"])
            if head["digest"] != hashlib.sha256(numbers).hexdigest():
                raise ValueError("damaged")
            if not isinstance(record.rows, list):
                raise ValueError("no rows")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{self.path}: not a checkpoint ({error}); delete it") from None
        if record.runs != self.runs:
            raise InputError(f"{self.path}: a checkpoint of other runs; delete it or name another")
        return record, numbers

"""What every reader of logs hands over: runs with their curves, configuration and notes."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.runs.rows import clean, short

MAX_POINTS = 30_000_000
"""Points of one run that are kept: 16 bytes each."""
MAX_NAMES = 20_000
"""Distinct metrics or settings of one run."""
MAX_RUNS = 20_000
"""Runs in one file or database."""
SEVERITIES = ("dropped", "warning", "info")

Wanted = Callable[[str], bool]
"""Whether the curve of a metric can be of use; of others only the last value is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about one run, or one file, that its owner should know.

    Attributes
    ----------
    run
        Name of the run, or of the file.
    source
        Where it was read, as given.
    code
        Stable reason code in capitals.
    severity
        ``"dropped"`` (not in the table), ``"warning"`` (in it, with doubt) or ``"info"``.
    reason
        What was seen, with numbers.
    remedy
        What to do about it; empty where nothing is called for.
    """

    run: str
    source: str
    code: str
    severity: str
    reason: str
    remedy: str = ""

    def __post_init__(self) -> None:
        for label in ("run", "source", "reason", "remedy"):
            object.__setattr__(self, label, clean(getattr(self, label), 600))

    def __str__(self) -> str:
        tail = f"; {self.remedy}" if self.remedy else ""
        return f"{self.severity} {self.code}: {self.run}: {self.reason}{tail}"


@dataclass(frozen=True, slots=True)
class Log:
    """A file, or files that belong together, in which runs are logged."""

    kind: str
    paths: tuple[Path, ...]
    label: str
    """Path as shown, relative to what the caller named."""
    alone: bool = True
    """Whether no other log lies in its folder, so that settings beside it are its own."""


@dataclass(slots=True)
class Curve:
    """Values of one metric, as they were logged: repeats and disorder included."""

    steps: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        return len(self.steps)

    def arrays(self) -> tuple[Array, Array]:
        """Return steps and values as arrays."""
        return np.array(self.steps, dtype=np.float64), np.array(self.values, dtype=np.float64)


@dataclass(slots=True)
class LoggedRun:
    """One run as its log holds it.

    ``config`` and ``summary`` map names to plain scalars; ``last`` holds the last value of each
    metric, ``counts`` how often each was logged and ``curves`` those that were wanted.
    """

    name: str
    kind: str
    source: str
    run_id: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Code, severity, reason, remedy."""
    closed: bool | None = None
    """Whether the log says that the run came to its end; None where a format does not say."""
    status: str = ""
    first_step: float = math.inf
    last_step: float = -math.inf
    steps_counted: bool = False
    """Whether steps count calls of the logger, not updates."""
    points: int = 0

    def note(self, code: str, severity: str, reason: str, remedy: str = "") -> None:
        """Say something about the run, once for each code."""
        if all(code != known for known, *_ in self.notes):
            self.notes.append((code, severity, reason, remedy))

    def set(self, name: str, value: Any) -> None:
        """Keep a setting; nested ones get dotted names."""
        flatten(self.config, name, value)

    def log(self, name: str, step: float, value: float, wanted: Wanted) -> None:
        """Take in one value of one metric."""
        count = self.counts.get(name)
        if count is None:
            if len(self.counts) >= MAX_NAMES:
                self.note(
                    "MANY_METRICS",
                    "warning",
                    f"more than {MAX_NAMES:,} metrics; the rest are not read",
                    "log fewer names",
                )
                return
            self.counts[name] = count = 0
            if wanted(name):
                self.curves[name] = Curve()
        self.counts[name] = count + 1
        self.last[name] = value
        self.first_step = min(self.first_step, step)
        self.last_step = max(self.last_step, step)
        curve = self.curves.get(name)
        if curve is not None:
            self.points += 1
            if self.points > MAX_POINTS:
                self.note(
                    "TOO_LARGE",
                    "dropped",
                    f"more than {MAX_POINTS:,} points of use in one run",
                    "export fewer steps or fewer metrics",
                )
                return
            curve.steps.append(step)
            curve.values.append(value)


def flatten(into: dict[str, Any], name: str, value: Any, depth: int = 0) -> None:
    """Put a value under its name; objects give dotted names, lists and long texts are left out."""
    if len(into) >= MAX_NAMES or depth > 20:
        return
    if isinstance(value, Mapping):
        # The W&B configuration of old wraps each value: {"lr": {"desc": null, "value": 0.1}}.
        if set(value) == {"desc", "value"}:
            flatten(into, name, value["value"], depth + 1)
            return
        for key, inner in value.items():
            key = str(key)
            flatten(into, f"{name}.{key}" if name else key, inner, depth + 1)
    elif isinstance(value, bool) or value is None or isinstance(value, (int, float)):
        into[clean(name)] = value
    elif isinstance(value, str):
        into[clean(name)] = value[:1000]


def as_number(value: object) -> float | None:
    """Read a logged value; text of numbers counts, NaN and infinities come as they are."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if isinstance(value, str) and len(value) <= 60 and value.isascii() and "_" not in value:
        try:
            return float(value)
        except ValueError:
            return None
    return None


def shown(path: Path, root: Path) -> str:
    """Path as a person named it, for messages and provenance; never longer than needed."""
    try:
        text = str(path.relative_to(root))
    except ValueError:
        text = str(path)
    return clean(text if text != "." else path.name, 300) or short(text)

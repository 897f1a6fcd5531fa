"""What a sealed forecast must hold, checked before anything is computed from it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.rows import short

MAX_POINTS = 1000
MAX_QUANTILES = 400
MAX_DRAWS = 100_000
_KEYS = {
    "kind", "schema", "sha256", "made", "note", "runs", "options", "laws", "axes", "points",
    "sensitivity",
}  # fmt: skip
_CONVENTIONS = ("N", "D", "C", "loss", "evaluation")
_OPTIONS = {
    "laws", "objective", "emphasis", "outliers", "draws", "level", "seed", "axis", "columns",
    "units", "where",
}  # fmt: skip
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def check_layout(answers: Mapping[str, Any]) -> None:
    """Check keys, types and ranges.

    Raises
    ------
    InputError
        For the first thing that is not as it must be.
    """
    _exactly("the file", answers, _KEYS)
    made = _exactly("made", answers["made"], {"isoloss", "libraries", "time_utc"})
    _text("isoloss", made["isoloss"])
    parse_time(_text("time_utc", made["time_utc"]))
    _text("note", answers["note"])
    runs = _object("runs", answers["runs"])
    _text("source", runs.get("source"))
    if not re.fullmatch(r"[0-9a-f]{64}", _text("digest", runs.get("digest"))):
        raise InputError("digest: must be 64 hex digits")
    _integer("n_runs", runs.get("n_runs"), 1)
    held = runs.get("holding_targets", [])
    if not isinstance(held, list):
        raise InputError("holding_targets: must be a list")
    for entry in held:
        _integer("point", _object("holding_targets", entry).get("point"), 0)
    words = _exactly("conventions", runs.get("conventions"), set(_CONVENTIONS))
    for name in _CONVENTIONS:
        _text(name, words[name])
    _check_options(answers["options"])
    axes = answers["axes"]
    if not isinstance(axes, list) or not axes or not all(isinstance(a, str) for a in axes):
        raise InputError("axes: must be a list of names")
    points = answers["points"]
    if not isinstance(points, list) or not 1 <= len(points) <= MAX_POINTS:
        raise InputError(f"points: must be a list of 1 to {MAX_POINTS}")
    for i, point in enumerate(points):
        try:
            _check_point(_object("point", point), axes)
        except InputError as error:
            raise InputError(f"points[{i}]: {error}") from None


def _check_options(value: Any) -> None:
    options = _exactly("options", value, _OPTIONS)
    _integer("draws", options["draws"], 1, MAX_DRAWS)
    _integer("seed", options["seed"], 0)
    level = _number("level", options["level"])
    if not 0 < level < 1:
        raise InputError("level: must be between 0 and 1")
    for name in ("laws", "where"):
        given = options[name]
        if given is not None and not (
            isinstance(given, list) and all(isinstance(v, str) for v in given)
        ):
            raise InputError(f"{name}: must be a list of texts, or null")
    for name in ("columns", "units"):
        if options[name] is not None:
            _object(name, options[name])
    for name in ("objective", "outliers"):
        _text(name, options[name])
    if options["axis"] is not None:
        _text("axis", options["axis"])


def _check_point(point: Mapping[str, Any], axes: list[str]) -> None:
    at = _object("at", point.get("at"))
    for axis, value in at.items():
        _positive(axis, value)
    if missing := [a for a in axes if a not in at]:
        raise InputError(f"at: {short(missing[0])} is missing")
    _positive("loss", point.get("loss"))
    _positive("reach", point.get("reach"))
    interval = _object("interval", point.get("interval"))
    for end in ("low", "high", "level"):
        _positive(end, interval.get(end))
    quantiles = _exactly("quantiles", point.get("quantiles"), {"probability", "new_run", "mean"})
    lists = {name: _numbers(name, quantiles[name]) for name in quantiles}
    if len({len(v) for v in lists.values()}) > 1:
        raise InputError("quantiles: lists must have one length")
    p = lists["probability"]
    mirrored = all(abs(a + b - 1) < 1e-9 for a, b in zip(p, reversed(p), strict=True))
    if not (all(a < b for a, b in pairwise(p)) and p[-1] < 1 and mirrored):
        raise InputError("probability: must rise between 0 and 1, and be as far from both")
    for name in ("new_run", "mean"):
        if any(a > b for a, b in pairwise(lists[name])):
            raise InputError(f"{name}: quantiles must not fall")
    for name, base in _object("baselines", point.get("baselines")).items():
        loss = _object(name, base).get("loss")
        if loss is not None:
            _positive(f"{name} loss", loss)


def parse_time(text: str) -> datetime:
    """Read a time stamp, ``2026-01-31T12:00:00Z``."""
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise InputError(f"time_utc = {short(text)}: must look like 2026-01-31T12:00:00Z") from None


def format_time(value: datetime | None) -> str:
    """Write a time, now if none is given, in UTC to the second."""
    return (value or datetime.now(UTC)).astimezone(UTC).strftime(_TIME)


def _object(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{short(name)}: must be an object, got {short(value)}")
    return value


def _exactly(name: str, value: Any, keys: set[str]) -> Mapping[str, Any]:
    found = _object(name, value)
    if strange := sorted(set(found) ^ keys):
        word = "is missing" if strange[0] in keys else "does not belong there"
        raise InputError(f"{name}: {short(strange[0])} {word}")
    return found


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name}: must be text, got {short(value)}")
    return value


def _integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    # A program that knows one kind of number may have written 3.0 for 3.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or value < low or (high is not None and value > high):
        upper = "" if high is None else f" to {high}"
        raise InputError(f"{name} = {short(value)}: must be a whole number from {low}{upper}")
    return value


def _number(name: str, value: Any) -> float:
    if type(value) not in (int, float):
        raise InputError(f"{short(name)} = {short(value)}: must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{short(name)}: must be finite")
    return number


def _positive(name: str, value: Any) -> float:
    number = _number(name, value)
    if number <= 0:
        raise InputError(f"{short(name)} = {number:g}: must be positive")
    return number


def _numbers(name: str, value: Any) -> list[float]:
    if not isinstance(value, list) or not 3 <= len(value) <= MAX_QUANTILES:
        raise InputError(f"{name}: must be a list of 3 to {MAX_QUANTILES} numbers")
    return [_positive(name, v) for v in value]

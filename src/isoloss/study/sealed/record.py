"""The record of a project: every forecast sealed and every truth scored, a line each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from isoloss._core.append import append_line
from isoloss._core.serial import plain
from isoloss.errors import InputError
from isoloss.runs.rows import clean
from isoloss.study.sealed.file import SealedForecast, content_hash, parse_object
from isoloss.study.sealed.layout import format_time, parse_time
from isoloss.study.sealed.score import Score

FILE = "forecasts.jsonl"
MAX_BYTES = 256_000_000
_ROW_NUMBERS = ("reach", "truth", "forecast", "error_percent", "log_ratio", "crps_percent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Lines of a record that are whole.

    Attributes
    ----------
    sealed
        Lines of forecasts by hash, as they were sealed.
    n_points
        Targets of each forecast, by hash.
    scored
        Rows of truths, each with the ``sha256`` and ``digest`` of its forecast, once each.
    damaged
        Lines that cannot be used: torn by a kill, or changed afterwards.
    """

    sealed: Mapping[str, Mapping[str, Any]]
    n_points: Mapping[str, int]
    scored: Sequence[Mapping[str, Any]]
    damaged: int


def record_path(place: str | Path) -> Path:
    """File of a record: the file named, or ``forecasts.jsonl`` in a folder."""
    path = Path(place)
    folder = path.is_dir() or (not path.exists() and not path.suffix)
    return path / FILE if folder else path


def read_record(place: str | Path) -> Record:
    """Read a record; what is no whole line of one is counted and not used.

    Raises
    ------
    InputError
        When there is no such file, it is larger than a record can be, or no line of it is one.
    """
    path = record_path(place)
    if not path.exists():
        raise InputError(f"{clean(str(place))}: no such record; isoloss score --record makes one")
    if not path.is_file():
        raise InputError(f"{clean(str(place))}: is no plain file, as a record must be")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{clean(path.name)}: larger than {MAX_BYTES} bytes; no record is")
    sealed: dict[str, Mapping[str, Any]] = {}
    n_points: dict[str, int] = {}
    rows: dict[tuple[str, int, float], Mapping[str, Any]] = {}
    damaged = whole = 0
    with path.open("rb") as file:
        for text in file:
            if not text.strip():
                continue
            line = _line(text)
            if line is None:
                damaged += 1
                continue
            whole += 1
            n_points.setdefault(line["sha256"], int(line["n_points"]))
            if line["event"] == "sealed":
                sealed.setdefault(line["sha256"], line)
                continue
            for row in line["rows"]:
                key = line["sha256"], row["point"], row["truth"]
                rows.setdefault(key, {**row, "sha256": line["sha256"], "digest": line["digest"]})
    if damaged and not whole:
        raise InputError(f"{clean(path.name)}: no line of it is one of a record of forecasts")
    return Record(sealed=sealed, n_points=n_points, scored=list(rows.values()), damaged=damaged)


def _line(text: bytes) -> dict[str, Any] | None:
    """One line, checked against its own hash; ``None`` where it is not whole."""
    try:
        line = parse_object(text, "line")
        stated = {"sha256": line.pop("line_sha256")}
        if content_hash({"line": line}) != stated["sha256"]:
            return None
        for name in ("sha256", "digest"):
            if not isinstance(line[name], str):
                return None
        parse_time(line["time_utc"])
        points = int(line["n_points"])
        if line["event"] not in ("sealed", "scored"):
            return None
        for row in line["rows"] if line["event"] == "scored" else ():
            _check_row(row, points)
    except (InputError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None
    return dict(line)


def _check_row(row: Mapping[str, Any], points: int) -> None:
    for name in _ROW_NUMBERS:
        float(row[name])
    if not 0 <= int(row["point"]) < points:
        raise ValueError("point")
    bool(row["known"])
    for interval in row["intervals"]:
        level, inside = float(interval["level"]), interval["inside"]
        if not 0 < level < 1 or not isinstance(inside, bool):
            raise ValueError("interval")
        float(interval["score_percent"])
    for value in row["baselines"].values():
        if value is not None:
            float(value)


def add_sealed(place: str | Path, forecast: SealedForecast, *, now: datetime | None = None) -> bool:
    """Write down that a forecast was sealed; say whether that was new.

    A record that holds forecasts from the day they were sealed shows those that were never
    scored.
    """
    path = record_path(place)
    if forecast.sha256 in _read_or_empty(path).sealed:
        return False
    a = forecast.answers
    _append(
        path,
        {
            "event": "sealed",
            "sha256": forecast.sha256,
            "digest": a["runs"]["digest"],
            "time_utc": format_time(now),
            "sealed_utc": a["made"]["time_utc"],
            "note": a["note"],
            "n_points": len(a["points"]),
        },
    )
    return True


def add_score(place: str | Path, score: Score) -> int:
    """Write down the rows of a score that the record does not hold yet; say how many.

    A row is known by the hash of its forecast, its target and its loss: scoring the same truth
    twice adds nothing, and another truth for a target is added to the first, never put in its
    place.
    """
    path, a = record_path(place), score.answers
    known = {(r["sha256"], r["point"], r["truth"]) for r in _read_or_empty(path).scored}
    rows = [_short_row(r) for r in a["rows"] if (a["sha256"], r["point"], r["truth"]) not in known]
    if rows:
        _append(
            path,
            {
                "event": "scored",
                "sha256": a["sha256"],
                "digest": a["digest"],
                "time_utc": a["scored_utc"],
                "sealed_utc": a["sealed_utc"],
                "note": a["note"],
                "n_points": len(a["open"]) + len({r["point"] for r in a["rows"]}),
                "rows": rows,
            },
        )
    return len(rows)


def _short_row(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("point", "name", "at", "known", "probability", *_ROW_NUMBERS)
    return {
        **{name: row[name] for name in kept},
        "intervals": [
            {
                "level": i["level"],
                "inside": i["inside"],
                "score_percent": 100 * i["score"] / row["truth"],
            }
            for i in row["intervals"]
        ],
        "baselines": {n: b["error_percent"] for n, b in row["baselines"].items()},
    }


def _read_or_empty(path: Path) -> Record:
    return (
        read_record(path) if path.exists() else Record(sealed={}, n_points={}, scored=[], damaged=0)
    )


def _append(path: Path, line: Mapping[str, Any]) -> None:
    content = plain(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = content | {"line_sha256": content_hash({"line": content})}
    append_line(path, json.dumps(whole, allow_nan=False))

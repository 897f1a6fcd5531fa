"""Score a sealed forecast against what was measured later."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.serial import plain
from isoloss._core.version import package_version
from isoloss.errors import InputError
from isoloss.runs import Runs, read_runs
from isoloss.runs.rows import clean
from isoloss.runs.table import Conventions
from isoloss.study.sealed.check import clock_notes
from isoloss.study.sealed.file import SealedForecast, read_sealed, where
from isoloss.study.sealed.layout import format_time
from isoloss.study.sealed.rules import crps, interval_score, place

SCHEMA = 1
TOLERANCE = 0.01
SHOWN_LEVELS = (0.5, 0.8, 0.9, 0.95)
_UNITS = (
    ("bits", "--units loss=0.693147", lambda y: y * math.log(2)),
    ("decimal logarithms", "--units loss=2.302585", lambda y: y * math.log(10)),
    ("perplexities", "their logarithms", lambda y: math.log(max(y, 1.0 + 1e-12))),
)
"""Other units that a loss may be in: name, remedy, and the way to nats."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """How far a sealed forecast was off.

    Attributes
    ----------
    answers
        Plain dictionary: ``rows`` with one entry a measured run, ``open`` targets without any,
        ``unmatched`` and ``refused`` rows, ``notes``.
    """

    answers: Mapping[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Scores, one entry a measured run."""
        return list(self.answers["rows"])

    @property
    def doubtful(self) -> bool:
        """Whether something is to be known before the scores are believed."""
        a = self.answers
        return bool(a["notes"] or a["unmatched"] or a["refused"])

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss score --json``."""
        return dict(self.answers)

    def summary(self) -> str:
        """Lines for people."""
        a = self.answers
        lines = [f"forecast {a['sha256'][:12]}, sealed {a['sealed_utc']}"]
        for row in a["rows"]:
            lines += _row_lines(row)
        lines += [f"open: no truth yet at {where(o['at'])}" for o in a["open"]]
        lines += [
            f"not scored: {clean(u['name'])} is at no target within {100 * a['tolerance']:g} %; "
            f"the nearest is {u['nearest_percent']:.3g} % away"
            for u in a["unmatched"]
        ]
        lines += [f"refused row {r['row']}: {r['reason']}" for r in a["refused"]]
        return "\n".join([*lines, *(f"note: {n}" for n in a["notes"])])

    def __repr__(self) -> str:
        a = self.answers
        return f"Score({len(a['rows'])} runs, {len(a['open'])} open; {a['sha256'][:12]})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def _row_lines(row: Mapping[str, Any]) -> list[str]:
    sides = [
        f"{100 * i['level']:g} % {'in' if i['inside'] else 'missed'}"
        for i in row["intervals"]
        if i["level"] in SHOWN_LEVELS
    ]
    lines = [
        f"at {where(row['at'])}: measured {row['truth']:.4f}, forecast {row['forecast']:.4f} "
        f"({row['error_percent']:+.2f} %), {row['reach']:.3g} times the largest run",
        f"  intervals: {', '.join(sides)}; CRPS {row['crps_percent']:.2g} % of the loss",
    ]
    for name, b in row["baselines"].items():
        if b["error_percent"] is not None:
            title = {"last_run": "last run carried over", "plain_law": "one plain law"}.get(name)
            lines.append(f"  {title or clean(name)}: {b['error_percent']:+.2f} %")
    if row["known"]:
        lines.append("  the runs held this target when the forecast was sealed: no forecast")
    return lines


def score_sealed(
    source: str | Path | SealedForecast,
    truth: Any,
    *,
    tolerance: float = TOLERANCE,
    of_mean: bool = False,
    same_unit: bool = False,
    now: datetime | None = None,
) -> Score:
    """Compare a sealed forecast with what was measured.

    Parameters
    ----------
    source
        The file, or what `read_sealed` returned.
    truth
        `Runs` or anything `read_runs` takes, with the axes of the forecast and ``loss``; or one
        dict, or several, of numbers such as ``{"N": 1e9, "D": 2e10, "loss": 2.44}``.
    tolerance
        A row is of a target when each resource differs by this part at most; of several targets
        it is of the nearest.
    of_mean
        The losses are means over many seeds, to be held against the interval of the mean.
    same_unit
        The loss is in the unit of the forecast; without it, losses that look like another unit
        are refused.
    now
        Time to write down; that of this machine's clock by default.

    Raises
    ------
    InputError
        For a file that was changed, conventions that differ, losses that look like another unit,
        and when no row is of any target.

    Examples
    --------
    >>> from isoloss.study.sealed import seal
    >>> D = np.geomspace(1e7, 1e10, 9)
    >>> found = seal({"D": D, "loss": 1.5 + 400 * D**-0.3}, {"D": 1e11}, draws=100)
    >>> result = score_sealed(found, {"D": 1e11, "loss": 1.5 + 400 * 1e11**-0.3})
    >>> round(result.rows[0]["error_percent"], 3), result.rows[0]["intervals"][-1]["inside"]
    (-0.0, True)
    """
    found = read_sealed(source)
    a = found.answers
    if not 0 < tolerance <= 0.5:
        raise InputError(f"tolerance = {tolerance!r}: must be above 0 and at most 0.5")
    table, by_hand = _truth(truth, a["axes"])
    notes = clock_notes(a, now)
    if not by_hand:
        notes += _compare_conventions(a, table)
    missing = [n for n in (*a["axes"], "loss") if n not in table]
    if missing:
        raise InputError(
            f"truth: no column {missing[0]}; a row needs {', '.join(a['axes'])} and loss"
        )
    points = a["points"]
    nearest, distance = _match(points, table, a["axes"])
    matched = distance <= math.log1p(tolerance) * (1 + 1e-9)
    if not matched.any():
        raise InputError(
            f"truth: no row is at a target within {100 * tolerance:g} % in each of "
            f"{', '.join(a['axes'])}; the nearest is {100 * math.expm1(float(distance.min())):.3g} "
            "% away. Check what N and D count, or give a wider --tolerance"
        )
    name = "mean" if of_mean else "new_run"
    known = {h["point"] for h in a["runs"].get("holding_targets") or []}
    rows = [
        _score_row(points[k], int(k), table, i, quantiles=name, known=int(k) in known)
        for i, k in enumerate(nearest)
        if matched[i]
    ]
    if not same_unit:
        _check_unit(rows, points, name)
    return Score(
        answers=plain(
            {
                "schema": SCHEMA,
                "isoloss": package_version(),
                "sha256": found.sha256,
                "sealed_utc": a["made"]["time_utc"],
                "scored_utc": format_time(now),
                "note": a["note"],
                "digest": a["runs"]["digest"],
                "tolerance": tolerance,
                "level": a["options"]["level"],
                "of": "mean over seeds" if of_mean else "one run",
                "rows": rows,
                "open": [
                    {"point": i, "at": p["at"]}
                    for i, p in enumerate(points)
                    if i not in {r["point"] for r in rows}
                ],
                "unmatched": [
                    {
                        "row": table.rows[i],
                        "name": table.names[i],
                        "at": {x: float(table[x][i]) for x in a["axes"]},
                        "truth": float(table["loss"][i]),
                        "nearest_percent": 100 * math.expm1(min(float(distance[i]), 700.0)),
                    }
                    for i in np.flatnonzero(~matched)
                ],
                "refused": [asdict(r) for r in table.refused],
                "notes": notes,
            }
        )
    )


def _truth(truth: Any, axes: Sequence[str]) -> tuple[Runs, bool]:
    """Read the truth; say whether it was given by hand, number by number."""
    if isinstance(truth, Runs):
        return truth, False
    one = isinstance(truth, Mapping) and all(np.ndim(v) == 0 for v in truth.values())
    several = isinstance(truth, (list, tuple)) and all(isinstance(t, Mapping) for t in truth)
    if not ((one and truth.get("kind") != "runs") or several):
        return read_runs(truth), False
    rows = [truth] if one else list(truth)
    if not rows:
        raise InputError("truth: is empty; give at least one measured run")
    for row in rows:
        for name in (*axes, "loss"):
            if name not in row:
                given = ", ".join(f"{a}=..." for a in (*axes, "loss"))
                raise InputError(f"truth: {name} is missing; give {given}")
    names = list(rows[0])
    return read_runs(rows, columns={n: n for n in names}), True


def _match(
    points: Sequence[Mapping[str, Any]], table: Runs, axes: Sequence[str]
) -> tuple[Any, Any]:
    """Nearest target of each row, and the largest log ratio in any resource."""
    best = np.zeros(len(table), dtype=np.int64)
    least = np.full(len(table), np.inf)
    logs = {a: np.log(np.where(table[a] > 0, table[a], np.nan)) for a in axes}
    for k, p in enumerate(points):
        gaps = [np.abs(logs[a] - math.log(p["at"][a])) for a in axes]
        distance = np.nan_to_num(np.max(gaps, axis=0), nan=np.inf)
        closer = distance < least
        best[closer], least[closer] = k, distance[closer]
    return best, least


def _score_row(
    point: Mapping[str, Any], k: int, table: Runs, i: int, *, quantiles: str, known: bool
) -> dict[str, Any]:
    y, forecast = float(table["loss"][i]), float(point["loss"])
    if not y > 0:
        raise InputError(f"truth: loss = {y:g} in row {table.rows[i]}: must be positive")
    p, q = point["quantiles"]["probability"], point["quantiles"][quantiles]
    score = crps(p, q, y)
    half = len(p) // 2
    intervals = [
        {
            "level": round(p[-1 - j] - p[j], 10),
            "low": q[j],
            "high": q[-1 - j],
            "inside": bool(q[j] <= y <= q[-1 - j]),
            "score": interval_score(q[j], q[-1 - j], p[-1 - j] - p[j], y),
        }
        for j in reversed(range(half))
    ]
    return {
        "point": k,
        "row": table.rows[i],
        "name": table.names[i],
        "at": point["at"],
        "reach": point["reach"],
        "truth": y,
        "forecast": forecast,
        "error_percent": 100 * (forecast / y - 1),
        "log_ratio": math.log(y / forecast),
        "probability": place(p, q, y),
        "crps": score,
        "crps_percent": 100 * score / y,
        "intervals": intervals,
        "baselines": {
            n: {
                "loss": b["loss"],
                "error_percent": None if b["loss"] is None else 100 * (b["loss"] / y - 1),
            }
            for n, b in point["baselines"].items()
        },
        "known": known,
    }


def _compare_conventions(answers: Mapping[str, Any], table: Runs) -> list[str]:
    """Refuse words that differ; say where one side is silent."""
    default = asdict(Conventions())
    sealed, measured = answers["runs"]["conventions"], asdict(table.conventions)
    notes = []
    for name in [f.name for f in fields(Conventions)]:
        if name in ("N", "D", "C") and name not in answers["axes"]:
            continue
        ours, theirs = (" ".join(w[name].casefold().split()) for w in (sealed, measured))
        if ours == theirs:
            continue
        silent = [w for w in (ours, theirs) if w == default[name].casefold()]
        if not silent:
            raise InputError(
                f"truth: {name} is {measured[name]!r}, but was {clean(sealed[name])!r} when the "
                "forecast was sealed; convert it, or state --conventions if the words mean the same"
            )
        side, word = ("truth", sealed) if theirs in silent else ("forecast", measured)
        notes.append(
            f"the {side} does not say what {name} is, the other side says "
            f"{clean(word[name])!r}; taken to be the same"
        )
    return notes


def _check_unit(
    rows: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]], quantiles: str
) -> None:
    """Refuse losses that are all out by the factor of another unit."""

    def near(row: Mapping[str, Any], value: float) -> bool:
        q = points[row["point"]]["quantiles"][quantiles]
        room = max(math.log(q[-1] / q[0]), 0.02)
        return value > 0 and abs(math.log(value / row["forecast"])) <= room

    if any(near(r, r["truth"]) for r in rows):
        return
    for name, remedy, convert in _UNITS:
        if all(near(r, convert(r["truth"])) for r in rows):
            raise InputError(
                f"truth: every loss is far off, and as {name} every one is near its forecast; give "
                f"{remedy}, or --units loss=1 if it is in the unit of the forecast"
            )

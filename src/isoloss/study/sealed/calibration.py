"""What a record of forecasts says: coverage, scores, bias, and how errors grow with distance."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.serial import plain
from isoloss.study.sealed.record import Record, read_record
from isoloss.study.sealed.rules import clopper_pearson, sign_chance
from isoloss.study.sealed.score import SHOWN_LEVELS

SCHEMA = 1
FEW = 10
"""With fewer tables than this nothing is said about calibration but how little is known."""
BINOMIAL_LEVEL = 0.95
_DISTANCES = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, math.inf)
_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """How the forecasts of a record did.

    Attributes
    ----------
    answers
        Plain dictionary: counts, ``coverage`` by level, ``scores``, ``bias``, ``distance``,
        ``open`` forecasts, ``sentence``.
    """

    answers: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss score --summary --json``."""
        return dict(self.answers)

    def summary(self) -> str:
        """Lines for people."""
        a = self.answers
        lines = [
            f"{_many(a['n_forecasts'], 'forecast')}, {len(a['open'])} without any truth; "
            f"{_many(a['n_targets'], 'target')} measured, of {_many(a['n_tables'], 'table')} of "
            f"runs; {a['n_open_targets']} not measured"
        ]
        for c in a["coverage"]:
            if c["level"] in SHOWN_LEVELS:
                lines.append(
                    f"  {100 * c['level']:g} % intervals held {c['inside']:g} of {c['n']}: "
                    f"{100 * c['share']:.0f} % ({100 * c['low']:.0f} to {100 * c['high']:.0f} %; "
                    f"one table one vote: {100 * c['low_tables']:.0f} to "
                    f"{100 * c['high_tables']:.0f} %)"
                )
        if a["scores"]:
            s = a["scores"]
            lines.append(
                f"  mean error {s['error_percent']:.2g} %, CRPS {s['crps_percent']:.2g} % of the "
                f"loss, score of the 90 % interval {s['interval_score_percent']:.3g} %"
            )
            for b in s["baselines"]:
                title = {"last_run": "last run carried over", "plain_law": "one plain law"}
                lines.append(
                    f"  {title.get(b['name'], 'another baseline')}: mean error "
                    f"{b['error_percent']:.3g} % at {_many(b['n'], 'target')}, where forecasts "
                    f"have {b['forecast_error_percent']:.3g} % and CRPS "
                    f"{b['forecast_crps_percent']:.2g} %"
                )
            lines.append(f"  {a['bias']['sentence']}")
        lines += [
            f"  {d['title']}: {_many(d['n'], 'target')}, median error "
            f"{d['median_error_percent']:.2g} %, 90 % intervals held {d['inside']:g}"
            for d in a["distance"]
        ]
        return "\n".join([*lines, a["sentence"]])

    def __repr__(self) -> str:
        a = self.answers
        return f"Calibration({a['n_targets']} targets of {a['n_tables']} tables)"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def calibration(record: str | Path | Record) -> Calibration:
    """Summarise a record.

    A target counts once, however often it was measured: the mean over its rows. Targets that the
    runs held when the forecast was sealed are counted apart and not judged. Intervals of shares
    are of Clopper and Pearson at 95 %, once as if targets were independent, and once with as many
    trials as there are tables of runs, as if all forecasts from one table stood or fell together.

    Raises
    ------
    InputError
        When there is no such record.
    """
    found = record if isinstance(record, Record) else read_record(record)
    judged = [r for r in found.scored if not r["known"]]
    groups: dict[tuple[str, int], list[_Row]] = {}
    for row in judged:
        groups.setdefault((row["sha256"], int(row["point"])), []).append(row)
    targets = list(groups.values())
    tables = {r["digest"] for r in judged}
    scored = {r["sha256"] for r in found.scored}
    coverage = _coverage(targets, len(tables))
    return Calibration(
        answers=plain(
            {
                "schema": SCHEMA,
                "n_forecasts": len(scored | set(found.sealed)),
                "n_targets": len(targets),
                "n_open_targets": sum(found.n_points.values())
                - len({(r["sha256"], int(r["point"])) for r in found.scored}),
                "n_rows": len(judged),
                "n_tables": len(tables),
                "n_known": len(found.scored) - len(judged),
                "damaged_lines": found.damaged,
                "binomial_level": BINOMIAL_LEVEL,
                "open": [
                    {k: line[k] for k in ("sha256", "sealed_utc", "note")}
                    for h, line in found.sealed.items()
                    if h not in scored
                ],
                "coverage": coverage,
                "scores": _scores(targets),
                "bias": _bias(targets),
                "distance": _distances(targets),
                "probabilities": [_mean(t, lambda r: float(r["probability"])) for t in targets],
                "sentence": _sentence(coverage, len(targets), len(tables), found.damaged),
            }
        )
    )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _mean(rows: Sequence[_Row], value: Callable[[_Row], float]) -> float:
    return float(np.mean([value(r) for r in rows]))


def _inside(row: _Row, level: float) -> bool:
    return any(i["inside"] for i in row["intervals"] if math.isclose(i["level"], level))


def _levels(targets: Sequence[Sequence[_Row]]) -> list[float]:
    """Levels that every row has."""
    sets = [{round(i["level"], 9) for i in r["intervals"]} for t in targets for r in t]
    return sorted(set.intersection(*sets)) if sets else []


def _coverage(targets: Sequence[Sequence[_Row]], n_tables: int) -> list[dict[str, Any]]:
    rows = []
    for level in _levels(targets):
        inside = sum(_mean(t, lambda r, v=level: float(_inside(r, v))) for t in targets)  # type: ignore[misc]
        n = len(targets)
        low, high = clopper_pearson(inside, n, level=BINOMIAL_LEVEL)
        few = clopper_pearson(inside / n * n_tables, n_tables, level=BINOMIAL_LEVEL)
        rows.append(
            {
                "level": level, "inside": inside, "n": n, "share": inside / n,
                "low": low, "high": high, "low_tables": few[0], "high_tables": few[1],
            }
        )  # fmt: skip
    return rows


def _scores(targets: Sequence[Sequence[_Row]]) -> dict[str, Any] | None:
    if not targets:
        return None
    names = dict.fromkeys(n for t in targets for r in t for n in r["baselines"])
    return {
        "error_percent": _over(targets, _error),
        "crps_percent": _over(targets, _crps),
        "interval_score_percent": _over(targets, _interval_score),
        "baselines": [b for b in (_baseline(targets, n) for n in names) if b is not None],
    }


def _over(targets: Sequence[Sequence[_Row]], value: Callable[[_Row], float]) -> float:
    return float(np.mean([_mean(t, value) for t in targets]))


def _error(row: _Row) -> float:
    return abs(float(row["error_percent"]))


def _crps(row: _Row) -> float:
    return float(row["crps_percent"])


def _interval_score(row: _Row) -> float:
    nearest = min(row["intervals"], key=lambda i: abs(i["level"] - 0.9))
    return float(nearest["score_percent"])


def _baseline(targets: Sequence[Sequence[_Row]], name: str) -> dict[str, Any] | None:
    """Compare on the targets where the baseline has an answer."""
    with_it = [t for t in targets if all(r["baselines"].get(name) is not None for r in t)]
    if not with_it:
        return None
    return {
        "name": name,
        "n": len(with_it),
        "error_percent": _over(with_it, lambda r: abs(float(r["baselines"][name]))),
        "forecast_error_percent": _over(with_it, _error),
        "forecast_crps_percent": _over(with_it, _crps),
    }


def _bias(targets: Sequence[Sequence[_Row]]) -> dict[str, Any] | None:
    """Whether losses come out above or below their forecasts, one vote a table."""
    if not targets:
        return None
    logs = [_mean(t, lambda r: float(r["log_ratio"])) for t in targets]
    by_table: dict[str, list[float]] = {}
    for t, value in zip(targets, logs, strict=True):
        by_table.setdefault(t[0]["digest"], []).append(value)
    means = [float(np.mean(v)) for v in by_table.values()]
    above, below = sum(m > 0 for m in means), sum(m < 0 for m in means)
    chance = sign_chance(above, below)
    percent = 100 * math.expm1(float(np.mean(logs)))
    sentence = (
        f"losses came out {abs(percent):.2g} % {'above' if percent > 0 else 'below'} their "
        f"forecasts on average; above in {above} and below in {below} of "
        f"{_many(len(means), 'table')} "
        f"(chance of that without bias: {chance:.2g})"
    )
    return {
        "percent": percent, "tables_above": above, "tables_below": below, "chance": chance,
        "sentence": sentence,
    }  # fmt: skip


def _distances(targets: Sequence[Sequence[_Row]]) -> list[dict[str, Any]]:
    rows = []
    for low, high in pairwise(_DISTANCES):
        here = [t for t in targets if low < float(t[0]["reach"]) <= high]
        if not here:
            continue
        title = f"up to {high:g} times" if high < math.inf else f"over {low:g} times"
        rows.append(
            {
                "above": low,
                "up_to": high if high < math.inf else None,
                "title": f"{title} the largest run" if low else "within the runs",
                "n": len(here),
                "median_error_percent": float(np.median([_mean(t, _error) for t in here])),
                "inside": sum(_mean(t, lambda r: float(_inside(r, 0.9))) for t in here),
            }
        )
    return rows


def _sentence(
    coverage: Sequence[Mapping[str, Any]], n_targets: int, n_tables: int, damaged: int
) -> str:
    lost = f" {damaged} damaged lines were not used." if damaged else ""
    if not n_targets:
        return f"No forecast of this record has been measured yet.{lost}"
    c = next((c for c in coverage if math.isclose(c["level"], 0.9)), None)
    if c is None:
        return f"The forecasts have no level in common to be judged by.{lost}"
    held = (
        f"90 % intervals held {c['inside']:g} of {_many(n_targets, 'target')}; with "
        f"{_many(n_tables, 'table')} of runs that fits any true share from "
        f"{100 * c['low_tables']:.1f} to {100 * c['high_tables']:.1f} %."
    )
    if n_tables < FEW:
        return f"Too few to judge calibration: {held}{lost}"
    if c["high_tables"] < 0.9:
        return f"The intervals are too narrow: {held}{lost}"
    if c["low_tables"] > 0.9:
        return f"The intervals are too wide: {held}{lost}"
    return f"Nothing speaks against the intervals: {held}{lost}"

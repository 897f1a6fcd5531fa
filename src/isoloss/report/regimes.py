"""What limits each run: its size, its data, or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isoloss.plot.access import mapping, number, records, sequence, text
from isoloss.plot.series import Study
from isoloss.report.answer import section
from isoloss.report.digits import MISSING, count, percent, power, significant
from isoloss.report.markup import Markup, tag
from isoloss.report.tables import Entry, named, table, value

MOST_ROWS = 20
"""The page stays small: the largest runs say most."""
TITLE = "What limits the runs"
HEAD = ("Run", "Limited by", "Draws#", "N exponent#", "D exponent#", "N#", "D#", "C, FLOPs#")
_WORDS = {"variance": "size", "resolution": "data", "mixed": "both", "both": "neither"}


def regimes(study: Study) -> Markup:
    """Return the regime of each run, the largest first."""
    part = mapping(study.get("regimes"))
    if not part:
        return Markup("")
    rows: list[list[Entry]] = [
        [
            named(text(row.get("name"))),
            limit(row),
            value(row.get("data_share"), _share),
            *(value(row.get(f"exponent_{axis}"), _exponent) for axis in "ND"),
            *(value(row.get(axis), count) for axis in "ND"),
            value(row.get("C"), power),
        ]
        for row in regime_rows(study)
    ]
    return section(
        "regimes",
        TITLE,
        tag("p", text(part.get("sentence"))),
        tag("p", explained(part), class_="aside"),
        table("tab-regimes", HEAD, rows, caption="Regime of each run", most=MOST_ROWS),
    )


def regime_rows(study: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Regimes with the resources of their runs, by falling compute."""
    runs = mapping(study.get("runs"))
    rows = [dict(row) for row in records(mapping(study.get("regimes")).get("rows"))]
    for key in ("N", "D", "C"):
        for row, at in zip(rows, sequence(runs.get(key)), strict=False):
            row[key] = at
    return sorted(rows, key=lambda row: -_or_zero(row.get("C")))


def explained(part: Mapping[str, Any]) -> str:
    """Say what the words mean."""
    within = percent(100 * number(part.get("tolerance")))
    return (
        f"Limited by size: the loss above the floor, {significant(number(part.get('floor')))}, is"
        f" within {within} of what unlimited data would leave of it; by data: of what unlimited"
        " size would leave. By both: more of either would help. Exponents: by how many percent that"
        " loss falls for one percent more of either. Draws: resampled fits of the law that put the"
        " run in the same regime."
    )


def limit(row: Mapping[str, Any]) -> str:
    """Say what limits a run; variance-limited in data is limited by size."""
    return _WORDS.get(text(row.get("data")), MISSING)


def _share(read: float) -> str:
    return percent(100 * read)


def _exponent(read: float) -> str:
    return significant(read, 2)


def _or_zero(given: object) -> float:
    read = number(given)
    return read if read == read else 0.0

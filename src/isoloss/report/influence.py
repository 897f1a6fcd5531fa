"""What carries the answer: single runs, whole scales, and both answers where they decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from isoloss.plot.access import mapping, number, records, text
from isoloss.plot.series import Study
from isoloss.report.answer import section
from isoloss.report.charts import influence_figure
from isoloss.report.digits import count, significant, times
from isoloss.report.markup import Markup, tag
from isoloss.report.tables import (
    Cell,
    Entry,
    badge,
    interval,
    level,
    named,
    signed_percent,
    table,
    value,
)


def influence(study: Study) -> Markup:
    """Return the runs that carry the answer, and the answer without the flagged ones."""
    part = mapping(study.get("influence"))
    if not part:
        return Markup("")
    rows: list[list[Entry]] = [
        [
            named(text(row.get("name"))),
            value(row.get("N"), count),
            value(row.get("D"), count),
            value(row.get("loss"), significant),
            value(100 * number(row.get("residual")), signed_percent),
            value(row.get("N_opt_ratio"), times),
            value(row.get("loss_shift_percent"), signed_percent),
            value(row.get("exponent_shift"), lambda v: significant(v, 2)),
            badge("partly", "flagged") if row.get("flagged") is True else Markup(" "),
        ]
        for row in records(part.get("rows"))
    ]
    head = ["Run dropped", "N#", "D#", "Loss#", "Residual#", "N* becomes#", "Loss moves#",
            "Exponent moves#", "Flag"]  # fmt: skip
    without = mapping(part.get("without_flagged"))
    dropped = None
    if number(without.get("n_dropped")) > 0:
        moved = mapping(without.get("parameters")).items()
        shown = ", ".join(f"{text(k)} {significant(number(v))}" for k, v in moved)
        dropped = tag(
            "p",
            f"Without the {count(number(without.get('n_dropped')))} flagged: N*"
            f" {count(number(without.get('N_opt')))}, loss"
            f" {significant(number(without.get('L_opt')))}{f' ({shown})' if shown else ''}.",
            class_="aside",
        )
    weighted = text(part.get("weighted_sentence"))
    said = text(mapping(part.get("scales")).get("sentence"))
    return section(
        "influence",
        "Influence of runs and of scales",
        tag("p", text(part.get("sentence"))),
        tag("p", weighted) if weighted else None,
        tag("p", said) if said else None,
        _side_by_side(records(part.get("side_by_side"))),
        influence_figure(study),
        dropped,
        table("tab-influence", head, rows, caption="Runs by influence"),
        _scales(mapping(part.get("scales"))),
    )


def _scales(part: Mapping[str, Any]) -> Markup | None:
    """Return the levels of scale, size and data left out, and what moves without each."""
    if not part:
        return None
    full = mapping(part.get("full"))
    names = [text(name) for name in full]
    rows: list[list[Entry]] = [
        [Cell(shown="Nothing"), Markup(" "), None, *(_number(n, full.get(n)) for n in names)]
    ]
    for row in records(part.get("levels")):
        values, errors = mapping(row.get("without")), mapping(row.get("standard_errors"))
        cells: list[Entry] = [_moved(n, values.get(n), errors.get(n)) for n in names]
        mark: Entry = Markup(" ")
        if row.get("disagrees") is True:
            mark = badge("no", "disagrees")
        elif row.get("decides") is True:
            mark = badge("partly", "decides")
        elif text(row.get("reason")):
            mark = text(row.get("reason"))
        rows.append([named(text(row.get("name"))), mark, value(row.get("n_runs"), count), *cells])
    head = ["Left out", "Verdict", "Runs#", *(f"{_title(n)}#" for n in names)]
    return tag(
        "div",
        tag("h3", "Whole scales left out"),
        tag("p", _held(mapping(part.get("weights_held"))), class_="aside"),
        table("tab-scales", head, rows, caption="Without each level of scale, size and data"),
    )


def _held(weights: Mapping[str, Any]) -> str:
    shift = "In brackets: the change in standard errors."
    used = [text(name) for name, weight in weights.items() if number(weight) > 0]
    if len(used) < 2:
        return shift
    return (
        f"{shift} Forecast and N* are those of {len(used)} laws, each fitted again, with their"
        " weights held; the parameters are those of the heaviest law."
    )


def _side_by_side(answers: list[Mapping[str, Any]]) -> Markup | None:
    """Return the answer with all runs beside those without what decides it."""
    rows: list[list[Entry]] = []
    for name, cells in answer_rows(answers):
        rows.append([name, *(Cell(shown=shown, digits=digits) for shown, digits in cells)])
    if not rows:
        return None
    head = ["Quantity", *(f"{answer_title(a)}#" for a in answers)]
    why = [
        tag("li", f"{text(a.get('answer'))}: not possible, {text(a.get('reason'))}")
        for a in answers
        if text(a.get("reason"))
    ]
    return tag(
        "div",
        tag("h3", "Both answers"),
        tag("ul", why, class_="reasons") if why else None,
        table("tab-both", head, rows, caption=f"Side by side{_intervals(answers[0])}"),
    )


def _intervals(answer: Mapping[str, Any]) -> str:
    """Say the level of the intervals; the method is in each tooltip."""
    first = next(iter(mapping(answer.get("parameter_intervals")).values()), None)
    return f", with {level(first)} intervals" if level(first) else ""


def answer_title(answer: Mapping[str, Any]) -> str:
    """Name an answer at the head of a column."""
    title = text(answer.get("answer"))
    return title[:1].upper() + title[1:]


def answer_rows(answers: list[Mapping[str, Any]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Quantities down; of each answer the value with its interval, shown and in all digits."""
    if not answers:
        return []
    first, rows = answers[0], []
    for i, at in enumerate(records(first.get("forecasts"))):
        mine = [dict(enumerate(records(a.get("forecasts")))).get(i, {}) for a in answers]
        where = ", ".join(f"{text(k)} {count(number(v))}" for k, v in mapping(at.get("at")).items())
        losses = [_cell(f.get("loss"), f.get("interval"), significant) for f in mine]
        rows.append((f"Forecast loss at {where}", losses))
        if number(at.get("N_opt")) > 0:
            sizes = [_cell(f.get("N_opt"), f.get("N_opt_interval"), count) for f in mine]
            rows.append(("N* at that compute", sizes))
    for name in mapping(first.get("parameters")):
        values = [
            _cell(
                mapping(a.get("parameters")).get(name),
                mapping(a.get("parameter_intervals")).get(name),
                significant,
            )
            for a in answers
        ]
        rows.append((f"{text(name)} of {text(first.get('law'))}", values))
    return rows


def _cell(given: object, ends: object, write: Callable[[float], str]) -> tuple[str, str]:
    found, shown = interval(ends, write), write(number(given))
    return (f"{shown} ({found.shown})", found.digits) if found.digits else (shown, "")


def _title(name: str) -> str:
    return {"forecast": "Forecast", "N_opt": "N*"}.get(name, name)


def _number(name: str, given: object) -> Cell:
    return value(given, count if name.startswith("N_opt") else significant)


def _moved(name: str, given: object, errors: object) -> Cell:
    cell = _number(name, given)
    shift = number(errors)
    if math.isnan(shift) or math.isnan(number(given)):
        return cell
    sign = "−" if shift < 0 else "+"
    return Cell(shown=f"{cell.shown} ({sign}{abs(shift):.1f})", digits=cell.digits)

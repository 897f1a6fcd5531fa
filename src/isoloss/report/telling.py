"""Which run would tell the laws apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isoloss.plot.access import mapping, number, records, sequence, text
from isoloss.plot.series import Study
from isoloss.report.answer import section
from isoloss.report.digits import count, percent, power, significant
from isoloss.report.markup import Markup, escape, tag
from isoloss.report.tables import Cell, Entry, interval, table, value

TITLE = "Which run would tell the laws apart"


def telling(study: Study) -> Markup:
    """Return the best run for each pair of laws within each cost, with what each law predicts."""
    part = mapping(study.get("telling_runs"))
    if not part:
        return Markup("")
    rows: list[list[Entry]] = [
        [
            value(found["most_cost"], power),
            Cell(
                shown=where(found["run"]), digits=f"costs {power(number(found['run'].get('cost')))}"
            ),
            escape(
                [_predicted(n, p) for n, p in zip(found["laws"], found["predicted"], strict=True)]
            ),
            Cell(shown=chance(found["contrast"].get("power"))),
            Cell(shown=seeds(found["contrast"].get("seeds"))),
        ]
        for found in telling_rows(part)
    ]
    unit = next((text(s.get("unit")) for s in records(part.get("searches"))), "")
    head = [f"Up to, {unit}#", "Run", "The two laws say", "Told apart by one#", "Seeds needed#"]
    return section(
        "telling",
        TITLE,
        tag("p", text(part.get("sentence"))),
        tag("p", explained(part), class_="aside") if rows else None,
        table("tab-telling", head, rows, caption="Best run for each pair of laws")
        if rows
        else None,
    )


def _predicted(law: str, given: Mapping[str, Any]) -> Markup:
    loss, ends = number(given.get("loss")), interval(given.get("interval"), significant)
    return tag("div", f"{law} ", tag("b", significant(loss)), f" ({ends.shown})",
               title=ends.digits or None)  # fmt: skip


def explained(part: Mapping[str, Any]) -> str:
    """Say what was searched, and what the chance means."""
    level, goal = percent(100 * number(part.get("level"))), percent(100 * number(part.get("goal")))
    searches = records(part.get("searches"))
    limits = text(searches[-1].get("limits")) if searches else ""
    return (
        f"Searched: {limits}. Told apart: a test of one law at the {level} level rejects it when"
        f" the other is true. Seeds needed for a chance of {goal}. Noise of one run:"
        f" {percent(100 * number(part.get('noise')))}."
    )


def telling_rows(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Best run for each pair within each cost: the run, its contrast, what both laws predict.

    A run that is still the best when more is allowed comes once.
    """
    pairs = [[text(name) for name in sequence(pair)] for pair in sequence(part.get("pairs"))]
    rows: list[dict[str, Any]] = []
    for search in records(part.get("searches")):
        for pair, run in zip(pairs, records(search.get("by_pair")), strict=False):
            contrasts = records(run.get("contrasts"))
            mine = [c for c in contrasts if [text(n) for n in sequence(c.get("laws"))] == pair]
            laws = {text(f.get("law")): f for f in records(run.get("laws"))}
            again = any(r["laws"] == pair and r["run"].get("at") == run.get("at") for r in rows)
            if len(pair) != 2 or again:
                continue
            rows.append(
                {
                    "most_cost": number(search.get("most_cost")),
                    "unit": text(search.get("unit")),
                    "laws": pair,
                    "run": run,
                    "contrast": mine[0] if mine else {},
                    "predicted": [laws.get(name, {}) for name in pair],
                }
            )
    return rows


def where(run: Mapping[str, Any]) -> str:
    """Write the resources of a run."""
    parts = [f"{text(a)} {count(number(v))}" for a, v in mapping(run.get("at")).items()]
    return ", ".join(parts)


def chance(given: object) -> str:
    """Write a probability, never as certain."""
    read = number(given)
    return "over 99 %" if read > 0.99 else percent(100 * read)


def seeds(given: object) -> str:
    """Write how many seeds are needed."""
    read = number(given)
    return count(read) if read > 0 else "over 100"

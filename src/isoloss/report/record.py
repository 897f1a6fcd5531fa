"""Plan, checklist, input and provenance: what to do with the answer, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from isoloss.plot.access import mapping, number, records, text, texts
from isoloss.plot.series import Study
from isoloss.report.answer import section
from isoloss.report.charts import price_figure
from isoloss.report.digits import count, power, significant, times
from isoloss.report.markup import Markup, tag
from isoloss.report.tables import Entry, badge, interval, level, signed_percent, table, value

_STATES = {"yes": "yes", "no": "no", "partly": "partly"}


def plan(study: Study) -> Markup:
    """Return the plan: the price of missing N*, the optimum by law and by approach."""
    part = mapping(study.get("plan"))
    if not part:
        return Markup("")
    ends = mapping(part.get("intervals"))
    chosen: list[list[Entry]] = [
        ["N*", value(part.get("N_opt"), count), interval(ends.get("N_opt"), count)],
        ["D*", value(part.get("D_opt"), count), interval(ends.get("D_opt"), count)],
        ["Loss", value(part.get("L_opt"), significant), interval(ends.get("L_opt"), significant)],
    ]
    price: list[list[Entry]] = [
        [
            value(row.get("N_ratio"), times),
            value(row.get("N"), count),
            value(row.get("loss"), significant),
            value(row.get("excess_percent"), signed_percent),
            value(row.get("deadweight_percent"), signed_percent),
        ]
        for row in records(part.get("price"))
    ]
    by_law: list[list[Entry]] = [
        [
            text(row.get("law")),
            value(row.get("weight"), lambda w: significant(w, 2)),
            value(row.get("N_opt"), count),
            value(row.get("D_opt"), count),
            value(row.get("L_opt"), significant),
        ]
        for row in records(part.get("laws"))
    ]
    approaches: list[list[Entry]] = [
        [
            text(row.get("approach")),
            value(row.get("exponent_N"), lambda v: significant(v, 3)),
            value(row.get("N_opt"), count),
            text(row.get("note")),
        ]
        for row in records(part.get("approaches"))
    ]
    warnings = [tag("li", line) for line in texts(part.get("warnings"))]
    budget = power(number(part.get("budget")))
    head = ["Size over N*#", "N#", "Loss#", "Excess loss#", "Compute wasted#"]
    return section(
        "plan",
        "Plan",
        tag("p", text(part.get("sentence"))),
        tag("ul", warnings, class_="reasons") if warnings else None,
        table("tab-plan", ["At " + budget + " FLOPs", "Optimum#", "Interval#"], chosen,
              caption="Optimum"),
        price_figure(study),
        table("tab-price", head, price, caption="Price of missing N*"),
        table("tab-plan-laws", ["Law", "Weight#", "N*#", "D*#", "Loss#"], by_law,
              caption="Optimum by law"),
        table("tab-approaches", ["Approach", "Exponent of N*#", "N*#", "Note"], approaches,
              caption="Approaches side by side"),
    )  # fmt: skip


def checklist(study: Study) -> Markup:
    """Return the reporting checklist, filled in from the study."""
    entries = records(study.get("checklist"))
    if not entries:
        return Markup("")
    rows: list[list[Entry]] = []
    for entry in entries:
        state = text(entry.get("state"))
        mark = badge(_STATES.get(state, "unknown"), state or "unknown")
        rows.append([text(entry.get("item")), mark, text(entry.get("answer"))])
    return section(
        "checklist",
        "Checklist",
        tag("p", "The questions of (Mis)Fitting (arXiv 2502.18969), answered from the input."),
        table("tab-checklist", ["Question", "State", "Answer"], rows, caption="Checklist"),
    )


def source(study: Study) -> Markup:
    """Return what was read, refused and assumed."""
    part = mapping(study.get("input"))
    conventions: list[list[Entry]] = [
        [text(k), text(v)] for k, v in mapping(part.get("conventions")).items()
    ]
    facts: list[list[Entry]] = [
        ["Source", text(part.get("source"))],
        ["Rows", value(part.get("n_rows"), count)],
        ["Held out", value(part.get("n_held_out"), count)],
        ["Axes", ", ".join(texts(part.get("axes")))],
        *conventions,
        ["SHA-256", tag("code", text(part.get("digest")), class_="digest")],
    ]
    refused: list[list[Entry]] = [
        [value(r.get("row"), count), text(r.get("name")), tag("code", text(r.get("code"))),
         text(r.get("reason"))]
        for r in records(part.get("refused"))
    ]  # fmt: skip
    notes: list[list[Entry]] = [
        [badge("partly" if text(r.get("severity")) == "warning" else "unknown",
               text(r.get("severity")) or "note"),
         tag("code", text(r.get("code"))), text(r.get("message"))]
        for r in records(part.get("notes"))
    ]  # fmt: skip
    return section(
        "input",
        "Input",
        table("tab-input", ["Property", "Value"], facts, caption="Source and conventions"),
        table("tab-refused", ["Row#", "Run", "Code", "Reason"], refused, caption="Refused rows"),
        table("tab-notes", ["Severity", "Code", "Note"], notes, caption="Notes on the input"),
    )


def methods(study: Study) -> Markup:
    """Return how every interval was made, and the command that makes this report again."""
    rows: list[list[Entry]] = [
        [where, found[0], found[1]] for where, found in _intervals(study).items()
    ]
    command, version = text(study.get("command")), text(study.get("isoloss"))
    return section(
        "methods",
        "How the numbers were made",
        table("tab-methods", ["Quantity", "Level", "Method"], rows, caption="Intervals"),
        tag("h3", "Reproduce"),
        tag("pre", tag("code", command), tabindex="0")
        if command
        else tag("p", "No command known."),
        tag("p", f"Written by isoloss {version}. " if version else "", "The same input and"
            " command give the same bytes.", class_="aside"),
    )  # fmt: skip


def _intervals(study: Study) -> dict[str, tuple[str, str]]:
    """Name each kind of interval once, with its level and method."""
    found: dict[str, tuple[str, str]] = {}
    for where, given in _walk(study):
        said = (level(given), text(mapping(given).get("method")))
        if any(said):
            key = where
            while key in found and found[key] != said:
                key += "′"
            found[key] = said
    return found


def _walk(study: Study) -> Iterator[tuple[str, Mapping[str, Any]]]:
    forecasts = records(study.get("forecasts"))
    for forecast in forecasts[:1]:
        yield "Forecast loss", mapping(forecast.get("interval"))
        yield "Forecast of a new run", mapping(forecast.get("new_run"))
    for key, given in mapping(mapping(study.get("plan")).get("intervals")).items():
        yield f"Plan, {text(key)}", mapping(given)
    yield "Compute-optimal path", mapping(study.get("path"))
    for row in records(mapping(study.get("held_out")).get("rows"))[:1]:
        yield "Held-out runs", mapping(row.get("interval"))
    for law in records(study.get("laws")):
        for given in list(mapping(law.get("intervals")).values())[:1]:
            yield f"Parameters of {text(law.get('law'))}", mapping(given)

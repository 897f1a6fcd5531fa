"""The first screen: the answer in large type, what to distrust, and the what-if control."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from isoloss.plot.access import mapping, number, records, text, texts
from isoloss.plot.series import Study, fan_series, forecast_series, path_series, runs_series
from isoloss.report.digits import count, exact, percent, power, significant
from isoloss.report.markup import Markup, json_block, tag
from isoloss.report.tables import badge, described, interval, level, short

_SEVERITIES = ("high", "medium", "low")


def header(study: Study) -> Markup:
    """Return the title and one line on what was fitted."""
    runs = runs_series(study)
    held = runs["held_out"]["C"].size
    facts = [f"{runs['fit']['C'].size + held} runs"]
    if held:
        facts.append(f"{held} held out to test the forecast")
    laws = records(study.get("laws"))
    if laws:
        facts.append(f"{len(laws)} rival laws" if len(laws) > 1 else "1 law")
    if text(study.get("default_law")):
        facts.append(f"heaviest: {short(text(study.get('default_law')), 40)}")
    version = text(study.get("isoloss"))
    return tag(
        "header",
        tag("p", f"Scaling study{f' · isoloss {version}' if version else ''}", class_="kicker"),
        tag("h1", text(study.get("title")) or "Untitled study"),
        tag("p", " · ".join(facts), class_="facts"),
        class_="top",
    )


def headline(study: Study) -> Markup:
    """Return the numbers that the study was run for, then the answer in sentences."""
    plan = mapping(study.get("plan"))
    ends = mapping(plan.get("intervals"))
    forecast = forecast_series(study)
    budget = number(plan.get("budget"))
    if not math.isfinite(budget):
        budget = forecast["C"]
    best = number(plan.get("L_opt"))
    loss_ends = ends.get("L_opt")
    if not math.isfinite(best):
        best = forecast["combined"]["loss"]
        loss_ends = forecast["combined"]
    n, d = number(plan.get("N_opt")), number(plan.get("D_opt"))
    at = f"Loss at {power(budget)} FLOPs" if math.isfinite(budget) else "Forecast loss"
    stats = []
    if math.isfinite(best):
        unit = text(mapping(mapping(study.get("input")).get("conventions")).get("loss"))
        stats.append(_stat(at, best, significant, loss_ends, unit, class_="stat big"))
    if math.isfinite(n):
        stats.append(_stat("Model size N*", n, count, ends.get("N_opt"), _unit(study, "N")))
    if math.isfinite(d):
        ratio = f"D/N {significant(d / n, 2)}" if n > 0 else ""
        stats.append(_stat("Data D*", d, count, ends.get("D_opt"), _unit(study, "D"), ratio))
    near = mapping(plan.get("near_optimal"))
    low, high = number(near.get("N_low")), number(near.get("N_high"))
    if math.isfinite(low) and math.isfinite(high):
        stats.append(_near(near, low, high))
    sentences = [tag("li", line) for line in texts(study.get("headline"))]
    if not stats and not sentences:
        sentences = [tag("li", "This study holds no forecast and no plan.")]
    return section(
        "answer",
        "The answer",
        tag("div", stats, class_="stats") if stats else None,
        tag("ul", sentences, class_="sentences") if sentences else None,
    )


def distrust(study: Study) -> Markup:
    """Return what could make the answer wrong, the gravest first."""
    doubts = records(study.get("distrust"))
    if "distrust" not in study and not doubts:
        return Markup("")
    rank = {name: i for i, name in enumerate(_SEVERITIES)}
    doubts = sorted(doubts, key=lambda d: rank.get(text(d.get("severity")), len(rank)))
    items = []
    for doubt in doubts:
        severity = text(doubt.get("severity"))
        kind = severity if severity in rank else "unknown"
        remedy = text(doubt.get("remedy"))
        items.append(
            tag(
                "li",
                badge(kind, short(severity, 12) or "note"),
                tag(
                    "div",
                    tag("p", text(doubt.get("message")) or text(doubt.get("code"))),
                    tag("p", tag("b", "Do: "), remedy, class_="remedy") if remedy else None,
                ),
                tag("code", short(text(doubt.get("code")), 32)),
                class_=f"doubt {kind}",
            )
        )
    body = tag("ul", items, class_="doubts") if items else tag(
        "p", "No check raised a doubt. That is not a proof: see the back-test."
    )  # fmt: skip
    return section("distrust", "What to distrust", body)


def what_if(study: Study) -> Markup:
    """Return the control that moves the budget along the compute-optimal path."""
    path = path_series(study)
    if path["C"].size < 2:
        return Markup("")
    largest = fan_series(study)["largest"]
    budget = number(mapping(study.get("plan")).get("budget"))
    first, last = float(path["C"][0]), float(path["C"][-1])
    start = min(max(budget, first), last) if math.isfinite(budget) else last
    # Seven digits are more than any shown, and half the bytes of all of them.
    known: dict[str, object] = {
        key: [float(f"{v:.7g}") for v in column.tolist()]
        for key, column in path.items()
        if isinstance(column, np.ndarray)
    }
    known |= {"largest": largest, "budget": start}
    outputs = [
        ("whatif-N", "Model size N*", "whatif-N-interval"),
        ("whatif-D", "Data D*", "whatif-D-interval"),
        ("whatif-ratio", "D/N", None),
        ("whatif-loss", "Loss", "whatif-interval"),
        ("whatif-reach", "Reach", None),
    ]
    cells = [
        tag("div", tag("dt", name), tag("dd", tag("span", "–", id=key, class_="out"),
            tag("span", "", id=ends, class_="ends") if ends else None), class_=f"cell {key}")
        for key, name, ends in outputs
    ]  # fmt: skip
    confidence = level({"level": path["level"]})
    return section(
        "what-if",
        "What if the budget were different?",
        tag(
            "p",
            f"Move the budget along the compute-optimal path, {power(first)} to {power(last)}"
            " FLOPs."
            f"{f' Ranges are {confidence} intervals.' if confidence else ''}"
            " The ring in the two figures below follows.",
        ),
        tag(
            "div",
            tag(
                "div",
                tag("label", "Compute budget, FLOPs", for_="whatif-budget"),
                tag("input", id="whatif-budget", type="text", inputmode="text", value=_short(start),
                    autocomplete="off", spellcheck="false", aria_describedby="whatif-note"),
                class_="field",
            ),
            tag(
                "div",
                tag("label", "Compute budget on a logarithmic scale", for_="whatif-slider",
                    class_="unseen"),
                tag("input", id="whatif-slider", type="range", min=f"{math.log10(first):.6g}",
                    max=f"{math.log10(last):.6g}", step="any", value=f"{math.log10(start):.6g}"),
                tag("div", tag("span", power(first)), tag("span", power(last)), class_="ends-of",
                    aria_hidden="true"),
                class_="slide",
            ),
            class_="controls",
            id="whatif-controls",
            hidden=True,
        ),
        tag("p", "", id="whatif-note", class_="warn", hidden=True),
        tag("dl", cells, class_="outputs", id="whatif-outputs", hidden=True),
        tag("p", "", id="whatif-said", class_="unseen", role="status"),
        tag("noscript", tag("p", "This control needs scripts; the table “Compute-optimal path”"
            " below holds the same numbers.")),
        tag("script", json_block(known), type="application/json", id="whatif-data"),
    )  # fmt: skip


def _near(near: object, low: float, high: float) -> Markup:
    read = mapping(near)
    tolerance = number(read.get("tolerance_percent"))
    price = number(read.get("compute_price_percent"))
    notes = []
    if math.isfinite(tolerance):
        notes.append(f"within {percent(tolerance)} of the best loss")
    if math.isfinite(price):
        notes.append(f"worth {percent(price)} of compute")
    return tag(
        "div",
        tag("dt", "Near-optimal sizes"),
        tag("dd", f"{count(low)} – {count(high)}", class_="value",
            title=f"{exact(low)} to {exact(high)}"),
        tag("dd", ", ".join(notes), class_="ends"),
        class_="stat",
    )  # fmt: skip


def _stat(
    name: str, value: float, write: Callable[[float], str], ends: object, unit: str = "",
    extra: str = "", *, class_: str = "stat",
) -> Markup:  # fmt: skip
    known = interval(ends, write)
    said = " · ".join(part for part in (short(unit, 40), extra) if part)
    return tag(
        "div",
        tag("dt", name),
        tag("dd", write(value), class_="value", title=exact(value)),
        tag("dd", known.shown, tag("span", f" {level(ends)}" if level(ends) else ""),
            class_="ends", title=described(ends) or None) if known.digits else None,
        tag("dd", said, class_="unit") if said else None,
        class_=class_,
    )  # fmt: skip


def _unit(study: Study, axis: str) -> str:
    return text(mapping(mapping(study.get("input")).get("conventions")).get(axis))


def _short(value: float) -> str:
    mantissa, _, exponent = f"{value:.3e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def section(name: str, title: str, *body: object) -> Markup:
    """Return a titled part of the page."""
    return tag("section", tag("h2", title, id=f"{name}-title"), body, id=name,
               aria_labelledby=f"{name}-title")  # fmt: skip

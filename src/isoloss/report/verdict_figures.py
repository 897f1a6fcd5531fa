"""Pictures of a verdict on its page: gains, loss against examples kept, the frontier."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.plot.verdict import label_of, verdict_series
from isoloss.prune.pilots import NONE
from isoloss.prune.verdict_result import Verdict
from isoloss.report.canvas import WIDE, Axis, Canvas, Page, linear_axis, log_axis, spread
from isoloss.report.digits import count, significant
from isoloss.report.figure import HALF, figure
from isoloss.report.markup import Markup, coordinate, tag
from isoloss.report.tables import Entry, table
from isoloss.report.verdict_words import amount, ends, share, value_cell

_CLASS = {NONE: "law-plain", "hard": "law5", "easy": "law0"}
_NAME = {NONE: "name-plain", "hard": "name5", "easy": "name0"}
_FRONT, _FRONT_NAME = "law2", "name2"
_ROOM = 98
"""Of names at the ends of lines."""
_STEP = 26
"""From one row of gains to the next."""


def gains_figure(verdict: Verdict, name: str) -> Markup:
    """Return gains at every share piloted, with intervals that hold together."""
    rows = [(p, k, g) for p in verdict.policies for k, g in zip(p.keeps, p.gains, strict=True)]
    if not rows:
        return Markup("")
    height = 70 + _STEP * len(rows)

    def draw(page: Page) -> Markup:
        page = page.resized(left=84 if page.kind == "narrow" else 96, height=height)
        bottom, right = page.height - page.bottom, page.width - page.right
        seen = [100 * v for _, _, g in rows for v in (g.value, g.interval.low, g.interval.high)]
        known = np.array([0.0, *(v for v in seen if math.isfinite(v))])
        x = linear_axis([known], page.left, right, most=5, title="Gain over no pruning, %")
        y = Axis(low=0, high=1, start=page.top, end=bottom, log=False, ticks=(), title="")
        canvas = Canvas(name, page, x, y)
        zero = float(x(0.0))
        canvas.add(tag("path", d=f"M{coordinate(zero)} {page.top}V{bottom}", class_="zero"))
        for i, (p, keep, gain) in enumerate(rows):
            at = page.top + _STEP * (i + 0.5)
            low, high = gain.interval.low, gain.interval.high
            # An end at infinity runs to the edge of the picture.
            left = float(x(100 * low)) if math.isfinite(low) else float(page.left)
            end = float(x(100 * high)) if math.isfinite(high) else float(right)
            colour = _CLASS.get(p.policy, _FRONT)
            canvas.add(
                tag("path", d=f"M{coordinate(left)} {coordinate(at)}H{coordinate(end)}",
                    class_=f"whisk {colour}")
            )  # fmt: skip
            tip = f"{label_of(p.policy, keep)}: {share(gain.value)}, {ends(gain, share)}"
            if math.isfinite(gain.value):
                canvas.add(
                    tag("circle", tag("title", tip), cx=float(x(100 * gain.value)), cy=at, r=4.5,
                        class_=f"mark {colour}")
                )  # fmt: skip
            canvas.text(page.left - 8.0, at + 4, label_of(p.policy, keep), anchor="end",
                        class_=f"label {_NAME.get(p.policy, _FRONT_NAME)}")  # fmt: skip
        said = "; ".join(f"{label_of(p.policy, k)} {share(g.value)}" for p, k, g in rows)
        return canvas.render("Gain over no pruning at each share", f"{said}.")

    return figure(
        name, "Gain at each share that was piloted",
        f"Part of the {verdict.outcome} that goes. Right of the line pruning helps. Intervals hold "
        f"for all shares and policies together, at {100 * verdict.level:g} %.",
        draw, wide=WIDE.resized(bottom=46, top=8),
    )  # fmt: skip


def curves_figure(verdict: Verdict, name: str) -> Markup:
    """Return loss against examples kept: lines with bands, pilots, the target."""
    series = verdict_series(verdict)
    if not series["points"]:
        return Markup("")

    def draw(page: Page) -> Markup:
        page = page.resized(right=_ROOM)
        bottom, right = page.height - page.bottom, page.width - page.right
        drawn = [*series["lines"], *series["points"]]
        x = log_axis([*(d["D"] for d in drawn), np.array([t["D"] for t in series["targets"]])],
                     page.left, right, most=5, label=count, title="Examples kept")  # fmt: skip
        y = log_axis(_heights(series), bottom, page.top, most=6,
                     title=f"Test {verdict.outcome}")  # fmt: skip
        canvas = Canvas(name, page, x, y)
        _targets(canvas, series)
        for line in series["lines"]:
            colour = _CLASS.get(line["policy"], _FRONT)
            canvas.band((line["D"], line["low"]), (line["D"], line["high"]), f"span {colour}")
            canvas.line(line["D"], line["loss"], f"curve {colour}")
        for group in series["points"]:
            _pilots(canvas, group)
        for t in series["targets"]:
            colour = _CLASS.get(t["policy"], _FRONT)
            canvas.line([t["D"], t["D"]], [t["low"], t["high"]], f"whisk {colour}")
            _ring(canvas, t)
        _names(canvas, series, right)
        words = "; ".join(f"{t['policy']} {significant(t['loss'])}" for t in series["targets"])
        return canvas.render(
            f"Test {verdict.outcome} against examples kept",
            f"At the target: {words or 'no lines'}.",
        )

    reading = (
        "Lines are no pruning and each policy at its best share, bands their "
        f"{100 * verdict.level:g} % intervals. Dots are means of pilots, faint those of other "
        "shares. Rings are the target."
        if series["lines"]
        else "Dots are means of pilots; no law was fitted to them."
    )
    return figure(
        name, f"Test {verdict.outcome} against examples kept", reading, draw,
        table=_curve_table(series, name),
    )  # fmt: skip


def _heights(series: Mapping[str, Any]) -> list[Array]:
    """Values that the axis must hold; ends of bands as far as a factor of four beyond."""
    middle = [d["loss"] for d in (*series["lines"], *series["points"])]
    flat = np.concatenate(middle)
    flat = flat[np.isfinite(flat) & (flat > 0)]
    bands = [line[k] for line in series["lines"] for k in ("low", "high")]
    if not flat.size:
        return middle
    near = [b[(b > flat.min() / 4) & (b < flat.max() * 4)] for b in bands]
    return [flat, *near]


def _targets(canvas: Canvas, series: Mapping[str, Any]) -> None:
    page = canvas.page
    places = sorted({float(canvas.x(t["D"])) for t in series["targets"]})
    for at in places:
        steps = f"M{coordinate(at)} {page.top}V{page.height - page.bottom}"
        canvas.add(tag("path", d=steps, class_="budget faded"))
    if places:
        canvas.text(places[-1] - 5, page.top + 11, "target", anchor="end", class_="label faint")


def _ring(canvas: Canvas, target: Mapping[str, Any]) -> None:
    at, up = float(canvas.x(target["D"])), float(canvas.y(target["loss"]))
    if not (math.isfinite(at) and math.isfinite(up)):
        return
    tip = tag("title", f"{target['policy']} at the target: {significant(target['loss'])}")
    colour = _CLASS.get(target["policy"], _FRONT)
    canvas.add(tag("circle", tip, cx=at, cy=up, r=5.5, class_=f"ring {colour}"))


def _pilots(canvas: Canvas, group: Mapping[str, Any]) -> None:
    colour = _CLASS.get(group["policy"], _FRONT)
    tips = [
        f"{group['label']}, {count(D)} kept: {significant(v)}, {n} runs"
        for D, v, n in zip(group["D"], group["loss"], group["runs"], strict=True)
    ]
    class_ = f"mark {colour}" if group["shown"] else f"mark faded {colour}"
    canvas.dots(group["D"], group["loss"], class_, tips, radius=3.6 if group["shown"] else 2.6)


def _names(canvas: Canvas, series: Mapping[str, Any], right: int) -> None:
    if series["lines"]:
        named = [(v["label"], v["policy"], float(v["loss"][-1])) for v in series["lines"]]
    else:
        named = [
            (v["label"], v["policy"], float(v["loss"][np.argmax(v["D"])])) for v in series["points"]
        ]
    named = [n for n in named if math.isfinite(n[2])]
    for (label, policy, _), at in zip(
        named, spread([float(canvas.y(n[2])) for n in named], 15.0), strict=True
    ):
        class_ = f"label {_NAME.get(policy, _FRONT_NAME)}"
        canvas.text(right + 7.0, at + 4, label, class_=class_)


def _curve_table(series: Mapping[str, Any], name: str) -> Markup | None:
    rows: list[list[Entry]] = [
        [line["label"], value_cell(D, count), value_cell(loss, significant),
         f"{significant(low)} to {significant(high)}"]
        for line in series["lines"]
        for D, loss, low, high in zip(*(line[k][::5] for k in ("D", "loss", "low", "high")),
                                      strict=True)
    ]  # fmt: skip
    if not rows:
        return None
    head = ["Policy", "Examples kept#", "Loss#", "Interval#"]
    return table(f"{name}-table", head, rows, caption="Every fifth point of the lines")


def frontier_figures(verdict: Verdict, name: str) -> Markup:
    """Return the frontier beside no pruning, and the local exponents of both."""
    front = verdict_series(verdict)["frontier"]
    if front is None:
        return Markup("")
    pair = [
        _front(verdict, front, f"{name}-loss", f"Test {verdict.outcome}", "loss", "unpruned",
               "The best of all shares, beside no pruning",
               "Within the sizes of the pilots, and the shares between those piloted."),
        _front(verdict, front, f"{name}-slope", "Local exponent", "exponent", "exponent_unpruned",
               "How fast both fall",
               "Slope of the log loss over the log of examples kept; a power law is flat."),
    ]  # fmt: skip
    return tag("div", pair, class_="pair")


def _front(
    verdict: Verdict, front: Mapping[str, Any], name: str, title: str, best: str, plain: str,
    heading: str, reading: str,
) -> Markup:  # fmt: skip
    def draw(page: Page) -> Markup:
        page = page.resized(right=_ROOM - 12)
        bottom, right = page.height - page.bottom, page.width - page.right
        x = log_axis([front["D"]], page.left, right, most=4, label=count, title="Examples kept")
        both = [front[best], front[plain]]
        y = (
            log_axis(both, bottom, page.top, most=5, title=title)
            if best == "loss"
            else linear_axis(both, bottom, page.top, most=5, title=title)
        )
        canvas = Canvas(name, page, x, y)
        canvas.line(front["D"], front[plain], "curve law-plain")
        canvas.line(front["D"], front[best], f"curve {_FRONT}")
        named = [
            (words, class_, float(y(front[key][-1])))
            for words, class_, key in (
                ("best share", _FRONT_NAME, best), ("no pruning", "name-plain", plain),
            )
            if math.isfinite(float(front[key][-1]))
        ]  # fmt: skip
        for (words, class_, _), at in zip(named, spread([n[2] for n in named], 15.0), strict=True):
            canvas.text(right + 6.0, at + 4, words, class_=f"label {class_}")
        ends_at = f"{amount(float(front[best][-1]))} against {amount(float(front[plain][-1]))}"
        return canvas.render(heading, f"At the largest pilot {ends_at}.")

    rows: list[list[Entry]] = [
        [value_cell(D, count), label_of(policy, keep), value_cell(a, amount), value_cell(b, amount)]
        for D, policy, keep, a, b in list(
            zip(front["D"], front["policy"], front["keep"], front[best], front[plain], strict=True)
        )[::4]
    ]
    head = ["Examples kept#", "Best", "Best share#", "No pruning#"]
    return figure(
        name, heading, reading, draw, wide=HALF,
        table=table(f"{name}-table", head, rows, caption=f"{title}, every fourth size"),
    )  # fmt: skip

"""Figures that compare laws, cuts and runs: back-test, forecast, weights, influence, price."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isoloss.plot.series import (
    Study,
    backtest_series,
    forecast_series,
    influence_series,
    price_series,
    weights_series,
)
from isoloss.report.canvas import Axis, Canvas, Page, linear_axis, log_axis, spread
from isoloss.report.digits import count, percent, power, significant, times
from isoloss.report.figure import HALF, axis_title, figure
from isoloss.report.markup import Markup, coordinate, tag
from isoloss.report.tables import Cell, short, signed_percent, table, value

_COLOURS = 6


def backtest_figures(study: Study) -> Markup:
    """Return forecast against measured, and the error by cut of each law, side by side."""
    series = backtest_series(study)
    pair = [_forecast_against_measured(study, series), _error_by_cut(study, series)]
    pair = [drawn for drawn in pair if drawn]
    return tag("div", pair, class_="pair") if pair else Markup("")


def _forecast_against_measured(study: Study, series: dict[str, Any]) -> Markup:
    if not series["loss"].size:
        return Markup("")
    cuts = sorted({int(c) for c in series["cut"] if math.isfinite(c) and abs(c) < 1e6})
    legend = []
    for k, cut in enumerate(cuts[:_COLOURS]):
        inside = 0 <= cut < len(series["cuts"])
        limit = series["cuts"][cut]["C_cut"] if inside else math.nan
        known = f"fitted below {power(limit)}" if math.isfinite(limit) else f"cut {cut + 1}"
        legend.append(("dot", f"law{k}", known))

    def draw(page: Page) -> Markup:
        both = [series["loss"], series["predicted"]]
        bottom, right = page.height - page.bottom, page.width - page.right
        x = linear_axis(both, page.left, right, title="Forecast loss", most=5)
        y = linear_axis(both, bottom, page.top, title="Measured loss", most=5)
        canvas = Canvas("backtest", page, x, y)
        canvas.line([x.low, x.high], [x.low, x.high], "zero")
        for k, cut in enumerate(cuts):
            mine = series["cut"] == cut
            tips = [
                f"C {power(c)}: forecast {significant(p)}, measured {significant(v)}"
                for c, p, v in zip(*(series[n][mine] for n in ("C", "predicted", "loss")),
                                   strict=True)
            ]  # fmt: skip
            canvas.dots(series["predicted"][mine], series["loss"][mine], _colour(k), tips,
                        most_tips=60)  # fmt: skip
        return canvas.render("Forecast against measured loss", f"{len(series['loss'])} forecasts.")

    rows = [
        [str(int(cut) + 1) if math.isfinite(cut) else None, value(c, power),
         value(p, significant), value(v, significant), value(100 * (v / p - 1), signed_percent)]
        for cut, c, p, v in zip(*(series[k] for k in ("cut", "C", "predicted", "loss")),
                                strict=True)
    ]  # fmt: skip
    head = ["Cut#", "C, FLOPs#", "Forecast#", "Measured#", "Measured over forecast#"]
    return figure(
        "fig-backtest",
        "Forecasts that could have failed",
        "Each point is a run larger than all runs fitted. On the line, the forecast was right.",
        draw,
        legend=legend,
        table=table("tab-points", head, rows, caption="Back-test points", most=150),
        wide=HALF,
    )


def _error_by_cut(study: Study, series: dict[str, Any]) -> Markup:
    errors = [e for e in series["errors"] if e["C_cut"] > 0]
    laws = list(dict.fromkeys([*weights_series(study)["law"], *(e["law"] for e in errors)]))
    lines = {law: sorted((e["C_cut"], e["percent"]) for e in errors if e["law"] == law)
             for law in laws}  # fmt: skip
    lines = {law: line for law, line in lines.items() if line}
    if not lines:
        return Markup("")

    def draw(page: Page) -> Markup:
        page = page.resized(right=104)
        bottom, right = page.height - page.bottom, page.width - page.right
        x = log_axis([np.array([e["C_cut"] for e in errors])], page.left, right, most=3,
                     label=power, title="Fitted below this compute, FLOPs")  # fmt: skip
        y = linear_axis([np.array([0.0] + [e["percent"] for e in errors])], bottom, page.top,
                        most=5, title="Error on larger runs, %",
                        pad=0.04)  # fmt: skip
        canvas = Canvas("errors", page, x, y)
        ends = []
        for k, (law, line) in enumerate(lines.items()):
            across, up = np.array(line).T
            canvas.line(across, up, f"{_colour(k)} curve")
            tips = [f"{short(law, 40)}: {percent(v)}" for v in up.tolist()]
            canvas.dots(across, up, _colour(k), tips, radius=3.2)
            ends.append(float(y(up[-1])))
        labelled = list(lines)[:_COLOURS]
        for k, at in enumerate(spread(ends[:_COLOURS], 14.0)):
            canvas.text(right + 6.0, at + 4, short(labelled[k], 15), class_=f"label name{k}")
        return canvas.render(
            "Back-test error of each law by cut", f"{len(lines)} laws, {len(series['cuts'])} cuts."
        )

    rows = [
        [e["law"], e["objective"], value(e["C_cut"], power), value(e["percent"], percent)]
        for e in errors
    ]
    return figure(
        "fig-errors",
        "Error as the fit sees more",
        "Mean absolute error on the runs above each cut. A law worth its weight falls quickly.",
        draw,
        table=table("tab-errors", ["Law", "Objective", "Cut, FLOPs#", "Error#"], rows,
                    caption="Back-test error by law and cut"),
        wide=HALF,
    )  # fmt: skip


def forecast_figure(study: Study) -> Markup:
    """Return the forecast of each law with its interval, and the combined answer."""
    series = forecast_series(study)
    combined = series["combined"]
    if not series["law"] and not math.isfinite(combined["loss"]):
        return Markup("")
    names = [*series["law"], "combined"]
    heavy = [
        f"{short(law, 15)} ({w:.2f})" if math.isfinite(w) else law
        for law, w in zip(series["law"], series["weight"].tolist(), strict=True)
    ]
    lows = [*series["low"].tolist(), combined["low"]]
    highs = [*series["high"].tolist(), combined["high"]]
    middles = [*series["loss"].tolist(), combined["loss"]]
    new = np.array([combined["new_low"], combined["new_high"]])

    def draw(page: Page) -> Markup:
        data = [np.array(lows), np.array(highs), np.array(middles), new]
        title = axis_title(study, "loss", page)
        wide = page.kind == "wide"
        shown = [*heavy, "combined"] if wide else names
        page = page.resized(left=176 if wide else 124)
        canvas = _rows(shown, page, data, "forecast", title)
        last = len(names) - 1
        canvas.line(new, [last, last], "new-run")
        for i, (low, high, middle) in enumerate(zip(lows, highs, middles, strict=True)):
            kind = "best" if i == last else "fit"
            canvas.line([low, high], [i, i], f"{kind} bar")
            canvas.dots([middle], [i], kind, [f"{names[i]}: {significant(middle)}"], radius=5)
        return canvas.render(
            "Forecast at the budget by law", f"Combined forecast {significant(combined['loss'])}."
        )

    rows = [
        [name, value(v, significant), value(low, significant), value(high, significant)]
        for name, v, low, high in zip(names, middles, lows, highs, strict=True)
    ]
    return figure(
        "fig-forecast",
        "What each law says",
        f"Forecast at {power(series['C'])} FLOPs, {times(series['reach'])} the largest fitted run."
        " Thick: interval of the mean; thin: where one new run would fall.",
        draw,
        table=table("tab-forecast", ["Law", "Loss#", "Low#", "High#"], rows,
                    caption="Forecast by law"),
        wide=HALF,
    )  # fmt: skip


def weights_figure(study: Study) -> Markup:
    """Return the weight of each law."""
    series = weights_series(study)
    if not series["law"]:
        return Markup("")

    def draw(page: Page) -> Markup:
        data = [np.array([0.0, 1.0])]
        canvas = _rows(series["law"], page, data, "weights", "Weight", pad=0.0)
        for i, weight in enumerate(series["weight"].tolist()):
            end = min(weight, 1.0)
            _bar(canvas, 0.0, end, i, "fit", f"{weight:.3f}")
            past = float(canvas.x(end)) + (6 if end < 0.85 else -6)
            canvas.text(past, float(canvas.y(i)) + 4, f"{weight:.2f}",
                        anchor="start" if end < 0.85 else "end",
                        class_="label strong" if end < 0.85 else "label over")  # fmt: skip
        return canvas.render("Weight of each law", f"{len(series['law'])} laws.")

    rows = [
        [law, Cell(shown=f"{w:.3f}")]
        for law, w in zip(series["law"], series["weight"].tolist(), strict=True)
    ]
    return figure(
        "fig-weights",
        "How much each law counts",
        "Weights follow the back-test: a law counts as it forecast runs it had not seen.",
        draw,
        table=table("tab-weights", ["Law", "Weight#"], rows, caption="Weights"),
        wide=HALF,
    )


def influence_figure(study: Study) -> Markup:
    """Return how N* moves when one run is dropped."""
    series = influence_series(study)
    if not series["name"]:
        return Markup("")
    change = 100 * (series["N_opt_ratio"] - 1)

    def draw(page: Page) -> Markup:
        page = page.resized(left=230 if page.kind == "wide" else 124)
        data = [np.append(change[np.abs(change) < 1e6], 0.0)]
        canvas = _rows(series["name"], page, data, "influence", "Change of N* without the run, %")
        for i, (name, moved) in enumerate(zip(series["name"], change.tolist(), strict=True)):
            kind = "held" if series["flagged"][i] else "fit"
            _bar(canvas, 0.0, moved, i, kind, f"{short(name, 60)}: {signed_percent(moved)}")
        canvas.line([0.0, 0.0], [-0.5, len(change) - 0.5], "zero")
        return canvas.render("Influence of single runs on N*", f"{len(change)} runs.")

    return figure(
        "fig-influence",
        "Which runs carry the answer",
        "The twelve runs whose removal moves N* most; flagged runs stand out.",
        draw,
        legend=[("band", "fit", "run"), ("band", "held", "flagged")],
    )


def price_figure(study: Study) -> Markup:
    """Return the excess loss of a model of the wrong size at the same budget."""
    series = price_series(study)
    if series["N_ratio"].size < 2:
        return Markup("")

    def draw(page: Page) -> Markup:
        page = page.resized(height=300 if page.kind == "wide" else 260)
        bottom, right = page.height - page.bottom, page.width - page.right
        x = log_axis([series["N_ratio"]], page.left, right, most=7, label=times,
                     title="Model size over N*, same compute")  # fmt: skip
        y = linear_axis([np.append(series["excess_percent"], 0.0)], bottom, page.top, most=5,
                        title="Excess loss, %")  # fmt: skip
        canvas = Canvas("price", page, x, y)
        canvas.line(series["N_ratio"], series["excess_percent"], "law0 curve")
        tips = [
            f"{count(n)} ({times(r)}): {signed_percent(e)}"
            for n, r, e in zip(*(series[k] for k in ("N", "N_ratio", "excess_percent")),
                               strict=True)
        ]  # fmt: skip
        canvas.dots(series["N_ratio"], series["excess_percent"], "fit", tips, radius=4)
        return canvas.render(
            "Price of a model size other than N*", f"{series['N_ratio'].size} sizes."
        )

    return figure(
        "fig-price",
        "The price of missing N*",
        "Excess loss when the same compute trains a smaller or a larger model. The valley is flat:"
        " within it, choose by what the model costs to serve.",
        draw,
    )


def _rows(
    names: list[str], page: Page, data: list[Any], name: str, title: str, *, pad: float = 0.08
) -> Canvas:
    """Return a canvas with one row per name and a linear axis below."""
    if page.left < 100:
        page = page.resized(left=150 if page.kind == "wide" else 124)
    page = page.resized(height=page.top + page.bottom + max(28 * len(names), 84))
    right, bottom = page.width - page.right, page.height - page.bottom
    most = 6 if right - page.left > 400 else 4
    x = linear_axis(data, page.left, right, title=title, most=most, pad=pad)
    y = Axis(low=-0.5, high=len(names) - 0.5, start=page.top, end=bottom, log=False, ticks=(),
             title="")  # fmt: skip
    canvas = Canvas(name, page, x, y)
    for i, row in enumerate(names):
        canvas.text(page.left - 10.0, float(y(i)) + 4, short(row, int((page.left - 12) / 7.2)),
                    anchor="end", class_="label row")  # fmt: skip
    return canvas


def _bar(canvas: Canvas, start: float, end: float, row: int, kind: str, tip: str) -> None:
    a, b = float(canvas.x(start)), float(canvas.x(end))
    if not (math.isfinite(a) and math.isfinite(b)):
        return
    top = float(canvas.y(row)) - 8
    where = f"M{coordinate(a)} {coordinate(top)}H{coordinate(b)}v16H{coordinate(a)}Z"
    canvas.add(tag("path", tag("title", tip), d=where, class_=f"{kind} block"))


def _colour(index: int) -> str:
    return f"law{index}" if index < _COLOURS else "law-other"

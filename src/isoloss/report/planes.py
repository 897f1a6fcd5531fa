"""Figures in a plane of runs: equal loss over N and D, loss against compute, residuals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isoloss.plot.series import Study, fan_series, isoloss_series, residuals_series
from isoloss.report.canvas import Canvas, Page, linear_axis, log_axis
from isoloss.report.digits import count, power, significant
from isoloss.report.figure import axis_title, figure
from isoloss.report.markup import Markup, coordinate, tag
from isoloss.report.tables import Entry, level, named, short, signed_percent, table, value

_MOST_LAWS = 4


def isoloss_figure(study: Study) -> Markup:
    """Return the map of equal loss over N and D with the runs, the path and the budget."""
    series = isoloss_series(study)
    if not series["contours"] and not series["fit"]["N"].size:
        return Markup("")
    path = series["path"]
    legend = [("dot", "fit", "fitted runs")]
    if series["held_out"]["N"].size:
        legend.append(("diamond", "held", "held out"))
    if series["contours"]:
        legend.append(("line", "contour", f"equal loss ({short(series['law'], 24)})"))
    if path["C"].size:
        legend.append(("line", "optimal", _banded("compute-optimal path", path)))
    if series["budget_line"]["N"].size:
        legend.append(("line", "budget", f"budget {power(series['optimum']['C'])} FLOPs"))
    if math.isfinite(series["optimum"]["N"]):
        legend.append(("star", "best", "optimum"))
    rows = [
        [value(c, power), value(n, count), value(d, count), value(v, significant)]
        for c, n, d, v in zip(path["C"], path["N_opt"], path["D_opt"], path["L_opt"], strict=True)
    ]
    head = ["C, FLOPs#", "N*#", "D*#", "Loss#"]
    return figure(
        "fig-isoloss",
        "Where equal loss lies",
        "Model size across, data up, both logarithmic: each grey curve joins the pairs that reach"
        " the same loss. A budget is the dashed diagonal; it touches its lowest curve at the"
        " optimum, and the green path joins the optima of all budgets.",
        lambda page: _draw_isoloss(study, series, page),
        legend=legend,
        table=table("tab-path", head, rows, caption="Compute-optimal path"),
    )


def fan_figure(study: Study) -> Markup:
    """Return loss against compute: runs, frontier with its band, the budget."""
    series = fan_series(study)
    if not series["fit"]["C"].size and not series["path"]["C"].size:
        return Markup("")
    legend = [("dot", "fit", "fitted runs")]
    if series["held_out"]["C"].size:
        legend.append(("diamond", "held", "held out"))
    if series["path"]["C"].size:
        legend.append(("line", "optimal", _banded("compute-optimal frontier", series["path"])))
    if math.isfinite(series["target"]["loss"]):
        legend.append(("star", "best", "forecast at the budget"))
    legend.append(("band", "beyond", "beyond the fitted runs"))
    rows: list[list[Entry]] = [
        [named(name), role, value(n, count), value(d, count), value(c, power),
         value(v, significant), value(p, significant)]
        for role, key in (("fitted", "fit"), ("held out", "held_out"))
        for name, n, d, c, v, p in _columns(series[key])
    ]  # fmt: skip
    head = ["Run", "Role", "N#", "D#", "C, FLOPs#", "Loss#", "Predicted#"]
    return figure(
        "fig-fan",
        "Loss against compute",
        "Runs lie on or above the frontier: it is the loss of the best split of each budget. The"
        " shaded part of the page lies beyond the largest fitted run, where only the laws speak.",
        lambda page: _draw_fan(study, series, page),
        legend=legend,
        table=table("tab-runs", head, rows, caption="Runs"),
    )


def residuals_figure(study: Study) -> Markup:
    """Return measured over fitted loss against compute, one drawing per law, one shown."""
    series = dict(list(residuals_series(study).items())[:_MOST_LAWS])
    if not series:
        return Markup("")
    options = [tag("option", short(law, 40), value=i) for i, law in enumerate(series)]
    chooser = None
    if len(series) > 1:
        chooser = tag("label", "Law ", tag("select", options, id="residual-law"), class_="tool",
                      hidden=True)  # fmt: skip

    def draw(page: Page) -> Markup:
        drawings = [
            tag("div", _draw_residuals(study, i, law, columns, page), data_law=i, hidden=i > 0)
            for i, (law, columns) in enumerate(series.items())
        ]
        return Markup("".join(drawings))

    first = next(iter(series))
    rows = [
        [named(name), value(c, power), value(r, signed_percent)]
        for name, c, r in zip(*(series[first][k] for k in ("name", "C", "percent")), strict=True)
    ]
    return figure(
        "fig-residuals",
        "What the law leaves over",
        "Measured over fitted loss, run by run. Points should scatter around zero without a trend:"
        " a bend at the right end means that the law will miss larger runs in that direction.",
        draw,
        tools=chooser,
        table=table("tab-residuals", ["Run", "C, FLOPs#", "Measured over fitted#"], rows,
                    caption=f"Residuals of {short(first, 40)}"),
    )  # fmt: skip


def _draw_isoloss(study: Study, series: dict[str, Any], page: Page) -> Markup:
    fit, held, path, best = (series[k] for k in ("fit", "held_out", "path", "optimum"))
    lines = [line for contour in series["contours"] for line in contour["lines"]]
    spans = [fit, held] if not lines else []
    x_data = [s["N"] for s in spans] + [line[:, 0] for line in lines] + [np.array([best["N"]])]
    y_data = [s["D"] for s in spans] + [line[:, 1] for line in lines] + [np.array([best["D"]])]
    x_data += [fit["N"], held["N"]]
    y_data += [fit["D"], held["D"]]
    most = 6 if page.kind == "wide" else 4
    bottom, right = page.height - page.bottom, page.width - page.right
    x = log_axis(x_data, page.left, right, title=axis_title(study, "N", page), label=count,
                 most=most, pad=0.0)  # fmt: skip
    y = log_axis(y_data, bottom, page.top, title=axis_title(study, "D", page), label=count,
                 most=most, pad=0.0)  # fmt: skip
    canvas = Canvas("isoloss", page, x, y)
    for contour in series["contours"]:
        canvas.lines(contour["lines"], "contour")
    canvas.band((path["N_low"], path["D_high"]), (path["N_high"], path["D_low"]), "optimal-band")
    canvas.line(series["budget_line"]["N"], series["budget_line"]["D"], "budget")
    canvas.line(path["N_opt"], path["D_opt"], "optimal")
    canvas.dots(fit["N"], fit["D"], "fit", _tips(fit), radius=3.4, most_tips=400)
    canvas.dots(held["N"], held["D"], "held", _tips(held), radius=4.2, shape="diamond")
    canvas.add(_marker("N D"))
    taken: list[tuple[float, float]] = []
    px, py = float(x(best["N"])), float(y(best["D"]))
    if canvas.inside(px, py):
        canvas.add(_star(px, py, f"N* {count(best['N'])}, D* {count(best['D'])}"))
        room = px < right - 150
        note = f"N* {count(best['N'])} · D* {count(best['D'])}"
        # Free of marks: the wedge between path and budget line, or near the edge what is below.
        length = 7.5 * len(note)
        at, up = (px + 22, py + 4) if room else (min(px - length / 2, right - length), py + 52)
        canvas.text(at, up, note, class_="label strong")
        taken = [(at + length * k / 4 + 15, up) for k in range(5)]
    _contour_labels(canvas, series["contours"], taken)
    described = (
        f"{fit['N'].size} fitted and {held['N'].size} held-out runs;"
        f" optimum at N {count(best['N'])}, D {count(best['D'])}, loss {significant(best['loss'])}."
    )
    return canvas.render("Curves of equal loss over model size and data", described)


def _draw_fan(study: Study, series: dict[str, Any], page: Page) -> Markup:
    fit, held, path, target = (series[k] for k in ("fit", "held_out", "path", "target"))
    compute = np.concatenate([fit["C"], held["C"], [target["C"]]])
    compute = compute[(compute > 0) & (compute < 1e280)]
    near = path["C"] > 0
    if compute.size:
        near = (path["C"] >= compute.min() / 3) & (path["C"] <= compute.max() * 4)
    most = 6 if page.kind == "wide" else 4
    bottom, right = page.height - page.bottom, page.width - page.right
    x = log_axis([compute, path["C"][near]], page.left, right, label=power, most=most, pad=0.02,
                 title=axis_title(study, "C", page))  # fmt: skip
    losses = [fit["loss"], held["loss"]] + [path[k][near] for k in ("L_opt", "L_low", "L_high")]
    losses.append(np.array([target[k] for k in ("loss", "low", "high")]))
    y = log_axis(losses, bottom, page.top, most=most, pad=0.08,
                 title=axis_title(study, "loss", page))  # fmt: skip
    canvas = Canvas("fan", page, x, y)
    if series["largest"] > 0:
        edge = float(x(series["largest"]))
        if right - edge > 8:
            canvas.add(tag("rect", x=edge, y=float(page.top), width=right - edge,
                           height=float(bottom - page.top), class_="beyond"))  # fmt: skip
    canvas.band((path["C"], path["L_low"]), (path["C"], path["L_high"]), "optimal-band")
    if target["C"] > 0:
        at = float(x(target["C"]))
        canvas.add(tag("path", d=f"M{coordinate(at)} {page.top}V{bottom}", class_="budget"))
    canvas.line(path["C"], path["L_opt"], "optimal")
    canvas.dots(fit["C"], fit["loss"], "fit", _tips(fit, sizes=True), most_tips=400)
    canvas.dots(held["C"], held["loss"], "held", _tips(held, sizes=True), radius=4.4,
                shape="diamond")  # fmt: skip
    canvas.add(_marker("C L"))
    px, py = float(x(target["C"])), float(y(target["loss"]))
    if canvas.inside(px, py):
        ends = [float(v) for v in y([target["low"], target["high"]])]
        if all(math.isfinite(v) for v in ends):
            where = f"M{coordinate(px)} {coordinate(ends[0])}V{coordinate(ends[1])}"
            canvas.add(tag("path", d=where, class_="whisker"))
        note = f"{significant(target['loss'])} at {power(target['C'])}"
        canvas.add(_star(px, py, note))
        # No run lies below the frontier, so the corner below and to the left is free.
        canvas.text(px - 10, py + 20, note, anchor="end", class_="label strong")
    described = (
        f"{fit['C'].size} fitted and {held['C'].size} held-out runs; forecast loss"
        f" {significant(target['loss'])} at {power(target['C'])} FLOPs."
    )
    return canvas.render("Loss against training compute", described)


def _draw_residuals(
    study: Study, index: int, law: str, columns: dict[str, Any], page: Page
) -> Markup:
    page = page.resized(height=340 if page.kind == "wide" else 270)
    most = 6 if page.kind == "wide" else 4
    bottom, right = page.height - page.bottom, page.width - page.right
    x = log_axis([columns["C"]], page.left, right, label=power, most=most,
                 title=axis_title(study, "C", page))  # fmt: skip
    reach = np.array([-1.0, 1.0]) * np.max(np.abs(columns["percent"]), initial=0.1)
    y = linear_axis([reach], bottom, page.top, most=5, title="Measured over fitted, %")  # fmt: skip
    canvas = Canvas(f"residuals{index}", page, x, y)
    canvas.line([x.low, x.high], [0.0, 0.0], "zero")
    tips = [
        f"{short(name, 60)}: {signed_percent(r)}"
        for name, r in zip(columns["name"], columns["percent"].tolist(), strict=True)
    ]
    canvas.dots(columns["C"], columns["percent"], "fit", tips if index == 0 else [])
    described = f"Residuals of {short(law, 60)} on {columns['C'].size} fitted runs, in percent."
    return canvas.render(f"Residuals of {short(law, 60)} against compute", described)


def _contour_labels(
    canvas: Canvas, contours: list[dict[str, Any]], taken: list[tuple[float, float]]
) -> None:
    """Write each level where its curve leaves the page, unless another label is there.

    ``taken`` holds the right ends of labels already written.
    """
    for contour in contours:
        px = np.concatenate([canvas.x(line[:, 0]) for line in contour["lines"]])
        py = np.concatenate([canvas.y(line[:, 1]) for line in contour["lines"]])
        last = int(np.argmax(px))
        x, y = float(px[last]) - 5, float(py[last]) - 4
        free = all(abs(x - u) > 40 or abs(y - v) > 14 for u, v in taken)
        if free and canvas.inside(x - 30, y - 10) and canvas.inside(x, y):
            canvas.text(x, y, significant(contour["level"], 3), anchor="end", class_="label level")
            taken.append((x, y))


def _star(px: float, py: float, tip: str) -> Markup:
    turns = [math.pi * k / 5 - math.pi / 2 for k in range(10)]
    radii = [9.0 if k % 2 == 0 else 3.8 for k in range(10)]
    points = [
        f"{coordinate(px + r * math.cos(a))} {coordinate(py + r * math.sin(a))}"
        for a, r in zip(turns, radii, strict=True)
    ]
    return tag("path", tag("title", tip), d="M" + "L".join(points) + "Z", class_="best")


def _marker(plane: str) -> Markup:
    """Where the what-if control puts its mark; the script moves it."""
    return tag("circle", class_="whatif-mark", data_plane=plane, r=6.0, cx=0.0, cy=0.0)


def _columns(part: dict[str, Any]) -> list[tuple[Any, ...]]:
    return list(zip(*(part[k] for k in ("name", "N", "D", "C", "loss", "predicted")), strict=True))


def _tips(part: dict[str, Any], *, sizes: bool = False) -> list[str]:
    """Say what the axes do not: the loss in the plane of N and D, the sizes elsewhere."""
    return [
        f"{short(name, 60)}: "
        + (f"N {count(n)}, D {count(d)}" if sizes else f"loss {significant(v)}")
        for name, n, d, _, v, _ in _columns(part)
    ]


def _banded(name: str, path: dict[str, Any]) -> str:
    band = level({"level": path["level"]})
    return f"{name}, {band} band" if band else name

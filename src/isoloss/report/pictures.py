"""The report's figures as SVG files that stand alone: for a README, a slide, an issue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from isoloss.report.charts import (
    backtest_figures,
    forecast_figure,
    influence_figure,
    price_figure,
    weights_figure,
)
from isoloss.report.planes import fan_figure, isoloss_figure, residuals_figure

_FIGURES = {
    "isoloss": isoloss_figure,
    "fan": fan_figure,
    "forecast": forecast_figure,
    "weights": weights_figure,
    "residuals": residuals_figure,
    "backtest": backtest_figures,
    "influence": influence_figure,
    "price": price_figure,
}
_DRAWING = re.compile(
    r'<svg viewBox="0 0 (\d+) (\d+)" (class="plot wide"[^>]*)>(.*?)</svg>', re.DOTALL
)
_HEADING = re.compile(r"<h3>(.*?)</h3>", re.DOTALL)
_ENTRY = re.compile(r'<li><svg [^>]*class="(swatch[^"]*)"[^>]*>(.*?)</svg>(.*?)</li>', re.DOTALL)
_HEAD = 30


def render_figures(study: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures of a study as SVG text by name; those without data are left out.

    They are the drawings of the report with its title, legend and style put inside, and follow
    the reader's light or dark setting like it.

    Examples
    --------
    >>> render_figures({"schema": 1})
    {}
    """
    style = files("isoloss.report").joinpath("report.css").read_text(encoding="utf8")
    found = {}
    for name, make in _FIGURES.items():
        page = str(make(study))
        drawing = _DRAWING.search(page)
        if drawing is not None:
            found[name] = _alone(page, drawing, style)
    return found


def _alone(page: str, drawing: re.Match[str], style: str) -> str:
    width, height = int(drawing[1]), int(drawing[2])
    heading = _HEADING.search(page)
    title = heading[1] if heading else ""
    # Width of a character is estimated: a file on its own cannot ask the renderer.
    x, y, parts = 64.0, _HEAD + 10, []
    for class_, shape, words in _ENTRY.findall(page[: drawing.start()]):
        length = 30 + 6.4 * len(words)
        if x > 64 and x + length > width:
            x, y = 64.0, y + 18
        parts.append(
            f'<g transform="translate({x:.0f} {y - 9:.0f})" class="{class_}">{shape}</g>'
            f'<text x="{x + 27:.0f}" y="{y:.0f}" class="name">{words}</text>'
        )
        x += length + 14
    top = y + 10 if parts else _HEAD
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + top:.0f}" '
        f'width="{width}" height="{height + top:.0f}" {drawing[3]}>\n'
        f"<style><![CDATA[\n{style}]]></style>\n"
        f'<rect width="100%" height="100%" fill="var(--paper)"/>\n'
        f'<text x="64" y="20" class="label strong">{title}</text>\n'
        f'{"".join(parts)}\n<g transform="translate(0 {top:.0f})">{drawing[4]}</g>\n</svg>\n'
    )

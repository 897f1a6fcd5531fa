"""Training curves, with what laws forecast of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import InputError
from isoloss.plot.canvas import CYCLE
from isoloss.plot.gallery.style import finish, label_right, legend, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.fit.curves import CurveForecast, RunWatch
    from isoloss.runs.curve import Curve

_MOST, _LONGEST = 300, 26
_TOP = 0.7
"""Share of all points that fit: the first steep part of curves goes out of the picture."""


def curves_series(curves: Sequence[Curve], forecasts: Sequence[CurveForecast]) -> dict[str, Any]:
    """Numbers of the picture: points of each curve, lines and bands of each forecast.

    Returns
    -------
    dict
        ``curves`` and ``forecasts``: lists of ``name``, ``step``, ``loss`` and, of forecasts,
        ``low`` and ``high``; ``limits``: least and largest loss shown.
    """
    thin = [c.thinned(_MOST) for c in curves]
    drawn: list[dict[str, Any]] = [{"name": c.name, "step": c.step, "loss": c.loss} for c in thin]
    lines: list[dict[str, Any]] = [
        {"name": f.name, "step": f.step, "loss": f.loss, "low": f.low, "high": f.high}
        for f in forecasts
    ]
    everything = drawn + lines
    if not everything:
        raise InputError("curves: none to draw")
    low = min(float(one["loss"].min()) for one in everything)
    low = min([low, *(float(line["low"][-1]) for line in lines)])
    high = max(float(np.quantile(one["loss"], _TOP + 0.2)) for one in everything)
    return {"curves": drawn, "forecasts": lines, "limits": (low, high)}


def draw_curves(
    curves: Sequence[Curve], forecasts: Sequence[CurveForecast], *, ax: Axes | None = None
) -> Axes:
    """Draw measured curves in grey, forecasts in colour with their intervals.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        When there is nothing to draw.
    MissingExtra
        Without matplotlib.
    """
    series = curves_series(curves, forecasts)
    ax = panel(ax)
    for one in series["curves"]:
        ax.plot(one["step"], one["loss"], color="0.65", linewidth=0.8, zorder=1)
    labels = []
    for i, line in enumerate(series["forecasts"]):
        colour = CYCLE[i % len(CYCLE)]
        ax.fill_between(line["step"], line["low"], line["high"], color=colour, alpha=0.15, lw=0)
        ax.plot(line["step"], line["loss"], color=colour, linewidth=1.1, zorder=2)
        # A long path would leave no room for the picture.
        name = line["name"].rpartition("/")[2][-_LONGEST:]
        labels.append((float(line["loss"][-1]), name, colour))
    low, high = series["limits"]
    margin = 0.06 * (high - low)
    ax.set_ylim(low - margin, high + margin)
    finish(ax, "curves (grey) and forecasts", "step", "loss")
    label_right(ax, labels)
    return ax


def draw_watch(curve: Curve, found: RunWatch, *, ax: Axes | None = None) -> Axes:
    """Draw a run so far, the curve it is expected to follow, and where it will end.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    thin = curve.thinned(_MOST)
    ax.plot(thin.step, thin.loss, color="0.6", linewidth=0.9, label="logged")
    ax.plot(found.step, found.expected, color=CYCLE[0], linewidth=1.1, label="expected")
    seen = found.done * float(found.step[-1])
    if thin.step[-1] > 1.001 * seen:
        # Of a run that is over: what the forecast was made from ends here.
        ax.axvline(seen, color="0.6", linewidth=0.8, linestyle=":")
    end, low, high = found.final_loss, found.final.low, found.final.high
    ax.errorbar(
        [found.step[-1]], [end], yerr=[[end - low], [high - end]], fmt="o", color=CYCLE[0],
        markersize=3, capsize=2,
    )  # fmt: skip
    top = float(np.quantile(thin.loss, _TOP + 0.2))
    bottom = min(low, float(thin.loss.min()))
    margin = 0.06 * (top - bottom)
    ax.set_ylim(bottom - margin, top + margin)
    legend(ax)
    return finish(ax, f"{found.name[-40:]}: {found.verdict}", "step", "loss")

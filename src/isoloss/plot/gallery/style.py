"""Panels at the width of a printed column: sizes, decades, labels at the ends of lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TEXT, SMALL = 8, 7
"""Points, of labels and of what is written beside lines."""
_WIDTH, _HEIGHT = 3.35, 2.75
"""Inches of a panel: one column of a paper with two."""


def panels(count: int) -> list[Axes]:
    """Return axes side by side on a new figure that belongs to no window."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot") from error
    figure = Figure(figsize=(_WIDTH * count, _HEIGHT), layout="constrained")
    return list(figure.subplots(1, count, squeeze=False)[0])


def panel(ax: Axes | None) -> Axes:
    """Return the axes given, or new ones of a column's width."""
    return panels(1)[0] if ax is None else ax


def finish(ax: Axes, title: str, x: str, y: str, *, pad: float = 6) -> Axes:
    """Write title and labels, and take away what carries nothing."""
    ax.set_title(title, fontsize=TEXT, loc="left", pad=pad)
    ax.set_xlabel(x, fontsize=TEXT)
    ax.set_ylabel(y, fontsize=TEXT)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def decades(ax: Axes, *, x: Sequence[float] = (), y: Sequence[float] = ()) -> None:
    """Make axes logarithmic over a range: a label a decade, or at 1, 2 and 5 of a short one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis, ends, set_scale, set_limits in (
        (ax.xaxis, x, ax.set_xscale, ax.set_xlim),
        (ax.yaxis, y, ax.set_yscale, ax.set_ylim),
    ):
        if not len(ends):
            continue
        set_scale("log")
        set_limits(*ends)
        wide = np.log10(ends[1] / ends[0])
        if wide < 1.7:
            axis.set_major_locator(LogLocator(base=10.0, subs=(1.0, 2.0, 5.0), numticks=20))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            axis.set_major_locator(LogLocator(base=10.0 ** max(1, np.ceil(wide / 7)), numticks=20))
        # Over many decades the ticks between them would be a grey bar.
        fine = tuple(range(2, 10)) if wide < 5 else (1.0,)
        axis.set_minor_locator(LogLocator(base=10.0, subs=fine, numticks=100))
        axis.set_minor_formatter(NullFormatter())


def label_right(ax: Axes, labels: Sequence[tuple[float, str, str]], *, gap: float = 0.075) -> None:
    """Write text right of the axes at the heights of the ends of lines, none over another.

    Parameters
    ----------
    labels
        Height in the units of the axis, text, colour.
    gap
        Least distance of two texts, as a share of the height of the axes.
    """
    inside = ax.transAxes.inverted()
    at = [float(inside.transform(ax.transData.transform((1.0, y)))[1]) for y, _, _ in labels]
    places = apart(np.clip(np.array(at), 0.0, 1.0), gap)
    for place, (_, text, colour) in zip(places, labels, strict=True):
        ax.text(
            1.015, place, text, color=colour, fontsize=SMALL, va="center", transform=ax.transAxes
        )


def apart(places: Array, gap: float) -> Array:
    """Move places as little as needed until neighbours are a gap apart, in their order.

    Examples
    --------
    >>> apart(np.array([0.5, 0.5, 0.9]), 0.1).round(2).tolist()
    [0.45, 0.55, 0.9]
    """
    order = np.argsort(places, kind="stable")
    # Groups that touch are set around their mean, as rows of equal gaps.
    groups: list[list[int]] = []
    centres: list[float] = []
    for i in order.tolist():
        groups.append([i])
        centres.append(float(places[i]))
        while len(groups) > 1:
            reach = gap * (len(groups[-1]) + len(groups[-2])) / 2
            if centres[-1] - centres[-2] >= reach - 1e-12:
                break
            last = groups.pop()
            centres.pop()
            groups[-1] += last
            centres[-1] = float(np.mean(places[groups[-1]]))
    found = np.empty(len(places))
    for group, centre in zip(groups, centres, strict=True):
        found[group] = centre + gap * (np.arange(len(group)) - (len(group) - 1) / 2)
    return found


def simulated(ax: Axes, points: Any, x: str, colour: str) -> None:
    """Draw means of draws with two standard errors."""
    if points is None or not points[x].size:
        return
    ax.errorbar(
        points[x], points["mean"], yerr=2 * points["sem"], fmt="o", color=colour, markersize=2.6,
        elinewidth=0.8, capsize=1.5, capthick=0.8, zorder=3,
    )  # fmt: skip


def legend(ax: Axes, **words: Any) -> None:
    """Draw a legend without a frame in the size of small text."""
    ax.legend(frameon=False, fontsize=SMALL, handlelength=1.8, labelspacing=0.3, **words)

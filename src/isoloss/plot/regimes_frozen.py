"""The regimes of scaling on frozen features: three panels a target, measured and predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import InputError, MissingExtra
from isoloss.plot.canvas import BLUE, VERMILLION
from isoloss.plot.gallery.style import SMALL, decades, finish, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = (
    ("variance-limited", "Variance-limited", "excess"),
    ("resolution-limited", "Resolution-limited", "loss"),
    ("descent", "Through the peak", "loss"),
)
_NUMBERS = ("fixed", "x", "loss", "sem", "predicted", "excess", "excess_predicted")
_LOOKS = {"D": (BLUE, "o"), "P": (VERMILLION, "s")}


def regimes_frozen_series(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], Any]:
    """Numbers of the panels from rows of ``frozen-features.csv``.

    Parameters
    ----------
    rows
        One a point, with ``target``, ``regime``, ``axis`` and the numbers ``fixed``, ``x``,
        ``loss``, ``sem``, ``predicted``, ``excess``, ``excess_predicted``; texts of numbers will
        do.

    Returns
    -------
    dict
        By target, regime and axis: arrays by those names, in order of x.

    Raises
    ------
    InputError
        If a row lacks a field or holds no number there.

    Examples
    --------
    >>> row = {"target": "labels", "regime": "descent", "axis": "D", "fixed": 8, "x": "16"}
    >>> row |= dict.fromkeys(("loss", "sem", "predicted", "excess", "excess_predicted"), 0.5)
    >>> regimes_frozen_series([row])["labels", "descent", "D"]["x"].tolist()
    [16.0]
    """
    found: dict[tuple[str, str, str], list[list[float]]] = {}
    for number, row in enumerate(rows):
        try:
            key = (str(row["target"]), str(row["regime"]), str(row["axis"]))
            values = [float(row[name]) for name in _NUMBERS]
        except KeyError as error:
            raise InputError(f"rows[{number}]: no field {error.args[0]!r}") from None
        except (TypeError, ValueError):
            raise InputError(f"rows[{number}]: one of {', '.join(_NUMBERS)} is no number") from None
        found.setdefault(key, []).append(values)
    series = {}
    for key, points in found.items():
        table = np.array(sorted(points, key=lambda v: v[1]))
        series[key] = dict(zip(_NUMBERS, table.T, strict=True))
    return series


def draw_regimes_frozen(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> Axes:
    """Draw the curves of one set of features: a row of three panels for each target.

    Points are measured, with two standard errors where losses are shown; lines are predicted from
    the spectrum. Variance-limited curves show the loss above its floor, with lines of slope one.

    Returns
    -------
    matplotlib.axes.Axes
        The first panel.

    Raises
    ------
    InputError
        If there are no rows, or a row lacks a field.
    MissingExtra
        Without matplotlib.
    """
    series = regimes_frozen_series(rows)
    if not series:
        raise InputError("rows: none to draw")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot") from error
    targets = list(dict.fromkeys(key[0] for key in series))
    figure = Figure(figsize=(9.6, 2.7 * len(targets)), layout="constrained")
    axes = figure.subplots(len(targets), len(_PANELS), squeeze=False)
    for line, target in zip(axes, targets, strict=True):
        for ax, (regime, words, what) in zip(line, _PANELS, strict=True):
            curves = {a: series.get((target, regime, a)) for a in _LOOKS}
            name = f"{title + ': ' if title else ''}{target}"
            _panel(ax, curves, what, f"{words}, {name}")
    first: Axes = axes[0, 0]
    return first


def _panel(ax: Axes, curves: Mapping[str, Any], what: str, title: str) -> None:
    heights, widths = [], []
    for axis, curve in curves.items():
        if curve is None:
            continue
        colour, mark = _LOOKS[axis]
        other = "P" if axis == "D" else "D"
        fixed = curve["fixed"][0]
        held = f"{other} = {fixed:g}" if np.isfinite(fixed) else "all features"
        label = f"over {axis}, {held}"
        y = curve[what]
        line = curve["excess_predicted" if what == "excess" else "predicted"]
        good = y > 0
        if what == "excess":
            ax.plot(curve["x"][good], y[good], mark, color=colour, markersize=3.2, label=label)
        else:
            ax.errorbar(
                curve["x"], y, yerr=2 * curve["sem"], fmt=mark, color=colour, markersize=3,
                elinewidth=0.8, capsize=1.5, label=label, zorder=3,
            )  # fmt: skip
        usable = np.isfinite(line) & (line > 0)
        # Nothing is drawn across the peak, where losses without a ridge have no mean.
        for part in _sides(curve["x"], fixed if what == "loss" else np.inf):
            use = usable & part
            ax.plot(curve["x"][use], line[use], color=colour, linewidth=1.2)
        heights += [y[good], line[usable]]
        widths.append(curve["x"])
    if not heights:
        ax.set_axis_off()
        return
    every, along = np.concatenate(heights), np.concatenate(widths)
    if what == "excess":
        _guide(ax, along, every)
    decades(ax, x=(along.min() / 1.2, along.max() * 1.2), y=(every.min() / 1.5, every.max() * 1.5))
    legend(ax, loc="best")
    finish(ax, title, "samples $D$, features $P$",
           "loss above its floor" if what == "excess" else "squared error")  # fmt: skip


def _sides(x: Any, peak: float) -> list[Any]:
    if not np.isfinite(peak) or not (x.min() < peak < x.max()):
        return [np.ones(x.shape, dtype=bool)]
    return [x < peak, x > peak]


def _guide(ax: Axes, x: Any, y: Any) -> None:
    """Draw a thin line of slope minus one below the points."""
    ends = np.array([x.min(), x.max()])
    height = np.exp(np.log(y).mean() + np.log(x).mean()) / 2
    ax.plot(ends, height / ends, color="0.6", linewidth=0.7, linestyle=":")
    ax.text(ends[0], 0.7 * height / ends[0], "slope $-1$", fontsize=SMALL, color="0.5", va="top")

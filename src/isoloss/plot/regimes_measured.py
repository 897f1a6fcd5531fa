"""The four scaling regimes as trained networks show them: losses, fitted powers, exponents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import InputError
from isoloss.plot.canvas import CYCLE, log_axes, new_axes
from isoloss.sweep.regime_lines import RegimeLine, regime_line

__all__ = [
    "RegimeLine", "draw_regime", "draw_regimes_measured", "regime_figures", "regime_line",
    "regime_series",
]  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from isoloss.sweep.regimes import Regimes


_COLOURS = (*CYCLE, "0.25", "#8C6D31")
"""As many as a panel has lines."""


def regime_series(lines: Sequence[RegimeLine]) -> list[dict[str, Any]]:
    """Numbers of one panel.

    Returns
    -------
    list of dict
        For each line ``label`` (with exponent and interval), ``x``, ``y`` (mean over seeds of the
        loss above the limit or floor; x where it is not positive are left out), ``error``
        (standard error of the mean, NaN for one seed), ``used`` (whether x is in the range of the
        fit), ``fit_x``, ``fit_y``.
    """
    found = []
    for line in lines:
        e = line.exponent
        above = line.loss - (e.floor if line.limit is None else line.limit)
        at = np.unique(line.x)
        groups = [above[line.x == x] for x in at]
        y = np.array([g.mean() for g in groups])
        error = np.array([g.std(ddof=1) / len(g) ** 0.5 if len(g) > 1 else np.nan for g in groups])
        keep = y > 0
        theory = "" if line.expected is None else f", theory {line.expected:.2f}"
        said = f"{e.value:.2f} [{e.interval.low:.2f}, {e.interval.high:.2f}]{theory}"
        fit_x = np.geomspace(e.low, e.high, 50)
        found.append(
            {
                "label": f"{line.label}: {said}" if line.label else said,
                "x": at[keep],
                "y": y[keep],
                "error": error[keep],
                "used": (at >= e.low)[keep] & (at <= e.high)[keep],
                "fit_x": fit_x,
                "fit_y": e.amplitude * fit_x**-e.value,
            }
        )
    return found


def draw_regime(
    lines: Sequence[RegimeLine], *, x: str, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw one panel: means with two standard errors, hollow outside the fitted range.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    for i, line in enumerate(regime_series(lines)):
        colour = _COLOURS[i % len(_COLOURS)]
        error = np.minimum(2 * np.nan_to_num(line["error"]), 0.9 * line["y"])
        ax.errorbar(line["x"], line["y"], yerr=error, fmt="none", ecolor=colour, linewidth=0.8)
        for part, face in ((line["used"], colour), (~line["used"], "white")):
            ax.plot(
                line["x"][part], line["y"][part], "o", color=colour, markersize=4,
                markerfacecolor=face,
            )  # fmt: skip
        ax.plot(line["fit_x"], line["fit_y"], "-", color=colour, linewidth=1.2, label=line["label"])
    log_axes(ax, x=True, y=True)
    _number_ticks(ax)
    ax.set_xlabel(x)
    measured = any(line.limit is not None or line.exponent.floor > 0 for line in lines)
    ax.set_ylabel("loss above its limit" if measured else "loss")
    ax.set_title(title, fontsize=9, loc="left")
    if lines:
        short = max(len(line.label) for line in lines) < 12
        # Below the panel: within, it would hide points of some line.
        ax.legend(
            fontsize=6.5, frameon=False, loc="upper left", bbox_to_anchor=(-0.12, -0.16),
            ncols=2 if len(lines) > 3 and short else 1, columnspacing=1.0, handlelength=1.2,
        )  # fmt: skip
    return ax


def _number_ticks(ax: Axes) -> None:
    """Label 1, 2 and 5 of each decade as plain numbers where the x axis spans few decades."""
    low, high = ax.get_xlim()
    # Matplotlib would label every minor tick of a short log axis, one over the other.
    if ax.get_xscale() == "log" and high < 300 * low:
        ticks = [m * 10.0**k for k in range(-12, 19) for m in (1, 2, 5)]
        shown = [t for t in ticks if low <= t <= high]
        ax.set_xticks(shown, labels=[f"{t:g}" for t in shown])
        ax.set_xticks([], minor=True)
        ax.set_xlim(low, high)


def draw_regimes_measured(panels: Mapping[str, tuple[str, Sequence[RegimeLine]]]) -> Figure:
    """Draw up to four panels: title to (name of the x axis, lines).

    Raises
    ------
    InputError
        For more than four panels.
    MissingExtra
        Without matplotlib.
    """
    if not 1 <= len(panels) <= 4:
        raise InputError(f"panels: {len(panels)} are given; from 1 to 4 can be drawn")
    first = new_axes(None)
    figure = first.get_figure(root=True)
    assert figure is not None
    figure.clear()
    rows, columns = (1, len(panels)) if len(panels) < 3 else (2, 2)
    figure.set_size_inches(4.6 * columns, 4.4 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, (title, (x, lines)) in zip(axes, panels.items(), strict=False):
        draw_regime(lines, x=x, title=title, ax=ax)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    return figure


def regime_figures(found: Regimes) -> dict[str, Axes]:
    """Draw what tables of the measured regimes show: figures by name, one a subject.

    Parameters
    ----------
    found
        Of `isoloss.sweep.regimes.read_regimes`; subjects without runs are left out.

    Returns
    -------
    dict
        The first axes of each figure.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    figures: dict[str, Axes] = {}
    for name, panels in _PANELS.items():
        drawn: dict[str, tuple[str, list[RegimeLine]]] = {}
        for title, (experiment, law, word) in panels.items():
            mine = [
                r for r in found.readings
                if (r.experiment, r.law) == (experiment, law) and word in r.group
                # A fit that does not close would be drawn as if it said something.
                and r.line.exponent.closed
            ]  # fmt: skip
            if mine:
                drawn[title] = (_AXES[mine[0].along], [r.line for r in mine])
        if drawn:
            figures[name] = draw_regimes_measured(drawn).axes[0]
    if found.curves:
        figures["widths"] = _draw_widths(found)
    return figures


_AXES = {"D": "training examples $D$", "N": "parameters $N$", "width": "width"}

_PANELS: dict[str, dict[str, tuple[str, str, str]]] = {
    "variance": {
        "Variance-limited in data": ("variance-data", "limit", ""),
        "Variance-limited in width": ("variance-width", "mean", ""),
    },
    "teachers": {
        "Resolution-limited in data, teachers": ("teacher-data", "power", ""),
        "Resolution-limited in size, teachers": ("teacher-size", "power", ""),
    },
    "images": {
        "Resolution-limited in data": ("images-data", "power", ""),
        "Resolution-limited in size": ("images-size", "power", ""),
    },
    "aspect": {
        "Aspect ratio, MNIST-1D": ("aspect", "power", "mnist1d"),
        "Aspect ratio, Fashion-MNIST": ("aspect", "power", "fashion"),
    },
}
"""Figure, panel: experiment, law, and a word that the runs' name holds."""


def _draw_widths(found: Regimes) -> Axes:
    """Draw learning curves by width, a panel for each data set."""
    rows = found.rows["width-curves"]
    sets = list(dict.fromkeys(row["spec"]["data"]["name"] for row in rows))
    first = new_axes(None)
    figure = first.get_figure(root=True)
    assert figure is not None
    figure.clear()
    figure.set_size_inches(4.6 * len(sets), 3.8)
    axes = figure.subplots(1, len(sets), squeeze=False).ravel()
    for ax, data in zip(axes, sets, strict=True):
        mine = [row for row in rows if row["spec"]["data"]["name"] == data]
        widths = sorted({row["spec"]["model"]["width"] for row in mine})
        for i, width in enumerate(widths):
            curves = [row["curve"] for row in mine if row["spec"]["model"]["width"] == width]
            steps = [point[0] for point in curves[0]]
            loss = np.mean([[point[2] for point in curve] for curve in curves], axis=0)
            ax.plot(
                steps,
                loss,
                color=_COLOURS[i % len(_COLOURS)],
                linewidth=1.2,
                label=f"width {width}",
            )
        log_axes(ax, x=True, y=True)
        _number_ticks(ax)
        ax.set_xlabel("step")
        ax.set_ylabel("validation loss")
        ax.set_title(f"{data}, mean over seeds", fontsize=9, loc="left")
        ax.legend(fontsize=6.5, frameon=False)
    top: Axes = axes[0]
    return top

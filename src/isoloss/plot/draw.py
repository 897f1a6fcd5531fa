"""Matplotlib pictures of a study, each thin over its ``*_series`` function.

Every function draws on ``ax`` or, without one, on a new `matplotlib.figure.Figure` that belongs
to no window system: nothing is shown, no global style is changed. ``ax.figure.savefig(path)``
writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.access import mapping, text
from isoloss.plot.canvas import (
    BLUE,
    CYCLE,
    GREEN,
    VERMILLION,
    log_axes,
    new_axes,
)
from isoloss.plot.series import (
    Study,
    backtest_series,
    fan_series,
    influence_series,
    isoloss_series,
    residuals_series,
    weights_series,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_isoloss(study: Study, *, ax: Axes | None = None) -> Axes:
    """Draw curves of equal loss over N and D, with the runs, the optimal path and the budget.

    Returns
    -------
    matplotlib.axes.Axes
        Log-log axes, N across and D up.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    series = isoloss_series(study)
    for contour in series["contours"]:
        for line in contour["lines"]:
            ax.plot(line[:, 0], line[:, 1], color="0.7", linewidth=0.8, zorder=1)
        end = max(contour["lines"], key=lambda line: line[:, 0].max())
        at = end[int(np.argmax(end[:, 0]))]
        ax.annotate(f"{contour['level']:g}", (at[0], at[1]), color="0.45", fontsize=7, ha="right")
    if series["budget_line"]["N"].size:
        line = series["budget_line"]
        ax.plot(line["N"], line["D"], color=VERMILLION, linewidth=1, linestyle=(0, (5, 3)))
    path = series["path"]
    ax.fill(
        np.concatenate([path["N_low"], path["N_high"][::-1]]),
        np.concatenate([path["D_high"], path["D_low"][::-1]]),
        color=GREEN,
        alpha=0.18,
        linewidth=0,
    )
    ax.plot(path["N_opt"], path["D_opt"], color=GREEN, label="compute-optimal path")
    _runs(ax, series, "N", "D")
    best = series["optimum"]
    if best["N"] > 0 and best["D"] > 0:
        ax.plot([best["N"]], [best["D"]], "*", color=VERMILLION, markersize=13, label="optimum")
    log_axes(ax, x=True, y=True)
    ax.set_xlabel(_label(study, "N", "N"))
    ax.set_ylabel(_label(study, "D", "D"))
    return _legend(ax)


def draw_fan(study: Study, *, ax: Axes | None = None) -> Axes:
    """Draw loss against compute: runs, the optimal frontier with its band, the target.

    Returns
    -------
    matplotlib.axes.Axes
        Log-log axes, C across and loss up.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    series = fan_series(study)
    path, target = series["path"], series["target"]
    ax.fill_between(path["C"], path["L_low"], path["L_high"], color=GREEN, alpha=0.18, linewidth=0)
    ax.plot(path["C"], path["L_opt"], color=GREEN, label="compute-optimal frontier")
    _runs(ax, series, "C", "loss")
    if target["C"] > 0 and target["loss"] > 0:
        bars = np.array([[target["loss"] - target["low"]], [target["high"] - target["loss"]]])
        ax.errorbar(
            [target["C"]],
            [target["loss"]],
            yerr=np.clip(bars, 0, None) if np.isfinite(bars).all() else None,
            fmt="*",
            color=VERMILLION,
            markersize=13,
            label="budget",
        )
    log_axes(ax, x=True, y=True)
    ax.set_xlabel(_label(study, "C", "compute, FLOPs"))
    ax.set_ylabel(_label(study, "loss", "loss"))
    return _legend(ax)


def draw_residuals(study: Study, *, law: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw measured over fitted loss in percent against compute, for one law.

    Parameters
    ----------
    law
        Name of a law of the study; the default law when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    series = residuals_series(study)
    name = law if law is not None else next(iter(series), "")
    ax.axhline(0, color="0.6", linewidth=0.8)
    if name in series:
        ax.plot(series[name]["C"], series[name]["percent"], "o", color=BLUE, markersize=4)
    log_axes(ax, x=bool(series))
    ax.set_title(name)
    ax.set_xlabel(_label(study, "C", "compute, FLOPs"))
    ax.set_ylabel("measured over fitted, %")
    return ax


def draw_backtest(study: Study, *, ax: Axes | None = None) -> Axes:
    """Draw forecast against measured loss of the runs each back-test cut held out.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    series = backtest_series(study)
    both = np.concatenate([series["loss"], series["predicted"]])
    if both.size:
        ends = [both.min(), both.max()]
        ax.plot(ends, ends, color="0.6", linewidth=0.8, label="perfect forecast")
    for k, cut in enumerate(np.unique(series["cut"][np.isfinite(series["cut"])]).tolist()):
        mine = series["cut"] == cut
        colour = CYCLE[k % len(CYCLE)]
        label = f"cut {int(cut) + 1}"
        ax.plot(series["predicted"][mine], series["loss"][mine], "o", color=colour, label=label)
    ax.set_xlabel("forecast loss")
    ax.set_ylabel("measured loss")
    return _legend(ax)


def draw_influence(study: Study, *, ax: Axes | None = None) -> Axes:
    """Draw how N* moves when one run is left out, the most influential runs first.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    series = influence_series(study)
    place = np.arange(len(series["name"]))
    colours = [VERMILLION if flag else BLUE for flag in series["flagged"]]
    ax.barh(place, 100 * (series["N_opt_ratio"] - 1), color=colours)
    ax.set_yticks(place, [_plain(name) for name in series["name"]])
    ax.invert_yaxis()
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set_xlabel("change of N* without the run, %")
    return ax


def draw_weights(study: Study, *, ax: Axes | None = None) -> Axes:
    """Draw the weight of each law.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    series = weights_series(study)
    place = np.arange(len(series["law"]))
    ax.barh(place, series["weight"], color=BLUE)
    ax.set_yticks(place, [_plain(name) for name in series["law"]])
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel("weight from back-test error")
    return ax


def _runs(ax: Axes, series: dict[str, Any], x: str, y: str) -> None:
    fit, held = series["fit"], series["held_out"]
    ax.plot(fit[x], fit[y], "o", color=BLUE, markersize=4, alpha=0.8, label="fitted runs")
    if held[x].size:
        ax.plot(held[x], held[y], "D", color=VERMILLION, mfc="none", ms=6, label="held out")


def _legend(ax: Axes) -> Axes:
    if ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, fontsize=8)
    return ax


def _label(study: Study, axis: str, fallback: str) -> str:
    meaning = text(mapping(mapping(study.get("input")).get("conventions")).get(axis))
    if not meaning:
        return fallback
    return _plain(f"{fallback} ({meaning})" if axis in {"loss", "C"} else f"{axis}, {meaning}")


def _plain(label: str) -> str:
    """Matplotlib reads text between dollars as mathematics; a run's name is not."""
    return label.replace("$", r"\$")

"""The picture of three sweeps: images over D, text over C, teachers by dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import MissingExtra
from isoloss.plot.canvas import BLUE, CYCLE, GREEN, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_panels(answers: Mapping[str, Any]) -> Figure:
    """Draw what `isoloss.sweep.panels` found, three axes side by side.

    Parameters
    ----------
    answers
        Its dictionary; any of ``images``, ``text`` and ``teachers`` may be missing.

    Returns
    -------
    matplotlib.figure.Figure
        Belongs to no window; ``savefig`` writes it.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot") from error
    given = [name for name in ("images", "text", "teachers") if answers.get(name)]
    figure = Figure(figsize=(4.9 * len(given), 4.3), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(given)))
    for ax, name in zip(axes, given, strict=True):
        if name == "images":
            _images(ax, answers[name])
        elif name == "text":
            _text(ax, answers[name])
        else:
            _teachers(ax, answers[name])
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.spines[["top", "right"]].set_visible(False)
        _plain_ticks(ax)
    if "text" in given:
        figure.supxlabel("\n".join(wrap(answers["text"]["sentence"], 170)), fontsize=7.5)
    return figure


def _images(ax: Axes, found: Mapping[str, Any]) -> None:
    points, shown = found["points"], found["shown"]
    last = found["shown_up_to"]
    x, y, error = (np.array([p[k] for p in points]) for k in ("x", "loss", "error"))
    for part, colour, label in (
        (x <= last, BLUE, "mean over seeds, fitted"),
        (x > last, VERMILLION, "held out"),
    ):
        ax.errorbar(
            x[part], y[part], yerr=np.nan_to_num(error[part]), fmt="o", ms=4.5, lw=1,
            color=colour, label=label, zorder=3,
        )  # fmt: skip
    grid = np.geomspace(x.min(), x.max() * 1.2, 200)
    ax.plot(grid, _power(shown["parameters"], grid), color=BLUE, lw=1.2, label="fit, extrapolated")
    for held in found["held_out"]:
        band = held["interval"]
        ax.fill_between(
            [held["x"] * 0.93, held["x"] * 1.07], band["low"], band["high"],
            color=BLUE, alpha=0.18, lw=0,
        )  # fmt: skip
    b = shown["intervals"]["alpha"]
    ax.set_title(
        f"Images: exponent {shown['parameters']['alpha']:.2f} [{b['low']:.2f}, {b['high']:.2f}],\n"
        f"beyond: {_errors(found['held_out'])}",
        fontsize=9,
    )
    ax.set_xlabel("training images D")
    ax.set_ylabel("test loss")
    ax.legend(fontsize=7.5, frameon=False)


def _text(ax: Axes, found: Mapping[str, Any]) -> None:
    sizes = found["sizes"]
    for i, size in enumerate(sizes):
        C, loss = np.array(size["C"]), np.array(size["loss"])
        colour = _shade(i, len(sizes))
        ax.plot(C, loss, "o", ms=3, color=colour)
        each = np.unique(C)
        mean = np.array([loss[c == C].mean() for c in each])
        ax.plot(each, mean, lw=0.9, color=colour)
        ax.annotate(
            f"{size['N']:,.0f}", (each[-1], mean[-1]), xytext=(4, -1),
            textcoords="offset points", fontsize=6.5, color=colour,
        )  # fmt: skip
    frontier = found["frontier"]["points"]
    ax.plot(
        frontier["C"], frontier["loss"], color=GREEN, lw=2.2, alpha=0.6, zorder=1, label="frontier"
    )
    law = found["N_law"]
    alpha = law["intervals"]["alpha"]
    ax.set_title(
        f"Text: N^-{law['parameters']['alpha']:.2f} [{alpha['low']:.2f}, {alpha['high']:.2f}] at "
        f"{law['D']:,.0f} bytes,\nlargest N held out: {_errors(found['N_held_out'])}",
        fontsize=9,
    )
    ax.set_xlabel("training FLOPs C")
    ax.set_ylabel("held-out loss, nats a byte")
    ax.legend(fontsize=7.5, frameon=False)


def _teachers(ax: Axes, found: Sequence[Mapping[str, Any]]) -> None:
    for i, one in enumerate(found):
        x, y, error = (np.array([p[k] for p in one["points"]]) for k in ("x", "loss", "error"))
        colour = CYCLE[i % len(CYCLE)]
        a = one["interval"]
        ax.errorbar(
            x, y, yerr=np.nan_to_num(error), fmt="o", ms=4, lw=1, color=colour,
            label=f"d = {one['dimension']}: {one['exponent']:.2f} "
            f"[{a['low']:.2f}, {a['high']:.2f}], 4/d = {one['four_over_d']:.2g}",
        )  # fmt: skip
        grid = np.geomspace(x.min(), one["fitted_up_to"], 50)
        ax.plot(grid, one["amplitude"] * grid ** -one["exponent"], color=colour, lw=1)
    ax.set_title(
        "Teachers: exponent of D by dimension of the inputs,\nwhere students fit their examples",
        fontsize=9,
    )
    ax.set_xlabel("training examples D")
    ax.set_ylabel("test loss")
    ax.legend(fontsize=7.5, frameon=False)


def _power(parameters: Mapping[str, float], x: Any) -> Any:
    return parameters.get("E", 0.0) + parameters["A"] * x ** -parameters["alpha"]


def _errors(tested: Sequence[Mapping[str, Any]]) -> str:
    if not tested:
        return "nothing held out"
    errors = [t["error_percent"] for t in tested]
    if len(errors) == 1:
        return f"{errors[0]:+.1f} %"
    return f"{min(errors):+.1f} to {max(errors):+.1f} %"


def _shade(i: int, count: int) -> tuple[float, float, float]:
    """Dark for the smallest size, light for the largest."""
    t = i / max(1, count - 1)
    dark, light = np.array([0.05, 0.15, 0.35]), np.array([0.45, 0.72, 0.92])
    r, g, b = dark + t * (light - dark)
    return float(r), float(g), float(b)


def _plain_ticks(ax: Axes) -> None:
    """Write numbers, not powers of ten, where an axis spans little more than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis, (low, high) in ((ax.yaxis, ax.get_ylim()), (ax.xaxis, ax.get_xlim())):
        if high / low < 30:
            axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,g}"))
            axis.set_minor_formatter(NullFormatter())

"""Recipes compared: both curves, the multiplier against compute, and many variants in rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.plot.access import text
from isoloss.plot.canvas import BLUE, VERMILLION
from isoloss.plot.gallery.style import SMALL, decades, finish, legend, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from isoloss.plan.recipes import Comparison, Comparisons

_COLOURS = {"baseline": "0.3", "recipe": BLUE}
_BEYOND = 100.0
"""Times the largest common scale that are drawn."""
_LEAST_TICKS = 4
_ROUND = (
    (1.0, 3.0),
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    (1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0),
    tuple(np.round(np.arange(1.0, 10.0, 0.1), 1).tolist()),
    tuple(np.round(np.arange(1.0, 10.0, 0.02), 2).tolist()),
)
_FARTHEST = 30.0
"""Largest factor on the axis of multipliers, either way."""


def comparison_series(comparison: Comparison) -> dict[str, Any]:
    """Return the numbers of the picture of one comparison.

    Parameters
    ----------
    comparison
        A row of `isoloss.plan.recipes.compare_recipes`.

    Returns
    -------
    dict
        Arrays ``C``, and ``baseline``, ``recipe``, ``multiplier``, each with ``_low`` and
        ``_high``; ``baseline_runs`` and ``recipe_runs``: ``C``, ``loss``; ``largest``: largest
        scale that both have runs at; ``crossing``: low, best, high, or None; ``points``: ``C``,
        ``multiplier``, ``low``, ``high`` at the scales asked for; ``names``, ``resource``,
        ``level``.
    """
    made = comparison.curves
    C = np.asarray(made["C"], dtype=np.float64)
    keep = C / made["largest"] <= 1.01 * _BEYOND
    stems = [f"{s}{e}" for s in ("baseline", "recipe", "multiplier") for e in ("", "_low", "_high")]
    found: dict[str, Any] = {n: np.asarray(made[n], dtype=np.float64)[keep] for n in stems}
    for side in ("baseline", "recipe"):
        found[f"{side}_runs"] = {
            k: np.asarray(v, dtype=np.float64) for k, v in made[f"{side}_runs"].items()
        }
    cross = comparison.crossover
    where = None
    if cross.status == "found" and cross.interval is not None:
        best = np.nan if cross.C is None else cross.C
        where = (cross.interval.low, best, cross.interval.high)
    scales = comparison.scales
    points = {
        "C": np.array([s.C for s in scales]),
        "multiplier": np.array([s.multiplier for s in scales]),
        "low": np.array([s.multiplier_interval.low for s in scales]),
        "high": np.array([s.multiplier_interval.high for s in scales]),
    }
    return found | {
        "C": C[keep],
        "largest": float(made["largest"]),
        "crossing": where,
        "points": points,
        "names": (comparison.baseline, comparison.recipe),
        "resource": comparison.resource,
        "level": comparison.look_level,
    }


def draw_comparison(comparison: Comparison, *, axes: Sequence[Axes] | None = None) -> Axes:
    """Draw both recipes' losses, and the compute multiplier against compute.

    Bands are the intervals. The field right of the runs is shaded; a vertical band is the interval
    of a crossing. Where nothing is known, the band fills the panel.

    Parameters
    ----------
    comparison
        A row of `isoloss.plan.recipes.compare_recipes`.
    axes
        Two to draw on, or one for the multiplier alone; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The panel of the multiplier.

    Raises
    ------
    InputError
        If there are no axes or more than two.
    MissingExtra
        Without matplotlib.
    """
    series = comparison_series(comparison)
    given = panels(2) if axes is None else list(axes)
    if not 1 <= len(given) <= 2:
        raise InputError(f"axes: {len(given)} were given; give one or two")
    if len(given) == 2:
        _draw_losses(given[0], series)
    _draw_multiplier(given[-1], series)
    return given[-1]


def comparisons_series(comparisons: Comparisons) -> dict[str, Any]:
    """Return the numbers of the picture of many variants, the best first.

    Returns
    -------
    dict
        ``names``; arrays ``multiplier``, ``low``, ``high``, ``p_adjusted`` and ``differs``;
        ``C``, ``resource``, ``baseline``, ``level``.
    """
    table = comparisons.to_columns()
    first = comparisons.rows[0]
    return {
        "names": table["recipe"],
        **{k: np.array(table[k]) for k in ("multiplier", "low", "high", "p_adjusted", "differs")},
        "C": first.main.C,
        "resource": first.resource,
        "baseline": comparisons.baseline,
        "level": first.look_level,
    }


def draw_comparisons(comparisons: Comparisons) -> Axes:
    """Draw the multiplier of each variant, a row each; one alone as `draw_comparison` does.

    Filled marks differ from the baseline after adjustment for how many there are.

    Returns
    -------
    matplotlib.axes.Axes
        The panel of multipliers.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    if len(comparisons.rows) == 1:
        return draw_comparison(comparisons.rows[0])
    s = comparisons_series(comparisons)
    (ax,) = panels(1)
    count = len(s["names"])
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.set_size_inches(4.4, 1.0 + 0.2 * count)
    span = _span(np.concatenate([s["low"], s["high"]]))
    low, high = np.clip(s["low"], *span), np.clip(s["high"], *span)
    for i in range(count):
        y = count - 1 - i
        colour = BLUE if s["differs"][i] else "0.55"
        ax.plot([low[i], high[i]], [y, y], color=colour, linewidth=1.3)
        ax.plot(
            [np.clip(s["multiplier"][i], *span)], [y], "o", color=colour, markersize=4,
            markerfacecolor=colour if s["differs"][i] else "white",
        )  # fmt: skip
    ax.axvline(1, color="0.3", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    decades(ax, x=span)
    _label_factors(ax.xaxis, span)
    ax.set_ylim(-0.7, count - 0.3)
    title = f"against {_short(s['baseline'])} at {s['resource']} = {s['C']:.3g}"
    finish(ax, title, f"compute multiplier, {100 * s['level']:.3g} %", "")
    ax.set_yticks(range(count), [_short(n) for n in reversed(s["names"])], fontsize=SMALL)
    return ax


def _draw_losses(ax: Axes, s: dict[str, Any]) -> None:
    for side, name in zip(("baseline", "recipe"), s["names"], strict=True):
        colour = _COLOURS[side]
        ax.fill_between(
            s["C"], s[f"{side}_low"], s[f"{side}_high"], color=colour, alpha=0.18, linewidth=0
        )
        ax.plot(s["C"], s[side], color=colour, linewidth=1.3, label=_short(name))
        runs = s[f"{side}_runs"]
        ax.plot(runs["C"], runs["loss"], "o", color=colour, markersize=2.2, alpha=0.6, linewidth=0)
    every = np.concatenate([s[f"{side}_runs"]["C"] for side in _COLOURS] + [s["C"]])
    losses = [s[f"{side}_runs"]["loss"] for side in _COLOURS]
    ends = np.concatenate([*losses, s["baseline"], s["recipe"]])
    span = (float(ends.min()) / 1.03, float(ends.max()) * 1.03)
    decades(ax, x=(every.min() / 1.3, every.max()), y=span)
    _label_factors(ax.yaxis, span)
    _beyond(ax, s)
    finish(ax, "loss", _label(s), "loss")
    legend(ax, loc="upper right")


def _draw_multiplier(ax: Axes, s: dict[str, Any]) -> None:
    span = _span(np.concatenate([s["multiplier_low"], s["multiplier_high"]]))
    ax.fill_between(
        s["C"], np.clip(s["multiplier_low"], *span), np.clip(s["multiplier_high"], *span),
        color=BLUE, alpha=0.18, linewidth=0,
    )  # fmt: skip
    ax.plot(s["C"], np.clip(s["multiplier"], *span), color=BLUE, linewidth=1.3)
    p = s["points"]
    inside = (p["C"] >= s["C"][0]) & (p["C"] <= s["C"][-1] * 1.001)
    values = {k: np.clip(p[k][inside], *span) for k in ("multiplier", "low", "high")}
    ax.errorbar(
        p["C"][inside], values["multiplier"],
        yerr=np.abs([values["multiplier"] - values["low"], values["high"] - values["multiplier"]]),
        fmt="o", color=BLUE, markersize=3, elinewidth=0.9, zorder=3,
    )  # fmt: skip
    ax.axhline(1, color="0.3", linewidth=0.8, linestyle=(0, (4, 3)))
    if s["crossing"] is not None:
        low, best, high = np.clip(s["crossing"], s["C"][0], s["C"][-1])
        ax.axvspan(low, high, color=VERMILLION, alpha=0.15, linewidth=0)
        if np.isfinite(best):
            ax.axvline(best, color=VERMILLION, linewidth=1)
        ax.annotate(
            "crossing", (high, 0.97), xycoords=("data", "axes fraction"), xytext=(3, 0),
            textcoords="offset points", color=VERMILLION, fontsize=SMALL, va="top",
        )  # fmt: skip
    decades(ax, x=(s["C"][0], s["C"][-1]), y=span)
    _label_factors(ax.yaxis, span)
    _beyond(ax, s)
    title = f"{_short(s['names'][1])} against {_short(s['names'][0])}"
    finish(ax, title, _label(s), f"multiplier, {100 * s['level']:.3g} %")


def _beyond(ax: Axes, s: dict[str, Any]) -> None:
    """Shade what lies beyond the runs."""
    ax.axvspan(s["largest"], ax.get_xlim()[1], color="0.5", alpha=0.08, linewidth=0, zorder=0)


def _span(values: Array) -> tuple[float, float]:
    """Return ends of an axis of factors that holds 1 and, within reason, the values."""
    good = values[np.isfinite(values) & (values > 0)]
    low = min(float(good.min()), 1.0) if good.size else 1.0
    high = max(float(good.max()), 1.0) if good.size else 1.0
    # A band that runs off every scale would flatten what is known.
    return max(low, 1 / _FARTHEST) / 1.15, min(high, _FARTHEST) * 1.15


def _label_factors(axis: Axis, span: tuple[float, float]) -> None:
    """Label a logarithmic axis at four to ten round numbers."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    for mantissas in _ROUND:
        decades_of = range(math.floor(math.log10(span[0])), math.ceil(math.log10(span[1])) + 1)
        at = [m * 10.0**k for k in decades_of for m in mantissas]
        at = [v for v in at if span[0] <= v <= span[1]]
        if len(at) >= _LEAST_TICKS:
            break
    axis.set_ticks(at)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _label(s: dict[str, Any]) -> str:
    return "compute, FLOPs" if s["resource"] == "C" else text(s["resource"])


def _short(name: str) -> str:
    line = text(name)
    return line if len(line) <= 30 else line[:29] + "…"


__all__ = ["comparison_series", "comparisons_series", "draw_comparison", "draw_comparisons"]

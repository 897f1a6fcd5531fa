"""Pruning measured on networks: errors by score, hard against easy, the best way to have D."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import InputError
from isoloss.plot.canvas import BLUE, CYCLE, GREEN, ORANGE, VERMILLION, log_axes, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Means = Sequence[Mapping[str, Any]]

_COLOURS = (*CYCLE, "0.45", "#8C6D31", "#5B4A99", "#A50026", "#1B7837", "#2166AC")
_SHARES = (BLUE, GREEN, ORANGE, VERMILLION)


def size_series(means: Means, pool: int | None = None) -> list[dict[str, Any]]:
    """Gain over chance against the share kept of one pool, a line a metric and policy.

    Parameters
    ----------
    means
        Of `isoloss.study.pilot_table.pilot_means`.
    pool
        Which; the largest by default.

    Returns
    -------
    list of dict
        ``label``, ``x`` (share), ``y`` (error by chance less error, percent points), ``error``
        (standard error over seeds, 0 of one seed). The line ``whole pool``, first where it is
        there, is the error by chance less that of the whole pool: what reaches it lost nothing.

    Raises
    ------
    InputError
        If there are no means, or none of the pool.
    """
    if not means:
        raise InputError("means: there are none; give means of pilots")
    pool = max(m["pool"] for m in means) if pool is None else pool
    mine = [m for m in means if m["pool"] == pool]
    if not mine:
        raise InputError(f"pool = {pool}: no means are of it")
    chance = sorted(
        (m for m in mine if m["policy"] == "random" and m["keep"] < 1), key=lambda m: m["keep"]
    )
    lines = []
    for whole in (m for m in mine if m["keep"] == 1):
        lines.append({
            "label": "whole pool", "x": np.array([m["keep"] for m in chance]),
            "y": np.array([100 * (m["error"] - whole["error"]) for m in chance]),
            "error": np.zeros(len(chance)),
        })  # fmt: skip
    scored = [m for m in mine if not math.isnan(m["gain"])]
    for metric, policy in dict.fromkeys((m["metric"], m["policy"]) for m in scored):
        cells = sorted(
            (m for m in scored if (m["metric"], m["policy"]) == (metric, policy)),
            key=lambda m: m["keep"],
        )  # fmt: skip
        lines.append({
            "label": f"{metric}, {policy}", "x": np.array([m["keep"] for m in cells]),
            "y": np.array([100 * m["gain"] for m in cells]),
            "error": np.nan_to_num([100 * m["gain_se"] for m in cells]),
        })  # fmt: skip
    return lines


def draw_sizes(
    means: Means, *, pool: int | None = None, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw what scores gain over chance against the share kept; bars are standard errors.

    Raises
    ------
    InputError
        As `size_series`.
    MissingExtra
        Without matplotlib.
    """
    series = size_series(means, pool)
    ax = new_axes(ax)
    ax.axhline(0, color="black", linewidth=0.8)
    for i, line in enumerate(series):
        whole = line["label"] == "whole pool"
        ax.errorbar(
            line["x"], line["y"], yerr=line["error"], label=line["label"],
            color="black" if whole else _COLOURS[(i - 1) % len(_COLOURS)],
            linewidth=1.8 if whole else 1.1, marker="" if whole else "o", markersize=3,
            elinewidth=0.8, linestyle=":" if whole else "-" if i <= len(CYCLE) else "--",
        )  # fmt: skip
    _gain_axis(ax)
    ax.set_xlabel("share kept")
    ax.set_title(title, fontsize=9, loc="left")
    ax.legend(fontsize=6.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _gain_axis(ax: Axes) -> None:
    """Put gains of tenths and losses of tens of points on one axis: even up to one point."""
    ax.set_yscale("symlog", linthresh=1, linscale=1)
    ticks = [-50, -20, -10, -5, -2, -1, -0.5, 0, 0.5, 1, 2]
    low, high = ax.get_ylim()
    shown = [t for t in ticks if low <= t <= high]
    ax.set_yticks(shown, labels=[f"{t:g}" for t in shown])
    ax.set_yticks([], minor=True)
    ax.set_ylabel("error by chance less error, points")


def gain_series(means: Means, metric: str) -> list[dict[str, Any]]:
    """Gain over chance against the pool, a line a policy and share.

    Returns
    -------
    list of dict
        ``policy``, ``keep``, ``x`` (pool), ``y`` (error by chance less error, percent points),
        ``error`` (standard error over seeds, 0 of one seed).
    """
    mine = [m for m in means if m["metric"] == metric and not math.isnan(m["gain"])]
    lines = []
    for policy, keep in sorted({(m["policy"], m["keep"]) for m in mine}):
        cells = sorted(
            (m for m in mine if (m["policy"], m["keep"]) == (policy, keep)),
            key=lambda m: int(m["pool"]),
        )  # fmt: skip
        lines.append({
            "policy": policy, "keep": keep, "x": np.array([m["pool"] for m in cells]),
            "y": np.array([100 * m["gain"] for m in cells]),
            "error": np.nan_to_num([100 * m["gain_se"] for m in cells]),
        })  # fmt: skip
    return lines


def draw_gains(means: Means, metric: str, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw what a score gains over chance as the pool grows: hard solid, easy dashed.

    Raises
    ------
    InputError
        If the metric has no gains.
    MissingExtra
        Without matplotlib.
    """
    series = gain_series(means, metric)
    if not series:
        raise InputError(f"metric = {metric!r}: has no pilots beside those kept by chance")
    ax = new_axes(ax)
    shares = sorted({line["keep"] for line in series})
    ax.axhline(0, color="black", linewidth=0.8)
    for line in series:
        colour = _SHARES[shares.index(line["keep"]) % len(_SHARES)]
        ax.errorbar(
            line["x"], line["y"], yerr=line["error"], color=colour, marker="o", markersize=3,
            linestyle="--" if line["policy"] == "easy" else "-", linewidth=1.2, elinewidth=0.8,
            markerfacecolor="white" if line["policy"] == "easy" else colour,
            label=f"{line['policy']}, {line['keep']:.0%}",
        )  # fmt: skip
    ax.set_xscale("log")
    pools = sorted({int(x) for line in series for x in line["x"]})
    # A short log axis would label every minor tick, one over the other.
    ax.set_xticks(pools, labels=[f"{p / 1000:.3g}k" for p in pools], fontsize=7)
    ax.set_xticks([], minor=True)
    _gain_axis(ax)
    ax.set_xlabel("pool")
    ax.set_title(title or metric, fontsize=9, loc="left")
    ax.legend(
        fontsize=6.5, frameon=False, ncols=4, loc="upper left", bbox_to_anchor=(-0.1, -0.14),
        columnspacing=1.0,
    )  # fmt: skip
    return ax


def draw_frontier(
    front: Means, means: Means = (), laws: Sequence[Any] = (), *, ax: Axes | None = None
) -> Axes:
    """Draw the error of random sets and of the best way to have as many examples, with powers.

    Parameters
    ----------
    front
        Of `isoloss.study.pilot_readings.frontier`.
    means
        Cells to show behind, small.
    laws
        Of `isoloss.study.pilot_readings.pilot_laws`.

    Raises
    ------
    InputError
        If the frontier is empty.
    MissingExtra
        Without matplotlib.
    """
    if not front:
        raise InputError("frontier: is empty; give pilots of several pools")
    ax = new_axes(ax)
    pruned = [m for m in means if m["policy"] != "random"]
    for policy, colour in (("hard", VERMILLION), ("easy", GREEN)):
        cells = [m for m in pruned if m["policy"] == policy]
        ax.plot(
            [m["D"] for m in cells], [100 * m["error"] for m in cells], ".", color=colour,
            alpha=0.35, markersize=4, label=f"{policy}, any share" if cells else None,
        )  # fmt: skip
    D = [r["D"] for r in front]
    for name, label, colour in (
        ("chance", "by chance", "black"), ("error", "best, chosen by other seeds", BLUE),
    ):  # fmt: skip
        se = np.nan_to_num([100 * r[f"{name}_se"] for r in front])
        ax.errorbar(
            D, [100 * r[name] for r in front], yerr=se, fmt="o", color=colour, markersize=4,
            label=label, zorder=4,
        )  # fmt: skip
    for law in laws:
        x = np.geomspace(law.low, law.high, 30)
        ax.plot(
            x, 100 * law.amplitude * x**-law.exponent, "-", linewidth=1,
            color="black" if law.what == "unpruned" else BLUE,
            label=f"{law.what}: $D^{{-{law.exponent:.3f}}}$",
        )  # fmt: skip
    log_axes(ax, x=True, y=True)
    ticks = [10, 12, 15, 20, 25, 30, 40, 60, 80]
    low, high = ax.get_ylim()
    shown = [t for t in ticks if low <= t <= high]
    ax.set_yticks(shown, labels=[f"{t}" for t in shown])
    ax.set_yticks([], minor=True)
    ax.set_xlabel("examples kept $D$")
    ax.set_ylabel("test error, %")
    ax.legend(fontsize=7, frameon=False)
    return ax


def pruning_figures(
    means: Mapping[str, Means], front: Means = (), laws: Sequence[Any] = ()
) -> dict[str, Axes]:
    """Draw what tables of the pruning study show: figures by name.

    Parameters
    ----------
    means
        By experiment; subjects without means are left out.
    front, laws
        As for `draw_frontier`.

    Returns
    -------
    dict
        ``pruning-metrics``, ``pruning-abundance``, ``pruning-networks-frontier``: the first axes
        of each figure.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    figures: dict[str, Axes] = {}
    if means.get("metrics"):
        figures["pruning-metrics"] = draw_sizes(means["metrics"])
    if cells := means.get("abundance"):
        metrics = [m for m in dict.fromkeys(c["metric"] for c in cells) if m]
        first = new_axes(None)
        figure = first.get_figure(root=True)
        assert figure is not None
        figure.clear()
        figure.set_size_inches(4.2 * len(metrics), 3.9)
        axes = figure.subplots(1, len(metrics), squeeze=False).ravel()
        for ax, metric in zip(axes, metrics, strict=True):
            draw_gains(cells, metric, ax=ax)
        figures["pruning-abundance"] = axes[0]
        if front:
            figures["pruning-networks-frontier"] = draw_frontier(front, cells, laws)
    return figures

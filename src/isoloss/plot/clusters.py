"""A map of clusters: centroids in the plane of most variance, sized by rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError, MissingExtra
from isoloss.plot.examples import shown_text
from isoloss.plot.gallery.style import SMALL, finish
from isoloss.prune.cluster_table import ClusterTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "distance": "mean distance inside",
    "complexity": "complexity: apart x inside",
    "kept": "share kept",
}
_NAMED = 4
_LARGEST_DOT = 420.0
_TEXT = 6.5
_UPS = (-3.0, 6.0, -12.0, 15.0, -21.0, 27.0, -33.0)
"""Points above a dot at which its name may stand."""


def cluster_series(table: ClusterTable, *, colour: str | None = None) -> dict[str, Any]:
    """Numbers of the map.

    Parameters
    ----------
    table
        Of `isoloss.prune.tabulate_clusters` or `isoloss.prune.read_clusters`.
    colour
        ``"distance"``: mean distance of rows from the centroid, ``"complexity"``: that times the
        distance to the nearest other centroid, or ``"kept"``; the last where it is known, else
        the first.

    Returns
    -------
    dict
        ``x``, ``y``: places of the k centroids on the first two principal axes, each axis with its
        largest part positive; ``explained``: shares of the variance of centroids on both;
        ``rows``, ``colour`` (its name), ``value``; ``largest`` and ``oddest``: numbers of the
        clusters with most rows, and of those furthest from any other, up to four each.

    Raises
    ------
    InputError
        If the colour is none of these, or what is kept is not known.

    Examples
    --------
    >>> from isoloss.prune import tabulate_clusters
    >>> middle, of = [[0.0, 0], [2.0, 0], [9.0, 0]], [0, 1, 1, 2]
    >>> table = tabulate_clusters(middle, of, [0.1, 0.2, 0.2, 0.3])
    >>> found = cluster_series(table)
    >>> found["x"].round(2).tolist(), found["largest"][:1], found["oddest"][:1]
    ([-3.67, -1.67, 5.33], [1], [2])
    """
    name = colour or ("distance" if table.kept is None else "kept")
    if name not in COLOURS:
        raise InputError(f"colour = {name!r}: write one of {', '.join(COLOURS)}")
    value = getattr(table, name)
    if value is None:
        raise InputError("colour = 'kept': nothing says what is kept; give a selection")
    place, explained = _principal(table.centroids)
    by_rows = np.argsort(-table.counts, kind="stable")
    by_apart = np.argsort(-table.apart, kind="stable")
    some = table.counts > 0
    return {
        "x": place[:, 0], "y": place[:, 1], "explained": explained, "rows": table.counts,
        "colour": name, "value": np.asarray(value),
        "largest": [int(i) for i in by_rows[:_NAMED] if some[i]],
        "oddest": [int(i) for i in by_apart[some[by_apart]][:_NAMED]] if len(place) > 2 else [],
    }  # fmt: skip


def _principal(centroids: Array) -> tuple[Array, Array]:
    """Place centroids on their first two principal axes, (k, 2)."""
    away = centroids - centroids.mean(axis=0)
    left, sizes, axes = np.linalg.svd(away, full_matrices=False)
    found = np.zeros((len(away), 2))
    count = min(2, sizes.size)
    # The sign of an axis is free; one rule gives the same map each time.
    lead = np.abs(axes[:count]).argmax(axis=1)
    signs = np.sign(axes[np.arange(count), lead])
    found[:, :count] = left[:, :count] * sizes[:count] * np.where(signs == 0, 1, signs)
    total = float((sizes**2).sum())
    explained = np.zeros(2)
    if total > 0:
        explained[:count] = sizes[:count] ** 2 / total
    return found, explained


def draw_clusters(
    table: ClusterTable, *, colour: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the map: a dot a cluster, its area by rows; the largest and the oddest are named.

    Parameters
    ----------
    table, colour
        As for `cluster_series`. Clusters without rows are crosses.
    ax
        To draw on.

    Raises
    ------
    InputError
        As `cluster_series`.
    MissingExtra
        Without matplotlib.
    """
    series = cluster_series(table, colour=colour)
    if ax is None:
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise MissingExtra("matplotlib", "plot") from error
        ax = Figure(figsize=(5.0, 4.0), layout="constrained").subplots()
    rows, value = series["rows"], series["value"]
    dots = (rows > 0) & np.isfinite(value)
    share = rows / max(rows.max(), 1)
    ends = (0, 1) if series["colour"] == "kept" else (None, None)
    order = np.argsort(-rows, kind="stable")
    order = order[dots[order]]
    if order.size:
        # Small dots over large ones, so that none is hidden.
        drawn = ax.scatter(
            series["x"][order], series["y"][order], s=_LARGEST_DOT * share[order], c=value[order],
            cmap="viridis", edgecolors="white", linewidths=0.6, alpha=0.9, vmin=ends[0],
            vmax=ends[1],
        )  # fmt: skip
        figure = ax.get_figure()
        assert figure is not None
        bar = figure.colorbar(drawn, ax=ax, shrink=0.85, aspect=25)
        bar.set_label(COLOURS[series["colour"]], fontsize=8)
        bar.ax.tick_params(labelsize=SMALL)
    empty = ~dots
    if empty.any():
        ax.plot(series["x"][empty], series["y"][empty], "x", color="0.6", markersize=4)
    first, second = (f"{100 * v:.2g} %" for v in series["explained"])
    finish(
        ax, f"{len(rows)} clusters of {int(rows.sum())} rows",
        f"first principal axis, {first} of the variance of centroids", f"second, {second}",
    )  # fmt: skip
    ax.margins(0.14)
    whole = ax.get_figure(root=True)
    assert whole is not None
    # Axes get their size when they are laid out, and names are placed by it.
    whole.draw_without_rendering()
    _name_dots(ax, table, series)
    return ax


def _name_dots(ax: Axes, table: ClusterTable, series: dict[str, Any]) -> None:
    """Write names beside dots, each where it lies least over those written before."""
    odd = set(series["oddest"])
    places = 72 * ax.transData.transform(np.c_[series["x"], series["y"]]) / ax.figure.dpi
    radius = np.sqrt(_LARGEST_DOT * series["rows"] / max(series["rows"].max(), 1) / np.pi)
    taken = [
        (float(x - r), float(y - r), 2 * float(r), 2 * float(r))
        for (x, y), r in zip(places, radius, strict=True)
    ]
    for i in dict.fromkeys([*series["largest"], *series["oddest"]]):
        words = f"{shown_text(table.names[i], 16)}: {int(series['rows'][i])}"
        words += ", odd" if i in odd else ""
        # In points: no renderer is asked, so the width of a letter is a guess.
        here, beside = places[i], float(radius[i]) + 2
        wide, high = 0.58 * _TEXT * len(words), 1.3 * _TEXT
        options = [
            (side * beside - (wide if side < 0 else 0), up) for up in _UPS for side in (1, -1)
        ]
        boxes = [(float(here[0]) + dx, float(here[1]) + dy, wide, high) for dx, dy in options]
        best = min(range(len(boxes)), key=lambda k: (sum(_over(boxes[k], t) for t in taken), k))
        taken.append(boxes[best])
        far = abs(options[best][1]) > 14
        ax.annotate(
            words, (series["x"][i], series["y"][i]), xytext=options[best],
            textcoords="offset points", fontsize=_TEXT, parse_math=False,
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.5} if far else None,
        )  # fmt: skip


def _over(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Area that two boxes (left, bottom, width, height) share."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    up = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(across, 0.0) * max(up, 0.0)


__all__ = ["cluster_series", "draw_clusters"]

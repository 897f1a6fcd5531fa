"""Axes, colours and scales that the pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isoloss.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart with every common colour vision deficiency.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
)  # fmt: skip
CYCLE = (BLUE, GREEN, PURPLE, ORANGE, SKY, VERMILLION)


def new_axes(ax: Axes | None) -> Axes:
    """Return the axes given, or new ones that belong to no window."""
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot") from error
    return Figure(figsize=(6.4, 4.4), layout="constrained").subplots()


def log_axes(ax: Axes, *, x: bool = False, y: bool = False) -> None:
    """Make axes logarithmic where something can be placed on them."""
    # A log axis without any positive value warns, so an empty picture stays linear.
    if not ax.lines:
        return
    data = [np.asarray(line.get_xydata(), dtype=np.float64) for line in ax.lines]
    points = np.concatenate([d.reshape(-1, 2) for d in data])
    if x and np.any(points[:, 0] > 0):
        ax.set_xscale("log")
    if y and np.any(points[:, 1] > 0):
        ax.set_yscale("log")

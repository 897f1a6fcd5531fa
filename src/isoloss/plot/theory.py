"""Curves of solvable models: the numbers of an answer as lines, and their picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import InputError
from isoloss.plot.canvas import CYCLE, log_axes, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def theory_series(answer: Mapping[str, Any], axes: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Lines of an answer of ``isoloss theory``: losses against the longest of its axes.

    Parameters
    ----------
    answer
        Nested lists by quantity, in the shape of the axes; with simulations beside them or not.
    axes
        Name and values of each axis, in order; at least one.

    Returns
    -------
    dict
        ``x`` (name), ``y`` (name), ``lines``: list of ``label``, ``x``, ``y`` and, where simulated,
        ``mean`` and ``sem``. Points that cannot be placed on log axes are left out.

    Examples
    --------
    >>> theory_series({"risk": [2.0, 1.0]}, {"steps": [1, 10]})["lines"][0]["y"].tolist()
    [2.0, 1.0]
    """
    names = list(axes)
    numbers = [i for i, n in enumerate(names) if not isinstance(axes[n][0], str)]
    if not numbers:
        raise InputError("plot: words make no axis; give a list of numbers")
    along = max(numbers, key=lambda i: (len(axes[names[i]]), i))
    x = np.array(axes[names[along]], dtype=np.float64)
    rest = [n for i, n in enumerate(names) if i != along]
    wanted = [k for k in ("test_excess", "train", "risk", "excess", "eps") if k in answer]
    drawn = answer.get("simulation", {})
    lines = []
    for name in wanted:
        tables = {"y": answer[name]} | {k: drawn[name][k] for k in ("mean", "sem") if name in drawn}
        flat = {
            k: np.moveaxis(np.array(v, dtype=np.float64), along, -1).reshape(-1, x.size)
            for k, v in tables.items()
        }
        for i, values in enumerate(product(*(axes[n] for n in rest))):
            shown = (v if isinstance(v, str) else f"{v:g}" for v in values)
            said = ", ".join(f"{n} {v}" for n, v in zip(rest, shown, strict=True))
            with np.errstate(invalid="ignore"):
                keep = (x > 0) & np.isfinite(x) & (flat["y"][i] > 0) & np.isfinite(flat["y"][i])
            lines.append(
                {"label": f"{name} {said}".strip(), "quantity": name, "x": x[keep]}
                | {k: v[i][keep] for k, v in flat.items()}
            )
    return {"x": names[along], "y": " and ".join(wanted), "lines": lines}


def draw_theory(
    answer: Mapping[str, Any], axes: Mapping[str, Sequence[float]], *, ax: Axes | None = None
) -> Axes:
    """Draw the lines of `theory_series` on log axes, simulations as points with two errors.

    Returns
    -------
    matplotlib.axes.Axes
        Training losses are dashed.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    series = theory_series(answer, axes)
    for i, line in enumerate(series["lines"]):
        colour = CYCLE[i % len(CYCLE)]
        style = "--" if line["quantity"] == "train" else "-"
        ax.plot(line["x"], line["y"], style, color=colour, label=line["label"], linewidth=1.2)
        if "mean" in line:
            ax.errorbar(
                line["x"], line["mean"], yerr=2 * line["sem"], fmt="o", color=colour, markersize=3
            )
    log_axes(ax, x=True, y=True)
    ax.set_xlabel(series["x"])
    ax.set_ylabel("test error" if series["y"] == "eps" else "loss")
    if len(series["lines"]) <= 12:
        ax.legend(fontsize=7, frameon=False)
    return ax

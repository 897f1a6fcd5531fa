"""Where the next runs are, over what a run at each place would tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import InputError
from isoloss.plot.canvas import VERMILLION
from isoloss.plot.gallery.style import SMALL, decades, finish, panel
from isoloss.runs import Runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.plan.next_result import NextRuns


def next_runs_series(found: NextRuns, runs: Runs) -> dict[str, Any]:
    """Numbers of the picture of next runs.

    Returns
    -------
    dict
        ``candidates``: arrays ``N``, ``D``, ``gain`` (share of the goal's variance that one run
        there takes away, in percent). ``runs``: those at hand, ``N``, ``D``. ``next``: ``N``,
        ``D``, ``label`` (rank, and seeds where there are several).

    Raises
    ------
    InputError
        Where runs have no N and D.
    """
    if not {"N", "D"} <= set(found.considered.x):
        raise InputError("plot: the laws do not speak of N and D; there is no plane to draw")
    labels = [f"{i}" + (f" ×{r.seeds}" if r.seeds > 1 else "") for i, r in enumerate(found.runs, 1)]
    return {
        "candidates": {
            "N": found.considered.x["N"],
            "D": found.considered.x["D"],
            "gain": 100 * np.clip(found.considered.gain, 0.0, 1.0),
        },
        "runs": {"N": runs["N"], "D": runs["D"]},
        "next": {
            "N": np.array([r.at["N"] for r in found.runs]),
            "D": np.array([r.at["D"] for r in found.runs]),
            "label": labels,
        },
    }


def draw_next_runs(found: NextRuns, runs: Runs, *, ax: Axes | None = None) -> Axes:
    """Draw candidates by what one run there would tell, the runs at hand, and those to make.

    Shades are the share of the goal's variance that one run alone takes away; rings the runs at
    hand; numbered dots the next ones, best per cost first; lines equal N D.

    Parameters
    ----------
    found, runs
        Of `isoloss.plan.plan_next_runs`, and the runs it was given.
    ax
        Where to draw; new axes of a column's width by default.

    Raises
    ------
    InputError
        Where runs have no N and D.
    MissingExtra
        Without matplotlib.
    """
    series = next_runs_series(found, runs)
    ax = panel(ax)
    seen, made, new = series["candidates"], series["runs"], series["next"]
    ends = {a: np.concatenate([seen[a], made[a], new[a]]) for a in ("N", "D")}
    x, y = ((float(v.min()) / 1.5, float(v.max()) * 1.5) for v in (ends["N"], ends["D"]))
    decades(ax, x=x, y=y)
    for product in 10.0 ** np.arange(np.ceil(np.log10(x[0] * y[0])), np.log10(x[1] * y[1])):
        ax.plot(x, [product / x[0], product / x[1]], color="0.88", lw=0.6, zorder=0)
    if len(seen["N"]):
        points = ax.scatter(
            seen["N"], seen["D"], c=seen["gain"], s=9, marker="s", cmap="Blues", vmin=0, lw=0
        )
        figure = ax.get_figure(root=True)
        assert figure is not None
        bar = figure.colorbar(points, ax=ax, pad=0.02)
        bar.set_label("variance that one run takes away, %", fontsize=SMALL)
        bar.ax.tick_params(labelsize=SMALL)
    ax.plot(made["N"], made["D"], "o", mfc="none", mec="0.35", ms=4, lw=0, label="runs at hand")
    ax.plot(new["N"], new["D"], "o", color=VERMILLION, ms=5, lw=0, label="to run next")
    for N, D, label in zip(new["N"], new["D"], new["label"], strict=True):
        ax.annotate(
            label, (N, D), xytext=(4, 3), textcoords="offset points", fontsize=SMALL,
            color=VERMILLION,
        )  # fmt: skip
    ax.legend(
        fontsize=SMALL, frameon=False, ncols=2, loc="upper left", bbox_to_anchor=(-0.02, -0.18)
    )
    return finish(ax, f"Next runs for {found.goal}", "parameters N", "examples D")


__all__ = ["draw_next_runs", "next_runs_series"]

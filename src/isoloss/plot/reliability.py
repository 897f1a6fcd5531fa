"""Reliability of a record of forecasts: how often intervals held, against what they promised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import BLUE, VERMILLION, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def reliability_series(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shares held by level, with both binomial intervals.

    Parameters
    ----------
    answers
        Dictionary of a `isoloss.study.sealed.Calibration`.

    Returns
    -------
    dict
        ``level``, ``share``, ``low``, ``high``, ``low_tables``, ``high_tables``, each (levels,)
        in percent; ``n`` targets and ``n_tables``.
    """
    names = ("level", "share", "low", "high", "low_tables", "high_tables")
    columns = {
        n: 100 * np.array([c[n] for c in answers["coverage"]], dtype=np.float64) for n in names
    }
    return columns | {"n": answers["n_targets"], "n_tables": answers["n_tables"]}


def draw_reliability(answers: Mapping[str, Any], *, ax: Axes | None = None) -> Axes:
    """Draw what intervals held against what they promised, with the bounds of so few trials.

    Parameters
    ----------
    answers
        As for `reliability_series`.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    s = reliability_series(answers)
    ax.plot([0, 100], [0, 100], color="0.6", lw=1, ls="--", label="as promised")
    if s["level"].size:
        ax.fill_between(
            s["level"], s["low_tables"], s["high_tables"], color=BLUE, alpha=0.12, lw=0,
            label="95 %, one table one vote",
        )  # fmt: skip
        ax.fill_between(
            s["level"], s["low"], s["high"], color=BLUE, alpha=0.25, lw=0,
            label="95 %, targets independent",
        )  # fmt: skip
        ax.plot(s["level"], s["share"], "o-", color=VERMILLION, ms=4, lw=1.4, label="held")
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 102)
    ax.set_xlabel("level of the interval, %")
    ax.set_ylabel("measured losses inside, %")
    ax.set_title(f"{s['n']} targets of {s['n_tables']} tables of runs", fontsize=10)
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    ax.spines[["top", "right"]].set_visible(False)
    return ax

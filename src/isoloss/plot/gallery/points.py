"""What single data points are worth, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import CYCLE
from isoloss.plot.gallery.style import SMALL, decades, finish, label_right, panel
from isoloss.theory import draw_contributions, fit_points, group_contributions

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def point_value_series(
    *, c: Sequence[float] = (50.0, 0.6, 0.01), alpha: Sequence[float] = (1.6, 0.95, 0.4),
    sizes: tuple[int, int] = (100, 1000), samples: int = 500, sigma: float = 0.05,
    beta: float = 1.8, at: Sequence[float] = (500.0, 5000.0), rng: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Value of a few points against the size of the set: the truth, and laws fitted to samples.

    Parameters
    ----------
    c, alpha
        Amplitude and exponent of each point.
    sizes, samples
        Range of sizes that samples come from, and how many a point.
    sigma, beta
        Noise of one sample: ``sigma^2 k^-beta``.
    at
        Sizes at which points are ranked.
    rng
        Seed.

    Returns
    -------
    dict
        ``points``: ``k``, ``truth``, ``value``, ``low`` and ``high`` (two standard errors);
        ``ranks``: for each size of ``at`` the positions from the best; ``fitted``: range of sizes.

    Examples
    --------
    >>> [order.tolist() for order in point_value_series()["ranks"]]
    [[0, 1, 2], [2, 1, 0]]
    """
    source = np.random.default_rng(rng)
    k = source.integers(sizes[0], sizes[1] + 1, (len(c), samples)).astype(np.float64)
    delta = draw_contributions(
        k, c=np.array(c)[:, None], alpha=np.array(alpha)[:, None], sigma=sigma, beta=beta,
        rng=source,
    )  # fmt: skip
    ids = np.repeat(np.arange(len(c)), samples)
    laws = fit_points(group_contributions(ids, k.ravel(), delta.ravel()))
    grid = np.geomspace(sizes[0] / 1.5, max(at) * 2, 61)
    value = np.array([laws.value(v) for v in grid]).T
    error = np.array([laws.error(v) for v in grid]).T
    points = [
        {"k": grid, "truth": c[i] * grid ** -alpha[i], "value": value[i]}
        | {"low": value[i] - 2 * error[i], "high": value[i] + 2 * error[i]}
        for i in range(len(c))
    ]
    ranks = [np.argsort(-laws.value(v), kind="stable") for v in at]
    return {"points": points, "ranks": ranks, "at": list(at), "fitted": list(sizes)}


def draw_point_value(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the laws of points with two standard errors, the truth as dashes, and ranks at sizes.

    Parameters
    ----------
    series
        Of `point_value_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = point_value_series() if series is None else series
    names: list[str] = ["A", "B", "C", "D", "E", "F"]
    ends = []
    for i, (point, colour) in enumerate(zip(series["points"], CYCLE, strict=False)):
        ax.fill_between(
            point["k"], point["low"], point["high"], color=colour, alpha=0.2, linewidth=0
        )
        ax.plot(point["k"], point["value"], color=colour, linewidth=1.2)
        ax.plot(point["k"], point["truth"], color="0.25", linewidth=0.8, linestyle="--")
        ends.append((point["value"][-1], f"point {names[i]}", colour))
    k = series["points"][0]["k"]
    low = min(float(p["value"].min()) for p in series["points"])
    high = max(float(p["value"].max()) for p in series["points"])
    decades(ax, x=(k[0], k[-1]), y=(low / 2, 4 * high))
    for size, order in zip(series["at"], series["ranks"], strict=True):
        ax.axvline(size, color="0.7", linewidth=0.7, linestyle=":", zorder=0)
        text = " > ".join(names[j] for j in order)
        ax.text(size, 3.4 * high, text, fontsize=SMALL, ha="center", va="top")
    ax.axvspan(*series["fitted"], color="0.95", zorder=-1)
    label_right(ax, ends)
    return finish(ax, "Which point is worth most", "size of the set $k$", r"expected gain $\psi_k$")

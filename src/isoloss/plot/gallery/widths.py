"""Bias and variance of networks against their width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import BLUE, ORANGE
from isoloss.plot.gallery.style import SMALL, decades, finish, label_right, panel
from isoloss.theory import power_law, simulate_widths

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def widths_series(
    *, widths: Sequence[int] = (32, 64, 128, 256, 512), T: int = 64, t: float = 5.0,
    b: float = 0.8, a: float = 1.0, M: int = 200, seeds: int = 150, points: int = 100, rng: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Simulate random features of many widths on one set of samples.

    Parameters
    ----------
    widths, T, t
        Features, samples, time of the flow.
    b, a, M
        Of the spectrum.
    seeds, points, rng
        As in `isoloss.theory.simulate_widths`.

    Returns
    -------
    dict
        ``widths``; ``bias2``, ``variance``: against the exact limit, (w,); ``size``: mean square of
        the limit; ``exponents``: of the bias and of the variance, with words; ``t``, ``T``.

    References
    ----------
    Vyas et al., arXiv:2305.18411; the model of arXiv:2210.16859.

    Examples
    --------
    >>> series = widths_series(widths=(16, 32, 64), T=8, M=40, seeds=10)
    >>> bool((np.diff(series["variance"]) < 0).all())
    True
    """
    made = simulate_widths(
        power_law(b=b, a=a, M=M), widths, T, t, seeds=seeds, points=points, rng=rng
    )
    found = made.consistency()
    return {
        "widths": found.widths,
        "bias2": found.bias2[0],
        "variance": found.variance[0],
        "size": float(np.mean(made.limit**2)),
        "exponents": {"bias": found.bias[0].to_dict(), "variance": found.scatter[0].to_dict()},
        "t": t,
        "T": T,
    }


def draw_widths(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw bias and variance against width, with lines of the slopes -2 and -1.

    Parameters
    ----------
    series
        Of `widths_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = widths_series() if series is None else series
    n, size = series["widths"], series["size"]
    labels, heights = [], []
    for name, key, power, colour, text in (
        ("variance", "variance", 1, BLUE, "variance"), ("bias2", "bias", 2, ORANGE, "bias$^2$"),
    ):  # fmt: skip
        share = series[name] / size
        seen = share > 0
        ax.plot(n[seen], share[seen], "o", color=colour, markersize=3.2)
        heights += [*share[seen]]
        if series["exponents"][key]["exponent"] is None:
            # Points that noise made negative are not there: no line through the others.
            labels.append((float(share[seen][-1]), f"{text}, lost\nin noise", colour))
            continue
        line = np.median(share[seen] * n[seen] ** power) / n**power
        ax.plot(n, line, "--", color=colour, linewidth=0.9)
        labels.append((float(line[-1]), text, colour))
        heights += [*line]
    ax.text(
        0.98, 0.98, "dashed: width$^{-1}$, width$^{-2}$", fontsize=SMALL, color="0.4",
        transform=ax.transAxes, ha="right", va="top",
    )  # fmt: skip
    decades(ax, x=(0.8 * n[0], 1.2 * n[-1]), y=(0.5 * min(heights), 2 * max(heights)))
    finish(
        ax, f"{series['T']} samples, time {series['t']:g}", "features (width)",
        "deviation from the limit, share of its square",
    )  # fmt: skip
    label_right(ax, labels)
    return ax

"""Where samples limit the loss, where size does, and how: a map over log T and log N."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import BLUE, GREEN, ORANGE, PURPLE
from isoloss.plot.gallery.learning import unit_spectrum
from isoloss.plot.gallery.style import SMALL, decades, finish, label_right, panel
from isoloss.theory import classify, random_features

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REGIMES = ("resolution", "variance", "mixed", "both")
"""What samples do in each: the code of a point is the place of its word here."""
_NAMED = {
    "resolution": "resolution-limited in $T$,\nvariance-limited in $N$",
    "variance": "resolution-limited in $N$,\nvariance-limited in $T$",
    "mixed": "mixed",
    "both": "every mode\nresolved",
}
_SHADES = {"resolution": BLUE, "variance": GREEN, "mixed": ORANGE, "both": PURPLE}


def regime_map_series(
    *,
    alpha: float = 0.8,
    M: float = 1e9,
    ridge: Any = "ridgeless",
    noise: float = 0.0,
    tolerance: float = 0.1,
    low: float = 10.0,
    high: float = 1e5,
    points: int = 97,
) -> dict[str, Any]:
    """Compute loss and regime on a grid of T and N.

    Parameters
    ----------
    alpha, M
        Eigenvalues are I^-(1 + alpha), M of them.
    ridge, noise
        As in `isoloss.theory.random_features`.
    tolerance
        As in `isoloss.theory.classify`.
    low, high
        Ends of both axes.
    points
        Along each axis.

    Returns
    -------
    dict
        ``T``, ``N``; of shape (N, T): ``loss``, ``code`` (the place in ``REGIMES`` of what limits
        the loss in samples), and ``from_data`` and ``from_size``: how far the loss lies, as a
        share, from that of these samples with endless features, and of these features with endless
        samples.

    References
    ----------
    Bahri et al., arXiv:2102.06701, the four scaling regimes.

    Examples
    --------
    >>> series = regime_map_series(points=3)
    >>> [REGIMES[k] for k in series["code"][1]]
    ['resolution', 'mixed', 'variance']
    """
    spectrum = unit_spectrum(alpha, M)
    grid = np.geomspace(low, high, points)
    N, T = grid[:, None], grid[None, :]

    def excess(n: Any, t: Any) -> Any:
        return random_features(spectrum, n, t, ridge=ridge, noise=noise).test_excess

    loss = excess(N, T)
    by_size, by_data = excess(N, np.inf), excess(np.inf, T)
    data, _ = classify(loss, by_size, by_data, tolerance=tolerance)
    code = np.select([data == word for word in REGIMES], range(len(REGIMES)))
    return {
        "alpha": alpha, "ridge": ridge, "noise": noise, "tolerance": tolerance,
        "T": grid, "N": grid, "loss": loss, "code": code,
        "from_data": _share(loss, by_data), "from_size": _share(loss, by_size),
    }  # fmt: skip


def _share(loss: Any, limit: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(loss == limit, 0.0, np.abs(loss - limit) / limit)


def draw_regime_map(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the regimes as shades with their names, and lines of equal loss L, one a factor of ten.

    Parameters
    ----------
    series
        Of `regime_map_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = regime_map_series() if series is None else series
    T, N, code, loss = (series[k] for k in ("T", "N", "code", "loss"))
    decades(ax, x=(T[0], T[-1]), y=(N[0], N[-1]))
    far = {"resolution": series["from_data"], "variance": series["from_size"]}
    far["both"] = np.maximum(far["resolution"], far["variance"])
    ax.set_facecolor(_pale("mixed"))
    for word, share in far.items():
        # What lies far beyond the tolerance does not move the border.
        share = np.minimum(share, 10 * series["tolerance"])
        inside = [-1.0, series["tolerance"]]
        ax.contourf(T, N, share, levels=inside, colors=[_pale(word)])
    for k, word in enumerate(REGIMES):
        if (code == k).any():
            _name(ax, word, T, N, code == k)
    # Infinite and vanishing losses are put past the ends, so that lines run up to them.
    finite = (loss > 0) & np.isfinite(loss)
    top, bottom = np.ceil(np.log10(loss[finite].max())), np.floor(np.log10(loss[finite].min()))
    with np.errstate(divide="ignore"):
        logs = np.clip(np.log10(loss), bottom - 1, top + 1)
    # Those that reach the right side, where they are named.
    edge = logs[:, -1]
    levels = np.arange(np.ceil(edge.min() + 1e-9), np.ceil(edge.max()))
    ax.contour(T, N, logs, levels=levels, colors="0.25", linewidths=0.7, linestyles="solid")
    heights = [float(N[np.argmax(edge <= v)]) for v in levels]
    label_right(
        ax, [(h, f"$L=10^{{{v:.0f}}}$", "0.25") for h, v in zip(heights, levels, strict=True)]
    )
    named = {"ridgeless": "No ridge", "optimal": "Best ridge"}
    title = named.get(str(series["ridge"]), f"Ridge {series['ridge']}")
    noise = rf"label noise $\sigma^2={series['noise']:g}$" if series["noise"] else "no label noise"
    return finish(ax, f"{title}, {noise}", "samples $T$", "features $N$")


def _pale(word: str) -> Any:
    from matplotlib.colors import to_rgb

    return tuple(0.72 + 0.28 * v for v in to_rgb(_SHADES[word]))


def _name(ax: Axes, word: str, T: Any, N: Any, mine: Any) -> None:
    """Write the name of a regime: in its corner of the map, or in its middle."""
    rows, columns = np.nonzero(mine)
    middle = (10 ** np.log10(T[columns]).mean(), 10 ** np.log10(N[rows]).mean())
    place: dict[str, tuple[float, float, str, str]] = {
        "resolution": (T[0] * 1.3, N[-1] / 1.5, "left", "top"),
        "variance": (T[-1] / 1.3, N[0] * 1.5, "right", "bottom"),
        "mixed": (T[0] * 1.3, N[0] * 1.5, "left", "bottom"),
        "both": (*middle, "center", "center"),
    }
    x, y, across, up = place[word]
    ax.text(
        x, y, _NAMED[word], fontsize=SMALL, ha=across, va=up, zorder=4,
        bbox={"facecolor": _pale(word), "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip

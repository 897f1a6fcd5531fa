"""Forecasts of larger networks against the networks: laws, spectra, and how far each was off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import InputError, MissingExtra
from isoloss.plot.canvas import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from isoloss.plot.gallery.style import SMALL, decades, finish, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.sweep.confront_result import Confrontation, ForecastCurve

_FAMILY = {"law": BLUE, "solvable": GREEN, "spectrum": VERMILLION, "level": ORANGE}
_SETS = {"laws of D": BLUE, "laws of N and D": SKY, "solvable laws": GREEN}
_KERNELS = (VERMILLION, ORANGE, PURPLE, SKY, GREEN)
_WORDS = {
    "law": "fitted law", "solvable": "solvable model, fitted", "spectrum": "spectrum alone",
    "level": "spectrum, level fitted",
}  # fmt: skip


def confront_series(found: Confrontation) -> dict[str, Any]:
    """Numbers of the panels of one data set.

    Returns
    -------
    dict
        ``small`` and ``held``: D, loss and standard error of the networks; ``laws`` and
        ``spectra``: curves by name; ``measured``: regressions by kernel; ``errors``: name, family
        and root-mean-square log error, the best first.
    """
    seen = found.small_D >= found.D
    points = {
        key: np.array([found.D[part], found.loss[part], found.sem[part]])
        for key, part in (("small", seen), ("held", ~seen))
    }
    by = {(c.name, c.family): c for c in found.curves}
    return points | {
        "laws": {c.name: c for c in found.curves if c.name in _SETS},
        "spectra": {n: c for (n, f), c in by.items() if f == "spectrum"},
        "measured": {n: c for (n, f), c in by.items() if f == "regression"},
        "errors": found.ranking(),
    }


def draw_confront(found: Mapping[str, Confrontation]) -> Axes:
    """Draw a row of three panels for each data set.

    Left, the sets of laws fitted to the small runs, with their intervals; middle, what the spectra
    of kernels predict, dashed beyond the D that a spectrum reaches, with crosses where regression
    with the kernel was carried out; right, how far every forecaster was off at the held-out D.

    Returns
    -------
    matplotlib.axes.Axes
        The first panel.

    Raises
    ------
    InputError
        If there is nothing to draw.
    MissingExtra
        Without matplotlib.
    """
    if not found:
        raise InputError("found: no data set to draw")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot") from error
    figure = Figure(figsize=(11.0, 3.5 * len(found)), layout="constrained")
    axes = figure.subplots(len(found), 3, squeeze=False)
    for line, (name, one) in zip(axes, found.items(), strict=True):
        series = confront_series(one)
        laws: Any = [(c, _SETS[n], n, None) for n, c in series["laws"].items()]
        spectra = [
            (c, _KERNELS[i % len(_KERNELS)], n, series["measured"].get(n))
            for i, (n, c) in enumerate(series["spectra"].items())
        ]
        heights = np.concatenate([series["small"][1], series["held"][1]])
        if spectra:
            inside = [c.loss[one.D.min() <= c.D] for c, *_ in spectra]
            heights = np.concatenate([heights, *inside])
        ends = heights.min() / 1.3, heights.max() * 1.15
        _curves(line[0], series, laws, ends, f"{name}: laws fitted to small runs")
        _curves(line[1], series, spectra, ends, f"{name}: predicted from spectra")
        _errors(line[2], series["errors"], one, f"{name}: how far off, D > {one.small_D:g}")
    first: Axes = axes[0, 0]
    return first


def _curves(
    ax: Axes, series: Mapping[str, Any],
    curves: Sequence[tuple[ForecastCurve, str, str, ForecastCurve | None]],
    ends: tuple[float, float], title: str,
) -> None:  # fmt: skip
    least = min(series["small"][0].min(), series["held"][0].min())
    for curve, colour, name, measured in curves:
        use = least <= curve.D
        D, loss = curve.D[use], curve.loss[use]
        ax.fill_between(D, curve.low[use], curve.high[use], color=colour, alpha=0.13, linewidth=0)
        known = np.ones(D.shape, dtype=bool) if np.isnan(curve.reach) else curve.reach >= D
        # The dashed part begins where the other ends.
        beyond = ~known
        if beyond.any() and known.any():
            beyond[np.flatnonzero(known)[-1]] = True
        ax.plot(D[known], loss[known], color=colour, linewidth=1.3, label=name)
        ax.plot(D[beyond], loss[beyond], color=colour, linewidth=1.3, linestyle=(0, (4, 2)))
        if measured is not None:
            ax.plot(measured.D, measured.loss, "x", color=colour, markersize=5, zorder=4)
    for key, face in (("small", "black"), ("held", "white")):
        D, loss, sem = series[key]
        ax.errorbar(
            D, loss, yerr=2 * np.nan_to_num(sem), fmt="o", color="black", markerfacecolor=face,
            markersize=4, elinewidth=0.8, zorder=5,
            label="networks, seen" if key == "small" else "networks, held out",
        )  # fmt: skip
    top = series["held"][0].max()
    decades(ax, x=(least / 1.2, top * 1.2), y=ends)
    legend(ax, loc="lower left")
    finish(ax, title, "examples $D$", "test loss, squared error")


def _errors(ax: Axes, errors: list[tuple[str, str, float]], found: Any, title: str) -> None:
    names = [name for name, _, _ in errors]
    values = [max(100 * error, 0.1) for _, _, error in errors]
    for family, colour in _FAMILY.items():
        at = [i for i, (_, own, _) in enumerate(errors) if own == family]
        if at:
            ax.plot([values[i] for i in at], at, "o", color=colour, markersize=4.5,
                    label=_WORDS[family])  # fmt: skip
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    decades(ax, x=(min(values) / 1.5, max(values) * 1.5))
    ax.grid(axis="y", color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)
    legend(ax, loc="lower left")
    finish(ax, title, "root mean square error, percent", "")
    ax.tick_params(axis="y", labelsize=SMALL - 1, length=0)

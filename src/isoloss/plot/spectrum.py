"""A measured spectrum, the target's power on it, and the learning curve that they predict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.access import mapping, number, vector
from isoloss.plot.canvas import BLUE, GREEN, VERMILLION
from isoloss.plot.gallery.style import SMALL, decades, finish, legend, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def spectrum_series(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of the three panels from an answer of `isoloss.spectra.study_spectrum`.

    Parameters
    ----------
    answer
        ``SpectrumStudy.to_dict()``; parts that are absent give empty arrays.

    Returns
    -------
    dict
        ``eigenvalues`` (``k``, ``lam``, and the fitted ``fit_k``, ``fit``), ``target`` (``k``,
        ``tail``, ``fit_k``, ``fit``), ``curve`` (``D``, ``loss``, ``low``, ``high``, ``floor``),
        ``checked`` (``D``, ``loss``, ``mean``, ``sem``).

    Examples
    --------
    >>> series = spectrum_series({"spectrum": {"eigenvalues": [2.0, 1.0]}})
    >>> series["eigenvalues"]["lam"].tolist(), series["curve"]["D"].size
    ([2.0, 1.0], 0)
    """
    lam = vector(mapping(answer.get("spectrum")).get("eigenvalues"))
    law, target = mapping(answer.get("exponent")), mapping(answer.get("target"))
    ranks = _ranks(law)
    tail = vector(target.get("tail"))
    beyond = _ranks(target)
    end = number(target.get("end"))
    with np.errstate(invalid="ignore"):
        c = number(target.get("exponent"))
        fall = (beyond + 0.5) ** -c - (0.0 if np.isnan(end) else end**-c)
    fit = number(target.get("floor")) + number(target.get("height")) * fall
    curve, check = mapping(answer.get("curve")), mapping(answer.get("check"))
    predicted = mapping(check.get("predicted"))
    return {
        "eigenvalues": {
            "k": np.arange(1.0, lam.size + 1), "lam": lam, "fit_k": ranks,
            "fit": number(law.get("height")) * ranks ** -number(law.get("exponent")),
        },
        "target": {
            "k": np.arange(tail.size, dtype=float), "tail": tail, "fit_k": beyond, "fit": fit,
        },
        "curve": _endless(curve, ("loss", "low", "high")) | {"floor": number(curve.get("floor"))},
        "checked": _endless(
            {**predicted, "mean": check.get("measured"), "sem": check.get("sem")},
            ("loss", "mean", "sem"),
        ),
    }  # fmt: skip


def _ranks(fit: Mapping[str, Any]) -> Any:
    low, high = number(fit.get("low")), number(fit.get("high"))
    return np.arange(low, high + 1) if low <= high else np.empty(0)


def _endless(curve: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Points of the features themselves, N = inf, in order of D."""
    N = [np.inf if v == "inf" else v for v in curve.get("N", ())]
    D = vector(curve.get("D"))
    use = np.array([v is not None and np.isinf(v) for v in N], dtype=bool)
    if use.size != D.size:
        use = np.zeros(D.size, dtype=bool)
    order = np.argsort(D[use], kind="stable")
    values = {name: vector(curve.get(name), D.size)[use][order] for name in names}
    return {"D": D[use][order]} | values


def draw_spectrum(answer: Mapping[str, Any]) -> Axes:
    """Draw eigenvalues with their fitted range, target power beyond a rank, and the curve.

    Returns
    -------
    matplotlib.axes.Axes
        The first of as many panels as there is something to show.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    series = spectrum_series(answer)
    shown = [_draw_eigenvalues]
    if series["target"]["k"].size:
        shown.append(_draw_target)
    if np.isfinite(series["curve"]["loss"]).any():
        shown.append(_draw_curve)
    axes = panels(len(shown))
    for draw, ax in zip(shown, axes, strict=True):
        draw(series, ax)
    return axes[0]


def _draw_eigenvalues(series: Mapping[str, Any], ax: Axes) -> None:
    at = series["eigenvalues"]
    keep = at["lam"] > 0
    ax.plot(at["k"][keep], at["lam"][keep], ".", color=BLUE, markersize=2.5, label="eigenvalues")
    if at["fit_k"].size:
        ax.plot(at["fit_k"], at["fit"], color=VERMILLION, linewidth=1.4, label="power law fitted")
    lam = at["lam"][keep]
    decades(ax, x=(0.8, 1.2 * max(lam.size, 2)), y=(lam.min() / 2, 2 * lam.max()))
    legend(ax, loc="lower left")
    finish(ax, "Spectrum", "rank $k$", "eigenvalue of the covariance")


def _draw_target(series: Mapping[str, Any], ax: Axes) -> None:
    at = series["target"]
    # Rank zero, all power, has no place on a logarithmic axis but at its left end.
    ax.plot(at["k"] + 0.5, at["tail"], ".", color=BLUE, markersize=2.5, label="measured")
    if np.isfinite(at["fit"]).any():
        ax.plot(at["fit_k"] + 0.5, at["fit"], color=VERMILLION, linewidth=1.4, label="fitted")
    tail = at["tail"][at["tail"] > 0]
    decades(ax, x=(0.4, 1.2 * at["k"].size), y=(tail.min() / 1.2, 1.2 * tail.max()))
    legend(ax, loc="lower left")
    finish(ax, "Target", "rank $k$, plus a half", "target power beyond rank $k$")


def _draw_curve(series: Mapping[str, Any], ax: Axes) -> None:
    at, checked = series["curve"], series["checked"]
    good = np.isfinite(at["loss"])
    D, loss = at["D"][good], at["loss"][good]
    # Bands that reach zero end at the frame.
    bottom = 0.8 * float(min([loss.min(), *checked["mean"][checked["mean"] > 0]]))
    ax.fill_between(
        D, np.maximum(at["low"][good], bottom / 10), at["high"][good], color=BLUE, alpha=0.2,
        linewidth=0,
    )  # fmt: skip
    ax.plot(D, loss, color=BLUE, linewidth=1.4, label="predicted")
    top = 1.25 * float(np.nanmax(at["high"][good]))
    if checked["D"].size:
        ax.errorbar(
            checked["D"], checked["mean"], yerr=2 * checked["sem"], fmt="o", color=VERMILLION,
            markersize=3, elinewidth=0.8, capsize=1.5, label="measured", zorder=3,
        )  # fmt: skip
        top = max(top, 1.25 * float(np.nanmax(checked["mean"])))
    if at["floor"] > bottom:
        ax.axhline(at["floor"], color=GREEN, linewidth=0.8, linestyle=":")
        ax.text(D[0], at["floor"], "floor", fontsize=SMALL, color=GREEN, va="bottom")
    decades(ax, x=(D.min() / 1.2, 1.2 * D.max()), y=(bottom, top))
    legend(ax, loc="upper right")
    finish(ax, "Learning curve", "samples $D$", "squared error on new rows")

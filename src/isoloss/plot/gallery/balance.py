"""The best ridge over N/T, and the valley of loss along fixed N T and N + T."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import CYCLE, VERMILLION
from isoloss.plot.gallery.learning import unit_spectrum
from isoloss.plot.gallery.style import decades, finish, label_right, legend, panel, simulated
from isoloss.theory import best_split, random_features
from isoloss.theory.agreement import agree_random_features

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MODES = 1e9
"""Of a spectrum that is to look endless to some thousand features."""


def optimal_ridge_series(
    *, alpha: Sequence[float] = (0.5, 1.0, 1.5, 2.5), size: float = 1000.0, ratio: float = 100.0
) -> dict[str, Any]:
    """Compute the ridge of least test loss over N/T at fixed N T, without noise.

    Parameters
    ----------
    alpha
        Exponents; eigenvalues are I^-(1 + alpha).
    size
        Square root of N T.
    ratio
        Largest N/T; the smallest is its inverse.

    Returns
    -------
    dict
        ``curves``: for each alpha the arrays ``ratio``, ``ridge`` (ghat, in units of the first
        eigenvalue) and ``scaled``, the ridge times ``size**(alpha - 1)``, which does not
        depend on the size.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859: for alpha = 1 it is pi^2/4 for all N and T.

    Examples
    --------
    >>> flat = optimal_ridge_series(alpha=(1.0,))["curves"][0]["ridge"]
    >>> round(float(flat.min()), 2), round(float(flat.max()), 2)
    (2.47, 2.47)
    """
    ratios = np.geomspace(1 / ratio, ratio, 81)
    curves = []
    for a in alpha:
        N, T = size * np.sqrt(ratios), size / np.sqrt(ratios)
        ridge = random_features(unit_spectrum(a, _MODES), N, T, ridge="optimal").ridge
        scaled = ridge * size ** (a - 1)
        curves.append({"alpha": a, "ratio": ratios, "ridge": ridge, "scaled": scaled})
    return {"size": size, "curves": curves}


def draw_optimal_ridge(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the best ridge over N/T, a line for each alpha.

    Parameters
    ----------
    series
        Of `optimal_ridge_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = optimal_ridge_series() if series is None else series
    ends = []
    for curve, colour in zip(series["curves"], CYCLE, strict=False):
        ax.plot(curve["ratio"], curve["scaled"], color=colour, linewidth=1.2)
        value = r", $\pi^2/4$" if curve["alpha"] == 1 else ""
        ends.append((curve["scaled"][-1], rf"$\alpha={curve['alpha']:g}$" + value, colour))
    every = np.concatenate([c["scaled"] for c in series["curves"]])
    ratios = series["curves"][0]["ratio"]
    decades(ax, x=(ratios[0], ratios[-1]), y=(every.min() / 2, every.max() * 2))
    ax.axvline(1, color="0.8", linewidth=0.7, zorder=0)
    label_right(ax, ends)
    return finish(
        ax, "Ridge of least test loss", "features over samples, $N/T$",
        r"$\hat g^\ast\,(NT)^{(\alpha-1)/2}$ / first eigenvalue",
    )  # fmt: skip


def valley_series(
    *,
    constraint: str = "N*T",
    alpha: float = 0.8,
    size: float = 200.0,
    noise: Sequence[float] = (0.0, 0.05, 0.5),
    ratio: float = 30.0,
    M: int = 2000,
    simulate: int = 0,
    rng: int = 0,
) -> dict[str, Any]:
    """Compute the loss at the best ridge along fixed ``N*T`` or ``N+T``.

    Parameters
    ----------
    constraint
        ``"N*T"`` at ``size**2``, or ``"N+T"`` at twice the size: both hold N = T = size.
    alpha, M
        Of the spectrum, as in `learning_curves_series`.
    size
        N and T in the middle.
    noise
        Variances of the label noise, in units of the first mode's power.
    ratio
        Largest N/T; the smallest is its inverse.
    simulate, rng
        Draws a point, 0 for none, and their seed.

    Returns
    -------
    dict
        ``curves``: for each noise the arrays ``ratio`` and ``loss`` (excess), the ``best`` ratio
        with its ``least`` loss, and ``simulated`` (``ratio``, ``mean``, ``sem``) or None.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859, equiparameterization.

    Examples
    --------
    >>> noisy = valley_series(noise=(0.0, 0.1))["curves"]
    >>> round(noisy[0]["best"], 3), noisy[1]["best"] < 0.7
    (1.0, True)
    """
    spectrum = unit_spectrum(alpha, M)
    budget = size**2 if constraint == "N*T" else 2 * size
    ratios = np.geomspace(1 / ratio, ratio, 81)
    curves = []
    for s in noise:
        N, T = _resources(constraint, size, ratios)
        found = random_features(spectrum, N, T, ridge="optimal", noise=s)
        best = best_split(spectrum, budget, constraint=constraint, noise=s)
        points = None
        if simulate:
            picked = ratios[5:-5:14]
            whole = [np.maximum(np.round(v), 1) for v in _resources(constraint, size, picked)]
            drawn = [
                agree_random_features(
                    spectrum, int(n), int(t), ridge="optimal", noise=s, draws=simulate, rng=rng
                )
                for n, t in zip(*whole, strict=True)
            ]
            points = {"ratio": whole[0] / whole[1]} | {
                k: np.array([float(getattr(d, k)["test_excess"][0]) for d in drawn])
                for k in ("mean", "sem")
            }
        curves.append(
            {"noise": s, "ratio": ratios, "loss": found.test_excess, "simulated": points}
            | {"best": float(best.N[0] / best.T[0]), "least": float(best.loss[0])}
        )
    return {"constraint": constraint, "size": size, "curves": curves}


def _resources(constraint: str, size: float, ratio: Any) -> tuple[Any, Any]:
    if constraint == "N*T":
        return size * np.sqrt(ratio), size / np.sqrt(ratio)
    return 2 * size * ratio / (1 + ratio), 2 * size / (1 + ratio)


def draw_valley(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the loss over N/T along a constraint, with the best split of each noise.

    Parameters
    ----------
    series
        Of `valley_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = valley_series() if series is None else series
    ends = []
    for curve, colour in zip(series["curves"], CYCLE, strict=False):
        ax.plot(curve["ratio"], curve["loss"], color=colour, linewidth=1.2)
        simulated(ax, curve["simulated"], "ratio", colour)
        ends.append((curve["loss"][-1], rf"$\sigma^2={curve['noise']:g}$", colour))
    best, least = ([c[k] for c in series["curves"]] for k in ("best", "least"))
    ax.plot(best, least, "*", color=VERMILLION, markersize=8, label="best split", zorder=4)
    every = np.concatenate([c["loss"] for c in series["curves"]])
    ratios = series["curves"][0]["ratio"]
    decades(ax, x=(ratios[0], ratios[-1]), y=(every.min() / 1.4, every.max() * 1.6))
    ax.axvline(1, color="0.8", linewidth=0.7, zorder=0)
    label_right(ax, ends)
    legend(ax, loc="upper center")
    size = series["size"]
    held = f"$NT={size:g}^2$" if series["constraint"] == "N*T" else f"$N+T={2 * size:g}$"
    return finish(
        ax, f"Split of a budget, {held}", "features over samples, $N/T$",
        "excess test loss / first mode's power",
    )  # fmt: skip

"""Compute-optimal phases of one-pass SGD, and one exact risk with the terms it is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import BLUE, GREEN, ORANGE, PURPLE, SKY
from isoloss.plot.gallery.style import (
    SMALL,
    TEXT,
    decades,
    finish,
    label_right,
    legend,
    panel,
    simulated,
)
from isoloss.theory import one_pass_sgd, sgd_phase, sgd_spectrum, sgd_terms
from isoloss.theory.agreement import agree_sgd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMED = {
    "Ia": (1.1, 0.25), "II": (1.25, 0.82), "III": (0.8, 1.2), "IVa": (0.4, 1.12),
    "IVb": (0.272, 1.35), "Ic": (0.125, 1.0), "Ib": (0.36, 0.36),
}  # fmt: skip
"""A place inside each phase, (alpha, beta)."""


def sgd_phases_series(
    *, alpha: tuple[float, float] = (0.01, 1.6), beta: tuple[float, float] = (0.0, 1.5),
    points: int = 65,
) -> dict[str, Any]:  # fmt: skip
    """Compute phase and exponent of the compute-optimal risk over alpha and beta.

    Parameters
    ----------
    alpha, beta
        Ends of the two axes.
    points
        Along each axis.

    Returns
    -------
    dict
        ``alpha``, ``beta``; ``y`` (beta, alpha): risk falls as compute^-y, NaN where it does not;
        ``phase``: names, in the same shape; ``names``: a place inside each phase, ``alpha``,
        ``beta``; ``borders``: lines as pairs of ends (alpha, beta).

    References
    ----------
    Paquette, Paquette, Xiao and Pennington, arXiv:2405.15074.

    Examples
    --------
    >>> series = sgd_phases_series(points=11)
    >>> sorted(series["names"])
    ['II', 'III', 'IVa', 'IVb', 'Ia', 'Ib', 'Ic']
    """
    across, up = np.linspace(*alpha, points), np.linspace(*beta, points)
    found = [[sgd_phase(a, b) for a in across] for b in up]
    y = np.array([[np.nan if p.y is None else p.y for p in row] for row in found])
    right, top = alpha[1], beta[1]
    turn = 1 - 1 / math.sqrt(2)
    diagonal = min(right, top)
    borders = {
        "none": ((max(alpha[0], 0.5 - top), min(0.5 - alpha[0], top)), (0.5, 0.0)),
        "2 alpha = 1": ((0.5, 0.0), (0.5, top)),
        "2 beta = 1": ((alpha[0], 0.5), (right, 0.5)),
        "beta = alpha": ((0.5, 0.5), (diagonal, diagonal)),
        "alpha = 1/4": ((0.25, 0.5), (0.25, top)),
        "alpha = 1 - 1/sqrt(2)": ((turn, 0.5), (turn, top)),
    }
    return {
        "alpha": across, "beta": up, "y": y, "phase": [[p.phase for p in row] for row in found],
        "names": dict(_NAMED), "borders": borders,
    }  # fmt: skip


def draw_sgd_phases(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the phases: y as shade, with lines of equal y, names and borders.

    Parameters
    ----------
    series
        Of `sgd_phases_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    from matplotlib.colors import LinearSegmentedColormap

    series = sgd_phases_series() if series is None else series
    shade = LinearSegmentedColormap.from_list("isoloss", ["white", SKY, BLUE])
    levels = np.arange(0.0, 0.95, 0.1)
    filled = ax.contourf(
        series["alpha"], series["beta"], series["y"], levels=levels, cmap=shade, vmax=1.1
    )
    for (a, b), (c, d) in series["borders"].values():
        ax.plot([a, c], [b, d], color="black", linewidth=0.9)
    for name, (a, b) in series["names"].items():
        if name == "IVb":
            # Narrower than its name, which stands above it.
            ax.annotate(
                name, (a, b), (a, series["beta"][-1] + 0.04), ha="center", fontsize=SMALL,
                annotation_clip=False, arrowprops={"arrowstyle": "-", "linewidth": 0.6},
            )  # fmt: skip
        else:
            ax.text(a, b, name, ha="center", va="center", fontsize=TEXT, fontweight="bold")
    ax.text(0.03, 0.12, "risk\nstays", fontsize=SMALL, color="0.4")
    bar = ax.figure.colorbar(filled, ax=ax, pad=0.02, aspect=30)
    bar.set_label("exponent $y$ of the risk", fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL)
    ax.set_xlim(0, series["alpha"][-1])
    ax.set_ylim(series["beta"][0], series["beta"][-1])
    return finish(
        ax, "Compute-optimal risk $f^{-y}$ of one-pass SGD",
        r"$\alpha$, eigenvalues $j^{-2\alpha}$", r"$\beta$, target $j^{-\beta}$", pad=15,
    )  # fmt: skip


def sgd_risk_series(
    *,
    alpha: float = 0.8,
    beta: float = 1.2,
    N: float = 10_000,
    lr: float = 0.2,
    batch: int = 1,
    steps: tuple[float, float] = (1, 1e8),
    small: int = 300,
    simulate: int = 0,
    rng: int = 0,
) -> dict[str, Any]:
    """Compute the exact mean risk of one-pass SGD and the terms that it is made of.

    Parameters
    ----------
    alpha, beta
        Eigenvalues are j^-2alpha without end, target coefficients j^-beta; 2 alpha and
        2 beta above 1.
    N, lr, batch
        Features, step size, samples a step.
    steps
        First and last step.
    small
        Features of a smaller model, of twenty times as many latents, to simulate.
    simulate, rng
        Draws of its features, 0 for none, and their seed.

    Returns
    -------
    dict
        ``steps`` and ``risk``; ``limit``; ``terms``: arrays ``F_pp``, ``F_ac``, ``K_pp`` (the noise
        kernel over ``lr batch``) and ``F_0``; ``small``: ``N`` and ``risk`` of the smaller model;
        ``simulated`` (``steps``, ``mean``, ``sem``) or None.

    References
    ----------
    Paquette, Paquette, Xiao and Pennington, arXiv:2405.15074.

    Examples
    --------
    >>> series = sgd_risk_series(steps=(1e3, 1e5))
    >>> bool((series["risk"] > series["terms"]["F_0"]).all())
    True
    """
    spectrum = sgd_spectrum(alpha=alpha, beta=beta, M=np.inf)
    at = np.unique(np.round(np.geomspace(*steps, 91)))
    found = one_pass_sgd(spectrum, N, at, lr=lr, batch=batch)
    parts = [sgd_terms(alpha, beta, N=N, steps=k, lr=lr, batch=batch) for k in at]
    terms = {k: np.array([getattr(p, k) for p in parts]) for k in ("F_pp", "F_ac", "K_pp")}
    # The law of F_0 is without its constant; its exact value is known.
    terms["F_0"] = np.full(at.size, found.forcing_limit)
    terms["K_pp"] /= lr * batch
    latents = sgd_spectrum(alpha=alpha, beta=beta, M=20 * small)
    points = None
    if simulate:
        few = np.unique(np.round(np.geomspace(steps[0], min(steps[1], 30_000), 10)))
        drawn = agree_sgd(latents, small, few, lr=lr, batch=batch, draws=simulate, rng=rng)
        points = {"steps": few, "mean": drawn.mean["risk"], "sem": drawn.sem["risk"]}
    return {
        "alpha": alpha, "beta": beta, "N": N, "lr": lr, "batch": batch, "steps": at,
        "phase": sgd_phase(alpha, beta).phase, "risk": found.risk, "limit": found.risk_limit,
        "terms": terms, "simulated": points,
        "small": {
            "N": small, "risk": one_pass_sgd(latents, small, at, lr=lr, batch=batch).risk
        },
    }  # fmt: skip


def draw_sgd_risk(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the exact risk against steps with its terms as dashed lines.

    Parameters
    ----------
    series
        Of `sgd_risk_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = sgd_risk_series() if series is None else series
    steps, risk, terms = (series[k] for k in ("steps", "risk", "terms"))
    low, high = risk[-1] / 20, risk[0] * 3
    colours = {"F_pp": BLUE, "K_pp": ORANGE, "F_ac": GREEN, "F_0": PURPLE}
    names = {
        "F_pp": "$F_{pp}$", "F_ac": "$F_{ac}$", "F_0": "$F_0$", "K_pp": r"$K_{pp}/\gamma B$"
    }  # fmt: skip
    for name, colour in colours.items():
        ax.plot(steps, terms[name], color=colour, linewidth=1.0, linestyle="--", label=names[name])
    small = series["small"]
    ax.plot(steps, small["risk"], color="0.6", linewidth=1.2)
    simulated(ax, series["simulated"], "steps", "0.5")
    ax.plot(steps, risk, color="black", linewidth=1.4)
    decades(ax, x=(steps[0], steps[-1]), y=(low, high))
    exponent = np.log10(series["N"])
    size = rf"$N=10^{{{exponent:g}}}$" if exponent == round(exponent) else f"$N={series['N']:g}$"
    label_right(ax, [(risk[-1], size, "black"), (small["risk"][-1], f"$N={small['N']}$", "0.5")])
    legend(ax, loc="upper right", title=f"terms at {size}", title_fontsize=SMALL)
    title = rf"Phase {series['phase']}: $\alpha={series['alpha']:g}$, $\beta={series['beta']:g}$"
    return finish(ax, title, "steps of one-pass SGD", "mean excess risk / first mode's power")

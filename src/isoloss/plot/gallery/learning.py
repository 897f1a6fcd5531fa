"""Loss against samples at several sizes: double descent, and what the best ridge makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import CYCLE
from isoloss.plot.gallery.style import decades, finish, label_right, panel, simulated
from isoloss.theory import Spectrum, data_asymptote, power_law, random_features
from isoloss.theory.agreement import agree_random_features

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RATIOS = (1 / 9, 1 / 6, 1 / 4, 1 / 2, 3 / 4, 4 / 3, 2, 4, 8, 16, 32)
"""T/N of simulated points: none so near the peak that finite systems depart from the theory."""


def unit_spectrum(alpha: float, M: float) -> Spectrum:
    """Spectrum I^-(1 + alpha) whose target has coefficients of variance one.

    Losses are then in units of the power of the first mode.

    Examples
    --------
    >>> round(float(unit_spectrum(1.0, 100).v2[0]), 9)
    1.0
    """
    return power_law(b=1 + alpha, M=M, iid=True, power=M)


def learning_curves_series(
    *,
    alpha: float = 0.8,
    N: Sequence[int] = (20, 60, 180),
    T: tuple[float, float] = (5, 5000),
    M: int = 2000,
    ridge: Any = "ridgeless",
    noise: float = 0.0,
    simulate: int = 0,
    rng: int = 0,
) -> dict[str, Any]:
    """Compute the loss of random features against T at several N, solved and simulated.

    Parameters
    ----------
    alpha
        Eigenvalues are I^-(1 + alpha).
    N
        Numbers of features.
    T
        Fewest and most samples.
    M
        Latent modes, many times the largest N; without end for N = inf.
    ridge, noise
        As in `isoloss.theory.random_features`.
    simulate, rng
        Draws a point, 0 for none, and their seed.

    Returns
    -------
    dict
        ``curves``: for each N the arrays ``T`` and ``loss``, its ``plateau`` (T = inf) and
        ``simulated`` (``T``, ``mean``, ``sem``) or None; ``unlimited``: the same two arrays for
        N = inf; ``law``: the power law it tends to.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859.

    Examples
    --------
    >>> series = learning_curves_series(N=(20,))
    >>> curve = series["curves"][0]
    >>> float(curve["T"][np.argmax(curve["loss"])])
    20.0
    """
    spectrum = unit_spectrum(alpha, M)
    grid = np.geomspace(*T, 181)
    curves = []
    for n in N:
        # Both sides of the peak are followed up to one part in a thousand.
        near = n * np.concatenate(
            [1 - np.geomspace(0.2, 1e-3, 25), 1 + np.geomspace(1e-3, 0.2, 25)]
        )
        at = np.unique(np.concatenate([grid, near, [n]]))
        found = random_features(spectrum, n, at, ridge=ridge, noise=noise)
        end = random_features(spectrum, n, np.inf, ridge=ridge, noise=noise)
        curves.append(
            {"N": n, "T": at, "loss": found.test_excess, "plateau": float(end.test_excess)}
            | {"simulated": _simulate(spectrum, n, T, ridge, noise, simulate, rng)}
        )
    # Endless latents, so that the curve follows its law to the last sample.
    endless = unit_spectrum(alpha, 1e9)
    free = random_features(endless, np.inf, grid, ridge=ridge, noise=noise)
    law = data_asymptote(a=1 + alpha, b=1 + alpha)
    return {
        "alpha": alpha, "ridge": ridge, "noise": noise, "curves": curves,
        "unlimited": {"T": grid, "loss": free.test_excess},
        "law": {"exponent": law.exponent, "T": grid, "loss": law(grid)},
    }  # fmt: skip


def _simulate(
    spectrum: Spectrum, N: int, T: tuple[float, float], ridge: Any, noise: float, draws: int,
    rng: int,
) -> dict[str, Any] | None:  # fmt: skip
    if not draws:
        return None
    at = [t for t in (round(r * N) for r in _RATIOS) if max(T[0], 10) <= t <= min(T[1], 2000)]
    found = [
        agree_random_features(spectrum, N, t, ridge=ridge, noise=noise, draws=draws, rng=rng)
        for t in at
    ]
    mean, sem = ([float(getattr(f, k)["test_excess"][0]) for f in found] for k in ("mean", "sem"))
    return {"T": np.array(at, dtype=np.float64), "mean": np.array(mean), "sem": np.array(sem)}


def draw_learning_curves(
    series: Mapping[str, Any] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw loss against T: a line and its plateau for each N, simulations as dots.

    Parameters
    ----------
    series
        Of `learning_curves_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = learning_curves_series() if series is None else series
    free, law = series["unlimited"], series["law"]
    ax.plot(free["T"], free["loss"], color="0.25", linewidth=0.9)
    ends = []
    for curve, colour in zip(series["curves"], CYCLE, strict=False):
        ax.axhline(curve["plateau"], color=colour, linewidth=0.7, linestyle=":")
        ax.plot(curve["T"], curve["loss"], color=colour, linewidth=1.2)
        simulated(ax, curve["simulated"], "T", colour)
        ends.append((curve["plateau"], f"$N={curve['N']}$", colour))
    low = free["loss"][-1]
    decades(ax, x=(free["T"][0], free["T"][-1]), y=(low / 1.5, 4 * free["loss"][0]))
    # The law beside the curve it belongs to, low enough to be apart from it.
    part = slice(len(law["T"]) // 4, 3 * len(law["T"]) // 4)
    ax.plot(law["T"][part], law["loss"][part] / 1.7, color="0.25", linewidth=0.9, linestyle="--")
    middle = len(law["T"]) // 2
    ax.text(
        law["T"][middle], law["loss"][middle] / 2.1, rf"$T^{{-{series['alpha']:g}}}$",
        ha="right", va="top", fontsize=8, color="0.25",
    )  # fmt: skip
    label_right(ax, [*ends, (low, r"$N=\infty$", "0.25")])
    named = {"ridgeless": "Without a ridge", "optimal": "At the best ridge"}
    title = named.get(str(series["ridge"]), f"Ridge {series['ridge']}")
    return finish(ax, title, "samples $T$", "excess test loss / first mode's power")

"""What the loss does when features and samples approach the number of latent modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import CYCLE
from isoloss.plot.gallery.style import SMALL, decades, finish, label_right, panel, simulated
from isoloss.theory import power_law, random_features
from isoloss.theory.agreement import agree_random_features

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plateau_series(
    *,
    alpha: float = 0.8,
    M: Sequence[int] = (30, 300, 3000),
    n: tuple[float, float] = (3, 30000),
    samples: float = 4.0,
    noise: float = 0.0,
    beyond: bool = False,
    simulate: int = 0,
    rng: int = 0,
) -> dict[str, Any]:
    """Compute the loss without a ridge against n = min(N, T) for several numbers of latent modes.

    N = n features learn from T = ``samples`` n samples; the loss is that on labels as noisy as
    those learned from.

    Parameters
    ----------
    alpha
        Eigenvalues and target powers are I^-(1 + alpha).
    M
        Numbers of latent modes.
    n
        Smallest and largest n.
    samples
        T/N.
    noise
        Variance of the label noise, in units of the first mode's power.
    beyond
        Whether the target goes on past M, where no feature reaches: power that a finite number
        of latents leaves for good.
    simulate, rng
        Draws a point, 0 for none, and their seed.

    Returns
    -------
    dict
        ``curves``: for each M, and for M = inf, the arrays ``n`` and ``loss``, the ``floor``
        that it tends to past M, and ``simulated`` (``n``, ``mean``, ``sem``) or None.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859, plateau of the scaling law.

    Examples
    --------
    >>> curve = plateau_series(M=(300,), beyond=True)["curves"][0]
    >>> bool(abs(curve["loss"][-1] / curve["floor"] - 1) < 0.01)
    True
    """
    grid = np.geomspace(*n, 161)
    curves = []
    for modes in (*M, np.inf):
        spectrum = _spectrum(alpha, modes, beyond)
        # The loss falls steeply just before every mode is resolved.
        near = modes * (1 - np.geomspace(1e-6, 0.2, 25))
        at = grid if np.isinf(modes) else np.unique(np.concatenate([grid, near]))
        found = random_features(spectrum, at, samples * at, noise=noise)
        points = None
        if simulate and modes <= 300:
            sizes = np.unique(np.round(np.geomspace(max(n[0], 10), min(n[1], 2 * modes), 7)))
            drawn = [
                agree_random_features(
                    spectrum, int(v), round(samples * v), noise=noise, draws=simulate, rng=rng
                )
                for v in sizes
            ]
            points = {"n": sizes} | {
                k: np.array([float(getattr(d, k)["test_excess"][0]) for d in drawn])
                for k in ("mean", "sem")
            }
            points["mean"] += noise
        curves.append(
            {"M": modes, "n": at, "loss": found.test_total, "floor": spectrum.v0 + noise}
            | {"simulated": points}
        )
    return {"alpha": alpha, "samples": samples, "noise": noise, "beyond": beyond, "curves": curves}


def _spectrum(alpha: float, M: float, beyond: bool) -> Any:
    from scipy.special import zeta

    left = float(zeta(1 + alpha, M + 1)) if beyond and np.isfinite(M) else 0.0
    return power_law(b=1 + alpha, a=1 + alpha, M=M, v0=left)


def draw_plateau(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw loss against min(N, T), a line for each M.

    Parameters
    ----------
    series
        Of `plateau_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = plateau_series() if series is None else series
    *finite, endless = series["curves"]
    top = endless["loss"][0]
    last = np.array([c["loss"][-1] for c in series["curves"]])
    low = last[last > 0].min() / 2.5
    ax.plot(endless["n"], endless["loss"], color="0.25", linewidth=0.9)
    ends = [(endless["loss"][-1], r"$M=\infty$", "0.25")]
    inside = []
    for curve, colour in zip(finite, CYCLE, strict=False):
        seen = curve["loss"] > 0
        ax.plot(curve["n"][seen], curve["loss"][seen], color=colour, linewidth=1.2)
        simulated(ax, curve["simulated"], "n", colour)
        if curve["loss"][-1] > low:
            ends.append((curve["loss"][-1], f"$M={curve['M']:g}$", colour))
        else:
            inside.append((curve["M"], f"$M={curve['M']:g}$", colour))
    decades(ax, x=(endless["n"][0], endless["n"][-1]), y=(low, 2 * top))
    for place, text, colour in inside:
        ax.text(place * 1.15, low * 1.15, text, color=colour, fontsize=SMALL)
    label_right(ax, ends)
    title = "Without label noise"
    if series["noise"]:
        title = rf"Label noise $\sigma^2={series['noise']:g}$"
        ax.axhline(series["noise"], color="0.6", linewidth=0.7, linestyle=":")
        ax.text(endless["n"][0] * 1.15, series["noise"], r"$\sigma^2$", fontsize=SMALL, va="bottom")
    if series["beyond"]:
        title += ", target past $M$"
    return finish(
        ax, title, f"$n=\\min(N,T)$, with $T={series['samples']:g}N$",
        "test loss / first mode's power",
    )  # fmt: skip

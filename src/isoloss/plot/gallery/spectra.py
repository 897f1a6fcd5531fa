"""Spectra of features before and after a nonlinearity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.plot.canvas import BLUE, CYCLE, VERMILLION
from isoloss.plot.gallery.style import SMALL, decades, finish, legend, panel, simulated
from isoloss.theory import chaos_spectrum, gaussian_equivalent, power_law, sphere_spectrum
from isoloss.theory.activations import hermite_coefficients

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN = 250
"""Ranks drawn of many: as many as can be told apart at a column's width."""
_HERMITE = 30
"""Degree to which the covariance of drawn features is summed; the rest is on its diagonal."""


def nonlinear_spectrum_series(
    *,
    alpha: float = 0.5,
    M: int = 60,
    activation: str = "relu",
    degree: int = 4,
    modes: int = 20_000,
    N: int = 1000,
    simulate: int = 0,
    rng: int = 0,
) -> dict[str, Any]:
    """Compute eigenvalues by rank of the latents, and of nonlinear features of them.

    Parameters
    ----------
    alpha, M
        Latents have M eigenvalues I^-(1 + alpha), scaled to trace one.
    activation
        As in `isoloss.theory.gaussian_equivalent`.
    degree, modes
        Highest Hermite degree, and about how many eigenvalues to list.
    N
        Features that share the tail of the Gaussian equivalent.
    simulate, rng
        Draws of N features, 0 for none, and their seed.

    Returns
    -------
    dict
        ``latents``, ``linear`` (Gaussian equivalence: its modes), ``chaos`` (with the higher
        degrees): each ``rank`` and ``lam``; ``tail``: trace that Gaussian equivalence leaves to
        independent noise; ``bulk``: that trace over N; ``rest``: trace past the modes listed;
        ``simulated`` (``rank``, ``mean``, ``sem``): exact eigenvalues of the population covariance
        of drawn features over N, or None.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859, nonlinear features extending the spectrum;
    Goldt et al., arXiv:2006.14709, Gaussian equivalence.

    Examples
    --------
    >>> series = nonlinear_spectrum_series(degree=2, modes=500)
    >>> len(series["linear"]["lam"]), round(series["tail"], 4)
    (60, 0.0908)
    """
    latents = power_law(b=1 + alpha, a=1 + alpha, M=M)
    before = np.concatenate([block[0] for block in latents.blocks(M)]) / latents.trace
    equivalent = gaussian_equivalent(latents, activation)
    shrunk = before * (equivalent.trace - equivalent.tail)
    after = chaos_spectrum(latents, activation, degree=degree, modes=modes)
    return {
        "M": M, "N": N, "activation": activation, "degree": degree,
        "latents": _ranked(before), "linear": _ranked(shrunk), "chaos": _ranked(after.lam),
        "tail": equivalent.tail, "bulk": equivalent.tail / N, "rest": after.tail,
        "simulated": _simulate(before, activation, N, simulate, rng) if simulate else None,
    }  # fmt: skip


def _ranked(lam: Array) -> dict[str, Array]:
    return {"rank": np.arange(1.0, lam.size + 1), "lam": np.sort(lam)[::-1]}


def _simulate(lam: Array, activation: str, N: int, draws: int, rng: int) -> dict[str, Array]:
    """Eigenvalues of the covariance of features over Gaussian latents, by Hermite expansion.

    For projections of variance one and correlation r it is ``sum_k c_k^2 r^k`` over k >= 1.
    """
    c, square = hermite_coefficients(activation, _HERMITE)
    rows = []
    for stream in np.random.default_rng(rng).spawn(draws):
        u = stream.standard_normal((N, lam.size)) * np.sqrt(lam)
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        r = u @ u.T
        power, found, left = np.ones_like(r), np.zeros_like(r), square - c[0] ** 2
        for k in range(1, _HERMITE + 1):
            power *= r
            found += c[k] ** 2 * power
            left -= c[k] ** 2
        found[np.diag_indices(N)] += left
        rows.append(np.linalg.eigvalsh(found)[::-1] / N)
    at = np.unique(np.geomspace(1, N, 16).astype(int)) - 1
    values = np.array(rows)[:, at]
    spread = values.std(axis=0, ddof=1) if draws > 1 else np.zeros(at.size)
    return {"rank": at + 1.0, "mean": values.mean(axis=0), "sem": spread / np.sqrt(draws)}


def draw_nonlinear_spectrum(
    series: Mapping[str, Any] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw eigenvalues by rank, before and after a nonlinearity.

    Parameters
    ----------
    series
        Of `nonlinear_spectrum_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = nonlinear_spectrum_series() if series is None else series
    chaos, latents, linear = series["chaos"], series["latents"], series["linear"]
    shown = np.unique(np.geomspace(1, chaos["rank"].size, _SHOWN).astype(int)) - 1
    name, M, N = series["activation"], series["M"], series["N"]
    ax.plot(latents["rank"], latents["lam"], color="0.25", linewidth=1.0, label="latents")
    ax.plot(
        [*linear["rank"], M, N], [*linear["lam"], series["bulk"], series["bulk"]], color=BLUE,
        linewidth=1.2, linestyle="--", label="Gaussian equivalent",
    )  # fmt: skip
    ax.plot(
        chaos["rank"][shown], chaos["lam"][shown], color=VERMILLION, linewidth=1.2,
        label=f"Hermite degrees 1 to {series['degree']}",
    )  # fmt: skip
    simulated(ax, series["simulated"], "rank", "black")
    low, high, end = chaos["lam"][-1], latents["lam"][0], chaos["rank"].size
    decades(ax, x=(1, end), y=(low / 2, 10 * high))
    ax.axvline(M, color="0.8", linewidth=0.7, zorder=0)
    ax.text(M * 0.9, low, f"$M={M}$", fontsize=SMALL, color="0.4", va="bottom", ha="right")
    ax.text(N * 1.1, series["bulk"], "tail$/N$", fontsize=SMALL, color=BLUE, va="center")
    legend(ax, loc="upper right")
    return finish(
        ax, f"$N={N}$ {name} features of Gaussian latents", "rank of the eigenvalue",
        "eigenvalue / trace of the latents",
    )  # fmt: skip


def sphere_spectrum_series(
    *, d: int = 10, activations: Sequence[str] = ("relu", "erf"), degrees: int = 9
) -> dict[str, Any]:
    """Compute the eigenvalues of nonlinear features on a sphere, degree by degree.

    Parameters
    ----------
    d
        Dimension of the space that holds the sphere.
    activations
        As in `isoloss.theory.sphere_spectrum`.
    degrees
        Highest degree shown.

    Returns
    -------
    dict
        ``curves``: for each activation ``degree``, ``lam`` and ``count`` of the degrees that it
        has above the constant, falling in lam, and ``first`` and ``last`` rank of each.

    References
    ----------
    Simon et al., arXiv:2110.03922, kernels on the sphere.

    Examples
    --------
    >>> relu = sphere_spectrum_series(activations=("relu",))["curves"][0]
    >>> relu["degree"].tolist(), relu["last"].tolist()[:2]
    ([1, 2, 4, 6, 8], [10.0, 64.0])
    """
    # The multiplicity tells degrees apart: those that an activation lacks are not in the spectrum.
    number = {_count(d, k): k for k in range(1, degrees + 1)}
    curves = []
    for name in activations:
        found = sphere_spectrum(d, name, [0.0], degrees=max(20, degrees))
        kept = [i for i, m in enumerate(found.multiplicity) if round(m) in number]
        kept.sort(key=lambda i: -found.lam[i])
        count = found.multiplicity[kept]
        last = np.cumsum(count)
        curves.append(
            {"activation": name, "degree": np.array([number[round(m)] for m in count])}
            | {"lam": found.lam[kept], "count": count, "first": last - count + 1, "last": last}
        )
    return {"d": d, "curves": curves}


def _count(d: int, k: int) -> int:
    return comb(d + k - 1, k) - (comb(d + k - 3, k - 2) if k > 1 else 0)


def draw_sphere_spectrum(
    series: Mapping[str, Any] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw eigenvalues by rank as stairs, each step one degree with its number beside it.

    Parameters
    ----------
    series
        Of `sphere_spectrum_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = sphere_spectrum_series() if series is None else series
    for i, (curve, colour) in enumerate(zip(series["curves"], CYCLE, strict=False)):
        starts = np.maximum(curve["first"] - 1, 1)
        ranks = np.stack([starts, curve["last"]], axis=1).ravel()
        lam = np.repeat(curve["lam"], 2)
        ax.plot(ranks, lam, color=colour, linewidth=1.2, label=curve["activation"])
        # Numbers below the first stairs and above the others, so that none meets another.
        side, factor = ("bottom", 1.3) if i else ("top", 1 / 1.3)
        for k, value, first, last in zip(
            *(curve[n] for n in ("degree", "lam", "first", "last")), strict=True
        ):
            # Left of the middle: there the other stairs have no step.
            ax.text(
                first * (last / first) ** 0.33, value * factor, f"{k}", color=colour,
                fontsize=SMALL, ha="center", va=side,
            )  # fmt: skip
    every = np.concatenate([c["lam"] for c in series["curves"]])
    end = max(c["last"][-1] for c in series["curves"])
    decades(ax, x=(1, end), y=(every.min() / 5, every.max() * 6))
    legend(ax, loc="upper right", title="degrees of", title_fontsize=SMALL)
    return finish(
        ax, f"Inputs on a sphere in {series['d']} dimensions", "rank of the eigenvalue",
        "eigenvalue of the kernel",
    )  # fmt: skip

"""What pruning does to the error of a perceptron: curves, fractions, frontier, information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import BLUE, CYCLE, VERMILLION
from isoloss.plot.gallery.style import SMALL, decades, finish, label_right, legend, panel, simulated
from isoloss.theory import (
    agree_perceptron,
    frontier,
    margin_constant,
    pruned_perceptron,
    version_space,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def pruning_series(
    *,
    keep: str = "hard",
    fraction: Sequence[float] = (1.0, 0.8, 0.6, 0.4, 0.2, 0.1),
    theta: float = 0.0,
    alpha: tuple[float, float] = (0.1, 10.0),
    N: int = 200,
    simulate: int = 0,
    rng: int = 0,
) -> dict[str, Any]:
    """Compute test error against kept examples for several fractions.

    Parameters
    ----------
    keep, fraction, theta
        What a probe at that angle (radians) keeps.
    alpha
        Smallest and largest number of kept examples a dimension.
    N, simulate, rng
        Dimension, draws a point, 0 for none, and their seed.

    Returns
    -------
    dict
        ``curves``: for each fraction the arrays ``alpha`` and ``eps``, and ``simulated``
        (``alpha``, ``mean``, ``sem``) or None.

    References
    ----------
    Sorscher et al., arXiv:2206.14486, error against examples of perceptrons.

    Examples
    --------
    >>> curves = pruning_series(keep="easy", fraction=(1.0, 0.5), alpha=(0.5, 2))["curves"]
    >>> bool((curves[1]["eps"] < curves[0]["eps"]).all())
    True
    """
    grid = np.geomspace(*alpha, 81)
    share = np.array(fraction)[:, None]
    found = pruned_perceptron(grid, share, theta, keep=keep).require()
    curves = []
    for i, f in enumerate(fraction):
        points = None
        if simulate and f in (fraction[0], fraction[-2], fraction[-1]):
            # At two a dimension small systems find the teacher or do not.
            at = [a for a in (0.25, 0.5, 1.0, 1.5, 3.0, 5.0) if alpha[0] <= a <= alpha[1]]
            drawn = agree_perceptron(at, f, theta, keep=keep, N=N, draws=simulate, rng=rng)
            points = {"alpha": drawn.at, "mean": drawn.mean["eps"], "sem": drawn.sem["eps"]}
        curves.append({"fraction": f, "alpha": grid, "eps": found.eps[i], "simulated": points})
    return {"keep": keep, "theta": theta, "N": N, "curves": curves}


def draw_pruning(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw test error against kept examples, a line for each fraction.

    Parameters
    ----------
    series
        Of `pruning_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = pruning_series() if series is None else series
    colours = ("0.25", *CYCLE)
    ends, low = [], 0.5
    for curve, colour in zip(series["curves"], colours, strict=False):
        ax.plot(curve["alpha"], curve["eps"], color=colour, linewidth=1.2)
        simulated(ax, curve["simulated"], "alpha", colour)
        ends.append((curve["eps"][-1], f"$f={curve['fraction']:g}$", colour))
        low = min(low, curve["eps"][-1])
    first = series["curves"][0]["alpha"]
    decades(ax, x=(first[0], first[-1]), y=(low / 1.5, 0.6))
    label_right(ax, ends)
    which = {"hard": "Keep the hard", "easy": "Keep the easy", "random": "Keep any"}
    return finish(
        ax, f"{which[series['keep']]}: {_probe(series['theta'])}",
        r"kept examples a dimension, $\alpha_\mathrm{prune}$", r"test error $\epsilon$",
    )  # fmt: skip


def pruning_fraction_series(
    *,
    alpha_tot: Sequence[float] = (1.0, 3.0, 10.0),
    theta: float = 0.0,
    fraction: tuple[float, float] = (0.05, 1.0),
) -> dict[str, Any]:
    """Compute test error against the fraction kept of pools of several sizes.

    Parameters
    ----------
    alpha_tot
        Examples a dimension before pruning.
    theta
        Angle of the probe, radians.
    fraction
        Smallest and largest fraction.

    Returns
    -------
    dict
        ``pools``: for each size the arrays ``fraction``, ``hard``, ``easy`` and ``random``.

    References
    ----------
    Sorscher et al., arXiv:2206.14486.

    Examples
    --------
    >>> pool = pruning_fraction_series(alpha_tot=(1.0,))["pools"][0]
    >>> bool(pool["easy"].min() < pool["hard"].min())
    True
    """
    f = np.geomspace(*fraction, 61)
    pools = []
    for total in alpha_tot:
        found = pruned_perceptron(
            alpha_tot=total, fraction=f, theta=theta, keep=[["hard"], ["easy"], ["random"]]
        ).require()
        hard, easy, plain = found.eps
        pools.append(
            {"alpha_tot": total, "fraction": f, "hard": hard, "easy": easy, "random": plain}
        )
    return {"theta": theta, "pools": pools}


def draw_pruning_fraction(
    series: Mapping[str, Any] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw test error against the fraction kept: hard, easy and random at each size of the pool.

    Parameters
    ----------
    series
        Of `pruning_fraction_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = pruning_fraction_series() if series is None else series
    ends, low = [], 0.5
    for i, pool in enumerate(series["pools"]):
        for name, colour, line in (
            ("random", "0.6", ":"), ("hard", BLUE, "-"), ("easy", VERMILLION, "-"),
        ):  # fmt: skip
            ax.plot(
                pool["fraction"], pool[name], line, color=colour, linewidth=1.2,
                label=name if i == 0 else None,
            )  # fmt: skip
        end = pool["random"][-1]
        ends.append((end, rf"$\alpha_\mathrm{{tot}}={pool['alpha_tot']:g}$", "0.25"))
        low = min(low, end, pool["easy"].min())
    f = series["pools"][0]["fraction"]
    decades(ax, x=(f[0], f[-1]), y=(low / 1.5, 0.6))
    label_right(ax, ends)
    legend(ax, loc="lower left")
    return finish(
        ax, f"A pool that is given: {_probe(series['theta'])}", "fraction kept, $f$",
        r"test error $\epsilon$",
    )  # fmt: skip


def pruning_frontier_series(
    *,
    theta: Sequence[float] = (0.0, 5.0, 10.0, 20.0),
    alpha: tuple[float, float] = (0.3, 100.0),
    points: int = 41,
) -> dict[str, Any]:
    """Compute the least error that keeping hard examples reaches, for several probes.

    Parameters
    ----------
    theta
        Angles of the probe, in degrees.
    alpha
        Smallest and largest number of kept examples a dimension.
    points
        Numbers of examples between them.

    Returns
    -------
    dict
        ``alpha`` and ``random``; ``probes``: for each angle ``eps``, ``fraction``, and the ``law``
        that the error returns to.

    References
    ----------
    Sorscher et al., arXiv:2206.14486, Pareto frontier.

    Examples
    --------
    >>> series = pruning_frontier_series(theta=(20.0,), alpha=(1, 30), points=3)
    >>> bool((series["probes"][0]["eps"] <= series["random"]).all())
    True
    """
    at = np.geomspace(*alpha, points)
    probes = []
    for degrees in theta:
        near = at
        if degrees == 0:
            # The error falls to zero at two: its last decade lies next to it.
            near = np.unique(np.append(at[at < 2], 2 - np.append(np.geomspace(1e-4, 0.5, 15), 0)))
        found = frontier(near, np.deg2rad(degrees))
        probes.append(
            {"theta": degrees, "alpha": near, "eps": found.eps, "fraction": found.fraction}
            | {"law": found.law}
        )
    return {
        "alpha": at, "random": pruned_perceptron(at, keep="random").eps, "probes": probes,
        "constant": margin_constant(),
    }  # fmt: skip


def draw_pruning_frontier(
    series: Mapping[str, Any] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw the frontier of each probe, dashed the power law that it returns to.

    Parameters
    ----------
    series
        Of `pruning_frontier_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = pruning_frontier_series() if series is None else series
    at = series["alpha"]
    ax.plot(at, series["random"], color="0.25", linewidth=1.2)
    ends = [(series["random"][-1], "no pruning", "0.25")]
    low = series["random"][-1]
    for probe, colour in zip(series["probes"], CYCLE, strict=False):
        # Zero lies below the axis.
        ax.plot(probe["alpha"], np.maximum(probe["eps"], low / 1e6), color=colour, linewidth=1.2)
        if probe["theta"]:
            ax.plot(probe["alpha"], probe["law"], "--", color=colour, linewidth=0.7)
            ends.append((probe["eps"][-1], rf"$\theta={probe['theta']:g}°$", colour))
            low = min(low, probe["eps"][-1])
    decades(ax, x=(at[0], at[-1]), y=(low / 2, 0.6))
    for probe, colour in zip(series["probes"], CYCLE, strict=False):
        if not probe["theta"]:
            ax.text(1.9, low / 1.7, r"$\theta=0$", color=colour, fontsize=SMALL, ha="right")
    label_right(ax, ends)
    return finish(
        ax, "Best fraction of hard examples, endless pool",
        r"kept examples a dimension, $\alpha_\mathrm{prune}$", r"test error $\epsilon$",
    )  # fmt: skip


def pruning_information_series(
    *,
    fraction: Sequence[float] = (0.5, 0.2, 0.1),
    alpha: tuple[float, float] = (0.1, 20.0),
    points: int = 29,
) -> dict[str, Any]:
    """Compute the nats that one more kept example gives, hard ones against random ones.

    Parameters
    ----------
    fraction
        Fractions of hard examples kept by a perfect probe.
    alpha
        Smallest and largest number of kept examples a dimension.
    points
        Numbers of examples between them, and as many again near two.

    Returns
    -------
    dict
        ``alpha`` and ``random``; ``hard``: for each fraction the ``gain``.

    References
    ----------
    Sorscher et al., arXiv:2206.14486, information per example.

    Examples
    --------
    >>> series = pruning_information_series(fraction=(0.2,), alpha=(1, 2), points=3)
    >>> bool((series["hard"][0]["gain"] > series["random"]).all())
    True
    """
    # The gain peaks sharply just below two.
    peak = np.linspace(1.4, 2.4, points)
    peak = peak[(peak > alpha[0]) & (peak < alpha[1])]
    at = np.unique(np.append(np.geomspace(*alpha, points), peak))
    hard = [
        {"fraction": f, "gain": version_space(at, f).require().information_gain} for f in fraction
    ]
    plain = version_space(at, keep="random").require().information_gain
    return {"alpha": at, "random": plain, "hard": hard}


def draw_pruning_information(
    series: Mapping[str, Any] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw information per example against kept examples.

    Parameters
    ----------
    series
        Of `pruning_information_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = pruning_information_series() if series is None else series
    at = series["alpha"]
    ax.plot(at, series["random"], color="0.25", linewidth=1.2, label="random")
    for curve, colour in zip(series["hard"], CYCLE, strict=False):
        label = f"hard, $f={curve['fraction']:g}$"
        ax.plot(at, curve["gain"], color=colour, linewidth=1.2, label=label)
    every = np.concatenate([series["random"], *(c["gain"] for c in series["hard"])])
    ax.axhline(np.log(2), color="0.6", linewidth=0.7, linestyle=":")
    ax.text(at[0] * 1.1, np.log(2) / 1.25, "ln 2", fontsize=SMALL, color="0.4")
    decades(ax, x=(at[0], at[-1]), y=(every.min() / 1.5, every.max() * 1.5))
    legend(ax, loc="lower left")
    return finish(
        ax, "What one more example says: a perfect probe",
        r"kept examples a dimension, $\alpha_\mathrm{prune}$", "information (nats)",
    )  # fmt: skip


def _probe(theta: float) -> str:
    return "a perfect probe" if theta == 0 else rf"probe off by {np.degrees(theta):g}°"

"""Size, time and data as one resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.plot.canvas import CYCLE
from isoloss.plot.gallery.style import (
    SMALL,
    decades,
    finish,
    label_right,
    legend,
    panel,
    simulated,
)
from isoloss.theory import (
    Logistic,
    find_turns,
    gradient_flow,
    simulate_subspace,
    simulate_two_groups,
    subspace_flow,
    two_group_spectrum,
    two_groups,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def equivalence_series(
    *, r: int = 5, p: Sequence[int] = (10, 25, 100, 1000), pt: tuple[float, float] = (0.03, 30.0),
    samples: int = 200, collapsed: bool = True, simulate: int = 10, rng: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Follow logistic losses of models of several sizes in random subspaces, and their limit.

    Parameters
    ----------
    r
        Numbers that the loss depends on.
    p
        Sizes of the models.
    pt
        Smallest and largest product of size and time.
    samples
        Of the logistic loss; drawn from the seed.
    collapsed
        Whether x is the product of size and time, or time.
    simulate, rng
        Models of each size, 0 for the limit alone, and their seed.

    Returns
    -------
    dict
        ``limit``: ``pt`` and ``loss``; ``sizes``: for each p ``x``, ``limit`` (the law at that x)
        and ``simulated`` (``x``, ``mean``, ``sem``) or None; ``collapsed``.

    References
    ----------
    arXiv:2409.05782, scale-time equivalence.

    Examples
    --------
    >>> series = equivalence_series(p=(10, 100), simulate=0)
    >>> bool(series["limit"]["loss"][0] > series["limit"]["loss"][-1])
    True
    """
    source = np.random.default_rng(rng)
    X = source.standard_normal((samples, r))
    y = np.where(X @ np.ones(r) + 0.5 * source.standard_normal(samples) > 0, 1.0, -1.0)
    loss, K = Logistic(X, y), np.eye(r)
    fine, coarse = np.geomspace(*pt, 81), np.geomspace(*pt, 9)[1:-1]
    flow = subspace_flow(loss, K, fine)
    sizes = []
    for size in p:
        unit = 1.0 if collapsed else float(size)
        points = None
        if simulate:
            made = simulate_subspace(loss, K, size, coarse, draws=simulate, rng=rng)
            points = {"x": coarse / unit, "mean": made.mean("loss"), "sem": made.sem("loss")}
        sizes.append({"p": size, "x": fine / unit, "limit": flow.loss, "simulated": points})
    return {
        "limit": {"pt": fine, "loss": flow.loss},
        "sizes": sizes,
        "collapsed": collapsed,
        "r": r,
    }


def draw_equivalence(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw loss against time or against size times time.

    Parameters
    ----------
    series
        Of `equivalence_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = equivalence_series() if series is None else series
    together = series["collapsed"]
    for item, colour in zip(series["sizes"], CYCLE, strict=False):
        if not together:
            ax.plot(item["x"], item["limit"], color=colour, linewidth=1.1)
        name = f"$p={item['p']:g}$"
        if item["simulated"] is not None:
            simulated(ax, item["simulated"], "x", colour)
        ax.plot([], [], "o-" if not together else "o", color=colour, markersize=2.6, label=name)
    x = np.concatenate([item["x"] for item in series["sizes"]])
    if together:
        ax.plot(
            series["limit"]["pt"], series["limit"]["loss"], color="0.25", linewidth=1.1, zorder=1
        )
        ax.plot([], [], color="0.25", linewidth=1.1, label=r"$p\to\infty$")
    decades(ax, x=(x.min(), x.max()))
    legend(ax, loc="lower left")
    title = "Against size times time" if together else "Against time"
    return finish(ax, title, "$p\\,t$" if together else "time $t$", "logistic loss")


def descent_series(
    axis: str = "D", *, D: float = 4000.0, p: float = 100.0, t: float = 1.0, eta: float = 0.01,
    ls: float = 0.01, ln: float = 1.0, Ms: int = 10, Mn: int = 80, S2: float = 5.0,
    noise: float = 1.0, others: Sequence[float] = (), points: int = 121, simulate: int = 0,
    rng: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Cut the one risk of size, time and data along one of them, at several values of another.

    The risk is the exact one of linear regression on two groups of features, followed to
    ``tau = eta p t`` on D samples.

    Parameters
    ----------
    axis
        ``"D"``, ``"t"`` or ``"p"``: what varies around its value here.
    D, p, t, eta
        Samples, size, time and learning rate.
    ls, ln, Ms, Mn, S2, noise
        As in `two_groups`.
    others
        Factors on the time (for axes p and D) or on the size (for axis t), one curve each.
    points
        Places a curve.
    simulate, rng
        Draws a point, 0 for none, and their seed.

    Returns
    -------
    dict
        ``axis``, ``D``, ``M``; ``curves``: ``held`` (its name and value), ``x``, ``loss``,
        ``turns`` and ``simulated`` (``x``, ``mean``, ``sem``) or None.

    Examples
    --------
    >>> curve = descent_series("D", others=(1e4,), points=61)["curves"][0]
    >>> bool(80 < curve["turns"].peak[0] < 100)
    True
    """
    words: dict[str, Any] = {"ls": ls, "ln": ln, "Ms": Ms, "Mn": Mn, "S2": S2}
    spectrum = two_group_spectrum(**words)
    centre = {"D": D, "t": t, "p": p}
    ends = (0.0025, 2.5) if axis == "D" else (1e-2, 1e5)
    x = centre[axis] * np.geomspace(*ends, points)
    held = "p" if axis == "t" else "t"
    curves = []
    for factor in others or ((1.0, 10.0, 1e3, 1e5) if axis == "D" else (0.1, 1.0, 10.0)):
        at = centre | {held: centre[held] * factor}

        def risk(values: Array, at: dict[str, float] = at) -> Array:
            place = at | {axis: values}
            tau = eta * np.asarray(place["p"]) * place["t"]
            if axis != "D":
                return gradient_flow(spectrum, np.inf, D, tau, noise=noise).test_excess
            return gradient_flow(spectrum, np.inf, values, float(tau), noise=noise).test_excess

        drawn = None
        if simulate:
            coarse: Array = np.geomspace(2 * float(x[0]), float(x[-1]) / 4, 8)
            if axis == "D":
                coarse = np.round(coarse)
            drawn = {"x": coarse} | _drawn(axis, coarse, at, eta, words, noise, simulate, rng)
        curves.append(
            {"held": (held, at[held]), "x": x, "loss": risk(x), "simulated": drawn}
            | {"turns": find_turns(risk, float(x[0]), float(x[-1]), points=points)}
        )
    return {"axis": axis, "D": D, "M": Ms + Mn, "curves": curves}


def _drawn(
    axis: str, x: Array, at: dict[str, float], eta: float, words: dict[str, Any], noise: float,
    draws: int, rng: int,
) -> dict[str, Array]:  # fmt: skip
    """Means and standard errors of draws at places along an axis."""
    if axis != "D":
        tau = eta * x * at["p" if axis == "t" else "t"]
        made = simulate_two_groups(tau, D=int(at["D"]), noise=noise, draws=draws, rng=rng, **words)
        return {"mean": made.mean("excess"), "sem": made.sem("excess")}
    time = eta * at["p"] * at["t"]
    each = [
        simulate_two_groups(time, D=int(v), noise=noise, draws=draws, rng=rng, **words) for v in x
    ]
    return {
        "mean": np.array([float(m.mean("excess")) for m in each]),
        "sem": np.array([float(m.sem("excess")) for m in each]),
    }


def draw_descent(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the risk along one resource, a line for each value of another.

    Parameters
    ----------
    series
        Of `descent_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = descent_series() if series is None else series
    ends = []
    for curve, colour in zip(series["curves"], CYCLE, strict=False):
        ax.plot(curve["x"], curve["loss"], color=colour, linewidth=1.2)
        simulated(ax, curve["simulated"], "x", colour)
        name, value = curve["held"]
        ends.append((curve["loss"][-1], f"${name}={_power(value)}$", colour))
    x = series["curves"][0]["x"]
    values = np.concatenate([c["loss"] for c in series["curves"]])
    decades(ax, x=(x[0], x[-1]), y=(values.min() / 2.5, 1.8 * values.max()))
    label_right(ax, ends)
    said = {
        "D": ("Along data", f"samples $D$, for {series['M']} features"),
        "t": ("Along time", f"time $t$, with $D={series['D']:g}$"),
        "p": ("Along size", f"size $p$, with $D={series['D']:g}$"),
    }
    title, label = said[series["axis"]]
    return finish(ax, title, label, "excess risk")


def early_noise_series(
    *, ls: float = 0.01, ln: float = 1.0, Ms: int = 10, Mn: int = 80, S2: float = 5.0,
    noise: float = 1.0, D: Sequence[float] = (1000.0, 4000.0), points: int = 121,
) -> dict[str, Any]:  # fmt: skip
    """Risk in time where strong features carry noise alone: first order and exact.

    Parameters
    ----------
    ls, ln, Ms, Mn, S2, noise
        As in `two_groups`.
    D
        Samples, one curve each.
    points
        Times a curve.

    Returns
    -------
    dict
        ``curves``: ``D``, ``tau``, ``loss`` (to first order in M/D), ``exact`` and ``turns``
        (``bottom``, ``peak``).

    Examples
    --------
    >>> curve = early_noise_series(D=(4000,), points=31)["curves"][0]
    >>> curve["turns"]["peak"].size, bool(abs(curve["loss"] / curve["exact"] - 1).max() < 0.1)
    (1, True)
    """
    tau = np.geomspace(1e-2, 1e4, points)
    words: dict[str, Any] = {"ls": ls, "ln": ln, "Ms": Ms, "Mn": Mn, "S2": S2, "noise": noise}
    spectrum = two_group_spectrum(ls=ls, ln=ln, Ms=Ms, Mn=Mn, S2=S2)
    curves = []
    for samples in D:

        def risk(at: Array, D: float = samples) -> Array:
            return two_groups(at, D=D, **words)

        found = find_turns(risk, float(tau[0]), float(tau[-1]))
        curves.append(
            {
                "D": samples,
                "tau": tau,
                "loss": two_groups(tau, D=samples, **words),
                "exact": gradient_flow(spectrum, np.inf, samples, tau, noise=noise).test_excess,
                "turns": {"bottom": found.bottom, "peak": found.peak},
            }
        )
    return {"ls": ls, "ln": ln, "start": S2 * ls, "curves": curves}


def draw_early_noise(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the risk in time, exact as dashes, with the two times at which features are learned.

    Parameters
    ----------
    series
        Of `early_noise_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = early_noise_series() if series is None else series
    ends = []
    for curve, colour in zip(series["curves"], CYCLE, strict=False):
        ax.plot(curve["tau"], curve["loss"], color=colour, linewidth=1.2)
        ax.plot(curve["tau"], curve["exact"], color="0.25", linewidth=0.8, linestyle="--")
        ends.append((curve["loss"][-1], f"$D={_power(curve['D'])}$", colour))
    tau = series["curves"][0]["tau"]
    values = np.concatenate([[*c["loss"], *c["exact"]] for c in series["curves"]])
    decades(ax, x=(tau[0], tau[-1]))
    ax.set_ylim(0, 1.12 * values.max())
    for name, rate in (("noise fitted", series["ln"]), ("signal learned", series["ls"])):
        ax.axvline(1 / rate, color="0.7", linewidth=0.7, linestyle=":", zorder=0)
        ax.text(1 / rate, 1.1 * values.max(), name, fontsize=SMALL, ha="center", va="top")
    ax.plot([], [], color="0.25", linewidth=0.8, linestyle="--", label="exact in $M/D$")
    legend(ax, loc="lower left")
    label_right(ax, ends)
    return finish(ax, "Noise is learned first", r"$\tau=\eta\,$time", "excess risk")


def _power(value: float) -> str:
    """Write a number as 10^n where it is one."""
    exponent = np.log10(value)
    if abs(exponent - round(exponent)) < 1e-9 and abs(exponent) > 2:
        return f"10^{{{round(exponent)}}}"
    return f"{value:g}"

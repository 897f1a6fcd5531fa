"""Loss along training: early stopping, and the envelope at fixed compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import CYCLE, VERMILLION
from isoloss.plot.gallery.style import SMALL, decades, finish, label_right, legend, panel, simulated
from isoloss.theory import compute_exponents, compute_optimal, gradient_flow, power_law
from isoloss.theory.agreement import agree_gradient_flow

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def training_curves_series(
    *,
    a: float = 1.5,
    b: float = 1.3,
    N: Sequence[int] = (30, 100, 800),
    T: int = 200,
    M: int = 3000,
    noise: float = 0.5,
    t: tuple[float, float] = (0.1, 1e5),
    simulate: int = 0,
    rng: int = 0,
) -> dict[str, Any]:
    """Compute the test loss along gradient flow at several N, with the best time to stop.

    Parameters
    ----------
    a, b
        Target power is I^-a, eigenvalues I^-b.
    N, T, M, noise
        Features, samples, latent modes, variance of the label noise.
    t
        First and last time, in units of the inverse first eigenvalue.
    simulate, rng
        Draws a curve, 0 for none, and their seed.

    Returns
    -------
    dict
        ``curves``: for each N the arrays ``t`` and ``loss``, ``stop`` and ``least`` (the best time
        and its loss; the last time where the loss falls to the end), ``end`` (t = inf) and
        ``simulated`` (``t``, ``mean``, ``sem``) or None.

    References
    ----------
    Bordelon, Atanasov and Pehlevan, arXiv:2402.01092.

    Examples
    --------
    >>> curve = training_curves_series(N=(100,))["curves"][0]
    >>> bool(curve["t"][0] < curve["stop"] < curve["t"][-1]), curve["least"] < curve["end"]
    (True, True)
    """
    spectrum = power_law(b=b, a=a, M=M)
    times = np.geomspace(*t, 121)
    curves = []
    for n in N:
        loss = gradient_flow(spectrum, n, T, times, noise=noise).test_excess
        best = int(np.argmin(loss))
        points = None
        if simulate:
            at = times[10::12]
            drawn = agree_gradient_flow(spectrum, n, T, at, noise=noise, draws=simulate, rng=rng)
            points = {"t": at, "mean": drawn.mean["test_excess"], "sem": drawn.sem["test_excess"]}
        end = gradient_flow(spectrum, n, T, np.inf, noise=noise).test_excess
        curves.append(
            {"N": n, "t": times, "loss": loss, "stop": float(times[best])}
            | {"least": float(loss[best]), "end": float(end), "simulated": points}
        )
    return {"a": a, "b": b, "T": T, "noise": noise, "curves": curves}


def draw_training_curves(
    series: Mapping[str, Any] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw test loss against time, a line for each N, a star where to stop.

    Parameters
    ----------
    series
        Of `training_curves_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = training_curves_series() if series is None else series
    ends = []
    for curve, colour in zip(series["curves"], CYCLE, strict=False):
        ax.plot(curve["t"], curve["loss"], color=colour, linewidth=1.2)
        simulated(ax, curve["simulated"], "t", colour)
        ends.append((curve["loss"][-1], f"$N={curve['N']}$", colour))
    stop, least = ([c[k] for c in series["curves"]] for k in ("stop", "least"))
    ax.plot(stop, least, "*", color=VERMILLION, markersize=8, label="best time to stop", zorder=4)
    every = np.concatenate([c["loss"] for c in series["curves"]])
    times = series["curves"][0]["t"]
    decades(ax, x=(times[0], times[-1]), y=(every.min() / 1.5, every.max() * 1.5))
    label_right(ax, ends)
    legend(ax, loc="lower left")
    return finish(
        ax, f"$T={series['T']}$ samples, label noise $\\sigma^2={series['noise']:g}$",
        "training time $t$ / inverse first eigenvalue", "excess test loss / first mode's power",
    )  # fmt: skip


def compute_envelope_series(
    *,
    a: float = 1.5,
    b: float = 1.3,
    N: Sequence[float] = (1e2, 1e3, 1e4, 1e5, 1e6),
    C: tuple[float, float] = (1e3, 1e13),
    budgets: int = 11,
) -> dict[str, Any]:
    """Compute the loss against compute C = N t on endless data, and the least loss at each C.

    Parameters
    ----------
    a, b
        Target power is I^-a, eigenvalues I^-b, without end.
    N
        Sizes of the curves.
    C
        Least and most compute.
    budgets
        Points of the envelope.

    Returns
    -------
    dict
        ``curves``: for each N the arrays ``C`` and ``loss``; ``envelope``: ``C``, ``loss``, ``N``
        and ``t`` of the best size; ``law``: ``exponent`` as predicted, and the line ``C``,
        ``loss`` of that slope through the end of the envelope.

    References
    ----------
    Bordelon, Atanasov and Pehlevan, arXiv:2402.01092, compute-optimal scaling.

    Examples
    --------
    >>> series = compute_envelope_series(C=(1e6, 1e8), N=(100,), budgets=2)
    >>> round(series["law"]["exponent"], 4)
    0.2174
    """
    spectrum = power_law(b=b, a=a, M=np.inf)
    grid = np.geomspace(*C, 101)
    curves = []
    for n in N:
        loss = gradient_flow(spectrum, n, np.inf, grid / n).test_excess
        curves.append({"N": n, "C": grid, "loss": loss})
    at = np.geomspace(*C, budgets)
    best = compute_optimal(spectrum, at)
    exponent = compute_exponents(a=a, b=b).loss
    line = best.loss[-1] * (at / at[-1]) ** -exponent
    return {
        "a": a, "b": b, "curves": curves,
        "envelope": {"C": best.C, "loss": best.loss, "N": best.N, "t": best.t},
        "law": {"exponent": exponent, "C": at, "loss": line},
    }  # fmt: skip


def draw_compute_envelope(
    series: Mapping[str, Any] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw loss against compute, a line for each N, with the envelope and its predicted slope.

    Parameters
    ----------
    series
        Of `compute_envelope_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = compute_envelope_series() if series is None else series
    ends = []
    for curve, colour in zip(series["curves"], CYCLE, strict=False):
        ax.plot(curve["C"], curve["loss"], color=colour, linewidth=1.0)
        size = rf"$N=10^{{{np.log10(curve['N']):g}}}$"
        ends.append((curve["loss"][-1], size, colour))
    best, law = series["envelope"], series["law"]
    ax.plot(best["C"], best["loss"], color="black", linewidth=1.8, label="least loss")
    part = slice(len(law["C"]) // 4, None)
    low = law["loss"][part] / 1.5
    ax.plot(law["C"][part], low, color="black", linewidth=0.9, linestyle="--")
    middle = len(low) // 2
    ax.text(
        law["C"][part][middle], low[middle] / 1.2, rf"$C^{{-{law['exponent']:.3f}}}$",
        ha="right", va="top", fontsize=SMALL + 1,
    )  # fmt: skip
    decades(ax, x=(best["C"][0], best["C"][-1]), y=(best["loss"][-1] / 2.5, 1.5 * best["loss"][0]))
    label_right(ax, ends)
    legend(ax, loc="upper right")
    return finish(
        ax, f"Endless data, $a={series['a']:g}$, $b={series['b']:g}$",
        "compute $C=Nt$ / inverse first eigenvalue",
        "excess test loss / first mode's power",
    )  # fmt: skip

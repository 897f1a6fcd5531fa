"""The information-theoretic law: best sizes at each compute, beside trained students."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot.canvas import CYCLE, log_axes, new_axes
from isoloss.plot.gallery.style import decades, finish, label_right, legend, panel
from isoloss.sweep.student_measured import measured_optima
from isoloss.theory import information_optimum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAIRS = ((10, 10), (10, 60), (40, 10), (40, 60))
"""Pairs of d and K that students were trained for."""


def information_split_series(
    *, pairs: Sequence[tuple[float, float]] = PAIRS, C: tuple[float, float] = (5e5, 1e11)
) -> dict[str, Any]:
    """Compute the best n, T and the loss of the bound over compute, with what students showed.

    Parameters
    ----------
    pairs
        d and K of each curve; those without trained students have no points.
    C
        Least and most compute d n T.

    Returns
    -------
    dict
        ``curves``: for each pair ``d``, ``K``, arrays ``C``, ``n``, ``T``, ``loss`` of the bound,
        and ``students``: arrays ``C``, ``n``, ``T``, ``loss``, each of the last three with
        ``_low`` and ``_high``; ``linear``: ``C`` and ``n`` of the slope one half, through the end
        of the first curve.

    References
    ----------
    Jeon and Van Roy, arXiv:2212.01365 and arXiv:2407.01456.

    Examples
    --------
    >>> curve = information_split_series()["curves"][0]
    >>> bool((curve["students"]["n"] < curve["n"].max()).all())
    True
    """
    grid = np.geomspace(*C, 81)
    curves: list[dict[str, Any]] = []
    for d, K in pairs:
        best = information_optimum(grid, d=d, K=K)
        curves.append(
            {"d": d, "K": K, "C": grid, "n": best.n_opt, "T": best.T_opt, "loss": best.loss}
            | {"students": measured_optima(d, K)}
        )
    end = curves[0]["n"][-1]
    return {"curves": curves, "linear": {"C": grid, "n": end * np.sqrt(grid / grid[-1])}}


def draw_information_split(
    series: Mapping[str, Any] | None = None, *, quantity: str = "n", ax: Axes | None = None
) -> Axes:
    """Draw the best n, T or the loss against compute: the bound as lines, students as points.

    Parameters
    ----------
    series
        Of `information_split_series`; that of its defaults when absent.
    quantity
        ``"n"``, ``"T"`` or ``"loss"``.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = information_split_series() if series is None else series
    ends, seen = [], []
    for curve, colour in zip(series["curves"], CYCLE, strict=False):
        ax.plot(curve["C"], curve[quantity], color=colour, linewidth=1.2)
        seen.append(curve[quantity])
        points = curve["students"]
        middle = points[quantity]
        if middle.size:
            seen += [points[f"{quantity}_low"], points[f"{quantity}_high"]]
            bars = [middle - points[f"{quantity}_low"], points[f"{quantity}_high"] - middle]
            ax.errorbar(
                points["C"], middle, yerr=bars, fmt="o-", color=colour, markersize=2.6,
                linewidth=0.5, elinewidth=0.8, capsize=1.5, capthick=0.8, zorder=3,
            )  # fmt: skip
        ends.append((curve[quantity][-1], f"$d={curve['d']:g}$, $K={curve['K']:g}$", colour))
    line = series["linear"]
    if quantity != "loss":
        d = series["curves"][0]["d"]
        y = line["n"] if quantity == "n" else line["C"] / (d * line["n"])
        ax.plot(line["C"], y, color="black", linewidth=0.9, linestyle="--", label="slope 1/2")
        legend(ax, loc="upper left")
    every = np.concatenate(seen)
    every = every[np.isfinite(every)]
    decades(ax, x=(line["C"][0], line["C"][-1]), y=(every.min() / 1.6, every.max() * 1.6))
    label_right(ax, ends)
    words = {"n": "best neurons $n^*$", "T": "best samples $T^*$", "loss": "least loss / nats"}
    return finish(
        ax, "Lines: bound; dots: trained students", "compute $C=d\\,n\\,T$", words[quantity]
    )


def model_share_series(
    *, C: float = 1_048_576_000.0, d: tuple[float, float] = (2.0, 2000.0),
    K: Sequence[float] = (10, 60, 1000),
) -> dict[str, Any]:  # fmt: skip
    """Compute parameters a sample, p/T, at the bound's best split against the dimension.

    Parameters
    ----------
    C
        Compute; students are shown where they were trained at it.
    d
        Least and largest dimension.
    K
        Concentrations, a curve each.

    Returns
    -------
    dict
        ``C`` and ``curves``: for each K the arrays ``d`` and ``share``, and ``students``: arrays
        ``d``, ``share``, ``share_low``, ``share_high``.

    References
    ----------
    Jeon and Van Roy, arXiv:2212.01365: the share of the model grows with dimension and complexity.

    Examples
    --------
    >>> curve = model_share_series(C=1e10, d=(10, 1000))["curves"][0]
    >>> bool((curve["share"][1:] > curve["share"][:-1]).all())
    True
    """
    grid = np.geomspace(*d, 61)
    curves = []
    for conc in K:
        best = information_optimum(C, d=grid, K=conc)
        rows = []
        for dims, other in PAIRS:
            found = measured_optima(dims, other)
            here = (found["C"] == C) & (other == conc)
            sizes = [found[k][here] for k in ("n", "n_low", "n_high")]
            rows += [(dims, *((dims * n) ** 2 / C for n in at)) for at in zip(*sizes, strict=True)]
        table = np.array(rows, dtype=np.float64).reshape(-1, 4).T
        names = ("d", "share", "share_low", "share_high")
        curves.append(
            {"K": conc, "d": grid, "share": best.model_share}
            | {"students": dict(zip(names, table, strict=True))}
        )
    return {"C": C, "curves": curves}


def draw_model_share(series: Mapping[str, Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw parameters a sample against the dimension, a line for each K, students as points.

    Parameters
    ----------
    series
        Of `model_share_series`; that of its defaults when absent.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = panel(ax)
    series = model_share_series() if series is None else series
    ends, seen = [], []
    for curve, colour in zip(series["curves"], CYCLE, strict=False):
        ax.plot(curve["d"], curve["share"], color=colour, linewidth=1.2)
        points = curve["students"]
        middle = points["share"]
        bars = [middle - points["share_low"], points["share_high"] - middle]
        if middle.size:
            ax.errorbar(
                points["d"], middle, yerr=bars, fmt="o", color=colour, markersize=2.6,
                elinewidth=0.8, capsize=1.5, capthick=0.8, zorder=3,
            )  # fmt: skip
        seen += [curve["share"], points["share_low"], points["share_high"]]
        ends.append((curve["share"][-1], f"$K={curve['K']:g}$", colour))
    every = np.concatenate(seen)
    every = every[np.isfinite(every)]
    first = series["curves"][0]["d"]
    decades(ax, x=(first[0], first[-1]), y=(every.min() / 1.6, every.max() * 1.6))
    label_right(ax, ends)
    power = int(np.floor(np.log10(series["C"])))
    return finish(
        ax, f"compute $C={series['C'] / 10**power:.3g}\\times10^{{{power}}}$",
        "dimension of the inputs $d$", "parameters a sample $p^*/T^*$",
    )  # fmt: skip


def answer_series(
    answer: Mapping[str, Any], axes: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """Lines of an answer of ``isoloss theory information`` against the longest of its axes.

    Returns
    -------
    list of dict
        ``label``, ``quantity``, ``x``, ``y``, without points that log axes cannot place.

    Examples
    --------
    >>> lines = answer_series({"n_opt": [1.0, 2.0], "T_opt": [3.0, 4.0]}, {"C": [1.0, 10.0]})
    >>> [line["label"] for line in lines]
    ['n_opt', 'T_opt']
    """
    names = list(axes)
    along = max(range(len(names)), key=lambda i: (len(axes[names[i]]), i))
    x = np.array(axes[names[along]], dtype=np.float64)
    rest = [n for i, n in enumerate(names) if i != along]
    wanted = [k for k in ("n_opt", "T_opt") if k in answer]
    wanted = wanted or [k for k in ("loss", "misspecification", "estimation") if k in answer]
    lines = []
    for name in wanted:
        table = np.moveaxis(np.array(answer[name], dtype=np.float64), along, -1)
        for values, y in zip(
            product(*(axes[n] for n in rest)), table.reshape(-1, x.size), strict=True
        ):
            said = ", ".join(f"{n} {v:g}" for n, v in zip(rest, values, strict=True))
            with np.errstate(invalid="ignore"):
                keep = (x > 0) & np.isfinite(x) & (y > 0) & np.isfinite(y)
            lines.append(
                {"label": f"{name} {said}".strip(), "quantity": name, "x": x[keep], "y": y[keep]}
            )
    return lines


def draw_answer(
    answer: Mapping[str, Any], axes: Mapping[str, Sequence[float]], *, ax: Axes | None = None
) -> Axes:
    """Draw the lines of `answer_series` on log axes.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    lines = answer_series(answer, axes)
    styles = {"T_opt": "--", "misspecification": "--", "estimation": ":"}
    for i, line in enumerate(lines):
        style = styles.get(line["quantity"], "-")
        ax.plot(line["x"], line["y"], style, color=CYCLE[i % len(CYCLE)], label=line["label"])
    log_axes(ax, x=True, y=True)
    names = list(axes)
    ax.set_xlabel(max(names, key=lambda n: (len(axes[n]), names.index(n))))
    ax.set_ylabel("neurons and samples" if "n_opt" in answer else "nats")
    if len(lines) <= 12:
        ax.legend(fontsize=7, frameon=False)
    return ax

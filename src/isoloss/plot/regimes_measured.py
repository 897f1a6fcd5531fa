"""The four scaling regimes as trained networks show them: losses, fitted powers, exponents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError
from isoloss.plot.canvas import CYCLE, log_axes, new_axes
from isoloss.sweep.exponents import Exponent, decay_exponent, variance_exponent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegimeLine:
    """One set of runs along one resource, and the exponent read from it.

    Attributes
    ----------
    label
        What the runs share, such as ``d = 4``.
    x, loss, seed
        Of each run, (n,).
    limit
        Measured limit of each run, (n,), or ``None``: the floor of the exponent's law then.
    exponent
        From `decay_exponent` or `variance_exponent` on some range of these runs.
    expected
        Exponent that theory predicts, or ``None``.
    """

    label: str
    x: Array
    loss: Array
    seed: npt.NDArray[Any]
    limit: Array | None
    exponent: Exponent
    expected: float | None = None


def regime_line(
    rows: Sequence[Mapping[str, Any]],
    along: str,
    *,
    label: str = "",
    seed: str = "seed",
    expected: float | None = None,
    limit: npt.ArrayLike | None = None,
    **policy: Any,
) -> RegimeLine:
    """Take a line from rows of a ledger: its x, its losses, and the exponent fitted to them.

    Parameters
    ----------
    rows
        Rows that differ along the resource and in the seed; rows of runs that diverged are left
        out.
    along
        ``D``, ``N`` or another number of the row, or ``width`` of its model.
    seed
        Field of the spec that tells repetitions apart, such as ``seed`` or ``data.seed``.
    limit
        One for each row: fits the approach to it, else the loss itself.
    policy
        ``floor``, ``low``, ``high``, ``weigh``, ``level`` of the exponent.

    Raises
    ------
    InputError
        Where rows lack the field, or the exponent cannot be fitted.

    Examples
    --------
    >>> rows = [{"D": D, "loss": 3 / D, "spec": {"seed": 0}} for D in (10, 20, 40, 80)]
    >>> regime_line(rows, "D", floor=0.0).exponent.value  # doctest: +ELLIPSIS
    1.0...
    """
    far = None if limit is None else as_vector("limit", limit)
    if far is not None and len(far) != len(rows):
        raise InputError(f"limit: {len(far)} values for {len(rows)} rows; give one each")
    kept = [i for i, row in enumerate(rows) if row.get("status", "done") == "done"]
    try:
        x = np.array([_of(rows[i], along) for i in kept], dtype=np.float64)
        labels = np.array([_of(rows[i].get("spec", {}), seed) for i in kept])
        loss = np.array([rows[i]["loss"] for i in kept], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"rows: {along}, {seed} and loss are needed in each: {error}") from None
    if far is None:
        exponent = decay_exponent(x, loss, seed=labels, **policy)
    else:
        far = far[kept]
        exponent = variance_exponent(x, loss, seed=labels, limit=far, **policy)
    return RegimeLine(
        label=label, x=x, loss=loss, seed=labels, limit=far, exponent=exponent, expected=expected
    )


def _of(plain: Mapping[str, Any], name: str) -> Any:
    """Look up ``data.seed``, or ``width`` of the model of a row's spec."""
    if name == "width":
        return plain["spec"]["model"]["width"]
    value: Any = plain
    for part in name.split("."):
        value = value[part]
    return value


def regime_series(lines: Sequence[RegimeLine]) -> list[dict[str, Any]]:
    """Numbers of one panel.

    Returns
    -------
    list of dict
        For each line ``label`` (with exponent and interval), ``x``, ``y`` (mean over seeds of the
        loss above the limit or floor; x where it is not positive are left out), ``error``
        (standard error of the mean, NaN for one seed), ``used`` (whether x is in the range of the
        fit), ``fit_x``, ``fit_y``.
    """
    found = []
    for line in lines:
        e = line.exponent
        above = line.loss - (e.floor if line.limit is None else line.limit)
        at = np.unique(line.x)
        groups = [above[line.x == x] for x in at]
        y = np.array([g.mean() for g in groups])
        error = np.array([g.std(ddof=1) / len(g) ** 0.5 if len(g) > 1 else np.nan for g in groups])
        keep = y > 0
        theory = "" if line.expected is None else f", theory {line.expected:.2f}"
        said = f"{e.value:.2f} [{e.interval.low:.2f}, {e.interval.high:.2f}]{theory}"
        fit_x = np.geomspace(e.low, e.high, 50)
        found.append(
            {
                "label": f"{line.label}: {said}" if line.label else said,
                "x": at[keep],
                "y": y[keep],
                "error": error[keep],
                "used": (at >= e.low)[keep] & (at <= e.high)[keep],
                "fit_x": fit_x,
                "fit_y": e.amplitude * fit_x**-e.value,
            }
        )
    return found


def draw_regime(
    lines: Sequence[RegimeLine], *, x: str, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw one panel: means with two standard errors, hollow outside the fitted range.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    """
    ax = new_axes(ax)
    for i, line in enumerate(regime_series(lines)):
        colour = CYCLE[i % len(CYCLE)]
        error = np.minimum(2 * np.nan_to_num(line["error"]), 0.9 * line["y"])
        ax.errorbar(line["x"], line["y"], yerr=error, fmt="none", ecolor=colour, linewidth=0.8)
        for part, face in ((line["used"], colour), (~line["used"], "white")):
            ax.plot(
                line["x"][part], line["y"][part], "o", color=colour, markersize=4,
                markerfacecolor=face,
            )  # fmt: skip
        ax.plot(line["fit_x"], line["fit_y"], "-", color=colour, linewidth=1.2, label=line["label"])
    log_axes(ax, x=True, y=True)
    _number_ticks(ax)
    ax.set_xlabel(x)
    measured = any(line.limit is not None or line.exponent.floor > 0 for line in lines)
    ax.set_ylabel("loss above its limit" if measured else "loss")
    ax.set_title(title, fontsize=9, loc="left")
    if lines:
        ax.legend(fontsize=6.5, frameon=False, loc="lower left")
    return ax


def _number_ticks(ax: Axes) -> None:
    """Label 1, 2 and 5 of each decade as plain numbers where the x axis spans few decades."""
    low, high = ax.get_xlim()
    # Matplotlib would label every minor tick of a short log axis, one over the other.
    if ax.get_xscale() == "log" and high < 300 * low:
        ticks = [m * 10.0**k for k in range(-12, 19) for m in (1, 2, 5)]
        shown = [t for t in ticks if low <= t <= high]
        ax.set_xticks(shown, labels=[f"{t:g}" for t in shown])
        ax.set_xticks([], minor=True)
        ax.set_xlim(low, high)


def draw_regimes_measured(panels: Mapping[str, tuple[str, Sequence[RegimeLine]]]) -> Figure:
    """Draw up to four panels: title to (name of the x axis, lines).

    Raises
    ------
    InputError
        For more than four panels.
    MissingExtra
        Without matplotlib.
    """
    if not 1 <= len(panels) <= 4:
        raise InputError(f"panels: {len(panels)} are given; from 1 to 4 can be drawn")
    first = new_axes(None)
    figure = first.get_figure(root=True)
    assert figure is not None
    figure.clear()
    rows, columns = (1, len(panels)) if len(panels) < 3 else (2, 2)
    figure.set_size_inches(4.6 * columns, 3.8 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, (title, (x, lines)) in zip(axes, panels.items(), strict=False):
        draw_regime(lines, x=x, title=title, ax=ax)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    return figure

"""Power of a comparison against what it costs, design by design."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isoloss.plot.canvas import BLUE, GREEN, ORANGE, PURPLE, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.plan.power_result import Power

_COLOURS = {"ladder": BLUE, "upper": GREEN, "target": PURPLE, "target_alone": ORANGE}


def power_series(power: Power) -> dict[str, Any]:
    """Numbers of the picture of a power.

    Parameters
    ----------
    power
        Of `isoloss.plan.power_to_compare`.

    Returns
    -------
    dict
        ``lines``: a design each, with ``name``, ``label``, arrays ``cost``, ``runs``, ``power``,
        and ``enough``: None, or ``(cost, power)`` where the power is that asked for. ``goal``,
        ``unit`` and ``title``.

    Examples
    --------
    >>> from isoloss.plan import power_to_compare
    >>> found = power_to_compare(
    ...     {"D": [1e7, 1e8, 1e9], "loss": [4.0, 3.5, 3.1]}, at={"D": 1e10}, effect=1.5,
    ...     noise=0.01, laws=["power"], values={"A": 10.0, "alpha": 0.05},
    ... )
    >>> series = power_series(found)
    >>> sorted(line["name"] for line in series["lines"]), series["unit"]
    (['ladder', 'target', 'target_alone', 'upper'], 'D')
    """
    lines = [
        {
            "name": d.name,
            "label": d.title,
            "cost": d.curve_cost,
            "runs": d.curve_runs,
            "power": d.curve_power,
            "enough": None if d.cost is None or d.power is None else (d.cost, d.power),
        }
        for d in power.designs
    ]
    return {"lines": lines, "goal": power.goal, "unit": power.unit, "title": power.title}


def draw_power(power: Power, *, ax: Axes | None = None) -> Axes:
    """Draw power against cost; dots where it is enough, with the number of runs.

    Parameters
    ----------
    power
        Of `isoloss.plan.power_to_compare`.
    ax
        Axes to draw on; new ones by default.
    """
    from isoloss.plan.power_result import multiplier_text

    series, axes = power_series(power), new_axes(ax)
    counts = {d.name: d.runs for d in power.designs}
    for line in series["lines"]:
        colour = _COLOURS[line["name"]]
        runs, label = counts[line["name"]], line["label"]
        if runs is not None:
            label += f": {sum(runs)} runs"
        axes.plot(line["cost"], 100 * line["power"], color=colour, label=label)
        if line["enough"] is not None:
            cost, value = line["enough"]
            axes.plot([cost], [100 * value], "o", color=colour)
    axes.axhline(100 * series["goal"], color="0.6", linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_ylim(0, 102)
    axes.set_xlabel(f"cost of both recipes ({series['unit']})")
    axes.set_ylabel("power (%)")
    axes.set_title(
        f"to see a compute multiplier of {multiplier_text(power.effect)} {series['title']}",
        fontsize="medium",
    )
    axes.legend(
        fontsize="small", frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2
    )
    return axes

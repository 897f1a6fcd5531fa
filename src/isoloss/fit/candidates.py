"""Runs that could be made next: a lattice around those that were, within a cost and limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.fit.backtest import run_scale
from isoloss.runs import Runs

BOX = 4.0
"""Candidates reach this factor below the least and above the largest value of an axis."""
RATIO = 4.0
"""Candidates reach this factor beyond the least and the largest D/N of the runs."""
SIDE = 41
"""Values an axis in the lattice; ten times as many where there is one axis alone."""

CostLike = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Runs that could be made next.

    Attributes
    ----------
    x
        Axis to values, (m,).
    cost
        What each costs, in the unit of `unit`, (m,).
    unit
        ``FLOPs``, or the axis that stands for the cost.
    limits
        Where they lie, for people.
    """

    x: Mapping[str, Array]
    cost: Array
    unit: str
    limits: str

    def __len__(self) -> int:
        return len(self.cost)


def candidate_runs(
    runs: Runs,
    axes: Sequence[str],
    *,
    most_cost: float,
    cost: CostLike | None = None,
    fixed: Mapping[str, float] | None = None,
    box: float = BOX,
    ratio: float = RATIO,
) -> Candidates:
    """Lay out the runs that a cost allows, evenly in the logarithm.

    For N and D: all pairs from ``1/box`` of the least to ``box`` times the largest of the runs,
    with D/N within a factor ``ratio`` of those of the runs. Laws were never seen farther off, and
    other things than scale (too few steps, too small a batch) go wrong there. For one axis: from
    ``1/box`` of the least to what the cost allows.

    Parameters
    ----------
    axes
        Resources that the laws need.
    most_cost
        Largest cost.
    cost
        C(N, D); 6 N D by default. Without both N and D the scale of a run is its cost.
    fixed
        Values of other axes; by default the largest seen.

    Examples
    --------
    >>> runs = Runs(columns={"D": [1e8, 1e9], "loss": [3.0, 2.5]})
    >>> found = candidate_runs(runs, ("D",), most_cost=2e9)
    >>> found.x["D"][[0, -1]].round(-6), found.unit
    (array([2.5e+07, 2.0e+09]), 'D')
    """
    held = {str(a): float(v) for a, v in (fixed or {}).items()}
    joint = {"N", "D"} <= set(axes)
    moving = ["N", "D"] if joint else [a for a in axes if a not in held][:1]
    for a in axes:
        if a not in (*moving, *held) and not (joint and a == "C"):
            held[a] = _largest(runs, a)
    if joint:
        x, limits = _pairs(runs, box, ratio)
        spend: CostLike = cost if cost is not None else _six
        price = np.asarray(spend(x["N"], x["D"]), dtype=np.float64)
    elif moving:
        lead = moving[0]
        low = float(runs[lead].min()) / box
        high = _largest(runs, lead) * most_cost / float(run_scale(runs, axes).max())
        x = {lead: _even(low, max(high, low), 10 * SIDE)}
        limits = f"{lead} from {low:.3g} to {high:.3g}"
        price = x[lead]
    else:
        raise InputError(f"fixed: {', '.join(held)} are all the axes; leave one free")
    x |= {a: np.full(len(price), v) for a, v in held.items()}
    if joint and "C" in axes:
        x["C"] = price
    if not joint:
        price = run_scale(x, axes)
    keep = price <= most_cost * (1 + 1e-9)
    return Candidates(
        x={a: v[keep] for a, v in x.items()},
        cost=price[keep],
        unit="FLOPs" if joint or tuple(axes) == ("C",) else moving[0],
        limits=limits,
    )


def _six(N: Any, D: Any) -> Any:
    return 6.0 * N * D


def _even(low: float, high: float, count: int) -> Array:
    return np.exp(np.linspace(np.log(low), np.log(high), count))


def _largest(runs: Runs, axis: str) -> float:
    if axis not in runs:
        raise InputError(f"runs: no column {axis}, which the laws need; give fixed= a value of it")
    return float(runs[axis].max())


def _pairs(runs: Runs, box: float, ratio: float) -> tuple[dict[str, Array], str]:
    sizes, data = (
        _even(float(runs[a].min()) / box, float(runs[a].max()) * box, SIDE) for a in ("N", "D")
    )
    N, D = (v.ravel() for v in np.meshgrid(sizes, data, indexing="ij"))
    seen = runs["D"] / runs["N"]
    low, high = float(seen.min()) / ratio, float(seen.max()) * ratio
    inside = (low * (1 - 1e-9) <= D / N) & (high * (1 + 1e-9) >= D / N)
    limits = (
        f"N from {sizes[0]:.3g} to {sizes[-1]:.3g}, D from {data[0]:.3g} to {data[-1]:.3g}, "
        f"D/N from {low:.3g} to {high:.3g}"
    )
    return {"N": N[inside], "D": D[inside]}, limits

"""Runs that may be made next: a lattice over a box, sizes that can be built, or a given pool."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_positive
from isoloss.errors import InputError
from isoloss.fit.candidates import BOX, RATIO, Candidates, candidate_runs
from isoloss.plan.cost import Cost
from isoloss.runs import Runs, read_runs
from isoloss.runs.counting import NearShape, shapes_near

SIDE = 25
"""Values an axis in the lattice; ten times as many where there is one axis alone."""
MOST_POOL = 20_000
"""Candidates that a pool may hold."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Candidates with their names and, where asked for, shapes.

    Attributes
    ----------
    runs
        What each needs and costs.
    names
        Of the rows of a pool; empty for a lattice.
    shapes
        Size to the transformer that has it.
    """

    runs: Candidates
    names: tuple[str, ...] = ()
    shapes: Mapping[float, NearShape] | None = None


def places(
    runs: Runs,
    axes: Sequence[str],
    *,
    budget: float,
    cost: Cost,
    box: Mapping[str, tuple[float, float]] | None,
    pool: Any,
    shape: Mapping[str, Any] | None,
    fixed: Mapping[str, float],
) -> Places:
    """Lay out what may be run for a budget."""
    if pool is not None:
        if box is not None or shape is not None:
            raise InputError("pool: it says what may be run; leave out box and shape")
        return _from_pool(pool, runs, axes, budget, cost, fixed)
    if box is not None:
        found = _in_box(box, axes, budget, cost, fixed)
    elif {"N", "D"} <= set(axes):
        found = _around(runs, axes, budget, cost, fixed)
    else:
        found = candidate_runs(runs, axes, most_cost=budget, fixed=fixed, box=1.0)
    if shape is None:
        return Places(runs=found)
    if not {"N", "D"} <= set(axes):
        raise InputError("shape: the laws do not speak of N and D; nothing to build")
    return _built(found, shape, budget, cost)


def _around(
    runs: Runs, axes: Sequence[str], budget: float, cost: Cost, fixed: Mapping[str, float]
) -> Candidates:
    """Lay a lattice from the least of the runs up, as far as the budget may reach.

    Below the smallest runs laws give way to start-up and batch size, and what is learnt there is
    not what was asked: nothing smaller is proposed. Neither is a D/N far from those seen.
    """
    sizes, data = runs["N"], runs["D"]
    most = float(np.max(cost(sizes, data)))
    reach = max(BOX, float(np.sqrt(budget / most)))
    box = {"N": (sizes.min(), sizes.max() * reach), "D": (data.min(), data.max() * reach)}
    found = _in_box(box, axes, budget, cost, fixed)
    ratio = found.x["D"] / found.x["N"]
    low, high = float((data / sizes).min()) / RATIO, float((data / sizes).max()) * RATIO
    keep = (ratio >= low * (1 - 1e-9)) & (ratio <= high * (1 + 1e-9))
    return replace(
        found,
        x={a: v[keep] for a, v in found.x.items()},
        cost=found.cost[keep],
        limits=f"{found.limits}, D/N from {low:.3g} to {high:.3g}",
    )


def _in_box(
    box: Mapping[str, tuple[float, float]],
    axes: Sequence[str],
    budget: float,
    cost: Cost,
    fixed: Mapping[str, float],
) -> Candidates:
    joint = {"N", "D"} <= set(axes)
    moving = ["N", "D"] if joint else [a for a in axes if a not in fixed][:1]
    if set(box) != set(moving):
        raise InputError(
            f"box: give {' and '.join(moving)} as LOW:HIGH, got {', '.join(box) or 'nothing'}"
        )
    sides = {}
    for a in moving:
        low, high = (as_positive(f"box {a}", v) for v in box[a])
        if not low <= high:
            raise InputError(f"box {a} = {low:g}:{high:g}: the low end lies above the high one")
        count = (SIDE if joint else 10 * SIDE) if high > low else 1
        sides[a] = np.geomspace(low, high, count)
    grid = np.meshgrid(*(sides[a] for a in moving), indexing="ij")
    x = {a: g.ravel() for a, g in zip(moving, grid, strict=True)}
    price = np.asarray(cost(x["N"], x["D"])) if joint else x[moving[0]]
    limits = ", ".join(f"{a} from {v[0]:.3g} to {v[-1]:.3g}" for a, v in sides.items())
    unit = "FLOPs" if joint or moving == ["C"] else moving[0]
    return _affordable(x, price, budget, axes, fixed, unit, limits)


def _affordable(
    x: Mapping[str, Array],
    price: Array,
    budget: float,
    axes: Sequence[str],
    fixed: Mapping[str, float],
    unit: str,
    limits: str,
) -> Candidates:
    full = dict(x) | {a: np.full(len(price), v) for a, v in fixed.items() if a not in x}
    if "C" in axes and "C" not in full:
        full["C"] = price
    keep = price <= budget * (1 + 1e-9)
    return Candidates(
        x={a: np.asarray(full[a])[keep] for a in full if a in axes},
        cost=price[keep],
        unit=unit,
        limits=limits,
    )


def _built(found: Candidates, shape: Mapping[str, Any], budget: float, cost: Cost) -> Places:
    """Move every size to that of the nearest transformer that can be built."""
    if "limit" in shape:
        raise InputError("shape: limit is not a rule of shapes; one is taken for each size")
    shapes: dict[float, NearShape] = {}
    moved: dict[float, float] = {}
    for N in np.unique(found.x["N"]).tolist():
        try:
            near = shapes_near(N, limit=1, **shape)[0]
        except TypeError as error:
            raise InputError(f"shape: {str(error).rpartition('() ')[2]}") from None
        moved[N] = float(near.N)
        shapes[float(near.N)] = near
    N = np.array([moved[v] for v in found.x["N"].tolist()])
    D = found.x["D"]
    _, first = np.unique(np.stack([N, D]), axis=1, return_index=True)
    first = np.sort(first)
    price = np.asarray(cost(N, D))
    keep = first[price[first] <= budget * (1 + 1e-9)]
    x = dict(found.x) | {"N": N}
    if "C" in x:
        x["C"] = price
    moved_runs = replace(
        found,
        x={a: v[keep] for a, v in x.items()},
        cost=price[keep],
        limits=found.limits + ", sizes that can be built",
    )
    return Places(runs=moved_runs, shapes=shapes)


def read_pool(path: str | Path) -> dict[str, list[str]]:
    """Read a table of candidates from CSV, as text; a column of losses is not needed.

    Raises
    ------
    InputError
        For no header, rows of other lengths, or more than `MOST_POOL` rows.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            if not header:
                raise InputError(f"pool {path}: it is empty")
            if len(set(header)) != len(header):
                raise InputError(f"pool {path}: two columns bear one name")
            table: dict[str, list[str]] = {name: [] for name in header}
            for count, row in enumerate(rows):
                if not row:
                    continue
                if len(row) != len(header):
                    raise InputError(
                        f"pool {path}: line {rows.line_num} has {len(row)} cells, the header "
                        f"{len(header)}"
                    )
                if count >= MOST_POOL:
                    raise InputError(f"pool {path}: more than {MOST_POOL} candidates; give fewer")
                for name, cell in zip(header, row, strict=True):
                    table[name].append(cell)
    except UnicodeDecodeError:
        raise InputError(f"pool {path}: the text is not UTF-8; save it as UTF-8") from None
    except csv.Error as error:
        raise InputError(f"pool {path}: it cannot be read: {error}") from None
    return table


def _from_pool(
    pool: Any,
    runs: Runs,
    axes: Sequence[str],
    budget: float,
    cost: Cost,
    fixed: Mapping[str, float],
) -> Places:
    table = read_pool(pool) if isinstance(pool, (str, Path)) else pool
    if not isinstance(table, Runs):
        if not isinstance(table, Mapping) or not table:
            raise InputError("pool: give a path, runs, or a mapping of column to values")
        count = len(next(iter(table.values())))
        if count > MOST_POOL:
            raise InputError(f"pool: {count} candidates; give at most {MOST_POOL}")
        # What a candidate would measure is not known; the reader of runs asks for a loss.
        known = {k: v for k, v in table.items() if "loss" not in str(k).lower()}
        table = read_runs(known | {"loss": np.ones(count)})
        if table.refused:
            first = table.refused[0]
            raise InputError(f"pool: row {first.row}: {first.reason}; fix or drop that row")
    full: dict[str, Array] = {}
    for a in axes:
        if a in table:
            full[a] = np.asarray(table[a])
        elif a in fixed:
            full[a] = np.full(len(table), fixed[a])
        elif a == "C" and {"N", "D"} <= set(axes):
            full[a] = np.asarray(cost(table["N"], table["D"]))
        else:
            raise InputError(f"pool: no column of {a}, which the laws need")
    joint = {"N", "D"} <= set(axes)
    if "C" in table:
        price = np.asarray(table["C"])
    else:
        price = np.asarray(cost(full["N"], full["D"])) if joint else full[axes[0]]
    keep = price <= budget * (1 + 1e-9)
    limits = f"{len(table)} candidates of a pool, {int(keep.sum())} of them affordable"
    found = Candidates(
        x={a: v[keep] for a, v in full.items()},
        cost=price[keep],
        unit="FLOPs" if joint or axes[0] == "C" else axes[0],
        limits=limits,
    )
    names = tuple(str(table.names[i]) for i in np.flatnonzero(keep))
    return Places(runs=found, names=names)

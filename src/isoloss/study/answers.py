"""Forecast and plan straight from runs: the steps of a study on their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_positive, as_vector
from isoloss.errors import InputError
from isoloss.fit import Forecast, LawSet, fit_laws, forecast
from isoloss.plan import Coefficient
from isoloss.plan.cost import Cost
from isoloss.plan.design_places import cost_of_runs
from isoloss.plan.over_laws import LawSetPlan, allocate_over_laws
from isoloss.plan.serving_laws import ServedPlan, allocate_served_over_laws
from isoloss.runs import Runs, read_runs

_FAR = 2.0
"""Examples a parameter, over the most of any run, from which a plan is doubted."""


def fixed_axes(runs: Runs, laws: LawSet) -> dict[str, float]:
    """Values of further axes that a plan holds still: unique data at the largest seen.

    Compute is not among them: it is what a plan spends.
    """
    return {a: float(runs[a].max()) for a in laws.axes if a not in ("N", "D", "C") and a in runs}


def with_compute(runs: Runs, at: Mapping[str, float]) -> dict[str, float]:
    """Add a target's compute, counted as the runs count theirs, so that reach compares alike."""
    target = dict(at)
    if "C" not in target and "C" in runs and {"N", "D"} <= set(target):
        N, D = (as_positive(f"at {a}", target[a]) for a in ("N", "D"))
        target["C"] = float(cost_of_runs(runs)(N, D))
    return target


def is_tested(answer: Forecast) -> bool:
    """Whether back-tests reached at least a third as far ahead as this forecast does."""
    return answer.backtest_reach is not None and answer.reach <= 3 * answer.backtest_reach


def is_joint(laws: LawSet) -> bool:
    """Whether some law of the set splits compute between N and D."""
    return any({"N", "D"} <= set(f.law.axes) for f in laws.fits)


def forecast_runs(
    runs: Any,
    at: Mapping[str, float] | Sequence[Mapping[str, float]] = (),
    *,
    compute: npt.ArrayLike = (),
    laws: LawSet | None = None,
    level: float | None = None,
    **options: Any,
) -> list[Forecast]:
    """Forecast the loss at given resources, or at the best split of given budgets.

    Parameters
    ----------
    runs
        `Runs` or anything `read_runs` takes.
    at
        One target or several, for example ``{"N": 7e10, "D": 1.4e12}``.
    compute
        Budgets; each is split where the weighted laws say.
    laws
        A law set already fitted; otherwise `fit_laws` is called with ``options``.

    Examples
    --------
    >>> N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
    >>> D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
    >>> loss = 1.8 + 480 * N**-0.35 + 2100 * D**-0.37
    >>> answer = forecast_runs({"N": N, "D": D, "loss": loss}, {"N": 1e9, "D": 3e10}, draws=50)[0]
    >>> round(answer.loss, 2)
    2.42
    """
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    chosen = laws if laws is not None else fit_laws(table, **options)
    targets = [dict(at)] if isinstance(at, Mapping) else [dict(a) for a in at]
    budgets = as_vector("compute", compute, positive=True) if np.size(compute) else np.zeros(0)
    if len(budgets):
        targets += _splits(table, chosen, budgets)
    if not targets:
        raise InputError("nothing to forecast: give at= or compute=")
    return [forecast(chosen, with_compute(table, t), level=level) for t in targets]


def _splits(runs: Runs, laws: LawSet, budgets: Array) -> list[dict[str, float]]:
    if not is_joint(laws):
        if laws.axes == ("C",):
            return [{"C": float(c)} for c in budgets]
        raise InputError(
            f"compute: the laws are of {', '.join(laws.axes)} alone; give at {laws.axes[0]}=..."
        )
    fixed = fixed_axes(runs, laws)
    plan = allocate_over_laws(laws, budgets, cost=cost_of_runs(runs), fixed=fixed)
    return [
        {"N": float(n), "D": float(d), "C": float(c)} | fixed
        for n, d, c in zip(plan.N_opt, plan.D_opt, budgets, strict=True)
    ]


def plan_runs(
    runs: Any,
    budget: npt.ArrayLike,
    *,
    laws: LawSet | None = None,
    cost: Cost | None = None,
    unique: float | None = None,
    level: float | None = None,
    tolerance: float = 0.01,
    **options: Any,
) -> LawSetPlan:
    """Split compute budgets between model size and data.

    Parameters
    ----------
    runs
        `Runs` or anything `read_runs` takes.
    budget
        FLOPs, in the convention of the runs.
    cost
        Cost model; by default that of the runs (see `cost_of_runs`).
    unique
        Unique examples at hand: with a repetition-aware law repeats wear out, otherwise no more
        than this many are used.

    Examples
    --------
    >>> N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
    >>> D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
    >>> loss = 1.8 + 480 * N**-0.35 + 2100 * D**-0.37
    >>> plan = plan_runs({"N": N, "D": D, "loss": loss}, 1e21, laws=None, draws=50)
    >>> float(plan.D_opt[0] * plan.N_opt[0] / 1e21 * 6)
    1.0...
    """
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    chosen = laws if laws is not None else fit_laws(table, **options)
    fixed = fixed_axes(table, chosen)
    if unique is not None:
        fixed["U"] = unique
    return allocate_over_laws(
        chosen,
        budget,
        cost=cost if cost is not None else cost_of_runs(table),
        fixed=fixed,
        level=level,
        tolerance=tolerance,
    )


def plan_served_runs(
    runs: Any,
    *,
    tokens: float,
    loss: float | None = None,
    budget: float | None = None,
    price: float = 1.0,
    laws: LawSet | None = None,
    cost: Coefficient | None = None,
    unique: float | None = None,
    level: float | None = None,
    **options: Any,
) -> ServedPlan:
    """Find the cheapest model over its whole life, training and serving, that reaches a quality.

    Parameters
    ----------
    runs
        `Runs` or anything `read_runs` takes.
    tokens, loss, budget, price
        As in `isoloss.plan.allocate_served_over_laws`.
    laws, cost, unique, level
        As in `plan_runs`.

    Examples
    --------
    >>> N, D = np.repeat([1e7, 3e7, 1e8, 3e8], 4), np.tile([3e8, 1e9, 3e9, 1e10], 4)
    >>> table = {"N": N, "D": D, "loss": 1.8 + 480 * N**-0.35 + 2100 * D**-0.37}
    >>> found = plan_served_runs(table, tokens=1e12, budget=1e20, draws=0)
    >>> found.N < found.N_alone
    True
    """
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    chosen = laws if laws is not None else fit_laws(table, **options)
    fixed = fixed_axes(table, chosen)
    if unique is not None:
        fixed["U"] = unique
    own = cost if cost is not None else cost_of_runs(table)
    found = allocate_served_over_laws(
        chosen, tokens=tokens, loss=loss, budget=budget, price=price, fixed=fixed, level=level,
        cost=own if isinstance(own, Coefficient) else None,
    )  # fmt: skip
    seen, asked = float(np.max(table["D"] / table["N"])), found.D / found.N
    if asked <= _FAR * seen:
        return found
    text = (
        f"{asked:.0f} examples a parameter, and no run has more than {seen:.0f}: the laws are "
        "asked where nothing was measured; train small models that long first"
    )
    return replace(found, warnings=(*found.warnings, text))

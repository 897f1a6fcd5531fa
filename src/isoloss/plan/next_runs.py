"""Which runs narrow a decision most for their cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from isoloss._core.arrays import as_level, as_positive
from isoloss.errors import InputError
from isoloss.fit.lawset import LawSet
from isoloss.plan.cost import Cost, SixND
from isoloss.plan.next_answer import answer
from isoloss.plan.next_gain import Laws, State, Taste, follow, mean_risk, risks
from isoloss.plan.next_goal import LOSS, SIZE, Goal, parse_goal
from isoloss.plan.next_known import know, lay_out, near_ray
from isoloss.plan.next_places import places
from isoloss.plan.next_result import NextRuns
from isoloss.plan.next_search import Budget, best_batch
from isoloss.runs import Runs

COMPANION, HEAVY = 0.5, 2.0
"""Weight of the companion's log variance beside the goal's; that of a second batch, tried where the
goal is the loss at a budget's best split, which must then be found as well."""
NARROWER = 0.1
"""By what share of its error the second batch must narrow the companion further."""
WORST = 0.25
"""Weight of the law that gains least beside the mean of the laws."""
RAY_SHARE = 0.2
"""Share of the budget kept for the decision's own D/N."""
DRIFT = 0.005
"""Standard deviation of the bends that laws may have, times the root of two: half of what intervals
of plans hold. More costs more variance where laws hold than it saves where they bend."""


def plan_next_runs(
    laws: LawSet,
    runs: Runs,
    goal: str | Goal,
    *,
    budget: float,
    k: int = 5,
    box: Mapping[str, tuple[float, float]] | None = None,
    pool: Any = None,
    cost: Cost | None = None,
    fixed: Mapping[str, float] | None = None,
    parallel: int = 1,
    most_seeds: int | None = None,
    shape: Mapping[str, Any] | None = None,
    only: bool = False,
    worst: float = WORST,
    ray_share: float = RAY_SHARE,
    drift: float = DRIFT,
    level: float | None = None,
) -> NextRuns:
    r"""Choose up to k runs within a budget that narrow a goal most.

    The goal's variance is the expected square error of the fit that will be made: of each law's
    parameters and by bends that the law does not know, to first order, and of the laws around their
    mean; `isoloss.plan.next_gain` has the equations. A batch minimises

    .. math:: (1-\rho)\ln\frac{Q}{Q_0} + \rho \max_k \ln\frac{Q_k}{Q_{k0}}

    of the goal, plus half of the same of the companion (log N_opt at the goal's compute where
    the goal is a loss, the loss there where it is N_opt), so that neither is bought with the other.
    Where the goal is the loss at a budget's best split, a batch with twice the same is found too,
    and taken where it narrows N_opt by a tenth more and by more than it leaves the goal wider.

    Parameters
    ----------
    laws, runs
        A law set, and what it was fitted to.
    goal
        ``loss@N=7e10,D=1.4e12``, ``loss@C=1e23`` or ``N_opt@C=1e23``.
    budget
        FLOPs for all runs together; for laws of one resource, that resource.
    k
        Most runs, seeds counted.
    box
        Range of N and of D; by default four times around the runs, D/N too.
    pool
        Instead: what may be run, as a path of a CSV, `Runs` or a mapping of columns.
    cost
        C(N, D); 6 N D by default.
    fixed
        Other axes of the laws; by default the largest seen.
    parallel
        Runs that can be made side by side.
    most_seeds
        Most runs of one configuration; as many as help by default.
    shape
        Rules of `isoloss.runs.counting.shapes_near` (``vocabulary`` and ``context`` at least):
        sizes are those of transformers that can be built.
    only
        Forget the companion.
    worst
        Weight :math:`\rho` of the law that gains least.
    ray_share
        Share of the budget kept for runs at the goal's own D/N, within a factor of 3.
    drift
        Standard deviation of the bends that every law may have; 0 trusts the laws.
    level
        Of the intervals; that of the law set by default.

    Raises
    ------
    InputError
        For a goal, box or pool that cannot be read, or numbers out of range.
    FitError
        ``NO_INTERIOR_OPTIMUM`` when the goal needs a best split and no law has one.

    References
    ----------
    Box and Draper 1959, "A basis for the selection of a response surface design", Journal of the
    American Statistical Association 54 (the bias of a fit that is too simple); Chaloner and
    Verdinelli 1995, "Bayesian experimental design: a review", Statistical Science 10
    (c- and V-optimality); Atkinson and Fedorov 1975, Biometrika 62 (T-optimality); Li et al. 2026,
    arXiv:2604.22753 (choosing scaling runs by expected variance at the target per cost).

    Examples
    --------
    >>> from isoloss.fit import fit_laws
    >>> N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
    >>> D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
    >>> noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(16))
    >>> loss = noise * (1.8 + 480 / N**0.35 + 2100 / D**0.37)
    >>> runs = Runs(columns={"N": N, "D": D, "loss": loss})
    >>> laws = fit_laws(runs, ["chinchilla"], draws=50)
    >>> found = plan_next_runs(laws, runs, "loss@C=1e22", budget=1e20, k=3)
    >>> found.spent <= 1e20, found.gain > 0.2, found.stop
    (True, True, False)
    """
    aim = parse_goal(goal)
    most = as_positive("budget", budget)
    count, side = _whole("k", k), _whole("parallel", parallel)
    seeds = count if most_seeds is None else _whole("most_seeds", most_seeds)
    level = laws.level if level is None else as_level(level)
    for name, share in (("worst", worst), ("ray_share", ray_share)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} = {share!r}: must lie between 0 and 1")
    if not 0 <= drift <= 1:
        raise InputError(f"drift = {drift!r}: must lie between 0 and 1; 0 trusts the laws")
    spend = cost if cost is not None else SixND()
    axes = laws.axes
    _check_goal(aim, axes)
    held = _held(runs, axes, fixed)
    where = places(runs, axes, budget=most, cost=spend, box=box, pool=pool, shape=shape, fixed=held)
    known = know(laws, runs, aim, spend, held, drift)
    table, begin, ray = lay_out(known, runs, where, laws)
    taste = Taste(companion=0.0 if only else COMPANION, worst=worst)
    on_ray = near_ray(where, ray)
    free = most * (1 - ray_share) if on_ray.any() and not on_ray.all() else most
    chosen: list[int] = []
    if len(where.runs):
        allowance = Budget(most, count, free, on_ray, seeds)
        split = aim.kind == LOSS and aim.budget is not None
        chosen = _chosen(table, begin, allowance, taste, heavy=split and not only)
    return answer(known, table, begin, where, chosen, aim, most, level, taste, side, ray)


def _chosen(laws: Laws, begin: State, budget: Budget, taste: Taste, *, heavy: bool) -> list[int]:
    """Choose a batch; with a heavy companion where the lesser product of errors speaks for it.

    No one weight serves all budgets: with few FLOPs the size is bought cheaply, with many it is
    hardly known better for any price, and then the goal goes first.
    """
    light = best_batch(laws, begin, budget, taste)
    if not heavy:
        return light
    other = best_batch(laws, begin, budget, replace(taste, companion=HEAVY), powers=(0.5,))
    goal, size = (
        np.log(mean_risk(laws, risks(laws, follow(laws, begin, other))))
        - np.log(mean_risk(laws, risks(laws, follow(laws, begin, light))))
    ) / 2
    # NaN where no law has a best split.
    return other if size < min(-goal, np.log(1 - NARROWER)) else light


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} = {value!r}: must be a whole number of 1 or more")
    if value > 1000:
        raise InputError(f"{name} = {value!r}: at most 1000")
    return int(value)


def _check_goal(goal: Goal, axes: Sequence[str]) -> None:
    """Refuse a goal that the laws do not speak of."""
    joint = {"N", "D"} <= set(axes)
    if (goal.kind == SIZE or (goal.budget is not None and "C" not in axes)) and not joint:
        raise InputError(
            f"goal {goal.text}: the laws are of {', '.join(axes)} alone and split no budget; "
            f"give loss@{axes[0]}=..."
        )
    if goal.kind == SIZE or goal.budget is not None:
        return
    missing = [a for a in ("N", "D") if a in axes and a not in goal.at]
    missing = missing or [a for a in axes[:1] if not joint and a not in goal.at]
    unknown = [a for a in goal.at if a not in axes and a != "C"]
    if missing or unknown:
        raise InputError(
            f"goal {goal.text}: the laws are of {', '.join(axes)}; "
            + (f"{missing[0]} is missing" if missing else f"{unknown[0]} is not among them")
        )


def _held(runs: Runs, axes: Sequence[str], fixed: Mapping[str, float] | None) -> dict[str, float]:
    """Axes beyond N, D and C, or beyond the first of laws of one resource."""
    moving = ("N", "D", "C") if {"N", "D"} <= set(axes) else tuple(axes[:1])
    given = {str(a): as_positive(f"fixed {a}", v) for a, v in (fixed or {}).items()}
    return {a: given.get(a, float(runs[a].max())) for a in axes if a not in moving}

"""Which runs narrow a decision most for their cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, as_positive
from isoloss._core.interval import Interval
from isoloss.errors import FitError, InputError
from isoloss.fit.lawset import LawSet
from isoloss.plan.cost import Cost, SixND
from isoloss.plan.next_belief import Frame, Target, covariance, frame, log_losses, target
from isoloss.plan.next_gain import (
    Budget,
    Laws,
    State,
    Taste,
    best_batch,
    mean_risk,
    risks,
    risks_with,
    start,
)
from isoloss.plan.next_goal import SIZE, Goal, parse_goal
from isoloss.plan.next_places import Places, places
from isoloss.plan.next_result import Considered, NextRuns
from isoloss.plan.next_words import Story, describe, sentence
from isoloss.plan.reason import Reason, overall
from isoloss.runs import Runs

COMPANION = 0.5
"""Weight of the companion's log variance beside the goal's."""
WORST = 0.25
"""Weight of the law that gains least beside the mean of the laws."""
RAY_SHARE = 0.2
"""Share of the budget kept for the decision's own D/N."""
RAY = 3.0
"""D/N within this factor of the decision's is on its ray."""
DRIFT = 0.005
"""Standard deviation of the bends that laws may have, times the root of two: half of what intervals
of plans hold. More costs more variance where laws hold than it saves where they bend."""
LEAST_GAIN = 0.02
"""Batches that take less than this share off the variance are not worth their cost."""
LEAST_NOISE = 1e-6
"""Losses computed from a formula have no noise; runs are never taken as better than this."""


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
    known = _known(laws, runs, aim, spend, held, drift)
    table, begin, ray = _laws(known, runs, where, laws)
    taste = Taste(companion=0.0 if only else COMPANION, worst=worst)
    on_ray = _on_ray(where, ray)
    free = most * (1 - ray_share) if on_ray.any() and not on_ray.all() else most
    chosen: list[int] = []
    if len(where.runs):
        allowance = Budget(most, count, free, on_ray, seeds)
        chosen = best_batch(table, begin, allowance, taste)
    return _answer(known, table, begin, where, chosen, aim, most, level, taste, side, ray)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """A law that has a say: its frame, weight and target."""

    frame: Frame
    weight: float
    target: Target


def _known(
    laws: LawSet, runs: Runs, goal: Goal, cost: Cost, held: Mapping[str, float], drift: float
) -> list[_Known]:
    joint = {"N", "D"} <= set(laws.axes)
    full = dict(held) | dict(goal.at)
    companion = None
    if joint:
        companion = full["C"] if goal.budget is not None else float(cost(full["N"], full["D"]))
        if "C" in laws.axes and "C" not in full:
            held = dict(held) | {"C": companion}
    found = []
    for f, w in zip(laws.fits, laws.weights, strict=True):
        if w > 0:
            own = frame(f, runs, rate=drift)
            aimed = target(own, goal, companion, cost, held)
            if aimed is not None and np.isfinite(aimed.value[0]):
                found.append(_Known(own, float(w), aimed))
    if not found:
        raise FitError(
            "NO_INTERIOR_OPTIMUM",
            f"goal {goal.text}: under every law more of one side is always better, so there is no "
            "best split to narrow; give the resources of the target instead",
        )
    return found


def _laws(
    known: Sequence[_Known], runs: Runs, where: Places, laws: LawSet
) -> tuple[Laws, State, float]:
    """Put all laws at all candidates; the state now; the goal's own log D/N, NaN without one."""
    noise = max(float(np.median([f.seed_noise for f in laws.fits])), LEAST_NOISE)
    used = runs.select(~laws.left_out) if laws.left_out.any() else runs
    logs, slopes, bends, covariances, drags = [], [], [], [], []
    for m in known:
        here = log_losses(m.frame, where.runs.x) if len(where.runs) else None
        logs.append(np.zeros(0) if here is None else here[0])
        slopes.append(np.zeros((0, len(m.frame.prior))) if here is None else here[1])
        bends.append(np.zeros((0, len(m.frame.bend))) if here is None else here[2])
        _, rows, effects = log_losses(m.frame, {a: used[a] for a in m.frame.fit.law.axes})
        good = np.isfinite(rows).all(axis=1) & np.isfinite(effects).all(axis=1)
        rows, effects = rows[good], effects[good]
        covariances.append(covariance(rows, np.full(len(rows), noise), m.frame.prior))
        drags.append(covariances[-1] @ rows.T @ effects / noise**2)
    bad = ~np.isfinite(np.array(logs)).all(axis=0)
    for j in (*slopes, *bends):
        bad |= ~np.isfinite(j).all(axis=1)
    for j in (*slopes, *bends):
        j[bad] = 0.0
    weights = np.array([m.weight for m in known])
    price = np.where(bad, np.inf, where.runs.cost)
    table = Laws(
        weights=weights / weights.sum(),
        logs=np.where(bad, 0.0, np.array(logs)),
        slopes=slopes,
        goals=np.array([m.target.value for m in known]),
        goal_slopes=[m.target.slope for m in known],
        bends=bends,
        goal_bends=[m.target.bend for m in known],
        spread=[m.frame.bend for m in known],
        noise=np.full(len(price), noise),
        cost=price,
    )
    rays = [np.log(m.target.place["D"] / m.target.place["N"]) for m in known if _joint(m)]
    share = [m.weight for m in known if _joint(m)]
    ray = float(np.average(rays, weights=share)) if rays else float("nan")
    return table, start(covariances, drags), ray


def _joint(m: _Known) -> bool:
    return {"N", "D"} <= set(m.target.place)


def _on_ray(where: Places, ray: float) -> Any:
    if not np.isfinite(ray) or not {"N", "D"} <= set(where.runs.x):
        return np.ones(len(where.runs), dtype=bool)
    own = np.log(where.runs.x["D"] / where.runs.x["N"])
    return np.abs(own - ray) <= np.log(RAY) + 1e-9


def _interval(
    laws: Laws, errors: Array, i: int, level: float, method: str, unit: float = 1.0
) -> Interval | None:
    """Interval of the goal (0) or companion (1) from errors, (2, K)."""
    known = np.isfinite(laws.goals[:, i])
    if not known.any():
        return None
    middle = float(np.average(laws.goals[known, i], weights=laws.weights[known]))
    half = NormalDist().inv_cdf(0.5 + level / 2) * float(np.sqrt(mean_risk(laws, errors)[i]))
    low, high = np.exp(np.clip([middle - half, middle + half], -700, 700)) * unit
    return Interval(low=float(low), high=float(high), level=level, method=method)


def _answer(
    known: Sequence[_Known],
    laws: Laws,
    begin: State,
    where: Places,
    chosen: Sequence[int],
    goal: Goal,
    budget: float,
    level: float,
    taste: Taste,
    side: int,
    ray: float,
) -> NextRuns:
    first = risks(laws, begin)
    count = len(known)
    method = f"first order over {count} law{'s' if count > 1 else ''} weighted by back-test"
    if any(m.frame.sides for m in known):
        method += ", and bends of laws"

    def interval(errors: Array, i: int) -> Interval | None:
        return _interval(laws, errors, i, level, method)

    story = Story(
        laws=laws,
        begin=begin,
        first=first,
        places=where,
        names=[m.frame.fit.law.name for m in known],
        parameters=[m.frame.fit.law.names for m in known],
        ray=ray,
        level=level,
        interval=interval,
    )
    batch, last = describe(story, chosen)
    now, then = mean_risk(laws, first), mean_risk(laws, last)
    gain = float(1 - then[0] / now[0]) if now[0] > 0 else 0.0
    stop = not batch or gain < LEAST_GAIN
    if stop:
        batch, last, then, gain = (), first, now, 0.0
    waves = _waves([i for i, r in enumerate(batch) for _ in range(r.seeds)], side)
    second = None if taste.companion == 0 or not np.isfinite(now[1]) else _companion(goal, known)
    reasons = _reasons(known, laws, begin, where, stop, budget)
    before, after = interval(first, 0), interval(last, 0)
    assert before is not None
    assert after is not None
    here = mean_risk(laws, risks_with(laws, begin, np.arange(len(where.runs))))[0]
    spent = float(sum(r.cost * r.seeds for r in batch))
    return NextRuns(
        goal=goal.text,
        companion=second,
        budget=budget,
        spent=spent,
        unit=where.runs.unit,
        runs=batch,
        waves=waves,
        longest=float(sum(max(batch[i].cost for i in w) for w in waves)),
        before=before,
        after=after,
        companion_before=None if second is None else interval(first, 1),
        companion_after=None if second is None else interval(last, 1),
        gain=gain,
        stop=stop,
        considered=Considered(
            x=where.runs.x, cost=where.runs.cost, gain=1 - here / now[0] if now[0] > 0 else 0 * here
        ),
        limits=where.runs.limits,
        noise=float(laws.noise[0]) if len(laws.noise) else LEAST_NOISE,
        laws=tuple(
            {
                "law": m.frame.fit.law.name,
                "weight": float(w),
                "goal": float(np.exp(m.target.value[0])),
                "sd_before": float(np.sqrt(first[0, i])),
                "sd_after": float(np.sqrt(last[0, i])),
            }
            for i, (m, w) in enumerate(zip(known, laws.weights, strict=True))
        ),
        status=overall(reasons, answered=not stop),
        reasons=reasons,
        sentence=sentence(
            goal, batch, before, after, gain, spent, budget, where.runs.unit, reasons
        ),
    )


def _companion(goal: Goal, known: Sequence[_Known]) -> str:
    place = known[0].target.place
    budget = place.get("C") or goal.at.get("C") or 6 * place["N"] * place["D"]
    return f"{'loss' if goal.kind == SIZE else 'N_opt'}@C={budget:g}"


def _waves(order: Sequence[int], side: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(order[i : i + side]) for i in range(0, len(order), side))


def _reasons(
    known: Sequence[_Known],
    laws: Laws,
    begin: State,
    where: Places,
    stop: bool,
    budget: float,
) -> tuple[Reason, ...]:
    found = []
    if not len(where.runs):
        found.append(
            Reason(
                code="NO_AFFORDABLE_RUN",
                message=f"every candidate costs more than {budget:.3g} {where.runs.unit}; raise "
                "the budget or allow smaller runs",
                severity="refusal",
            )
        )
    elif stop:
        found.append(
            Reason(
                code="NOTHING_NARROWS",
                message=f"no batch within the budget takes {100 * LEAST_GAIN:g} % off the goal's "
                "variance: stop, or spend much more; what is left is the drift of laws far from "
                "the runs, or runs are as good as noise allows",
                severity="refusal",
            )
        )
    lead = max(known, key=lambda m: m.weight).frame.fit
    found += [
        Reason(
            code=r.code,
            message=f"{lead.law.name}: {r.message}; effects that these runs do not show are not "
            "planned for: first make some runs at other D/N, then ask again",
        )
        for r in lead.reasons
        if r.code == "UNIDENTIFIED"
    ]
    loose = []
    for m, cov, g in zip(known, begin.covariance, laws.goal_slopes, strict=True):
        # The part of the variance that comes from the prior of parameters, not from runs.
        kept = np.sum((g[0] @ cov / m.frame.prior) ** 2)
        if kept > 0.5 * float(g[0] @ cov @ g[0]):
            loose.append(m.frame.fit.law.name)
    if loose:
        found.append(
            Reason(
                code="PRIOR_DECIDES",
                message=f"{', '.join(loose)}: the runs at hand leave the goal open, so that the "
                "intervals are those of a wide guess; make the first runs, fit again, ask again",
            )
        )
    if len(known) == 1:
        found.append(
            Reason(
                code="ONE_LAW",
                message="one law alone has a say: runs guard against no rival",
                severity="info",
            )
        )
    return tuple(found)

"""From a batch of runs to the answer: intervals before and after, waves, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.plan.next_gain import Laws, State, Taste, mean_risk, risks, risks_with
from isoloss.plan.next_goal import SIZE, Goal
from isoloss.plan.next_known import LEAST_NOISE, Known
from isoloss.plan.next_places import Places
from isoloss.plan.next_result import Considered, NextRuns
from isoloss.plan.next_words import Story, describe, sentence
from isoloss.plan.reason import Reason, overall

LEAST_GAIN = 0.02
"""Batches that take less than this share off the variance are not worth their cost."""


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


def answer(
    known: Sequence[Known],
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
    """Put a batch, its gains and its reasons into the result."""
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
        noise=float(laws.noise.min()) if len(laws.noise) else LEAST_NOISE,
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


def _companion(goal: Goal, known: Sequence[Known]) -> str:
    place = known[0].target.place
    budget = place.get("C") or goal.at.get("C") or 6 * place["N"] * place["D"]
    return f"{'loss' if goal.kind == SIZE else 'N_opt'}@C={budget:g}"


def _waves(order: Sequence[int], side: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(order[i : i + side]) for i in range(0, len(order), side))


def _reasons(
    known: Sequence[Known],
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

"""What the laws of a set say of the goal, of the runs at hand and of every candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import FitError
from isoloss.fit.lawset import LawSet
from isoloss.plan.cost import Cost
from isoloss.plan.next_belief import Frame, Target, covariance, frame, log_losses, target
from isoloss.plan.next_gain import Laws, State, start
from isoloss.plan.next_goal import Goal
from isoloss.plan.next_places import Places
from isoloss.runs import Runs

RAY = 3.0
"""D/N within this factor of the decision's is on its ray."""
LEAST_NOISE = 1e-6
"""Losses computed from a formula have no noise; runs are never taken as better than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A law that has a say: its frame, weight and target."""

    frame: Frame
    weight: float
    target: Target


def know(
    laws: LawSet, runs: Runs, goal: Goal, cost: Cost, held: Mapping[str, float], drift: float
) -> list[Known]:
    """Express the goal under every law that has a say.

    Raises
    ------
    FitError
        ``NO_INTERIOR_OPTIMUM`` when the goal needs a best split and no law has one.
    """
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
                found.append(Known(own, float(w), aimed))
    if not found:
        raise FitError(
            "NO_INTERIOR_OPTIMUM",
            f"goal {goal.text}: under every law more of one side is always better, so there is no "
            "best split to narrow; give the resources of the target instead",
        )
    return found


def lay_out(
    known: Sequence[Known], runs: Runs, where: Places, laws: LawSet
) -> tuple[Laws, State, float]:
    """Put all laws at all candidates; the state now; the goal's own log D/N, NaN without one."""
    used = runs.select(~laws.left_out) if laws.left_out.any() else runs
    past = _noise(laws, {a: used[a] for a in laws.axes})
    logs, slopes, bends, covariances, drags = [], [], [], [], []
    for m in known:
        here = log_losses(m.frame, where.runs.x) if len(where.runs) else None
        logs.append(np.zeros(0) if here is None else here[0])
        slopes.append(np.zeros((0, len(m.frame.prior))) if here is None else here[1])
        bends.append(np.zeros((0, len(m.frame.bend))) if here is None else here[2])
        _, rows, effects = log_losses(m.frame, {a: used[a] for a in m.frame.fit.law.axes})
        good = np.isfinite(rows).all(axis=1) & np.isfinite(effects).all(axis=1)
        rows, effects, noise = rows[good], effects[good], past[good]
        covariances.append(covariance(rows, noise, m.frame.prior))
        drags.append(covariances[-1] @ rows.T @ (effects / noise[:, None] ** 2))
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
        noise=_noise(laws, where.runs.x),
        cost=price,
    )
    rays = [np.log(m.target.place["D"] / m.target.place["N"]) for m in known if _joint(m)]
    share = [m.weight for m in known if _joint(m)]
    ray = float(np.average(rays, weights=share)) if rays else float("nan")
    return table, start(covariances, drags), ray


def _noise(laws: LawSet, x: Mapping[str, Array]) -> Array:
    """Give the standard deviation of one run at places, (m,): the middle of what the fits found."""
    each = np.median([f.noise_at(x) for f in laws.fits], axis=0)
    return np.asarray(np.maximum(each, LEAST_NOISE))


def _joint(m: Known) -> bool:
    return {"N", "D"} <= set(m.target.place)


def near_ray(where: Places, ray: float) -> Any:
    """Tell which candidates have about the goal's own D/N, (m,); all of them without one."""
    if not np.isfinite(ray) or not {"N", "D"} <= set(where.runs.x):
        return np.ones(len(where.runs), dtype=bool)
    own = np.log(where.runs.x["D"] / where.runs.x["N"])
    return np.abs(own - ray) <= np.log(RAY) + 1e-9

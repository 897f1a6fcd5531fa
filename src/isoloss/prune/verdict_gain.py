"""Gains of each policy at the target: intervals that hold together, and what they decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.prune.pilots import NONE
from isoloss.prune.verdict_fit import FittedForms
from isoloss.prune.verdict_result import Estimate, PolicyFinding, Question

GRID = 25
"""Shares looked at between the least and the most that were piloted."""
METHOD = "draws of forms and of what they miss"
TOGETHER = "draws of forms and of what they miss, simultaneous"


def between(draws: Array, level: float, centre: float) -> Estimate:
    """Estimate of one quantity by its quantiles, (1 + draws,)."""
    inside = Interval.from_draws(_numbers(draws[1:]), level=level, method=METHOD)
    # The best guess is no median, and a skewed interval may leave it out by a little.
    value = float(min(max(centre, inside.low), inside.high)) if math.isfinite(centre) else centre
    return Estimate(value=value, interval=inside)


def _numbers(draws: Array) -> Array:
    """Draws without those where a form has no value; those leave the interval without end."""
    good = np.asarray(~np.isnan(draws))
    if good.all():
        return draws
    if np.mean(good) < 0.5:
        return np.array([-np.inf, np.inf])
    return np.asarray(draws[good])


def estimate(draws: Array, level: float, *, exp: bool = False) -> Estimate:
    """Estimate with the best guess, the first draw, as its value; of logarithms with ``exp``."""
    values = np.exp(draws) if exp else draws
    return between(values, level, float(values[0]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gains:
    """Log gains over no pruning at the target, each form.

    Attributes
    ----------
    policies, keeps
        Policy and share of each candidate, (c,).
    D
        Examples kept, (c,).
    gain, random, loss
        Draws of the log gain over no pruning and over as many random examples, and of the log
        loss, best guess first, (b, c).
    none
        Draws of the log loss without pruning, (b,).
    centre, low, high
        Best guess, and ends that hold for all candidates at once, (c,).
    """

    policies: tuple[str, ...]
    keeps: Array
    D: Array
    gain: Array
    random: Array
    loss: Array
    none: Array
    centre: Array
    low: Array
    high: Array


def measure_gains(forms: FittedForms, question: Question, level: float) -> Gains:
    """Gains of every policy at shares between those piloted, and at these."""
    names, shares = [], []
    for design in forms.world.designs:
        cells = forms.world.cells
        mine = np.unique(cells.keep[cells.policy == design.policy])
        grid = np.unique(np.concatenate([mine, np.geomspace(mine[0], mine[-1], GRID)]))
        names += [design.policy] * len(grid)
        shares.append(grid)
    keeps = np.concatenate(shares)
    D = question.kept(keeps)
    none = forms.log_outcomes(NONE, 1.0, np.array([question.D_none]))[:, 0]
    random = forms.log_outcomes(NONE, 1.0, D)
    loss = np.empty_like(random)
    for policy in dict.fromkeys(names):
        mine = np.array([n == policy for n in names])
        loss[:, mine] = forms.log_outcomes(policy, keeps[mine], D[mine])
    gain = none[:, None] - loss
    low, high = _together(gain, level)
    return Gains(
        policies=tuple(names), keeps=keeps, D=D, gain=gain, loss=loss, none=none,
        random=random - loss, centre=gain[0], low=low, high=high,
    )  # fmt: skip


def _together(gain: Array, level: float) -> tuple[Array, Array]:
    """Find ends that hold for all candidates at once, (c,)."""
    good = np.asarray(np.isfinite(gain).all(axis=1))
    if not good[0] or np.mean(good) < 0.5:
        return np.full(gain.shape[1], -np.inf), np.full(gain.shape[1], np.inf)
    # Tails of draws are not alike above and below, and a mixture is no normal: each end runs along
    # quantiles of its own, the same for all candidates, so far out that so many curves stay inside.
    inside = gain[good][1:]
    ranks = np.argsort(np.argsort(inside, axis=0, kind="stable"), axis=0, kind="stable")
    depth = np.minimum(ranks, len(inside) - 1 - ranks).min(axis=1)
    at = float(np.quantile(depth, 1 - level))
    edge = min(math.floor(at), (len(inside) - 1) // 2)
    ordered = np.sort(inside, axis=0)
    return ordered[edge], ordered[len(inside) - 1 - edge]


def as_part(log_gain: float) -> float:
    """Part of the loss that goes."""
    return -math.expm1(-log_gain) if math.isfinite(log_gain) else math.copysign(math.inf, log_gain)


def _part(estimate: Estimate) -> Estimate:
    inside = estimate.interval
    return Estimate(
        value=as_part(estimate.value),
        interval=Interval(
            low=as_part(inside.low), high=as_part(inside.high), level=inside.level,
            method=inside.method,
        ),
    )  # fmt: skip


def find_policy(
    forms: FittedForms, gains: Gains, policy: str, question: Question, level: float
) -> PolicyFinding:
    """Say what one policy does at the target."""
    mine = np.flatnonzero([p == policy for p in gains.policies])
    best = int(mine[np.argmax(gains.centre[mine])])
    cells = forms.world.cells
    piloted = np.unique(cells.keep[cells.policy == policy])
    at = [int(mine[np.argmin(np.abs(gains.keeps[mine] - k))]) for k in piloted]
    keep = _best_share(gains.gain[:, mine], gains.keeps[mine])
    share = float(gains.keeps[best])
    return PolicyFinding(
        policy=policy, finding=_finding(gains, mine, at), D=float(gains.D[best]),
        keep=between(keep, level, share), pool=float(gains.D[best]) / share,
        loss=estimate(gains.loss[:, best], level, exp=True),
        gain=_part(estimate(gains.gain[:, best], level)),
        gain_random=_part(estimate(gains.random[:, best], level)),
        keeps=tuple(piloted.tolist()),
        gains=tuple(_part(_simultaneous(gains, i, level)) for i in at),
        lossless=_lossless(forms, policy, piloted, question, level),
        reach=float(forms.world.reach(share, gains.D[best])),
    )  # fmt: skip


def _simultaneous(gains: Gains, i: int, level: float) -> Estimate:
    return Estimate(
        value=float(gains.centre[i]),
        interval=Interval(
            low=float(gains.low[i]), high=float(gains.high[i]), level=level, method=TOGETHER
        ),
    )


def _finding(gains: Gains, mine: npt.NDArray[np.int64], piloted: list[int]) -> str:
    if (gains.low[mine] > 0).any():
        return "better"
    return "worse" if (gains.high[piloted] < 0).all() else "unsettled"


def _best_share(gain: Array, keeps: Array) -> Array:
    """Share of the largest gain in each draw."""
    filled = np.where(np.isnan(gain), -np.inf, gain)
    return np.asarray(keeps[np.argmax(filled, axis=1)])


def _lossless(
    forms: FittedForms, policy: str, piloted: Array, question: Question, level: float
) -> Estimate | None:
    """Smallest share from which on up to all the loss stays within the tolerance."""
    if not math.isfinite(question.pool):
        return None
    keeps = np.geomspace(piloted[0], 1.0, 60)
    full = forms.log_outcomes(NONE, 1.0, np.array([question.pool]))
    pruned = forms.log_outcomes(policy, keeps, keeps * question.pool)
    fine = pruned <= full + math.log1p(question.tol)
    fine[:, -1] = True
    # Counted from all kept downwards, until the first share that is not fine.
    run = np.cumprod(fine[:, ::-1], axis=1).sum(axis=1).astype(int)
    return estimate(keeps[len(keeps) - run], level)

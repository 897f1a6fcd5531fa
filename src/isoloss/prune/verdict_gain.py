"""Gains of each policy at the target: intervals that hold together, and what they decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
METHOD = "wild cluster bootstrap, hull of forms"
TOGETHER = "wild cluster bootstrap, simultaneous, hull of forms"


def hull(forms: FittedForms, draws: Sequence[Array], level: float, centre: float) -> Estimate:
    """Estimate of one quantity: the span of the intervals of all forms that count, (1 + draws,)."""
    ends = [Interval.from_draws(d[1:], level=level, method=METHOD) for d in map(_numbers, draws)]
    low, high = min(e.low for e in ends), max(e.high for e in ends)
    # The best guess is a mean over forms, which a skewed interval may leave out by a little.
    value = float(min(max(centre, low), high)) if math.isfinite(centre) else centre
    return Estimate(value=value, interval=Interval(low=low, high=high, level=level, method=METHOD))


def _numbers(draws: Array) -> Array:
    """Draws without those where a form has no value; those leave the interval without end."""
    good = ~np.isnan(draws)
    if good.all():
        return draws
    if np.mean(good) < 0.5:
        return np.array([0.0, -np.inf, np.inf])
    return np.asarray(draws[good])


def estimate(
    forms: FittedForms, draws: Sequence[Array], level: float, *, exp: bool = False
) -> Estimate:
    """Estimate with the weighted mean of the best fits as its value; of logarithms with ``exp``."""
    centre = float(forms.centre(draws))
    values = [np.exp(d) for d in draws] if exp else list(draws)
    return hull(forms, values, level, math.exp(centre) if exp else centre)


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
        Draws a form: log gain over no pruning and over as many random examples, log loss, (b, c).
    none
        Draws a form: log loss without pruning, (b,).
    centre, low, high
        Best guess, and ends that hold for all candidates at once, (c,).
    """

    policies: tuple[str, ...]
    keeps: Array
    D: Array
    gain: list[Array]
    random: list[Array]
    loss: list[Array]
    none: list[Array]
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
    none = [v[:, 0] for v in forms.log_outcomes(NONE, 1.0, np.array([question.D_none]))]
    random = forms.log_outcomes(NONE, 1.0, D)
    loss = [np.empty_like(r) for r in random]
    for policy in dict.fromkeys(names):
        mine = np.array([n == policy for n in names])
        for target, found in zip(
            loss, forms.log_outcomes(policy, keeps[mine], D[mine]), strict=True
        ):
            target[:, mine] = found
    gain = [base[:, None] - v for base, v in zip(none, loss, strict=True)]
    low, high = _together(gain, level)
    return Gains(
        policies=tuple(names), keeps=keeps, D=D, gain=gain, loss=loss, none=none,
        random=[r - v for r, v in zip(random, loss, strict=True)],
        centre=forms.centre(gain), low=low, high=high,
    )  # fmt: skip


def _together(gains: Sequence[Array], level: float) -> tuple[Array, Array]:
    """Find ends that hold for all candidates at once, the widest of all forms, (c,)."""
    lows, highs = [], []
    for gain in gains:
        good = np.asarray(np.isfinite(gain).all(axis=1))
        if not good[0] or np.mean(good) < 0.5:
            lows.append(np.full(gain.shape[1], -np.inf))
            highs.append(np.full(gain.shape[1], np.inf))
            continue
        away = gain[good][1:] - gain[0]
        inner = np.quantile(away, [0.1587, 0.8413], axis=0)
        spread = np.maximum((inner[1] - inner[0]) / 2, 1e-9)
        # Tails of draws are not alike above and below: each side has its own factor.
        up = float(np.quantile(np.max(away / spread, axis=1), (1 + level) / 2))
        down = float(np.quantile(np.max(-away / spread, axis=1), (1 + level) / 2))
        lows.append(gain[0] - max(down, up) * spread)
        highs.append(gain[0] + max(down, up) * spread)
    return np.min(lows, axis=0), np.max(highs, axis=0)


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
    keep = [_best_share(g[:, mine], gains.keeps[mine]) for g in gains.gain]
    gain = _one(forms, [g[:, best] for g in gains.gain], level)
    share = float(gains.keeps[best])
    return PolicyFinding(
        policy=policy, finding=_finding(gains, mine, at), D=float(gains.D[best]),
        keep=hull(forms, keep, level, share), pool=float(gains.D[best]) / share,
        loss=estimate(forms, [v[:, best] for v in gains.loss], level, exp=True),
        gain=_part(gain), gain_random=_part(_one(forms, [g[:, best] for g in gains.random], level)),
        keeps=tuple(piloted.tolist()),
        gains=tuple(_part(_simultaneous(gains, i, level)) for i in at),
        lossless=_lossless(forms, policy, piloted, question, level),
        reach=float(forms.world.reach(share, gains.D[best])),
    )  # fmt: skip


def _one(forms: FittedForms, draws: list[Array], level: float) -> Estimate:
    return estimate(forms, draws, level)


def _simultaneous(gains: Gains, i: int, level: float) -> Estimate:
    return Estimate(
        value=float(gains.centre[i]),
        interval=Interval(
            low=float(gains.low[i]), high=float(gains.high[i]), level=level, method=TOGETHER
        ),
    )


def _finding(gains: Gains, mine: npt.NDArray[np.intp], piloted: list[int]) -> str:
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
    found = []
    for base, v in zip(full, pruned, strict=True):
        fine = v <= base + math.log1p(question.tol)
        fine[:, -1] = True
        # Counted from all kept downwards, until the first share that is not fine.
        run = np.cumprod(fine[:, ::-1], axis=1).sum(axis=1).astype(int)
        found.append(keeps[len(keeps) - run])
    log_centre = float(forms.centre([np.log(f) for f in found]))
    return hull(forms, found, level, math.exp(log_centre))

"""Intervals of the multiplier, chances of a verdict, and words, from errors of the gap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.plan.next_arms_gain import Options, State, after, centres, merit, variances
from isoloss.plan.next_arms_model import Joint, Noise
from isoloss.plan.next_arms_result import NextArmRun
from isoloss.plan.next_places import Places
from isoloss.plan.power_arms import t_power
from isoloss.plan.recipes.inputs import Place

_FAR = 3.0
"""D/N within this factor of the goal's is as at the goal."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What turns errors of the gap into what people read.

    Attributes
    ----------
    joints
        All cases.
    names
        Of the baseline and the recipe.
    place, scale
        Where they are compared.
    level, freedom
        Of intervals; degrees of freedom that the runs at hand leave, (T,). Where twins share noise
        their differences decide, which are half as many.
    """

    joints: Sequence[Joint]
    names: tuple[str, str]
    place: Place
    scale: float
    level: float
    freedom: Array
    noise: Noise

    def degrees(self, more: int = 0) -> Array:
        """Degrees of freedom of the noise that decides, with some more runs, (T,)."""
        return (self.freedom + more) / (2 if self.noise.correlation > 0 else 1)

    @property
    def centre(self) -> Array:
        """Gap under each set of ties, (T,)."""
        return centres([j.case for j in self.joints])

    def heavy(self, tie: int) -> Joint:
        """Give the law believed most under a set of ties."""
        return max((j for j in self.joints if j.tie == tie), key=lambda j: j.weight)

    def reach(self, more: int = 0) -> Array:
        """Half-width of an interval in standard errors, with some more runs, (T,)."""
        from scipy.special import stdtrit

        return np.asarray(stdtrit(self.degrees(more), 0.5 + self.level / 2))

    def ends(self, errors: Array, more: int = 0) -> Array:
        """Interval of the gap under each set of ties, (2, T), from square errors, (T,)."""
        half = self.reach(more) * np.sqrt(errors)
        return np.stack([self.centre - half, self.centre + half])

    def multiplier(self, gap: float, tie: int) -> float:
        r"""Turn a gap of log losses into a multiplier of compute.

        The recipe reaches the baseline's loss at C with C/m. For the gap :math:`\gamma` that is
        where its curve lies :math:`\gamma` above its own value at C; zero where no less compute
        is so bad, infinite where all is.
        """
        lead = self.heavy(tie)
        path = self.place.paths(lead.fitted.recipe.base)[1]
        theta = lead.fitted.recipe.part(lead.fitted.theta, 1)[None]
        C = np.array([self.scale])
        with np.errstate(all="ignore"):
            target = path.loss(theta, C) * np.exp(gap)
            needed = float(path.compute(theta, target, C)[0, 0])
            if math.isnan(needed):
                return math.nan
            return math.inf if needed == 0 else self.scale / needed

    def interval(self, errors: Array, more: int = 0) -> Interval:
        """Interval of the multiplier that holds those of all ties."""
        each = [self.of_tie(errors, t, more) for t in range(len(errors))]
        return Interval(
            low=min(i.low for i in each),
            high=max(i.high for i in each),
            level=self.level,
            method=each[0].method + (", over all ties" if len(each) > 1 else ""),
        )

    def of_tie(self, errors: Array, tie: int, more: int = 0) -> Interval:
        """Interval of the multiplier under one set of ties."""
        low, high = (self.multiplier(float(g), tie) for g in self.ends(errors, more)[:, tie])
        return Interval(
            low=low, high=high, level=self.level, method="first order, Student's distribution"
        )

    def sign(self, errors: Array, more: int = 0) -> int:
        """1 where the recipe is better under all ties, -1 where it is worse, else 0."""
        low, high = self.ends(errors, more)
        return 1 if (low > 0).all() else -1 if (high < 0).all() else 0

    def powers(self, errors: Array, more: int) -> Array:
        """Chance of a verdict under each set of ties, were its gap as estimated, (T,)."""
        ratio = np.abs(self.centre) / np.sqrt(errors)
        return np.array(
            [
                t_power(float(r), float(f), 1 - self.level)
                for r, f in zip(ratio, self.degrees(more), strict=True)
            ]
        )

    def chance(self, first: Array, last: Array, more: int) -> float:
        """Chance of a verdict as expected now: the estimate itself will move.

        It will be normal around what it is now, with the variance that the runs take away. The
        least of all ties.
        """
        from scipy.special import ndtr

        moved = np.sqrt(np.maximum(first - last, 0.0))
        need = self.reach(more) * np.sqrt(last)
        with np.errstate(divide="ignore", invalid="ignore"):
            up, down = (self.centre - need) / moved, (-self.centre - need) / moved
        found = np.where(moved > 0, ndtr(up) + ndtr(down), np.abs(self.centre) > need)
        return float(found.min())


def describe(
    reading: Reading,
    begin: State,
    where: Places,
    options: Options,
    chosen: Sequence[int],
    rule: str,
) -> tuple[tuple[NextArmRun, ...], State]:
    """Rank a batch by gain per cost, each entry given those above it; the state it ends with."""
    cases = [j.case for j in reading.joints]
    state, errors, more = begin, variances(cases, begin), 0
    left = {i: list(chosen).count(i) for i in sorted(set(chosen))}
    found: list[NextArmRun] = []
    while left:
        trials = {i: after(cases, state, i, times=n) for i, n in left.items()}
        gains = {
            i: -math.expm1(float(merit(variances(cases, s), errors, rule)))
            for i, s in trials.items()
        }
        best = max(gains, key=lambda i: (gains[i] / (options.cost[i] * left[i]), -i))
        seeds = left.pop(best)
        more += seeds * int(options.runs[best])
        last = variances(cases, trials[best])
        at = int(options.place[best])
        arms = (0, 1) if options.arm[best] == 2 else (int(options.arm[best]),)
        N = where.runs.x.get("N")
        shape = None if where.shapes is None or N is None else where.shapes[float(N[at])].to_dict()
        cost = float(options.cost[best])
        found.append(
            NextArmRun(
                recipes=tuple(reading.names[a] for a in arms),
                at={a: float(v[at]) for a, v in where.runs.x.items()},
                name=where.names[at] if where.names else "",
                cost=cost,
                seeds=seeds,
                gain=gains[best],
                gain_per_cost=gains[best] / (cost * seeds),
                loss={reading.names[a]: _loss(reading, state, a, at) for a in arms},
                multiplier=reading.interval(last, more),
                reason=_reason(reading, state, trials[best], where, arms, at),
                shape=shape,
            )
        )
        state, errors = trials[best], last
    return tuple(found), state


def _loss(reading: Reading, state: State, arm: int, at: int) -> Interval:
    """Where one run lands: parameters, bends, laws and ties around their mean, noise."""
    logs, spreads, weights = [], [], []
    for j, b in zip(reading.joints, state, strict=True):
        row = j.rows[arm][at]
        astray = j.case.spread * (j.effects[arm][at] - row @ b.drag)
        logs.append(j.logs[arm][at])
        spreads.append(b.variance(row) + np.sum(astray**2))
        weights.append(j.weight)
    middle = np.average(logs, weights=weights)
    variance = np.average(spreads + (np.array(logs) - middle) ** 2, weights=weights)
    half = float(np.median(reading.reach())) * math.sqrt(variance + reading.noise.one**2)
    low, high = np.exp(np.clip([middle - half, middle + half], -700, 700))
    return Interval(
        low=float(low), high=float(high), level=reading.level, method="first order, one new run"
    )


def _reason(
    reading: Reading, state: State, then: State, where: Places, arms: tuple[int, ...], at: int
) -> str:
    parts = []
    # The case that the interval rests on: the set of ties with the largest error.
    errors = variances([j.case for j in reading.joints], state)
    lead = reading.heavy(int(np.argmax(errors)))
    k = next(i for i, j in enumerate(reading.joints) if j is lead)
    share = 1 - np.diag(then[k].covariance) / np.diag(state[k].covariance)
    shown = [
        f"{_label(lead.labels[i], reading.names)} ({100 * share[i]:.0f} %)"
        for i in np.argsort(-share, kind="stable")[:2]
        if share[i] >= 0.02
    ]
    if shown:
        law = lead.fitted.recipe.base.name
        parts.append(f"takes variance off {' and '.join(shown)}, {law}")
    r = reading.noise.correlation
    if len(arms) == 2 and r > 0:
        parts.append(f"noise that both share ({r:.2f}) drops out of their difference")
    x = where.runs.x
    if {"N", "D"} <= set(x):
        own = math.log(x["D"][at] / x["N"][at])
        aim = lead.goal[arms[0]]
        away = own - math.log(aim["D"] / aim["N"])
        text = f"D/N = {math.exp(own):.3g}"
        if abs(away) <= math.log(_FAR):
            parts.append(f"{text}, as at the goal")
        else:
            side = "above" if away > 0 else "below"
            parts.append(f"{text}, {math.exp(abs(away)):.2g} times {side} the goal's")
    return "; ".join(parts)


def _label(label: tuple[str, int | None], names: tuple[str, str]) -> str:
    name, arm = label
    return name if arm is None else f"{name} of {names[arm]}"

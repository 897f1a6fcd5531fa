"""Why each run is worth making, in words and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.plan.next_gain import Laws, State, after, mean_risk, risks
from isoloss.plan.next_goal import Goal
from isoloss.plan.next_places import Places
from isoloss.plan.next_result import NextRun
from isoloss.plan.reason import Reason

TOLD = 1.0
"""Expected log likelihood ratio from which a run is said to tell two laws apart."""
_FAR = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """What the words are about."""

    laws: Laws
    begin: State
    first: Array
    places: Places
    names: Sequence[str]
    parameters: Sequence[Sequence[str]]
    ray: float
    level: float
    interval: Callable[[Array, int], Interval | None]


def describe(story: Story, chosen: Sequence[int]) -> tuple[tuple[NextRun, ...], Array]:
    """Rank a batch by gain per cost, each run given those above it; the errors it ends with."""
    laws, state = story.laws, story.begin
    errors = story.first
    left = {i: list(chosen).count(i) for i in sorted(set(chosen))}
    found: list[NextRun] = []
    while left:
        trials = {i: _seeds(laws, state, i, n) for i, n in left.items()}
        now = mean_risk(laws, errors)
        gains = {
            i: (now - mean_risk(laws, risks(laws, s)))[0] / (laws.cost[i] * left[i])
            for i, s in trials.items()
        }
        best = max(gains, key=lambda i: (gains[i], -i))
        found.append(_run(story, state, trials[best], errors, best, left.pop(best)))
        state = trials[best]
        errors = risks(laws, state)
    return tuple(found), errors


def _seeds(laws: Laws, state: State, i: int, n: int) -> State:
    for _ in range(n):
        state = after(laws, state, i)
    return state


def _run(story: Story, state: State, then: State, errors: Array, i: int, seeds: int) -> NextRun:
    laws = story.laws
    last = risks(laws, then)
    now, left = mean_risk(laws, errors), mean_risk(laws, last)
    gain = float(1 - left[0] / now[0])
    other = float(1 - left[1] / now[1]) if np.isfinite(now[1]) else None
    pair, odds = _pair(story, state, then)
    goal = story.interval(last, 0)
    assert goal is not None
    N = story.places.runs.x.get("N")
    shapes = story.places.shapes
    cost = float(laws.cost[i])
    return NextRun(
        at={a: float(v[i]) for a, v in story.places.runs.x.items()},
        name=story.places.names[i] if story.places.names else "",
        cost=cost,
        seeds=seeds,
        gain=gain,
        gain_per_cost=gain / (cost * seeds),
        companion_gain=other,
        loss=_loss(story, state, i),
        noise=float(laws.noise[i]),
        goal=goal,
        separates=pair,
        log_odds=odds,
        reason=_reason(story, state, then, i, pair, odds),
        shape=None if shapes is None or N is None else shapes[float(N[i])].to_dict(),
    )


def _loss(story: Story, state: State, i: int) -> Interval:
    """Where one run lands: parameters, laws around their mean, noise."""
    laws = story.laws
    spread = np.array([j[i] @ c @ j[i] for j, c in zip(laws.slopes, state.covariance, strict=True)])
    for k, (b, j, d, s) in enumerate(
        zip(laws.bends, laws.slopes, state.drag, laws.spread, strict=True)
    ):
        spread[k] += np.sum(((b[i] - j[i] @ d) * s) ** 2)
    middle = float(laws.weights @ laws.logs[:, i])
    variance = laws.weights @ (spread + (laws.logs[:, i] - middle) ** 2) + laws.noise[i] ** 2
    half = NormalDist().inv_cdf(0.5 + story.level / 2) * float(np.sqrt(variance))
    low, high = np.exp(np.clip([middle - half, middle + half], -700, 700))
    return Interval(
        low=float(low), high=float(high), level=story.level, method="first order, one new run"
    )


def _pair(story: Story, state: State, then: State) -> tuple[tuple[str, str] | None, float]:
    """Find the pair that is told apart best, heavy pairs first, with its expected log odds."""
    more = then.evidence - state.evidence
    weights = story.laws.weights
    best: tuple[tuple[str, str] | None, float] = (None, 0.0)
    most = 0.0
    for i, j in combinations(range(len(weights)), 2):
        # The smaller of the two directions: whichever law is true.
        odds = float(min(more[i, j], more[j, i]))
        worth = odds * float(np.sqrt(weights[i] * weights[j]))
        if worth > most:
            most, best = worth, ((story.names[i], story.names[j]), odds)
    return best if best[1] >= 0.1 else (None, 0.0)


def _reason(
    story: Story,
    state: State,
    then: State,
    i: int,
    pair: tuple[str, str] | None,
    odds: float,
) -> str:
    parts = [_pinned(story, state, then)]
    if pair is not None and odds >= TOLD:
        parts.append(
            f"tells {pair[0]} from {pair[1]} (odds of {np.exp(min(odds, 50)):.3g} to 1 expected)"
        )
    x = story.places.runs.x
    if np.isfinite(story.ray) and {"N", "D"} <= set(x):
        own = float(np.log(x["D"][i] / x["N"][i]))
        away = own - story.ray
        text = f"D/N = {np.exp(own):.3g}"
        if abs(away) <= np.log(_FAR):
            parts.append(f"{text}, as at the goal")
        else:
            side = "above" if away > 0 else "below"
            parts.append(f"{text}, {np.exp(abs(away)):.2g} times {side} the goal's")
    return "; ".join(p for p in parts if p)


def _pinned(story: Story, state: State, then: State) -> str:
    """Name what of the heaviest law is tied down most."""
    lead = int(np.argmax(story.laws.weights))
    names = story.parameters[lead]
    before, left = (np.diag(s.covariance[lead]) for s in (state, then))
    share = 1 - left / before
    order = np.argsort(-share, kind="stable")[:2]
    shown = [f"{names[k]} ({100 * share[k]:.0f} %)" for k in order if share[k] >= 0.02]
    if not shown:
        return ""
    return f"takes variance off {' and '.join(shown)} of {story.names[lead]}"


def sentence(
    goal: Goal,
    batch: Sequence[NextRun],
    before: Interval,
    after: Interval,
    gain: float,
    spent: float,
    budget: float,
    unit: str,
    reasons: Sequence[Reason],
) -> str:
    """Say the whole in one sentence."""
    if not batch:
        text = (
            f"No run within {budget:.3g} {unit} narrows {goal.words} further; it stays within "
            f"[{before.low:.5g}, {before.high:.5g}] ({100 * before.level:g} %)."
        )
        return text
    count = sum(r.seeds for r in batch)
    return (
        f"{count} run{'s' if count > 1 else ''} for {spent:.3g} {unit} would take "
        f"{100 * gain:.0f} % off the variance of {goal.words}: from [{before.low:.5g}, "
        f"{before.high:.5g}] to [{after.low:.5g}, {after.high:.5g}] ({100 * after.level:g} %)."
    )

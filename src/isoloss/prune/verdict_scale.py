"""What changes with scale: crossovers, the frontier, what an example is worth, break-even."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from isoloss._core.arrays import Array
from isoloss.prune.pilots import NONE
from isoloss.prune.verdict_fit import FittedForms
from isoloss.prune.verdict_gain import between, estimate
from isoloss.prune.verdict_result import BreakEven, Crossover, Estimate, FrontierFinding, Question
from isoloss.prune.verdict_words import number

_STEPS = 61
_SHARES = 12


def find_crossovers(forms: FittedForms, question: Question, level: float) -> tuple[Crossover, ...]:
    """Where hard overtakes random, and easy, at each share piloted."""
    cells = forms.world.cells
    target = max(question.kept(1.0).item() if math.isfinite(question.D_none) else 0.0, 1.0)
    low, high = cells.D.min() / 3, max(3 * cells.D.max(), target)
    sizes = np.geomspace(low, high, _STEPS)
    tried = {d.policy: np.unique(cells.keep[cells.policy == d.policy]) for d in forms.world.designs}
    scaled = {d.policy for d in forms.world.designs if d.scaled}

    @cache
    def curve(policy: str, keep: float) -> Array:
        return forms.log_outcomes(policy, keep, sizes)

    found = []
    for winner, loser in (("hard", "random"), ("hard", "easy"), ("easy", "random")):
        if winner not in scaled or (loser != "random" and loser not in scaled):
            continue
        keeps = tried[winner]
        if loser in tried:
            keeps = keeps[(keeps >= tried[loser][0] - 1e-9) & (keeps <= tried[loser][-1] + 1e-9)]
        for keep in keeps:
            share = float(keep)
            other = (NONE, 1.0) if loser == "random" else (loser, share)
            lead = curve(*other) - curve(winner, share)
            found.append(_crossover(lead, sizes, winner, loser, share, level))
    return tuple(found)


def _crossover(
    lead: Array, sizes: Array, winner: str, loser: str, keep: float, level: float
) -> Crossover:
    draws = last_rise(lead, sizes)
    return Crossover(
        winner=winner, loser=loser, keep=keep, D=estimate(draws, level),
        pool=estimate(draws / keep, level), looked=(float(sizes[0]), float(sizes[-1])),
        share_of_draws=float(np.mean(np.isfinite(draws[1:]) & (draws[1:] > 0))),
    )  # fmt: skip


def last_rise(lead: Array, sizes: Array) -> Array:
    """Size from which on a lead stays above zero: 0 where always, infinite where not at the end.

    Examples
    --------
    >>> lead = np.array([[-1.0, 1.0, 3.0], [1.0, 1.0, 1.0], [1.0, -1.0, -2.0]])
    >>> last_rise(lead, np.array([1.0, 100.0, 1e4])).round(6).tolist()
    [10.0, 0.0, inf]
    """
    above = lead > 0
    run = np.cumprod(above[:, ::-1], axis=1).sum(axis=1).astype(int)
    n = lead.shape[1]
    first = n - run
    rows = np.arange(len(lead))
    i = np.clip(first, 1, n - 1)
    a, b = lead[rows, i - 1], lead[rows, i]
    with np.errstate(all="ignore"):
        part = np.clip(np.where(np.isfinite(a), -a / (b - a), 1.0), 0.0, 1.0)
    logs = np.log(sizes)
    at = np.exp(logs[i - 1] + part * (logs[i] - logs[i - 1]))
    return np.where(run == 0, np.inf, np.where(run == n, 0.0, at))


def find_frontier(forms: FittedForms, level: float) -> FrontierFinding | None:
    """Test on the sizes of the pilots whether the frontier falls faster than no pruning."""
    cells = forms.world.cells
    plain = cells.D[cells.policy == NONE]
    if not any(d.scaled for d in forms.world.designs):
        return None
    sizes = np.geomspace(plain.min(), plain.max(), 21)
    base = forms.log_outcomes(NONE, 1.0, sizes)
    layers, who = [base], [(NONE, 1.0)]
    for design in forms.world.designs:
        tried = np.unique(cells.keep[cells.policy == design.policy])
        for keep in np.geomspace(tried[0], tried[-1], _SHARES):
            layers.append(forms.log_outcomes(design.policy, float(keep), sizes))
            who.append((design.policy, float(keep)))
    best = np.nanmin(np.stack(layers), axis=0)
    guess = np.array([layer[0] for layer in layers])
    chosen = np.argmin(np.where(np.isnan(guess), np.inf, guess), axis=0)
    span, half = math.log(sizes[-1] / sizes[0]), len(sizes) // 2
    middle = math.log(sizes[half] / sizes[0])
    frontier = (best[:, 0] - best[:, -1]) / span
    unpruned = (base[:, 0] - base[:, -1]) / span
    g = base - best
    apart = (g[:, -1] - g[:, 0]) / span
    growth = (g[:, -1] - g[:, half]) / (span - middle) - (g[:, half] - g[:, 0]) / middle
    difference, bend = estimate(apart, level), estimate(growth, level)
    return FrontierFinding(
        D=sizes, keep=np.array([who[i][1] for i in chosen]),
        policy=tuple(who[i][0] for i in chosen),
        loss=np.exp(guess[chosen, np.arange(len(sizes))]),
        exponent=estimate(frontier, level), unpruned=estimate(unpruned, level),
        difference=difference, growth=bend, p=_two_sided(apart[1:]),
        sentence=_frontier_sentence(difference, bend, sizes),
    )  # fmt: skip


def _two_sided(draws: Array) -> float:
    good = draws[np.isfinite(draws)]
    if not good.size:
        return 1.0
    tail = min(float(np.sum(good <= 0)), float(np.sum(good >= 0)))
    return min(1.0, 2 * (tail + 1) / (good.size + 1))


def _frontier_sentence(difference: Estimate, growth: Estimate, sizes: Array) -> str:
    where = f"from {number(sizes[0])} to {number(sizes[-1])} examples kept"
    if difference.interval.low > 0:
        text = f"The frontier falls faster than training without pruning {where}"
        if growth.interval.high < 0:
            return text + ", and less so in the upper half: it bends back towards that power law."
        if growth.interval.low > 0:
            return text + ", and ever more so."
        return text + "; whether it goes on like this the pilots do not say."
    if difference.interval.high < 0:
        return f"The frontier falls more slowly than training without pruning {where}."
    return f"The pilots do not show that the frontier falls faster than no pruning {where}."


def worth(forms: FittedForms, policy: str, keep: float, D: float) -> Array:
    """Log of how many random examples give the loss of one kept, each draw; (1 + draws,)."""
    sizes = D * np.geomspace(1e-3, 1e4, 141)
    base = forms.log_outcomes(NONE, 1.0, sizes)
    pruned = forms.log_outcomes(policy, keep, np.array([D]))
    return _invert(base, pruned[:, 0], np.log(sizes / D))


def _invert(base: Array, wanted: Array, logs: Array) -> Array:
    """Position where each falling curve reaches a value; infinite where it never does."""
    falling = np.minimum.accumulate(base, axis=1)
    found = np.empty(len(wanted))
    for i, (curve, value) in enumerate(zip(falling, wanted, strict=True)):
        if not np.isfinite(value) or not np.isfinite(curve).all():
            found[i] = np.nan
        elif value < curve[-1]:
            found[i] = np.inf
        else:
            found[i] = np.interp(-value, -curve, logs)
    return found


def as_factor(draws: Array, level: float) -> Estimate:
    """Multiplier of logarithms that may be infinite."""
    with np.errstate(over="ignore"):
        return between(np.exp(draws), level, math.exp(min(np.nan_to_num(draws[0]), 700.0)))


def find_break_even(
    forms: FittedForms, policy: str, keep: float, question: Question, level: float,
    *, score: float, train: float, unit: str,
) -> BreakEven:  # fmt: skip
    """When the cost of scoring the pool is paid back.

    Parameters
    ----------
    score, train
        Cost of scoring one example, and of one seen in training.
    """
    D = float(question.kept(keep))
    each = train * question.epochs
    times = worth(forms, policy, keep, D)
    saved = np.expm1(times) * each
    with np.errstate(divide="ignore", invalid="ignore"):
        pays = np.where(saved > 0, score / keep / saved, np.inf)
    factors = times - math.log1p(score / keep / question.trainings / each)
    cells = forms.world.cells
    sizes = np.geomspace(cells.D.min() / 3, max(3 * D, 30 * cells.D.max()), 15)
    reach = np.geomspace(sizes[0] * 1e-3, sizes[-1] * 1e4, 281)
    base = forms.log_outcomes(NONE, 1.0, reach)
    pruned = forms.log_outcomes(policy, keep, sizes)
    lead = np.column_stack(
        [_invert(base, v, np.log(reach / D)) for v, D in zip(pruned.T, sizes, strict=True)]
    )
    lead = lead - math.log1p(score / keep / each)
    finite = np.clip(np.nan_to_num(lead, nan=-50.0), -50.0, 50.0)
    return BreakEven(
        trainings=estimate(pays, level), compute=estimate(last_rise(finite, sizes) * each, level),
        unit=unit, score=score, train=each, multiplier=as_factor(factors, level),
    )  # fmt: skip

"""Which runs, of which recipe, tell two recipes apart at a scale for the least cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import as_level, as_positive
from isoloss.errors import InputError
from isoloss.fit.prepare import choose_law
from isoloss.laws import Law
from isoloss.plan.next_arms_gain import (
    RULES,
    Allowance,
    Options,
    State,
    best_batch,
    follow,
    merit,
    variances,
)
from isoloss.plan.next_arms_goal import ArmsGoal, parse_arms_goal
from isoloss.plan.next_arms_model import join_arms, noise_of_pair, stacked
from isoloss.plan.next_arms_read import Reading, describe
from isoloss.plan.next_arms_result import ArmsTie, NextArms
from isoloss.plan.next_arms_words import LEAST_GAIN, one_sign, reasons_for, sentence
from isoloss.plan.next_places import Places, places
from isoloss.plan.power_pilots import find_twins
from isoloss.plan.reason import Reason, overall
from isoloss.plan.recipes.inputs import Place as Compared
from isoloss.plan.recipes.inputs import as_laws, check_pair, make_place, names_of
from isoloss.plan.recipes.sets import TieSet, fit_sets, ties_asked
from isoloss.plan.recipes.ties import floors_differ
from isoloss.runs import Runs

DRIFT = 0.005
"""Standard deviation of the bends that laws may have, times the root of two."""
MANY = 100.0
"""Times the batch: what no such design sees is beyond reach."""


def plan_next_arms(
    tables: Mapping[str, Any],
    goal: str | ArmsGoal,
    *,
    budget: float,
    k: int = 6,
    rule: str = "worst",
    tie: Sequence[str] | str = "auto",
    paired: float | str = "auto",
    box: Mapping[str, tuple[float, float]] | None = None,
    pool: Any = None,
    shape: Mapping[str, Any] | None = None,
    most_seeds: int | None = None,
    laws: Sequence[str | Law] | None = None,
    axis: str | None = None,
    drift: float = DRIFT,
    level: float = 0.9,
) -> NextArms:
    r"""Choose up to k runs of two recipes within a budget that tell them apart best.

    Both recipes are one linear model around the fit that `compare_recipes` makes. A batch minimises
    the expected square error of the gap of log losses at the scale, each recipe at its best split
    there,

    .. math:: V = g^T \Sigma g + \sum_b R_b^2 (\phi_b - g^T d_b)^2 + \mathrm{var}_k\,\gamma_k

    (parameters, bends that the laws do not know, laws around their mean). Where recipes have one
    floor or two, nobody knows which, the larger error of both counts, for the interval that holds
    both is as wide.

    Parameters
    ----------
    tables
        Name of a recipe to its `Runs`, or anything `read_runs` takes.
    goal
        ``old-vs-new@C=1e22``, or ``A-vs-B@C=1e22`` for the first and the second of two tables. The
        multiplier is that of the second.
    budget
        FLOPs for all runs together; for laws of one resource, that resource.
    k
        Most runs, seeds and recipes counted.
    rule
        ``"worst"`` of the sets of ties, or ``"mean"``.
    tie, laws, axis
        As in `compare_recipes`.
    paired
        Correlation of the noise of runs of both recipes with one place and seed; ``"auto"``
        measures it in the runs at hand.
    box, pool, shape, most_seeds, drift
        As in `plan_next_runs`.
    level
        Of intervals; the test of a verdict is at one less this.

    Raises
    ------
    InputError
        For a goal, tables, a box or a pool that cannot be read, or numbers out of range.
    FitError
        Too few configurations, or no law with a best split at the scale.

    References
    ----------
    Chaloner and Verdinelli 1995, "Bayesian experimental design: a review", Statistical Science 10
    (c-optimality); O'Hagan, Stevens and Campbell 2005, "Assurance in clinical trial design",
    Pharmaceutical Statistics 4 (the chance of a verdict).

    Examples
    --------
    >>> N, D = np.repeat([1e7, 3e7, 1e8, 3e8], 4), np.tile([3e8, 1e9, 3e9, 1e10], 4)
    >>> noise = np.exp(2e-3 * np.random.default_rng(0).standard_normal((2, 16)))
    >>> old = {"N": N, "D": D, "loss": (1.8 + 480 * N**-0.35 + 2100 * D**-0.37) * noise[0]}
    >>> new = {"N": N, "D": D, "loss": (1.8 + 475 * N**-0.35 + 2080 * D**-0.37) * noise[1]}
    >>> found = plan_next_arms({"old": old, "new": new}, "old-vs-new@C=1e21", budget=1e20, k=4)
    >>> found.spent <= 1e20, sum(r.runs for r in found.runs) <= 4, found.gain > 0.1
    (True, True, True)
    """
    aim = parse_arms_goal(goal)
    most = as_positive("budget", budget)
    count = _whole("k", k)
    seeds = count if most_seeds is None else _whole("most_seeds", most_seeds)
    level = as_level(level)
    if rule not in RULES:
        raise InputError(f"rule = {rule!r}: write 'worst' or 'mean' of the sets of ties")
    if not 0 <= drift <= 1:
        raise InputError(f"drift = {drift!r}: must lie between 0 and 1; 0 trusts the laws")
    if isinstance(tie, str) and tie != "auto":
        raise InputError(f"tie = {tie!r}: give 'auto', or a list of parameters such as ['E']")
    given, _ = names_of(tables, None)
    names = aim.pick(list(given))
    pair = (given[names[0]], given[names[1]])
    check_pair(pair, names)
    form = choose_law(pair[0], None, axis=axis)[0] if laws is None else None
    forms = as_laws(pair, laws, form, axis)
    compared = make_place(pair, forms, ratio=None, size=None)
    if aim.resource != compared.resource:
        raise InputError(
            f"goal {aim.text}: the recipes are compared {compared.text}; write "
            f"{aim.recipes}@{compared.resource}=..."
        )
    fitted, doubts = fit_sets(
        pair, forms, ties_asked(tie, forms), compared,
        alpha=1 - level, objective="auto", draws=0, resample="auto", seed=0,
    )  # fmt: skip
    sets = [s for s in fitted if s.tie.used]
    axes = forms[0].axes
    twins = find_twins(*pair, axes)
    noise = noise_of_pair(pair, fitted, twins, paired)
    where, factors = _places(pair, axes, compared, most, box, pool, shape)
    options = _options(where, factors, most)
    joints = join_arms(
        pair, sets, compared, aim.scale, where.runs.x, (options.arm, options.place), noise, twins,
        drift,
    )  # fmt: skip
    options = _finite(options, [j.case.rows for j in joints] + [j.case.effects for j in joints])
    cases = [j.case for j in joints]
    begin: State = tuple(j.belief for j in joints)
    total = sum(len(t) for t in pair)
    freedom = np.array([max(total - s.heavy.theta.size, 1.0) for s in sets])
    reading = Reading(
        joints=joints, names=names, place=compared, scale=aim.scale, level=level, freedom=freedom,
        noise=noise,
    )  # fmt: skip
    chosen = best_batch(cases, begin, options, Allowance(most, count, seeds), rule)
    first = variances(cases, begin)
    gain = -math.expm1(float(merit(variances(cases, follow(cases, begin, chosen)), first, rule)))
    if gain < LEAST_GAIN:
        chosen = []
    found = [*compared.reasons, *doubts, *floors_differ(fitted, pair)]
    return _answer(
        reading, sets, begin, where, options, chosen, aim, most, rule, gain, _once(found)
    )


def _answer(
    reading: Reading,
    sets: Sequence[TieSet],
    begin: State,
    where: Places,
    options: Options,
    chosen: Sequence[int],
    aim: ArmsGoal,
    budget: float,
    rule: str,
    gain: float,
    doubts: Sequence[Reason],
) -> NextArms:
    cases = [j.case for j in reading.joints]
    first = variances(cases, begin)
    runs, state = describe(reading, begin, where, options, chosen, rule)
    last = variances(cases, state)
    # A hundred times as many runs, the degrees of freedom with them.
    many = variances(cases, follow(cases, begin, chosen, times=MANY))
    more = sum(r.runs for r in runs)
    power = reading.powers(last, more)
    # More of the same may bend the fit; whoever has so many would spread them better.
    far = np.maximum(power, reading.powers(many, int(MANY) * more))
    ties = tuple(
        ArmsTie(
            tied=s.tie.names,
            gap=float(reading.centre[t]),
            error=math.sqrt(first[t]),
            error_after=math.sqrt(last[t]),
            before=reading.of_tie(first, t),
            after=reading.of_tie(last, t, more),
            power=float(power[t]),
            power_many=float(far[t]),
        )
        for t, s in enumerate(sets)
    )
    power_all = float(power.min()) if one_sign(ties) else 0.0
    sign = reading.sign(first)
    stop, own = reasons_for(reading, begin, ties, where, budget, gain, sign)
    reasons = _once([*own, *doubts])
    shares = np.array([max(s.share, 1e-12) for s in sets])
    logs = [math.log(max(reading.multiplier(t.gap, i), 1e-300)) for i, t in enumerate(ties)]
    multiplier = math.exp(min(float(np.average(logs, weights=shares)), 700.0))
    before = reading.interval(first)
    after = reading.interval(last, more)
    spent = float(sum(r.cost * r.seeds for r in runs))
    verdict = {1: "better", -1: "worse", 0: "cannot tell"}[sign]
    return NextArms(
        goal=aim.text,
        baseline=reading.names[0],
        recipe=reading.names[1],
        resource=aim.resource,
        scale=aim.scale,
        rule=rule,
        budget=budget,
        spent=spent,
        unit=where.runs.unit,
        runs=runs,
        multiplier=multiplier,
        before=before,
        after=after,
        verdict=verdict,
        power=power_all,
        chance=reading.chance(first, last, more),
        gain=gain,
        stop=stop,
        ties=ties,
        laws=tuple(
            {
                "law": j.fitted.recipe.base.name,
                "tied": list(sets[j.tie].tie.names),
                "weight": j.weight,
                "gap": j.case.gap,
            }
            for j in reading.joints
        ),
        noise=reading.noise.one,
        correlation=reading.noise.correlation,
        correlation_sentence=reading.noise.sentence,
        n_candidates=len(where.runs),
        limits=where.runs.limits,
        status=overall(reasons, answered=not any(r.severity == "refusal" for r in own)),
        reasons=reasons,
        sentence=sentence(
            reading, runs, before, after, gain, spent, where.runs.unit, verdict, power_all
        ),
    )


def _places(
    pair: tuple[Runs, Runs],
    axes: Sequence[str],
    compared: Compared,
    budget: float,
    box: Mapping[str, tuple[float, float]] | None,
    pool: Any,
    shape: Mapping[str, Any] | None,
) -> tuple[Places, tuple[float, float]]:
    """Lay out what may be run, at the lower of both prices, and each recipe's price over that."""
    prices = [float(c(1.0, 1.0)) for c in compared.costs]
    low = int(np.argmin(prices))
    where = places(
        stacked(pair, axes), axes, budget=budget, cost=compared.costs[low], box=box, pool=pool,
        shape=shape, fixed={},
    )  # fmt: skip
    return where, (prices[0] / prices[low], prices[1] / prices[low])


def _options(where: Places, factors: tuple[float, float], budget: float) -> Options:
    """Every place with A, with B, and with both; those that no budget allows are left out."""
    m = len(where.runs)
    price = np.concatenate([where.runs.cost * f for f in (*factors, sum(factors))])
    arm, place = np.repeat([0, 1, 2], m), np.tile(np.arange(m), 3)
    keep = price <= budget * (1 + 1e-9)
    return Options(arm[keep], place[keep], price[keep])


def _finite(options: Options, numbers: Sequence[Any]) -> Options:
    """Give what no law can be followed to a price that no budget allows."""
    good = np.all([np.isfinite(v).all(axis=(1, 2)) for v in numbers], axis=0)
    for v in numbers:
        v[~good] = 0.0
    return Options(options.arm, options.place, np.where(good, options.cost, np.inf))


def _once(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Keep the first reason of each code."""
    found: dict[str, Reason] = {}
    for r in reasons:
        found.setdefault(r.code, r)
    return tuple(found.values())


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} = {value!r}: must be a whole number of 1 or more")
    if value > 1000:
        raise InputError(f"{name} = {value!r}: at most 1000")
    return int(value)

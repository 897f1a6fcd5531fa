"""How many runs tell recipe A from recipe B at a scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import as_level, as_positive
from isoloss.errors import FitError, InputError
from isoloss.fit.backtest import run_scale
from isoloss.laws import Law
from isoloss.plan.audit_take import Taken, forms_of, law_shares, noise_of, take
from isoloss.plan.cost import Cost, as_cost
from isoloss.plan.design_findings import is_one_line
from isoloss.plan.design_noise import DesignNoise
from isoloss.plan.design_places import cost_of_runs
from isoloss.plan.power_arms import TwoArms
from isoloss.plan.power_designs import MOST
from isoloss.plan.power_ladder import make_ladder, same_twins
from isoloss.plan.power_pilots import find_twins, read_correlation
from isoloss.plan.power_result import Now, Power, PowerDesign, multiplier_text
from isoloss.plan.power_sight import Sight
from isoloss.plan.power_view import View
from isoloss.plan.reason import Reason, overall
from isoloss.runs import Runs, read_runs

_LEAST = 0.02
_REJECTED = 0.05
_FAR = 100.0


def power_to_compare(
    pilot: Any,
    other: Any = None,
    *,
    at: Mapping[str, float],
    effect: float | None = None,
    loss_effect: float | None = None,
    design: str | Mapping[str, Any] | None = None,
    tie: Sequence[str] = ("E",),
    paired: float | str = "auto",
    noise: float | None = None,
    values: Mapping[str, float] | None = None,
    laws: Sequence[str | Law] | None = None,
    power: float = 0.8,
    level: float = 0.05,
    cost: Cost | Callable[[Any, Any], Any] | None = None,
    axis: str | None = None,
) -> Power:
    r"""Count the runs that tell two recipes apart at a scale, by several ways to spend them.

    Both recipes follow one law, linear near the pilot's values, with the parameters ``tie`` in
    common. The difference of log losses at the scale has the standard error
    :math:`s = (g^T M^{-1} g)^{1/2}` with M the information of the runs of both; a t test of
    :math:`\nu` degrees of freedom sees an effect :math:`\delta` with the power

    .. math:: P(|T| > t_{1 - \alpha/2, \nu}), \quad T \sim t_\nu(\delta / s).

    A multiplier m of compute is the effect :math:`\delta = \ell(C) - \ell(m C)`, exactly along the
    best splits of the pilot's law.

    Parameters
    ----------
    pilot, other
        Runs of recipe A, and of B where there are any: `Runs`, or anything `read_runs` takes.
        Without B its ladder is that of A.
    at
        ``{"C": 1e21}`` at the best split, or a place on every axis of the law.
    effect
        Multiplier of compute to be seen, such as 1.05.
    loss_effect
        In its place a difference of loss, in the unit of the loss.
    design
        Ladder of both recipes in place of the pilots' places; see `read_ladder`.
    tie
        Parameters that both recipes have in common.
    paired
        Correlation of the noise of runs of A and B with one place and seed; ``"auto"`` measures
        it in two pilots and takes 0 without.
    noise
        Standard deviation of one run's log loss; by default the pilots' scatter.
    values
        Parameters of the one law, in place of a fit.
    laws
        The set; the first that the runs do not reject leads.
    power, level
        Asked of the two-sided test.
    cost
        C(N, D); by default that of the runs.
    axis
        Resource of a law of one resource.

    Returns
    -------
    Power

    Raises
    ------
    InputError
        For an effect, a place or a ladder that breaks a rule.
    FitError
        No law can be fitted, or it has no best split at the scale.

    References
    ----------
    Cohen 1988, *Statistical Power Analysis for the Behavioral Sciences*, ch. 2 (the noncentral t).

    Examples
    --------
    >>> N, D = np.repeat([1e7, 3e7, 1e8, 3e8], 4), np.tile([3e8, 1e9, 3e9, 1e10], 4)
    >>> values = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
    >>> found = power_to_compare(
    ...     Runs(columns={"N": N, "D": D}), at={"C": 1e20}, effect=1.1, noise=0.002,
    ...     laws=["chinchilla"], values=values,
    ... )
    >>> found.now.times, round(found.now.smallest, 3)
    (1, 1.092)
    """
    goal, level = as_level(power), as_level(level)
    if not goal > level:
        raise InputError(f"power = {power!r}: must be above the level of the test, {level:g}")
    table = pilot if isinstance(pilot, Runs) else read_runs(pilot)
    second = None if other is None else other if isinstance(other, Runs) else read_runs(other)
    given = None if noise is None else as_positive("noise", noise)
    if given is not None and given > 1:
        raise InputError(f"noise = {noise!r}: is relative to the loss, such as 0.003; at most 1")
    taken = _laws(table, laws, axis, values, given)
    lead, price = taken[0][0], as_cost(cost) if cost is not None else cost_of_runs(table)
    law = lead.model.law
    twin = _second(second, law, given) if second is not None else None
    twins = find_twins(table, second, law.axes) if second is not None else same_twins(len(table))
    rho, rho_text = read_correlation(paired, lead, twin, twins)
    spread = _noise(lead, twin, given)
    places = make_ladder(table, second, twins, design, law, price)
    views = {}
    for t, _ in taken:
        b = twin if t is lead else _second(second, t.model.law, given) if second else None
        view = View.of(t, b, table, at, price)
        views[t.model.law.name] = view
    mine = views[law.name]
    delta = mine.effect(effect, loss_effect)
    tied = tuple(n for n in tie if n in law.names) if tuple(tie) == ("E",) else tuple(tie)
    if not tied and tuple(tie) not in ((), ("E",)):
        raise InputError(f"tie: {law.name} has no parameter {tie[0]}")
    arms = TwoArms.of(mine.a, mine.b, tied, spread.one, rho)
    sight = Sight(places=places, delta=delta, goal=goal, level=level)
    now = sight.now(mine, arms, tied)
    free = None
    if tied:
        free = sight.now(mine, TwoArms.of(mine.a, mine.b, (), spread.one, rho), ())
    each = {law.name: now}
    for name, view in views.items():
        if name != law.name:
            common = tuple(n for n in tied if n in view.a.law.names)
            try:
                other_arms = TwoArms.of(view.a, view.b, common, spread.one, rho)
                each[name] = sight.now(view, other_arms, common, effect=effect)
            except FitError:
                continue
    designs = sight.designs(mine, arms, price)
    reasons = _reasons(mine, now, free, lead, table, law)
    unit = "FLOPs" if {"N", "D"} <= set(law.axes) or law.axes == ("C",) else law.axes[0]
    m = mine.multiplier(delta) if effect is None else float(effect)
    return Power(
        title=mine.aim.title,
        at=mine.place,
        reach=mine.reach,
        effect=m,
        loss_effect=delta,
        loss=mine.loss,
        law=law.name,
        laws=each,
        noise=spread.one,
        noise_sentence=spread.sentence,
        correlation=rho,
        correlation_sentence=rho_text,
        level=level,
        goal=goal,
        runs=places.runs,
        cost=places.cost,
        unit=unit,
        now=now,
        free=free,
        designs=designs,
        reasons=reasons,
        status=overall(reasons, answered=any(d.times is not None for d in designs)),
        sentence=_sentence(mine, now, designs, m, goal, unit),
    )


def _laws(
    table: Runs,
    laws: Sequence[str | Law] | None,
    axis: str | None,
    values: Mapping[str, float] | None,
    noise: float | None,
) -> list[tuple[Taken, float]]:
    """Fit the laws; the first that the runs do not reject comes first."""
    forms = forms_of(table, laws, axis)
    table, taken, dropped = take(table, forms, values, noise)
    if not taken:
        raise FitError("NO_LAW", next(iter(dropped.values())))
    order = np.argsort(run_scale(table, forms[0].axes), kind="stable")
    weights = law_shares(taken, order)
    kept = [(t, float(w)) for t, w in zip(taken, weights, strict=True) if w >= _LEAST]
    first = next(i for i, (_, w) in enumerate(kept) if w >= _REJECTED * weights.max())
    kept.insert(0, kept.pop(first))
    return kept


def _second(second: Runs, law: Law, noise: float | None) -> Taken:
    if "loss" not in second:
        raise InputError("other: no column loss; leave B out to plan its runs like those of A")
    _, taken, dropped = take(second, [law], None, noise)
    if not taken:
        raise FitError("NO_LAW", f"recipe B: {next(iter(dropped.values()))}")
    return taken[0]


def _noise(a: Taken, b: Taken | None, given: float | None) -> DesignNoise:
    """Noise of both pilots together."""
    first = noise_of(a, given)
    if b is None or given is not None:
        return first
    last = noise_of(b, None)
    share = len(a.residuals) / (len(a.residuals) + len(b.residuals))
    pooled = math.sqrt(share * first.one**2 + (1 - share) * last.one**2)
    return DesignNoise(
        one=pooled, seeds=first.seeds, freedom=first.freedom, beyond=min(first.beyond, pooled)
    )


def _reasons(
    view: View, now: Now, free: Now | None, lead: Taken, table: Runs, law: Law
) -> tuple[Reason, ...]:
    found = []
    if not math.isfinite(now.error):
        text = f"the ladder does not determine the difference {view.aim.title}: see isoloss audit"
        found.append(Reason(code="UNIDENTIFIED", message=text))
    if {"N", "D"} <= set(law.axes) and is_one_line(table["N"], table["D"]):
        text = "D grows with N in every run: the comparison holds along that line alone"
        found.append(Reason(code="CONFOUNDED_N_D", message=text))
    if view.reach > _FAR:
        text = f"the comparison is {view.reach:.3g} times beyond the largest run: the ladder's "
        text += "power rests on the law alone"
        found.append(Reason(code="FAR_BEYOND", message=text))
    if free is not None and view.reach > 1 and math.isfinite(now.error):
        far = free.times is None or (now.times is not None and free.times > 10 * now.times)
        count = f"more than {MOST}" if free.times is None else f"{free.times}"
        seen = multiplier_text(free.smallest)
        text = (
            f"with parameters of its own for each recipe, the floor included, it takes {count} "
            f"ladders each in place of {now.times or f'more than {MOST}'}, and the "
            f"smallest multiplier that one ladder sees is {seen}"
        )
        if far:
            text += ": beyond the data, runs of the ladder tell floors apart in theory alone"
        severity = "doubt" if far else "info"
        found.append(Reason(code="TIE_DECIDES", message=text, severity=severity))
    if lead.at_bound:
        text = f"{', '.join(lead.at_bound)} of {law.name} lies at a bound or beyond reason: "
        text += "errors may be far from linear"
        found.append(Reason(code="BOUND_HIT", message=text))
    return tuple(found)


def _sentence(
    view: View, now: Now, designs: tuple[PowerDesign, ...], m: float, goal: float, unit: str
) -> str:
    what = f"a compute multiplier of {multiplier_text(m)} {view.aim.title}"
    best = designs[0]
    if best.times is None or best.runs is None:
        return f"no number of runs tried sees {what} with power {100 * goal:g} %"
    text = f"{what} is seen with power {100 * goal:g} % by {sum(best.runs)} runs ({best.title}: "
    text += f"{best.cost:.3g} {unit})"
    if now.times is not None and best.name != "ladder":
        text += f", or by {now.times} ladders each"
    if math.isfinite(now.smallest_loss):
        text += f"; the smallest that one ladder each sees is {multiplier_text(now.smallest)}"
    return text[0].upper() + text[1:] + ""

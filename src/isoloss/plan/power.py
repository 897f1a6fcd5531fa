"""How many runs tell recipe A from recipe B at a scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, as_positive
from isoloss.errors import FitError, InputError
from isoloss.fit.backtest import run_scale
from isoloss.laws import Law
from isoloss.plan.audit_questions import Aim, fixed_axes, make_aim, place_under
from isoloss.plan.audit_take import Taken, forms_of, law_shares, noise_of, take
from isoloss.plan.cost import Cost, as_cost
from isoloss.plan.design_findings import is_one_line
from isoloss.plan.design_noise import DesignNoise
from isoloss.plan.design_places import cost_of_runs, read_ladder
from isoloss.plan.local_model import LocalModel
from isoloss.plan.power_arms import Pairs, TwoArms, ratio_for, t_power
from isoloss.plan.power_designs import MOST, Spending, least_times, spend, target_alone
from isoloss.plan.power_pilots import find_twins, read_correlation
from isoloss.plan.power_result import Now, Power, PowerDesign, multiplier_text
from isoloss.plan.problem import Problem, make_problem
from isoloss.plan.reason import Reason, overall
from isoloss.runs import Runs, read_runs

_LEAST = 0.02
_REJECTED = 0.05
_FAR = 100.0
_FARTHEST = 70.0
"""Largest log multiplier that is looked for: thirty decades."""


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """A ladder for both recipes: places, twins, what each run costs."""

    a: Mapping[str, Array]
    b: Mapping[str, Array]
    twins: tuple[Pairs, Pairs]
    cost_a: Array
    cost_b: Array

    @property
    def runs(self) -> tuple[int, int]:
        return len(self.cost_a), len(self.cost_b)

    @property
    def cost(self) -> float:
        return float(self.cost_a.sum() + self.cost_b.sum())

    def upper(self) -> _Places:
        """Keep the third of the runs that cost most, and no rung halved."""
        all_costs = np.sort(np.concatenate([self.cost_a, self.cost_b]))
        least = all_costs[math.ceil(len(all_costs) * 2 / 3) - 1] * (1 + 1e-9)
        if least >= all_costs[-1]:
            least = all_costs[-1] * (1 - 1e-9)
        keep_a, keep_b = self.cost_a > least, self.cost_b > least
        new_a, new_b = np.cumsum(keep_a) - 1, np.cumsum(keep_b) - 1
        both = keep_a[self.twins[0]] & keep_b[self.twins[1]]
        return _Places(
            {a: v[keep_a] for a, v in self.a.items()},
            {a: v[keep_b] for a, v in self.b.items()},
            (new_a[self.twins[0][both]], new_b[self.twins[1][both]]),
            self.cost_a[keep_a],
            self.cost_b[keep_b],
        )


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
    twins = find_twins(table, second, law.axes) if second is not None else _same(len(table))
    rho, rho_text = read_correlation(paired, lead, twin, twins)
    spread = _noise(lead, twin, given)
    places = _places(table, second, twins, design, law, price)
    views = {}
    for t, _ in taken:
        b = twin if t is lead else _second(second, t.model.law, given) if second else None
        view = _View.of(t, b, table, at, price)
        views[t.model.law.name] = view
    mine = views[law.name]
    delta = mine.effect(effect, loss_effect)
    tied = tuple(n for n in tie if n in law.names) if tuple(tie) == ("E",) else tuple(tie)
    if not tied and tuple(tie) not in ((), ("E",)):
        raise InputError(f"tie: {law.name} has no parameter {tie[0]}")
    arms = TwoArms.of(mine.a, mine.b, tied, spread.one, rho)
    sight = _Sight(places=places, delta=delta, goal=goal, level=level)
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


def _same(count: int) -> tuple[Pairs, Pairs]:
    return np.arange(count), np.arange(count)


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


def _places(
    table: Runs,
    second: Runs | None,
    twins: tuple[Pairs, Pairs],
    design: str | Mapping[str, Any] | None,
    law: Law,
    cost: Cost,
) -> _Places:
    if design is not None:
        x = read_ladder(design, cost)
        count = len(next(iter(x.values())))
        x = {a: np.full(count, v) for a, v in fixed_axes(table, law).items()} | x
        if missing := [a for a in law.axes if a not in x]:
            raise InputError(f"design: {', '.join(missing)} missing; {law.name} needs it")
        x = {a: x[a] for a in law.axes}
        price = _price(x, law, cost)
        return _Places(x, x, _same(len(price)), price, price)
    a = {name: table[name] for name in law.axes}
    b = a if second is None else {name: second[name] for name in law.axes}
    return _Places(a, b, twins, _price(a, law, cost), _price(b, law, cost))


def _price(x: Mapping[str, Array], law: Law, cost: Cost) -> Array:
    if {"N", "D"} <= set(law.axes):
        return np.asarray(cost(x["N"], x["D"]))
    return run_scale(x, law.axes)


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A law of both recipes at the scale of the comparison."""

    a: LocalModel
    b: LocalModel
    problem: Problem
    aim: Aim
    place: dict[str, float]
    reach: float

    @classmethod
    def of(
        cls, a: Taken, b: Taken | None, table: Runs, at: Mapping[str, float], cost: Cost
    ) -> _View:
        law = a.model.law
        joint = {"N", "D"} <= set(law.axes)
        where = {str(k): as_positive(f"at {k}", v) for k, v in at.items()}
        budget = where.get("C") if joint and set(where) == {"C"} else None
        line = joint and is_one_line(table["N"], table["D"])
        aim = make_aim(table, law, budget, None if budget else where, cost, line)
        problem = make_problem(law, cost, fixed_axes(table, law), None)
        place = place_under(a.model, problem, aim)
        if place is None:
            raise FitError(
                "NO_INTERIOR_OPTIMUM",
                f"{law.name} has no best split {aim.title}; compare at a place, N=...,D=...",
            )
        far = float(_price({k: np.array([v]) for k, v in place.items()}, law, cost)[0])
        near = _price({k: table[k] for k in law.axes}, law, cost)
        model = a.model if b is None else a.model.at(b.model.theta)
        return cls(a.model, model, problem, aim, place, far / float(near.max()))

    @property
    def loss(self) -> float:
        return self.moved(0.0)

    def columns(self, model: LocalModel) -> dict[str, Array]:
        """Place the comparison under a recipe, as columns."""
        place = place_under(model, self.problem, self.aim) or self.place
        return {a: np.array([v]) for a, v in place.items()}

    def moved(self, log_m: float) -> float:
        """Loss of A with exp(log_m) times the compute: at the best split, or at the same D/N."""
        m = math.exp(log_m)
        if self.aim.C is not None:
            found = self.a.split(self.problem, self.aim.C * m)
            if found is None:
                return math.nan
            at = {"N": found[0], "D": found[1], "C": self.aim.C * m} | dict(self.problem.fixed)
            at = {a: at[a] for a in self.a.law.axes}
        elif {"N", "D"} <= set(self.place):
            power = {"N": 0.5, "D": 0.5, "C": 1.0}
            at = {a: v * m ** power.get(a, 0.0) for a, v in self.place.items()}
        else:
            lead = self.a.law.axes[0]
            at = {a: v * (m if a == lead else 1.0) for a, v in self.place.items()}
        return float(self.a.loss({a: np.array([v]) for a, v in at.items()})[0])

    def effect(self, multiplier: float | None, loss: float | None) -> float:
        """Effect in log loss that the caller asks for."""
        if (multiplier is None) == (loss is None):
            raise InputError("effect, loss_effect: give one of them, such as effect=1.05")
        if multiplier is not None:
            m = as_positive("effect", multiplier)
            if not 1e-6 < abs(math.log(m)) < _FARTHEST:
                raise InputError(f"effect = {multiplier!r}: a multiplier of compute such as 1.05")
            found = abs(math.log(self.loss / self.moved(math.log(m))))
            if not (math.isfinite(found) and found > 0):
                raise FitError("FLAT", f"{self.a.law.name} does not change with compute there")
            return found
        gap = as_positive("loss_effect", loss)
        if gap >= self.loss:
            raise InputError(f"loss_effect = {loss!r}: must be below the loss, {self.loss:.4g}")
        return -math.log1p(-gap / self.loss)

    def multiplier(self, delta: float) -> float:
        """Multiplier of compute that lowers the log loss by delta; infinite below the floor."""
        goal = self.loss * math.exp(-min(delta, 700.0))
        high = 1e-3
        while self.moved(high) > goal:
            high *= 2
            if high > _FARTHEST:
                return math.inf
        low = 0.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.moved(middle) > goal else (low, middle)
        return math.exp(high)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sight:
    """What is asked of a ladder."""

    places: _Places
    delta: float
    goal: float
    level: float

    def now(
        self, view: _View, arms: TwoArms, tied: tuple[str, ...], *, effect: float | None = None
    ) -> Now:
        """Say what one ladder sees, and how many see the effect."""
        delta = self.delta if effect is None else view.effect(effect, None)
        block = arms.block(self.places.a, self.places.b, self.places.twins)
        g = arms.contrast(view.columns(view.a), view.columns(view.b))

        def power(times: float) -> float:
            error, freedom = arms.error(g, None, block, times)
            return t_power(delta / error if error > 0 else math.inf, freedom, self.level)

        error, freedom = arms.error(g, block)
        smallest = ratio_for(self.goal, freedom, self.level) * error
        return Now(
            shared=tied,
            error=error,
            freedom=freedom,
            power=power(1),
            smallest_loss=smallest,
            smallest=view.multiplier(smallest) if math.isfinite(smallest) else math.inf,
            times=least_times(power, self.goal),
        )

    def designs(self, view: _View, arms: TwoArms, cost: Cost) -> tuple[PowerDesign, ...]:
        """Spend runs in several ways, the cheapest that works first."""
        places = self.places
        g = arms.contrast(view.columns(view.a), view.columns(view.b))
        ladder = arms.block(places.a, places.b, places.twins)
        high = places.upper()
        upper = arms.block(high.a, high.b, high.twins)
        x, y = view.columns(view.a), view.columns(view.b)
        one = _same(1)
        price = float(_price(x, view.a.law, cost)[0] + _price(y, view.a.law, cost)[0])
        shared: dict[str, Any] = {"base_runs": places.runs, "base_cost": places.cost}
        ways = (
            Spending(
                name="ladder", title="the ladder again", base=None, extra=ladder,
                base_runs=(0, 0), extra_runs=places.runs, base_cost=0.0, extra_cost=places.cost,
            ),
            Spending(
                name="upper", title="one ladder, its upper third again", base=ladder, extra=upper,
                extra_runs=high.runs, extra_cost=high.cost, **shared,
            ),
            Spending(
                name="target", title="one ladder, and runs at the target", base=ladder,
                extra=arms.block(x, y, one), extra_runs=(1, 1), extra_cost=price, **shared,
            ),
        )  # fmt: skip
        options = {"goal": self.goal, "level": self.level}
        found = [spend(arms, g, self.delta, way, **options) for way in ways]
        text = "runs at the target alone, no law"
        found.append(target_alone(arms, self.delta, text, price, **options))
        return tuple(sorted(found, key=lambda d: math.inf if d.cost is None else d.cost))


def _reasons(
    view: _View, now: Now, free: Now | None, lead: Taken, table: Runs, law: Law
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
            f"ladders each in place of {now.times or f'more than {MOST}'}, and one ladder sees a "
            f"multiplier of {seen}"
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
    view: _View, now: Now, designs: tuple[PowerDesign, ...], m: float, goal: float, unit: str
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
        text += f"; one ladder each sees {multiplier_text(now.smallest)}"
    return text[0].upper() + text[1:] + ""

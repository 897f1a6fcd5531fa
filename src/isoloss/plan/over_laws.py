"""Allocation under a whole law set: one plan, with the spread over laws in its intervals."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_positive, as_vector
from isoloss._core.interval import Interval
from isoloss.errors import FitError, InputError
from isoloss.fit.forecast import forecast_many
from isoloss.fit.lawset import LawSet
from isoloss.plan.cost import Cost, SixND
from isoloss.plan.optimum import solve
from isoloss.plan.problem import Problem, make_problem
from isoloss.plan.set_draws import draw_optima, tokens

RATIOS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0)
_GRID = np.linspace(-7.0, 7.0, 1401)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LawSetPlan:
    """Best split of each budget under weighted laws.

    Attributes
    ----------
    C, N_opt, D_opt
        Budgets, and the optimum of the weighted (geometric mean) loss, (m,).
    L_opt
        Forecast of the loss there: the weighted median over laws and draws, (m,).
    intervals
        ``N_opt``, ``D_opt``, ``L_opt`` to one interval a budget.
    exponent_N
        Growth of log N_opt per log C of the leading law, with interval if there are draws.
    near_optimal
        One entry a budget: the sizes whose loss is within the tolerance of the optimum, and the
        share of the budget that choosing the worse end wastes. Empty, like ``price``, where
        neither was asked for.
    price
        One table a budget: loss, excess and wasted compute when N misses N_opt by a factor.
    laws
        One list a budget: each law's own optimum.
    warnings
        What to know before using it.
    """

    C: Array
    N_opt: Array
    D_opt: Array
    L_opt: Array
    intervals: dict[str, list[Interval]]
    near_optimal: list[dict[str, float]]
    price: list[list[dict[str, float]]]
    laws: list[list[dict[str, Any]]]
    exponent_N: float
    exponent_interval: Interval | None
    cost: str
    warnings: tuple[str, ...]

    def to_dict(self, i: int = 0) -> dict[str, Any]:
        """Plain types for budget ``i``; the contract of ``isoloss plan --json``."""
        N, D, L = (float(v[i]) for v in (self.N_opt, self.D_opt, self.L_opt))
        return {
            "budget": float(self.C[i]),
            "N_opt": N,
            "D_opt": D,
            "L_opt": L,
            "tokens_per_parameter": D / N,
            "intervals": {n: v[i].to_dict() for n, v in self.intervals.items()},
            "near_optimal": self.near_optimal[i] if self.near_optimal else None,
            "price": self.price[i] if self.price else [],
            "laws": self.laws[i],
            "exponent_N": self.exponent_N,
            "exponent_N_interval": (
                None if self.exponent_interval is None else self.exponent_interval.to_dict()
            ),
            "cost": self.cost,
            "warnings": list(self.warnings),
            "sentence": self.sentence(i),
        }

    def sentence(self, i: int = 0) -> str:
        """Put the plan in words."""
        text = f"Train about {self.N_opt[i]:.3g} parameters on {self.D_opt[i]:.3g} examples"
        if not self.near_optimal:
            return text + "."
        near = self.near_optimal[i]
        return (
            f"{text}; any size from {near['N_low']:.3g} to {near['N_high']:.3g} costs at most "
            f"{near['tolerance_percent']:g} % of loss."
        )

    def path(self) -> dict[str, Any]:
        """Tabulate the compute-optimal path with bands, for figures."""
        table: dict[str, Any] = {
            "C": self.C,
            "N_opt": self.N_opt,
            "D_opt": self.D_opt,
            "L_opt": self.L_opt,
        }
        for name, values in self.intervals.items():
            letter = name[0]
            table[f"{letter}_low"] = [v.low for v in values]
            table[f"{letter}_high"] = [v.high for v in values]
        first = next(iter(self.intervals.values()))[0]
        return table | {"level": first.level, "method": first.method}

    def summary(self) -> str:
        """Lines for people."""
        lines = []
        for i in range(len(self.C)):
            lines.append(f"budget {self.C[i]:.4g}: {self.sentence(i)}")
            lines += [f"  {n} {v[i]!r}" for n, v in self.intervals.items()]
        return "\n".join([*lines, *self.warnings])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"

    def __repr__(self) -> str:
        return f"LawSetPlan(C={self.C.tolist()}, N_opt={self.N_opt.tolist()})"


def allocate_over_laws(
    laws: LawSet,
    C: npt.ArrayLike,
    *,
    cost: Cost | None = None,
    fixed: Mapping[str, float] | None = None,
    max_D: float | None = None,
    level: float | None = None,
    tolerance: float = 0.01,
    price_of_missing: bool = True,
) -> LawSetPlan:
    """Split budgets between N and D under every law of a set.

    Parameters
    ----------
    laws
        From `isoloss.fit_laws`, with laws of N and D.
    C
        Budgets, (m,).
    cost
        Cost model, 6 N D by default.
    fixed, max_D
        Other axes, such as unique data U; the most data there are.
    tolerance
        Relative excess loss that still counts as near-optimal.
    price_of_missing
        Whether to work out the near-optimal sizes and the price of missing N_opt; a path of many
        budgets needs neither.

    Raises
    ------
    InputError
        When no law of the set speaks of both N and D.
    FitError
        ``NO_INTERIOR_OPTIMUM`` when under every weighted law more of one side is always better.
    """
    budgets = as_vector("C", C, positive=True)
    if not len(budgets):
        raise InputError("C: no budget; give one or more")
    tolerance = as_positive("tolerance", tolerance)
    level = laws.level if level is None else as_level(level)
    spend = cost if cost is not None else SixND()
    members = make_members(laws, spend, fixed, max_D)
    warnings: list[str] = []
    draws = draw_optima(members, budgets, warnings, laws)
    N, L = best_split(members, budgets)
    D = tokens(spend, N, budgets, _cap(members))
    plural = "s" if len(members) > 1 else ""
    method = f"{laws.best.method} over {len(members)} law{plural} weighted by back-test"
    if len(laws.best.draws):
        method += ", and drift of exponents"
    w = draws["weights"]
    intervals = {}
    for name, point in (("N_opt", N), ("D_opt", D)):
        found = [
            Interval.from_draws(column, level=level, method=method, weights=w)
            for column in draws[name].T
        ]
        # The interval is of each draw's own optimum; the plan itself is always inside it.
        intervals[name] = [
            replace(i, low=min(i.low, float(v)), high=max(i.high, float(v)))
            for i, v in zip(found, point, strict=True)
        ]
    target = {"N": N, "D": D, "C": budgets} | {
        a: np.full(len(budgets), float(v)) for a, v in (fixed or {}).items() if a in laws.axes
    }
    answers = forecast_many(laws, target, scale=budgets, level=level)
    for a in answers:
        if a.backtest_reach is not None and a.reach > 3 * a.backtest_reach:
            warnings.append(a.sentence)
    intervals["L_opt"] = [a.interval for a in answers]
    near, price = [], []
    for i, budget in enumerate(budgets if price_of_missing else ()):
        band, table = _near(members, float(budget), float(N[i]), float(L[i]), tolerance)
        for row in table:
            # What missing N_opt costs comes from the laws' weighted mean, where it is smooth; its
            # level from the forecast, so that one plan names one loss.
            row["loss"] = answers[i].loss * (1 + row["excess_percent"] / 100)
        near.append(band)
        price.append(table)
    lead = max(members, key=lambda m: m[1])
    exponent, interval = _exponent(lead[0], lead[2], budgets, level)
    return LawSetPlan(
        C=budgets,
        N_opt=N,
        D_opt=D,
        L_opt=np.array([a.loss for a in answers]),
        intervals=intervals,
        near_optimal=near,
        price=price,
        laws=_by_law(members, budgets),
        exponent_N=exponent,
        exponent_interval=interval,
        cost=spend.text,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def make_members(
    laws: LawSet, cost: Cost, fixed: Mapping[str, float] | None, max_D: float | None
) -> list[tuple[Any, float, Problem]]:
    """Fits of the set that split compute, with their weights and what each has to solve."""
    members: list[tuple[Any, float, Problem]] = []
    for f, w in zip(laws.fits, laws.weights, strict=True):
        if w > 0 and {"N", "D"} <= set(f.law.axes):
            needed = {a: v for a, v in (fixed or {}).items() if a in f.law.axes or a == "U"}
            members.append((f, float(w), make_problem(f.law, cost, needed, max_D)))
    if not members:
        raise InputError("no law of the set splits compute between N and D; nothing to plan")
    _refuse_unidentified(members)
    return members


def _cap(members: Sequence[tuple[Any, float, Problem]]) -> float | None:
    """Most data that some law of the set has a use for; ``None`` where one knows no limit."""
    caps = [p.max_D for _, _, p in members]
    return None if None in caps else max(c for c in caps if c is not None)


def _refuse_unidentified(members: Sequence[tuple[Any, float, Problem]]) -> None:
    """No plan from runs in which N and D cannot be told apart, whatever the fit returned."""
    lead = max(members, key=lambda m: m[1])[0]
    for reason in lead.reasons:
        if reason.code == "UNIDENTIFIED":
            raise FitError(reason.code, f"no plan: {reason.message}")


def _combined(members: Sequence[tuple[Any, float, Problem]], log_N: Array, C: Array) -> Array:
    """Weighted geometric mean of the laws' losses at sizes (n,) and budgets (n,)."""
    total = sum(w for _, w, _ in members)
    with np.errstate(all="ignore"):
        logs = [w * np.log(p.loss(f.theta[None], log_N, C)[0]) for f, w, p in members]
    return np.asarray(np.exp(np.sum(logs, axis=0) / total))


def best_split(members: Sequence[tuple[Any, float, Problem]], C: Array) -> tuple[Array, Array]:
    """Optimum of the combined loss at each budget: a fine grid, then a parabola."""
    lead = max(members, key=lambda m: m[1])
    start = solve(lead[2], lead[0].theta[None], C).log_N[0]
    centre = np.where(np.isfinite(start), start, np.log(lead[2].cost.balanced(C)))
    N, L = np.empty(len(C)), np.empty(len(C))
    for i, budget in enumerate(C):
        at = centre[i] + _GRID
        loss = _combined(members, at, np.full(at.shape, budget))
        loss = np.where(np.isfinite(loss), loss, np.inf)
        k = int(np.argmin(loss))
        if not 0 < k < len(at) - 1:
            raise FitError(
                "NO_INTERIOR_OPTIMUM",
                f"at a budget of {budget:.3g} more of one side is always better under these laws; "
                "add runs that vary N and D apart",
            )
        # Newton's divided differences around the grid's minimum.
        left, mid, right = np.log(loss[k - 1 : k + 2])
        bend = left - 2 * mid + right
        best = at[k] + (0.5 * (left - right) / bend * (at[1] - at[0]) if bend > 0 else 0.0)
        N[i] = np.exp(best)
        L[i] = _combined(members, np.array([best]), np.array([budget]))[0]
    return N, L


def _near(
    members: Sequence[tuple[Any, float, Problem]], C: float, N: float, L: float, tolerance: float
) -> tuple[dict[str, float], list[dict[str, float]]]:
    at = np.log(N) + _GRID
    excess = _combined(members, at, np.full(at.shape, C)) / L - 1
    good = np.flatnonzero(excess <= tolerance)
    low, high = float(np.exp(at[good[0]])), float(np.exp(at[good[-1]]))
    ratios = np.array(RATIOS)
    sizes = np.array([low, high, *(ratios * N)])
    losses = _combined(members, np.log(sizes), np.full(sizes.shape, C))
    wasted = _wasted(members, C, losses)
    table = [
        {
            "N_ratio": float(r),
            "N": float(n),
            "loss": float(v),
            "excess_percent": 100 * float(v / L - 1),
            "deadweight_percent": float(d),
        }
        for r, n, v, d in zip(RATIOS, sizes[2:], losses[2:], wasted[2:], strict=True)
    ]
    band = {
        "tolerance_percent": 100 * tolerance,
        "N_low": low,
        "N_high": high,
        "compute_price_percent": float(np.max(wasted[:2])),
    }
    return band, table


def _wasted(members: Sequence[tuple[Any, float, Problem]], C: float, losses: Array) -> Array:
    """Share of the budget, in percent, that the best split would not have needed."""
    cheaper = C * np.exp(np.linspace(-6.0, 0.0, 49))
    frontier = best_split(members, cheaper)[1]
    # Loss falls along the frontier; interp wants it rising.
    needed = np.exp(np.interp(-np.log(losses), -np.log(frontier), np.log(cheaper)))
    return np.asarray(100 * np.clip(1 - needed / C, 0.0, 1.0))


def _by_law(members: Sequence[tuple[Any, float, Problem]], C: Array) -> list[list[dict[str, Any]]]:
    rows: list[list[dict[str, Any]]] = [[] for _ in C]
    for f, w, problem in members:
        found = solve(problem, f.theta[None], C)
        for i, budget in enumerate(C):
            log_N = found.log_N[:, i]
            N = float(np.exp(log_N[0]))
            loss = problem.loss(f.theta[None], log_N, np.array([budget]))[0, 0]
            D = float(tokens(problem.cost, np.array([N]), np.array([budget]), problem.max_D)[0])
            rows[i].append(
                {"law": f.law.name, "weight": w, "N_opt": N, "D_opt": D, "L_opt": float(loss)}
            )
    return rows


def _exponent(f: Any, problem: Problem, C: Array, level: float) -> tuple[float, Interval | None]:
    middle = np.exp(np.mean(np.log(C)))
    pair = middle * np.array([0.9, 1.0 / 0.9])
    width = np.log(pair[1] / pair[0])
    theta = np.vstack([f.theta[None], f.draws]) if len(f.draws) else f.theta[None]
    log_N = solve(problem, theta, pair).log_N
    growth = (log_N[:, 1] - log_N[:, 0]) / width
    interval = None
    rest = growth[1:][np.isfinite(growth[1:])]
    if len(rest):
        interval = Interval.from_draws(
            rest, level=level, method=f"{f.method}, {f.law.name} taken as right"
        )
    return float(growth[0]), interval

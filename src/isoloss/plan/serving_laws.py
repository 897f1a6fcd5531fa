"""Training and serving together under a whole law set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, as_positive
from isoloss._core.interval import Interval
from isoloss.errors import FitError, InputError
from isoloss.fit.drift import Drift
from isoloss.fit.forecast import forecast_many
from isoloss.fit.lawset import LawSet
from isoloss.plan.cost import Coefficient
from isoloss.plan.optimum import NONE, solve
from isoloss.plan.over_laws import best_split, make_members
from isoloss.plan.problem import Problem
from isoloss.plan.serving import cheapest

_COARSE = 30
"""Halvings for draws, whose spread is far wider than what this leaves open."""
_STEP = 0.02
Member = tuple[Any, float, Problem]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedPlan:
    """The cheapest model of a quality over its whole life, under weighted laws.

    Attributes
    ----------
    loss, tokens
        The quality wanted, and the tokens to serve.
    budget
        Training FLOPs whose best split reaches the loss, where the quality was given so.
    price
        Cost of a served FLOP over that of one of training.
    N, D, training, serving
        Best size and data, and FLOPs of each phase.
    N_alone, D_alone
        Best without serving.
    saved
        Share of the cost of the whole life that is saved against N_alone and D_alone.
    intervals
        ``N``, ``D`` and ``saved`` over draws of the set; ``loss``, where a run of N and D will be.
    warnings
        What to know before using it.
    """

    loss: float
    tokens: float
    budget: float | None
    price: float
    N: float
    D: float
    training: float
    serving: float
    N_alone: float
    D_alone: float
    saved: float
    intervals: Mapping[str, Interval]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        names = ("loss", "tokens", "budget", "price", "N", "D", "training", "serving", "N_alone",
                 "D_alone", "saved")  # fmt: skip
        return {n: getattr(self, n) for n in names} | {
            "tokens_per_parameter": self.D / self.N,
            "intervals": {n: v.to_dict() for n, v in self.intervals.items()},
            "warnings": list(self.warnings),
            "sentence": self.sentence,
        }

    @property
    def sentence(self) -> str:
        """The plan in words."""
        size = f"train {self.N:.3g} parameters on {self.D:.3g} examples"
        if not self.tokens:
            return f"To reach a loss of {self.loss:.4g} {size}: {self.training:.3g} FLOPs."
        price = "" if self.price == 1 else f" at {self.price:g} times the price"
        return (
            f"To reach a loss of {self.loss:.4g} and serve {self.tokens:.3g} tokens, {size} "
            f"({self.D / self.N:.0f} a parameter): {self.training:.3g} FLOPs to train and "
            f"{self.serving:.3g} to serve{price}, {self.saved:.1%} less over its life than "
            f"{self.N_alone:.3g} parameters on {self.D_alone:.3g}, best for training alone."
        )

    def summary(self) -> str:
        """Lines for people."""
        lines = [f"  {n} {v!r}" for n, v in self.intervals.items()]
        return "\n".join([self.sentence, *lines, *self.warnings])

    def __repr__(self) -> str:
        return f"ServedPlan(loss={self.loss:.4g}, tokens={self.tokens:.3g}, N={self.N:.4g})"


def allocate_served_over_laws(
    laws: LawSet,
    *,
    tokens: float,
    loss: float | None = None,
    budget: float | None = None,
    price: float = 1.0,
    cost: Coefficient | None = None,
    serve: float | None = None,
    fixed: Mapping[str, float] | None = None,
    max_D: float | None = None,
    level: float | None = None,
) -> ServedPlan:
    r"""Find N and D of least cost :math:`kND + p\,k_s NT` that reach a quality and serve T tokens.

    The laws' weighted geometric mean loss decides. Intervals are of each draw's own optimum under
    its own law, moved as far as exponents may drift: the served optimum is the best split of the
    whole cost, whose tilt d log D / d log N is :math:`-(1 + p k_s T / (k D))`.

    Parameters
    ----------
    laws
        From `isoloss.fit_laws`, with laws of N and D.
    tokens
        To be served, over the life of the model.
    loss, budget
        The quality: a loss, or the training FLOPs whose best split reaches it. One of them.
    price
        Cost of a served FLOP over that of one of training, p.
    cost
        k N D of training; 6 N D by default.
    serve
        FLOPs per parameter and served token; a third of those of training by default, as there
        is no way back.
    fixed, max_D, level
        As in `allocate_over_laws`.

    Raises
    ------
    InputError
        Neither or both of loss and budget, or a number that cannot be.
    FitError
        ``LOSS_BELOW_FLOOR``: no size reaches the loss; ``NO_INTERIOR_OPTIMUM`` of the budget.

    References
    ----------
    Sardana et al. 2024, arXiv:2401.00448.

    Examples
    --------
    >>> from isoloss.fit import fit_laws
    >>> N, D = np.repeat(np.geomspace(1e7, 1e9, 5), 5), np.tile(np.geomspace(1e9, 1e11, 5), 5)
    >>> table = {"N": N, "D": D, "loss": 1.8 + 480 * N**-0.35 + 2100 * D**-0.37}
    >>> laws = fit_laws(table, ["chinchilla"], draws=0)
    >>> found = allocate_served_over_laws(laws, budget=1e21, tokens=1e12)
    >>> print(f"{found.N_alone / found.N:.1f} times smaller, {found.saved:.0%} saved")
    2.6 times smaller, 43% saved
    """
    if (loss is None) == (budget is None):
        raise InputError(
            "loss, budget: give one of them, as either says the quality that is wanted"
        )
    level = laws.level if level is None else as_level(level)
    spend = Coefficient() if cost is None else cost
    if not isinstance(spend, Coefficient):
        raise InputError(f"cost = {spend.text}: serving is planned for costs k N D")
    train, serve = spend.k, as_positive("serve", spend.k / 3 if serve is None else serve)
    weight = as_positive("price", price) * serve * (as_positive("tokens", tokens) if tokens else 0)
    members = make_members(laws, spend, fixed, max_D)
    sizes, quality = _alone(members, train, loss, budget)
    N_alone, D_alone = sizes
    N, D = _cheapest(members, quality, train, weight) if weight else sizes
    if not np.isfinite(N):
        raise FitError("LOSS_BELOW_FLOOR", f"no size reaches loss {quality:g}; aim higher")
    before, after = N_alone * (train * D_alone + weight), N * (train * D + weight)
    saved = 1 - after / before if weight else 0.0
    warnings: list[str] = []
    intervals = _intervals(laws, members, (N, D, saved), loss, budget, weight, level, warnings)
    at = {"N": np.array([N]), "D": np.array([D]), "C": np.array([train * N * D])}
    at |= {a: np.array([float(v)]) for a, v in (fixed or {}).items() if a in laws.axes}
    answer = forecast_many(laws, at, scale=at["C"], level=level)[0]
    if answer.backtest_reach is not None and answer.reach > 3 * answer.backtest_reach:
        warnings.append(answer.sentence)
    return ServedPlan(
        loss=quality, tokens=float(tokens), budget=None if budget is None else float(budget),
        price=float(price), N=N, D=D, training=train * N * D, serving=serve * N * tokens,
        N_alone=N_alone, D_alone=D_alone, saved=saved,
        intervals=intervals | {"loss": answer.interval}, warnings=tuple(warnings),
    )  # fmt: skip


def _alone(
    members: Sequence[Member], train: float, loss: float | None, budget: float | None
) -> tuple[tuple[float, float], float]:
    """Best size and data without serving, and the loss that they reach."""
    if budget is None:
        quality = as_positive("loss", loss)
        return _cheapest(members, quality, train, 0.0), quality
    C = np.array([as_positive("budget", budget)])
    N, L = best_split(members, C)
    D = float(C[0] / (train * N[0]))
    caps = [p.max_D for _, _, p in members]
    if None not in caps:
        D = min(D, max(c for c in caps if c is not None))
    return (float(N[0]), D), float(L[0])


def _height(f: Any, problem: Problem, theta: Array, log_N: Array, log_D: Array) -> Array:
    """Loss of one law, (B, n), with no use for more data than there are."""
    N, D = np.exp(log_N), np.exp(log_D)
    if problem.max_D is not None:
        D = np.minimum(D, problem.max_D)
    x = {"N": N, "D": D} | {a: np.full(N.shape, v) for a, v in problem.fixed.items()}
    with np.errstate(all="ignore"):
        return np.asarray(f.law(theta, {a: x[a] for a in f.law.axes}))


def _cheapest(
    members: Sequence[Member], loss: float, train: float, weight: float
) -> tuple[float, float]:
    total = sum(w for _, w, _ in members)

    def height(log_N: Array, log_D: Array) -> Array:
        with np.errstate(all="ignore"):
            logs = [w * np.log(_height(f, p, f.theta[None], log_N, log_D)) for f, w, p in members]
        return np.asarray(np.exp(np.sum(logs, axis=0) / total))

    (N,), (D,) = cheapest(height, np.array([loss]), train, weight)
    return float(N), float(D)


def _intervals(
    laws: LawSet,
    members: Sequence[Member],
    point: tuple[float, float, float],
    loss: float | None,
    budget: float | None,
    weight: float,
    level: float,
    warnings: list[str],
) -> dict[str, Interval]:
    """Of each draw's own optimum; a draw of a budget reaches what its own law says it buys."""
    rng = np.random.default_rng([0, 17])
    drifts = {f.law.name: d for f, d in zip(laws.fits, laws.drifts, strict=True) if d}
    parts: list[tuple[Array, ...]] = []
    # The chance numbers go to the laws by name, as in plans.
    for f, w, problem in sorted(members, key=lambda m: m[0].law.name):
        if not len(f.draws):
            continue
        normal, drifting = rng.standard_normal(len(f.draws)), rng.random(len(f.draws))
        (N, D), alone = _optima(f, problem, loss, budget, weight)
        kept = np.isfinite(N) & np.isfinite(D) & np.isfinite(alone) & (alone > 0)
        if kept.mean() < 0.95:
            warnings.append(
                f"{f.law.name}: {100 * (1 - kept.mean()):.0f} % of the draws do not reach the "
                "loss or have no best split; the intervals leave them out and are too narrow"
            )
        if not kept.any():
            continue
        N, D, alone = N[kept], D[kept], alone[kept]
        train = problem.cost(1.0, 1.0)
        saved = np.maximum(1 - N * (train * D + weight) / alone, 0.0)
        tilt = -(1 + weight / (train * np.median(D)))
        middle = (float(np.median(N)), float(np.median(D)))
        spread = _spread(drifts[f.law.name], f, problem, middle, float(tilt))
        move = (normal * (drifting < drifts[f.law.name].chance))[kept] * spread
        with np.errstate(over="ignore", under="ignore"):
            moved = N * np.exp(move), D * np.exp(tilt * move)
        parts.append((*moved, saved, np.full(len(N), w / len(N))))
    if not parts:
        return {}
    columns = [np.concatenate(c) for c in zip(*parts, strict=True)]
    plural = "s" if len(parts) > 1 else ""
    method = f"{laws.best.method} over {len(parts)} law{plural} weighted by back-test, and drift"
    found = {}
    names = ("N", "D", "saved") if weight else ("N", "D")
    for name, values, value in zip(names, columns, point, strict=False):
        one = Interval.from_draws(values, level=level, method=method, weights=columns[3])
        # As in plans: the plan itself is always inside.
        found[name] = Interval(
            low=min(one.low, value), high=max(one.high, value), level=level, method=method
        )
    return found


def _optima(
    f: Any, problem: Problem, loss: float | None, budget: float | None, weight: float
) -> tuple[tuple[Array, Array], Array]:
    """Sizes and data of a law's draws, and what the best for training alone costs over its life."""
    theta, train = f.draws, float(problem.cost(1.0, 1.0))

    def height(log_N: Array, log_D: Array) -> Array:
        return _height(f, problem, theta, log_N, log_D)

    if budget is None:
        target = np.full(len(theta), loss)
        N0, D0 = cheapest(height, target, train, 0.0, halvings=_COARSE)
    else:
        C = np.array([budget])
        found = solve(problem, theta, C)
        log_N = np.where(found.kind != NONE, found.log_N, np.nan)[:, 0]
        N0 = np.exp(log_N)
        D0 = budget / (train * N0)
        target = height(log_N[:, None], np.log(D0)[:, None])[:, 0]
        if problem.max_D is not None:
            D0 = np.minimum(D0, problem.max_D)
    best = cheapest(height, target, train, weight, halvings=_COARSE) if weight else (N0, D0)
    return best, N0 * (train * D0 + weight)


def _spread(drift: Drift, f: Any, problem: Problem, at: tuple[float, float], tilt: float) -> float:
    """By how much log N moves if exponents drift; the tilt of the whole cost changes along it.

    `Drift.split_spread` takes the tilt as constant; the curvature of the loss along the cost
    itself is larger, as data run out faster the larger the model.
    """
    N, D = at
    others = {a: np.array([v]) for a, v in problem.fixed.items()}
    one = float(drift.split_spread({"N": np.array([N]), "D": np.array([D])} | others, tilt)[0])
    s = np.array([-_STEP, 0.0, _STEP])
    # k N D + w N is constant along the second: (D + w/k) falls as N grows, w/k = -(tilt + 1) D.
    rest = -(tilt + 1)
    step = np.maximum((1 + rest) * np.exp(-s) - rest, 1e-12)
    curves = []
    for log_D in (np.log(D) + tilt * s, np.log(D) + np.log(step)):
        value = _height(f, problem, f.theta[None], (np.log(N) + s)[None], log_D[None])[0]
        curves.append(float(value[0] - 2 * value[1] + value[2]))
    return one * min(curves[0] / curves[1], 1.0) if curves[0] > 0 and curves[1] > 0 else one

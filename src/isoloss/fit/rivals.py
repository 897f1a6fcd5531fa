r"""Which run would tell the laws apart, when those at hand cannot.

Two laws a and b that have not been told apart predict log losses :math:`\mu_a, \mu_b` of a run,
each uncertain by the draws of its parameters, :math:`V_a, V_b`; a run has noise
:math:`\sigma^2`. The run is worth making if the predictions lie far apart on that scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, as_positive
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.fit.backtest import run_scale
from isoloss.fit.candidates import BOX, RATIO, Candidates, CostLike, candidate_runs
from isoloss.fit.forecast import LawForecast
from isoloss.fit.lawset import LawSet
from isoloss.fit.power import power, seeds_needed
from isoloss.fit.result import Fit
from isoloss.fit.telling import (
    GOAL,
    MOST_SEEDS,
    Contrast,
    Search,
    TellingRun,
    TellingRuns,
    chance,
)
from isoloss.runs import Runs

LEAST_SHARE = 0.02
"""Laws of less weight are not worth a run."""
LEAST_PAIR = 0.05
"""Nor are pairs with less than this share of the products of weights."""
MOST_DRAWS = 400
FACTORS = (1.0, 10.0)


def telling_runs(
    laws: LawSet,
    runs: Runs,
    *,
    cost: CostLike | None = None,
    caps: Sequence[float] | None = None,
    fixed: Mapping[str, float] | None = None,
    level: float = 0.05,
    box: float = BOX,
    ratio: float = RATIO,
) -> TellingRuns:
    r"""Search affordable runs for those that would tell the laws of a set apart.

    For laws a and b and a candidate run,

    .. math:: T_{ab} = \frac{(\mu_a - \mu_b)^2}{\sigma^2 + V_a + V_b},

    with :math:`\mu` the predicted log loss, V its variance over the draws, and :math:`\sigma` the
    noise of a run. The score of a candidate is the mean of T over pairs, by the product of their
    weights. A test of one law at the level, were the other true, has the power
    :math:`\Phi(\sqrt T - z) + \Phi(-\sqrt T - z)`; k runs there have :math:`\sigma^2 / k`.

    Taking the two variances as independent overstates that of the difference, because both laws
    saw the same runs: the advice errs on the side of caution.

    Parameters
    ----------
    laws, runs
        A law set, and what it was fitted to.
    cost
        C(N, D) in the convention of the runs; 6 N D by default.
    caps
        Most that a run may cost; by default as much as the largest run, and ten times that.
    fixed, box, ratio
        As in `candidate_runs`.
    level
        Of the two-sided test.

    References
    ----------
    Box and Hill 1967, "Discrimination among mechanistic models", Technometrics 9 (the average
    over pairs, with the variance of predictions); Atkinson and Fedorov 1975, "The design of
    experiments for discriminating between two rival models", Biometrika 62 (T-optimality).

    Examples
    --------
    >>> from isoloss.fit import fit_laws
    >>> D = np.geomspace(1e7, 1e9, 12)
    >>> noise = np.random.default_rng(0).standard_normal(12)
    >>> runs = Runs(columns={"D": D, "loss": (0.5 + 60 * D**-0.2) * np.exp(0.01 * noise)})
    >>> laws = fit_laws(runs, ["power", "power_floor"], draws=100)
    >>> found = telling_runs(laws, runs)
    >>> [f"{s.most_cost:.0e}" for s in found.searches], sorted(found.pairs[0])
    (['1e+09', '1e+10'], ['power', 'power_floor'])
    """
    as_level(level)
    scale = run_scale(runs, laws.axes)
    if caps is None:
        caps = [f * float(scale.max()) for f in FACTORS]
    most = [as_positive("caps", c) for c in caps]
    if not most:
        raise InputError("caps: none given; leave it out for the default")
    noise = float(np.median([f.seed_noise for f in laws.fits]))
    used = [(f, float(w)) for f, w in zip(laws.fits, laws.weights, strict=True) if w >= LEAST_SHARE]
    used.sort(key=lambda m: -m[1])
    pairs = sorted(combinations(range(len(used)), 2), key=lambda p: -used[p[0]][1] * used[p[1]][1])
    total = sum(used[i][1] * used[j][1] for i, j in pairs)
    pairs = [(i, j) for i, j in pairs if used[i][1] * used[j][1] >= LEAST_PAIR * total]
    names = tuple((used[i][0].law.name, used[j][0].law.name) for i, j in pairs)
    searches: list[Search] = []
    if pairs:
        allowed = candidate_runs(
            runs, laws.axes, most_cost=max(most), cost=cost, fixed=fixed, box=box, ratio=ratio
        )
        there = np.median([f.noise_at(allowed.x) for f in laws.fits], axis=0)
        table = _Table.of(used, pairs, allowed, there, level)
        searches = [s for s in (table.search(cap) for cap in sorted(most)) if s is not None]
    return TellingRuns(
        pairs=names,
        searches=tuple(searches),
        noise=noise,
        level=level,
        sentence=_sentence(used, names, searches, level),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Every candidate under every law and pair of laws."""

    used: Sequence[tuple[Fit, float]]
    pairs: Sequence[tuple[int, int]]
    candidates: Candidates
    noise: Array  # (m,)
    level: float
    logs: Array  # (laws, m)
    variance: Array  # (laws, m)
    score: Array  # (m,)

    @classmethod
    def of(
        cls,
        used: Sequence[tuple[Fit, float]],
        pairs: Sequence[tuple[int, int]],
        candidates: Candidates,
        noise: Array,
        level: float,
    ) -> _Table:
        with np.errstate(all="ignore"):
            logs = np.array([np.log(f.predict(candidates.x)) for f, _ in used])
            variance = np.array([_variance(f, candidates.x) for f, _ in used])
        shares = np.array([used[i][1] * used[j][1] for i, j in pairs])
        table = cls(used, pairs, candidates, noise, level, logs, variance, np.zeros(0))
        each = [table._contrast(pair) for pair in pairs]
        return replace(table, score=np.tensordot(shares / shares.sum(), each, axes=1))

    def search(self, cap: float) -> Search | None:
        """Best candidates within a cost; ``None`` where there is none."""
        inside = np.flatnonzero(self.candidates.cost <= cap * (1 + 1e-9))
        if not inside.size:
            return None
        by_pair = [self._best(inside, self._contrast(p)) for p in self.pairs]
        return Search(
            most_cost=cap,
            unit=self.candidates.unit,
            n_candidates=len(inside),
            limits=self.candidates.limits,
            best=self._run(int(inside[np.argmax(self.score[inside])])),
            thrifty=self._thrifty(inside),
            by_pair=tuple(by_pair),
        )

    def _contrast(self, pair: tuple[int, int]) -> Array:
        i, j = pair
        spread = _floor(self.noise**2 + self.variance[i] + self.variance[j])
        return np.asarray(np.nan_to_num((self.logs[i] - self.logs[j]) ** 2 / spread, posinf=0.0))

    def _best(self, inside: Any, discrimination: Array) -> TellingRun:
        return self._run(int(inside[np.argmax(discrimination[inside])]))

    def _thrifty(self, inside: Any) -> TellingRun | None:
        seeds = np.array([self._seeds(self.pairs[0], k) or np.inf for k in inside])
        if not np.isfinite(seeds).any():
            return None
        return self._run(int(inside[np.argmin(seeds * self.candidates.cost[inside])]))

    def _seeds(self, pair: tuple[int, int], k: int) -> int | None:
        i, j = pair
        gap = (self.logs[i, k] - self.logs[j, k]) ** 2
        return seeds_needed(
            gap, self.variance[i, k] + self.variance[j, k], self.noise[k], self.level
        )

    def _run(self, k: int) -> TellingRun:
        contrasts = []
        for i, j in self.pairs:
            t = float(self._contrast((i, j))[k])
            contrasts.append(
                Contrast(
                    laws=(self.used[i][0].law.name, self.used[j][0].law.name),
                    difference=float(self.logs[i, k] - self.logs[j, k]),
                    discrimination=t,
                    power=power(t, self.level),
                    seeds=self._seeds((i, j), k),
                )
            )
        x = {a: v[k : k + 1] for a, v in self.candidates.x.items()}
        return TellingRun(
            at={a: float(v[0]) for a, v in x.items()},
            cost=float(self.candidates.cost[k]),
            score=float(self.score[k]),
            laws=tuple(_at(f, w, x) for f, w in self.used),
            contrasts=tuple(contrasts),
        )


def _variance(f: Fit, x: Mapping[str, Array]) -> Array:
    """Variance of the log prediction over draws, by the middle 68 % of them, (m,)."""
    if not len(f.draws):
        return np.zeros(len(next(iter(x.values()))))
    step = max(1, len(f.draws) // MOST_DRAWS)
    logs = np.log(f.law(f.draws[::step], x))
    logs = logs[np.isfinite(logs).all(axis=1)]
    if not len(logs):
        return np.full(logs.shape[1], np.inf)
    low, high = np.quantile(logs, [0.16, 0.84], axis=0)
    return np.asarray((0.5 * (high - low)) ** 2)


def _floor(variance: Array) -> Array:
    """Never zero: runs computed from a formula have no noise and no spread."""
    return np.maximum(variance, 1e-24)


def _at(f: Fit, weight: float, x: Mapping[str, Array]) -> LawForecast:
    loss = float(f.predict(x)[0])
    if len(f.draws):
        interval = f.interval(x)[0]
    else:
        interval = Interval(low=loss, high=loss, level=f.level, method="no resampling")
    return LawForecast(law=f.law.name, weight=weight, loss=loss, interval=interval)


def _sentence(
    used: Sequence[tuple[Fit, float]],
    pairs: Sequence[tuple[str, str]],
    searches: Sequence[Search],
    level: float,
) -> str:
    if not pairs:
        return f"Only {used[0][0].law.name} carries weight: there is no rival to tell it from."
    if not searches:
        return "No run fits below the cost: nothing would tell the laws apart."
    first, second = pairs[0]
    for s in searches:
        run = s.by_pair[0]
        c = run.contrast(pairs[0])
        if c.power >= GOAL:
            return (
                f"One run at {run.place} ({run.cost:.3g} {s.unit}) would tell {first} from "
                f"{second} with a chance of {chance(c.power)} at a level of {100 * level:g} %: "
                f"{first} says {run.loss(first):.4g}, {second} {run.loss(second):.4g}."
            )
    last = searches[-1]
    best, thrifty = last.by_pair[0], last.thrifty
    c = best.contrast(pairs[0])
    text = (
        f"No single run up to {last.most_cost:.3g} {last.unit} tells {first} from {second} with a "
        f"chance of {chance(GOAL)}: the best, {best.place}, does with {chance(c.power)}"
    )
    if thrifty is not None:
        seeds = thrifty.contrast(pairs[0]).seeds
        return (
            f"{text}. {seeds} runs with different seeds at {thrifty.place} ({thrifty.cost:.3g} "
            f"{last.unit} each) would."
        )
    return (
        f"{text}, and {MOST_SEEDS} seeds are not enough. The laws differ too little for "
        "what is known of each; the forecast has to span both."
    )

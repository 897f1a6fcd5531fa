"""Training and serving under a set of laws: limits, a brute search, one law alone, drift."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from isoloss.errors import FitError, InputError
from isoloss.fit import LawSet, fit_laws
from isoloss.laws import PUBLISHED, get_law
from isoloss.plan import Coefficient, WithAttention, allocate_served, allocate_served_over_laws
from isoloss.plan.over_laws import allocate_over_laws, make_members
from isoloss.plan.serving_laws import _optima, _spread
from isoloss.runs import Runs
from isoloss.study import plan_served_runs

LAW, THETA = get_law("chinchilla"), PUBLISHED["epoch-2024-lad"].parameters
BUDGET = 1e22


def made(noise: float = 0.003) -> Runs:
    n, d = np.repeat(np.geomspace(1e8, 1e10, 6), 6), np.tile(np.geomspace(1e9, 1e11, 6), 6)
    scatter = np.exp(noise * np.random.default_rng(1).standard_normal(36))
    return Runs(columns={"N": n, "D": d, "loss": LAW(THETA, {"N": n, "D": d}) * scatter})


@pytest.fixture(scope="module")
def laws() -> LawSet:
    found = fit_laws(made(), ["chinchilla", "kaplan"], draws=60, rng=0)
    return replace(found, weights=np.array([0.6, 0.4]))


def test_nothing_served_is_the_best_split_itself(laws: LawSet) -> None:
    plan = allocate_over_laws(laws, [BUDGET])
    found = allocate_served_over_laws(laws, budget=BUDGET, tokens=0)
    assert found.N == plan.N_opt[0] == found.N_alone
    assert plan.D_opt[0] == found.D
    assert found.training == pytest.approx(BUDGET, rel=1e-12)
    assert (found.serving, found.saved) == (0, 0)
    assert "saved" not in found.intervals
    again = allocate_served_over_laws(laws, loss=found.loss, tokens=0)
    assert pytest.approx(found.N, rel=1e-3) == again.N
    assert again.training == pytest.approx(BUDGET, rel=1e-6)


def test_the_more_is_served_the_smaller_the_model_and_the_more_is_saved(laws: LawSet) -> None:
    found = [
        allocate_served_over_laws(laws, budget=BUDGET, tokens=t) for t in (0, 1e3, 1e9, 1e12, 1e15)
    ]
    for less, more in itertools.pairwise(found):
        assert more.N <= less.N * (1 + 1e-5)
        assert more.D >= less.D * (1 - 1e-5)
        assert more.saved >= less.saved - 1e-9
        assert more.loss == less.loss
    assert found[-1].N < 0.5 * found[0].N


def test_against_a_brute_search_of_the_weighted_loss(laws: LawSet) -> None:
    tokens, price = 3e12, 1.5
    found = allocate_served_over_laws(laws, budget=BUDGET, tokens=tokens, price=price)

    def gap(log_D: float, n: float) -> float:
        x = {"N": np.array([n]), "D": np.array([np.exp(log_D)])}
        return float(laws.predict(x)[0] - found.loss)

    sizes, costs = found.N * np.geomspace(0.7, 1.4, 71), []
    for n in sizes:
        if gap(60.0, n) > 0:
            costs.append(np.inf)
            continue
        D = np.exp(brentq(gap, 10.0, 60.0, args=(n,), xtol=1e-12))
        costs.append(6 * n * D + price * 2 * n * tokens)
    at = int(np.argmin(costs))
    assert found.training + price * found.serving <= min(costs) * (1 + 1e-9)
    assert pytest.approx(sizes[at], rel=0.006) == found.N
    x = {"N": np.array([found.N]), "D": np.array([found.D])}
    assert laws.predict(x)[0] == pytest.approx(found.loss, rel=1e-9)
    alone = 6 * found.N_alone * found.D_alone + price * 2 * found.N_alone * tokens
    assert found.saved == pytest.approx(1 - min(costs) / alone, abs=1e-4)


def test_one_law_and_its_draws_are_those_of_the_law_alone() -> None:
    laws = fit_laws(made(), ["chinchilla"], draws=40, rng=0)
    plain = allocate_served(laws.best, loss=2.2, tokens=1e12)
    found = allocate_served_over_laws(laws, loss=2.2, tokens=1e12)
    assert pytest.approx(plain.N, rel=1e-6) == found.N
    assert found.saved == pytest.approx(plain.saved, rel=1e-6)
    (member,) = make_members(laws, Coefficient(), None, None)
    (N, D), alone = _optima(member[0], member[2], 2.2, None, 2e12)
    for i in (0, 7):
        own = allocate_served(LAW, laws.best.draws[i], loss=2.2, tokens=1e12)
        assert N[i] == pytest.approx(own.N, rel=2e-3)
        assert D[i] == pytest.approx(own.D, rel=1e-2)
        whole = 6 * own.N_alone * own.D_alone + 2 * own.N_alone * 1e12
        assert alone[i] == pytest.approx(whole, rel=1e-3)
    # A law that is right at every draw says no less than its own spread.
    assert plain.N_interval is not None
    assert found.intervals["N"].low <= plain.N_interval.low * 1.01
    assert found.intervals["N"].high >= plain.N_interval.high * 0.99


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("tokens", [0.0, 3e12])
def test_drifting_exponents_move_the_served_optimum_as_solving_anew_does(
    side: int, tokens: float
) -> None:
    laws = fit_laws(made(), ["chinchilla"], draws=0, rng=0)
    ((f, _, problem),) = make_members(laws, Coefficient(), None, None)
    x = made()
    middle = [float(np.mean(np.log(x[a]))) for a in ("N", "D")]
    weight = 2 * tokens
    start = allocate_served_over_laws(laws, budget=BUDGET, tokens=tokens)
    whole = start.N * (6 * start.D + weight)

    def best(g: float) -> float:
        def loss(log_N: float) -> float:
            n, d = log_N, np.log((whole * np.exp(-log_N) - weight) / 6)
            place = [n, d]
            place[side] += g * (place[side] - middle[side]) ** 2
            inputs = {"N": np.exp(place[:1]), "D": np.exp(place[1:])}
            return float(f.law(f.theta, inputs)[0])

        at = np.log(start.N)
        found = minimize_scalar(loss, bounds=(at - 0.5, at + 0.3), method="bounded",
                                options={"xatol": 1e-9})  # fmt: skip
        return float(found.x)

    moments = np.zeros((2, 2))
    moments[side, side] = 1.0
    (own,) = laws.drifts
    assert own is not None
    drift = replace(own, pull=np.zeros_like(own.pull), bend=np.zeros(2), covariance=moments)
    tilt = -(1 + weight / (6 * start.D))
    h = 2e-3
    moved = abs(best(h) - best(-h)) / (2 * h)
    assert _spread(drift, f, problem, (start.N, start.D), tilt) == pytest.approx(moved, rel=0.01)


def test_intervals_hold_the_plan_and_the_truth_and_unique_data_cap_it(laws: LawSet) -> None:
    one = replace(laws, weights=np.array([1.0, 0.0]))
    found = allocate_served_over_laws(one, loss=2.2, tokens=1e12)
    truth = allocate_served(LAW, THETA, loss=2.2, tokens=1e12)
    assert truth.N in found.intervals["N"]
    assert truth.D in found.intervals["D"]
    assert 2.2 in found.intervals["loss"]
    assert found.saved in found.intervals["saved"]
    capped = plan_served_runs(made(), laws=one, budget=BUDGET, tokens=1e13, unique=3e11)
    free = plan_served_runs(made(), laws=one, budget=BUDGET, tokens=1e13)
    assert pytest.approx(3e11, rel=1e-6) == capped.D
    assert free.D > 3e11
    assert free.N < capped.N <= capped.N_alone
    far = plan_served_runs(made(), laws=one, budget=BUDGET, tokens=1e15)
    assert any("examples a parameter" in w for w in far.warnings)
    assert not any("examples a parameter" in w for w in free.warnings)
    assert free.to_dict()["intervals"]["N"]["level"] == 0.9
    assert "less over its life" in free.summary()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"loss": 2.0}, InputError, "one of them"),
        ({"budget": None}, InputError, "one of them"),
        ({"budget": None, "loss": 0.5}, FitError, "LOSS_BELOW_FLOOR"),
        ({"tokens": -1.0}, InputError, "tokens"),
        ({"tokens": float("nan")}, InputError, "tokens"),
        ({"price": 0.0}, InputError, "price"),
        ({"serve": -2.0}, InputError, "serve"),
        ({"budget": float("inf")}, InputError, "budget"),
        ({"level": 2.0}, InputError, "level"),
        ({"cost": WithAttention(context=2048)}, InputError, "k N D"),
    ],
)
def test_misuse(laws: LawSet, change: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        allocate_served_over_laws(laws, **({"budget": BUDGET, "tokens": 1e12} | change))
    assert words in f"{getattr(caught.value, 'code', '')} {caught.value}"

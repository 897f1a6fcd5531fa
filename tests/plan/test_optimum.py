"""The kernel: closed forms against roots of exact slopes, and refusals."""

import numpy as np
import pytest

from isoloss.laws import PUBLISHED, get_law, law_from_expression
from isoloss.plan.cost import Coefficient, SixND, WithAttention
from isoloss.plan.optimum import DATA_BIND, INTERIOR, NONE, exponents, solve
from isoloss.plan.problem import make_problem

LAD = PUBLISHED["epoch-2024-lad"].parameters
C = np.geomspace(1e15, 1e27, 13)
CLOSED = [("chinchilla", {}), ("additive", {}), ("coupled", {"k": 1.4}), ("coupled", {"k": 0.5})]


def _problem(name, values, cost=None, fixed=None, max_D=None):
    law = get_law(name)
    problem = make_problem(law, cost or SixND(), fixed, max_D)
    return problem, law.theta(dict(LAD) | values)[None]


@pytest.mark.parametrize(("name", "values"), CLOSED)
@pytest.mark.parametrize("cost", [SixND(), Coefficient(2e3)])
def test_closed_form_is_where_the_slope_vanishes(name, values, cost):
    problem, theta = _problem(name, values, cost)
    closed, numeric = solve(problem, theta, C), solve(problem, theta, C, numeric=True)
    np.testing.assert_allclose(closed.log_N, numeric.log_N, atol=1e-9, rtol=0)
    assert (closed.kind == INTERIOR).all()
    assert (numeric.kind == INTERIOR).all()


@pytest.mark.parametrize(("name", "values"), CLOSED)
def test_closed_form_for_draws(name, values):
    problem, theta = _problem(name, values)
    draws = theta * np.exp(0.1 * np.random.default_rng(3).standard_normal((50, theta.shape[1])))
    closed, numeric = solve(problem, draws, C), solve(problem, draws, C, numeric=True)
    np.testing.assert_allclose(closed.log_N, numeric.log_N, atol=1e-9, rtol=0)


def test_kaplan_against_its_own_algebra():
    # It is the coupled law with k = 1/alpha_D, so alpha_N u^k = alpha_D v^k at the optimum.
    v = PUBLISHED["kaplan-2020"].parameters
    law = get_law("kaplan")
    found = solve(make_problem(law, SixND(), None, None), law.theta(v)[None], C).log_N[0]
    a, b = v["alpha_N"], v["alpha_D"]
    left = np.log(a / b) * b + a * np.log(v["Nc"]) - b * np.log(v["Dc"]) + b * np.log(C / 6)
    np.testing.assert_allclose(found, left / (a + b), atol=1e-9, rtol=0)


@pytest.mark.parametrize("cost", [SixND(), WithAttention(context=8192)])
def test_no_size_nearby_is_better(cost):
    problem, theta = _problem("coupled", {"k": 1.3}, cost)
    best = solve(problem, theta, C).log_N
    least = problem.loss(theta, best[0], C)
    for step in (-1e-3, 1e-3):
        assert (problem.loss(theta, best[0] + step, C) > least).all()


def test_each_draw_with_its_own_budgets():
    law = get_law("kaplan")
    problem = make_problem(law, SixND(), None, None)
    theta = law.theta(PUBLISHED["kaplan-2020"].parameters) * np.array([[1.0], [1.02], [0.98]])
    budgets = np.array([[1e18, 1e25], [1e19, 1e20], [1e30, 1e21]])
    together = solve(problem, theta, budgets).log_N
    for row in range(3):
        alone = solve(problem, theta[row : row + 1], budgets[row]).log_N[0]
        np.testing.assert_allclose(together[row], alone, atol=1e-10)


def test_chunks_do_not_change_the_answer(monkeypatch):
    problem, theta = _problem("chinchilla", {}, WithAttention(context=4096))
    draws = theta * np.exp(0.05 * np.random.default_rng(0).standard_normal((40, 5)))
    whole = solve(problem, draws, C).log_N
    monkeypatch.setattr("isoloss.plan.optimum._CHUNK", 300)
    np.testing.assert_array_equal(solve(problem, draws, C).log_N, whole)


def test_a_draw_far_from_the_others_is_still_solved():
    problem, theta = _problem("chinchilla", {}, WithAttention(context=4096))
    draws = np.repeat(theta, 9, axis=0)
    draws[4, 1] *= 1e12
    alone = solve(problem, draws[4:5], C).log_N[0]
    assert np.abs(alone - solve(problem, theta, C).log_N[0]).min() > 20
    np.testing.assert_allclose(solve(problem, draws, C).log_N[4], alone, atol=1e-9)


@pytest.mark.parametrize(
    ("formula", "values"),
    [
        ("E + A*N**-alpha", [1.0, 2.0, 0.3]),
        ("E + A*D**-alpha", [1.0, 2.0, 0.3]),
        ("E + A*(N*D)**-alpha", [1.0, 2.0, 0.3]),
        ("E - A*(log(N) - 20)**2 - (log(D) - 20)**2", [1.0, 2.0]),
    ],
)
def test_no_trade_off_is_refused_not_answered_at_an_edge(formula, values):
    law = law_from_expression(formula, axes=("N", "D"))
    theta = np.array([values])[:, : len(law.names)]
    found = solve(make_problem(law, SixND(), None, None), theta, C)
    assert (found.kind == NONE).all()
    assert np.isnan(found.log_N).all()


@pytest.mark.parametrize("zero", ["A", "B", "alpha", "beta"])
def test_closed_form_without_a_trade_off_is_refused(zero):
    problem, theta = _problem("chinchilla", {zero: 0.0})
    assert (solve(problem, theta, C).kind == NONE).all()
    assert np.isnan(exponents(problem, theta, C, solve(problem, theta, C))[0]).all()


def test_two_valleys_give_the_lower_one_and_tell():
    law = law_from_expression(
        "E - A*exp(-((log(N) - 15)**2)) - B*exp(-((log(N) - 25)**2))", axes=("N", "D")
    )
    theta = law.theta({"E": 2.0, "A": 0.9, "B": 1.0})[None]
    found = solve(make_problem(law, SixND(), None, None), theta, C)
    np.testing.assert_allclose(found.log_N, 25.0, atol=1e-9)
    # The grid is a quarter wide: the rival is known to its nearest point.
    np.testing.assert_allclose(found.rivals, 1.1, atol=0.02)


def test_growth_matches_optima_of_neighbouring_budgets():
    law = get_law("repetition")
    theta = law.theta(dict(PUBLISHED["muennighoff-2023"].parameters))[None]
    for cost in (SixND(), WithAttention(context=4096)):
        problem = make_problem(law, cost, {"U": 1e9}, None)
        found = solve(problem, theta, C)
        grow_N, grow_D = exponents(problem, theta, C, found)
        h = 1e-3
        up, down = (solve(problem, theta, C * np.exp(s)) for s in (h, -h))
        np.testing.assert_allclose(grow_N, (up.log_N - down.log_N) / (2 * h), atol=2e-6)
        data = [
            np.log(cost.tokens(np.exp(o.log_N), C * np.exp(s))) for o, s in ((up, h), (down, -h))
        ]
        np.testing.assert_allclose(grow_D, (data[0] - data[1]) / (2 * h), atol=2e-6)


def test_data_that_bind():
    problem, theta = _problem("chinchilla", {}, max_D=1e11)
    free, _ = _problem("chinchilla", {})
    found, unbound = solve(problem, theta, C), solve(free, theta, C)
    tokens = C / (6 * np.exp(unbound.log_N[0]))
    binds = tokens > 1e11
    assert binds.any()
    assert not binds.all()
    np.testing.assert_array_equal(found.kind[0] == DATA_BIND, binds)
    np.testing.assert_allclose(np.exp(found.log_N[0][binds]), C[binds] / 6e11, rtol=1e-12)
    np.testing.assert_allclose(found.log_N[0][~binds], unbound.log_N[0][~binds], atol=1e-9)
    grow_N, grow_D = exponents(problem, theta, C, found)
    np.testing.assert_allclose(grow_N[0][binds], 1.0, atol=1e-9)
    assert (grow_D[0][binds] == 0).all()

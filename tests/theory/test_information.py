"""The information-theoretic bound: reference numbers, limits, its minimum, and hostile values."""

import math
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import digamma, polygamma

from isoloss.errors import InputError
from isoloss.theory import (
    BoundConstants,
    distinct_atoms,
    few_neurons,
    information_bound,
    information_optimum,
    many_neurons,
    two_term_optimum,
)
from isoloss.theory.information import count_distinct

GOLDEN = tomllib.loads(
    (Path(__file__).parents[1] / "golden" / "information.toml").read_text("utf8")
)
dims = st.floats(0.0, 4.0).map(lambda v: float(10**v))
concentrations = st.floats(-3.0, 6.0).map(lambda v: float(10**v))
budgets = st.floats(4.1, 30.0).map(lambda v: float(10**v))
forms = st.sampled_from(["full", "simple"])
constants = st.builds(
    BoundConstants, c1=st.floats(0.01, 100.0), c2=st.floats(0.01, 100.0), net=st.floats(1.1, 9.0),
    log_constant=st.floats(0.5, 9.0), count=st.booleans(),
)  # fmt: skip


def printed(value, expected, digits):
    return float(value) == pytest.approx(expected, rel=0.51 * 10.0 ** (1 - digits))


def test_distinct_atoms_against_the_sum_and_reference():
    case = GOLDEN["distinct"]
    np.testing.assert_allclose(distinct_atoms(case["n"], case["K"]), case["value"], rtol=1e-9)
    for n, K in ((1, 0.3), (7, 2.0), (40, 500.0)):
        assert distinct_atoms(n, K) == pytest.approx(sum(K / (K + i) for i in range(n)), rel=1e-13)
    assert distinct_atoms([0, np.inf], 3).tolist() == [0, np.inf]
    assert distinct_atoms(1e40, 1e-6) == pytest.approx(1 + 1e-6 * math.log(1e40), rel=1e-6)


@pytest.mark.parametrize("K", [1e-6, 0.5, 3.0, 23.9, 24.1, 400.0])
def test_distinct_atoms_and_derivatives_against_special_functions(K):
    n = np.array([0.3, 1.0, 20.0, 5e3, 1e7])
    u, u1, u2 = count_distinct(n, np.full(n.shape, K))
    np.testing.assert_allclose(u, K * (digamma(K + n) - digamma(K)), rtol=1e-10)
    np.testing.assert_allclose(u1, K * polygamma(1, K + n), rtol=1e-12)
    np.testing.assert_allclose(u2, K * polygamma(2, K + n), rtol=1e-12)


def test_draws_from_a_vast_process_are_all_distinct():
    # The difference of two psi functions has no digit left here.
    np.testing.assert_allclose(distinct_atoms([1, 10, 1e5], 1e30), [1, 10, 1e5], rtol=1e-13)


def test_terms_and_best_eps_to_the_printed_digits():
    case = GOLDEN["terms"]
    found = information_bound(**case["at"])
    assert printed(found.misspecification, case["misspecification"], 8)
    assert printed(found.estimation, case["estimation"], 8)
    case = GOLDEN["best_eps"]
    found = information_bound(**case["at"])
    assert printed(found.loss, case["loss"], 8)
    # A search on a flat minimum leaves half of the digits.
    assert float(found.eps) == pytest.approx(case["eps"], abs=1e-6)


@pytest.mark.parametrize("name", ["low", "high"])
def test_simple_optimum_to_the_printed_digits(name):
    case = GOLDEN["simple"][name]
    found = information_optimum(**case["at"], form="simple")
    assert printed(found.n_opt, case["n"], 8)
    assert printed(found.T_opt, case["T"], 7)
    assert printed(found.loss, case["loss"], 8)


def test_full_optimum_shares_and_slopes_to_the_printed_digits():
    case = GOLDEN["full"]
    found = information_optimum(**case["at"])
    assert printed(found.n_opt, case["n"], 4)
    assert printed(found.loss, case["loss"], 7)
    for case in GOLDEN["share"].values():
        arguments = {k: v for k, v in case.items() if k != "value"}
        share = information_optimum(**arguments).model_share
        np.testing.assert_allclose(share, case["value"], atol=5.1e-5)
    case = GOLDEN["slopes"]
    found = information_optimum(**case["at"])
    np.testing.assert_allclose(found.exponent_p, case["p"], atol=0.012)
    np.testing.assert_allclose(found.exponent_loss, case["loss"], atol=0.015)


@pytest.mark.parametrize(("C", "d", "K"), [(1e10, 10, 10), (1e10, 1000, 10), (1e14, 30, 200.0)])
def test_iteration_and_search_give_the_optimum_of_the_simple_form(C, d, K):
    lc = math.log(30)
    n = math.sqrt(C / (16 * d**2 * lc))
    for _ in range(60):
        code = d * lc + math.log(2 * n)
        h, slope = math.log1p(n / K) * code, code / (K + n) + math.log1p(n / K) / n
        n = math.sqrt(C / 16 / (d * (h + n * slope)))
    found = information_optimum(C, d=d, K=K, form="simple")
    assert float(found.n_opt) == pytest.approx(n, rel=1e-12)

    def simple(u):
        m = math.exp(u)
        return K / (16 * m) + K * math.log1p(m / K) * (d * lc + math.log(2 * m)) * d * m / C

    search = minimize_scalar(simple, bracket=(0.5, math.log(n) + 1), tol=1e-14)
    assert math.exp(search.x) == pytest.approx(n, rel=1e-6)
    assert float(found.loss) == pytest.approx(search.fun, rel=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 8), st.floats(0, 12), dims, concentrations, constants)
def test_the_closed_form_of_eps_is_the_minimum(n, T, d, K, c):
    n, T = 10**n, 10**T
    best = information_bound(n, T, d=d, K=K, constants=c)
    eps = np.geomspace(1e-9, 1, 400)
    every = information_bound(n, T, d=d, K=K, eps=eps, constants=c)
    assert (every.loss >= best.loss * (1 - 1e-12)).all()
    near = np.clip(best.eps * np.array([0.99, 1.01]), 0, 1)
    assert (information_bound(n, T, d=d, K=K, eps=near, constants=c).loss >= best.loss).all() or (
        best.eps < 1e-6
    )


@settings(max_examples=60, deadline=None)
@given(budgets, dims, concentrations, forms, constants)
def test_the_optimum_is_the_least_of_all_n(C, d, K, form, c):
    found = information_optimum(C, d=d, K=K, form=form, constants=c)
    n = np.geomspace(1, C / d, 3001)
    every = information_bound(n, C / d / n * (1 + 1e-12), d=d, K=K, form=form, constants=c).loss
    assert every.min() >= found.loss * (1 - 1e-9)
    assert float(found.n_opt * found.T_opt * d) == pytest.approx(C)
    assert float(found.model_share) == pytest.approx(float(found.p_opt) ** 2 / C)
    if found.n_opt > 1:
        assert abs(found.slope_left) < 1e-9 or found.T_opt < 1.001
    else:
        assert found.slope_left >= 0


@settings(max_examples=40, deadline=None)
@given(budgets, dims, concentrations, forms, constants)
def test_slopes_are_those_of_the_optimum(C, d, K, form, c):
    near = information_optimum(C * np.exp([-1e-4, 0, 1e-4]), d=d, K=K, form=form, constants=c)
    if near.n_opt.min() <= 1 or near.T_opt.min() <= 1.01 or (near.eps == 1).any():
        return
    n, loss = (np.log(v[2] / v[0]) / 2e-4 for v in (near.n_opt, near.loss))
    assert near.exponent_p[1] == pytest.approx(n, abs=1e-6)
    assert near.exponent_loss[1] == pytest.approx(loss, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.floats(9, 30), st.floats(0, 3), st.floats(0, 2), forms, st.floats(1.05, 10))
def test_the_share_of_the_model_grows_with_dimension_and_complexity(C, d, K, form, factor):
    C, d, K = 10**C, 10**d, 10**K
    base = information_optimum(C, d=d, K=K, form=form)
    assert information_optimum(C, d=d * factor, K=K, form=form).model_share > base.model_share
    assert information_optimum(C, d=d, K=K * factor, form=form).model_share > base.model_share


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 9), st.floats(0, 12), dims, concentrations, forms, st.floats(1.001, 1e3))
def test_more_samples_and_simpler_teachers_lower_the_bound(n, T, d, K, form, factor):
    n, T = 10**n, 10**T
    base = information_bound(n, T, d=d, K=K, form=form).loss
    assert information_bound(n, T * factor, d=d, K=K, form=form).loss < base
    assert information_bound(n, T, d=d, K=K * factor, form=form).loss > base
    assert information_bound(n, T, d=d * factor, K=K, form=form).loss > base


def test_endless_samples_leave_the_misspecification():
    found = information_bound([1, 8, 1e6], np.inf, d=50, K=12)
    np.testing.assert_allclose(found.loss, 12 / (16 * np.array([1, 8, 1e6])), rtol=1e-14)
    assert (found.eps == 0).all()
    assert (found.estimation == 0).all()


def test_the_slope_tends_to_one_half_from_below():
    C = 10.0 ** np.array([8, 12, 20, 40, 90])
    for form in ("full", "simple"):
        slopes = information_optimum(C, d=100, K=10, form=form)
        assert (np.diff(slopes.exponent_p) > 0).all()
        assert (slopes.exponent_p < 0.5).all()
        assert slopes.exponent_p[-1] > 0.49
        assert slopes.exponent_loss[-1] == pytest.approx(-0.5, abs=0.01)


def test_few_neurons_grow_as_the_cube_root_and_many_as_the_root():
    C = np.array([1e13, 1e15])
    few = information_optimum(C, d=1000, K=1e9, form="simple")
    np.testing.assert_allclose(few.n_opt, few_neurons(C, d=1000, K=1e9), rtol=2e-3)
    np.testing.assert_allclose(few.exponent_p, 1 / 3, atol=1e-3)
    many = information_optimum(1e40, d=1e5, K=10, form="simple")
    assert many.n_opt == pytest.approx(many_neurons(1e40, d=1e5, K=10), rel=1e-4)
    log = 1 + math.log(float(many.n_opt) / 10)
    assert many.model_share == pytest.approx(1 / (16 * math.log(30) * log), rel=1e-3)


def test_general_two_term_law():
    constant = lambda n: (np.ones_like(n), np.zeros_like(n))  # noqa: E731
    linear = lambda n: (n, np.ones_like(n))  # noqa: E731
    C = np.array([1e9, 1e12])
    root = two_term_optimum(C, 20, constant, A=3, B=0.5)
    np.testing.assert_allclose(root, np.sqrt(3 * C / (0.5 * 400)), rtol=1e-12)
    cube = two_term_optimum(C, 20, linear, A=3, B=0.5)
    np.testing.assert_allclose(cube, np.cbrt(3 * C / (2 * 0.5 * 400)), rtol=1e-12)

    def code(n):
        weights = 10 * math.log(30) + np.log(2 * n)
        return np.log1p(n / 10) * weights / 10, (weights / (10 + n) + np.log1p(n / 10) / n) / 10

    own = two_term_optimum(1e10, 10, code, A=10 / 16, B=10)
    assert own == pytest.approx(GOLDEN["simple"]["low"]["n"], rel=1e-8)


def test_a_budget_for_one_neuron_and_one_sample():
    found = information_optimum([10, 1e3], d=10, K=10)
    assert found.n_opt[0] == 1
    assert found.T_opt[0] == pytest.approx(1)
    assert any("1/16" in doubt for doubt in found.doubts)
    assert any("one neuron" in doubt for doubt in found.doubts)
    assert information_optimum(1e30, d=10, K=10).doubts == ()
    assert found.exponent_p[0] == 0
    with pytest.raises(InputError, match="does not pay"):
        information_optimum(9.99, d=10, K=10)


def test_whole_numbers_fit_the_budget_and_cost_little():
    C = np.geomspace(50, 1e9, 30)
    real, whole = (information_optimum(C, d=10, K=10, whole=w) for w in (False, True))
    for value in (whole.n_opt, whole.T_opt):
        assert (value == np.round(value)).all()
    assert (10 * whole.n_opt * whole.T_opt <= C * (1 + 1e-9)).all()
    assert (whole.loss >= real.loss * (1 - 1e-12)).all()
    late = C > 1e5
    assert (whole.loss[late] < real.loss[late] * 1.01).all()
    # The terms are those at these whole numbers.
    again = information_bound(whole.n_opt, whole.T_opt, d=10, K=10)
    np.testing.assert_allclose(whole.loss[late], again.loss[late], rtol=1e-6)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"n": 0}, "n = 0"),
        ({"n": math.nan}, "n = nan"),
        ({"n": math.inf}, "n = inf"),
        ({"T": 0}, "T = 0"),
        ({"T": math.nan}, "T = nan"),
        ({"d": 0.5}, "d = 0.5"),
        ({"K": -1}, "K = -1"),
        ({"K": "many"}, "expected numbers"),
        ({"n": [1, 2], "K": [1, 2, 3]}, "broadcast"),
        ({"eps": 2}, "eps = 2"),
        ({"eps": 0.1, "form": "simple"}, "has none"),
        ({"form": "exact"}, "form = 'exact'"),
        ({"n": []}, "is empty"),
    ],
)
def test_hostile_values_of_the_bound(words, match):
    with pytest.raises(InputError, match=match):
        information_bound(**({"n": 10, "T": 100, "d": 5, "K": 3} | words))


@pytest.mark.parametrize(
    "words", [{"C": math.inf}, {"C": 0}, {"C": -1}, {"C": math.nan}, {"C": 1e101}, {"C": "much"}]
)
def test_hostile_values_of_the_optimum(words):
    with pytest.raises(InputError, match="C"):
        information_optimum(**({"d": 5, "K": 3} | words))


@pytest.mark.parametrize("name", ["c1", "c2", "net", "log_constant"])
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_constants_must_be_positive(name, value):
    with pytest.raises(InputError, match=name):
        BoundConstants(**{name: value})


def test_many_budgets_are_the_same_as_one_at_a_time():
    C = np.geomspace(1e5, 1e20, 3000)
    many = information_optimum(C, d=10, K=10)
    one = information_optimum(C[[0, 1234, 2999]], d=10, K=10)
    np.testing.assert_array_equal(many.n_opt[[0, 1234, 2999]], one.n_opt)


def test_arrays_are_read_only_and_plain_types_come_out():
    found = information_optimum([1e8, 1e9], d=10, K=10)
    with pytest.raises(ValueError, match="read-only"):
        found.n_opt[0] = 1
    assert found.to_dict()["n_opt"] == found.n_opt.tolist()
    assert "n_opt" in repr(found) or "full" in repr(found)

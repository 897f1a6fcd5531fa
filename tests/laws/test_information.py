"""The information-theoretic law: the theory's simple form, its best split, and fits to it."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cli.commands import call
from isoloss import allocate, fit, fit_laws, forecast
from isoloss.errors import LawError
from isoloss.laws import get_law
from isoloss.laws.information import information_values
from isoloss.plan.cost import Coefficient
from isoloss.runs import Runs
from isoloss.theory import BoundConstants, information_bound, information_optimum

log10s = st.floats(0, 4).map(lambda v: float(10**v))


@settings(max_examples=80, deadline=None)
@given(
    log10s, st.floats(-1, 5), st.floats(0, 9), st.floats(0, 12), st.floats(0.1, 10),
    st.floats(0.1, 10), st.floats(1, 9),
)  # fmt: skip
def test_the_law_is_the_simple_form_of_the_theory(d, K, n, T, c1, c2, lc):
    K, n, T = 10**K, 10**n, 10**T
    assume(d * lc + np.log(2 * K) > 0)
    theta = information_values(d=d, K=K, c1=c1, c2=c2, log_constant=lc, E=0.3)
    constants = BoundConstants(c1=c1, c2=c2, log_constant=lc)
    exact = information_bound(n, T, d=d, K=K, form="simple", constants=constants).loss
    found = get_law("information")(theta, {"N": d * n, "D": T})[0] - 0.3
    assert found == pytest.approx(float(exact), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize(("d", "K"), [(10, 10), (1000, 10), (100, 3000)])
def test_its_best_split_is_that_of_the_theory(d, K):
    C = np.array([1e9, 1e10, 1e14])
    exact = information_optimum(C, d=d, K=K, form="simple")
    plan = allocate(get_law("information"), information_values(d=d, K=K), C, cost=Coefficient(1.0))
    np.testing.assert_allclose(plan.N_opt, exact.p_opt, rtol=1e-9)
    np.testing.assert_allclose(plan.D_opt, exact.T_opt, rtol=1e-9)
    np.testing.assert_allclose(plan.exponent_N, exact.exponent_p, rtol=1e-8)
    np.testing.assert_allclose(plan.L_opt, exact.loss, rtol=1e-9)


def simulated(noise, seed=0):
    theta = information_values(d=20, K=30, E=0.4)
    N = np.repeat(20 * 2.0 ** np.arange(2, 12), 8)
    D = np.tile(np.geomspace(1e4, 1e8, 8), 10)
    loss = get_law("information")(theta, {"N": N, "D": D})
    chance = np.exp(noise * np.random.default_rng(seed).standard_normal(N.size))
    return theta, Runs(columns={"N": N, "D": D, "loss": loss * chance})


def test_fit_forecast_and_plan_with_the_dimension_known():
    theta, runs = simulated(0.002)
    law = get_law("information").pin(w=theta["w"])
    found = fit(runs, law, objective="lsq", draws=200)
    assert found.status == "ok", found.summary()
    for name in ("E", "A", "B", "M"):
        low, high = found.intervals[name].low, found.intervals[name].high
        assert low < found.parameters[name] < high
        assert found.parameters[name] == pytest.approx(theta[name], rel=0.1), name
    target = {"N": 1e6, "D": 1e10}
    truth = get_law("information")(theta, target)[0]
    ahead = forecast(runs, target, laws=fit_laws(runs, [law], draws=50))[0]
    assert ahead.loss == pytest.approx(truth, rel=0.01)
    plan = allocate(found, C=[1e12], cost=Coefficient(1.0))
    exact = allocate(get_law("information"), theta, [1e12], cost=Coefficient(1.0))
    assert plan.N_opt[0] == pytest.approx(exact.N_opt[0], rel=0.1)


def test_plan_on_the_command_line(tmp_path):
    _, runs = simulated(0.002)
    path = tmp_path / "runs.csv"
    rows = zip(runs["N"], runs["D"], runs["loss"], strict=True)
    path.write_text("N,D,loss\n" + "".join(f"{a:.17g},{b:.17g},{c:.17g}\n" for a, b, c in rows))
    words = ("--law", "information", "--budget", "1e11", "--flops-per-nd", "1", "--draws", "20")
    result = call("plan", str(path), *words, "--json")
    assert result.exit_code in (0, 3), result.stderr
    exact = information_optimum(1e11, d=20, K=30, form="simple")
    answer = json.loads(result.stdout)
    assert answer["N_opt"] == pytest.approx(float(exact.p_opt), rel=0.3)
    assert answer["exponent_N"] == pytest.approx(float(exact.exponent_p), abs=0.05)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"d": 0.5}, "d = 0.5"),
        ({"K": 0}, "K = 0"),
        ({"c1": math.inf}, "c1 = inf"),
        ({"c2": math.nan}, "c2 = nan"),
        ({"E": -1}, "E = -1"),
        ({"K": 1e-9, "log_constant": 0.1}, "must be positive; raise"),
    ],
)
def test_hostile_values(words, match):
    with pytest.raises(LawError, match=match):
        information_values(**({"d": 3, "K": 4} | words))


def test_a_neuron_that_costs_nothing_to_name_is_refused():
    with pytest.raises(LawError, match="raise log_constant or K"):
        information_values(d=1, K=0.1, log_constant=1.0)

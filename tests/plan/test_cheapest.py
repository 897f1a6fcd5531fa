import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss._core.serial import to_json
from isoloss.errors import FitError
from isoloss.laws import PUBLISHED, get_law
from isoloss.plan import WithAttention, allocate, compute_for_loss

LAD = dict(PUBLISHED["epoch-2024-lad"].parameters)
REPEAT = dict(PUBLISHED["muennighoff-2023"].parameters)
CASES = [
    ("chinchilla", LAD, {}),
    ("chinchilla", LAD, {"cost": WithAttention(context=4096)}),
    ("chinchilla", LAD, {"max_D": 1e10}),
    ("additive", LAD, {}),
    ("coupled", LAD | {"k": 0.7}, {}),
    ("kaplan", PUBLISHED["kaplan-2020"].parameters, {}),
    ("repetition", REPEAT, {"fixed": {"U": 1e9}}),
]


@pytest.mark.parametrize(("name", "values", "policy"), CASES)
def test_round_trip_with_allocate(name, values, policy):
    law, budgets = get_law(name), np.array([1e19, 1e21, 1e22])
    plan = allocate(law, values, budgets, **policy)
    back = compute_for_loss(law, values, plan.L_opt, **policy)
    np.testing.assert_allclose(back.C, budgets, rtol=1e-7)
    np.testing.assert_allclose(back.N, plan.N_opt, rtol=1e-7)
    np.testing.assert_allclose(back.D, plan.D_opt, rtol=1e-7)
    assert back.status == "ok"


@given(st.floats(18, 26), st.floats(0.3, 3.0))
def test_closed_form_of_the_coupled_law(log_C, k):
    law, values = get_law("coupled"), LAD | {"k": k}
    plan = allocate(law, values, 10**log_C, near=False)
    assert compute_for_loss(law, values, plan.L_opt).C[0] == pytest.approx(10**log_C, rel=1e-8)


@pytest.mark.parametrize(("name", "values", "policy"), CASES)
def test_below_the_floor_is_refused_with_infinity(name, values, policy):
    answer = compute_for_loss(get_law(name), values, [1e-9], **policy)
    if name in ("additive", "kaplan"):
        # No floor: any loss can be bought, here for more than a double can hold or nearly so.
        assert not answer.C[0] < 1e30
        return
    assert np.isinf(answer.C[0])
    assert np.isnan(answer.N[0])
    assert answer.status == "failed"
    assert answer.reasons[0].code == "LOSS_BELOW_FLOOR"
    with pytest.raises(FitError, match="no budget reaches loss"):
        answer.require()


def test_a_loss_above_the_floor_that_limited_data_never_reach():
    law = get_law("chinchilla")
    assert np.isfinite(compute_for_loss(law, LAD, 2.2).C[0])
    # With 1e9 examples B/D^beta alone keeps the loss above 2.8.
    answer = compute_for_loss(law, LAD, [2.2, 3.5], max_D=1e9)
    assert np.isinf(answer.C[0])
    assert np.isfinite(answer.C[1])
    assert answer.status == "suspect"


def test_draws_whose_floor_is_above_the_target_open_the_interval():
    law = get_law("chinchilla")
    rng = np.random.default_rng(2)
    draws = law.theta(LAD) * np.exp(0.02 * rng.standard_normal((300, 5)))
    answer = compute_for_loss(law, LAD, [2.2, 1.83], draws=draws)
    near, far = answer.C_interval
    assert answer.C[0] in near
    assert np.isfinite(near.high)
    assert np.isinf(far.high)
    assert np.isfinite(far.low)
    data = json.loads(to_json(answer))
    assert data["targets"][1]["interval"]["high"] is None
    assert data["targets"][0]["interval"]["method"].endswith("law taken as right")


def test_numeric_draws_agree_with_single_calls():
    law, cost = get_law("chinchilla"), WithAttention(context=4096)
    rng = np.random.default_rng(4)
    draws = law.theta(LAD) * np.exp(0.01 * rng.standard_normal((12, 5)))
    answer = compute_for_loss(law, LAD, 2.3, cost=cost, draws=draws, level=0.9)
    each = [compute_for_loss(law, d, 2.3, cost=cost).C[0] for d in draws]
    low, high = np.quantile(each, [0.05, 0.95])
    assert answer.C_interval[0].low == pytest.approx(low, rel=1e-7)
    assert answer.C_interval[0].high == pytest.approx(high, rel=1e-7)


def test_a_law_of_one_axis_names_no_budget():
    law = get_law("power_floor", axis="D")
    answer = compute_for_loss(law, {"E": 1.0, "A": 2.0, "alpha": 0.3}, [1.5])
    assert answer.status == "failed"
    assert answer.reasons[0].code == "NO_INTERIOR_OPTIMUM"
    assert np.isnan(answer.C[0])


def test_dearer_for_lower_losses():
    losses = np.linspace(1.9, 3.5, 30)
    C = compute_for_loss(get_law("chinchilla"), LAD, losses).C
    assert (np.diff(C) < 0).all()

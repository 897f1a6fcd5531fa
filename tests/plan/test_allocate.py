import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss._core.serial import to_json
from isoloss.errors import FitError, InputError
from isoloss.laws import PUBLISHED, get_law
from isoloss.plan import Coefficient, SixND, WithAttention, allocate

CHINCHILLA = get_law("chinchilla")
LAD = dict(PUBLISHED["epoch-2024-lad"].parameters)
REPEAT = dict(PUBLISHED["muennighoff-2023"].parameters)
THETA = CHINCHILLA.theta(LAD)
BUDGETS = np.geomspace(1e18, 1e25, 8)

exponent = st.floats(0.1, 0.9)
parameters = st.fixed_dictionaries(
    {
        "E": st.floats(0.0, 3.0),
        "A": st.floats(1.0, 1e4),
        "B": st.floats(1.0, 1e4),
        "alpha": exponent,
        "beta": exponent,
    }
)


def _draws(n=200, width=0.02, law=CHINCHILLA, values=LAD):
    rng = np.random.default_rng(5)
    theta = law.theta(values)
    return theta * np.exp(width * rng.standard_normal((n, theta.size)))


@pytest.mark.parametrize(
    ("name", "growth", "ratio"),
    [
        # Besiroglu et al. 2024 (arXiv:2404.10102), section 4: the rounded constants of
        # Hoffmann et al. ask for about 70-100 tokens a parameter at Gopher's budget, the refit
        # for about 20.
        ("hoffmann-2022-rounded", 0.452, 92.6),
        ("epoch-2024-lad", 0.513, 18.3),
    ],
)
def test_published_constants_at_the_budget_of_gopher(name, growth, ratio):
    plan = allocate(CHINCHILLA, PUBLISHED[name].parameters, 5.76e23)
    assert float(plan.exponent_N[0]) == pytest.approx(growth, abs=5e-4)
    assert float(plan.D_opt[0] / plan.N_opt[0]) == pytest.approx(ratio, abs=0.05)


@given(parameters)
def test_identities_of_the_closed_form(values):
    plan = allocate(CHINCHILLA, values, BUDGETS, near=False)
    np.testing.assert_allclose(6 * plan.N_opt * plan.D_opt, BUDGETS, rtol=1e-12)
    u = values["alpha"] * values["A"] * plan.N_opt ** -values["alpha"]
    v = values["beta"] * values["B"] * plan.D_opt ** -values["beta"]
    np.testing.assert_allclose(u, v, rtol=1e-9)
    np.testing.assert_allclose(plan.exponent_N + plan.exponent_D, 1.0, atol=1e-14)
    slope = np.diff(np.log(plan.N_opt)) / np.diff(np.log(BUDGETS))
    np.testing.assert_allclose(slope, plan.exponent_N[0], atol=1e-9)
    assert (np.diff(plan.L_opt) <= 0).all()


@given(parameters, st.floats(-9, 9), st.floats(-9, 9), st.sampled_from(["chinchilla", "kaplan"]))
def test_units_of_n_and_d_do_not_matter(values, log_s, log_t, name):
    s, t = 10**log_s, 10**log_t
    law = get_law(name)
    if name == "kaplan":
        values = {
            "Nc": values["A"] * 1e9,
            "Dc": values["B"] * 1e9,
            "alpha_N": values["alpha"],
            "alpha_D": values["beta"],
        }
    theta = law.theta(values)
    # `rescale` turns parameters fitted in units of 1/s and 1/t into those of N and D times s, t.
    scaled = law.rescale(theta, {"N": s, "D": t})
    one = allocate(law, theta, 1e22)
    # The same compute when N and D are numbers s and t times as large.
    two = allocate(law, scaled, 1e22, cost=Coefficient(6.0 / (s * t)))
    np.testing.assert_allclose(two.N_opt, s * one.N_opt, rtol=1e-8)
    np.testing.assert_allclose(two.D_opt, t * one.D_opt, rtol=1e-8)
    np.testing.assert_allclose(two.L_opt, one.L_opt, rtol=1e-10)
    near, same = one.near_optimal[0], two.near_optimal[0]
    np.testing.assert_allclose(same.N_low, s * near.N_low, rtol=1e-7)
    np.testing.assert_allclose(same.deadweight, near.deadweight, rtol=1e-6, atol=1e-12)


@given(parameters, st.floats(0.1, 10))
def test_size_of_the_loss_does_not_move_the_split(values, c):
    theta = CHINCHILLA.theta(values)
    scaled = theta * np.array([c, c, c, 1, 1])
    one, two = (allocate(CHINCHILLA, t, 1e21) for t in (theta, scaled))
    np.testing.assert_allclose(two.N_opt, one.N_opt, rtol=1e-9)
    np.testing.assert_allclose(two.near_optimal[0].N_high, one.near_optimal[0].N_high, rtol=1e-7)


def test_ends_of_the_near_optimal_range_have_the_loss_it_allows():
    for cost in (SixND(), WithAttention(context=4096)):
        plan = allocate(CHINCHILLA, LAD, BUDGETS, cost=cost, tolerance=0.02)
        for i, near in enumerate(plan.near_optimal):
            for N in (near.N_low, near.N_high):
                D = cost.tokens(N, BUDGETS[i])
                loss = CHINCHILLA(LAD, {"N": N, "D": D})[0]
                assert loss == pytest.approx(1.02 * plan.L_opt[i], rel=1e-10)
            assert near.N_low < plan.N_opt[i] < near.N_high


def test_deadweight_is_what_a_smaller_budget_would_have_bought():
    for law, values, policy in (
        (CHINCHILLA, LAD, {}),
        (CHINCHILLA, LAD, {"cost": WithAttention(context=4096)}),
        (get_law("coupled"), LAD | {"k": 1.3}, {}),
        (get_law("repetition"), REPEAT, {"fixed": {"U": 1e9}}),
        (CHINCHILLA, LAD, {"max_D": 1e10}),
    ):
        plan = allocate(law, values, [1e20, 1e22], **policy)
        for i in range(2):
            rows = plan.price((0.3, 3.0), index=i)
            near = plan.near_optimal[i]
            shares = [(r.loss, r.deadweight) for r in rows]
            shares.append((plan.L_opt[i] * 1.01, near.deadweight))
            for loss, share in shares:
                enough = allocate(law, values, plan.C[i] * (1 - share), near=False, **policy)
                assert float(enough.L_opt[0]) == pytest.approx(loss, rel=1e-9)
                assert 0 < share < 1


def test_price_of_the_optimum_is_nothing():
    plan = allocate(CHINCHILLA, LAD, BUDGETS)
    rows = plan.price(index=3)
    middle = next(r for r in rows if r.N_ratio == 1.0)
    assert middle.excess == 0.0
    assert middle.deadweight == 0.0
    ratios = [r.N_ratio for r in rows]
    excess = np.array([r.excess for r in rows])
    assert ratios == sorted(ratios)
    assert (ratios[0], ratios[-1]) == (1 / 8, 8.0)
    assert (np.diff(excess[:5]) < 0).all()
    assert (np.diff(excess[4:]) > 0).all()
    for r in rows:
        assert pytest.approx(plan.C[3], rel=1e-12) == 6 * r.N * r.D


def test_draws_give_intervals_with_level_and_method():
    draws = _draws()
    plan = allocate(CHINCHILLA, LAD, BUDGETS, draws=draws, level=0.8, method="case bootstrap")
    each = np.array([allocate(CHINCHILLA, d, 1e18, near=False).N_opt[0] for d in draws])
    first = plan.N_interval[0]
    assert (first.low, first.high) == pytest.approx(np.quantile(each, [0.1, 0.9]), rel=1e-9)
    assert first.level == 0.8
    assert first.method == "case bootstrap, law taken as right"
    a = draws[:, 4] / (draws[:, 3] + draws[:, 4])
    grow = plan.exponent_N_interval[-1]
    assert (grow.low, grow.high) == pytest.approx(np.quantile(a, [0.1, 0.9]), rel=1e-12)
    assert plan.status == "ok"


def test_weights_select_draws():
    draws = np.concatenate([_draws(100), _draws(100) * [1, 30, 1, 1, 1]])
    weights = np.repeat([0.0, 1.0], 100)
    both = allocate(CHINCHILLA, LAD, 1e21, draws=draws, weights=weights).N_interval[0]
    second = allocate(CHINCHILLA, LAD, 1e21, draws=draws[100:]).N_interval[0]
    assert both.low == pytest.approx(second.low, rel=0.1)
    assert both.high == pytest.approx(second.high, rel=0.1)


def test_draws_without_a_split_are_told():
    draws = _draws(100)
    draws[:3, 1] = 0.0
    few = allocate(CHINCHILLA, LAD, 1e21, draws=draws)
    assert few.status == "suspect"
    assert few.reasons[0].code == "DRAWS_WITHOUT_OPTIMUM"
    assert "3 %" in few.reasons[0].message
    assert few.N_interval[0] is not None
    draws[:30, 1] = 0.0
    many = allocate(CHINCHILLA, LAD, 1e21, draws=draws)
    assert many.N_interval == (None,)
    assert "no interval" in many.reasons[0].message


def test_a_fit_brings_its_law_values_and_draws():
    draws = _draws()
    fit = SimpleNamespace(law=CHINCHILLA, theta=THETA, draws=draws, method="pairs bootstrap")
    plan = allocate(fit, C=1e21)
    same = allocate(CHINCHILLA, THETA, 1e21, draws=draws)
    assert plan.N_opt[0] == same.N_opt[0]
    assert plan.N_interval[0].low == same.N_interval[0].low
    assert plan.N_interval[0].method == "pairs bootstrap, law taken as right"
    bare = SimpleNamespace(law=CHINCHILLA, theta=THETA, draws=np.empty((0, 5)), method="")
    assert allocate(bare, C=1e21).N_interval is None


def test_pins_and_ties_keep_the_closed_form():
    pinned = CHINCHILLA.pin(E=LAD["E"], beta=LAD["beta"])
    tied = CHINCHILLA.tie(beta="alpha")
    one = allocate(pinned, {n: LAD[n] for n in pinned.names}, 1e22)
    assert one.N_opt[0] == pytest.approx(allocate(CHINCHILLA, LAD, 1e22).N_opt[0], rel=1e-13)
    two = allocate(tied, {n: LAD[n] for n in tied.names}, 1e22)
    assert two.exponent_N[0] == 0.5


def test_repeated_data_wear_out():
    law = get_law("repetition")
    free = allocate(CHINCHILLA, {n: REPEAT[n] for n in CHINCHILLA.names}, BUDGETS)
    scarce = allocate(law, REPEAT, BUDGETS, fixed={"U": 1e9})
    # Before the data run out nothing changes; after, fewer passes than unlimited data would get,
    # but more than one.
    early = free.D_opt < 1e9
    repeated = free.D_opt > 2e9
    np.testing.assert_allclose(scarce.N_opt[early], free.N_opt[early], rtol=1e-9)
    assert (scarce.D_opt[repeated] < free.D_opt[repeated]).all()
    assert (scarce.D_opt[repeated] > 1e9).all()
    assert (scarce.L_opt[repeated] > free.L_opt[repeated]).all()
    assert scarce.status == "ok"


def test_unique_data_cap_a_law_without_repetition():
    capped = allocate(CHINCHILLA, LAD, [1e19, 1e24], fixed={"U": 1e11})
    same = allocate(CHINCHILLA, LAD, [1e19, 1e24], max_D=1e11)
    np.testing.assert_array_equal(capped.N_opt, same.N_opt)
    assert capped.D_opt[1] == 1e11
    assert capped.D_opt[0] < 1e11
    assert capped.N_opt[1] == pytest.approx(1e24 / 6e11, rel=1e-12)
    (reason,) = capped.reasons
    assert (reason.code, reason.severity) == ("DATA_BIND", "info")
    assert "1e+24" in reason.message
    assert "1e+19" not in reason.message
    # No smaller size is on offer: it would want more data.
    assert capped.near_optimal[1].N_low == pytest.approx(capped.N_opt[1], rel=1e-12)
    assert capped.near_optimal[1].N_high > capped.N_opt[1]
    assert capped.price([0.5], index=1)[0].D == 1e11


@pytest.mark.parametrize("name", ["power_floor", "power"])
def test_laws_of_one_axis_refuse(name):
    for axis in ("N", "D", "C"):
        law = get_law(name, axis=axis)
        plan = allocate(
            law,
            dict.fromkeys(law.names, 0.5),
            [1e20, 1e21],
            draws=np.ones((4, 3)) if name == "power_floor" else np.ones((4, 2)),
        )
        assert plan.status == "failed"
        assert plan.reasons[0].code == "NO_INTERIOR_OPTIMUM"
        assert np.isnan(plan.N_opt).all()
        assert np.isnan([r.loss for r in plan.price()]).all()
        assert plan.N_interval == (None, None)
        with pytest.raises(FitError) as caught:
            plan.require()
        assert caught.value.code == "NO_INTERIOR_OPTIMUM"
        assert "no best split" in plan.summary()


def test_a_lower_loss_at_the_end_of_the_world_is_told():
    from isoloss.laws import law_from_expression

    law = law_from_expression("E + A*N**-0.3 + B*D**-0.3 - s*max(log(N) - 70, 0)", axes=("N", "D"))
    plan = allocate(law, {"E": 2.0, "A": 400.0, "B": 400.0, "s": 1e9}, 1e22)
    assert [r.code for r in plan.reasons] == ["EDGE_LOWER"]
    assert plan.status == "suspect"
    assert plan.N_opt[0] == pytest.approx(np.sqrt(1e22 / 6), rel=1e-6)


def test_answers_serialise():
    plan = allocate(CHINCHILLA, LAD, [1e20, 1e22], draws=_draws(), fixed={"U": 1e10})
    data = json.loads(to_json(plan))
    budget = data["budgets"][0]
    assert set(budget["near_optimal"]) == {
        "tolerance_percent",
        "N_low",
        "N_high",
        "compute_price_percent",
    }
    assert set(budget["intervals"]["N_opt"]) == {"low", "high", "level", "method"}
    assert set(plan.price([2.0])[0].to_dict()) >= {
        "N_ratio",
        "N",
        "loss",
        "excess_percent",
        "deadweight_percent",
    }
    failed = allocate(get_law("power", axis="D"), {"A": 1.0, "alpha": 0.3}, 1e20)
    assert json.loads(to_json(failed))["budgets"][0]["N_opt"] is None
    table = plan.to_columns()
    assert {len(v) for v in table.values()} == {2}
    assert {"C", "N_opt", "N_low", "N_high"} <= set(table)
    assert "<pre>" in plan._repr_html_()
    assert "1e+22" in plan.summary()
    assert not plan.N_opt.flags.writeable


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"C": 0.0}, "C"),
        ({"C": [1e20, np.nan]}, r"C\[1\]"),
        ({"C": None}, "budget"),
        ({"theta": None}, "theta"),
        ({"theta": [np.nan] * 5}, "finite"),
        ({"draws": np.ones(5)}, "draws"),
        ({"weights": [1.0]}, "weights"),
        ({"draws": np.ones((3, 5)), "weights": [1, -1, 1]}, "weights"),
        ({"fixed": {"D": 1e9}}, "fixed"),
        ({"fixed": {"U": -1}}, "fixed"),
        ({"fixed": {"lr": 1}}, "lr"),
        ({"max_D": 0}, "max_D"),
        ({"tolerance": 0}, "tolerance"),
        ({"level": 1.0}, "level"),
        ({"law": "chinchilla"}, "law"),
        ({"law": get_law("repetition"), "theta": REPEAT}, "fixed"),
    ],
)
def test_bad_arguments_name_themselves(change, text):
    call = {"law": CHINCHILLA, "theta": THETA, "C": 1e20} | change
    with pytest.raises(InputError, match=text):
        allocate(**call)

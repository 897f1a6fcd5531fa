import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.plan import (
    Coefficient,
    FromFunction,
    SixND,
    TransformerFLOPs,
    WithAttention,
)
from isoloss.plan.cost import as_cost
from isoloss.runs.flops import transformer_counts


def _rule(N):
    depth = np.cbrt(N / (12 * 100.0**2))
    return 100 * depth, depth


COSTS = [
    SixND(),
    Coefficient(8.0),
    WithAttention(context=4096),
    WithAttention(context=512, aspect=64, causal=False),
    TransformerFLOPs(shape=_rule, context=2048, vocabulary=50_000),
    FromFunction(lambda N, D: 6 * N * D + 1e-3 * N**1.5 * D**0.9),
]
sizes = st.floats(3, 14).map(lambda e: 10**e)


@pytest.mark.parametrize("cost", COSTS, ids=lambda c: c.text)
@given(N=sizes, D=sizes)
def test_inverses_round_trip(cost, N, D):
    C = cost(N, D)
    np.testing.assert_allclose(cost.tokens(N, C), D, rtol=1e-12)
    np.testing.assert_allclose(cost.size(D, C), N, rtol=1e-12)
    centre = cost.balanced(C)
    np.testing.assert_allclose(cost(centre, centre), C, rtol=1e-12)


@pytest.mark.parametrize("cost", COSTS, ids=lambda c: c.text)
def test_tilt_is_the_slope_along_the_budget(cost):
    N, C, h = np.geomspace(1e6, 1e12, 7), 1e22, 1e-4
    D = cost.tokens(N, C)
    chord = np.log(cost.tokens(N * np.exp(h), C) / cost.tokens(N * np.exp(-h), C)) / (2 * h)
    np.testing.assert_allclose(cost.tilt(N, D), chord, atol=1e-7)


def test_shapes_broadcast():
    cost = WithAttention(context=1024)
    assert cost.tokens(np.ones((3, 4)) * 1e8, 1e20).shape == (3, 4)
    assert cost.tilt(np.ones((3, 4)), np.ones((3, 4))).shape == (3, 4)
    assert FromFunction(lambda N, D: N * D).tokens([1e8, 1e9], 1e20).shape == (2,)


def test_six_nd_against_its_words():
    assert SixND()(1e9, 2e10) == 1.2e20
    assert SixND().text == "6 N D"
    assert Coefficient(2.0).tokens(5.0, 100.0) == 10.0


def test_attention_agrees_with_the_count_of_a_built_model():
    depth = 20
    counts = transformer_counts(width=100 * depth, depth=depth, vocabulary=1, context=4096)
    N = 12.0 * depth * (100 * depth) ** 2
    per_token = float(WithAttention(context=4096)(N, 1.0))
    assert per_token == pytest.approx(counts.flops_dense + counts.flops_attention, rel=1e-12)
    whole = float(WithAttention(context=4096, causal=False)(N, 1.0))
    assert whole - counts.flops_dense == pytest.approx(2 * counts.flops_attention, rel=1e-12)


def test_own_shape_rule_matches_the_built_in_one():
    ours = TransformerFLOPs(shape=_rule, context=4096)
    np.testing.assert_allclose(ours(1e9, 1e10), WithAttention(context=4096)(1e9, 1e10), rtol=1e-13)
    head = TransformerFLOPs(shape=_rule, context=4096, vocabulary=1000)
    extra = 6 * 1000 * float(_rule(1e9)[0]) * 1e10
    assert float(head(1e9, 1e10) - ours(1e9, 1e10)) == pytest.approx(extra, rel=1e-9)


def test_bad_costs_are_refused():
    with pytest.raises(InputError, match="must be positive"):
        Coefficient(0.0)
    with pytest.raises(InputError, match="both must be positive"):
        WithAttention(context=0)
    with pytest.raises(InputError, match="SixND"):
        as_cost(SixND)
    with pytest.raises(InputError, match="SixND"):
        as_cost("6ND")
    bounded = FromFunction(lambda N, D: D / (1 + D) + 0 * N)
    with pytest.raises(InputError, match="grow from nothing"):
        bounded.tokens(1.0, 5.0)

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.plan import group_budgets


def test_budgets_that_round_to_the_same_digit_stay_apart():
    # Rounding to one significant digit puts both into 2e19.
    groups = group_budgets([1.5e19, 2.4e19, 1.5e19, 2.4e19])
    assert [g.index.tolist() for g in groups] == [[0, 2], [1, 3]]


def test_budgets_astride_a_rounding_edge_stay_together():
    # Rounding to one significant digit puts them into 1e19 and 2e19.
    (group,) = group_budgets([1.49e19, 1.51e19])
    assert group.index.tolist() == [0, 1]
    assert pytest.approx(1.5e19, rel=1e-3) == group.C


@given(st.lists(st.floats(1e15, 1e25), min_size=1, max_size=40), st.floats(0.01, 0.5))
def test_every_run_is_in_one_group_and_groups_are_apart(C, rtol):
    groups = group_budgets(C, rtol=rtol)
    assert sorted(np.concatenate([g.index for g in groups]).tolist()) == list(range(len(C)))
    values = np.array(C)
    for a, b in itertools.pairwise(groups):
        gap = np.log(values[b.index].min()) - np.log(values[a.index].max())
        assert gap > np.log1p(rtol)


@given(st.permutations(range(12)), st.floats(1e-20, 1e20))
def test_order_and_unit_do_not_matter(order, unit):
    C = np.repeat([1e18, 1.3e18, 7e18], 4) * np.tile([1, 1.01, 0.99, 1.005], 3)
    rows = np.array(order)
    plain = {frozenset(g.index.tolist()) for g in group_budgets(C)}
    moved = {frozenset(rows[g.index].tolist()) for g in group_budgets(unit * C[rows])}
    assert plain == moved
    assert len(plain) == 3


def test_chains_are_no_budget():
    groups = group_budgets(np.geomspace(1e18, 1e19, 40))
    assert [g.refusal.code for g in groups] == ["CHAINED"]


def test_too_few_sizes():
    C = np.repeat([1e18, 1e19], [4, 5])
    N = [1e6, 1e6, 2e6, 4e6, 1e6, 2e6, 4e6, 8e6, 8e6]
    few, enough = group_budgets(C, N)
    assert few.refusal.code == "TOO_FEW_SIZES"
    assert "3 distinct" in few.refusal.message
    assert enough.refusal is None


def test_unequal_lengths():
    with pytest.raises(InputError, match="one each a run"):
        group_budgets([1e18, 1e18], [1e6])

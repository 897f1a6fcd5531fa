import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.fit.backtest import run_scale
from isoloss.runs import Runs
from isoloss.study.pipeline import HELD_OUT_FACTOR, hold_out

SCALES = st.lists(st.integers(0, 40), min_size=1, max_size=60)


def runs_at(levels: list[int]) -> Runs:
    """Runs of compute 2**level; equal levels are equal scales."""
    C = 2.0 ** np.array(levels)
    return Runs(columns={"C": C, "loss": 1 + 1 / C})


@settings(max_examples=200, deadline=None, derandomize=True)
@given(SCALES)
def test_what_is_held_out_is_the_top_and_leaves_enough(levels):
    runs = runs_at(levels)
    held, scale = hold_out(runs), run_scale(runs)
    assert held.sum() <= len(runs) / 2
    if held.any():
        assert (~held).sum() >= 8
        # A threshold on scale: runs of equal scale stay together.
        assert scale[held].min() > scale[~held].max()
        assert held[np.argmax(scale)]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(SCALES, st.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(levels, random):
    order = list(range(len(levels)))
    random.shuffle(order)
    shuffled = hold_out(runs_at([levels[i] for i in order]))
    assert (shuffled == hold_out(runs_at(levels))[order]).all()


def test_few_large_runs_are_all_held_out():
    held = hold_out(runs_at([*range(20), 30, 31, 32]))
    assert held.tolist() == [False] * 20 + [True] * 3
    assert 2.0**30 > 2.0**32 / HELD_OUT_FACTOR > 2.0**19


def test_many_large_runs_give_up_their_largest_twentieth():
    C = np.concatenate([np.geomspace(1, 10, 20), np.geomspace(100, 110, 40)])
    held = hold_out(Runs(columns={"C": C, "loss": 1 + 1 / C}))
    assert np.flatnonzero(held).tolist() == [57, 58, 59]


def test_nothing_is_held_out_of_few_runs():
    assert not hold_out(runs_at(list(range(8)))).any()
    assert hold_out(runs_at(list(range(0, 36, 4)))).sum() == 1

"""Specs: what they refuse, what their names depend on, and which examples their steps see."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.sweep import Cnn, DataSpec, Mlp, RandomFeatures, RunSpec, Transformer, spec_from
from isoloss.sweep.order import Order

IMAGES = DataSpec(name="fashion-mnist")
BASE = RunSpec(model=Mlp(width=64), data=IMAGES, D=1024, steps=500, batch=64, lr=0.003)

CHANGED = {
    "model": Mlp(width=65),
    "data": DataSpec(name="fashion-mnist", superclasses=2),
    "D": 1025,
    "batch": 65,
    "lr": 0.0031,
    "steps": 501,
    "passes": 2.0,
    "optimiser": "sgd",
    "beta1": 0.8,
    "beta2": 0.97,
    "weight_decay": 0.1,
    "clip": 2.0,
    "schedule": "wsd",
    "warmup": 1,
    "decay": 0.3,
    "width_rule": "mup",
    "base_width": 32,
    "readout": "zero",
    "loss": "squared",
    "choose": "best",
    "evaluations": 9,
    "seed": 1,
    "subset": 0,
}


def test_every_field_is_part_of_the_name_and_survives_plain_values():
    assert set(CHANGED) == {f.name for f in fields(RunSpec)}
    names = {BASE.name}
    for field, value in CHANGED.items():
        other = replace(BASE, **{field: value})
        names.add(other.name)
        assert spec_from(other.to_dict()) == other
    assert len(names) == len(CHANGED) + 1


def test_a_field_that_came_later_leaves_names_as_they_were():
    """Ledgers hold these names; a run of another name would be trained again."""
    assert BASE.name == "mlp-w64-D1024-s0-2f0658998ecf"
    assert replace(BASE, readout="random") == BASE
    assert spec_from(BASE.to_dict() | {"readout": "random"}).name == BASE.name


@pytest.mark.parametrize("model", [Transformer(width=8, depth=1, heads=2), RandomFeatures(width=8)])
def test_only_perceptrons_and_convolutions_start_from_a_readout_of_zero(model):
    with pytest.raises(InputError, match=r"readout = 'zero': a .* leave it out"):
        replace(BASE, model=model, D=10_000, readout="zero")


@pytest.mark.parametrize(
    "model", [Mlp(width=8), Cnn(width=8), Transformer(width=8, depth=1, heads=2),
              RandomFeatures(width=8, activation="linear", ridge=0.5)]
)  # fmt: skip
def test_shapes_with_equal_numbers_have_different_names(model):
    data = DataSpec(name="stdlib") if isinstance(model, Transformer) else IMAGES
    spec = replace(BASE, model=model, data=data, D=10_000)
    assert spec_from(spec.to_dict()) == spec
    assert spec.name.startswith(f"{model.kind}-w8-D10000-s0-")


def test_steps_and_examples_seen():
    text = RunSpec(
        model=Transformer(width=8, depth=1, heads=2), data=DataSpec(name="stdlib"), D=1_000_000,
        batch=4, lr=0.01,
    )  # fmt: skip
    assert (text.updates, text.seen) == (1953, 999_936)
    assert replace(BASE, steps=0, passes=2.5).updates == 40
    solved = replace(BASE, model=RandomFeatures(width=8))
    assert (solved.updates, solved.seen) == (0, 1024)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"D": 0}, "D = 0: must be a whole number of at least 1"),
        ({"D": 10.0}, r"D = 10\.0: must be a whole number"),
        ({"batch": True}, "batch = True"),
        ({"lr": 0.0}, r"lr = 0\.0: must be positive"),
        ({"lr": float("inf")}, "must be finite"),
        ({"lr": float("nan")}, "lr = nan: must be positive"),
        ({"decay": 0.0}, r"decay = 0\.0"),
        ({"readout": "none"}, "readout = 'none': must be one of random, zero"),
        ({"schedule": "step"}, "schedule = 'step': must be one of linear, cosine"),
        ({"warmup": 500}, "500 steps, not more than warmup = 500"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_value(changes, words):
    with pytest.raises(InputError, match=words):
        replace(BASE, **changes)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"model": {"kind": "rnn"}}, "model kind = 'rnn': must be one of mlp"),
        ({"model": {"kind": "mlp", "wdith": 3}}, "unknown field 'wdith'"),
        ({"model": {"kind": "mlp"}}, "model mlp: .*width"),
        ({"model": {"kind": "transformer", "width": 9, "depth": 1, "heads": 2}}, "not divisible"),
        ({"model": "mlp"}, "model must be a table"),
        ({"lrate": 1}, "unknown field 'lrate'"),
    ],
)
def test_plain_values_that_are_no_spec(plain, words):
    with pytest.raises(InputError, match=words):
        spec_from(BASE.to_dict() | plain)
    missing = {k: v for k, v in BASE.to_dict().items() if k != "lr"}
    with pytest.raises(InputError, match="lr"):
        spec_from(missing)


@settings(max_examples=60, deadline=None)
@given(
    D=st.integers(1, 60), batch=st.integers(1, 40), steps=st.integers(1, 30), seed=st.integers(0, 9)
)
def test_each_pass_sees_every_example_of_the_subset_once(D, batch, steps, seed):
    order = Order(replace(BASE, D=D, batch=batch, steps=steps, seed=seed), 60)
    stream = np.concatenate([order.at(s) for s in range(steps)])
    assert all(len(order.at(s)) == batch for s in range(steps))
    for start in range(0, len(stream) - D + 1, D):
        assert sorted(stream[start : start + D]) == sorted(order.members)
    # Resumed anywhere, and many steps at once, it is the same.
    again = Order(replace(BASE, D=D, batch=batch, steps=steps, seed=seed), 60)
    np.testing.assert_array_equal(again.at(steps - 1), order.at(steps - 1))
    np.testing.assert_array_equal(again.span(0, steps).ravel(), stream)


def test_subsets_are_nested_and_set_by_their_own_seed():
    small, large = (Order(replace(BASE, D=d, subset=7), 60) for d in (16, 60))
    np.testing.assert_array_equal(large.members[:16], small.members)
    same = Order(replace(BASE, D=16, seed=3, subset=7), 60)
    np.testing.assert_array_equal(same.members, small.members)
    assert not np.array_equal(Order(replace(BASE, D=16, seed=3), 60).members, small.members)
    with pytest.raises(InputError, match="the data hold 60 training examples; lower D"):
        Order(replace(BASE, D=61), 60)

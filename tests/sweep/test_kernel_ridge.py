import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from isoloss.errors import InputError
from isoloss.spectra import mlp_kernel
from isoloss.sweep import (
    DataSpec,
    KernelRidge,
    RandomFeatures,
    RunSpec,
    grid,
    kernel_matrix,
    kernel_ridge,
    spec_from,
)
from isoloss.sweep.data.table import subset_order
from isoloss.sweep.solve import solve, solve_runs
from sweep import small_data as small


def run(D=60, seed=3, **model):
    return RunSpec(
        model=KernelRidge(**{"kernel": "rbf"} | model), data=DataSpec(name="given"), D=D, batch=1,
        lr=1, seed=seed,
    )  # fmt: skip


KINDS = [
    {"kernel": "rbf", "bandwidth": 0.7},
    {"kernel": "laplace", "bandwidth": 1.3},
    {"kernel": "nngp", "depth": 2, "weights": 2.0, "biases": 0.1},
    {"kernel": "nngp", "activation": "erf"},
    {"kernel": "ntk", "weights": 2.0},
]


def naive(model, x, z):
    """The kernel by its definition, distances pair by pair."""
    d = x.shape[1]
    if model.kernel == "rbf":
        return np.exp(-cdist(x, z, "sqeuclidean") / (2 * d * model.bandwidth**2))
    if model.kernel == "laplace":
        return np.exp(-cdist(x, z) / (math.sqrt(d) * model.bandwidth))
    return mlp_kernel(
        x, z, kind=model.kernel, depth=model.depth, activation=model.activation,
        weights=model.weights, biases=model.biases,
    )  # fmt: skip


def by_hand(spec, data):
    """A linear system with the intercept as one more unknown, weights that sum to zero."""
    rows = subset_order(data.examples, spec.seed)[: spec.D]
    x, z = (v.reshape(len(v), -1).astype(float) for v in (data.train_x[rows], data.test_x))
    y, truth = (
        np.eye(data.outputs)[v] if data.kind == "classes" else v.astype(float)
        for v in (data.train_y[rows], data.test_y)
    )
    n = len(x)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = naive(spec.model, x, x) + spec.model.ridge * np.eye(n)
    system[n, n] = 0
    found = np.linalg.solve(system, np.vstack([y, np.zeros(y.shape[1])]))
    guess = naive(spec.model, z, x) @ found[:n] + found[n]
    fitted = naive(spec.model, x, x) @ found[:n] + found[n]
    return [((g - t) ** 2).sum(axis=1).mean() for g, t in ((guess, truth), (fitted, y))]


@pytest.mark.parametrize("make", [small.numbers, small.classes])
@pytest.mark.parametrize("model", KINDS, ids=lambda m: m["kernel"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_same_as_a_naive_solution(make, model, ridge):
    data, spec = make(shape=(2, 3)), run(**model, ridge=ridge)
    row, wanted = solve(spec, data), by_hand(spec, data)
    assert row["loss"] == pytest.approx(wanted[0], rel=1e-7)
    assert row["train_loss"] == pytest.approx(wanted[1], rel=1e-6, abs=1e-12)
    assert row["rank"] == 59
    assert row["N"] == 61 * data.outputs
    assert (row["flops_dense"], row["flops_head"]) == (2 * 6 * 60**2, 60**3 // 3)
    assert ("error" in row) == (data.kind == "classes")


def test_ridges_together_are_ridges_alone(monkeypatch):
    import scipy.linalg

    data = small.classes()
    specs = [run(kernel="laplace", ridge=r) for r in (1.0, 0.0, 1e-6, 30.0)]
    alone = [solve(s, data) for s in specs]
    calls, plain = [], scipy.linalg.eigh
    monkeypatch.setattr(scipy.linalg, "eigh", lambda m, **o: calls.append(m.shape) or plain(m, **o))
    together = solve_runs(specs, data)
    assert calls == [(60, 60)]
    for a, b in zip(together, alone, strict=True):
        for key in ("loss", "train_loss"):
            assert a[key] == pytest.approx(b[key], rel=1e-10, abs=1e-14)
        assert (a["run"], a["error"]) == (b["run"], b["error"])
    assert len({row["loss"] for row in together}) == len(specs)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_random_features_tend_to_their_kernel(activation):
    data = small.numbers(shape=(4,))
    kernel = solve(run(kernel="nngp", activation=activation, ridge=0.5), data)["loss"]
    common = run()
    off = []
    for width in (100, 1600, 25_600):
        losses = [
            # A feature is one of `width` shares of the kernel, and so is the ridge.
            solve(
                replace(
                    common, model=RandomFeatures(width=width, activation=activation,
                                                 ridge=0.5 * width),
                    seed=seed, subset=3,
                ), data,
            )["loss"] for seed in range(8)
        ]  # fmt: skip
        off.append(np.mean(np.abs(np.array(losses) / kernel - 1)))
    # Sixteen times as wide is a fourth as far.
    assert off[0] > 2 * off[1] > 4 * off[2]
    assert off[2] < 0.02


def test_a_kernel_of_frozen_features_is_that_of_the_features():
    """Linear kernel of features, handed over as data, against ridge regression on them."""
    from isoloss.sweep import random_feature_map

    data = small.numbers(shape=(4,))
    made = {
        f"{part}_x": random_feature_map(getattr(data, f"{part}_x"), width=30).astype("f4")
        for part in ("train", "valid", "test")
    }
    spec = run(kernel="nngp", activation="linear", ridge=0.1)
    found = solve(spec, replace(data, **made))
    on_inputs = replace(spec, model=RandomFeatures(width=30, ridge=0.1 * 30), seed=0, subset=3)
    assert found["loss"] == pytest.approx(solve(on_inputs, data)["loss"], rel=1e-5)
    assert found["rank"] == 30


@pytest.mark.parametrize("model", KINDS, ids=lambda m: m["kernel"])
def test_blocks_are_invisible(model, monkeypatch):
    x = small.numbers().train_x[:50].reshape(50, -1).astype(float)
    shape = KernelRidge(**model)
    whole, across = kernel_matrix(shape, x), kernel_matrix(shape, x[:9], x)
    assert whole == pytest.approx(naive(shape, x, x), rel=1e-6)
    monkeypatch.setattr(kernel_ridge, "_BLOCK", 7)
    blocked = kernel_matrix(shape, x)
    assert blocked == pytest.approx(whole, rel=1e-13)
    assert (blocked == blocked.T).all()
    assert kernel_matrix(shape, x[:9], x) == pytest.approx(across, rel=1e-13)


def test_the_kernel_of_inputs_is_flat_in_their_number():
    """Distances are shares of the dimension: a repeated input changes nothing."""
    x = np.random.default_rng(0).standard_normal((6, 4))
    for model in KINDS:
        shape = KernelRidge(**model)
        doubled = kernel_matrix(shape, np.repeat(x, 2, axis=1))
        assert doubled == pytest.approx(kernel_matrix(shape, x), rel=1e-12)


def test_what_is_too_large_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr(kernel_ridge, "_MOST", 50 * 50 + 3)
    data = small.numbers()
    with pytest.raises(InputError, match=r"D = 51: a kernel of 20808 bytes.* D = 50 fits"):
        solve(run(D=51), data)
    # Test rows come in blocks of the same bound.
    with pytest.raises(InputError, match="50 by 60 rows"):
        kernel_matrix(KernelRidge(kernel="rbf"), data.test_x, data.train_x[:60])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kernel": "cubic"}, "kernel = 'cubic': must be one of rbf, laplace, nngp, ntk"),
        ({"bandwidth": 0.0}, "bandwidth = 0.0: must be finite and above zero"),
        ({"bandwidth": "wide"}, "bandwidth = 'wide'"),
        ({"ridge": -1.0}, "ridge = -1.0: must be finite and at least 0"),
        ({"ridge": float("nan")}, "ridge = nan"),
        ({"depth": 2}, "depth = 2: rbf does not use it"),
        ({"kernel": "ntk", "bandwidth": 2.0}, "bandwidth = 2.0: ntk does not use it"),
        ({"kernel": "ntk", "activation": "gelu"}, "activation = 'gelu'"),
        ({"kernel": "ntk", "depth": 0}, "depth = 0"),
    ],
)
def test_shapes_that_are_none(fields, words):
    with pytest.raises(InputError, match=words):
        KernelRidge(**{"kernel": "rbf"} | fields)


def test_a_kernel_has_no_width():
    from isoloss.sweep.shapes import of_width

    assert of_width(RandomFeatures(width=3), 5) == RandomFeatures(width=5)
    with pytest.raises(InputError, match="kernel-ridge: has no width"):
        of_width(KernelRidge(kernel="rbf"), 5)


def test_rows_that_are_none():
    shape = KernelRidge(kernel="rbf")
    for x, z in ((["a"], None), (np.ones(3), None), (np.ones((2, 3)), np.ones((2, 4)))):
        with pytest.raises(InputError, match="rows of"):
            kernel_matrix(shape, x, z)


def test_in_a_grid_and_by_name():
    specs = grid({
        "batch": 1, "lr": 1, "D": [50, 100],
        "model": {"kind": "kernel-ridge", "kernel": "rbf", "bandwidth": [1, 2], "ridge": 0.1},
        "data": {"name": "mnist1d"},
    })  # fmt: skip
    assert len(specs) == len({s.name for s in specs}) == 4
    assert specs[0].name.startswith("kernel-ridge-rbf-D50-s0-")
    assert all(spec_from(s.to_dict()) == s for s in specs)
    # A whole number and a real one are one run.
    assert run(bandwidth=1).name == run(bandwidth=1.0).name
    assert (specs[0].solved, specs[0].updates, specs[0].seen) == (True, 0, 50)


def test_names_of_other_models_are_what_they_were():
    spec = RunSpec(
        model=RandomFeatures(width=8, ridge=0.5), data=DataSpec(name="fashion-mnist"), D=10,
        batch=1, lr=1.0,
    )  # fmt: skip
    assert spec.name == "random-features-w8-D10-s0-15e404eabda5"

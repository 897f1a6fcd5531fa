from dataclasses import replace

import numpy as np
import pytest
from scipy.special import erf, ndtr

from isoloss.errors import InputError
from isoloss.sweep import Data, DataSpec, Mlp, RandomFeatures, RunSpec
from isoloss.sweep.data.table import subset_order
from isoloss.sweep.solve import random_feature_map, solve, solve_runs


def made(kind="numbers", n=120, shape=(2, 3), outputs=2):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n + 60, *shape)).astype("f4")
    flat = x.reshape(len(x), -1)
    y = np.tanh(flat[:, :outputs]) + 0.1 * rng.standard_normal((len(x), outputs))
    y = y.argmax(axis=1) if kind == "classes" else y.astype("f4")
    return Data(
        kind=kind, train_x=x[:n], train_y=y[:n], valid_x=x[:0], valid_y=y[:0], test_x=x[n:],
        test_y=y[n:], outputs=outputs, digest="ab" * 32,
    )  # fmt: skip


def run(D=50, seed=3, **model):
    return RunSpec(
        model=RandomFeatures(**{"width": 20} | model), data=DataSpec(name="given"), D=D, batch=1,
        lr=1, seed=seed,
    )  # fmt: skip


def by_hand(spec, data):
    """Normal equations of the primal, or the pseudo-inverse, with an explicit intercept."""
    s = {
        "relu": lambda g: np.maximum(g, 0), "erf": erf, "tanh": np.tanh, "linear": lambda g: g,
        "gelu": lambda g: g * ndtr(g),
    }[spec.model.activation]  # fmt: skip
    d = int(np.prod(data.features))
    W = np.random.default_rng([spec.seed, 6]).standard_normal((spec.model.width, d)) / np.sqrt(d)
    rows = subset_order(data.examples, spec.seed)[: spec.D]

    def phi(x):
        return s(x.reshape(len(x), -1).astype(float) @ W.T)

    def target(y):
        return np.eye(data.outputs)[y] if data.kind == "classes" else y.astype(float)

    F, y = phi(data.train_x[rows]), target(data.train_y[rows])
    Fc, yc = F - F.mean(axis=0), y - y.mean(axis=0)
    if spec.model.ridge:
        gram = Fc.T @ Fc + spec.model.ridge * np.eye(F.shape[1])
        w = np.linalg.solve(gram, Fc.T @ yc)
    else:
        w = np.linalg.pinv(Fc, rcond=1e-10) @ yc
    out = []
    for x, t in ((data.test_x, target(data.test_y)), (data.train_x[rows], y)):
        guess = (phi(x) - F.mean(axis=0)) @ w + y.mean(axis=0)
        out += [((guess - t) ** 2).sum(axis=1).mean(), (guess.argmax(1) != t.argmax(1)).mean()]
    return out


@pytest.mark.parametrize("kind", ["numbers", "classes"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize(("D", "width"), [(50, 20), (20, 50), (30, 30)])
def test_the_same_as_by_hand(kind, ridge, D, width):
    data, spec = made(kind), run(D=D, width=width, ridge=ridge)
    row, wanted = solve(spec, data), by_hand(spec, data)
    assert row["loss"] == pytest.approx(wanted[0], rel=1e-7)
    assert row["train_loss"] == pytest.approx(wanted[2], rel=1e-7, abs=1e-15)
    assert row.get("error") == (pytest.approx(wanted[1]) if kind == "classes" else None)
    assert row["N"] == 2 * (width + 1)
    assert (row["status"], row["data"], row["run"]) == ("done", "ab" * 8, spec.name)
    assert row["rank"] == min(D - 1, width)


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh", "gelu", "linear"])
def test_every_activation(activation):
    data, spec = made(), run(activation=activation, width=15)
    assert solve(spec, data)["loss"] == pytest.approx(by_hand(spec, data)[0], rel=1e-7)


@pytest.mark.parametrize("ridge", [0.0, 1.0])
@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_widths_together_are_widths_alone(ridge, activation):
    data = made("classes")
    specs = [run(width=w, ridge=ridge, activation=activation) for w in (30, 4, 6, 49, 50, 80)]
    together, alone = solve_runs(specs, data), [solve(s, data) for s in specs]
    for a, b in zip(together, alone, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-10)
        assert [a[k] for k in ("run", "rank", "flops", "N")] == [
            b[k] for k in ("run", "rank", "flops", "N")
        ]
    if activation == "linear":
        assert [r["rank"] for r in together] == [6, 4, 6, 6, 6, 6]


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_ridges_together_are_ridges_alone(activation, monkeypatch):
    data = made("classes")
    specs = [
        run(width=w, ridge=r, activation=activation)
        for r in (1.0, 0.0, 1e-4, 30.0)
        for w in (20, 80)
    ]
    alone = [solve(s, data) for s in specs]
    calls, plain = [], np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda m: calls.append(len(m)) or plain(m))
    together = solve_runs(specs, data)
    # One decomposition a width, over the smaller side, whatever the number of ridges.
    assert sorted(calls) == [20, 50]
    for a, b in zip(together, alone, strict=True):
        for key in ("loss", "train_loss"):
            assert a[key] == pytest.approx(b[key], rel=1e-10, abs=1e-14)
        assert (a["run"], a["error"], a["rank"]) == (b["run"], b["error"], b["rank"])
    assert len({row["loss"] for row in together}) == len(specs)


def test_no_ridge_is_the_limit_of_a_small_one():
    data = made()
    for width in (20, 200):
        small = solve(run(width=width, ridge=1e-9), data)["loss"]
        assert small == pytest.approx(solve(run(width=width), data)["loss"], rel=1e-5)


def test_cost_is_counted():
    row = solve(run(D=50, width=20), made())
    assert row["flops_dense"] == 2 * 6 * 20 * 50
    assert row["flops_head"] == 2 * 50 * 400 - 2 * 8000 // 3
    assert row["flops"] == row["flops_dense"] + row["flops_head"]
    assert solve(run(D=20, width=50, ridge=1.0), made())["flops_head"] == 50 * 400 + 8000 // 3
    assert (row["steps"], row["seen"]) == (0, 50)


def test_the_map_is_that_of_the_solution_and_has_the_known_kernel():
    from isoloss.spectra import mlp_kernel

    x = made().train_x[:6]
    flat = x.reshape(6, -1).astype(float)
    for activation in ("relu", "erf"):
        f = random_feature_map(x, width=200_000, activation=activation)
        kernel = mlp_kernel(flat, activation=activation, weights=1)
        assert f @ f.T / 200_000 == pytest.approx(kernel, abs=0.02 * kernel.max())


def test_mistakes_are_named():
    data = made()
    text = replace(data, kind="text")
    for said, call in {
        "trained, not solved": lambda: solve(replace(run(), model=Mlp(width=4), passes=100), data),
        "are text": lambda: solve(run(), text),
        "closed form": lambda: solve(replace(run(), loss="cross-entropy"), data),
        "lower D": lambda: solve(run(D=121), data),
        "more than width and ridge": lambda: solve_runs([run(), run(seed=4)], data),
        "in more than": lambda: solve_runs([run(), run(activation="erf")], data),
        "lower one": lambda: solve(run(D=120, width=10_000_000), data),
        "no test": lambda: solve(
            run(), replace(data, test_x=data.test_x[:0], test_y=data.test_y[:0])
        ),
        "activation": lambda: random_feature_map(data.train_x, width=3, activation="no"),
        "rows of numbers": lambda: random_feature_map(["a"], width=3),
    }.items():
        with pytest.raises(InputError, match=said):
            call()
    assert solve_runs([], data) == []

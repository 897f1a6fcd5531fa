"""The best split of the largest runs as fits below cuts see it."""

from __future__ import annotations

import numpy as np
import pytest

from fit.designs import TRUTHS, design, law_of, table
from isoloss.fit import Huber, LeastSquares, backtest, fit_laws
from isoloss.fit.backtest import run_scale
from isoloss.fit.kernel import Kernel
from isoloss.fit.prepare import prepare
from isoloss.fit.splits import best_sizes, top_product
from isoloss.laws import get_law
from isoloss.runs import Runs


def bound(name: str) -> tuple[Kernel, np.ndarray, Runs]:
    runs = table(name, noise=0.01)
    data = prepare(runs, law_of(name))
    kernel = Kernel(data.law, data.x, data.loss, Huber(1e-3))
    return kernel, run_scale(runs, data.law.axes)[data.order], runs


def truths(name: str, count: int) -> np.ndarray:
    """Parameters around the truth, (count, p)."""
    theta = law_of(name).theta(TRUTHS[name])
    rng = np.random.default_rng(3)
    return theta * (1 + 0.03 * rng.standard_normal((count, len(theta))))


def test_chinchilla_has_a_closed_form() -> None:
    kernel, scale, runs = bound("chinchilla")
    theta = truths("chinchilla", 20)
    q = kernel.internal(theta)
    log_N, slopes = best_sizes(kernel, q, scale)

    def closed(values: np.ndarray, product: float) -> np.ndarray:
        _, A, B, alpha, beta = values.T
        return np.asarray(
            (np.log(alpha * A / (beta * B)) + beta * np.log(product)) / (alpha + beta)
        )

    assert get_law("chinchilla").names == ("E", "A", "B", "alpha", "beta")
    np.testing.assert_allclose(log_N, closed(theta, np.max(runs["N"] * runs["D"])), rtol=1e-12)
    scaled = np.max(kernel.x["N"] * kernel.x["D"])
    for i in range(kernel.p):
        step = 1e-30 * np.eye(kernel.p)[i]
        exact = np.imag(closed(kernel.scaled(q + 1j * step), scaled)) / 1e-30
        np.testing.assert_allclose(slopes[:, i], exact, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["coupled", "kaplan", "farseer", "repetition_joint"])
def test_other_laws_are_solved_to_their_least_loss(name: str) -> None:
    kernel, scale, runs = bound(name)
    theta = truths(name, 6)
    q = kernel.internal(theta)
    log_N, slopes = best_sizes(kernel, q, scale)
    assert np.isfinite(log_N).all()
    product = top_product(runs, run_scale(runs))
    near = np.exp(log_N[:, None] + np.array([-0.01, 0.0, 0.01]))
    at = {"N": near, "D": product / near}
    if "U" in kernel.law.axes:
        top = run_scale(runs) >= run_scale(runs).max()
        at["U"] = np.full(near.shape, np.median(runs["U"][top]))
    loss = np.array([kernel.law(t, {a: v[i] for a, v in at.items()}) for i, t in enumerate(theta)])
    assert (loss[:, 1] < loss[:, [0, 2]].min(axis=1)).all()
    for i in range(kernel.p):
        step = 1e-5 * np.eye(kernel.p)[i]
        up, down = (best_sizes(kernel, q + s * step, scale)[0] for s in (1, -1))
        np.testing.assert_allclose(slopes[:, i], (up - down) / 2e-5, rtol=1e-5, atol=1e-6)


def test_splits_of_more_compute_than_the_runs_have() -> None:
    kernel, scale, runs = bound("chinchilla")
    theta = truths("chinchilla", 3)
    log_N, _ = best_sizes(kernel, kernel.internal(theta), scale, ahead=1e6)
    _, A, B, alpha, beta = theta.T
    product = 1e6 * np.max(runs["N"] * runs["D"])
    closed = (np.log(alpha * A / (beta * B)) + beta * np.log(product)) / (alpha + beta)
    np.testing.assert_allclose(log_N, closed, rtol=1e-12)


def test_no_size_is_best_where_one_side_has_no_shortage() -> None:
    kernel, scale, _ = bound("chinchilla")
    theta = truths("chinchilla", 2)
    theta[0, 2] = 0.0  # B: data are free of charge
    log_N, slopes = best_sizes(kernel, kernel.internal(theta), scale)
    assert np.isnan(log_N[0])
    assert np.isnan(slopes[0]).all()
    assert np.isfinite(log_N[1])
    assert np.isfinite(slopes[1]).all()


def test_laws_of_one_axis_have_no_split() -> None:
    laws = fit_laws(table("power_floor", noise=0.01), ["power_floor", "power"], draws=0)
    assert laws.steps
    assert not laws.backtest.splits
    assert np.isnan(laws.backtest.split("power", "lsq")).all()
    assert np.isnan(laws.backtest.split_spread("power", "lsq")).all()
    assert laws.drifts == (None, None)
    assert laws.split_discrepancy == 0.0
    assert [law["drift_chance"] for law in laws.to_dict()["laws"]] == [None, None]


def test_standard_errors_are_the_scatter_over_tables() -> None:
    goal = LeastSquares()
    found = [
        backtest(table("chinchilla", noise=0.01, seed=i), [get_law("chinchilla")], [goal])
        for i in range(60)
    ]
    splits = np.array([t.split("chinchilla", "lsq") for t in found])
    errors = np.array([t.split_spread("chinchilla", "lsq") for t in found])
    theta = [TRUTHS["chinchilla"][n] for n in ("A", "B", "alpha", "beta")]
    x = design("chinchilla")
    A, B, alpha, beta = theta
    true = (np.log(alpha * A / (beta * B)) + beta * np.log(max(x["N"] * x["D"]))) / (alpha + beta)
    scatter = np.std(splits, axis=0)
    # Between cuts the scatter falls by a factor of several; 60 tables give it to 9 %.
    assert scatter[0] > 2 * scatter[-1]
    np.testing.assert_allclose(np.sqrt(np.mean(errors**2, axis=0)), scatter, rtol=0.3)
    assert (np.abs(splits.mean(axis=0) - true) < 0.5 * scatter).all()


def test_between_emphases_splits_are_interpolated() -> None:
    test = backtest(
        table("chinchilla", noise=0.01), [get_law("chinchilla")], [LeastSquares()],
        emphases=(0.0, 1.0),
    )  # fmt: skip
    low, mid, high = (test.split("chinchilla", "lsq", p) for p in (0.0, 0.25, 1.0))
    assert (low != high).any()
    np.testing.assert_allclose(mid, 0.75 * low + 0.25 * high, rtol=1e-12)


def test_where_too_few_runs_are_left_a_fit_leans_as_far_as_it_can() -> None:
    test = backtest(
        table("chinchilla", noise=0.01), [get_law("chinchilla")], [LeastSquares()],
        emphases=(0.0, 4.0),
    )  # fmt: skip
    even, leaning = (test.split("chinchilla", "lsq", p) for p in (0.0, 4.0))
    assert np.isfinite(even).all()
    np.testing.assert_array_equal(leaning, even)
    np.testing.assert_array_equal(
        test.split_spread("chinchilla", "lsq", 4.0), test.split_spread("chinchilla", "lsq")
    )

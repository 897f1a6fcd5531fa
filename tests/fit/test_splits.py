"""The best split of the largest runs, and the standard errors of forecasts above a cut."""

from __future__ import annotations

import numpy as np
import pytest

from fit.designs import TRUTHS, law_of, table
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
    assert get_law("chinchilla").names == ("E", "A", "B", "alpha", "beta")
    _, A, B, alpha, beta = theta.T
    product = np.max(runs["N"] * runs["D"])
    closed = (np.log(alpha * A / (beta * B)) + beta * np.log(product)) / (alpha + beta)
    np.testing.assert_allclose(best_sizes(kernel, q, scale), closed, rtol=1e-12)


@pytest.mark.parametrize("name", ["coupled", "kaplan", "farseer", "repetition_joint"])
def test_other_laws_are_solved_to_their_least_loss(name: str) -> None:
    kernel, scale, runs = bound(name)
    theta = truths(name, 6)
    q = kernel.internal(theta)
    log_N = best_sizes(kernel, q, scale)
    assert np.isfinite(log_N).all()
    product = top_product(runs, run_scale(runs))
    near = np.exp(log_N[:, None] + np.array([-0.01, 0.0, 0.01]))
    at = {"N": near, "D": product / near}
    if "U" in kernel.law.axes:
        top = run_scale(runs) >= run_scale(runs).max()
        at["U"] = np.full(near.shape, np.median(runs["U"][top]))
    loss = np.array([kernel.law(t, {a: v[i] for a, v in at.items()}) for i, t in enumerate(theta)])
    assert (loss[:, 1] < loss[:, [0, 2]].min(axis=1)).all()


def test_splits_of_more_compute_than_the_runs_have() -> None:
    kernel, scale, runs = bound("chinchilla")
    theta = truths("chinchilla", 3)
    log_N = best_sizes(kernel, kernel.internal(theta), scale, ahead=1e6)
    _, A, B, alpha, beta = theta.T
    product = 1e6 * np.max(runs["N"] * runs["D"])
    closed = (np.log(alpha * A / (beta * B)) + beta * np.log(product)) / (alpha + beta)
    np.testing.assert_allclose(log_N, closed, rtol=1e-12)


def test_no_size_is_best_where_one_side_has_no_shortage() -> None:
    kernel, scale, _ = bound("chinchilla")
    theta = truths("chinchilla", 2)
    theta[0, 2] = 0.0  # B: data are free of charge
    log_N = best_sizes(kernel, kernel.internal(theta), scale)
    assert np.isnan(log_N[0])
    assert np.isfinite(log_N[1])


def test_laws_of_one_axis_have_no_split() -> None:
    laws = fit_laws(table("power_floor", noise=0.01), ["power_floor", "power"], draws=0)
    assert laws.steps
    assert laws.drifts == (None, None)
    assert laws.split_discrepancy == 0.0
    assert [law["drift_chance"] for law in laws.to_dict()["laws"]] == [None, None]


def test_standard_errors_are_the_scatter_over_tables() -> None:
    found = [
        backtest(table("chinchilla", noise=0.01, seed=i), [get_law("chinchilla")], [LeastSquares()])
        for i in range(60)
    ]
    above = [found[0].scale >= cut.scale for cut in found[0].cuts]
    logs = np.log([t.predicted("chinchilla", "lsq") for t in found])
    means = np.array([[np.mean(row[a]) for row, a in zip(t, above, strict=True)] for t in logs])
    errors = np.array([t.spread("chinchilla", "lsq") for t in found])
    scatter = np.std(means, axis=0)
    # Between cuts the scatter falls by a factor of several; 60 tables give it to 9 %.
    assert scatter[0] > 2 * scatter[-1]
    np.testing.assert_allclose(np.sqrt(np.mean(errors**2, axis=0)), scatter, rtol=0.3)


def test_where_too_few_runs_are_left_a_fit_leans_as_far_as_it_can() -> None:
    test = backtest(
        table("chinchilla", noise=0.01), [get_law("chinchilla")], [LeastSquares()],
        emphases=(0.0, 4.0),
    )  # fmt: skip
    even, leaning = (test.predicted("chinchilla", "lsq", p) for p in (0.0, 4.0))
    assert np.isfinite(even).all()
    np.testing.assert_array_equal(leaning, even)
    np.testing.assert_array_equal(
        test.spread("chinchilla", "lsq", 4.0), test.spread("chinchilla", "lsq")
    )

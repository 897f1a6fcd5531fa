"""The best split of the largest runs as fits below cuts see it, and how far it has drifted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fit.designs import TRUTHS, design, law_of, table
from isoloss.fit import Huber, LeastSquares, backtest, fit_laws
from isoloss.fit.backtest import run_scale
from isoloss.fit.kernel import Kernel
from isoloss.fit.prepare import prepare
from isoloss.fit.rolling import Step, split_discrepancy
from isoloss.fit.splits import best_sizes, top_product, weighted_split
from isoloss.laws import Law, get_law, law_from_expression
from isoloss.plan.over_laws import allocate_over_laws
from isoloss.runs import Runs

PAIR = ["chinchilla", "additive"]


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
    assert all(np.isnan(s.split) for s in laws.steps)
    assert laws.split_discrepancy == 0.0


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


def a_step(split: float, spread: float, reach: float) -> Step:
    return Step(
        cut=0, objective="lsq", weights=np.ones(1), error=0.0, bias=0.0, spread=0.0, reach=reach,
        typical=1.0, predicted=np.ones(1), split=split, split_spread=spread,
    )  # fmt: skip


def test_discrepancy_is_what_noise_leaves_a_root_of_log_reach() -> None:
    steps = [a_step(20.3, 0.0, np.e), a_step(20.4, 0.0, np.e**4)]
    assert split_discrepancy(steps, 20.0, 0.0) == pytest.approx(np.sqrt((0.09 + 0.04) / 2))
    # Part of the runs less all of them varies by the difference of the variances.
    noisy = [replace(s, split_spread=0.25) for s in steps]
    rates = (0.09 - (0.0625 - 0.04)) + (0.16 - (0.0625 - 0.04)) / 4
    assert split_discrepancy(noisy, 20.0, 0.2) == pytest.approx(np.sqrt(rates / 2))
    assert split_discrepancy(noisy, 20.0, 0.3) == split_discrepancy(steps, 20.0, 0.0)
    assert split_discrepancy([replace(s, split_spread=9.0) for s in steps], 20.0, 0.0) == 0.0
    # A step without an optimum says nothing; short reaches do not blow up.
    assert split_discrepancy([*steps, a_step(np.nan, np.nan, 9.0)], 20.0, 0.0) == (
        split_discrepancy(steps, 20.0, 0.0)
    )
    assert split_discrepancy([a_step(20.1, 0.0, 1.0001)], 20.0, 0.0) == pytest.approx(
        0.1 / np.sqrt(0.2)
    )
    assert split_discrepancy([], 20.0, 0.0) == split_discrepancy(steps, np.nan, np.nan) == 0.0


def test_laws_without_an_optimum_have_no_say() -> None:
    weights, nan = np.array([0.2, 0.2, 0.6, 0.0]), np.nan
    mean, spread = weighted_split(
        weights, np.array([10.0, 12.0, nan, 99.0]), np.array([0.3, 0.1, nan, 9.0])
    )
    assert mean == pytest.approx(11.0)
    assert spread == pytest.approx(np.sqrt(0.05))
    assert np.isnan(weighted_split(weights, np.full(4, nan), np.full(4, nan))).all()


def drifting() -> Law:
    return law_from_expression(
        "E + A*(N/1e8)**(-alpha + g*log(N/1e8)) + B*(D/2e9)**-beta",
        bounds={"g": (-0.2, 0.2)}, starts={"g": (-0.02, 0.02)},
    )  # fmt: skip


def drifting_runs(noise: float) -> Runs:
    values = {"E": 1.8, "A": 0.8, "alpha": 0.35, "B": 0.8, "beta": 0.37, "g": 0.02}
    x = design("chinchilla")
    rng = np.random.default_rng(0)
    loss = drifting()(values, x) * np.exp(noise * rng.standard_normal(len(x["N"])))
    return Runs(columns={**x, "loss": loss})


def test_no_discrepancy_for_a_true_law_without_noise() -> None:
    laws = fit_laws(table("chinchilla", noise=1e-6, seed=1), PAIR, draws=0)
    assert laws.steps
    assert laws.split_discrepancy < 1e-4
    assert laws.to_dict()["split_discrepancy"] == laws.split_discrepancy


def test_a_drifting_exponent_shows() -> None:
    runs = drifting_runs(1e-4)
    wrong = fit_laws(runs, PAIR, draws=0)
    assert wrong.split_discrepancy > 0.015
    right = fit_laws(runs, [drifting()], draws=0)
    assert right.split_discrepancy < 0.2 * wrong.split_discrepancy


def test_plans_are_as_wide_as_the_split_has_drifted() -> None:
    laws = fit_laws(drifting_runs(0.003), PAIR, draws=1000)
    top = float(laws.backtest.scale.max())
    budgets = top * np.array([0.1, 1.0, 10.0, 1e3])
    none, some = (
        allocate_over_laws(replace(laws, split_discrepancy=d), budgets, price_of_missing=False)
        for d in (0.0, 0.3)
    )
    assert some.N_opt.tobytes() == none.N_opt.tobytes()
    assert some.L_opt.tobytes() == none.L_opt.tobytes()
    assert [i.low for i in some.intervals["L_opt"]] == [i.low for i in none.intervals["L_opt"]]
    widths = np.array(
        [[np.log(i.high / i.low) for i in plan.intervals["N_opt"]] for plan in (none, some)]
    )
    # Within the runs nothing was missed.
    np.testing.assert_array_equal(widths[0, :2], widths[1, :2])
    # Beyond them, Student's distribution of at least three degrees of freedom is added.
    extra = np.sqrt(widths[1, 2:] ** 2 - widths[0, 2:] ** 2) / (0.3 * np.sqrt(np.log([10.0, 1e3])))
    assert ((extra > 2 * 1.64 * 0.9) & (extra < 2 * 2.35 * 1.1)).all()
    for n, d, C in zip(some.intervals["N_opt"], some.intervals["D_opt"], budgets, strict=True):
        assert 6 * n.low * d.high == pytest.approx(C, rel=0.03)
        assert 6 * n.high * d.low == pytest.approx(C, rel=0.03)
        assert n.method.endswith("and back-test discrepancy of the split")
    capped = allocate_over_laws(
        replace(laws, split_discrepancy=3.0), [top * 1e3], max_D=float(some.D_opt[3])
    )
    assert capped.intervals["D_opt"][0].high <= some.D_opt[3] * (1 + 1e-9)
    # No draw takes so small a size that the data could not use up the budget.
    assert capped.intervals["N_opt"][0].low >= top * 1e3 / (6 * some.D_opt[3]) * (1 - 1e-9)


def test_a_plan_without_draws_stays_one_point() -> None:
    laws = replace(fit_laws(drifting_runs(0.003), ["chinchilla"], draws=0), split_discrepancy=0.3)
    plan = allocate_over_laws(laws, [1e24], price_of_missing=False)
    found = plan.intervals["N_opt"][0]
    assert (found.low, found.high) == pytest.approx((plan.N_opt[0], plan.N_opt[0]), rel=1e-3)
    assert "discrepancy" not in found.method


def test_the_order_of_laws_does_not_move_a_plan() -> None:
    runs = drifting_runs(0.003)
    names = ["chinchilla", "coupled", "additive"]
    one, other = (fit_laws(runs, n, draws=60) for n in (names, names[::-1]))
    assert one.split_discrepancy == pytest.approx(other.split_discrepancy, rel=1e-9)
    assert one.split_discrepancy > 0
    C = [100 * float(one.backtest.scale.max())]
    a, b = (
        allocate_over_laws(s, C, price_of_missing=False).intervals["N_opt"][0] for s in (one, other)
    )
    assert (a.low, a.high) == pytest.approx((b.low, b.high), rel=1e-9)


def test_units_do_not_move_the_discrepancy() -> None:
    runs = drifting_runs(0.003)
    plain = fit_laws(runs, PAIR, draws=0)
    changed = Runs(columns={"N": runs["N"] / 1e6, "D": runs["D"] / 1e9, "loss": runs["loss"]})
    other = fit_laws(changed, PAIR, draws=0)
    assert plain.split_discrepancy > 0
    assert other.split_discrepancy == pytest.approx(plain.split_discrepancy, rel=1e-8)
    goal = plain.objective.name
    np.testing.assert_allclose(
        other.backtest.split("additive", goal) + np.log(1e6),
        plain.backtest.split("additive", goal),
        rtol=1e-9,
    )


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

"""Profiles: exact where theory is, equal to refits of a pinned law, open where runs are mute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binom
from scipy.stats import t as student

from fit.designs import CHINCHILLA, table
from isoloss.cli import main
from isoloss.errors import FitError, InputError
from isoloss.fit import fit, profile
from isoloss.fit.constrained import ConstrainedKernel, minimise_at
from isoloss.fit.engine import minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import LeastSquares, parse_objective
from isoloss.fit.prepare import prepare
from isoloss.fit.profile import _quantile, spread_of
from isoloss.fit.quantity import of_loss, of_parameters, of_split
from isoloss.laws import get_law, law_from_expression
from isoloss.plan import allocate
from isoloss.runs import Runs

LINE = law_from_expression("a + b*x + c*x**2", bounds={"a": (-50.0, 50.0)})
EASY = table("chinchilla", noise=0.004, per_axis=6, seed=2)


def curve(n: int = 24, noise: float = 0.004, seed: int = 0) -> Runs:
    x = np.geomspace(1e6, 1e10, n)
    normal = np.random.default_rng(seed).standard_normal(n)
    return Runs(columns={"N": x, "loss": (1.7 + 400 * x**-0.3) * np.exp(noise * normal)})


# --------------------------------------------------------------------------- exact, or by refits


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_the_profile_of_a_linear_law_is_students_interval(level: float) -> None:
    rng = np.random.default_rng(4)
    x, w = np.linspace(1, 4, 15), rng.uniform(0.2, 3.0, 15)
    w[3] = 0.0
    y = 5 + 2 * x + 0.5 * x**2 + 0.05 * x * rng.standard_normal(15)
    runs = Runs(columns={"x": x, "loss": y})
    found = fit(runs, LINE, objective="lsq,linear", weights=w, draws=0)
    design = np.stack([np.ones(15), x, x**2], axis=1)
    theta = np.linalg.solve(design.T * w @ design, design.T @ (w * y))
    variance = np.sum(w * (y - design @ theta) ** 2) / (14 - 3)
    covariance = variance * np.linalg.inv(design.T * w @ design)
    half = student.ppf((1 + level) / 2, 11) * np.sqrt(np.diag(covariance))
    for i, name in enumerate(LINE.names):
        got = profile(runs, found, name, level=level)
        np.testing.assert_allclose(
            [got.interval.low, got.interval.high],
            [theta[i] - half[i], theta[i] + half[i]],
            rtol=1e-8,
        )
        np.testing.assert_allclose(got.signed_root[[0, -1]] ** 2, got.statistic[[0, -1]])
        expected = ((got.values - theta[i]) ** 2) / covariance[i, i]
        np.testing.assert_allclose(got.statistic, expected, rtol=1e-6, atol=1e-8)
        assert (got.low_end, got.high_end, got.reasons) == ("found", "found", ())
        assert got.interval.method == "profile likelihood, F(1, 11)"
    # A linear combination of parameters has its own exact interval.
    got = profile(runs, found, "a + 2*b + 4*c", level=level)
    v = np.array([1.0, 2.0, 4.0])
    width = student.ppf((1 + level) / 2, 11) * np.sqrt(v @ covariance @ v)
    np.testing.assert_allclose(
        [got.interval.low, got.interval.high], [v @ theta - width, v @ theta + width], rtol=1e-8
    )


@pytest.mark.parametrize("text", ["lsq", "huber:2e-3", "one-sided:2e-3", "lsq,linear"])
@pytest.mark.parametrize("name", ["E", "B", "alpha"])
def test_points_of_a_profile_are_fits_of_the_pinned_law(text: str, name: str) -> None:
    found = fit(EASY, objective=text, draws=0)
    got = profile(EASY, found, name)
    scale = 2.0 if text.startswith("lsq") else 1.0
    heights = []
    for value in got.values:
        pinned = fit(
            EASY, get_law("chinchilla").pin(**{name: float(value)}), objective=text, draws=0
        )
        heights.append((pinned.value - found.value) * 2 / scale)
    # The statistic is the rise over one number, the same at every point.
    rise = np.array(heights)
    steep = got.statistic > 0.05
    ratio = rise[steep] / got.statistic[steep]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-5)
    column = found.law.names.index(name)
    np.testing.assert_allclose(got.theta[:, column], got.values, rtol=1e-8)
    if text == "lsq":
        assert ratio.mean() == pytest.approx(found.value / (36 - 5), rel=1e-6)
    at_ends = np.interp([got.interval.low, got.interval.high], got.values, got.statistic)
    np.testing.assert_allclose(at_ends, got.threshold, rtol=1e-6)


def test_the_profile_of_a_loss_is_that_of_a_law_written_with_it() -> None:
    found = fit(EASY, objective="lsq", draws=0)
    got = profile(EASY, found, "loss", at={"N": 1e11, "D": 2e12})
    assert got.estimate == pytest.approx(found.predict({"N": 1e11, "D": 2e12})[0], rel=1e-10)
    other = law_from_expression(
        "F + A*((N/1e9)**-alpha - 100**-alpha) + B*((D/1e10)**-beta - 200**-beta)",
        starts={"F": (1.9, 2.1), "A": (0.1, 1.0), "B": (0.1, 1.0), "alpha": (0.2, 0.5)},
    )
    same = fit(EASY, other, objective="lsq", draws=0)
    assert same.value == pytest.approx(found.value, rel=1e-8)
    expected = profile(EASY, same, "F").interval
    assert got.interval.low == pytest.approx(expected.low, rel=1e-7)
    assert got.interval.high == pytest.approx(expected.high, rel=1e-7)
    for value, theta in zip(got.values, got.theta, strict=True):
        loss = found.law(theta, {"N": 1e11, "D": 2e12})[0]
        assert loss == pytest.approx(value, rel=1e-8)


def test_the_profile_of_the_best_split_is_that_of_its_closed_form() -> None:
    found = fit(EASY, objective="lsq", draws=0)
    got = profile(EASY, found, "N_opt", at={"C": 1e22})
    assert got.estimate == pytest.approx(float(allocate(found, C=1e22).N_opt[0]), rel=1e-6)
    closed = "(log(alpha*A) - log(beta*B) + beta*log(1e22/6))/(alpha + beta)"
    expected = profile(EASY, found, closed).interval
    assert np.log(got.interval.low) == pytest.approx(expected.low, abs=1e-6)
    assert np.log(got.interval.high) == pytest.approx(expected.high, abs=1e-6)
    # Another price of compute is another budget.
    moved = profile(EASY, found, "N_opt", at={"C": 2e22}, flops_per_nd=12.0)
    np.testing.assert_allclose(moved.values, got.values, rtol=1e-9)


def test_a_profile_does_not_depend_on_how_a_quantity_is_written() -> None:
    found = fit(EASY, objective="huber:2e-3", draws=0)
    plain, inverse = profile(EASY, found, "alpha"), profile(EASY, found, "1/alpha")
    assert 1 / inverse.interval.high == pytest.approx(plain.interval.low, rel=1e-6)
    assert 1 / inverse.interval.low == pytest.approx(plain.interval.high, rel=1e-6)
    tied = fit(EASY, get_law("chinchilla").tie(beta="alpha"), objective="lsq", draws=0)
    one, two = profile(EASY, tied, "beta"), profile(EASY, tied, "alpha")
    assert one.interval.low == pytest.approx(two.interval.low, rel=1e-6)


def test_units_and_order_of_rows_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(len(EASY))
    mixed = Runs(columns={k: v[order] for k, v in EASY.columns.items()})
    other = Runs(columns={"N": EASY["N"] / 1e6, "D": EASY["D"] / 1e9, "loss": EASY["loss"]})
    results = []
    for runs in (EASY, mixed, other):
        results.append(profile(runs, fit(runs, objective="lsq", draws=0), "alpha"))
    first, second, third = results
    assert first.values.tobytes() == second.values.tobytes()
    assert first.statistic.tobytes() == second.statistic.tobytes()
    assert third.interval.low == pytest.approx(first.interval.low, rel=1e-8)
    assert third.interval.high == pytest.approx(first.interval.high, rel=1e-8)


def test_intervals_nest_with_the_level() -> None:
    found = fit(EASY, objective="lsq", draws=0)
    narrow, wide = (profile(EASY, found, "beta", level=v).interval for v in (0.5, 0.95))
    assert wide.low < narrow.low < found.parameters["beta"] < narrow.high < wide.high


# ------------------------------------------------------------------------------------- open ends


def test_a_floor_that_the_runs_do_not_resolve_reaches_zero() -> None:
    rng = np.random.default_rng(4)
    n, d = np.exp(rng.uniform(20, 23, 14)), np.exp(rng.uniform(22, 24, 14))
    law = get_law("chinchilla")
    loss = law(CHINCHILLA, {"N": n, "D": d}) * np.exp(0.01 * rng.standard_normal(14))
    runs = Runs(columns={"N": n, "D": d, "loss": loss})
    got = profile(runs, fit(runs, objective="lsq", draws=0), "E")
    assert (got.interval.low, got.low_end, got.high_end) == (0.0, "bound", "found")
    assert got.statistic[0] < got.threshold
    assert got.interval.high < loss.min() * 1.05
    (reason,) = got.reasons
    assert reason.code == "OPEN_INTERVAL"
    assert "E below (its bound is 0)" in reason.message
    assert "OPEN_INTERVAL" in got.summary()
    # On the way to small exponents E reaches zero and stays there.
    found = fit(runs, objective="lsq", draws=0)
    got = profile(runs, found, "alpha")
    assert (got.low_end, got.high_end) == ("found", "found")
    below = np.flatnonzero(got.values < got.interval.low)[-1]
    pinned = fit(runs, law.pin(alpha=float(got.values[below])), objective="lsq", draws=0)
    rise = (pinned.value - found.value) / (found.value / (14 - 5))
    assert got.statistic[below] == pytest.approx(rise, rel=1e-5)


def test_an_exponent_that_the_runs_do_not_bound_is_open_above() -> None:
    """Only the smallest model stands out: any steep enough curve goes through."""
    n = np.repeat([1e6, 1e8, 1e9], 6)
    clean = np.repeat([3.0, 2.0, 2.0], 6)
    loss = clean * np.exp(0.02 * np.random.default_rng(1).standard_normal(18))
    runs = Runs(columns={"N": n, "loss": loss})
    got = profile(runs, fit(runs, "power_floor", axis="N", objective="lsq", draws=0), "alpha")
    assert (got.interval.high, got.high_end, got.low_end) == (np.inf, "open", "found")
    assert got.interval.low > 0.1
    assert "alpha above" in got.reasons[0].message
    written = json.loads(json.dumps(got.to_dict()))
    assert written["high_end"] == "open"
    # A bound that the user gave is a bound.
    law = get_law("power_floor", axis="N").bound(alpha=(0.01, 3.0))
    bounded = profile(runs, fit(runs, law, objective="lsq", draws=0), "alpha")
    assert (bounded.interval.high, bounded.high_end) == (3.0, "bound")
    assert bounded.interval.low == pytest.approx(got.interval.low, rel=1e-6)
    # The amplitude goes with it, over decades.
    amplitude = profile(runs, fit(runs, law, objective="lsq", draws=0), "A")
    assert amplitude.interval.high / amplitude.interval.low > 1e6


def test_an_amplitude_at_its_bound_has_an_interval_from_there() -> None:
    rng = np.random.default_rng(1)
    base = curve(30)
    d = np.exp(rng.uniform(np.log(1e8), np.log(1e10), 30))
    runs = Runs(columns={"N": base["N"], "D": d, "loss": base["loss"]})
    law = law_from_expression("E + A*(N/1e8)**-alpha + B*(D/1e9)**-0.3")
    found = fit(runs, law, objective="lsq", draws=0)
    got = profile(runs, found, "B")
    assert found.parameters["B"] == 0.0
    assert (got.interval.low, got.low_end, got.high_end) == (0.0, "bound", "found")
    assert 0 < got.interval.high < 0.01


# -------------------------------------------------------------------------------------- coverage


def covered(text: str, trials: int) -> float:
    """Share of tables where the statistic of the true exponent lies below the threshold."""
    law, goal = get_law("power_floor", axis="N"), parse_objective(text)
    hits = 0
    for i in range(trials):
        runs = curve(seed=1000 + i)
        data = prepare(runs, law)
        typical = Kernel(law, data.x, data.loss, goal, smooth=2e-4)
        truth = typical.internal(law.theta({"E": 1.7, "A": 400.0, "alpha": 0.3}))
        best = minimise(typical, truth[None])
        quantity = of_parameters(typical, "alpha", positive=True)
        _, value, _ = minimise_at(
            typical,
            quantity,
            np.array([0.3]),
            truth[None],
            weights=data.weights,
            mu=1e3,
            close=1e-9,
        )
        rise = 2 * (value[0] - best.value[0]) / spread_of(typical, best.q[0], data.weights)
        hits += rise <= _quantile(0.9, 21)
    return hits / trials


@pytest.mark.parametrize("text", ["lsq", "huber:5e-3", "huber:1e-3", "lad"])
def test_profiles_cover_the_exponent(text: str) -> None:
    """Within three binomial standard errors, and three points for what is robust in 24 runs."""
    trials, slack = 100, 0.0 if text == "lsq" else 0.03
    error = 3 * (0.9 * 0.1 / trials) ** 0.5
    assert abs(covered(text, trials) - 0.9) <= error + slack


@pytest.mark.slow
@pytest.mark.parametrize("text", ["lsq", "huber:5e-3", "huber:1e-3", "lad"])
def test_profiles_cover_the_exponent_in_many_tables(text: str) -> None:
    trials, slack = 1000, 0.0 if text == "lsq" else 0.03
    error = 3 * (0.9 * 0.1 / trials) ** 0.5
    assert abs(covered(text, trials) - 0.9) <= error + slack


@pytest.mark.slow
def test_intervals_of_profiles_cover_a_forecast_and_a_split() -> None:
    law, trials, hits = get_law("chinchilla"), 60, np.zeros(3)
    x = {"N": EASY["N"], "D": EASY["D"]}
    far = {"N": 1e11, "D": 2e12}
    best = float(allocate(law, CHINCHILLA, C=1e22).N_opt[0])
    for i in range(trials):
        rng = np.random.default_rng([3, i])
        loss = law(CHINCHILLA, x) * np.exp(0.004 * rng.standard_normal(len(EASY)))
        runs = Runs(columns={**x, "loss": loss})
        found = fit(runs, objective="lsq", draws=0)
        hits += [
            CHINCHILLA["E"] in profile(runs, found, "E").interval,
            law(CHINCHILLA, far)[0] in profile(runs, found, "loss", at=far).interval,
            best in profile(runs, found, "N_opt", at={"C": 1e22}).interval,
        ]
    low, high = binom.ppf([1e-4, 1 - 1e-4], trials, 0.9)
    assert np.all((hits >= low) & (hits <= high)), hits / trials


# ---------------------------------------------------------------------- derivatives and the rest


def test_derivatives_of_quantities_are_those_of_differences() -> None:
    data = prepare(EASY, get_law("chinchilla"))
    kernel = Kernel(data.law, data.x, data.loss, LeastSquares())
    q = kernel.internal(data.law.theta(CHINCHILLA))
    for quantity, v in (
        (of_parameters(kernel, "A", positive=True), 6.0),
        (of_parameters(kernel, "beta/(alpha+beta)", positive=True), 0.5),
        (of_loss(kernel, {"N": 1e11, "D": 2e12}), 0.6),
        (of_split(kernel, {"C": 1e22}, flops_per_nd=6.0), 23.0),
    ):
        inner, weights = ConstrainedKernel(kernel, quantity), np.ones((1, kernel.n))
        y = np.array([[v, 0.01, 3.0]])
        terms = inner.terms(q[None], weights, y)
        h, slope, *_ = quantity.terms(q[None], np.array([v]))
        step = 1e-6
        moved = quantity.terms(q[None], np.array([v + step]))[0]
        assert (moved - h)[0] / step == pytest.approx(slope[0], rel=1e-5)
        for i in range(kernel.p):
            ahead, behind = q.copy(), q.copy()
            ahead[i] += step
            behind[i] -= step
            up, down = (inner.terms(p[None], weights, y) for p in (ahead, behind))
            change = (up.value - down.value)[0] / (2 * step)
            assert change == pytest.approx(terms.gradient[0, i], rel=1e-5, abs=1e-7)
            bend = (up.gradient - down.gradient)[0] / (2 * step)
            np.testing.assert_allclose(bend, terms.hessian[0, i], rtol=1e-4, atol=1e-5)


def test_the_result_gives_plain_types_and_a_table() -> None:
    runs = curve()
    found = fit(runs, "power_floor", axis="N", objective="lsq", draws=0)
    got = profile(runs, found, "alpha")
    columns = got.to_columns()
    assert list(columns) == ["value", "statistic", "E", "A", "alpha"]
    np.testing.assert_allclose(columns["value"], columns["alpha"])
    assert np.all(np.diff(got.values) > 0)
    assert got.statistic.min() == 0.0
    assert "Profile(alpha" in repr(got)
    with pytest.raises(ValueError, match="read-only"):
        got.values[0] = 1.0


def test_a_step_that_newton_would_end_on_a_saddle_finds_the_minimum() -> None:
    """With the exponent of N far too small, the data term goes through zero and comes back."""
    rng = np.random.default_rng(11)
    n, d = np.exp(rng.uniform(19.5, 23, 14)), np.exp(rng.uniform(21.8, 24.1, 14))
    law = get_law("chinchilla")
    loss = law(CHINCHILLA, {"N": n, "D": d}) * np.exp(0.01 * rng.standard_normal(14))
    runs = Runs(columns={"N": n, "D": d, "loss": loss})
    data = prepare(runs, law)
    kernel = Kernel(law, data.x, data.loss, LeastSquares())
    start = kernel.internal(fit(runs, objective="lsq", draws=0).theta)
    v = np.array([0.05, 0.02, 0.01, 0.0])
    _, value, reached = minimise_at(
        kernel,
        of_parameters(kernel, "alpha", positive=True),
        v,
        np.repeat(start[None], len(v), axis=0),
        weights=data.weights,
        mu=1.0,
        close=1e-9,
    )
    np.testing.assert_allclose(reached, v, atol=1e-8)
    for exponent, got in zip(v[:-1], value[:-1], strict=True):
        pinned = fit(runs, law.pin(alpha=float(exponent)), objective="lsq", draws=0)
        assert 2 * got == pytest.approx(pinned.value, rel=1e-6)
    assert np.isfinite(value[-1])


def test_losses_without_noise_leave_no_width() -> None:
    runs = table("chinchilla", per_axis=5)
    got = profile(runs, fit(runs, objective="lsq", draws=0), "alpha")
    assert got.interval.high - got.interval.low < 1e-5
    assert got.reasons == ()


def test_misuse_is_explained() -> None:
    found = fit(EASY, objective="lsq", draws=0)
    for words, arguments in (
        ("formula of E, A", ("gamma",)),
        ("expected a number", ("alpha +",)),
        ("only for quantity", ("alpha", {"N": 1e9})),
        ("N missing", ("loss", {"D": 1e9})),
        ("C missing", ("N_opt",)),
        ("at N", ("loss", {"N": -1.0, "D": 1e9})),
    ):
        name, *at = arguments
        options: Any = {"at": at[0]} if at else {}
        with pytest.raises(InputError, match=words):
            profile(EASY, found, name, **options)
    with pytest.raises(InputError, match="not the runs"):
        profile(table("chinchilla", noise=0.004, per_axis=6, seed=3), found, "alpha")
    with pytest.raises(InputError, match="level"):
        profile(EASY, found, "alpha", level=90.0)
    pinned = fit(EASY, get_law("chinchilla").pin(E=1.8), objective="lsq", draws=0)
    with pytest.raises(InputError, match="pinned"):
        profile(EASY, pinned, "E")
    runs = curve()
    single = fit(runs, "power_floor", axis="N", objective="lsq", draws=0)
    with pytest.raises(InputError, match="no N and D"):
        profile(runs, single, "N_opt", at={"C": 1e20})
    few = curve(3)
    with pytest.raises(FitError, match="no noise"):
        profile(few, fit(few, "power_floor", axis="N", objective="lsq", draws=0), "alpha")


def test_the_command_gives_profiles(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    rows = "\n".join(
        f"{float(n)!r},{float(v)!r}" for n, v in zip(curve()["N"], curve()["loss"], strict=True)
    )
    path.write_text(f"N,loss\n{rows}\n")
    words = ["fit", str(path), "--law", "power_floor", "--objective", "lsq", "--draws", "20"]
    result = CliRunner().invoke(
        main, [*words, "--profile", "alpha", "--profile", "1/alpha", "--json"]
    )
    first, second = json.loads(result.stdout)["profiles"]
    assert first["interval"]["low"] == pytest.approx(1 / second["interval"]["high"], rel=1e-6)
    shown = CliRunner().invoke(main, [*words, "--profile", "alpha"])
    assert "profile: alpha = 0.3" in shown.output

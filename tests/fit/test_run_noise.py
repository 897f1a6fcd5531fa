"""Noise of a run at its own scale: recovered where it shrinks, one number where it does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from isoloss import Runs, fit, fit_laws
from isoloss._core.arrays import Array
from isoloss.fit import forecast
from isoloss.fit.rolling import Step, discrepancies
from isoloss.fit.run_noise import RunNoise, run_noise, scale_of
from isoloss.laws import get_law


def curve(
    n: int, size: float, power: float, *, seed: int = 0, seeds: int = 1, decades: float = 3.0
) -> Runs:
    """Points of a power law over three decades, with noise that falls as a power of scale."""
    D = np.repeat(np.geomspace(10 ** (9 - decades), 1e9, n), seeds)
    rng = np.random.default_rng(seed)
    noise = size * (D / 1e9) ** -power * rng.standard_normal(len(D))
    return Runs(columns={"D": D, "loss": (1.5 + 60 * D**-0.25) * np.exp(noise)})


def alone(residuals: Array, scale: Array) -> RunNoise:
    n = len(scale)
    return run_noise(residuals, np.zeros((n, 0)), np.ones(n), scale, np.arange(n))


def test_noise_that_shrinks_tenfold_is_found() -> None:
    found = [
        fit(curve(60, 0.002, 1 / 3, seed=k), "power_floor", objective="lsq", draws=0).noise
        for k in range(20)
    ]
    # Twenty tables of 60 runs: each size is known to 20 % or so, each power to 0.05.
    assert np.mean([f.size for f in found]) == pytest.approx(0.002, rel=0.15)
    assert np.mean([f.power for f in found]) == pytest.approx(1 / 3, abs=0.04)
    assert np.mean([f.at(1e6) / f.at(1e9) for f in found]) == pytest.approx(10, rel=0.25)


def test_even_noise_stays_one_number() -> None:
    even = 0
    for k in range(40):
        runs = curve(30, 0.01, 0.0, seed=k)
        found = fit(runs, "power_floor", objective="lsq", draws=0)
        if found.noise.power == 0:
            even += 1
            spread = np.sqrt(np.sum(found.residuals**2) / (30 - 3))
            middle = np.median(np.abs(found.residuals))
            assert found.seed_noise == pytest.approx(spread, rel=1e-6) or spread > 4 * middle
            assert found.noise_at({"D": [1e6, 1e9, 1e12]}).tolist() == 3 * [found.seed_noise]
    # Below minus root two standard errors lie 8 % of normal estimates.
    assert even >= 33


def test_noise_that_grows_with_scale_is_not_believed() -> None:
    rng = np.random.default_rng(1)
    scale = np.geomspace(1.0, 1e3, 200)
    found = alone(0.01 * scale**0.3 * rng.standard_normal(200), scale)
    assert found.power == 0


def test_weights_that_lean_on_large_runs_make_no_power() -> None:
    """Small runs then lie far off: because the law is drawn to the large ones, not by noise."""
    powers, sizes = [], []
    for k in range(20):
        runs = curve(24, 0.005, 0.0, seed=k)
        weights = (runs["D"] / 1e9) ** 1.5
        found = fit(runs, "power_floor", objective="lsq", weights=weights, draws=0)
        powers.append(found.noise.power)
        sizes.append(found.seed_noise)
    assert np.mean(np.array(powers) > 0) <= 0.25
    assert np.mean(sizes) == pytest.approx(0.005, rel=0.2)


def test_an_outlier_makes_no_power() -> None:
    rng = np.random.default_rng(3)
    scale = np.geomspace(1.0, 1e3, 40)
    residuals = 0.01 * rng.standard_normal(40)
    before = alone(residuals, scale)
    residuals[0] = 1.0
    after = alone(residuals, scale)
    assert before.power == 0
    assert after.power < 0.15
    assert after.size < 0.03


def test_beyond_the_runs_noise_is_that_of_the_nearest() -> None:
    noise = RunNoise(parts=((0.01, 0.5),), smallest=1.0, largest=100.0)
    np.testing.assert_allclose(
        noise.at([0.1, 1, 10, 100, 1e6]), [0.1, 0.1, 0.01 * 10**0.5, 0.01, 0.01]
    )
    floor = RunNoise(parts=((0.01, 0.5), (0.02, 0.0)), smallest=1.0, largest=100.0)
    np.testing.assert_allclose(floor.at([1, 100]), [0.1, 0.02])
    assert (floor.size, floor.power) == (0.02, 0.0)


def test_repeated_runs_are_a_floor() -> None:
    rng = np.random.default_rng(4)
    scale = np.repeat(np.geomspace(1.0, 1e3, 30), 2)
    groups = np.repeat(np.arange(30), 2)
    n = len(scale)
    residuals = 0.01 * rng.standard_normal(n)
    # The law misses small configurations, all their seeds alike.
    residuals += np.repeat(0.2 * np.geomspace(1.0, 1e3, 30) ** -0.5 * rng.standard_normal(30), 2)
    found = run_noise(residuals, np.zeros((n, 0)), np.ones(n), scale, groups)
    pooled = np.sqrt(np.sum((residuals - residuals.reshape(-1, 2).mean(1)[groups]) ** 2) / 30)
    assert len(found.parts) == 2
    assert found.parts[0][1] > 0.2
    assert found.parts[1][0] == pytest.approx(pooled)
    assert found.parts[1][1] == 0
    assert found.size >= pooled * (1 - 1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_runs(n: int) -> None:
    found = alone(np.full(n, 0.01), np.geomspace(1, 10, n))
    assert found.power == 0
    assert found.size == pytest.approx(0.01)
    one = alone(np.array([0.0, 0.0, 0.02]), np.ones(3))
    assert np.isfinite(one.size)


def test_exact_losses_have_no_noise() -> None:
    runs = curve(12, 0.0, 0.0)
    found = fit(runs, "power_floor", objective="lsq", draws=0)
    assert 0 <= found.seed_noise < 1e-9
    zero = alone(np.zeros(8), np.geomspace(1, 10, 8))
    assert (zero.size, zero.power) == (0.0, 0.0)


def test_units_and_order_do_not_matter() -> None:
    runs = curve(40, 0.003, 0.3, seed=5)
    order = np.random.default_rng(0).permutation(len(runs))
    small = Runs(columns={"D": runs["D"] / 1e6, "loss": 3 * runs["loss"]})
    a, b, c = (
        fit(r, "power_floor", objective="lsq", draws=0) for r in (runs, runs.select(order), small)
    )
    assert a.noise.power > 0.1
    assert b.noise == a.noise
    assert c.seed_noise == pytest.approx(a.seed_noise, rel=1e-6)
    assert c.noise.power == pytest.approx(a.noise.power, rel=1e-5)
    np.testing.assert_allclose(c.noise_at({"D": [2.0]}), a.noise_at({"D": [2e6]}), rtol=1e-5)


def test_scale_is_what_a_law_sees() -> None:
    x = {"N": [2.0, 3.0], "D": [5.0, 7.0], "U": [1.0, 2.0]}
    np.testing.assert_allclose(scale_of(x, get_law("chinchilla")), [10, 21])
    np.testing.assert_allclose(scale_of(x, get_law("repetition")), [10, 21])
    np.testing.assert_allclose(scale_of({"D": [4.0]}, get_law("power_floor", axis="D")), [4])


def test_a_new_run_is_as_noisy_as_runs_of_its_scale() -> None:
    runs = curve(60, 0.002, 1 / 3)
    found = fit(runs, "power_floor", objective="lsq", draws=1000)
    small, large = found.interval({"D": [1e6, 1e9]}, new_run=True)
    mean = found.interval({"D": [1e6, 1e9]})
    wide = np.log([small.high / small.low, large.high / large.low]) / (2 * 1.645)
    narrow = np.log([i.high / i.low for i in mean]) / (2 * 1.645)
    expected = np.hypot(found.noise_at({"D": [1e6, 1e9]}), narrow)
    np.testing.assert_allclose(wide, expected, rtol=0.1)
    laws = fit_laws(runs, ["power_floor"], draws=200)
    answer = forecast(laws, {"D": 1.0001e9})
    # Even noise would add the spread of all runs, 0.9 %.
    assert np.log(answer.interval.high / answer.interval.low) < 0.018


def steps_of(biases: Sequence[float], cuts: Sequence[int], n: int) -> tuple[Step, ...]:
    return tuple(
        Step(
            cut=i, objective="lsq", weights=np.ones(1), error=abs(b), bias=b, spread=0.0, reach=2.0,
            typical=float(np.log(2)), predicted=np.ones(n),
        )
        for i, b in zip(cuts, biases, strict=True)
    )  # fmt: skip


def test_misses_among_noisy_runs_count_in_their_noise() -> None:
    runs = curve(60, 0.002, 1 / 3)
    test = fit_laws(runs, ["power_floor"], draws=0).backtest
    noise = 1e-6 * (test.scale / test.scale.max()) ** -1.0
    count = len(test.cuts)
    even = discrepancies(test, steps_of(count * [0.1], range(count), 60), noise=1e-6)
    falling = discrepancies(test, steps_of(count * [0.1], range(count), 60), noise=noise)
    assert len(even) == 200
    assert (np.diff(even) > 0).all()
    last = discrepancies(test, steps_of([0.1], [count - 1], 60), noise=noise)
    first = discrepancies(test, steps_of([0.1], [0], 60), noise=noise)
    # The same miss is less news where runs are noisier.
    assert np.median(first) < 0.5 * np.median(last)
    assert np.median(falling) < np.median(even)
    # No misses, no drift.
    assert discrepancies(test, (), noise=0.0).tolist() == [0.0]


@pytest.mark.slow
@pytest.mark.parametrize(("growth", "sd", "most"), [(0.0, 0.003, 2), (0.68, 0.001, 4)])
def test_new_runs_lie_inside_as_often_as_promised(growth: float, sd: float, most: float) -> None:
    """Even noise, and noise that falls tenfold over the budgets: 40 tables of 45 runs each."""
    held, wide = 0, []
    for k in range(40):
        rng = np.random.default_rng([9, k])
        C = np.repeat(np.geomspace(1e18, 3e19, 5), 9)
        N = 0.09 * np.sqrt(C) * np.tile(np.geomspace(0.25, 4, 9), 5)
        D = C / (6 * N)
        mean = 1.8 + 480 * N**-0.35 + 2100 * D**-0.37
        noise = sd * (C / 3e19) ** -growth * rng.standard_normal(45)
        laws = fit_laws(Runs(columns={"N": N, "D": D, "loss": mean * np.exp(noise)}), draws=200)
        ahead = {"N": 0.09 * np.sqrt(6e19), "D": 6e19 / (6 * 0.09 * np.sqrt(6e19))}
        loss = 1.8 + 480 * ahead["N"] ** -0.35 + 2100 * ahead["D"] ** -0.37
        loss *= np.exp(sd * rng.standard_normal())
        interval = forecast(laws, ahead).interval
        held += loss in interval
        wide.append(np.log(interval.high / interval.low))
    # Binomial, 99.9 % of a true 90 %. The noise of the new run alone is 3.3 sd wide; that of all
    # runs alike would be 3.3 and 18 sd.
    assert held >= 30
    assert np.median(wide) < most * 3.3 * sd

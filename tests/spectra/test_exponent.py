import numpy as np
import pytest
from scipy.stats import binom

from isoloss.errors import InputError
from isoloss.spectra import (
    default_range,
    measure_spectrum,
    spectral_exponent,
    target_exponent,
)
from isoloss.spectra.exponent import tail_power
from isoloss.spectra.line import bent_line, decay
from spectra.made import known


def test_a_line_and_a_parabola_are_found_exactly():
    x = np.log(np.arange(3, 60.0))
    w = 1 / np.arange(3, 60.0)
    middle = (w @ x) / w.sum()
    found = bent_line(x, np.stack([2 - 1.5 * (x - middle), 0.3 * (x - middle) ** 2]), w)
    assert found[0] == pytest.approx([2, -1.5, 0], abs=1e-12)
    assert found[1, 2] == pytest.approx(0.3)


@pytest.mark.parametrize("floor", [0.0, 0.3])
@pytest.mark.parametrize("c", [0.05, 0.4, 1.0, 3.0])
@pytest.mark.parametrize("end", [np.inf, 500.5])
def test_a_decay_is_found_exactly(floor, c, end):
    x = np.geomspace(4, 300, 30)
    y = floor + 2.5 * (x**-c - end**-c)
    found = decay(x, y, np.ones(30), end=end)
    assert (found.exponent, found.height) == pytest.approx((c, 2.5), rel=1e-4)
    assert found.floor == pytest.approx(floor, abs=1e-4)
    assert found.misfit < 1e-6
    assert decay(x, y, np.ones(30), floor=floor, end=end).exponent == pytest.approx(c, rel=1e-6)


def test_what_does_not_decay_has_no_exponent():
    x = np.geomspace(1, 100, 20)
    for y in (np.ones(20), x, np.full(20, np.nan), -x):
        assert np.isnan(decay(x, y, np.ones(20)).exponent)
    assert np.isnan(decay(x[:3], 1 / x[:3], np.ones(3)).exponent)


@pytest.mark.parametrize(("n", "p", "ranks"), [(2000, 1000, (6, 200)), (60, 100, (2, 6))])
def test_the_rule_of_the_range(n, p, ranks):
    assert default_range(n, p) == ranks


def test_exponents_are_recovered():
    found, targets, within = [], [], []
    for seed in range(6):
        x, y, _ = known(800, 200, b=1.3, a=1.8, noise=0.02, seed=seed)
        measured = measure_spectrum(x, y, rng=seed)
        law, target = spectral_exponent(measured), target_exponent(measured)
        found.append(law.exponent)
        targets.append(target.exponent)
        within += [1.3 in law.interval, 0.8 in target.interval]
        assert law.verdict in ("power law", "open")
    assert abs(np.mean(found) - 1.3) < 4 * np.std(found, ddof=1) / np.sqrt(6)
    assert np.median(targets) == pytest.approx(0.8, abs=0.25)
    # Twelve intervals of 90 %.
    assert sum(within) >= 8


def test_the_bias_of_sample_eigenvalues_is_taken_out():
    naive, found = [], []
    k = np.arange(3, 61)
    for seed in range(8):
        measured = measure_spectrum(known(300, 600, b=1.3, seed=seed)[0], rng=seed)
        fitted = bent_line(np.log(k), np.log(measured.sample.lam[2:60]), 1 / k)
        naive.append(-fitted[1])
        found.append(spectral_exponent(measured, range=(3, 60)).exponent)
    error = np.std([naive, found], axis=1, ddof=1) / np.sqrt(8)
    assert abs(np.mean(naive) - 1.3) > 4 * error[0]
    assert abs(np.mean(found) - 1.3) < 3 * error[1]


@pytest.mark.parametrize(
    ("shape", "verdicts"),
    [
        (lambda k: np.exp(-k / 20), {"bent"}),
        (lambda k: np.exp(-(k**0.5)), {"bent"}),
        (lambda k: k**-0.7 / (1 + k / 20), {"bent"}),
        (lambda k: k**-1.4, {"power law"}),
    ],
)
def test_what_is_no_power_law_is_told(shape, verdicts):
    k = np.arange(1, 121.0)
    z = np.random.default_rng(1).standard_normal((3000, 120))
    found = spectral_exponent(measure_spectrum(z * np.sqrt(shape(k))))
    assert found.verdict in verdicts, (found.bend, found.bend_interval)
    assert (found.bend > 0.2) == (found.verdict == "bent")


def test_the_tail_is_the_residual_variance_of_the_leading_modes():
    x, y, _ = known(200, 30)
    measured = measure_spectrum(x, y)
    tail = tail_power(measured.sample)
    xc, yc = x - x.mean(axis=0), y - y.mean()
    U = np.linalg.svd(xc, full_matrices=False)[0]
    for k in (0, 1, 7, 30):
        rest = yc - U[:, :k] @ (U[:, :k].T @ yc)
        assert tail[k] == pytest.approx(rest @ rest / (199 - k))


def test_a_known_floor_is_kept():
    x, y, _ = known(1500, 300, a=1.8, noise=0.0)
    measured = measure_spectrum(x, y)
    found = target_exponent(measured, floor=0.0)
    assert (found.floor, found.end) == (0.0, 300.5)
    assert 0.8 in found.interval
    assert found.interval.high - found.interval.low < 0.5


def test_a_target_without_decay_says_so():
    x, _, _ = known(400, 100)
    noise = np.random.default_rng(5).standard_normal(400)
    found = target_exponent(measure_spectrum(x, noise))
    assert found.interval.high == np.inf
    if np.isnan(found.exponent):
        assert "no power law" in found.sentence


@pytest.mark.parametrize("ranks", [(0, 20), (5, 11), (5, 500), (5.5, 40), (20, 5), "5,20,3", (1,)])
def test_ranges_that_cannot_be_used(ranks):
    measured = measure_spectrum(known(400, 100)[0])
    with pytest.raises(InputError, match="range"):
        spectral_exponent(measured, range=ranks)


def test_too_few_modes_for_the_rule():
    measured = measure_spectrum(known(60, 100)[0])
    with pytest.raises(InputError, match="ranks 2 to 6 by the rule"):
        spectral_exponent(measured)
    assert spectral_exponent(measured, range=(2, 20)).low == 2
    with pytest.raises(InputError, match="labels"):
        target_exponent(measured)
    with pytest.raises(InputError, match="floor"):
        target_exponent(measure_spectrum(*known(400, 50)[:2]), floor=-1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "b", "a"), [(400, 1.3, 1.6), (400, 2.0, 2.0), (1500, 1.3, 1.6), (1500, 2.0, 2.0)]
)
def test_intervals_cover(n, b, a):
    repeats, level = 60, 0.9
    hits = np.zeros(3)
    for seed in range(repeats):
        x, y, _ = known(n, 300, b=b, a=a, noise=0.04, seed=seed)
        measured = measure_spectrum(x, y, rng=seed)
        law, target = spectral_exponent(measured, level=level), target_exponent(measured)
        hits += [b in law.interval, 0.0 in law.bend_interval, a - 1 in target.interval]
    # Nominal 90 %; eighty at the least, three false alarms in ten thousand if it is kept.
    fewest = binom.ppf(1e-4, repeats, 0.8)
    assert (hits >= fewest).all(), hits / repeats

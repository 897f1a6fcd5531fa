import math

import numpy as np
import pytest
from scipy.special import polygamma

from isoloss.prune.verdict_noise import _law, _worth, model_noise

SIZES = np.tile([500.0, 1000.0, 2000.0, 4000.0], 6)
POLICY = np.repeat(["none", "hard", "hard", "easy", "easy", "easy"], 4)
KEEP = np.repeat([1.0, 0.6, 0.3, 0.7, 0.5, 0.3], 4)


def steep(D):
    """Log losses of four sizes whose slope grows threefold, another at each share."""
    return -0.1 * np.log(D / 500) - 0.3 * np.log(D / 500) ** 2 * KEEP


def squares(spread, runs, rng):
    return spread**2 * np.random.default_rng(rng).chisquare(runs - 1)


def test_noise_follows_the_slope_of_the_loss():
    log_mean, runs = steep(SIZES), np.full(24, 30.0)
    slope = np.concatenate(
        [np.abs(np.gradient(log_mean[i : i + 4], np.log(SIZES[:4]))) for i in range(0, 24, 4)]
    )
    true = 0.2 * slope
    assert true.max() / true.min() > 4
    found, _ = model_noise(POLICY, KEEP, SIZES, log_mean, runs, squares(true, runs, 0))
    assert found == pytest.approx(true, rel=0.2)
    # Four runs alone say a deviation to a factor of 1.5; the law makes more of them.
    few = np.full(24, 4.0)
    away = [
        np.log(model_noise(POLICY, KEEP, SIZES, log_mean, few, squares(true, few, s))[0] / true)
        for s in range(20)
    ]
    own = [np.log(np.sqrt(squares(true, few, s) / 3) / true) for s in range(20)]
    assert np.std(away) < 0.5 * np.std(own)


def test_equal_noise_stays_equal():
    runs = np.full(24, 4.0)
    args = POLICY, KEEP, SIZES, steep(SIZES), runs
    away = [np.log(model_noise(*args, squares(0.02, runs, s))[0] / 0.02) for s in range(40)]
    assert np.std(away) < 0.2
    assert abs(np.mean(away)) < 0.06


def test_the_law_is_the_optimum_of_its_likelihood():
    rng, own = np.random.default_rng(0), np.full(24, 3.0)
    features = rng.standard_normal((24, 2))
    of = squares(np.exp(0.5 * features[:, 0]), own + 1, 1)
    found = _law(features, of, own)
    log_v = np.log(found)
    theta = np.linalg.lstsq(np.column_stack([np.ones(24), features]), log_v, rcond=None)[0]
    score = (of / found - own) / 2
    assert score.sum() == pytest.approx(0, abs=1e-6)
    assert features.T @ score == pytest.approx(theta[1:], abs=1e-6)


@pytest.mark.parametrize("worth", [4.0, 12.0])
def test_what_the_law_is_worth_is_recovered(worth):
    n, own = 4000, np.full(4000, 3.0)
    rng = np.random.default_rng(2)
    variance = worth / rng.chisquare(worth, n)
    found = _worth(np.ones(n), variance * rng.chisquare(3, n), own)
    assert found == pytest.approx(worth, rel=0.15)
    logs = np.log(variance)
    assert np.var(logs) == pytest.approx(float(polygamma(1, worth / 2)), rel=0.1)
    assert math.isinf(_worth(np.ones(n), np.full(n, 3.0), own))


def test_few_repeats_and_no_noise():
    runs = np.where(np.arange(24) < 4, 2.0, 1.0)
    found, worth = model_noise(POLICY, KEEP, SIZES, steep(SIZES), runs, 1e-4 * (runs - 1))
    assert found == pytest.approx(np.full(24, 0.01))
    assert np.isinf(worth).all()
    found, _ = model_noise(POLICY, KEEP, SIZES, steep(SIZES), np.full(24, 3.0), np.zeros(24))
    assert (found > 0).all()


def test_settings_without_neighbours_and_without_repeats():
    D = np.array([100.0, 200.0, 400.0, 800.0, 400.0])
    policy, keep = np.array(["none"] * 4 + ["hard"]), np.array([1.0, 1, 1, 1, 0.5])
    runs = np.array([8.0, 8, 8, 8, 1])
    found, _ = model_noise(policy, keep, D, -0.5 * np.log(D), runs, 1e-4 * (runs - 1))
    assert found == pytest.approx(np.full(5, 0.01), rel=1e-3)
    one = model_noise(policy[4:], keep[4:], D[4:], np.zeros(1), np.array([20.0]), np.array([0.19]))
    assert one[0] == pytest.approx([0.1])

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from isoloss.errors import InputError
from isoloss.study.sealed import clopper_pearson, crps, interval_score
from isoloss.study.sealed.rules import place, sign_chance


@pytest.mark.parametrize("truth", [-2.0, 0.0, 0.31, 3.0])
def test_crps_of_a_normal_is_its_closed_form(truth):
    p = np.linspace(1e-5, 1 - 1e-5, 200_001)
    exact = truth * (2 * norm.cdf(truth) - 1) + 2 * norm.pdf(truth) - 1 / np.sqrt(np.pi)
    assert crps(p, norm.ppf(p), truth) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("truth", [0.5, 1.0, 1.26, 2.0, 2.4, 3.0, 4.5])
def test_crps_is_the_squared_distance_of_distributions(truth):
    # The two ends hold the mass that lies beyond them; between knots the distribution is linear.
    p, q = np.array([0.05, 0.25, 0.5, 0.75, 0.95]), np.array([1.0, 1.5, 2.0, 2.0, 3.5])
    x = np.linspace(0, 5, 2_000_001)
    F = np.interp(x, q, p, left=0.0, right=1.0)
    F[(x >= q[0]) & (x < q[0] + 1e-9)] = p[0]
    direct = np.trapezoid((F - (x >= truth)) ** 2, x)
    assert crps(p, q, truth) == pytest.approx(direct, abs=5e-6)


def test_crps_of_a_point_is_its_error_and_honest_quantiles_do_best():
    assert crps([0.1, 0.5, 0.9], [2.0] * 3, 2.7) == pytest.approx(0.7)
    p = np.arange(0.01, 1, 0.01)
    draws = norm.ppf(np.linspace(0.0005, 0.9995, 1000))
    mean = {s: np.mean([crps(p, s * norm.ppf(p), y) for y in draws]) for s in (0.5, 1.0, 2.0)}
    assert mean[1.0] < mean[0.5]
    assert mean[1.0] < mean[2.0]


def test_quantiles_that_cross_are_refused():
    for p, q in (([0.1, 0.9], [2.0, 1.0]), ([0.9, 0.1], [1.0, 2.0]), ([0.5], [1.0, 2.0])):
        with pytest.raises(InputError, match="quantile"):
            crps(p, q, 1.0)


def test_interval_score_is_least_for_the_true_quantiles():
    draws = norm.ppf(np.linspace(0.0005, 0.9995, 1000))
    ends = {s: s * norm.ppf(0.95) for s in (0.7, 1.0, 1.4)}
    mean = {s: np.mean([interval_score(-e, e, 0.9, y) for y in draws]) for s, e in ends.items()}
    assert min(mean, key=mean.get) == 1.0


@pytest.mark.parametrize(("k", "n"), [(0, 4), (4, 4), (3, 7), (55, 60)])
def test_clopper_pearson_is_scipys(k, n):
    theirs = binomtest(k, n).proportion_ci(0.95, "exact")
    assert clopper_pearson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_clopper_pearson_covers_at_least_its_level_at_every_share():
    n = 12
    ends = [clopper_pearson(k, n, level=0.9) for k in range(n + 1)]
    for share in np.linspace(0.01, 0.99, 99):
        held = sum(binom.pmf(k, n, share) for k, (a, b) in enumerate(ends) if a <= share <= b)
        assert held >= 0.9


def test_clopper_pearson_takes_shares_of_trials_and_refuses_the_impossible():
    low, high = clopper_pearson(2.5, 4)
    assert clopper_pearson(2, 4)[0] < low < 0.625 < high < clopper_pearson(3, 4)[1]
    for hits, n in ((1, 0), (5, 4), (-1, 4), (float("nan"), 4)):
        with pytest.raises(InputError, match="trial"):
            clopper_pearson(hits, n)


@pytest.mark.parametrize(("above", "below"), [(0, 0), (7, 1), (3, 3), (0, 9)])
def test_the_sign_test_is_scipys(above, below):
    n = above + below
    exact = binomtest(above, n).pvalue if n else 1.0
    assert sign_chance(above, below) == pytest.approx(exact)


def test_place_is_the_probability_below():
    assert place([0.1, 0.5, 0.9], [1.0, 2.0, 4.0], 3.0) == pytest.approx(0.7)
    assert place([0.1, 0.5, 0.9], [1.0, 2.0, 4.0], 9.0) == 0.9

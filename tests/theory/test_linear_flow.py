"""The linear model along gradient flow: limits, other ways to the same number, simulation."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import FitError, InputError
from isoloss.theory import (
    LinearFlow,
    agree_scale_time,
    find_turns,
    from_modes,
    gradient_flow,
    peak_time,
    scale_time,
    scale_time_law,
    simulate_two_groups,
    two_group_spectrum,
    two_groups,
)
from theory.given import near

GOLDEN = tomllib.loads((Path(__file__).parents[1] / "golden" / "scale_time.toml").read_text("utf8"))
HALF = 0.51e-8
"""Half a unit of the eighth decimal, the last one printed."""

ratios = st.floats(-3, 3).map(lambda v: float(10**v))
times = st.floats(-3, 5).map(lambda v: float(10**v))
WORDS = {"ls": 0.05, "ln": 1.0, "Ms": 20, "Mn": 40}


def midpoint(c, tau, S2, noise, n=20_000):
    """The law as it stands, by the midpoint rule of the Marchenko-Pastur density."""
    half, mid = 2 * np.sqrt(c), 1 + c
    theta = (np.arange(n) + 0.5) * np.pi / n
    lam = mid + half * np.cos(theta)
    w = (half * np.sin(theta)) ** 2 / (2 * np.pi * c * lam) * np.pi / n
    signal = w @ np.exp(-2 * lam * tau) + max(1 - 1 / c, 0)
    return S2 * signal + noise * c * (w @ ((1 - np.exp(-lam * tau)) ** 2 / lam))


def test_reference_numbers():
    case = GOLDEN["linear"]
    found = scale_time(case["c"], case["tau"], **case["at"]).require()
    assert found.excess == pytest.approx(case["excess"], rel=0, abs=HALF)
    case = GOLDEN["two-groups"]
    assert two_groups(case["tau"], **case["at"]) == pytest.approx(case["excess"], rel=0, abs=HALF)


@settings(max_examples=60, deadline=None)
@given(ratios, times, st.sampled_from([0.0, 0.25, 3.0]))
def test_the_sum_is_that_of_the_plain_rule(c, tau, noise):
    found = scale_time(c, tau, S2=2.0, noise=noise).require()
    # The plain rule is good to its last digits for c away from one.
    tolerance = 1e-9 if abs(np.log(c)) > 0.1 else 1e-4
    assert found.excess == near(midpoint(c, tau, 2.0, noise), rel=tolerance)
    assert found.excess == near(float(found.signal + found.fitted_noise), rel=1e-14)


@settings(max_examples=40, deadline=None)
@given(ratios, times)
def test_the_error_it_states_holds_against_the_general_solver(c, tau):
    M = 300
    spectrum = from_modes(np.ones(M), np.full(M, 1 / M))
    other = gradient_flow(spectrum, np.inf, M / c, tau, noise=0.5)
    found = scale_time(c, tau, noise=0.5)
    assert abs(found.excess - other.test_excess) <= found.error + 1e-9 * (1 + found.excess)
    assert found.error < 1e-12 * found.excess


@pytest.mark.parametrize("c", [1e-6, 0.3, 0.999999, 1.0, 1.000001, 4.0, 1e6])
def test_both_ends_of_time(c):
    assert scale_time(c, 0, S2=3, noise=1).excess == 3.0
    assert scale_time(c, 1e-12, S2=3, noise=1).excess == near(3.0, rel=1e-10)
    end = scale_time(c, np.inf, S2=3, noise=0.5).excess
    if c < 1:
        assert end == near(0.5 * c / (1 - c))
    elif c > 1:
        assert end == near(3 * (1 - 1 / c) + 0.5 / (c - 1))
    else:
        assert end == np.inf
    if abs(c - 1) > 0.1:
        late = scale_time(c, 1e3 * float(peak_time(c)), S2=3, noise=0.5).excess
        assert late == near(float(end), rel=1e-9)


def test_at_equal_numbers_the_risk_grows_as_the_root_of_time():
    tau = np.array([1e16, 1e20, 1e100, 1e280])
    found = scale_time(1, tau, noise=1).require()
    # Eigenvalues near zero alone: 2/pi times integrals of (1-e^(-y^2))^2/y^2 and e^(-2 y^2).
    assert found.fitted_noise / np.sqrt(tau) == near(2 * (2 - np.sqrt(2)) / np.sqrt(np.pi))
    assert found.signal * np.sqrt(tau) == near(1 / np.sqrt(2 * np.pi), rel=1e-9)
    assert scale_time(1, np.inf).excess == 0.0


def test_few_and_many_features():
    tau = np.array([0.0, 0.5, 3.0])
    assert scale_time(0, tau, S2=2, noise=9).excess == near(2 * np.exp(-2 * tau), rel=1e-14)
    assert scale_time(1e-9, tau, S2=2, noise=9).excess == near(2 * np.exp(-2 * tau), rel=1e-4)
    assert scale_time(np.inf, [0, 1, np.inf], S2=2, noise=9).excess.tolist() == [2.0, 2.0, 2.0]
    assert scale_time(1e12, [1.0, np.inf], S2=2, noise=9).excess == near(2.0)
    assert scale_time(0, np.inf, noise=1).excess == 0.0


@settings(max_examples=30, deadline=None)
@given(ratios, times, st.floats(0.1, 10), st.floats(0.0, 10))
def test_it_is_linear_in_power_and_noise_and_falls_in_time_without_noise(c, tau, S2, noise):
    one, other = scale_time(c, tau), scale_time(c, tau, S2=0, noise=1)
    both = scale_time(c, tau, S2=S2, noise=noise)
    assert both.excess == near(float(S2 * one.excess + noise * other.excess), rel=1e-12)
    assert scale_time(c, 2 * tau).excess <= one.excess * (1 + 1e-13)
    assert scale_time(c, 2 * tau, S2=0, noise=1).excess >= other.excess * (1 - 1e-13)


def test_arguments_broadcast_and_results_are_frozen():
    found = scale_time([[0.5], [2.0]], [1.0, 2.0, 3.0], noise=0.1)
    assert isinstance(found, LinearFlow)
    assert found.excess.shape == found.c.shape == (2, 3)
    assert found.excess[1, 2] == scale_time(2, 3, noise=0.1).excess
    assert not found.excess.flags.writeable
    assert list(found.to_dict()) == list(LinearFlow.__slots__)
    assert "shape (2, 3)" in repr(found)


def test_a_sum_that_is_not_good_is_not_passed_on():
    good = scale_time(0.5, 1.0)
    words = {n: getattr(good, n) for n in LinearFlow.__slots__} | {"error": np.array(0.1)}
    with pytest.raises(FitError, match="excess risk"):
        LinearFlow(**words).require()


def test_size_and_time_enter_through_their_product_and_data_through_their_ratio():
    words = {"M": 300, "eta": 1e-3, "noise": 0.5}
    base = scale_time_law(100, 50, 200, **words).excess
    assert base == scale_time(1.5, 5.0, noise=0.5).excess
    assert base == scale_time_law(1000, 5, 200, **words).excess
    assert base == near(float(scale_time_law(100, 50, 400, **words | {"M": 600}).excess))
    assert scale_time_law(100, np.inf, np.inf, **words).excess == 0.0


@pytest.mark.parametrize("noise", [0.05, 1.0])
def test_the_peak_in_data_nears_equal_numbers_as_time_goes_on(noise):
    places = []
    for tau in (300, 3000, 1e5):
        turns = find_turns(
            lambda D, tau=tau: scale_time(100 / D, tau, noise=noise).excess, 20.0, 1000.0
        )
        assert turns.peak.size == 1
        places.append(abs(float(turns.peak[0]) - 100))
        # A peak: higher than on both sides.
        around = scale_time(100 / (turns.peak[0] * np.array([0.98, 1.02])), tau, noise=noise)
        assert (around.excess < turns.peak_value[0]).all()
    assert places[0] > places[1] > places[2]
    assert places[2] < 0.1


def test_a_single_descent_has_no_turn_and_the_best_time_to_stop_is_one():
    assert find_turns(lambda tau: scale_time(0.5, tau).excess, 0.01, 100).bottom.size == 0
    turns = find_turns(lambda tau: scale_time(0.5, tau, noise=1).excess, 0.01, 100)
    assert (turns.bottom.size, turns.peak.size) == (1, 0)
    step = np.array([0.999, 1.001]) * turns.bottom[0]
    assert (scale_time(0.5, step, noise=1).excess > turns.bottom_value[0]).all()


def test_turns_are_found_where_calculus_has_them():
    turns = find_turns(lambda x: np.cos(np.log(x)), 1.5, 3000)
    assert turns.bottom == near(np.exp([np.pi]), rel=1e-6)
    assert turns.peak == near(np.exp([2 * np.pi]), rel=1e-6)
    assert turns.peak_value == near(1.0)
    assert find_turns(lambda x: np.where(abs(x - 3) < 0.3, np.inf, 1.0), 1, 9).peak == near(
        3, rel=0.1
    )
    assert "bottoms at []" in repr(find_turns(np.sqrt, 1, 9))


def test_early_noise_rises_at_one_time_and_falls_at_another():
    words = {"ls": 1e-3, "ln": 1.0, "Ms": 10, "Mn": 400, "D": 1e5, "noise": 1.0, "S2": 3.0}
    turns = find_turns(lambda tau: two_groups(tau, **words), 1e-4, 1e6)
    assert turns.peak.size == 1
    assert 1 < turns.peak[0] < 1e3
    assert two_groups(0, **words) == near(3e-3)
    assert two_groups(np.inf, **words) == near(410e-5)
    # Noise alone by then, the signal not touched.
    between = two_groups(30, **words)
    assert between == near(3e-3 * np.exp(-0.06) + 400e-5, rel=1e-3)


@pytest.mark.parametrize("D", [2000, 20_000, 200_000])
def test_first_order_in_few_features_is_what_it_says(D):
    tau = np.array([0.1, 1, 10, 100, np.inf])
    exact = gradient_flow(two_group_spectrum(**WORDS), np.inf, D, tau, noise=1).test_excess
    assert two_groups(tau, **WORDS, D=D, noise=1) == near(exact, rel=3 * 60 / D)


def test_simulation_of_one_group():
    for c in (0.2, 1.0, 3.0):
        found = agree_scale_time(c, [0, 0.5, 5, 50, 2000], noise=0.25, draws=30, rng=4)
        assert found.worst < 4, found.summary()
    assert agree_scale_time(0.5, 3, D=60, draws=5).theory["excess"].shape == (1,)


def test_a_wrong_law_is_found_out():
    found = agree_scale_time(0.5, [1.0, 10.0], noise=0.25, draws=30, rng=4)
    for c, noise in ((0.6, 0.25), (0.5, 0.35)):
        wrong = scale_time(c, [1.0, 10.0], noise=noise).excess
        z = (found.mean["excess"] - wrong) / found.sem["excess"]
        assert abs(z).max() > 5


@pytest.mark.parametrize("D", [40, 90, 400])
def test_simulation_of_two_groups_lies_on_the_exact_law(D):
    tau = [0.3, 3.0, 30.0, 300.0]
    exact = gradient_flow(two_group_spectrum(**WORDS), np.inf, D, tau, noise=0.5).test_excess
    made = simulate_two_groups(tau, D=D, noise=0.5, draws=100, **WORDS)
    z = (made.mean("excess") - exact) / made.sem("excess")
    assert abs(z).max() < 4


@pytest.mark.slow
def test_simulation_on_a_wide_grid():
    for c in (0.01, 0.25, 0.5, 1.0, 2.0, 30.0):
        found = agree_scale_time(c, np.geomspace(0.03, 1e4, 12), noise=0.25, draws=60, rng=8)
        assert found.worst < 4, found.summary()


@pytest.mark.parametrize(
    ("call", "piece"),
    [
        (lambda: scale_time(-1, 1), "c = -1.0"),
        (lambda: scale_time(1, np.nan), "tau = nan"),
        (lambda: scale_time(1e250, 1), "at most 1e"),
        (lambda: scale_time(1, 1e290), "or inf"),
        (lambda: scale_time(1, 1, noise=-1), "noise"),
        (lambda: scale_time([1, 2], [1, 2, 3]), "broadcast"),
        (lambda: scale_time_law(0, np.inf, 10, M=5), "eta p t"),
        (lambda: scale_time_law(1, 1, np.inf, M=np.inf), "M/D"),
        (lambda: two_groups(1, ls=np.inf, ln=1, Ms=1, Mn=1, D=9), "ls = inf"),
        (lambda: two_groups(1, ls=1, ln=1, Ms=1, Mn=1, D=0), "D = 0.0"),
        (lambda: agree_scale_time(1e9, 1), "from 1e-4"),
        (lambda: agree_scale_time(1, 1, D=1e6), "too many"),
        (lambda: agree_scale_time(1, 1, noise=[1, 2]), "one number"),
        (lambda: find_turns(np.sqrt, 2, 1), "below high"),
        (lambda: find_turns(np.sqrt, 1, 2, points=3), "5 or more"),
        (lambda: find_turns(lambda x: x * np.nan, 1, 2), "NaN"),
    ],
)
def test_mistakes_are_named(call, piece):
    with pytest.raises(InputError, match=piece):
        call()

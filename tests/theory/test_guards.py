"""What results say of finite systems, and of their own rounding."""

import numpy as np
import pytest

from cli.commands import call
from isoloss.theory import (
    from_modes,
    gradient_descent,
    gradient_flow,
    one_pass_sgd,
    power_law,
    random_features,
    sgd_spectrum,
    simulate_random_features,
)
from isoloss.theory.sgd import Model

PLAIN, STEEP = power_law(b=1.5, a=1.5, M=500), power_law(b=1.5, a=3, M=500)


def words(found):
    return [sentence.split()[0] for sentence in found.doubts]


def test_the_largest_share_is_that_of_one_mode():
    assert from_modes([1, 0.5], [3.0, 1.0], v0=4.0).largest_share == 3 / 8
    # Many modes at one node are many.
    assert from_modes([1, 0.5], [1.0, 1.0], multiplicity=[9, 1]).largest_share == 0.1
    assert from_modes([1.0], [0.0]).largest_share == 0.0
    assert power_law(b=2, iid=True, M=10**6).largest_share == pytest.approx(6 / np.pi**2, rel=1e-5)


@pytest.mark.parametrize(
    "solve",
    [
        lambda s, N, T: random_features(s, N, T, ridge=1.0),
        lambda s, N, T: random_features(s, N, T, ridge="optimal"),
        lambda s, N, T: gradient_flow(s, N, T, [1.0, 2.0]),
        lambda s, N, T: gradient_descent(s, N, T, [1, 2], eta=0.1),
    ],
)
def test_every_model_of_single_draws_says_the_same(solve):
    assert words(solve(PLAIN, 100, 200)) == []
    assert words(solve(STEEP, 100, 200)) == ["one"]
    assert words(solve(PLAIN, 100, 29)) == ["min(N,"]
    assert "83 %" in solve(STEEP, np.inf, 200).doubts[0]
    assert solve(STEEP, 100, 200).to_dict()


def test_results_with_doubts_are_suspect_and_keep_their_table():
    found = random_features(STEEP, 100, [200, 300], ridge=1.0)
    assert found.status == "suspect"
    assert found.to_dict()["largest_share"] == pytest.approx(0.8325, abs=1e-3)
    assert "largest_share" not in found.to_columns()
    assert random_features(PLAIN, 100, 200).status == "ok"


def test_a_steep_target_scatters_more():
    scatter = []
    for spectrum in (PLAIN, STEEP):
        loss = simulate_random_features(spectrum, 60, 120, ridge=50.0, draws=60)
        values = loss.values["test_excess"]
        scatter.append(values.std() / values.mean())
    assert scatter[1] > 1.5 * scatter[0]


def test_n_beside_t_counts_once_the_slowest_directions_are_learned():
    near = ["|N"]
    assert words(random_features(PLAIN, 100, 110)) == near
    assert words(random_features(PLAIN, 100, 110, ridge=1.0)) == []
    assert words(gradient_flow(PLAIN, 100, 110, [1.0, np.inf])) == near
    assert words(gradient_flow(PLAIN, 100, 110, [1.0, 10.0])) == []
    assert words(gradient_flow(PLAIN, 100, 140, np.inf)) == []
    assert words(gradient_flow(PLAIN, 100, 110, 1e7)) == near
    assert words(gradient_flow(PLAIN, 100, 100, 1e9)) == near
    assert words(gradient_descent(PLAIN, 100, 110, [10**8], eta=0.1)) == near
    # Decay that holds the slowest back, and decay that does not.
    assert words(gradient_flow(PLAIN, 100, 110, np.inf, weight_decay=0.01)) == []
    assert words(gradient_flow(PLAIN, 100, 110, np.inf, weight_decay=1e-9)) == near
    # Fewer modes than features: no peak.
    assert words(gradient_flow(power_law(b=1, a=1, M=50), 100, 110, np.inf)) == []


@pytest.mark.parametrize("setting", [(0.8, 0.6, 800, 200, 0.1), (1.5, 2.0, 3000, 1000, 0.2)])
def test_the_resolution_of_sgd_holds(setting):
    alpha, beta, M, N, lr = setting
    spectrum = sgd_spectrum(alpha=alpha, beta=beta, M=M)
    found = one_pass_sgd(spectrum, N, [65, 1000, 2000], lr=lr)
    by_sum = Model(spectrum, N, lr, 1, 0.0).volterra(2000)[[65, 1000, 2000]]
    assert np.abs(found.risk - by_sum).max() < found.resolution
    assert 0 < found.resolution < 1e-11
    assert found.to_dict()["resolution"] == found.resolution
    # All modes learned: nothing is left but rounding, and it is below what is said.
    done = one_pass_sgd(sgd_spectrum(alpha=1, beta=1, M=20), np.inf, 10**9, lr=0.1)
    assert float(done.risk) < done.resolution


def test_notes_below_the_table():
    law = ("--M", "20", "--N", "inf", "--alpha", "1", "--beta", "1", "--lr", "0.1")
    assert "are rounding" in call("theory", "sgd", *law, "--steps", "1e9").stderr
    assert "rounding" not in call("theory", "sgd", *law, "--steps", "10").stderr
    steep = ("--b", "1.5", "--a", "3", "--M", "500", "--N", "100", "--T", "110")
    shown = call("theory", "gradient-flow", *steep, "--t", "1,inf").stderr
    assert "note: one mode carries 83 % of the target" in shown
    assert "note: |N - T| is below 30" in shown
    answer = call("theory", "random-features", *steep, "--ridge", "1")
    assert "note: one mode" in answer.stderr
    assert answer.exit_code == 0

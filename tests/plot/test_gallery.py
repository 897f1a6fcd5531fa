"""The numbers of the gallery against laws and closed forms; nothing is drawn."""

import math

import numpy as np
import pytest

from isoloss.plot import gallery
from isoloss.plot.gallery.learning import unit_spectrum
from isoloss.plot.gallery.regime_map import REGIMES
from isoloss.theory import compute_exponents, random_features, regimes, sgd_phase, spectral_constant


def slope(x, y):
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def within(points, exact, standard_errors=4.5):
    """Whether all means lie near the theory, but for its error of about one over the size."""
    room = standard_errors * points["sem"] + 0.05 * exact
    return bool((np.abs(points["mean"] - exact) < room).all())


@pytest.mark.parametrize("alpha", [0.5, 0.8, 1.5])
def test_loss_of_endless_features_falls_as_the_law_says(alpha):
    series = gallery.learning_curves_series(alpha=alpha, N=())
    free, law = series["unlimited"], series["law"]
    late = free["T"] > 300
    assert slope(free["T"][late], free["loss"][late]) == pytest.approx(-alpha, abs=0.01)
    assert law["exponent"] == pytest.approx(alpha)
    assert free["loss"][-1] / law["loss"][-1] == pytest.approx(1, abs=0.01)


def test_plateaus_fall_with_the_exponent_of_the_samples():
    series = gallery.learning_curves_series(alpha=0.8, N=(20, 40, 80), M=10**6)
    ends = [c["plateau"] for c in series["curves"]]
    # The duality of features and samples: one law in n + 1/2 of both.
    assert slope(np.array([20.5, 40.5, 80.5]), ends) == pytest.approx(-0.8, abs=0.02)
    assert all(c["loss"][-1] > c["plateau"] for c in series["curves"])


def test_the_peak_is_at_as_many_samples_as_features_and_the_best_ridge_has_none():
    bare, best = (
        gallery.learning_curves_series(N=(20, 60), ridge=r)["curves"]
        for r in ("ridgeless", "optimal")
    )
    for n, one, other in zip((20, 60), bare, best, strict=True):
        assert one["T"][np.argmax(one["loss"])] == n
        assert np.isinf(one["loss"].max())
        assert (np.diff(other["loss"]) < 0).all()
        assert (other["loss"] <= one["loss"]).all()


@pytest.mark.parametrize("ridge", ["ridgeless", "optimal"])
def test_simulated_learning_curves_lie_on_the_theory(ridge):
    series = gallery.learning_curves_series(N=(40,), M=400, ridge=ridge, simulate=12, T=(20, 700))
    points = series["curves"][0]["simulated"]
    exact = random_features(unit_spectrum(0.8, 400), 40, points["T"], ridge=ridge).test_excess
    assert len(exact) > 5
    assert within(points, exact)
    assert (points["sem"] > 0).all()


@pytest.mark.parametrize("alpha", [0.5, 1.5, 2.5])
def test_the_best_ridge_solves_the_quadratic_of_endless_power_laws(alpha):
    size = 1e4
    curve = gallery.optimal_ridge_series(alpha=(alpha,), size=size)["curves"][0]
    N, T = size * np.sqrt(curve["ratio"]), size / np.sqrt(curve["ratio"])
    a, b, c = (alpha + 2) * (alpha - 1) / (alpha + 1), -alpha * (N + T), alpha * N * T
    z = 2 * c / (-b + np.sqrt(b**2 - 4 * a * c))
    kappa = (spectral_constant(1 + alpha) / (z + 0.5)) ** (1 + alpha)
    assert curve["ridge"] == pytest.approx(kappa * (N - z) * (T - z), rel=0.01)
    assert curve["scaled"] == pytest.approx(curve["scaled"][::-1], rel=1e-6)


def test_the_best_ridge_is_flat_at_alpha_one_and_scales_with_size_elsewhere():
    flat = gallery.optimal_ridge_series(alpha=(1.0,))["curves"][0]["ridge"]
    assert flat == pytest.approx(math.pi**2 / 4, rel=0.02)
    small, large = (gallery.optimal_ridge_series(alpha=(0.5,), size=s) for s in (1e3, 1e5))
    one, other = (s["curves"][0]["scaled"] for s in (small, large))
    assert one == pytest.approx(other, rel=0.02)


@pytest.mark.parametrize("constraint", ["N*T", "N+T"])
def test_the_valley_is_symmetric_without_noise_and_moves_to_samples_with_it(constraint):
    series = gallery.valley_series(constraint=constraint, noise=(0.0, 0.05, 0.5), M=10**7)
    clean, *noisy = series["curves"]
    assert clean["best"] == pytest.approx(1, abs=0.01)
    assert clean["loss"] == pytest.approx(clean["loss"][::-1], rel=1e-6)
    assert 1 > noisy[0]["best"] > noisy[1]["best"]
    for curve in series["curves"]:
        assert curve["loss"].min() == pytest.approx(curve["least"], rel=0.01)
        assert curve["least"] <= curve["loss"].min()
        step = curve["ratio"][1] / curve["ratio"][0]
        lowest = curve["ratio"][np.argmin(curve["loss"])]
        assert 1 / step < lowest / curve["best"] < step


def test_the_simulated_valley_lies_on_the_theory():
    curve = gallery.valley_series(size=60.0, ratio=8.0, noise=(0.1,), M=300, simulate=12)
    curve = curve["curves"][0]
    exact = np.interp(curve["simulated"]["ratio"], curve["ratio"], curve["loss"])
    assert within(curve["simulated"], exact)


def test_the_power_law_ends_at_as_many_features_as_latents():
    clean, noisy = (gallery.plateau_series(noise=s)["curves"] for s in (0.0, 1e-3))
    for curve, other in zip(clean[:-1], noisy[:-1], strict=True):
        M = curve["M"]
        assert (curve["loss"][curve["n"] >= M] == 0).all()
        assert (curve["loss"][curve["n"] < M] > 0).all()
        # Samples that outnumber the latents leave noise alone: sigma^2 T/(T - M).
        past = other["n"] > M
        T = 4 * other["n"][past]
        assert other["loss"][past] == pytest.approx(1e-3 * T / (T - M), rel=1e-9)
    endless = clean[-1]
    late = endless["n"] > 300
    assert slope(endless["n"][late], endless["loss"][late]) == pytest.approx(-0.8, abs=0.01)


def test_power_past_the_latents_is_a_plateau_that_falls_with_their_number():
    series = gallery.plateau_series(M=(30, 300, 3000), beyond=True)
    *finite, _ = series["curves"]
    floors = [c["floor"] for c in finite]
    assert slope([30.5, 300.5, 3000.5], floors) == pytest.approx(-0.8, abs=0.01)
    for curve in finite[:2]:
        assert curve["loss"][-1] == pytest.approx(curve["floor"], rel=0.02)


def test_simulated_plateaus_lie_on_the_theory():
    curve = gallery.plateau_series(M=(40,), noise=0.01, simulate=12)["curves"][0]
    points = curve["simulated"]
    near = np.abs(points["n"] - 40) > 5
    exact = np.exp(np.interp(np.log(points["n"]), np.log(curve["n"]), np.log(curve["loss"])))
    kept = {k: v[near] for k, v in points.items()}
    assert within(kept, exact[near])
    assert points["n"].max() > 40


def test_a_nonlinearity_keeps_the_trace_and_carries_the_spectrum_past_the_latents():
    series = gallery.nonlinear_spectrum_series(simulate=2)
    linear, chaos, points = series["linear"]["lam"], series["chaos"], series["simulated"]
    assert series["bulk"] * series["N"] == pytest.approx(series["tail"])
    assert linear == pytest.approx(series["latents"]["lam"] / 4)
    assert series["tail"] == pytest.approx(0.25 - 1 / (2 * math.pi))
    ranks, lam = chaos["rank"], chaos["lam"]
    assert (np.diff(lam) <= 0).all()
    # Near the exponent of the latents, -1.5, past the 60 of them; steeper as products run out.
    part = (ranks > 60) & (ranks < 2000)
    assert -2.2 < slope(ranks[part], lam[part]) < -1.5
    # Features that are drawn have these eigenvalues, and not the flat ones of noise.
    seen = (points["rank"] > 1) & (points["rank"] < 200)
    predicted = np.interp(points["rank"][seen], ranks, lam)
    assert points["mean"][seen] == pytest.approx(predicted, rel=0.2)


def test_the_tail_of_gaussian_equivalence_is_that_of_flat_spectra():
    series = gallery.nonlinear_spectrum_series(alpha=-0.7, M=400, degree=1, simulate=2)
    points = series["simulated"]
    past = points["rank"] > 1.5 * series["M"]
    assert points["mean"][past] == pytest.approx(series["bulk"], rel=0.25)


def test_stairs_on_the_sphere_are_degrees_with_their_multiplicities():
    series = gallery.sphere_spectrum_series(d=3, activations=("relu", "erf"), degrees=5)
    relu, erf = series["curves"]
    assert relu["degree"].tolist() == [1, 2, 4]
    assert erf["degree"].tolist() == [1, 3, 5]
    for curve in (relu, erf):
        assert curve["count"].tolist() == [2 * k + 1 for k in curve["degree"]]
        assert curve["first"].tolist() == [1, *(curve["last"][:-1] + 1)]
    # E max(0, sqrt(3) t) t over t uniform on [-1, 1] is sqrt(3)/6.
    assert relu["lam"][0] == pytest.approx(1 / 12)


@pytest.mark.parametrize(("ridge", "noise"), [("ridgeless", 0.0), ("optimal", 0.1)])
def test_the_map_shows_the_regimes_of_the_theory(ridge, noise):
    series = gallery.regime_map_series(ridge=ridge, noise=noise, points=9)
    grid = series["T"]
    found = regimes(unit_spectrum(0.8, 1e9), grid[:, None], grid, ridge=ridge, noise=noise)
    assert [[REGIMES[k] for k in row] for row in series["code"]] == found.data.tolist()
    near = series["tolerance"]
    both = np.stack([series["from_data"] <= near, series["from_size"] <= near])
    words = np.array(REGIMES)[series["code"]]
    assert (both[0] == np.isin(words, ["resolution", "both"])).all()
    assert (both[1] == np.isin(words, ["variance", "both"])).all()
    assert set(words.ravel()) == {"resolution", "variance", "mixed"}


def test_training_stops_best_between_start_and_end():
    for curve in gallery.training_curves_series()["curves"]:
        assert curve["least"] == curve["loss"].min() < min(curve["loss"][0], curve["end"])
        assert curve["loss"][-1] == pytest.approx(curve["end"], rel=0.01)


def test_simulated_training_lies_on_the_theory():
    series = gallery.training_curves_series(N=(50,), T=100, M=600, simulate=12)
    curve = series["curves"][0]
    exact = np.interp(curve["simulated"]["t"], curve["t"], curve["loss"])
    assert within(curve["simulated"], exact)


@pytest.mark.parametrize(("a", "b"), [(1.5, 1.3), (2.8, 1.3)])
def test_the_envelope_has_the_slope_that_is_predicted(a, b):
    series = gallery.compute_envelope_series(a=a, b=b, N=(1e3,), C=(1e7, 1e10), budgets=5)
    best, law = series["envelope"], series["law"]
    predicted = compute_exponents(a=a, b=b)
    assert law["exponent"] == predicted.loss
    assert slope(best["C"], best["loss"]) == pytest.approx(-predicted.loss, abs=0.02)
    assert slope(best["C"], best["N"]) == pytest.approx(predicted.model, abs=0.05)
    assert slope(law["C"], law["loss"]) == pytest.approx(-predicted.loss)
    curve = series["curves"][0]
    least = np.exp(np.interp(np.log(curve["C"]), np.log(best["C"]), np.log(best["loss"])))
    assert (curve["loss"] > 0.99 * least).all()


def test_every_phase_is_named_inside_itself_and_borders_part_phases():
    series = gallery.sgd_phases_series()
    for name, (alpha, beta) in series["names"].items():
        assert sgd_phase(alpha, beta).phase == name
    for (a, b), (c, d) in series["borders"].values():
        alpha, beta = (a + c) / 2, (b + d) / 2
        if (a, b) == (0.5, 0.0):
            beta /= 2
        across = np.array([d - b, a - c]) / math.hypot(d - b, a - c) * 1e-4
        one, other = (sgd_phase(alpha + s * across[0], beta + s * across[1]) for s in (1, -1))
        assert one.phase != other.phase
        assert (one.y or 0) == pytest.approx(other.y or 0, abs=1e-3)
    falls = ~np.isnan(series["y"])
    sums = series["alpha"] + series["beta"][:, None]
    assert (falls == (2 * sums - 1 > 0)).all()


def test_the_exact_risk_is_the_sum_of_its_terms_up_to_constants():
    series = gallery.sgd_risk_series()
    late = series["steps"] >= 30
    total = sum(series["terms"].values())[late]
    ratio = series["risk"][late] / total
    assert 0.8 < ratio.min() < ratio.max() < 4
    assert series["risk"][-1] == pytest.approx(series["limit"], rel=0.01)
    assert series["phase"] == "III"
    powers = {"F_pp": -(1.6 + 2.4 - 1) / 1.6, "F_ac": -1 + 1 / 1.6, "K_pp": -2 + 1 / 1.6, "F_0": 0}
    for name, exponent in powers.items():
        assert slope(series["steps"], series["terms"][name]) == pytest.approx(exponent, abs=1e-6)


def test_simulated_risks_lie_on_the_exact_curve():
    series = gallery.sgd_risk_series(small=60, simulate=6, steps=(1, 1e4))
    points = series["simulated"]
    exact = np.exp(
        np.interp(np.log(points["steps"]), np.log(series["steps"]), np.log(series["small"]["risk"]))
    )
    assert within(points, exact)

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.spectra import measure_spectrum, predict_curve, to_spectrum
from isoloss.spectra.loss import total_losses
from isoloss.spectra.resolved import Resolved, resolve
from isoloss.theory import PerSample, power_law, random_features
from isoloss.theory.moments import moments
from spectra.made import known

NOISE = 0.05


def sums_of(spectrum, noise):
    """What `resolve` would find with endless rows."""
    kappa = np.geomspace(1e2, 1e-6, 3000)
    found = moments(spectrum, kappa)
    se = spectrum.v0 + noise
    return Resolved(
        kappa=kappa,
        z=found.z,
        q=found.q,
        S1=found.S2 + found.d + se,
        S2=found.S2 + se,
        complete=True,
    )


@pytest.mark.parametrize("ridge", ["optimal", "ridgeless", 0.5, 20.0])
def test_losses_from_sums_are_those_of_the_theory(ridge):
    spectrum = power_law(b=1.4, a=1.6, M=400)
    D = np.array([20.0, 60, 150, 350, 90, 300])
    N = np.array([np.inf, np.inf, np.inf, np.inf, 40, 120])
    taken = PerSample(ridge / D) if isinstance(ridge, float) else ridge
    theory = random_features(spectrum, N, D, ridge=taken, noise=NOISE)
    found, s = total_losses(sums_of(spectrum, NOISE), N, D, ridge, centred=False)
    assert found == pytest.approx(theory.test_total, rel=2e-4)
    if ridge == "optimal":
        assert s == pytest.approx(theory.ridge_per_sample, rel=2e-2, abs=1e-3)


def test_past_all_modes_the_loss_is_that_of_least_squares():
    spectrum = power_law(b=1.4, a=1.6, M=50)
    at = sums_of(spectrum, NOISE)
    D = np.array([80.0, 200, 1e6])
    for ridge in ("ridgeless", 1e-9):
        found, _ = total_losses(at, np.full(3, np.inf), D, ridge, centred=False)
        assert found == pytest.approx(NOISE * D / (D - 50), rel=1e-3)
    equal, _ = total_losses(at, np.array([30.0]), np.array([30.0]), "ridgeless", centred=False)
    assert np.isinf(equal)


def test_nothing_to_learn_takes_a_ridge_without_end():
    x = known(200, 30)[0]
    found = predict_curve(
        measure_spectrum(x, np.random.default_rng(1).standard_normal(200)), [25.0]
    )
    assert found.ridge[0] == np.inf
    assert found.loss[0] == pytest.approx(found.power * (1 + 1 / 25), rel=0.01)


def test_the_ends_of_the_sums_are_exact():
    x, y, _ = known(300, 40)
    sample = measure_spectrum(x, y).sample
    at = resolve(sample)
    assert at.S2[0] == pytest.approx(sample.total, rel=1e-3)
    xc = np.column_stack([np.ones(300), x])
    rest = y - xc @ np.linalg.lstsq(xc, y, rcond=None)[0]
    # Residual variance per degree of freedom.
    assert at.S2[-1] == pytest.approx(rest @ rest / (300 - 41), rel=1e-3)
    assert at.S1[-1] == pytest.approx(at.S2[-1], rel=1e-2)
    assert at.z[-1] == pytest.approx(40, rel=1e-3)
    assert at.q[-1] == pytest.approx(40, rel=1e-3)
    assert (np.diff(at.kappa) < 0).all()
    assert (np.diff(at.z) > 0).all()


@pytest.mark.parametrize("n", [250, 900])
def test_degrees_of_freedom_are_those_of_the_population(n):
    # More modes than rows, and fewer: the same sums are read off both.
    x, y, spectrum = known(n, 300)
    at = resolve(measure_spectrum(x, y, centre=False, groups=5).sample)
    kappas = np.array([1e-1, 1e-2, 3e-3])
    population = moments(spectrum, kappas)
    for name in ("z", "q"):
        read = np.interp(-np.log(kappas), -np.log(at.kappa), getattr(at, name))
        assert read == pytest.approx(getattr(population, name), rel=0.04), name


@pytest.mark.parametrize("n", [250, 700])
def test_predicted_curves_are_within_four_errors_of_the_truth(n):
    D = np.array([15.0, 40, 100, 180, 60])
    N = np.array([np.inf, np.inf, np.inf, np.inf, 30])
    for seed in range(3):
        x, y, spectrum = known(n, 300, seed=seed, noise=NOISE)
        measured = measure_spectrum(x, y, centre=False, rng=seed)
        for ridge in ("optimal", 1.0):
            taken = ridge if ridge == "optimal" else PerSample(ridge / D)
            truth = random_features(spectrum, N, D, ridge=taken, noise=NOISE).test_total
            found = predict_curve(measured, D, N=N, ridge=ridge)
            assert (np.abs(found.loss - truth) < 4 * found.se).all()
            assert (found.low <= found.loss).all()
            assert (found.se / found.loss).max() < 0.3


def test_the_mean_costs_a_sample_and_its_own_error():
    x, y, _ = known(3000, 20, noise=0.5)
    found = predict_curve(measure_spectrum(x + 5, y + 9), [60.0], ridge="ridgeless")
    # Least squares with an intercept, exact for Gaussian rows: (1 + 1/D) (D - 2)/(D - 22) noise.
    exact = 0.5 * (1 + 1 / 60) * 58 / (60 - 22)
    assert abs(found.loss[0] - exact) < 4 * found.se[0] + 0.02 * exact


def test_what_rows_cannot_tell_is_not_a_number():
    x, y, _ = known(60, 200)
    measured = measure_spectrum(x, y)
    found = predict_curve(measured, [20.0, 50.0, 59.0, 500.0], ridge="ridgeless")
    assert np.isnan(found.loss).tolist() == [False, False, True, True]
    assert np.isnan(found.se[2:]).all()


def test_the_population_behind_a_sample():
    for n, tolerance in ((250, 12.0), (900, 0.2)):
        x, y, spectrum = known(n, 300)
        measured = measure_spectrum(x, y, centre=False)
        found = to_spectrum(measured)
        assert found.misfit < 0.01
        assert found.target_misfit < 2
        assert abs(found.spectrum.size - 300) < tolerance
        assert found.spectrum.trace == pytest.approx(spectrum.trace, rel=0.15)
        D = np.array([20.0, 60, 150])
        for N in (np.inf, 50):
            direct = predict_curve(measured, D, N=N)
            through = random_features(found.spectrum, N, D, ridge="optimal").test_total
            assert (np.abs(through - direct.loss) < 0.6 * direct.se).all()


def test_targets_and_values_that_cannot_be_used():
    x, y, _ = known(60, 10)
    measured = measure_spectrum(x, y)
    for words, said in (
        ({"D": 1}, "at least 2 samples"),
        ({"D": [10], "ridge": -1}, "zero or more"),
        ({"D": [10], "ridge": "other"}, "'ridgeless', 'optimal'"),
        ({"D": [10, 20], "N": [1, 2, 3]}, "broadcast"),
        ({"D": [10], "level": 2}, "between 0 and 1"),
    ):
        with pytest.raises(InputError, match=said):
            predict_curve(measured, **words)
    with pytest.raises(InputError, match="labels"):
        predict_curve(measure_spectrum(x), [10])
    with pytest.raises(InputError, match="labels"):
        to_spectrum(measure_spectrum(x))

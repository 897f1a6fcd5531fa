import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.theory import PerSample, best_split, from_modes, gradients, power_law, random_features
from theory.given import EXACT, GOLDEN, near, noises, ridges, sizes, spectra, spectrum_of

CASES = [name for name in GOLDEN["ridge"] if name != "relu"]
ROOMY = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.mark.parametrize("name", CASES)
def test_reference_numbers(name):
    case = GOLDEN["ridge"][name]
    found = random_features(spectrum_of(f"ridge.{name}"), **case["at"])
    for key, value in case["value"].items():
        assert float(getattr(found, key)) == near(value, rel=EXACT), key


def brute_force(lam, v2, N, T, ghat, noise):
    """Bisection and plain sums, written from the published formulas."""
    low, high = 0.0, ghat + 1e9
    for _ in range(400):
        k = (low + high) / 2
        z = sum(v / (v + k) for v in lam)
        low, high = (k, high) if z >= min(N, T) or k * (N - z) * (T - z) < ghat else (low, k)
    z, q = (sum((v / (v + k)) ** p for v in lam) for p in (1, 2))
    S1, S2 = (sum(t * (k / (v + k)) ** p for v, t in zip(lam, v2, strict=True)) for p in (1, 2))
    B = S1 - (N - z) / (N - q) * (S1 - S2)
    D = N * T - z * z - q * (N + T) + 2 * q * z
    total = T * (N - q) / D * (B + noise)
    return k, total - noise, (1 - z / T) ** 2 * total


@ROOMY
@given(
    st.lists(st.tuples(st.floats(1e-3, 5), st.floats(1e-3, 5)), min_size=2, max_size=20),
    st.floats(1.5, 40), st.floats(1.5, 40), st.floats(1e-2, 50), st.sampled_from([0.0, 0.5]),
)  # fmt: skip
def test_against_bisection_and_plain_sums(modes, N, T, ghat, noise):
    lam, v2 = zip(*modes, strict=True)
    found = random_features(from_modes(lam, v2), N, T, ridge=ghat, noise=noise)
    expected = brute_force(lam, v2, N, T, ghat, noise)
    got = (found.kappa, found.test_excess, found.train)
    assert got == near(expected, rel=1e-7)


@ROOMY
@given(spectra(), sizes, sizes, ridges, noises)
def test_parts_sum_and_the_training_loss_tells_the_test_loss(spectrum, N, T, ridge, noise):
    found = random_features(spectrum, N, T, ridge=ridge, noise=noise)
    parts = [float(getattr(found, k)) for k in ("bias2", "V_F", "V_D", "V_FD")]
    assert all(v >= 0 for v in parts)
    assert sum(parts) == near(float(found.test_excess), rel=1e-11)
    assert float(found.test_total) == near(float(found.test_excess) + noise, rel=1e-12)
    if found.df1 < 0.999 * T:
        gcv = found.train / (1 - found.df1 / T) ** 2
        assert float(gcv) == near(float(found.test_total), rel=1e-9)
    assert float(found.residual) < 1e-13


@ROOMY
@given(spectra(iid=True, v0=False), sizes, sizes, ridges)
def test_features_and_samples_are_dual_without_noise(spectrum, N, T, ridge):
    one = random_features(spectrum, N, T, ridge=ridge).test_excess
    other = random_features(spectrum, T, N, ridge=ridge).test_excess
    assert float(one) == near(float(other), rel=1e-9, abs=1e-250)


@ROOMY
@given(spectra(), sizes, ridges, noises)
def test_infinite_resources_are_limits(spectrum, n, ridge, noise):
    s = PerSample(ridge / n)
    for make in (lambda m: (m, n), lambda m: (n, m)):
        end = random_features(spectrum, *make(np.inf), ridge=s, noise=noise)
        far = random_features(spectrum, *make(1e20), ridge=s, noise=noise)
        for key in ("kappa", "test_excess", "train", "V_FD"):
            assert float(getattr(far, key)) == near(
                float(getattr(end, key)), rel=1e-6, abs=1e-10 * (spectrum.power + noise)
            )
    both = random_features(spectrum, np.inf, np.inf, ridge=s, noise=noise)
    at = ridge / n
    kept = spectrum.multiplicity @ (spectrum.v2 * (at / (spectrum.lam + at)) ** 2)
    assert float(both.test_excess) == near(kept + spectrum.v0, rel=1e-12)


@ROOMY
@given(spectra(), sizes, sizes, noises)
def test_a_vanishing_ridge_is_no_ridge(spectrum, N, T, noise):
    assume(abs(N - T) > 1e-3 * N)
    assume(abs(min(N, T) - spectrum.size) > 1e-3 * spectrum.size and abs(T - spectrum.size) > 1e-2)
    none = random_features(spectrum, N, T, noise=noise)
    least = random_features(spectrum, N, T, ridge=1e-200, noise=noise)
    assert float(least.test_excess) == near(float(none.test_excess), rel=1e-9, abs=1e-100)
    assert float(least.train) == near(float(none.train), rel=1e-9, abs=1e-90)


@ROOMY
@given(spectra(), sizes, sizes, noises)
def test_the_optimal_ridge_is_not_beaten(spectrum, N, T, noise):
    best = random_features(spectrum, N, T, ridge="optimal", noise=noise)
    others = np.geomspace(1e-6, 1e6, 41) * (float(best.ridge) or 1.0)
    beside = random_features(spectrum, N, T, ridge=others, noise=noise).test_excess
    assert float(best.test_excess) <= float(beside.min()) * (1 + 1e-9) + 1e-250
    again = random_features(spectrum, N, T, ridge=float(best.ridge), noise=noise)
    assert float(again.test_excess) == near(float(best.test_excess), rel=1e-8, abs=1e-250)


def test_closed_forms_without_a_ridge():
    spectrum = power_law(b=1.4, a=1.7, M=10**6, v0=0.1)
    N, T, noise = 200, 700, 0.3
    below = random_features(spectrum, N, T, noise=noise)
    S1 = spectrum.multiplicity @ (spectrum.v2 * below.kappa / (spectrum.lam + below.kappa))
    assert float(below.df1) == near(N, rel=1e-13)
    assert float(below.test_total) == near((S1 + 0.1 + noise) * T / (T - N), rel=1e-12)
    above = random_features(spectrum, T, N, noise=noise)
    assert float(above.train) == 0
    q, S2 = float(above.df2), float(above.bias2) - 0.1
    B = S1 - (T - N) / (T - q) * (S1 - S2)
    expected = (B + 0.1 + noise) * N * (T - q) / ((T - N) * (N - q))
    assert float(above.test_total) == near(expected, rel=1e-12)


@pytest.mark.parametrize("ghat", [1e-8, 1e-30, 1e-300])
def test_the_peak_at_equal_numbers(ghat):
    spectrum = power_law(b=1.5, a=1.8, M=10**6)
    n, noise = 1000, 0.2
    bare = random_features(spectrum, n, n, noise=noise)
    assert float(bare.test_excess) == math.inf
    assert float(bare.V_F) + float(bare.V_D) < math.inf
    found = random_features(spectrum, n, n, ridge=ghat, noise=noise)
    S1 = float(bare.bias2 + bare.V_F)
    peak = n * (S1 + noise) * math.sqrt(float(bare.kappa) / ghat) / 2
    assert float(found.test_excess) == near(peak, rel=1e-2 if ghat > 1e-10 else 1e-9)


def test_past_the_last_mode_only_noise_and_what_is_out_of_reach_remain():
    clean, noisy = (power_law(b=1.5, a=1.8, M=100, v0=v) for v in (0.0, 0.3))
    assert float(random_features(clean, 200, 150).test_excess) == 0
    assert float(random_features(clean, 200, 200).test_excess) == 0
    assert float(random_features(clean, 100, 100).test_excess) == 0
    found = random_features(noisy, 200, 150, noise=0.1)
    assert float(found.test_total) == near(0.4 * 150 / 50, rel=1e-14)
    assert float(random_features(noisy, 200, 100, noise=0.1).test_excess) == math.inf
    assert float(random_features(noisy, 200, np.inf, noise=0.1).test_excess) == 0.3


def test_optimal_ridge_of_a_pure_power_law():
    # arXiv:2210.16859, b = 2: ghat = pi^2/4 at every N and T, loss pi^2/4 (1/N + 1/T)/M.
    spectrum = power_law(b=2, M=10**12, iid=True)
    N = np.array([3000, 10000, 30000.0])
    found = random_features(spectrum, N[:, None], N, ridge="optimal")
    assert found.ridge == near(np.full((3, 3), math.pi**2 / 4), rel=2e-3)
    law = math.pi**2 / 4 * (1 / N[:, None] + 1 / N) / 1e12
    assert found.test_excess == near(law, rel=1e-3)
    # z* is the smaller root of a quadratic for other exponents; here alpha = .5.
    alpha, n, m = 0.5, 4000.0, 12000.0
    flat = random_features(power_law(b=1.5, M=10**12, iid=True), n, m, ridge="optimal")
    roots = np.roots([(alpha + 2) * (alpha - 1) / (alpha + 1), -alpha * (n + m), alpha * n * m])
    assert float(flat.df1) == near(min(r for r in roots if r > 0), rel=2e-3)


def test_the_additive_law_holds_at_one_exponent_alone():
    # (1/N + 1/T)^alpha is printed as the law at the optimal ridge; at N = T it is off but for
    # alpha = 1: by these factors.
    for alpha, factor in ((0.25, 1.10), (0.5, 1.095), (1.0, 1.0), (1.5, 0.862), (2.5, 0.584)):
        spectrum = power_law(b=1 + alpha, M=10**14, iid=True)
        loss = random_features(spectrum, 1e4, [1e4, np.inf], ridge="optimal").test_excess
        assert loss[0] / (2**alpha * loss[1]) == near(factor, abs=6e-3)


def test_equal_numbers_are_best_by_symmetry():
    spectrum = power_law(b=1.5, M=10**6, iid=True)
    for constraint, at in (("N*T", 1e6), ("N+T", 2e3)):
        found = best_split(spectrum, at, constraint=constraint)
        assert float(found.N[0]) == near(1000, rel=1e-3)
        assert float(found.T[0]) == near(1000, rel=1e-3)


@ROOMY
@given(spectra(), st.floats(5, 500), st.floats(5, 500), st.floats(1e-2, 1e2), noises)
def test_gradients_are_those_of_differences(spectrum, N, T, ridge, noise):
    # At the peak the third derivative outgrows what differences can resolve.
    assume(abs(N - T) > 0.05 * N)
    exact = gradients(spectrum, N, T, ridge=ridge, noise=noise)
    for name, at in (("N", N), ("T", T), ("ridge", ridge)):
        arguments = {"N": N, "T": T, "ridge": ridge}
        h = 1e-5
        ends = [
            random_features(spectrum, **(arguments | {name: at * (1 + d)}), noise=noise)
            for d in (h, -h)
        ]
        for key, field in (("kappa", "kappa"), ("test", "test_excess")):
            up, down = (float(getattr(e, field)) for e in ends)
            size = 1e-9 * (abs(up) + noise) / (h * at)
            assert float(getattr(exact, f"{key}_{name}")) == near(
                (up - down) / (2 * h * at), rel=1e-3, abs=size
            )


@pytest.mark.parametrize(
    ("name", "value"),
    [("N", 0), ("N", -5), ("T", -1), ("T", math.nan), ("ridge", -1.0), ("noise", -0.1),
     ("ridge", "big"), ("noise", math.inf), ("N", "many"), ("N", 1e-4), ("T", 1e300),
     ("noise", 1e200)],
)  # fmt: skip
def test_bad_values_are_named(name, value):
    arguments = {"N": 10, "T": 20, "ridge": 1.0, "noise": 0.0, name: value}
    with pytest.raises(InputError, match=name):
        random_features(power_law(b=1.5, a=1.5, M=100), **arguments)


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(InputError, match=r"N \(2,\), T \(3,\)"):
        random_features(power_law(b=1.5, a=1.5, M=100), [1, 2], [1, 2, 3])

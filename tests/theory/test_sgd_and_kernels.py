import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.theory import (
    PerSample,
    chaos_spectrum,
    from_modes,
    gaussian_equivalent,
    kernel_regression,
    one_pass_sgd,
    power_law,
    random_features,
    sgd_phase,
    sgd_spectrum,
    sgd_terms,
    sphere_spectrum,
)
from isoloss.theory.activations import hermite_coefficients
from isoloss.theory.nonlinear import largest_products
from isoloss.theory.sgd import Model
from theory.given import EXACT, GOLDEN, near, noises, sizes, spectra, spectrum_of


def test_reference_numbers_of_sgd():
    case = GOLDEN["sgd"]
    at = case["at"]
    spectrum = sgd_spectrum(alpha=at["alpha"], beta=at["beta"], M=at["M"])
    found = one_pass_sgd(spectrum, at["N"], case["steps"], lr=at["lr"], batch=at["batch"])
    assert found.risk == near(np.array(case["risk"]), rel=EXACT)
    assert found.stable


# Stable with one and with more samples a step; one direction unstable, or all together; no limit
# on the features; more features than latents.
SETTINGS = [
    (0.8, 0.6, 800, 200, 0.1, 1, 0.0), (0.6, 0.3, 300, 100, 0.2, 2, 0.1),
    (0.8, 0.6, 300, 50, 0.9, 1, 0.1), (0.8, 0.6, 300, 50, 0.75, 1, 0.1),
    (0.8, 0.6, 300, math.inf, 0.3, 3, 0.1), (0.3, 0.5, 200, 300, 0.05, 2, 0.1),
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_generating_function_is_the_volterra_sum(setting):
    alpha, beta, M, N, lr, batch, noise = setting
    model = Model(sgd_spectrum(alpha=alpha, beta=beta, M=M), N, lr, batch, noise)
    by_sum = model.volterra(300)
    for k in (20, 65, 128, 300):
        assert model.at(k) == near(by_sum[k], rel=1e-9)


@pytest.mark.parametrize("setting", SETTINGS)
def test_long_training_reaches_the_limit(setting):
    alpha, beta, M, N, lr, batch, noise = setting
    spectrum = sgd_spectrum(alpha=alpha, beta=beta, M=M)
    found = one_pass_sgd(spectrum, N, [0, 10**12], lr=lr, batch=batch, noise=noise)
    assert found.risk[0] == near(spectrum.power, rel=1e-11)
    assert found.risk[1] == near(found.risk_limit, rel=1e-5)
    assert math.isinf(found.risk_limit) == (found.kernel_mass >= 1) == (not found.stable)


def test_modes_alone_obey_their_own_recursion():
    # No limit on features: the recursion of the mean squared error of each latent, by hand.
    lam, v2 = np.array([1.0, 0.5, 0.2]), np.array([0.3, 0.5, 0.1])
    lr, batch, noise, v0 = 0.2, 2, 0.05, 0.02
    rho, risk = v2 / lam, []
    for _ in range(100):
        risk.append(lam @ rho)
        phi = 1 - 2 * lr * batch * lam + lr**2 * batch * (batch + 1) * lam**2
        rho = phi * rho + lr**2 * batch * lam * (risk[-1] + noise + v0)
    found = one_pass_sgd(
        from_modes(lam, v2, v0=v0), math.inf, [1, 5, 40, 80, 99], lr=lr, batch=batch, noise=noise
    )
    assert found.risk == near(np.array(risk)[[1, 5, 40, 80, 99]] + v0, rel=1e-9)
    phi = 1 - 2 * lr * batch * lam + lr**2 * batch * (batch + 1) * lam**2
    mass = lr**2 * batch * float(np.sum(lam**2 / (1 - phi)))
    assert found.kernel_mass == near(mass, rel=1e-10)


def test_terms_are_the_leading_parts_of_the_risk():
    alpha, beta, N, lr = 1.0, 0.8, 1e9, 1e-3
    spectrum = sgd_spectrum(alpha=alpha, beta=beta, M=math.inf)
    steps = 1e7
    terms = sgd_terms(alpha, beta, N=N, steps=steps, lr=lr)
    found = one_pass_sgd(spectrum, N, [steps], lr=lr)
    mass = found.kernel_mass
    # Small steps: the kernel adds a share of about its mass, from times before.
    assert float(found.risk[0]) == near(terms.F_pp, rel=3 * mass + 2e-2)
    assert terms.F_ac < 1e-3 * terms.F_pp


TABLE = [
    ("Ia", 0.8, 0.3, 1 / 2.6, 1.2 / 2.6), ("Ib", 0.4, 0.3, 0.5, 0.2),
    ("Ic", 0.2, 0.8, 1 / 1.76, 0.2 / 0.88), ("II", 0.8, 0.6, 0.6 / 1.4, 1.8 / 2.8),
    ("III", 0.8, 1.2, 0.5, 1 - 1 / 3.2), ("IVa", 0.4, 0.8, 0.5, 0.4),
    ("IVb", 0.27, 0.8, 0.53 / 0.898, 0.46 * 1.14 / 1.796),
]  # fmt: skip


@pytest.mark.parametrize(("name", "alpha", "beta", "x", "y"), TABLE)
def test_phases(name, alpha, beta, x, y):
    found = sgd_phase(alpha, beta)
    assert found.phase == name
    assert (found.x, found.y) == near((x, y), rel=1e-9)


@settings(deadline=None, derandomize=True)
@given(st.floats(0.05, 2.0), st.floats(0.05, 2.0))
def test_exponents_do_not_jump_at_borders(alpha, beta):
    for a, b in ((0.5, beta), (alpha, 0.5), (alpha, alpha), (0.25, beta), (1 - 0.5**0.5, beta)):
        beside = (1 - 1e-9, 1 + 1e-9)
        sides = [sgd_phase(a * da, b * db) for da in beside for db in beside]
        names = {s.phase for s in sides}
        for side in sides[1:] if "none" not in names else []:
            assert side.y == near(sides[0].y, abs=1e-6)
            # Between IVa and IVb two different sizes are equally good.
            if names != {"IVa", "IVb"}:
                assert side.x == near(sides[0].x, abs=1e-6)


def test_no_learning_below_the_border():
    assert sgd_phase(0.2, 0.3).to_dict() == {"phase": "none", "x": None, "y": None}
    with pytest.raises(InputError, match="alpha"):
        sgd_phase(-0.1, 1.0)
    with pytest.raises(InputError, match="beta"):
        sgd_phase(0.1, math.nan)


def test_compute_optimal_risk_of_phase_two_follows_its_exponents():
    alpha, beta = 1.0, 0.7
    spectrum = sgd_spectrum(alpha=alpha, beta=beta, M=10**10)
    law, best = sgd_phase(alpha, beta), []
    for f in (1e9, 1e11):
        N = np.geomspace(0.05, 20, 25) * f**law.x
        best.append(min(float(one_pass_sgd(spectrum, n, round(f / n), lr=0.1).risk) for n in N))
    assert math.log(best[1] / best[0]) / math.log(100) == near(-law.y, abs=0.03)


@pytest.mark.parametrize(
    ("words", "piece"),
    [({"lr": 0}, "lr"), ({"batch": -1}, "batch"), ({"noise": -1}, "noise"), ({"N": 0}, "N = 0"),
     ({"steps": 0.5}, "whole")],
)  # fmt: skip
def test_bad_values_of_sgd_are_named(words, piece):
    arguments = {"N": 10, "steps": 5, "lr": 0.1} | words
    with pytest.raises(InputError, match=piece):
        one_pass_sgd(sgd_spectrum(alpha=0.8, beta=0.6, M=100), **arguments)
    with pytest.raises(InputError, match="alpha"):
        sgd_spectrum(alpha=0.8, beta=-0.9, M=100)


def test_reference_numbers_of_kernel_regression():
    case = GOLDEN["kernel"]
    at = case["at"]
    found = kernel_regression(
        spectrum_of("kernel"), at["T"], ridge=PerSample(at["ridge"]), noise=at["noise"]
    )
    for key, value in case["value"].items():
        assert float(getattr(found, key)) == near(value, rel=EXACT), key
    train = (found.ridge / (found.T * found.kappa)) ** 2 * (found.test_excess + at["noise"])
    assert float(found.train) == near(float(train), rel=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(spectra(v0=False), sizes, st.floats(-6, 3).map(lambda v: 10**v), noises)
def test_what_is_learned_is_conserved(spectrum, T, ridge, noise):
    found = kernel_regression(spectrum, T, ridge=ridge, noise=noise)
    learned = float(found.learnability @ spectrum.multiplicity)
    assert learned + ridge / float(found.kappa) == near(T, rel=1e-9)
    left = float(spectrum.multiplicity @ (spectrum.v2 * (1 - found.learnability) ** 2))
    total = float(found.overfitting) * (left + noise)
    # 1 - learnability and T - q lose digits where nearly all is learned.
    assert float(found.test_excess) + noise == near(total, rel=1e-5, abs=1e-12)


def test_reference_numbers_of_relu_features():
    case, i = GOLDEN["ridge"]["relu"], np.arange(1, 401.0)
    lam, v2 = i**-0.3, 1 / i
    latents = from_modes(lam / lam.sum(), v2 / v2.sum())
    spectrum = gaussian_equivalent(latents, "relu", nonlinear_power=0.1)
    found = random_features(spectrum, **case["at"])
    for key, value in case["value"].items():
        assert float(getattr(found, key)) == near(value, rel=EXACT), key


@pytest.mark.parametrize(
    ("name", "linear", "rest"),
    [("relu", 1 / 4, 1 / 4 - 1 / (2 * math.pi)), ("sign", 2 / math.pi, 1 - 2 / math.pi),
     ("erf", 4 / (3 * math.pi), 2 / math.pi * math.asin(2 / 3) - 4 / (3 * math.pi)),
     ("identity", 1.0, 0.0)],
)  # fmt: skip
def test_gaussian_means_of_activations(name, linear, rest):
    c, square = hermite_coefficients(name, 1)
    assert c[1] ** 2 == near(linear, abs=1e-12)
    assert square - c[0] ** 2 - c[1] ** 2 == near(rest, abs=1e-12)


def test_a_function_is_an_activation_and_bad_ones_are_refused():
    latents = power_law(b=0.5, a=1.0, M=50)
    ours, named = (gaussian_equivalent(latents, f) for f in (np.tanh, "tanh"))
    assert ours.tail == named.tail
    nodes, weight = np.polynomial.hermite_e.hermegauss(150)
    weight = weight / weight.sum()
    slope = float(weight @ (nodes * np.tanh(nodes)))
    assert ours.trace - ours.tail == near(slope**2, rel=1e-9)
    for bad, piece in (("gelu", "relu"), (lambda g: g[:1], "one finite"), (np.cos, "no linear")):
        with pytest.raises(InputError, match=piece):
            gaussian_equivalent(latents, bad)


def test_the_spectrum_of_a_sphere_is_its_kernels():
    d, rng = 5, np.random.default_rng(0)
    spectrum = sphere_spectrum(d, np.tanh, [0, 1.0], degrees=15)
    x = rng.standard_normal((40, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    w = rng.standard_normal((400_000, d))
    w *= math.sqrt(d) / np.linalg.norm(w, axis=1, keepdims=True)
    f = np.tanh(x @ w.T)
    t = x[0] @ x.T
    polynomials, before, now = [], np.zeros_like(t), np.ones_like(t)
    for k in range(16):
        polynomials.append(now)
        before, now = now, ((2 * k + d - 2) * t * now - k * before) / (k + d - 2)
    # The kernel is the sum over degrees of lam times multiplicity times the polynomial.
    odd = spectrum.lam.size
    trace = spectrum.lam * spectrum.multiplicity
    sampled = f[0] @ f.T / w.shape[0]
    assert sampled == near(
        sum(c * polynomials[2 * k + 1] for k, c in enumerate(trace[:odd])), abs=5e-3
    )
    assert sphere_spectrum(10, "relu", [0, 0, 0, 1.0]).v0 == 1.0
    # In three dimensions these are the spherical harmonics.
    assert sphere_spectrum(3, np.exp, [1.0], degrees=6).multiplicity.tolist() == [
        1,
        3,
        5,
        7,
        9,
        11,
        13,
    ]


def test_products_of_modes_are_all_there():
    lam = np.arange(1.0, 13) ** -1.3
    every = sorted(
        (a * b * c for i, a in enumerate(lam) for j, b in enumerate(lam[i:], i) for c in lam[j:]),
        reverse=True,
    )
    assert largest_products(lam, 3, 10**6) == near(np.array(every))
    some = largest_products(lam, 3, 50)
    assert 50 <= some.size < 60
    assert some == near(np.array(every[: some.size]))


def test_products_have_the_exponent_of_their_factors_up_to_logarithms():
    logs = np.log(largest_products(np.arange(1, 61.0) ** -1.5, 3, 10**6))
    for first, last, expected in ((60, 300, -1.28), (300, 2000, -1.50)):
        slope = (logs[last - 1] - logs[first - 1]) / math.log(last / first)
        assert slope == near(expected, abs=0.04)


def test_nonlinear_features_go_on_past_the_last_latent():
    latents = power_law(b=1.5, a=1.5, M=60)
    spectrum = chaos_spectrum(latents, lambda g: np.maximum(g, 0), degree=3, modes=3000)
    assert spectrum.size > 1500
    # The norm of the latents is taken as constant, which it is not quite.
    c, square = hermite_coefficients("relu", 0)
    assert spectrum.trace == near(square - c[0] ** 2, rel=0.05)
    assert spectrum.power == near(latents.power, rel=1e-12)


def test_bad_spheres_are_refused():
    for words, piece in (((2, "relu", [1]), "d = 2"), ((5, "relu", [-1]), "power")):
        with pytest.raises(InputError, match=piece):
            sphere_spectrum(*words)

"""Closed forms in print, and statements in print that the exact curves contradict: both numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import hyp2f1

from isoloss.theory import (
    from_modes,
    gradient_flow,
    kernel_regression,
    one_pass_sgd,
    power_law,
    random_features,
    solve_kappa,
    spectral_constant,
)
from isoloss.theory.moments import moments
from theory.given import near


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(0.3, 2.5), st.floats(0.3, 3.0), st.floats(1.2, 10.0))
def test_the_variance_limited_coefficient_is_exact(alpha, log_P, ratio):
    # arXiv:2102.06701, solvable model: L(D, P) - L(P) = L(P) P/(D - P), and the dual.
    P = 10**log_P
    D = ratio * P
    spectrum = power_law(b=1 + alpha, M=10**9, iid=True)
    for swap in (False, True):
        pair = [(P, D), (P, math.inf)]
        both, one = (
            float(random_features(spectrum, *(p[::-1] if swap else p)).test_excess) for p in pair
        )
        assert both - one == near(one * P / (D - P), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.5])
def test_the_replica_form_of_one_resource(alpha):
    # arXiv:2102.06701: kB = sum kB lam/(kB + D lam), L = kB^2/(1-g) sum lam w^2/(kB + D lam)^2
    # with g = sum D lam^2/(kB + D lam)^2: kB is D kappa.
    D, lam = 50.0, np.arange(1, 2001.0) ** -(1 + alpha)
    kappa = float(solve_kappa(from_modes(lam, lam / lam.size), math.inf, D).kappa)
    kB = D * kappa
    assert np.sum(kB * lam / (kB + D * lam)) == near(kB, rel=1e-12)
    g = np.sum(D * lam**2 / (kB + D * lam) ** 2)
    loss = kB**2 / (1 - g) * np.sum(lam / lam.size / (kB + D * lam) ** 2)
    exact = random_features(from_modes(lam, lam / lam.size), math.inf, D).test_excess
    assert loss == near(float(exact), rel=1e-11)


@pytest.mark.parametrize("alpha", [0.3, 0.5, 1.0, 2.0])
def test_the_prefactor_of_the_resolution_limited_law(alpha):
    # L(D) = C^(1+alpha) D (D + 1/2)^-(1+alpha) per iid power; the sum over the modes beyond D,
    # which ignores how a model confuses modes, gives D^-alpha/alpha: too little by these factors.
    M, D = 10**15, 20_000.0
    C = spectral_constant(1 + alpha)
    loss = float(random_features(power_law(b=1 + alpha, M=M, iid=True), math.inf, D).test_excess)
    law = C ** (1 + alpha) * D * (D + 0.5) ** -(1 + alpha) / M
    assert loss == near(law, rel=2e-3 if alpha < 0.4 else 1e-5)
    factor = {0.3: 1.61, 0.5: 1.88, 1.0: 2.47, 2.0: 3.54}[alpha]
    assert alpha * C ** (1 + alpha) == near(factor, abs=6e-3)


def test_the_large_exponent_limit_in_print_is_upside_down():
    # In print the loss of D samples tends to alpha D^-alpha for large alpha. By the exact curve it
    # is C^(1+alpha) D^-alpha, whose prefactor stays of order one (and D^-alpha/alpha for the sum
    # over the modes beyond D).
    M, D, alpha = 10**6, 100.0, 8.0
    spectrum = power_law(b=1 + alpha, M=M, iid=True)
    loss = M * float(random_features(spectrum, math.inf, D).test_excess)
    printed = alpha * D**-alpha
    beyond = float(np.sum(np.arange(D + 1, M + 1) ** -(1 + alpha)))
    assert beyond == near(D**-alpha / alpha, rel=0.05)
    assert loss / D**-alpha == near(spectral_constant(1 + alpha) ** (1 + alpha), rel=0.05)
    assert loss / D**-alpha < 1.3
    assert printed / D**-alpha == 8


@pytest.mark.parametrize(("alpha", "kappa", "error"), [(1.0, 1e-5, 3e-8), (0.5, 1e-3, 1e-3),
                                                       (1.5, 1e-6, 1e-5)])  # fmt: skip
def test_degrees_of_freedom_of_finitely_many_modes(alpha, kappa, error):
    # Euler and Maclaurin on both ends: good for kappa far below the first eigenvalue.
    M, p = 10**5, 1 / (1 + alpha)
    f = 1 / (1 + kappa * M ** (1 + alpha))
    slope = -kappa * (1 + alpha) * M**alpha * f**2
    closed = M * hyp2f1(1, p, 1 + p, -kappa * M ** (1 + alpha)) - (1 - f) / 2 + slope / 12
    z = float(moments(power_law(b=1 + alpha, M=M, iid=True), np.array([kappa])).z[0])
    assert z == near(closed, abs=max(error, kappa))


def test_a_tail_is_the_limit_of_many_small_modes():
    lam, v2 = np.array([1.0, 0.3, 0.1]), np.array([0.5, 0.5, 0.2])
    tail = from_modes(lam, v2, tail=0.4)
    K = 10**9
    many = from_modes([*lam, 0.4 / K], [*v2, 0.0], multiplicity=[1, 1, 1, K])
    for N, T, ridge in ((2.0, 5.0, 0.1), (8.0, 5.0, 0.0), (30.0, 20.0, 1e-3)):
        one, other = (
            random_features(s, N, T, ridge=ridge, noise=0.1).test_excess for s in (tail, many)
        )
        assert float(one) == near(float(other), rel=1e-6)
    for shared in ("both", "data", "features", "nothing"):
        flows = [
            gradient_flow(s, 2.0, 5.0, [0.5, 20.0], noise=0.1, shared=shared).test_excess
            for s in (tail, many)
        ]
        assert flows[0] == near(flows[1], rel=1e-6)
    steps = [one_pass_sgd(s, 2.0, [3, 90], lr=0.1, noise=0.1).risk for s in (tail, many)]
    assert steps[0] == near(steps[1], rel=1e-6)


def test_one_resource_fixed_gives_a_plateau():
    spectrum = power_law(b=1.5, a=1.6, M=10**6)
    T = np.geomspace(10, 1e9, 60)
    loss = random_features(spectrum, 300, T, ridge="optimal", noise=0.01).test_excess
    floor = float(random_features(spectrum, 300, math.inf, ridge="optimal").test_excess)
    assert (np.diff(loss) < 0).all()
    assert loss[-1] == near(floor, rel=1e-4)


@pytest.mark.slow
def test_low_dimensional_inputs_depart_from_the_theory():
    """On a circle, noise-free and translation-invariant, the loss is 1.3 times the theory's."""
    rng, T, modes = np.random.default_rng(0), 100, 4000
    n = np.arange(1, modes + 1)
    lam = np.repeat(n.astype(float), 2) ** -2
    found = []
    for _ in range(40):
        x, test = rng.uniform(0, 1, T), rng.uniform(0, 1, 400)

        def features(at):
            angle = 2 * np.pi * np.outer(at, n)
            both = math.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=2)
            return both.reshape(at.size, -1) * np.sqrt(lam)

        F, G = features(x), features(test)
        w = rng.standard_normal(lam.size)
        alpha = np.linalg.solve(F @ F.T + 1e-13 * np.eye(T), F @ w)
        found.append(np.mean((G @ (F.T @ alpha) - G @ w) ** 2))
    exact = float(kernel_regression(from_modes(lam, lam), T).test_excess)
    ratio = np.mean(found) / exact
    assert 1.15 < ratio < 1.55

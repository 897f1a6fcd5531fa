"""Ridge regression on random features: the special function of `random_features_finite`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from isoloss.laws import get_law
from isoloss.laws.calculus import derivative
from isoloss.laws.expression import parameter, parse
from isoloss.laws.ridge import LEAST, best_kappa, rank
from isoloss.laws.tape import evaluate
from isoloss.theory import optimal_ridge, power_law

NAMES = ("n", "d", "alpha", "noise")
FINITE = {"E": 0.0, "A": 1.0, "alpha": 0.6, "rho": 1.0, "M": 1e6, "noise": 0.3}


@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0, 3.0, 9.0])
@pytest.mark.parametrize("x", [-30.0, -3.0, -0.1, 0.0, 1e-9, 0.4, 5.0, 25.0])
def test_rank_is_its_integral(alpha: float, x: float) -> None:
    b = 1 + alpha

    def integrand(t: float) -> float:
        bend = np.exp(-abs(x + b * t))
        return float(b * bend / (1 + bend) ** 2 * np.exp(t))

    edges = [e for e in (-x / b - 5, -x / b, -x / b + 5) if -60 < e < 0]
    expected = quad(integrand, -60, 0, epsabs=0, epsrel=1e-12, limit=400, points=edges or None)[0]
    assert rank(x, 1 / b) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("x", [-8.0, -0.2, 0.3, 12.0])
def test_rank_and_its_derivatives_agree(x: float) -> None:
    for order in range(3):
        step = np.imag(rank(x, 0.6 + 1e-30j, order)) / 1e-30
        assert rank(x, 0.6, order + 1) == pytest.approx(step, rel=1e-11)
    both = rank(np.array([x, -x]), 0.6)
    np.testing.assert_allclose(both, [rank(x, 0.6), rank(-x, 0.6)], rtol=1e-14)


def at(log_kappa: Any, n: float, d: float, alpha: float, noise: float) -> Any:
    """Excess loss at a ridge, over the power law's loss at N = M, and infinite where none is."""
    q = 1 / (1 + alpha)
    p, s = 1 / (1 + np.exp(log_kappa)), rank(log_kappa, q)
    zeta, chi = p + s, q * s
    a, c = 1 - n * zeta, 1 - d * zeta
    height = (np.pi * q / np.sin(np.pi * q)) ** (1 + alpha)
    top = np.exp(log_kappa) / height * chi + noise * d * ((zeta - chi) * a + n * zeta * chi)
    return np.where((a > 0) & (c > 0), top / (a * c + chi * (n * c + d * a)), np.inf)


def test_no_other_ridge_is_better() -> None:
    rng = np.random.default_rng(5)
    value = parse("best_ridge(n, d, alpha, noise)", axes=[])
    for _ in range(200):
        n, d = 10 ** rng.uniform(-3, 6, 2)
        alpha, noise = 10 ** rng.uniform(-1.5, 1), 10 ** rng.uniform(-6, 2) * rng.integers(0, 2)
        leaves = {"n": n, "d": d, "alpha": alpha, "noise": noise}
        best = float(evaluate([value], leaves)[0])
        grid = np.linspace(LEAST, min(600.0, 60 * (1 + alpha)), 8001)
        with np.errstate(all="ignore"):
            scanned = at(grid, n, d, alpha, noise)
            assert best == pytest.approx(at(best_kappa(n, d, alpha, noise), n, d, alpha, noise))
        assert best <= np.min(scanned) * (1 + 1e-9)


@pytest.mark.parametrize(
    "point",
    [
        (30.0, 7.0, 0.4, 0.3),
        (4e4, 1e-2, 0.3, 0.5),
        (1e-2, 300.0, 1.4, 0.02),
        (0.2, 0.6, 0.7, 0.1),
        (3.0, 1.5, 2.5, 0.0),
    ],
)
def test_derivatives_to_third_order(point: tuple[float, ...]) -> None:
    leaves: dict[str, Any] = dict(zip(NAMES, point, strict=True))
    nodes = [parse("best_ridge(n, d, alpha, noise)", axes=[])]
    for name in ("alpha", "n", "alpha"):
        size = 1e-30 * leaves[name]
        for other in NAMES:
            moved = leaves | {other: leaves[other] + 1j * size}
            step = np.imag(evaluate([nodes[-1]], moved)[0]) / size
            exact = evaluate([derivative(nodes[-1], parameter(other))], leaves)[0]
            scale = abs(evaluate([nodes[-1]], leaves)[0]) / max(leaves[other], 1e-2)
            assert abs(step - exact) < 1e-9 * max(scale, abs(exact))
        nodes.append(derivative(nodes[-1], parameter(name)))


@pytest.mark.parametrize("alpha", [0.1, 0.6, 1.0, 2.0])
def test_an_endless_spectrum_is_the_closed_form(alpha: float) -> None:
    x = {"N": np.geomspace(1e3, 1e9, 7), "D": np.geomspace(1e10, 1e4, 7)}
    # What is left of an endless spectrum is of order (N/M)^alpha.
    theta = FINITE | {"alpha": alpha, "rho": 3.0, "noise": 0.0, "M": 10 ** (9 + 13 / alpha)}
    expected = get_law("random_features")(theta, x)
    np.testing.assert_allclose(get_law("random_features_finite")(theta, x), expected, rtol=4e-12)


def test_limits() -> None:
    law = get_law("random_features_finite")
    clean = FINITE | {"E": 0.7, "noise": 0.0}
    # Nothing is left beyond M but what noise confuses; without data nothing is learned.
    beyond = {"N": [2e6, 1e9], "D": [3e6, 1e7]}
    np.testing.assert_allclose(law(clean, beyond), 0.7, rtol=1e-15)
    noise = 0.3 * 1e6**-0.6
    left = law(FINITE, {"N": np.inf, "D": np.array([1e10, 1e12])})
    np.testing.assert_allclose(left, noise * 1e6 / np.array([1e10, 1e12]), rtol=2e-4)
    # With endless data the best ridge is none, and noise does not matter.
    only_n = [law(FINITE | {"noise": s}, {"N": 1e4, "D": np.inf})[0] for s in (0.0, 5.0)]
    assert only_n[0] == pytest.approx(only_n[1], rel=1e-12)
    assert only_n[0] == pytest.approx(law(clean, {"N": np.inf, "D": 1e4})[0] - 0.7, rel=1e-12)
    # More noise, more loss; the sides may be exchanged only without it.
    x, turned = {"N": 1e4, "D": 3e4}, {"N": 3e4, "D": 1e4}
    noisy = [law(FINITE | {"noise": s}, x)[0] for s in (0.0, 0.1, 1.0, 10.0)]
    assert np.all(np.diff(noisy) > 0)
    assert law(clean, x)[0] == pytest.approx(law(clean, turned)[0], rel=1e-12)
    noisy = [law(FINITE | {"noise": 10.0}, sides)[0] for sides in (x, turned)]
    assert noisy[1] > 1.05 * noisy[0]


@pytest.mark.parametrize(("n", "t", "noise"), [(300, 500, 0.3), (500, 200, 2.0), (900, 350, 0.0)])
def test_against_sums_over_modes(n: int, t: int, noise: float) -> None:
    # Excess of any ridge, for targets of independent unit weights: amp (B + s2) - s2.
    count, alpha = 600, 0.8
    spectrum = np.arange(1.0, count + 1) ** -(1 + alpha)
    p = 1 / (1 + alpha)
    height = (np.pi * p / np.sin(np.pi * p)) ** (1 + alpha)
    s2 = noise * height * (count + 0.5) ** -alpha
    found = []
    for kappa in np.exp(np.linspace(-20.0, 0.0, 2001)):
        share = spectrum / (spectrum + kappa)
        z, q, s1 = np.sum(share), np.sum(share**2), kappa * np.sum(share)
        if z < min(n, t):
            bias = s1 - (n - z) / (n - q) * kappa * q
            top = t * (n - q) / (n * t - z**2 - q * (n + t - 2 * z))
            found.append(top * (bias + s2) - s2)
    theta = {"E": 0.0, "A": height, "alpha": alpha, "rho": 1.0, "M": count + 0.5, "noise": noise}
    # A sum over ranks from 1 is an integral from one half.
    value = get_law("random_features_finite")(theta, {"N": n + 0.5, "D": t + 0.5})
    assert value[0] == pytest.approx(min(found), rel=1 / min(n, t))


def test_the_formula_reads_in_any_law() -> None:
    text = "A*best_ridge(N**-1, x, 0.5, 0) + best_ridge(0.5, 2, 0.5, 0.1)"
    node = parse(text, axes=["N", "x"])
    assert derivative(node, parameter("A")) is parse(
        "best_ridge(N**-1, x, 0.5, 0)", axes=["N", "x"]
    )


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_against_the_theory_of_discrete_spectra(noise: float) -> None:
    alpha, count = 0.7, 2e5
    n, t = np.array([2e3, 2e4, 9e4, 3e5]), np.array([5e3, 4e3, 2e5, 9e5])
    height = (np.pi / (1 + alpha) / np.sin(np.pi / (1 + alpha))) ** (1 + alpha)
    # The theory's iid targets have weights of variance 1/M.
    unit = height * (count + 0.5) ** -alpha / count
    spectrum = power_law(b=1 + alpha, M=count, iid=True)
    expected = optimal_ridge(spectrum, n, t, noise=noise * unit).test_excess
    theta = {"E": 0.0, "A": height / count, "alpha": alpha, "rho": 1.0}
    theta |= {"M": count + 0.5, "noise": noise}
    found = get_law("random_features_finite")(theta, {"N": n + 0.5, "D": t + 0.5})
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-12 * unit)

"""The random-feature laws: the closed form against its equations, its limits, brute-force sums."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.laws import get_law


def by_definition(n: float, d: float, alpha: float) -> float:
    """Root of the optimum's quadratic and the loss of its moments, as printed, in 120 digits."""
    with localcontext() as context:
        context.prec = 120
        u, v, a = Decimal(n), Decimal(d), Decimal(alpha)
        c = (a + 2) * (a - 1) / (a + 1)
        z = 2 * a * u * v / (a * (u + v) + (a * a * (u + v) ** 2 - 4 * c * a * u * v).sqrt())
        q = a * z / (1 + a)
        return float(u * v * z**-a / ((1 + a) * (u * v - z * z - q * (u + v - 2 * z))))


@pytest.mark.parametrize("alpha", [0.03, 0.3, 1 - 1e-12, 1.0, 1 + 1e-9, 1.7, 6.0, 20.0])
@pytest.mark.parametrize("ratio", [1e-14, 1e-6, 0.3, 1 - 1e-13, 1.0, 1.5, 1e3, 1e14])
def test_the_closed_form_keeps_its_digits(alpha: float, ratio: float) -> None:
    law = get_law("random_features")
    theta = {"E": 0.0, "A": 1.0, "alpha": alpha, "rho": 1.0}
    expected = by_definition(1e3, 1e3 * ratio, alpha)
    assert law(theta, {"N": 1e3, "D": 1e3 * ratio})[0] == pytest.approx(
        expected, rel=2e-14 * (1 + alpha)
    )


@settings(max_examples=50, deadline=None)
@given(st.floats(1, 1e12), st.floats(1, 1e13), st.floats(0.02, 8.0), st.floats(0.01, 1e3))
def test_sides_may_be_exchanged(n: float, d: float, alpha: float, rho: float) -> None:
    law = get_law("random_features")
    theta = {"E": 0.0, "A": 3.0, "alpha": alpha, "rho": rho}
    one = law(theta, {"N": n, "D": d})[0]
    assert law(theta, {"N": d / rho, "D": n * rho})[0] == pytest.approx(one, rel=1e-12)
    assert one >= law(theta, {"N": np.inf, "D": d})[0] == pytest.approx(3 * (rho / d) ** alpha)
    # Never far from the sum of the two shortages as long as alpha is near one.
    assert alpha > 2 or 0.7 < one / (3.0 * (1 / n + rho / d) ** alpha) < 1.2


def test_limits_by_hand() -> None:
    law = get_law("random_features")
    theta = {"E": 1.5, "A": 40.0, "alpha": 0.25, "rho": 16.0}
    assert law(theta, {"N": 1e8, "D": np.inf})[0] == pytest.approx(1.5 + 0.4, rel=1e-14)
    assert law(theta, {"N": np.inf, "D": 1.6e9})[0] == pytest.approx(1.5 + 0.4, rel=1e-14)
    sum_ = law({"E": 0.0, "A": 2.0, "alpha": 1.0, "rho": 10.0}, {"N": [10.0, 40.0], "D": 400.0})
    np.testing.assert_allclose(sum_, 2 * (1 / np.array([10.0, 40.0]) + 10 / 400.0), rtol=1e-15)
    # Equal shortages n = d, alpha = 2: w = n (1 + 1/sqrt 3), L = w^4 / (w^2 - n^2/3).
    w = 1 + 1 / np.sqrt(3)
    equal = law({"E": 0.0, "A": 1.0, "alpha": 2.0, "rho": 1.0}, {"N": 10.0, "D": 10.0})
    assert equal[0] == pytest.approx(0.01 * w**4 / (w**2 - 1 / 3), rel=1e-14)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.5])
def test_the_best_split_is_at_the_same_ratio_for_every_budget(alpha: float) -> None:
    law = get_law("random_features")
    theta = {"E": 0.0, "A": 40.0, "alpha": alpha, "rho": 16.0}
    budget = np.array([1e15, 1e20, 1e27])
    N = np.sqrt(budget / 6 / 16.0)
    x = {"N": N, "D": 16.0 * N}
    up, down = N * law.slope(theta, x, "N"), x["D"] * law.slope(theta, x, "D")
    np.testing.assert_allclose(up, down, rtol=1e-13)
    best = law(theta, x)
    for move in (0.9, 1.1):
        assert (law(theta, {"N": N * move, "D": x["D"] / move}) > best).all()


@pytest.mark.parametrize(("alpha", "n", "t"), [(1.5, 500, 900), (2.0, 800, 300), (1.5, 400, 400)])
def test_against_sums_over_modes(alpha: float, n: int, t: int) -> None:
    # Kappa for each ridge solves ridge = kappa (n - z)(t - z); scanning kappa scans the ridge.
    spectrum = np.arange(1.0, 2e5) ** -(1 + alpha)
    start = np.log((min(n, t) / 2.0) ** -(1 + alpha))
    losses = []
    for log_kappa in start + np.linspace(-3.0, 3.0, 301):
        kappa = np.exp(log_kappa)
        share = spectrum / (spectrum + kappa)
        z, q = np.sum(share), np.sum(share**2)
        if z < min(n, t):
            losses.append(n * t * kappa * (z - q) / (n * t - z**2 - q * (n + t - 2 * z)))
    p = 1 / (1 + alpha)
    height = (np.pi * p / np.sin(np.pi * p)) ** (1 + alpha)
    law = get_law("random_features")
    found = law({"E": 0.0, "A": height, "alpha": alpha, "rho": 1.0}, {"N": n, "D": t})
    # The sum over ranks is the integral less one half: 1/N.
    assert found[0] == pytest.approx(min(losses), rel=3 / min(n, t))

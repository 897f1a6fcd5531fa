"""The law of the linear model in time: the theory at random places, limits, derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isoloss.laws import get_law
from isoloss.laws.calculus import derivative
from isoloss.laws.expression import parameter, parse
from isoloss.laws.linear import LATEST
from isoloss.laws.tape import evaluate
from isoloss.theory import scale_time, scale_time_law

UNIT = {"E": 0.0, "S2": 1.0, "noise": 1.0, "M": 1.0, "rate": 1.0}


@pytest.mark.parametrize("close", [False, True])
def test_the_tables_are_the_theory(close: bool) -> None:
    rng = np.random.default_rng(2)
    n = 2000
    c = 1 + rng.normal(0, 0.05, n) if close else 10 ** rng.uniform(-3, 3, n)
    tau = 10 ** rng.uniform(-5, np.log10(LATEST), n) / np.maximum(c, 1)
    exact = scale_time(c, tau, noise=1.0)
    x = {"N": 1.0, "S": tau, "D": 1 / c}
    left = get_law("scale_time")(UNIT | {"noise": 0.0}, x)
    learned = get_law("scale_time")(UNIT | {"S2": 0.0}, x)
    some = exact.signal > 1e-12
    np.testing.assert_allclose(left[some], exact.signal[some], rtol=1e-6)
    assert np.all(left[~some] < 1e-11)
    np.testing.assert_allclose(learned, exact.fitted_noise, rtol=1e-6)


def test_the_law_is_that_of_the_theory_room() -> None:
    words = {"M": 300.0, "S2": 2.0, "noise": 0.7}
    N, S, D = np.array([20.0, 50.0]), np.array([1e3, 1e2]), np.array([200.0, 900.0])
    found = get_law("scale_time")(UNIT | words | {"E": 0.1, "rate": 1e-3}, {"N": N, "S": S, "D": D})
    exact = scale_time_law(N, S, D, eta=1e-3, **words).excess
    np.testing.assert_allclose(found, 0.1 + exact, rtol=1e-6)


def test_limits() -> None:
    law = get_law("scale_time")
    at = law(UNIT, {"N": 1.0, "S": [0.0, 1e-300, np.inf, np.inf, 1.0], "D": [2, 2, 2, 0.5, 1e300]})
    np.testing.assert_allclose(at, [1, 1, 1, 1.5, np.exp(-2.0)], rtol=3e-5)
    # The peak stays finite: time is held.
    peak = law(UNIT, {"N": 1.0, "S": [LATEST, 1e300], "D": 1.0})
    assert peak[0] == peak[1] == pytest.approx(float(scale_time(1, LATEST, noise=1).excess))


@pytest.mark.parametrize("text", ["signal_left(c, t)", "noise_learned(c, t)"])
@pytest.mark.parametrize("point", [(0.4, 0.7), (1.01, 300.0), (5.0, 2.0), (0.9, 1e3)])
def test_derivatives_to_third_order(text: str, point: tuple[float, float]) -> None:
    leaves: dict[str, Any] = dict(zip("ct", point, strict=True))
    nodes = [parse(text, axes=[])]
    for name in ("c", "t", "c"):
        for other in leaves:
            size = 1e-30 * leaves[other]
            moved = leaves | {other: leaves[other] + 1j * size}
            step = np.imag(evaluate([nodes[-1]], moved)[0]) / size
            exact = evaluate([derivative(nodes[-1], parameter(other))], leaves)[0]
            scale = abs(evaluate([nodes[-1]], leaves)[0])
            assert abs(step - exact) < 1e-9 * max(scale, abs(exact))
        nodes.append(derivative(nodes[-1], parameter(name)))


def test_derivatives_do_not_jump_where_samples_and_features_change_places() -> None:
    law = get_law("scale_time")
    D = np.array([1 - 1e-9, 1 + 1e-9])
    slope = law.slope(UNIT, {"N": 1.0, "S": 30.0, "D": D}, "D")
    assert slope[0] == pytest.approx(slope[1], rel=1e-4)

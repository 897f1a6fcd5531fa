"""Gradient flow of random features: its special functions, limits, and the theory's sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from isoloss.errors import LawError
from isoloss.laws import get_law, law_from_expression
from isoloss.laws.calculus import derivative
from isoloss.laws.expression import parameter, parse
from isoloss.laws.flow import B_MOST, BETA_MOST, crossover, ratio_of, shift
from isoloss.laws.flow_unique import END as LATEST
from isoloss.laws.flow_unique import two_time
from isoloss.laws.tape import evaluate
from isoloss.theory import gradient_flow, power_law

THETA = {"E": 0.0, "A": 1.0, "B": 1.0, "b": 1.5, "beta": 0.4}
UNIQUE = THETA | {"rho": 1.0}


def by_density(tau: float, mu: float, beta: float) -> float:
    """Phi as one and an integral over eigenvalues x, along which y = r exp(i theta)."""

    def integrand(theta: float) -> float:
        rest = math.pi - theta
        r = (math.sin((1 - mu) * theta) / math.sin(rest)) ** (1 / mu)
        x = r ** (1 - mu) * math.sin(mu * theta) / math.sin(rest)
        slope = (1 - mu) ** 2 / mu / math.tan((1 - mu) * theta) + mu / math.tan(mu * theta)
        slope += 1 / math.tan(rest) / mu
        return math.exp(-tau * x) * r**beta * math.sin(beta * theta) * slope / math.pi

    edges = [math.pi - 10.0**-k for k in range(1, 9)]
    return 1 + quad(integrand, 1e-9, math.pi - 1e-9, points=edges, epsrel=1e-11, limit=900)[0]


def by_series(tau: float, mu: float, beta: float) -> float:
    """Phi as a power of tau times a series in tau^mu."""
    total = 0.0
    for k in range(60):
        angle = math.pi * (k * mu - beta)
        height = math.lgamma(beta + k * (1 - mu)) - math.lgamma(k + 1)
        size = math.exp(height + (k * mu - beta) * math.log(tau))
        total += beta * size * (math.sin(angle) / angle if angle else 1.0)
    return total


@pytest.mark.parametrize("mu", [0.15, 0.5, 0.8])
@pytest.mark.parametrize("beta", [0.1, 0.45, 0.85])
def test_the_crossover_by_three_roads(mu: float, beta: float) -> None:
    for tau in (1e-6, 1e-2, 0.7):
        assert crossover(math.log(tau), mu, beta) == pytest.approx(
            by_series(tau, mu, beta), rel=1e-10
        )
    for tau in (0.7, 5.0, 40.0):
        assert crossover(math.log(tau), mu, beta) == pytest.approx(
            by_density(tau, mu, beta), rel=1e-9
        )


def test_the_table_is_the_crossover() -> None:
    rng = np.random.default_rng(4)
    n = 4000
    b, beta = B_MOST ** rng.uniform(0, 1, n), rng.uniform(0.001, BETA_MOST, n)
    log_tau = rng.uniform(-12, 6, n)
    exact = crossover(log_tau, 1 / b, beta)
    # A = 1 and N = 1: the size term is one.
    log_data = -beta * log_tau - np.array([math.lgamma(1 - p) for p in beta])
    theta = np.stack([np.zeros(n), np.ones(n), np.ones(n), b, beta], axis=1)
    found = get_law("gradient_flow")(
        theta, {"N": np.ones((n, 1)), "D": np.exp(-log_data / beta)[:, None]}
    )
    np.testing.assert_allclose(found[:, 0], exact, rtol=1e-9)


@pytest.mark.parametrize(("b", "beta"), [(1.3, 0.25), (1.5, 0.4), (3.0, 0.7)])
def test_against_the_theory_of_discrete_spectra(b: float, beta: float) -> None:
    spectrum = power_law(b=b, a=1 + b * beta, M=np.inf)
    sizes, scale = np.array([1e5, 1e6]), math.pi / b
    turn = scale / math.sin(scale)
    height = scale / math.sin(math.pi * beta)
    theta = {"E": 0.0, "A": height * turn ** (b * beta), "b": b, "beta": beta}
    # Twice the time of the theory, whose flow is that of half the loss.
    theta |= {"B": height / math.gamma(1 - beta)}
    for N in sizes:
        t = np.append(np.geomspace(1e-3, 30, 12) * (N / turn) ** b, np.inf)
        expected = gradient_flow(spectrum, N, np.inf, t).test_excess
        # A sum over ranks from one is an integral from one half; sums of the target err more.
        found = get_law("gradient_flow")(theta, {"N": N + 0.5, "D": 2 * t})
        off = 20 * N ** (-b * (1 - beta)) + 10 / N
        np.testing.assert_allclose(found, expected, rtol=off)


def test_limits() -> None:
    law = get_law("gradient_flow")
    theta = {"E": 0.7, "A": 3.0, "B": 20.0, "b": 1.3, "beta": 0.3}
    assert law(theta, {"N": 1e6, "D": np.inf})[0] == pytest.approx(0.7 + 3 * 1e6**-0.39, rel=1e-12)
    assert law(theta, {"N": np.inf, "D": 1e9})[0] == pytest.approx(0.7 + 20 * 1e9**-0.3, rel=1e-9)
    # Nothing jumps where the loss is taken to have come to its end.
    late = law(theta, {"N": 1e6, "D": np.geomspace(1e11, 1e14, 3000)})
    assert np.max(np.abs(np.diff(late, 2))) < 1e-6
    assert np.ptp(late[-500:]) == 0.0


def test_between_the_larger_limit_and_little_more_than_both() -> None:
    law = get_law("gradient_flow")
    d = np.geomspace(1e-12, 1e12, 400)
    for b in (1.0, 1.2, 2.0, 7.0):
        for beta in (0.05, 0.3, 0.6):
            theta = THETA | {"b": b, "beta": beta}
            loss = law(theta, {"N": 1.0, "D": d})
            limits = np.stack([np.ones_like(d), d**-beta])
            assert np.all(loss >= np.max(limits, axis=0) * (1 - 1e-9))
            assert np.all(np.diff(loss) <= 1e-9 * loss[1:])
            if b <= 2 and beta < 0.5:
                # At the exponents of real runs Chinchilla's sum is too much.
                assert np.all(loss <= np.sum(limits, axis=0) * (1 + 1e-9))
                assert np.min(loss / np.sum(limits, axis=0)) < 0.7


def test_features_are_counted_three_ways() -> None:
    x = {"N": np.array([1e6, 4e8]), "D": np.array([1e7, 1e9])}
    strict = get_law("gradient_flow")(THETA, x | {"N": x["N"] ** 0.5})
    np.testing.assert_allclose(get_law("gradient_flow_width")(THETA, x), strict, rtol=1e-13)
    found = get_law("gradient_flow_any")(THETA | {"g": 0.5}, x)
    np.testing.assert_allclose(found, strict, rtol=1e-13)


@pytest.mark.parametrize(
    "text", ["flow(a, d, b, beta)", "flow_unique(a, d, u, b, beta)"], ids=["flow", "unique"]
)
@pytest.mark.parametrize("point", [(1.0, 0.9, 1.4, 1.4, 0.3), (2.0, 0.1, 0.5, 3.0, 0.7)])
def test_derivatives_to_third_order(text: str, point: tuple[float, ...]) -> None:
    leaves: dict[str, Any] = dict(zip(("a", "d", "u", "b", "beta"), point, strict=True))
    nodes = [parse(text, axes=[])]
    names = [n for n in leaves if n != "u" or "u," in text]
    for name in ("beta", "b", "d"):
        for other in names:
            size = 1e-30 * leaves[other]
            moved = leaves | {other: leaves[other] + 1j * size}
            step = np.imag(evaluate([nodes[-1]], moved)[0]) / size
            exact = evaluate([derivative(nodes[-1], parameter(other))], leaves)[0]
            scale = abs(evaluate([nodes[-1]], leaves)[0])
            assert abs(step - exact) < 1e-9 * max(scale, abs(exact))
        nodes.append(derivative(nodes[-1], parameter(name)))
    with pytest.raises(LawError):
        derivative(nodes[-1], parameter("b"))


def test_beyond_its_exponents_the_model_has_no_loss() -> None:
    law = law_from_expression("flow(A*N**-1, D**-beta, b, beta)", axes=("N", "D"))
    for b, beta in ((0.9, 0.3), (8.1, 0.3), (2.0, 0.95)):
        assert np.isnan(law({"A": 1.0, "b": b, "beta": beta}, {"N": 1.0, "D": 1.0})[0])


@pytest.mark.parametrize(("b", "beta"), [(1.3, 0.25), (1.5, 0.4), (3.0, 0.7)])
def test_repeats_against_the_theory_of_discrete_spectra(b: float, beta: float) -> None:
    spectrum = power_law(b=b, a=1 + b * beta, M=np.inf)
    turn = math.pi / b / math.sin(math.pi / b)
    height = math.pi / b / math.sin(math.pi * beta)
    theta = {"E": 0.0, "A": height * turn ** (b * beta), "b": b, "beta": beta, "rho": 1.0}
    theta |= {"B": height / math.gamma(1 - beta)}
    law = get_law("gradient_flow_unique")
    big = 1e6
    for n, u in ((1, 4), (1, 1.3), (1, 1), (1.3, 1), (4, 1), (1, np.inf), (np.inf, 1)):
        N, U = n * big, u * big
        scale = (1 / (turn * (1 / N + 1 / U))) ** b
        times = [1e-3, 0.1, 1.0, 10.0]
        times += [np.inf] if max(n / u, u / n) > 3 else []
        t = np.array(times) * scale
        expected = gradient_flow(spectrum, N, U, t).test_excess
        found = law(theta, {"N": N + 0.5, "D": 2 * t, "U": U + 0.5})
        off = 20 * big ** (-b * (1 - beta)) + 3e-5
        np.testing.assert_allclose(found, expected, rtol=off)


def test_the_table_of_repeats_is_the_two_time_loss() -> None:
    rng = np.random.default_rng(7)
    law, worst = get_law("gradient_flow_unique"), []
    for _ in range(60):
        b, beta = B_MOST ** rng.uniform(), rng.uniform(0.01, BETA_MOST, 1)
        w, few = rng.uniform(0.02, 1, 8), rng.uniform(0, 1, 8)
        v = ratio_of(w, np.array(b), LATEST)
        log_tau = b * np.log(v) - shift(beta) / beta
        exact = two_time(log_tau[:, None], 1 / b, few, beta)[range(8), range(8), 0]
        # In units where 1/N + 1/T and A are one.
        data = ((1 - beta) * v ** (-b * beta)) ** (-1 / beta)
        theta = UNIQUE | {"b": b, "beta": beta[0]}
        found = law(theta, {"N": 1 / (1 - few), "D": data, "U": 1 / few})
        worst.extend(np.abs(found / exact - 1))
    assert np.max(worst) < 2e-5
    assert np.median(worst) < 2e-8


def test_endless_examples_are_never_repeated() -> None:
    rng = np.random.default_rng(3)
    x = {"N": 10 ** rng.uniform(2, 9, 300), "D": 10 ** rng.uniform(2, 12, 300)}
    for b, beta in ((1.1, 0.3), (2.5, 0.6)):
        theta = UNIQUE | {"b": b, "beta": beta}
        never = get_law("gradient_flow_unique")(theta, x | {"U": np.inf})
        np.testing.assert_allclose(never, get_law("gradient_flow")(theta, x), rtol=3e-6)


@pytest.mark.parametrize("ratio", [0.0, 0.2, 5.0, 1e9])
def test_the_end_of_repeats_is_the_static_loss(ratio: float) -> None:
    law = get_law("gradient_flow_unique")
    theta = UNIQUE | {"b": 1.6, "beta": 0.35}
    alpha, mu = 1.6 * 0.35, 1 / 1.6
    N = 1e5
    found = law(theta, {"N": N, "D": np.inf, "U": N / ratio if ratio else np.inf})[0]
    if ratio < 1:
        assert found == pytest.approx(N**-alpha / (1 - ratio), rel=1e-5)
    else:
        # Examples few: amplified by what features cannot average.
        rest = (ratio - 1) / (ratio - (1 - mu))
        amplified = (ratio - (1 - mu)) / ((ratio - 1) * mu)
        expected = (N / ratio) ** -alpha * (1 - 0.35 * rest) * amplified
        assert found == pytest.approx(expected, rel=1e-5)


def test_too_many_passes_hurt_where_size_meets_examples() -> None:
    law = get_law("gradient_flow_unique")
    x = {"D": np.geomspace(1e3, 1e9, 60), "U": 1e4}
    for N, hurts in ((1e3, False), (8e3, True), (1.2e4, True), (1e6, False)):
        loss = law(UNIQUE, x | {"N": N})
        assert (loss[-1] > 1.2 * loss.min()) == hurts
    # The peak stays finite.
    peak = law(UNIQUE, {"N": 1e4, "D": np.inf, "U": 1e4})[0]
    assert 3 < peak / law(UNIQUE, {"N": 1e4, "D": np.inf, "U": np.inf})[0] < 30

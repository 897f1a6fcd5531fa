"""Weight decay along training: its limits, another contour, a run by hand, and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.theory import (
    PerSample,
    agree_gradient_descent,
    agree_gradient_flow,
    flow_ensemble,
    gradient_descent,
    gradient_flow,
    power_law,
    random_features,
    simulate_gradient_descent,
    simulate_gradient_flow,
    transfer,
)
from isoloss.theory.complex_kappa import edge
from isoloss.theory.contour import ellipse
from isoloss.theory.draw import draw_system
from isoloss.theory.two_time import Pair, two_time
from theory.given import near, noises, sizes, spectra

ROOMY = settings(max_examples=25, deadline=None, derandomize=True)
decays = st.floats(-6, 3).map(lambda v: float(10**v))


@ROOMY
@given(spectra(), sizes, sizes, decays, noises)
def test_decay_ends_in_the_ridge_of_the_same_number(spectrum, N, T, decay, noise):
    ridge = random_features(spectrum, N, T, ridge=PerSample(decay), noise=noise)
    by_sum = random_features(spectrum, N, T, ridge=decay * N * T, noise=noise)
    scale = spectrum.power + noise
    # At 45 the ridge itself is returned, at 36 the contour still sums; both are the ridge.
    times = np.array([36.0, 45.0, np.inf]) / decay
    found = gradient_flow(spectrum, N, T, times, noise=noise, weight_decay=decay)
    for name in ("test_excess", "train"):
        end = float(getattr(ridge, name))
        assert getattr(found, name) == near(np.full(3, end), rel=1e-9, abs=1e-11 * scale)
        assert float(getattr(by_sum, name)) == near(end, rel=1e-9, abs=1e-13 * scale)
    eta = 0.9 / (edge(spectrum, N, T) + decay)
    steps = gradient_descent(
        spectrum, N, T, math.ceil(50 / (eta * decay)), eta=eta, noise=noise, weight_decay=decay
    )
    assert float(steps.test_excess) == near(float(ridge.test_excess), rel=1e-9, abs=1e-11 * scale)


@ROOMY
@given(spectra(), sizes, sizes, st.floats(-3, 3).map(lambda v: float(10**v)), noises)
def test_no_decay_is_the_flow_and_little_decay_is_close(spectrum, N, T, t, noise):
    plain = gradient_flow(spectrum, N, T, t, noise=noise)
    none, little = (
        gradient_flow(spectrum, N, T, t, noise=noise, weight_decay=d) for d in (0.0, 1e-10 / t)
    )
    assert none.test_excess == plain.test_excess
    assert none.train == plain.train
    assert float(little.test_excess) == near(float(plain.test_excess), rel=1e-7)


def test_another_contour_gives_the_same():
    # The residual on an ellipse around the spectrum, where the pole at the decay stays outside.
    spectrum, N, T, noise, t, decay = power_law(b=1.3, a=1.5, M=400), 50.0, 80.0, 0.1, 20.0, 0.4
    length = edge(spectrum, N, T) * (1 + 1e-6)
    path = ellipse(length, 100_000, 1e-3)
    assert path.s.real.max() < decay
    left = (decay - path.s * np.exp((path.s - decay) * t)) / (decay - path.s)
    at = (np.array([v]) for v in (N, T, noise))
    test, train = two_time(spectrum, Pair(*at, path.s[None], (path.weight * left)[None, None]))
    found = gradient_flow(spectrum, N, T, t, noise=noise, weight_decay=decay)
    assert float(found.test_excess) == near(float(test[0, 0]), rel=1e-10)
    assert float(found.train) == near(float(train[0, 0]), rel=1e-10)
    eta, k = 0.05, 30
    left = (decay - path.s * (1 + eta * (path.s - decay)) ** k) / (decay - path.s)
    at = (np.array([v]) for v in (N, T, noise))
    test, train = two_time(spectrum, Pair(*at, path.s[None], (path.weight * left)[None, None]))
    steps = gradient_descent(spectrum, N, T, k, eta=eta, noise=noise, weight_decay=decay)
    assert float(steps.test_excess) == near(float(test[0, 0]), rel=1e-10)
    assert float(steps.train) == near(float(train[0, 0]), rel=1e-10)


def test_endless_resources_are_a_limit_and_modes_alone_by_hand():
    spectrum = power_law(b=1.4, a=1.6, M=50, v0=0.1)
    lam, v2 = (np.concatenate(v) for v in zip(*spectrum.blocks(100), strict=True))
    t, decay = np.array([0.0, 0.7, 30.0, np.inf]), 0.05
    left = (decay + lam * np.exp(-np.outer(t, lam + decay))) / (lam + decay)
    free = gradient_flow(spectrum, np.inf, np.inf, t, noise=0.2, weight_decay=decay)
    assert free.test_excess == near(left**2 @ v2 + 0.1, rel=1e-12)
    far = gradient_flow(spectrum, 1e15, 1e15, t, noise=0.2, weight_decay=decay)
    assert far.test_excess == near(free.test_excess, rel=1e-9)
    eta = 1.5
    left = (decay + lam * (1 - eta * (lam + decay)) ** 3) / (lam + decay)
    steps = gradient_descent(spectrum, np.inf, np.inf, 3, eta=eta, weight_decay=decay)
    assert float(steps.test_excess) == near(float(left**2 @ v2) + 0.1, rel=1e-12)


@pytest.mark.parametrize(("N", "T"), [(12, 20), (20, 12)])
def test_a_run_of_descent_by_hand_is_what_is_simulated(N, T):
    spectrum, noise, eta, decay, k = power_law(b=1.2, a=1.5, M=40), 0.1, 0.4, 0.3, 7
    lam, v2 = (np.concatenate(v) for v in zip(*spectrum.blocks(100), strict=True))
    rng = np.random.default_rng([0, 0])
    U = rng.standard_normal((N, 40)) * np.sqrt(lam)
    X, sign = rng.standard_normal((T, 40)), rng.choice([-1.0, 1.0], 40)
    F = X @ U.T / math.sqrt(N)
    y = X @ (np.sqrt(v2) * sign) + math.sqrt(noise) * rng.standard_normal(T)
    theta = np.zeros(N)
    for _ in range(k):
        theta -= eta * (F.T @ (F @ theta - y) / T + decay * theta)
    miss = np.sqrt(v2) * sign - U.T @ theta / math.sqrt(N)
    words = {"noise": noise, "weight_decay": decay, "draws": 2}
    made = simulate_gradient_descent(spectrum, N, T, k, eta=eta, **words)
    assert made.values["test_excess"][0] == near(float(miss @ miss), rel=1e-9)
    assert made.values["train"][0] == near(float(np.mean((y - F @ theta) ** 2)), rel=1e-9)
    # The flow is the limit of small steps, and starts from the same draw.
    fine = simulate_gradient_descent(spectrum, N, T, 10**6, eta=3e-6, **words)
    flow = simulate_gradient_flow(spectrum, N, T, 3.0, **words)
    assert fine.values["test_excess"] == near(flow.values["test_excess"], rel=1e-4)
    system = draw_system(spectrum, N, T, noise, np.random.default_rng([0, 0]))
    share = system.sigma**2 / (system.sigma**2 + decay * N * T)
    end = simulate_gradient_flow(spectrum, N, T, np.inf, **words).values["test_excess"][0]
    assert end == near(system.losses(share[:, None], 0.0)[0][0], rel=1e-12)


def test_simulation_with_decay():
    spectrum = power_law(b=1.3, a=1.5, M=500)
    flow = agree_gradient_flow(
        spectrum, 60, 110, [1, 30, 1000, np.inf], noise=0.05, weight_decay=0.01, draws=30
    )
    assert flow.worst < 4, flow.summary()
    steps = agree_gradient_descent(
        spectrum, 110, 60, [1, 30, 1000], eta=0.5, weight_decay=0.02, draws=30
    )
    assert steps.worst < 4, steps.summary()
    # The same draws without decay are elsewhere.
    plain = gradient_flow(spectrum, 60, 110, np.inf, noise=0.05).test_excess
    gap = abs(flow.mean["test_excess"][-1] - float(plain))
    assert gap > 8 * flow.sem["test_excess"][-1]


def test_ensembles_and_modes_with_decay():
    spectrum, N, T, decay = power_law(b=1.3, a=1.5, M=1500), 200, 400, 1e-3
    ridge = random_features(spectrum, N, T, ridge=PerSample(decay), noise=0.1)
    found = flow_ensemble(
        spectrum, N, T, [3e4, np.inf], features=4, data=3, noise=0.1, weight_decay=decay
    )
    assert found.test_excess == near(np.full(2, float(ridge.ensemble(4, 3))), rel=1e-9)
    # Of a mode kappa/(lam + kappa) is left in the end, at the kappa of the ridge.
    lam = np.array([1.0, 0.1])
    left = transfer(spectrum, N, T, 3e4, lam, weight_decay=decay)
    kappa = float(ridge.kappa)
    assert left == near(kappa / (lam + kappa), rel=1e-9)


def test_decay_makes_an_axis_and_bad_values_are_named():
    spectrum = power_law(b=1.5, a=1.5, M=100)
    found = gradient_flow(spectrum, [20, 30], 40, [1, 2, 3], weight_decay=[[0.0], [0.1]])
    assert found.test_excess.shape == (2, 2, 3)
    assert found.to_dict()["weight_decay"] == [[0.0, 0.0], [0.1, 0.1]]
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="weight_decay"):
            gradient_flow(spectrum, 10, 20, 1.0, weight_decay=bad)
    for call in (gradient_descent, simulate_gradient_descent):
        with pytest.raises(InputError, match="at most 2"):
            call(spectrum, 10, 20, 1, eta=0.1, weight_decay=21.0)
    with pytest.raises(InputError, match="expected one number"):
        simulate_gradient_flow(spectrum, 10, 20, 1.0, weight_decay=[0.1, 0.2])

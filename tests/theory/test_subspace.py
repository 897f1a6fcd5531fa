"""Flow in random subspaces: exact cases, spread, bound, and the law of what is drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.theory import (
    Logistic,
    Quadratic,
    simulate_subspace,
    subspace_deviation,
    subspace_flow,
)
from isoloss.theory.subspace import _wishart
from theory.given import near

PT = [0.5, 1.0, 2.0, 4.0]


def logistic(r=5, n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, r))
    return Logistic(X, np.where(X @ np.ones(r) + rng.standard_normal(n) > 0, 1.0, -1.0))


def seen(r=5, P=400, seed=1):
    return np.random.default_rng(seed).standard_normal((r, P)) / np.sqrt(P)


@pytest.mark.parametrize("loss", [logistic(3), Quadratic([[2.0, 0.5], [0.5, 1.0]], [1, -1])])
def test_losses_have_the_derivatives_they_state(loss):
    at = np.linspace(-0.5, 0.8, loss.r)
    shift = 1e-20j
    for i in range(loss.r):
        e = np.zeros(loss.r)
        e[i] = 1.0
        step = 1e-6
        slope = (loss.value(at + step * e) - loss.value(at - step * e)) / (2 * step)
        assert loss.gradient(at)[i] == near(slope, rel=1e-6)
        if isinstance(loss, Quadratic):
            assert loss.gradient(at + shift * e).imag / 1e-20 == near(loss.hessian(at)[i])
        else:
            bend = (loss.gradient(at + step * e) - loss.gradient(at - step * e)) / (2 * step)
            assert loss.hessian(at)[i] == pytest.approx(bend, rel=1e-5, abs=1e-9)
    values = [np.linalg.eigvalsh(loss.hessian(s * at))[-1] for s in (0, 1, 5)]
    assert max(values) <= loss.curvature * (1 + 1e-12)


def test_a_quadratic_flow_is_an_exponential():
    H, target, K = np.diag([1.0, 3.0]), np.array([1.0, -2.0]), np.array([[1.0, 0.5], [0.0, 2.0]])
    flow = subspace_flow(Quadratic(H, target), K, PT, eta=0.3)
    values, vectors = np.linalg.eig(K @ K.T @ H)
    inverse = np.linalg.inv(vectors)
    for pt, alpha in zip(PT, flow.alpha, strict=True):
        left = vectors @ np.diag(np.exp(-0.3 * values * pt)) @ inverse
        assert alpha == near(target - left @ target, rel=1e-7)


def test_the_spread_of_one_number_is_known():
    # WW'/p = 1 + X, var X = 2/p; alpha = 1 - exp(-(1 + X) s), so its spread is sqrt 2 s exp(-s).
    s = np.array([0.1, 1.0, 3.0])
    flow = subspace_flow(Quadratic([1.0], [1.0]), [[1.0]], s)
    assert flow.spread == near(np.sqrt(2) * s * np.exp(-s), rel=1e-6)
    # The loss is exp(-2 (1 + X) s)/2.
    assert flow.loss_spread == near(np.sqrt(2) * s * np.exp(-2 * s), rel=1e-6)
    assert flow.needed(0.01) == near((flow.spread / 0.01) ** 2)


def test_the_distance_is_the_spread_over_the_root_of_the_size():
    loss, K = logistic(), seen()
    flow = subspace_flow(loss, K, PT)
    scaled = []
    for p in (100, 400, 1600, 10**9):
        made = simulate_subspace(loss, K, p, PT, draws=60, rng=2)
        scaled.append(np.sqrt(p) * made.mean("distance"))
        square = p * made.values["distance"] ** 2
        z = (square.mean(axis=0) - flow.spread**2) / (square.std(axis=0, ddof=1) / np.sqrt(60))
        assert abs(z).max() < 4
        z = (made.mean("loss") - flow.loss) / made.sem("loss")
        assert abs(z).max() < 4
    # Constant in the size, within a few percent, as sqrt p is taken out.
    assert np.ptp(np.log(scaled), axis=0).max() < 0.1


def test_small_models_have_a_higher_loss_than_the_law():
    loss, K = logistic(), seen()
    flow = subspace_flow(loss, K, [4.0])
    made = simulate_subspace(loss, K, 4, [4.0], draws=60)
    assert (made.mean("loss") - flow.loss) > 4 * made.sem("loss")


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.sampled_from([3, 10, 100, 10_000]), st.integers(0, 99))
def test_the_bound_holds_for_every_draw(r, p, seed):
    rng = np.random.default_rng(seed)
    loss = logistic(r, 40, seed) if seed % 2 else Quadratic(rng.random(r) + 0.1, rng.normal(size=r))
    K, pt = rng.standard_normal((r, r + 2)) / 2, [0.1, 1.0, 5.0]
    flow = subspace_flow(loss, K, pt)
    made = simulate_subspace(loss, K, p, pt, draws=3, rng=seed)
    for delta, distance in zip(made.values["delta"], made.values["distance"], strict=True):
        assert (distance <= flow.bound(delta) + 1e-8).all()


def test_the_deviation_is_as_large_as_said():
    loss, K = logistic(), seen()
    norm = subspace_flow(loss, K, [1.0]).norm
    for p in (20, 100, 2000):
        deltas = simulate_subspace(loss, K, p, [0.1], draws=200).values["delta"]
        assert 0.3 < np.median(deltas) / subspace_deviation(5, p, norm=norm) < 1
        assert (deltas > subspace_deviation(5, p, norm=norm, miss=0.05)).mean() < 0.05


@pytest.mark.parametrize("p", [3, 60])
def test_what_is_drawn_has_the_moments_of_wishart(p):
    r, draws = 4, 4000
    rng = np.random.default_rng(3)
    S = np.array([_wishart(r, p, rng) for _ in range(draws)])
    sem = S.std(axis=0) / np.sqrt(draws)
    assert (abs(S.mean(axis=0) - np.eye(r)) < 4.5 * sem).all()
    # var of a diagonal element 2/p, of another 1/p.
    spread = S.var(axis=0) * p
    assert spread == pytest.approx(np.ones((r, r)) + np.eye(r), rel=0.2)
    Z = np.array([(lambda Z: Z @ Z.T / p)(rng.standard_normal((r, p))) for _ in range(draws)])
    ours, theirs = (np.sort(np.linalg.eigvalsh(v)[:, -1]) for v in (S, Z))
    assert np.quantile(ours, [0.1, 0.5, 0.9]) == pytest.approx(
        np.quantile(theirs, [0.1, 0.5, 0.9]), rel=0.05
    )


def test_it_starts_where_it_is_told_and_stays_without_time():
    loss = Quadratic([1.0, 1.0], [0.0, 0.0])
    flow = subspace_flow(loss, np.eye(2), [0.0], start=[1.0, 2.0])
    assert flow.alpha.tolist() == [[1.0, 2.0]]
    assert flow.spread.tolist() == [0.0]
    made = simulate_subspace(loss, np.eye(2), 10, [0.0], start=[1.0, 2.0], draws=3)
    assert (made.values["distance"] == 0).all()


def test_many_numbers_have_no_spread():
    r = 30
    flow = subspace_flow(Quadratic(np.ones(r), np.ones(r)), np.eye(r), [1.0])
    assert np.isnan(flow.spread).all()
    assert flow.loss == near(r / 2 * np.exp(-2), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "piece"),
    [
        (lambda: Quadratic([[1, 2], [0, 1]], [1, 1]), "symmetric"),
        (lambda: Quadratic([-1.0], [1]), "below zero"),
        (lambda: Quadratic([1.0, 2.0], [1.0]), "do not fit"),
        (lambda: Logistic([[1.0]], [0]), "-1 and 1"),
        (lambda: Logistic([[1.0]], [1, 1]), "do not fit"),
        (lambda: subspace_flow(logistic(), np.eye(3), PT), "5 rows"),
        (lambda: subspace_flow(logistic(), np.eye(5), [1, 1]), "rise"),
        (lambda: subspace_flow(logistic(), np.eye(5), PT, eta=0), "eta"),
        (lambda: subspace_flow(logistic(), np.eye(5), PT, start=[1]), "5 finite"),
        (lambda: simulate_subspace(logistic(), np.eye(5), 2.5, PT), "whole"),
        (lambda: simulate_subspace(logistic(), np.eye(5), 9, PT, draws=1), "draws"),
        (lambda: subspace_deviation(3, 10, miss=2), "between 0 and 1"),
        (lambda: subspace_deviation(0, 10), "r = 0"),
    ],
)
def test_mistakes_are_named(call, piece):
    with pytest.raises(InputError, match=piece):
        call()

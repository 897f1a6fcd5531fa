"""Random teachers: the identities that hold for them exactly, by Monte Carlo, and the bounds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.theory import (
    DirichletTeacher,
    agree_surrogate,
    distinct_atoms,
    draw_teacher,
    first_sticks_error,
    logit_divergence,
)


@pytest.mark.parametrize(("d", "K"), [(3, 2.0), (10, 10), (20, 50), (5, 0.5)])
def test_identities_within_four_standard_errors(d, K):
    found = agree_surrogate([1, 12, 80], d=d, K=K, draws=500, inputs=60, rng=3)
    for name in ("squared_error", "distinct", "power"):
        assert np.abs(found.z[name]).max() < 4, name
    # The divergence is below its bound, and not by much: the bound is tight to a third.
    ratio = found.mean["divergence"] / found.theory["divergence"]
    assert (ratio < 1).all()
    assert ratio[-1] > 0.6


@pytest.mark.parametrize(("K", "n"), [(2.0, 3), (10, 8), (10, 25), (60, 40)])
def test_the_first_neurons_of_the_stick_miss_exactly_half_of_what_is_left(K, n):
    source, gaps = np.random.default_rng(11), []
    for _ in range(1500):
        teacher = draw_teacher(3, K, source)
        X = source.standard_normal((20, 3))
        gaps.append(np.mean((teacher.logit(X) - teacher.first(n).logit(X)) ** 2))
    exact = float(first_sticks_error(n, K))
    assert abs(np.mean(gaps) - exact) < 4 * np.std(gaps, ddof=1) / math.sqrt(len(gaps))
    assert exact <= K / (4 * n)


def test_rare_neurons_of_wide_surrogates_are_drawn_too():
    found = agree_surrogate([10**9], d=2, K=3, draws=40, inputs=10, rng=0)
    assert abs(found.z["distinct"][0]) < 4


def test_moving_neurons_costs_at_most_what_the_net_allows():
    K, n, eps, source = 10, 20, 0.2, np.random.default_rng(5)
    costs = []
    for _ in range(300):
        small = draw_teacher(6, K, source).surrogate(n, source)
        moved = small.quantised(eps)
        assert np.linalg.norm(moved.atoms - small.atoms, axis=1).max() <= eps
        np.testing.assert_allclose(np.linalg.norm(moved.atoms, axis=1), 1, rtol=1e-12)
        X = source.standard_normal((50, 6))
        costs.append(np.mean((small.logit(X) - moved.logit(X)) ** 2))
    mean, sem = np.mean(costs), np.std(costs, ddof=1) / math.sqrt(len(costs))
    assert mean + 4 * sem < eps**2 * (1 + K / n)
    # It is no bound on nothing: finer nets cost less, as the square.
    assert mean > 1e-3 * eps**2


def test_turning_a_lone_neuron_costs_half_of_its_squared_step():
    # One neuron that turns by an angle: the mean square of w.x - w~.x over half of the inputs.
    w = np.array([[1.0, 0.0]])
    small = DirichletTeacher(K=0.0, atoms=w, weights=np.ones(1), signs=np.ones(1))
    turned = DirichletTeacher(
        K=0.0, atoms=np.array([[math.cos(0.1), math.sin(0.1)]]), weights=np.ones(1),
        signs=np.ones(1),
    )  # fmt: skip
    X = np.random.default_rng(0).standard_normal((200_000, 2))
    eps = 2 * math.sin(0.05)
    assert np.mean((small.logit(X) - turned.logit(X)) ** 2) == pytest.approx(eps**2 / 2, rel=0.03)


def test_labels_follow_the_logit():
    teacher = draw_teacher(4, 6, rng=2)
    X, y = teacher.sample(40_000, rng=1)
    assert X.shape == (40_000, 4)
    assert set(np.unique(y)) == {0.0, 1.0}
    chance = 1 / (1 + np.exp(-teacher.logit(X)))
    gap = np.mean((y - chance) * teacher.logit(X))
    sem = np.std((y - chance) * teacher.logit(X)) / 200
    assert abs(gap) < 4 * sem
    assert np.std(X.mean(axis=0)) < 4 / 200
    np.testing.assert_array_equal(teacher.sample(5, rng=1)[0], teacher.sample(5, rng=1)[0])


def test_the_logit_is_the_sum_over_neurons_in_any_shape():
    teacher = draw_teacher(3, 2, rng=0)
    X = np.random.default_rng(0).standard_normal((2, 5, 3))
    direct = sum(
        math.sqrt(3) * w * s * np.maximum(X @ a, 0)
        for a, w, s in zip(teacher.atoms, teacher.weights, teacher.signs, strict=True)
    )
    np.testing.assert_allclose(teacher.logit(X), direct, rtol=1e-12, atol=1e-15)
    assert teacher.logit(X[0, 0]).shape == ()


def test_the_stick_is_broken_down_to_what_may_be_left():
    source = np.random.default_rng(0)
    sizes = [draw_teacher(2, 20, source, left=1e-6).weights.size for _ in range(300)]
    # Breaks before a fall of ln(1/left) are a Poisson process of rate K, and one more ends it.
    expected = 1 + 20 * math.log(1e6)
    assert abs(np.mean(sizes) - expected) < 4 * math.sqrt(expected / 300)
    first = [draw_teacher(2, 20, source).weights[0] for _ in range(2000)]
    assert abs(np.mean(first) - 1 / 21) < 4 * np.std(first) / math.sqrt(2000)
    squares = [np.sum(draw_teacher(2, 20, source).weights ** 2) for _ in range(500)]
    assert abs(np.mean(squares) - 1 / 21) < 4 * np.std(squares) / math.sqrt(500)


@pytest.mark.parametrize("K", [1e-6, 1e-2, 300.0])
def test_shares_sum_to_one_for_every_concentration(K):
    teacher = draw_teacher(2, K, rng=4)
    assert teacher.weights.sum() == pytest.approx(1, rel=1e-14)
    assert (teacher.weights >= 0).all()
    assert np.isin(teacher.signs, (-1, 1)).all()


@settings(max_examples=200, deadline=None)
@given(st.floats(-800, 800), st.one_of(st.floats(-800, 800), st.floats(-1e-2, 1e-2)))
def test_divergence_is_at_most_an_eighth_of_the_squared_gap(f, gap):
    g = f + gap
    found = float(logit_divergence(f, g))
    assert 0 <= found <= (f - g) ** 2 / 8 * (1 + 1e-9) + 1e-300


def exact_divergence(f, gap, terms=40):
    """Integral of the variance of the coin between the two logits, by Gauss and Legendre."""
    x, w = np.polynomial.legendre.leggauss(terms)
    t = (x + 1) / 2
    v = 1 / (2 * np.cosh((f + t * gap) / 2)) ** 2
    return float(gap**2 * np.sum(w / 2 * (1 - t) * v))


@pytest.mark.parametrize("f", [-6.0, -0.3, 0.0, 2.5])
@pytest.mark.parametrize("gap", [1e-9, -1e-5, 9e-4, -1.1e-3, 0.2, 0.999, -1.001, 3.0])
def test_divergence_keeps_its_digits_at_every_gap(f, gap):
    # In f alone the gap would be rounded.
    f = round(f * 2**40) / 2**40
    gap = round(gap * 2**40) / 2**40
    assert float(logit_divergence(f, f + gap)) == pytest.approx(
        exact_divergence(f, gap), rel=3e-11 if abs(gap) < 1 else 1e-9, abs=0
    )


def test_divergence_of_extreme_logits():
    assert float(logit_divergence(-1000, 1000)) == pytest.approx(1000)
    assert float(logit_divergence(1000, 1000)) == 0
    assert np.isfinite(logit_divergence([1e3, -1e3], [[1e5], [-1e5]])).all()


def test_draws_are_the_same_wherever_they_are_made():
    from concurrent.futures import ThreadPoolExecutor

    one = agree_surrogate([4], d=3, K=5, draws=6, rng=9)
    with ThreadPoolExecutor(2) as pool:
        other = agree_surrogate([4], d=3, K=5, draws=6, rng=9, executor=pool)
    np.testing.assert_array_equal(one.mean["squared_error"], other.mean["squared_error"])
    assert one.theory["distinct"][0] == distinct_atoms(4, 5)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: draw_teacher(2.5, 3), "d = 2.5"),
        (lambda: draw_teacher(0, 3), "d = 0"),
        (lambda: draw_teacher(3, 0), "K = 0"),
        (lambda: draw_teacher(3, math.inf), "K = inf"),
        (lambda: draw_teacher(3, 1e9), "fit in memory"),
        (lambda: draw_teacher(3, 3, left=1), "left = 1"),
        (lambda: draw_teacher(3, 3, rng=-1), "rng = -1"),
        (lambda: draw_teacher(3, 3).logit([[1.0, 2.0]]), "3 numbers"),
        (lambda: draw_teacher(3, 3).sample(0), "T = 0"),
        (lambda: draw_teacher(3, 3).surrogate(1.5), "n = 1.5"),
        (lambda: draw_teacher(3, 3).quantised(0), "eps = 0"),
        (lambda: agree_surrogate(2, d=3, K=3, draws=1), "draws = 1"),
        (lambda: agree_surrogate(1e30, d=3, K=3), "too many"),
        (lambda: agree_surrogate([], d=3, K=3), "is empty"),
    ],
)
def test_hostile_values(call, match):
    with pytest.raises(InputError, match=match):
        call()

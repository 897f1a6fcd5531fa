"""Pruned perceptrons drawn and trained, against the theory and against their own conditions."""

import math
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from scipy.optimize import nnls

from isoloss.errors import FitError, InputError
from isoloss.theory import agree_perceptron, pruned_perceptron, simulate_perceptron
from isoloss.theory import perceptron_simulate as room
from isoloss.theory.perceptron_margin import separate
from isoloss.theory.perceptron_simulate import draw_examples

# Two hard examples a dimension, a good probe and a fifth kept are left out: a finite student finds
# the teacher there or does not.
SHARES = ((0.8, 2.0), (0.5, 1.0), (0.5, 2.0), (0.5, 4.0), (0.2, 1.0), (0.2, 3.0), (0.1, 5.0))
CASES = [
    (keep, f, theta, a) for keep in ("hard", "easy") for theta in (0, 10, 20, 45) for f, a in SHARES
] + [("random", 1.0, 0, a) for a in (0.5, 1.0, 2.0, 4.0, 8.0)]


@pytest.mark.parametrize(("kept", "N", "keep"), [(60, 40, "hard"), (30, 50, "easy"), (7, 7, "hard"),
                                                 (1, 5, "random"), (300, 20, "easy")])  # fmt: skip
def test_students_have_the_largest_margin(kept, N, keep):
    X = draw_examples(kept, 4 * kept, 0.3, keep, N, np.random.default_rng(kept))
    found = separate(X)
    assert found.converged
    w, lam = found.weights, found.multipliers
    # What makes an optimum: feasible, a sum of examples, and only of those at the margin.
    assert (X @ w).min() > 1 - 1e-8
    assert (lam > 0).all()
    np.testing.assert_allclose(lam @ X, w, atol=1e-6 * np.linalg.norm(w))
    assert lam @ (X @ w - 1) < 1e-7 * (w @ w)
    assert found.support == np.count_nonzero(X @ w < 1 + 1e-5)


def test_students_are_those_of_another_method():
    X = draw_examples(80, 200, 0.2, "hard", 30, np.random.default_rng(3))
    found = separate(X)
    # Least distance programming: the residual of a non-negative least-squares problem.
    E, goal = np.vstack([X.T, np.ones(80)]), np.append(np.zeros(30), 1.0)
    u, _ = nnls(E, goal)
    rest = E @ u - goal
    np.testing.assert_allclose(-rest[:-1] / rest[-1], found.weights, rtol=1e-6, atol=1e-8)


def test_what_is_kept_has_the_law_of_a_ranked_pool():
    kept, pool, theta = 300, 1500, 0.4
    rng = np.random.default_rng(0)
    edge = {"hard": [], "easy": []}
    plain = {"hard": [], "easy": []}
    for _ in range(200):
        z = np.abs(rng.standard_normal(pool))
        z.sort()
        plain["hard"].append((z[:kept].max(), z[:kept].mean()))
        plain["easy"].append((z[-kept:].min(), z[-kept:].mean()))
        for keep, at in (("hard", np.max), ("easy", np.min)):
            X = draw_examples(kept, pool, theta, keep, 3, rng)
            margin = np.abs(math.cos(theta) * X[:, 0] + math.sin(theta) * X[:, 1])
            assert (X[:, 0] > 0).all()
            edge[keep].append((at(margin), margin.mean()))
    for keep in edge:
        one, two = np.array(edge[keep]), np.array(plain[keep])
        error = np.sqrt((one.var(axis=0) + two.var(axis=0)) / 200)
        assert (np.abs(one.mean(axis=0) - two.mean(axis=0)) < 4 * error).all()
        np.testing.assert_allclose(one.std(axis=0), two.std(axis=0), rtol=0.25)


@pytest.mark.parametrize(
    ("keep", "fraction", "theta", "alpha"),
    [
        ("hard", 0.3, 20, 2.0),
        ("easy", 0.3, 20, 2.0),
        ("hard", 1e-4, 40, 1.5),
        ("random", 1, 0, 0.6),
    ],
)
def test_theory_and_simulation_agree(keep, fraction, theta, alpha):
    found = agree_perceptron(alpha, fraction, np.deg2rad(theta), keep=keep, N=100, draws=80, rng=5)
    assert found.worst < 4, found.summary()
    exact = pruned_perceptron(alpha, fraction, np.deg2rad(theta), keep=keep)
    made = simulate_perceptron(
        alpha, fraction, np.deg2rad(theta), keep=keep, N=100, draws=24, rng=6
    )
    gap = float(made.mean("support_fraction") - exact.support_fraction)
    assert abs(gap) < 4 * float(made.sem("support_fraction")) + 0.01


def test_the_theory_of_another_rule_would_not_agree():
    made = simulate_perceptron(2.0, 0.3, np.deg2rad(20), N=100, draws=24, rng=5)
    for other in (
        pruned_perceptron(2.0, 0.3, np.deg2rad(20), keep="random"),
        pruned_perceptron(2.0, 0.3),
        pruned_perceptron(2.5, 0.3, np.deg2rad(20)),
    ):
        assert abs(float(made.mean("eps") - other.eps)) > 4 * float(made.sem("eps"))


def test_rows_are_the_numbers_really_kept():
    found = agree_perceptron([0.51, 1.0], 0.5, N=10, draws=3)
    assert found.at.tolist() == [0.5, 1.0]
    assert found.axis == "alpha_prune"


def test_draws_are_the_same_wherever_and_however_many():
    words = {"keep": "hard", "N": 30}
    few = simulate_perceptron(2.0, 0.5, 0.3, draws=2, **words)
    said = []
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        more = simulate_perceptron(
            2.0, 0.5, 0.3, draws=4, executor=pool, on_step=said.append, **words
        )
    np.testing.assert_allclose(more.values["eps"][:2], few.values["eps"], rtol=1e-9)
    assert said[-1] == "draw 4 of 4"


def test_bad_requests_are_named(monkeypatch):
    for words, piece in (
        ({"N": 1}, "2 or more"), ({"N": 2.5}, "N = 2.5"), ({"alpha_prune": 1e-3}, "0 kept"),
        ({"alpha_prune": 5e5}, "at most"), ({"fraction": 0}, "without end"),
        ({"draws": 1}, "draws"), ({"alpha_prune": [1, 2]}, "one point"), ({"keep": "all"}, "all"),
        ({"theta": 45}, "radians"), ({"rng": -1}, "rng"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=piece):
            simulate_perceptron(**({"alpha_prune": 1.0, "fraction": 0.5, "N": 20} | words))
    monkeypatch.setattr(room, "separate", lambda X: separate(X)._replace(converged=False))
    with pytest.raises(FitError, match="converge"):
        agree_perceptron(1.0, 0.5, N=10, draws=2)


@pytest.mark.slow
def test_sixty_one_cases_at_full_size():
    z = []
    for seed, (keep, fraction, theta, alpha) in enumerate(CASES):
        found = agree_perceptron(
            alpha, fraction, np.deg2rad(theta), keep=keep, N=200, draws=40, rng=seed
        )
        z.append(float(found.z["eps"][0]))
    assert len(z) == 61
    rms = float(np.sqrt(np.mean(np.square(z))))
    assert 0.8 < rms < 1.25, rms
    assert max(map(abs, z)) < 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keep", "fraction", "theta", "alpha"),
    [
        ("hard", 0.1, 20, 5.0), ("hard", 0.2, 0, 1.0), ("hard", 0.2, 20, 2.5),
        ("easy", 0.1, 10, 5.0), ("easy", 0.5, 45, 2.0), ("hard", 1e-2, 0, 3.0),
        ("hard", 1e-3, 0, 4.0), ("random", 1, 0, 2.0),
    ],
)  # fmt: skip
def test_larger_systems(keep, fraction, theta, alpha):
    found = agree_perceptron(alpha, fraction, np.deg2rad(theta), keep=keep, N=400, draws=16, rng=1)
    assert abs(found.z["eps"][0]) < 4, found.summary()


def test_examples_with_few_near_the_border_are_separated():
    # Weights of support vectors reach 1e20 here, and the matrix is no longer definite in rounding.
    found = simulate_perceptron(
        32, 0.45, np.radians(10), keep="hard", N=100, draws=60, rng=77
    ).values
    assert found["converged"].all()
    assert (found["kappa"] > 0).all()

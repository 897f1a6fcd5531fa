"""Projected trials, objectives of their own, and the batch of back-test fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fit.designs import law_of, table
from isoloss.fit import Huber, LeastSquares, OneSided
from isoloss.fit.approach import settle
from isoloss.fit.cuts import fit_cuts
from isoloss.fit.derivatives import derivative_error
from isoloss.fit.engine import minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objectives
from isoloss.fit.prepare import prepare
from isoloss.fit.program import _affine_part
from isoloss.fit.projection import View, median
from isoloss.fit.starts import find_starts, find_starts_for
from isoloss.laws import law_from_expression
from isoloss.laws.tape import log_logistic

GOALS = [Huber(1e-3), LeastSquares(), OneSided(2e-3)]


def kernel_of(name: str, objective: Any = GOALS[0]) -> tuple[Kernel, np.ndarray]:
    data = prepare(table(name, noise=0.01), law_of(name))
    return Kernel(data.law, data.x, data.loss, objective), data.weights


def own_weights(n: int, count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 2.0, (count, n))


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("name", ["chinchilla", "kaplan", "sigmoid_power", "broken_power"])
def test_a_projected_trial_is_a_restored_one_with_its_residuals(name: str, log: bool) -> None:
    """Kaplan's law has no amplitudes that bend nothing else; the others go the short way."""
    kernel, _ = kernel_of(name, LeastSquares(log=log))
    q = find_starts(kernel)[:4]
    q[:, list(kernel.amplitudes)] *= 1.3
    view = View(kernel, own_weights(kernel.n, len(q)))
    trial, r, jac = view.projected(q, kernel.objective)
    np.testing.assert_allclose(trial, view.restored(q, kernel.objective), rtol=1e-12, atol=1e-14)
    expected = view.residuals(trial)
    np.testing.assert_allclose(r, expected[0], rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(jac, expected[1], rtol=1e-9, atol=1e-12)
    assert (kernel.shapes(q, slice(0, 3), 3) is None) == (name == "kaplan")


def test_a_parameter_in_two_terms_has_no_shape_of_its_own() -> None:
    law = law_from_expression("E + A*N**-a + B*D**-a")
    x = {"N": np.geomspace(1e6, 1e9, 12), "D": np.geomspace(1e9, 1e8, 12)}
    kernel = Kernel(law, x, np.linspace(4.0, 2.0, 12), Huber(1e-3))
    assert kernel.shapes(np.ones((1, 4)), slice(0, 12), 12) is None


def test_an_amplitude_of_zero_keeps_its_derivatives() -> None:
    kernel, _ = kernel_of("chinchilla", LeastSquares())
    q = find_starts(kernel)[:1]
    view = View(kernel, np.ones((1, kernel.n)))
    # A loss that rises with N leaves nothing for the term that falls.
    view.y = 0.1 * np.log(kernel.x["N"])
    view.inverse = np.exp(-view.y)
    trial, _, jac = view.projected(q, kernel.objective)
    assert (trial[0, list(kernel.amplitudes)] == 0).any()
    np.testing.assert_allclose(jac, view.residuals(trial)[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.9])
def test_medians_of_those_that_are_used(fraction: float) -> None:
    rng = np.random.default_rng(1)
    values, used = rng.normal(size=(40, 7)), rng.random((40, 7)) >= fraction
    for row, mask, found in zip(values, used, median(values, used), strict=True):
        expected = np.median(row[mask]) if mask.any() else np.nan
        np.testing.assert_equal(found, expected)


def test_objectives_of_a_batch_are_those_of_its_members() -> None:
    r = np.random.default_rng(2).normal(scale=3e-3, size=(6, 9))
    r[:, 0] = 0.0
    owner = np.array([0, 2, 1, 1, 0, 2])
    batch = Objectives.of(GOALS, owner)
    for i, goal in enumerate(owner):
        for found, expected in zip(batch.terms(r), GOALS[goal].terms(r), strict=True):
            np.testing.assert_array_equal(found[i], expected[i])
    part = batch.part(np.array([1, 5]))
    np.testing.assert_array_equal(part.terms(r[[1, 5]])[1], GOALS[2].terms(r[[1, 5]])[1])


def test_each_problem_is_minimised_under_its_own_objective() -> None:
    kernel, weights = kernel_of("chinchilla")
    start = find_starts(kernel, weights)[:1]
    owner = np.array([1, 0, 2, 1])
    whole = minimise(kernel, np.repeat(start, 4, axis=0), goal=Objectives.of(GOALS, owner))
    for i, goal in enumerate(owner):
        alone = minimise(kernel, start, goal=GOALS[goal])
        np.testing.assert_allclose(whole.value[i], alone.value[0], rtol=1e-12)
        np.testing.assert_allclose(whole.q[i], alone.q[0], rtol=1e-6, atol=1e-9)


def test_settling_a_batch_is_settling_its_members() -> None:
    kernel, _ = kernel_of("sigmoid_power")
    starts = find_starts(kernel)[:4]
    weights = own_weights(kernel.n, 4)
    q, value, typical = settle(kernel, starts, weights, 12)
    for i in range(4):
        alone = settle(kernel, starts[i : i + 1], weights[i : i + 1], 12)
        np.testing.assert_allclose(value[i], alone[1][0], rtol=1e-9)
        np.testing.assert_allclose(typical[i], alone[2][0], rtol=1e-6)
    ends = minimise(kernel, q, weights=weights, goal=LeastSquares())
    for i in range(4):
        careful = minimise(kernel, starts, weights=weights[i : i + 1], goal=LeastSquares())
        np.testing.assert_allclose(ends.value[i], careful.value.min(), rtol=1e-9)
    assert ends.iterations.max() <= 10


def test_starts_for_several_weights_are_those_for_each() -> None:
    kernel, _ = kernel_of("chinchilla")
    weights = own_weights(kernel.n, 3)
    weights[1, kernel.n // 2 :] = 0.0
    for row, found in zip(weights, find_starts_for(kernel, list(weights), keep=3), strict=True):
        np.testing.assert_allclose(found, find_starts(kernel, row, keep=3), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["chinchilla", "power_floor"])
def test_the_batch_finds_what_careful_fits_of_each_cut_find(name: str) -> None:
    """Cuts, weightings and objectives at once, against 12 starts for each alone."""
    data = prepare(table(name, noise=0.01), law_of(name))
    n = len(data.loss)
    scale = np.arange(1.0, n + 1)
    train = (scale[None] <= np.array([[0.6 * n], [0.8 * n]])).astype(float)
    powers = (0.0, 1.0)
    for goal, fits in zip(GOALS, fit_cuts(data, GOALS, train, scale, powers), strict=True):
        for i, power in enumerate(powers):
            for j, row in enumerate(train):
                kernel = Kernel(data.law, data.x, data.loss, goal)
                w = row * data.weights * (scale / n) ** power
                careful = minimise(kernel, find_starts(kernel, w, keep=12), weights=w).value.min()
                r = np.log(fits.predicted[i, j]) - np.log(data.loss)
                assert goal.terms(r)[0] @ w <= careful * (1 + 1e-9)


def test_parameters_that_act_as_one_share_their_derivatives() -> None:
    """In M4, log K and c act through log K - c log x; nothing else is computed twice."""
    law = law_of("sigmoid_power")
    kernel, _ = kernel_of("sigmoid_power")
    q = find_starts(kernel)[:2]
    jac = kernel.jacobian(q, slice(0, kernel.n))
    K, c = law.names.index("K"), law.names.index("c")
    log_x = np.log(next(iter(kernel.x.values())))
    np.testing.assert_allclose(jac[:, c], -log_x * jac[:, K], rtol=1e-13)
    assert len(kernel._full.tape.of_both) < 70
    alone = law_from_expression("E + A*exp(B + D*k)").expression
    part, factors = _affine_part(alone)
    assert part is not None
    assert set(factors) == {"B", "k"}
    assert _affine_part(law_from_expression("E + A*exp(B + D*k) + k*D").expression) == (None, {})
    assert _affine_part(law_from_expression("E + A*exp(B*k + D)").expression) == (None, {})


def test_derivatives_are_finite_where_a_share_underflows() -> None:
    """With a sharpness of 0.001, 1 - u of M4 is e^-3000 at small x."""
    kernel, _ = kernel_of("sigmoid_power")
    q = find_starts(kernel)[:1]
    names = kernel.law.names
    q[0, names.index("a")] = np.log(1e-3)
    q[0, names.index("K")] += 3.0
    terms = kernel.terms(q, np.ones((1, kernel.n)))
    assert np.isfinite(terms.gradient).all()
    assert np.isfinite(terms.hessian).all()
    assert derivative_error(kernel, q[0], np.arange(kernel.n)) < 1e-9
    values = np.array([-800.0, -3.0, 0.0, 3.0, 800.0])
    expected = [-800.0, np.log(1 / (1 + np.exp(3.0))), -np.log(2), -np.log1p(np.exp(-3.0)), 0.0]
    np.testing.assert_allclose(log_logistic(values), expected, rtol=1e-14)
    np.testing.assert_allclose(np.real(log_logistic(values + 0j)), expected, rtol=1e-14)

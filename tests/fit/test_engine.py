"""The minimiser, its derivatives and its starts."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from fit.designs import law_of, table
from isoloss.fit import Huber, LeastSquares, OneSided
from isoloss.fit.engine import CONVERGED, minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.prepare import prepare
from isoloss.fit.starts import find_starts, lattice
from isoloss.fit.uncertainty import resample_weights

# The package exports a function of the module's name.
FIT = sys.modules["isoloss.fit.fit"]


def kernel_of(name: str = "chinchilla", noise: float = 0.01, **options: Any) -> Kernel:
    data = prepare(table(name, noise=noise), law_of(name))
    return Kernel(data.law, data.x, data.loss, options.pop("objective", Huber(1e-3)), **options)


@pytest.mark.parametrize(
    "objective", [Huber(1e-3), LeastSquares(), OneSided(5e-3), Huber(0.01, log=False)]
)
@pytest.mark.parametrize("name", ["chinchilla", "kaplan", "sigmoid_power"])
def test_gradient_and_hessian_are_derivatives_of_the_value(name: str, objective: Any) -> None:
    kernel = kernel_of(name, objective=objective)
    weights = np.linspace(0.5, 1.5, kernel.n)[None]
    q = find_starts(kernel)[:1]
    terms = kernel.terms(q, weights)
    residual = kernel.predict(q) - kernel.y
    rho = kernel.objective.terms(residual)[0]
    np.testing.assert_allclose((rho * weights).sum(axis=1), terms.value, rtol=1e-13)
    h = 1e-6
    shifts = np.concatenate([q + h * np.eye(kernel.p), q - h * np.eye(kernel.p)])
    moved = kernel.terms(shifts, weights)
    up, down = moved.value[: kernel.p], moved.value[kernel.p :]
    np.testing.assert_allclose(
        (up - down) / (2 * h),
        terms.gradient[0],
        rtol=1e-5,
        atol=1e-5 * np.abs(terms.gradient).max(),
    )
    # Huber's second derivative jumps where a run crosses delta: compare where none does.
    if objective.delta == np.inf:
        slope = (moved.gradient[: kernel.p] - moved.gradient[kernel.p :]) / (2 * h)
        top = np.abs(terms.hessian[0]).max()
        np.testing.assert_allclose(slope, terms.hessian[0], atol=1e-6 * top)
    np.testing.assert_allclose(terms.hessian[0], terms.hessian[0].T)
    assert np.linalg.eigvalsh(terms.major[0]).min() > -1e-9 * np.abs(terms.major).max()


def test_many_rows_are_handled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernel_of()
    q = find_starts(kernel)
    weights = np.linspace(0.5, 1.5, kernel.n * len(q)).reshape(len(q), kernel.n)
    whole = kernel.terms(q, weights)
    monkeypatch.setattr("isoloss.fit.kernel.ROWS", 7)
    monkeypatch.setattr("isoloss.fit.kernel.CELLS", 21)
    parts = kernel.terms(q, weights)
    for field in ("value", "gradient", "major", "hessian"):
        np.testing.assert_allclose(
            getattr(parts, field), getattr(whole, field), rtol=1e-9, atol=1e-12
        )


def test_coordinates_there_and_back() -> None:
    for name in ("chinchilla", "kaplan", "broken_power", "repetition_joint"):
        kernel = kernel_of(name)
        q = find_starts(kernel)
        q = q[np.all((q > kernel.lower) & (q < kernel.upper), axis=1)]
        assert len(q)
        np.testing.assert_allclose(kernel.internal(kernel.natural(q)), q, rtol=1e-9, atol=1e-9)


def test_a_batch_equals_its_members() -> None:
    kernel = kernel_of()
    starts = find_starts(kernel)
    weights = resample_weights(np.arange(kernel.n), len(starts), rng=np.random.default_rng(0))
    whole = minimise(kernel, starts, weights=weights)
    for i, start in enumerate(starts):
        alone = minimise(kernel, start[None], weights=weights[i : i + 1])
        assert alone.status[0] == whole.status[i]
        np.testing.assert_allclose(alone.value[0], whole.value[i], rtol=1e-12)
        np.testing.assert_allclose(alone.q[0], whole.q[i], rtol=1e-7, atol=1e-9)


def test_own_targets_for_each_member() -> None:
    kernel = kernel_of(objective=LeastSquares())
    rng = np.random.default_rng(1)
    start = find_starts(kernel)[0]
    targets = kernel.y + 0.01 * rng.standard_normal((4, kernel.n))
    whole = minimise(kernel, np.repeat(start[None], 4, axis=0), y=targets)
    for i in range(4):
        alone = minimise(kernel, start[None], y=targets[i])
        np.testing.assert_allclose(alone.q[0], whole.q[i], rtol=1e-8)
    assert np.ptp(whole.value) > 0


@pytest.mark.parametrize("objective", [Huber(1e-3), LeastSquares()])
def test_warm_resamples_equal_careful_separate_fits(objective: Any) -> None:
    kernel = kernel_of(objective=objective)
    weights = resample_weights(np.arange(kernel.n), 12, rng=np.random.default_rng(2))
    starts = find_starts(kernel)
    best = minimise(kernel, starts)
    warm = minimise(
        kernel,
        np.repeat(best.q[np.argmin(best.value)][None], 12, axis=0),
        weights=weights,
        tolerance=1e-9,
    )
    for i, w in enumerate(weights):
        careful = minimise(kernel, find_starts(kernel, w, keep=12), weights=w)
        assert warm.value[i] == pytest.approx(careful.value.min(), rel=1e-7)


def test_the_second_engine_arrives_too() -> None:
    kernel = kernel_of(objective=LeastSquares())
    starts = find_starts(kernel)
    first, second = minimise(kernel, starts), minimise(kernel, starts, newton=False)
    assert first.value.min() == pytest.approx(second.value.min(), rel=1e-10)
    assert first.iterations.max() <= 60


def test_the_second_engine_shares_no_second_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernel_of(objective=LeastSquares())
    starts = find_starts(kernel)
    expected = minimise(kernel, starts, newton=False)

    def refused(*_: Any) -> None:
        raise AssertionError("the second engine used the tape of second derivatives")

    monkeypatch.setattr(kernel._full, "run", refused)
    assert minimise(kernel, starts, newton=False).q.tobytes() == expected.q.tobytes()
    with pytest.raises(AssertionError, match="second derivatives"):
        minimise(kernel, starts)


def test_starts_stay_in_the_box_and_differ() -> None:
    for name in ("chinchilla", "kaplan", "sigmoid_power"):
        kernel = kernel_of(name)
        starts = find_starts(kernel)
        assert 2 <= len(starts) <= 8
        assert np.all((starts >= kernel.lower) & (starts <= kernel.upper))
        assert len(np.unique(starts, axis=0)) == len(starts)


@pytest.mark.parametrize("dimension", [0, 1, 2, 3, 6])
def test_lattice_is_even(dimension: int) -> None:
    points = lattice(400, dimension)
    assert np.all((points >= 0) & (points < 1))
    assert points.shape[1] == dimension
    for column in points.T:
        shares = np.bincount((column * 4).astype(int), minlength=4) / len(points)
        assert np.max(np.abs(shares - 0.25)) < 0.05


@pytest.mark.parametrize("exponent", [3.2, 10.0, 15.0])
def test_an_amplitude_of_zero_that_should_grow_is_no_end(exponent: float) -> None:
    """Its exponent has no curvature there: Newton's step moves that alone, and promises nothing."""
    x = np.geomspace(1, 1e4, 12)
    y = 1 + 2 * x**-0.4 + 0.01 * np.cos(np.arange(12))
    kernel = Kernel(law_of("power_floor"), {"D": x}, y, LeastSquares())
    start = np.array([[1.0, 0.0, exponent]])
    weights = np.ones((1, kernel.n))
    before = kernel.terms(start, weights)
    assert before.gradient[0, 1] < 0
    found = minimise(kernel, start)
    after = kernel.terms(found.q, weights)
    assert after.value[0] < 0.7 * before.value[0]
    assert found.q[0, 1] > 0
    curvature = np.diagonal(after.major[0])
    gain = after.gradient[0] ** 2 / curvature
    assert found.status[0] != CONVERGED or gain.max() < 1e-6 * after.value[0]


def test_steps_that_rounding_hides_are_taken_all_the_same() -> None:
    """They promise 3e-13 of the objective, of which 1e-13 is noise: the gradient knows better."""
    kernel = kernel_of(noise=0.0003, objective=OneSided(1e-2))
    weights = np.ones((1, kernel.n))
    best = minimise(kernel, kernel.internal(np.array([1.7, 400.0, 400.0, 0.34, 0.28]))[None]).q
    terms = kernel.terms(best, weights)
    root = np.linalg.inv(np.linalg.cholesky(terms.hessian[0]).T)
    along = np.random.default_rng(0).standard_normal((200, kernel.p))
    along *= np.sqrt(3e-13 * terms.value) / np.linalg.norm(along, axis=1)[:, None]
    found = minimise(kernel, best + along @ root.T)
    after = kernel.terms(found.q, weights)
    steps = np.linalg.solve(after.hessian, after.gradient[:, :, None])[:, :, 0]
    assert (found.status == CONVERGED).all()
    assert np.max(np.sum(after.gradient * steps, axis=1) / after.value) < 1e-18

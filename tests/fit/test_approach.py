"""Starts that meet by variable projection, and what becomes of those that part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import isoloss.fit.approach as approach_module
from fit.designs import law_of, table
from isoloss.fit import Huber, LeastAbsolute, LeastSquares, OneSided, fit
from isoloss.fit.absolute import _Runs
from isoloss.fit.approach import approach, descend, restored
from isoloss.fit.engine import CONVERGED, MAX_ITER, Solutions, minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.prepare import prepare
from isoloss.fit.starts import find_starts
from isoloss.laws import law_from_expression
from isoloss.runs import Runs

OBJECTIVES = [Huber(1e-3), LeastSquares(), LeastSquares(log=False), OneSided(2e-3)]


def kernel_of(name: str, objective: Any, noise: float = 0.01) -> tuple[Kernel, np.ndarray]:
    data = prepare(table(name, noise=noise), law_of(name))
    return Kernel(data.law, data.x, data.loss, objective), data.weights


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ["chinchilla", "kaplan", "sigmoid_power", "broken_power"])
def test_following_few_equals_following_all(name: str, objective: Any) -> None:
    kernel, weights = kernel_of(name, objective)
    starts = find_starts(kernel, weights)
    few, all_ = descend(kernel, starts, weights), minimise(kernel, starts, weights=weights)
    assert len(few.value) == len(starts)
    assert few.value.min() <= all_.value.min() * (1 + 1e-9)
    reached = few.value <= few.value.min() * (1 + 1e-7)
    assert reached.sum() >= 2
    assert few.status[np.argmin(few.value)] == CONVERGED
    best = few.q[np.argmin(few.value)]
    np.testing.assert_allclose(few.q[reached], np.tile(best, (reached.sum(), 1)), atol=1e-3)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_few_steps_bring_all_starts_together(objective: Any) -> None:
    kernel, weights = kernel_of("chinchilla", objective)
    near = approach(kernel, find_starts(kernel, weights), weights)
    assert near.steps.max() <= 12
    assert len(near.groups()[0]) == 8
    assert near.value.max() <= near.value.min() * 1.001


def test_amplitudes_are_restored_to_their_least_squares() -> None:
    kernel, weights = kernel_of("chinchilla", LeastSquares(log=False))
    start = find_starts(kernel, weights)[:3]
    linear = list(kernel.amplitudes)
    moved = start.copy()
    moved[:, linear] *= np.array([0.3, 2.0, 0.5])
    q = restored(kernel, moved, weights)
    assert np.array_equal(q[:, 3:], moved[:, 3:])
    terms = kernel.terms(q, weights[None])
    scale = np.sqrt(np.diagonal(terms.major, axis1=1, axis2=2) * terms.value[:, None])
    assert np.max(np.abs(terms.gradient / scale)[:, linear]) < 1e-6
    # A law that would need a negative floor gets none, and the others follow.
    wide = start.copy()
    wide[:, 3:] = 0.05
    q = restored(kernel, wide, weights)
    assert np.all(q[:, linear] >= 0)
    gradient = kernel.terms(q, weights[None]).gradient
    for row, g in zip(q, gradient, strict=True):
        assert all(abs(g[i]) < 1e-5 if row[i] > 0 else g[i] > 0 for i in linear)


def test_a_group_whose_members_part_does_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The witness of the best group ends elsewhere: then everyone is asked."""
    kernel, weights = kernel_of("chinchilla", LeastSquares())
    starts = find_starts(kernel, weights)
    asked = []

    def spoiled(*args: Any, **options: Any) -> Solutions:
        s = minimise(*args, **options)
        asked.append(len(s.value))
        if len(asked) == 1:
            s.value[-1] *= 1.01
        return s

    monkeypatch.setattr(approach_module, "minimise", spoiled)
    found = descend(kernel, starts, weights)
    assert asked == [2, len(starts) - 2]
    agree = found.value <= found.value.min() * (1 + 1e-7)
    assert agree.sum() == len(starts) - 1


def test_a_group_is_only_counted_where_its_witness_agrees() -> None:
    kernel, weights = kernel_of("chinchilla", LeastSquares())
    calls = []

    def counted(*args: Any, **options: Any) -> Solutions:
        calls.append(len(args[1]))
        return minimise(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approach_module, "minimise", counted)
        found = descend(kernel, find_starts(kernel, weights), weights)
    assert calls == [2], "the best and its witness"
    assert np.ptp(found.value) <= 1e-12 * found.value.min()


def test_a_bound_lets_go_of_what_wants_to_leave_it() -> None:
    """At the bound the curvature is negative and Newton's step points out of the box."""
    law = law_from_expression("E + cos(p)*x", axes=("x",), bounds={"p": (0.1, 6.0), "E": (0, 9)})
    x = np.linspace(0.5, 1.5, 9)
    kernel = Kernel(law, {"x": x}, 3.0 - x, LeastSquares(log=False))
    start = kernel.internal(np.array([[1.0, 0.1]]))
    assert start[0, 1] == kernel.lower[1]
    found = minimise(kernel, start)
    assert found.value[0] < 1e-20
    np.testing.assert_allclose(kernel.natural(found.q)[0], [3.0, np.pi], rtol=1e-6)


def test_a_batch_can_end_with_the_first_that_arrives() -> None:
    kernel, weights = kernel_of("chinchilla", LeastSquares())
    starts = find_starts(kernel, weights)
    whole = minimise(kernel, starts, weights=weights)
    first = minimise(kernel, starts, weights=weights, enough=whole.value.min() * (1 + 1e-7))
    assert np.sum(first.status == CONVERGED) >= 1
    assert np.sum(first.status == MAX_ITER) >= 1
    assert first.iterations.max() == whole.iterations.min()
    assert first.value.min() == pytest.approx(whole.value.min(), rel=1e-12)


def test_terms_do_not_share_memory_with_later_ones() -> None:
    kernel, weights = kernel_of("chinchilla", Huber(1e-3))
    q = find_starts(kernel, weights)
    before = kernel.terms(q, weights[None])
    kept = [a.copy() for a in before.arrays()]
    jac = kernel.jacobian(q, slice(0, kernel.n))
    first = jac.copy()
    r, slopes = kernel.residuals(q, slice(0, kernel.n), kernel.n, kernel.y)
    r_kept, slopes_kept = r.copy(), slopes.copy()
    kernel.terms(q[::-1] * 1.1, weights[None])
    kernel.jacobian(q[::-1] * 1.1, slice(0, kernel.n))
    kernel.residuals(q[::-1] * 1.1, slice(0, kernel.n), kernel.n, kernel.y)
    for a, b in zip(before.arrays(), kept, strict=True):
        assert a.tobytes() == b.tobytes()
    assert jac.tobytes() == first.tobytes()
    assert (r.tobytes(), slopes.tobytes()) == (r_kept.tobytes(), slopes_kept.tobytes())
    again = kernel.terms(q, weights[None])
    for a, b in zip(again.arrays(), kept, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("over", [1.0, 10.0])
def test_exchange_proves_the_optimum_under_heavy_tails(seed: int, over: float) -> None:
    """Cauchy noise; sharpening a Huber threshold is the other way, and ends no lower."""
    runs = table("chinchilla")
    rng = np.random.default_rng(seed)
    noise = 0.003 * rng.standard_cauchy(len(runs)).clip(-60, 60)
    loss = runs["loss"] * np.exp(noise)
    # Some configurations twice, once with the same loss: one corner of the objective.
    rows = np.r_[np.arange(len(runs)), [3, 3, 17]]
    columns = {k: v[rows] for k, v in {"N": runs["N"], "D": runs["D"], "loss": loss}.items()}
    columns["loss"][-1] *= 1.01
    goal = LeastAbsolute() if over == 1.0 else "lad,over:10"
    found = fit(Runs(columns=columns), objective=goal, draws=0)
    assert "NOT_A_VERTEX" not in [r.code for r in found.reasons]
    data = prepare(Runs(columns=columns), found.law)
    kernel = Kernel(data.law, data.x, data.loss, found.objective, smooth=1e-4)
    near = kernel.internal(found.theta) + 1e-3
    sharper = kernel
    for delta in (1e-4, 1e-5, 1e-6, 1e-7):
        sharper = Kernel(data.law, data.x, data.loss, found.objective, smooth=delta)
        near = minimise(sharper, near[None], weights=data.weights).q[0]
    total = _Runs(kernel, data.weights, found.objective).total(near)
    assert found.value <= total * (1 + 1e-12)
    assert found.value == pytest.approx(total, rel=1e-4)
    touched = np.abs(found.residuals) < 1e-12
    assert len(np.unique(np.stack([columns["N"], columns["loss"]])[:, touched], axis=1).T) == 5

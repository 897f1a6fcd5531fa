"""Random-feature laws on models that are what they say: recovery, forecast of the end, plans."""

from __future__ import annotations

from math import gamma
from typing import Any

import numpy as np
import pytest

import isoloss
from fit.designs import JOINT, design, table
from isoloss.laws import get_law
from isoloss.plan.over_laws import allocate_over_laws

RANKS, ALPHA, NOISE = 300, 0.8, 0.3
Q = 1 / (1 + ALPHA)
HEIGHT = float((np.pi * Q / np.sin(np.pi * Q)) ** (1 + ALPHA))
S2 = NOISE * HEIGHT * RANKS**-ALPHA
# Sums over ranks from one are integrals from one half.
TRUTH = {"E": S2, "A": HEIGHT, "alpha": ALPHA, "rho": 1.0, "M": RANKS + 0.5, "noise": NOISE}


def trained(n: int, t: int, rng: np.random.Generator, draws: int, targets: int = 100) -> float:
    """Exact excess loss of ridge regression on n random features, t examples, at the best ridge."""
    spectrum = np.arange(1.0, RANKS + 1) ** -(1 + ALPHA)
    ridges = n * t * np.geomspace(1e-7, 1e-1, 50)
    loss = np.zeros(len(ridges))
    for _ in range(draws):
        x = rng.standard_normal((t, RANKS)) * np.sqrt(spectrum)
        mixing, truth = rng.standard_normal((n, RANKS)), rng.standard_normal((RANKS, targets))
        y = x @ truth + np.sqrt(S2) * rng.standard_normal((t, targets))
        left, s, right = np.linalg.svd(x @ mixing.T, full_matrices=False)
        basis = (right @ mixing).T
        overlap = basis.T @ (spectrum[:, None] * truth)
        power, heights = basis.T @ (spectrum[:, None] * basis), s[:, None] * (left.T @ y)
        own = np.sum(spectrum[:, None] * truth**2)
        for i, ridge in enumerate(ridges):
            learned = heights / (s**2 + ridge)[:, None]
            loss[i] += own + np.sum(learned * (power @ learned - 2 * overlap))
    return float(loss.min() / targets / draws)


def simulated(sizes: tuple[int, ...], seed: int, draws: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = [(n, t, trained(n, t, rng, draws)) for n in sizes for t in sizes]
    n, t, loss = np.array(rows).T
    return {"N": n + 0.5, "D": t + 0.5, "loss": loss + S2}


def test_models_that_were_trained_give_back_their_truth_and_its_end() -> None:
    runs = simulated((40, 70, 110, 160, 220, 260), seed=3, draws=4)
    law = get_law("random_features_finite")
    assert np.max(np.abs(np.log(law(TRUTH, runs) / runs["loss"]))) < 0.08
    found = isoloss.fit(runs, law.pin(E=S2), objective="lsq", draws=200, level=0.99)
    for name in found.law.names:
        assert TRUTH[name] in found.intervals[name], name
    assert 0.6 < found.parameters["M"] / TRUTH["M"] < 1.6
    # Beyond the last latent feature, where none was trained, power laws promise too little.
    far = simulated((400, 800), seed=4, draws=2)
    np.testing.assert_allclose(law(TRUTH, far), far["loss"], rtol=0.02)
    inside = [v in i for v, i in zip(far["loss"], found.interval(far, new_run=True), strict=True)]
    assert all(inside)
    endless = isoloss.fit(runs, "random_features", objective="lsq", draws=0)
    assert np.std(endless.residuals) > 1.5 * np.std(found.residuals)
    missed = np.abs(np.log(endless.predict(far) / far["loss"]))
    assert missed.max() > 2 * np.abs(np.log(found.predict(far) / far["loss"])).max()


def test_an_end_far_beyond_the_runs_has_no_upper_limit() -> None:
    runs = table("random_features", noise=0.003, seed=2)
    found = isoloss.fit(runs, "random_features_finite", draws=60)
    assert found.status == "suspect"
    assert found.intervals["M"].high > 1e4 * runs["N"].max()


FALL, SLOW = 2.5, 0.3
FLOW = {
    "E": 0.5,
    "A": float(
        np.pi / FALL / np.sin(np.pi * SLOW) * (np.pi / FALL / np.sin(np.pi / FALL)) ** (FALL * SLOW)
    ),
    "B": float(np.pi / FALL / np.sin(np.pi * SLOW) / gamma(1 - SLOW)),
    "b": FALL,
    "beta": SLOW,
}


def flowed(sizes: tuple[int, ...], times: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Exact population loss of one draw of features for each size and time."""
    rank = np.arange(1.0, 2001)
    variance, power = rank**-FALL, rank ** -(1 + FALL * SLOW)
    rows = []
    for n in sizes:
        for t in times:
            mixing = rng.standard_normal((n, rank.size)) * np.sqrt(variance / n)
            values, vectors = np.linalg.eigh(mixing @ mixing.T)
            seen = (vectors.T @ mixing) ** 2 / values[:, None] @ power
            loss = power.sum() - (1 - np.exp(-2 * t * values)) @ seen
            rows.append((n + 0.5, 2 * t, loss + FLOW["E"]))
    return dict(zip(("N", "D", "loss"), np.array(rows).T, strict=True))


def test_features_that_flowed_give_back_their_truth_and_where_size_ends() -> None:
    rng = np.random.default_rng(0)
    runs = flowed((20, 30, 45, 70, 105), np.geomspace(20, 2e4, 7), rng)
    found = isoloss.fit(runs, "gradient_flow", objective="lsq", draws=200, level=0.99)
    assert found.status == "ok"
    for name, value in FLOW.items():
        assert value in found.intervals[name], name
    # Larger, trained until time no longer counts: Chinchilla's sum promises too little.
    far = flowed((200, 300), np.array([1e5, 1e7]), rng)
    missed = np.abs(found.predict(far) / far["loss"] - 1)
    assert missed.max() < 0.02
    inside = [v in i for v, i in zip(far["loss"], found.interval(far, new_run=True), strict=True)]
    assert all(inside)
    sum_ = isoloss.fit(runs, "chinchilla", objective="lsq", draws=0)
    assert np.std(sum_.residuals) > 2 * np.std(found.residuals)
    assert np.all(sum_.predict(far) / far["loss"] > 1.02)


@pytest.mark.slow
def test_repeats_with_noise_are_recovered() -> None:
    runs = table("gradient_flow_unique", noise=0.005, seed=4, per_axis=4)
    found = isoloss.fit(runs, "gradient_flow_unique", objective="lsq", draws=24, level=0.99)
    for name, value in JOINT["gradient_flow_unique"].items():
        assert value in found.intervals[name], name


def test_exponents_the_model_cannot_have_are_said() -> None:
    # Data count for more than features: b wants to be below one.
    x = design("gradient_flow")
    truth = {"E": 1.6, "A": 90.0, "B": 2000.0, "b": 1.2, "beta": 0.35, "g": 0.5}
    runs = x | {"loss": get_law("gradient_flow_any")(truth, x)}
    found = isoloss.fit(runs, "gradient_flow", objective="lsq", draws=0)
    assert found.parameters["b"] == pytest.approx(1.0)
    assert "BOUND_HIT" in [r.code for r in found.reasons]


def test_exponents_of_a_plan_are_those_of_the_limits() -> None:
    # At the best split the scaled time is the same at every budget.
    truth = JOINT["gradient_flow"] | {"E": 0.0}
    plan = isoloss.allocate(get_law("gradient_flow"), truth, C=[1e20, 1e24])
    grown = np.log(plan.N_opt[1] / plan.N_opt[0]) / np.log(1e4)
    assert grown == pytest.approx(1 / (1 + truth["b"]), rel=1e-6)


@pytest.mark.parametrize(
    "name", ["random_features", "random_features_finite", "gradient_flow", "gradient_flow_width"]
)
def test_plans(name: str) -> None:
    law, truth = get_law(name), JOINT[name]
    found = isoloss.allocate(law, truth, C=[1e19, 1e21])
    for budget, best, loss in zip([1e19, 1e21], found.N_opt, found.L_opt, strict=True):
        grid = best * np.geomspace(0.8, 1.25, 9)
        assert np.argmin(law(truth, {"N": grid, "D": budget / 6 / grid})) == 4
        assert loss == pytest.approx(law(truth, {"N": best, "D": budget / 6 / best})[0])
    if name == "random_features":
        np.testing.assert_allclose(found.D_opt / found.N_opt, truth["rho"], rtol=1e-6)
    elif name == "random_features_finite":
        # Noise on labels makes examples worth more.
        assert (found.D_opt / found.N_opt > 1.05 * truth["rho"]).all()


def test_a_plan_over_solvable_and_other_laws() -> None:
    runs = table("random_features", noise=0.003, seed=5, per_axis=6)
    laws = isoloss.fit_laws(runs, ["chinchilla", "random_features"], draws=60)
    plan = allocate_over_laws(laws, C=[1e22])
    expected = np.sqrt(1e22 / 6 / JOINT["random_features"]["rho"])
    assert plan.N_opt[0] == pytest.approx(expected, rel=0.25)
    assert laws.weights[1] > 0.5

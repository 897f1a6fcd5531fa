"""Optima against published numbers, and against SciPy on runs that anyone can make again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares, linprog, minimize

from fit.designs import CHINCHILLA, law_of
from isoloss.fit import Huber, LeastAbsolute, LeastSquares, Objective, OneSided, fit
from isoloss.runs import Runs


@pytest.mark.parametrize(("key", "objective"), [("huber", "huber:1e-3"), ("lad", "lad")])
def test_published_optimum(
    key: str, objective: str, golden: dict[str, Any], epoch_240: Runs
) -> None:
    expected = golden["epoch"][key]
    found = fit(epoch_240, objective=objective, draws=0)
    for name, value in expected["value"].items():
        assert found.parameters[name] == pytest.approx(value, abs=expected["error"][name])
    assert found.value == pytest.approx(expected["objective"], rel=1e-7)
    assert found.status == "ok"
    assert found.n_rows == 240


def test_published_linear_least_squares(golden: dict[str, Any], epoch_240: Runs) -> None:
    expected = golden["epoch"]["linear"]
    rows = epoch_240.select(epoch_240["C"] < 1e21)
    scaled = Runs(columns={"N": rows["N"] / 1e6, "D": rows["D"] / 1e9, "loss": rows["loss"]})
    found = fit(scaled, objective="lsq,linear", draws=0)
    assert found.n_rows == 217
    for name, value in expected["value"].items():
        assert found.parameters[name] == pytest.approx(value, abs=expected["error"][name])
    assert found.value == pytest.approx(expected["objective"], abs=1e-6)


def test_published_standard_errors(golden: dict[str, Any], epoch_240: Runs) -> None:
    found = fit(epoch_240, draws=1000)
    spread = dict(zip(found.law.names, found.draws.std(axis=0), strict=True))
    for name, value in golden["epoch"]["bootstrap"]["value"].items():
        assert spread[name] == pytest.approx(value, rel=0.25)
    assert found.status == "ok"
    assert found.influence is not None
    assert not found.influence.flagged.any()


def test_the_five_highest_losses_are_found(epoch_rows: Runs) -> None:
    found = fit(epoch_rows, draws=300)
    assert found.influence is not None
    worst = np.sort(np.argsort(epoch_rows["loss"])[-5:])
    assert np.flatnonzero(found.influence.flagged).tolist() == worst.tolist()
    assert [r.code for r in found.reasons] == ["INFLUENTIAL_RUNS"]
    assert found.status == "suspect"
    without = found.influence.without
    assert without is not None
    assert without[2] == pytest.approx(2143.4, rel=1e-3)
    assert found.parameters["B"] > 10_000


def sixty() -> Runs:
    """Sixty runs by formula: quasi-random noise of half a percent, and three bad runs."""
    i = np.arange(60)
    n = 10 ** (7.3 + 2.7 * ((0.5 + 0.6180339887498949 * i) % 1))
    d = 10 ** (8.6 + 2.6 * ((0.5 + 0.7548776662466927 * i) % 1))
    noise = 0.005 * np.sqrt(3) * (2 * ((0.5 + 0.5698402909980532 * i) % 1) - 1)
    noise[[7, 23, 41]] += [0.04, 0.06, -0.03]
    loss = law_of("chinchilla")(CHINCHILLA, {"N": n, "D": d}) * np.exp(noise)
    return Runs(columns={"N": n, "D": d, "loss": loss})


def predict(p: np.ndarray, runs: Runs) -> np.ndarray:
    """Chinchilla's law in (log A', log B', log E, alpha, beta) with axes in 1e8 and 1e10."""
    a, b, e, alpha, beta = p
    return (
        np.exp(e)
        + np.exp(a) * (runs["N"] / 1e8) ** -alpha
        + np.exp(b) * (runs["D"] / 1e10) ** -beta
    )


def objective_of(p: np.ndarray, runs: Runs, goal: Objective) -> float:
    with np.errstate(over="ignore"):
        value = predict(p, runs)
        r = np.log(value) - np.log(runs["loss"]) if goal.log else value - runs["loss"]
    size = np.abs(r)
    if np.isinf(goal.delta):
        rho = r**2
    elif goal.delta == 0:
        rho = size
    else:
        rho = np.where(size < goal.delta, r**2 / 2, goal.delta * (size - goal.delta / 2))
    return float(np.sum(rho * np.where(r > 0, goal.over, 1.0)))


def natural(p: np.ndarray) -> dict[str, float]:
    a, b, e, alpha, beta = p
    return {
        "E": np.exp(e),
        "A": np.exp(a) * 1e8**alpha,
        "B": np.exp(b) * 1e10**beta,
        "alpha": alpha,
        "beta": beta,
    }


def starts() -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.uniform([-3, -3, -0.5, 0.1, 0.1], [0.5, 0.5, 0.9, 0.8, 0.8], size=(8, 5))


@pytest.mark.parametrize(
    "goal",
    [LeastSquares(), LeastSquares(log=False), Huber(1e-3), Huber(0.02), Huber(0.01, log=False)],
)
def test_least_squares_and_huber_against_scipy(goal: Objective) -> None:
    runs = sixty()

    def residual(p: np.ndarray) -> np.ndarray:
        value = predict(p, runs)
        return np.log(value) - np.log(runs["loss"]) if goal.log else value - runs["loss"]

    plain = np.isinf(goal.delta)
    others = [
        least_squares(
            residual,
            s,
            loss="linear" if plain else "huber",
            f_scale=1.0 if plain else goal.delta,
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
            max_nfev=300,
        )
        for s in starts()
    ]
    best = min(others, key=lambda o: o.cost)
    found = fit(runs, objective=goal, draws=0)
    assert found.value == pytest.approx(best.cost * (2 if plain else 1), rel=1e-9)
    assert found.value == pytest.approx(objective_of(best.x, runs, goal), rel=1e-9)
    for name, value in natural(best.x).items():
        assert found.parameters[name] == pytest.approx(value, rel=1e-6)


def test_one_sided_against_scipy() -> None:
    runs, goal = sixty(), OneSided(2e-3)
    found = fit(runs, objective=goal, draws=0)
    best = np.inf
    for s in starts()[:3]:
        other = minimize(
            objective_of,
            s,
            args=(runs, goal),
            method="L-BFGS-B",
            bounds=[(-20, 5), (-20, 5), (-5, 2), (0, 3), (0, 3)],
            options={"maxiter": 2000, "maxfun": 40_000, "ftol": 1e-15, "gtol": 1e-12},
        )
        # A simplex polishes what finite differences leave.
        other = minimize(
            objective_of,
            other.x,
            args=(runs, goal),
            method="Nelder-Mead",
            options={"maxiter": 1500, "maxfev": 3000, "xatol": 1e-11, "fatol": 1e-18},
        )
        best = min(best, other.fun)
    assert found.value <= best * (1 + 1e-9), "SciPy found a better point"
    assert found.value == pytest.approx(best, rel=1e-6)
    above = np.sum(found.residuals > 1e-4)
    assert above < 0.25 * len(runs), "ten times the price: most runs lie above the law"


@pytest.mark.parametrize("log", [True, False])
def test_least_absolute_against_a_linear_programme(log: bool) -> None:
    """No direction improves the optimum: a linear programme over the linearised law agrees."""
    runs = sixty()
    found = fit(runs, objective=LeastAbsolute(log=log), draws=0)
    value = found.law(found.theta, runs)
    jac = found.law.jacobian(found.theta, runs) * found.theta
    r = value - runs["loss"]
    if log:
        r, jac = np.log(value) - np.log(runs["loss"]), jac / value[:, None]
    n, p = jac.shape
    # min sum(t) with -t <= r + jac s <= t and |s| <= 1e-4 (relative steps).
    solved = linprog(
        np.r_[np.zeros(p), np.ones(n)],
        A_ub=np.block([[jac, -np.eye(n)], [-jac, -np.eye(n)]]),
        b_ub=np.r_[-r, r],
        bounds=[(-1e-4, 1e-4)] * p + [(0, None)] * n,
    )
    assert np.sum(np.abs(r)) == pytest.approx(found.value, rel=1e-12)
    assert solved.fun == pytest.approx(found.value, rel=1e-7)
    assert np.sum(np.abs(r) < 1e-12) == p, "the optimum passes through as many runs as parameters"
    assert found.status == "ok"
    best = min(
        minimize(
            objective_of,
            s,
            args=(runs, found.objective),
            method="Nelder-Mead",
            options={"maxiter": 3000, "maxfev": 3000},
        ).fun
        for s in starts()[:4]
    )
    assert found.value <= best * (1 + 1e-9)


def test_influence_of_the_bad_runs() -> None:
    found = fit(sixty(), objective="lsq", draws=200)
    assert found.influence is not None
    assert set(np.flatnonzero(found.influence.flagged)) <= {7, 23, 41}
    assert found.influence.flagged.any()
    assert "INFLUENTIAL_RUNS" in [r.code for r in found.reasons]

"""Whether exponents drift, and how far that moves the best split and the interval of a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from fit.designs import TRUTHS, design, law_of, table
from isoloss.fit import Huber, LeastSquares, fit, fit_laws
from isoloss.fit.drift import CHANCE, RATE, Drift, find_drift
from isoloss.fit.kernel import Kernel
from isoloss.fit.lawset import LawSet
from isoloss.fit.objective import Objective
from isoloss.fit.prepare import prepare
from isoloss.laws import Law, get_law
from isoloss.plan.over_laws import allocate_over_laws
from isoloss.runs import Runs

PAIR = ["chinchilla", "additive"]
AHEAD = 1000.0


def bent(x: dict[str, np.ndarray], bend: tuple[float, float], like: Runs) -> dict[str, np.ndarray]:
    """Coordinates that a law with drifting exponents sees, bent around the runs' middle."""
    out = dict(x)
    for a, g in zip(("N", "D"), bend, strict=True):
        off = np.log(x[a]) - np.mean(np.log(like[a]))
        out[a] = x[a] * np.exp(g * off**2)
    return out


def drifting(
    name: str, bend: tuple[float, float], noise: float = 0.0, seed: int = 0
) -> tuple[Law, np.ndarray, Runs]:
    """Make runs of a law of the catalogue whose exponents drift."""
    law, x = law_of(name), design(name)
    theta = law.theta(TRUTHS[name])
    z = np.random.default_rng(seed).standard_normal(len(x["N"]))
    loss = law(theta, bent(x, bend, Runs(columns=x))) * np.exp(noise * z)
    return law, theta, Runs(columns={**x, "loss": loss})


def drift_at(runs: Runs, law: Law, theta: np.ndarray, goal: Objective, power: float = 0.0) -> Drift:
    data = prepare(runs, law)
    kernel = Kernel(law, data.x, data.loss, goal)
    scale = data.x["N"] * data.x["D"]
    return find_drift(kernel, kernel.internal(theta), (scale / scale.max()) ** power)


def best(
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray], C: float, tilt: float = -1.0
) -> float:
    """Log of the size of least loss along D = C N^tilt."""
    found = minimize_scalar(
        lambda n: float(np.ravel(loss(np.exp([n]), C * np.exp([tilt * n])))[0]),
        bounds=(14.0, 34.0),
        method="bounded",
        options={"xatol": 1e-11},
    )
    return float(found.x)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", ["chinchilla", "coupled", "kaplan"])
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_fit_misses_the_split_by_what_the_slopes_say(name: str, side: int, power: float) -> None:
    C = 1e24

    def miss(g: float) -> tuple[float, Drift]:
        bend = (g, 0.0) if side == 0 else (0.0, g)
        law, theta, runs = drifting(name, bend)
        scale = runs["N"] * runs["D"]
        weights = (scale / scale.max()) ** power
        fitted = fit(runs, law, objective="lsq", weights=weights, draws=0)
        seen = best(lambda N, D: law(fitted.theta, {"N": N, "D": D}), C)
        true = best(lambda N, D: law(theta, bent({"N": N, "D": D}, bend, runs)), C)
        return true - seen, drift_at(runs, law, theta, LeastSquares(), power)

    (up, drift), (down, _) = miss(2e-4), miss(-2e-4)
    N = np.exp(best(lambda N, D: drift.kernel.law(TRUTHS[name], {"N": N, "D": D}), C))
    slopes = drift.split_slopes({"N": np.array([N]), "D": np.array([C / N])})[0]
    assert abs(slopes[side]) > 1
    assert (up - down) / 4e-4 == pytest.approx(slopes[side], rel=0.02)


@pytest.mark.parametrize("name", ["chinchilla", "farseer"])
def test_budgets_that_are_no_product_tilt_the_split(name: str) -> None:
    law, theta, runs = drifting(name, (0.0, 0.0))
    drift = drift_at(runs, law, theta, LeastSquares())
    fixed = replace(drift, pull=np.zeros_like(drift.pull))
    C, tilt, g = 1e26, -1.2, 1e-5

    def at(bend: tuple[float, float]) -> float:
        return best(
            lambda N, D: law(theta, bent({"N": N, "D": D}, bend, runs)),
            C,
            tilt,
        )

    n = at((0.0, 0.0))
    x = {"N": np.exp([n]), "D": C * np.exp([tilt * n])}
    exact = [(at((g, 0.0)) - at((-g, 0.0))) / (2 * g), (at((0.0, g)) - at((0.0, -g))) / (2 * g)]
    np.testing.assert_allclose(fixed.split_slopes(x, tilt)[0], exact, rtol=1e-2)
    # Out of all bounds the interval keeps what it has.
    assert fixed.split_spread({"N": np.array([1e-300]), "D": np.array([1e-300])}, tilt)[0] == 0.0


@pytest.mark.parametrize("goal", [Huber(1e-3), LeastSquares(), Huber(1e-3, log=False)])
def test_precise_runs_tell_the_bend(goal: Objective) -> None:
    law, _, runs = drifting("chinchilla", (0.01, -0.005), noise=1e-5)
    fitted = fit(runs, law, objective=goal, draws=0)
    drift = drift_at(runs, law, fitted.theta, goal)
    assert drift.chance > 0.999
    errors = np.sqrt(np.diag(drift.covariance))
    assert (errors < 0.3 * RATE).all()
    # Effects of bends are linear to a tenth at this size.
    np.testing.assert_allclose(drift.bend, [0.01, -0.005], atol=1e-3 + 4 * errors.max())
    law, _, runs = drifting("chinchilla", (0.0, 0.0), noise=1e-5)
    assert drift_at(runs, law, fit(runs, law, draws=0).theta, goal).chance < 0.05


def test_vague_runs_leave_what_was_thought_before() -> None:
    law, _, runs = drifting("chinchilla", (0.01, 0.0), noise=0.1)
    drift = drift_at(runs, law, fit(runs, law, objective="lsq", draws=0).theta, LeastSquares())
    assert drift.chance == pytest.approx(CHANCE, abs=0.05)
    np.testing.assert_allclose(drift.covariance, RATE**2 * np.eye(2), atol=0.1 * RATE**2)
    assert (np.abs(drift.bend) < 0.3 * RATE).all()
    exact = {"N": np.array([1e10]), "D": np.array([2e11])}
    slopes = drift.split_slopes(exact)[0]
    moments = drift.covariance + np.outer(drift.bend, drift.bend)
    assert drift.split_spread(exact)[0] == pytest.approx(np.sqrt(slopes @ moments @ slopes))


def test_no_fewer_runs_than_parameters_and_no_drift_from_one_outlier() -> None:
    law, theta, runs = drifting("chinchilla", (0.0, 0.0), noise=1e-3)
    few = Runs(columns={n: v[:: len(v) // 5][:5] for n, v in runs.columns.items()})
    assert drift_at(few, law, theta, Huber(1e-3)).chance == pytest.approx(CHANCE)
    plain = drift_at(runs, law, theta, Huber(1e-3))
    loss = runs["loss"].copy()
    loss[np.argmax(runs["N"] * runs["D"])] *= 1.2
    off = Runs(columns={"N": runs["N"], "D": runs["D"], "loss": loss})
    assert abs(drift_at(off, law, theta, Huber(1e-3)).chance - plain.chance) < 0.2


def test_a_floor_held_at_zero_follows_no_bend() -> None:
    runs = table("additive", noise=0.003)
    simple, rich = get_law("additive"), get_law("chinchilla")
    theta = simple.theta(TRUTHS["additive"])
    held = np.array([0.0 if n == "E" else theta[simple.names.index(n)] for n in rich.names])
    one, other = (drift_at(runs, law, t, Huber(1e-3)) for law, t in ((simple, theta), (rich, held)))
    x = {"N": np.array([1e11]), "D": np.array([1e12])}
    np.testing.assert_allclose(one.split_slopes(x), other.split_slopes(x), rtol=1e-7)
    assert one.chance == pytest.approx(other.chance, rel=1e-7)


def with_chance(laws: LawSet, chance: float, times: float = 1.0) -> LawSet:
    drifts = tuple(
        d and replace(d, chance=chance, covariance=times**2 * d.covariance, bend=times * d.bend)
        for d in laws.drifts
    )
    return replace(laws, drifts=drifts)


def test_plans_are_as_wide_as_exponents_may_drift() -> None:
    laws = fit_laws(table("chinchilla", noise=0.003), ["chinchilla"], draws=2000)
    top = float(laws.backtest.scale.max())
    budgets = top * np.array([1.0, 10.0, 1e3])
    none, half, sure = (
        allocate_over_laws(with_chance(laws, c, 4.0), budgets, price_of_missing=False)
        for c in (0.0, 0.5, 1.0)
    )
    for plan in (half, sure):
        assert plan.N_opt.tobytes() == none.N_opt.tobytes()
        assert plan.L_opt.tobytes() == none.L_opt.tobytes()
        assert [i.low for i in plan.intervals["L_opt"]] == [i.low for i in none.intervals["L_opt"]]
    widths = np.array(
        [[np.log(i.high / i.low) for i in plan.intervals["N_opt"]] for plan in (none, half, sure)]
    )
    drift = laws.drifts[0]
    assert drift is not None
    at = {"N": none.N_opt, "D": none.D_opt}
    # Normal moves join those of the draws; sampled quantiles of 2,000 draws are good to 8 %.
    added = 2 * 1.645 * 4.0 * drift.split_spread(at)
    np.testing.assert_allclose(widths[2], np.hypot(widths[0], added), rtol=0.12)
    assert (widths[0, 2] < widths[1, 2]) & (widths[1, 2] < widths[2, 2])
    for n, d, C in zip(sure.intervals["N_opt"], sure.intervals["D_opt"], budgets, strict=True):
        assert 6 * n.low * d.high == pytest.approx(C, rel=0.03)
        assert 6 * n.high * d.low == pytest.approx(C, rel=0.03)
        assert n.method.endswith("and drift of exponents")
    capped = allocate_over_laws(
        with_chance(laws, 1.0, 30.0), [top * AHEAD], max_D=float(sure.D_opt[2])
    )
    assert capped.intervals["D_opt"][0].high <= sure.D_opt[2] * (1 + 1e-9)
    # No draw takes so small a size that the data could not use up the budget.
    assert capped.intervals["N_opt"][0].low >= top * AHEAD / (6 * sure.D_opt[2]) * (1 - 1e-9)


def test_a_plan_without_draws_stays_one_point() -> None:
    laws = fit_laws(table("chinchilla", noise=0.003), ["chinchilla"], draws=0)
    plan = allocate_over_laws(laws, [1e24], price_of_missing=False)
    found = plan.intervals["N_opt"][0]
    assert (found.low, found.high) == pytest.approx((plan.N_opt[0], plan.N_opt[0]), rel=1e-3)
    assert "drift" not in found.method


def test_one_number_for_the_set() -> None:
    laws = fit_laws(table("chinchilla", noise=0.003), ["chinchilla"], draws=0)
    (drift,) = laws.drifts
    assert drift is not None
    runs, theta = table("chinchilla", noise=0.003), laws.fits[0].parameters
    C = AHEAD * np.max(runs["N"] * runs["D"])
    N = np.exp(best(lambda N, D: laws.fits[0].law(theta, {"N": N, "D": D}), C))
    spread = drift.split_spread({"N": np.array([N]), "D": np.array([C / N])})[0]
    expected = spread * np.sqrt(drift.chance / np.log(AHEAD))
    assert laws.split_discrepancy == pytest.approx(expected, rel=1e-5)
    assert laws.to_dict()["split_discrepancy"] == laws.split_discrepancy
    assert laws.to_dict()["laws"][0]["drift_chance"] == drift.chance


def test_the_order_of_laws_does_not_move_a_plan() -> None:
    runs = drifting("chinchilla", (0.01, 0.0), noise=0.003)[2]
    names = ["chinchilla", "coupled", "additive"]
    one, other = (fit_laws(runs, n, draws=60) for n in (names, names[::-1]))
    assert one.split_discrepancy == pytest.approx(other.split_discrepancy, rel=1e-9)
    C = [100 * float(one.backtest.scale.max())]
    a, b = (
        allocate_over_laws(s, C, price_of_missing=False).intervals["N_opt"][0] for s in (one, other)
    )
    assert (a.low, a.high) == pytest.approx((b.low, b.high), rel=1e-9)


def test_units_do_not_move_the_drift() -> None:
    runs = drifting("chinchilla", (0.01, 0.0), noise=0.003)[2]
    plain = fit_laws(runs, PAIR, draws=0)
    x = {"N": runs["N"] / 1e6, "D": runs["D"] / 1e9, "loss": runs["loss"] * 7.3}
    other = fit_laws(Runs(columns={n: v[::-1] for n, v in x.items()}), PAIR, draws=0)
    assert plain.split_discrepancy > 0
    assert other.split_discrepancy == pytest.approx(plain.split_discrepancy, rel=1e-7)
    for one, two in zip(plain.drifts, other.drifts, strict=True):
        assert one is not None
        assert two is not None
        assert one.chance == pytest.approx(two.chance, rel=1e-7)
        np.testing.assert_allclose(one.bend, two.bend, rtol=1e-6, atol=1e-9)

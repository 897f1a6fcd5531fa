"""What to run next: exact variances, limits, invariances, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from isoloss._core.serial import to_json
from isoloss.errors import FitError, InputError
from isoloss.fit import LawSet, fit_laws
from isoloss.fit.run_noise import RunNoise
from isoloss.laws import get_law
from isoloss.plan import Coefficient, SixND, allocate, parse_goal, plan_next_runs
from isoloss.plan.next_answer import LEAST_GAIN
from isoloss.plan.next_belief import best_split, covariance, frame, log_losses, target
from isoloss.plan.next_gain import (
    Laws,
    Taste,
    after,
    follow,
    mean_risk,
    risks,
    risks_with,
    start,
    value,
    without,
)
from isoloss.plan.next_known import RAY
from isoloss.plan.next_search import Budget, best_batch, greedy
from isoloss.runs import Runs

TRUTH = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
NOISE = 0.003
GOAL = "loss@C=1e22"


def table(
    k: float = 1.0, *, unit_N: float = 1.0, unit_D: float = 1.0, noise: float = NOISE
) -> Runs:
    """Sixteen runs of a law with interaction k, in units of N and D."""
    N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
    D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
    u, v = 480 * N**-0.35, 2100 * D**-0.37
    loss = 1.8 + (u**k + v**k) ** (1 / k)
    loss = loss * np.exp(noise * np.random.default_rng(1).standard_normal(16))
    return Runs(columns={"N": N / unit_N, "D": D / unit_D, "loss": loss})


def fitted(runs: Runs, *names: str) -> LawSet:
    return fit_laws(runs, names or ["chinchilla"], draws=0, objective="lsq", emphasis=0.0)


@pytest.fixture(scope="module")
def runs() -> Runs:
    return table()


@pytest.fixture(scope="module")
def one(runs: Runs) -> LawSet:
    return fitted(runs)


@pytest.fixture(scope="module")
def rivals() -> tuple[Runs, LawSet]:
    own = table(1.3)
    laws = fitted(own, "chinchilla", "additive")
    return own, replace(laws, weights=np.array([0.5, 0.5]))


def random_laws(K: int = 3, P: int = 4, m: int = 30, seed: int = 0) -> Laws:
    rng = np.random.default_rng(seed)
    return Laws(
        weights=np.array([0.5, 0.3, 0.2])[:K] / np.sum([0.5, 0.3, 0.2][:K]),
        logs=0.1 * rng.standard_normal((K, m)),
        slopes=[rng.standard_normal((m, P)) for _ in range(K)],
        goals=0.1 * rng.standard_normal((K, 2)),
        goal_slopes=[rng.standard_normal((2, P)) for _ in range(K)],
        bends=[rng.standard_normal((m, 2)) for _ in range(K)],
        goal_bends=[rng.standard_normal((2, 2)) for _ in range(K)],
        spread=[np.array([0.1, 0.2])] * K,
        noise=np.full(m, 0.5),
        cost=np.exp(rng.uniform(0, 4, m)),
    )


def states(laws: Laws):
    sizes = [j.shape[1] for j in laws.slopes]
    return start([0.3 * np.eye(p) for p in sizes], [np.zeros((p, 2)) for p in sizes])


def test_a_linear_law_gains_exactly_what_a_refit_with_the_run_has_less_variance():
    rng = np.random.default_rng(2)
    X, x, g, s = rng.standard_normal((12, 4)), rng.standard_normal((5, 4)), np.eye(4)[:2], 0.2
    # The truth bends by b times a column that the fit does not know.
    phi, bent, at_goal, b = (
        rng.standard_normal((12, 1)),
        rng.standard_normal((5, 1)),
        np.ones((2, 1)),
        0.3,
    )
    laws = Laws(
        np.ones(1), np.zeros((1, 5)), [x], np.zeros((1, 2)), [g], [bent], [at_goal],
        [np.array([b])], np.full(5, s), np.ones(5),
    )  # fmt: skip
    cov = covariance(X, np.full(12, s), None)
    begin = start([cov], [cov @ X.T @ phi / s**2])

    def error(rows, columns):
        """Variance of a refit, and the square of its bias."""
        variance = np.diag(s**2 * np.linalg.inv(rows.T @ rows))[:2]
        bias = at_goal[:, 0] - np.linalg.lstsq(rows, columns[:, 0], rcond=None)[0][:2]
        return variance + (b * bias) ** 2

    assert risks(laws, begin)[:, 0] == pytest.approx(error(X, phi), rel=1e-10)
    found = risks_with(laws, begin, np.arange(5))[:, 0]
    for i in range(5):
        refit = error(np.vstack([X, x[i]]), np.vstack([phi, bent[i]]))
        assert found[:, i] == pytest.approx(refit, rel=1e-8)
    # A batch, a seed twice in it.
    refit = error(np.vstack([X, x[[1, 1, 3]]]), np.vstack([phi, bent[[1, 1, 3]]]))
    assert risks(laws, follow(laws, begin, [1, 3, 1]))[:, 0] == pytest.approx(refit, rel=1e-8)


def falling(laws: LawSet, power: float, size: float = NOISE) -> LawSet:
    """The same laws, with noise that falls towards the largest runs of the table."""
    noise = RunNoise(parts=((size, power),), smallest=3e15, largest=3e18)
    return replace(laws, fits=tuple(replace(f, noise=noise) for f in laws.fits))


@pytest.mark.parametrize("power", [0.0, 0.4])
def test_a_plan_has_the_variance_of_an_independent_computation(runs, one, power):
    one = falling(one, power)
    pool = {"N": [3e7], "D": [3e9]}
    at = {"N": 5e9, "D": 1e11}
    found = plan_next_runs(
        one, runs, "loss@N=5e9,D=1e11", budget=1e21, k=1, pool=pool, drift=0.0, only=True
    )
    f = one.fits[0]
    theta = f.theta

    def rows(x):
        return f.law.jacobian(theta, x) / f.predict(x)[:, None]

    # The prior is on relative changes of amplitudes at the middle of the runs.
    middle_N, middle_D = (np.mean(np.log(runs[a])) for a in ("N", "D"))
    T = np.diag(1 / theta)
    T[1, 3], T[2, 4] = -middle_N, -middle_D
    prior = np.diag([1 / 10, 1 / 10, 1 / 10, 1, 1]) @ T
    noise = NOISE * (runs["N"] * runs["D"] / 3e18) ** -power
    H = prior.T @ prior + rows(runs).T @ (rows(runs) / noise[:, None] ** 2)
    g, j = (
        rows({k: np.array([v]) for k, v in at.items()})[0],
        rows({k: np.array(v) for k, v in pool.items()})[0],
    )
    before = g @ np.linalg.solve(H, g)
    own = NOISE * (9e16 / 3e18) ** -power
    assert found.runs[0].noise == pytest.approx(own)
    then = g @ np.linalg.solve(H + np.outer(j, j) / own**2, g)
    assert found.gain == pytest.approx(1 - then / before, rel=1e-6)
    z = 1.6448536269514722
    assert np.log(found.before.high / found.before.low) == pytest.approx(
        2 * z * before**0.5, rel=1e-6
    )
    assert np.log(found.after.high / found.after.low) == pytest.approx(2 * z * then**0.5, rel=1e-6)


def test_with_noise_that_falls_with_scale_large_runs_gain_on_small_ones(runs, one):
    pool = {"N": [1e7, 3e8], "D": [1e9, 1e10]}

    def gains(power):
        found = plan_next_runs(falling(one, power), runs, GOAL, budget=1e20, pool=pool)
        return found.considered.gain

    even, steep = gains(0.0), gains(0.4)
    assert steep[1] / steep[0] > 2 * even[1] / even[0]
    # Beyond the runs seen noise is that of the largest: no run is taken for exact.
    far = plan_next_runs(
        falling(one, 0.4), runs, GOAL, budget=1e23, k=1, pool={"N": [1e10], "D": [1e12]}
    )
    assert far.runs[0].noise == far.noise == pytest.approx(NOISE)


@pytest.mark.parametrize(
    "name", ["chinchilla", "coupled", "additive", "kaplan", "E + A/N**a + B/D**b"]
)
def test_derivatives_by_coordinates_are_those_of_the_law(runs, name):
    f = frame(fitted(runs, name).fits[0], runs)
    x = {"N": np.array([2e7, 5e8]), "D": np.array([4e8, 2e10])}
    logs, slopes, bends = log_losses(f, x)
    assert logs == pytest.approx(np.log(f.fit.predict(x)), rel=1e-12)
    step = 1e-6
    for i in range(len(f.theta)):
        moved = [
            log_losses(
                replace(f, theta=f.theta + sign * step * f.size * np.eye(len(f.theta))[i]), x
            )[0]
            for sign in (1, -1)
        ]
        assert slopes[:, i] == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-5, abs=1e-8)
    away = {a: np.log(x[a]) - np.mean(np.log(runs[a])) for a in ("N", "D")}
    for i, (a, by) in enumerate((("N", away["N"]), ("D", away["D"]), ("D", away["D"] - away["N"]))):
        moved = [
            np.log(f.fit.predict(x | {a: x[a] * np.exp(sign * step * by**2)})) for sign in (1, -1)
        ]
        assert bends[:, i] == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-5)


def test_the_slope_of_the_best_size_is_that_of_refitted_allocations(runs, one):
    f = frame(one.fits[0], runs)
    found = best_split(f, 1e22, SixND(), {})
    assert found is not None
    log_N, slope, bends, place = found
    law = one.fits[0].law
    assert np.exp(log_N) == pytest.approx(allocate(law, one.fits[0].theta, 1e22).N_opt[0], rel=1e-9)
    assert 6 * place["N"] * place["D"] == pytest.approx(1e22)
    step = 1e-5
    for i in range(5):
        both = []
        for sign in (1, -1):
            scaled = f.theta + sign * step * f.size * np.eye(5)[i]
            both.append(np.log(allocate(law, law.rescale(scaled, f.scales), 1e22).N_opt[0]))
        assert slope[i] == pytest.approx((both[0] - both[1]) / (2 * step), rel=1e-5, abs=1e-7)
    # Bends: the least loss on a line of sizes, under the law at bent places.
    for i in range(3):
        both = []
        for sign in (1, -1):
            n = np.log(place["N"]) + np.linspace(-0.02, 0.02, 2001)
            x = {"N": np.exp(n), "D": 1e22 / 6 / np.exp(n)}
            away = {a: np.log(x[a]) - np.mean(np.log(runs[a])) for a in ("N", "D")}
            by = (away["N"], away["D"], away["D"] - away["N"])[i]
            a = ("N", "D", "D")[i]
            loss = one.fits[0].predict(x | {a: x[a] * np.exp(sign * 1e-5 * by**2)})
            p = np.polyfit(n - np.log(place["N"]), loss, 4)
            roots = np.roots(np.polyder(p))
            both.append(float(roots[np.argmin(np.abs(roots))].real))
        assert bends[i] == pytest.approx((both[0] - both[1]) / 2e-5, rel=1e-3)


def test_the_loss_of_a_budget_is_narrowed_where_its_best_split_is(runs, one):
    f = frame(one.fits[0], runs)
    split = target(f, parse_goal(GOAL), 1e22, SixND(), {})
    assert split is not None
    at = {a: float(split.place[a]) for a in ("N", "D")}
    same = target(f, parse_goal(f"loss@N={at['N']!r},D={at['D']!r}"), 1e22, SixND(), {})
    assert same is not None
    assert split.value == pytest.approx(same.value, rel=1e-9)
    assert split.slope == pytest.approx(same.slope, rel=1e-6)


def test_runs_commute_and_can_be_taken_back():
    laws = random_laws()
    one, other = (follow(laws, states(laws), order) for order in ([0, 3, 2], [2, 0, 3]))
    back = without(laws, follow(laws, states(laws), [0, 3, 7, 2]), 7)
    for found in (other, back):
        assert found.evidence == pytest.approx(one.evidence, rel=1e-9)
        for a, b in zip(found.covariance, one.covariance, strict=True):
            assert a == pytest.approx(b, abs=1e-12)
        for a, b in zip(found.drag, one.drag, strict=True):
            assert a == pytest.approx(b, abs=1e-12)
        for a, b in zip(found.shift, one.shift, strict=True):
            assert np.array(a) == pytest.approx(np.array(b), abs=1e-12)
    alone = risks_with(laws, one, np.array([4, 5]))
    assert alone[..., 1] == pytest.approx(risks(laws, after(laws, one, 5)), rel=1e-12)


def test_laws_that_agree_everywhere_are_one_law():
    laws = random_laws(K=1)
    twice = Laws(
        weights=np.array([0.4, 0.6]),
        logs=np.repeat(laws.logs, 2, axis=0),
        slopes=[laws.slopes[0]] * 2,
        goals=np.repeat(laws.goals, 2, axis=0),
        goal_slopes=[laws.goal_slopes[0]] * 2,
        bends=[laws.bends[0]] * 2,
        goal_bends=[laws.goal_bends[0]] * 2,
        spread=[laws.spread[0]] * 2,
        noise=laws.noise,
        cost=laws.cost,
    )
    at = np.arange(len(laws.cost))
    for own, both in ((laws, twice),):
        single = mean_risk(own, risks_with(own, states(own), at))
        assert mean_risk(both, risks_with(both, states(both), at)) == pytest.approx(single)


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_is_never_worse_than_greedy_ones_and_keeps_to_its_limits(seed):
    laws, taste = random_laws(seed=seed), Taste()
    on_ray = np.random.default_rng(seed).random(30) < 0.4
    budget = Budget(total=60.0, most=5, free=40.0, on_ray=on_ray)
    batch = best_batch(laws, states(laws), budget, taste)
    assert len(batch) <= 5
    assert laws.cost[batch].sum() <= 60 * (1 + 1e-9)
    assert laws.cost[[i for i in batch if not on_ray[i]]].sum() <= 40 * (1 + 1e-9)
    worth = value(laws, states(laws), batch, taste)
    for power in (0.0, 0.25, 0.5, 0.75, 1.0):
        rest = greedy(laws, states(laws), budget, taste, power=power)
        assert worth <= value(laws, states(laws), rest, taste) + 1e-12


def test_an_exhaustive_search_of_small_batches_finds_nothing_much_better():
    from itertools import combinations_with_replacement

    laws, taste = random_laws(m=9, seed=5), Taste()
    budget = Budget(total=45.0, most=3, free=45.0, on_ray=np.ones(9, dtype=bool))
    found = value(laws, states(laws), best_batch(laws, states(laws), budget, taste), taste)
    best = min(
        value(laws, states(laws), list(b), taste)
        for n in (1, 2, 3)
        for b in combinations_with_replacement(range(9), n)
        if laws.cost[list(b)].sum() <= 45
    )
    assert best - 1e-12 <= found <= best + 0.05


def test_the_order_of_rows_and_the_units_of_N_and_D_change_nothing(runs, one):
    base = plan_next_runs(one, runs, GOAL, budget=1e20, k=4)
    order = np.random.default_rng(0).permutation(16)
    mixed = runs.select(order)
    found = plan_next_runs(fitted(mixed), mixed, GOAL, budget=1e20, k=4)
    scaled = table(unit_N=1e6, unit_D=1e9)
    cost = Coefficient(6e15)
    other = plan_next_runs(fitted(scaled), scaled, GOAL, budget=1e20, k=4, cost=cost)
    for f, N, D in ((found, 1.0, 1.0), (other, 1e6, 1e9)):
        assert f.gain == pytest.approx(base.gain, rel=1e-5)
        assert f.before.low == pytest.approx(base.before.low, rel=1e-6)
        assert [r.seeds for r in f.runs] == [r.seeds for r in base.runs]
        for a, b in zip(f.runs, base.runs, strict=True):
            assert a.at["N"] * N == pytest.approx(b.at["N"])
            assert a.at["D"] * D == pytest.approx(b.at["D"])
            assert a.cost == pytest.approx(b.cost)


def test_a_plan_keeps_its_budget_its_count_and_its_ray(runs, one):
    found = plan_next_runs(one, runs, GOAL, budget=1e20, k=6, ray_share=0.4, parallel=2)
    assert found.spent <= 1e20 * (1 + 1e-9)
    assert sum(r.seeds for r in found.runs) <= 6
    assert found.spent == pytest.approx(sum(r.cost * r.seeds for r in found.runs))
    best = allocate(one.fits[0].law, one.fits[0].theta, 1e22)
    ray = best.D_opt[0] / best.N_opt[0]
    off = [r for r in found.runs if abs(np.log(r.at["D"] / r.at["N"] / ray)) > np.log(RAY) + 1e-6]
    assert sum(r.cost * r.seeds for r in off) <= 0.6e20 * (1 + 1e-9)
    flat = [i for w in found.waves for i in w]
    assert [flat.count(i) for i in range(len(found.runs))] == [r.seeds for r in found.runs]
    assert all(len(w) <= 2 for w in found.waves)
    assert found.longest == pytest.approx(
        sum(max(found.runs[i].cost for i in w) for w in found.waves)
    )
    # Each run's gain is of what those above it leave.
    left = np.prod([1 - r.gain for r in found.runs])
    assert 1 - found.gain == pytest.approx(left, rel=1e-9)
    assert found.runs[-1].goal.low == pytest.approx(found.after.low)


def test_seeds_of_the_only_candidate_are_counted_as_one_run_with_less_noise(runs, one):
    pool = {"N": [1e9], "D": [3e9]}
    found = plan_next_runs(one, runs, GOAL, budget=1e21, k=4, pool=pool, drift=0.0, only=True)
    assert [r.seeds for r in found.runs] == [4]
    single = plan_next_runs(one, runs, GOAL, budget=1.8e19, k=4, pool=pool, drift=0.0, only=True)
    assert [r.seeds for r in single.runs] == [1]
    few = plan_next_runs(one, runs, GOAL, budget=1e21, k=4, pool=pool, most_seeds=2, only=True)
    assert [r.seeds for r in few.runs] == [2]
    # 1/gain is linear in the variance of the mean of the seeds.
    f = frame(one.fits[0], runs, rate=0.0)
    s = one.fits[0].seed_noise
    rows = log_losses(f, {a: runs[a] for a in ("N", "D")})[1]
    C = covariance(rows, np.full(16, s), f.prior)
    j = log_losses(f, {"N": np.array([1e9]), "D": np.array([3e9])})[1][0]
    wide = j @ C @ j
    assert found.gain / single.gain == pytest.approx((s**2 + wide) / (s**2 / 4 + wide), rel=1e-6)


def test_the_run_that_tells_two_laws_apart_is_named(rivals):
    own, laws = rivals
    pool = {"N": [1e7, 3e9], "D": [3e8, 3e11], "name": ["again", "far"]}
    found = plan_next_runs(laws, own, "loss@N=1e10,D=1e12", budget=1e22, k=1, pool=pool, only=True)
    assert [r.name for r in found.runs] == ["far"]
    assert set(found.runs[0].separates or ()) == {"chinchilla", "additive"}
    assert "from" in found.runs[0].reason
    assert found.runs[0].log_odds > 1
    assert found.gain > 0.5


def test_a_companion_keeps_the_best_size_known(runs, one):
    alone = plan_next_runs(one, runs, GOAL, budget=1e20, k=6, only=True)
    both = plan_next_runs(one, runs, GOAL, budget=1e20, k=6)
    assert alone.companion is None
    assert both.companion == "N_opt@C=1e+22"
    size = plan_next_runs(one, runs, "N_opt@C=1e22", budget=1e20, k=6)
    assert size.companion == "loss@C=1e+22"

    def width(i):
        return np.log(i.high / i.low)

    assert width(alone.after) <= width(both.after) * (1 + 1e-3)
    assert width(size.after) <= width(both.companion_after) * (1 + 1e-3)
    assert width(both.companion_after) < width(both.companion_before)


def test_the_size_weighs_more_where_that_narrows_it_by_more_than_it_costs(runs, one, monkeypatch):
    pool = {"N": [1e8, 1e9, 1e9, 1e7, 3e9], "D": [1e10, 3e9, 1e11, 1e10, 3e10]}
    pool["name"] = list("abcde")
    monkeypatch.setattr("isoloss.plan.next_answer.LEAST_GAIN", -np.inf)

    def plan(light, heavy):
        def give(laws, begin, budget, taste, **options):
            return [heavy if taste.companion == 2.0 else light] * 10

        monkeypatch.setattr("isoloss.plan.next_runs.best_batch", give)
        return plan_next_runs(one, runs, GOAL, budget=1e23, k=10, pool=pool)

    def widths(i):
        found = plan(i, i)
        return np.log([x.high / x.low for x in (found.after, found.companion_after)])

    alone = [widths(i) for i in range(5)]
    taken = []
    for light, heavy in permutations(range(5), 2):
        goal, size = alone[heavy] / alone[light]
        taken.append(size < 0.9 and size * goal < 1)
        assert plan(light, heavy).runs[0].name == "abcde"[heavy if taken[-1] else light]
    assert 2 <= sum(taken) <= 18


@pytest.mark.parametrize(
    ("goal", "only", "weights"),
    [
        ("loss@C=1e22", False, [0.5, 2.0]),
        ("loss@N=1e9,D=1e12", False, [0.5]),
        ("N_opt@C=1e22", False, [0.5]),
        ("loss@C=1e22", True, [0.0]),
    ],
)
def test_the_size_weighs_more_only_where_the_split_is_open(
    runs, one, monkeypatch, goal, only, weights
):
    seen = []

    def spy(laws, begin, budget, taste, **options):
        seen.append(taste.companion)
        return []

    monkeypatch.setattr("isoloss.plan.next_runs.best_batch", spy)
    plan_next_runs(one, runs, goal, budget=1e20, only=only)
    assert seen == weights


def test_the_law_that_gains_least_can_be_given_the_say(rivals):
    own, laws = rivals
    at = "loss@N=1e10,D=1e12"

    def left(worst):
        found = plan_next_runs(laws, own, at, budget=1e20, k=2, worst=worst, only=True)
        return max(float(m["sd_after"]) / float(m["sd_before"]) for m in found.laws)

    assert left(1.0) < 0.99 * left(0.0)


def test_a_box_and_buildable_shapes_hold_the_runs(runs, one):
    box = {"N": (2e7, 2e8), "D": (1e9, 1e10)}
    found = plan_next_runs(one, runs, GOAL, budget=1e19, k=3, box=box)
    for r in found.runs:
        assert 2e7 * (1 - 1e-9) <= r.at["N"] <= 2e8 * (1 + 1e-9)
        assert 1e9 * (1 - 1e-9) <= r.at["D"] <= 1e10 * (1 + 1e-9)
    rules = {"vocabulary": 512, "context": 256}
    built = plan_next_runs(one, runs, GOAL, budget=1e19, k=3, shape=rules)
    for r in built.runs:
        assert r.shape is not None
        assert r.shape["N"] == r.at["N"]
        assert r.shape["width"] % 64 == 0
    assert built.spent <= 1e19 * (1 + 1e-9)


def test_laws_of_one_resource_are_planned_too():
    D = np.geomspace(1e6, 1e9, 14)
    noise = np.random.default_rng(0).standard_normal(14)
    curve = Runs(columns={"D": D, "loss": (0.5 + 60 * D**-0.2) * np.exp(0.01 * noise)})
    laws = fit_laws(curve, ["power", "power_floor"], draws=0)
    found = plan_next_runs(laws, curve, "loss@D=1e12", budget=2e10, k=3)
    assert (found.unit, found.companion) == ("D", None)
    assert found.spent <= 2e10 * (1 + 1e-9)
    assert found.gain > LEAST_GAIN
    with pytest.raises(InputError, match="split no budget"):
        plan_next_runs(laws, curve, "N_opt@C=1e20", budget=2e10)


def test_nothing_to_gain_and_nothing_to_pay_for_stop(runs, one):
    poor = plan_next_runs(one, runs, GOAL, budget=1e3)
    assert poor.stop
    assert poor.status == "failed"
    assert [r.code for r in poor.reasons if r.severity == "refusal"] == ["NO_AFFORDABLE_RUN"]
    pool = {"N": [1e7], "D": [3e9]}
    same = plan_next_runs(one, runs, "loss@N=1e12,D=1e13", budget=1e19, k=1, pool=pool)
    assert same.stop
    assert [r.code for r in same.reasons if r.severity == "refusal"] == ["NOTHING_NARROWS"]
    assert not same.runs
    assert same.before == same.after
    assert "No run within" in same.sentence


def test_what_no_run_determines_is_said():
    N = 1e7 * 1.5 ** np.arange(12)
    loss = (1.8 + 480 / N**0.35 + 2100 / (20 * N) ** 0.37) * np.exp(
        NOISE * np.random.default_rng(0).standard_normal(12)
    )
    confounded = Runs(columns={"N": N, "D": 20 * N, "loss": loss})
    laws = fitted(confounded)
    found = plan_next_runs(laws, confounded, "loss@N=1e9,D=1e12", budget=1e20, k=4)
    assert "UNIDENTIFIED" in [r.code for r in found.reasons]
    assert found.status == "suspect"
    rough = table(noise=0.3)
    found = plan_next_runs(fitted(rough), rough, "loss@N=1e12,D=1e12", budget=1e20, k=2)
    assert "PRIOR_DECIDES" in [r.code for r in found.reasons]


def test_a_law_without_a_best_split_cannot_have_one_narrowed(runs, one):
    law = get_law("chinchilla")
    theta = one.fits[0].theta * np.array([1, 0, 1, 1, 1])
    flat = replace(one, fits=(replace(one.fits[0], law=law, theta=theta),))
    with pytest.raises(FitError, match="no best split") as error:
        plan_next_runs(flat, runs, "N_opt@C=1e22", budget=1e20)
    assert error.value.code == "NO_INTERIOR_OPTIMUM"
    found = plan_next_runs(flat, runs, "loss@N=1e9,D=1e11", budget=1e20, k=2)
    assert found.companion is None


@pytest.mark.parametrize(
    ("changes", "piece"),
    [
        ({"goal": "accuracy@C=1e22"}, "write 'loss@N"),
        ({"goal": "loss"}, "write 'loss@N"),
        ({"goal": "loss@N=1e9"}, "D is missing"),
        ({"goal": "loss@N=1e9,D=-1"}, "finite and positive"),
        ({"goal": "loss@N=1e9,D=x"}, "not a number"),
        ({"goal": "loss@N=1e9,N=2e9"}, "twice"),
        ({"goal": "N_opt@N=1e9,D=1e10"}, "N_opt is of a budget"),
        ({"goal": "loss@N=1e9,D=1e10,U=3"}, "U is not among"),
        ({"budget": 0}, "budget"),
        ({"budget": float("nan")}, "budget"),
        ({"k": 0}, "k = 0"),
        ({"k": 2.5}, "whole number"),
        ({"worst": 2}, "worst"),
        ({"drift": -1}, "drift"),
        ({"box": {"N": (1e8, 1e7), "D": (1e9, 1e10)}}, "low end"),
        ({"box": {"N": (1e7, 1e8)}}, "give N and D"),
        ({"pool": {"N": [1e8]}}, "D"),
        ({"pool": []}, "pool"),
        ({"pool": {"N": [1e8], "D": [1e9]}, "box": {"N": (1, 2), "D": (1, 2)}}, "leave out box"),
        ({"shape": {"vocabulary": 512}}, "context"),
    ],
)
def test_what_is_asked_wrongly_is_refused(runs, one, changes, piece):
    asked = {"goal": GOAL, "budget": 1e20} | changes
    with pytest.raises(InputError, match=piece):
        plan_next_runs(one, runs, asked.pop("goal"), **asked)


def test_pools_are_read_from_files_with_or_without_losses(runs, one, tmp_path: Path):
    path = tmp_path / "pool.csv"
    path.write_text("name,params,tokens\na,1e9,3e9\nb,2e8,2e10\n")
    found = plan_next_runs(one, runs, GOAL, budget=1e21, k=2, pool=path)
    assert {r.name for r in found.runs} <= {"a", "b"}
    path.write_text("name,params,tokens,loss\na,1e9,3e9,\nb,2e8,2e10,2.1\n")
    again = plan_next_runs(one, runs, GOAL, budget=1e21, k=2, pool=path)
    assert again.gain == found.gain
    for content, piece in (
        ("", "empty"),
        ("N,N\n1,2\n", "one name"),
        ("N,D\n1e8\n", "cells"),
        ("N,D\n1e8,-3\n", "row"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=piece):
            plan_next_runs(one, runs, GOAL, budget=1e21, pool=path)


def test_the_answer_is_plain(rivals):
    own, laws = rivals
    found = plan_next_runs(laws, own, GOAL, budget=1e20, k=3)
    answer = json.loads(to_json(found.to_dict()))
    assert answer["runs"][0]["at"].keys() == {"N", "D"}
    assert answer["before"]["low"] < answer["after"]["low"]
    assert len(found.to_columns()["N"]) == len(found.runs)
    text = found.summary()
    for r in found.runs:
        assert r.reason in text
    assert "runs" in repr(found)
    assert not found.considered.gain.flags.writeable

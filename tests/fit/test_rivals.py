"""Runs that would tell laws apart: closed forms, limits, and whether the advice works."""

from __future__ import annotations

import json
from dataclasses import replace
from math import erf

import numpy as np
import pytest

from fit.designs import TRUTHS, law_of
from isoloss._core.serial import to_json
from isoloss.errors import InputError
from isoloss.fit import LawSet, TellingRuns, fit, fit_laws, telling_runs
from isoloss.fit.candidates import BOX, RATIO, candidate_runs
from isoloss.fit.power import power, seeds_needed
from isoloss.fit.run_noise import RunNoise
from isoloss.fit.telling import GOAL, MOST_SEEDS
from isoloss.laws import law_from_expression
from isoloss.runs import Runs

D = np.geomspace(1e7, 1e9, 12)
CURVE = Runs(columns={"D": D, "loss": 40 * D**-0.12})
NOISE = 0.01
EVEN = RunNoise(parts=((NOISE, 0.0),), smallest=1.0, largest=1.0)


def middle(scale: float) -> float:
    """Standard deviation by the middle 68 % of the normal draws below."""
    return scale * float(np.subtract(*np.quantile(CHANCE, [0.84, 0.16]))) / 2


CHANCE = np.random.default_rng(0).standard_normal(400)


def two_powers(*, spread_A: float = 0.0, spread_b: float = 0.0, apart: float = 0.02) -> LawSet:
    """Laws 40 D^-0.12 and B D^-b that cross at the geometric mean of the runs.

    The first is uncertain in its amplitude, the second in its exponent.
    """
    laws = fit_laws(
        CURVE, ["power", law_from_expression("B*D**-b", axes=("D",))], objective="lsq", draws=400
    )
    first, second = laws.fits
    centre = np.exp(np.mean(np.log(D)))
    A = np.column_stack([40 * np.exp(spread_A * CHANCE), np.full(400, 0.12)])
    b = 0.12 + apart
    B = np.column_stack([np.full(400, 40 * centre**apart), b + spread_b * CHANCE])
    fits = (
        replace(first, theta=np.array([40, 0.12]), draws=A, noise=EVEN),
        replace(second, theta=np.array([40 * centre**apart, b]), draws=B, noise=EVEN),
    )
    return replace(laws, fits=fits, weights=np.array([0.6, 0.4]))


def normal_cdf(x: float) -> float:
    return 0.5 * (1 + erf(x / 2**0.5))


# ---- closed forms


@pytest.mark.parametrize(("spread_A", "spread_b"), [(0, 0), (0.004, 0), (0, 0.002), (0.01, 0.003)])
def test_two_power_laws_have_a_closed_form(spread_A: float, spread_b: float) -> None:
    laws = two_powers(spread_A=spread_A, spread_b=spread_b)
    found = telling_runs(laws, CURVE)
    centre = np.mean(np.log(D))
    for search, cap in zip(found.searches, (1e9, 1e10), strict=True):
        x = np.log(np.exp(np.linspace(np.log(D[0] / BOX), np.log(1e10), 410)))
        x = x[x <= np.log(cap) + 1e-9]
        gap = 0.02 * (x - centre)
        variance = middle(spread_A) ** 2 + (middle(spread_b) * x) ** 2
        t = gap**2 / (NOISE**2 + variance)
        k = int(np.argmax(t))
        best = search.best
        assert best.at["D"] == pytest.approx(np.exp(x[k]), rel=1e-9)
        assert best.score == pytest.approx(t[k], rel=1e-6)
        (c,) = best.contrasts
        assert c.difference == pytest.approx(gap[k], rel=1e-6)
        z = 1.959963984540054
        expected = normal_cdf(t[k] ** 0.5 - z) + normal_cdf(-(t[k] ** 0.5) - z)
        assert c.power == pytest.approx(expected, rel=1e-6)
        assert (best.laws[0].law, best.laws[0].weight) == ("power", 0.6)
        assert c.laws == tuple(f.law for f in best.laws)
        assert best.loss("power") == pytest.approx(40 * best.at["D"] ** -0.12)


def test_power_is_that_of_a_simulated_test() -> None:
    """Two laws 2.5 noises apart; four standard errors of 40,000 tests."""
    draws = 2.5 + np.random.default_rng(1).standard_normal(40_000)
    rejected = np.mean(np.abs(draws) > 1.959963984540054)
    assert power(2.5**2) == pytest.approx(rejected, abs=4 * 0.46 / 200)
    assert power(2.5**2, 0.01) < power(2.5**2)


@pytest.mark.parametrize("gap", [0.003, 0.01, 0.02, 0.1])
@pytest.mark.parametrize("variance", [0.0, 1e-7])
def test_so_many_seeds_are_needed_and_no_fewer(gap: float, variance: float) -> None:
    count = seeds_needed(gap**2, variance, NOISE)
    assert count is not None
    assert power(gap**2 / (variance + NOISE**2 / count)) >= GOAL - 1e-4
    if count > 1:
        assert power(gap**2 / (variance + NOISE**2 / (count - 1))) < GOAL


def test_seeds_do_not_help_against_what_is_not_known_of_the_laws() -> None:
    assert seeds_needed(0.01**2, 0.01**2, 1e-9) is None
    assert seeds_needed(1e-8, 0.0, NOISE) is None
    many = seeds_needed((NOISE * (7.85 / MOST_SEEDS) ** 0.5) ** 2, 0.0, NOISE)
    assert many is not None
    assert many <= MOST_SEEDS


def test_the_thrifty_advice_counts_seeds() -> None:
    laws = two_powers(apart=0.004)
    (_, search) = telling_runs(laws, CURVE).searches
    x = np.exp(np.linspace(np.log(D[0] / BOX), np.log(1e10), 410))
    gap = 0.004 * (np.log(x) - np.mean(np.log(D)))
    total = [(seeds_needed(g**2, 0.0, NOISE) or np.inf) * v for g, v in zip(gap, x, strict=True)]
    assert search.thrifty is not None
    assert search.thrifty.at["D"] == pytest.approx(x[int(np.argmin(total))])
    assert search.thrifty.cost < search.best.cost


# ---- what is said


def test_one_run_that_would_is_named_with_both_losses() -> None:
    found = telling_runs(two_powers(apart=0.05), CURVE)
    run = found.searches[0].by_pair[0]
    first, second = found.pairs[0]
    assert found.sentence.startswith(f"One run at {run.place}")
    assert f"{first} says {run.loss(first):.4g}, {second} {run.loss(second):.4g}" in found.sentence
    assert "at a level of 5 %" in found.sentence


def test_seeds_are_asked_for_where_one_run_is_not_enough() -> None:
    laws = two_powers(apart=0.004)
    found = telling_runs(laws, CURVE, caps=[1e9])
    assert found.searches[0].best.contrasts[0].power < GOAL
    run = found.searches[0].thrifty
    assert run is not None
    assert f"{run.contrasts[0].seeds} runs with different seeds at {run.place}" in found.sentence


def test_laws_that_nothing_tells_apart_are_said_to_be_so() -> None:
    found = telling_runs(two_powers(apart=0.001, spread_A=0.01), CURVE)
    assert all(s.thrifty is None for s in found.searches)
    assert all(s.best.contrasts[0].seeds is None for s in found.searches)
    assert "No single run" in found.sentence
    assert f"{MOST_SEEDS} seeds are not enough" in found.sentence


def test_a_law_without_a_rival_needs_no_run() -> None:
    laws = replace(two_powers(), weights=np.array([0.99, 0.01]))
    found = telling_runs(laws, CURVE)
    assert (found.pairs, found.searches) == ((), ())
    assert found.sentence == "Only power carries weight: there is no rival to tell it from."
    assert found.to_columns()["power"] == []


def test_light_pairs_are_left_out_and_heavy_ones_come_first() -> None:
    names = ["chinchilla", "additive", "kaplan"]
    laws = fit_laws(ratio_twenty("kaplan", 0), names, objective="lsq", draws=40)
    laws = replace(laws, weights=np.array([0.05, 0.35, 0.6]))
    found = telling_runs(laws, ratio_twenty("kaplan", 0))
    assert found.pairs == (
        ("kaplan", "additive"),
        ("kaplan", "chinchilla"),
        ("additive", "chinchilla"),
    )
    lighter = replace(laws, weights=np.array([0.03, 0.3, 0.67]))
    assert telling_runs(lighter, ratio_twenty("kaplan", 0)).pairs[0] == ("kaplan", "additive")
    assert len(telling_runs(lighter, ratio_twenty("kaplan", 0)).pairs) == 2


# ---- candidates


def test_candidates_keep_to_their_limits() -> None:
    runs = ratio_twenty("kaplan", 0)
    most = float((6 * runs["N"] * runs["D"]).max())
    for factor in (1.0, 10.0):
        found = candidate_runs(runs, ("N", "D"), most_cost=factor * most)
        n, d = found.x["N"], found.x["D"]
        assert found.cost == pytest.approx(6 * n * d)
        assert found.cost.max() <= factor * most * (1 + 1e-9)
        assert found.cost.max() > 0.5 * factor * most
        seen = runs["D"] / runs["N"]
        eps = 1 + 1e-6
        assert seen.min() / RATIO / eps <= (d / n).min() < seen.min() / RATIO * 1.5
        assert (d / n).max() <= seen.max() * RATIO * eps
        assert n.min() == pytest.approx(runs["N"].min() / BOX)
        assert n.max() <= runs["N"].max() * BOX * eps
    price = candidate_runs(runs, ("N", "D"), most_cost=most, cost=lambda N, D: 8.0 * N * D)
    assert (price.cost / price.x["N"] / price.x["D"]) == pytest.approx(8.0)


def test_other_axes_are_held_at_their_largest() -> None:
    runs = ratio_twenty("kaplan", 0)
    with_U = Runs(columns={**runs.columns, "U": runs["D"] / 3})
    found = candidate_runs(with_U, ("N", "D", "U"), most_cost=1e30)
    assert set(found.x["U"]) == {float(with_U["U"].max())}
    given = candidate_runs(with_U, ("N", "D", "U"), most_cost=1e30, fixed={"U": 5.0})
    assert set(given.x["U"]) == {5.0}
    with_C = candidate_runs(runs, ("N", "D", "C"), most_cost=1e30)
    assert (with_C.x["C"] == with_C.cost).all()
    with pytest.raises(InputError, match="no column U"):
        candidate_runs(runs, ("N", "D", "U"), most_cost=1e30)
    with pytest.raises(InputError, match="leave one free"):
        candidate_runs(CURVE, ("D",), most_cost=1e9, fixed={"D": 1e8})


def test_nothing_affordable_is_said() -> None:
    found = telling_runs(two_powers(), CURVE, caps=[1.0])
    assert found.searches == ()
    assert "No run fits" in found.sentence


def test_arguments_are_checked() -> None:
    laws = two_powers()
    with pytest.raises(InputError, match="caps"):
        telling_runs(laws, CURVE, caps=[-1.0])
    with pytest.raises(InputError, match="caps"):
        telling_runs(laws, CURVE, caps=[])
    with pytest.raises(InputError, match="level"):
        telling_runs(laws, CURVE, level=2.0)


def test_without_draws_only_noise_counts() -> None:
    runs = ratio_twenty("kaplan", 0)
    laws = fit_laws(runs, ["kaplan", "additive"], objective="lsq", draws=0)
    laws = replace(laws, weights=np.array([0.5, 0.5]))
    run = telling_runs(laws, runs).searches[0].best
    (c,) = run.contrasts
    noise = float(np.median([f.seed_noise for f in laws.fits]))
    assert c.discrimination == pytest.approx(c.difference**2 / noise**2)
    assert run.laws[0].interval.method == "no resampling"


def test_order_and_units_do_not_matter() -> None:
    runs = ratio_twenty("kaplan", 1)
    order = np.random.default_rng(0).permutation(len(runs))
    small = Runs(columns={"N": runs["N"] / 1e6, "D": runs["D"] / 1e9, "loss": runs["loss"]})
    found = []
    for table in (runs, runs.select(order), small):
        laws = fit_laws(table, ["kaplan", "additive"], objective="lsq", draws=60)
        laws = replace(laws, weights=np.array([0.5, 0.5]))
        found.append(telling_runs(laws, table).searches[1].best)
    assert to_json(found[0].to_dict()) == to_json(found[1].to_dict())
    assert found[2].at["N"] * 1e6 == pytest.approx(found[0].at["N"])
    assert found[2].score == pytest.approx(found[0].score, rel=1e-6)


def test_the_result_is_a_table_and_plain_types() -> None:
    found = telling_runs(two_powers(), CURVE)
    assert isinstance(found, TellingRuns)
    answer = json.loads(to_json(found.to_dict()))
    assert [s["unit"] for s in answer["searches"]] == ["D", "D"]
    best = answer["searches"][0]["best"]
    assert best["score_per_cost"] == pytest.approx(best["score"] / best["cost"])
    table = found.to_columns()
    assert {len(v) for v in table.values()} == {2}
    assert table["most_cost"] == pytest.approx([1e9, 1e10])
    assert found.summary().splitlines()[0] == found.sentence
    assert "told apart with a chance of" in found.summary()


# ---- whether the advice works


def ratio_twenty(true: str, seed: int) -> Runs:
    """Twelve runs with D about twenty times N, which tell little about the law."""
    n = np.repeat(np.geomspace(3e7, 1e9, 4), 3)
    d = n * np.tile([12.0, 20.0, 33.0], 4)
    chance = np.random.default_rng(seed).standard_normal(len(n))
    loss = law_of(true)(TRUTHS[true], {"N": n, "D": d}) * np.exp(NOISE * chance)
    return Runs(columns={"N": n, "D": d, "loss": loss})


def evidence(runs: Runs, true: str, rival: str) -> float:
    """Log likelihood ratio of the true law over its rival, noise estimated."""
    rss = [
        float(np.sum(fit(runs, law, objective="lsq", draws=0).residuals ** 2))
        for law in (true, rival)
    ]
    return 0.5 * len(runs) * float(np.log(rss[1] / rss[0]))


def gains(true: str, rival: str, seed: int) -> tuple[float, float]:
    """Evidence for the truth from the run advised, and from a random run that costs no more."""
    runs = ratio_twenty(true, seed)
    laws = fit_laws(runs, [true, rival], objective="lsq", draws=50)
    laws = replace(laws, weights=np.array([0.5, 0.5]))
    search = telling_runs(laws, runs).searches[0]
    allowed = candidate_runs(runs, ("N", "D"), most_cost=search.most_cost)
    rng = np.random.default_rng([seed, 1])
    k = int(rng.integers(len(allowed)))
    chance = np.exp(NOISE * rng.standard_normal())
    before = evidence(runs, true, rival)
    gained = []
    for at in (search.best.at, {a: float(allowed.x[a][k]) for a in ("N", "D")}):
        loss = law_of(true)(TRUTHS[true], {a: [v] for a, v in at.items()}) * chance
        added = {a: np.append(runs[a], at[a]) for a in ("N", "D")}
        more = Runs(columns={**added, "loss": np.append(runs["loss"], loss)})
        gained.append(evidence(more, true, rival) - before)
    return gained[0], gained[1]


def test_the_run_advised_tells_more_than_a_random_one() -> None:
    """If advice were no better than chance, 15 or more of 20 would be one in 48."""
    pairs = [("additive", "kaplan"), ("kaplan", "additive")]
    found = np.array([gains(t, r, seed) for t, r in pairs for seed in range(10)])
    assert (found[:, 0] > found[:, 1]).sum() >= 15
    towards = (found > 0).sum(axis=0)
    assert towards[0] >= 15
    assert towards[0] > towards[1]
    assert np.median(found[:, 0]) > 1 > np.median(found[:, 1])

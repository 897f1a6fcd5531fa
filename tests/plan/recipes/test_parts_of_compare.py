"""Joint laws, looks, false discoveries, scores and misfit, each alone."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from isoloss.laws import get_law
from isoloss.plan.recipes import Looks, compare_recipes, false_discovery
from isoloss.plan.recipes.law import recipe_law
from isoloss.plan.recipes.scores import Scores, quantiles
from isoloss.runs import Runs
from plan.recipes.made import D, N, curve, grid


def test_the_joint_law_is_both_laws():
    both, base = recipe_law(get_law("coupled")), get_law("coupled")
    theta = np.array([1.8, 400, 900, 0.33, 0.3, 1.1, 300, 800, 0.34, 0.31, 0.9])
    x = {"N": np.array([1e8, 1e9]), "D": np.array([1e9, 1e10])}
    columns = both.columns(x, np.array([0, 1]))
    for side in (0, 1):
        own = base(both.part(theta, side), x)
        assert both.law(theta, columns)[side] == pytest.approx(own[side], rel=1e-14)


@pytest.mark.parametrize("planned", [1, 3, 10])
def test_looks_spend_what_there_is(planned):
    spent = [Looks(number=k, planned=planned).alpha(0.1) for k in range(1, planned + 1)]
    assert sum(spent) == pytest.approx(0.1)
    assert sum(Looks(number=k, planned=None).alpha(0.1) for k in range(1, 1000)) < 0.1


@pytest.mark.parametrize("look", ["3/3", "1"])
def test_an_interval_of_many_looks_holds_that_of_one(look):
    tables = {"a": curve(300, 0), "b": curve(296, 1)}
    once = compare_recipes(tables, draws=200).rows[0]
    many = compare_recipes(tables, draws=200, looks=look).rows[0]
    for s, t in zip(once.scales, many.scales, strict=True):
        assert t.multiplier == s.multiplier
        assert t.multiplier_interval.low < s.multiplier_interval.low
        assert t.multiplier_interval.high > s.multiplier_interval.high
        assert t.multiplier_interval.level > s.multiplier_interval.level


def test_false_discovery_is_the_step_up_rule():
    p = np.random.default_rng(0).uniform(size=40) ** 2
    assert false_discovery(p) == pytest.approx(false_discovery_control(p), rel=1e-12)


def test_many_null_variants_are_found_only_if_adjusted_p_is_small():
    tables = {f"v{i}": curve(300, i, noise=3e-3) for i in range(3)}
    found = compare_recipes(tables, draws=100)
    own = np.array([r.main.p_value for r in found.rows])
    assert found.adjusted == pytest.approx(false_discovery(own))


def test_scores_invert_quantiles_in_the_tails_too():
    scores = Scores(np.random.default_rng(0).standard_normal(500))
    for z in (-4.0, -1.0, 0.5, 3.5):
        assert scores.score(scores.quantile(z)) == pytest.approx(z, abs=1e-6)


def test_small_runs_that_go_another_way_get_no_verdict():
    at = np.geomspace(1e16, 1e20, 24)
    a, b = (curve(A, i, at=at, noise=3e-4) for i, A in enumerate((300, 290)))
    truth = (300 / 290) ** (1 / 0.13)
    # As of a warm-up that takes most of a short run.
    spoiled = Runs(columns={"C": at, "loss": b["loss"] * (1 + 0.1 / (1 + at / 1e17))})
    clean = compare_recipes({"a": a, "b": b}, draws=100, tie=["E"]).rows[0]
    found = compare_recipes({"a": a, "b": spoiled}, draws=100, tie=["E"]).rows[0]
    assert "LAWS_MISS" not in {r.code for r in clean.reasons}
    assert truth in clean.main.multiplier_interval
    assert truth not in found.main.multiplier_interval
    assert "LAWS_MISS" in {r.code for r in found.reasons}
    assert {s.verdict for s in found.scales} == {"cannot tell"}
    assert {s.p_value for s in found.scales} == {1.0}
    assert found.crossover.status == "not identified"
    assert found.sentence == "verdict: none at C = 1e+20, as the laws miss the runs"


def test_a_grid_that_follows_the_law_is_not_called_a_miss():
    found = compare_recipes({"a": grid(0), "b": grid(1, A=450)}, draws=100).rows[0]
    assert "LAWS_MISS" not in {r.code for r in found.reasons}


def test_without_shared_cells_the_runs_are_not_called_paired():
    b = grid(1, A=450)
    moved = Runs(columns={"N": N * 1.1, "D": D * 0.93, "loss": b["loss"]})
    found = compare_recipes({"a": grid(0), "b": moved}, draws=100, laws=["chinchilla"]).rows[0]
    assert found.paired.cells == 0
    assert "UNPAIRED" in {r.code for r in found.reasons}


@pytest.mark.parametrize("z", [-3.1, -1.7, 0.0, 0.4, 2.9])
def test_quantiles_of_columns_are_those_of_each(z):
    draws = np.random.default_rng(1).standard_normal((200, 6)) ** 3
    draws[:30, 2] = np.inf
    draws[5:9, 3] = 0.25
    each = [Scores(d).quantile(z) for d in draws.T]
    assert quantiles(draws, z).tolist() == pytest.approx(each, rel=1e-12)

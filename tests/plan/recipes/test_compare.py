"""Comparisons of recipes."""

import numpy as np
import pytest

from isoloss.errors import FitError, InputError
from isoloss.laws import get_law
from isoloss.plan.recipes.compare import compare_recipes
from isoloss.plan.recipes.law import recipe_law
from isoloss.plan.recipes.looks import Looks, false_discovery
from isoloss.plan.recipes.scores import Scores
from isoloss.runs import Conventions, Runs

C = np.geomspace(1e17, 1e20, 12)


def table(A, seed, alpha=0.13, E=1.8, noise=1e-3):
    error = noise * np.random.default_rng(seed).standard_normal(C.size)
    return Runs(columns={"C": C, "loss": (E + A * C**-alpha) * np.exp(error)})


def test_multiplier_without_noise_is_the_ratio_of_amplitudes():
    tables = {"a": table(300, 0, noise=1e-9), "b": table(270, 1, noise=1e-9)}
    found = compare_recipes(tables, draws=100).rows[0]
    assert found.main.multiplier == pytest.approx((300 / 270) ** (1 / 0.13), rel=1e-4)
    assert found.main.verdict == "better"
    assert found.crossover.status == "none"


def test_the_joint_law_has_the_slopes_of_its_parts():
    both, base = recipe_law(get_law("coupled")), get_law("coupled")
    theta = np.array([1.8, 400, 900, 0.33, 0.3, 1.1, 300, 800, 0.34, 0.31, 0.9])
    x = {"N": np.array([1e8, 1e9]), "D": np.array([1e9, 1e10])}
    columns = both.columns(x, np.array([0, 1]))
    for side in (0, 1):
        own = base(both.part(theta, side), x)
        assert both.law(theta, columns)[side] == pytest.approx(own[side], rel=1e-14)


def test_equal_recipes_are_not_told_apart_and_swapping_inverts():
    a, b = table(300, 0), table(300, 1)
    one = compare_recipes({"a": a, "b": b}, draws=200).rows[0].main
    two = compare_recipes({"b": b, "a": a}, draws=200).rows[0].main
    assert one.multiplier * two.multiplier == pytest.approx(1, rel=0.02)
    assert one.verdict == "cannot tell"
    assert 1 in one.multiplier_interval


def test_looks_spend_no_more_than_there_is():
    assert sum(Looks(number=k, planned=5).alpha(0.1) for k in range(1, 6)) == pytest.approx(0.1)
    assert sum(Looks(number=k, planned=None).alpha(0.1) for k in range(1, 1000)) < 0.1


def test_false_discovery_is_the_step_up_rule():
    p = np.array([0.001, 0.009, 0.04, 0.2, 0.8])
    ranks = np.flatnonzero(np.sort(p) <= 0.1 * np.arange(1, 6) / 5)
    assert (false_discovery(p) <= 0.1).sum() == ranks.max() + 1


def test_scores_invert_quantiles_in_the_tails_too():
    scores = Scores(np.random.default_rng(0).standard_normal(500))
    for z in (-4.0, -1.0, 0.5, 3.5):
        assert scores.score(scores.quantile(z)) == pytest.approx(z, abs=1e-6)


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ({"a": table(300, 0)}, "two recipes"),
        ({"a": table(300, 0), "b": table(300, 0)}, "same runs"),
        ({"a": table(300, 0), "b": table(300, 1).select(C > 9e19)}, "TOO_FEW|configurations"),
        (
            {
                "a": table(300, 0),
                "b": Runs(
                    columns=dict(table(300, 1).columns), conventions=Conventions(loss="bits")
                ),
            },
            "conventions",
        ),
        (
            {"a": table(300, 0).select(C < 1e18), "b": table(300, 1).select(C > 1e19)},
            "no common scale",
        ),
    ],
)
def test_refusals(tables, text):
    with pytest.raises((InputError, FitError), match=text):
        compare_recipes(tables, draws=100)

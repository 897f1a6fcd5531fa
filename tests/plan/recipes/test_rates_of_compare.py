"""How often comparisons are right, on simulated recipes; and what published runs say."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from isoloss.plan.recipes import compare_recipes
from isoloss.runs import Runs
from plan.recipes.made import pairs

SHARED = (
    Path(__file__).parents[4] / "shared" / "data" / "porian-discrepancies" / "isoflop_points.csv"
)
CHANCE = 1e-3
"""Of a false alarm of each count here."""


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    repeats, factor = 30, 0.97
    truth = factor ** (-1 / 0.13)
    held = np.zeros(4)
    for i in range(repeats):
        tables = pairs(np.random.default_rng([3, i]), 1, factors=[factor])
        found = compare_recipes(tables, draws=200).rows[0]
        held += [truth in s.multiplier_interval for s in found.scales]
    assert (held >= binom.ppf(CHANCE, repeats, 0.9)).all()


@pytest.mark.slow
def test_false_discoveries_are_as_rare_as_asked_for():
    repeats, variants = 12, 12
    wrong = 0
    for i in range(repeats):
        tables = pairs(np.random.default_rng([5, i]), variants, shared=0.3)
        wrong += bool(compare_recipes(tables, draws=100, tie=["E", "alpha"]).found)
    assert wrong <= binom.ppf(1 - CHANCE, repeats, 0.1)


@pytest.mark.slow
def test_real_differences_among_many_are_found():
    tables = pairs(np.random.default_rng(2), 20, factors=[0.94] * 3)
    named = {r.recipe for r in compare_recipes(tables, draws=200).found}
    assert {"v1", "v2", "v3"} <= named
    assert len(named) <= 5


def published() -> dict[str, Runs]:
    """Validation losses on RefinedWeb of four recipes, by Porian et al. 2024."""
    if not SHARED.exists():
        pytest.skip("the shared data folder is not beside the repository")
    found: dict[str, list[list[float]]] = {}
    with SHARED.open(newline="", encoding="utf8") as file:
        for row in csv.DictReader(file):
            if (row["dataset"], row["param_count"], row["val"]) == ("rw", "standard", "val"):
                name = "-".join(row[k] for k in ("hparams", "warmup", "decay"))
                values = [float(row[k]) for k in ("n", "t", "flops", "loss")]
                found.setdefault(name, []).append(values)
    return {
        name: Runs(columns=dict(zip(("N", "D", "C", "loss"), np.array(rows).T, strict=True)))
        for name, rows in found.items()
    }


def measured(first: Runs, second: Runs, C: float) -> float:
    """Multiplier without a law: least losses at each budget, a line through two of them."""

    def frontier(t: Runs) -> tuple[np.ndarray, np.ndarray]:
        budgets = np.unique(t["C"])
        return np.log(budgets), np.array([t["loss"][t["C"] == c].min() for c in budgets])

    x, a = frontier(first)
    y, b = frontier(second)
    goal = np.interp(np.log(C), x, a)
    i = min(int((b > goal).sum()), len(b) - 1)
    needed = y[i] + (goal - b[i]) * (y[i] - y[i - 1]) / (b[i] - b[i - 1])
    return float(np.exp(np.log(C) - needed))


@pytest.mark.slow
def test_published_recipes_get_the_multiplier_that_their_runs_show():
    tables = {k: t.select(t["C"] > 1.5e18) for k, t in published().items()}
    C = 2.56e19
    found = compare_recipes(tables, baseline="base-long-kaplan", at=[C], draws=200)
    for r in found.rows:
        truth = measured(tables[r.baseline], tables[r.recipe], C)
        assert truth in r.main.multiplier_interval, (r.recipe, truth, r.main)
    verdicts = {r.recipe: r.main.verdict for r in found.rows}
    # A decay that ends with the run halves the compute; a warm-up that is short helps small runs.
    assert verdicts == {
        "base-short-chinchilla": "better",
        "base-short-kaplan": "cannot tell",
        "tuned-short-const": "cannot tell",
    }


@pytest.mark.slow
def test_published_runs_that_no_law_follows_get_no_verdict():
    tables = published()
    found = compare_recipes(tables, baseline="base-long-kaplan", at=[2.56e19], draws=200)
    # In the small runs a long warm-up takes most of the training.
    for r in found.rows:
        assert "LAWS_MISS" in {x.code for x in r.reasons}
        assert r.main.verdict == "cannot tell"

import numpy as np
import pytest

from isoloss.errors import FitError, InputError
from isoloss.fit import fit_laws
from isoloss.plan import Coefficient
from isoloss.plan.over_laws import allocate_over_laws
from isoloss.study import plan_runs

TRUTH = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
LOSS = TRUTH["E"] + TRUTH["A"] * N ** -TRUTH["alpha"] + TRUTH["B"] * D ** -TRUTH["beta"]


@pytest.fixture(scope="module")
def laws():
    return fit_laws({"N": N, "D": D, "loss": LOSS}, ["chinchilla"], draws=20)


def best_size(C, k=6.0):
    """Closed form for a law of power sums, Hoffmann et al. 2022, equation 4."""
    a, b = TRUTH["alpha"], TRUTH["beta"]
    G = (a * TRUTH["A"] / (b * TRUTH["B"])) ** (1 / (a + b))
    return G * (C / k) ** (b / (a + b))


def test_one_law_without_noise_gives_the_closed_form(laws):
    C = np.array([1e19, 1e21, 1e23])
    plan = allocate_over_laws(laws, C)
    assert plan.N_opt == pytest.approx(best_size(C), rel=1e-5)
    assert 6 * plan.N_opt * plan.D_opt == pytest.approx(C)
    loss = 1.8 + 480 * plan.N_opt**-0.35 + 2100 * plan.D_opt**-0.37
    assert plan.L_opt == pytest.approx(loss, rel=1e-6)
    assert plan.exponent_N == pytest.approx(0.37 / 0.72, rel=1e-6)


def test_another_cost_moves_the_optimum_along(laws):
    plan = allocate_over_laws(laws, 1e21, cost=Coefficient(12.0))
    assert plan.N_opt == pytest.approx(best_size(1e21, 12.0), rel=1e-5)
    assert plan.cost == "12 N D"


def test_the_near_optimal_range_ends_where_the_excess_is_the_tolerance(laws):
    plan = allocate_over_laws(laws, 1e21, tolerance=0.005)
    near = plan.near_optimal[0]

    def loss(size):
        return 1.8 + 480 * size**-0.35 + 2100 * (1e21 / (6 * size)) ** -0.37

    for end in ("N_low", "N_high"):
        assert loss(near[end]) / loss(plan.N_opt[0]) - 1 == pytest.approx(0.005, rel=0.05)
    assert near["tolerance_percent"] == pytest.approx(0.5)


def test_wasted_compute_is_what_the_best_split_would_not_need(laws):
    C = 1e21
    plan = allocate_over_laws(laws, C)

    def loss(size, budget):
        return 1.8 + 480 * size**-0.35 + 2100 * (budget / (6 * size)) ** -0.37

    for row in plan.price[0]:
        if row["N_ratio"] in (0.5, 2.0):
            needed = C * (1 - row["deadweight_percent"] / 100)
            assert loss(best_size(needed), needed) == pytest.approx(row["loss"], rel=1e-5)


def test_a_budget_far_beyond_the_test_is_said(laws):
    near, far = allocate_over_laws(laws, 1e20), allocate_over_laws(laws, 1e27)
    assert near.warnings == ()
    assert any("well beyond what was tested" in w for w in far.warnings)


def test_data_are_capped_by_what_there_is(laws):
    for given in ({"max_D": 1e10}, {"fixed": {"U": 1e10}}):
        plan = allocate_over_laws(laws, 1e22, **given)
        assert plan.D_opt[0] <= 1e10
        assert plan.intervals["D_opt"][0].high <= 1e10


def test_weights_and_draws_make_the_intervals_cover_the_plan():
    rng = np.random.default_rng(0)
    table = {"N": N, "D": D, "loss": LOSS * np.exp(0.01 * rng.standard_normal(len(N)))}
    plan = plan_runs(table, [1e20, 1e22], draws=50)
    for name in ("N_opt", "D_opt"):
        for value, i in zip(getattr(plan, name), plan.intervals[name], strict=True):
            assert i.low <= value <= i.high
            assert i.low < i.high
    assert [len(v) for v in plan.laws] == [len(plan.laws[0])] * 2
    assert sum(row["weight"] for row in plan.laws[0]) == pytest.approx(1)
    assert plan.summary().count("budget ") == 2


@pytest.mark.parametrize("C", [[], 0.0, -1.0, np.nan, np.inf])
def test_budgets_that_cannot_be_are_refused(laws, C):
    with pytest.raises(InputError, match="C"):
        allocate_over_laws(laws, C)


@pytest.mark.parametrize("tolerance", [0.0, -0.1, np.nan])
def test_tolerances_that_cannot_be_are_refused(laws, tolerance):
    with pytest.raises(InputError, match="tolerance"):
        allocate_over_laws(laws, 1e20, tolerance=tolerance)


def test_laws_that_split_nothing_are_refused():
    one = fit_laws({"N": N, "D": D, "loss": LOSS}, ["power"], axis="N", draws=0)
    with pytest.raises(InputError, match="nothing to plan"):
        allocate_over_laws(one, 1e20)


def test_no_best_split_is_an_error_with_a_code():
    # Loss that grows with data: every budget wants all parameters and no data.
    grows = LOSS[0] - 1e-3 * np.log(N / N[0]) + 1e-3 * np.log(D / D[0])
    laws = fit_laws({"N": N, "D": D, "loss": grows}, ["E + A*N**-a + B*D**b"], draws=0)
    with pytest.raises(FitError) as caught:
        allocate_over_laws(laws, 1e20)
    assert caught.value.code == "NO_INTERIOR_OPTIMUM"


def test_a_plan_without_prices_still_shows_itself(laws):
    plan = allocate_over_laws(laws, [1e19, 1e20], price_of_missing=False)
    assert (plan.near_optimal, plan.price) == ([], [])
    assert plan.summary().count("Train about") == 2
    assert plan._repr_html_().startswith("<pre>")
    row = plan.to_dict(1)
    assert (row["near_optimal"], row["price"]) == (None, [])
    full = allocate_over_laws(laws, [1e19, 1e20])
    assert row["N_opt"] == full.to_dict(1)["N_opt"]

import math

import numpy as np
import pytest

from isoloss.fit import fit
from isoloss.prune.pilots import read_pilots
from isoloss.prune.verdict_cells import by_policy, make_cells, make_world
from isoloss.prune.verdict_fit import fit_forms
from isoloss.prune.verdict_forms import Design, make_law
from isoloss.prune.verdict_models import FormulaModel, near_angle, perfect_score
from isoloss.prune.verdict_refit import draw, make_departure, make_problem, refine, weigh
from isoloss.runs.table import Runs
from isoloss.theory import pruned_perceptron
from prune.exact_form import exact_columns, perceptron_law

DESIGNS = tuple(Design(policy=p, curved=True, scaled=True) for p in ("hard", "easy"))
SIZES = np.array([500.0, 1000.0, 2000.0, 4000.0])


def pilots(noise=0.01, seeds=4, shared=0.0, rng=0, slope=0.0, floor=0.05, names=None):
    normal = np.random.default_rng(rng)
    rows = {"policy": [], "keep": [], "D": [], "seed": [], "loss": []}
    for D in SIZES:
        common = normal.standard_normal(seeds)
        for policy, keep in (("random", 1.0), ("hard", 0.6), ("hard", 0.3), ("easy", 0.5)):
            for s in range(seeds):
                z = math.sqrt(shared) * common[s] + math.sqrt(1 - shared) * normal.standard_normal()
                worth = {"random": 0, "hard": 0.5, "easy": -0.3}[policy] * -math.log(keep)
                mean = floor + 12 * (D * math.exp(worth)) ** -0.5
                rows["policy"].append(policy)
                rows["keep"].append(keep)
                rows["D"].append(D)
                rows["seed"].append(names(D, keep, policy, s) if names else s)
                rows["loss"].append(mean * math.exp(noise * (D / 1414) ** slope * z))
    return read_pilots(rows)


def test_noise_is_the_spread_of_seeds_and_a_power_of_scale():
    cells, _ = make_cells(pilots(seeds=60), "loss")
    assert cells.noise == pytest.approx(0.01, rel=0.05)
    assert cells.shared == 0
    np.testing.assert_array_equal(cells.covariance, np.diag(np.diag(cells.covariance)))
    cells, _ = make_cells(pilots(seeds=60, slope=-0.4), "loss")
    spread = np.sqrt(np.diag(cells.covariance) * 60)
    assert spread == pytest.approx(0.01 * (cells.D / 1414) ** -0.4, rel=0.1)


def test_seeds_that_share_something_are_pairs():
    cells, _ = make_cells(pilots(seeds=30, shared=0.7), "loss")
    assert cells.shared == pytest.approx(0.7, abs=0.1)
    i, j = (np.flatnonzero((cells.D == 500) & (cells.policy == p))[0] for p in ("none", "easy"))
    k = np.flatnonzero((cells.D == 1000) & (cells.policy == "none"))[0]
    both = cells.covariance[i, i] + cells.covariance[j, j] - 2 * cells.covariance[i, j]
    assert both == pytest.approx(2 * 0.3 * 1e-4 / 30, rel=0.4)
    assert cells.covariance[i, k] == 0
    assert np.linalg.eigvalsh(cells.covariance).min() > 0
    # Other names: no pairs.
    other, _ = make_cells(pilots(seeds=30, shared=0.7, names=lambda *of: repr(of)), "loss")
    assert other.shared == 0


def test_pairs_are_found_by_chance_seldom():
    found = [make_cells(pilots(seeds=3, rng=i), "loss")[0].shared > 0 for i in range(200)]
    assert np.mean(found) < 0.07


@pytest.mark.parametrize("degrees", [0.0, 10.0, pytest.param(40.0, marks=pytest.mark.slow)])
def test_tables_of_the_exact_form_are_the_theory(degrees):
    angle = math.radians(degrees)
    model = near_angle(DESIGNS, angle) if degrees else perfect_score(DESIGNS)
    theta = np.array([[0.0, 1.0, 0.0, angle][: len(model.names)]])
    a = np.array([0.03, 0.5, 1.6, 7.0, 60.0, 400.0])
    for policy, keep in (("none", 1.0), ("hard", 0.31), ("easy", 0.31)):
        word = "random" if policy == "none" else policy
        exact = pruned_perceptron(a, keep, angle, keep=word).eps
        found = np.exp(model.values(theta, policy, np.full(len(a), keep), a))[0]
        assert found == pytest.approx(exact, rel=2e-3)
        assert found[:5] == pytest.approx(exact[:5], rel=7e-4)


@pytest.mark.parametrize("name", ["perceptron", "perfect", "power", "chance", "bare"])
def test_slopes_are_differences(name):
    if name == "perceptron":
        model, theta = near_angle(DESIGNS, 0.2), np.array([[0.02, 2.0, 0.3, 0.22]])
    elif name == "perfect":
        model, theta = perfect_score(DESIGNS), np.array([[0.02, 2.0, 0.3]])
    else:
        model = FormulaModel(make_law(name, "drift", DESIGNS), DESIGNS)
        theta = np.full((1, len(model.names)), 0.3)
    x = np.array([0.7, 2.0, 5.0])
    for policy in ("none", "hard", "easy"):
        keep = np.array([1.0, 1.0, 1.0] if policy == "none" else [0.3, 0.3, 0.6])
        slopes = model.slopes(theta, policy, keep, x)[0]
        for i in range(theta.shape[1]):
            h = np.zeros_like(theta)
            h[0, i] = 1e-5
            up, down = (model.values(theta + s * h, policy, keep, x)[0] for s in (1, -1))
            assert slopes[:, i] == pytest.approx((up - down) / 2e-5, rel=2e-4, abs=1e-6)


@pytest.fixture(scope="module")
def problem():
    cells, _ = make_cells(pilots(floor=0.0), "loss")
    world = make_world(cells)
    model = FormulaModel(make_law("bare", "constant", world.designs), world.designs)
    theta = np.array([1.0, 0.4] + [0.1] * (len(model.names) - 2))
    theta = refine(make_problem(world, model, theta), theta)
    return make_problem(world, model, theta), theta


def test_nothing_is_missed_by_a_policy_where_all_is_kept(problem):
    departure = make_departure(problem[0].world, problem[0].model, problem[1])
    value = problem[0].model.values(problem[1][None], "hard", np.ones(4), SIZES / 1414)[0]
    all_kept = departure.features("hard", np.ones(4), SIZES, value)
    assert not all_kept[:, departure.alike :].any()
    half = departure.features("hard", np.full(4, 0.5), SIZES, value)
    easy = departure.features("easy", np.full(4, 0.5), SIZES, value)
    assert not (half[:, departure.alike :] * easy[:, departure.alike :]).any()
    assert half[:, departure.alike :].any()


def test_a_departure_of_the_law_is_taken_at_what_is_kept_is_worth(problem):
    """Random examples that have the form's loss have the same departure of the law."""
    p, theta = problem
    keep, D = np.array([0.3]), np.array([1500.0])
    value = p.model.values(theta[None], "hard", keep, D / p.world.x0)[0]
    grid = np.linspace(500, 8000, 4001)
    curve = p.model.values(theta[None], "none", np.ones(len(grid)), grid / p.world.x0)[0]
    worth = np.interp(-value, -curve, grid)
    m = p.departure.alike
    pruned = p.departure.features("hard", keep, D, value)[:, :m]
    random = p.departure.features("none", np.ones(1), worth, value)[:, :m]
    assert pruned == pytest.approx(random, abs=2e-3)


def test_draws_are_the_posterior_of_a_linear_form(problem):
    """With one departure and small noise the form is linear, and its posterior is known."""
    p, theta = problem
    found = weigh(p, theta, solved=False)
    pick = int(np.argmax(found.shares))
    shares = np.zeros(len(found.shares))
    shares[pick] = 1.0
    one = type(found)(found.scales, found.covariances, shares, found.evidence, found.pairs)
    rng = np.random.default_rng(0)
    drawn, departures = draw(p, theta, one, 4000, rng)
    J, V = p.slopes(theta[None])[0], found.covariances[pick]
    cov = np.linalg.inv(J.T @ np.linalg.solve(V, J))
    center = theta + cov @ J.T @ np.linalg.solve(V, p.y - p.values(theta[None])[0])
    error = np.sqrt(np.diag(cov))
    assert np.abs((drawn[1:].mean(axis=0) - center) / error).max() < 0.15
    assert drawn[1:].std(axis=0) == pytest.approx(error, rel=0.12)
    # The means of cells themselves are known as well as noise and the posterior of both allow.
    G = np.hstack([J, p.features * found.scales[pick]])
    precision = G.T @ np.linalg.solve(p.world.cells.covariance, G)
    precision[J.shape[1] :, J.shape[1] :] += np.eye(p.features.shape[1])
    spread = np.sqrt(np.einsum("ij,jk,ik->i", G, np.linalg.inv(precision), G))
    fitted = p.values(drawn) + departures @ p.features.T
    assert fitted[1:].std(axis=0) == pytest.approx(spread, rel=0.12)


def test_draws_stay_inside_the_bounds():
    cells, _ = make_cells(pilots(floor=0.0, noise=0.03), "loss")
    world = make_world(cells)
    model = FormulaModel(make_law("power", "constant", world.designs), world.designs)
    theta = np.array([0.01, 1.0, 0.5] + [0.1] * (len(model.names) - 3))
    theta = refine(make_problem(world, model, theta), theta)
    p = make_problem(world, model, theta)
    drawn, _ = draw(p, theta, weigh(p, theta, solved=False), 300, np.random.default_rng(1))
    assert (drawn >= model.lower).all()
    assert (drawn[:, 0] == 0).mean() > 0.1
    assert (drawn[:, 0] > 0).mean() > 0.1


def test_no_departure_is_likelier_for_a_form_that_fits(problem):
    p, theta = problem
    found = weigh(p, theta, solved=True)
    none = float(found.shares[(found.pairs == 0).all(axis=1)].sum())
    assert none > 0.2
    assert found.shares[found.pairs.max(axis=1) > 0.3].sum() < 0.1
    bent = p.y + 0.3 * (np.log(p.world.cells.D) - 7.2) ** 2
    worse = type(p)(p.world, p.model, p.departure, p.features, bent)
    assert weigh(worse, theta, solved=True).shares[(found.pairs == 0).all(axis=1)].sum() < 1e-6


@pytest.mark.parametrize("degrees", [8.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_the_exact_form_is_fitted_as_the_engine_fits_it(degrees):
    """The engine's certified optimum of the same law, from its own starts."""
    normal = np.random.default_rng(3)
    rows = {"policy": [], "keep": [], "D": [], "loss": []}
    for D in SIZES:
        for policy, keep in (("random", 1.0), ("hard", 0.6), ("hard", 0.3), ("easy", 0.5)):
            word, share = ("random", 1.0) if policy == "random" else (policy, keep)
            eps = pruned_perceptron(D / 700, share, math.radians(degrees), keep=word).eps
            for _ in range(3):
                rows["policy"].append(policy)
                rows["keep"].append(keep)
                rows["D"].append(D)
                rows["loss"].append(0.02 + 2 * float(eps) * math.exp(0.01 * normal.normal()))
    forms = fit_forms(read_pilots(rows), "loss", draws=50, rng=0)
    own = next(f for f in forms.forms if f.name == "perceptron")
    world = forms.world
    law = perceptron_law(world.designs)
    table = {a: np.empty(len(world.cells.D)) for a in law.axes}
    for policy, at in by_policy(world.cells).items():
        part = exact_columns(
            world.cells.D[at] / world.x0, policy, world.cells.keep[at], world.designs
        )
        for a in law.axes:
            table[a][at] = part[a]
    table["loss"] = np.exp(world.cells.log_mean) / world.unit
    found = fit(
        Runs(columns=table), law, objective="lsq", draws=0,
        weights=1 / np.diag(world.cells.covariance),
    )  # fmt: skip
    assert own.parameters["theta"] == pytest.approx(found.parameters["theta"], rel=3e-3)
    assert own.parameters["M"] == pytest.approx(found.parameters["M"], rel=3e-3)
    assert own.parameters["E"] == pytest.approx(found.parameters["E"], abs=1e-3)

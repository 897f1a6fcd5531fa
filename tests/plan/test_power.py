"""Power of comparisons: textbook formulas, simulation, invariances, refusals."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from isoloss.cli import main
from isoloss.errors import FitError, InputError
from isoloss.laws import get_law
from isoloss.plan import allocate, power_to_compare
from isoloss.plan.design_places import read_ladder
from isoloss.plan.power_arms import ratio_for, t_power
from isoloss.plan.power_designs import least_times
from isoloss.runs import Runs

VALUES = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
X = np.array([1.0, 2.0, 4.0, 16.0, 64.0])
LAW = get_law("chinchilla")


def ladder(N=N, D=D, **options):
    options = {
        "at": {"C": 1e20}, "effect": 1.05, "noise": 0.003, "laws": ["chinchilla"], "values": VALUES,
    } | options  # fmt: skip
    return power_to_compare(Runs(columns={"N": N, "D": D}), **options)


def line(**options):
    """Pure power laws: straight lines of log loss in log x."""
    options = {
        "at": {"D": 1000.0}, "loss_effect": 0.02, "noise": 0.01, "laws": ["power"],
        "values": {"A": 3.0, "alpha": 0.2}, "axis": "D", "tie": (),
    } | options  # fmt: skip
    return power_to_compare(Runs(columns={"D": X}), **options)


def student(delta, error, freedom, level=0.05):
    t = stats.t.ppf(1 - level / 2, freedom)
    return stats.nct.sf(t, freedom, delta / error) + stats.nct.cdf(-t, freedom, delta / error)


T = np.log(X) - np.log(X).mean()
AWAY = np.log(1000.0) - np.log(X).mean()
LOSS = 3 * 1000**-0.2
DELTA = -np.log1p(-0.02 / LOSS)


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_two_straight_lines_have_the_textbooks_power(rho):
    found = line(paired=rho)
    error = 0.01 * np.sqrt(2 * (1 - rho) * (1 / 5 + AWAY**2 / (T @ T)))
    freedom = 2 * (5 - 2) if rho == 0 else 5 - 2
    assert found.now.error == pytest.approx(error)
    assert found.now.freedom == freedom
    assert found.now.power == pytest.approx(student(DELTA, error, freedom))
    # k ladders: the error falls by the root of k, the freedom grows.
    k = found.now.times

    def at(k):
        left = 2 * (5 * k - 2) if rho == 0 else 5 * k - 2
        return student(DELTA, error / np.sqrt(k), left)

    assert at(k) >= 0.8 > at(k - 1)
    assert found.design("ladder").power == pytest.approx(at(k))


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_lines_of_one_slope_differ_by_their_heights(rho):
    found = line(tie=("alpha",), paired=rho)
    error = 0.01 * np.sqrt(2 * (1 - rho) / 5)
    freedom = 2 * 5 - 3 if rho == 0 else 5 - 1
    assert (found.now.error, found.now.freedom) == (pytest.approx(error), freedom)
    assert found.free.error > 2 * error
    assert found.now.power == pytest.approx(student(DELTA, error, freedom))


def test_runs_at_the_target_alone_are_the_test_of_two_means():
    # Cohen 1988, table 2.4.1: 64 in each group see half a standard deviation; 34 pairs if paired.
    half = line(loss_effect=LOSS * -np.expm1(-0.005)).design("target_alone")
    assert half.runs == (64, 64)
    pairs = line(loss_effect=LOSS * -np.expm1(-0.005), paired=0.5).design("target_alone")
    assert pairs.runs == (34, 34)


def test_two_runs_each_have_two_degrees_of_freedom_and_one_in_pairs():
    for rho, freedom in ((0.0, 2), (0.6, 1)):
        found = line(paired=rho).design("target_alone")
        error = 0.01 * np.sqrt(1 - rho)
        assert found.curve_runs[0] == 4
        assert found.curve_power[0] == pytest.approx(student(DELTA, error, freedom))


def test_at_a_place_compute_grows_along_its_own_ratio():
    found = ladder(at={"N": 1e9, "D": 2e10}, effect=1.44)
    losses = LAW(VALUES, {"N": np.array([1e9, 1.2e9]), "D": np.array([2e10, 2.4e10])})
    assert found.loss_effect == pytest.approx(np.log(losses[0] / losses[1]))


def test_power_is_that_of_the_noncentral_distribution_and_its_inverse():
    for ratio, freedom in ((0.0, 3), (1.0, 1), (2.5, 7), (3.0, 40), (5.0, 2), (2.8, 1e7)):
        expected = student(ratio, 1.0, min(freedom, 1e6)) if ratio else 0.05
        assert t_power(ratio, freedom) == pytest.approx(expected, abs=1e-5)
    for goal, freedom in ((0.8, 1), (0.9, 12), (0.5, 1e6)):
        assert t_power(ratio_for(goal, freedom), freedom) == pytest.approx(goal, abs=1e-9)
    assert ratio_for(0.8, 0) == np.inf
    assert t_power(1e3, 5) == 1.0


def test_the_effect_is_what_more_compute_gives_recipe_a():
    found = ladder(effect=1.3)
    losses = [float(allocate(LAW, VALUES, c).L_opt[0]) for c in (1e20, 1.3e20)]
    assert found.loss == pytest.approx(losses[0])
    assert found.loss_effect == pytest.approx(np.log(losses[0] / losses[1]), rel=1e-9)
    again = ladder(effect=None, loss_effect=losses[0] - losses[1])
    assert again.effect == pytest.approx(1.3, rel=1e-6)
    assert again.now.power == pytest.approx(found.now.power)
    # Worse by as much is seen as well, to first order.
    assert ladder(effect=1 / 1.3).now.power == pytest.approx(found.now.power, rel=0.05)
    below = ladder(effect=None, loss_effect=0.9)
    assert below.effect == np.inf


def test_the_smallest_effect_is_seen_with_the_power_asked_for():
    found = ladder(power=0.7)
    assert ladder(effect=found.now.smallest).now.power == pytest.approx(0.7, abs=1e-6)


def test_errors_are_those_of_both_recipes_own_derivatives():
    found = ladder(tie=())
    theta = LAW.theta(VALUES)
    J = LAW.jacobian(theta, {"N": N, "D": D}) / LAW(theta, {"N": N, "D": D})[:, None] * theta
    plan = allocate(LAW, VALUES, 1e20)
    at = {"N": plan.N_opt, "D": plan.D_opt}
    g = LAW.jacobian(theta, at)[0] / LAW(theta, at)[0] * theta
    error = 0.003 * np.sqrt(2 * g @ np.linalg.solve(J.T @ J, g))
    assert found.now.error == pytest.approx(error, rel=1e-6)
    own = np.arange(5) != list(LAW.names).index("E")
    M = J[:, own].T @ J[:, own]
    # With one floor, differences of the recipes see their own parameters alone.
    shared = 0.003 * np.sqrt(2 * g[own] @ np.linalg.solve(M, g[own]))
    assert ladder().now.error == pytest.approx(shared, rel=1e-6)


def test_a_floor_of_its_own_costs_many_ladders_far_beyond_the_runs():
    near, far = ladder(at={"C": 1e18}), ladder(at={"C": 1e23})
    assert far.free.times > 30 * far.now.times
    assert near.free.times < 4 * near.now.times
    tie = next(r for r in far.reasons if r.code == "TIE_DECIDES")
    assert (tie.severity, far.status) == ("doubt", "suspect")
    assert f"{far.free.times} ladders" in tie.message
    assert not near.reasons


def test_pairs_need_fewer_runs_and_every_power_rises_with_runs():
    plain, paired = ladder(), ladder(paired=0.8)
    assert paired.now.times < plain.now.times
    for d in (*plain.designs, *paired.designs):
        assert (np.diff(d.curve_power) >= -1e-9).all()
        assert d.power >= 0.8
        assert d.limit >= d.power - 1e-9
    costs = [d.cost for d in plain.designs]
    assert costs == sorted(costs)


def test_what_a_ladder_leaves_open_no_upper_rungs_close():
    # One size: the target at another size is seen by runs there alone.
    found = ladder(np.full(8, 1e8), np.geomspace(1e9, 1e11, 8), tie=())
    assert found.now.error == np.inf
    assert found.design("ladder").times is None
    assert found.design("upper").limit == pytest.approx(0.05)
    assert found.design("target_alone").times is not None
    assert "UNIDENTIFIED" in {r.code for r in found.reasons}
    assert "never: 5 %" in found.summary()
    json.dumps(found.to_dict(), allow_nan=False)


def measured(values, noise, N=N, D=D):
    return {"N": N, "D": D, "loss": LAW(values, {"N": N, "D": D}) * np.exp(noise)}


def test_two_pilots_tell_how_much_noise_twins_share():
    rng = np.random.default_rng(2)
    common, *own = rng.standard_normal((3, 64))
    a, b = (0.003 * (0.8**0.5 * common + 0.2**0.5 * e) for e in own)
    sizes, data = np.tile(N, 4), np.tile(D, 4)
    seed = {"seed": np.repeat(np.arange(4.0), 16)}
    first = measured(VALUES, a, sizes, data) | seed
    second = measured(VALUES | {"A": 470.0}, b, sizes, data) | seed
    turned = rng.permutation(64)
    options = {"at": {"C": 1e20}, "effect": 1.03, "laws": ["chinchilla"]}
    found = power_to_compare(first, {k: v[turned] for k, v in second.items()}, **options)
    assert found.correlation == pytest.approx(0.8, abs=0.12)
    assert "64 twins" in found.correlation_sentence
    assert found.noise == pytest.approx(0.003, rel=0.2)
    assert found.now.freedom == 64 - 4
    # Without seeds in common there are no twins, and no correlation.
    alone = power_to_compare(first, second | {"seed": seed["seed"] + 9}, **options)
    assert (alone.correlation, alone.now.freedom) == (0.0, 128 - 9)
    assert alone.now.power < found.now.power


def test_no_unit_and_no_order_of_rows_matters():
    noise = 0.003 * np.random.default_rng(0).standard_normal(16)
    columns = measured(VALUES, noise)
    options = {"effect": 1.05, "laws": ["chinchilla"]}
    base = power_to_compare(columns, at={"C": 1e20}, **options)
    turned = np.random.default_rng(1).permutation(16)
    shuffled = power_to_compare(
        {k: v[turned] for k, v in columns.items()}, at={"C": 1e20}, **options
    )
    scaled = power_to_compare(
        {"N": N / 1e6, "D": D / 1e9, "loss": 3 * columns["loss"]}, at={"C": 1e5}, **options
    )
    for other in (shuffled, scaled):
        assert other.now.error == pytest.approx(base.now.error, rel=1e-6)
        assert other.loss_effect == pytest.approx(base.loss_effect, rel=1e-6)
        assert [(d.name, d.runs) for d in other.designs] == [(d.name, d.runs) for d in base.designs]


def test_a_ladder_in_a_line_stands_for_the_pilots():
    text = "N=1e7:2.7e8:4,D=3e8:8.1e9:4"
    places = read_ladder(text)
    assert ladder(design=text).now.error == pytest.approx(ladder(**places).now.error)
    assert len(places["N"]) == 16
    budget = read_ladder("C=1e18:1e20:3,ratio=5:80:3")
    assert np.allclose(6 * budget["N"] * budget["D"], np.repeat([1e18, 1e19, 1e20], 3))
    assert np.allclose(budget["D"] / budget["N"], np.tile([5, 20, 80], 3))
    assert np.allclose(np.prod(list(read_ladder("C=1e18,N=1e7:1e9:3").values()), axis=0), 1e18 / 6)
    assert read_ladder("D=1e8:1e9:3").keys() == {"D"}


@pytest.mark.parametrize(
    "text",
    ["N=1e7", "N", "N=1e7:1e9", "N=1e7:1e9:0,D=1", "N=-1,D=2", "N=1,D=2,C=3", "ratio=20", "x=1,y=2",
     "N=1,N=2", "N=1:2:99999999,D=1", "N=1:2:5000,D=1:2:5000"],
)  # fmt: skip
def test_ladders_that_cannot_be_read_are_named(text):
    if text == "N=1e7":
        with pytest.raises(InputError, match="D missing"):
            ladder(design=text)
        return
    with pytest.raises(InputError, match="design"):
        read_ladder(text)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"effect": 1.0}, "multiplier of compute"),
        ({"effect": None}, "give one of them"),
        ({"loss_effect": 0.1}, "give one of them"),
        ({"effect": None, "loss_effect": 9.0}, "below the loss"),
        ({"at": {"N": 1e9}}, "D missing"),
        ({"at": {"C": -1.0}}, "positive"),
        ({"paired": 1.0}, "correlation"),
        ({"paired": "often"}, "write 'auto'"),
        ({"tie": ("gamma",)}, "gamma"),
        ({"tie": LAW.names}, "nothing to tell apart"),
        ({"noise": 2.0}, "relative to the loss"),
        ({"power": 0.01}, "above the level"),
        ({"level": 1.5}, "level"),
    ],
)
def test_bad_input_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        ladder(**options)


def test_one_table_is_no_two_pilots():
    columns = measured(VALUES, 0.003 * np.random.default_rng(0).standard_normal(16))
    with pytest.raises(InputError, match="the same table"):
        power_to_compare(columns, columns, at={"C": 1e20}, effect=1.1, laws=["chinchilla"])


def test_too_few_runs_are_refused():
    with pytest.raises(FitError, match="3 distinct configurations"):
        power_to_compare(measured(VALUES, 0.0, N[:3], D[:3]), at={"C": 1e20}, effect=1.1)


def test_least_times_is_the_least():
    for k in (1, 2, 3, 7, 64, 99_999):
        assert least_times(lambda t, k=k: float(t >= k), 0.5) == k
    assert least_times(lambda t: 0.0, 0.5) is None


def write(path, columns):
    rows = [",".join(repr(float(v)) for v in r) for r in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([",".join(columns), *rows]) + "\n")
    return str(path)


def test_the_command_says_what_the_library_says(tmp_path):
    columns = measured(VALUES, 0.003 * np.random.default_rng(0).standard_normal(16))
    path = write(tmp_path / "a.csv", columns)
    words = ["power", path, "--at", "C=1e19", "--effect", "1.05", "--law", "chinchilla"]
    result = CliRunner().invoke(main, [*words, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    mine = power_to_compare(columns, at={"C": 1e19}, effect=1.05, laws=["chinchilla"]).to_dict()
    assert found["designs"] == json.loads(json.dumps(mine["designs"]))
    text = CliRunner().invoke(
        main, [*words, "--design", "N=1e7:1e9:4,ratio=5:80:4", "--tie", "none"]
    )
    assert "nothing in common: power" in text.output
    for wrong, code, said in (
        (["--loss-effect", "0.1"], 2, "one of them"),
        (["--paired", "x"], 2, "correlation"),
        (["--plot", "a.txt"], 2, ".svg or .png"),
        (["--design", "N=1"], 1, "error: design: D missing"),
        (["--tie", "Q"], 1, "error: "),
    ):
        result = CliRunner().invoke(main, [*words, *wrong])
        assert (result.exit_code, said in result.output) == (code, True), result.output
        assert "Traceback" not in result.output


def bench():
    path = Path(__file__).parents[2] / "benchmarks/power.py"
    spec = importlib.util.spec_from_file_location("bench_power", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tied", "rho", "C", "m"),
    [(False, 0.0, 1e18, 1.05), (False, 0.6, 1e20, 1.2), (True, 0.0, 1e20, 1.07)],
)
def test_power_is_how_often_fits_of_both_recipes_see_the_effect(tied, rho, C, m):
    module = bench()
    expected = ladder(
        module.N, module.D, noise=module.NOISE, at={"C": C}, effect=m, paired=rho,
        tie=("E",) if tied else (),
    ).now.power  # fmt: skip
    repeats = 100
    for multiplier, power in ((m, expected), (1.0, 0.05)):
        seen = module.rejections(
            multiplier, C, module.NOISE, rho, tied=tied, repeats=repeats, seed=1
        )
        assert seen == pytest.approx(power, abs=3.5 * np.sqrt(power * (1 - power) / repeats))

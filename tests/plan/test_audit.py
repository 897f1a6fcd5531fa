"""Audits of designs: textbook formulas, simulation, invariances, and designs known to be blind."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from isoloss.cli import main
from isoloss.errors import InputError
from isoloss.fit import fit
from isoloss.laws import get_law
from isoloss.plan import allocate, audit_design
from isoloss.plan.design_findings import design_findings, levels
from isoloss.plan.design_noise import design_groups
from isoloss.plan.precision import Precision
from isoloss.runs import Runs, embedded_runs

VALUES = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
LAW = get_law("chinchilla")


def planned(N=N, D=D, **options):
    options = {"noise": 0.003, "values": VALUES} | options
    return audit_design(Runs(columns={"N": N, "D": D}), ["chinchilla"], **options)


def measured(N=N, D=D, noise=0.003, seed=0):
    chance = np.random.default_rng(seed).standard_normal(len(N))
    return {"N": N, "D": D, "loss": LAW(VALUES, {"N": N, "D": D}) * np.exp(noise * chance)}


def test_a_power_law_is_a_straight_line_with_the_textbooks_errors():
    x = np.array([1.0, 2.0, 4.0, 16.0, 64.0])
    found = audit_design(
        Runs(columns={"D": x}), ["power"], values={"A": 3.0, "alpha": 0.2}, noise=0.01,
        axis="D", at={"D": 1000.0},
    )  # fmt: skip
    t = np.log(x) - np.log(x).mean()
    away = np.log(1000.0) - np.log(x).mean()
    assert found.question("alpha").standard_error == pytest.approx(0.01 / np.sqrt(t @ t))
    expected = 0.01 * np.sqrt(1 / 5 + away**2 / (t @ t))
    assert found.question("loss").standard_error == pytest.approx(expected)
    assert found.target.error == pytest.approx(expected / 0.01)
    leverage = sorted(1 / 5 + t**2 / (t @ t), reverse=True)
    assert [r.leverage for r in found.leverage] == pytest.approx(leverage)


def test_errors_are_those_of_the_laws_own_derivatives():
    found = planned(compute=1e21)
    x = {"N": N, "D": D}
    theta = LAW.theta(VALUES)
    size = np.abs(theta)
    J = LAW.jacobian(theta, x) / LAW(theta, x)[:, None] * size
    inverse = np.linalg.inv(J.T @ J) * 0.003**2

    def error(g):
        return float(np.sqrt(g @ inverse @ g))

    plan = allocate(LAW, VALUES, 1e21)
    at = {"N": plan.N_opt, "D": plan.D_opt}
    g = LAW.jacobian(theta, at)[0] / LAW(theta, at)[0] * size
    assert found.question("loss").standard_error == pytest.approx(error(g), rel=1e-5)
    assert found.question("loss").value == pytest.approx(float(plan.L_opt[0]))
    unit = dict(zip(LAW.names, np.eye(5) * size, strict=True))
    assert found.question("E").standard_error == pytest.approx(error(unit["E"]), rel=1e-5)
    apart = unit["alpha"] - unit["beta"]
    assert found.question("exponents").standard_error == pytest.approx(error(apart), rel=1e-5)
    steps = []
    for i in range(5):
        ends = []
        for s in (1e-4, -1e-4):
            moved = theta.copy()
            moved[i] *= 1 + s
            ends.append(float(np.log(allocate(LAW, moved, 1e21, near=False).N_opt[0])))
        steps.append((ends[0] - ends[1]) / 2e-4)
    split = error(np.array(steps))
    assert found.question("N_opt").standard_error == pytest.approx(split, rel=1e-4)


@pytest.mark.slow
def test_errors_are_the_scatter_of_refits():
    noise, repeats = 0.002, 120
    found = planned(noise=noise, compute=1e20)
    C = [1e20]
    answers = []
    for seed in range(repeats):
        f = fit(measured(noise=noise, seed=seed), "chinchilla", objective="lsq", draws=0)
        plan = allocate(f, C=C, near=False)
        p = f.parameters
        answers.append(
            [np.log(plan.L_opt[0]), np.log(plan.N_opt[0]), p["alpha"] - p["beta"], p["E"]]
        )
    scatter = np.std(answers, axis=0, ddof=1)
    claimed = [q.standard_error for q in found.questions]
    assert [q.name for q in found.questions] == ["loss", "N_opt", "exponents", "E"]
    # A standard deviation of 120 is known to 6.5 %: four of these, fixed seeds.
    assert np.allclose(scatter / claimed, 1, atol=0.26)


def test_no_unit_and_no_order_of_rows_matters():
    columns = measured()
    base = audit_design(columns, compute=1e21)
    turned = np.random.default_rng(3).permutation(len(N))
    shuffled = audit_design({a: v[turned] for a, v in columns.items()}, compute=1e21)
    millions = {"N": columns["N"] / 1e6, "D": columns["D"] / 1e9, "loss": columns["loss"] * 3}
    scaled = audit_design(millions, compute=1e21 / 1e15)
    for other, loss in ((shuffled, 1), (scaled, 3)):
        assert other.sentence.startswith("answered")
        for q, r in zip(base.questions, other.questions, strict=True):
            factor = loss if q.name == "E" else 1
            assert r.standard_error == pytest.approx(q.standard_error * factor, rel=1e-5)
            assert (r.state, r.half) == (q.state, q.half)
        assert other.target.distance == pytest.approx(base.target.distance, rel=1e-5)
        got, want = (
            [sorted(r.leverage for r in a.leverage) for a in (other, base)]
        )  # fmt: skip
        assert np.allclose(got, want, rtol=1e-5)
        assert [m.kind for m in other.missing] == [m.kind for m in base.missing]
        assert [m.share for m in other.missing] == pytest.approx([m.share for m in base.missing])


def test_all_runs_at_the_same_tokens_leave_the_floor_open_however_often_repeated():
    sizes = np.array([26e6, 50e6, 80e6, 104e6, 145e6, 200e6])
    for times in (1, 40):
        found = planned(np.tile(sizes, times), np.full(6 * times, 2e9))
        assert {q.state for q in found.questions} == {"never"}
        assert found.never[:2] == ("E and B one from another", "beta")
        assert [d.open for d in found.directions][:2] == [1, 1]
        assert {"CONSTANT_AXIS", "UNIDENTIFIED", "NARROW_AXIS"} <= {f.code for f in found.findings}
        assert found.missing[0].opens == 2
        assert found.status == "suspect"
    # A question along what the runs do see has an answer.
    seen = planned(sizes, np.full(6, 2e9), at={"N": 1e8, "D": 2e9})
    assert seen.question("loss").state == "answered"


def test_exponents_that_run_away_are_no_place_to_look_from():
    sizes = np.array([26e6, 50e6, 80e6, 104e6, 145e6, 200e6])
    runs = measured(sizes, np.full(6, 2e9))
    free = fit(runs, "chinchilla", draws=0).parameters
    assert max(free["alpha"], free["beta"]) > 10
    found = audit_design(runs, ["chinchilla"])
    assert abs(found.question("exponents").value) < 2
    assert found.never[:2] == ("E and B one from another", "beta")


def test_two_sizes_do_not_tell_an_exponent_from_a_floor_without_data():
    found = planned(np.repeat([1e7, 1e8], 3), np.tile([1e9, 1e9, 1e9], 2))
    assert found.question("E").standard_error == np.inf


@pytest.mark.parametrize("slope", [1.0, 1.3])
def test_data_in_lockstep_with_size_are_flagged_and_no_split_is_offered(slope):
    sizes = np.geomspace(1e7, 1e9, 12)
    found = audit_design(measured(sizes, 20e7 * (sizes / 1e7) ** slope))
    assert "CONFOUNDED_N_D" in {f.code for f in found.findings}
    assert "N_opt" not in [q.name for q in found.questions]
    assert found.question("exponents").state == "never"
    assert found.question("loss").title.count("D/N") == 1
    assert found.never[0].startswith("which part of the loss belongs to N and which to D")
    assert found.missing[0].opens >= 1


def test_repeats_narrow_by_the_root_of_their_number_unless_the_scatter_is_none_of_seeds():
    once, twice = planned(), planned(np.tile(N, 2), np.tile(D, 2))
    for q, r in zip(once.questions, twice.questions, strict=True):
        assert q.again == pytest.approx(0.5**0.5)
        assert q.limit == 0
        assert r.standard_error == pytest.approx(q.standard_error * 0.5**0.5, rel=1e-6)
    # Each configuration has an error of its own, beside which that of seeds is small.
    own = np.repeat(0.01 * np.random.default_rng(5).standard_normal(16), 3)
    runs = measured(np.repeat(N, 3), np.repeat(D, 3), noise=0.001)
    runs = runs | {"loss": runs["loss"] * np.exp(own), "seed": np.tile([0.0, 1, 2], 16)}
    found = audit_design(runs, ["chinchilla"])
    assert found.n_configurations == 16
    assert found.noise.seeds == pytest.approx(0.001, rel=0.5)
    assert "MISFIT" in {f.code for f in found.findings}
    assert all(q.again > 0.97 for q in found.questions)


def test_a_run_that_the_law_must_pass_through_has_no_check():
    sizes = np.concatenate([np.full(8, 1e8), np.geomspace(0.9e8, 1.1e8, 8), [1e11]])
    data = np.concatenate([np.geomspace(1e9, 1e12, 8), np.geomspace(1e9, 1e12, 8), [1e10]])
    found = planned(sizes, data)
    assert found.leverage[0].place == "N = 1e+11, D = 1e+10"
    assert found.leverage[0].leverage > 0.99
    assert "HIGH_LEVERAGE" in {f.code for f in found.findings}


def test_the_missing_run_narrows_by_what_it_says():
    found = planned(compute=1e22)
    run = found.missing[0]
    more = planned(np.append(N, run.at["N"]), np.append(D, run.at["D"]), compute=1e22)
    for q, r in zip(found.questions, more.questions, strict=True):
        gain = 1 - r.standard_error / q.standard_error
        assert run.narrows[q.name] == pytest.approx(gain, abs=1e-4)
    assert max(run.narrows.values()) > 0.1
    assert found.missing[-1].share <= 0.01


def test_without_the_first_support_the_error_grows_by_what_it_says():
    found = planned(compute=1e22)
    support = found.question("loss").supports[0]
    keep = [f"N = {n:.3g}, D = {d:.3g}" != support.place for n, d in zip(N, D, strict=True)]
    assert sum(keep) == 15
    less = planned(N[keep], D[keep], compute=1e22)
    growth = less.question("loss").standard_error / found.question("loss").standard_error
    assert support.without == pytest.approx(growth, rel=1e-4)


def test_meters_do_not_hide_that_runs_are_repeated():
    known = embedded_runs()
    columns = {n: known[n] for n in ("N", "D", "C", "loss", "seed", "lr")}
    runs = Runs(columns=columns | {"degrees": known["joules"]})
    assert len(np.unique(runs.configurations())) == len(runs) == 113
    assert len(np.unique(known.configurations())) == 57
    assert len(np.unique(design_groups(runs, ("N", "D")))) == 57
    # Without another seed, equal settings and another meter are another configuration.
    alike = runs.select(np.isclose(runs["seed"], 0))
    assert len(np.unique(design_groups(alike, ("N", "D")))) == len(alike)


def test_places_alone_say_what_they_cannot():
    def codes(**columns):
        return {f.code for f in design_findings(Runs(columns=columns), ("N", "D"), 5)}

    assert not codes(N=np.repeat(N, 2), D=np.repeat(D, 2), seed=np.tile([0.0, 1.0], 16))
    sizes = np.geomspace(1e8, 1e9, 12)
    assert "ONE_BUDGET" in codes(N=sizes, D=1e18 / sizes)
    assert "NARROW_RATIO" in codes(N=sizes, D=sizes * np.tile([15, 20, 25], 4))
    assert {"FEW_LEVELS", "NARROW_AXIS"} <= codes(N=np.repeat([1e8, 2e8], 4), D=D[:8])
    assert "TOO_FEW_RUNS" in codes(N=N[:4], D=D[:4])
    assert "FEW_CONFIGURATIONS" in codes(N=np.append(N[:4], 3e8), D=np.append(D[:4], 2e9))
    assert levels(np.array([1.0, 1.04, 1.08, 1.2])) == 2


def test_too_few_runs_are_refused_with_what_the_places_say():
    found = audit_design(measured(N[:3], D[:3]))
    assert (found.status, found.questions, found.laws) == ("failed", (), {})
    assert set(found.dropped) == {"chinchilla", "coupled", "additive", "kaplan"}
    assert "CONSTANT_AXIS" in found.summary()
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compute": -1.0}, "compute"),
        ({"compute": 1e20, "at": {"N": 1e9, "D": 1e10}}, "two decisions"),
        ({"at": {"N": 1e9}}, "at: D missing"),
        ({"noise": 3.0}, "relative to the loss"),
        ({"noise": 1e-300}, "from 1e-09 to 1"),
        ({"noise": None}, "give noise="),
        ({"values": None}, "no column loss"),
        ({"values": {"E": 1.0}}, "no value for"),
    ],
)
def test_bad_input_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        planned(**options)
    with pytest.raises(InputError, match="one law"):
        audit_design(Runs(columns={"N": N, "D": D}), values=VALUES, noise=0.01)


def test_the_command_prints_the_same_as_the_library(tmp_path):
    columns = measured()
    rows = [
        "N,D,loss",
        *(",".join(map(repr, map(float, r))) for r in zip(*columns.values(), strict=True)),
    ]
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(rows) + "\n")
    result = CliRunner().invoke(main, ["audit", str(path), "--compute", "1e21", "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    mine = json.loads(json.dumps(audit_design(columns, compute=1e21).to_dict()))
    assert found["questions"] == mine["questions"]
    assert found["target"] == mine["target"]
    text = CliRunner().invoke(main, ["audit", str(path), "--at", "N=1e9,D=2e10"])
    assert "loss at N = 1e+09, D = 2e+10" in text.output
    wrong = CliRunner().invoke(main, ["audit", str(path), "--at", "N=1e9"])
    assert (wrong.exit_code, wrong.output) == (1, "error: at: D missing; chinchilla needs it\n")


def test_an_axis_of_many_close_values_is_not_constant():
    dense = np.geomspace(1e7, 1e9, 400)
    assert 45 <= levels(dense) <= 50  # steps of 10 % in a factor of 100
    assert levels(dense[:3]) == 1
    rng = np.random.default_rng(0)
    found = planned(rng.permutation(dense), rng.permutation(100 * dense))
    assert "CONSTANT_AXIS" not in {f.code for f in found.findings}


def test_many_runs_take_memory_by_the_run_and_not_by_its_square():
    rows = np.random.default_rng(0).standard_normal((300_000, 3))
    seen = Precision.of(rows)
    assert seen.rank == 3
    g = np.array([1.0, 0.0, 0.0])
    assert seen.variance(g) == pytest.approx(np.linalg.inv(rows.T @ rows)[0, 0], rel=1e-9)

"""What carries the answer of a study, and both answers where a scale or some runs decide."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cli.commands import call, text, write
from isoloss.fit import fit, fit_laws, forecast
from isoloss.fit.backtest import run_scale
from isoloss.fit.leave_out import measure
from isoloss.plan.over_laws import allocate_over_laws
from isoloss.runs import Runs
from isoloss.study import study
from isoloss.study.both import both_answers, side_by_side_lines
from isoloss.study.influence import quantities_of, scales_at, size_of, target_of

PAIR = ["chinchilla", "coupled"]
TOP = "the largest budget (C = 3e+20, 7 runs)"


def isoflop(*, wrong=0.0, seed=0):
    """Six budgets of seven sizes; the largest budget is off by ``wrong``."""
    C, ratio = np.repeat(np.geomspace(1e18, 3e20, 6), 7), np.tile(np.geomspace(3, 400, 7), 6)
    n = np.sqrt(C / 6 / ratio)
    d = C / 6 / n
    noise = 0.005 * np.random.default_rng(seed).standard_normal(42) + wrong * (C > 2e20)
    loss = (1.8 + 480 * n**-0.35 + 2100 * d**-0.37) * np.exp(noise)
    return Runs(columns={"N": n, "D": d, "loss": loss})


def csv(runs):
    return text(**{name: runs[name].tolist() for name in ("N", "D", "loss")})


@pytest.fixture(scope="module")
def wrong():
    return isoflop(wrong=0.02)


@pytest.fixture(scope="module")
def of_wrong(wrong):
    return fit_laws(wrong, PAIR, objective="lsq", draws=100)


@pytest.fixture(scope="module")
def studied(wrong):
    return study(wrong, laws=PAIR, objective="lsq", draws=100)


def test_size_of_the_weighted_laws_is_that_of_the_plan(wrong, of_wrong):
    top = run_scale(wrong) > 2e20
    quantity = size_of(of_wrong, wrong, 1e21)
    found = measure(of_wrong, wrong, {"N_opt": quantity}, top[None])
    plan = allocate_over_laws(of_wrong, [1e21])
    assert np.exp(found.full["N_opt"]) == pytest.approx(plan.N_opt[0], rel=1e-4)
    fits = [
        fit(wrong.select(~top), f.law, objective="lsq", weights=f.weights[~top], draws=0)
        for f in of_wrong.fits
    ]
    again = allocate_over_laws(replace(of_wrong, fits=tuple(fits)), [1e21])
    assert np.exp(found.without["N_opt"][0]) == pytest.approx(again.N_opt[0], rel=1e-4)


def test_no_size_without_laws_that_split_compute(wrong):
    laws = fit_laws(wrong, ["power"], axis="D", draws=20)
    assert size_of(laws, wrong, 1e21) is None


def test_a_study_says_that_the_largest_budget_decides(studied):
    part = studied.answers["influence"]
    deciding = [row["name"] for row in part["scales"]["levels"] if row["decides"]]
    assert deciding == ["C = 3e+20"]
    assert part["scales"]["sentence"] in studied.answers["headline"]
    assert TOP in part["scales"]["sentence"]
    doubt = next(d for d in studied.answers["distrust"] if d["code"] == "INFLUENTIAL_SCALE")
    assert doubt["message"] == part["scales"]["sentence"]
    top = part["scales"]["levels"][-1]
    first = studied.answers["forecasts"][0]
    assert part["scales"]["full"]["forecast"] == pytest.approx(first["loss"])
    assert part["scales"]["full"]["N_opt"] == pytest.approx(first["at"]["N"], rel=1e-4)
    assert f"from {first['loss']:.4g} to {top['without']['forecast']:.4g}" in doubt["message"]


def test_both_answers_are_whole_and_the_weights_are_held(studied, wrong):
    everything, without = studied.answers["influence"]["side_by_side"]
    assert (everything["answer"], everything["n_left_out"]) == ("all runs", 0)
    assert (without["answer"], without["n_left_out"]) == (f"without {TOP}", 7)
    first = studied.answers["forecasts"][0]
    assert everything["forecasts"][0]["loss"] == first["loss"]
    assert everything["forecasts"][0]["interval"] == first["interval"]
    assert everything["parameters"] == studied.laws.best.parameters
    low = run_scale(wrong) < 2e20
    fits = [
        fit(wrong.select(low), f.law, objective=f.objective, weights=f.weights[low], draws=100)
        for f in studied.laws.fits
    ]
    laws = replace(studied.laws, fits=tuple(fits))
    assert laws.weights.tolist() == studied.laws.weights.tolist()
    expected = forecast(laws, first["at"])
    found = without["forecasts"][0]
    assert found["loss"] == pytest.approx(expected.loss, rel=1e-6)
    assert found["interval"]["low"] == pytest.approx(expected.interval.low, rel=1e-6)
    assert found["N_opt_interval"]["low"] < found["N_opt"] < found["N_opt_interval"]["high"]
    truth = 1.8 + 480 * first["at"]["N"] ** -0.35 + 2100 * first["at"]["D"] ** -0.37
    assert abs(found["loss"] - truth) < abs(first["loss"] - truth)


def test_a_single_run_is_weighed_under_all_laws(studied):
    part = studied.answers["influence"]
    assert part["weighted_sentence"].startswith("Under all 2 laws with their weights held")
    shifts = {r["name"]: r["forecast_shift_percent"] for r in part["rows"]}
    worst = max(shifts, key=lambda name: abs(shifts[name]))
    assert f"without {worst}: by {shifts[worst]:+.2g} %" in part["weighted_sentence"]


def test_good_runs_do_not_disagree():
    answers = study(isoflop(seed=1), laws=PAIR, objective="lsq", draws=100).answers
    part = answers["influence"]["scales"]
    assert not any(row["disagrees"] for row in part["levels"])
    assert "does not agree" not in part["sentence"]
    grave = [d["severity"] for d in answers["distrust"] if d["code"] == "INFLUENTIAL_SCALE"]
    assert grave in ([], ["low"])


def test_alike_laws_come_with_the_run_that_would_tell(studied):
    answers = studied.answers
    assert answers["telling_runs"]["pairs"] == [
        [f.law.name for f in sorted(studied.laws.fits, key=lambda f: f is not studied.laws.best)]
    ]
    assert answers["telling_runs"]["sentence"] in answers["headline"]
    alike = [d for d in answers["distrust"] if d["code"] == "LAWS_ALIKE"]
    assert [d["remedy"] for d in alike] == [answers["telling_runs"]["sentence"]] * len(alike)
    cap = answers["telling_runs"]["searches"][0]["most_cost"]
    assert cap == pytest.approx(3e20)


def test_laws_of_one_axis_are_examined_at_the_target():
    rng = np.random.default_rng(0)
    d = np.geomspace(1e7, 1e10, 24)
    loss = (1.5 + 400 * d**-0.3) * np.exp(0.003 * rng.standard_normal(24))
    answers = study(Runs(columns={"D": d, "loss": loss}), draws=50).answers
    scales = answers["influence"]["scales"]
    assert "N_opt" not in scales["full"]
    assert "forecast at D = 1e+11" in scales["sentence"]
    assert {row["axis"] for row in scales["levels"]} == {"D"}
    assert answers["telling_runs"]["searches"][1]["unit"] == "D"


def test_without_draws_nothing_is_examined(wrong):
    found = fit(wrong, draws=0)
    assert scales_at(found, wrong, [(target_of(found, wrong), None)]) is None


def test_an_answer_that_is_not_possible_says_why(wrong, of_wrong):
    most = run_scale(wrong) > 2e18
    few = [("without most", most | (wrong["N"] > np.sort(wrong["N"][~most])[3]))]
    at = {"N": 1e10, "D": 2e11, "C": 1.2e22}
    rows = both_answers(of_wrong, wrong, [at], few)
    assert "cannot fix" in rows[1]["reason"]
    lines = side_by_side_lines(rows)
    assert lines[-1].startswith("  without most: not possible, ")
    assert any("N_opt" in line and "(90 %)" in line for line in lines)
    assert both_answers(of_wrong, wrong, [at], []) == []


def test_the_target_of_one_law_is_its_best_split(wrong):
    found = fit(wrong, objective="lsq", draws=0)
    at = target_of(found, wrong)
    assert 6 * at["N"] * at["D"] == pytest.approx(3e21)
    size = quantities_of(found, wrong, ("N", "D"), 3e21)["N_opt"](found.theta[None])[0]
    assert at["N"] == pytest.approx(np.exp(size))
    assert 6 * target_of(found, wrong, 1e22)["N"] * target_of(found, wrong, 1e22)[
        "D"
    ] == pytest.approx(1e22)
    curve = fit(wrong, "power", axis="D", draws=0)
    assert target_of(curve, wrong, 7e12) == {"D": 7e12}


def test_fit_prints_both_answers(tmp_path, wrong):
    path = write(tmp_path, csv(wrong))
    words = ("fit", path, "--objective", "lsq", "--draws", "100", "--budget", "1e22")
    answer = json.loads(call(*words, "--json").stdout)
    names = [a["answer"] for a in answer["side_by_side"]]
    assert names == ["all runs", f"without {TOP}"]
    at = answer["side_by_side"][0]["forecasts"][0]["at"]
    assert 6 * at["N"] * at["D"] == pytest.approx(1e22)
    assert answer["scale_influence"]["weights_held"] == {"chinchilla": 1.0}
    said = call(*words).stderr
    assert answer["scale_influence"]["sentence"] in said
    assert f"  without {TOP}: chinchilla E " in said


def test_forecast_prints_both_answers_and_the_run_that_would_tell(tmp_path, wrong):
    path = write(tmp_path, csv(wrong))
    words = ("forecast", path, "--law", PAIR[0], "--law", PAIR[1], "--objective", "lsq",
             "--draws", "60", "--at", "N=1e10,D=2e11", "--compute", "1e22")  # fmt: skip
    answer = json.loads(call(*words, "--json").stdout)
    assert set(answer["influence"]) == {"scales", "side_by_side"}
    full = answer["influence"]["scales"]["full"]
    losses = [f["loss"] for f in answer["forecasts"]]
    assert [full["forecast_1"], full["forecast_2"]] == pytest.approx(losses)
    assert len(answer["influence"]["side_by_side"][1]["forecasts"]) == 2
    said = call(*words).stderr
    assert answer["telling_runs"]["sentence"] in said
    assert answer["influence"]["scales"]["sentence"] in said

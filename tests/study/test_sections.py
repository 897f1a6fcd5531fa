import io
import json

import numpy as np
import pytest

from cli.commands import DATA, SIZES, confounded, good, losses, one_axis
from isoloss.errors import InputError
from isoloss.laws import get_law
from isoloss.plan.design_places import cost_of_runs
from isoloss.report import render_html, render_latex_table, render_markdown
from isoloss.runs import Runs, embedded_runs, read_runs
from isoloss.study import forecast_runs, study
from isoloss.study.answers import fixed_axes
from isoloss.study.doubts import doubts

INTERVAL = {"low": float, "high": float, "level": float, "method": str}
TELLING = {
    "at": dict,
    "cost": float,
    "score": float,
    "score_per_cost": float,
    "laws": [{"law": str, "weight": float, "loss": float, "interval": INTERVAL}],
    "contrasts": [
        {"laws": [str], "difference_percent": float, "discrimination": float, "power": float}
    ],
}
# A type, a list of one shape, or keys with their shapes; every number may be null.
SHAPE = {
    "schema": int,
    "isoloss": str,
    "title": str,
    "command": str,
    "headline": [str],
    "input": {
        "source": str,
        "digest": str,
        "n_rows": int,
        "n_held_out": int,
        "axes": [str],
        "conventions": {"N": str, "D": str, "C": str, "loss": str},
        "refused": [{"row": int, "name": str, "code": str, "reason": str}],
        "notes": [{"code": str, "severity": str, "message": str}],
    },
    "runs": {
        "name": [str],
        "N": [float],
        "D": [float],
        "C": [float],
        "loss": [float],
        "role": [str],
        "predicted": [float],
    },
    "default_law": str,
    "laws": [
        {
            "law": str,
            "formula": str,
            "parameters": dict,
            "intervals": dict,
            "objective": {"name": str, "value": float},
            "status": str,
            "reasons": [{"code": str, "message": str}],
            "certificate": {
                "scaled_gradient": float,
                "edm": float,
                "condition": float,
                "min_eigenvalue": float,
                "n_starts": int,
                "n_agree": int,
                "second_engine_gap": float,
                "derivative_error": float,
                "at_bound": [str],
            },
            "weight": float,
            "weight_by_extrapolation": float,
            "weight_by_fit": float,
            "emphasis": float,
            "backtest_error": float,
            "rms_residual": float,
            "residuals": [float],
            "n_rows": int,
            "note": str,
        }
    ],
    "objectives": [{"objective": str, "law": str, "backtest_error": float, "chosen": bool}],
    "backtest": {
        "sentence": str,
        "cuts": [{"C_cut": float, "n_train": int, "n_test": int, "reach": float}],
        "entries": [{"law": str, "objective": str, "cut": int, "error": float, "bias": float}],
        "points": [{"cut": int, "C": float, "loss": float, "predicted": float}],
    },
    "held_out": {
        "sentence": str,
        "rows": [
            {
                "name": str,
                "N": float,
                "D": float,
                "C": float,
                "loss": float,
                "predicted": float,
                "interval": INTERVAL,
                "inside": bool,
                "error_percent": float,
                "reach": float,
            }
        ],
    },
    "forecasts": [
        {
            "at": dict,
            "C": float,
            "loss": float,
            "interval": INTERVAL,
            "new_run": INTERVAL,
            "reach": float,
            "laws": [{"law": str, "weight": float, "loss": float, "low": float, "high": float}],
            "sentence": str,
        }
    ],
    "plan": {
        "budget": float,
        "N_opt": float,
        "D_opt": float,
        "L_opt": float,
        "intervals": {"N_opt": INTERVAL, "D_opt": INTERVAL, "L_opt": INTERVAL},
        "near_optimal": {
            "tolerance_percent": float,
            "N_low": float,
            "N_high": float,
            "compute_price_percent": float,
        },
        "price": [
            {
                "N_ratio": float,
                "N": float,
                "loss": float,
                "excess_percent": float,
                "deadweight_percent": float,
            }
        ],
        "laws": [{"law": str, "weight": float, "N_opt": float, "D_opt": float, "L_opt": float}],
        "approaches": [{"approach": str, "exponent_N": float, "N_opt": float, "note": str}],
        "warnings": [str],
        "sentence": str,
    },
    "path": {f"{letter}_{end}": [float] for letter in "NDL" for end in ("opt", "low", "high")}
    | {"C": [float], "level": float, "method": str},
    "contour": {"law": str, "N": [float], "D": [float], "loss": [[float]]},
    "influence": {
        "sentence": str,
        "rows": [
            {
                "name": str,
                "N": float,
                "D": float,
                "loss": float,
                "residual": float,
                "N_opt_ratio": float,
                "loss_shift_percent": float,
                "exponent_shift": float,
                "flagged": bool,
            }
        ],
        "without_flagged": (None, {"n_dropped": int, "N_opt": float, "L_opt": float}),
        "weighted_sentence": str,
        "scales": {
            "sentence": str,
            "weights_held": dict,
            "full": {"forecast": float, "N_opt": float},
            "levels": [
                {
                    "name": str,
                    "axis": str,
                    "low": float,
                    "high": float,
                    "n_runs": int,
                    "band": bool,
                    "extreme": str,
                    "decides": bool,
                    "disagrees": bool,
                    "disagreement": float,
                    "without": {"forecast": float, "N_opt": float},
                    "standard_errors": {"forecast": float, "N_opt": float},
                }
            ],
        },
        "side_by_side": [
            {
                "answer": str,
                "n_left_out": int,
                "law": str,
                "parameters": dict,
                "parameter_intervals": dict,
                "forecasts": [
                    {
                        "at": dict,
                        "loss": float,
                        "interval": INTERVAL,
                        "N_opt": float,
                        "N_opt_interval": INTERVAL,
                    }
                ],
            }
        ],
    },
    "regimes": (
        None,
        {
            "law": str,
            "weight": float,
            "floor": float,
            "tolerance": float,
            "sentence": str,
            "rows": [
                {
                    "name": str,
                    "data": str,
                    "size": str,
                    "data_share": float,
                    "size_share": float,
                    "exponent_N": float,
                    "exponent_D": float,
                }
            ],
        },
    ),
    "telling_runs": {
        "sentence": str,
        "pairs": [[str]],
        "noise": float,
        "level": float,
        "goal": float,
        "searches": [
            {
                "most_cost": float,
                "unit": str,
                "n_candidates": int,
                "limits": str,
                "best": TELLING,
                "thrifty": (None, TELLING),
                "by_pair": [TELLING],
            }
        ],
    },
    "distrust": [{"severity": str, "code": str, "message": str, "remedy": str}],
    "checklist": [{"item": str, "answer": str, "state": str}],
}
RANK = {"high": 0, "medium": 1, "low": 2}
CHECKLIST_ITEMS = 16


def faults(value, shape, where="answers"):
    """Paths at which a value has another shape."""
    if isinstance(shape, tuple):
        return [] if value is None else faults(value, shape[1], where)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{where}: {type(value).__name__}"]
        missing = [f"{where}.{k} missing" for k in shape if k not in value]
        return missing + [
            f for k, s in shape.items() if k in value for f in faults(value[k], s, f"{where}.{k}")
        ]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where}: {type(value).__name__}"]
        return [f for i, v in enumerate(value) for f in faults(v, shape[0], f"{where}[{i}]")]
    if shape is float:
        fine = value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
        return [] if fine else [f"{where}: {value!r}"]
    return [] if type(value) is shape else [f"{where}: {value!r}"]


def table(content):
    return read_runs(io.StringIO(content))


@pytest.fixture(scope="module")
def whole():
    """All default laws on thirty runs, one of which is refused."""
    return study(table(good() + "1e9,oops,3\n"), draws=50, budget=1e19, at=[{"N": 3e8, "D": 1e10}])


def test_every_section_has_the_agreed_shape(whole):
    answers = json.loads(json.dumps(whole.to_dict(), allow_nan=False))
    assert set(SHAPE) <= set(answers)
    assert faults(answers, SHAPE) == []


def test_the_shape_check_finds_faults():
    assert faults({"a": 1}, {"a": str, "b": int}) == ["answers.b missing", "answers.a: 1"]
    assert faults([{"a": True}], [{"a": float}]) == ["answers[0].a: True"]
    assert faults(None, (None, {"a": int})) == []
    assert faults(None, [int]) == ["answers: NoneType"]


def test_sections_agree_with_each_other(whole):
    answers = whole.answers
    n, held = answers["input"]["n_rows"], answers["input"]["n_held_out"]
    assert (n, len(answers["input"]["refused"])) == (30, 1)
    assert all(len(answers["runs"][k]) == n for k in SHAPE["runs"])
    assert answers["runs"]["role"].count("held_out") == held == len(answers["held_out"]["rows"])
    fitted = [law for law in answers["laws"] if law["status"] != "failed"]
    assert all(len(law["residuals"]) == n - held for law in fitted)
    assert sum(law["weight"] for law in answers["laws"]) == pytest.approx(1)
    best = max(answers["laws"], key=lambda law: law["weight"])
    assert answers["default_law"] == best["law"]
    assert [o["law"] for o in answers["objectives"] if o["chosen"]] == [best["law"]]
    assert answers["plan"]["budget"] == answers["forecasts"][0]["C"] == 1e19
    assert answers["forecasts"][0]["at"]["N"] == answers["plan"]["N_opt"]
    assert answers["forecasts"][1]["at"]["N"] == 3e8
    loss = np.array(answers["contour"]["loss"])
    assert loss.shape == (len(answers["contour"]["N"]), len(answers["contour"]["D"]))
    assert (np.diff(loss, axis=0) < 0).all()
    assert (np.diff(loss, axis=1) < 0).all()
    path = answers["path"]
    assert (np.diff(path["L_opt"]) < 0).all()
    for letter in "NDL":
        low, mid, high = (np.array(path[f"{letter}_{e}"]) for e in ("low", "opt", "high"))
        assert ((low <= mid) & (mid <= high)).all()


def test_the_runs_are_sorted_into_regimes_by_the_heaviest_law(whole):
    answers = whole.answers
    part, laws = answers["regimes"], answers["laws"]
    of_two = [law for law in laws if law["weight"] > 0 and law["status"] != "failed"]
    assert part["weight"] == max(law["weight"] for law in of_two)
    assert [row["name"] for row in part["rows"]] == answers["runs"]["name"]
    # Size limits runs whose data would not help: the exponent of data is small there.
    for row in part["rows"]:
        if row["data"] == "variance":
            assert row["exponent_D"] < row["exponent_N"]
    said = [sum(row["data"] == w for row in part["rows"]) for w in ("variance", "resolution")]
    assert (
        f"by size: {said[0]} of {len(part['rows'])} runs; by data: {said[1]};" in part["sentence"]
    )


def test_laws_without_size_have_no_regimes():
    d = np.geomspace(1e7, 1e10, 12)
    assert (
        study(Runs(columns={"D": d, "loss": 1.5 + 400 * d**-0.3}), draws=20).answers["regimes"]
        is None
    )


def test_residuals_are_measured_over_fitted(whole):
    answers = whole.answers
    kept = [i for i, role in enumerate(answers["runs"]["role"]) if role == "fit"]
    law = max(answers["laws"], key=lambda law: law["weight"])
    fit = whole.laws.best
    x = {a: whole.runs[a][kept] for a in fit.law.axes}
    expected = np.log(whole.runs["loss"][kept]) - np.log(fit.predict(x))
    assert law["residuals"] == pytest.approx(expected.tolist(), abs=1e-12)


def test_held_out_runs_were_forecast_without_them(whole):
    answers = whole.answers
    rows = answers["held_out"]["rows"]
    runs = answers["runs"]
    named = zip(runs["name"], runs["role"], strict=True)
    names = [name for name, role in named if role == "held_out"]
    assert [r["name"] for r in rows] == names
    assert all(r["reach"] > 1 for r in rows)
    for r in rows:
        assert r["inside"] == (r["interval"]["low"] <= r["loss"] <= r["interval"]["high"])
        assert r["error_percent"] == pytest.approx(100 * (r["predicted"] / r["loss"] - 1))
    inside = sum(r["inside"] for r in rows)
    assert f"{inside} of {len(rows)}" in answers["held_out"]["sentence"]


def test_a_large_run_that_went_wrong_is_outside_and_doubted():
    loss = losses(SIZES, DATA)
    loss[-1] *= 1.2
    answers = study(table(good(loss=loss.tolist())), laws=["chinchilla"], draws=50).answers
    inside = {r["name"]: r["inside"] for r in answers["held_out"]["rows"]}
    assert not inside["row 30"]
    assert any(inside.values())
    assert "HELD_OUT_MISSED" in [d["code"] for d in answers["distrust"]]


def test_doubts_come_worst_first_each_with_a_remedy(whole):
    for answers in (whole.answers, study(table(confounded()), laws=["additive"], draws=50).answers):
        ranks = [RANK[d["severity"]] for d in answers["distrust"]]
        assert ranks == sorted(ranks)
        assert all(
            d["message"] and d["remedy"] and d["code"].isupper() for d in answers["distrust"]
        )
    assert "ROWS_REFUSED" in [d["code"] for d in whole.answers["distrust"]]


def test_a_grave_doubt_found_late_comes_first(whole):
    missed = {"inside": False, "error_percent": 2.0}
    answers = whole.answers | {
        "held_out": {
            "rows": [missed, *({"inside": True, "error_percent": e} for e in (1.0, -1.0))]
        },
        "influence": {
            "sentence": "1 of 30 runs decides the answer.",
            "without_flagged": {"n_dropped": 1},
            "rows": [{"name": "odd", "flagged": True}],
        },
    }
    found = doubts(whole.runs, whole.laws, answers, [])
    codes = [d["code"] for d in found]
    assert codes[0] == "INFLUENTIAL_RUNS"
    assert "odd" in found[0]["message"]
    assert codes.index("HELD_OUT_MISSED") > 0


@pytest.mark.parametrize(
    ("errors", "side"),
    [((-3.0, -1.0, -2.0), "too low"), ((3.0, 1.0, 2.0), "too high"), ((-3.0, 1.0, -2.0), None)],
)
def test_misses_on_one_side_are_said(whole, errors, side):
    rows = [{"inside": True, "error_percent": e} for e in errors]
    found = doubts(whole.runs, whole.laws, whole.answers | {"held_out": {"rows": rows}}, [])
    said = [d["message"] for d in found if d["code"] == "HELD_OUT_ONE_SIDED"]
    assert said == [] if side is None else (side in said[0] and "2 %" in said[0])


def test_the_checklist_answers_every_question(whole):
    rows = whole.answers["checklist"]
    assert len({r["item"] for r in rows}) == len(rows) == CHECKLIST_ITEMS
    assert {r["state"] for r in rows} <= {"yes", "no", "partly", "unknown"}
    assert all(r["answer"] for r in rows)
    by_item = {r["item"]: r for r in rows}
    assert by_item["Definition of N"]["state"] == "unknown"
    assert "1 rows refused" in by_item["Excluded points"]["answer"]


def test_results_show_themselves_in_a_line(whole):
    assert repr(whole).startswith("Study(30 runs; LawSet(")
    assert whole.summary().splitlines() == whole.answers["headline"]
    assert "<li>" in whole._repr_html_()


def test_runs_of_data_alone_are_studied_without_a_plan():
    found = study(table(one_axis()), draws=50)
    answers = found.answers
    assert found.plan is None
    assert answers["plan"] is answers["path"] is answers["contour"] is None
    assert answers["forecasts"][0]["at"] == {"D": pytest.approx(1e12)}
    assert answers["held_out"]["rows"]
    page = render_html(answers)
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert render_markdown(answers)
    assert render_latex_table(answers)


def test_a_budget_for_laws_without_compute_is_refused():
    with pytest.raises(InputError, match=r"laws are of D alone.*at D="):
        study(table(one_axis()), draws=0, budget=1e20)
    with pytest.raises(InputError, match="laws are of D alone"):
        forecast_runs(table(one_axis()), compute=1e20, draws=0)


def test_repeated_data_are_planned_at_the_most_unique_data_seen():
    U = np.tile([1e8, 4e8, 1.6e9], 10)
    law = get_law("repetition")
    truth = {"E": 1.8, "A": 480, "B": 2100, "alpha": 0.35, "beta": 0.37, "R_D": 15}
    chance = np.random.default_rng(0).standard_normal(30)
    loss = law(truth, {"N": SIZES, "D": DATA, "U": U}) * np.exp(0.002 * chance)
    runs = table(good(U=U.tolist(), loss=loss.tolist()))
    found = study(runs, laws=["repetition"], draws=50)
    assert fixed_axes(runs, found.laws) == {"U": 1.6e9}
    assert found.answers["forecasts"][0]["at"]["U"] == 1.6e9
    assert found.answers["plan"]["N_opt"] > 0
    assert found.answers["input"]["axes"] == ["N", "D", "C", "U"]
    assert faults(json.loads(json.dumps(found.to_dict())), SHAPE) == []


def test_size_and_data_in_lockstep_raise_a_grave_doubt():
    answers = study(table(confounded()), laws=["chinchilla"], draws=50).answers
    grave = {d["code"] for d in answers["distrust"] if d["severity"] == "high"}
    assert ("NO_PLAN" if answers["plan"] is None else "CONFOUNDED_N_D") in grave


def test_very_many_runs_are_thinned_and_that_is_said(monkeypatch):
    monkeypatch.setattr("isoloss.study.pipeline.MOST_RUNS", 20)
    answers = study(table(good()), laws=["chinchilla"], draws=20).answers
    assert answers["input"]["n_rows"] == 20
    assert "THINNED" in [d["code"] for d in answers["distrust"]]
    assert "30 runs: the study uses 20 of them" in str(answers["input"]["notes"])
    scales = np.sort(table(good())["C"])
    assert {scales[0], scales[-1]} <= set(answers["runs"]["C"])


def test_a_law_of_compute_beside_one_of_size_and_data():
    answers = study(table(good()), laws=["power", "chinchilla"], axis="C", draws=0).answers
    at = answers["forecasts"][0]["at"]
    assert 6 * at["N"] * at["D"] == pytest.approx(at["C"])
    assert answers["contour"]["loss"][0][0] > answers["contour"]["loss"][-1][-1]


def test_reach_counts_compute_as_the_runs_do():
    runs = table(good(C=(8 * SIZES * DATA).tolist()))
    largest = float(runs["C"].max())
    answer = forecast_runs(runs, {"N": 1.6e8, "D": 1e10}, laws=None, draws=0)[0]
    assert answer.scale == pytest.approx(largest)
    assert answer.reach == pytest.approx(1)


@pytest.mark.parametrize(("factor", "expected"), [(6, 6), (6.05, 6), (8, 8), (2.5, 2.5)])
def test_cost_follows_the_compute_column(factor, expected):
    columns = {"N": SIZES, "D": DATA, "C": factor * SIZES * DATA, "loss": losses(SIZES, DATA)}
    assert float(cost_of_runs(Runs(columns=columns))(1, 1)) == pytest.approx(expected)


def test_cost_is_six_without_compute():
    assert float(cost_of_runs(Runs(columns={"D": DATA, "loss": losses(SIZES, DATA)}))(1, 1)) == 6


def test_the_embedded_runs_are_studied():
    runs = embedded_runs()
    if len(runs) < 60:
        pytest.skip("the embedded ledger is not complete")
    answers = study(draws=100).answers
    assert answers["title"] == "stdlib-bytes.csv"
    assert len(answers["held_out"]["rows"]) >= 3
    assert faults(json.loads(json.dumps(answers)), SHAPE) == []

import subprocess
import sys

import numpy as np
import pytest

from isoloss.plot import series
from isoloss.plot.access import number, text, vector
from isoloss.plot.contours import level_lines
from report.example import example_study, loss, variants

FUNCTIONS = sorted(name for name in vars(series) if name.endswith("_series"))


@pytest.fixture
def study():
    return example_study()


def test_ten_series_are_public():
    assert len(FUNCTIONS) == 10


@pytest.mark.parametrize("variant", sorted(variants()))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_series_survives_every_variant(name, variant):
    assert getattr(series, name)(variants()[variant]()) is not None


def test_runs_are_split_by_role_and_keep_their_numbers(study):
    found = series.runs_series(study)
    runs = study["runs"]
    for role in ("fit", "held_out"):
        mine = [i for i, r in enumerate(runs["role"]) if r == role]
        assert found[role]["name"] == [runs["name"][i] for i in mine]
        for key in ("N", "D", "C", "loss", "predicted"):
            assert found[role][key].tolist() == [runs[key][i] for i in mine]


def test_path_and_target_are_those_of_the_study(study):
    fan = series.fan_series(study)
    for key in ("C", "L_opt", "L_low", "L_high"):
        assert fan["path"][key].tolist() == study["path"][key]
    assert fan["target"]["loss"] == study["plan"]["L_opt"]
    assert fan["target"]["low"] == study["plan"]["intervals"]["L_opt"]["low"]


def test_largest_run_is_the_one_that_reach_is_counted_from(study):
    fitted = [
        c for c, r in zip(study["runs"]["C"], study["runs"]["role"], strict=True) if r == "fit"
    ]
    assert series.fan_series(study)["largest"] == pytest.approx(max(fitted))
    study["forecasts"][0]["reach"] /= 4
    assert series.fan_series(study)["largest"] == pytest.approx(4 * max(fitted))
    study["forecasts"] = []
    assert series.fan_series(study)["largest"] == max(fitted)


def test_path_is_sorted_by_compute(study):
    straight = series.path_series(study)
    study["path"] = {k: v[::-1] if isinstance(v, list) else v for k, v in study["path"].items()}
    turned = series.path_series(study)
    assert turned["C"].tolist() == straight["C"].tolist()
    assert turned["N_opt"].tolist() == straight["N_opt"].tolist()


def test_contours_lie_where_the_law_has_their_level(study):
    contours = series.isoloss_series(study)["contours"]
    assert len(contours) >= 6
    for contour in contours:
        for line in contour["lines"]:
            found = loss(line[:, 0], line[:, 1])
            assert found == pytest.approx(contour["level"], rel=0.01)


def test_budget_line_keeps_compute_and_meets_the_optimum(study):
    found = series.isoloss_series(study)
    line, best = found["budget_line"], found["optimum"]
    assert 6 * line["N"] * line["D"] == pytest.approx(best["C"])


def test_budget_line_is_left_out_when_compute_is_not_proportional(study):
    study["runs"]["C"] = [c * (1 + 0.1 * (i % 2)) for i, c in enumerate(study["runs"]["C"])]
    assert series.isoloss_series(study)["budget_line"]["N"].size == 0


def test_residuals_are_percent_with_the_default_law_first(study):
    study["default_law"] = "kaplan"
    found = series.residuals_series(study)
    assert next(iter(found)) == "kaplan"
    expected = 100 * (np.exp(study["laws"][0]["residuals"]) - 1)
    assert found["chinchilla"]["percent"] == pytest.approx(expected)


def test_backtest_shows_the_chosen_objective_only(study):
    found = series.backtest_series(study)
    assert {e["objective"] for e in found["errors"]} == {"huber:0.001"}
    assert len(found["errors"]) == 9
    assert found["predicted"].tolist() == [p["predicted"] for p in study["backtest"]["points"]]
    first = study["backtest"]["entries"][0]
    assert found["errors"][0]["percent"] == pytest.approx(100 * first["error"])


def test_influence_keeps_the_twelve_that_move_most(study):
    found = series.influence_series(study)
    assert len(found["name"]) == 12
    moved = np.abs(np.log(found["N_opt_ratio"]))
    assert np.all(np.diff(moved) <= 0)
    every = [abs(np.log(r["N_opt_ratio"])) for r in study["influence"]["rows"]]
    assert moved[0] == max(every)
    assert found["flagged"].sum() == 1


def test_weights_and_forecast_are_those_of_the_study(study):
    weights = series.weights_series(study)
    assert weights["weight"].tolist() == [0.71, 0.26, 0.03]
    forecast = series.forecast_series(study)
    assert forecast["loss"].tolist() == [law["loss"] for law in study["forecasts"][0]["laws"]]
    assert forecast["combined"]["new_high"] == study["forecasts"][0]["new_run"]["high"]


def test_price_is_zero_at_the_optimum(study):
    price = series.price_series(study)
    assert price["excess_percent"][price["N_ratio"] == 1] == pytest.approx([0.0])


def test_level_lines_of_a_cone_are_closed_circles():
    axis = np.linspace(-2, 2, 41)
    lines = level_lines(axis, axis, np.hypot(axis[:, None], axis), 1.0)
    assert len(lines) == 1
    assert lines[0][0].tolist() == lines[0][-1].tolist()
    assert np.hypot(*lines[0].T) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(("level", "corners"), [(0.6, {(0, 0), (1, 1)}), (0.4, {(0, 1), (1, 0)})])
def test_level_lines_of_a_saddle_cut_off_the_corners_unlike_the_centre(level, corners):
    axis = np.array([0.0, 1.0])
    lines = level_lines(axis, axis, np.array([[1.0, 0.0], [0.0, 1.0]]), level)
    assert {tuple(np.rint(line.mean(axis=0)).astype(int).tolist()) for line in lines} == corners


def test_level_lines_skip_missing_corners():
    axis = np.arange(4.0)
    z = np.add.outer(axis, axis)
    z[0, 0] = np.nan
    assert np.isfinite(np.concatenate(level_lines(axis, axis, z, 2.5))).all()


@pytest.mark.parametrize("value", [None, "7", True, [1], float("inf"), 10**400, {}])
def test_what_is_not_a_number_reads_as_missing(value):
    assert np.isnan(number(value))


def test_vectors_are_cut_and_padded():
    assert vector([1, 2, 3], 2).tolist() == [1, 2]
    assert np.isnan(vector([1], 3)).tolist() == [False, True, True]
    assert vector("abc").size == 0


def test_text_drops_what_cannot_be_printed():
    assert text("a\x00\x1b\u202e\ud800b") == "a\ufffd\ufffd\ufffd\ufffdb"


def test_series_do_not_import_matplotlib():
    code = "import sys, isoloss.plot, isoloss.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

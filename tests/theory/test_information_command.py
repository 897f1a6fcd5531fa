"""``isoloss theory information``: reference numbers, lists, simulation, pictures, bad input."""

import json

import numpy as np
import pytest

from cli.commands import call
from isoloss.theory import information_bound, information_optimum
from theory.test_information import GOLDEN, printed


def ask(*words, code=0):
    result = call("theory", "information", *words, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def words_of(at):
    return [text for key, value in at.items() for text in (f"--{key}", repr(value))]


@pytest.mark.parametrize("name", ["low", "high"])
def test_the_best_split_in_the_simple_form(name):
    case = GOLDEN["simple"][name]
    answer = ask(*words_of(case["at"]), "--form", "simple")
    assert {"n_opt", "T_opt", "loss", "model_share", "form"} <= set(answer)
    assert printed(answer["n_opt"], case["n"], 8)
    assert printed(answer["T_opt"], case["T"], 7)
    assert printed(answer["loss"], case["loss"], 8)
    assert answer["model_share"] == pytest.approx(answer["p_opt"] / answer["T_opt"])
    assert answer["form"] == "simple"
    assert "eps" not in answer


def test_the_full_form_is_the_default_and_terms_are_evaluated():
    answer = ask(*words_of(GOLDEN["full"]["at"]))
    assert answer["form"] == "full"
    assert printed(answer["loss"], GOLDEN["full"]["loss"], 7)
    case = GOLDEN["terms"]
    answer = ask(*words_of(case["at"]))
    assert printed(answer["misspecification"], case["misspecification"], 8)
    assert printed(answer["estimation"], case["estimation"], 8)
    assert printed(ask(*words_of(GOLDEN["best_eps"]["at"]))["loss"], 0.030668381, 8)


def test_lists_go_together_or_make_a_grid():
    together = ask("--C", "1e8,1e10", "--d", "10,100", "--K", "5")
    exact = information_optimum([1e8, 1e10], d=[10, 100], K=5)
    np.testing.assert_allclose(together["n_opt"], exact.n_opt)
    grid = ask("--C", "1e8,1e10", "--d", "10,100,1000", "--K", "5", "--grid")
    exact = information_optimum(np.array([[1e8], [1e10]]), d=[10, 100, 1000], K=5)
    np.testing.assert_allclose(grid["model_share"], exact.model_share)
    terms = ask("--n", "10,100", "--T", "1e4,inf", "--d", "10", "--K", "5")
    np.testing.assert_allclose(
        terms["loss"], information_bound([10, 100], [1e4, np.inf], d=10, K=5).loss
    )


def test_constants_and_whole_numbers_pass_through():
    base = ask("--C", "1e8", "--d", "10", "--K", "5")
    assert ask("--C", "1e8", "--d", "10", "--K", "5", "--c1", "4")["n_opt"] > base["n_opt"]
    assert ask("--C", "1e8", "--d", "10", "--K", "5", "--c2", "4")["n_opt"] < base["n_opt"]
    assert ask("--C", "1e8", "--d", "10", "--K", "5", "--net", "9")["loss"] > base["loss"]
    assert ask("--C", "1e8", "--d", "10", "--K", "5", "--count")["loss"] > base["loss"]
    simple = ("--C", "1e8", "--d", "10", "--K", "5", "--form", "simple")
    assert ask(*simple, "--log-constant", "1")["loss"] < ask(*simple)["loss"]
    whole = ask("--C", "1e8", "--d", "10", "--K", "5", "--whole")
    assert whole["n_opt"] == round(base["n_opt"])
    assert whole["T_opt"] == 1e7 // whole["n_opt"]


def test_simulation_holds_the_identities():
    answer = ask("--C", "1e7", "--d", "5", "--K", "8", "--simulate", "120", "--seed", "1")
    drawn, made = answer["drawn"], answer["simulation"]
    assert drawn["n"] == ask("--C", "1e7", "--d", "5", "--K", "8", "--whole")["n_opt"]
    assert drawn["squared_error"] == pytest.approx(8 / (2 * drawn["n"]))
    assert answer["z"] == made["squared_error"]["z"]
    for name in ("squared_error", "distinct", "power"):
        assert abs(made[name]["z"]) < 4
        assert made[name]["mean"] == pytest.approx(drawn[name], rel=0.5)
    assert made["divergence"]["mean"] < drawn["divergence_at_most"]
    points = ask("--n", "4,16", "--T", "100", "--d", "3", "--K", "5", "--simulate", "9")
    assert np.shape(points["z"]) == (2,)
    assert points["drawn"]["n"] == [4, 16]


def test_pictures_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    for words in (
        ("--C", "1e6,1e8,1e10", "--d", "10,100", "--K", "5", "--grid"),
        ("--n", "1,10,100", "--T", "1e4", "--d", "10", "--K", "5"),
    ):
        result = call("theory", "information", *words, "--plot", str(tmp_path / "a.svg"))
        assert result.exit_code == 0, result.stderr
        assert (tmp_path / "a.svg").read_text("utf8").startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--C", "5", "--d", "10", "--K", "10"), 1, "does not pay"),
        (("--C", "inf", "--d", "10", "--K", "10"), 1, "C = inf"),
        (("--C", "1e8", "--d", "nan", "--K", "10"), 1, "d = nan"),
        (("--C", "1e8", "--d", "10", "--K", "0"), 1, "K = 0"),
        (("--n", "0.2", "--T", "10", "--d", "10", "--K", "1"), 1, "n = 0.2"),
        (("--n", "2", "--T", "0", "--d", "10", "--K", "1"), 1, "T = 0"),
        (("--n", "2", "--T", "9", "--d", "10", "--K", "1", "--eps", "7"), 1, "eps = 7"),
        (("--C", "1e8", "--d", "10", "--K", "3", "--c1", "-1"), 1, "c1 = -1"),
        (("--C", "1e8", "--d", "10.5", "--K", "3", "--simulate", "3"), 1, "whole number"),
        (("--C", "1e8", "--d", "10", "--K", "1e9", "--simulate", "3"), 1, "fit in memory"),
        (("--n", "2.5", "--T", "9", "--d", "2", "--K", "3", "--simulate", "3"), 1, "n = 2.5"),
        (("--C", "1e8", "--d", "10", "--K", "3", "--plot", "x.svg"), 1, "single point"),
        (("--C", "1e8", "--n", "3", "--d", "10", "--K", "3"), 2, "--C"),
        (("--n", "3", "--d", "10", "--K", "3"), 2, "--T"),
        (("--d", "10", "--K", "3"), 2, "--C"),
        (("--C", "1e8", "--d", "10", "--K", "3", "--eps", "0.1"), 2, "--eps"),
        (("--n", "2", "--T", "9", "--d", "10", "--K", "1", "--whole"), 2, "--whole"),
        (("--C", "1e8,1e9", "--d", "1,2,3", "--K", "1"), 2, "lengths differ"),
        (("--C", "a lot", "--d", "10", "--K", "1"), 2, "--C"),
    ],
)
def test_bad_input_is_said_in_a_line(words, code, message):
    result = call("theory", "information", *words)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr

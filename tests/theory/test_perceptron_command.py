"""``isoloss theory perceptron``: the contract of keys, degrees, lists, and refusals."""

import json

import numpy as np
import pytest

from cli.commands import call
from isoloss.theory import optimal_fraction, pruned_perceptron, version_space
from theory.test_perceptron import GOLDEN, printed

KEYS = ["R", "rho", "kappa", "eps", "support_fraction"]


def ask(*words):
    result = call("theory", "perceptron", *map(str, words), "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("row", GOLDEN["points"][5::9], ids=lambda r: r["keep"])
def test_printed_points(row):
    found = ask(
        "--alpha-prune", row["alpha"], "--fraction", row["fraction"], "--theta", row["theta"],
        "--keep", row["keep"],
    )  # fmt: skip
    assert list(found) == KEYS
    for name in set(KEYS) & set(row):
        printed(found[name], row[name])


def test_lists_and_grids_are_those_of_the_library():
    found = ask("--alpha-prune", "1,3", "--fraction", "0.2,0.5", "--theta", 20)
    exact = pruned_perceptron([1, 3], [0.2, 0.5], np.deg2rad(20))
    assert found["eps"] == exact.eps.tolist()
    found = ask(
        "--grid", "--alpha-tot", "5,9", "--fraction", "0.2,0.5,0.9", "--keep", "hard,easy",
    )  # fmt: skip
    exact = pruned_perceptron(
        alpha_tot=np.reshape([5, 9], (2, 1, 1)), fraction=np.reshape([0.2, 0.5, 0.9], (3, 1)),
        keep=["hard", "easy"],
    )  # fmt: skip
    for name in KEYS:
        assert found[name] == getattr(exact, name).tolist()
    assert ask("--alpha-prune", 2, "--keep", "random")["eps"] == pytest.approx(0.18847861)


def test_best_fraction_with_either_number_held():
    found = ask("--alpha-prune", "1,1.5", "--optimal")
    exact = optimal_fraction([1, 1.5])
    assert list(found) == [*KEYS, "fraction"]
    assert found["fraction"] == exact.fraction.tolist()
    found = ask("--alpha-tot", 8, "--optimal", "--keep", "easy")
    assert found["fraction"] == pytest.approx(0.881, abs=5e-4)
    assert ask("--alpha-prune", 3, "--optimal")["eps"] == 0


def test_worth_of_an_example():
    found = ask("--alpha-prune", 2, "--fraction", 0.2, "--gibbs")
    exact = version_space(2, 0.2)
    for name in ("q", "information_gain", "entropy", "eps_gibbs", "eps_centre"):
        assert found[name] == float(getattr(exact, name))
    assert found["R"] == float(pruned_perceptron(2, 0.2).R)
    assert found["R_gibbs"] == float(exact.R)


def test_simulation_beside_the_theory(tmp_path):
    found = ask(
        "--alpha-prune", "1,2", "--fraction", 0.5, "--theta", 20, "--simulate", 4, "--N", 40,
        "--plot", tmp_path / "eps.svg",
    )  # fmt: skip
    assert found["simulation"]["draws"] == 4
    assert np.shape(found["z"]) == (2,)
    assert found["z"] == found["simulation"]["eps"]["z"]
    assert set(found["simulation"]["kappa"]) == {"mean", "sem", "z"}
    assert b"<svg" in (tmp_path / "eps.svg").read_bytes()
    table = call("theory", "perceptron", "--alpha-prune", "1", "--optimal", "--simulate", "2",
                 "--N", "20")  # fmt: skip
    assert "eps mean" in table.stderr


def test_pictures_of_words_and_numbers(tmp_path):
    words = ("theory", "perceptron", "--alpha-prune", "2", "--fraction", "0.5")
    plain = call(*words, "--keep", "hard,easy", "--plot", str(tmp_path / "x.svg"))
    assert plain.exit_code == 1
    assert "words make no axis" in plain.stderr
    both = call(
        "theory", "perceptron", "--grid", "--alpha-prune", "1,2", "--fraction", "0.5", "--keep",
        "hard,easy,random", "--plot", str(tmp_path / "x.svg"),
    )  # fmt: skip
    assert both.exit_code == 0, both.stderr


@pytest.mark.parametrize(
    ("words", "status", "piece"),
    [
        ("--alpha-prune 2", 2, "--fraction"),
        ("--fraction .5", 2, "--alpha-prune or --alpha-tot"),
        ("--alpha-prune 2 --alpha-tot 3 --fraction .5", 2, "either"),
        ("--alpha-prune 2 --fraction .5 --optimal", 2, "leave out --fraction"),
        ("--alpha-prune 2 --fraction .5 --theta 91", 2, "0 and 90 degrees"),
        ("--alpha-prune 2 --fraction .5 --theta nan", 2, "0 and 90 degrees"),
        ("--alpha-prune 2 --fraction .5 --theta 10 --gibbs", 2, "perfect probe"),
        ("--alpha-prune 2 --fraction .5 --keep soft", 2, "hard, easy or random"),
        ("--alpha-prune x --fraction .5", 2, "not a number"),
        ("--alpha-prune 1,2 --fraction .1,.2,.3", 2, "lengths differ"),
        ("--alpha-prune 0 --fraction .5", 1, "alpha_prune = 0.0"),
        ("--alpha-prune nan --fraction .5", 1, "alpha_prune = nan"),
        ("--alpha-prune inf --fraction .5", 1, "finite"),
        ("--alpha-prune 2 --fraction 1.2", 1, "fraction = 1.2"),
        ("--alpha-prune 2 --fraction 1e-9", 1, "limit"),
        ("--alpha-tot 2 --fraction 0", 1, "alpha_prune = 0.0"),
        ("--alpha-prune 2 --fraction 0 --gibbs", 1, "no limit"),
        ("--alpha-prune 2 --fraction 0 --simulate 2", 1, "without end"),
        ("--alpha-prune 1e-3 --fraction .5 --simulate 2", 1, "0 kept"),
        ("--alpha-prune 2 --fraction .5 --plot x.svg", 1, "no curve"),
    ],
)
def test_refusals(words, status, piece):
    result = call("theory", "perceptron", *words.split())
    assert result.exit_code == status, result.output
    assert piece in result.stderr
    assert "Traceback" not in result.output


def test_limits_through_the_command():
    found = ask("--alpha-prune", "1.5,3", "--fraction", 0)
    assert found["eps"] == [0.5, 0.0]
    easy = ask("--alpha-prune", 3, "--fraction", 0, "--keep", "easy", "--theta", 10)
    assert easy["kappa"] == "inf"
    assert easy["eps"] == pytest.approx(10 / 180)
    near = ask("--alpha-prune", "1.999,2,2.001", "--fraction", 1e-4)
    assert near["eps"][0] > near["eps"][1] > near["eps"][2] > 0
    wide = ask("--grid", "--alpha-prune", "1e-3,1e4", "--fraction", "1e-4,1", "--theta", "0,90")
    assert np.isfinite(wide["eps"]).all()

import json
import math

import numpy as np
import pytest

from cli.commands import call
from isoloss.theory import gradient_flow, power_law, random_features, sgd_phase
from theory.given import EXACT, GOLDEN, near

RIDGE = ("random-features", "--b", "1.5", "--a", "1.5", "--M", "1000")
FLOW = ("gradient-flow", "--b", "1.3", "--a", "1.5", "--M", "1500")
SGD = ("sgd", "--alpha", "0.8", "--beta", "0.6", "--M", "800", "--N", "200", "--lr", "0.1")
KEYS = [
    "kappa", "df1", "df2", "test_excess", "test_total", "train", "bias2", "V_F", "V_D", "V_FD",
    "ridge",
]  # fmt: skip


def ask(*words):
    result = call("theory", *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def options(words):
    return [
        text
        for key, value in words.items()
        for text in ([f"--{key}"] if value is True else [f"--{key}", value])
    ]


@pytest.mark.parametrize("name", [k for k in GOLDEN["ridge"] if k != "relu"])
def test_reference_numbers_of_ridge_regression(name):
    case = GOLDEN["ridge"][name]
    answer = ask("random-features", *options(case["spectrum"] | case["at"]))
    assert list(answer) == KEYS
    for key, value in case["value"].items():
        assert answer[key] == near(value, rel=EXACT), key


def test_reference_numbers_along_training():
    flow, descent, sgd = GOLDEN["flow"], GOLDEN["descent"], GOLDEN["sgd"]
    answer = ask("gradient-flow", *options(flow["spectrum"] | flow["at"]), "--t", "1,100,1e4")
    assert list(answer) == ["test_excess", "train"]
    assert answer["test_excess"] == near(flow["test"], rel=EXACT)
    assert answer["train"] == near(flow["train"], rel=EXACT)
    words = options(descent["spectrum"] | descent["at"])
    answer = ask("gradient-descent", *words, "--steps", "1,10,1000")
    assert answer["test_excess"] == near(descent["test"], rel=EXACT)
    answer = ask("sgd", *options(sgd["at"]), "--steps", "10,100,1e4")
    assert list(answer) == ["risk", "risk_limit", "kernel_mass"]
    assert answer["risk"] == near(sgd["risk"], rel=EXACT)
    case = GOLDEN["kernel"]
    words = options(case["spectrum"] | case["at"])
    answer = ask("random-features", *words, "--N", "inf", "--per-sample")
    assert answer["ridge"] == 1e-3
    for key, value in case["value"].items():
        assert answer[key] == near(value, rel=EXACT), key


def test_phases_are_given():
    assert ask("phases", "--alpha", "0.8", "--beta", "0.6") == sgd_phase(0.8, 0.6).to_dict()
    several = ask("phases", "--alpha", "0.8,0.2", "--beta", "0.6,0.2,0.8", "--grid")
    assert several["phase"] == [["II", "Ia", "III"], ["Ic", "none", "Ic"]]
    assert several["x"][1][1] is None


def test_lists_of_one_length_go_together():
    answer = ask(*RIDGE, "--N", "10,20", "--T", "40,30", "--ridge", "1,2")
    for i, (N, T, ridge) in enumerate([(10, 40, 1), (20, 30, 2)]):
        one = ask(*RIDGE, "--N", N, "--T", T, "--ridge", ridge)
        assert {k: v[i] for k, v in answer.items()} == pytest.approx(one, rel=1e-12)
    times = ask(*FLOW, "--N", "20,30", "--T", "50,40", "--t", "1,10,100")["train"]
    assert times[1] == pytest.approx(
        ask(*FLOW, "--N", "30", "--T", "40", "--t", "1,10,100")["train"], rel=1e-12
    )
    phases = ask("phases", "--alpha", "0.8,0.2", "--beta", "0.6,0.2")
    assert phases["phase"] == ["II", "none"]
    drawn = ask(*RIDGE, "--N", "20,30", "--T", "30,20", "--ridge", "1", "--simulate", "3")
    assert np.shape(drawn["z"]) == (2,)
    result = call("theory", *RIDGE, "--N", "10,20", "--T", "1,2,3")
    assert result.exit_code == 2
    assert "--grid takes every combination" in result.stderr


def test_scalars_give_scalars_and_each_list_an_axis():
    assert isinstance(ask(*RIDGE, "--N", "10", "--T", "20")["kappa"], float)
    answer = ask(
        "random-features", "--b", "1.5,2", "--a", "1.5", "--M", "100", "--N", "10,20,inf",
        "--T", "40", "--ridge", "1,2", "--noise", "0.1", "--grid",
    )  # fmt: skip
    assert np.shape(answer["test_excess"]) == (2, 3, 2)
    for i, b in enumerate((1.5, 2)):
        for j, N in enumerate((10, 20, math.inf)):
            for k, ridge in enumerate((1, 2)):
                one = random_features(power_law(b=b, a=1.5, M=100), N, 40, ridge=ridge, noise=0.1)
                assert answer["test_excess"][i][j][k] == near(float(one.test_excess))
    times = ask(*FLOW, "--N", "20,30", "--T", "40", "--t", "1,10,100")["train"]
    assert np.shape(times) == (2, 3)
    one = gradient_flow(power_law(b=1.3, a=1.5, M=1500), 30, 40, 100)
    assert times[1][2] == near(float(one.train))
    sgd = ask(*SGD, "--batch", "1,2", "--steps", "5,6,7")
    assert np.shape(sgd["risk"]) == (2, 3)
    assert np.shape(sgd["kernel_mass"]) == (2,)
    assert isinstance(ask(*SGD, "--steps", "5")["risk"], float)


def test_infinite_numbers_are_a_word():
    answer = ask(*RIDGE, "--N", "100", "--T", "100")
    assert answer["test_excess"] == "inf"
    assert answer["kappa"] > 0
    assert ask(*SGD, "--steps", "3", "--lr", "5")["risk_limit"] == "inf"


def test_simulation_adds_its_distance():
    answer = ask(*RIDGE, "--N", "20", "--T", "30,40", "--ridge", "1", "--simulate", "6")
    assert list(answer) == [*KEYS, "z", "simulation"]
    assert answer["z"] == answer["simulation"]["test_excess"]["z"]
    assert np.shape(answer["z"]) == (2,)
    assert max(map(abs, answer["z"])) < 5
    assert set(answer["simulation"]) == {"draws", "test_excess", "train"}
    again = ask(*RIDGE, "--N", "20", "--T", "30,40", "--ridge", "1", "--simulate", "6")
    assert again == answer
    other = ask(
        *RIDGE, "--N", "20", "--T", "30,40", "--ridge", "1", "--simulate", "6", "--seed", "1"
    )
    assert other["z"] != answer["z"]
    for words in ((*FLOW, "--N", "20", "--T", "30", "--t", "1,2"), (*SGD, "--steps", "1,5")):
        assert len(ask(*words, "--simulate", "3")["z"]) == 2


def test_a_table_for_people_on_stderr():
    result = call("theory", *RIDGE, "--N", "40,50", "--T", "90")
    assert result.stdout == ""
    head, first, second = result.stderr.splitlines()
    assert head.split()[:2] == ["N", "kappa"]
    assert (first.split()[0], second.split()[0]) == ("40", "50")
    result = call("theory", *RIDGE, "--N", "10", "--T", "20")
    assert "note: min(N, T) is below 30" in result.stderr


@pytest.mark.parametrize(
    ("words", "piece"),
    [
        ((*RIDGE, "--N", "0", "--T", "10"), "N = 0.0"),
        ((*RIDGE, "--N", "10", "--T", "-1"), "T = -1.0"),
        ((*RIDGE, "--N", "nan", "--T", "10"), "N = nan"),
        ((*RIDGE, "--N", "10", "--T", "10", "--ridge", "-1"), "ridge = -1.0"),
        ((*RIDGE, "--N", "10", "--T", "10", "--noise", "nan"), "noise = nan"),
        ((*RIDGE, "--N", "10", "--T", "10", "--ridge", "1e300"), "at most 1e+290"),
        ((*RIDGE, "--N", "10", "--T", "10", "--iid"), "not both"),
        (("random-features", "--b", "-1", "--a", "1", "--M", "5", "--N", "1", "--T", "2"), "b ="),
        (("random-features", "--b", "1", "--a", "1", "--M", "0", "--N", "1", "--T", "2"), "M ="),
        ((*FLOW, "--N", "10", "--T", "10", "--t", "-1"), "t = -1.0"),
        ((*FLOW, "--N", "10", "--T", "10", "--t", "1e300"), "inf for the end"),
        ((*SGD, "--steps", "1.5"), "whole"),
        ((*SGD, "--steps", "1", "--batch", "0"), "batch"),
        ((*SGD, "--steps", "1", "--lr", "1e-300"), "lr"),
        (("phases", "--alpha", "0", "--beta", "1"), "alpha"),
        ((*RIDGE, "--N", "inf", "--T", "10", "--simulate", "3"), "N = inf"),
    ],
)
def test_bad_values_are_named_without_a_trace(words, piece):
    result = call("theory", *words, "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert piece in result.stderr


@pytest.mark.parametrize("words", [("--N", "ten"), ("--N", "1,,2"), ("--ridge", "best")])
def test_what_is_no_number_is_a_mistake_of_usage(words):
    assert call("theory", *RIDGE, "--T", "10", "--N", "5", *words).exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--b", "1.5", "--a", "1.5", "--M", "1e15", "--N", "1e6", "--T", "1e6", "--ridge", "1e-99"),
        ("--b", "0.5", "--a", "0.5", "--M", "1e15", "--N", "1e6", "--T", "1e9"),
        ("--b", "0", "--a", "0", "--M", "1e6", "--N", "100", "--T", "1000", "--ridge", "optimal"),
        ("--b", "40", "--a", "2", "--M", "1e6", "--N", "3e5", "--T", "4e5", "--ridge", "1"),
        ("--b", "1.5", "--iid", "--M", "1e8", "--N", "1e30", "--T", "inf", "--ridge", "1e-10"),
        ("--b", "1.5", "--a", "2", "--M", "inf", "--N", "1e-2", "--T", "1e-3", "--ridge", "1"),
        ("--b", "1", "--a", "400", "--M", "1e9", "--N", "3", "--T", "4"),
    ],
)  # fmt: skip
def test_extreme_values_have_finite_answers_that_sum(words):
    answer = ask("random-features", *words, "--noise", "0.1")
    parts = sum(answer[k] for k in ("bias2", "V_F", "V_D", "V_FD"))
    assert parts == near(answer["test_excess"], rel=1e-9)


def test_the_number_of_processes_changes_nothing():
    words = (*RIDGE, "--N", "20", "--T", "30", "--ridge", "1", "--simulate", "3")
    one, two = ask(*words), ask(*words, "--jobs", "2")
    assert two["z"] == pytest.approx(one["z"], rel=1e-9)
    assert two["simulation"]["draws"] == 3

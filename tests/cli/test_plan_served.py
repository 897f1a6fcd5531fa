"""``isoloss plan`` for a model that will serve, and for a loss in place of a budget."""

import json
from pathlib import Path

import pytest

from cli.commands import FEW, call, good, write

ONE = ("--law", "chinchilla", *FEW)
KEYS = {
    "loss", "tokens", "budget", "price", "N", "D", "training", "serving", "N_alone", "D_alone",
    "saved", "tokens_per_parameter", "intervals", "warnings", "sentence",
}  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return write(tmp_path, good())


def test_a_budget_and_tokens_to_serve(runs):
    words = ("--budget", "1e20", "--served", "1e11", "--serving-price", "2", "--json")
    result = call("plan", runs, *words, *ONE)
    answer = json.loads(result.stdout)
    found = answer["served"]
    assert set(found) == KEYS
    assert set(found["intervals"]) == {"N", "D", "saved", "loss"}
    assert found["N_alone"] == answer["N_opt"] > found["N"]
    assert found["serving"] == pytest.approx(2 * found["N"] * 1e11)
    assert (found["price"], found["budget"], answer["budget"]) == (2, 1e20, 1e20)
    # Far more tokens a parameter than any run has: usable with doubt.
    assert result.exit_code == (3 if found["warnings"] else 0)
    loss = ("--loss", repr(found["loss"]), "--served", "2e11", "--flops-per-nd", "6", "--json")
    alone = json.loads(call("plan", runs, *loss, *ONE).stdout)
    assert alone["served"]["N"] == pytest.approx(found["N"], rel=1e-4)
    assert "N_opt" not in alone


def test_words_and_several_budgets(runs):
    words = ("--budget", "1e19", "--budget", "1e20", "--served", "1e11")
    answer = json.loads(call("plan", runs, *words, "--json", *ONE).stdout)
    assert [p["served"]["budget"] for p in answer["plans"]] == [1e19, 1e20]
    shown = call("plan", runs, "--loss", "3", *ONE)
    assert "To reach a loss of 3 train" in shown.stderr
    assert shown.exit_code == 0


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 2, "give --budget, or --loss"),
        (("--budget", "1e20", "--loss", "3"), 2, "one of them"),
        (("--budget", "1e20", "--serving-price", "2"), 2, "needs --served"),
        (("--budget", "1e20", "--served", "-1"), 2, "finite and positive"),
        (("--loss", "nan", "--served", "1e9"), 2, "finite and positive"),
        (("--loss", "0.5", "--served", "1e9"), 1, "aim higher"),
    ],
)
def test_mistakes(runs, words, status, said):
    result = call("plan", runs, *words, *ONE)
    assert result.exit_code == status
    assert said in result.stderr
    assert "Traceback" not in result.output

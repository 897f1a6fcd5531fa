"""Tables of strangers: one resource, several experiments, and what the commands say of them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from cli.commands import DATA, FEW, SIZES, call, good, losses, one_axis, text, write


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    """Two models and two tasks, one resource, and a flag that marks the test part."""
    rows = []
    for k, model in enumerate(("6 Enc, 6 Dec", "ViT/B/16")):
        for j, task in enumerate(("nmt", "lm")):
            chance = np.random.default_rng(2 * k + j).standard_normal(24)
            for i, D in enumerate(np.geomspace(1e7, 1e10, 24)):
                loss = (1 + 0.5 * k + j + 2100 * D**-0.4) * np.exp(0.002 * chance[i])
                rows.append(f'"{model}",{task},{D},{loss},{int(i < 18)}')
    return write(tmp_path, "Model,Task,Seen Examples,Loss,Training\n" + "\n".join(rows) + "\n")


def test_fit_takes_the_law_of_the_one_resource_and_says_why(tmp_path):
    path = write(tmp_path, one_axis())
    result = call("fit", path, *FEW)
    assert result.exit_code == 0
    assert "power_floor: E + A*D**-alpha\n  taken because D is the only resource" in result.stderr
    answer = json.loads(call("fit", path, "--json", *FEW).stdout)
    assert answer["law_reason"] == "D is the only resource in the runs"
    assert answer["parameters"]["alpha"] == pytest.approx(0.37, abs=0.03)
    named = json.loads(call("fit", path, "--law", "power", "--json", *FEW).stdout)
    assert (named["law"], named["law_reason"]) == ("power", None)


def test_fit_takes_chinchilla_with_both_and_asks_where_it_cannot_tell(tmp_path):
    path = write(tmp_path, good())
    assert "chinchilla" in call("fit", path, *FEW).stderr
    axis = call("fit", path, "--axis", "D", *FEW).stderr
    assert "taken because one resource was asked for: D" in axis
    table = text(U=DATA.tolist(), D=(2 * DATA).tolist(), loss=losses(SIZES, DATA).tolist())
    result = call("fit", write(tmp_path, table, "other.csv"))
    assert result.exit_code == 1
    assert "the runs have D, U but not N and D both" in result.stderr
    assert "--axis D" in result.stderr


@pytest.mark.parametrize("words", [("fit",), ("forecast", "--at", "D=1e11"), ("study",)])
def test_a_mixed_table_is_doubtful_and_its_remedy_works(curves, tmp_path, words):
    laws = () if words[0] == "fit" else ("--law", "power_floor")
    out = ("--out", tmp_path / "s") if words[0] == "study" else ()
    first, *rest = words
    mixed = call(first, curves, *rest, *laws, *out, *FEW)
    assert mixed.exit_code == 3
    line = next(x for x in mixed.stderr.splitlines() if x.startswith("warning MIXED_TEXT"))
    option = line.partition("such as ")[2].partition(" (in Python")[0]
    single = call(first, curves, *rest, *laws, *out, *FEW, *shlex.split(option))
    assert "MIXED_TEXT" not in single.stderr
    assert "note SELECTED: 24 of 96 rows were selected by" in single.stderr
    if first == "fit":
        assert single.exit_code == 0
        assert "rms residual 0.1" in single.stderr or "rms residual 0.2" in single.stderr


def test_a_mixed_table_is_doubtful_even_where_the_law_fits(tmp_path):
    N, D = np.repeat(SIZES, 2), np.repeat(DATA, 2)
    table = {"N": N.tolist(), "D": D.tolist(), "loss": losses(N, D).tolist()}
    path = write(tmp_path, text(**table, data=["a", "b"] * len(SIZES)))
    plain = write(tmp_path, text(**table), "plain.csv")
    law = ("--law", "chinchilla")
    for words in (("fit",), ("forecast", "--at", "N=2e8,D=1.2e10"), ("plan", "--budget", "2e19")):
        codes = [call(words[0], p, *words[1:], *law, *FEW).exit_code for p in (path, plain)]
        assert codes == [3, 0], words


def test_a_study_of_a_mixed_table_says_so_first(curves, tmp_path):
    words = ("study", curves, "--law", "power_floor", "--out", tmp_path / "s", "--json", *FEW)
    answers = json.loads(call(*words).stdout)
    assert answers["headline"][0].startswith("Caution: several experiments may be taken as one")
    assert "--where" in answers["headline"][0]
    first = [d for d in answers["distrust"] if d["severity"] == "high"]
    assert "MIXED_TEXT" in {d["code"] for d in first}
    report = (tmp_path / "s" / "report.md").read_text("utf8")
    assert report.index("Caution: several") < report.index("Expected loss")
    chosen = json.loads(call(*words, "--where", "Task=lm", "--where", "Model=ViT/B/16").stdout)
    assert not any(line.startswith("Caution") for line in chosen["headline"])
    assert "where Task=lm, Model=ViT/B/16" in chosen["title"]
    assert "--where Task=lm" in chosen["command"]
    assert chosen["input"]["digest"] != answers["input"]["digest"]
    assert "SELECTED" in {n["code"] for n in chosen["input"]["notes"]}


def test_values_with_commas_bars_and_comparisons(curves):
    def rows(*where: str) -> int:
        words = [w for text in where for w in ("--where", text)]
        result = call("fit", curves, "--json", "--draws", "0", *words)
        answer = json.loads(result.stdout)
        assert [n["code"] for n in answer["notes"]].count("SELECTED") == 1
        return int(answer["n_rows"])

    assert rows("Model=6 Enc, 6 Dec") == 48
    assert rows('Model="6 Enc, 6 Dec"|ViT/B/16,Task=lm,Training=1') == 36
    assert rows("Task=lm,Model!=6 Enc, 6 Dec") == 24
    assert rows("Task=lm", "Model=ViT/B/16", "D>=1e8", "D<=1e9") == 8


@pytest.mark.parametrize(
    ("where", "code", "message"),
    [
        ("Model", 2, "write NAME=VALUE"),
        ("D<few", 2, "needs one number"),
        ("Modl=x", 1, "did you mean 'Model'?"),
        ("Task=ml", 1, "'Task' holds 'lm', 'nmt'"),
        ("D>1e20", 1, "'D' goes from 1e+07 to 1e+10"),
        ("D<1.1e7,Task=lm,Model=ViT/B/16", 1, "loosen a condition"),
    ],
)
def test_mistakes_end_with_a_message(curves, where, code, message):
    result = call("fit", curves, "--where", where)
    assert result.exit_code == code
    assert message in result.stderr


def test_reading_options_need_a_table():
    result = call("study", "--where", "N<1e9")
    assert result.exit_code == 2
    assert "need RUNS" in result.stderr


def test_forecast_and_plan_say_which_laws_were_taken(tmp_path):
    path = write(tmp_path, one_axis())
    answer = call("forecast", path, "--at", "D=1e12", *FEW)
    assert "laws of D, as the runs do not have N and D both: power_floor" in answer.stderr
    both = write(tmp_path, good(), "both.csv")
    assert "laws of N and D, which the runs have: chinchilla" in (
        call("plan", both, "--budget", "1e20", *FEW).stderr
    )

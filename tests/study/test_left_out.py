"""Answers without runs that no law explains say so, and give the answer with them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cli.commands import call, text, write
from isoloss import study
from isoloss.runs import Runs
from isoloss.study import Study


def spoiled() -> dict[str, np.ndarray]:
    N, D = np.repeat([1e7, 3e7, 1e8, 3e8, 1e9], 5), np.tile([3e8, 1e9, 3e9, 1e10, 3e10], 5)
    noise = 0.003 * np.random.default_rng(4).standard_normal(25)
    loss = (1.8 + 480 * N**-0.35 + 2100 * D**-0.37) * np.exp(noise)
    loss[7] *= 1.3
    return {"N": N, "D": D, "loss": loss}


@pytest.fixture(scope="module")
def found() -> Study:
    return study(Runs(columns=spoiled()), laws=["chinchilla", "coupled"], draws=60)


def test_the_study_says_it_everywhere(found: Study) -> None:
    answers = found.answers
    (row,) = answers["left_out"]["rows"]
    assert row["name"] == found.runs.names[7]
    sentence = answers["left_out"]["sentence"]
    assert sentence in answers["headline"]
    (doubt,) = [d for d in answers["distrust"] if d["code"] == "UNEXPLAINED_RUNS"]
    assert doubt["severity"] == "high"
    (item,) = [i for i in answers["checklist"] if i["item"] == "Excluded points"]
    assert sentence in item["answer"]


def test_both_answers_stand_side_by_side(found: Study) -> None:
    without, with_it = found.answers["influence"]["side_by_side"][:2]
    assert without["answer"] == "without the 1 run that no law explains"
    assert without["n_left_out"] == 1
    assert with_it["answer"] == "with the 1 run that no law explains"
    assert with_it["n_left_out"] == 0
    ours, theirs = (r["forecasts"][0] for r in (without, with_it))
    assert ours["loss"] == found.answers["forecasts"][0]["loss"]
    assert theirs["loss"] != ours["loss"]


@pytest.mark.parametrize(
    "command", [("forecast", "--compute", "1e21"), ("plan", "--budget", "1e21")]
)
def test_commands_list_it_and_end_in_doubt(tmp_path, command) -> None:
    path = write(tmp_path, text(**{n: v.tolist() for n, v in spoiled().items()}))
    word, *target = command
    options = ("--law", "chinchilla", "--draws", "50")
    result = call(word, path, *target, *options, "--json")
    assert result.exit_code == 3
    assert [r["name"] for r in json.loads(result.stdout)["left_out"]] == ["row 8"]
    assert "UNEXPLAINED_RUNS" in result.stderr
    spoken = call(word, path, *target, *options)
    assert "1 of 25 runs is left out" in spoken.stderr
    kept = call(word, path, *target, *options, "--outliers", "keep", "--json")
    assert json.loads(kept.stdout)["left_out"] == []

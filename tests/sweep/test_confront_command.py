"""``isoloss sweep confront`` from training to tables, and what it refuses."""

import json

import pytest
from click.testing import CliRunner

from isoloss.cli import main

GRID = """
batch = 32
lr = 0.01
steps = 40
choose = "best"
[model]
kind = "mlp"
depth = 1
width = 8
[data]
name = "teacher"
dimension = 3
teacher_width = 4
teacher_depth = 1
examples = 1024
[[grid]]
D = [64, 80, 96, 112, 128, 1024]
seed = [0, 1]
"""


def call(*words):
    result = CliRunner().invoke(main, ["sweep", "confront", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.slow
def test_tables_that_were_made_give_the_same_answer(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    (tmp_path / "tiny.toml").write_text(GRID)
    made = call("--grid", tmp_path / "tiny.toml", "--out", tmp_path / "out", "--json",
                "--csv", tmp_path / "scores.csv", "--plot", tmp_path / "p.svg")  # fmt: skip
    assert made.exit_code in (0, 3)
    again = call("--read", tmp_path / "out", "--json")
    assert json.loads(again.stdout) == json.loads(made.stdout)
    one = json.loads(made.stdout)["tiny"]
    assert one["small_D"] == 128
    assert {s["D"] for s in one["scores"]} == {1024}
    assert (tmp_path / "p.svg").read_text().startswith("<?xml")
    assert (tmp_path / "scores.csv").read_text().startswith("data,forecaster,")


def test_bad_input_is_said_in_a_sentence(tmp_path):
    for words, code, said in (
        ((), 2, "--out"),
        (("--out", tmp_path, "--read", tmp_path), 2, "--out"),
        (("--read", tmp_path), 1, "no file"),
        (("--read", tmp_path, "--plot", "x.gif"), 2, ".svg"),
        (("--out", tmp_path / "o", "--grid", "no-such"), 1, "no-such"),
    ):
        result = call(*words)
        assert (result.exit_code, said in result.output) == (code, True), (words, result.output)
    (tmp_path / "confront-runs.csv").write_text("a\n1\n")
    assert "no column 'data'" in call("--read", tmp_path).output

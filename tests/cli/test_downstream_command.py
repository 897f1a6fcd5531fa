"""``isoloss downstream``: gaps in accuracies, tasks that cannot be read, and what JSON lists."""

import json
from pathlib import Path

import numpy as np
import pytest

from cli.commands import DATA, SIZES, call, losses, text, write

FAST = ("--draws", "60", "--law", "chinchilla")


def table(*gaps: int, gap: str = "") -> str:
    """Thirty runs with a task that rises; some rows hold something else."""
    loss = losses(SIZES, DATA)
    quiz = [str(v) for v in 0.25 + 0.6 / (1 + np.exp(3 * (loss - 2.9)))]
    for i in gaps:
        quiz[i] = gap
    return text(N=SIZES.tolist(), D=DATA.tolist(), loss=loss.tolist(), quiz=quiz)


@pytest.mark.parametrize("gap", ["", "nan", "<img src=x onerror=alert(1)>"])
def test_rows_without_an_accuracy_are_listed_and_the_others_used(tmp_path: Path, gap: str):
    path = write(tmp_path, table(3, 20, gap=gap))
    found = call("downstream", path, "--task", "quiz,chance=0.25", *FAST, "--json")
    said = json.loads(found.stdout)
    assert [r["row"] for r in said["refused"]] == [4, 21]
    assert said["tasks"][0]["verdict"] == "predictable"
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--task", "exam"], 1, "'exam' (for exam) is not there"),
        (["--task", "quiz", "--task", "quiz"], 1, "'quiz' is given twice"),
        (["--task", "quiz,items=1.5"], 2, "is not a whole number"),
        (["--task", ""], 2, "write COLUMN"),
        (["--task", "loss"], 1, "accuracies from 0 to 1"),
    ],
)
def test_what_cannot_be_a_task_is_said_before_any_fit(
    tmp_path: Path, words: list[str], status: int, says: str
):
    found = call("downstream", write(tmp_path, table()), *words, *FAST)
    assert found.exit_code == status
    assert says in found.stderr
    assert "fitting" not in found.stderr


def test_counts_may_be_written_with_an_exponent(tmp_path: Path):
    words = ("--task", "quiz,chance=0.25,items=1e4")
    assert call("downstream", write(tmp_path, table()), *words, *FAST).exit_code == 0

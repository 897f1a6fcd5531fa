"""A file that cannot be written costs no answer: it is printed first, and the status is 1."""

import json
from pathlib import Path

import pytest

from cli.commands import DATA, SIZES, call, good, losses, write

pytest.importorskip("matplotlib")
CURVES = Path(__file__).parents[2] / "docs" / "data" / "curves"


@pytest.mark.parametrize("command", ["power", "compare", "schedule", "watch"])
def test_the_answer_is_printed_where_its_picture_cannot_be_written(tmp_path: Path, command: str):
    first = write(tmp_path, good(), "a.csv")
    other = write(tmp_path, good(loss=(0.99 * losses(SIZES, DATA, seed=1)).tolist()), "b.csv")
    usual = ("--floor", "0", "--warmup", "100")
    words = {
        "power": (first, "--law", "chinchilla", "--at", "C=1e21", "--effect", "1.05"),
        "compare": (first, other, "--law", "chinchilla", "--draws", "100"),
        "schedule": (CURVES / "w16-cosine.csv", *usual, "--schedule", "linear:2400"),
        "watch": (CURVES / "w16-wsd.csv", *usual, "--plan", "wsd-linear:1920:2400"),
    }[command]
    found = call(command, *words, "--json", "--plot", first / "x.svg")
    assert found.exit_code == 1
    assert json.loads(found.stdout)
    assert "a file is where a folder must be" in found.stderr

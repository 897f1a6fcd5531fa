"""``isoloss downstream --observational``."""

import csv
import json
from pathlib import Path

import pytest

from cli.commands import call
from downstream import published

WORDS = ("--observational", *(w for b in published.BENCHMARKS for w in ("--benchmark", b)))
TASK = ("--task", "reason,chance=0.25,items=2000")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    table = published.table(1, missing=0.05)
    table["PF"] = [c / 1e15 for c in table.pop("C")]
    path = tmp_path / "models.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(table)
        out.writerows(
            ["" if v is None else v for v in row] for row in zip(*table.values(), strict=True)
        )
    return path


def test_json_and_words(models):
    words = (*WORDS, *TASK, "--columns", "C=PF", "--units", "PF=1e15", "--model", "f0,C=1e24")
    result = call("downstream", models, *words, "--json")
    answer = json.loads(result.stdout)
    (task,) = answer["tasks"]
    (forecast,) = task["forecasts"]
    assert answer["kind"] == "observational"
    assert (task["verdict"], result.exit_code) == ("predictable", 0)
    assert (forecast["family"], forecast["C"]) == ("f0", 1e24)
    assert forecast["interval"]["low"] < forecast["accuracy"] < forecast["interval"]["high"]
    shown = call("downstream", models, *words).stderr
    assert "f0 at C = 1e+24" in shown
    assert "missing scores filled" in shown


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((*WORDS, *TASK, "--at", "N=3"), 2, "--at goes without --observational"),
        ((*TASK, "--benchmark", "arc"), 2, "--benchmark needs --observational"),
        ((*WORDS, *TASK, "--model", "f0"), 2, "FAMILY,C=X"),
        ((*WORDS, *TASK, "--model", "f0,C=-1"), 2, "finite and positive"),
        ((*WORDS, *TASK, "--columns", "loss=x"), 2, "only family and C"),
        ((*WORDS, *TASK), 1, "C: no such column"),
        ((*WORDS, *TASK, "--columns", "C=PF", "--model", "zoo,C=1e9"), 1, "family 'zoo'"),
        (("--observational", *TASK, "--columns", "C=PF"), 1, "too few"),
        ((*WORDS, "--task", "model", "--columns", "C=PF"), 1, "not a number"),
    ],
)
def test_mistakes(models, words, status, said):
    result = call("downstream", models, *words)
    assert result.exit_code == status
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("text", [b"", b"a,b\n", b"a,a\n1,2\n", b"a,b\n1\n", b"\xff\xfe\x00\n1\n"])
def test_files_that_are_no_tables(tmp_path, text):
    path = tmp_path / "bad.csv"
    path.write_bytes(text)
    result = call("downstream", path, *WORDS, *TASK)
    assert result.exit_code == 1
    assert "error: " in result.stderr

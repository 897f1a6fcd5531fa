import json

import pytest
from click.testing import CliRunner

from isoloss.cli import main
from isoloss.coverage import simulate

FEW = ("--only", "chinchilla/isoflop-20/*", "--repeats", "2", "--draws", "9")


def call(*words):
    return CliRunner().invoke(main, ["coverage", *map(str, words)])


@pytest.fixture(autouse=True)
def _fast(fake, monkeypatch):
    monkeypatch.setattr(simulate, "score_repeat", fake)


def test_tables_on_stderr_json_on_stdout_and_files(tmp_path):
    done = call(*FEW, "--out", tmp_path, "--json")
    assert done.exit_code == 0
    printed = json.loads(done.stdout)
    assert printed == json.loads((tmp_path / "coverage.json").read_text("utf8"))
    assert (printed["timing"]["jobs"], len(printed["cells"])) == (1, 5)
    assert "one-sided" in done.stderr
    assert "joint, inside" in done.stderr
    assert (tmp_path / "coverage.md").read_text("utf8").startswith("# Coverage\n")
    again = call(*FEW, "--out", tmp_path)
    assert again.exit_code == 0
    assert again.stdout == ""


def test_progress_says_what_is_left(tmp_path):
    assert "1/10  chinchilla/isoflop-20/" in call(*FEW, "--out", tmp_path).stderr


def test_interrupted_is_usable_with_doubt(tmp_path, monkeypatch, fake):
    def interrupted(cell, index, settings):
        if index:
            raise KeyboardInterrupt
        return fake(cell, index, settings)

    monkeypatch.setattr(simulate, "score_repeat", interrupted)
    done = call(*FEW, "--out", tmp_path)
    assert done.exit_code == 3
    assert "start again with the same settings" in done.stderr
    assert "some repeats that were asked for are missing" in done.stderr


def test_check_says_right_or_wrong(tmp_path):
    call(*FEW, "--out", tmp_path)
    path = tmp_path / "coverage.json"
    assert call("--check", path).exit_code == 0
    found = json.loads(call("--check", path, "--json").stdout)
    assert (found["ok"], found["rerun"]) == (True, 0)
    # The fake's numbers are not those of the procedure that the check runs.
    other = call("--check", path, "--sample", 1)
    assert other.exit_code == 1
    assert "0 of 1 repeats" in other.stderr
    path.write_text(path.read_text("utf8").replace('"answered": 10', '"answered": 9', 1))
    assert call("--check", path).exit_code == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--quick", "--nightly"), "one of them"),
        (("--sample", "3"), "needs --check"),
        (("--repeats", "0"), "--repeats"),
        (("--draws", "0"), "--draws"),
        (("--level", "1"), "--level"),
        (("--check", "nowhere.json"), "--check"),
    ],
)
def test_usage(words, message):
    done = call(*words)
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize("words", [("--quick",), ("--repeats", "2"), ("--draws", "1000")])
def test_options_without_effect_are_refused(tmp_path, words):
    path = tmp_path / "coverage.json"
    path.write_text("{}")
    done = call("--check", path, *words)
    assert done.exit_code == 2
    assert f"{words[0]} has no effect" in done.stderr


def test_an_unknown_cell_is_an_error_with_the_names(tmp_path):
    done = call("--only", "chinchila/*", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "isoflop-20" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()

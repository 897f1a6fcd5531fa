import errno
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli.commands import DATA, FEW, SIZES, call, good, losses, text, write
from isoloss.cli import main

# Each command with what it needs beyond the table.
COMMANDS = {
    "fit": (),
    "forecast": ("--at", "N=1e9,D=2e10"),
    "plan": ("--budget", "1e21"),
    "study": (),
}


def ask(command, path, *words, out=None):
    folder = ("--out", out) if command == "study" and out else ()
    return call(command, path, *COMMANDS[command], "--json", *FEW, *folder, *words)


def refused(result, *pieces, code=1):
    """One line of error that says what, no trace, nothing on stdout."""
    assert result.exit_code == code
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.lower().startswith("error:")]
    assert len(errors) == 1
    assert "Traceback" not in result.stderr
    for piece in pieces:
        assert piece in errors[0]


TABLES = {
    "empty": (b"", "empty"),
    "header only": (b"N,D,loss\n", "no rows"),
    "one row": (b"N,D,loss\n1e7,1e9,3\n", "add runs"),
    "all NaN": (b"N,D,loss\nnan,nan,nan\n,,\n", "no usable row"),
    "negative losses": (good(loss=[-1] * 30).encode(), "above 0"),
    "text for numbers": (good(loss=["low"] * 30).encode(), "not a number"),
    "not UTF-8": (b"N,D,loss\n1e7,1e9,\xff\xfe\n", "UTF-8"),
    "pickle": (pickle.dumps({"N": [1.0], "loss": [2.0]}), "pickle"),
    "no loss": (b"N,D\n1e7,1e9\n2e7,1e9\n", "loss"),
    "broken JSON": (b'{"N": [1, 2', "JSON"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", TABLES)
def test_tables_that_hold_no_runs_are_refused(command, kind, tmp_path):
    content, piece = TABLES[kind]
    path = write(tmp_path, content)
    refused(ask(command, path, out=tmp_path / "out"), piece)
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_paths_that_hold_no_file_are_refused(command, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    refused(ask(command, "absent.csv", out=out), "no such file", "absent.csv")
    refused(ask(command, tmp_path, out=out), "is a folder", "pass the file inside")
    path = write(tmp_path, good())
    whole = Path.open

    def guarded(self, *args, **kwargs):
        if self.name == path.name:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", guarded)
    refused(ask(command, path, out=out), "Permission denied", path.name)


def test_a_truncated_parquet_file_is_refused(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"N": SIZES, "D": DATA, "loss": losses(SIZES, DATA)}
    parquet.write_table(pyarrow.table(columns), tmp_path / "whole.parquet")
    assert ask("fit", tmp_path / "whole.parquet").exit_code == 0
    content = (tmp_path / "whole.parquet").read_bytes()
    for command in COMMANDS:
        path = write(tmp_path, content[: len(content) // 2], "half.parquet")
        refused(ask(command, path, out=tmp_path / "out"), "arquet")


@pytest.mark.parametrize("command", COMMANDS)
def test_numbers_beyond_doubles_are_refused_row_by_row(command, tmp_path):
    content = good() + "1e400,1e9,3\n1e-400,1e9,3\n1e9,1e9,1e-400\n"
    result = ask(command, write(tmp_path, content), out=tmp_path / "out")
    assert result.exit_code in (0, 3)
    answer = json.loads(result.stdout)
    rows = answer["input"]["refused"] if command == "study" else answer["refused"]
    assert [r["row"] for r in rows] == [31, 32, 33]
    assert [r["code"] for r in rows] == ["NOT_FINITE", "NOT_POSITIVE", "NOT_POSITIVE"]
    assert result.stderr.count("refused row") == 3


@pytest.mark.parametrize(
    ("command", "words", "pieces"),
    [
        ("forecast", ("--at", "N=abc,D=1"), ["N = 'abc' is not a number"]),
        ("forecast", ("--at", "N=1e400,D=1e9"), ["N = '1e400' must be finite and positive"]),
        ("forecast", ("--at", "N=-1,D=1e9"), ["must be finite and positive"]),
        ("forecast", ("--at", "N"), ["write NAME=VALUE"]),
        ("forecast", ("--compute", "0"), ["'0' must be finite and positive"]),
        ("plan", ("--budget", "-1"), ["'-1' must be finite and positive"]),
        ("plan", ("--budget", "0"), ["--budget", "must be finite and positive"]),
        ("plan", ("--budget", "nan"), ["must be finite and positive"]),
        ("plan", ("--budget", "inf"), ["must be finite and positive"]),
        ("plan", ("--budget", "much"), ["is not a number"]),
        ("plan", ("--flops-per-nd", "0"), ["--flops-per-nd", "positive"]),
        ("plan", ("--tolerance", "-1"), ["--tolerance", "positive"]),
        ("plan", ("--unique", "-5"), ["--unique", "positive"]),
        ("study", ("--budget", "nan"), ["must be finite and positive"]),
        ("study", ("--at", "D=inf"), ["must be finite and positive"]),
        ("fit", ("--seed", "-1"), ["--seed"]),
        ("fit", ("--draws", "-1"), ["--draws"]),
        ("fit", ("--level", "1"), ["--level"]),
        ("fit", ("--units", "N=0"), ["N = '0' must be finite and positive"]),
        ("fit", ("--bounds", "alpha=0.2"), ["is not LOW:HIGH"]),
        ("fit", ("--pin", "E=low"), ["E = 'low' is not a number"]),
    ],
)
def test_options_that_cannot_be_are_usage_errors(command, words, pieces, tmp_path):
    path = write(tmp_path, good())
    refused(ask(command, path, *words, out=tmp_path / "out"), *pieces, code=2)


@pytest.mark.parametrize(
    ("command", "words", "pieces"),
    [
        ("fit", ("--law", "nope"), ["'nope' is not known", "chinchilla"]),
        ("fit", ("--law", ""), ["is not known"]),
        ("fit", ("--law", "__import__('os').system('x')"), ["unexpected character"]),
        ("fit", ("--law", "E+A*N**-a" + "+0" * 50_000), ["at most"]),
        ("fit", ("--law", "(" * 1900 + "N" + ")" * 1900), ["formula"]),
        ("fit", ("--law", "E + A*N**-a + B*Q**-b", "--axis", "Q"), []),
        ("fit", ("--objective", "nope"), ["write lsq, lad, huber"]),
        ("fit", ("--level", "nan"), ["between 0 and 1"]),
        ("fit", ("--units", "Q=2"), ["no column 'Q'"]),
        ("fit", ("--columns", "N=absent"), ["'absent'"]),
        ("fit", ("--pin", "self=1"), ["no parameter 'self'", "alpha"]),
        ("fit", ("--tie", "self=alpha"), ["no parameter 'self'"]),
        ("fit", ("--bounds", "self=1:2"), ["no parameter 'self'"]),
        ("fit", ("--tie", "beta=self"), ["self"]),
        ("fit", ("--bounds", "alpha=2:1"), ["must be below"]),
        ("forecast", ("--law", "nope"), ["not known"]),
        ("plan", ("--law", "power", "--axis", "N"), ["nothing to plan"]),
        ("study", ("--law", "nope"), ["not known"]),
    ],
)
def test_requests_that_make_no_sense_are_refused(command, words, pieces, tmp_path):
    path = write(tmp_path, good())
    refused(ask(command, path, *words, out=tmp_path / "out"), *pieces)


def test_a_target_without_all_resources_is_refused(tmp_path):
    path = write(tmp_path, good())
    law = ("--law", "chinchilla", *FEW)
    refused(call("forecast", path, "--at", "N=1e9", *law, "--json"), "D missing", "D=...")
    study = ("study", path, "--at", "D=1e9", "--out", tmp_path / "out")
    refused(call(*study, *law, "--json"), "N missing")


def test_nothing_to_forecast_is_a_usage_error(tmp_path):
    result = call("forecast", write(tmp_path, good()))
    assert result.exit_code == 2
    assert "--at" in result.stderr
    assert "--compute" in result.stderr
    assert call("plan", write(tmp_path, good())).exit_code == 2
    assert call("fit").exit_code == 2
    assert call("nonsense").exit_code == 2


def test_a_run_named_like_a_script_stays_text(tmp_path):
    name = "<script>alert(1)</script>"
    path = write(tmp_path, good(name=[name] + [f"r{i}" for i in range(29)]))
    result = ask("study", path, "--law", "chinchilla", out=tmp_path / "out")
    assert result.exit_code in (0, 3)
    assert name in json.loads(result.stdout)["runs"]["name"]
    page = (tmp_path / "out" / "report.html").read_text("utf8")
    assert name not in page
    assert "alert(1)" in page
    for figure in (tmp_path / "out").rglob("*.svg"):
        assert name not in figure.read_text("utf8")


def test_names_that_are_no_valid_text_are_printed_all_the_same(tmp_path):
    rows = [
        {"name": f"\ud800{i}é", "N": n, "D": d, "loss": v}
        for i, (n, d, v) in enumerate(zip(SIZES, DATA, losses(SIZES, DATA), strict=True))
    ]
    result = ask("fit", write(tmp_path, json.dumps(rows), "runs.json"))
    assert result.exit_code == 0
    json.loads(result.stdout_bytes.decode("utf8"))


def test_json_is_utf8_where_the_terminal_is_not(tmp_path):
    names = [f"größe {i}" for i in range(30)]
    path = write(tmp_path, good(name=names))
    words = ["study", str(path), "--law", "chinchilla", "--draws", "0", "--json"]
    result = CliRunner(charset="latin-1").invoke(main, [*words, "--out", str(tmp_path / "out")])
    assert json.loads(result.stdout_bytes.decode("utf8"))["runs"]["name"] == names


def test_an_out_that_is_a_file_is_refused_before_any_work(tmp_path):
    out = write(tmp_path, "kept", "taken")
    result = ask("study", write(tmp_path, good()), out=out)
    refused(result, "is a file", "give a folder")
    assert "holding out" not in result.stderr
    assert out.read_text() == "kept"


def test_a_full_disk_ends_with_a_message_and_the_old_report_is_whole(tmp_path, monkeypatch):
    out, path = tmp_path / "out", write(tmp_path, good())
    assert ask("study", path, "--law", "chinchilla", out=out).exit_code in (0, 3)
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = ask("study", path, "--law", "kaplan", "--draws", "0", out=out)
    refused(result, "No space left on device", "free some space")
    after = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    assert after == before


def test_a_fit_that_failed_says_so_and_exits_with_one(tmp_path):
    # Fewer configurations than parameters, behind repeats that hide it from the row count.
    rows = text(N=[1e7, 1e7, 2e7, 2e7], D=[1e9] * 4, loss=[3.0, 3.1, 2.9, 2.95])
    result = call("fit", write(tmp_path, rows), "--json", *FEW)
    assert result.exit_code == 1
    assert "error: " in result.stderr


def test_doubt_exits_with_three_and_still_answers(tmp_path):
    path = write(tmp_path, good())
    far = ("--at", "N=1e15,D=1e16")
    result = call("forecast", path, *far, "--law", "chinchilla", "--json", *FEW)
    assert result.exit_code == 3
    assert "well beyond what was tested" in json.loads(result.stdout)["sentence"]
    result = call("plan", path, "--budget", "1e30", "--law", "chinchilla", "--json", *FEW)
    assert result.exit_code == 3
    assert any("well beyond" in w for w in json.loads(result.stdout)["warnings"])
    few = write(tmp_path, "\n".join(good().splitlines()[:9]) + "\n", "few.csv")
    result = call("fit", few, "--json", *FEW)
    assert result.exit_code == 3
    assert json.loads(result.stdout)["status"] == "suspect"


@pytest.mark.slow
def test_a_million_rows_are_fitted(tmp_path):
    rng = np.random.default_rng(0)
    N = np.exp(rng.uniform(np.log(1e7), np.log(1e9), 1_000_000))
    D = np.exp(rng.uniform(np.log(1e8), np.log(1e11), 1_000_000))
    table = np.column_stack([N, D, losses(N, D, noise=0.01)])
    path = tmp_path / "many.csv"
    np.savetxt(path, table, fmt="%.10g", delimiter=",", header="N,D,loss", comments="")
    result = call("fit", path, "--law", "chinchilla", "--draws", "100", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code in (0, 3)
    assert answer["n_rows"] == 1_000_000
    truth = {"E": 1.8, "A": 480, "B": 2100, "alpha": 0.35, "beta": 0.37}
    assert answer["parameters"] == pytest.approx(truth, rel=0.02)
    for name, value in answer["parameters"].items():
        i = answer["intervals"][name]
        assert i["low"] < value < i["high"]
        assert i["high"] - i["low"] < 0.05 * value

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from isoloss.cli import main
from isoloss.runs import read_runs
from isoloss.sweep import read_ledger, tasks
from sweep import made

GRID = """
batch = 8
lr = "0.1 / width"
D = [64, 128]
seed = [0, 1]
[model]
kind = "mlp"
width = [4, 8]
[data]
name = "mnist-5k"
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    made.install(monkeypatch.setattr)
    monkeypatch.setattr(tasks, "do_task", made.do_task)
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(GRID)
    return tmp_path


def isoloss(*words: str):
    return CliRunner().invoke(main, ["sweep", *words])


def test_a_sweep_by_file_with_table_and_picture(place):
    pytest.importorskip("matplotlib")
    done = isoloss("my.toml", "--executor", "here", "--csv", "runs.csv", "--plot", "loss.svg")
    assert done.exit_code == 0, done.output
    assert "8/8" in done.stderr
    assert "8 of 8 runs done, 0 diverged, 0 failed; ledger my.jsonl" in done.stderr
    assert "kWh" in done.stderr
    assert len(read_ledger(Path("my.jsonl"))) == 8
    assert len(read_runs("runs.csv").names) == 8
    assert Path("loss.svg").read_text().startswith("<?xml")
    again = isoloss("my.toml", "--executor", "here", "--json")
    assert again.exit_code == 0
    answer = json.loads(again.stdout)
    assert (answer["runs"], answer["done"], answer["flops"]) == (8, 8, 0.0)
    assert again.stderr == ""


def test_a_dry_run_shows_runs_tasks_cost_and_time_and_trains_nothing(place):
    done = isoloss("my.toml", "--dry-run", "--executor", "local:2")
    assert done.exit_code == 0, done.output
    assert done.stderr.count("FLOPs\n") == 9
    assert "8 runs, 0 done; tasks: 8 single" in done.stderr
    assert "with 2 workers (speed assumed)" in done.stderr
    assert not Path("my.jsonl").exists()
    isoloss("my.toml", "--executor", "here", "--max-cost", "2000")
    plan = json.loads(isoloss("my.toml", "--dry-run", "--json").stdout)
    assert sum(run["done"] for run in plan["runs"]) == 2
    assert len(plan["tasks"]) == 6
    assert plan["speed"] == "measured"
    assert plan["flops_left"] == sum(r["flops"] for r in plan["runs"] if not r["done"])
    assert plan["kwh"] > 0


def test_options_may_stand_before_the_grid_and_run_may_be_written(place):
    for words in (["--dry-run", "my.toml"], ["run", "my.toml", "--dry-run"]):
        assert isoloss(*words).exit_code == 0
    assert "students" in isoloss("teacher", "--help").output.lower()
    assert "GRID" in isoloss("--help").output
    assert isoloss().exit_code == 0


def test_built_in_grids_are_listed(place):
    shown = isoloss("--list")
    assert shown.exit_code == 0
    assert {"fashion-data", "quick", "stdlib"} <= {
        line.split()[0] for line in shown.stdout.splitlines()
    }
    assert "113 runs" in shown.stdout


def test_runs_without_a_result_are_told_and_the_status_says_doubt(place, monkeypatch):
    specs = tasks_of(place)
    monkeypatch.setenv("MADE_FAILS", specs[0].name)
    monkeypatch.setenv("MADE_DIVERGES", specs[1].name)
    done = isoloss("my.toml", "--executor", "here")
    assert done.exit_code == 3
    assert f"failed: {specs[0].name}: ValueError: went wrong on purpose" in done.stderr
    assert f"diverged: {specs[1].name}: loss is NaN" in done.stderr
    assert "the same command tries the failed runs again" in done.stderr
    for _ in range(2):
        isoloss("my.toml", "--executor", "here")
    done = isoloss("my.toml", "--executor", "here", "--json")
    answer = json.loads(done.stdout)
    assert (answer["failed"], answer["given_up"]) == (0, 1)
    assert answer["without_result"][0]["reason"] == "ValueError: went wrong on purpose"
    assert done.exit_code == 3


def tasks_of(place):
    from isoloss.sweep import read_grid

    return read_grid(place / "my.toml")


@pytest.mark.parametrize(
    ("words", "status", "piece"),
    [
        (["nowhere.toml"], 1, "no such file, and no built-in grid"),
        (["my.toml", "--executor", "moon"], 1, "executor = 'moon'"),
        (["my.toml", "--executor", "local:0"], 1, "write local:4"),
        (["my.toml", "--max-cost", "-1"], 2, "must be finite and positive"),
        (["my.toml", "--max-cost", "1"], 1, "leaves no run"),
        (["my.toml", "--plot", "x.pdf"], 2, "end the name in .svg or .png"),
        (["my.toml", "--workers", "0"], 2, "--workers"),
        (
            ["my.toml", "--ledger", "my.toml/x", "--executor", "here"],
            1,
            "my.toml is a file; give another",
        ),
        (["my.toml", "--ledger", "."], 2, "is a directory"),
        (["my.toml", "--nonsense"], 2, "No such option"),
    ],
)
def test_mistakes_are_a_line_and_a_status(place, words, status, piece):
    done = isoloss(*words)
    assert (done.exit_code, piece in done.stderr, "Traceback" in done.output) == (
        status, True, False,
    ), done.output  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_an_interrupt_leaves_everything_sound_and_says_how_to_go_on(place):
    code = f"""
import signal, sys, os
# Ignored where the tests themselves were started in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:] = {sys.path!r}
os.environ["MADE_SECONDS"] = "0.2"
from sweep import made
made.install()
from isoloss.cli import main
main(["sweep", "my.toml", "--workers", "2"])
"""
    started = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        while not read_ledger(Path("my.jsonl")) and time.monotonic() < end:
            time.sleep(0.02)
        started.send_signal(signal.SIGINT)
        _, told = started.communicate(timeout=60)
    finally:
        started.kill()
        started.communicate()
    assert started.returncode == 1
    assert "interrupted; my.jsonl holds what is finished, and the same command goes on" in told
    assert "Traceback" not in told
    before = len(read_ledger(Path("my.jsonl")))
    assert 1 <= before < 8
    done = isoloss("my.toml", "--executor", "here")
    assert done.exit_code == 0
    assert "runs are in my.jsonl already" in done.stderr
    assert len(Path("my.jsonl").read_text().splitlines()) == 8


def test_a_terminal_gets_a_live_table(place, monkeypatch):
    from io import StringIO

    from rich.console import Console

    from isoloss.cli.sweep_show import Shown
    from isoloss.sweep.pool import Sweep

    shown = Shown(Path("my.jsonl"))
    spec = made.spec()
    task = tasks.single(spec, 100.0)
    state = Sweep(total=2, cost=200.0, left={"a": task, "b": task})
    shown.event(state, None)
    del state.left["a"]
    state.done, state.spent = 1, 100.0
    shown.event(state, made.row(spec))
    text = StringIO()
    Console(file=text, width=120).print(shown._table())
    assert spec.name in text.getvalue()
    assert (
        "1/2 runs, 0 diverged, 0 failed; 1.00e+02 of 2.00e+02 FLOPs  about 0 s left"
        in text.getvalue()
    )

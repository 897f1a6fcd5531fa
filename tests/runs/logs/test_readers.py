"""Readers against files that the tools wrote, and against the tools where they are installed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from isoloss.runs.logs import import_logs
from isoloss.runs.logs.find import find_logs
from isoloss.runs.logs.read import read_log
from isoloss.runs.logs.record import LoggedRun
from runs.logs.make_logs import EVERY, PARAMETERS, STEPS, TOKENS, TOOLS, curve

FIXTURES = Path(__file__).parent / "fixtures"
SMALL = {"tensorboardx", "torch_tensorboard", "lightning", "trainer"}
FLOATS = {"tensorboardx": 1e-6, "torch_tensorboard": 1e-6, "lightning": 1e-6}
"""What the tools keep in single precision."""


def everything(folder: Path) -> list[LoggedRun]:
    return [run for log in find_logs([folder]).logs for run in read_log(log, lambda name: True)]


def one(folder: Path) -> LoggedRun:
    (run,) = everything(folder)
    return run


def check(folder: Path, tool: str) -> None:
    run = one(folder)
    assert not [note for note in run.notes if note[1] != "info"]
    held_out = next(name for name in run.curves if "val" in name and "loss" in name)
    steps, values = run.curves[held_out].arrays()
    values = values[np.isfinite(values)]
    if tool == "trainer":  # trains for real: only its shape is known
        assert run.config["n_params"] == 4592
        assert run.curves["num_input_tokens_seen"].values[-1] == STEPS * 4 * 16
        assert len(run.curves["loss"]) == STEPS // 2
        assert len(values) == STEPS // EVERY
        return
    tolerance = FLOATS.get(tool, 1e-15)
    updates = np.arange(EVERY, STEPS + 1, EVERY)
    assert np.allclose(values, [curve(int(k)) for k in updates], rtol=tolerance, atol=0)
    training = next(name for name in run.curves if "train" in name and "loss" in name)
    steps, values = run.curves[training].arrays()
    first = int(tool == "lightning")  # counts from zero
    if tool == "wandb":  # counts calls of its own, from zero
        steps = run.curves["train/global_step"].arrays()[1]
    assert np.allclose(values, [curve(int(k) + first) for k in steps], rtol=tolerance, atol=0)
    assert run.curves["tokens"].values[-1] == STEPS * TOKENS
    size = run.config.get("n_params", run.last.get("n_params"))
    assert float(size) == PARAMETERS  # type: ignore[arg-type]


@pytest.mark.parametrize("tool", TOOLS)
def test_reads_what_the_tool_wrote(tool: str) -> None:
    check(FIXTURES / tool, tool)


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_reads_what_the_installed_tool_writes_today(tool: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(TOOLS[tool][0].partition(".")[0]) is None:
        pytest.skip(f"{tool} is not installed")
    # In a process of its own: these tools set up loggers, threads and exit hooks.
    script = Path(__file__).parent / "make_logs.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), tool], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    if "skipped" in done.stdout:
        pytest.skip(done.stdout)
    check(tmp_path / tool, tool)


def test_fixtures_name_no_machine_user_or_folder() -> None:
    for path in FIXTURES.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(word in data for word in (b"root", b"/home", b"/tmp", b"/Users")), path


def test_all_fixtures_at_once_give_the_same_numbers() -> None:
    paths = [FIXTURES / tool for tool in TOOLS if tool != "trainer"]
    found = import_logs(paths, keep=["DUPLICATE_RUN"])
    assert len(found.runs) == len(TOOLS) - 1
    assert np.allclose(found.runs["loss"], curve(STEPS), rtol=1e-6)
    assert found.runs["D"].tolist() == [STEPS * TOKENS] * len(found.runs)
    assert found.runs["N"].tolist() == [PARAMETERS] * len(found.runs)
    warned = {f.code for f in found.findings if f.severity == "warning"}
    assert warned == {"SAME_NAME", "DUPLICATE_RUN"}


def test_one_run_logged_by_three_tools_is_one_run() -> None:
    found = import_logs([FIXTURES / t for t in ("wandb", "mlflow_files", "mlflow_database")])
    assert len(found.runs) == 1
    assert [f.code for f in found.dropped] == ["DUPLICATE_RUN"] * 2


def test_wandb_keeps_settings_tags_and_end() -> None:
    run = one(FIXTURES / "wandb")
    assert run.name == "gpt-1M"
    assert run.config == {"n_params": PARAMETERS, "lr": 1e-3, "model.width": 64}
    assert run.tags == ["a", "b"]
    assert run.closed is True


def test_mlflow_database_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(FIXTURES / "mlflow_database" / "mlflow.db", path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        run = one(path)
    finally:
        tmp_path.chmod(0o755)
    assert run.status == "FINISHED"
    assert run.tags == ["group=a"]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]


def test_mlflow_database_that_is_being_written_is_read_with_its_log_of_changes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(FIXTURES / "mlflow_database" / "mlflow.db", path)
    base = sqlite3.connect(path)
    base.execute("PRAGMA journal_mode = WAL")
    (uuid,) = base.execute("SELECT run_uuid FROM runs").fetchone()
    base.execute("INSERT INTO metrics VALUES ('eval/loss', 1.5, 2000000000000, ?, 30, 0)", (uuid,))
    base.commit()
    try:
        assert one(path).last["eval/loss"] == 1.5
    finally:
        base.close()


def test_newest_checkpoint_is_taken(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "trainer", tmp_path / "out")
    run = one(tmp_path)
    assert run.last_step == STEPS
    assert [note[0] for note in run.notes] == ["OLDER_CHECKPOINTS", "COUNTED"]
    shutil.rmtree(tmp_path / "out" / "checkpoint-24")
    assert one(tmp_path).last_step == 16


def test_mean_training_loss_of_the_closing_row_is_no_point(tmp_path: Path) -> None:
    rows = [{"step": 10, "loss": 3.0}, {"step": 20, "loss": 2.0}]
    closing = {"step": 20, "train_loss": 2.5, "train_runtime": 9.0, "total_flos": 1e9}
    state = {"global_step": 20, "log_history": [*rows, closing]}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    run = one(tmp_path)
    assert list(run.curves["loss"].values) == [3.0, 2.0]
    assert "train_loss" not in run.counts
    assert run.summary == {"mean_train_loss": 2.5}
    assert run.last["total_flos"] == 1e9


def test_subfolders_of_one_side_are_one_run(tmp_path: Path) -> None:
    from runs.logs.writers import write_tensorboard

    write_tensorboard(tmp_path / "run", "train", {}, [{"step": 1, "epoch_loss": 3.0}])
    write_tensorboard(tmp_path / "run", "validation", {}, [{"step": 1, "epoch_loss": 2.0}])
    run = one(tmp_path)
    assert run.last == {"train/epoch_loss": 3.0, "validation/epoch_loss": 2.0}


def test_tensorboard_reads_each_kind_of_scalar(tmp_path: Path) -> None:
    from runs.logs.writers import record, scalar

    data = b"".join(scalar(kind, 1.5, 7, kind=kind) for kind in ("simple", "content", "packed"))
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(data)
    assert one(path).last == {"simple": 1.5, "content": 1.5, "packed": 1.5}
    path.write_bytes(record(b"\x10\x01") + data)
    assert one(path).last_step == 7

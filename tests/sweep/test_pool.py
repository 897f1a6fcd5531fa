import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from isoloss._core.executor import Here
from isoloss._core.local_pool import LocalPool
from isoloss.errors import InputError, MissingExtra
from isoloss.sweep import DataSpec, append_row, pool, read_ledger, run_sweep, tasks
from sweep import made

SPECS = [made.spec(seed) for seed in range(4)]
TRUNK = [made.spec(D=D, schedule="wsd") for D in (64, 128, 256)]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch) -> Path:
    made.install(monkeypatch.setattr)
    # Tests that stay in this process change its trainer too; this puts it back.
    monkeypatch.setattr(tasks, "do_task", made.do_task)
    notes = tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setenv("MADE_NOTES", str(notes))
    return tmp_path / "ledger.jsonl"


def attempts(ledger: Path, name: str) -> int:
    return len(list((ledger.parent / "notes").glob(f"{name}.*")))


def lines(ledger: Path) -> list[dict]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


def here(specs, ledger, **options):
    return run_sweep(specs, ledger, executor=Here(), **options)


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")


def test_every_run_is_trained_once_and_no_folder_is_left(ledger):
    seen = []
    state = here([*SPECS, SPECS[0]], ledger, on_event=lambda s, row: seen.append((s.done, row)))
    assert (state.total, state.done, state.failed, state.left) == (4, 4, 0, {})
    assert state.spent == state.cost == sum(r["flops"] for r in lines(ledger))
    assert [done for done, _ in seen] == [0, 1, 2, 3, 4]
    assert [r["run"] for r in lines(ledger)] == [row["run"] for _, row in seen[1:]]
    assert {r["run"]: r["loss"] for r in read_ledger(ledger)} == {
        s.name: made.loss_of(s) for s in SPECS
    }
    before = ledger.read_bytes()
    assert here(SPECS, ledger).done == 4
    assert ledger.read_bytes() == before
    assert attempts(ledger, SPECS[0].name) == 1
    assert not ledger.with_name("ledger.jsonl.unfinished").exists()


def test_the_longest_task_goes_first(ledger):
    specs = [made.spec(width=w) for w in (8, 32, 16)]
    here(specs, ledger)
    assert [r["spec"]["model"]["width"] for r in lines(ledger)] == [32, 16, 8]


@needs_kill
def test_a_run_that_kills_its_workers_fails_and_no_other(ledger, monkeypatch):
    bad = SPECS[0].name
    monkeypatch.setenv("MADE_DIES", bad)
    state = run_sweep(SPECS, ledger, workers=2, retries=1)
    assert (state.done, state.failed) == (3, 1)
    rows = {r["run"]: r for r in read_ledger(ledger)}
    assert rows[bad]["status"] == "failed"
    assert rows[bad]["reason"].startswith("the process of this task died 2 times")
    assert attempts(ledger, bad) == 2


@needs_kill
def test_a_sweep_runs_where_it_is_told_and_a_death_costs_one_attempt(ledger, monkeypatch):
    monkeypatch.setenv("MADE_DIES_ONCE", SPECS[1].name)
    with LocalPool(2) as workers:
        assert run_sweep(SPECS, ledger, executor=workers).done == 4
        assert workers.deaths == 1
        # The executor is the caller's, and stays open.
        assert workers.submit(len, "abc").result() == 3


def test_a_run_that_fails_is_tried_by_each_start_up_to_a_number(ledger, monkeypatch):
    bad = SPECS[2].name
    monkeypatch.setenv("MADE_FAILS", bad)
    for start in (1, 2):
        state = here(SPECS, ledger, attempts=2)
        assert (state.done, state.failed, state.given_up) == (3, 1, 0)
        row = {r["run"]: r for r in read_ledger(ledger)}[bad]
        assert row["attempts"] == start
        assert row["reason"] == "ValueError: went wrong on purpose"
        assert row["where"].startswith("made.py, line ")
        assert row["spec"] == SPECS[2].to_dict()
    state = here(SPECS, ledger, attempts=2)
    assert (state.failed, state.given_up, attempts(ledger, bad)) == (0, 1, 2)
    monkeypatch.setenv("MADE_FAILS", "")
    assert here(SPECS, ledger, attempts=3).done == 4
    assert {r["run"]: r["status"] for r in read_ledger(ledger)}[bad] == "done"
    # A failure that is written later, by whatever way, does not undo a result.
    append_row(ledger, {"run": bad, "status": "failed", "reason": "late"})
    assert {r["run"]: r["status"] for r in read_ledger(ledger)}[bad] == "done"


def test_a_run_that_diverged_is_over(ledger, monkeypatch):
    monkeypatch.setenv("MADE_DIVERGES", SPECS[0].name)
    state = here(SPECS, ledger)
    assert (state.done, state.diverged, state.failed) == (4, 1, 0)
    assert '"loss": null' in ledger.read_text()
    rows = {r["run"]: r for r in read_ledger(ledger)}
    assert rows[SPECS[0].name]["loss"] != rows[SPECS[0].name]["loss"]
    here(SPECS, ledger)
    assert attempts(ledger, SPECS[0].name) == 1


def test_what_cannot_be_trained_is_recorded_and_the_others_finish(ledger, monkeypatch):
    monkeypatch.setenv("MADE_IMPOSSIBLE", SPECS[0].name)
    lost = made.spec(data=DataSpec(name="arrays", path="/nowhere"))
    state = here([lost, *SPECS], ledger)
    assert (state.done, state.failed) == (3, 2)
    reasons = {r["run"]: r.get("reason", "") for r in read_ledger(ledger)}
    assert reasons[SPECS[0].name] == "D = 64: the data hold 3 training examples; lower D"
    assert reasons[lost.name] == "data name = 'arrays': no such data"
    assert attempts(ledger, lost.name) == 0


def test_runs_of_a_trunk_go_together_and_one_by_one_when_that_fails(ledger, monkeypatch):
    state = here(TRUNK, ledger)
    assert state.done == 3
    (trunk,) = tasks.make_tasks(TRUNK, {s.name: 1.0 for s in TRUNK})
    assert attempts(ledger, trunk.name) == 1
    other = ledger.with_name("other.jsonl")
    monkeypatch.setenv("MADE_FAILS", TRUNK[0].name)
    state = here(TRUNK, other)
    assert (state.done, state.failed) == (2, 1)
    assert [attempts(ledger, s.name) for s in TRUNK] == [1, 1, 1]
    assert len(lines(other)) == 3


def test_rows_that_a_dead_driver_did_not_take_are_collected(ledger):
    room = ledger.with_name("ledger.jsonl.unfinished")
    rows = room / "rows"
    rows.mkdir(parents=True)
    kept = made.row(SPECS[0])
    # One that was not recorded, one that was, and one that is no row.
    (rows / f"{SPECS[0].name}.json").write_text(json.dumps(kept))
    append_row(ledger, made.row(SPECS[1]))
    (rows / f"{SPECS[1].name}.json").write_text(json.dumps(made.row(SPECS[1])))
    (rows / f"{SPECS[2].name}.json").write_text("{torn")
    (rows / f".{SPECS[2].name}.json.x.tmp").write_text("{torn")
    assert here(SPECS, ledger).done == 4
    assert [r["run"] for r in lines(ledger)].count(SPECS[0].name) == 1
    assert [attempts(ledger, s.name) for s in SPECS] == [0, 0, 1, 1]
    assert len(lines(ledger)) == 4
    assert not room.exists()


def test_a_torn_last_line_is_cut_off_and_its_run_trained(ledger):
    append_row(ledger, made.row(SPECS[0]))
    append_row(ledger, made.row(SPECS[1]))
    ledger.write_bytes(ledger.read_bytes()[:-30])
    assert here(SPECS[:2], ledger).done == 2
    assert sorted(r["run"] for r in lines(ledger)) == sorted(s.name for s in SPECS[:2])


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_two_drivers_of_one_ledger_are_refused_and_a_kill_frees_it(ledger):
    code = f"""
import sys, time
sys.path[:] = {sys.path!r}
from pathlib import Path
from isoloss.sweep.ledger import only_writer
with only_writer(Path({str(ledger)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"another sweep writes it \(process {other.pid}\)"):
            here(SPECS, ledger)
    finally:
        other.kill()
        other.communicate()
    assert here(SPECS, ledger).done == 4


def test_a_full_disk_stops_the_sweep_and_loses_nothing(ledger, monkeypatch):
    write, count = os.write, []

    def full(handle, data):
        # The third row of the ledger finds the disk full half-way.
        if len(count) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if b'"curve"' in bytes(data):
            count.append(0)
            if len(count) == 3:
                return write(handle, bytes(data)[:50])
        return write(handle, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space") as caught:
        here(SPECS, ledger)
    assert caught.value.filename == str(ledger)
    monkeypatch.setattr(os, "write", write)
    assert len(lines(ledger)) == 2
    assert here(SPECS, ledger).done == 4
    # The third run had finished: its worker's file was taken, and it was not trained again.
    assert [attempts(ledger, s.name) for s in SPECS] == [1, 1, 1, 1]
    assert len(lines(ledger)) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits")
def test_a_limit_on_file_size_is_an_error_and_what_is_there_stays(tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    code = f"""
import sys, resource, signal
sys.path[:] = {sys.path!r}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
from isoloss._core.executor import Here
from isoloss.sweep import run_sweep
from sweep import made
made.install()
try:
    run_sweep([made.spec(i) for i in range(9)], {str(ledger)!r}, executor=Here())
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    found = lines(ledger)
    assert 1 <= len(found) < 9
    assert all(r["status"] == "done" for r in found)


def test_checkpoints_of_other_runs_stay(ledger):
    room = ledger.with_name("ledger.jsonl.unfinished") / "checkpoints"
    room.mkdir(parents=True)
    for name in ("other", SPECS[0].name):
        (room / f"{name}.npz").touch()
    here(SPECS, ledger)
    assert [p.name for p in room.iterdir()] == ["other.npz"]


def test_a_sweep_without_torch_stops_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"isoloss\[train\]"):
        run_sweep(SPECS, tmp_path / "ledger.jsonl")
    assert not (tmp_path / "ledger.jsonl").exists()


def test_a_folder_is_no_ledger(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        run_sweep(SPECS, tmp_path)
    with pytest.raises(InputError, match="attempts = 0"):
        run_sweep(SPECS, tmp_path / "ledger.jsonl", attempts=0)


def test_a_device_that_is_not_there_is_refused_before_any_run(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, piece in (
        ("cuda", "no CUDA device here"),
        ("tpu", "write cpu, cuda"),
        ("cuda:x", "write"),
    ):
        with pytest.raises(InputError, match=piece):
            here(SPECS, tmp_path / "ledger.jsonl", device=device)
    assert not (tmp_path / "ledger.jsonl").exists()


@needs_kill
@pytest.mark.filterwarnings("ignore")
def test_dask_workers_and_one_of_them_killed(ledger, monkeypatch):
    distributed = pytest.importorskip("distributed")
    from isoloss._core.executor import Dask

    monkeypatch.setenv("MADE_DIES_ONCE", SPECS[1].name)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            silence_logs=50, local_directory=str(ledger.parent / "dask"),
        ) as cluster,
        Dask(cluster.scheduler_address) as executor,
    ):  # fmt: skip
        executor.client.run(sys.path.extend, sys.path)
        specs = [made.spec(seed) for seed in range(30)]
        assert run_sweep(specs, ledger, executor=executor).done == 30
    assert sorted(r["run"] for r in lines(ledger)) == sorted(s.name for s in specs)
    assert attempts(ledger, SPECS[1].name) == 2

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest

from core import tasks
from isoloss._core.executor import Dask, Here, open_executor
from isoloss._core.local_pool import LocalPool
from isoloss.errors import FitError, InputError, MissingExtra

needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")


@pytest.fixture(scope="module")
def pool():
    with LocalPool(2) as made:
        yield made


def until(condition):
    """Wait for what another process does; a guard, not a measure."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("where", ["here", "local:2"])
def test_every_executor_gives_the_same_answers(where):
    with open_executor(where) as executor:
        assert list(executor.map(tasks.square, range(20))) == [x * x for x in range(20)]
        shared = executor.scatter(np.arange(4.0))
        futures = [executor.submit(tasks.total, shared, k=k) for k in range(5)]
        assert sorted(f.result() for f in executor.as_completed(futures)) == [6, 7, 8, 9, 10]
        with pytest.raises(ValueError, match="no"):
            executor.submit(tasks.fail).result()


def test_errors_keep_their_kind_and_their_trace(pool):
    error = pool.submit(tasks.fail).exception()
    assert "in fail" in error.__notes__[0]
    ours = pool.submit(tasks.fail_of_ours, True).exception()
    assert isinstance(ours, FitError)
    assert (ours.code, str(ours)) == ("TOO_FEW_RUNS", "three are needed")
    missing = pool.submit(tasks.fail_of_ours, False).exception()
    assert isinstance(missing, MissingExtra)
    assert str(missing) == str(MissingExtra("torch", "train"))
    assert str(pool.submit(tasks.fail_stubbornly).exception()) == "Stubborn: 1 2"
    # What cannot be sent back is an error of the task, not the end of the worker.
    deaths = pool.deaths
    assert "lambda" in str(pool.submit(tasks.unportable).exception())
    assert pool.deaths == deaths


def test_workers_have_one_thread(pool):
    assert set(pool.submit(tasks.threads).result()) == {1}


@needs_kill
def test_a_death_costs_one_attempt_of_one_task(tmp_path):
    with LocalPool(2) as pool:
        futures = [pool.submit(tasks.die, str(tmp_path), f"t{i}", 2 * (i == 3)) for i in range(8)]
        assert [f.result() for f in futures] == [f"t{i}" for i in range(8)]
        assert pool.deaths == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [f"t{i}.0" for i in range(8)] + ["t3.1", "t3.2"]
    )


@needs_kill
def test_a_task_that_kills_every_worker_fails_and_no_other(tmp_path):
    with LocalPool(2, retries=1) as pool:
        futures = [pool.submit(tasks.die, str(tmp_path), f"t{i}", 9 * (i == 0)) for i in range(5)]
        error = futures[0].exception()
        assert isinstance(error, FitError)
        assert error.code == "WORKER_DIED"
        assert "died 2 times" in str(error)
        assert "-9" in str(error)
        assert [f.result() for f in futures[1:]] == [f"t{i}" for i in range(1, 5)]
    assert len(list(tmp_path.glob("t0.*"))) == 2


@needs_kill
def test_an_idle_worker_that_dies_is_replaced(pool):
    who = pool.submit(tasks.identity).result()
    deaths = pool.deaths
    os.kill(who, signal.SIGKILL)
    until(lambda: pool.deaths > deaths)
    assert {pool.submit(tasks.identity).result() for _ in range(4)}.isdisjoint({who})


def test_closing_ends_what_runs_and_cancels_what_waits(tmp_path):
    pool = LocalPool(1)
    running = pool.submit(tasks.wait_for, str(tmp_path / "never"), str(tmp_path / "note"))
    waiting = pool.submit(tasks.square, 2)
    until((tmp_path / "note").exists)
    pool.close()
    assert running.exception().code == "WORKER_DIED"
    with pytest.raises(CancelledError):
        waiting.result()
    with pytest.raises(InputError, match="closed"):
        pool.submit(tasks.square, 2)


def test_a_task_cancelled_by_its_owner_never_runs(tmp_path):
    with LocalPool(1) as pool:
        first = pool.submit(tasks.wait_for, str(tmp_path / "go"), str(tmp_path / "note"))
        second = pool.submit(tasks.die, str(tmp_path), "second", 0)
        until((tmp_path / "note").exists)
        assert second.cancel()
        (tmp_path / "go").touch()
        first.result()
        assert pool.submit(tasks.square, 3).result() == 9
    assert not list(tmp_path.glob("second.*"))


@needs_kill
def test_workers_go_with_the_process_that_made_them(tmp_path):
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from core import tasks
from isoloss._core.local_pool import LocalPool
if __name__ == "__main__":
    pool = LocalPool(1)
    pool.submit(tasks.wait_for, {str(tmp_path / "never")!r}, {str(tmp_path / "note")!r}).result()
"""
    script = tmp_path / "main.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, str(script)])
    note = tmp_path / "note"
    until(lambda: note.exists() and note.read_text())
    child = int(note.read_text())
    parent.kill()
    parent.wait()
    until(lambda: _gone(child))


def _gone(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.mark.parametrize("workers", [0, -1, 1.5])
def test_a_pool_of_no_workers_is_refused(workers):
    with pytest.raises(InputError, match="whole number above zero"):
        LocalPool(workers)


@pytest.mark.parametrize(
    "where", ["", "local:0", "local:two", "dask", "dask://", "spark", "here:1"]
)
def test_an_unknown_address_is_refused(where):
    with pytest.raises(InputError, match="write"):
        open_executor(where)


def test_a_cluster_without_dask_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"isoloss\[cluster\]"):
        open_executor("dask://127.0.0.1:1")


def test_here_keeps_the_error_in_the_future():
    assert isinstance(Here().submit(tasks.fail).exception(), ValueError)


@needs_kill
@pytest.mark.filterwarnings("ignore")
def test_dask_survives_the_death_of_a_worker(tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            silence_logs=50, local_directory=str(tmp_path / "dask"),
        ) as cluster,
        Dask(cluster.scheduler_address) as executor,
    ):  # fmt: skip
        executor.client.run(sys.path.extend, sys.path)
        shared = executor.scatter(np.arange(4.0))
        futures = [executor.submit(tasks.total, shared, k) for k in range(5)]
        assert [f.result() for f in futures] == [6, 7, 8, 9, 10]
        notes = tmp_path / "notes"
        notes.mkdir()
        futures = [executor.submit(tasks.die, str(notes), f"t{i}", i == 1) for i in range(4)]
        assert [f.result() for f in futures] == [f"t{i}" for i in range(4)]
        assert len(list(notes.glob("t1.*"))) == 2

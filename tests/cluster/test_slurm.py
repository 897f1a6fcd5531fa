"""A sweep on a real Slurm: one node, Dask workers in jobs, one job cancelled in the middle."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cluster.slurm_node import jobs, missing_tools, slurm_node
from isoloss._core.executor import open_executor
from isoloss.sweep import run_sweep
from sweep import made

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_tools()), reason="Slurm is not installed"),
    # Dask leaves sockets to the collector when it closes.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
def env(tmp_path: Path, monkeypatch):
    pytest.importorskip("dask_jobqueue")
    made.install(monkeypatch.setattr)
    notes = tmp_path / "notes"
    notes.mkdir()
    with slurm_node() as env:
        for name, value in {
            "PATH": env["PATH"],
            "SLURM_CONF": env["SLURM_CONF"],
            # A job starts with the environment of the one who submits it.
            "PYTHONPATH": ":".join(p for p in sys.path if p),
            "MADE_NOTES": str(notes),
            "MADE_SECONDS": "0.1",
        }.items():
            monkeypatch.setenv(name, value)
        yield env


def test_a_sweep_in_slurm_jobs_of_which_one_is_cancelled(env, tmp_path):
    import dask

    ledger = tmp_path / "ledger.jsonl"
    specs = [made.spec(seed) for seed in range(120)]
    cancelled = []

    def cancel(state, row):
        # The first job that runs, once a quarter is done; from a thread, so that rows go on.
        if state.done == 30 and not cancelled:
            cancelled.append(jobs(env)[0])
            threading.Thread(
                target=subprocess.run, args=(["scancel", cancelled[0]],), kwargs={"env": env}
            ).start()

    settings = {
        "jobqueue.slurm.cores": 1,
        "jobqueue.slurm.processes": 1,
        "jobqueue.slurm.memory": "1GB",
        "jobqueue.slurm.job-mem": "100MB",
        "jobqueue.slurm.interface": "lo",
        "jobqueue.slurm.walltime": "00:10:00",
        "jobqueue.slurm.log-directory": str(tmp_path / "logs"),
        "jobqueue.slurm.local-directory": str(tmp_path / "dask"),
        "distributed.scheduler.dashboard.link": "",
    }
    with dask.config.set(settings), open_executor("slurm", workers=2) as executor:
        state = run_sweep(specs, ledger, executor=executor, on_event=cancel)
        after = jobs(env)
    assert len(cancelled) == 1
    assert cancelled[0] not in after
    assert (state.done, state.failed) == (120, 0)
    rows = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert len(rows) == 120
    assert {r["run"]: r["loss"] for r in rows} == {s.name: made.loss_of(s) for s in specs}
    assert not ledger.with_name("ledger.jsonl.unfinished").exists()

"""A trainer that answers at once, and dies, fails or waits where it is told; for any process."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from isoloss.errors import InputError
from isoloss.sweep import DataSpec, Mlp, RunSpec, Task, attempt, pool, tasks


def spec(seed: int = 0, width: int = 8, **changes: Any) -> RunSpec:
    given = {"D": 64, "batch": 8, "lr": 0.01, "data": DataSpec(name="mnist-5k")} | changes
    return RunSpec(model=Mlp(width=width), seed=seed, **given)


def loss_of(run: RunSpec) -> float:
    return 1 + int(hashlib.sha256(run.name.encode()).hexdigest()[:8], 16) / 2**32


def row(run: RunSpec, /, **changes: Any) -> dict[str, Any]:
    flops = 6.0 * run.model.width * run.seen
    return {
        "run": run.name, "status": "done", "spec": run.to_dict(), "N": 10 * run.model.width,
        "N_non_embedding": 9 * run.model.width, "D": run.D, "seen": run.seen, "steps": run.updates,
        "flops_dense": flops - 2, "flops_head": 1.0, "flops_attention": 1.0, "flops": flops,
        "loss": loss_of(run), "error": 0.5, "train_loss": 1.0, "curve": [[1, 2, 3.0]],
        "seconds": 0.1, "cpu_seconds": 0.1, "joules": 1.0, "device": "cpu", "torch": "2",
        "numpy": "2", "python": "3", "isoloss": "0", "data": "abc", "started": "2026-01-01",
    } | changes  # fmt: skip


def do_task(task: Task, *, device: str, checkpoint: Path | None) -> list[dict[str, Any]]:
    told = os.environ.get
    time.sleep(float(told("MADE_SECONDS", "0")))
    notes = told("MADE_NOTES")
    earlier = 0
    if notes:
        earlier = len(list(Path(notes).glob(f"{task.name}.*")))
        (Path(notes) / f"{task.name}.{earlier}").touch()
    for run in task.specs:
        if run.name in told("MADE_DIES", "") or (
            run.name in told("MADE_DIES_ONCE", "") and not earlier
        ):
            os.kill(os.getpid(), signal.SIGKILL)
        if run.name in told("MADE_FAILS", ""):
            raise ValueError("went wrong on purpose")
        if run.name in told("MADE_IMPOSSIBLE", ""):
            raise InputError("D = 64: the data hold 3 training examples; lower D")
    return [
        row(run, status="diverged", reason="loss is NaN", loss=float("nan"))
        if run.name in told("MADE_DIVERGES", "")
        else row(run)
        for run in task.specs
    ]


def attempt_made(task: Task, folder: str, device: str) -> list[dict[str, Any]]:
    """Do what a worker does, with this module's trainer."""
    tasks.do_task = do_task
    return attempt.attempt(task, folder, device)


def install(patch: Any = setattr) -> None:
    """Put the made trainer, data and costs in the place of the real ones."""
    patch(pool, "attempt", attempt_made)
    patch(tasks, "data_form", data_form)
    patch(tasks, "spec_cost", lambda run: 6.0 * run.model.width * run.seen)
    patch(tasks, "batch_of", lambda run: None)


def data_form(data: DataSpec) -> tuple[tuple[int, ...], int]:
    if data.name != "mnist-5k":
        raise InputError(f"data name = {data.name!r}: no such data")
    return (4,), 2


if __name__ == "__main__":
    # A driver to be killed: made.py LEDGER RUNS SECONDS
    # Workers import this module by its name in the package of tests, not as __main__.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from sweep import made

    os.environ["MADE_SECONDS"] = sys.argv[3]
    made.install()
    pool.run_sweep([spec(seed) for seed in range(int(sys.argv[2]))], sys.argv[1], workers=2)

"""Train many runs, here or on a cluster; finished runs are never trained again."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from isoloss._core.executor import RETRIES, Dask, Executor, cores
from isoloss._core.local_pool import LocalPool
from isoloss.errors import InputError, MissingExtra
from isoloss.sweep import tasks as work
from isoloss.sweep.attempt import attempt, failed_row, left_rows
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.ledger import append_row, ended, only_writer, read_ledger
from isoloss.sweep.spec import RunSpec, by_name
from isoloss.sweep.tasks import Task, make_tasks, single

ATTEMPTS = 3
"""Starts of a sweep in which a run that fails is tried."""

Rows = list[dict[str, Any]]


@dataclass(slots=True, kw_only=True)
class Sweep:
    """How far a sweep is; given to ``on_event`` after each change, and returned at the end.

    Attributes
    ----------
    total
        Runs of the grid.
    done, diverged, failed, given_up
        Runs with a result; that diverged; that failed this time; that failed in as many starts as
        they are given, and were not tried.
    cost, spent
        FLOPs that were left at the start; of those, how many have ended.
    left
        Tasks left, by name.
    rows
        Rows of this start, as they came.
    """

    total: int = 0
    done: int = 0
    diverged: int = 0
    failed: int = 0
    given_up: int = 0
    cost: float = 0.0
    spent: float = 0.0
    left: dict[str, Task] = field(default_factory=dict)
    rows: Rows = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return counts and costs as plain values, with the runs that have no result."""
        return {
            "runs": self.total,
            "done": self.done,
            "diverged": self.diverged,
            "failed": self.failed,
            "given_up": self.given_up,
            "flops_left": max(self.cost - self.spent, 0.0),
            "without_result": [
                {k: row.get(k) for k in ("run", "status", "reason")}
                for row in self.rows
                if row.get("status", "done") != "done"
            ],
        }


def run_sweep(
    specs: Sequence[RunSpec],
    ledger: str | Path,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    device: str = "cpu",
    checkpoints: str | Path | None = None,
    retries: int = RETRIES,
    attempts: int = ATTEMPTS,
    batched: bool = True,
    on_event: Callable[[Sweep, dict[str, Any] | None], None] | None = None,
) -> Sweep:
    """Train every run that has no result yet, the longest first.

    The ledger decides what is finished. A row is appended the moment its run ends; workers write
    it to a file of its own first, so a driver that dies loses nothing that workers finished. Runs
    whose row says ``done`` or ``diverged`` are over. A run that fails is a row with the reason, and
    is tried again by the next start, ``attempts`` times in all. Half-trained runs go on from their
    checkpoints.

    Parameters
    ----------
    specs
        The runs. Two equal specs are one run.
    ledger
        JSONL file, created if absent; one sweep at a time writes it.
    executor
        Where to train; supervised processes of this machine by default.
    workers
        Processes, where no executor is given; the number of cores unless told.
    device
        Where torch computes: ``cpu`` or ``cuda``.
    checkpoints
        Folder for rows under way and checkpoints, which a cluster's workers must see to use;
        ``LEDGER.unfinished`` beside the ledger by default, gone when nothing is unfinished.
    retries
        How often a task whose process died is tried again, where no executor is given.
    attempts
        Starts in which a failing run is tried.
    batched
        Whether small networks of one shape train side by side.
    on_event
        Called with the state and the row after each row, and with None at the start.

    Returns
    -------
    Sweep
        Counts, costs, and the rows of this start.

    Raises
    ------
    MissingExtra
        Without torch, where a run needs it.
    InputError
        When another sweep writes the ledger, the device is not there, or finished runs learned from
        other content of a file that the grid names.
    OSError
        When the ledger cannot be written; what it holds stays good.
    """
    path = Path(ledger)
    room = Path(checkpoints) if checkpoints else path.with_name(f"{path.name}.unfinished")
    if attempts < 1:
        raise InputError(f"attempts = {attempts}: must be at least 1")
    if find_spec("torch") is None and not all(spec.solved for spec in specs):
        raise MissingExtra("torch", "train")
    _check_device(device, executor)
    with only_writer(path), contextlib.ExitStack() as stack:
        driver = _Driver(path, room, specs, attempts, on_event)
        driver.collect()
        driver.check_files()
        todo = driver.todo()
        if not todo:
            driver.tell(None)
            driver.clean()
            return driver.state
        if executor is None:
            workers = workers or cores()
            executor = LocalPool(workers, retries=retries)
            stack.callback(executor.close)
        driver.run(driver.plan(todo, batched, workers or 1), executor, device)
        driver.clean()
        return driver.state


def _check_device(device: str, executor: Executor | None) -> None:
    """Refuse a device that is not there, rather than fail every run on it."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise InputError(f"device = {device!r}: write cpu, cuda or cuda:1")
    # What workers of a cluster have is theirs to say.
    if device != "cpu" and not isinstance(executor, Dask):
        from isoloss.theory.on_device import check_device

        check_device(device)


class _Driver:
    """The one process that writes the ledger."""

    def __init__(
        self,
        ledger: Path,
        room: Path,
        specs: Sequence[RunSpec],
        attempts: int,
        on_event: Callable[[Sweep, dict[str, Any] | None], None] | None,
    ) -> None:
        self.ledger, self.room, self.attempts = ledger, room, attempts
        self.specs = by_name(specs)
        self.on_event = on_event
        for part in ("rows", "checkpoints"):
            (room / part).mkdir(parents=True, exist_ok=True)
        with ledger.open("ab"):
            pass
        self.known = {row["run"]: row for row in read_ledger(ledger)}
        self.state = Sweep(total=len(self.specs))
        self.finished: SimpleQueue[Future[Rows]] = SimpleQueue()
        self.running: dict[Future[Rows], Task] = {}

    def tell(self, row: dict[str, Any] | None) -> None:
        if self.on_event:
            self.on_event(self.state, row)

    def collect(self) -> None:
        """Take the rows that workers of an earlier driver finished, and count what is over."""
        for path, row in left_rows(self.room):
            if row is not None and not ended(self.known.get(row["run"])):
                append_row(self.ledger, row)
                self.known[row["run"]] = row
            path.unlink()
        for name in self.specs:
            self._count(self.known.get(name), 1)

    def check_files(self) -> None:
        """Refuse a ledger whose runs learned from a file with other content than it has now."""
        seen: dict[DataSpec, str] = {}
        for name, spec in self.specs.items():
            row = self.known.get(name)
            if row is None or not spec.data.files or not ended(row):
                continue
            if spec.data not in seen:
                # A file that is gone is not needed for what is finished.
                with contextlib.suppress(InputError):
                    seen[spec.data] = work.data_of(spec.data).digest
            now = seen.get(spec.data)
            if now is not None and not now.startswith(str(row.get("data", ""))):
                raise InputError(
                    f"ledger = {self.ledger}: run {name} learned from other data than "
                    f"{', '.join(spec.data.files)} hold now; give another ledger, or the old files"
                )

    def _count(self, row: dict[str, Any] | None, by: int) -> None:
        if ended(row):
            assert row is not None
            self.state.done += by
            self.state.diverged += by * (row.get("status") == "diverged")

    def todo(self) -> list[RunSpec]:
        """List the runs without a result that have not failed too often."""
        left = []
        for name, spec in self.specs.items():
            row = self.known.get(name)
            if ended(row):
                continue
            if row is not None and row.get("attempts", 1) >= self.attempts:
                self.state.given_up += 1
                self.state.rows.append(row)
                continue
            left.append(spec)
        return left

    def plan(self, todo: list[RunSpec], batched: bool, parts: int) -> list[Task]:
        """Make tasks; a run whose data cannot be had fails here."""
        costs: dict[str, float] = {}
        broken: dict[DataSpec, Exception] = {}
        for spec in todo:
            try:
                if spec.data not in broken:
                    work.data_form(spec.data)
            except Exception as error:
                broken[spec.data] = error
            try:
                if spec.data in broken:
                    raise broken[spec.data]
                costs[spec.name] = work.spec_cost(spec)
            except Exception as error:
                self.record(failed_row(spec, error), spec)
        able = [spec for spec in todo if spec.name in costs]
        tasks = make_tasks(able, costs, batched=batched, parts=parts)
        self.state.cost = sum(task.cost for task in tasks)
        return tasks

    def run(self, tasks: list[Task], executor: Executor, device: str) -> None:
        """Submit, and record what comes back; an executor that runs at once is served too."""
        queue = deque(tasks)
        self.state.left = {task.name: task for task in tasks}
        self.tell(None)
        try:
            while queue or self.running:
                if queue:
                    task = queue.popleft()
                    future = executor.submit(attempt, task, str(self.room.absolute()), device)
                    self.running[future] = task
                    future.add_done_callback(self.finished.put)
                while not self.finished.empty() or (self.running and not queue):
                    future = self.finished.get()
                    queue.extend(self._take(self.running.pop(future), future))
        finally:
            for future in self.running:
                future.cancel()

    def _take(self, task: Task, future: Future[Rows]) -> list[Task]:
        """Record the rows of a task; return runs of a failed group, to be tried one by one."""
        del self.state.left[task.name]
        try:
            rows = future.result()
        except Exception as error:
            rows = [failed_row(spec, error) for spec in task.specs]
        if len(task.specs) > 1 and any(not ended(row) for row in rows):
            share = task.cost / len(task.specs)
            again = [single(spec, share) for spec in task.specs]
            self.state.left |= {task.name: task for task in again}
            return again
        self.state.spent += task.cost
        for spec, row in zip(task.specs, rows, strict=True):
            self.record(row, spec)
        if all(ended(row) for row in rows):
            with contextlib.suppress(OSError):
                (self.room / "checkpoints" / f"{task.name}.npz").unlink()
        return []

    def record(self, row: dict[str, Any], spec: RunSpec) -> None:
        """Append a row, then drop the worker's file of it."""
        before = self.known.get(spec.name)
        if not ended(row):
            row = row | {"attempts": 1 + (before.get("attempts", 1) if before else 0)}
            self.state.failed += 1
        append_row(self.ledger, row)
        with contextlib.suppress(OSError):
            (self.room / "rows" / f"{spec.name}.json").unlink()
        self.known[spec.name] = row
        self._count(row, 1)
        self.state.rows.append(row)
        self.tell(row)

    def clean(self) -> None:
        """Leave no folder behind when nothing is unfinished."""
        if not all(ended(self.known.get(name)) for name in self.specs):
            return
        # Checkpoints of runs of another grid stay; torn files of killed writers do not.
        with contextlib.suppress(OSError):
            for part in ("rows", "checkpoints"):
                for torn in (self.room / part).glob(".*.tmp"):
                    torn.unlink()
                (self.room / part).rmdir()
            self.room.rmdir()

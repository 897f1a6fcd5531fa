"""Run the repeats: in any order, in several processes, and never twice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isoloss._core.local_pool import LocalPool
from isoloss.coverage.cells import ALL_CELLS, Cell
from isoloss.coverage.journal import RepeatJournal
from isoloss.coverage.procedures import Repeat, Settings, score_repeat
from isoloss.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a study is: repeats done and asked for, the latest cell, seconds left."""

    done: int
    total: int
    cell: str
    seconds_left: float


def run_repeats(
    cells: Sequence[Cell],
    *,
    repeats: int,
    settings: Settings,
    journal: Path,
    jobs: int = 1,
    on_repeat: Callable[[Progress], None] | None = None,
) -> tuple[dict[str, list[Repeat]], bool]:
    """Score every repeat of every cell that the journal does not hold yet.

    Each repeat is written to the journal as it ends. An interrupt (Ctrl-C) stops the study and
    returns what is done: of each cell the first repeats without a gap, so that which repeats
    count does not depend on how long they took.

    Returns
    -------
    repeats : dict
        Cell to its repeats in order; cells without any are left out.
    complete : bool
        Whether all that was asked for is there.

    Raises
    ------
    FitError
        ``WORKER_DIED`` when one repeat's processes were killed three times; what was done is in
        the journal.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    kept = RepeatJournal(journal, settings)
    found = kept.read()
    # The first repeat of every cell, then the second: what is there at any time is balanced.
    wanted = [(cell.name, i) for i in range(repeats) for cell in cells]
    todo = [task for task in wanted if task not in found]
    done, started = len(wanted) - len(todo), time.monotonic()
    first = done
    stream = _alone(todo, settings) if jobs == 1 else _pooled(todo, settings, jobs)
    try:
        for repeat in stream:
            kept.write(repeat)
            found[repeat.cell, repeat.index] = repeat
            done += 1
            if on_repeat:
                each = (time.monotonic() - started) / (done - first)
                left = each * (len(wanted) - done)
                on_repeat(
                    Progress(done=done, total=len(wanted), cell=repeat.cell, seconds_left=left)
                )
    except KeyboardInterrupt:
        pass
    finally:
        stream.close()
    gathered: dict[str, list[Repeat]] = {}
    for cell in cells:
        run = []
        for i in range(repeats):
            if (cell.name, i) not in found:
                break
            run.append(found[cell.name, i])
        if run:
            gathered[cell.name] = run
    return gathered, done == len(wanted)


def _work(name: str, index: int, settings: Settings) -> Repeat:
    return score_repeat(ALL_CELLS[name], index, settings)


def _alone(todo: Sequence[tuple[str, int]], settings: Settings) -> Generator[Repeat, None, None]:
    for name, index in todo:
        yield _work(name, index, settings)


def _pooled(
    todo: Sequence[tuple[str, int]], settings: Settings, jobs: int
) -> Generator[Repeat, None, None]:
    with LocalPool(min(jobs, max(len(todo), 1))) as pool:
        futures = [pool.submit(_work, name, index, settings) for name, index in todo]
        for future in pool.as_completed(futures):
            yield future.result()


def check_jobs(jobs: int) -> int:
    """Read the number of processes."""
    if isinstance(jobs, bool) or not isinstance(jobs, int) or not 1 <= jobs <= 1024:
        raise InputError(
            f"jobs = {jobs!r}: must be from 1 to 1024; this machine has {os.cpu_count()} processors"
        )
    return jobs

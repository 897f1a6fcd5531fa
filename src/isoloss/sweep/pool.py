"""Train many runs in one-thread worker processes; finished runs are never trained again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from isoloss.sweep.corpus import Corpus, read_corpus
from isoloss.sweep.grid import spec_cost
from isoloss.sweep.ledger import append_row, unfinished
from isoloss.sweep.spec import RunSpec

_corpus: Corpus | None = None


def _start_worker(root: str | None) -> None:
    global _corpus
    import torch

    # One thread a process: two one-thread workers beat one two-thread process, and spinning
    # OpenMP threads collapse when the machine is shared.
    torch.set_num_threads(1)
    _corpus = read_corpus(Path(root) if root else None)


def _work(spec: RunSpec) -> dict[str, Any]:
    from isoloss.sweep.train import train

    assert _corpus is not None
    return train(spec, _corpus)


def run_sweep(
    specs: Sequence[RunSpec],
    ledger: Path,
    *,
    workers: int | None = None,
    corpus_root: Path | None = None,
    on_row: Callable[[dict[str, Any], int, int], None] | None = None,
) -> list[str]:
    """Train every spec that has no row yet, longest first; returns the names that failed.

    Each row is written to ``ledger`` the moment its run ends, so an interrupt or a kill costs
    only the runs in flight. A worker that dies takes its run with it once more; a run that
    kills its worker twice is recorded as failed and the sweep goes on.

    Parameters
    ----------
    specs
        The runs. Two equal specs are one run.
    ledger
        JSONL file, created if absent.
    workers
        Processes; the number of cores unless told.
    on_row
        Called with the row, the count done and the total after each run.
    """
    by_name = {spec.name: spec for spec in specs}
    todo = [by_name[name] for name in unfinished(by_name, ledger)]
    todo.sort(key=spec_cost, reverse=True)
    total, done = len(by_name), len(by_name) - len(todo)
    attempts: dict[str, int] = {}
    failed: list[str] = []
    root = str(corpus_root) if corpus_root else None
    processes = workers or os.cpu_count() or 1
    while todo:
        pool = ProcessPoolExecutor(
            processes,
            mp_context=get_context("spawn"),
            initializer=_start_worker,
            initargs=(root,),
        )
        running: dict[Future[dict[str, Any]], RunSpec] = {}
        broken = False
        try:
            while running or (todo and not broken):
                # No more than one run a worker is handed over, so that a worker that dies
                # casts suspicion on the runs in flight and on no other.
                while todo and not broken and len(running) < processes:
                    spec = todo.pop(0)
                    running[pool.submit(_work, spec)] = spec
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    spec = running.pop(future)
                    try:
                        row = future.result()
                    except BrokenProcessPool:
                        broken = True
                        attempts[spec.name] = attempts.get(spec.name, 0) + 1
                        if attempts[spec.name] < 3:
                            todo.append(spec)
                        else:
                            failed.append(f"{spec.name}: its worker died three times")
                        continue
                    except Exception as error:
                        failed.append(f"{spec.name}: {error}")
                        continue
                    append_row(ledger, row)
                    done += 1
                    if on_row:
                        on_row(row, done, total)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return failed

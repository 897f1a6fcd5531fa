"""Train many runs in one-thread worker processes; finished runs are never trained again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from isoloss.errors import MissingExtra
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
    only the runs in flight. When a worker dies, the runs in flight are tried once more, each
    alone; a run that kills its worker twice is recorded as failed and the sweep goes on.

    Parameters
    ----------
    specs
        The runs. Two equal specs are one run.
    ledger
        JSONL file, created if absent.
    workers
        Processes; the number of cores unless told.
    corpus_root
        Folder of the text; the standard library by default.
    on_row
        Called with the row, the count done and the total after each run.

    Raises
    ------
    MissingExtra
        Without torch.
    InputError
        When the folder holds no text.
    """
    by_name = {spec.name: spec for spec in specs}
    todo = [by_name[name] for name in unfinished(by_name, ledger)]
    todo.sort(key=spec_cost, reverse=True)
    done = len(by_name) - len(todo)
    failed: list[str] = []
    if todo:
        _check(ledger, corpus_root)

    def keep(spec: RunSpec, future: Future[dict[str, Any]]) -> None:
        nonlocal done
        try:
            row = future.result()
        except BrokenProcessPool:
            raise
        except Exception as error:
            failed.append(f"{spec.name}: {error}")
            return
        append_row(ledger, row)
        done += 1
        if on_row:
            on_row(row, done, len(by_name))

    root = str(corpus_root) if corpus_root else None
    while todo:
        # All in flight are under suspicion; only one that is alone is surely to blame.
        for spec in _train_all(todo, workers or os.cpu_count() or 1, root, keep):
            alone = [spec]
            if _train_all(alone, 1, root, keep) or alone:
                failed.append(f"{spec.name}: its worker died twice")
    return failed


def _check(ledger: Path, corpus_root: Path | None) -> None:
    """Fail before hours of training, not after."""
    if find_spec("torch") is None:
        raise MissingExtra("torch", "train")
    read_corpus(corpus_root)
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("ab"):
        pass


def _train_all(
    queue: list[RunSpec],
    processes: int,
    root: str | None,
    keep: Callable[[RunSpec, Future[dict[str, Any]]], None],
) -> list[RunSpec]:
    """Take runs from the queue until it is empty or a worker dies; returns those in flight then."""
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(root,)
    )
    running: dict[Future[dict[str, Any]], RunSpec] = {}
    dead: list[RunSpec] = []
    try:
        while running or (queue and not dead):
            # No more than one run a worker is handed over, so that a worker that dies casts
            # suspicion on the runs in flight and on no other.
            while queue and not dead and len(running) < processes:
                try:
                    running[pool.submit(_work, queue[0])] = queue[0]
                except BrokenProcessPool:
                    # A worker died since, of a run in flight or idle: this run has no part in it.
                    break
                queue.pop(0)
            if not running:
                break
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                spec = running.pop(future)
                try:
                    keep(spec, future)
                except BrokenProcessPool:
                    dead.append(spec)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return dead

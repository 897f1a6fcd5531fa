"""Train many runs, here or on a cluster; finished runs are never trained again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from isoloss._core.executor import Executor, cores
from isoloss._core.local_pool import LocalPool
from isoloss.errors import MissingExtra
from isoloss.sweep.corpus import Corpus, read_corpus
from isoloss.sweep.grid import spec_cost
from isoloss.sweep.ledger import append_row, unfinished
from isoloss.sweep.spec import RunSpec


@lru_cache(maxsize=1)
def _corpus(root: str | None) -> Corpus:
    return read_corpus(Path(root) if root else None)


def _work(spec: RunSpec, root: str | None) -> dict[str, Any]:
    import torch

    from isoloss.sweep.train import train

    # One thread a process: two one-thread workers beat one two-thread process, and spinning
    # OpenMP threads collapse when the machine is shared.
    torch.set_num_threads(1)
    return train(spec, _corpus(root))


def run_sweep(
    specs: Sequence[RunSpec],
    ledger: Path,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    corpus_root: Path | None = None,
    on_row: Callable[[dict[str, Any], int, int], None] | None = None,
) -> list[str]:
    """Train every spec that has no row yet, longest first; returns the names that failed.

    Each row is written to ``ledger`` the moment its run ends, so an interrupt or a kill costs
    only the runs in flight. A run whose worker dies is tried once more; one that kills its worker
    twice, or fails, is recorded as failed and the sweep goes on.

    Parameters
    ----------
    specs
        The runs. Two equal specs are one run.
    ledger
        JSONL file, created if absent.
    executor
        Where to train; supervised processes of this machine by default.
    workers
        Processes, where no executor is given; the number of cores unless told.
    corpus_root
        Folder of the text, on every machine that trains; the standard library by default.
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
    if not todo:
        return failed
    _check(ledger, corpus_root)
    root = str(corpus_root) if corpus_root else None
    pool = executor or LocalPool(workers or cores(), retries=1)
    running: dict[Future[dict[str, Any]], RunSpec] = {}
    try:
        for spec in todo:
            running[pool.submit(_work, spec, root)] = spec
        for future in pool.as_completed(running):
            try:
                row = future.result()
            except Exception as error:
                failed.append(f"{running[future].name}: {error}")
                continue
            append_row(ledger, row)
            done += 1
            if on_row:
                on_row(row, done, len(by_name))
    finally:
        for future in running:
            future.cancel()
        if executor is None:
            pool.close()
    return failed


def _check(ledger: Path, corpus_root: Path | None) -> None:
    """Fail before hours of training, not after."""
    if find_spec("torch") is None:
        raise MissingExtra("torch", "train")
    read_corpus(corpus_root)
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("ab"):
        pass

"""``isoloss sweep``: train grids of small networks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import DOUBT, OK, guarded, say
from isoloss.cli.sweep_teacher import teacher


@click.group("sweep")
def command() -> None:
    """Train a grid of small networks. An interrupted sweep goes on when started again."""


command.add_command(teacher)


@command.command("stdlib")
@click.option(
    "--ledger",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("ledger.jsonl"),
    show_default=True,
    help="Finished runs, one JSON line each; runs in it are not trained again.",
)
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the finished runs as a table of runs.",
)
@click.option(
    "--executor",
    "where",
    default="local",
    show_default=True,
    help="Where to train: local, local:4, here, dask://host:port or slurm.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes or jobs; all cores by default.")
@click.option("--max-cost", type=float, help="Leave out runs above this many FLOPs.")
@click.option(
    "--corpus",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of .py files in place of this Python's library.",
)
@guarded
def stdlib(
    ledger: Path,
    table: Path | None,
    where: str,
    workers: int | None,
    max_cost: float | None,
    corpus: Path | None,
) -> int:
    """Train the runs that ship with the package: byte-level transformers on source code.

    The text is the standard library's own. About two hours of one core.
    """
    from isoloss._core.executor import open_executor
    from isoloss.sweep import ledger_table, run_sweep, spec_cost, stdlib_grid

    specs = [s for s in stdlib_grid() if max_cost is None or spec_cost(s) <= max_cost]
    total = sum(spec_cost(s) for s in specs)
    started, spent = time.monotonic(), [0.0]

    def on_row(row: dict[str, Any], done: int, count: int) -> None:
        spent[0] += row["flops_dense"] + row["flops_head"] + row["flops_attention"]
        share = min(spent[0] / total, 1.0)
        left = (time.monotonic() - started) * (1 - share) / max(share, 1e-9)
        say(f"{done}/{count}  {row['run']}  loss {row['loss']:.4f}  about {left / 60:.0f} min left")

    with open_executor(where, workers=workers) as executor:
        failed = run_sweep(specs, ledger, executor=executor, corpus_root=corpus, on_row=on_row)
    for line in failed:
        say(f"failed: {line}")
    if table is not None:
        from isoloss._core.serial import write_atomic

        write_atomic(table, ledger_table(ledger))
        say(f"table: {table}")
    return DOUBT if failed else OK

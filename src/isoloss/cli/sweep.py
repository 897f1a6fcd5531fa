"""``isoloss sweep``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import DOUBT, OK, guarded, json_option, say
from isoloss.cli.sweep_teacher import train_students
from isoloss.cli.theory_grid import Numbers

_OF_TEACHER = "--out, --quick, --rates, --device, --read and --json"


@click.command("sweep")
@click.argument("grid", type=click.Choice(["stdlib", "teacher"]))
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
@click.option("--workers", type=click.IntRange(1), help="Processes; all cores by default.")
@click.option("--max-cost", type=float, help="Leave out runs above this many FLOPs.")
@click.option(
    "--corpus",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of .py files in place of this Python's library.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="teacher: folder of the ledger and the table.",
)
@click.option("--quick", is_flag=True, help="teacher: a small grid, seconds.")
@click.option("--rates", type=Numbers(), help="teacher: learning rates in place of three.")
@click.option("--device", default="cpu", show_default=True, help="teacher: cpu or cuda.")
@click.option(
    "--read",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="teacher: a table made before, in place of training.",
)
@json_option
@guarded
def command(
    grid: str,
    ledger: Path,
    table: Path | None,
    workers: int | None,
    max_cost: float | None,
    corpus: Path | None,
    out: Path | None,
    quick: bool,
    rates: float | list[float] | None,
    device: str,
    read: Path | None,
    as_json: bool,
) -> int:
    """Train a grid of small networks.

    GRID 'stdlib' is the grid of the runs that ship with the package, byte-level transformers on
    the standard library's source: about two hours of one core. 'teacher' are networks of one hidden
    layer that learn from random teachers, the experiment beside the information-theoretic law:
    about half an hour; it takes --out or --read and none of the other's options. An interrupted
    sweep goes on when started again.
    """
    if grid == "teacher":
        if workers or max_cost is not None or corpus or table:
            raise click.UsageError(
                "teacher takes --out, --quick, --rates, --device, --read and --json"
            )
        return train_students(
            out, quick=quick, rates=rates, device=device, read=read, as_json=as_json
        )
    if out or quick or rates or read or as_json or device != "cpu":
        raise click.UsageError(
            "--out, --quick, --rates, --device, --read and --json go with teacher"
        )
    from isoloss.sweep import ledger_table, run_sweep, spec_cost, stdlib_grid

    specs = [s for s in stdlib_grid() if max_cost is None or spec_cost(s) <= max_cost]
    total = sum(spec_cost(s) for s in specs)
    started, spent = time.monotonic(), [0.0]

    def on_row(row: dict[str, Any], done: int, count: int) -> None:
        spent[0] += row["flops_dense"] + row["flops_head"] + row["flops_attention"]
        share = min(spent[0] / total, 1.0)
        left = (time.monotonic() - started) * (1 - share) / max(share, 1e-9)
        say(f"{done}/{count}  {row['run']}  loss {row['loss']:.4f}  about {left / 60:.0f} min left")

    failed = run_sweep(specs, ledger, workers=workers, corpus_root=corpus, on_row=on_row)
    for line in failed:
        say(f"failed: {line}")
    if table is not None:
        from isoloss._core.serial import write_atomic

        write_atomic(table, ledger_table(ledger))
        say(f"table: {table}")
    return DOUBT if failed else OK

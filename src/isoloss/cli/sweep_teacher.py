"""``isoloss sweep teacher``: students of random teachers, and their best width at each compute."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import DOUBT, OK, guarded, json_option, print_json, say
from isoloss.cli.theory_grid import Numbers


@click.command("teacher")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the ledger and the table; students in the ledger are not trained again.",
)
@click.option("--quick", is_flag=True, help="A small grid, seconds.")
@click.option("--rates", type=Numbers(), help="Learning rates in place of three.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--read",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A table made before, in place of training.",
)
@json_option
@guarded
def teacher(
    out: Path | None, quick: bool, rates: float | list[float] | None, device: str,
    read: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Train networks of one hidden layer on random teachers, and find the best widths.

    The experiment beside the information-theoretic law: about half an hour of one core.
    """
    from isoloss.runs import read_runs
    from isoloss.sweep.student_optima import optima_text, student_optima

    if (out is None) == (read is None):
        raise click.UsageError("give a folder to train into, --out, or a table, --read")
    if out is not None:
        read = _train(out, quick, rates, device, as_json)
    assert read is not None
    # The table has d and D, of which one is the dimension.
    found = student_optima(read_runs(read, columns={"D": "D"}))
    if as_json:
        print_json(found.to_dict())
    else:
        say(optima_text(found))
        for i, (d, K) in enumerate(found.pairs):
            p, early, late, loss = (
                f"{v[i, 0]:.2f} [{v[i, 1]:.2f}, {v[i, 2]:.2f}]"
                for v in (found.exponent_p, found.early_p, found.late_p, found.exponent_loss)
            )
            say(f"d={d:g}, K={K:g}: slope of p {p}, early {early}, late {late}; of loss {loss}")
        say(f"intervals: {100 * found.level:g} %, {found.teachers} teachers drawn again")
    return OK if found.found.min() > 0.9 else DOUBT


def _train(
    out: Path, quick: bool, rates: float | list[float] | None, device: str, quiet: bool
) -> Path:
    from isoloss._core.serial import write_atomic
    from isoloss.sweep.ledger import unfinished
    from isoloss.sweep.student_optima import student_table
    from isoloss.sweep.students import RATES, run_students, student_grid

    chosen = RATES if rates is None else rates if isinstance(rates, list) else [rates]
    specs = student_grid(quick=quick, rates=chosen)
    # Teachers cost as much as students, so time goes with samples.
    cost = {s.name: s.d * s.T * (s.n + 20) for s in specs}
    ledger, table = out / "ledger.jsonl", out / "students.csv"
    total = sum(cost[name] for name in unfinished(cost, ledger))
    started, spent = time.monotonic(), 0

    def on_row(row: dict[str, Any], done: int, count: int) -> None:
        nonlocal spent
        spent += cost[row["run"]]
        left = (time.monotonic() - started) * max(total / spent - 1, 0.0)
        if not quiet and (done % 50 == 0 or done == count):
            say(f"{done}/{count}  {row['run']}  loss {row['loss']:.3g}  about {left:.0f} s left")

    run_students(specs, ledger, device=device, on_row=on_row)
    write_atomic(table, student_table(ledger))
    say(f"table: {table}")
    return table

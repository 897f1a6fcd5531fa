"""``isoloss import``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    Pairs,
    guarded,
    json_option,
    merged,
    positive,
    print_json,
    progress,
    say,
)

_SHOWN = 20


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=str))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Table to write: CSV, or the runs with their conventions where it ends in .json; the "
    "findings go beside it.",
)
@click.option(
    "--metric",
    default="eval",
    show_default=True,
    help="Loss to take: eval (held-out), train, a name, or a pattern with *.",
)
@click.option(
    "--loss-unit",
    type=click.Choice(["nats", "bits", "base10", "perplexity", "bpb"]),
    help="Unit that the loss is logged in; nats unless its name says otherwise.",
)
@click.option(
    "--final",
    default="auto",
    show_default=True,
    help="How the end becomes one number: last:K, share:X, ema:K; auto: the last log of a held-out "
    "loss, the last 1 % of a training loss.",
)
@click.option(
    "--warmup",
    default="auto",
    show_default=True,
    help="Step before which logs are cut; auto: where the learning rate first peaks.",
)
@click.option(
    "--anneal",
    type=float,
    default=0.1,
    show_default=True,
    help="Share of the peak learning rate above which a run is flagged as under-annealed.",
)
@click.option(
    "--columns",
    type=Pairs(),
    multiple=True,
    help="Which metric, setting or number is what, e.g. N=n_params,batch=512,context=1024.",
)
@click.option(
    "--units",
    type=Pairs(positive),
    multiple=True,
    help="Size of one unit of a column, e.g. N=1e6 for N in millions.",
)
@click.option("--pattern", help="Template of run names that holds numbers, e.g. 'lm-{N}-{D}*'.")
@click.option(
    "--keep", multiple=True, metavar="CODE", help="Keep runs that a code drops; may be repeated."
)
@click.option(
    "--drop", multiple=True, metavar="CODE", help="Drop runs that a code flags; may be repeated."
)
@click.option(
    "--curves",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV for the clean curve of every imported run.",
)
@json_option
@guarded
def command(
    paths: tuple[str, ...],
    out: Path | None,
    metric: str,
    loss_unit: str | None,
    final: str,
    warmup: str,
    anneal: float,
    columns: Any,
    units: Any,
    pattern: str | None,
    keep: tuple[str, ...],
    drop: tuple[str, ...],
    curves: Path | None,
    as_json: bool,
) -> int:
    """Read the logs under PATHS and write one row of each run.

    W&B, MLflow, TensorBoard, Hugging Face Trainer, Lightning, CSV, JSON lines, Parquet: told by
    content, only ever read. Without --out nothing is written.
    """
    from isoloss.runs.logs import import_logs
    from isoloss.runs.logs.write import side_file, write_curves, write_table

    written = [p for p in (out, curves, side_file(out) if out else None) if p is not None]
    with progress(quiet=as_json) as step:
        found = import_logs(
            list(paths),
            metric=metric,
            loss_unit=loss_unit,
            final=final,
            warmup=warmup,
            anneal=anneal,
            columns=merged(columns) or None,
            units=merged(units) or None,
            pattern=pattern,
            keep=keep,
            drop=drop,
            leave_out=written,
            on_step=step,
        )
        if out is not None:
            write_table(found, out)
        if curves is not None:
            step("writing curves")
            write_curves(found, curves)
    if as_json:
        print_json(found)
    else:
        _show(found)
        if out is not None:
            say(f"table in {out}, every choice and finding in {side_file(out)}")
        else:
            say("nothing written; --out RUNS.csv writes the table")
        if curves is not None:
            say(f"curves in {curves}")
    return DOUBT if found.in_doubt else OK


def _show(found: Any) -> None:
    say(found.summary())
    for severity in ("dropped", "warning"):
        listed = [f for f in found.findings if f.severity == severity]
        for finding in listed[:_SHOWN]:
            say(str(finding))
        if len(listed) > _SHOWN:
            say(f"... and {len(listed) - _SHOWN} more {severity}; --json and the file beside the "
                "table list all")  # fmt: skip

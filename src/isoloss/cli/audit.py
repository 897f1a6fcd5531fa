"""``isoloss audit``."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    ERROR,
    OK,
    Pairs,
    Positive,
    guarded,
    is_mixed,
    json_option,
    merged,
    notes,
    number,
    positive,
    print_json,
    read_table,
    reading_options,
    refusals,
    report_refused,
    runs_argument,
    say,
)


@click.command("audit")
@runs_argument()
@click.option("--compute", type=Positive(), help="The decision: a budget in FLOPs, split at best.")
@click.option(
    "--at", type=Pairs(positive), multiple=True, help="The decision: a place, N=7e10,D=1.4e12."
)
@click.option("--law", "laws", multiple=True, help="Law of the set; may be repeated.")
@click.option("--axis", help="Resource of a law of one resource.")
@click.option("--noise", type=Positive(), help="Standard deviation of a run, 0.003 for 0.3 %.")
@click.option(
    "--values",
    type=Pairs(number),
    multiple=True,
    help="Parameters of the one law, in place of a fit: E=1.69,A=406,...",
)
@click.option(
    "--flops-per-nd",
    type=Positive(),
    help="Training FLOPs per parameter and example; that of the runs by default (6 without C).",
)
@reading_options
@json_option
@guarded
def command(
    runs: str,
    compute: float | None,
    at: Any,
    laws: tuple[str, ...],
    axis: str | None,
    noise: float | None,
    values: Any,
    flops_per_nd: float | None,
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    as_json: bool,
) -> int:  # fmt: skip
    """Say what the design of RUNS can identify, and what no repeating would."""
    from isoloss.plan import Coefficient, audit_design

    table = read_table(runs, columns, units, where)
    found = audit_design(
        table,
        list(laws) or None,
        compute=compute,
        at=merged(at) or None,
        noise=noise,
        values=merged(values) or None,
        cost=Coefficient(flops_per_nd) if flops_per_nd else None,
        axis=axis,
    )
    if as_json:
        print_json(found.to_dict() | {"refused": refusals(table), "notes": notes(table)})
    else:
        report_refused(table, known={f.code for f in found.findings})
        say(found.summary())
    if found.status == "failed":
        return ERROR
    return OK if found.status == "ok" and not is_mixed(table) else DOUBT

"""``isoloss flops runs``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    Positive,
    guarded,
    json_option,
    merged,
    notes,
    print_json,
    progress,
    read_table,
    reading_options,
    refusals,
    report_refused,
    say,
)


@click.command("runs")
@click.argument("runs", nargs=-1, type=click.Path(path_type=str))
@click.option("--budget", type=Positive(), help="FLOPs; ten times the largest run by default.")
@click.option(
    "--convention", "conventions", multiple=True,
    help="Two or more, the first as reference; exact, kaplan, porian, 6nd, hoffmann by default.",
)  # fmt: skip
@click.option(
    "--as", "readings", multiple=True, metavar="N[:C]",
    help="Instead: a column that is N, and one that is C (6 N D by default); twice or more.",
)  # fmt: skip
@click.option("--law", "laws", multiple=True, help="Law; chinchilla and coupled by default.")
@click.option("--set", "fields", multiple=True, help="Fields of all models, as of count.")
@click.option("--draws", type=click.IntRange(0, 1_000_000), default=200, show_default=True,
              help="Bootstrap draws.")  # fmt: skip
@click.option("--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9,
              show_default=True, help="Level of the intervals.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Of the resampling.")  # fmt: skip
@reading_options
@json_option
@guarded
def command(
    runs: tuple[str, ...],
    budget: float | None,
    conventions: tuple[str, ...],
    readings: tuple[str, ...],
    laws: tuple[str, ...],
    fields: tuple[str, ...],
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> int:
    """Refit RUNS under several conventions; show how the best split moves.

    Several tables are combined where they count alike. Without RUNS: the embedded runs.
    """
    from isoloss.errors import InputError
    from isoloss.plan.by_convention import COMPARED, LAWS, split_by_table

    if readings and conventions:
        raise InputError("--as and --convention: give one of them")
    table = _table(runs, columns, units, where)
    report_refused(table)
    constants = _constants(fields, embedded=not runs)
    if readings:
        tables = _read_as(table, readings)
    else:
        tables = _counted_as(table, conventions or COMPARED, constants)
    first = next(iter(tables.values()))
    spend = 10 * float(first["C"].max()) if budget is None else budget
    options["rng"] = options.pop("seed")
    with progress(quiet=as_json) as step:
        effect = split_by_table(tables, spend, laws=laws or LAWS, on_step=step, **options)
    if as_json:
        print_json(effect.to_dict() | {"refused": refusals(table), "notes": notes(table)})
    else:
        say(effect.summary())
    good = not effect.warnings and all(r.status == "ok" for r in effect.rows)
    return OK if good else DOUBT


def _table(runs: tuple[str, ...], columns: Any, units: Any, where: tuple[str, ...]) -> Any:
    from isoloss.runs import combine_runs, embedded_runs, read_runs

    if runs:
        return combine_runs([read_table(name, columns, units, where) for name in runs])
    return read_runs(embedded_runs(), where=list(where) or None)


def _constants(fields: tuple[str, ...], *, embedded: bool) -> dict[str, Any]:
    from isoloss.cli.common import Pairs
    from isoloss.cli.flops import value

    pairs = Pairs(value)
    given = merged(tuple(pairs.convert(f, None, None) for f in fields))
    return ({"vocabulary": 256, "positions": "learned"} if embedded else {}) | given


def _counted_as(table: Any, names: tuple[str, ...], constants: dict[str, Any]) -> dict[str, Any]:
    from isoloss.runs.counting import convert_runs, describe_runs

    models = describe_runs(table, **constants)
    return {name: convert_runs(table, models, name) for name in names}


def _read_as(table: Any, readings: tuple[str, ...]) -> dict[str, Any]:
    from isoloss.runs import Conventions

    tables = {}
    for reading in readings:
        size, sign, flops = reading.partition(":")
        N = table[size]
        C = table[flops] if sign else 6 * N * table["D"]
        words = replace(
            table.conventions, N=f"column {size}", C=f"column {flops}" if sign else Conventions().C
        )
        tables[reading] = replace(
            table, columns=dict(table.columns) | {"N": N, "C": C}, conventions=words
        )
    return tables

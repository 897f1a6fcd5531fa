"""``isoloss seal``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    ERROR,
    OK,
    Pairs,
    emphasis_option,
    fitting_options,
    guarded,
    is_mixed,
    json_option,
    merged,
    outliers_option,
    positive,
    print_json,
    progress,
    read_table,
    reading_options,
    report_refused,
    runs_argument,
    say,
)


@click.command("seal")
@runs_argument(required=False)
@click.option("--at", type=Pairs(positive), multiple=True, help="Target, e.g. N=7e10,D=1.4e12.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@click.option("--note", default="", help="Words of your own, sealed with the rest.")
@click.option(
    "--conventions", type=Pairs(), multiple=True, help="What a column counts: N='all parameters'."
)
@click.option(
    "--sensitivity", is_flag=True, help="Also list which assumptions move the forecast most."
)
@click.option("--record", type=click.Path(path_type=Path), help="Also write it into this record.")
@click.option(
    "--check",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Check a sealed forecast in place of making one.",
)
@click.option("--runs", "again", help="With --check: runs to derive the forecast from again.")
@click.option("--law", "laws", multiple=True, help="Law of the set; may be repeated.")
@click.option(
    "--objective",
    default="auto",
    show_default=True,
    help="'auto' lets the back-test choose; else as in fit.",
)
@emphasis_option
@outliers_option
@fitting_options
@reading_options
@json_option
@guarded
def command(
    runs: str | None,
    at: Any,
    out: Path | None,
    note: str,
    conventions: Any,
    sensitivity: bool,
    record: Path | None,
    check: Path | None,
    again: str | None,
    laws: tuple[str, ...],
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    seed: int,
    as_json: bool,
    **options: Any,
) -> int:
    """Forecast from RUNS and seal it: a file, and a hash to give to others.

    Prints the SHA-256 of the content. Without --json it is the only line on stdout.
    """
    if check is not None:
        _refuse_beside_check(runs)
        return _check(check, again, columns, units, where, as_json)
    if again is not None:
        raise click.UsageError("--runs needs --check FILE")
    if runs is None or not at or out is None:
        raise click.UsageError("give RUNS, --at N=...,D=... and --out FILE; or --check FILE")
    if out.exists():
        raise click.UsageError(f"--out {out}: is there already; a seal is never written over")
    from isoloss.study.sealed import add_sealed, read_record, seal
    from isoloss.study.sealed.record import record_path
    from isoloss.study.sealed.sensitivity import sensitivity_lines

    if record is not None and record_path(record).exists():
        # A record that cannot be used is found out before the work, not after.
        read_record(record)
    table = read_table(runs, columns, units, where)
    report_refused(table)
    with progress(quiet=as_json) as step:
        found = seal(
            table,
            list(at),
            laws=list(laws) or None,
            rng=seed,
            note=note,
            conventions=merged(conventions),
            sensitivity=sensitivity,
            reading={
                "columns": merged(columns) or None,
                "units": merged(units) or None,
                "where": list(where) or None,
            },
            on_step=step,
            **options,
        )
    found.write(out)
    for line in found.summary().splitlines():
        say(line)
    held = found.answers["runs"]["holding_targets"]
    for entry in held:
        say(f"warning: target {entry['point'] + 1} is among the runs; that is no forecast")
    if sensitivity:
        for line in sensitivity_lines(found.answers["sensitivity"]):
            say(line)
    say(f"written: {out}; keep it, and give its SHA-256 to somebody who keeps dates:")
    if as_json:
        print_json(found)
    else:
        click.echo(found.sha256)
    if record is not None:
        # Last, so that a record that cannot be written leaves no seal without its hash shown.
        add_sealed(record, found)
    good = all(p["tested"] for p in found.points) and not held and not is_mixed(table)
    return OK if good else DOUBT


def _refuse_beside_check(runs: str | None) -> None:
    """Options that would have no effect are a mistake of the caller."""
    context = click.get_current_context()
    if runs is not None:
        raise click.UsageError("RUNS beside --check: give them as --runs RUNS")
    beside = {"check", "again", "columns", "units", "where", "as_json"}
    for name in set(context.params) - beside:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            shown = "law" if name == "laws" else name
            raise click.UsageError(f"--{shown} has no effect beside --check")


def _check(
    file: Path, again: str | None, columns: Any, units: Any, where: tuple[str, ...], as_json: bool
) -> int:
    from isoloss.study.sealed import check_sealed, read_sealed

    found = read_sealed(file)
    stated = bool(columns or units or where)
    with progress(quiet=as_json) as step:
        table: Any = again
        if again is not None and (stated or again == "-"):
            table = read_table(again, columns, units, where)
        result = check_sealed(found, table, on_step=step)
    if as_json:
        print_json(result)
    for line in (*found.summary().splitlines(), *result.summary().splitlines()):
        say(line)
    if result.same is False or result.same_runs is False:
        return ERROR
    return DOUBT if result.notes else OK

"""``isoloss score``."""

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
    reading_options,
    say,
)


@click.command("score")
@click.argument("forecast", required=False, type=click.Path(path_type=Path))
@click.argument("measured", required=False, type=click.Path(path_type=str))
@click.option(
    "--truth",
    type=Pairs(positive),
    multiple=True,
    help="What was measured, e.g. N=7e10,D=1.4e12,loss=1.93; may be repeated.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.01,
    show_default=True,
    help="How far a run may be from its target in each resource, as a part.",
)
@click.option("--mean", is_flag=True, help="The losses are means over many seeds.")
@click.option(
    "--conventions", type=Pairs(), multiple=True, help="What a column counts: N='all parameters'."
)
@click.option("--record", type=click.Path(path_type=Path), help="Write the scores into it.")
@click.option(
    "--summary", type=click.Path(path_type=Path), help="Summarise a record in place of scoring."
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --summary: reliability as an SVG file.",
)
@reading_options
@json_option
@guarded
def command(
    forecast: Path | None,
    measured: str | None,
    truth: Any,
    tolerance: float,
    mean: bool,
    conventions: Any,
    record: Path | None,
    summary: Path | None,
    plot: Path | None,
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    as_json: bool,
) -> int:
    """Score the sealed FORECAST against the runs MEASURED since, or against --truth."""
    if summary is not None:
        _refuse_beside_summary()
        return _summarise(summary, plot, as_json)
    if plot is not None:
        raise click.UsageError("--plot needs --summary RECORD")
    if forecast is None or (measured is None) == (not truth):
        raise click.UsageError(
            "give FORECAST and either MEASURED or --truth N=...,D=...,loss=...; or --summary RECORD"
        )
    from isoloss.study.sealed import add_score, read_sealed, score_sealed

    # What was changed is refused before anything else is read.
    found = read_sealed(forecast)
    given: Any = [dict(t) for t in truth] or _read(measured, columns, units, where, conventions)
    result = score_sealed(
        found,
        given,
        tolerance=tolerance,
        of_mean=mean,
        same_unit="loss" in merged(units),
    )
    if as_json:
        print_json(result)
    for line in result.summary().splitlines():
        say(line)
    if record is not None:
        added = add_score(record, result)
        rest = len(result.rows) - added
        say(f"record: {added} new" + (f", {rest} were in it already" if rest else ""))
    return DOUBT if result.doubtful else OK


def _read(
    measured: str | None, columns: Any, units: Any, where: tuple[str, ...], conventions: Any
) -> Any:
    import sys

    from isoloss.runs import read_runs
    from isoloss.runs.notes import DATA_CODES

    table = read_runs(
        sys.stdin.buffer if measured == "-" else measured,
        columns=merged(columns) or None,
        units=merged(units) or None,
        where=list(where) or None,
        conventions=merged(conventions) or None,
    )
    # Refused rows stand in the score; whether a table suits a fit is no matter here.
    idle = DATA_CODES - {"UNITS_N", "UNITS_D", "LARGE_LOSS"}
    for note in table.notes:
        if note.code not in idle and (note.severity == "warning" or note.code == "SELECTED"):
            say(f"{note.severity} {note.code}: {note.message}")
    return table


def _refuse_beside_summary() -> None:
    """Options that would have no effect are a mistake of the caller."""
    context = click.get_current_context()
    for name in set(context.params) - {"summary", "plot", "as_json"}:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{name} has no effect beside --summary")


def _summarise(record: Path, plot: Path | None, as_json: bool) -> int:
    from isoloss._core.serial import write_atomic
    from isoloss.study.sealed import calibration

    found = calibration(record)
    if as_json:
        print_json(found)
    for line in found.summary().splitlines():
        say(line)
    if plot is not None:
        from isoloss.plot import draw_reliability, svg_bytes

        write_atomic(plot, svg_bytes(draw_reliability(found.answers)))
        say(f"picture: {plot}")
    return OK if found.answers["n_targets"] and not found.answers["damaged_lines"] else DOUBT

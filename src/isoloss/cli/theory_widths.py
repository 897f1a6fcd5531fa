"""``isoloss theory widths``: whether losses approach their limit as 1/width."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    guarded,
    json_option,
    merged,
    print_json,
    read_table,
    reading_options,
    report_refused,
    runs_argument,
    say,
)


@click.command("widths")
@runs_argument()
@click.option("--width", default="width", show_default=True, help="Column of the width.")
@click.option("--time", help="Column of the time or step at which each loss was measured.")
@click.option(
    "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9,
    show_default=True, help="Level of the intervals.",
)  # fmt: skip
@reading_options
@json_option
@guarded
def command(
    runs: str, width: str, time: str | None, level: float, columns: Any, units: Any,
    where: tuple[str, ...], as_json: bool,
) -> int:  # fmt: skip
    """Whether the losses of RUNS fall to that of the widest networks as 1/width.

    Two seeds or more at every width, and three widths. Rows of one width, and one time, are seeds.
    """
    from isoloss.theory import width_losses

    named = merged(columns) | {"width": width} | ({} if time is None else {"time": time})
    table = read_table(runs, (named,), units, where)
    report_refused(table)
    at = None if time is None else table["time"]
    found = width_losses(table["width"], table["loss"], time=at, level=level)
    if as_json:
        print_json(found.to_dict())
    else:
        say(found.summary())
    unresolved = all(e.verdict == "unresolved" for e in found.exponents)
    if unresolved:
        say("note: the seeds scatter too much to say how the losses depend on width; add seeds")
    return DOUBT if unresolved else OK

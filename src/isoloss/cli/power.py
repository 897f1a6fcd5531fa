"""``isoloss power``."""

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
    number,
    of_files,
    positive,
    print_json,
    read_table,
    reading_options,
    report_refused,
    runs_argument,
    say,
)
from isoloss.cli.pictures import PICTURES, check_written, write_picture


class _Paired(click.ParamType):  # type: ignore[type-arg]
    """``auto`` or a correlation."""

    name = "auto|R"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        """Read it; mistakes are usage errors."""
        if value == "auto":
            return "auto"
        if isinstance(value, float):
            return value
        try:
            found: float = number(str(value))
            return found
        except ValueError as error:
            self.fail(f"{value!r} {error}; write auto or a correlation", param, ctx)


@click.command("power")
@runs_argument()
@click.argument("other", required=False, type=click.Path(path_type=str))
@click.option(
    "--at",
    type=Pairs(positive),
    multiple=True,
    required=True,
    help="Where the recipes are compared: C=1e21, or N=...,D=...",
)
@click.option("--effect", type=Positive(), help="Compute multiplier to be seen, e.g. 1.05.")
@click.option("--loss-effect", type=Positive(), help="Difference of loss to be seen, in its unit.")
@click.option("--design", help="Ladder of both, N=1e7:1e9:5,ratio=20; that of RUNS by default.")
@click.option(
    "--tie",
    default="E",
    show_default=True,
    help="Parameters in common, such as E or E,alpha; or 'none'.",
)
@click.option(
    "--paired",
    type=_Paired(),
    default="auto",
    show_default=True,
    help="Correlation of runs of one place and seed; 'auto' measures it in RUNS and OTHER.",
)
@click.option("--noise", type=Positive(), help="Standard deviation of a run, 0.003 for 0.3 %.")
@click.option("--law", "laws", multiple=True, help="Law of the set; may be repeated.")
@click.option("--axis", help="Resource of a law of one resource.")
@click.option(
    "--power",
    "goal",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
    help="Chance with which the effect is to be seen.",
)
@click.option(
    "--test",
    "level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Level of the two-sided test.",
)
@click.option(
    "--flops-per-nd",
    type=Positive(),
    help="Training FLOPs per parameter and example; that of the runs by default (6 without C).",
)
@click.option("--plot", metavar="FILE", help="Write a picture, .svg or .png.")
@reading_options
@json_option
@guarded
def command(
    runs: str,
    other: str | None,
    at: Any,
    effect: float | None,
    loss_effect: float | None,
    design: str | None,
    tie: str,
    paired: float | str,
    noise: float | None,
    laws: tuple[str, ...],
    axis: str | None,
    goal: float,
    level: float,
    flops_per_nd: float | None,
    plot: str | None,
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    as_json: bool,
) -> int:  # fmt: skip
    """Count the runs that tell two recipes apart, from pilots of one (RUNS) or both (OTHER)."""
    from isoloss.plan import Coefficient, power_to_compare

    if (effect is None) == (loss_effect is None):
        raise click.UsageError("give --effect MULTIPLIER or --loss-effect DIFFERENCE, one of them")
    if runs == "-" and other == "-":
        raise click.UsageError("standard input holds one table; give a file for the other")
    check_written(plot, "--plot", PICTURES, [p for p in (runs, other) if p not in (None, "-")])
    table = read_table(runs, columns, units, where)
    second = None if other is None else read_table(other, columns, units, where)
    if not as_json:
        for each in (table, second):
            if each is not None:
                report_refused(each)
    found = power_to_compare(
        table,
        second,
        at=merged(at),
        effect=effect,
        loss_effect=loss_effect,
        design=design,
        tie=() if tie == "none" else tuple(n.strip() for n in tie.split(",")),
        paired=paired,
        noise=noise,
        laws=list(laws) or None,
        power=goal,
        level=level,
        cost=Coefficient(flops_per_nd) if flops_per_nd else None,
        axis=axis,
    )
    if as_json:
        read = {runs: table} | ({} if second is None or other is None else {other: second})
        print_json(found.to_dict() | of_files(read))
    else:
        say(found.summary())
    # After the answer, which a disk that is full must not cost.
    if plot is not None:
        from isoloss.plot.power import draw_power

        write_picture(draw_power(found), plot)
    if found.status == "failed":
        return ERROR
    mixed = any(is_mixed(t) for t in (table, second) if t is not None)
    return OK if found.status == "ok" and not mixed else DOUBT

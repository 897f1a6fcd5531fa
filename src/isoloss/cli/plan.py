"""``isoloss plan``."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    Positive,
    emphasis_option,
    fitting_options,
    guarded,
    is_mixed,
    json_option,
    left_out,
    notes,
    outliers_option,
    print_json,
    read_and_fit,
    reading_options,
    refusals,
    runs_argument,
    say,
)


@click.command("plan")
@runs_argument()
@click.option("--budget", type=Positive(), multiple=True, required=True, help="FLOPs; repeatable.")
@click.option("--law", "laws", multiple=True, help="Law of the set; may be repeated.")
@click.option("--objective", default="auto", show_default=True, help="As in forecast.")
@click.option("--unique", type=Positive(), help="Unique examples at hand.")
@click.option(
    "--flops-per-nd",
    type=Positive(),
    help="Training FLOPs per parameter and example; that of the runs by default (6 without C).",
)
@click.option(
    "--tolerance",
    type=Positive(),
    default=0.01,
    show_default=True,
    help="Relative excess loss that is still near-optimal.",
)
@emphasis_option
@outliers_option
@fitting_options
@reading_options
@json_option
@guarded
def command(
    runs: str,
    budget: tuple[float, ...],
    laws: tuple[str, ...],
    unique: float | None,
    flops_per_nd: float | None,
    tolerance: float,
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> int:
    """Split a compute budget between model size and data, from RUNS."""
    from isoloss.plan import Coefficient
    from isoloss.study import plan_runs

    table, fitted = read_and_fit(runs, columns, units, where, laws, as_json, **options)
    plan = plan_runs(
        table,
        budget,
        laws=fitted,
        unique=unique,
        tolerance=tolerance,
        cost=Coefficient(flops_per_nd) if flops_per_nd else None,
    )
    if as_json:
        rows = [plan.to_dict(i) for i in range(len(budget))]
        shared = {
            "laws_sentence": fitted.sentence,
            "left_out": left_out(table, fitted),
            "refused": refusals(table),
            "notes": notes(table),
        }
        print_json(rows[0] | shared if len(rows) == 1 else {"plans": rows} | shared)
    else:
        say(plan.summary())
        if fitted.left_out_sentence:
            say(fitted.left_out_sentence)
        say(fitted.sentence)
    good = not plan.warnings and fitted.best.status == "ok" and not is_mixed(table)
    good = good and not fitted.left_out.any()
    return OK if good else DOUBT

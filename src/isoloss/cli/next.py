"""``isoloss next``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    Pairs,
    Positive,
    bounds_type,
    emphasis_option,
    fitting_options,
    guarded,
    is_mixed,
    json_option,
    left_out,
    merged,
    notes,
    outliers_option,
    print_json,
    read_and_fit,
    reading_options,
    refusals,
    runs_argument,
    say,
)
from isoloss.cli.next_arms import arms, arms_options
from isoloss.cli.pictures import PICTURES, check_written, write_picture


@click.command("next")
@runs_argument()
@arms_options
@click.option("--goal", required=True, metavar="GOAL",
              help="To narrow: loss@N=..,D=.., loss@C=.., N_opt@C=.. or A-vs-B@C=...")  # fmt: skip
@click.option("--budget", type=Positive(), required=True, help="FLOPs for all runs together.")
@click.option("--k", type=click.IntRange(1, 1000), default=5, show_default=True,
              help="Most runs, seeds counted.")  # fmt: skip
@click.option(
    "--box", type=bounds_type, multiple=True, help="Where to look: N=LOW:HIGH,D=LOW:HIGH."
)
@click.option("--pool", type=click.Path(path_type=str), metavar="FILE",
              help="Instead: a CSV of runs that can be made.")  # fmt: skip
@click.option("--parallel", type=click.IntRange(1, 1000), default=1, show_default=True,
              help="Runs side by side.")  # fmt: skip
@click.option("--most-seeds", type=click.IntRange(1, 1000),
              help="Most runs of one configuration.")  # fmt: skip
@click.option("--shape", "shapes", type=Pairs(), multiple=True,
              help="Sizes that can be built, e.g. vocabulary=50304,context=2048.")  # fmt: skip
@click.option("--only", is_flag=True, help="Narrow the goal alone, whatever becomes of the rest.")
@click.option("--worst", type=click.FloatRange(0, 1), default=0.25, show_default=True,
              help="Weight of the law that gains least.")  # fmt: skip
@click.option("--ray-share", type=click.FloatRange(0, 1), default=0.2, show_default=True,
              help="Share of the budget kept for the goal's own D/N.")  # fmt: skip
@click.option("--drift", type=click.FloatRange(0, 1), default=0.005, show_default=True,
              help="How far laws may bend; 0 trusts them.")  # fmt: skip
@click.option("--flops-per-nd", type=Positive(),
              help="FLOPs per parameter and example; by default that of the runs.")  # fmt: skip
@click.option("--law", "laws", multiple=True, help="Law of the set; may be repeated.")
@click.option("--objective", default="auto", show_default=True, help="As in forecast.")
@click.option("--html", metavar="FILE", help="Write a page, .html, that needs no other file.")
@click.option("--plot", metavar="FILE", help="Draw where to run, .svg or .png.")
@emphasis_option
@outliers_option
@fitting_options
@reading_options
@json_option
@guarded
def command(
    runs: str, other: str | None, by: str | None, tie: str, paired: float | str, rule: str,
    goal: str, budget: float, k: int, box: Any, pool: str | None, parallel: int,
    most_seeds: int | None, shapes: Any, only: bool, worst: float, ray_share: float, drift: float,
    flops_per_nd: float | None, laws: tuple[str, ...], html: str | None, plot: str | None,
    columns: Any, units: Any, where: tuple[str, ...], as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Say what to run next: the runs that narrow a goal most for their FLOPs.

    RUNS are those at hand. Status 3 also where no run within the budget narrows the goal. With
    the runs of another recipe, OTHER, and the goal A-vs-B@C=..: which runs of which recipe.
    """
    from isoloss.plan import Coefficient, parse_goal, plan_next_runs
    from isoloss.plan.design_places import cost_of_runs

    reading = (columns, units, where)
    shaped = {name: _value(text) for name, text in merged(shapes).items()} or None
    if (told := arms(
        runs, other, by, goal, reading, as_json, budget=budget, k=k, rule=rule, tie=tie,
        paired=paired, box=merged(box) or None, pool=pool, shape=shaped, most_seeds=most_seeds,
        laws=list(laws) or None, axis=options["axis"], drift=drift, level=options["level"],
    )) is not None:  # fmt: skip
        return told
    aim = parse_goal(goal)
    for path, option, ends in ((html, "--html", (".html", ".htm")), (plot, "--plot", PICTURES)):
        check_written(path, option, ends, [None if runs == "-" else runs, pool])
    table, fitted = read_and_fit(runs, columns, units, where, laws, as_json, **options)
    found = plan_next_runs(
        fitted,
        table,
        aim,
        budget=budget,
        k=k,
        box=merged(box) or None,
        pool=pool,
        cost=Coefficient(flops_per_nd) if flops_per_nd else cost_of_runs(table),
        parallel=parallel,
        most_seeds=most_seeds,
        shape=shaped,
        only=only,
        worst=worst,
        ray_share=ray_share,
        drift=drift,
    )
    # Pictures first: where matplotlib is missing nothing has been written yet.
    if plot:
        from isoloss.plot.next_runs import draw_next_runs

        write_picture(draw_next_runs(found, table), plot)
    if html:
        from isoloss._core.serial import write_atomic
        from isoloss.report.next_runs import render_next_runs

        write_atomic(Path(html), render_next_runs(found, table))
    if as_json:
        shared = {
            "laws_sentence": fitted.sentence,
            "left_out": left_out(table, fitted),
            "refused": refusals(table),
            "notes": notes(table),
        }
        print_json(found.to_dict() | shared)
    else:
        say(found.summary())
        if fitted.left_out_sentence:
            say(fitted.left_out_sentence)
        say(fitted.sentence)
    good = found.status == "ok" and fitted.best.status == "ok" and not is_mixed(table)
    return OK if good and not fitted.left_out.any() else DOUBT


def _value(text: str) -> Any:
    """Read a rule of shapes: a whole number, a number, yes or no, LOW-HIGH, else a word."""
    low, dash, high = text.partition("-")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    if dash:
        try:
            return float(low), float(high)
        except ValueError:
            pass
    return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)

"""``isoloss forecast``."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    Pairs,
    Positive,
    emphasis_option,
    fitting_options,
    guarded,
    is_mixed,
    json_option,
    left_out,
    notes,
    outliers_option,
    positive,
    print_json,
    read_and_fit,
    reading_options,
    refusals,
    runs_argument,
    say,
)


@click.command("forecast")
@runs_argument()
@click.option("--at", type=Pairs(positive), multiple=True, help="Target, e.g. N=7e10,D=1.4e12.")
@click.option(
    "--compute", type=Positive(), multiple=True, help="Budget in FLOPs, split where it is best."
)
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
    runs: str,
    at: Any,
    compute: tuple[float, ...],
    laws: tuple[str, ...],
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> int:
    """Forecast the loss from RUNS, with its back-test beside it.

    With one target the JSON is that forecast; with several it is {"forecasts": [...]}.
    """
    from isoloss.fit.rivals import telling_runs
    from isoloss.plan.design_places import cost_of_runs
    from isoloss.study import forecast_runs
    from isoloss.study.answers import is_tested
    from isoloss.study.both import side_by_side_lines
    from isoloss.study.influence import examine

    if not at and not compute:
        raise click.UsageError("give --at N=...,D=... or --compute FLOPS")
    table, fitted = read_and_fit(runs, columns, units, where, laws, as_json, **options)
    answers = forecast_runs(table, at, compute=compute, laws=fitted)
    marks = None if fitted.best.influence is None else fitted.best.influence.flagged
    examined = examine(fitted, table, [(a.at, a.loss) for a in answers], marks)
    telling = telling_runs(fitted, table, cost=cost_of_runs(table))
    if as_json:
        test = fitted.to_dict()
        shared = {
            "backtest": test["backtest"] | {"objective": test["objective"]},
            "laws_sentence": fitted.sentence,
            "influence": examined,
            "telling_runs": telling.to_dict(),
            "n_rows": len(table),
            "left_out": left_out(table, fitted),
            "refused": refusals(table),
            "notes": notes(table),
        }
        rows = [a.to_dict() for a in answers]
        print_json(rows[0] | shared if len(rows) == 1 else {"forecasts": rows} | shared)
    else:
        say(fitted.summary())
        for a in answers:
            say(a.summary())
        if examined["scales"]:
            say(examined["scales"]["sentence"])
        for line in side_by_side_lines(examined["side_by_side"]):
            say(line)
        say(telling.summary())
    tested = all(is_tested(a) for a in answers)
    good = tested and fitted.best.status == "ok" and not is_mixed(table)
    good = good and not fitted.left_out.any()
    return OK if good else DOUBT

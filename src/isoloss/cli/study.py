"""``isoloss study``."""

from __future__ import annotations

import shlex
from pathlib import Path
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
    json_option,
    laws_taken,
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


@click.command("study")
@runs_argument(required=False)
@click.option(
    "--budget", type=Positive(), help="FLOPs to plan; ten times the largest run by default."
)
@click.option("--at", type=Pairs(positive), multiple=True, help="Further target, N=...,D=...")
@click.option("--law", "laws", multiple=True, help="Law of the set; may be repeated.")
@click.option("--objective", default="auto", show_default=True, help="As in forecast.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("isoloss-study"),
    show_default=True,
    help="Folder for the report.",
)
@emphasis_option
@outliers_option
@fitting_options
@reading_options
@json_option
@guarded
def command(
    runs: str | None,
    budget: float | None,
    at: Any,
    laws: tuple[str, ...],
    objective: str,
    emphasis: str,
    outliers: str,
    out: Path,
    seed: int,
    draws: int,
    level: float,
    axis: str | None,
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    as_json: bool,
) -> int:
    """Fit, back-test, forecast, plan and report; without RUNS, on the embedded real runs.

    Writes report.html, report.md, laws.tex, study.json and figures. A killed study continues
    where it was when started again with the same arguments.
    """
    from isoloss.study import run_study

    if not runs and (columns or units or where):
        raise click.UsageError("--columns, --units and --where need RUNS")
    table = read_table(runs, columns, units, where) if runs else None
    if table is not None:
        report_refused(table)
    with progress(quiet=as_json) as step:
        result, files = run_study(
            table,
            out,
            budget=budget,
            at=at,
            laws=list(laws) or None,
            objective=objective,
            emphasis=emphasis,
            outliers=outliers,
            draws=draws,
            level=level,
            rng=seed,
            axis=axis,
            command=_command_line(runs),
            on_step=step,
        )
    if as_json:
        print_json(result.answers)
    else:
        if not laws:
            say(laws_taken(result.runs, result.laws))
        say("")
        for line in result.answers["headline"]:
            say(line)
        say("")
    say(f"report: {files['report.html'].resolve()}")
    grave = any(d["severity"] == "high" for d in result.answers["distrust"])
    return DOUBT if grave or result.laws.best.status != "ok" else OK


def _command_line(runs: str | None) -> str:
    """Build the command without folders, which do not change the answer."""
    words, skip = [], False
    for word in click.get_current_context().meta["isoloss.words"]:
        if skip:
            skip = False
        elif word == "--out":
            skip = True
        elif not word.startswith("--out=") and word != "--json":
            words.append(Path(word).name if word == runs else word)
    return "isoloss " + shlex.join(words)

"""``isoloss fit``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    ERROR,
    OK,
    Pairs,
    Positive,
    bounds_type,
    fitting_options,
    guarded,
    is_mixed,
    json_option,
    merged,
    notes,
    number,
    print_json,
    read_table,
    reading_options,
    refusals,
    report_refused,
    runs_argument,
    say,
)


@click.command("fit")
@runs_argument()
@click.option(
    "--law",
    default="auto",
    show_default=True,
    help="Name, or a formula; 'auto': chinchilla with N and D, power_floor with one resource.",
)
@click.option(
    "--objective",
    default="huber:1e-3",
    show_default=True,
    help="lsq, lad, huber:DELTA or one-sided:DELTA; ',linear' for losses, not log losses.",
)
@click.option("--pin", type=Pairs(number), multiple=True, help="Fix parameters, e.g. E=1.69.")
@click.option("--tie", type=Pairs(), multiple=True, help="Set equal, e.g. beta=alpha.")
@click.option(
    "--bounds", type=bounds_type, multiple=True, help="Bound parameters, e.g. alpha=0.2:0.5."
)
@click.option(
    "--noise",
    default="constant",
    show_default=True,
    help="What sets the weights: constant, scale (shrinks with scale), seeds (their spread), or "
    "column:NAME (standard error of each loss).",
)
@click.option(
    "--resample",
    type=click.Choice(
        ["auto", "case", "cluster", "wild", "residual", "seed", "jackknife", "normal"]
    ),
    default="auto",
    show_default=True,
    help="How the parameters are drawn.",
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME",
    help="Profile-likelihood interval of a parameter or a formula of them; may be repeated.",
)
@click.option(
    "--budget",
    type=Positive(),
    help="FLOPs, or the law's one resource, at which answers with and without influential runs "
    "are compared; ten times the largest run by default.",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that keeps finished resamples, to go on after a kill.",
)
@fitting_options
@reading_options
@json_option
@guarded
def command(
    runs: str,
    law: str,
    objective: str,
    pin: Any,
    tie: Any,
    bounds: Any,
    noise: str,
    resample: str,
    profiles: tuple[str, ...],
    budget: float | None,
    journal: Path | None,
    seed: int,
    draws: int,
    level: float,
    axis: str | None,
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    as_json: bool,
) -> int:
    """Fit one law to RUNS (a file, or - for standard input)."""
    from isoloss.errors import InputError
    from isoloss.fit import fit, profile
    from isoloss.fit.prepare import choose_law
    from isoloss.study.both import side_by_side_lines
    from isoloss.study.influence import examine, target_of

    table = read_table(runs, columns, units, where)
    report_refused(table)
    form, reason = choose_law(table, law, axis=axis)
    changes = {**merged(tie), **merged(bounds), **merged(pin)}
    if unknown := [name for name in changes if name not in form.names]:
        raise InputError(
            f"{form.name} has no parameter {unknown[0]!r}; it has {', '.join(form.names)}"
        )
    if merged(tie):
        form = form.tie(**merged(tie))
    if merged(bounds):
        form = form.bound(**merged(bounds))
    if merged(pin):
        form = form.pin(**merged(pin))
    result = fit(
        table,
        form,
        objective=objective,
        noise=noise,
        draws=draws,
        resample=resample,
        level=level,
        rng=seed,
        journal=journal,
    )
    result = replace(result, law_reason=reason)
    traced = [profile(table, result, name) for name in profiles]
    flagged = []
    marks = None if result.influence is None else result.influence.flagged
    examined = examine(result, table, [(target_of(result, table, budget), None)], marks)
    if marks is not None:
        flagged = [
            {"row": table.rows[i], "name": table.names[i], "loss": float(table["loss"][i])}
            for i in range(len(table))
            if marks[i]
        ]
    if as_json:
        answer = result.to_dict()
        answer["influential_rows"] = flagged
        answer["profiles"] = [p.to_dict() for p in traced]
        answer["scale_influence"] = examined["scales"]
        answer["side_by_side"] = examined["side_by_side"]
        answer["n_refused"] = len(table.refused)
        answer["refused"] = refusals(table)
        answer["notes"] = notes(table)
        print_json(answer)
    else:
        say(result.summary())
        for found in traced:
            say(f"  profile: {found.summary()}")
        for row in flagged:
            say(f"  influential: row {row['row']} ({row['name']}), loss {row['loss']:.4g}")
        if examined["scales"]:
            say(examined["scales"]["sentence"])
        for line in side_by_side_lines(examined["side_by_side"]):
            say(line)
    if result.status == "failed":
        fatal = [r.message for r in result.reasons if r.fatal]
        say(f"error: {'; '.join(fatal) or 'no finite parameters'}")
    good = DOUBT if is_mixed(table) else OK
    return {"ok": good, "suspect": DOUBT}.get(result.status, ERROR)

"""``isoloss downstream``."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    ERROR,
    OK,
    Pairs,
    fitting_options,
    guarded,
    is_mixed,
    json_option,
    merged,
    notes,
    number,
    positive,
    print_json,
    progress,
    read_table,
    reading_options,
    refusals,
    report_refused,
    runs_argument,
    say,
)
from isoloss.cli.downstream_published import FamilyModel, forecast_published


class _Task(click.ParamType):  # type: ignore[type-arg]
    """``COLUMN,chance=X,items=K``."""

    name = "COLUMN,chance=X,items=K"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, dict[str, Any]]:
        """Read the name and what is known of it; mistakes are usage errors."""
        if isinstance(value, tuple):
            return value
        column, *rest = str(value).split(",")
        known: dict[str, Any] = {}
        for part in rest:
            key, sign, text = part.partition("=")
            kind = {"chance": number, "items": _whole}.get(key.strip())
            if not sign or kind is None:
                self.fail(f"{value!r}: write {self.name}", param, ctx)
            try:
                known[key.strip()] = kind(text)
            except ValueError as error:
                self.fail(f"{key.strip()} = {text!r} {error}", param, ctx)
        if not column.strip():
            self.fail(f"{value!r}: write {self.name}", param, ctx)
        return column.strip(), known


def _whole(text: str) -> int:
    value = number(text)
    if not value.is_integer():
        raise ValueError("is not a whole number")
    return int(value)


@click.command("downstream")
@runs_argument()
@click.option(
    "--task",
    "tasks",
    type=_Task(),
    multiple=True,
    required=True,
    help="Column of accuracies, chance level, number of questions; may be repeated.",
)
@click.option("--at", type=Pairs(positive), multiple=True, help="Target, e.g. N=7e9,D=1.4e11.")
@click.option("--law", "laws", multiple=True, help="Law of the first step; may be repeated.")
@click.option(
    "--observational", is_flag=True, help="RUNS are published models: families, C and scores."
)
@click.option(
    "--benchmark",
    "shared",
    type=_Task(),
    multiple=True,
    help="Column that capabilities are made of, and its chance.",
)
@click.option(
    "--model", "models", type=FamilyModel(), multiple=True, help="Target of --observational."
)
@click.option(
    "--scale", type=click.Choice(["auto", "raw", "logit"]), help="Of benchmarks; auto by default."
)
@click.option(
    "--components", type=click.IntRange(1), help="Capabilities; as few as explain 95 % by default."
)
@fitting_options
@reading_options
@json_option
@guarded
def command(
    runs: str,
    tasks: tuple[tuple[str, dict[str, Any]], ...],
    at: tuple[dict[str, float], ...],
    laws: tuple[str, ...],
    observational: bool,
    shared: tuple[tuple[str, dict[str, Any]], ...],
    models: tuple[tuple[str, float], ...],
    scale: str | None,
    components: int | None,
    axis: str | None,
    seed: int,
    draws: int,
    level: float,
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    as_json: bool,
) -> int:
    """Forecast accuracies of RUNS at a scale in two steps, or say which cannot be."""
    wrong = (
        {"--at": at, "--law": laws, "--axis": axis, "--where": where}
        if observational
        else {
            "--benchmark": shared,
            "--model": models,
            "--scale": scale,
            "--components": components,
        }
    )
    if given := [name for name, value in wrong.items() if value]:
        word = "goes without" if observational else "needs"
        raise click.UsageError(f"{given[0]} {word} --observational")
    if observational:
        policy: dict[str, Any] = {"components": components, "level": level, "draws": draws}
        policy |= {"rng": seed, "scale": scale or "auto"}
        return forecast_published(runs, tasks, shared, models, columns, units, as_json, policy)
    from isoloss.fit import fit_laws
    from isoloss.study.downstream import Benchmark, check_tasks, downstream

    benchmarks = [Benchmark(column=column, **known) for column, known in tasks]
    # A column that is asked for by name is not left out where rows lack it: those are refused.
    read = {task.column: task.column for task in benchmarks} | merged(columns)
    table = read_table(runs, (read,), units, where)
    report_refused(table)
    check_tasks(table, benchmarks, draws)
    with progress(quiet=as_json) as step:
        fitted = fit_laws(
            table, list(laws) or None, draws=draws, level=level, rng=seed, axis=axis, on_step=step
        )
        found = downstream(table, benchmarks, at, laws=fitted, level=level, draws=draws, rng=seed)
    if as_json:
        print_json(found.to_dict() | {"refused": refusals(table), "notes": notes(table)})
    else:
        say(found.summary())
    verdicts = {task.verdict for task in found.tasks}
    if verdicts == {"refused"}:
        return ERROR
    return OK if verdicts == {"predictable"} and not is_mixed(table) else DOUBT

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
    json_option,
    merged,
    positive,
    print_json,
    progress,
    read_table,
    reading_options,
    report_refused,
    runs_argument,
    say,
)


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
            kind = {"chance": float, "items": int}.get(key.strip())
            if not column.strip() or not sign or kind is None:
                self.fail(f"{value!r}: write {self.name}", param, ctx)
            try:
                known[key.strip()] = kind(text)
            except ValueError:
                self.fail(f"{key.strip()} = {text!r} is not a number", param, ctx)
        return column.strip(), known


class _Model(click.ParamType):  # type: ignore[type-arg]
    """``FAMILY,C=X``."""

    name = "FAMILY,C=X"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, float]:
        """Read a family and its compute; mistakes are usage errors."""
        if isinstance(value, tuple):
            return value
        family, _, number = str(value).rpartition(",C=")
        if not family.strip():
            self.fail(f"{value!r}: write {self.name}", param, ctx)
        try:
            return family.strip(), positive(number)
        except ValueError as error:
            self.fail(f"C = {number!r} {error}", param, ctx)


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
    "benchmarks",
    type=_Task(),
    multiple=True,
    help="Column that capabilities are made of, and its chance.",
)
@click.option("--model", "models", type=_Model(), multiple=True, help="Target of --observational.")
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
    benchmarks: tuple[tuple[str, dict[str, Any]], ...],
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
    from isoloss.fit import fit_laws
    from isoloss.study.downstream import Benchmark, downstream

    wrong = {"--at": at, "--law": laws, "--axis": axis, "--where": where} if observational else {
        "--benchmark": benchmarks, "--model": models, "--scale": scale, "--components": components
    }  # fmt: skip
    if given := [name for name, value in wrong.items() if value]:
        word = "goes without" if observational else "needs"
        raise click.UsageError(f"{given[0]} {word} --observational")
    targets = [Benchmark(column=column, **known) for column, known in tasks]
    if observational:
        shared = [Benchmark(column=column, **known) for column, known in benchmarks]
        policy = {
            "scale": scale or "auto",
            "components": components,
            "level": level,
            "draws": draws,
            "rng": seed,
        }
        return _published(runs, targets, shared, models, columns, units, as_json, policy)
    table = read_table(runs, columns, units, where)
    report_refused(table)
    with progress(quiet=as_json) as step:
        fitted = fit_laws(
            table, list(laws) or None, draws=draws, level=level, rng=seed, axis=axis, on_step=step
        )
        found = downstream(table, targets, at, laws=fitted, level=level, draws=draws, rng=seed)
    if as_json:
        print_json(found.to_dict())
    else:
        say(found.summary())
    verdicts = {task.verdict for task in found.tasks}
    return OK if verdicts == {"predictable"} else ERROR if verdicts == {"refused"} else DOUBT


def _published(
    path: str,
    targets: list[Any],
    benchmarks: list[Any],
    models: tuple[tuple[str, float], ...],
    columns: Any,
    units: Any,
    as_json: bool,
    policy: dict[str, Any],
) -> int:
    from isoloss.study.downstream import observational

    roles, scale = merged(columns), merged(units)
    if unknown := set(roles) - {"family", "C"}:
        raise click.UsageError(f"--columns {min(unknown)}: only family and C have a part here")
    family, compute = roles.get("family", "family"), roles.get("C", "C")
    found = []
    for task in targets:
        # A target reads its own column and the benchmarks', and has no use for other units.
        others = {t.column for t in targets} - {
            compute,
            task.column,
            *(b.column for b in benchmarks),
        }
        own = {n: v for n, v in scale.items() if n not in others}
        found.append(
            observational(
                path, task, benchmarks, models, family=family, compute=compute, units=own, **policy
            )
        )
    if as_json:
        print_json({"kind": "observational", "tasks": [one.to_dict() for one in found]})
    else:
        for one in found:
            say(one.summary())
    verdicts = {one.verdict for one in found}
    return OK if verdicts == {"predictable"} else ERROR if verdicts == {"refused"} else DOUBT

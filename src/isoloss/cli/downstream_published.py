"""What ``isoloss downstream --observational`` reads and answers."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import DOUBT, ERROR, OK, merged, positive, print_json, say

_Named = tuple[tuple[str, dict[str, Any]], ...]


class FamilyModel(click.ParamType):  # type: ignore[type-arg]
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


def forecast_published(
    path: str,
    tasks: _Named,
    shared: _Named,
    models: tuple[tuple[str, float], ...],
    columns: Any,
    units: Any,
    as_json: bool,
    policy: dict[str, Any],
) -> int:
    """Forecast each task from a table of published models, and say or print it."""
    from isoloss.study.downstream import Benchmark, observational

    targets = [Benchmark(column=column, **known) for column, known in tasks]
    benchmarks = [Benchmark(column=column, **known) for column, known in shared]
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

"""``isoloss next`` where the goal is which of two recipes is better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    is_mixed,
    notes,
    number,
    print_json,
    read_table,
    refusals,
    report_refused,
    say,
)

_OURS = ("other", "by", "tie", "paired", "rule")
_THEIRS = (
    "parallel", "only", "worst", "ray_share", "flops_per_nd", "objective", "html", "plot",
    "emphasis", "outliers", "draws", "seed",
)  # fmt: skip


class Paired(click.ParamType):  # type: ignore[type-arg]
    """``auto`` or a correlation."""

    name = "auto|R"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        """Read it; mistakes are usage errors."""
        if value == "auto":
            return "auto"
        try:
            return number(str(value))
        except ValueError as error:
            self.fail(f"{value!r} {error}; write auto or a correlation", param, ctx)


def arms_options(function: Any) -> Any:
    """Add the table of another recipe, and what is said of two recipes."""
    for option in (
        click.option("--rule", type=click.Choice(["worst", "mean"]), default="worst",
                     show_default=True, help="Two recipes: which tie counts, one floor or two."),
        click.option("--paired", type=Paired(), default="auto", show_default=True,
                     help="Two recipes: correlation of runs of one place and seed."),
        click.option("--tie", default="auto", show_default=True,
                     help="Two recipes: parameters in common; as in compare."),
        click.option("--by", help="Two recipes: column that names them, in one file."),
        click.argument("other", required=False, type=click.Path(path_type=str)),
    ):  # fmt: skip
        function = option(function)
    return function


def arms(
    runs: str,
    other: str | None,
    by: str | None,
    goal: str,
    reading: tuple[Any, Any, tuple[str, ...]],
    as_json: bool,
    *,
    tie: str,
    **options: Any,
) -> int | None:
    """Plan runs of two recipes; ``None`` where the goal is not of two."""
    from isoloss.plan.next_arms import plan_next_arms
    from isoloss.plan.next_arms_goal import is_arms_goal

    if not is_arms_goal(goal):
        _refuse(_OURS, "is of two recipes: give --goal A-vs-B@C=...")
        return None
    _refuse(_THEIRS, "does not go with a goal of two recipes")
    if (other is not None) == (by is not None):
        raise click.UsageError("a goal of two recipes needs two files, or one and --by COLUMN")
    tables = _tables(runs, other, by, reading, as_json)
    asked = tie if tie == "auto" else () if tie == "none" else _names(tie)
    found = plan_next_arms(tables, goal, tie=asked, **options)
    if as_json:
        shared = {
            "refused": {name: refusals(t) for name, t in tables.items()},
            "notes": {name: notes(t) for name, t in tables.items()},
        }
        print_json(found.to_dict() | shared)
    else:
        say(found.summary())
    return DOUBT if found.status != "ok" or any(map(is_mixed, tables.values())) else OK


def _names(text: str) -> tuple[str, ...]:
    return tuple(n.strip() for n in text.split(","))


def _refuse(names: tuple[str, ...], why: str) -> None:
    """Refuse options that have no say with this goal, where the caller gave them."""
    context = click.get_current_context()
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and context.params[name] is not None:
            shown = "OTHER" if name == "other" else f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{shown} {why}")


def _tables(
    runs: str, other: str | None, by: str | None, reading: Any, as_json: bool
) -> dict[str, Any]:
    """Read both recipes, each under the name of its file or of its rows."""
    columns, units, where = reading
    if by is not None:
        table = read_table(runs, (*columns, {"name": by}), units, where)
        if not as_json:
            report_refused(table)
        names = dict.fromkeys(table.names)
        return {n: table.select([i for i, m in enumerate(table.names) if m == n]) for n in names}
    assert other is not None
    if runs == "-" and other == "-":
        raise click.UsageError("standard input holds one table; give a file for the other")
    tables: dict[str, Any] = {}
    for path in (runs, other):
        table = read_table(path, columns, units, where)
        if not as_json:
            report_refused(table)
        name = Path(path).stem
        tables[name if name not in tables else path] = table
    return tables

"""``isoloss compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    Positive,
    fitting_options,
    guarded,
    is_mixed,
    json_option,
    of_files,
    print_json,
    read_table,
    reading_options,
    report_refused,
    say,
)
from isoloss.cli.pictures import PICTURES, check_written, write_picture


class Compute(Positive):
    """A compute, as ``1e21`` or as ``C=1e21``."""

    name = "C"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Read the number, without the name."""
        text = str(value).strip()
        return super().convert(text.removeprefix("C=").strip(), param, ctx)


@click.command("compare")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=str))
@click.option("--by", help="Column of recipes, where one file holds all of them.")
@click.option("--baseline", help="Name of the recipe that others are compared with.")
@click.option("--at", type=Compute(), multiple=True, help="Compute to compare at; repeatable.")
@click.option("--law", "laws", multiple=True, help="Law of the set; may be repeated.")
@click.option(
    "--tie", default="auto", show_default=True,
    help="Parameters in common, such as E; 'none'; or 'auto', one floor E or two.",
)  # fmt: skip
@click.option("--ratio", type=Positive(), help="Compare along D = RATIO N.")
@click.option("--size", type=Positive(), help="Compare along D at this N.")
@click.option("--objective", default="auto", show_default=True, help="As in fit; 'auto' by noise.")
@click.option("--looks", default="1/1", show_default=True, help="k/K: look k of K at growing data.")
@click.option("--plot", metavar="FILE", help="Write a picture, .svg or .png.")
@fitting_options
@reading_options
@json_option
@guarded
def command(
    files: tuple[str, ...],
    by: str | None,
    at: tuple[float, ...],
    laws: tuple[str, ...],
    tie: str,
    plot: str | None,
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    seed: int,
    as_json: bool,
    **options: Any,
) -> int:
    """Compare the recipes of FILES: which is better, by how much compute, from where on."""
    from isoloss.plan.recipes import compare_recipes

    check_written(plot, "--plot", PICTURES, files)
    if (len(files) > 1) == (by is not None):
        raise click.UsageError("give two files or more, or one file and --by COLUMN")
    if by is not None:
        columns = (*columns, {"name": by})
    tables, read = {}, {}
    for path in files:
        table = read_table(path, columns, units, where)
        read[path] = table = table if by is None else _named(table, by)
        report_refused(table)
        if by is None:
            name = Path(path).stem
            tables[name if name not in tables else path] = table
            continue
        for name in dict.fromkeys(table.names):
            tables[name] = table.select([i for i, n in enumerate(table.names) if n == name])
    found = compare_recipes(
        tables,
        at=at,
        laws=list(laws) or None,
        tie=_ties(tie),
        rng=seed,
        **options,
    )
    if as_json:
        print_json(found.to_dict() | of_files(read))
    else:
        say(found.summary())
    # After the answer, which a disk that is full must not cost.
    if plot:
        from isoloss.plot.recipes import draw_comparisons

        write_picture(draw_comparisons(found), plot)
    told = all(r.main.verdict != "cannot tell" for r in found.rows)
    mixed = by is None and any(is_mixed(table) for table in read.values())
    return OK if told and found.status == "ok" and not mixed else DOUBT


def _named(table: Any, by: str) -> Any:
    """Refuse rows without a recipe; they would be recipes of one run each."""
    from dataclasses import replace

    from isoloss.runs.table import Refusal

    blank = [i for i, row in enumerate(table.rows) if table.names[i] == f"row {row}"]
    if not blank:
        return table
    gone = [
        Refusal(int(table.rows[i]), table.names[i], "MISSING", f"{by} is missing") for i in blank
    ]
    kept = [i for i in range(len(table)) if i not in set(blank)]
    refused = sorted((*table.refused, *gone), key=lambda refusal: refusal.row)
    return replace(table.select(kept), refused=tuple(refused))


def _ties(text: str) -> str | tuple[str, ...]:
    """Read --tie."""
    if text == "auto":
        return text
    return () if text == "none" else tuple(t.strip() for t in text.split(","))

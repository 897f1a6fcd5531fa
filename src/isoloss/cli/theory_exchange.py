"""``isoloss theory exchange``: whether size and time exchange in measured runs."""

from __future__ import annotations

import math
from typing import Any

import click

from isoloss.cli.common import (
    OK,
    Positive,
    guarded,
    json_option,
    print_json,
    read_table,
    reading_options,
    report_refused,
    runs_argument,
    say,
)


@click.command("exchange")
@runs_argument(required=False)
@click.option("--run", help="Column that says which run a point is of, or 'name'.")
@click.option(
    "--root", type=Positive(), default=3.0, show_default=True,
    help="Model scale is this root of the parameters.",
)  # fmt: skip
@click.option(
    "--tolerance", type=Positive(), default=0.01, show_default=True,
    help="Scatter of log loss within which one curve is said to hold.",
)  # fmt: skip
@click.option("--draws", type=click.IntRange(0), default=400, show_default=True, help="Bootstrap.")
@click.option(
    "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9,
    show_default=True, help="Level of the intervals.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the bootstrap; 0.")
@reading_options
@json_option
@guarded
def exchange(
    runs: str | None, run: str | None, root: float, tolerance: float, draws: int, level: float,
    seed: int, columns: Any, units: Any, where: tuple[str, ...], as_json: bool,
) -> int:  # fmt: skip
    """Whether size and time exchange in RUNS: one curve of N^g D, and over which sizes.

    Without RUNS, the runs that ship with the package. Time is D, or the column that
    --columns D=steps names.
    """
    from isoloss.runs import embedded_runs
    from isoloss.theory import exchange as solve

    table = embedded_runs() if runs is None else read_table(runs, columns, units, where)
    report_refused(table)
    found = solve(
        table["N"], table["D"], table["loss"], root=root, tolerance=tolerance, draws=draws,
        run=None if run is None else table.names if run == "name" else table[run],
        level=level, rng=seed,
    )  # fmt: skip
    if as_json:
        print_json(found.to_dict())
        return OK
    say(found.sentence)
    rows = zip(
        found.level_N[:-1], found.level_N[1:], found.local_g, found.local_low, found.local_high,
        found.local_most, strict=True,
    )  # fmt: skip
    for low, high, g, least, most, end in rows:
        inside = f"  [{least:.3g}, {most:.3g}]" if math.isfinite(least) else ""
        reached = "  at least: the sizes hardly overlap" if g > 0.98 * end else ""
        say(f"N {low:>9.4g} to {high:<9.4g}  g = {g:.3g}{inside}{reached}")
    return OK

"""``isoloss coverage``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import DOUBT, ERROR, OK, guarded, json_option, print_json, progress, say

_SAY_EVERY = 30.0
"""Seconds between lines of progress where there is no terminal."""


@click.command("coverage")
@click.option("--quick", is_flag=True, help="A few cells, 20 repeats each; the default.")
@click.option("--nightly", is_flag=True, help="All cells, 40 repeats each: hours.")
@click.option("--repeats", type=click.IntRange(1, 1_000_000), help="Simulated tables a cell.")
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Cells by name, TRUTH/DESIGN/NOISE, * for any; may be repeated.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 1024), default=1, show_default=True, help="Processes."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("isoloss-coverage"),
    show_default=True,
    help="Folder for the result and the journal.",
)
@click.option(
    "--check",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Check a coverage.json in place of simulating.",
)
@click.option(
    "--sample",
    type=click.IntRange(0),
    help="With --check: repeats to run again.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of the simulated tables; with --check of the choice of repeats.",
)
@click.option(
    "--draws",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="Bootstrap draws.",
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Level of the intervals.",
)
@json_option
@guarded
def command(
    quick: bool,
    nightly: bool,
    repeats: int | None,
    only: tuple[str, ...],
    jobs: int,
    out: Path,
    check: Path | None,
    sample: int | None,
    seed: int,
    draws: int,
    level: float,
    as_json: bool,
) -> int:
    """Simulate tables of known truth and count how often the intervals hold it.

    Finished repeats are kept in the folder: a killed or interrupted study goes on when started
    again with the same settings, and more repeats or cells add to what is there.
    """
    if check is not None:
        _refuse_beside_check()
        return _check(check, sample or 0, seed, as_json)
    if sample is not None:
        raise click.UsageError("--sample needs --check FILE")
    if quick and nightly:
        raise click.UsageError("--quick and --nightly: give one of them")
    from isoloss.coverage import coverage
    from isoloss.coverage.page import table_lines

    with progress(quiet=as_json) as step:
        result = coverage(
            "nightly" if nightly else "quick",
            out=out,
            repeats=repeats,
            only=only,
            draws=draws,
            level=level,
            rng=seed,
            jobs=jobs,
            on_repeat=_reporter(step),
        )
    files = result.write(out)
    if as_json:
        print_json(result)
    for line in (*table_lines(result.answers), "", *result.summary().splitlines(), ""):
        say(line)
    say(f"result: {files['coverage.json'].resolve()}")
    if not result.complete:
        say("interrupted: start again with the same settings to go on")
    return OK if result.complete and not result.failures else DOUBT


def _refuse_beside_check() -> None:
    """Options that would have no effect are a mistake of the caller."""
    context = click.get_current_context()
    for name in ("quick", "nightly", "repeats", "only", "jobs", "out", "draws", "level"):
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} has no effect beside --check")


def _check(file: Path, sample: int, seed: int, as_json: bool) -> int:
    from isoloss.coverage import verify

    with progress(quiet=as_json) as step:
        found = verify(
            file, sample=sample, rng=seed,
            on_repeat=lambda done, name: step(f"{done}/{sample}  {name}"),
        )  # fmt: skip
    if as_json:
        print_json(found)
    for line in found.summary().splitlines():
        say(line)
    return OK if found.ok else ERROR


def _reporter(step: Callable[[str], None]) -> Callable[[Any], None]:
    """Show each repeat on a terminal, and a line now and then elsewhere."""
    last = [-_SAY_EVERY]

    def report(p: Any) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() or now - last[0] >= _SAY_EVERY:
            last[0] = now
            step(f"{p.done}/{p.total}  {p.cell}  about {_duration(p.seconds_left)} left")

    return report


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"

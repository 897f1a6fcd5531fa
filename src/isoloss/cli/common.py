"""What the commands share: options, progress, errors and exit codes."""

from __future__ import annotations

import errno
import functools
import math
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

OK, ERROR, USAGE, DOUBT = 0, 1, 2, 3


_REMEDIES = {
    errno.ENOSPC: "free some space and start again; what was written before is still there",
    errno.EDQUOT: "free some space and start again; what was written before is still there",
    errno.EACCES: "check who may read and write there, or give another path",
    errno.EPERM: "check who may read and write there, or give another path",
    errno.EROFS: "give a path on a disk that can be written",
    errno.ENOTDIR: "a part of the path is a file; give another path",
    errno.EEXIST: "a file is where a folder must be; give another path",
}


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("is not a number") from None


def positive(text: str) -> float:
    """Read a number of something that there can be: finite and above zero."""
    value = number(text)
    if not (math.isfinite(value) and value > 0):
        raise ValueError("must be finite and positive")
    return value


class Positive(click.ParamType):  # type: ignore[type-arg]  # plain in older releases
    """A finite number above zero."""

    name = "NUMBER"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Read the number; mistakes are usage errors."""
        try:
            return positive(str(value))
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


class Pairs(click.ParamType):  # type: ignore[type-arg]
    """``name=value`` pairs, separated by commas; the option may be repeated."""

    name = "NAME=VALUE,..."

    def __init__(self, kind: Callable[[str], Any] = str) -> None:
        self.kind = kind

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, Any]:
        """Read the pairs; mistakes are usage errors."""
        if isinstance(value, dict):
            return value
        found: dict[str, Any] = {}
        for part in value.split(","):
            key, sign, text = part.partition("=")
            if not sign or not key.strip() or not text.strip():
                self.fail(f"{part!r}: write NAME=VALUE", param, ctx)
            try:
                found[key.strip()] = self.kind(text.strip())
            except ValueError as error:
                self.fail(f"{key.strip()} = {text.strip()!r} {error}", param, ctx)
        return found


class Where(click.ParamType):  # type: ignore[type-arg]
    """Conditions on rows, as `isoloss.read_runs` takes them."""

    name = "CONDITION,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Check the form; mistakes are usage errors."""
        from isoloss.errors import InputError
        from isoloss.runs.where import parse_where

        try:
            parse_where(value)
        except InputError as error:
            self.fail(str(error).removeprefix("where: "), param, ctx)
        return str(value)


def _bounds(text: str) -> tuple[float, float]:
    low, sign, high = text.partition(":")
    if not sign:
        raise ValueError("is not LOW:HIGH")
    return number(low or "-inf"), number(high or "inf")


def runs_argument(required: bool = True) -> Callable[[Any], Any]:
    """Add the table of runs: a path, or ``-`` for standard input."""
    return click.argument("runs", required=required, type=click.Path(path_type=str))


def reading_options(function: Any) -> Any:
    """Add the options that say how to read the table."""
    for option in (
        click.option(
            "--where", type=Where(), multiple=True,
            help="Which rows, e.g. Model=ViT/B/16,Training=1 or 'D<1e9'; all must hold.",
        ),
        click.option(
            "--units", type=Pairs(positive), multiple=True,
            help="Size of one unit of a column, e.g. N=1e6 for N in millions.",
        ),
        click.option(
            "--columns", type=Pairs(), multiple=True,
            help="Which column is what, e.g. N=n_params,loss=val_loss.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def fitting_options(function: Any) -> Any:
    """Add the options that say how to fit."""
    for option in (
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True,
            help="Of the resampling.",
        ),
        click.option(
            "--draws", type=click.IntRange(0, 1_000_000), default=1000, show_default=True,
            help="Bootstrap draws.",
        ),
        click.option(
            "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9,
            show_default=True, help="Level of the intervals.",
        ),
        click.option("--axis", help="Resource of a law of one resource."),
    ):  # fmt: skip
        function = option(function)
    return function


emphasis_option = click.option(
    "--emphasis",
    default="auto",
    show_default=True,
    help="Power of scale that runs are weighted by; 0 for equal weights, 'auto' by back-test.",
)
outliers_option = click.option(
    "--outliers",
    type=click.Choice(["auto", "keep"]),
    default="auto",
    show_default=True,
    help="'auto' leaves out, and lists, runs that every law puts ten times its noise away.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def merged(pairs: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    """Join repeated options; the last one wins."""
    return {k: v for p in pairs for k, v in p.items()}


def read_table(runs: str, columns: Any, units: Any, where: tuple[str, ...] = ()) -> Any:
    """Read the runs named on the command line."""
    from isoloss.runs import read_runs

    source: Any = sys.stdin.buffer if runs == "-" else runs
    return read_runs(
        source,
        columns=merged(columns) or None,
        units=merged(units) or None,
        where=list(where) or None,
    )


def read_and_fit(
    runs: str,
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    laws: tuple[str, ...],
    quiet: bool,
    **options: Any,
) -> tuple[Any, Any]:
    """Read the runs named on the command line and fit a set of laws, with progress."""
    from isoloss.fit import fit_laws

    table = read_table(runs, columns, units, where)
    report_refused(table)
    options["rng"] = options.pop("seed")
    with progress(quiet=quiet) as step:
        fitted = fit_laws(table, list(laws) or None, on_step=step, **options)
    if not (laws or quiet):
        say(laws_taken(table, fitted))
    if quiet and fitted.left_out_sentence:
        say(f"warning UNEXPLAINED_RUNS: {fitted.left_out_sentence}")
    return table, fitted


def laws_taken(table: Any, fitted: Any) -> str:
    """Say which laws were taken, and why, where the caller named none."""
    names = ", ".join(f.law.name for f in fitted.fits)
    if "N" in table and "D" in table:
        return f"laws of N and D, which the runs have: {names}"
    return f"laws of {', '.join(fitted.axes)}, as the runs do not have N and D both: {names}"


def say(text: str) -> None:
    """Write a line for people, on stderr."""
    click.echo(text, err=True)


def report_refused(table: Any, *, known: Collection[str] = ()) -> None:
    """List refused rows, a selection and warnings on stderr: nothing is dropped silently.

    Warnings whose codes are ``known`` are said elsewhere.
    """
    for note in table.notes:
        if note.code == "SELECTED" and note.severity == "info":
            say(f"note SELECTED: {note.message}")
    for refusal in table.refused[:10]:
        say(f"refused row {refusal.row}: {refusal.reason}")
    if len(table.refused) > 10:
        say(f"... and {len(table.refused) - 10} more rows refused; --json lists all of them")
    for note in table.notes:
        if note.severity == "warning" and note.code not in known:
            say(f"warning {note.code}: {note.message}")


def is_mixed(table: Any) -> bool:
    """Whether the table seems to hold several experiments: usable with doubt at best."""
    return any(note.code == "MIXED_TEXT" for note in table.notes)


def notes(table: Any) -> list[dict[str, str]]:
    """Return the warnings on the table, and what was selected, in plain types."""
    return [
        {"code": n.code, "severity": n.severity, "message": n.message}
        for n in table.notes
        if n.severity == "warning" or n.code == "SELECTED"
    ]


def left_out(table: Any, laws: Any) -> list[dict[str, Any]]:
    """List the runs that a law set leaves out, in plain types."""
    return [
        {"row": table.rows[i], "name": table.names[i]}
        for i, gone in enumerate(laws.left_out)
        if gone
    ]


def refusals(table: Any) -> list[dict[str, Any]]:
    """Refused rows in plain types."""
    return [
        {"row": r.row, "name": r.name, "code": r.code, "reason": r.reason} for r in table.refused
    ]


def of_files(tables: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return refused rows and warnings of several tables, each with the file."""
    return {
        "refused": [{"file": f} | row for f, t in tables.items() for row in refusals(t)],
        "notes": [{"file": f} | note for f, t in tables.items() for note in notes(t)],
    }


def print_json(value: Any) -> None:
    """Write JSON to stdout, in UTF-8 whatever the terminal's encoding."""
    from isoloss._core.serial import to_json

    click.echo(to_json(value).encode("utf8"), nl=False)


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Show the step under way on stderr, on one line where there is a terminal."""
    if quiet:
        yield lambda text: None
        return
    if not sys.stderr.isatty():
        yield lambda text: say(f"- {text}")
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("reading") as status:
        yield lambda text: status.update(text)


def guarded(function: Any) -> Any:
    """Turn errors made on purpose, and those of files, into a message and an exit code."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        from isoloss.errors import IsolossError

        try:
            code = function(*args, **kwargs)
        except IsolossError as error:
            say(f"error: {error}")
            sys.exit(ERROR)
        except BrokenPipeError:
            # The reader of our output left; give Python nothing to flush into the closed pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(ERROR)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            remedy = _REMEDIES.get(error.errno or 0, "")
            say(f"error: {where}{error.strerror or error}" + (f"; {remedy}" if remedy else ""))
            sys.exit(ERROR)
        except MemoryError:
            say("error: not enough memory; fit fewer rows or draw fewer resamples")
            sys.exit(ERROR)
        sys.exit(code or OK)

    return wrapper


bounds_type = Pairs(_bounds)

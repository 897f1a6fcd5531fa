"""``isoloss atlas``."""

from __future__ import annotations

from pathlib import Path

import click

from isoloss.cli.common import DOUBT, ERROR, OK, guarded, json_option, print_json, say


@click.command("atlas")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--only", multiple=True, help="Release to compare; may be repeated.")
@json_option
@guarded
def command(folder: Path, only: tuple[str, ...], as_json: bool) -> int:
    """Fit the released tables in FOLDER as their authors did, and as isoloss does."""
    from isoloss.study.atlas import atlas

    found = atlas(folder, only=only)
    status = ERROR if not found.rows else DOUBT if found.silent else OK
    for family in found.silent:
        say(f"{family}: tables were found, but too few rows to compare; is the copy whole?")
    if as_json:
        print_json(found.to_dict())
        return status
    click.echo(found.summary())
    say("theirs: as published; same: their procedure by this engine; ours: the defaults here")
    for table in found.tables:
        say(f"{table.name}: {len(table.runs)} rows, {table.source}; {table.licence}")
    return status

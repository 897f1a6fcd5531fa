"""``isoloss prune``: score examples and choose those to keep."""

from __future__ import annotations

import click

from isoloss.cli.prune_select import command as select


@click.group("prune")
def command() -> None:
    """Score examples, and choose those to keep."""


command.add_command(select)

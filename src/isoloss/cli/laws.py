"""``isoloss laws``."""

from __future__ import annotations

import click

from isoloss.cli.common import OK, guarded, json_option, print_json, say


@click.command("laws")
@click.option("--published", is_flag=True, help="Published constants in place of the forms.")
@json_option
@guarded
def command(published: bool, as_json: bool) -> int:
    """List every law with its formula, parameters and source."""
    from isoloss.laws import PUBLISHED, get_law, law_names

    if published:
        if as_json:
            print_json({name: known.to_dict() for name, known in PUBLISHED.items()})
            return OK
        for name, known in PUBLISHED.items():
            values = ", ".join(f"{k} = {v:g}" for k, v in known.parameters.items())
            of = f" of {known.axis}" if known.axis else ""
            click.echo(f"{name}  ({known.law}{of})\n  {values}")
            for parameter, interval in known.intervals.items():
                click.echo(f"  {parameter} in {interval}")
            click.echo(f"  {known.measures}\n  {known.source}")
            if known.caveat:
                click.echo(f"  caveat: {known.caveat}")
        return OK
    laws = [get_law(name) for name in law_names()]
    if as_json:
        print_json({"laws": [law.to_dict() for law in laws]})
        return OK
    for law in laws:
        click.echo(f"{law.name}\n  {law.formula}")
        for p in law.parameters:
            click.echo(f"    {p.name:<8} {p.meaning}")
        click.echo(f"  {law.source}; {law.description}")
    say("x stands for the one resource, chosen with --axis; any formula works too")
    return OK

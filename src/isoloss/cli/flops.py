"""``isoloss flops``: counts of a model, in every convention; shapes near a size; effect on runs."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    Pairs,
    Positive,
    guarded,
    json_option,
    merged,
    print_json,
    say,
)
from isoloss.cli.flops_runs import command as runs_command
from isoloss.cli.flops_shapes import command as shapes_command


class _Counting(click.Group):
    """A group whose first command may be left out: what is no command is a description."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = args[0] if args else "--help"
        if first not in self.commands and first not in ("--help", "-h"):
            args = ["count", *args]
        return super().parse_args(ctx, args)


@click.group("flops", cls=_Counting)
def command() -> None:
    """Count parameters and FLOPs, and say which convention counts how.

    A first word that is no command is the CONFIG of count.
    """


def value(text: str) -> int | bool | str:
    """Read a field of a description: a whole number, true, false, or a word."""
    low = text.lower()
    if low in ("true", "false"):
        return low == "true"
    try:
        return int(text)
    except ValueError:
        return text


set_option = click.option(
    "--set",
    "fields",
    type=Pairs(value),
    multiple=True,
    help="Further fields of the description, e.g. gated=true,tied=false,experts.count=8.",
)


@command.command("count")
@click.argument("config", required=False, type=click.Path(path_type=str))
@click.option("--layers", type=int, help="Layers.")
@click.option("--width", type=int, help="Width of the residual stream.")
@click.option("--heads", type=int, help="Query heads.")
@click.option("--vocabulary", type=int, help="Symbols.")
@click.option("--context", type=int, help="Tokens of a training sequence.")
@set_option
@click.option("--tokens", type=Positive(), help="Training tokens or examples, D.")
@click.option(
    "--convention", "conventions", multiple=True, help="Only this convention; repeatable."
)
@click.option("--hardware", help="Device, or its peak in FLOPs a second, for the hours.")
@click.option("--utilisation", type=Positive(), help="Model FLOPs utilisation, at most 1.")
@click.option("--devices", type=click.IntRange(1), help="Devices that work together.")
@click.option("--price", type=Positive(), help="Money for one device-hour.")
@json_option
@guarded
def count(
    config: str | None,
    fields: tuple[dict[str, Any], ...],
    tokens: float | None,
    conventions: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> int:
    """Count the model that CONFIG or the options describe.

    CONFIG is a description in JSON or TOML, or a config.json of Hugging Face.
    """
    from isoloss.runs.counting import compare_conventions, count_model

    sizes = {"depth": options.pop("layers")}
    sizes |= {n: options.pop(n) for n in ("width", "heads", "vocabulary", "context")}
    given = {n: v for n, v in sizes.items() if v is not None} | nested(merged(fields))
    model, unknown = _described(config, given)
    counts = count_model(model)
    table = compare_conventions(model, conventions=conventions or None, tokens=tokens)
    bill = _bill(counts, tokens, **options)
    if as_json:
        from dataclasses import asdict

        print_json(
            {
                "model": {"kind": model.kind, **asdict(model)},
                "counts": counts.to_dict(),
                "conventions": table.to_dict(),
                "bill": None if bill is None else bill.to_dict(),
                "unknown": list(unknown),
            }
        )
    else:
        say(counts.summary())
        say("")
        say(table.summary())
        if bill is not None:
            say("\n" + bill.summary())
    for key in unknown:
        say(f"warning UNKNOWN_KEY: {key!r} is not known here; it may change the counts")
    return DOUBT if unknown else OK


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Put ``experts.count`` into a table of its own."""
    made: dict[str, Any] = {}
    for name, content in flat.items():
        table, dot, field = name.partition(".")
        if dot:
            made.setdefault(table, {})[field] = content
        else:
            made[name] = content
    return made


def _described(config: str | None, given: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    from dataclasses import asdict

    from isoloss.errors import InputError
    from isoloss.runs.counting import model_from, read_model

    if config is None:
        if not given:
            raise InputError("no model: give a CONFIG, or --layers, --width, --heads, --vocabulary "
                             "and --context")  # fmt: skip
        return model_from({"kind": "decoder", **given}), ()
    read = read_model(config)
    if not given:
        return read.model, read.unknown
    before = {k: v for k, v in asdict(read.model).items() if v is not None}
    experts = {**(before.get("experts") or {}), **given.pop("experts", {})}
    changed = {"kind": read.model.kind, **before, **given}
    return model_from(changed | ({"experts": experts} if experts else {})), read.unknown


def _bill(
    counts: Any,
    tokens: float | None,
    hardware: str | None,
    utilisation: float | None,
    devices: int | None,
    price: float | None,
) -> Any:
    from isoloss.errors import InputError
    from isoloss.runs.counting import training_bill

    asked = {"--hardware": hardware, "--utilisation": utilisation, "--tokens": tokens}
    if hardware is None and utilisation is None and devices is None and price is None:
        return None
    if missing := [name for name, content in asked.items() if content is None]:
        raise InputError(f"hours and money need {', '.join(missing)} as well; none is assumed")
    return training_bill(
        counts.flops * (tokens or 0), hardware=hardware or "", utilisation=utilisation or 0,
        devices=devices, price=price,
    )  # fmt: skip


command.add_command(shapes_command)
command.add_command(runs_command)

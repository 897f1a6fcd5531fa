"""``isoloss flops shapes``."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import Positive, guarded, json_option, print_json, say


class _Range(click.ParamType):  # type: ignore[type-arg]  # plain in older releases
    """Two numbers, ``LOW:HIGH``."""

    name = "LOW:HIGH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, float]:
        """Read both numbers; mistakes are usage errors."""
        if isinstance(value, tuple):
            return value
        low, _, high = str(value).partition(":")
        try:
            return float(low), float(high)
        except ValueError:
            self.fail(f"{value!r}: write LOW:HIGH", param, ctx)


@click.command("shapes")
@click.argument("size", metavar="N", type=Positive())
@click.option("--vocabulary", type=int, required=True, help="Symbols.")
@click.option("--context", type=int, required=True, help="Tokens of a training sequence.")
@click.option(
    "--count",
    type=click.Choice(["total", "non-embedding", "active", "active-non-embedding"]),
    default="total",
    show_default=True,
    help="What N counts.",
)
@click.option("--multiple", type=int, default=64, show_default=True, help="Of the width.")
@click.option("--head-width", type=int, default=64, show_default=True, help="Units of a head.")
@click.option(
    "--group", type=int, default=1, show_default=True, help="Query heads to one of keys and values."
)
@click.option(
    "--mlp-ratio", type=Positive(), help="Hidden units over width; 4, or 8/3 where gated."
)
@click.option(
    "--aspect", type=_Range(), default="32:160", show_default=True, help="Width over depth."
)
@click.option("--limit", type=int, default=10, show_default=True, help="Shapes to list.")
@click.option("--set", "fields", multiple=True, help="Further fields, as of count.")
@json_option
@guarded
def command(size: float, fields: tuple[str, ...], as_json: bool, **rules: Any) -> None:
    """List shapes that can be built near N parameters, nearest first."""
    from isoloss.cli.common import Pairs, merged
    from isoloss.cli.flops import nested, value
    from isoloss.errors import InputError
    from isoloss.runs.counting import Experts, shapes_near

    pairs = Pairs(value)
    further = nested(merged(tuple(pairs.convert(f, None, None) for f in fields)))
    try:
        if "experts" in further:
            further["experts"] = Experts(**further["experts"])
        found = shapes_near(size, **rules, **further)
    except TypeError as error:
        raise InputError(f"--set: {str(error).rpartition('() ')[2]}") from None
    rows = [shape.to_dict() for shape in found]
    if as_json:
        print_json({"N": size, "count": rules["count"], "shapes": rows})
        return
    say(f"{'N':<16} {'error':>8} {'layers':>6} {'width':>6} {'heads':>5} {'kv':>4} {'mlp':>6} "
        f"{'aspect':>6}  FLOPs/token")  # fmt: skip
    for r in rows:
        say(f"{r['N']:<16,} {100 * r['error']:>+7.2f}% {r['depth']:>6} {r['width']:>6} "
            f"{r['heads']:>5} {r['kv_heads']:>4} {r['mlp_width']:>6} {r['aspect']:>6.1f}  "
            f"{r['flops']:.4g}")  # fmt: skip

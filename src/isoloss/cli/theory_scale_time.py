"""``isoloss theory scale-time`` and ``two-groups``: size, time and data as one function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from isoloss.cli.common import guarded, json_option
from isoloss.cli.theory_answer import answer_grid
from isoloss.cli.theory_grid import Grid, Numbers, draw_options, grid_option


def _numbers(*names: str, text: str, default: str | None = None) -> Callable[[Any], Any]:
    return click.option(*names, type=Numbers(), default=default, help=text)


@click.command("scale-time")
@grid_option
@_numbers("--c", text="Features over samples, instead of --M and --D; inf is allowed.")
@_numbers("--tau", text="Learning rate times time, instead of --p and --t; inf is allowed.")
@_numbers("--M", "m", text="Features.")
@_numbers("--D", "d", text="Samples; beside --c, those of a simulated draw.")
@_numbers("--p", text="Size of the model.")
@_numbers("--t", "time", text="Time; inf is allowed.")
@_numbers("--eta", default="1", text="Learning rate; 1 by default.")
@_numbers("--S2", "s2", default="1", text="Power of the target; 1 by default.")
@_numbers("--noise", default="0", text="Variance of the label noise.")
@draw_options
@json_option
@guarded
def scale_time(as_json: bool, **options: Any) -> int:
    """Excess risk of linear regression by gradient flow: E(M/D, eta p t)."""
    from isoloss.theory import agree_scale_time
    from isoloss.theory import scale_time as solve
    from isoloss.theory.draw import whole

    ratio = _either(options, ("c",), ("m", "d"), "--c, or --M and --D")
    product = _either(options, ("tau",), ("p", "time"), "--tau, or --p and --t")
    if options["tau"] is not None and options["eta"] != 1:
        raise click.UsageError("--eta goes with --p and --t; --tau holds it already")
    names = (*ratio, *product, *(("eta",) if "p" in product else ()), "s2", "noise")
    if options["d"] is not None and "d" not in names:
        if isinstance(options["d"], list):
            raise click.UsageError("--D beside --c is the size of the draws: one number")
        if not options["simulate"]:
            raise click.UsageError("--D beside --c is the size of the draws of --simulate")
    grid = Grid(options, names)

    def place(values: tuple[Any, ...]) -> tuple[Any, Any, Any, Any]:
        from isoloss.theory.linear_flow import place_of

        at = dict(zip(names, values, strict=True))
        c, tau = at.get("c"), at.get("tau")
        if c is None or tau is None:
            given = {"M": at.get("m", 1.0), "D": at.get("d", 1.0), "p": at.get("p", 1.0)}
            made = place_of(**given, t=at.get("time", 1.0), eta=at.get("eta", 1.0))
            c, tau = (made[0] if c is None else c), (made[1] if tau is None else tau)
        return c, tau, at["s2"], at["noise"]

    def one(_: Any, *values: Any) -> dict[str, Any]:
        c, tau, s2, noise = place(values)
        return {"excess": solve(c, tau, S2=s2, noise=noise).require().excess}

    def drawn(_: Any, *values: Any, **words: Any) -> Any:
        c, tau, s2, noise = place(values)
        if "d" in names:
            at = dict(zip(names, values, strict=True))
            words["D"] = at["d"]
            whole("M", at["m"])
        else:
            words["D"] = options["d"]
        return agree_scale_time(float(c), float(tau), S2=s2, noise=noise, **words)

    return answer_grid(grid, one, drawn, as_json, wide=True)


@click.command("two-groups")
@grid_option
@_numbers("--tau", text="Learning rate times time; inf is allowed.")
@_numbers("--ls", text="Variance of the features that carry the signal.")
@_numbers("--ln", text="Variance of those that carry noise alone.")
@_numbers("--Ms", "ms", text="Number of signal features.")
@_numbers("--Mn", "mn", text="Number of noise features.")
@_numbers("--D", "d", text="Samples.")
@_numbers("--S2", "s2", default="1", text="Squared norm of the target; 1 by default.")
@_numbers("--noise", default="0", text="Variance of the label noise.")
@click.option("--plot", type=click.Path(path_type=str), help="Write a picture, SVG.")
@json_option
@guarded
def groups(as_json: bool, **options: Any) -> int:
    """Excess risk in time where noise is fitted before the signal is learned."""
    from isoloss.theory import two_groups as solve

    names = ("tau", "ls", "ln", "ms", "mn", "d", "s2", "noise")
    _either(options, names[:6], (), "--tau, --ls, --ln, --Ms, --Mn and --D")
    grid = Grid(options, names)

    def one(_: Any, *values: Any) -> dict[str, Any]:
        tau, ls, ln, ms, mn, d, s2, noise = values
        found = solve(tau, ls=ls, ln=ln, Ms=ms, Mn=mn, D=d, S2=s2, noise=noise)
        return {"excess": found}

    return answer_grid(grid, one, None, as_json, wide=True)


def _either(
    options: dict[str, Any], first: tuple[str, ...], other: tuple[str, ...], said: str
) -> tuple[str, ...]:
    """Say which of two groups of options is there; one of them must be whole."""
    whole = [group for group in (first, other) if group and _all(options, group)]
    # D beside c is the size of a draw.
    mixed = [k for k in (*first, *other) if options.get(k) is not None and k != "d"]
    if len(whole) != 1 or (whole[0] is first and any(k in other for k in mixed)):
        raise click.UsageError(f"give {said}")
    return whole[0]


def _all(options: dict[str, Any], names: tuple[str, ...]) -> bool:
    return all(options.get(k) is not None for k in names)

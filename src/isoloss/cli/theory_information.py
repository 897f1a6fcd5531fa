"""``isoloss theory information``: the bound on networks of one hidden layer, and its best split."""

from __future__ import annotations

import math
from typing import Any

import click

from isoloss.cli.common import OK, guarded, json_option, print_json, progress, say
from isoloss.cli.theory_grid import Grid, Numbers, draw_options, grid_option

_BEST = (
    "n_opt", "T_opt", "p_opt", "loss", "misspecification", "estimation", "eps", "model_share",
    "exponent_p", "exponent_loss",
)  # fmt: skip
_AT = ("misspecification", "estimation", "loss", "eps")


@click.command("information")
@grid_option
@click.option("--C", "C", type=Numbers(), help="Compute d n T; finds the best n and T.")
@click.option("--n", "neurons", type=Numbers(), help="Neurons, with --T in place of --C.")
@click.option("--T", "t", type=Numbers(), help="Samples; inf is allowed.")
@click.option("--d", "d", type=Numbers(), required=True, help="Dimension of the inputs.")
@click.option("--K", "K", type=Numbers(), required=True, help="Concentration of the teacher.")
@click.option("--eps", type=Numbers(), help="Resolution, with --n and --T; the best by default.")
@click.option(
    "--form", type=click.Choice(["full", "simple"]), default="full", show_default=True,
    help="The bound, or its shape without the resolution.",
)  # fmt: skip
@click.option("--c1", type=float, default=1.0, help="Factor on the misspecification; 1.")
@click.option("--c2", type=float, default=1.0, help="Factor on the estimation; 1.")
@click.option("--net", type=float, default=3.0, help="The net has (net/eps)^d points; 3.")
@click.option("--log-constant", type=float, help="Takes the place of ln 30 in the simple form.")
@click.option("--count", is_flag=True, help="Add the nats to say how many neurons differ, ln n.")
@click.option("--whole", is_flag=True, help="Whole neurons and samples, with --C.")
@draw_options
@json_option
@guarded
def information(
    form: str, c1: float, c2: float, net: float, log_constant: float | None, count: bool,
    whole: bool, as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Information-theoretic bound on networks of one hidden layer, and its compute-optimal split.

    With --C the best neurons and samples at that compute, with --n and --T the terms there. The
    share of the model is parameters a sample, p/T.
    """
    from isoloss.theory import BoundConstants, information_bound, information_optimum
    from isoloss.theory.surrogate import agree_surrogate

    best = options["C"] is not None
    pair = [options[k] is not None for k in ("neurons", "t")]
    if best == all(pair) or (best and any(pair)):
        raise click.UsageError("give --C for the best split, or --n and --T for the terms there")
    if options["eps"] is not None and (best or form == "simple"):
        raise click.UsageError("--eps goes with --n, --T and --form full")
    if whole and not best:
        raise click.UsageError("--whole goes with --C")
    per_weight = math.log(30) if log_constant is None else log_constant
    constants = BoundConstants(c1=c1, c2=c2, net=net, log_constant=per_weight, count=count)
    grid = Grid(options, ("C", "d", "K") if best else ("neurons", "t", "d", "K", "eps"))

    def one(_: Any, *at: Any) -> dict[str, Any]:
        if best:
            C, d, K = at
            split = information_optimum(C, d=d, K=K, form=form, constants=constants, whole=whole)
            grid.doubts.update(split.doubts)
            return _columns(split, _BEST, form)
        n, T, d, K, eps = at
        found = information_bound(n, T, d=d, K=K, form=form, eps=eps, constants=constants)
        grid.doubts.update(found.doubts)
        return _columns(found, _AT, form)

    def width(*at: Any) -> Any:
        if not best:
            return at[0]
        C, d, K = at
        split = information_optimum(C, d=d, K=K, form=form, constants=constants, whole=True)
        return float(split.n_opt)

    def drawn(_: Any, *at: Any, **words: Any) -> Any:
        d, K = at[1:3] if best else at[2:4]
        return agree_surrogate(width(*at), d=d, K=K, **words)

    answer = grid.collect(one, wide=True)
    if grid.simulate:
        with progress(quiet=as_json) as step:
            answer |= grid.simulated(drawn, step)
        answer["drawn"] = grid.collect(lambda _, *at: _expected(width(*at), at[2 if best else 3]))
    if grid.plot:
        _picture(grid, answer)
    if as_json:
        print_json(answer | {"form": form})
    else:
        say(grid.table(answer))
        if grid.simulate:
            say("divergence is bounded by K/(16 n); the others are equal to what they are held to")
    for doubt in sorted(grid.doubts):
        say(f"note: {doubt}")
    return OK


def _columns(found: Any, names: tuple[str, ...], form: str) -> dict[str, Any]:
    return {k: getattr(found, k) for k in names if k != "eps" or form == "full"}


def _expected(n: float, K: float) -> dict[str, float]:
    """Give what a simulation at n neurons is held to."""
    from isoloss.theory import distinct_atoms

    return {
        "n": n, "squared_error": K / (2 * n), "divergence_at_most": K / (16 * n),
        "distinct": float(distinct_atoms(n, K)), "power": 0.5,
    }  # fmt: skip


def _picture(grid: Grid, answer: dict[str, Any]) -> None:
    """Write sizes and losses against the longest list of numbers."""
    from pathlib import Path

    from isoloss._core.serial import write_atomic
    from isoloss.errors import InputError
    from isoloss.plot import svg_bytes
    from isoloss.plot.gallery.information import draw_answer

    if not grid.axes:
        raise InputError("plot: a single point makes no curve; give a list, as --C 1e6,1e8,1e10")
    axes = {{"neurons": "n", "t": "T"}.get(k, k): grid.options[k] for k in grid.axes}
    write_atomic(Path(str(grid.plot)), svg_bytes(draw_answer(answer, axes)))

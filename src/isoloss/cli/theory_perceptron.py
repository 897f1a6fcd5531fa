"""``isoloss theory perceptron``: exact test error of a perceptron that learns from pruned data."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import guarded, json_option, progress
from isoloss.cli.theory_answer import finish
from isoloss.cli.theory_grid import Grid, Numbers, draw_options, grid_option

_KEYS = ("R", "rho", "kappa", "eps", "support_fraction")
_WORTH = ("q", "information_gain", "entropy", "eps_gibbs", "eps_centre")
_KEEP = ("hard", "easy", "random")


class Words(click.ParamType):  # type: ignore[type-arg]  # plain in older releases
    """One of some words, or several separated by commas."""

    name = "|".join(_KEEP)

    def convert(self, value: Any, param: Any, ctx: Any) -> str | list[str]:
        """Read words; mistakes are usage errors."""
        if isinstance(value, list):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        for part in parts:
            if part not in _KEEP:
                self.fail(f"{part!r}: write hard, easy or random", param, ctx)
        return parts if len(parts) > 1 else parts[0]


@click.command("perceptron")
@grid_option
@click.option("--alpha-prune", type=Numbers(), help="Kept examples a dimension.")
@click.option("--alpha-tot", type=Numbers(), help="Instead: examples a dimension before pruning.")
@click.option("--fraction", type=Numbers(), help="Share kept; 0 for the limit.")
@click.option("--optimal", is_flag=True, help="Instead: the fraction of least error.")
@click.option(
    "--theta", type=Numbers(), default="0", help="Angle of the probe to the teacher, degrees; 0."
)
@click.option("--keep", type=Words(), default="hard", show_default=True, help="Which are kept.")
@click.option("--gibbs", is_flag=True, help="Also what an example is worth; a perfect probe only.")
@click.option(
    "--N", "n", type=click.IntRange(2), default=200, show_default=True,
    help="Dimension of the simulation.",
)  # fmt: skip
@draw_options
@json_option
@guarded
def perceptron(optimal: bool, gibbs: bool, n: int, as_json: bool, **options: Any) -> int:
    """Max-margin perceptrons that learn from what a probe keeps: alignment, margin, test error."""
    import numpy as np

    from isoloss.theory import agree_perceptron, optimal_fraction, pruned_perceptron, version_space

    _refuse(options, optimal, gibbs)
    pooled = options["alpha_tot"] is not None
    alpha = "alpha_tot" if pooled else "alpha_prune"
    names = (alpha, *(() if optimal else ("fraction",)), "theta", "keep")
    grid = Grid(options, names)
    at = list(grid.points())
    given = {name: np.reshape([point[name] for point in at], grid.shape) for name in names}
    angle, keep = np.deg2rad(given["theta"]), given["keep"]
    held = {alpha: given[alpha]}
    if optimal:
        found = optimal_fraction(theta=angle, keep=keep, **held).require()
    else:
        found = pruned_perceptron(
            fraction=given["fraction"], theta=angle, keep=keep, **held
        ).require()
    columns = {k: getattr(found, k) for k in ((*_KEYS, "fraction") if optimal else _KEYS)}
    if gibbs:
        space = version_space(fraction=found.fraction, keep=keep, **held).require()
        columns |= {k: getattr(space, k) for k in _WORTH} | {"R_gibbs": space.R}
    answer = {k: v.tolist() for k, v in columns.items()}
    if grid.simulate:
        order = iter(range(found.eps.size))

        def drawn(_: Any, *values: Any, **words: Any) -> Any:
            i = next(order)
            return agree_perceptron(
                float(found.alpha_prune.flat[i]), float(found.fraction.flat[i]),
                float(found.theta.flat[i]), keep=str(found.keep.flat[i]), N=n, **words,
            )  # fmt: skip

        with progress(quiet=as_json) as step:
            answer |= grid.simulated(drawn, step)
    if grid.plot:
        grid.picture(answer)
    return finish(grid, answer, as_json)


def _refuse(options: dict[str, Any], optimal: bool, gibbs: bool) -> None:
    """Name options that do not go together."""
    if (options["alpha_prune"] is None) == (options["alpha_tot"] is None):
        raise click.UsageError("give either --alpha-prune or --alpha-tot")
    if optimal and options["fraction"] is not None:
        raise click.UsageError("--optimal finds the fraction: leave out --fraction")
    if options["fraction"] is None and not optimal:
        if options["keep"] != "random" or options["alpha_tot"] is not None:
            raise click.UsageError("give --fraction, the share kept, or --optimal to find it")
        options["fraction"] = 1.0
    theta = options["theta"]
    for value in theta if isinstance(theta, list) else [theta]:
        if not 0 <= value <= 90:
            raise click.UsageError(f"--theta {value:g}: must lie between 0 and 90 degrees")
        if gibbs and value > 0:
            raise click.UsageError("--gibbs is solved for a perfect probe: leave out --theta")

"""``isoloss theory MODEL``: exact losses of solvable models, and their simulation."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    guarded,
    json_option,
    print_json,
    progress,
    read_table,
    reading_options,
    report_refused,
    runs_argument,
    say,
)
from isoloss.cli.theory_answer import answer_grid, finish
from isoloss.cli.theory_exchange import exchange
from isoloss.cli.theory_grid import (
    Grid,
    Numbers,
    Ridges,
    device_option,
    draw_options,
    grid_option,
    spectrum_options,
)
from isoloss.cli.theory_information import information
from isoloss.cli.theory_perceptron import perceptron
from isoloss.cli.theory_point_value import point_value
from isoloss.cli.theory_scale_time import groups, scale_time
from isoloss.cli.theory_schedule import read_schedule, schedule_options, scheduled_risk
from isoloss.cli.theory_widths import command as widths

_KEYS = (
    "kappa", "df1", "df2", "test_excess", "test_total", "train", "bias2", "V_F", "V_D", "V_FD",
)  # fmt: skip


tolerance_option = click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="A limit is reached within this share of it.",
)


@click.group("theory")
def command() -> None:
    """Solve a model of scaling laws exactly, and simulate it.

    Numbers may be lists, separated by commas. Lists of one length go together, as numpy broadcasts;
    with --grid each makes an axis of the answer, in the order of the options in the help. Times and
    steps are always an axis of their own, the last. N and T may be inf. T counts samples.
    """


@command.command("random-features")
@spectrum_options
@click.option("--N", "n", type=Numbers(), required=True, help="Features; inf is allowed.")
@click.option("--T", "t", type=Numbers(), required=True, help="Samples; inf is allowed.")
@click.option(
    "--ridge",
    type=Ridges(),
    default="ridgeless",
    show_default=True,
    help="Penalty on the summed squared error (ghat), 'ridgeless' or 'optimal'.",
)
@click.option(
    "--per-sample", is_flag=True, help="The ridge, given and printed, is ghat/(N T) instead."
)
@click.option("--noise", type=Numbers(), default="0", help="Variance of the label noise.")
@draw_options
@device_option
@json_option
@guarded
def random_features(ridge: Any, per_sample: bool, as_json: bool, **options: Any) -> int:
    """Ridge regression on random features: test and training loss and their parts."""
    from isoloss.theory import PerSample
    from isoloss.theory import random_features as solve
    from isoloss.theory.agreement import agree_random_features

    grid = Grid(options, ("n", "t", "ridge", "noise"), ridge=ridge)

    def taken(value: Any) -> Any:
        return PerSample(value) if per_sample and not isinstance(value, str) else value

    def one(spectrum: Any, n: Any, t: Any, r: Any, s: Any) -> dict[str, Any]:
        found = solve(spectrum, n, t, ridge=taken(r), noise=s).require()
        grid.doubts.update(found.doubts)
        shown = found.ridge_per_sample if per_sample else found.ridge
        return {k: getattr(found, k) for k in _KEYS} | {"ridge": shown}

    def drawn(spectrum: Any, n: Any, t: Any, r: Any, s: Any, **words: Any) -> Any:
        return agree_random_features(spectrum, n, t, ridge=taken(r), noise=s, **words)

    return answer_grid(grid, one, drawn, as_json, wide=True)


@command.command("regimes")
@spectrum_options
@click.option("--N", "n", type=Numbers(), required=True, help="Features; inf is allowed.")
@click.option("--T", "t", type=Numbers(), required=True, help="Samples; inf is allowed.")
@click.option(
    "--ridge", type=Ridges(), default="ridgeless", show_default=True, help="As in random-features."
)
@click.option("--noise", type=Numbers(), default="0", help="Variance of the label noise.")
@tolerance_option
@json_option
@guarded
def regimes(ridge: Any, tolerance: float, as_json: bool, **options: Any) -> int:
    """Which of the four regimes holds: variance- or resolution-limited, in data and in size."""
    from isoloss.theory import regimes as solve

    grid = Grid(options, ("n", "t", "ridge", "noise"), ridge=ridge)

    def one(spectrum: Any, n: Any, t: Any, r: Any, s: Any) -> dict[str, Any]:
        found = solve(spectrum, n, t, ridge=r, noise=s, tolerance=tolerance)
        return {k: getattr(found, k) for k in found.__slots__}

    return finish(grid, grid.collect(one, wide=True), as_json)


@command.command("measured-regimes")
@runs_argument()
@click.option("--law", default="coupled", show_default=True, help="Law of N and D.")
@tolerance_option
@click.option("--draws", type=click.IntRange(0), default=400, show_default=True, help="Bootstrap.")
@reading_options
@json_option
@guarded
def measured(
    runs: str, law: str, tolerance: float, draws: int, columns: Any, units: Any,
    where: tuple[str, ...], as_json: bool,
) -> int:  # fmt: skip
    """Which of the four regimes each of RUNS is in, by a law fitted to them."""
    from isoloss.fit import fit, measured_regimes

    table = read_table(runs, columns, units, where)
    report_refused(table)
    fitted = fit(table, law, draws=draws)
    found = measured_regimes(fitted, table, tolerance=tolerance)
    if as_json:
        print_json(found.to_dict() | {"name": list(table.names), "law": fitted.law.name})
    else:
        rows = zip(table.names, found.size, found.data, found.data_share, strict=True)
        say("\n".join(f"{n}: size {a}, data {b} ({100 * s:.0f} % of draws)" for n, a, b, s in rows))
        say(found.sentence)
    return OK if fitted.status == "ok" else DOUBT


decay_option = click.option(
    "--weight-decay", type=Numbers(), default="0", help="Decay of the weights; it ends in a ridge."
)


def _times(descent: bool, options: dict[str, Any], as_json: bool) -> int:
    from isoloss.theory import gradient_descent, gradient_flow
    from isoloss.theory.agreement import agree_gradient_descent, agree_gradient_flow

    names = ("n", "t", "noise", "weight_decay", *(("eta", "steps") if descent else ("time",)))
    grid = Grid(options, names, last=names[-1])

    def one(spectrum: Any, n: Any, t: Any, s: Any, decay: Any, *rest: Any) -> dict[str, Any]:
        words = {"noise": s, "weight_decay": decay}
        if descent:
            eta, steps = rest
            found = gradient_descent(spectrum, n, t, steps, eta=eta, **words)
        else:
            found = gradient_flow(spectrum, n, t, rest[0], **words)
        if (found.test_excess < found.resolution).any():
            grid.doubts.add(f"losses below {found.resolution:.1e} are rounding")
        grid.doubts.update(found.doubts)
        return {"test_excess": found.test_excess, "train": found.train}

    def drawn(spectrum: Any, n: Any, t: Any, s: Any, decay: Any, *rest: Any, **words: Any) -> Any:
        words |= {"noise": s, "weight_decay": decay}
        if descent:
            eta, steps = rest
            return agree_gradient_descent(spectrum, n, t, steps, eta=eta, **words)
        return agree_gradient_flow(spectrum, n, t, rest[0], **words)

    return answer_grid(grid, one, drawn, as_json)


@command.command("gradient-flow")
@spectrum_options
@click.option("--N", "n", type=Numbers(), required=True, help="Features; inf is allowed.")
@click.option("--T", "t", type=Numbers(), required=True, help="Samples; inf is allowed.")
@click.option("--noise", type=Numbers(), default="0", help="Variance of the label noise.")
@decay_option
@click.option("--t", "time", type=Numbers(), required=True, help="Times; inf is allowed.")
@draw_options
@device_option
@json_option
@guarded
def gradient_flow(as_json: bool, **options: Any) -> int:
    """Losses along gradient flow of half the mean squared error."""
    return _times(False, options, as_json)


@command.command("gradient-descent")
@spectrum_options
@click.option("--N", "n", type=Numbers(), required=True, help="Features; inf is allowed.")
@click.option("--T", "t", type=Numbers(), required=True, help="Samples; inf is allowed.")
@click.option("--noise", type=Numbers(), default="0", help="Variance of the label noise.")
@decay_option
@click.option("--eta", type=Numbers(), required=True, help="Step size.")
@click.option("--steps", type=Numbers(), required=True, help="Steps, whole numbers.")
@draw_options
@device_option
@json_option
@guarded
def gradient_descent(as_json: bool, **options: Any) -> int:
    """Losses along full-batch gradient descent."""
    return _times(True, options, as_json)


@command.command("sgd")
@grid_option
@click.option("--alpha", type=Numbers(), required=True, help="Eigenvalues are j^(-2 alpha).")
@click.option("--beta", type=Numbers(), required=True, help="Target coefficients are j^-beta.")
@click.option("--M", "m", type=Numbers(), required=True, help="Latent modes.")
@click.option("--N", "n", type=Numbers(), required=True, help="Features; inf is allowed.")
@click.option("--lr", type=Numbers(), required=True, help="Step size, of the sum over the batch.")
@click.option("--batch", type=Numbers(), default="1", help="Samples a step; 1 by default.")
@click.option("--noise", type=Numbers(), default="0", help="Variance of the label noise.")
@click.option("--steps", type=Numbers(), required=True, help="Steps, whole numbers.")
@schedule_options
@draw_options
@device_option
@json_option
@guarded
def sgd(as_json: bool, **options: Any) -> int:
    """Mean risk of one-pass SGD, its limit, and the mass of the noise kernel."""
    from isoloss.theory import one_pass_sgd
    from isoloss.theory.agreement import agree_sgd

    scheduled = read_schedule(options)

    names = ("n", "lr", "batch", "noise", "steps")
    grid = Grid(options, names, sgd=True, last="steps")

    def one(spectrum: Any, n: Any, lr: Any, batch: Any, s: Any, steps: Any) -> dict[str, Any]:
        if scheduled:
            return scheduled_risk(
                grid.doubts, spectrum, n, steps, lr=lr, batch=batch, noise=s, **scheduled
            )
        found = one_pass_sgd(spectrum, n, steps, lr=lr, batch=batch, noise=s)
        if not found.stable:
            grid.doubts.add("the kernel mass is not below 1: SGD diverges at this step size")
        elif (found.risk < found.resolution).any():
            grid.doubts.add(f"risks below {found.resolution:.1e} are rounding")
        return {
            "risk": found.risk,
            "risk_limit": found.risk_limit,
            "kernel_mass": found.kernel_mass,
        }

    def drawn(spectrum: Any, n: Any, lr: Any, batch: Any, s: Any, steps: Any, **words: Any) -> Any:
        words |= scheduled
        return agree_sgd(spectrum, n, steps, lr=lr, batch=batch, noise=s, **words)

    return answer_grid(grid, one, drawn, as_json)


@command.command("phases")
@grid_option
@click.option("--alpha", type=Numbers(), required=True, help="Eigenvalues are j^(-2 alpha).")
@click.option("--beta", type=Numbers(), required=True, help="Target coefficients are j^-beta.")
@json_option
@guarded
def phases(as_json: bool, **options: Any) -> int:
    """Phase and exponents of compute-optimal one-pass SGD: size f^x, risk f^-y."""
    from isoloss.theory import sgd_phase

    grid = Grid(options, ("alpha", "beta"), last="")
    answer = grid.collect(lambda _, alpha, beta: sgd_phase(alpha, beta).to_dict())
    return finish(grid, answer, as_json)


@command.command("gallery")
@click.option(
    "--out", required=True, type=click.Path(path_type=str), metavar="FOLDER", help="Where to."
)
@click.option(
    "--simulate", type=click.IntRange(0), default=10, show_default=True, metavar="K",
    help="Draws a simulated point; 0 for none.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the simulation; 0.")
@click.option("--png", is_flag=True, help="Write PNG beside SVG.")
@json_option
@guarded
def gallery(out: str, simulate: int, seed: int, png: bool, as_json: bool) -> int:
    """Draw every picture of the solvable models into a folder."""
    from isoloss.plot.gallery import draw_gallery

    with progress(quiet=as_json) as step:
        files = draw_gallery(out, simulate=simulate, rng=seed, png=png, on_step=step)
    if as_json:
        print_json({"files": [str(path) for path in files]})
    else:
        say(f"{len(files)} files in {out}")
    return OK


for _command in (perceptron, information, scale_time, groups, exchange, point_value, widths):
    command.add_command(_command)

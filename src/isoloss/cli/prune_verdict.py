"""``isoloss prune verdict``: is pruning worth it."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    Positive,
    guarded,
    json_option,
    print_json,
    progress,
    say,
)
from isoloss.cli.pictures import PICTURES, check_written, write_picture


@click.command("verdict")
@click.argument("pilots", type=click.Path(path_type=str))
@click.option("--budget", type=Positive(), help="What training may cost, in --unit.")
@click.option(
    "--unit", type=click.Choice(["seen", "flops"]), default="seen", show_default=True,
    help="Of --budget: examples seen in training, or FLOPs.",
)  # fmt: skip
@click.option("--pool", type=Positive(), help="Examples there are before pruning.")
@click.option("--epochs", type=Positive(), help="Examples seen for each one kept; as in PILOTS.")
@click.option(
    "--trainings", type=Positive(), default=1.0, show_default=True,
    help="Trainings that share one scoring.",
)  # fmt: skip
@click.option(
    "--score-cost", type=click.FloatRange(0),
    help="Of scoring one example, in examples seen; else from columns score_flops and flops.",
)  # fmt: skip
@click.option(
    "--tol", type=click.FloatRange(0, 1, min_open=True), default=0.02, show_default=True,
    help="Part of the loss that may be added and still count as lossless.",
)  # fmt: skip
@click.option("--metric", help="Judge this score alone.")
@click.option("--data", help="Judge this data set alone.")
@click.option(
    "--outcome", type=click.Choice(["loss", "error"]), help="What is judged; the loss if there."
)
@click.option(
    "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9,
    show_default=True, help="Level of the intervals.",
)  # fmt: skip
@click.option(
    "--draws", type=click.IntRange(50, 10_000), default=400, show_default=True,
    help="Resamples of each form.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of them.")
@click.option("--html", metavar="FILE", help="Write a page, .html, that needs no other file.")
@click.option("--plot", metavar="FILE", help="Write a picture, .svg or .png.")
@json_option
@guarded
def command(
    pilots: str, budget: float | None, unit: str, pool: float | None, epochs: float | None,
    trainings: float, score_cost: float | None, tol: float, metric: str | None,
    data: str | None, outcome: str | None, level: float, draws: int, seed: int,
    html: str | None, plot: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Say from PILOTS whether to prune, by which policy, how much, and what it gains.

    PILOTS is a CSV, one training a row, with the columns policy (random, hard, easy), keep, pool or
    D, loss or error, and perhaps seed, worst_error, seen, flops, score_flops, metric, data. Ask
    with --budget, --pool or both. Every score in the table is judged. Exit code 3: at least one
    has no
    verdict, or one with doubt.
    """
    from isoloss.prune.pilots import read_pilots
    from isoloss.prune.verdict import judge_metrics

    for path, option, ends in ((html, "--html", (".html", ".htm")), (plot, "--plot", PICTURES)):
        check_written(path, option, ends, [pilots])
    table = read_pilots(pilots)
    for refusal in table.refused[:10]:
        say(f"refused row {refusal.row}: {refusal.reason}")
    if len(table.refused) > 10:
        say(f"... and {len(table.refused) - 10} more rows refused; --json lists all of them")
    options: dict[str, Any] = {
        "budget": budget, "unit": unit, "pool": pool, "epochs": epochs, "trainings": trainings,
        "score_cost": score_cost, "tol": tol, "metric": metric, "data": data, "outcome": outcome,
        "level": level, "draws": draws, "rng": seed,
    }  # fmt: skip
    with progress(quiet=as_json) as step:
        verdicts = judge_metrics(table, on_step=step, **options)
    # Pictures first: where matplotlib is missing nothing has been written yet.
    if plot:
        from isoloss.plot.verdict import draw_verdicts

        write_picture(draw_verdicts(verdicts), plot)
    if html:
        from pathlib import Path

        from isoloss._core.serial import write_atomic
        from isoloss.report.verdict import render_verdicts

        write_atomic(Path(html), render_verdicts(verdicts, command=_command_line(pilots)))
    if as_json:
        print_json({"schema": 1, "verdicts": [v.to_dict() for v in verdicts]})
    else:
        say("\n\n".join(v.summary() for v in verdicts))
    return OK if all(v.status == "ok" for v in verdicts) else DOUBT


def _command_line(pilots: str) -> str:
    """Build the command without folders and without what does not change the answer."""
    import shlex
    from pathlib import Path

    words, skip = [], False
    for word in click.get_current_context().meta["isoloss.words"]:
        if skip:
            skip = False
        elif word in ("--html", "--plot"):
            skip = True
        elif not word.startswith(("--html=", "--plot=")) and word != "--json":
            words.append(Path(word).name if word == pilots else word)
    return "isoloss " + shlex.join(words) + " --html verdict.html"

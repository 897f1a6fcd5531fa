"""``isoloss watch``: where a run will end, from its log so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import DOUBT, OK, guarded, json_option, print_json, progress, say
from isoloss.cli.curves import Spelled, check_picture, curve_options, picture, read_logs


@click.command("watch")
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=str))
@click.option(
    "--plan", metavar="SPEC",
    help="Planned schedule, as in schedule: cosine:24000, wsd:20000:24000, a CSV of step,lr.",
)  # fmt: skip
@click.option("--like", multiple=True, type=click.Path(path_type=str),
              help="Log of a complete run of the same model; may be repeated.")  # fmt: skip
@click.option("--family", multiple=True, type=click.Path(path_type=str),
              help="Log of a complete run of another size, same shape of schedule.")  # fmt: skip
@click.option("--target", type=click.FloatRange(0, min_open=True),
              help="Loss that the run must reach.")  # fmt: skip
@click.option("--until", type=click.IntRange(1),
              help="Use logs up to this step only, to replay a run that is over.")  # fmt: skip
@click.option(
    "--plot",
    "drawing",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw the run and its forecast, as .svg or .png; of one run.",
)
@curve_options
@json_option
@guarded
def command(
    logs: tuple[str, ...], plan: str | None, like: tuple[str, ...], family: tuple[str, ...],
    target: float | None, until: int | None, drawing: Path | None, metric: str,
    loss_unit: str | None, columns: Any, own: Any, warmup: int, peak: float | None,
    floor: float | None, level: float, as_json: bool,
) -> int:  # fmt: skip
    """Forecast the final loss of runs under way from LOGS, and say stop, look or go on.

    LOGS are files or folders of any kind that import reads. Status 3 unless every run may go on.
    """
    from isoloss.fit.curves import watch_run

    check_picture(drawing)
    if like and family:
        raise click.UsageError("give --like or --family, not both")
    if plan is None:
        raise click.UsageError("say how the run goes on: --plan cosine:24000, or a CSV of step,lr")
    with progress(quiet=as_json) as step:
        read = read_logs(logs, metric, loss_unit, columns, step)
        past = like or family
        others = read_logs(past, metric, loss_unit, columns, step) if past else []
        complete = [one.curve for one in others]
        spelled = Spelled([*complete, *(one.curve for one in read)], peak, floor, warmup)
        planned = spelled.schedule(plan)
        known = {c.name for c in complete}
        given = {n: s for n, s in spelled.named(own).items() if n in known} or None
        found = []
        for one in read:
            step(f"forecasting {one.curve.name}")
            curve = one.curve if until is None else one.curve.until(until)
            found.append(
                watch_run(
                    curve, planned, like=complete if like else (),
                    family=complete if family else (), schedules=given, warmup=warmup,
                    target=target, level=level,
                    ends_missing=one.ends_missing and until is None,
                )
            )  # fmt: skip
    if drawing is not None:
        _draw(read[0].curve, found[0], drawing)
    if as_json:
        print_json({"runs": [one.to_dict() for one in found]})
    else:
        for watched in found:
            say(watched.summary())
    return OK if all(one.verdict == "go on" for one in found) else DOUBT


def _draw(curve: Any, found: Any, path: Path) -> None:
    from isoloss.plot.curves import draw_watch

    picture(lambda: draw_watch(curve, found), path)

"""``isoloss watch``: where a run will end, from its log so far."""

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
from isoloss.cli.curves import Spelled, curve_options, read_logs
from isoloss.cli.pictures import PICTURES, check_written, write_picture


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
@click.option("--target", type=Positive(),
              help="Loss that the run must reach.")  # fmt: skip
@click.option("--until", type=click.IntRange(1),
              help="Use logs up to this step only, to replay a run that is over.")  # fmt: skip
@click.option(
    "--plot",
    "drawing",
    metavar="FILE",
    help="Also draw the run and its forecast, as .svg or .png; of one run.",
)
@curve_options
@json_option
@guarded
def command(
    logs: tuple[str, ...], plan: str | None, like: tuple[str, ...], family: tuple[str, ...],
    target: float | None, until: int | None, drawing: str | None, metric: str,
    loss_unit: str | None, columns: Any, own: Any, warmup: int, peak: float | None,
    floor: float | None, level: float, as_json: bool,
) -> int:  # fmt: skip
    """Forecast the final loss of runs under way from LOGS, and say stop, look or go on.

    LOGS are files or folders of any kind that import reads. Status 3 unless every run may go on.
    """
    from isoloss.errors import IsolossError
    from isoloss.fit.curves import watch_run

    check_written(drawing, "--plot", PICTURES, (*logs, *like, *family))
    if like and family:
        raise click.UsageError("give --like or --family, not both")
    if plan is None:
        raise click.UsageError("say how the run goes on: --plan cosine:24000, or a CSV of step,lr")
    with progress(quiet=as_json) as step:
        read = read_logs(logs, metric, loss_unit, columns, step)
        past = like or family
        complete = [one.curve for one in read_logs(past, metric, loss_unit, columns, step)]
        spelled = Spelled([*complete, *(one.curve for one in read)], peak, floor, warmup)
        planned = spelled.schedule(plan)
        given = spelled.named(own)
        if unknown := sorted(given.keys() - {c.name for c in complete}):
            raise click.UsageError(f"--of {unknown[0]}: no complete run has this name")
        found, failed = [], {}
        for one in read:
            step(f"forecasting {one.curve.name}")
            try:
                others = _without(complete, one.curve)
                watched = watch_run(
                    one.curve if until is None else one.curve.until(until), planned,
                    like=others if like else (), family=others if family else (),
                    schedules={c.name: given[c.name] for c in others if c.name in given} or None,
                    warmup=warmup, target=target, level=level,
                    ends_missing=one.ends_missing and until is None,
                )  # fmt: skip
            except IsolossError as error:
                failed[one.curve.name] = error
                continue
            found.append((one.curve, watched))
    if not found:
        raise next(iter(failed.values()))
    if as_json:
        reasons = [{"name": name, "reason": str(why)} for name, why in failed.items()]
        print_json({"runs": [one.to_dict() for _, one in found], "failed": reasons})
    else:
        for _, one in found:
            say(one.summary())
        for why in failed.values():
            say(f"no forecast: {why}")
    # After the answer, which a disk that is full must not cost.
    if drawing is not None:
        _draw(*found[0], drawing)
    well = all(one.verdict == "go on" for _, one in found)
    return OK if well and not failed else DOUBT


def _without(complete: list[Any], curve: Any) -> list[Any]:
    """Complete runs but for the one that is watched, which would forecast itself."""
    import numpy as np

    from isoloss.errors import InputError

    others = [
        c
        for c in complete
        if not (np.array_equal(c.step, curve.step) and np.array_equal(c.loss, curve.loss))
    ]
    if complete and not others:
        raise InputError(f"{curve.name}: is itself the only complete run; give others, or none")
    if len(others) < len(complete):
        say(f"note {curve.name}: is among the complete runs too, and left out of them")
    return others


def _draw(curve: Any, found: Any, path: str) -> None:
    from isoloss.plot.curves import draw_watch

    write_picture(draw_watch(curve, found), path)

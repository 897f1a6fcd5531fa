"""``isoloss schedule``: the loss under other schedules of the learning rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import DOUBT, OK, guarded, json_option, print_json, progress, say
from isoloss.cli.curves import Spelled, curve_options, read_logs
from isoloss.cli.pictures import PICTURES, check_written, write_picture


@click.command("schedule")
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=str))
@click.option(
    "--schedule", "plans", multiple=True, metavar="SPEC",
    help="constant:T, cosine:T, linear:T, wsd:S:T, wsd-linear:S:T, drop:S:T:RATE, or a CSV of "
    "step,lr; may be repeated, and those of equal steps are compared.",
)  # fmt: skip
@click.option(
    "--law", type=click.Choice(["multi-power", "annealing", "rate-power"]), default="multi-power",
    show_default=True, help="Law of the curves.",
)  # fmt: skip
@click.option(
    "--prior",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Strength of the pull on exponents towards one half; 0 for none.",
)
@click.option(
    "--csv",
    "table",
    metavar="FILE",
    help="Also write the forecast curves as a table.",
)
@click.option(
    "--plot",
    "drawing",
    metavar="FILE",
    help="Also draw curves and forecasts, as .svg or .png.",
)
@curve_options
@json_option
@guarded
def command(
    logs: tuple[str, ...], plans: tuple[str, ...], law: str, prior: float, table: str | None,
    drawing: str | None, metric: str, loss_unit: str | None, columns: Any, own: Any, warmup: int,
    peak: float | None, floor: float | None, level: float, as_json: bool,
) -> int:  # fmt: skip
    """Fit a law of the loss under any schedule to LOGS of one model, and forecast under others.

    LOGS are files or folders of any kind that import reads; each run is one curve.
    """
    from isoloss.fit.curves import compare_schedules, fit_schedule_law, forecast_curve

    sources = (*logs, *(plan for plan in plans if plan.lower().endswith(".csv")))
    check_written(drawing, "--plot", PICTURES, sources)
    check_written(table, "--csv", (".csv",), sources)
    with progress(quiet=as_json) as step:
        read = read_logs(logs, metric, loss_unit, columns, step)
        curves = [one.curve for one in read]
        spelled = Spelled(curves, peak, floor, warmup)
        given = spelled.named(own) or None
        wanted = {plan: spelled.schedule(plan) for plan in dict.fromkeys(plans)}
        step("fitting")
        fitted = fit_schedule_law(curves, law=law, schedules=given, warmup=warmup, prior=prior)
        found = [forecast_curve(fitted, plan, level=level) for plan in wanted.values()]
        even = len(wanted) > 1 and len({len(p) for p in wanted.values()}) == 1
        ranked = compare_schedules(fitted, wanted, level=level) if even else None
    if as_json:
        print_json(
            {
                "fit": fitted.to_dict(),
                "forecasts": [f.to_dict() for f in found],
                "comparison": None if ranked is None else ranked.to_dict(),
            }
        )
    else:
        _show(fitted, found, ranked, level)
    # After the answer, which a disk that is full must not cost.
    if table is not None:
        _write(Path(table), found)
    if drawing is not None:
        from isoloss.plot.curves import draw_curves

        write_picture(draw_curves(curves, found), drawing)
    doubt = fitted.status != "ok" or any(f.reasons for f in found)
    return DOUBT if doubt else OK


def _show(fitted: Any, found: list[Any], ranked: Any, level: float) -> None:
    say(fitted.summary())
    if found:
        say(f"final loss, and the interval of a measurement at {100 * level:g} %:")
    if ranked is not None:
        say(ranked.summary())
    else:
        for one in found:
            say(f"{one.name}: {one.final_loss:.4f} [{one.final.low:.4f}, {one.final.high:.4f}]")
        if len(found) > 1:
            say("not compared: the schedules have different numbers of steps")
    for reason in {r.code: r for one in found for r in one.reasons}.values():
        say(f"{reason.code}: {reason.message}")


def _write(path: Path, found: list[Any]) -> None:
    from isoloss._core.serial import write_atomic

    lines = ["schedule,step,loss,low,high"]
    for one in found:
        name = '"' + one.name.replace('"', '""') + '"'
        for row in zip(one.step, one.loss, one.low, one.high, strict=True):
            lines.append(f"{name}," + ",".join(f"{v:.8g}" for v in row))
    write_atomic(path, "\n".join(lines) + "\n")

"""What the commands on training curves share: reading logs, and schedules named in a word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isoloss.cli.common import Pairs, Positive, merged, say

if TYPE_CHECKING:
    from isoloss.laws.schedule import Schedule
    from isoloss.runs.curve import Curve


def curve_options(function: Any) -> Any:
    """Add the options that say how logs are read, and what rates they ran at."""
    for option in (
        click.option(
            "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9,
            show_default=True, help="Level of the intervals.",
        ),
        click.option(
            "--floor", type=click.FloatRange(0), default=None,
            help="Rate that schedules fall to; the lowest after the peak in the logs, else 0.",
        ),
        click.option("--peak", type=Positive(), default=None,
                     help="Peak rate of schedules; that of the logs."),
        click.option("--warmup", type=click.IntRange(0), default=0, show_default=True,
                     help="Steps in which the rate rises from 0, where no log shows it."),
        click.option(
            "--of", "own", type=Pairs(), multiple=True,
            help="Schedule of a run whose log holds no rates: NAME=cosine:24000.",
        ),
        click.option("--columns", type=Pairs(), multiple=True,
                     help="Metrics of rates and updates: lr=NAME,step=NAME."),
        click.option("--loss-unit", type=click.Choice(
            ["nats", "bits", "base10", "perplexity", "bpb"]), help="Unit of the logged loss."),
        click.option("--metric", default="auto", show_default=True,
                     help="auto, eval, train, a name, or a pattern with *."),
    ):  # fmt: skip
        function = option(function)
    return function


def read_logs(
    paths: Sequence[str], metric: str, loss_unit: str | None, columns: Any,
    step: Callable[[str], None],
) -> list[Any]:  # fmt: skip
    """Read the curves of all logs named."""
    from isoloss.runs.logs import read_curves

    if not paths:
        return []
    found = read_curves(
        list(paths), metric=metric, loss_unit=loss_unit, columns=merged(columns) or None,
        on_step=step,
    )  # fmt: skip
    for one in found:
        for note in one.notes[:5]:
            say(f"note {one.curve.name}: {note}")
    return found


class Spelled:
    """Turns words into schedules, with peak, floor and warm-up of the caller or of the logs."""

    def __init__(
        self, curves: Sequence[Curve], peak: float | None, floor: float | None, warmup: int
    ) -> None:
        rates = [c.lr for c in curves if c.lr is not None]
        self.peak = max(float(r.max()) for r in rates) if peak is None and rates else peak
        if floor is None and rates:
            # Of runs that fall: a rate that never fell is no floor.
            floor = min(float(r[r.argmax() :].min()) for r in rates)
            floor = floor if floor < 0.999 * (self.peak or 0.0) else 0.0
        self.floor, self.warmup = floor or 0.0, warmup

    def schedule(self, text: str) -> Schedule:
        """Write a schedule out; a path ending in .csv is read."""
        from isoloss.laws.schedule import MAX_STEPS, Schedule, make_schedule, rates_between

        if text.lower().endswith(".csv"):
            from isoloss.errors import InputError
            from isoloss.runs.rates import read_rates

            steps, rates = read_rates(Path(text))
            last = round(float(steps[-1]))
            if last >= MAX_STEPS:
                raise InputError(f"{text}: step {last:,} is beyond {MAX_STEPS:,}")
            return Schedule(rates_between(steps, rates, last), text)
        if self.peak is None:
            raise click.UsageError("the logs hold no learning rates: give --peak")
        return make_schedule(text, peak=self.peak, floor=self.floor, warmup=self.warmup)

    def named(self, own: Any) -> dict[str, Schedule]:
        """Schedules of runs by name."""
        return {name: self.schedule(text) for name, text in merged(own).items()}

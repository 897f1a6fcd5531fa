"""The group of commands; each is imported only when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

import isoloss

_COMMANDS = {
    "atlas": "Published fits found again, theirs beside ours.",
    "audit": "Say what a design of runs can identify, and what it cannot.",
    "compare": "Say which recipe is better, by how much compute.",
    "coverage": "Simulate known truths; count how often intervals hold them.",
    "downstream": "Forecast accuracies from losses, or say which cannot be.",
    "fit": "Fit one law to a table of runs.",
    "flops": "Count parameters and FLOPs in every convention.",
    "forecast": "Forecast the loss at a target or a budget.",
    "import": "Make a table of runs from training logs.",
    "laws": "List the laws, or published constants.",
    "next": "Choose the next runs: those that narrow a goal most for their FLOPs.",
    "plan": "Split a compute budget between model size and data.",
    "power": "Count the runs that tell two recipes apart at a scale.",
    "prune": "Score examples, find near-duplicates, choose those to keep.",
    "schedule": "Forecast the loss under other learning-rate schedules.",
    "score": "Score sealed forecasts against what was measured since.",
    "seal": "Forecast, and prove later that the forecast was not changed.",
    "spectrum": "Predict a learning curve from the spectrum of features.",
    "study": "Everything at once, with a report.",
    "sweep": "Train a grid of small networks.",
    "theory": "Solve models of scaling laws exactly, and simulate them.",
    "watch": "Forecast the end of a run from its log so far.",
}
_FILES = {"import": "import_logs"}
"""Commands whose file cannot bear their name."""


class _Lazy(click.Group):
    """A group that knows its commands' names without importing them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # A report says which command made it, however the command was called.
        ctx.meta["isoloss.words"] = tuple(args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        return import_module(f"isoloss.cli.{_FILES.get(cmd_name, cmd_name)}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(isoloss.__version__, prog_name="isoloss")
def main() -> None:
    """Fit, forecast and plan with neural scaling laws.

    Exit status: 0 good, 1 error, 2 usage, 3 usable with doubt.
    """

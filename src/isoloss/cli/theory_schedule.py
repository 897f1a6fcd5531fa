"""Options of ``isoloss theory sgd`` that say how the step size changes along a run."""

from __future__ import annotations

from typing import Any

import click

NAMES = ("constant", "cosine", "linear", "warmup", "warmup-stable-decay")
_SHARES = ("warmup", "decay", "floor")


def schedule_options(function: Any) -> Any:
    """Add the options of a schedule."""
    share = click.FloatRange(0, 1)
    for option in (
        click.option("--length", type=float, help="Steps of the run; the last of --steps."),
        click.option("--floor", type=share, help="Share of --lr that the decay ends at; 0."),
        click.option("--decay", type=share, help="Share of the run that decays."),
        click.option("--warmup", type=share, help="Share of the run that warms up."),
        click.option(
            "--schedule", type=click.Choice(NAMES), help="Of the step size; --lr is its peak."
        ),
    ):
        function = option(function)
    return function


def read_schedule(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of a schedule out and make the arguments of the model; none without one."""
    name = options.pop("schedule")
    length = options.pop("length")
    shares = {k: v for k in _SHARES if (v := options.pop(k)) is not None}
    if name is None:
        if shares or length:
            first = next(iter(shares), "length")
            raise click.UsageError(f"--{first} is part of a schedule; name it with --schedule")
        return {}
    from dataclasses import replace

    from isoloss.theory.schedule import SCHEDULES

    if name in ("cosine", "linear") and "decay" not in shares:
        shares["decay"] = 1 - shares.get("warmup", 0.0)
    return {"schedule": replace(SCHEDULES[name], **shares), "length": length}


def scheduled_risk(doubts: set[str], spectrum: Any, *at: Any, **words: Any) -> dict[str, Any]:
    """Risk under a schedule at one point of the grid; doubts are added to."""
    from isoloss.theory import scheduled_sgd

    found = scheduled_sgd(spectrum, *at, **words)
    if not found.stable:
        doubts.add("the kernel mass is not below 1: SGD diverges while steps are largest")
    elif found.error > 1e-3:
        doubts.add(f"the risk is known to {100 * found.error:.1g} % only")
    if (found.risk < found.resolution).any():
        doubts.add(f"risks below {found.resolution:.1e} are rounding")
    return {
        "risk": found.risk, "lr": found.lr, "kernel_mass": found.kernel_mass, "error": found.error
    }  # fmt: skip

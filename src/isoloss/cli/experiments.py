"""What commands of measured studies share: options, their check, and files of figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import json_option, say

_FOLDER = click.Path(path_type=Path, file_okay=False)
_THERE = click.Path(path_type=Path, exists=True, file_okay=False)


def experiment_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a study: which experiments, train into or read a folder, draw."""
    options = (
        click.option(
            "--only", multiple=True, metavar="NAME",
            help="Experiments by name; may be repeated. All by default.",
        ),
        click.option("--out", type=_FOLDER, help="Folder to train into; goes on in it."),
        click.option(
            "--read", type=_THERE, help="A folder of tables made before, in place of training."
        ),
        click.option(
            "--plot", type=_FOLDER, help="Also draw the figures into this folder, as .svg."
        ),
        click.option(
            "--workers", type=click.IntRange(1), default=1, show_default=True,
            help="Processes of one thread.",
        ),
        click.option("--device", default="cpu", show_default=True, help="cpu or cuda."),
        json_option,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def check_experiments(
    only: Iterable[str], out: Path | None, read: Path | None, known: Iterable[str]
) -> None:
    """Refuse names that are none, and both or neither of the folders."""
    if (out is None) == (read is None):
        raise click.UsageError("give a folder to train into, --out, or one of tables, --read")
    names = tuple(known)
    if unknown := [name for name in only if name not in names]:
        raise click.UsageError(f"--only {unknown[0]}: must be one of {', '.join(names)}")


def write_figures(figures: Mapping[str, Any], folder: Path) -> None:
    """Write figures by name into a folder, and say where."""
    from isoloss._core.serial import write_atomic
    from isoloss.plot import svg_bytes

    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        write_atomic(folder / f"{name}.svg", svg_bytes(figure))
        say(f"figure: {folder / f'{name}.svg'}")

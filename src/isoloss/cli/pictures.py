"""What commands that write a picture or a page share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

PICTURES = (".svg", ".png")


def check_written(
    path: str | None, option: str, ends: Sequence[str], sources: Sequence[str | None]
) -> None:
    """Refuse a target of another ending, a folder, or one that is read; before any work.

    What lies in a folder that is read counts as read, but for pictures, which are no input.
    """
    if path is None:
        return
    place = Path(path)
    if place.suffix.lower() not in ends:
        raise click.UsageError(f"{option} {path}: give a name that ends in {' or '.join(ends)}")
    if place.is_dir():
        raise click.UsageError(f"{option} {path}: is a folder; give the name of a file")
    for source in sources:
        if source is None:
            continue
        read, written = Path(source).resolve(), place.resolve()
        within = read in written.parents and written.suffix.lower() not in PICTURES
        if written == read or (within and written.exists()):
            raise click.UsageError(f"{option} {path}: would write over what is read")


def write_picture(ax: Any, path: str) -> None:
    """Write the figure of axes as SVG or PNG, by the ending of the name."""
    from isoloss._core.serial import write_atomic
    from isoloss.plot.save import png_bytes, svg_bytes

    png = path.lower().endswith(".png")
    write_atomic(Path(path), png_bytes(ax) if png else svg_bytes(ax))

"""``isoloss sweep confront``: forecasts of larger networks against those networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import DOUBT, OK, guarded, json_option, print_json, say

_GRIDS = ("confront-images", "confront-teacher")


@click.command("confront")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of ledgers and tables; runs and kernels in it are not computed again.",
)
@click.option(
    "--grid",
    "grids",
    multiple=True,
    default=_GRIDS,
    show_default=True,
    help="Grid of one data set and one wide perceptron; may be repeated.",
)
@click.option(
    "--read",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with confront-runs.csv and confront-kernels.csv made before, for no training.",
)
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write every forecast with its error as a table.",
)
@click.option(
    "--plot",
    "picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw forecasts and networks, as .svg or .png.",
)
@json_option
@guarded
def confront(
    out: Path | None, grids: tuple[str, ...], read: Path | None, table: Path | None,
    picture: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Forecast larger networks by fitted laws and by kernels' spectra, and say which was nearest.

    Trains a wide perceptron and narrower ones on two data sets, forecasts the runs with more than
    an eighth of the most examples from the others, and scores. About ten minutes of one core.
    """
    from isoloss.sweep.confront_tables import (
        KERNELS,
        RUNS,
        SCORES,
        confront_all,
        read_points,
        score_rows,
        table_text,
    )

    if (out is None) == (read is None):
        raise click.UsageError("give a folder to train into, --out, or one of tables, --read")
    if picture is not None and picture.suffix not in (".svg", ".png"):
        raise click.UsageError(f"--plot {picture}: must end in .svg or .png")
    if out is not None:
        _make(out, grids, as_json)
        read = out
    assert read is not None
    from isoloss._core.serial import write_atomic

    runs = read_points(read / "confront-runs.csv", RUNS)
    found = confront_all(runs, read_points(read / "confront-kernels.csv", KERNELS))
    if table is not None:
        write_atomic(table, table_text(score_rows(found), SCORES))
    if picture is not None:
        _draw(found, picture)
    if as_json:
        print_json({name: one.to_dict() for name, one in found.items()})
    else:
        for name, one in found.items():
            say(f"{name}: network of N = {one.N:g}, forecast from D up to {one.small_D:g}")
            say(one.summary())
    return DOUBT if any(one.failed for one in found.values()) else OK


def _make(out: Path, grids: tuple[str, ...], quiet: bool) -> None:
    """Train what has no result, compute kernels that are not there, and write both tables."""
    from isoloss._core.serial import write_atomic
    from isoloss.cli.sweep_show import Shown
    from isoloss.errors import InputError
    from isoloss.sweep import read_grid
    from isoloss.sweep.confront_tables import (
        KERNELS,
        RUNS,
        read_points,
        run_points,
        table_text,
    )
    from isoloss.sweep.pool import run_sweep

    runs: list[Mapping[str, Any]] = []
    kernels: list[Mapping[str, Any]] = []
    for grid in dict.fromkeys(grids):
        specs, name = read_grid(grid), Path(grid).stem
        if len({spec.data for spec in specs}) > 1:
            raise InputError(f"grid {grid}: holds several data sets; give a grid for each")
        ledger, curves = out / f"{name}.jsonl", out / f"{name}-kernels.csv"
        with Shown(ledger, quiet=quiet) as shown:
            run_sweep(specs, ledger, on_event=shown.event)
        points = run_points(ledger, name)
        wanted = {(spec.model.width, spec.D, spec.seed) for spec in specs}
        if len(points) < len(wanted):
            raise InputError(f"{ledger}: {len(wanted) - len(points)} runs have no result")
        runs += points
        if not curves.is_file():
            write_atomic(curves, table_text(_kernels(specs, name, quiet), KERNELS))
        kernels += read_points(curves, KERNELS)
    write_atomic(out / "confront-runs.csv", table_text(runs, RUNS))
    write_atomic(out / "confront-kernels.csv", table_text(kernels, KERNELS))


def _kernels(specs: list[Any], name: str, quiet: bool) -> list[dict[str, Any]]:
    from isoloss.sweep import load_data
    from isoloss.sweep.confront_kernels import kernel_rows

    most = max(spec.D for spec in specs)
    rows = kernel_rows(
        specs, load_data(specs[0].data), small_D=most / 8,
        regress=[d for d in (512, 2048, 8192) if d <= most],
        on_step=None if quiet else lambda text: say(f"{name}: {text}"),
    )  # fmt: skip
    return [{"data": name} | row for row in rows]


def _draw(found: Mapping[str, Any], path: Path) -> None:
    from isoloss._core.serial import write_atomic
    from isoloss.plot.confront import draw_confront
    from isoloss.plot.save import png_bytes, svg_bytes

    ax = draw_confront(found)
    write_atomic(path, svg_bytes(ax) if path.suffix == ".svg" else png_bytes(ax))

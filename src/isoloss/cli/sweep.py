"""``isoloss sweep``: train grids of small networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    ERROR,
    OK,
    Positive,
    guarded,
    json_option,
    print_json,
    say,
)
from isoloss.cli.sweep_confront import confront
from isoloss.cli.sweep_panels import panels
from isoloss.cli.sweep_regimes import regimes
from isoloss.cli.sweep_teacher import teacher


class _Grids(click.Group):
    """A group where what is no command is a grid: ``sweep stdlib`` means ``sweep run stdlib``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``run`` before a grid or its options."""
        if args and args[0] not in self.commands and args[0] not in ("--list", "--help", "-h"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("sweep", cls=_Grids, invoke_without_command=True)
@click.option("--list", "show", is_flag=True, help="Show the grids that ship with the package.")
@click.pass_context
def command(ctx: click.Context, show: bool) -> None:
    """Train a grid of small networks: isoloss sweep GRID.

    GRID is a TOML file or the name of a grid that ships with the package; options are those of
    `isoloss sweep run`. An interrupted sweep goes on when started again.
    """
    if show:
        _list()
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@guarded
def _list() -> int:
    from isoloss.sweep.gridfile import built_in_grids, read_grid

    grids = built_in_grids()
    room = max(map(len, grids))
    for name, text in grids.items():
        about = text.splitlines()[0].removeprefix("# ")
        click.echo(f"{name:<{room}}{len(read_grid(name)):>5} runs  {about}")
    return OK


command.add_command(confront)
command.add_command(regimes)
command.add_command(teacher)
command.add_command(panels)


@command.command("run")
@click.argument("grid")
@click.option(
    "--ledger",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Rows of runs, one JSON line each; finished runs in it are not trained again. "
    "By default GRID.jsonl here.",
)
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the runs as a table of runs.",
)
@click.option(
    "--plot",
    "picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw loss against compute and data, as .svg or .png.",
)
@click.option(
    "--executor",
    "where",
    default="local",
    show_default=True,
    help="Where to train: local, local:4, here, dask://host:port or slurm.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes or jobs; all cores by default.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--max-cost", type=Positive(), help="Leave out runs above this many FLOPs.")
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Starts in which a run that fails is tried.",
)
@click.option("--dry-run", is_flag=True, help="Show runs, tasks, cost and time, and train nothing.")
@json_option
@guarded
def run(
    grid: str, ledger: Path | None, table: Path | None, picture: Path | None, where: str,
    workers: int | None, device: str, max_cost: float | None, attempts: int, dry_run: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Train the runs of a grid that have no result yet.

    GRID is a TOML file or the name of a grid that ships with the package.
    """
    from isoloss.cli.sweep_show import Shown, parts_of, plan_of, say_plan
    from isoloss.errors import InputError
    from isoloss.sweep import read_grid
    from isoloss.sweep.pool import run_sweep
    from isoloss.sweep.tasks import spec_cost

    if picture is not None and picture.suffix not in (".svg", ".png"):
        raise click.UsageError(f"--plot {picture}: end the name in .svg or .png")
    specs = read_grid(grid)
    ledger = ledger or Path(f"{Path(grid).stem}.jsonl")
    if max_cost is not None:
        before = len(specs)
        specs = [spec for spec in specs if spec_cost(spec) <= max_cost]
        say(f"{before - len(specs)} of {before} runs cost more than {max_cost:g} FLOPs: left out")
        if not specs:
            raise InputError(f"--max-cost {max_cost:g}: leaves no run of {grid}; raise it")
    if dry_run:
        plan = plan_of(specs, ledger, workers, where)
        if as_json:
            print_json(plan)
        else:
            say_plan(plan)
        return OK
    try:
        with Shown(ledger, quiet=as_json) as shown, _opened(where, workers) as executor:
            state = run_sweep(
                specs, ledger, executor=executor, workers=parts_of(where, workers), device=device,
                attempts=attempts, on_event=shown.event,
            )  # fmt: skip
    except KeyboardInterrupt:
        say(
            f"interrupted; {ledger} holds what is finished, and the same command goes on from there"
        )
        return ERROR
    _outputs(ledger, table, picture)
    if as_json:
        print_json(state.to_dict() | {"ledger": str(ledger)} | shown.totals())
    else:
        shown.say_end(state)
    return OK if state.done == state.total and not state.diverged else DOUBT


def _opened(where: str, workers: int | None) -> Any:
    from isoloss._core.executor import open_executor

    return open_executor(where, workers=workers)


def _outputs(ledger: Path, table: Path | None, picture: Path | None) -> None:
    """Write the table and the picture that were asked for."""
    from isoloss._core.serial import write_atomic
    from isoloss.sweep import ledger_table, read_ledger

    if table is not None:
        write_atomic(table, ledger_table(ledger))
        say(f"table: {table}")
    if picture is not None:
        from isoloss.plot.save import png_bytes, svg_bytes
        from isoloss.plot.sweep import draw_sweep

        ax = draw_sweep(read_ledger(ledger), title=ledger.stem)
        write_atomic(picture, svg_bytes(ax) if picture.suffix == ".svg" else png_bytes(ax))
        say(f"plot: {picture}")

"""``isoloss sweep regimes``: the regimes of scaling in networks that are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import OK, guarded, json_option, print_json, say


@click.command("regimes")
@click.option(
    "--only", multiple=True, metavar="NAME",
    help="Experiments by name; may be repeated. All by default.",
)  # fmt: skip
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the ledgers and tables; finished runs in the ledgers are not trained again.",
)
@click.option(
    "--read",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of tables made before, in place of training.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also draw the figures into this folder, as .svg.",
)
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True,
    help="Processes of one thread.",
)  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@json_option
@guarded
def regimes(
    only: tuple[str, ...], out: Path | None, read: Path | None, plot: Path | None, workers: int,
    device: str, as_json: bool,
) -> int:  # fmt: skip
    """Measure how losses fall with data, size and width, and set them beside theory.

    All experiments take some twenty minutes of one core; reading a folder of tables, half a minute.
    """
    from isoloss.sweep.regimes import EXPERIMENTS, read_regimes

    if (out is None) == (read is None):
        raise click.UsageError("give a folder to train into, --out, or one of tables, --read")
    if unknown := [name for name in only if name not in EXPERIMENTS]:
        raise click.UsageError(f"--only {unknown[0]}: must be one of {', '.join(EXPERIMENTS)}")
    if out is not None:
        _train(only or EXPERIMENTS, out, workers, device, as_json)
        read = out
    assert read is not None
    found = read_regimes(read, only=only)
    if plot is not None:
        _draw(found, plot)
    if as_json:
        print_json(found.to_dict())
    else:
        say(found.summary())
    return OK


def _train(names: tuple[str, ...], out: Path, workers: int, device: str, quiet: bool) -> None:
    from isoloss._core.executor import open_executor
    from isoloss.cli.sweep_show import Shown
    from isoloss.sweep.regimes import train_regime

    def step(text: str) -> None:
        if not quiet:
            say(f"{name}: {text}")

    where = "here" if workers == 1 else "local"
    for name in names:
        ledger = out / "ledgers" / f"regimes-{name}.jsonl"
        with Shown(ledger, quiet=quiet) as shown, open_executor(where, workers=workers) as pool:
            train_regime(name, out, executor=pool, workers=workers, device=device,
                         on_event=shown.event, on_step=step)  # fmt: skip
        step(f"table {out / f'regimes-{name}.csv'}")


def _draw(found: Any, folder: Path) -> None:
    from isoloss._core.serial import write_atomic
    from isoloss.plot import svg_bytes
    from isoloss.plot.regimes_measured import regime_figures

    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in regime_figures(found).items():
        write_atomic(folder / f"{name}.svg", svg_bytes(figure))
        say(f"figure: {folder / f'{name}.svg'}")

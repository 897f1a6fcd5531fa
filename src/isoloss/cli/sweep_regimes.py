"""``isoloss sweep regimes``: the regimes of scaling in networks that are trained."""

from __future__ import annotations

from pathlib import Path

import click

from isoloss.cli.common import OK, guarded, print_json, say
from isoloss.cli.experiments import check_experiments, experiment_options, write_figures


@click.command("regimes")
@experiment_options
@guarded
def regimes(
    only: tuple[str, ...], out: Path | None, read: Path | None, plot: Path | None, workers: int,
    device: str, as_json: bool,
) -> int:  # fmt: skip
    """Measure how losses fall with data, size and width, and set them beside theory.

    All experiments take some twenty minutes of one core; reading a folder of tables, half a minute.
    """
    from isoloss.sweep.regimes import EXPERIMENTS, read_regimes

    check_experiments(only, out, read, EXPERIMENTS)
    if out is not None:
        _train(only or EXPERIMENTS, out, workers, device, as_json)
        read = out
    assert read is not None
    found = read_regimes(read, only=only)
    if plot is not None:
        from isoloss.plot.regimes_measured import regime_figures

        write_figures(regime_figures(found), plot)
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

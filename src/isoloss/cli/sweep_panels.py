"""``isoloss sweep panels``: three laws of real networks in one picture, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import DOUBT, ERROR, OK, guarded, json_option, print_json, say

GRIDS = {"images": "fashion-data", "text": "panels-text", "teachers": "panels-teacher"}


@click.command("panels")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("isoloss-panels"),
    show_default=True,
    help="Folder for the ledger, panels.json and panels.svg.",
)
@click.option(
    "--only",
    type=click.Choice(list(GRIDS)),
    multiple=True,
    help="Some of the panels; may be repeated.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes; all cores by default.")
@json_option
@guarded
def panels(out: Path, only: tuple[str, ...], workers: int | None, as_json: bool) -> int:
    """Train small networks on images, text and teachers, and draw the law of each.

    Loss over images, over size and compute for text, over examples for teachers of known
    dimension, each fit tested on larger runs that it did not see. About ten minutes of two cores;
    finished runs are kept in the folder. Images need Fashion-MNIST on this machine.
    """
    from isoloss._core.serial import to_json, write_atomic
    from isoloss.cli.sweep_show import Shown
    from isoloss.plot.panels import draw_panels
    from isoloss.plot.save import svg_bytes
    from isoloss.sweep import read_grid, read_ledger
    from isoloss.sweep.panels import panels_of
    from isoloss.sweep.pool import run_sweep

    chosen = {name: read_grid(GRIDS[name]) for name in only or GRIDS}
    out.mkdir(parents=True, exist_ok=True)
    ledger = out / "ledger.jsonl"
    specs = [spec for grid in chosen.values() for spec in grid]
    try:
        with Shown(ledger, quiet=as_json) as shown:
            state = run_sweep(specs, ledger, workers=workers, on_event=shown.event)
    except KeyboardInterrupt:
        say(f"interrupted; {ledger} holds what is finished, and the same command goes on")
        return ERROR
    rows = {row["run"]: row for row in read_ledger(ledger)}
    mine = {
        name: [rows[spec.name] for spec in grid if spec.name in rows]
        for name, grid in chosen.items()
    }
    found: dict[str, Any] = panels_of(**mine)
    write_atomic(out / "panels.json", to_json(found))
    write_atomic(out / "panels.svg", svg_bytes(draw_panels(found).axes[0]))
    if as_json:
        print_json(found)
    else:
        shown.say_end(state)
        _say(found)
        say(f"picture: {out / 'panels.svg'}")
    return OK if state.done == state.total and not state.diverged else DOUBT


def _say(found: dict[str, Any]) -> None:
    """Write the findings for people."""
    if "images" in found:
        say(f"images: {found['images']['sentence']}")
    if "text" in found:
        law = found["text"]["N_law"]
        alpha = law["intervals"]["alpha"]
        say(
            f"text: at D = {law['D']:,.0f} bytes loss falls as "
            f"N^-{law['parameters']['alpha']:.2f} [{alpha['low']:.2f}, {alpha['high']:.2f}]; "
            f"{found['text']['sentence']}"
        )
    for one in found.get("teachers", ()):
        a = one["interval"]
        say(
            f"teachers: inputs of {one['dimension']} dimensions: D^-{one['exponent']:.2f} "
            f"[{a['low']:.2f}, {a['high']:.2f}], 4/d = {one['four_over_d']:.2g}"
        )

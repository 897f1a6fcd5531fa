"""``isoloss prune picture``: scores with examples, or a map of clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import OK, guarded, json_option, print_json, say
from isoloss.cli.pictures import PICTURES, check_written, write_picture
from isoloss.cli.prune_select import Keep


@click.command("picture")
@click.argument("scores", type=click.Path(path_type=str))
@click.option("--of", type=click.Choice(["scores", "clusters"]), default="scores",
              show_default=True, help="What is drawn.")  # fmt: skip
@click.option("--out", metavar="FILE", required=True, help="The picture, .svg or .png.")
@click.option("--examples", metavar="FILE", help="Images, .npy, or texts, .jsonl, .txt.")
@click.option("--quantile", "quantiles", type=click.FloatRange(0, 1), multiple=True,
              help="Where examples are taken; may be repeated.")  # fmt: skip
@click.option("--each", type=click.IntRange(1, 100), default=8, show_default=True,
              help="Examples at each quantile.")  # fmt: skip
@click.option("--keep", type=Keep(), help="Show what select would keep: a share, or how many.")
@click.option(
    "--policy", default="hard", show_default=True,
    type=click.Choice(["hard", "easy", "random", "middle", "stratified"]), help="Of --keep.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, help="Of chance and ties; 0.")
@click.option("--kept", metavar="FILE", help="Show what was kept: ids that select wrote, .npy.")
@click.option("--colour", type=click.Choice(["distance", "complexity", "kept"]),
              help="Of clusters; kept where it is known.")  # fmt: skip
@json_option
@guarded
def command(
    scores: str, of: str, out: str, examples: str | None, quantiles: tuple[float, ...], each: int,
    keep: float | None, policy: str, seed: int, kept: str | None, colour: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Draw SCORES: how they are distributed, and examples from the easiest to the hardest.

    SCORES is what `prune select` takes. Examples are in the order of SCORES. With --of clusters,
    SCORES is a folder that `prune score` wrote, and centroids are drawn in the plane of
    most variance.
    """
    if keep is not None and kept is not None:
        raise click.UsageError("--keep and --kept: give one of them")
    if of == "clusters" and (examples or quantiles):
        raise click.UsageError("--examples and --quantile go with --of scores")
    if of == "scores" and colour:
        raise click.UsageError("--colour goes with --of clusters")
    check_written(out, "--out", PICTURES, [scores, examples, kept])
    from isoloss.prune.scores_format import read_scores

    table = read_scores(scores)
    chosen = None if keep is None else _select(table, keep, policy, seed)
    mask = None if kept is None else _mask(table, kept)
    if of == "clusters":
        answer = _clusters(scores, chosen.mask if chosen is not None else mask, colour, out)
    else:
        answer = _scores(table, chosen, mask, examples, quantiles, each, out)
    if as_json:
        print_json({"schema": 1, "of": of, "out": out, **answer})
    else:
        say(f"written: {out}")
    return OK


def _scores(
    table: Any, chosen: Any, mask: Any, examples: str | None, quantiles: tuple[float, ...],
    each: int, out: str,
) -> dict[str, Any]:  # fmt: skip
    from isoloss.plot.examples import read_texts
    from isoloss.plot.scores import QUANTILES, chosen_rows, draw_scores, score_series
    from isoloss.spectra.npy import read_npy

    options: dict[str, Any] = {
        "selection": chosen, "kept": mask, "quantiles": quantiles or QUANTILES, "each": each,
    }  # fmt: skip
    series = score_series(table, **options)
    shown: Any = None
    if examples is not None:
        path = Path(examples)
        if path.suffix.lower() == ".npy":
            shown = read_npy(path)
        else:
            shown = read_texts(path, chosen_rows(series), series["n"])
    write_picture(draw_scores(table, examples=shown, **options), out)
    return series


def _clusters(scores: str, mask: Any, colour: str | None, out: str) -> dict[str, Any]:
    from isoloss.plot.clusters import cluster_series, draw_clusters
    from isoloss.prune.cluster_table import read_clusters

    place = Path(scores)
    found = read_clusters(place.parent if place.name == "manifest.json" else place, kept=mask)
    write_picture(draw_clusters(found, colour=colour), out)
    return {**cluster_series(found, colour=colour), "names": found.names}


def _select(table: Any, keep: float, policy: str, seed: int) -> Any:
    from isoloss.prune.select_policy import Stratified
    from isoloss.prune.selection import select

    return select(table, keep, policy=Stratified() if policy == "stratified" else policy, seed=seed)


def _mask(table: Any, path: str) -> Any:
    import numpy as np

    from isoloss.errors import InputError
    from isoloss.prune.scores_ids import as_ids, show_ids
    from isoloss.spectra.npy import read_npy

    there = as_ids(read_npy(Path(path)))
    if (there.dtype.kind == "S") != (table.ids.dtype.kind == "S"):
        raise InputError(
            f"--kept: holds {there.dtype}, and ids of the scores are {table.ids.dtype}"
        )
    strangers = there[~np.isin(there, table.ids)]
    if strangers.size:
        raise InputError(
            f"--kept: {strangers.size} ids are not among the scores: {show_ids(strangers)}"
        )
    return np.isin(table.ids, there)

"""``isoloss prune``: which examples to keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    Positive,
    guarded,
    json_option,
    print_json,
    progress,
    say,
)
from isoloss.cli.prune_picture import command as picture
from isoloss.cli.prune_pilots import pilots, study
from isoloss.cli.prune_select import command as select
from isoloss.cli.prune_verdict import command as verdict


@click.group("prune")
def command() -> None:
    """Score examples, find near-duplicates, choose those to keep, and foretell what that takes."""


for part in (select, picture, verdict, pilots, study):
    command.add_command(part)


class Count(click.ParamType):  # type: ignore[type-arg]  # plain in older releases
    """A whole number above zero; ``1e9`` counts. A word that stands for one stays a word."""

    name = "NUMBER"

    def __init__(self, word: str | None = None) -> None:
        self.word = word

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Read the number; mistakes are usage errors."""
        if self.word is not None and value == self.word:
            return value
        try:
            number = float(value)
            if number >= 1 and number == int(number) and number <= 1e15:
                return int(number)
        except (ValueError, OverflowError):
            pass
        self.fail(f"{value!r}: write a whole number from 1 to 1e15", param, ctx)


def rows_options(function: Any) -> Any:
    """Add the argument and options that say where rows and ids are, and where work is done."""
    for option in (
        json_option,
        click.option("--executor", metavar="WHERE", help="here, local:4, dask://host:port, slurm."),
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True,
            help="Of the first centroids.",
        ),
        click.option(
            "--id-column", default="id", show_default=True, help="Of ids in Parquet shards."
        ),
        click.option(
            "--column", default="embedding", show_default=True, help="Of rows in Parquet shards."
        ),
        click.option(
            "--ids", type=click.Path(path_type=str), metavar="PATH",
            help="Ids: a .npy for all rows, or a folder with one for each shard.",
        ),
        click.argument("embeddings", nargs=-1, required=True, type=click.Path(path_type=str)),
    ):  # fmt: skip
        function = option(function)
    return function


device_option = click.option(
    "--device", type=click.Choice(["cpu", "cuda"]),
    help="Multiply by torch on this device; by numpy without it.",
)  # fmt: skip


@command.command("score")
@rows_options
@device_option
@click.option(
    "--metric", type=click.Choice(["prototypes"]), default="prototypes", show_default=True,
    help="What is measured.",
)  # fmt: skip
@click.option("--k", type=Count("auto"), help="Centroids; auto: where clusters are stable.")
@click.option(
    "--labels", type=click.Path(path_type=str), metavar="FILE",
    help="A class for each row, .npy: distances from class means; with --k, kept for floors.",
)  # fmt: skip
@click.option(
    "--distance", type=click.Choice(["cosine", "euclidean"]), default="cosine", show_default=True,
    help="Of clusters and scores.",
)  # fmt: skip
@click.option(
    "--start", type=click.Choice(["k-means++", "sample"]), default="k-means++", show_default=True,
    help="First centroids.",
)  # fmt: skip
@click.option(
    "--passes", type=click.IntRange(1, 100_000), default=20, show_default=True,
    help="Passes over all rows, at most.",
)  # fmt: skip
@click.option(
    "--tolerance", type=click.FloatRange(0, 1, max_open=True), default=1e-3, show_default=True,
    help="Stop when a pass lowers the mean distance by less than this part.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=str), required=True, metavar="DIR", help="Folder of scores."
)
@guarded
def score(
    embeddings: tuple[str, ...], ids: str | None, column: str, id_column: str, seed: int,
    executor: str | None, device: str | None, as_json: bool, metric: str, k: Any,
    labels: str | None, distance: str, start: str, passes: int, tolerance: float, out: str,
) -> int:  # fmt: skip
    """Score EMBEDDINGS by their distance from prototypes; high is hard.

    EMBEDDINGS are .npy or Parquet files, or folders of them. With --k the prototypes are centroids
    of k-means, with --labels alone the means of the classes. A second start after an interruption
    goes on where the first one stopped.
    """
    from isoloss.prune import (
        choose_clusters,
        class_means,
        fit_kmeans,
        open_embeddings,
        write_prototype_scores,
    )
    from isoloss.prune.pieces import tasks_held
    from isoloss.prune.plan import needs_of
    from isoloss.prune.prototypes import read_labels
    from isoloss.prune.prototypes_folder import refuse_finished

    if k is None and labels is None:
        raise click.UsageError("give --k, for centroids of k-means, or --labels, for class means")
    if device is not None and k is None:
        raise click.UsageError("--device: class means have no products; give --k, or leave it out")
    _check(device, executor)
    refuse_finished(out)
    opened = open_embeddings(list(embeddings), ids=ids, column=column, id_column=id_column)
    with progress(quiet=as_json) as step, _executor(executor) as where:
        doubt = False
        if labels is not None:
            read_labels(labels, opened.rows)
        if k == "auto":
            chosen = choose_clusters(opened, geometry=distance, rng=seed, on_step=step)
            k = chosen.k
            if not as_json:
                say(chosen.summary())
        if k is not None:
            if not as_json:
                need = needs_of(
                    opened, min(k, opened.rows), in_flight=tasks_held(where) if where else 0
                )
                say(f"{opened.rows} rows of {opened.dim}; at most {_size(need)} of memory")
            found: Any = fit_kmeans(
                opened, k, geometry=distance, start=start, passes=passes, tolerance=tolerance,
                rng=seed, journal=Path(out) / ".unfinished", executor=where, device=device,
                on_step=step,
            )  # fmt: skip
            doubt = not found.converged
            if not as_json:
                say(found.summary())
        else:
            found = class_means(opened, labels, geometry=distance, executor=where, on_step=step)
        manifest = write_prototype_scores(
            opened, found, out, labels=labels, executor=where, device=device, on_step=step
        )
    if as_json:
        print_json(manifest)
    else:
        say(
            f"scores of {manifest['rows']} rows in {out}: {manifest['min']:.4g} to "
            f"{manifest['max']:.4g}, mean {manifest['mean']:.4g}; {manifest['direction']}"
        )
    if doubt:
        say("note: k-means has not converged; give more --passes, or a larger --tolerance")
    return DOUBT if doubt else OK


@command.command("dedup")
@rows_options
@device_option
@click.option(
    "--eps", type=click.FloatRange(0, 2), required=True,
    help="Rows are duplicates where 1 - cosine is below it.",
)  # fmt: skip
@click.option(
    "--rule", type=click.Choice(["greedy", "code", "paper"]), default="greedy", show_default=True,
    help="Which of them go.",
)  # fmt: skip
@click.option(
    "--prefer", type=click.Choice(["hard", "easy"]), default="hard", show_default=True,
    help="Which of them stay: those far from their centroid, or those near.",
)  # fmt: skip
@click.option("--k", type=Count(), help="Clusters; by default a rule that balances the work.")
@click.option(
    "--passes", type=click.IntRange(1, 100_000), default=10, show_default=True,
    help="Passes over all rows, at most.",
)  # fmt: skip
@click.option(
    "--neighbours", type=click.IntRange(1, 2), default=1, show_default=True,
    help="Nearest clusters that each row is compared in: 2 looks across borders.",
)  # fmt: skip
@click.option(
    "--scratch", type=click.Path(path_type=str), metavar="DIR",
    help="Where clusters beyond memory are laid out.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=str), metavar="FILE",
    help="Ids that stay, .npy; what goes, and why, beside it. Without it only counts are shown.",
)  # fmt: skip
@guarded
def dedup(
    embeddings: tuple[str, ...], ids: str | None, column: str, id_column: str, seed: int,
    executor: str | None, device: str | None, as_json: bool, eps: float, rule: str, prefer: str,
    k: int | None, passes: int, neighbours: int, scratch: str | None, out: str | None,
) -> int:  # fmt: skip
    """Find near-duplicates of EMBEDDINGS within clusters; exact within each.

    With --out, writes the ids that stay to FILE and, beside it, those that go, the id that each
    duplicates, and their cosine.
    """
    import shutil

    from isoloss.prune import find_duplicates, open_embeddings
    from isoloss.prune.dedup_folder import refuse_written, write_duplicates

    _check(device, executor)
    path = None if out is None else Path(out)
    if path is not None:
        if path.suffix != ".npy":
            raise click.UsageError("--out: ids are written as .npy; give a name that ends so")
        refuse_written(path)
    opened = open_embeddings(list(embeddings), ids=ids, column=column, id_column=id_column)
    journal = None if path is None else path.with_name(f".{path.stem}.unfinished")
    with progress(quiet=as_json) as step, _executor(executor) as where:
        found = find_duplicates(
            opened, eps=eps, rule=rule, prefer=prefer, k=k, neighbours=neighbours, passes=passes,
            rng=seed, journal=journal, executor=where, device=device, scratch=scratch, on_step=step,
        )  # fmt: skip
    answer = found.to_dict()
    if path is not None and journal is not None:
        answer = write_duplicates(opened, found, path)
        shutil.rmtree(journal, ignore_errors=True)
    if as_json:
        print_json(answer)
    else:
        say(found.summary())
        say(f"ids that stay in {out}" if out else "nothing is written; --out FILE keeps the ids")
    return OK


@command.command("plan")
@click.option("--rows", type=Count(), help="Rows.")
@click.option("--dim", type=Count(), required=True, help="Numbers in a row.")
@click.option("--k", type=Count(), help="Centroids.")
@click.option(
    "--clusters", type=click.Path(path_type=str), metavar="PATH",
    help="Known clusters: a folder of scores, or a .npy; in place of --rows and --k.",
)  # fmt: skip
@click.option(
    "--passes", type=click.IntRange(1, 100_000), default=20, show_default=True,
    help="Passes of k-means.",
)  # fmt: skip
@click.option("--workers", type=Count(), default=1, show_default=True, help="Processes.")
@click.option(
    "--width", type=click.Choice(["2", "4", "8"]), default="4", show_default=True,
    help="Bytes of a stored number.",
)  # fmt: skip
@click.option(
    "--flops", type=Positive(), help="Floating-point operations a second; measured without it."
)
@click.option("--price", type=Positive(), help="Of a CPU hour, for the cost.")
@json_option
@guarded
def plan(
    rows: int | None, dim: int, k: int | None, clusters: str | None, passes: int, workers: int,
    width: str, flops: float | None, price: float | None, as_json: bool,
) -> int:  # fmt: skip
    """Foretell time, memory and disk of scores and near-duplicates."""
    from isoloss.prune import plan_pruning

    sizes: Any = None
    if clusters is not None:
        from isoloss.prune.plan_sizes import cluster_sizes

        if rows is not None or k is not None:
            raise click.UsageError("--clusters: says rows and k itself; leave out --rows and --k")
        sizes = cluster_sizes(clusters)
        rows, k = int(sizes.sum()), len(sizes)
    if rows is None or k is None:
        raise click.UsageError("give --rows and --k, or --clusters")
    found = plan_pruning(
        rows,
        dim,
        k,
        passes=passes,
        workers=workers,
        width=int(width),
        flops_per_second=flops,
        price=price,
        sizes=sizes,
    )
    if as_json:
        print_json(found.to_dict())
        return OK
    known = "given" if flops else "measured here"
    say(f"{found.flops_per_second:.3g} FLOP/s a worker ({known})")
    say(
        f"k-means and scores: {found.cpu_hours:.4g} CPU hours{_money(found.cost)}, "
        f"{found.hours:.4g} h on {workers}"
    )
    say(f"  {found.flops:.4g} FLOP = 2 rows k dim ({passes} + 1), and the start")
    say(f"  reads {_size(found.read_bytes)}, holds {_size(found.bytes_needed)} of memory,")
    sent = f", sends {_size(found.sent_bytes)} from workers to here" if found.sent_bytes else ""
    say(f"  writes {_size(found.score_bytes)}{sent}")
    say(
        f"near-duplicates: {found.dedup_cpu_hours:.4g} CPU hours{_money(found.dedup_cost)} more in "
        + (
            "these clusters,"
            if clusters
            else "clusters of equal size, mostly 1 to 2 times that in others,"
        )
    )
    times = f"{found.uneven:.3g} " if clusters else ""
    say(f"  {found.dedup_flops:.4g} FLOP = rows dim ({times}rows / k + 512),")
    say(f"  {_size(found.dedup_bytes)} of memory")
    return OK


def _check(device: str | None, executor: str | None) -> None:
    """Refuse a device that is not there before any row is read."""
    from isoloss.prune.on_device import as_engine

    if device is not None and executor is not None:
        raise click.UsageError("--device: workers would share it; leave out --executor")
    as_engine(device)


def _money(cost: float | None) -> str:
    return "" if cost is None else f" for {cost:.4g}"


@contextmanager
def _executor(where: str | None) -> Iterator[Any]:
    if where is None:
        yield None
        return
    from isoloss._core.executor import open_executor

    with open_executor(where) as executor:
        yield executor


def _size(count: int) -> str:
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"

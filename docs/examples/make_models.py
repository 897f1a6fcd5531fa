"""Invented models of seven families with scores on six benchmarks, some of them missing.

``python make_models.py FOLDER`` writes ``models.csv``.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

# Chance, and how much of general skill, of reasoning, and of ease each benchmark shows.
BENCHMARKS = {
    "mmlu": (0.25, 0.9, 0.2, -0.6),
    "arc": (0.25, 0.8, 0.1, 0.1),
    "hellaswag": (0.25, 1.0, -0.1, 0.6),
    "winogrande": (0.5, 0.8, -0.1, 0.1),
    "truthfulqa": (0.25, 0.4, 0.3, -0.4),
    "code": (0.0, 0.8, 0.7, -1.3),
    "reason": (0.25, 0.8, 0.6, -0.8),
    "olympiad": (0.2, 0.6, 0.8, -9.0),
}
MEMBERS = {"alder": 6, "beech": 6, "cedar": 5, "elm": 5, "fir": 4, "hazel": 4, "yew": 2}
ITEMS = 2000


def simulate(
    seed: int, *, missing: float = 0.08, deviation: float = 0.07, larger: float = 3e24
) -> tuple[list[list[str]], dict[str, float]]:
    """Rows of models, and the score of ``reason`` of a larger model of each family."""
    rng, after = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    rows, truth = [], {}
    for family, count in MEMBERS.items():
        place, slope = rng.normal(0, [0.5, 0.3]), [0.45, 0.12] * (1 + 0.1 * rng.standard_normal(2))

        def scores(C: float, by: np.random.Generator, at=place, rate=slope) -> dict[str, float]:
            skill = at + rate * np.log(C / 1e22) + deviation * by.standard_normal(2)
            found = {}
            for name, (chance, *load, ease) in BENCHMARKS.items():
                p = chance + (1 - chance) / (1 + np.exp(-(skill @ load + ease)))
                found[name] = by.binomial(ITEMS, p) / ITEMS
            return found

        for i, C in enumerate(np.geomspace(2e20, 3e23, count) * np.exp(rng.normal(0, 0.3, count))):
            row = [f"{family}-{i + 1}", family, f"{C:.3g}"]
            for name, score in scores(float(C), rng).items():
                gone = name not in ("reason", "olympiad") and rng.random() < missing
                row.append("" if gone else f"{score:.4f}")
            rows.append(row)
        truth[family] = scores(larger, after)["reason"]
    return rows, truth


def main(folder: Path) -> None:
    """Write the table."""
    with (folder / "models.csv").open("w", encoding="utf8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["model", "family", "C", *BENCHMARKS])
        out.writerows(simulate(12)[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))

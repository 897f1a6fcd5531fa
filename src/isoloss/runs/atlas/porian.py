"""Best sizes by budget of Porian et al. 2024, from isoFLOP curves."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import numpy as np

from isoloss.runs.atlas.table import ReleasedTable, number, read_rows
from isoloss.runs.table import Conventions, Runs

FAMILY = "porian"
OPTIMA, POINTS = "optimal_pairs.csv", "isoflop_points.csv"
_KEY = ("file", "dataset", "hparams", "warmup", "decay", "param_count", "val")
_SOURCE = "formll/resolving-scaling-law-discrepancies, data; arXiv:2406.19146"
CHAIN = (
    ("base", "long", "kaplan", "kaplan"),
    ("base", "long", "kaplan", "standard"),
    ("base", "short", "kaplan", "standard"),
    ("base", "short", "chinchilla", "standard"),
    ("tuned", "short", "const", "standard"),
)
"""Hyper-parameters, warm-up, decay and count of N: from Kaplan's set-up to Chinchilla's."""


def read(folder: Path) -> list[ReleasedTable]:
    """Tables of the optima (the best size takes the place of the loss) and of the curves."""
    found = []
    if (folder / OPTIMA).is_file():
        found += _optima(folder / OPTIMA)
    if found and (folder / POINTS).is_file():
        found += _points(folder / POINTS)
    return found


def chain_name(dataset: str, step: int) -> str:
    """Name of the table of optima at a step of `CHAIN`."""
    return "-".join(("porian-optima", dataset, *CHAIN[step]))


def _grouped(path: Path, numbers: tuple[str, ...]) -> dict[str, list[dict[str, str]]]:
    groups: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in read_rows(path, (*_KEY, *numbers)):
        if row["file"] in ("summary_df", "summary_df_owt2"):
            groups["-".join(row[k] for k in _KEY[1:6])].append(row)
    return groups


def _optima(path: Path) -> list[ReleasedTable]:
    found = []
    for name, rows in _grouped(path, ("flops", "n", "n_star_std")).items():
        # Optima without a spread, or with one of zero, lie at the end of their curve.
        used = [row for row in rows if row["n"] and _spread(row["n_star_std"]) > 0]
        if not used:
            continue
        C, n, s = (
            np.array([number(row[k], f"{path.name}, {k}") for row in used])
            for k in ("flops", "n", "n_star_std")
        )
        runs = Runs(
            columns={"C": C, "loss": n, "loss_se": n * s},
            conventions=Conventions(loss="best size, in parameters", N="as the name says"),
            source=path.name,
        )
        found.append(_table(f"porian-optima-{name}", runs))
    return found


def _spread(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def _points(path: Path) -> list[ReleasedTable]:
    found = []
    for name, rows in _grouped(path, ("flops", "n", "t", "loss")).items():
        used = [row for row in rows if _spread(row["loss"]) > 0]
        if not used:
            continue
        columns = {
            axis: np.array([number(row[k], f"{path.name}, {k}") for row in used])
            for axis, k in {"N": "n", "D": "t", "C": "flops", "loss": "loss"}.items()
        }
        conventions = Conventions(N="as the name says", C="budget of the curve")
        runs = Runs(columns=columns, conventions=conventions, source=path.name)
        found.append(_table(f"porian-curves-{name}", runs))
    return found


def _table(name: str, runs: Runs) -> ReleasedTable:
    return ReleasedTable(family=FAMILY, name=name, runs=runs, source=_SOURCE, licence="MIT licence")

"""Runs of Hoffmann et al. 2022, read off a figure by Besiroglu et al. 2024."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isoloss.runs.atlas.table import ReleasedTable, number, read_rows
from isoloss.runs.table import Conventions, Runs

FAMILY = "chinchilla"
FILE = "svg_extracted_data.csv"


def read(folder: Path) -> list[ReleasedTable]:
    """All rows of `FILE`: N, C, loss, and D = C/(6 N)."""
    path = folder / FILE
    if not path.is_file():
        return []
    names = ("Model Size", "Training FLOP", "loss")
    rows = read_rows(path, names)
    N, C, loss = (np.array([number(row[n], f"{FILE}, {n}") for row in rows]) for n in names)
    runs = Runs(
        columns={"N": N, "D": C / (6 * N), "C": C, "loss": loss},
        conventions=Conventions(D="C/(6 N)", C="read off a figure"),
        source=FILE,
    )
    return [
        ReleasedTable(
            family=FAMILY,
            name="chinchilla",
            runs=runs,
            source="epoch-research/analyzing-chinchilla, data; arXiv:2404.10102",
            licence="no licence file",
        )
    ]

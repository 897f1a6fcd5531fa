"""Runs on repeated data of Muennighoff et al. 2023."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isoloss.errors import InputError
from isoloss.runs.atlas.table import ReleasedTable, number, read_rows
from isoloss.runs.table import Conventions, Runs

FAMILY = "datablations"
FILE = "runs.csv"
_COLUMNS = {"N": "params", "D": "tokens", "U": "unique_tokens", "loss": "val_loss"}
_OUTLIERS = """
2b84b4b 2b88b4b 2b812b4b 2b816b4b 2b824b4b 2b855b1b25 4b212b12b 4b224b12b 4b284b1b9
4b284b6b 4b284b12b2 2b8100m100m 14m7b5100m 14m300b100m 1b12b7100m 1b13b9100m 1b15b9100m
1b17b5100m 619m3b9100m 619m5b9100m 619m7b5100m 2b84b8100m 1b58b8100m 1b112b100m
619m22b100m 421m300b1b5 221m91b400m 221m174b400m 221m600b400m 8b712b12b 8b712b1b5
8b712b400m 8b712b100m 3b926b1b5 2b836b1b5 2b836b400m 2b836b100m 2b246b400m 2b246b100m
1b566b1b5 1b566b100m 1b191b400m 1b191b1b5 1b1250b1b5 1b5174b1b5 2b291b1b5 2b2174b1b5
8b720b1b5 2b877b1b5
"""
OUTLIERS = frozenset(_OUTLIERS.split())
"""Runs that the released notebook leaves out of its fit, under 'outliers removed'."""


def read(folder: Path) -> list[ReleasedTable]:
    """All runs, and the 182 of the fit: no outlier, the last of each name (the rest are seeds)."""
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf8", errors="replace") as file:
            head = file.readline(400)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not {"name", *_COLUMNS.values()} <= set(head.strip().split(",")):
        return []
    rows = read_rows(path, ("name", *_COLUMNS.values()))
    runs = Runs(
        columns={
            axis: np.array([number(row[n], f"{FILE}, {n}") for row in rows])
            for axis, n in _COLUMNS.items()
        },
        names=tuple(row["name"] for row in rows),
        conventions=Conventions(evaluation="C4 validation"),
        source=FILE,
    )
    last = {name: i for i, name in enumerate(runs.names) if name not in OUTLIERS}
    tables = {"datablations-all": runs}
    if last:
        tables["datablations-182" if len(last) == 182 else "datablations-fit"] = runs.select(
            sorted(last.values())
        )
    return [
        ReleasedTable(
            family=FAMILY,
            name=name,
            runs=table,
            source="huggingface/datablations, utils/parametric_fit.ipynb; arXiv:2305.16264",
            licence="Apache-2.0",
        )
        for name, table in tables.items()
    ]

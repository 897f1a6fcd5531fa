"""Chinchilla's law on the 245 points of the figure: what five of them do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isoloss.fit import fit
from isoloss.laws import PUBLISHED
from isoloss.runs import Runs
from isoloss.runs.atlas import ReleasedTable
from isoloss.study.atlas.rows import AtlasRow, parameter_rows

FAMILY = "chinchilla"
PRINTED = {"E": 1.817235504, "A": 477.84171, "B": 2143.86379, "alpha": 0.347312658,
           "beta": 0.367182617}  # fmt: skip
"""Besiroglu et al. 2024, their notebook: the best of 4,500 starts."""
SQUARES = {"E": 1.9051, "A": 4.0005, "B": 1.0509, "alpha": 0.3511, "beta": 0.4587}
"""Least squares of the loss below 1e21 FLOPs, N in millions and D in billions (Open-Athena)."""
_MOST = 5


def compare(tables: Mapping[str, ReleasedTable]) -> list[AtlasRow]:
    """Huber, least absolute deviations, least squares; and with the five rows left in."""
    every = tables["chinchilla"].runs
    if len(every) <= 2 * _MOST:
        return []
    drop = _MOST if len(every) > 10 * _MOST else 0
    kept = every.select(np.sort(np.argsort(every["loss"])[: len(every) - drop]))
    label = f"{len(kept)} rows"
    huber, everything = (fit(t, "chinchilla", draws=0) for t in (kept, every))
    rows = parameter_rows(
        FAMILY, f"{label}, huber:1e-3", PRINTED, huber.parameters, everything.parameters,
        f"theirs stopped at an objective of 0.00101827403, ours is {huber.value:.9g}; the last "
        f"column has all {len(every)} rows: {drop} of them move B",
    )  # fmt: skip
    lad = fit(kept, "chinchilla", objective="lad", draws=0)
    rows += parameter_rows(
        FAMILY, f"{label}, lad", PUBLISHED["epoch-2024-lad"].parameters, lad.parameters,
        note="the paper's table is this optimum, but for its E, which is that of the Huber fit",
    )  # fmt: skip
    return rows + _squares(kept)


def _squares(kept: Runs) -> list[AtlasRow]:
    below = kept["C"] < 1e21
    if below.sum() < 8:
        return []
    part = kept.select(below)
    found = fit(part, "chinchilla", objective="lsq,linear", draws=0).parameters
    found["A"] *= 1e6 ** -found["alpha"]
    found["B"] *= 1e9 ** -found["beta"]
    table = f"{len(part)} rows below 1e21, lsq,linear"
    return parameter_rows(FAMILY, table, SQUARES, found, note="N in millions, D in billions")

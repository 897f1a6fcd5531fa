"""Learning curves of Alabdulmohsin et al. 2022, with the points that they hold out."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from isoloss.runs.atlas.table import ReleasedTable, number, read_rows
from isoloss.runs.table import Conventions, Runs

FAMILY = "revisiting"
FILES = ("benchmark.vision.csv", "benchmark.lang.csv")
REFERENCE = "reference_rmse_M1-M4.csv"
LAWS = ("M1", "M2", "M3", "M4")
_COLUMNS = ("Domain", "Task", "Model", "Seen Examples", "Loss", "Training")
_Key = tuple[str, str, str]


def read(folder: Path) -> list[ReleasedTable]:
    """One table a domain: D, loss, the number of the curve, and whether a point is fitted.

    Curves of language models are stored four times over; equal rows count once. A file of errors
    of the upstream code beside them becomes a table of its own, a row a curve.
    """
    points: dict[_Key, dict[float, tuple[float, float]]] = defaultdict(dict)
    for file in FILES:
        if (folder / file).is_file():
            for row in read_rows(folder / file, _COLUMNS):
                seen, loss = (number(row[c], f"{file}, {c}") for c in _COLUMNS[3:5])
                used = number(row["Training"], f"{file}, Training", positive=False)
                points[row["Domain"], row["Task"], row["Model"]][seen] = (loss, used)
    reference = {}
    if points and (folder / REFERENCE).is_file():
        names = ("domain", "task", "model", *(f"{m}_rmse" for m in LAWS))
        for row in read_rows(folder / REFERENCE, names):
            key = row["domain"], row["task"], row["model"]
            reference[key] = [number(row[n], REFERENCE, positive=False) for n in names[3:]]
    found = []
    for domain in sorted({key[0] for key in points}):
        keys = sorted(key for key in points if key[0] == domain)
        found.append(_table(f"revisiting-{domain}", _curves(keys, points)))
        known = [(i, reference[key]) for i, key in enumerate(keys) if key in reference]
        if known:
            columns = {"curve": [float(i) for i, _ in known]}
            columns |= {m: [v[j] for _, v in known] for j, m in enumerate(LAWS)}
            runs = Runs(columns={k: np.array(v) for k, v in columns.items()}, source=REFERENCE)
            found.append(_table(f"revisiting-{domain}-reference", runs))
    return found


def _curves(keys: list[_Key], points: dict[_Key, dict[float, tuple[float, float]]]) -> Runs:
    rows = [
        (float(i), seen, *points[key][seen], f"{key[1]} {key[2]}")
        for i, key in enumerate(keys)
        for seen in sorted(points[key])
    ]
    curve, seen, loss, used, names = zip(*rows, strict=True)
    return Runs(
        columns={
            "curve": np.array(curve),
            "D": np.array(seen),
            "loss": np.array(loss),
            "fitted": np.array(used),
        },
        names=names,
        conventions=Conventions(D="examples seen", loss="as the task has it"),
        source="benchmark",
    )


def _table(name: str, runs: Runs) -> ReleasedTable:
    return ReleasedTable(
        family=FAMILY,
        name=name,
        runs=runs,
        source="google-research, revisiting_neural_scaling_laws/data; arXiv:2209.06640",
        licence="CC BY 4.0",
    )

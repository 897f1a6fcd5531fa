"""From the ledger of a sweep to a table of runs."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from isoloss.errors import InputError
from isoloss.sweep.ledger import read_ledger

COLUMNS = (
    "name", "N", "D", "C", "loss", "seed", "lr", "N_non_embedding", "flops_dense", "flops_head",
    "flops_attention", "train_loss", "width", "depth", "heads", "batch", "warmup", "steps",
    "seconds", "torch", "python", "corpus",
)  # fmt: skip
"""N counts all parameters, C is the sum of the FLOP terms, the corpus a digest of the text."""


_NEEDED = (*(c for c in COLUMNS if c not in ("name", "N", "C")), "N_total")


def ledger_table(ledger: Path) -> str:
    """CSV of the finished runs, by compute; runs that diverged keep their row, without a loss."""
    rows = []
    for row in read_ledger(ledger):
        if missing := [c for c in _NEEDED if c not in row]:
            raise InputError(f"{ledger}: row {row['run']!r} has no {missing[0]}; not a sweep's row")
        flops = row["flops_dense"] + row["flops_head"] + row["flops_attention"]
        rows.append(row | {"name": row["run"], "N": row["N_total"], "C": flops})
    rows.sort(key=lambda r: (r["C"], r["name"]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row[c]) for c in COLUMNS])
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if not math.isfinite(value) else f"{value:.8g}"
    return value

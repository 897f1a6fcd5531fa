"""Tables of a confrontation: runs, kernels' curves and scores, of several data sets."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from isoloss.errors import InputError
from isoloss.sweep.confront import confront
from isoloss.sweep.confront_result import Confrontation
from isoloss.sweep.ledger import read_ledger

RUNS = ("data", "width", "N", "D", "seed", "loss", "decay", "chosen_step", "cpu_seconds")
KERNELS = ("data", "kernel", "kind", "D", "loss", "low", "high")
SCORES = ("data", "forecaster", "family", "D", "forecast", "low", "high", "measured", "error",
          "inside", "runs", "improvement")  # fmt: skip
_MOST_BYTES = 1 << 24

Row = Mapping[str, Any]


def run_points(ledger: str | Path, name: str) -> list[dict[str, Any]]:
    """Rows of a ledger as points of ``runs.csv``; runs that are not done are left out.

    Of several runs of one width, D and seed, trained by different recipes, the one that was best
    on the validation part counts.
    """
    best: dict[tuple[int, int, int], tuple[float, dict[str, Any]]] = {}
    for row in read_ledger(Path(ledger)):
        if row.get("status", "done") != "done":
            continue
        spec = row["spec"]
        key = spec["model"]["width"], spec["D"], spec["seed"]
        valid = min(float(value) for _, _, value in row["curve"])
        if key not in best or valid < best[key][0]:
            best[key] = valid, row
    found = []
    for _, row in best.values():
        spec = row["spec"]
        found.append(
            {
                "data": name, "width": spec["model"]["width"], "N": row["N"], "D": row["D"],
                "seed": spec["seed"], "loss": row["loss"], "decay": spec["weight_decay"],
                "chosen_step": row["chosen_step"],
                "cpu_seconds": row["cpu_seconds"],
            }
        )  # fmt: skip
    return sorted(found, key=lambda r: (r["N"], r["D"], r["seed"]))


def table_text(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """CSV of rows, numbers to six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[c]) for c in columns])
    return text.getvalue()


def read_points(path: str | Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a table that `table_text` wrote.

    Raises
    ------
    InputError
        If there is no such file, it is larger than 16 MiB, no text, or lacks a column.
    """
    place = Path(path)
    if not place.is_file():
        raise InputError(f"{place}: is no file")
    if place.stat().st_size > _MOST_BYTES:
        raise InputError(f"{place}: larger than {_MOST_BYTES} bytes; not a table of points")
    try:
        reader = csv.DictReader(io.StringIO(place.read_text(encoding="utf8")))
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{place}: no table in text ({error})") from None
    if missing := [c for c in columns if c not in (reader.fieldnames or ())]:
        raise InputError(f"{place}: no column {missing[0]!r}; columns are {', '.join(columns)}")
    if not rows:
        raise InputError(f"{place}: holds no row")
    return rows


def confront_all(
    runs: Sequence[Row], kernels: Sequence[Row], **options: Any
) -> dict[str, Confrontation]:
    """Confront each data set that the tables hold, in the order of the runs.

    Raises
    ------
    InputError
        As `isoloss.sweep.confront.confront`, with the data set's name.
    """
    found = {}
    for name in dict.fromkeys(str(row["data"]) for row in runs):
        mine, its = ([r for r in rows if str(r["data"]) == name] for rows in (runs, kernels))
        try:
            found[name] = confront(mine, its, **options)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    return found


def score_rows(found: Mapping[str, Confrontation]) -> list[dict[str, Any]]:
    """One row a data set, forecaster and held-out D, the best forecaster first."""
    rows = []
    for data, one in found.items():
        order = {key[:2]: i for i, key in enumerate(one.ranking())}
        last = len(order)
        for s in sorted(one.scores, key=lambda s: (order.get((s.name, s.family), last), s.D)):
            values = {c: getattr(s, c) for c in SCORES if c not in ("data", "forecaster")}
            rows.append({"data": data, "forecaster": s.name} | values)
    return rows


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return value

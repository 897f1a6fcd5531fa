"""From the ledger of a sweep to a table of runs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isoloss.errors import InputError
from isoloss.sweep.ledger import ended, read_ledger

if TYPE_CHECKING:
    from isoloss.runs import Runs

COLUMNS = ("name", "N", "D", "C", "loss", "seed", "status", "error", "loss_last", "train_loss",
           "N_non_embedding", "flops_dense", "flops_head", "flops_attention", "seen", "steps",
           "chosen_step")  # fmt: skip
"""First columns of every table: N counts all parameters, C is the sum of the FLOP terms."""

LAST = ("seconds", "cpu_seconds", "joules", "device", "torch", "numpy", "python", "isoloss",
        "data_digest")  # fmt: skip
"""Last columns of every table."""

_NEEDED = ("N", "D", "flops", "loss", "spec")
_RENAMED = {"model.kind": "model", "data.name": "data"}
_ELSEWHERE = {"D", "seed", "steps"}


def ledger_table(ledger: str | Path) -> str:
    """CSV of the runs of a ledger, by compute, as `isoloss.read_runs` reads it.

    After `COLUMNS` stand the fields of the specs: those of models and data by their own names,
    or as ``data_seed`` where a run has a field of that name, each where it is not nothing or zero
    in all runs. Runs that diverged or failed keep their row, without a
    loss, and readers refuse them with that reason.

    Raises
    ------
    InputError
        When a row is not of a sweep.
    """
    rows = [_flat(row, ledger) for row in read_ledger(Path(ledger))]
    rows.sort(key=lambda r: (r.get("C", math.inf), r["name"]))
    fields = list(dict.fromkeys(k for row in rows for k in row if k not in (*COLUMNS, *LAST)))
    fields = [k for k in fields if any(row.get(k) not in (None, "", 0) for row in rows)]
    columns = (*COLUMNS, *fields, *LAST)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(c)) for c in columns])
    return text.getvalue()


def ledger_runs(ledger: str | Path, **options: Any) -> Runs:
    """Read a ledger as a table of runs that knows what its numbers count.

    Parameters
    ----------
    ledger
        Of a sweep.
    options
        Of `isoloss.read_runs`, such as ``where``.

    Raises
    ------
    InputError
        When no run has a result, or a row is not of a sweep.
    """
    from isoloss.runs import read_runs

    kinds = {(r.get("spec") or {}).get("model", {}).get("kind") for r in read_ledger(Path(ledger))}
    text = kinds == {"transformer"}
    words = {
        "N": "all parameters",
        "D": "distinct bytes of text" if text else "distinct training examples",
        "C": "training FLOPs, dense, head and attention",
        "loss": "nats per byte" if text else "nats, or squared error summed over outputs",
        "evaluation": "test part",
    }
    given = {"conventions": words, "flops": "given"} | options
    return read_runs(io.StringIO(ledger_table(ledger)), **given)


def _flat(row: Mapping[str, Any], ledger: str | Path) -> dict[str, Any]:
    over = ended(dict(row))
    spec = row.get("spec")
    if missing := [c for c in _NEEDED if c not in row and (over or c == "spec")]:
        raise InputError(f"{ledger}: row {row['run']!r} has no {missing[0]}; not a sweep's row")
    if not (
        isinstance(spec, dict) and all(isinstance(spec.get(t), dict) for t in ("model", "data"))
    ):
        raise InputError(f"{ledger}: row {row['run']!r}: its spec is no description of a run")
    own = {k: v for k, v in spec.items() if k not in ("model", "data") and k not in _ELSEWHERE}
    for table in ("model", "data"):
        for key, value in spec[table].items():
            name = _RENAMED.get(f"{table}.{key}", key)
            clash = name in own or name in _ELSEWHERE
            own[f"{table}_{name}" if clash else name] = value
    kept = {c: row.get(c) for c in (*COLUMNS, *LAST) if c in row}
    return own | kept | {
        "name": row["run"],
        "status": row.get("status", "done"),
        "seed": spec.get("seed"),
        "C": row.get("flops", math.nan) if over else math.inf,
        "loss": row["loss"] if row.get("status", "done") == "done" else None,
        "data_digest": row.get("data"),
    }  # fmt: skip


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if not math.isfinite(value) else f"{value:.8g}"
    return "" if value is None else value

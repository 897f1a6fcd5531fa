"""Ledgers of the measured regimes as short tables, and back."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from isoloss.errors import InputError

RUN_COLUMNS = (
    "run", "status", "data", "change", "model", "depth", "width", "objective", "N", "D", "seed",
    "subset", "dimension", "teacher", "steps", "loss", "error", "train_loss", "valid_loss",
    "ensemble_loss", "ensemble_distance", "curve", "cpu_seconds", "digest", "versions",
)  # fmt: skip
"""Of a table of runs. ``change``: what was done to the data; ``teacher``: the seed of the data;
``valid_loss``: at the last look; ``curve``: ``step:validation loss``, where it is asked for."""

MEAN_COLUMNS = (
    "run", "data", "model", "width", "N", "D", "members", "groups", "loss", "sem", "error",
    "mean_loss", "variance", "bias2", "scatter", "scatter_low", "scatter_high", "bias",
    "bias_low", "bias_high",
)  # fmt: skip
"""Of a table of ensembles: ``loss`` is that of means of ``members``; ``scatter`` and ``bias`` are
exponents of 1/width, the same in all rows of a family."""

_NUMBERS = ("loss", "error", "train_loss", "valid_loss", "ensemble_loss", "ensemble_distance",
            "cpu_seconds")  # fmt: skip
_WHOLE = ("N", "D", "seed", "subset", "depth", "width", "dimension", "teacher", "steps")
_MOST = 64 << 20


def run_table(rows: Iterable[Mapping[str, Any]], *, curves: bool = False) -> str:
    """CSV of the runs of a ledger with the columns that exponents need.

    Columns that are empty in all rows are left out.

    Raises
    ------
    InputError
        When a row is not of a run.
    """
    found = []
    for row in rows:
        if row.get("kind"):
            continue
        try:
            found.append(_run(row, curves))
        except (KeyError, TypeError) as error:
            raise InputError(f"row {row.get('run')!r}: not of a run, no {error}") from None
    return _csv(found, RUN_COLUMNS)


def mean_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV of the means of ensembles in a ledger of `isoloss.sweep.ensembles.run_ensembles`."""
    found = []
    for row in rows:
        if row.get("kind") != "mean":
            continue
        spec = row["spec"]
        told = {name: row[name] for name in MEAN_COLUMNS if name in row} | {
            "data": spec["data"]["name"], "model": spec["model"]["kind"],
            "width": spec["model"]["width"],
        }  # fmt: skip
        for name in ("scatter", "bias"):
            power = (row.get("widths") or {}).get(name) or {}
            told[name] = power.get("exponent")
            for end in ("low", "high"):
                told[f"{name}_{end}"] = (power.get("interval") or {}).get(end)
        found.append(told)
    return _csv(found, MEAN_COLUMNS)


def read_run_table(text: str, *, source: str = "table") -> list[dict[str, Any]]:
    """Rows of a ledger from the table that `run_table` wrote, as far as it holds them.

    Raises
    ------
    InputError
        When columns are missing or a cell that should be a number is none.

    Examples
    --------
    >>> row = {"run": "a", "status": "done", "N": 9, "D": 5, "steps": 2, "loss": 0.5,
    ...        "spec": {"model": {"kind": "mlp", "width": 3, "depth": 1}, "loss": "squared",
    ...                 "data": {"name": "teacher", "dimension": 2, "seed": 1}, "seed": 0}}
    >>> (back,) = read_run_table(run_table([row]))
    >>> back["loss"], back["spec"]["data"]["seed"], back["spec"]["model"]["width"]
    (0.5, 1, 3)
    """
    if len(text) > _MOST:
        raise InputError(f"{source}: more than {_MOST >> 20} MB; not a table of these regimes")
    reader = csv.DictReader(io.StringIO(text))
    needed = ("run", "status", "data", "model", "width", "N", "D", "seed", "loss")
    if missing := [c for c in needed if c not in (reader.fieldnames or ())]:
        raise InputError(f"{source}: no column {missing[0]!r}; give a table that the command wrote")
    return [_back(row, f"{source}, line {i}") for i, row in enumerate(reader, 2)]


def read_mean_table(text: str, *, source: str = "table") -> list[dict[str, Any]]:
    """Rows of the table that `mean_table` wrote, numbers as numbers and None where there is none.

    Raises
    ------
    InputError
        When columns are missing or a cell is no number.
    """
    reader = csv.DictReader(io.StringIO(text))
    needed = ("data", "model", "width", "members", "loss")
    if missing := [c for c in needed if c not in (reader.fieldnames or ())]:
        raise InputError(f"{source}: no column {missing[0]!r}; give a table that the command wrote")
    rows = []
    for i, row in enumerate(reader, 2):
        where = f"{source}, line {i}"
        rows.append({
            k: v if k in ("run", "data", "model") else _number(v, k, where) for k, v in row.items()
        })  # fmt: skip
    return rows


def _run(row: Mapping[str, Any], curves: bool) -> dict[str, Any]:
    spec, curve = row["spec"], row.get("curve") or []
    model, data = spec["model"], spec["data"]
    changes = [
        f"{name}={data[name]:g}"
        for name in ("superclasses", "input_noise", "label_noise")
        if data.get(name)
    ]
    words = [f"{k} {row[k]}" for k in ("isoloss", "torch", "numpy", "python") if k in row]
    return {
        "data": data["name"], "change": " ".join(changes), "model": model["kind"],
        "depth": model.get("depth"), "width": model["width"], "objective": spec.get("loss"),
        "seed": spec["seed"], "subset": spec.get("subset"),
        "dimension": data.get("dimension") or None,
        "teacher": data.get("seed") if data["name"] == "teacher" else None,
        "valid_loss": curve[-1][2] if curve else None,
        "curve": " ".join(f"{s:g}:{v:.6g}" for s, _, v in curve) if curves else None,
        "digest": row.get("data"), "versions": " ".join(words),
    } | {k: row.get(k) for k in ("run", "status", "N", "D", "steps", "loss", "error", "train_loss",
                                 "ensemble_loss", "ensemble_distance", "cpu_seconds")}  # fmt: skip


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    kept = [c for c in columns if any(row.get(c) not in (None, "") for row in rows)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(kept)
    writer.writerows([_cell(row.get(c)) for c in kept] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.7g}" if math.isfinite(value) else ""
    return "" if value is None else value


def _number(text: str | None, name: str, where: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: {name} = {text!r}: is no number") from None


def _back(row: Mapping[str, str | None], where: str) -> dict[str, Any]:
    number = {k: _number(row.get(k), k, where) for k in (*_NUMBERS, *_WHOLE)}
    whole = {k: None if number[k] is None else int(number[k] or 0) for k in _WHOLE}
    curve = []
    for piece in (row.get("curve") or "").split():
        step, _, loss = piece.partition(":")
        curve.append([_number(step, "curve", where), None, _number(loss, "curve", where)])
    known = {k: number[k] for k in _NUMBERS if number[k] is not None}
    return {"loss": math.nan} | known | {
        "run": row["run"], "status": row["status"], "N": whole["N"], "D": whole["D"],
        "curve": curve, "versions": row.get("versions") or "",
        "spec": {
            "model": {"kind": row["model"], "width": whole["width"], "depth": whole["depth"]},
            "data": {"name": row["data"], "change": row.get("change") or "",
                     "dimension": whole["dimension"], "seed": whole["teacher"]},
            "loss": row.get("objective"), "seed": whole["seed"], "subset": whole["subset"],
        },
    }  # fmt: skip

"""The table of pilots: one row a trained network; written, read back, and put into means."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isoloss.errors import InputError

PILOT_COLUMNS = (
    "data", "metric", "policy", "keep", "pool", "D", "seed", "loss", "error", "worst_error",
    "seen", "flops", "score_flops", "cpu_seconds",
)  # fmt: skip
"""Unpruned rows have keep 1, policy ``random`` and no metric. ``worst_error``: error of the class
with the largest; ``score_flops``: what the score of this pool would cost alone. Of text, pool and
D are pieces, ``loss`` is in nats per byte, and the errors are empty."""

SCORE_COLUMNS = ("data", "metric", "pool", "seed", "flops", "cpu_seconds")
"""Of the table of what scores cost."""

_WORDS = ("data", "metric", "policy")
_ERRORS = ("error", "worst_error")
_WHOLE = ("pool", "D", "seed", "seen")
_MOST = 64 << 20

Rows = list[dict[str, Any]]


def pilot_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = PILOT_COLUMNS) -> str:
    """Write rows as CSV with exactly the columns.

    Examples
    --------
    >>> print(pilot_csv([{"data": "a", "metric": "el2n", "pool": 9, "seed": 0, "flops": 2e9,
    ...                   "cpu_seconds": 0.25}], SCORE_COLUMNS))
    data,metric,pool,seed,flops,cpu_seconds
    a,el2n,9,0,2e+09,0.25
    <BLANKLINE>
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in columns])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value


def read_pilots(source: str | Path) -> Rows:
    """Read the table that `train_pilots` wrote.

    Returns
    -------
    list of dict
        Rows with numbers as numbers.

    Raises
    ------
    InputError
        If the file is no such table, too large, or a cell is no number or out of range.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> row = dict.fromkeys(PILOT_COLUMNS, 1.0) | {"data": "a", "metric": "", "policy": "random"}
    >>> with TemporaryDirectory() as place:
    ...     path = Path(place) / "pilots.csv"
    ...     _ = path.write_text(pilot_csv([row]))
    ...     read_pilots(path)[0]["pool"]
    1
    """
    path = Path(source)
    if not path.is_file():
        raise InputError(f"{path}: is no file; give a table of pilots")
    if path.stat().st_size > _MOST:
        raise InputError(f"{path}: more than {_MOST >> 20} MB; not a table of pilots")
    try:
        reader = csv.DictReader(io.StringIO(path.read_text("utf8"), newline=""), strict=True)
        if missing := [c for c in PILOT_COLUMNS if c not in (reader.fieldnames or ())]:
            raise InputError(f"{path}: no column {missing[0]!r}; give a table of pilots")
        return [_row(row, f"{path}, line {i}") for i, row in enumerate(reader, 2)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is no table ({error})") from None


def _row(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in PILOT_COLUMNS:
        text = row[name]
        if name in _WORDS:
            found[name] = text or ""
            continue
        if name in _ERRORS and text == "":
            found[name] = math.nan
            continue
        try:
            value = float(text)
        except (TypeError, ValueError):
            raise InputError(f"{where}: {name} = {text!r}: is not a number") from None
        if not math.isfinite(value) or value < 0:
            raise InputError(f"{where}: {name} = {text}: must be finite and zero or more")
        if name in _WHOLE and value != int(value):
            raise InputError(f"{where}: {name} = {text}: must be a whole number")
        found[name] = int(value) if name in _WHOLE else value
    if not 0 < found["keep"] <= 1:
        raise InputError(f"{where}: keep = {found['keep']:g}: must be above 0 and at most 1")
    if not 1 <= found["D"] <= found["pool"]:
        raise InputError(f"{where}: D = {found['D']}: must be from 1 to the pool's {found['pool']}")
    return found


def pilot_means(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Mean over seeds of each cell, and how it compares with keeping by chance.

    Returns
    -------
    list of dict
        ``data``, ``metric``, ``policy``, ``keep``, ``pool``, ``D``; ``seeds``; ``error``,
        ``worst_error`` and ``loss`` with standard errors ``*_se`` (NaN of one seed);
        ``gain`` and ``gain_se``: error of ``random`` at the same pool, keep and seed less that
        of the row, over seeds that have both (NaN without); above zero is better than chance.
        Of the loss in place of the error where there is none, as of text.
        In the order of pool, keep, metric and policy.

    Examples
    --------
    >>> row = dict.fromkeys(PILOT_COLUMNS, 1.0) | {"data": "a", "metric": "", "policy": "random"}
    >>> rows = [row | {"seed": s, "error": 0.1 * s, "keep": 0.5} for s in (1, 2, 3)]
    >>> rows += [r | {"metric": "el2n", "policy": "hard", "error": r["error"] - 0.01} for r in rows]
    >>> best = pilot_means(rows)[1]
    >>> round(best["error"], 4), round(best["error_se"], 4), round(best["gain"], 4)
    (0.19, 0.0577, 0.01)
    """
    cells: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        name = ("data", "pool", "keep", "metric", "policy")
        cells.setdefault(tuple(row[n] for n in name), []).append(dict(row))
    chance = {
        (r["data"], r["pool"], r["keep"], r["seed"]): _outcome(r)
        for r in rows if r["policy"] == "random"
    }  # fmt: skip
    found = []
    for key in sorted(cells):
        mine, (data, pool, keep, metric, policy) = cells[key], key
        pairs = [
            chance[at] - _outcome(r)
            for r in mine if (at := (data, pool, keep, r["seed"])) in chance
        ]  # fmt: skip
        cell = {
            "data": data, "metric": metric, "policy": policy, "keep": keep, "pool": pool,
            "D": mine[0]["D"], "seeds": len(mine), "flops": mine[0]["flops"],
            "score_flops": float(np.mean([r["score_flops"] for r in mine])),
        }  # fmt: skip
        for measured in ("error", "worst_error", "loss"):
            cell[measured], cell[f"{measured}_se"] = _mean([r[measured] for r in mine])
        cell["gain"], cell["gain_se"] = _mean([] if policy == "random" else pairs)
        found.append(cell)
    return found


def _outcome(row: Mapping[str, Any]) -> float:
    """Error, or the loss of data that have no classes."""
    return float(row["loss"] if math.isnan(row["error"]) else row["error"])


def _mean(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return math.nan, math.nan
    spread = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else math.nan
    return float(np.mean(values)), spread


def pilot_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out, for each pool, errors in percent: a line a metric and policy, a column a share.

    Losses in nats per byte in place of errors where there are none.
    """
    means = pilot_means(rows)
    parts = []
    for data, pool in dict.fromkeys((m["data"], m["pool"]) for m in means):
        mine = [m for m in means if (m["data"], m["pool"]) == (data, pool)]
        keeps = sorted({m["keep"] for m in mine if m["keep"] < 1})
        seeds = max(m["seeds"] for m in mine)
        whole = next((m for m in mine if m["keep"] == 1), None)
        head = f"{data}, pool of {pool}, {seeds} seeds"
        if whole:
            head += f": {_told(whole, named=True)}"
        wide = 18 if math.isnan(mine[0]["error"]) else 14
        lines = [head, f"{'kept by':<22}" + "".join(f"{k:>{wide}.0%}" for k in keeps)]
        by = {(m["metric"], m["policy"], m["keep"]): m for m in mine}
        for metric, policy in dict.fromkeys((m["metric"], m["policy"]) for m in mine):
            if not any((metric, policy, k) in by for k in keeps):
                continue
            cells = [by.get((metric, policy, k)) for k in keeps]
            told = "".join(f"{_told(c) if c else '-':>{wide}}" for c in cells)
            what = f"{metric} {policy}".strip()
            lines.append(f"{what:<22}{told}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _told(mean: Mapping[str, Any], *, named: bool = False) -> str:
    """Error in percent, or loss; with what it is on request."""
    if math.isnan(mean["error"]):
        se = mean["loss_se"]
        text = f"{mean['loss']:.4f}" + ("" if math.isnan(se) else f" ± {se:.4f}")
        return f"loss of all {text} nats/byte" if named else text
    se = mean["error_se"]
    text = f"{100 * mean['error']:.2f}" + ("" if math.isnan(se) else f" ± {100 * se:.2f}")
    return f"error of all {text} %" if named else text

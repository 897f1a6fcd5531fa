"""A table of published models: families, compute, and scores that may be missing."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError

_BYTES, _ROWS, _COLUMNS = 20_000_000, 20_000, 500
_BLANK = frozenset({"", "na", "n/a", "nan", "none", "null", "-"})
_NAMES = ("name", "model")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Models:
    """Models, one a row.

    Attributes
    ----------
    names, family
        Of each model.
    C
        Training compute, (n,).
    scores
        Column name to accuracies, (n,), NaN where a model has none.
    """

    names: tuple[str, ...]
    family: tuple[str, ...]
    C: Array
    scores: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Models({len(self)} models of {len(set(self.family))} families)"


def read_models(
    source: Mapping[str, Sequence[Any]] | str | Path,
    scores: Sequence[str],
    *,
    family: str = "family",
    compute: str = "C",
    units: Mapping[str, float] | None = None,
) -> Models:
    """Read a CSV file, or a dictionary of columns, of models.

    Blank cells, ``NaN``, ``NA`` and the like are missing scores; anything else that is no number
    from 0 to 1 is an error, as is a model without family or compute.

    Parameters
    ----------
    scores
        Columns of accuracies.
    family, compute
        Columns of the family's name and of training compute.
    units
        Size of one unit of a column, 0.01 for percents.

    Raises
    ------
    InputError
        A column, family or compute is missing, or a cell cannot be read.

    Examples
    --------
    >>> table = {"family": ["a", "a"], "C": [1e20, 1e21], "quiz": [0.3, None]}
    >>> read_models(table, ["quiz"]).scores["quiz"]
    array([0.3, nan])
    """
    columns = dict(source) if isinstance(source, Mapping) else _read_csv(Path(source))
    wanted = [family, compute, *scores]
    if doubled := [n for n in dict.fromkeys(wanted) if wanted.count(n) > 1]:
        raise InputError(f"{doubled[0]}: is named twice; each column has one part to play")
    if missing := [n for n in wanted if n not in columns]:
        raise InputError(
            f"{missing[0]}: no such column; the table has {', '.join(map(str, columns))[:300]}"
        )
    rows = {len(columns[n]) for n in wanted}
    if len(rows) != 1 or not (n := rows.pop()):
        raise InputError("models: columns are empty or of different lengths")
    name = next((c for c in _NAMES if c in columns and len(columns[c]) == n), None)
    names = [f"row {i + 1}" if name is None else str(columns[name][i]) for i in range(n)]
    kin = [str(v).strip() if v is not None else "" for v in columns[family]]
    if "" in kin:
        raise InputError(f"{family}: {names[kin.index('')]} has no family; name one for each model")
    scale = dict(units or {})
    C = _numbers(columns[compute], compute, names, scale.pop(compute, 1.0))
    if bad := [names[i] for i in np.flatnonzero(~(C > 0))]:
        raise InputError(f"{compute}: {bad[0]} has no compute above zero; leave the model out")
    found = {}
    for column in scores:
        values = _numbers(columns[column], column, names, scale.pop(column, 1.0))
        out = np.flatnonzero((values < 0) | (values > 1))
        if len(out):
            raise InputError(
                f"{column}: {names[out[0]]} has {values[out[0]]:.4g}; accuracies from 0 to 1 are "
                f"needed; for percents, units {column}=0.01"
            )
        found[column] = values
    if scale:
        raise InputError(f"units: {next(iter(scale))} is no column that is read")
    return Models(names=tuple(names), family=tuple(kin), C=C, scores=found)


def _numbers(cells: Sequence[Any], column: str, names: Sequence[str], unit: float) -> Array:
    values = np.empty(len(cells))
    for i, cell in enumerate(cells):
        blank = cell is None or str(cell).strip().casefold() in _BLANK
        try:
            values[i] = np.nan if blank else float(cell)
        except (TypeError, ValueError):
            raise InputError(
                f"{column}: {names[i]} has {str(cell)[:40]!r}, not a number; leave the cell empty "
                "where nothing is known"
            ) from None
        if math.isinf(values[i]):
            raise InputError(f"{column}: {names[i]} is not finite")
    return values * unit


def _read_csv(path: Path) -> dict[str, list[str]]:
    if path.stat().st_size > _BYTES:
        raise InputError(f"{path}: more than {_BYTES} bytes is no table of models")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is not a CSV file in UTF-8: {error}") from None
    rows = [r for r in rows if any(c.strip() for c in r)]
    if len(rows) < 2 or len(rows) > _ROWS or len(rows[0]) > _COLUMNS:
        raise InputError(f"{path}: a header and 1 to {_ROWS} models are needed, found {len(rows)}")
    header = [c.strip() for c in rows[0]]
    if len(set(header)) < len(header):
        raise InputError(f"{path}: two columns have one name")
    if uneven := [i for i, r in enumerate(rows) if len(r) != len(header)]:
        raise InputError(f"{path}: line {uneven[0] + 1} has not {len(header)} fields")
    return {name: [r[i].strip() for r in rows[1:]] for i, name in enumerate(header)}

"""Tables in memory: dicts, lists of dicts, and data frames of any make, none of them imported."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from isoloss.errors import InputError, MissingExtra
from isoloss.runs.notes import Note
from isoloss.runs.numbers import Cells
from isoloss.runs.rows import automatic_name, sharer, short
from isoloss.runs.source import MAX_OBJECTS, Batch, Limits, Source, check_refused
from isoloss.runs.table import Refusal

_DEPTH = 5
_SKIPPED_LISTED = 100


def arrow(module: str) -> Any:
    """Import a part of pyarrow, an optional package."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None


def from_objects(objects: Iterable[tuple[int, object]], label: str, limits: Limits) -> Source:
    """Read numbered objects, one a row; nested ones give dotted names, lists inside are skipped."""
    columns: dict[str, list[Any]] = {}
    rows: list[int] = []
    refused: list[Refusal] = []
    skipped: dict[str, None] = {}
    share, given = sharer(), 0
    for row, item in objects:
        limits.check(row, 1)
        if not isinstance(item, Mapping):
            reason = share(f"{short(item)} is not an object of names and values")
            refused.append(Refusal(row, automatic_name(row), "NOT_AN_OBJECT", reason))
            check_refused(refused)
            continue
        count = len(rows)
        for name, value in _flat(item):
            if isinstance(value, (list, tuple)):
                if len(skipped) < _SKIPPED_LISTED:
                    skipped[name] = None
                continue
            cells = columns.get(name)
            if cells is None:
                cells = columns[name] = []
                limits.check(row, len(columns), cells=MAX_OBJECTS)
                limits.check_gaps(count, len(columns), given)
            if len(cells) <= count:  # else the name came twice in one object: the first counts
                # Gaps are filled only now, so that a name seen once costs no step on every row.
                cells.extend([None] * (count - len(cells)))
                cells.append(value)
                given += 1
        rows.append(row)
        limits.check(row, len(columns), cells=MAX_OBJECTS)
        limits.check_gaps(len(rows), len(columns), given)
    for cells in columns.values():
        cells.extend([None] * (len(rows) - len(cells)))
    batch = Batch(rows, list(columns.values()), refused)
    notes = [left_out(name, "it holds lists") for name in skipped]
    return Source(label, list(columns), iter([batch]), notes)


def left_out(column: str, why: str) -> Note:
    """Note a column that holds no plain values."""
    return Note("COLUMN_IGNORED", "info", f"column {short(column)} left out: {why}")


def _flat(item: Mapping[Any, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    for key, value in item.items():
        if isinstance(value, Mapping):
            if depth < _DEPTH:
                yield from _flat(value, f"{prefix}{key}.", depth + 1)
        else:
            yield f"{prefix}{key}", value


def from_mapping(columns: Mapping[Any, Any], label: str, limits: Limits) -> Source:
    """Read a dict of columns: arrays, lists, or dicts from row labels to values."""
    limits.check(1, len(columns))
    cells = {str(name): _cells(str(name), values) for name, values in columns.items()}
    if len(cells) < len(columns):
        raise InputError("two columns have the same name as text; rename one of them")
    lengths = {name: len(values) for name, values in cells.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{short(n)}: {k}" for n, k in list(lengths.items())[:10])
        raise InputError(f"the columns differ in length ({shown}); make them equal")
    count = next(iter(lengths.values()), 0)
    limits.check(count, len(columns))
    batch = Batch(range(1, count + 1), list(cells.values()))
    return Source(label, list(cells), iter([batch]))


def _cells(name: str, values: Any) -> Cells:
    if isinstance(values, Mapping):
        return list(values.values())
    if isinstance(values, (list, tuple, range)):
        return values
    if isinstance(values, (str, bytes)) or values is None:
        raise InputError(f"column {short(name)}: expected one value per run, got {short(values)}")
    try:
        converted: Any = values.to_numpy() if hasattr(values, "to_numpy") else values
        if not isinstance(converted, np.ndarray):
            converted = np.asarray(
                converted if hasattr(converted, "__array__") else list(converted)
            )
    except Exception as error:  # foreign containers may raise anything
        raise InputError(
            f"column {short(name)}: {type(values).__name__} is no list of values "
            f"({short(str(error))}); pass a list or an array"
        ) from None
    if converted.ndim != 1:
        raise InputError(
            f"column {short(name)}: expected one value per run, got shape {converted.shape}"
        )
    array: np.ndarray[Any, Any] = converted
    return array


def from_object(source: Any, limits: Limits) -> Source:
    """Read what quacks like a table: pandas, polars, Arrow, a structured array."""
    label = type(source).__name__
    if isinstance(source, np.ndarray):
        if source.dtype.names is None or source.ndim != 1:
            raise InputError("an array has no column names; pass {'N': ..., 'loss': ...}")
        return from_mapping({name: source[name] for name in source.dtype.names}, label, limits)
    names = _column_names(source)
    if names is None:
        return from_mapping(_converted(source), label, limits)
    limits.check(1, len(names))
    if len(set(names)) < len(names):
        raise InputError("two columns of the data frame have the same name; rename one of them")
    return from_mapping({name: source[name] for name in names}, label, limits)


def _column_names(source: Any) -> Sequence[Any] | None:
    """Column names when ``source[name]`` is a column, as in pandas, polars and pyarrow."""
    if not hasattr(source, "__getitem__"):
        return None
    for attribute in ("column_names", "columns"):
        names = getattr(source, attribute, None)
        if names is not None and not callable(names) and hasattr(names, "__iter__"):
            return list(names)
    return None


def _converted(source: Any) -> Mapping[Any, Any]:
    for method in ("to_pydict", "to_dict"):
        if hasattr(source, method):
            columns = getattr(source, method)()
            if isinstance(columns, Mapping):
                return columns
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__dataframe__"):
        if hasattr(source, "__arrow_c_stream__"):
            table = arrow("pyarrow").table(source)
        else:
            table = arrow("pyarrow.interchange").from_dataframe(source)
        return {name: table[name] for name in table.column_names}
    raise InputError(
        f"cannot read runs from {type(source).__name__}; pass a path, an open file, a dict of "
        "columns, a list of dicts or a data frame"
    )

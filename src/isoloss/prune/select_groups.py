"""Groups of rows, such as classes and clusters, and how many of each are to be kept at least."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune.scores_ids import Rows
from isoloss.prune.scores_result import as_groups
from isoloss.prune.select_rank import count_codes
from isoloss.prune.select_result import BUDGET

_PART, _TABLE = 1 << 20, 1 << 24

Floor = float | Mapping[Any, int]
GUARD = 1e-9
"""Products of shares and counts that ought to be whole may fall short by their last digit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Groups of rows, in the order of sorted names."""

    names: list[Any]
    codes: npt.NDArray[Any]


def as_floor(floor: Any) -> Floor:
    """Read a floor: a share, or whole numbers by name."""
    if isinstance(floor, Mapping):
        for name, count in floor.items():
            whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
            if not whole or count < 0:
                raise InputError(f"floor of {name!r} = {count!r}: must be a whole number")
        return floor
    number = isinstance(floor, int | float | np.integer | np.floating)
    if isinstance(floor, bool) or not number or not 0 <= floor <= 1:
        raise InputError(
            f"floor = {floor!r}: must be a share from 0 to 1, or whole numbers by name"
        )
    return float(floor)


def group_rows(
    name: str, groups: Any, n: int, row: Rows | None, floor: Floor, floor_name: str
) -> Groups | None:
    """Give groups numbers in the order of their names, and rows the order of ids."""
    asked = bool(floor)
    if groups is None:
        if asked:
            raise InputError(f"{floor_name}: needs {name}, one for each row")
        return None
    names, codes = _coded(as_groups(name, groups, n))
    found = [v.decode("utf8", "replace") if isinstance(v, bytes) else v for v in names.tolist()]
    if isinstance(floor, Mapping):
        unknown = [k for k in floor if k not in set(found)]
        if unknown:
            raise InputError(f"{floor_name}: no row has {name[:-1]} {unknown[0]!r}")
    return Groups(names=found, codes=codes if row is None else codes[row])


def _coded(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Sorted names and the number of each row's; in sixteen bits where they fit, to sort fast."""
    if array.dtype.kind in "SU" or not _is_small(int(array.min()), int(array.max())):
        names, codes = np.unique(array, return_inverse=True)
        return names, codes.ravel().astype(_narrow(names.size))
    low = int(array.min())
    seen = np.zeros(int(array.max()) - low + 1, dtype=bool)
    parts = range(0, array.size, _PART)
    for start in parts:
        seen[array[start : start + _PART].astype(np.int64) - low] = True
    places = np.flatnonzero(seen)
    number = np.zeros(seen.size, dtype=_narrow(places.size))
    number[places] = np.arange(places.size)
    codes = np.empty(array.size, dtype=number.dtype)
    for start in parts:
        codes[start : start + _PART] = number[array[start : start + _PART].astype(np.int64) - low]
    names = places + low
    return names.astype(bool) if array.dtype.kind == "b" else names, codes


def _is_small(low: int, high: int) -> bool:
    """Whether whole numbers have a place each in a table."""
    return high - low < _TABLE and low > -(2**62) and high < 2**62


def _narrow(size: int) -> type[np.uint16] | type[np.int64]:
    return np.uint16 if size <= 1 << 16 else np.int64


def tally(groups: Groups | None, reason: npt.NDArray[np.uint8]) -> dict[Any, tuple[int, int]]:
    """Count rows and kept rows of each group."""
    if groups is None:
        return {}
    size = len(groups.names)
    rows = count_codes(groups.codes, size).tolist()
    kept = count_codes(groups.codes, size, reason < BUDGET).tolist()
    return dict(zip(groups.names, zip(rows, kept, strict=True), strict=True))


def wanted_of(
    name: str, groups: Groups, floor: Floor, count: int, available: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Give the floor of each group in rows."""
    if not isinstance(floor, Mapping):
        each = int(np.floor(float(floor) * count / len(groups.names) + GUARD))
        return np.minimum(available, each)
    wanted = np.array([int(floor.get(g, 0)) for g in groups.names], dtype=np.int64)
    bad = np.flatnonzero(wanted > available)
    if bad.size:
        raise InputError(
            f"{name}: {groups.names[bad[0]]!r} is to keep {wanted[bad[0]]} and has "
            f"{available[bad[0]]} rows to choose from; lower its floor"
        )
    return wanted

"""Values in a grid: axes, tables, and expressions of other fields."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from isoloss.errors import InputError, LawError
from isoloss.laws.expression import leaves, parse
from isoloss.laws.tape import evaluate
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.shapes import MODELS
from isoloss.sweep.spec import RunSpec

_MAX_COUNT = 10_000
_NUMBERS = ("int", "float", "int | None")


def _types() -> dict[str, str]:
    """Type of each field, by its name in a flat grid."""
    found = {f.name: str(f.type) for f in fields(RunSpec)}
    found |= {f"data.{f.name}": str(f.type) for f in fields(DataSpec)}
    for kind in MODELS.values():
        found |= {f"model.{f.name}": str(f.type) for f in fields(kind)}
    return found


TYPES = _types()


def axis_values(key: str, value: Any, where: str) -> list[Any] | None:
    """Points of an axis, or None where the value is no axis.

    Raises
    ------
    InputError
        For an empty list, an entry that is no plain value, or a range that is none.
    """
    if isinstance(value, Mapping) and "by" not in value:
        return _range(key, value, where)
    if isinstance(value, Mapping):
        return None
    if not isinstance(value, (list, tuple)):
        _plain(key, value, where)
        return None
    if not value:
        raise InputError(f"{where}: {key} = []: an empty list gives no run; leave it out")
    for entry in value:
        _plain(key, entry, where)
    return list(value)


def _plain(key: str, value: Any, where: str) -> None:
    if not isinstance(value, (bool, int, float, str)):
        raise InputError(f"{where}: {key} = {value!r}: write a number, a text or a list of them")


def _range(key: str, table: Mapping[str, Any], where: str) -> list[Any]:
    """Equal ratios from one end to the other."""
    told = f"{where}: {key} = {dict(table)!r}"
    if set(table) != {"from", "to", "count"}:
        raise InputError(
            f"{told}: write {{ from = 256, to = 65536, count = 9 }}, or "
            "{ by = 'width', 16 = 2, 32 = 3 }"
        )
    low, high, count = table["from"], table["to"], table["count"]
    if TYPES[key] not in _NUMBERS:
        raise InputError(f"{told}: {key} is no number")
    if not (_is_whole(count) and 2 <= count <= _MAX_COUNT):
        raise InputError(f"{told}: count must be a whole number from 2 to {_MAX_COUNT}")
    for name, end in (("from", low), ("to", high)):
        if not (_is_number(end) and math.isfinite(end) and end > 0):
            raise InputError(f"{told}: {name} must be finite and positive")
    points = [low * (high / low) ** (i / (count - 1)) for i in range(count)]
    points[-1] = high
    if TYPES[key] == "float":
        return points
    return list(dict.fromkeys(round(p) for p in points))


def settle(flat: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Work out tables and expressions of one run until every field is a plain value.

    Raises
    ------
    InputError
        For an expression that cannot be read, names an unknown field, goes in a circle or gives
        no usable number, and for a value that a table lacks.
    """
    done: dict[str, Any] = {}
    waiting: dict[str, Any] = {}
    for key, value in flat.items():
        derived = (
            isinstance(value, Mapping) or (isinstance(value, str) and TYPES[key] in _NUMBERS)
            if key in TYPES
            else False
        )
        if derived:
            waiting[key] = value
        else:
            done[key] = _as_field(key, value, where)
    names = _names([*done, *waiting])
    while waiting:
        ready = {k: v for k, v in waiting.items() if _needs(k, v, names, where) <= set(done)}
        if not ready:
            raise InputError(
                f"{where}: {', '.join(f'{k} = {v!r}' for k, v in sorted(waiting.items()))}: "
                "each waits for another; give one of them a number"
            )
        for key, value in ready.items():
            done[key] = _work_out(key, value, done, names, where)
            del waiting[key]
    return done


def _names(keys: list[str]) -> dict[str, str]:
    """Bare names of fields; a run's own field goes before one of model or data."""
    found: dict[str, str] = {}
    for key in sorted(keys, key=lambda k: "." in k):
        found.setdefault(key.rpartition(".")[2], key)
    return found


def _needs(key: str, value: Any, names: Mapping[str, str], where: str) -> set[str]:
    if isinstance(value, Mapping):
        if not isinstance(value["by"], str):
            raise InputError(f"{where}: {key}: by = {value['by']!r}: name a field, in quotes")
        used = [value["by"]]
    else:
        try:
            used = [str(leaf.value) for leaf in leaves(parse(value, axes=names))]
        except LawError as error:
            raise InputError(f"{where}: {key} = {value!r}: {error}") from None
    for name in used:
        if name not in names:
            raise InputError(
                f"{where}: {key} = {value!r}: {name!r} is no field given in this grid; "
                f"there are {', '.join(sorted(names))}"
            )
    return {names[name] for name in used}


def _work_out(
    key: str, value: Any, done: Mapping[str, Any], names: Mapping[str, str], where: str
) -> Any:
    if isinstance(value, Mapping):
        at = done[names[value["by"]]]
        table = {str(k): v for k, v in value.items() if k != "by"}
        if str(at) not in table:
            raise InputError(
                f"{where}: {key}: no entry for {value['by']} = {at}; the table has "
                f"{', '.join(table) or 'none'}"
            )
        _plain(key, table[str(at)], where)
        return _as_field(key, table[str(at)], where)
    node = parse(value, axes=names)
    needed = {str(leaf.value): done[names[str(leaf.value)]] for leaf in leaves(node)}
    for name, number in needed.items():
        if not _is_number(number):
            raise InputError(f"{where}: {key} = {value!r}: {name} = {number!r} is no number")
    found = float(evaluate([node], {k: float(v) for k, v in needed.items()})[0])
    if not math.isfinite(found):
        raise InputError(f"{where}: {key} = {value!r}: gives {found} with {needed}")
    return found if TYPES[key] == "float" else round(found)


def _as_field(key: str, value: Any, where: str) -> Any:
    """Give a plain value the type of its field: 1e6 may stand for a whole number, 1 for any."""
    kind = TYPES.get(key)
    if kind in ("int", "int | None") and isinstance(value, float):
        if not value.is_integer():
            raise InputError(f"{where}: {key} = {value}: must be a whole number")
        return int(value)
    if kind in _NUMBERS and not _is_number(value):
        raise InputError(f"{where}: {key} = {value!r}: must be a number")
    if kind == "float" and _is_number(value):
        return float(value)
    if kind in ("str", "str | None") and not isinstance(value, str):
        raise InputError(f"{where}: {key} = {value!r}: must be a text, in quotes")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

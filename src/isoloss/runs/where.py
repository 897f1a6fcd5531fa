"""Conditions on rows, as a caller writes them: ``Model=MiX/B/16, D<1e20`` or a dict."""

from __future__ import annotations

import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss.errors import InputError
from isoloss.runs.numbers import read_numbers
from isoloss.runs.rows import clean, short

SIGNS = ("!=", "<=", ">=", "==", "=", "<", ">")
_TEXT_LIMIT = 4096
_USAGE = "write NAME=VALUE, NAME!=VALUE or NAME<NUMBER (also <=, >, >=)"
# A comma ends a condition only where another one follows, so values may hold commas.
_NEXT = re.compile(r",(?=\s*(?:\"(?:[^\"]|\"\")*\"|[^,\"=<>!|]+?)\s*(?:!=|<=|>=|=|<|>))")
_CONDITION = re.compile(
    r"\s*(?P<name>\"(?:[^\"]|\"\")*\"|[^\"=<>!]+?)\s*(?P<sign>!=|<=|>=|==|=|<|>)(?P<rest>.*)",
    re.DOTALL,
)
_QUOTED = re.compile(r"\"(?:[^\"]|\"\")*\"")


@dataclass(frozen=True, slots=True)
class Condition:
    """What a column must hold: any of some values, none of them, or a number on one side."""

    column: str
    sign: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        values = "|".join(_quoted(value, '|,"') for value in self.values)
        column = _quoted(self.column, ',|=<>!"')
        return f"{column}{self.sign}{values}"

    @property
    def compares(self) -> bool:
        """Whether numbers are compared by size."""
        return self.sign in ("<", "<=", ">", ">=")

    @property
    def bound(self) -> float:
        """The number of a comparison."""
        return cell_number(self.values[0])


def parse_where(where: Any) -> tuple[Condition, ...]:
    r"""Read conditions; all of them must hold.

    Parameters
    ----------
    where
        A dict from column to value or list of values; or text, or a list of texts, such as
        ``"Model=MiX/B/16|ViT/B/16, D<1e9"``. In text a comma before another condition separates
        the two, a bar separates values, and double quotes keep anything together.

    Raises
    ------
    InputError
        Something that is no condition.

    Examples
    --------
    >>> [str(c) for c in parse_where("Model=6 Enc, 6 Dec, Training=1, D>=1e9")]
    ['Model="6 Enc, 6 Dec"', 'Training=1', 'D>=1e9']
    >>> [str(c) for c in parse_where({"Model": ["a", "b"], "Training": 1})]
    ['Model=a|b', 'Training=1']
    """
    if where is None:
        return ()
    if isinstance(where, Mapping):
        return tuple(_equal(column, value) for column, value in where.items())
    texts = [where] if isinstance(where, str) else where
    if not isinstance(texts, (list, tuple)) or not all(isinstance(t, str) for t in texts):
        raise InputError("where: expected a dict from column to value, or text such as 'lr=0.001'")
    return tuple(_condition(part) for text in texts for part in _parts(text))


def _parts(text: str) -> list[str]:
    quotes = [match.span() for match in _QUOTED.finditer(text)]
    cuts = [
        match.start()
        for match in _NEXT.finditer(text)
        if not any(low < match.start() < high for low, high in quotes)
    ]
    return [text[i:j] for i, j in zip([0, *(c + 1 for c in cuts)], [*cuts, len(text)], strict=True)]


def _condition(text: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InputError(f"where: {short(text)}: {_USAGE}")
    sign = "=" if match["sign"] == "==" else match["sign"]
    values = tuple(_values(match["rest"]))
    found = Condition(_plain(match["name"]), sign, values)
    if found.compares and (len(values) > 1 or np.isnan(found.bound)):
        raise InputError(
            f"where: {short(text.strip())}: {sign} needs one number, such as D{sign}1e9; for text "
            "use = or !="
        )
    return found


def _values(text: str) -> list[str]:
    """Split at bars outside quotes."""
    found, start = [], 0
    quotes = [match.span() for match in _QUOTED.finditer(text)]
    for i, character in enumerate(text):
        if character == "|" and not any(low < i < high for low, high in quotes):
            found.append(text[start:i])
            start = i + 1
    return [_plain(value) for value in (*found, text[start:])]


def _plain(text: str) -> str:
    text = text.strip()
    if _QUOTED.fullmatch(text):
        return text[1:-1].replace('""', '"')
    return text


def _quoted(text: str, special: str) -> str:
    hard = any(c in special for c in text) or text.startswith("=") or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if hard else text


def _equal(column: Any, value: Any) -> Condition:
    if not isinstance(column, str) or not column:
        raise InputError(f"where: {short(column)} is no name of a column")
    several = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    values = list(value) if several or isinstance(value, (set, frozenset, np.ndarray)) else [value]
    for item in values:
        plain = item is None or isinstance(item, (str, bool, np.bool_, numbers.Real))
        if not plain:
            raise InputError(
                f"where: {short(column)} = {short(item)}: give a text, a number or a list of "
                "those; for comparisons write text, such as where='D<1e9'"
            )
    if not values:
        raise InputError(f"where: {short(column)}: an empty list of values selects nothing")
    # A set has no order of its own; messages and provenance need one.
    texts = [cell_text(item) for item in values]
    ordered = sorted(texts) if isinstance(value, (set, frozenset)) else texts
    return Condition(column, "=", tuple(dict.fromkeys(ordered)))


def cell_text(cell: Any) -> str:
    """Text of a cell as it is compared: trimmed, nothing for an absent value.

    Examples
    --------
    >>> [cell_text(c) for c in (" a ", True, 1.0, 3, None, float("nan"))]
    ['a', 'true', '1', '3', '', '']
    """
    if isinstance(cell, str):
        return cell.strip() if cell.isprintable() else clean(cell, _TEXT_LIMIT)
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return ""
    if isinstance(cell, (bool, np.bool_)):
        return str(bool(cell)).lower()
    if isinstance(cell, (float, np.floating)):
        value = float(cell)
        return "" if value != value else repr(value).removesuffix(".0")
    try:
        return clean(str(cell), _TEXT_LIMIT)
    except Exception:  # huge integers are not printed, and cells of foreign kinds may do anything
        return type(cell).__name__


def cell_number(cell: Any, *, suffix: bool = True) -> float:
    """Read the number in a cell, or NaN; flags are one and zero, however they are written.

    Examples
    --------
    >>> [cell_number(c) for c in ("70M", " 1e9 ", True, "False", "x")]
    [70000000.0, 1000000000.0, 1.0, 0.0, nan]
    """
    flag = cell_text(cell).casefold()
    if flag in ("true", "false"):
        return float(flag == "true")
    return float(read_numbers([cell], suffix=suffix)[0][0])

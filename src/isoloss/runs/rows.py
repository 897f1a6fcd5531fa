"""Rows as content: clean labels, groups of equal rows, and a digest blind to row order."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array

LABEL_LIMIT = 200
_RAW_LIMIT = 4096
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?", re.DOTALL
)
_AUTOMATIC = re.compile(r"row [1-9][0-9]*")


def clean(text: str, limit: int = LABEL_LIMIT) -> str:
    r"""Drop terminal escapes, control and invisible characters, and cap the length.

    Labels come from files of strangers and end in terminals and web pages.

    Examples
    --------
    >>> clean("\x1b[31mrun\x07-1\u202e\n")
    'run-1'
    """
    if len(text) <= limit and text.isprintable():
        return text.strip()
    text = _ESCAPES.sub("", text[:_RAW_LIMIT])
    kept = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)
    return kept.strip()[:limit].rstrip()


def clean_all(labels: Sequence[str]) -> list[str]:
    """Clean many labels; clean ones, the common case, are only looked at."""
    plain = all(map(str.isprintable, labels)) and max(map(len, labels), default=0) <= LABEL_LIMIT
    if plain:
        return list(map(str.strip, labels))
    return [clean(label) for label in labels]


def short(value: object, limit: int = 60) -> str:
    """Show a value inside a message: printable, one line, capped."""
    if isinstance(value, str):
        text = clean(value, limit + 1)
    elif isinstance(value, (bool, int, float, np.generic)) or value is None:
        try:
            text = str(value)
        except ValueError:  # CPython refuses to print integers of more than 4300 digits
            text = "a huge integer"
    else:
        text = type(value).__name__
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def sharer(most: int = 1000) -> Callable[[str], str]:
    """Return a function that gives one text for equal texts, so that millions cost one."""
    known: dict[str, str] = {}

    def share(text: str) -> str:
        if text in known or len(known) < most:
            return known.setdefault(text, text)
        return text

    return share


def automatic_name(row: int) -> str:
    """Name of a run that has none of its own."""
    return f"row {row}"


def sort_rows(columns: Sequence[Array]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Stable order of the rows by content, and where a new content starts in that order.

    NaN counts as equal to NaN.
    """
    order = np.argsort(columns[0], kind="stable").astype(np.int64)
    starts = np.ones(order.size, dtype=bool)
    starts[1:] = _differ(columns[0][order])
    # The first column tells most rows apart; only those it leaves equal are sorted by the others.
    tied = ~starts
    tied[:-1] |= tied[1:]
    if tied.any() and len(columns) > 1:
        rows, block = order[tied], np.cumsum(starts)[tied]
        rest = [column[rows] for column in columns[1:]]
        order[tied] = rows[np.lexsort([*rest[::-1], block])]
        for column in columns[1:]:
            starts[1:] |= _differ(column[order])
    return order, starts


def _differ(values: Array) -> npt.NDArray[np.bool_]:
    """Whether each value differs from the one before; NaN equals NaN."""
    changed: npt.NDArray[np.bool_] = values[1:] != values[:-1]
    return changed & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))


def group_rows(columns: Sequence[Array]) -> npt.NDArray[np.int64]:
    """Group id of each row, numbered by first appearance; equal rows share an id."""
    order, starts = sort_rows(columns)
    ids = np.empty(order.size, dtype=np.int64)
    ids[order] = np.cumsum(starts) - 1
    first = order[starts]  # the sort is stable, so this is where each content appears first
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[ids]


def content_digest(columns: Mapping[str, Array], names: Sequence[str]) -> str:
    """SHA-256 of column names, values and run names, whatever the order of rows and columns.

    Names made from the row number say nothing about a run, so they do not count.
    """
    keys = sorted(columns)
    labels = ["" if n.startswith("row ") and _AUTOMATIC.fullmatch(n) else n for n in names]
    order, starts = sort_rows([columns[key] for key in keys])
    _break_ties(order, starts, labels)
    digest = hashlib.sha256(json.dumps(keys).encode())
    for key in keys:
        digest.update(columns[key][order].astype("<f8").tobytes())
    # Clean labels hold no line break, so the join is unambiguous.
    digest.update("\n".join([labels[i] for i in order.tolist()]).encode("utf8"))
    return digest.hexdigest()


def _break_ties(
    order: npt.NDArray[np.int64], starts: npt.NDArray[np.bool_], labels: Sequence[str]
) -> None:
    """Sort rows of equal numbers by label, in place."""
    edges = np.append(np.flatnonzero(starts), order.size)
    for block in np.flatnonzero(np.diff(edges) > 1):
        low, high = edges[block], edges[block + 1]
        order[low:high] = sorted(order[low:high].tolist(), key=labels.__getitem__)

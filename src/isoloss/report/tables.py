"""Tables that scroll in their own box, keep exact values in a tooltip, and can be copied."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isoloss.plot.access import mapping, number, text
from isoloss.report.digits import MISSING, exact, percent
from isoloss.report.markup import Markup, tag

_MOST_EXACT = 59  # a longer table keeps the digits shown only, so that the file stays small


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A number in a table: what is shown, and every digit for the tooltip and the copy."""

    shown: str
    digits: str = ""


Entry = Cell | Markup | str | None


def value(given: object, write: Callable[[float], str]) -> Cell:
    """Return a number cell; ``write`` chooses the digits shown."""
    read = number(given)
    shown, digits = write(read), exact(read)
    return Cell(shown=shown, digits=digits if digits != shown else "")


def interval(given: object, write: Callable[[float], str]) -> Cell:
    """Return a cell with the two ends of an interval; level and method go to the tooltip."""
    read = mapping(given)
    low, high = number(read.get("low")), number(read.get("high"))
    if math.isnan(low) and math.isnan(high):
        return Cell(shown=MISSING)
    digits = f"{exact(low)} to {exact(high)}, {described(given)}"
    return Cell(shown=f"{write(low)} – {write(high)}", digits=digits)


def described(given: object) -> str:
    """Say the level and the method of an interval.

    Examples
    --------
    >>> described({"low": 1, "high": 2, "level": 0.9, "method": "case bootstrap"})
    '90 %, case bootstrap'
    """
    read = mapping(given)
    return ", ".join(part for part in (level(read), text(read.get("method"))) if part)


def level(given: object) -> str:
    """Write the level of an interval: ``90 %``; empty when it has none."""
    read = number(mapping(given).get("level"))
    if not 0 < read < 1:
        return ""
    return f"{100 * read:.4g} %"


def table(
    name: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Entry]],
    *,
    caption: str,
    most: int = 300,
) -> Markup:
    """Return a table in its own scrolling box with a copy button, or a line saying it is empty.

    Parameters
    ----------
    name
        Identifier, unique in the document.
    head
        Column titles; a title that ends with ``#`` marks a column of numbers.
    rows
        Cells; plain strings are escaped.
    caption
        What the table holds, also its accessible name.
    most
        Rows shown; the rest is counted.
    """
    if not rows:
        return tag("p", f"{caption}: none.", class_="empty")
    shown = rows[:most]
    if len(shown) > _MOST_EXACT:
        shown = [[_rounded(entry) for entry in row] for row in shown]
    numeric = [title.endswith("#") for title in head]
    titles = [
        tag("th", title.removesuffix("#"), scope="col", class_="n" if is_number else None)
        for title, is_number in zip(head, numeric, strict=True)
    ]
    body = [tag("tr", [_cell(entry) for entry in row]) for row in shown]
    # One class per column on the table, not one per cell: half the bytes of a long table.
    columns = [f"n{i + 1}" for i, is_number in enumerate(numeric) if is_number]
    columns += [f"w{i + 1}" for i, entry in enumerate(shown[0])
                if isinstance(entry, Cell) and not numeric[i]]  # fmt: skip
    if any(isinstance(row[-1], str) and len(row[-1]) > 20 for row in shown):
        columns.append("wordy")
    button = tag("button", "Copy", type="button", class_="copy", data_copy=name, hidden=True,
                 aria_label=f"Copy table: {caption}")  # fmt: skip
    cut = None
    if len(rows) > len(shown):
        cut = tag("p", f"The first {len(shown)} of {len(rows)} rows; study.json holds all of them.",
                  class_="empty")  # fmt: skip
    return tag(
        "div",
        tag("div", tag("span", caption), button, class_="heading"),
        tag(
            "div",
            tag(
                "table",
                tag("caption", caption, class_="unseen"),
                tag("thead", tag("tr", titles)),
                tag("tbody", body),
                id=name,
                class_=" ".join(columns) or None,
            ),
            class_="scroll",
            role="region",
            tabindex="0",
            aria_label=caption,
        ),
        cut,
        class_="table",
    )


def named(name: str) -> Cell:
    """Return a cell with a name on one line; the whole of a long name goes to the tooltip."""
    shown = short(name, 30)
    return Cell(shown=shown or MISSING, digits=name if name != shown else "")


def short(name: str, most: int) -> str:
    """Cut a long name in the middle, where names differ least.

    Examples
    --------
    >>> short("sweep-2026-01-width-1024", 12)
    'sweep-…-1024'
    """
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[: most - 1 - half]}…{name[len(name) - half :]}"


def badge(state: str, label: str) -> Markup:
    """Return a small coloured word; the word carries the meaning, the colour repeats it."""
    return tag("span", label, class_=f"badge {state}")


def signed_percent(read: float) -> str:
    """Write a percentage with its sign."""
    return percent(read, signed=True)


def _rounded(entry: Entry) -> Entry:
    number_like = isinstance(entry, Cell) and entry.digits[:1] in "0123456789-"
    return Cell(shown=entry.shown) if isinstance(entry, Cell) and number_like else entry


def _cell(entry: Entry) -> Markup:
    if isinstance(entry, Cell):
        return tag("td", entry.shown, title=entry.digits or None)
    shown = MISSING if entry is None or entry == "" else entry
    return tag("td", shown)

"""Batches to columns: numbers read, units applied, every bad row found and given its reason."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.runs.columns import POSITIVE, RESOURCES, Roles
from isoloss.runs.flops import FLOPS_PER_PARAMETER_TOKEN
from isoloss.runs.mixture import mixture_note, repeats
from isoloss.runs.notes import Note
from isoloss.runs.numbers import Cells, Problem, read_numbers
from isoloss.runs.problems import Problems
from isoloss.runs.rows import automatic_name, clean, clean_all, sharer, short, sort_rows
from isoloss.runs.source import Source, check_refused
from isoloss.runs.table import Refusal
from isoloss.runs.words import Texts

_PROBLEMS_KEPT = 1000
"""Of a column that may be left out: one is quoted, and a hostile file has millions."""
_SUFFIX_AXES = ("N", "D", "U")
_DERIVED = {"C": ("N", "D"), "D": ("C", "N"), "N": ("C", "D")}


class Gathered:
    """The rows of a source as they accumulate; private to `read_runs`."""

    def __init__(self, roles: Roles, units: Mapping[str, float]) -> None:
        self.roles = roles
        self.units = units
        self.refused: list[Refusal] = []
        self.notes: list[Note] = list(roles.notes)
        self.values: dict[str, Array] = {}
        self.problems: dict[str, Problems] = {}
        self.names: list[str] = []
        self.rows: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._positions = roles.axes | roles.free
        # 350M in a column that is said to be in millions would be a guess.
        self._lettered = set(_SUFFIX_AXES) - set(units)
        self._share = sharer()
        self._text: dict[str, object] = {}
        self._texts = Texts()
        self._labels: dict[str, npt.NDArray[np.uint64]] = {}
        self._marks: npt.NDArray[np.uint64] = np.zeros(0, dtype=np.uint64)

    def read(self, source: Source) -> None:
        """Read every batch; text columns are only remembered as marks that tell rows apart."""
        parts: dict[str, list[Array]] = {axis: [] for axis in self._positions}
        rows, names = [], []
        marks: list[npt.NDArray[np.uint64]] = []
        self.problems = {axis: Problems() for axis in self._positions}
        done = 0
        for batch in source.batches:
            self.refused += batch.refused
            check_refused(self.refused)
            count = len(batch.rows)
            if not count:
                continue
            rows.append(np.asarray(batch.rows, dtype=np.int64))
            mark = np.zeros(count, dtype=np.uint64)
            for axis, position in self._positions.items():
                cells = batch.columns[position]
                if axis not in self._text:
                    values, problems = read_numbers(cells, suffix=axis in self._lettered)
                    if axis in self.roles.free and len(problems) == count:
                        self._text[axis] = _first_text(cells)
                        self.problems[axis] = Problems()
                    else:
                        parts[axis].append(values)
                        self._collect(axis, problems, done, mark)
                        if problems and axis in self.roles.free:
                            found = (cells, values, problems)
                            self._texts.add_some(axis, len(marks), *found)
                if axis in self._text:
                    _mix(mark, self._texts.add(axis, len(marks), cells))
            if self.roles.name is not None:
                names.append(_labels(batch.columns[self.roles.name]))
            marks.append(mark)
            done += count
        if rows:
            self.rows, self._marks = np.concatenate(rows), np.concatenate(marks)
        self._labels = self._texts.marks(parts, len(rows), len(self.rows))
        self.names = list(chain.from_iterable(names))
        for axis, arrays in parts.items():
            if axis not in self._text and arrays:
                self.values[axis] = np.concatenate(arrays)
        self._note_text(source.header)

    def _collect(
        self, axis: str, problems: Mapping[int, Problem], done: int, mark: npt.NDArray[np.uint64]
    ) -> None:
        if axis not in self.roles.optional or len(self.problems[axis]) < _PROBLEMS_KEPT:
            self.problems[axis].add(problems, done)
        for i, problem in problems.items():
            mark[i] ^= np.uint64(hash((axis, problem)) & 0xFFFFFFFFFFFFFFFF)

    def _note_text(self, header: Sequence[str]) -> None:
        for axis, value in self._text.items():
            what = "no numbers" if value is None else f"text, such as {short(value)}"
            column = short(header[self._positions[axis]])
            self.notes.append(
                Note("COLUMN_IGNORED", "info", f"column {column} left out: it holds {what}")
            )

        for axis, names in self.roles.rivals.items():
            if all(name in self._text for name in names):  # text was never a rival
                mark = f"look like {axis};"
                self.notes = [n for n in self.notes if mark not in n.message]

    def finish(self, flops: str) -> npt.NDArray[np.bool_]:
        """Check and derive; return the mask of rows to keep, the others being in ``refused``."""
        self._drop_empty()
        good = np.ones(self.rows.size, dtype=bool)
        for axis in self.roles.required:
            if axis in self.values:
                self._refuse(good, self.problems[axis].items(), axis)
        self._scale()
        for axis in self.roles.required:
            if axis in self.values:
                self._refuse_values(good, axis)
        self._derive(good, flops)
        self._drop_gaps(good)
        self._refuse_duplicates(good)
        self.refused.sort(key=lambda refusal: refusal.row)
        return good

    def name_of(self, i: int) -> str:
        """Name of the run at a position."""
        return (self.names[i] if self.names else "") or automatic_name(int(self.rows[i]))

    def _drop_empty(self) -> None:
        """Forget a resource column without a single value, unless the caller asked for it."""
        for axis in RESOURCES:
            problems = self.problems.get(axis)
            if axis in self.roles.mapped or not problems or len(problems) < self.rows.size:
                continue
            if problems.all_missing():
                del self.values[axis], self.roles.axes[axis]
                self.notes.append(
                    Note("COLUMN_IGNORED", "warning", f"the column for {axis} is empty")
                )

    def _refuse(
        self, good: npt.NDArray[np.bool_], problems: Iterable[tuple[int, Problem]], axis: str
    ) -> None:
        for i, (code, rest) in problems:
            if good[i]:
                good[i] = False
                self._list(i, code, f"{axis} {rest}")

    def _list(self, i: int, code: str, reason: str) -> None:
        """Add a row to those that are refused."""
        refusal = Refusal(int(self.rows[i]), self.name_of(i), code, self._share(reason))
        self.refused.append(refusal)
        check_refused(self.refused)

    def _scale(self) -> None:
        for axis, factor in self.units.items():
            if axis not in self.values:
                raise InputError(
                    f"units: there is no column {short(axis)}; columns: {', '.join(self.values)}"
                )
            with np.errstate(over="ignore"):
                self.values[axis] = self.values[axis] * factor
            self.notes.append(Note("UNITS", "info", f"{axis} was multiplied by {factor:g}"))

    def _refuse_values(self, good: npt.NDArray[np.bool_], axis: str) -> None:
        values = self.values[axis]
        bad = ~np.isfinite(values)
        if axis in POSITIVE:
            bad |= values <= 0
        problems: dict[int, Problem] = {}
        for i in np.flatnonzero(bad & good).tolist():
            if not np.isfinite(values[i]):
                problems[i] = ("NOT_FINITE", f"= {values[i]:g}: not a finite number")
            elif axis == "loss":
                problems[i] = (
                    "NOT_POSITIVE",
                    f"= {values[i]:g}: laws need the logarithm of the loss, so it must be above 0",
                )
            else:
                problems[i] = ("NOT_POSITIVE", f"= {values[i]:g}: must be above 0")
        self._refuse(good, problems.items(), axis)

    def _derive(self, good: npt.NDArray[np.bool_], flops: str) -> None:
        have = [axis for axis in ("N", "D", "C") if axis in self.values]
        if len(have) == 3 and good.any():
            self.notes.append(_flops_ratio(*(self.values[a][good] for a in ("N", "D", "C"))))
        if len(have) != 2 or flops == "given":
            return
        (axis,) = {"N", "D", "C"} - set(have)
        x, y = (self.values[a] for a in _DERIVED[axis])
        with np.errstate(all="ignore"):
            factor = float(FLOPS_PER_PARAMETER_TOKEN)
            self.values[axis] = factor * x * y if axis == "C" else x / (factor * y)
        self._refuse_values(good, axis)
        formula = {"C": "6 N D", "D": "C / (6 N)", "N": "C / (6 D)"}[axis]
        self.notes.append(Note(f"DERIVED_{axis}", "info", f"{axis} was derived as {formula}"))

    def _drop_gaps(self, good: npt.NDArray[np.bool_]) -> None:
        """Leave out columns nothing depends on when a kept row lacks them."""
        for axis in self.roles.optional:
            if axis not in self.values or np.isfinite(self.values[axis][good]).all():
                continue
            first = int(np.flatnonzero(good & ~np.isfinite(self.values[axis]))[0])
            _, rest = self.problems[axis].at(first)
            count = int((~np.isfinite(self.values[axis][good])).sum())
            self.notes.append(
                Note(
                    "COLUMN_IGNORED",
                    "info",
                    f"column {short(axis)} left out: {count} of the rows have no number there "
                    f"(row {self.rows[first]}: {rest}); to use it and refuse those rows, "
                    f"--columns {axis}={axis}",
                )
            )
            self._text[axis] = None

    def _refuse_duplicates(self, good: npt.NDArray[np.bool_]) -> None:
        """Refuse a row that repeats an earlier one in every number, in name and in text."""
        kept = np.flatnonzero(good)
        if kept.size < 2:
            return
        # The loss tells most rows apart, so it goes first.
        axes = sorted(self.values, key=lambda axis: axis != "loss")
        order, starts = sort_rows([self.values[axis][kept] for axis in axes])
        edges = np.append(np.flatnonzero(starts), order.size)
        problems: dict[int, int] = {}
        for block in np.flatnonzero(np.diff(edges) > 1):
            seen: dict[tuple[str, int], int] = {}
            for i in kept[order[edges[block] : edges[block + 1]]].tolist():
                key = (self.names[i] if self.names else "", int(self._marks[i]))
                first = seen.setdefault(key, i)
                if first != i:
                    problems[i] = first
        for i, first in problems.items():
            good[i] = False
            self._list(i, "DUPLICATE", f"repeats row {self.rows[first]} in every column")

    def note_mixture(self, good: npt.NDArray[np.bool_]) -> list[str]:
        """Warn when text that was left out tells apart runs that the numbers cannot.

        Returns the columns of text that repeat, and so may still name experiments.
        """
        columns = self.columns(good)
        marks = {a: m[good] for a, m in self._labels.items() if a not in columns}
        named = sorted(self.roles.named & set(columns))
        resources = [a for a in RESOURCES if a in columns] or named
        note = mixture_note(columns, marks, self._texts.words, resources, named)
        if note:
            self.notes.append(note)
        return [axis for axis in sorted(marks) if repeats(marks[axis])]

    def columns(self, good: npt.NDArray[np.bool_]) -> dict[str, Array]:
        """Columns of the kept rows: standard axes first, then the free ones in source order."""
        first = [a for a in ("N", "D", "C", "U", "loss", "seed", "lr") if a in self.values]
        names = first + [a for a in self.values if a not in first]
        return {a: self.values[a][good] for a in names if a not in self._text}


def _flops_ratio(N: Array, D: Array, C: Array) -> Note:
    log = np.log(C) - np.log(N) - np.log(D) - np.log(FLOPS_PER_PARAMETER_TOKEN)
    low, middle, high = (float(v) for v in np.quantile(log, [0, 0.5, 1]))
    text = f"C is as given; the median of C / (6 N D) is {_times(middle)}"
    if high - low > np.log(2):
        text += (
            f" but it varies from {_times(low)} to {_times(high)}: are N, D and C in one unit and "
            "convention in every row?"
        )
    elif abs(middle) > np.log(2):
        text += ": a unit or a convention may differ (N without embeddings, D in millions)"
    else:
        return Note("FLOPS_RATIO", "info", text)
    return Note("FLOPS_RATIO", "warning", text)


def _times(log: float) -> str:
    return f"{np.exp(log):.3g}" if abs(log) < 600 else f"1e{log / np.log(10):.0f}"


def _first_text(cells: Cells) -> str | None:
    return next((c for c in cells if isinstance(c, str) and c.strip()), None)


def _listed(cells: Cells) -> Iterable[Any]:
    return cells.tolist() if isinstance(cells, np.ndarray) else cells


def _labels(cells: Cells) -> list[str]:
    given = list(_listed(cells))
    if set(map(type, given)) == {str}:
        return clean_all(given)
    return [_label(cell) for cell in given]


def _label(cell: object) -> str:
    if isinstance(cell, str):
        return clean(cell)
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return ""
    if isinstance(cell, float):  # an id column with gaps arrives as floats
        return "" if math.isnan(cell) else f"{cell:.17g}"
    try:
        return clean(str(cell))
    except ValueError:  # CPython refuses to print integers of more than 4300 digits
        return ""


def _mix(mark: npt.NDArray[np.uint64], label: npt.NDArray[np.uint64]) -> None:
    """Fold a text column into the marks; only equality within one read matters."""
    mark *= np.uint64(1000003)
    mark ^= label

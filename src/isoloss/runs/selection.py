"""Rows that a caller asked for: conditions bound to the columns of a source, and what they met."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.runs.columns import Roles, listed, squash
from isoloss.runs.notes import Note
from isoloss.runs.numbers import Cells
from isoloss.runs.rows import LABEL_LIMIT, short
from isoloss.runs.source import Batch
from isoloss.runs.table import Runs
from isoloss.runs.where import Condition, cell_number, cell_text

_VALUES_KEPT = 10_000
"""Distinct values of one column that are remembered, for messages."""
_VALUES_SHOWN = 6
_FEW = 10
"""Below this many rows, `FEW_RUNS` is noted too."""
_DERIVED = {"C": {"N", "D"}, "D": {"C", "N"}, "N": {"C", "D"}}
_COMPARE = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


class Test:
    """One condition, with the values that its column was seen to hold."""

    __test__ = False  # not for pytest

    def __init__(self, condition: Condition, *, factor: float = 1.0, suffix: bool = False) -> None:
        self.condition = condition
        self.hits = Counter[str]()
        self.held = 0
        self.seen = Counter[str]()
        self.low, self.high = math.inf, -math.inf
        self.not_numbers = 0
        self._factor = factor
        self._suffix = suffix
        self._wanted = [(value, cell_number(value)) for value in condition.values]

    def mask(self, cells: Cells) -> list[bool]:
        """Whether each cell meets the condition."""
        plain = cells.tolist() if isinstance(cells, np.ndarray) else cells
        try:
            counts = Counter(plain)
            verdicts = {cell: self._judge(cell, count) for cell, count in counts.items()}
            mask = [verdicts[cell] for cell in plain]
        except TypeError:  # cells of foreign kinds that cannot be hashed
            mask = [self._judge(cell, 1) for cell in plain]
        self.held += sum(mask)
        return mask

    def _judge(self, cell: Any, count: int) -> bool:
        text, number = cell_text(cell), cell_number(cell, suffix=self._suffix) * self._factor
        label = text[:LABEL_LIMIT]
        if label in self.seen or len(self.seen) < _VALUES_KEPT:
            self.seen[label] += count
        if math.isnan(number):
            self.not_numbers += count
        else:
            self.low, self.high = min(self.low, number), max(self.high, number)
        if self.condition.compares:
            sign = self.condition.sign
            return not math.isnan(number) and bool(_COMPARE[sign](number, self._wanted[0][1]))
        found = False
        for value, wanted in self._wanted:
            if math.isnan(number) or math.isnan(wanted):
                same = value == text
            else:
                same = math.isclose(number, wanted, rel_tol=1e-12)
            if same:
                self.hits[value] += count
                found = True
        return found is (self.condition.sign == "=")

    def check(self) -> None:
        """Refuse a value that no row holds: it is a slip, or the wrong table."""
        if not self.seen:
            return
        name = short(self.condition.column)
        if self.condition.compares:
            if self.held:
                return
            span = f"{name} goes from {self.low:.6g} to {self.high:.6g}"
            if self.low > self.high:
                span = f"{name} holds {self._values()}; compare text with = or !="
            raise InputError(f"where: no row has {self.condition}; {span}")
        for value in self.condition.values:
            if not self.hits[value]:
                near = _nearest(value, [text for text, _ in self.seen.most_common(1000)])
                hint = f"; did you mean {short(near)}?" if near else ";"
                raise InputError(
                    f"where: no row has {name} = {short(value)}{hint} {name} holds {self._values()}"
                )
        if not self.held:
            raise InputError(f"where: every row is left out by {self.condition}")

    def _values(self) -> str:
        ordered = sorted(self.seen, key=lambda text: (-self.seen[text], text))
        text = ", ".join(short(value) for value in ordered[:_VALUES_SHOWN])
        rest = len(ordered) - _VALUES_SHOWN
        most = "at least " if len(self.seen) >= _VALUES_KEPT else ""
        return text + (f" and {most}{rest} other values" if rest > 0 else "")


class Selection:
    """Conditions on the rows of one source; private to `read_runs`."""

    def __init__(
        self,
        conditions: Sequence[Condition],
        header: Sequence[str],
        roles: Roles,
        units: Mapping[str, float],
        flops: str = "6ND",
    ) -> None:
        self.rows = 0
        self.kept = 0
        self.tests: list[tuple[int, Test]] = []
        self.late: list[tuple[str, Test]] = []
        lettered = {"N", "D", "U"} - set(units)
        axes = {position: axis for axis, position in roles.axes.items()}
        for condition in conditions:
            position = _find(condition.column, header, roles, flops)
            if position is None:
                self.late.append((condition.column, Test(condition)))
                continue
            axis = axes.get(position, header[position])
            test = Test(condition, factor=units.get(axis, 1.0), suffix=axis in lettered)
            self.tests.append((position, test))

    def __bool__(self) -> bool:
        return bool(self.tests or self.late)

    def batches(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass on the rows that meet every condition on columns of the source."""
        for batch in batches:
            mask = np.ones(len(batch.rows), dtype=bool)
            for position, test in self.tests:
                mask &= np.array(test.mask(batch.columns[position]), dtype=bool)
            self.rows += mask.size
            self.kept += int(mask.sum())
            if mask.all():
                yield batch
                continue
            chosen = mask.tolist()
            columns = [
                cells[mask] if isinstance(cells, np.ndarray) else list(compress(cells, chosen))
                for cells in batch.columns
            ]
            yield Batch(list(compress(batch.rows, chosen)), columns, batch.refused)

    def narrow(self, values: Mapping[str, Array], good: npt.NDArray[np.bool_]) -> None:
        """Apply, in place, the conditions on an axis that had to be derived first."""
        self.check()
        before = int(good.sum())
        for axis, test in self.late:
            if axis not in values:
                raise InputError(f"where: {axis} could not be derived, so no row can be told by it")
            keep = np.array(test.mask(values[axis][good]), dtype=bool)
            test.check()
            good[np.flatnonzero(good)[~keep]] = False
        self.kept -= before - int(good.sum())
        self.check()

    def check(self) -> None:
        """Refuse conditions that no row meets, alone or together."""
        for _, test in self.tests:
            test.check()
        if self.rows and not self.kept:
            every = [test for _, test in (*self.tests, *self.late)]
            shown = ", ".join(f"{t.condition} ({t.held} rows)" for t in every)
            raise InputError(f"where: no row meets all conditions together: {shown}")

    def __str__(self) -> str:
        return ", ".join(str(t.condition) for _, t in (*self.tests, *self.late))

    def note(self, varying: Sequence[str] = ()) -> Note:
        """Say how many rows were left out, and why, and which columns of text still vary."""
        text = (
            f"{self.kept:,} of {self.rows:,} rows were selected by {self}; the other "
            f"{self.rows - self.kept:,} were left out as asked"
        )
        for _, test in self.tests:
            if test.condition.compares and test.not_numbers:
                text += (
                    f"; {test.not_numbers:,} of them because {short(test.condition.column)} holds "
                    "no number there"
                )
        if varying:
            text += f"; columns of text that still vary: {listed(varying, _VALUES_SHOWN)}"
        if self.kept < _FEW:
            text += "; few laws can be told apart by so few: loosen a condition"
            return Note("SELECTED", "warning", text)
        return Note("SELECTED", "info", text)


def select_runs(runs: Runs, conditions: Sequence[Condition]) -> Runs:
    """Keep the runs that meet every condition, for runs that were read before."""
    header = [*runs.columns, "name"]
    roles = Roles(axes={axis: i for i, axis in enumerate(runs.columns)}, name=len(runs.columns))
    selection = Selection(conditions, header, roles, {}, flops="given")
    cells: list[Cells] = [*runs.columns.values(), list(runs.names)]
    (batch,) = selection.batches(iter([Batch(range(len(runs)), cells)]))
    selection.check()
    chosen = runs.select(list(batch.rows))
    return replace(
        chosen,
        source=f"{runs.source} where {selection}",
        notes=(*chosen.notes, selection.note()),
    )


def _find(name: str, header: Sequence[str], roles: Roles, flops: str) -> int | None:
    """Position of a column; None for an axis that is derived from two others."""
    if name in roles.axes:
        return roles.axes[name]
    if name in header:
        return header.index(name)
    if name == "name" and roles.name is not None:
        return roles.name
    if flops != "given" and _DERIVED.get(name, {""}) <= set(roles.axes):
        return None
    loose = [i for i, column in enumerate(header) if squash(column) == squash(name)]
    if len(loose) == 1:
        return loose[0]
    if len(loose) > 1:
        both = " and ".join(short(header[i]) for i in loose)
        raise InputError(f"where: {short(name)} may be {both}; write one of them as it is")
    near = _nearest(name, header)
    hint = f"; did you mean {short(near)}?" if near else ";"
    raise InputError(f"where: there is no column {short(name)}{hint} columns: {listed(header)}")


def _nearest(text: str, known: Sequence[str]) -> str | None:
    """Find the known text that is most like this one, case aside, if any is."""
    folded = {squash(k): k for k in reversed(known) if len(k) <= LABEL_LIMIT}
    close = get_close_matches(squash(text), folded, 1, 0.6)
    return folded[close[0]] if close else None

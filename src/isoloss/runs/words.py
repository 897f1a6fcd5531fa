"""Columns of text, kept as marks that tell rows apart, and as a few words for messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.runs.numbers import Cells, Problem
from isoloss.runs.rows import LABEL_LIMIT
from isoloss.runs.where import cell_text

Marks = npt.NDArray[np.uint64]
_WORDS_KEPT = 10_000
"""Distinct texts of one column whose words are remembered."""
_WORDS_IN_ALL = 200_000
"""The same over all columns: words only serve messages, and columns may be thousands."""
_WORDY = 0.1
"""Share of text from which a column of numbers may name experiments; less is a slip."""


class Texts:
    """Marks of the text in a source, batch by batch; equal marks are equal texts."""

    def __init__(self) -> None:
        self.words: dict[str, dict[int, str]] = {}
        self._found: dict[str, dict[int, Marks]] = {}
        self._count = Counter[str]()
        self._known = 0

    def add(self, axis: str, batch: int, cells: Cells) -> Marks:
        """Take in a batch of a column that holds text alone; return its marks."""
        marks = self._mark(axis, cells)
        self._found.setdefault(axis, {})[batch] = marks
        self._count[axis] += marks.size
        return marks

    def add_some(
        self, axis: str, batch: int, cells: Cells, values: Array, problems: Mapping[int, Problem]
    ) -> None:
        """Take in a batch of numbers with text among them."""
        texts = sum(code == "NOT_A_NUMBER" for code, _ in problems.values())
        if texts:
            marks = self._mark(axis, cells)
            self._found.setdefault(axis, {})[batch] = np.where(
                np.isfinite(values), _bits(values), marks
            )
            self._count[axis] += texts

    def _mark(self, axis: str, cells: Cells) -> Marks:
        plain = cells.tolist() if isinstance(cells, np.ndarray) else list(cells)
        marks = np.fromiter(map(_hash, plain), dtype=np.int64, count=len(plain)).view(np.uint64)
        for i in np.sort(np.unique(marks, return_index=True)[1]).tolist():
            if not self._know(axis, int(marks[i]), plain[i]):
                break
        return marks

    def _know(self, axis: str, mark: int, cell: Any) -> bool:
        """Remember the word of a mark; whether there is room for more."""
        words = self.words.setdefault(axis, {})
        if len(words) >= _WORDS_KEPT or self._known >= _WORDS_IN_ALL:
            return False
        if mark not in words:
            words[mark] = cell_text(cell)[:LABEL_LIMIT]
            self._known += 1
        return True

    def marks(
        self, parts: Mapping[str, Sequence[Array]], batches: int, rows: int
    ) -> dict[str, Marks]:
        """Join the batches of each column that may name experiments.

        ``parts`` are the numbers of each column in the batches before it turned to text.
        """
        joined = {}
        for axis, found in self._found.items():
            if self._count[axis] < _WORDY * rows:
                continue
            pieces = [found[k] if k in found else _bits(parts[axis][k]) for k in range(batches)]
            joined[axis] = np.concatenate(pieces)
            for part in parts[axis]:
                self._know_numbers(axis, part)
        return joined

    def _know_numbers(self, axis: str, values: Array) -> None:
        for value in np.unique(values[np.isfinite(values)])[:_WORDS_KEPT]:
            if not self._know(axis, int(_bits(value.reshape(1))[0]), value):
                break


def _bits(values: Array) -> Marks:
    return (values + 0.0).view(np.uint64)  # one zero: -0.0 and 0.0 are equal


def _hash(cell: Any) -> int:
    try:
        return hash(cell)
    except TypeError:
        return hash(repr(cell))

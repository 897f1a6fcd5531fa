"""Where the cells of a column cannot be read, and why, in little memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping

from isoloss.runs.numbers import Problem

_NONE: Problem = ("", "is not finite")
_SHARED = 1000


class Problems:
    """Positions of bad cells with their problems, in 16 bytes each: a hostile file has millions."""

    def __init__(self) -> None:
        self._places = array("q")
        self._found: list[Problem] = []
        self._shared: dict[Problem, Problem] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, problems: Mapping[int, Problem], start: int) -> None:
        """Take the problems of a batch that starts at a position; positions only rise."""
        for i, problem in problems.items():
            self._places.append(start + i)
            if problem in self._shared or len(self._shared) < _SHARED:
                problem = self._shared.setdefault(problem, problem)
            self._found.append(problem)

    def items(self) -> Iterator[tuple[int, Problem]]:
        """Positions and problems, in order."""
        return zip(self._places, self._found, strict=True)

    def at(self, place: int) -> Problem:
        """Look up one position."""
        i = bisect_left(self._places, place)
        found = i < len(self._places) and self._places[i] == place
        return self._found[i] if found else _NONE

    def all_missing(self) -> bool:
        """Whether every problem is an absent value."""
        return all(code == "MISSING" for code, _ in self._found)

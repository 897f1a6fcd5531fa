"""Several tables as one, refused where their numbers do not mean the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from isoloss.errors import InputError
from isoloss.runs.notes import Note
from isoloss.runs.rows import short
from isoloss.runs.table import Runs


def combine_runs(tables: Sequence[Runs]) -> Runs:
    """Put tables under each other; their conventions must agree word for word.

    N with and without embeddings, tokens and examples, 6 N D and counted FLOPs are different
    axes: a law through both is a law of neither. Convert first (`convert_runs`), or say by
    ``read_runs(..., conventions=...)`` what a table counts. Columns that a table lacks are left
    out, with a note.

    Raises
    ------
    InputError
        Fewer than one table, conventions that differ, or no column that all have.

    Examples
    --------
    >>> one = Runs(columns={"N": [1e6, 2e6], "loss": [4.0, 3.5]})
    >>> len(combine_runs([one, one]))
    4
    >>> from dataclasses import replace
    >>> from isoloss.runs import Conventions
    >>> other = replace(one, conventions=Conventions(N="non-embedding parameters"))
    >>> combine_runs([one, other])
    Traceback (most recent call last):
    ...
    isoloss.errors.InputError: tables of different conventions are not combined: ...
    """
    tables = list(tables)
    if not tables or not all(isinstance(t, Runs) for t in tables):
        raise InputError("tables: expected one Runs or more")
    if len(tables) == 1:
        return tables[0]
    _refuse_mixing(tables)
    shared = [name for name in tables[0].columns if all(name in t for t in tables)]
    if not shared:
        raise InputError("tables: no column is in all of them")
    notes = [note for t in tables for note in t.notes]
    lost = sorted({name for t in tables for name in t.columns} - set(shared))
    if lost:
        listed = ", ".join(short(name) for name in lost[:8]) + (" ..." if len(lost) > 8 else "")
        notes.append(Note("COLUMN_IGNORED", "warning", f"columns of some tables only: {listed}"))
    columns: dict[str, Any] = {n: np.concatenate([t[n] for t in tables]) for n in shared}
    return Runs(
        columns=columns,
        names=tuple(name for t in tables for name in t.names),
        conventions=tables[0].conventions,
        source=" + ".join(dict.fromkeys(t.source for t in tables)),
        refused=tuple(r for t in tables for r in t.refused),
        notes=tuple(dict.fromkeys(notes)),
    )


def _refuse_mixing(tables: Sequence[Runs]) -> None:
    first = asdict(tables[0].conventions)
    for table in tables[1:]:
        other = asdict(table.conventions)
        for axis, meaning in first.items():
            if _plain(meaning) != _plain(other[axis]):
                raise InputError(
                    f"tables of different conventions are not combined: {axis} is "
                    f"{meaning or 'not said'!r} in {short(tables[0].source)} and "
                    f"{other[axis] or 'not said'!r} in {short(table.source)}; convert one of them, "
                    f"or say what it counts with conventions={{{axis!r}: ...}}"
                )


def _plain(meaning: str) -> str:
    return " ".join(meaning.casefold().split())

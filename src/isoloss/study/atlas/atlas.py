"""From a folder of releases to the table of theirs against ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from isoloss.errors import InputError
from isoloss.runs.atlas import ReleasedTable, find_tables
from isoloss.study.atlas import chinchilla, datablations, gadre, porian, revisiting
from isoloss.study.atlas.rows import Atlas, AtlasRow

_COMPARE: dict[str, Callable[[Mapping[str, ReleasedTable]], list[AtlasRow]]] = {
    "chinchilla": chinchilla.compare,
    "datablations": datablations.compare,
    "gadre": gadre.compare,
    "porian": porian.compare,
    "revisiting": revisiting.compare,
}


def atlas(folder: Path | str, *, only: Sequence[str] = ()) -> Atlas:
    r"""Fit every released table that is found, as its authors did and as isoloss does.

    Parameters
    ----------
    folder
        Holds copies of one or more releases; see `isoloss.runs.atlas.find_tables`.
    only
        Families to compare: ``chinchilla``, ``datablations``, ``gadre``, ``porian``,
        ``revisiting``; all of those that are found by default.

    Raises
    ------
    InputError
        No known release in the folder, not those asked for, or a damaged file.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> N, C = np.repeat([1e8, 1e9, 1e10], 4), np.tile([1e19, 1e20, 1e21, 1e22], 3)
    >>> loss = 1.8 + 480 * N**-0.35 + 2100 * (C / (6 * N)) ** -0.37
    >>> with tempfile.TemporaryDirectory() as name:
    ...     lines = [f"{n},{c},{v}" for n, c, v in zip(N, C, loss)]
    ...     text = "\n".join(["Model Size,Training FLOP,loss", *lines]) + "\n"
    ...     _ = (Path(name) / "svg_extracted_data.csv").write_text(text)
    ...     found = atlas(name)
    >>> found.rows[0].quantity, round(found.rows[0].same, 4)
    ('E', 1.8)
    """
    unknown = [name for name in only if name not in _COMPARE]
    if unknown:
        raise InputError(f"only = {unknown[0]!r}: known are {', '.join(_COMPARE)}")
    tables = tuple(t for t in find_tables(folder) if not only or t.family in only)
    if not tables:
        raise InputError(f"{folder}: nothing of {', '.join(only)} is there")
    families: dict[str, dict[str, ReleasedTable]] = defaultdict(dict)
    for table in tables:
        families[table.family][table.name] = table
    rows = [
        row
        for family, compare in _COMPARE.items()
        if family in families
        for row in compare(families[family])
    ]
    return Atlas(rows=tuple(rows), tables=tables)

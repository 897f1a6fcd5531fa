"""Which releases lie in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from isoloss.errors import InputError
from isoloss.runs.atlas import chinchilla, datablations, gadre, porian, revisiting
from isoloss.runs.atlas.table import ReleasedTable

_DEPTH = 4
_FOLDERS = 2_000
_READERS = (chinchilla, datablations, gadre, porian, revisiting)


def find_tables(folder: Path | str) -> tuple[ReleasedTable, ...]:
    r"""Read every released table that is known and lies in a folder, at most four levels down.

    A release is told by the names and headers of its files. Links are not followed; a file that is
    one is an error. A copy of a table counts once. Pickles are never opened: where a release holds
    nothing else, its tables must be converted to CSV first.

    Parameters
    ----------
    folder
        A copy of one or more of the repositories.

    Raises
    ------
    InputError
        No folder, nothing known in it, a known file that is damaged, or two tables of one name
        that differ.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     text = "Model Size,Training FLOP,loss\n1e8,6e17,3.9\n2e8,2e18,3.5\n"
    ...     _ = (Path(name) / "svg_extracted_data.csv").write_text(text)
    ...     find_tables(name)
    (ReleasedTable(chinchilla: 2 rows; no licence file),)
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{folder}: no such folder; give one that holds released tables")
    found: dict[str, tuple[Path, ReleasedTable]] = {}
    for seen, (name, inner, _) in enumerate(os.walk(root)):
        here = Path(name)
        inner.sort()
        if seen >= _FOLDERS:
            raise InputError(f"{folder}: more than {_FOLDERS:,} folders; give a smaller one")
        if len(here.relative_to(root).parts) >= _DEPTH:
            inner.clear()
        for reader in _READERS:
            for table in reader.read(here):
                first, same = found.setdefault(table.name, (here, table))
                if same.runs.digest != table.runs.digest:
                    raise InputError(
                        f"{table.name} lies in {first} and in {here}, and they differ; "
                        "give the folder of one of them"
                    )
    if not found:
        raise InputError(
            f"{folder}: none of the known releases ({', '.join(r.FAMILY for r in _READERS)}); "
            "the page of the atlas lists the files of each"
        )
    return tuple(table for _, table in found.values())

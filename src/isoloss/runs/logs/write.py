"""Write an import: the table, the findings beside it, and the curves, whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import os
import tempfile
from pathlib import Path

from isoloss._core.serial import to_json, write_atomic
from isoloss.errors import InputError
from isoloss.runs.logs.result import CURVE_COLUMNS, ImportedRuns


def side_file(table: Path) -> Path:
    """Return the path of the findings beside a table: ``runs.csv``, ``runs.import.json``."""
    return table.with_name(f"{table.stem}.import.json")


def write_table(found: ImportedRuns, path: Path) -> None:
    """Write the table and, beside it, every choice and finding.

    A path that ends in ``.json`` gets the runs as `Runs.from_dict` reads them, with conventions.

    Raises
    ------
    InputError
        The path is that of a log that was read.
    """
    for target in (path, side_file(path)):
        _not_a_log(found, target)
    as_json = path.suffix.lower() == ".json"
    write_atomic(side_file(path), to_json(found))
    write_atomic(path, to_json(found.runs) if as_json else found.to_csv())


def write_curves(found: ImportedRuns, path: Path) -> None:
    """Write the clean curves as one long table, a log at a time.

    Raises
    ------
    InputError
        The path is that of a log that was read.
    """
    _not_a_log(found, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(CURVE_COLUMNS)
            writer.writerows(found.curves())
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _not_a_log(found: ImportedRuns, path: Path) -> None:
    read = {p.resolve() for log, _ in found.sources for p in log.paths}
    if path.resolve() in read:
        raise InputError(f"{path} is one of the logs; write the table elsewhere")

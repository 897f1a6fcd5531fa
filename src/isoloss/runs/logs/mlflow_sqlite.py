"""MLflow's database: read in place, never written, and trusted in nothing."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from isoloss.errors import InputError
from isoloss.runs.logs.mlflow_files import set_status, set_tags
from isoloss.runs.logs.record import MAX_RUNS, Log, LoggedRun, Wanted

MAGIC = b"SQLite format 3\x00"
_STEPS = 200_000
"""Instructions of the database's machine between two looks at how many there were."""
_MAX_LOOKS = 500_000
_FAULTS = (sqlite3.Error, UnicodeDecodeError, OverflowError)
"""What Python's sqlite3 raises on damage; its own messages may quote bytes that are no text."""
_COLUMNS = {
    "runs": ("run_uuid",),
    "metrics": ("key", "value", "run_uuid"),
    "params": ("key", "value", "run_uuid"),
    "tags": ("key", "value", "run_uuid"),
}


def read_mlflow_sqlite(log: Log, wanted: Wanted) -> Iterator[LoggedRun]:
    """Read the runs of a database one after the other.

    Raises
    ------
    InputError
        Damaged from the start, or without MLflow's tables.
    """
    path = log.paths[0]
    try:
        with closing(_open(path)) as base:
            have = _tables(base)
            for table in ("runs", "metrics"):
                if table not in have:
                    raise InputError(
                        f"the database has no table {table!r} with MLflow's columns; pass the "
                        "backend store of MLflow"
                    )
            yield from _runs(base, have, log, wanted)
    except _FAULTS as error:
        raise InputError(f"the database cannot be read: {error}; copy it again") from None


def _open(path: Path) -> sqlite3.Connection:
    """Open without any right to write.

    Where nobody writes (no log of changes beside the file), it counts as immutable, so that the
    folder may be read-only too.
    """
    journal = path.with_name(path.name + "-wal")
    still = not (journal.exists() and journal.stat().st_size)
    uri = f"file:{quote(str(path.absolute()))}?mode=ro" + ("&immutable=1" if still else "")
    base = sqlite3.connect(uri, uri=True)
    base.text_factory = lambda data: data.decode("utf8", "replace")
    base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 16 * 2**20)
    looks = 0

    def stop() -> int:
        nonlocal looks
        looks += 1
        return looks > _MAX_LOOKS

    base.set_progress_handler(stop, _STEPS)
    for setting in ("query_only=1", "trusted_schema=0", "cell_size_check=1"):
        base.execute(f"PRAGMA {setting}")
    return base


def _tables(base: sqlite3.Connection) -> dict[str, set[str]]:
    """Columns of the tables that are of use; views are not, for they can run anything."""
    found: dict[str, set[str]] = {}
    rows = base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    for name in {str(row[0]) for row in rows} & set(_COLUMNS):
        columns = {str(row[1]) for row in base.execute(f"PRAGMA table_info({name})")}
        if set(_COLUMNS[name]) <= columns:
            found[name] = columns
    return found


def _runs(
    base: sqlite3.Connection, have: dict[str, set[str]], log: Log, wanted: Wanted
) -> Iterator[LoggedRun]:
    def column(name: str) -> str:
        return name if name in have["runs"] else "null"

    fields = ", ".join(map(column, ("run_uuid", "name", "status", "lifecycle_stage")))
    listed = base.execute(f"SELECT {fields} FROM runs LIMIT {MAX_RUNS}").fetchall()
    for uuid, name, status, stage in listed:
        run = LoggedRun(name="", kind=log.kind, source=log.label, run_id=str(uuid))
        damage: Exception | None = None
        try:
            for key, value in _pairs(base, have, "params", uuid):
                run.set(key, value)
            tags = dict(_pairs(base, have, "tags", uuid))
            run.name = str(name or tags.get("mlflow.runName") or uuid)
            set_tags(run, tags)
            set_status(run, str(status or ""), str(stage or ""))
            _metrics(base, have["metrics"], uuid, run, wanted)
        except _FAULTS as error:
            damage = error
        run.name = run.name or str(name or uuid)
        if damage is not None:
            run.note(
                "TRUNCATED",
                "warning",
                f"the database cannot be read to the end: {damage}",
                "copy it again if it is whole elsewhere",
            )
        yield run


def _pairs(
    base: sqlite3.Connection, have: dict[str, set[str]], table: str, uuid: object
) -> list[tuple[str, str]]:
    if table not in have:
        return []
    rows = base.execute(f"SELECT key, value FROM {table} WHERE run_uuid = ? LIMIT 20000", (uuid,))
    return [(str(key), str(value)) for key, value in rows]


def _metrics(
    base: sqlite3.Connection, columns: set[str], uuid: object, run: LoggedRun, wanted: Wanted
) -> None:
    step = "step" if "step" in columns else "0"
    nan = "is_nan" if "is_nan" in columns else "0"
    order = "timestamp" if "timestamp" in columns else step
    rows = base.execute(
        f"SELECT key, value, {step}, {nan}, {order} FROM metrics WHERE run_uuid = ? "
        f"ORDER BY key, {order}, {step}",
        (uuid,),
    )
    for key, value, at, is_nan, _ in rows:
        if isinstance(value, (int, float)) and isinstance(at, (int, float)) and math.isfinite(at):
            run.log(str(key), float(at), math.nan if is_nan else float(value), wanted)

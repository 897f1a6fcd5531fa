"""One attempt at a task, in a worker: its rows on disk before they are sent, errors as rows."""

from __future__ import annotations

import contextlib
import json
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isoloss._core.serial import to_json, write_atomic
from isoloss.errors import IsolossError
from isoloss.sweep import tasks
from isoloss.sweep.data.place import without_places
from isoloss.sweep.ledger import ended
from isoloss.sweep.spec import RunSpec

MAX_REASON = 1_000


def attempt(task: tasks.Task, folder: str, device: str) -> list[dict[str, Any]]:
    """Do a task; whatever goes wrong comes back as rows with status ``failed``.

    Rows of runs that ended are also written to ``folder``/rows, so that a sweep whose driver died
    finds them when it starts again. Where the worker does not see the folder, rows are sent alone.
    """
    room = Path(folder)
    shared = (room / "rows").is_dir()
    checkpoint = room / "checkpoints" / f"{task.name}.npz" if shared else None
    try:
        rows = tasks.do_task(task, device=device, checkpoint=checkpoint)
        if [row["run"] for row in rows] != [spec.name for spec in task.specs]:
            by_name = {row["run"]: row for row in rows}
            rows = [by_name[spec.name] for spec in task.specs]
    except Exception as error:
        return [failed_row(spec, error) for spec in task.specs]
    if shared:
        for row in rows:
            # A disk that is full here may not be full where the ledger is; the row is sent anyhow.
            with contextlib.suppress(OSError):
                write_atomic(room / "rows" / f"{row['run']}.json", to_json(row, indent=None))
    return rows


def failed_row(spec: RunSpec, error: BaseException) -> dict[str, Any]:
    """Return the row of a run that came to no result: why, and where in the code."""
    known = isinstance(error, IsolossError)
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    reason = without_places(reason, spec.data.files)
    frames = traceback.extract_tb(error.__traceback__)
    row: dict[str, Any] = {
        "run": spec.name,
        "status": "failed",
        "reason": reason[:MAX_REASON],
        "spec": spec.record(),
        "D": spec.D,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if frames and not known:
        last = frames[-1]
        # The file's name without its folder: a path names the user.
        row["where"] = f"{Path(last.filename).name}, line {last.lineno}, in {last.name}"
    return row


def left_rows(room: Path) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    """Rows that workers wrote and no driver took; None where a file holds no row of a result."""
    for path in sorted((room / "rows").glob("*.json")):
        try:
            row = json.loads(path.read_text(encoding="utf8"))
        except (ValueError, RecursionError):
            row = None
        good = isinstance(row, dict) and row.get("run") == path.stem and ended(row)
        yield path, row if good else None

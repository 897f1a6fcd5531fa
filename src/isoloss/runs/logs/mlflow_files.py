"""MLflow's file store: a folder per run, a text file per metric, parameter and tag."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from isoloss.runs.logs.flat_yaml import read_flat_yaml
from isoloss.runs.logs.record import MAX_NAMES, Log, LoggedRun, Wanted, as_number

_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_LINE = 1000


def is_run_folder(folder: Path) -> bool:
    """Whether a folder is a run of the file store."""
    return (folder / "meta.yaml").is_file() and (folder / "metrics").is_dir()


def read_mlflow_files(log: Log, wanted: Wanted) -> Iterator[LoggedRun]:
    """Read the folder of one run."""
    folder = log.paths[0]
    run = LoggedRun(name="", kind=log.kind, source=log.label)
    meta = read_flat_yaml(_short_text(folder / "meta.yaml"))
    for name, value in _texts(folder / "params"):
        run.set(name, value)
    tags = dict(_texts(folder / "tags"))
    run.run_id = str(meta.get("run_id") or folder.name)
    run.name = tags.get("mlflow.runName") or str(meta.get("run_name") or "") or run.run_id
    set_tags(run, tags)
    code = meta.get("status")
    set_status(
        run,
        _STATUS.get(code, "") if isinstance(code, int) else str(code or ""),
        str(meta.get("lifecycle_stage") or ""),
    )
    for name, path in _files(folder / "metrics"):
        _metric(run, name, path, wanted)
    yield run


def set_status(run: LoggedRun, status: str, stage: str) -> None:
    """Take in how MLflow says that a run ended."""
    run.status = status
    run.closed = status == "FINISHED" if status else None
    if stage == "deleted":
        run.note("DELETED", "dropped", "the run is marked as deleted", "restore it in MLflow")


def set_tags(run: LoggedRun, tags: dict[str, str]) -> None:
    """Tags that people set become tags; those of MLflow itself hold users and paths."""
    run.tags += [f"{k}={v}"[:200] for k, v in sorted(tags.items()) if not k.startswith("mlflow.")]


def _metric(run: LoggedRun, name: str, path: Path, wanted: Wanted) -> None:
    """Lines ``time value step``; the step is absent in files of old versions."""
    bad = 0
    counted = 0
    with path.open("rb") as file:
        while line := file.readline(_LINE):
            parts = line.decode("utf8", "replace").split()
            value = as_number(parts[1]) if len(parts) in (2, 3, 5) else None
            step = as_number(parts[2]) if len(parts) > 2 else float(counted)
            if value is None or step is None or not math.isfinite(step) or line[-1:] != b"\n":
                bad += 1
                continue
            counted += 1
            run.log(name, step, value, wanted)
    if bad:
        run.note(
            "TRUNCATED",
            "warning",
            f"{bad} lines of metric {name} are cut short or damaged",
            "copy the folder again if it is whole elsewhere",
        )


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files below a folder by their relative names; links are not followed."""
    count = 0
    for base, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted(files):
            path = Path(base) / name
            count += 1
            if count > MAX_NAMES:
                return
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix(), path


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    for name, path in _files(folder):
        yield name, _short_text(path).strip()


def _short_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(2**16).decode("utf8", "replace")
    except OSError:
        return ""

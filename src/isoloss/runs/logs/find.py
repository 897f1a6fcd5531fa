"""Find logs under the paths a person names: by content, links not followed, within bounds."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from isoloss.errors import InputError
from isoloss.runs.logs.mlflow_files import is_run_folder
from isoloss.runs.logs.mlflow_sqlite import MAGIC as SQLITE
from isoloss.runs.logs.record import Finding, Log, shown
from isoloss.runs.logs.tensorboard import is_event_file, subfolder
from isoloss.runs.logs.trainer_state import checkpoint_number
from isoloss.runs.logs.weights_biases import MAGIC as WANDB
from isoloss.runs.rows import short

MAX_DEPTH = 24
MAX_ENTRIES = 500_000
_HEAD = 2**16
_TABLES = ("csv", "tsv", "jsonl", "ndjson", "parquet")
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "artifacts"})
_HPARAMS_FOLDER = re.compile(r"[0-9]{9,11}(\.[0-9]+)?")
"""Name of the folder that ``add_hparams`` makes below the run that it belongs to."""


@dataclass(slots=True)
class Found:
    """Logs in the order of their names, and what was seen on the way."""

    logs: list[Log] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def find_logs(paths: Sequence[str | os.PathLike[str]], *, leave_out: Sequence[Path] = ()) -> Found:
    """Find every log under some files and folders.

    Raises
    ------
    InputError
        A path is not there, is no file or folder, or holds no log.
    """
    found = Found()
    hidden = {path.absolute() for path in leave_out}
    pieces: dict[tuple[str, str], Log] = {}
    for given in paths:
        root = Path(given)
        try:
            mode = root.stat().st_mode
        except (OSError, ValueError):
            raise InputError(f"no such file or folder: {short(str(given), 200)}") from None
        if stat.S_ISDIR(mode):
            base = root.parent if len(paths) > 1 else root
            for log in _walk(root, base, hidden, found):
                _join(pieces, log)
        elif stat.S_ISREG(mode):
            kind = _kind(root, explicit=True)
            if kind is None:
                raise InputError(
                    f"{short(str(given), 200)}: no log that is known here; pass a W&B .wandb file, "
                    "TensorBoard events, an MLflow store, trainer_state.json, CSV, JSON lines or "
                    "Parquet"
                )
            _join(pieces, Log(kind, (root,), _label(kind, root, root.parent)))
        else:
            raise InputError(f"{short(str(given), 200)}: neither a file nor a folder")
    found.logs = _alone([pieces[key] for key in sorted(pieces)])
    if not found.logs:
        named = ", ".join(short(str(p), 100) for p in list(paths)[:5])
        raise InputError(
            f"no log found under {named}; pass a W&B .wandb file, TensorBoard events, an MLflow "
            "store, trainer_state.json, or logs as CSV, JSON lines or Parquet"
        )
    return found


def _walk(root: Path, base: Path, hidden: set[Path], found: Found) -> Iterator[Log]:
    entries = 0
    for where, folders, files in os.walk(root, followlinks=False, onerror=_noted(found, base)):
        folder = Path(where)
        depth = len(folder.relative_to(root).parts)
        if is_run_folder(folder):
            folders.clear()
            yield Log("mlflow", (folder,), shown(folder, base))
            continue
        links = [name for name in folders if (folder / name).is_symlink()]
        if links:
            found.findings.append(
                Finding(
                    run=links[0],
                    source=shown(folder, base),
                    code="LINK",
                    severity="info",
                    reason=f"{len(links)} links to folders are not followed",
                    remedy="name the folders themselves",
                )
            )
        folders[:] = sorted(n for n in folders if n not in _SKIPPED and not n.startswith("."))
        if depth >= MAX_DEPTH and folders:
            folders.clear()
            found.findings.append(
                Finding(
                    run=folder.name,
                    source=shown(folder, base),
                    code="TOO_DEEP",
                    severity="warning",
                    remedy="name the inner folder",
                    reason=f"folders deeper than {MAX_DEPTH} are not searched",
                )
            )
        for name in sorted(files):
            entries += 1
            if entries > MAX_ENTRIES:
                raise InputError(
                    f"more than {MAX_ENTRIES:,} files under {short(str(root), 200)}; name the "
                    "folders of the logs"
                )
            path = folder / name
            if path.is_symlink() or name.startswith(".") or path.absolute() in hidden:
                continue
            try:
                kind = _kind(path, explicit=False)
            except OSError as error:
                found.findings.append(_unreadable(path, base, error))
                continue
            if kind is not None:
                yield Log(kind, (path,), _label(kind, path, base))


def _noted(found: Found, base: Path) -> Callable[[OSError], None]:
    def note(error: OSError) -> None:
        found.findings.append(_unreadable(Path(str(error.filename)), base, error))

    return note


def _unreadable(path: Path, base: Path, error: OSError) -> Finding:
    return Finding(
        run=path.name,
        source=shown(path, base),
        code="UNREADABLE",
        severity="dropped",
        reason=str(error.strerror or error),
        remedy="check who may read it",
    )


def _kind(path: Path, *, explicit: bool) -> str | None:
    """Tell what a file is by its first bytes; the suffix settles only what is text."""
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with path.open("rb") as file:
        head = file.read(64)
        if head.startswith(WANDB):
            return "wandb"
        if head.startswith(SQLITE):
            return "mlflow database"
        if is_event_file(head) and (b"brain.Event" in head or "tfevents" in path.name):
            return "tensorboard"
        if path.suffix.lower() == ".wandb":
            return "wandb"  # damaged: its reader says so
        if "tfevents" in path.name and head:
            return "tensorboard"
        if head.lstrip()[:1] == b"{" and path.suffix.lower() in (".json", ""):
            head += file.read(_HEAD)
            if b'"log_history"' in head:
                return "trainer"
    suffix = path.suffix.lower().lstrip(".")
    if suffix in _TABLES:
        beside = path.name == "metrics.csv" and (path.parent / "hparams.yaml").is_file()
        return "lightning" if beside else "table"
    return "table" if explicit and head else None


def _label(kind: str, path: Path, base: Path) -> str:
    if kind == "tensorboard":
        return shown(_run_folder(path), base)
    if kind == "trainer":
        return shown(_trainer_folder(path), base)
    return shown(path, base)


def _run_folder(path: Path) -> Path:
    folder = path.parent
    inner = subfolder(folder.name) or _HPARAMS_FOLDER.fullmatch(folder.name)
    return folder.parent if inner and folder.parent != folder else folder


def _trainer_folder(path: Path) -> Path:
    return path.parent.parent if checkpoint_number(path.parent) is not None else path.parent


def _key(log: Log) -> tuple[str, str]:
    """Files with one key are parts of one run."""
    path = log.paths[0].absolute()
    if log.kind == "tensorboard":
        return log.kind, str(_run_folder(path))
    if log.kind == "trainer":
        return log.kind, str(_trainer_folder(path))
    if log.kind == "wandb":
        # A run that is resumed offline gets a second folder beside the first, with the same id.
        return log.kind, f"{path.parent.parent}//{path.name}"
    return log.kind, str(path)


def _join(pieces: dict[tuple[str, str], Log], log: Log) -> None:
    key = _key(log)
    known = pieces.get(key)
    if known is None:
        pieces[key] = log
    elif log.paths[0].absolute() not in {path.absolute() for path in known.paths}:
        pieces[key] = replace(known, paths=tuple(sorted((*known.paths, *log.paths))))


def _alone(logs: list[Log]) -> list[Log]:
    """Mark tables that share their folder: settings beside them could belong to either."""
    counts: dict[Path, int] = {}
    for log in logs:
        if log.kind in ("table", "lightning"):
            folder = log.paths[0].parent.absolute()
            counts[folder] = counts.get(folder, 0) + 1
    return [replace(log, alone=counts.get(log.paths[0].parent.absolute(), 1) == 1) for log in logs]

"""Scores on disk: a folder of ``.npy`` shards with a manifest, or a table with named columns.

The folder holds ``manifest.json``::

    {"schema": 1, "metric": "el2n", "direction": "high is hard", "definition": "...",
     "source": "...", "rows": 3,
     "shards": [{"scores": "scores-00000.npy", "ids": "ids-00000.npy", "rows": 3}],
     "labels": "labels.npy", "digest": "..."}

``definition``, ``source``, ``labels`` and ``digest`` may be null or absent. Files lie in the folder
itself: scores are numbers, ids whole numbers, texts or pairs of uint64, labels one a row of all
shards. The digest is the SHA-256 of the SHA-256 digests (hex, a line each) of all files in the
order of the manifest: scores and ids of each shard, labels last.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.serial import to_json, write_atomic
from isoloss.errors import InputError
from isoloss.prune.scores_checks import as_whole
from isoloss.prune.scores_ids import as_ids
from isoloss.prune.scores_result import DIRECTION, Scores
from isoloss.spectra.npy import read_npy

MANIFEST = "manifest.json"
_LONGEST_MANIFEST = 100_000_000
SHARD = 1 << 24
"""Rows of a shard that is written: 64 MB of float32 scores."""


def read_scores(path: Any) -> Scores:
    """Read a folder of scores or a CSV with the columns id, score and perhaps label.

    Nothing is unpickled, files outside the folder are not followed, and contents are compared with
    the manifest's digest. In a CSV ids that are all plain whole numbers are numbers; high is
    hard, as nothing says otherwise there.

    Raises
    ------
    InputError
        If the manifest or a file is missing, damaged or says another direction.
    """
    place = Path(path)
    if place.is_dir():
        return _read_folder(place)
    if place.name == MANIFEST:
        return _read_folder(place.parent)
    return _read_csv(place)


def shard_lengths(path: Any) -> list[int]:
    """Rows of each shard of a folder of scores; a table is one shard.

    Raises
    ------
    InputError
        If the manifest cannot be read.
    """
    place = Path(path)
    if not place.is_dir() and place.name != MANIFEST:
        return [len(_read_csv(place))]
    folder = place if place.is_dir() else place.parent
    return [_whole(s.get("rows"), "rows") for s in _manifest(folder)["shards"]]


def clusters_of(path: Any) -> Path | None:
    """File of the clusters of all rows, where a folder of scores has one.

    Raises
    ------
    InputError
        If the manifest cannot be read, or lists a file that is not there.
    """
    place = Path(path)
    if not place.is_dir() and place.name != MANIFEST:
        return None
    folder = place if place.is_dir() else place.parent
    name = _manifest(folder).get("clusters")
    return None if name is None else folder / _plain_name(folder, name)


def write_scores(scores: Scores, folder: Any, *, shard_rows: int = SHARD) -> Path:
    """Write scores as a folder of shards with a manifest, the manifest last.

    A folder that is there already is not written to.

    Raises
    ------
    InputError
        If the folder exists, or scores are NaN.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> found = Scores(metric="mine", definition="a number", source="me", values=[0.5, 2.0])
    >>> with TemporaryDirectory() as place:
    ...     read_scores(write_scores(found, Path(place) / "scores"))
    Scores(mine, 2 examples, high is hard)
    """
    as_whole("shard_rows", shard_rows, 1)
    place = Path(folder)
    if place.exists():
        raise InputError(f"{place}: is there already; give a new folder")
    assert scores.ids is not None
    bad = int(np.isnan(scores.values).sum())
    if bad:
        raise InputError(f"scores: {bad} are NaN; leave these rows out")
    place.mkdir(parents=True)
    shards, files = [], []
    for number, start in enumerate(range(0, len(scores), shard_rows)):
        part = slice(start, start + shard_rows)
        names = {"scores": f"scores-{number:05d}.npy", "ids": f"ids-{number:05d}.npy"}
        _save(place / names["scores"], scores.values[part])
        _save(place / names["ids"], scores.ids[part])
        shards.append({**names, "rows": int(scores.values[part].size)})
        files += [names["scores"], names["ids"]]
    labels = None
    if scores.labels is not None:
        labels = "labels.npy"
        _save(place / labels, scores.labels)
        files.append(labels)
    manifest = {
        "schema": 1, "metric": scores.metric, "direction": DIRECTION,
        "definition": scores.definition, "source": scores.source, "rows": len(scores),
        "shards": shards, "labels": labels, "digest": _digest(place, files),
    }  # fmt: skip
    write_atomic(place / MANIFEST, to_json(manifest))
    return place


def _save(path: Path, values: Any) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
    write_atomic(path, buffer.getvalue())


def _digest(folder: Path, files: list[str]) -> str:
    lines = []
    for name in files:
        with (folder / name).open("rb") as file:
            lines.append(hashlib.file_digest(file, "sha256").hexdigest() + "\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.exists():
        raise InputError(f"{folder}: has no {MANIFEST}; give a folder of scores or a CSV")
    if path.stat().st_size > _LONGEST_MANIFEST:
        raise InputError(f"{path}: is longer than {_LONGEST_MANIFEST} bytes; it is no manifest")
    try:
        found = json.loads(path.read_text("utf8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON; write the scores again") from error
    if not isinstance(found, dict) or found.get("schema") != 1:
        raise InputError(f"{path}: schema is not 1; this version reads schema 1 alone")
    if found.get("direction") != DIRECTION:
        raise InputError(
            f"{path}: direction is {found.get('direction')!r}; negate the scores where low is "
            f"hard, and write {DIRECTION!r}"
        )
    shards = found.get("shards")
    if not isinstance(shards, list) or not shards or not all(isinstance(s, dict) for s in shards):
        raise InputError(f"{path}: lists no shards")
    return found


def _read_folder(folder: Path) -> Scores:
    manifest = _manifest(folder)
    values: list[Any] = []
    ids: list[Any] = []
    files: list[str] = []
    for shard in manifest["shards"]:
        rows = _whole(shard.get("rows"), "rows")
        for key, found in (("scores", values), ("ids", ids)):
            name = _plain_name(folder, shard.get(key))
            files.append(name)
            part = read_npy(folder / name)
            if part.shape[:1] != (rows,):
                raise InputError(f"{name}: shape {part.shape}, and the manifest says {rows} rows")
            found.append(part)
    labels = None
    if manifest.get("labels") is not None:
        name = _plain_name(folder, manifest["labels"])
        files.append(name)
        labels = read_npy(folder / name)
    total = sum(len(v) for v in values)
    if manifest.get("rows") not in (None, total):
        raise InputError(f"{MANIFEST}: says {manifest['rows']!r} rows, and the shards hold {total}")
    said = manifest.get("digest")
    if said is not None and said != _digest(folder, files):
        raise InputError(f"{folder}: files are not those of the manifest's digest; score again")
    ids = [as_ids(part) for part in ids]
    kinds: set[bool] = {part.dtype.kind == "S" for part in ids}
    if len(kinds) > 1:
        raise InputError("ids: some shards hold numbers and some texts; write them alike")
    return Scores(
        metric=str(manifest.get("metric") or "score"), values=_join(values),
        definition=str(manifest.get("definition") or ""),
        source=str(manifest.get("source") or ""), labels=labels,
        ids=_join(ids),
    )  # fmt: skip


def _join(parts: list[Any]) -> Any:
    """Put parts together, closed, so that nothing has to be copied again to be safe."""
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    # The list would keep what texts became.
    parts.clear()
    joined.flags.writeable = False
    return joined


def _plain_name(folder: Path, name: Any) -> str:
    if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
        raise InputError(f"{MANIFEST}: {name!r} is no name of a file in the folder")
    if (folder / name).is_symlink() or not (folder / name).is_file():
        raise InputError(f"{folder / name}: is not there, though the manifest lists it")
    return name


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{MANIFEST}: {name} = {value!r} must be a whole number, 1 or more")
    return value


def _read_csv(path: Path) -> Scores:
    values, ids, labels = array("d"), list[str](), list[str]()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            head = [h.strip().lower() for h in next(reader, [])]
            where = {name: _column(path, head, name) for name in ("id", "score", "label")}
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(head):
                    raise InputError(
                        f"{path.name}, line {reader.line_num}: {len(cells)} cells where the "
                        f"heading has {len(head)}"
                    )
                ids.append(cells[where["id"]].strip())
                values.append(_number(path, reader.line_num, cells[where["score"]]))
                if where["label"] >= 0:
                    labels.append(cells[where["label"]].strip())
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: is not text in UTF-8; give a CSV or a folder") from error
    except csv.Error as error:
        raise InputError(f"{path.name}: is no CSV: {error}") from error
    if not ids:
        raise InputError(f"{path.name}: has no rows")
    return Scores(
        metric="score", definition=f"column score of {path.name}", source=path.name,
        values=np.frombuffer(values, dtype=np.float64), ids=_csv_ids(ids),
        labels=np.array(labels) if labels else None,
    )  # fmt: skip


def _column(path: Path, head: list[str], name: str) -> int:
    if head.count(name) == 1:
        return head.index(name)
    if name == "label" and name not in head:
        return -1
    raise InputError(
        f"{path.name}: the first line has {head.count(name)} columns named {name!r}; name them id, "
        "score and, if there are classes, label"
    )


def _number(path: Path, line: int, cell: str) -> float:
    try:
        return float(cell) if cell.strip() else math.nan
    except ValueError:
        raise InputError(f"{path.name}, line {line}: {cell[:40]!r} is no score") from None


def _csv_ids(ids: list[str]) -> Any:
    # 007 and 7 are two ids: only numbers that print as they were read are taken as numbers.
    if all(v.isascii() and v.removeprefix("-").isdigit() and len(v) < 19 for v in ids):
        numbers = [int(v) for v in ids]
        if all(str(n) == v for n, v in zip(numbers, ids, strict=True)):
            return np.array(numbers, dtype=np.int64)
    return np.array(ids)

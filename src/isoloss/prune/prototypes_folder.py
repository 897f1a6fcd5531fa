"""Scores on disk: pieces written one by one, and a manifest last, so that half is never whole."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.executor import Executor
from isoloss._core.serial import digest_bytes, to_json, write_atomic
from isoloss.errors import InputError
from isoloss.prune.embeddings import open_embeddings
from isoloss.prune.kmeans import Clusters
from isoloss.prune.on_device import as_engine, keep_engine
from isoloss.prune.pieces import BLOCK, BLOCKS, is_shown, package_version
from isoloss.prune.prototypes import ClassMeans, PrototypeScores, read_labels, score_pieces
from isoloss.prune.shards import Part, Rows, open_npy

DIRECTION = "high is hard"
_SOURCE = "Sorscher et al., arXiv:2206.14486"
MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
LABELS = "labels.npy"
_COLUMNS = ("ids", "scores", "clusters")


def write_prototype_scores(
    embeddings: Any,
    prototypes: Clusters | ClassMeans,
    out: str | Path,
    *,
    labels: Any = None,
    executor: Executor | None = None,
    device: str | None = None,
    on_step: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Score every row and write ids, scores and clusters as ``.npy`` pieces in a folder.

    Pieces that an earlier call with the same rows and prototypes left whole are kept. The manifest
    comes last; a folder without one is unfinished.

    Parameters
    ----------
    embeddings, prototypes, executor, device
        As for `score_prototypes`.
    out
        The folder.
    labels
        A class for each row, kept in the folder for the floors of a selection: an array or a
        ``.npy`` file. Those of class means are kept unasked.

    Returns
    -------
    dict
        The manifest: version, engine and device, direction, definition, settings, digest of the
        rows, and name, size and digest of each file.

    Raises
    ------
    InputError
        As `score_prototypes`; or if the folder holds finished scores, or was begun by another
        engine.

    Examples
    --------
    >>> import tempfile
    >>> from isoloss.prune import fit_kmeans, read_prototype_scores
    >>> rows = [[1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = write_prototype_scores(rows, fit_kmeans(rows, 2), folder)
    ...     [round(float(s), 4) for s in read_prototype_scores(folder).scores]
    [0.0049, 0.0049, 0.0012, 0.0012]
    """
    opened, folder = open_embeddings(embeddings), Path(out)
    refuse_finished(folder)
    engine = as_engine(device, executor)
    about = prototypes.checked
    classes = prototypes.labels if isinstance(prototypes, ClassMeans) else None
    if labels is not None:
        classes = read_labels(labels, opened.rows)
    centroids = _npy(np.asarray(prototypes.centroids))
    said = prototypes.to_dict()
    key = digest_bytes(
        to_json(
            [package_version(), said, digest_bytes(centroids), opened.rows, about.block, device]
        ).encode()
    )
    unfinished = folder / UNFINISHED
    unfinished.mkdir(parents=True, exist_ok=True)
    keep_engine(unfinished, engine)
    size = about.block * BLOCKS

    def kept(first: int) -> dict[str, Any] | None:
        return _finished(folder, unfinished / f"part-{first // size:06d}.json", key)

    for first, *columns in score_pieces(
        opened, prototypes, executor=executor, device=device,
        skip=lambda first: kept(first) is not None,
    ):  # fmt: skip
        name = f"part-{first // size:06d}"
        files, digests = {}, {}
        for what, values in zip(_COLUMNS, columns, strict=True):
            data = _npy(np.asarray(values))
            write_atomic(folder / f"{name}.{what}.npy", data)
            files[what], digests[what] = f"{name}.{what}.npy", digest_bytes(data)
        scores = columns[1]
        part = {
            "first": first, "rows": len(scores), "min": float(scores.min()),
            "max": float(scores.max()), "sum": float(scores.sum(dtype=np.float64)), **files,
            "sha256": digests,
        }  # fmt: skip
        write_atomic(unfinished / f"{name}.json", to_json({"key": key, "part": part}))
        if on_step and is_shown(first, opened.rows, about.block):
            on_step(f"scored row {first + len(scores)} of {opened.rows}")
    parts = [kept(first) for first in range(0, opened.rows, size)]
    assert all(part is not None for part in parts)
    _clear(folder, len(parts))
    _join_clusters(folder, parts, opened.rows)
    digests_last = [] if classes is None else [_write_labels(folder, classes)]
    write_atomic(folder / "centroids.npy", centroids)
    manifest = {
        "schema": 1,
        "kind": "isoloss scores",
        "version": package_version(),
        **engine,
        "metric": "prototypes" if isinstance(prototypes, Clusters) else "class prototypes",
        "direction": DIRECTION,
        "definition": _definition(prototypes),
        "source": _SOURCE,
        "rows": opened.rows,
        "dim": opened.dim,
        "rows_digest": about.digest,
        "mean": sum(part["sum"] for part in parts if part) / opened.rows,
        "min": min(part["min"] for part in parts if part),
        "max": max(part["max"] for part in parts if part),
        "read_from": [{"name": part.name, "rows": part.shape[0]} for part in opened.parts],
        "prototypes": said,
        "centroids": {"file": "centroids.npy", "sha256": digest_bytes(centroids)},
        "clusters": "clusters.npy",
        "shards": parts,
        "labels": None if classes is None else LABELS,
        "digest": _digest(parts, digests_last),
    }
    write_atomic(folder / MANIFEST, to_json(manifest))
    shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def refuse_finished(folder: str | Path) -> None:
    """Refuse to write over scores that are finished."""
    if (Path(folder) / MANIFEST).exists():
        raise InputError(f"{folder}: holds finished scores; give another folder, or remove it")


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Read what a folder of scores says of itself.

    Raises
    ------
    InputError
        If there is no manifest, or it is not one of scores.
    """
    path = Path(folder) / MANIFEST
    try:
        found = json.loads(path.read_text("utf8"))
    except FileNotFoundError:
        raise InputError(
            f"{folder}: has no {MANIFEST}; it holds no scores, or was not finished: start again"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: is not JSON") from error
    if not isinstance(found, dict) or found.get("kind") != "isoloss scores":
        raise InputError(f"{path}: is not a manifest of scores")
    return found


def read_prototype_scores(folder: str | Path) -> PrototypeScores:
    """Read what `write_prototype_scores` wrote, and compare every file with its digest.

    Raises
    ------
    InputError
        Naming the file that is damaged or missing.
    """
    root, columns = Path(folder), {}
    parts = read_manifest(root)["shards"]
    for what in _COLUMNS:
        columns[what] = np.concatenate([_read(root, part, what) for part in parts])
    return PrototypeScores(**columns)


def _read(root: Path, about: dict[str, Any], what: str) -> Rows:
    path = root / Path(about[what]).name
    try:
        good = digest_bytes(path.read_bytes()) == about["sha256"][what]
    except FileNotFoundError:
        good = False
    if not good:
        raise InputError(f"{path}: is missing or damaged; score again")
    part = open_npy(path)
    return part.read(0, part.shape[0])


def _finished(folder: Path, path: Path, key: str) -> dict[str, Any] | None:
    """Return what an earlier call wrote of a piece, if it is whole and of these rows."""
    try:
        found = json.loads(path.read_text("utf8"))
        part = found["part"] if found["key"] == key else None
        whole = part is not None and all(
            digest_bytes((folder / part[c]).read_bytes()) == part["sha256"][c] for c in _COLUMNS
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return part if whole else None


def _definition(prototypes: Clusters | ClassMeans) -> str:
    distance = "1 - cosine" if prototypes.geometry == "cosine" else "the Euclidean distance"
    if isinstance(prototypes, Clusters):
        return f"{distance} to the nearest of {len(prototypes.centroids)} centroids of k-means"
    return f"{distance} to the mean of the example's class"


def _digest(parts: list[Any], last: list[str]) -> str:
    """SHA-256 over the digests, a line each, of scores and ids of each shard, labels last."""
    found = [part["sha256"][what] for part in parts for what in ("scores", "ids")]
    return digest_bytes("".join(line + "\n" for line in found + last).encode())


def _write_labels(folder: Path, labels: Part) -> str:
    """Write labels block by block; return the digest of the file."""
    temporary, rows = folder / UNFINISHED / LABELS, labels.shape[0]
    kind = labels.dtype if labels.dtype.kind != "b" else np.dtype(np.int8)
    written = np.lib.format.open_memmap(temporary, mode="w+", dtype=kind, shape=(rows,))
    for start in range(0, rows, BLOCK):
        stop = min(rows, start + BLOCK)
        written[start:stop] = labels.read(start, stop)
    written.flush()
    temporary.replace(folder / LABELS)
    with (folder / LABELS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _join_clusters(folder: Path, parts: list[Any], rows: int) -> None:
    """Write the clusters of all rows as one file, which a selection takes, piece by piece."""
    temporary = folder / UNFINISHED / "clusters.npy"
    joined = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.int32, shape=(rows,))
    for part in parts:
        piece = open_npy(folder / part["clusters"])
        joined[part["first"] : part["first"] + part["rows"]] = piece.read(0, part["rows"])
    joined.flush()
    temporary.replace(folder / "clusters.npy")


def _clear(folder: Path, parts: int) -> None:
    """Remove pieces of a longer answer that stood here before."""
    for path in folder.glob("part-*.npy"):
        number = path.name[5:11]
        if number.isdigit() and int(number) >= parts:
            path.unlink()


def _npy(values: Rows) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(values), allow_pickle=False)
    return buffer.getvalue()

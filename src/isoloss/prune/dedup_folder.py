"""Near-duplicates on disk: ids that stay, and why the others go."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.serial import digest_bytes, to_json, write_atomic
from isoloss.errors import InputError
from isoloss.prune.dedup import Deduplicated
from isoloss.prune.embeddings import Embeddings
from isoloss.prune.pieces import BLOCK, package_version
from isoloss.prune.shards import Rows


def write_duplicates(embeddings: Embeddings, found: Deduplicated, path: Path) -> dict[str, Any]:
    """Write ids that stay, sorted, to ``NAME.npy``; the rest beside it. Nothing is overwritten.

    ``NAME.removed.npy`` holds ids that go, ``NAME.partners.npy`` the id that each duplicates,
    ``NAME.cosines.npy`` their cosine, and ``NAME.json``, written last, settings and digests.

    Returns
    -------
    dict
        What is in ``NAME.json``.

    Raises
    ------
    InputError
        If there is an answer already.
    """
    refuse_written(path)
    columns = {
        "kept": np.sort(_ids(embeddings, found.kept), axis=0)
        if embeddings.ids(0, 1).ndim == 1
        else _sorted_pairs(_ids(embeddings, found.kept)),
        "removed": _ids(embeddings, found.removed),
        "partners": _ids(embeddings, found.partners),
        "cosines": found.cosines,
    }
    files = {}
    for what, values in columns.items():
        name = path.name if what == "kept" else f"{path.stem}.{what}.npy"
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(values), allow_pickle=False)
        write_atomic(path.with_name(name), buffer.getvalue())
        files[what] = {"file": name, "sha256": digest_bytes(buffer.getvalue())}
    answer = {
        "kind": "isoloss duplicates",
        "version": package_version(),
        **found.to_dict(),
        "digest": found.clusters.checked.digest,
        "files": files,
    }
    write_atomic(path.with_suffix(".json"), to_json(answer))
    return answer


def refuse_written(path: Path) -> None:
    """Refuse to write over an answer that is there."""
    for there in (path, path.with_suffix(".json")):
        if there.exists():
            raise InputError(f"{there}: is there already; give another name, or remove it")


def _ids(embeddings: Embeddings, rows: Rows) -> Rows:
    """Ids of rows by number; all are read once."""
    order = np.argsort(rows, kind="stable")
    rising = rows[order]
    found = []
    for start in range(0, embeddings.rows, BLOCK):
        stop = min(embeddings.rows, start + BLOCK)
        low, high = np.searchsorted(rising, [start, stop])
        if high > low:
            found.append(embeddings.ids(start, stop)[rising[low:high] - start])
    ids = np.concatenate(found) if found else embeddings.ids(0, 1)[:0]
    result = np.empty_like(ids)
    result[order] = ids
    return result


def _sorted_pairs(ids: Rows) -> Rows:
    return ids[np.lexsort((ids[:, 1], ids[:, 0]))]

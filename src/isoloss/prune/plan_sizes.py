"""Sizes of clusters that are known: from a folder of scores, or from the cluster of each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune.prototypes_folder import read_manifest
from isoloss.prune.shards import open_npy

_BLOCK = 1 << 20
_MOST = 1 << 26
"""Clusters counted at most, 512 MB of counts."""


def cluster_sizes(path: str | Path) -> npt.NDArray[np.int64]:
    """Count the rows of each cluster.

    Parameters
    ----------
    path
        A folder that `write_prototype_scores` wrote, or a ``.npy`` with one whole number from 0 for
        each row.

    Returns
    -------
    numpy.ndarray
        Rows of each cluster, (k,); clusters that have none count to the last that has.

    Raises
    ------
    InputError
        If there are no clusters, or they are not such numbers.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/clusters.npy", [0, 2, 2])
    ...     cluster_sizes(f"{folder}/clusters.npy").tolist()
    [1, 0, 2]
    """
    root = Path(path)
    if root.is_dir():
        name = read_manifest(root).get("clusters")
        if not isinstance(name, str):
            raise InputError(f"{root}: its manifest names no clusters")
        # The name comes from a file: it stands for one in the same folder.
        root = root / Path(name).name
    part = open_npy(root)
    if len(part.shape) != 1 or part.shape[0] == 0 or part.dtype.kind not in "iu":
        raise InputError(
            f"{root}: holds {part.dtype} of shape {part.shape}; give the number of its cluster, "
            "from 0, for each row"
        )
    found = np.zeros(0, dtype=np.int64)
    for low in range(0, part.shape[0], _BLOCK):
        some = part.read(low, min(part.shape[0], low + _BLOCK))
        if int(some.min()) < 0 or int(some.max()) >= _MOST:
            raise InputError(f"{root}: holds clusters beyond 0 to {_MOST - 1}")
        counts = np.bincount(some.astype(np.int64), minlength=found.size)
        counts[: found.size] += found
        found = counts
    return found

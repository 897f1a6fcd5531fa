"""Rows to prune: blobs of unequal size, whole or in shards."""

import numpy as np

from isoloss.prune.pieces import BLOCKS

BLOCK = 16
PIECE = BLOCK * BLOCKS


def blobs(rows=3000, dim=12, centres=7, seed=0):
    rng = np.random.default_rng(seed)
    middle = rng.standard_normal((centres, dim)) + 0.3
    x = middle[rng.integers(centres, size=rows)] + 0.4 * rng.standard_normal((rows, dim))
    return x.astype(np.float32)


def shards(folder, x, cuts, *, ids=None):
    """Write shards whose canonical order is that of the rows."""
    folder.mkdir(exist_ok=True)
    paths = []
    for i, (low, high) in enumerate(zip([0, *cuts], [*cuts, len(x)], strict=True)):
        path = folder / f"x{i}.npy"
        np.save(path, x[low:high])
        if ids is not None:
            np.save(folder / f"x{i}.ids.npy", ids[low:high])
        paths.append(path)
    return paths


def same(a, b):
    """Whether two clusterings agree to the last bit."""
    return (
        a.centroids.tobytes() == b.centroids.tobytes()
        and a.counts.tobytes() == b.counts.tobytes()
        and a.objective.tobytes() == b.objective.tobytes()
        and a.checked.digest == b.checked.digest
    )

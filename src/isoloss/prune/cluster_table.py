"""What clusters are like: where they lie, how many rows, how wide, what share is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.serial import digest_bytes
from isoloss.errors import InputError
from isoloss.prune.prototypes_folder import read_manifest
from isoloss.prune.scores_format import clusters_of, read_scores
from isoloss.spectra.npy import read_npy

_BLOCK = 1 << 24
"""Distances between centroids that are held at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterTable:
    """Clusters by number.

    Attributes
    ----------
    centroids
        (k, dim).
    counts
        Rows of each, (k,).
    distance
        Mean score of its rows, (k,): their mean distance from the centroid; NaN where there are
        none.
    apart
        Distance to the nearest other centroid, (k,); infinite for a single one.
    kept
        Share of its rows that is kept, (k,), NaN where there are none; None without a selection.
    names
        Of classes, where clusters are those; else their numbers.
    """

    centroids: Array
    counts: npt.NDArray[np.int64]
    distance: Array
    apart: Array
    kept: Array | None
    names: tuple[str, ...]

    def __repr__(self) -> str:
        k, dim = self.centroids.shape
        return f"ClusterTable({k} clusters of {int(self.counts.sum())} rows, dim={dim})"

    @property
    def complexity(self) -> Array:
        """How far from the nearest other times how wide inside."""
        return np.asarray(self.apart * self.distance)

    def to_columns(self) -> dict[str, Any]:
        """Table with one row a cluster."""
        table: dict[str, Any] = {
            "cluster": np.array(self.names), "rows": self.counts, "distance": self.distance,
            "apart": self.apart,
        }  # fmt: skip
        return table if self.kept is None else table | {"kept": self.kept}


def tabulate_clusters(
    centroids: Any, clusters: Any, distances: Any, *, kept: Any = None, names: Any = None
) -> ClusterTable:
    """Put together what is known of each cluster.

    Parameters
    ----------
    centroids
        (k, dim).
    clusters
        Number of the cluster of each row, (n,), from 0 to k - 1.
    distances
        Of each row from its centroid, (n,).
    kept
        Whether each row is kept, (n,), if it is known.
    names
        Of the clusters, (k,); their numbers by default.

    Raises
    ------
    InputError
        If numbers do not go together, or a centroid or distance is not finite.

    Examples
    --------
    >>> kept = [True, False, True]
    >>> found = tabulate_clusters([[0.0], [3.0]], [0, 0, 1], [0.1, 0.3, 0.0], kept=kept)
    >>> found.counts.tolist(), found.distance.tolist(), found.apart.tolist(), found.kept.tolist()
    ([2, 1], [0.2, 0.0], [3.0, 3.0], [0.5, 1.0])
    """
    middle = np.asarray(centroids)
    if middle.ndim != 2 or not middle.size or middle.dtype.kind not in "iuf":
        raise InputError(f"centroids: {middle.dtype} of shape {middle.shape}; give k x dim numbers")
    middle = middle.astype(np.float64)
    if not np.isfinite(middle).all():
        raise InputError("centroids: some are not finite; cluster again")
    k = len(middle)
    of = np.asarray(clusters)
    far = np.asarray(distances, dtype=np.float64)
    if of.ndim != 1 or of.dtype.kind not in "iu" or far.shape != of.shape or not of.size:
        raise InputError(
            f"clusters, distances: {of.dtype} of shape {of.shape} and {far.shape}; give a whole "
            "number and a distance for each row"
        )
    if of.min() < 0 or of.max() >= k:
        raise InputError(f"clusters: from {of.min()} to {of.max()} for {k} centroids")
    if not np.isfinite(far).all():
        raise InputError("distances: some are not finite")
    counts = np.bincount(of, minlength=k)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(of, far, minlength=k) / counts
        share = None
        if kept is not None:
            mask = np.asarray(kept)
            if mask.shape != of.shape or mask.dtype != bool:
                raise InputError(f"kept: {mask.dtype} of shape {mask.shape}; one for each row")
            share = np.bincount(of[mask], minlength=k) / counts
    given = [str(i) for i in range(k)] if names is None else [str(v) for v in names]
    if len(given) != k:
        raise InputError(f"names: {len(given)} for {k} clusters; one for each")
    return ClusterTable(
        centroids=middle, counts=counts, distance=mean, apart=_apart(middle), kept=share,
        names=tuple(given),
    )  # fmt: skip


def read_clusters(folder: Any, *, kept: Any = None) -> ClusterTable:
    """Read the clusters of a folder of prototype scores.

    Parameters
    ----------
    folder
        Written by `write_prototype_scores`.
    kept
        Whether each row is kept, in the order of the scores.

    Raises
    ------
    InputError
        If the folder has no centroids, or a file is damaged.
    """
    root = Path(folder)
    manifest = read_manifest(root)
    about = manifest.get("centroids")
    said = manifest.get("prototypes")
    name = about.get("file") if isinstance(about, dict) else None
    if name != "centroids.npy" or not (root / name).is_file() or (root / name).is_symlink():
        raise InputError(f"{root}: has no centroids.npy; score with --metric prototypes")
    assert isinstance(about, dict)
    if digest_bytes((root / name).read_bytes()) != about.get("sha256"):
        raise InputError(f"{root / name}: is damaged; score again")
    path = clusters_of(root)
    if path is None:
        raise InputError(f"{root}: has no clusters of its rows; score with --k")
    classes = said.get("classes") if isinstance(said, dict) else None
    return tabulate_clusters(
        read_npy(root / name), read_npy(path), read_scores(root).values, kept=kept,
        names=classes if isinstance(classes, list) else None,
    )  # fmt: skip


def _apart(centroids: Array) -> Array:
    """Distance of each to the nearest other, block by block."""
    k = len(centroids)
    if k == 1:
        return np.array([math.inf])
    square = (centroids**2).sum(axis=1)
    found = np.empty(k)
    step = max(1, _BLOCK // k)
    for start in range(0, k, step):
        part = centroids[start : start + step]
        away = square[start : start + step, None] + square - 2 * part @ centroids.T
        each = np.arange(len(part))
        away[each, start + each] = np.inf
        found[start : start + step] = away.min(axis=1)
    return np.asarray(np.sqrt(np.maximum(found, 0)))

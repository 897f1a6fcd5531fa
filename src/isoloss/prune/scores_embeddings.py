"""Scores of embeddings and of values: distance to the class median, complexity, value laws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError
from isoloss.prune.scores_checks import BLOCK, as_whole
from isoloss.prune.scores_result import Scores, as_groups

if TYPE_CHECKING:
    from isoloss.theory import PointLaws


def score_moderate(embeddings: Any, labels: Any) -> Scores:
    """Score by the Euclidean distance to the median vector of the class; far is hard.

    Moderate coresets keep the middle of these distances: take the policy ``"middle"``.

    Parameters
    ----------
    embeddings
        (n, width); may be mapped from a file.
    labels
        Class of each row, (n,).

    Raises
    ------
    InputError
        If embeddings are not finite, or labels of another number.

    References
    ----------
    Xia et al., Moderate coreset, ICLR 2023.

    Examples
    --------
    >>> score_moderate([[0.0], [1.0], [5.0]], [0, 0, 0]).values.tolist()
    [1.0, 0.0, 4.0]
    """
    x = as_embeddings(embeddings)
    names, codes = np.unique(as_groups("labels", labels, x.shape[0]), return_inverse=True)
    order = np.argsort(codes.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(codes.ravel()))
    distance = np.empty(x.shape[0])
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        rows = np.sort(order[start:end])
        part = _finite(x[rows], int(rows[0]))
        distance[rows] = np.sqrt(((part - np.median(part, axis=0)) ** 2).sum(axis=1))
    return Scores(
        metric="moderate", source="Moderate coreset, ICLR 2023",
        definition=f"Euclidean distance to the median of the class, {names.size} classes",
        values=distance, labels=np.asarray(labels),
    )  # fmt: skip


def cluster_complexity(centroids: Any, within: Any, *, neighbours: int = 20) -> Array:
    """Give the complexity of clusters: how far from others times how wide inside.

    ``C_j = mean over the nearest centroids of (1 - cos) x mean inside of (1 - cos)``.

    Parameters
    ----------
    centroids
        (clusters, width); normalised here.
    within
        Mean cosine distance of members to their centroid, (clusters,).
    neighbours
        How many nearest centroids, or all others where there are fewer.

    Returns
    -------
    array
        For `allocate_clusters` and `ByCluster`, (clusters,).

    Raises
    ------
    InputError
        If there are fewer than two clusters, or a centroid has no direction.

    References
    ----------
    arXiv:2401.04578.

    Examples
    --------
    >>> cluster_complexity([[1.0, 0.0], [0.0, 2.0]], [0.1, 0.3]).tolist()
    [0.1, 0.3]
    """
    c = _finite(as_embeddings(centroids), 0)
    inside = as_vector("within", within)
    k = c.shape[0]
    if k < 2 or inside.size != k:
        raise InputError(f"within: {inside.size} for {k} centroids; two or more, one for each")
    if (inside < -1e-9).any():
        raise InputError("within: must be zero or more, a mean of distances")
    length = np.linalg.norm(c, axis=1)
    if (length == 0).any():
        raise InputError(f"centroids[{int(np.argmin(length))}]: is zero and has no direction")
    unit = c / length[:, None]
    near = min(as_whole("neighbours", neighbours, 1), k - 1)
    apart = np.empty(k)
    step = max(1, BLOCK // k)
    for start in range(0, k, step):
        cosines = unit[start : start + step] @ unit.T
        each = np.arange(len(cosines))
        cosines[each, start + each] = -np.inf
        largest = np.partition(cosines, k - near, axis=1)[:, k - near :]
        apart[start : start + step] = 1 - np.sort(largest, axis=1).mean(axis=1)
    return np.asarray(apart * inside)


def score_point_value(laws: PointLaws, size: float) -> Scores:
    """Score by the value of points to a training set of a size: ``c size^-alpha``.

    High is useful, so that the policy ``"hard"`` keeps the most useful; below zero a point hurts.
    Points without an estimate are left out.

    Parameters
    ----------
    laws
        What `isoloss.theory.fit_points` gives.
    size
        Size of the set that the values are for.

    Raises
    ------
    InputError
        If no point has an estimate.

    References
    ----------
    arXiv:2405.20456.

    Examples
    --------
    >>> from isoloss.theory import fit_points, group_contributions
    >>> k = np.repeat(np.arange(100, 1001, 100), 4)
    >>> laws = fit_points(group_contributions(np.full(40, 7), k, 2 * k**-1.2))
    >>> found = score_point_value(laws, 500)
    >>> found.ids.tolist(), found.values.round(6).tolist()
    ([7], [0.001154])
    """
    values = laws.value(size)
    known = np.isfinite(values)
    if not known.any():
        raise InputError("laws: no point has an estimate; give more samples a point")
    return Scores(
        metric="point-value", definition=f"value to a set of size {size:g} by the point's law",
        source="arXiv:2405.20456", values=values[known], ids=np.asarray(laws.point)[known],
        columns={"se": laws.error(size)[known]},
    )  # fmt: skip


def as_embeddings(embeddings: Any) -> npt.NDArray[Any]:
    """Read embeddings, (n, width). Maps no copy."""
    x = np.asarray(embeddings)
    if x.ndim != 2 or x.size == 0 or x.dtype.kind not in "biuf":
        raise InputError(f"embeddings: shape {x.shape} of {x.dtype}; give numbers, (n, width)")
    return x


def _finite(part: npt.NDArray[Any], first: int) -> Array:
    block = np.asarray(part, dtype=np.float64)
    if not np.isfinite(block).all():
        raise InputError(f"embeddings: not finite at or after row {first}; leave such rows out")
    return block

"""Prototype scores: how far an example lies from the nearest centroid, or from its class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss._core.executor import Executor
from isoloss.errors import InputError
from isoloss.prune.embeddings import Embeddings, open_embeddings, read_column
from isoloss.prune.embeddings_check import Checked, check_embeddings, require_usable
from isoloss.prune.kmeans import Clusters
from isoloss.prune.kmeans_assign import assign_piece, empty_sums, sum_rows
from isoloss.prune.on_device import as_engine, assign_on_device
from isoloss.prune.pieces import BLOCK, Floats, as_geometry, is_shown, over_pieces, prepare
from isoloss.prune.shards import Part, Rows

_CLASSES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassMeans:
    """The mean row of each class.

    Attributes
    ----------
    centroids
        (classes, dim); means of rows of length one, brought to length one, where the geometry is
        ``cosine``.
    counts
        Rows of each class.
    classes
        Their labels, sorted.
    geometry
        ``cosine`` or ``euclidean``.
    checked
        What the rows are.
    """

    centroids: Array
    counts: Array
    classes: Rows
    geometry: str
    checked: Checked
    labels: Part = field(repr=False)

    def __repr__(self) -> str:
        return f"ClassMeans({len(self.classes)} classes, {self.geometry})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain types; the means themselves are not among them."""
        return {
            "schema": 1,
            "classes": self.classes.tolist(),
            "counts": self.counts.astype(int).tolist(),
            "geometry": self.geometry,
            "digest": self.checked.digest,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrototypeScores:
    """One score a row; high is hard.

    Attributes
    ----------
    ids
        Of the rows, in canonical order.
    scores
        Distance, float32: 1 - cosine, or the Euclidean distance.
    clusters
        Nearest centroid, or number of the class among the sorted labels.
    """

    ids: Rows
    scores: Rows
    clusters: Rows

    def __repr__(self) -> str:
        return f"PrototypeScores({len(self.scores)} rows)"

    def to_columns(self) -> dict[str, Rows]:
        """Return the columns by name."""
        return {"id": self.ids, "score": self.scores, "cluster": self.clusters}


def class_means(
    embeddings: Any,
    labels: Any,
    *,
    geometry: str = "cosine",
    block: int = BLOCK,
    executor: Executor | None = None,
    checked: Checked | None = None,
    on_step: Callable[[str], None] | None = None,
) -> ClassMeans:
    """Mean row of each class: supervised prototypes.

    Parameters
    ----------
    embeddings
        What `open_embeddings` reads.
    labels
        One whole number or text for each row in canonical order: an array or a ``.npy`` file.
    geometry
        ``cosine`` or ``euclidean``.
    block, executor, checked
        As for `fit_kmeans`.

    Raises
    ------
    InputError
        If labels are missing or broken numbers, or the rows of a class cancel.

    Examples
    --------
    >>> found = class_means([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]], ["cat", "cat", "dog"])
    >>> found.classes.tolist(), found.centroids.tolist()
    (['cat', 'dog'], [[1.0, 0.0], [0.0, 1.0]])
    """
    opened = open_embeddings(embeddings)
    as_geometry(geometry)
    part = read_labels(labels, opened.rows)
    checked = checked or check_embeddings(
        opened, geometry=geometry, executor=executor, block=block, on_step=on_step
    )
    require_usable(checked, opened, geometry)
    mean = checked.mean.astype(np.float32) if geometry == "euclidean" else None
    classes = _classes(part, checked.block)
    done = empty_sums(len(classes), opened.dim)
    for _, found in over_pieces(
        with_labels(opened, part), _sum_classes, classes, mean, executor=executor,
        block=checked.block,
    ):  # fmt: skip
        done.add(found)
    centroids = done.total / done.counts[:, None]
    if mean is None:
        size = np.linalg.norm(centroids, axis=1)
        if (size < 1e-6).any():
            name = classes[int(size.argmin())]
            raise InputError(f"class {name}: its rows cancel, so that its mean has no direction")
        centroids /= size[:, None]
    else:
        centroids = centroids + mean.astype(np.float64)
    return ClassMeans(
        centroids=freeze(centroids), counts=freeze(done.counts), classes=classes,
        geometry=geometry, checked=checked, labels=part,
    )  # fmt: skip


def score_prototypes(
    embeddings: Any,
    prototypes: Clusters | ClassMeans,
    *,
    executor: Executor | None = None,
    device: str | None = None,
    on_step: Callable[[str], None] | None = None,
) -> PrototypeScores:
    """Score every row by its distance from a prototype; high is hard.

    With centroids of k-means the distance is that to the nearest one; with class means, that to
    the mean of the row's own class, so that a wrong label scores high.

    Parameters
    ----------
    embeddings
        The rows that the prototypes come from, or others.
    prototypes
        What `fit_kmeans` or `class_means` returned; their geometry is used.
    executor
        Where pieces are worked on.
    device
        Where torch takes the products, as for `fit_kmeans`; class means have none.

    Raises
    ------
    InputError
        If rows cannot be used, class means are asked about other rows, or the device is not there.

    Notes
    -----
    Distances come from float32 differences, ``1 - cosine = |x - c|^2 / 2`` for rows of length one,
    which keeps its digits where x is close to c. `write_prototype_scores` does the same for more
    rows than fit in memory.

    References
    ----------
    Sorscher et al., "Beyond neural scaling laws: beating power law scaling via data pruning",
    arXiv:2206.14486, section 6.

    Examples
    --------
    >>> rows = [[1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0]]
    >>> means = class_means(rows, [0, 0, 1, 1])
    >>> [round(float(s), 4) for s in score_prototypes(rows, means).scores]
    [0.0049, 0.0049, 0.0012, 0.0012]
    """
    opened = open_embeddings(embeddings)
    ids, scores, clusters = [], [], []
    for found in score_pieces(opened, prototypes, executor=executor, device=device):
        ids.append(found[1])
        scores.append(found[2])
        clusters.append(found[3])
        if on_step and is_shown(found[0], opened.rows, prototypes.checked.block):
            on_step(f"scored row {found[0]} of {opened.rows}")
    return PrototypeScores(
        ids=np.concatenate(ids), scores=np.concatenate(scores), clusters=np.concatenate(clusters)
    )


def score_pieces(
    embeddings: Embeddings,
    prototypes: Clusters | ClassMeans,
    *,
    executor: Executor | None = None,
    device: str | None = None,
    skip: Callable[[int], bool] | None = None,
) -> Iterator[tuple[int, Rows, Rows, Rows]]:
    """Yield first row, ids, scores and clusters of each piece, in order."""
    as_engine(device, executor)
    about = prototypes.checked
    if embeddings.dim != about.dim:
        raise InputError(
            f"embeddings: rows hold {embeddings.dim} numbers, the prototypes {about.dim}"
        )
    mean = about.mean.astype(np.float32) if prototypes.geometry == "euclidean" else None
    centroids = prototypes.centroids
    if mean is not None:
        centroids = centroids - mean.astype(np.float64)
    near = centroids.astype(np.float32)
    if isinstance(prototypes, ClassMeans):
        if device is not None:
            raise InputError(
                f"device = {device!r}: distances from class means have no products to gain from "
                "it; leave it out"
            )
        if embeddings.rows != about.rows:
            raise InputError(
                f"embeddings: {embeddings.rows} rows, and labels for {about.rows}; score the rows "
                "that the class means come from"
            )
        rows = with_labels(embeddings, prototypes.labels)
        job, more = _score_classes, (near, mean, prototypes.classes)
    else:
        rows, job, more = embeddings, assign_piece, (near, mean)  # type: ignore[assignment]
        if device is not None:
            job, more = assign_on_device, (near, mean, device)  # type: ignore[assignment]
    for first, (clusters, squared) in over_pieces(
        rows, job, *more, executor=executor, block=about.block, skip=skip
    ):
        scores = squared / 2 if mean is None else np.sqrt(squared)
        # Rows that the prototypes come from were looked at; others were not.
        bad = ~np.isfinite(scores)
        if bad.any():
            row = first + int(np.flatnonzero(bad)[0])
            raise InputError(
                f"{embeddings.where(row)}: has no finite distance; it is zero, or holds numbers "
                "that are not finite or too large"
            )
        yield first, embeddings.ids(first, first + len(scores)), scores, clusters


def read_labels(labels: Any, rows: int) -> Part:
    """Look at the classes of rows: whole numbers or texts, an array or a ``.npy`` file."""
    part = read_column("labels", labels, rows)
    if part.dtype.kind not in "biuSU" or len(part.shape) > 1:
        raise InputError(
            f"labels: {part.name} holds {part.dtype} of shape {part.shape}; give one whole number "
            "or text a row"
        )
    return part


def with_labels(embeddings: Embeddings, labels: Part) -> Embeddings:
    """Let labels travel with the rows, in the place of ids."""
    return replace(embeddings, ids_in=(labels,), id_starts=(0,))


def _classes(part: Part, block: int) -> Rows:
    found: Rows | None = None
    for start in range(0, part.shape[0], block):
        new = np.unique(part.read(start, min(part.shape[0], start + block)))
        found = new if found is None else np.union1d(found, new)
        if len(found) > _CLASSES:
            raise InputError(f"labels: more than {_CLASSES} classes; are these ids?")
    assert found is not None
    return found


def _sum_classes(piece: Embeddings, block: int, classes: Rows, mean: Floats | None) -> Any:
    found = empty_sums(len(classes), piece.dim)
    for start, raw in piece.blocks(block):
        codes = np.searchsorted(classes, piece.ids(start, start + len(raw)))
        present, sums = sum_rows(prepare(raw, mean), codes.astype(np.int64), len(classes))
        found.total[present] += sums
        found.counts += np.bincount(codes, minlength=len(classes))
    return found


def _score_classes(
    piece: Embeddings, block: int, centroids: Floats, mean: Floats | None, classes: Rows
) -> tuple[Any, Any]:
    codes = np.empty(piece.rows, dtype=np.int32)
    squared = np.empty(piece.rows, dtype=np.float32)
    for start, raw in piece.blocks(block):
        stop = start + len(raw)
        codes[start:stop] = np.searchsorted(classes, piece.ids(start, stop))
        rest = prepare(raw, mean) - centroids[codes[start:stop]]
        squared[start:stop] = np.einsum("ij,ij->i", rest, rest)
    return codes, squared

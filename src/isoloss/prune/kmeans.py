"""k-means over rows that do not fit in memory, the same to the last bit however it is run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_seed, freeze
from isoloss._core.executor import Executor
from isoloss._core.journal import Journal
from isoloss.errors import InputError
from isoloss.prune.embeddings import open_embeddings
from isoloss.prune.embeddings_check import Checked, check_embeddings, require_usable
from isoloss.prune.kmeans_assign import Sums, empty_sums, sum_piece
from isoloss.prune.kmeans_start import STARTS, first_centroids
from isoloss.prune.on_device import as_engine, keep_engine, sum_on_device
from isoloss.prune.pieces import BLOCK, Floats, as_geometry, as_whole, is_shown, over_pieces

_STATS = ("objective", "moved", "empty", "replaced")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clusters:
    """Centroids, and how far Lloyd's algorithm has come.

    Attributes
    ----------
    centroids
        (k, dim), as the rows are stored; of length one where the geometry is ``cosine``.
    counts
        Rows of each in the last pass, (k,).
    geometry
        ``cosine`` or ``euclidean``.
    objective
        Mean distance of rows to their centroid at each pass, before it moved: 1 - cosine, or the
        squared Euclidean distance.
    moved
        Root mean square of what centroids moved at each pass.
    empty, replaced
        Clusters without rows at each pass, and how many of them got a far row as new centroid.
    converged
        Whether the last pass lowered the objective by less than ``tolerance`` of itself.
    checked
        What the rows are: shape, digest, mean.
    settings
        Everything else that the answer depends on.
    """

    centroids: Array
    counts: Array
    geometry: str
    objective: Array
    moved: Array
    empty: Array
    replaced: Array
    converged: bool
    checked: Checked
    settings: dict[str, Any]

    def __repr__(self) -> str:
        k, dim = self.centroids.shape
        state = "converged" if self.converged else "not converged"
        return f"Clusters(k={k}, dim={dim}, {self.geometry}, {state}, {self.objective.size} passes)"

    @property
    def left(self) -> float:
        """What the last pass took off the objective, as a part of it; inf after a single pass."""
        if self.objective.size < 2:
            return 0.0 if self.converged else math.inf
        before, after = self.objective[-2:]
        return float((before - after) / before) if before > 0 else 0.0

    def summary(self) -> str:
        """One sentence for people."""
        k = len(self.centroids)
        text = (
            f"{k} centroids of {self.checked.rows} rows, {self.geometry}: "
            f"{self.objective.size} passes, mean distance {self.objective[-1]:.6g}, last pass took "
            f"off {self.left:.2g} of it; clusters of {int(self.counts.min())} to "
            f"{int(self.counts.max())} rows, {int(self.empty[-1])} empty"
        )
        return text if self.converged else f"{text}; not converged"

    def to_dict(self) -> dict[str, Any]:
        """Return plain types; the centroids themselves are not among them."""
        return {
            "schema": 1,
            "k": len(self.centroids),
            "dim": self.checked.dim,
            "rows": self.checked.rows,
            "geometry": self.geometry,
            "passes": int(self.objective.size),
            "converged": self.converged,
            "objective": self.objective.tolist(),
            "moved": self.moved.tolist(),
            "empty": self.empty.astype(int).tolist(),
            "replaced": self.replaced.astype(int).tolist(),
            "smallest": int(self.counts.min()),
            "largest": int(self.counts.max()),
            "digest": self.checked.digest,
            "settings": dict(self.settings),
        }


def fit_kmeans(
    embeddings: Any,
    k: int | str,
    *,
    geometry: str = "cosine",
    start: str = "k-means++",
    passes: int = 20,
    tolerance: float = 1e-3,
    rng: int | np.random.Generator = 0,
    block: int = BLOCK,
    journal: str | Path | None = None,
    executor: Executor | None = None,
    device: str | None = None,
    checked: Checked | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Clusters:
    """Find k centroids by full passes of Lloyd's algorithm over all rows.

    Each pass gives every row to the nearest centroid and puts each centroid at the mean of its
    rows; with ``cosine`` rows have length one and so has the centroid, which makes it the spherical
    algorithm.

    Parameters
    ----------
    embeddings
        What `open_embeddings` reads.
    k
        Centroids; at most the number of rows. ``"stable"`` asks `choose_clusters`.
    geometry
        ``cosine`` or ``euclidean``.
    start
        ``k-means++`` among 16 k rows at random, or ``sample``: k rows at random.
    passes
        At most.
    tolerance
        Stop when a pass lowers the objective by less than this part of it.
    rng
        Seed of the start; nothing else is random. Of a generator one number is taken as seed.
    block
        Rows read at once. Sums are added block by block, so the last digits depend on it.
    journal
        A folder for the state after each pass; a second call with the same rows and settings goes
        on from there.
    executor
        Where pieces of 32 blocks are worked on; the answer is the same to the last bit.
    device
        Where torch takes the products: ``"cpu"`` or ``"cuda"``; numpy takes them without it. The
        answer is the same but for rounding, and a journal goes on with the engine that began it.
    checked
        What `check_embeddings` said of these rows, if it has been asked already.

    Returns
    -------
    Clusters
        Read ``converged`` and ``left``: passes may have run out.

    Raises
    ------
    InputError
        If rows cannot be used, there are fewer than k, the device is not there, or another
        engine began the journal.

    Notes
    -----
    A cluster that loses all its rows is put on the row farthest from its centroid, of equally far
    ones the first, of equal rows only one. If rows have fewer than k distinct values, some clusters
    stay empty.

    References
    ----------
    Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28 (1982). Dhillon and
    Modha, "Concept decompositions for large sparse text data", Machine Learning 42 (2001).

    Examples
    --------
    >>> found = fit_kmeans([[1.0, 0.1], [1.0, -0.1], [-0.2, 1.0], [0.2, 1.0]], 2)
    >>> found.centroids.round(6).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    >>> found.converged
    True
    """
    opened = open_embeddings(embeddings)
    passes = as_whole("passes", passes, 1, 100_000)
    seed = int(rng.integers(2**62)) if isinstance(rng, np.random.Generator) else as_seed(rng)
    as_geometry(geometry)
    engine = as_engine(device, executor)
    if start not in STARTS:
        raise InputError(f"start = {start!r}: write {' or '.join(STARTS)}")
    if not 0 <= tolerance < 1:
        raise InputError(f"tolerance = {tolerance!r}: must be at least 0 and below 1")
    if k == "stable":
        from isoloss.prune.kmeans_choose import choose_clusters

        k = choose_clusters(opened, geometry=geometry, rng=seed, on_step=on_step).k
    k = as_whole("k", k)
    if k > opened.rows:
        raise InputError(
            f"k = {k}: there are {opened.rows} rows, and a centroid needs one at least"
        )
    checked = checked or check_embeddings(
        opened, geometry=geometry, executor=executor, block=block, on_step=on_step
    )
    require_usable(checked, opened, geometry)
    mean = checked.mean.astype(np.float32) if geometry == "euclidean" else None
    settings = {
        "k": k, "geometry": geometry, "start": start, "passes": passes,
        "tolerance": float(tolerance), "seed": seed, "block": checked.block,
    }  # fmt: skip
    if device is not None:
        settings |= engine
    if journal is not None:
        keep_engine(Path(journal), engine)
    state = _State(journal, {"k-means": 1, "rows": checked.digest, **settings})
    centroids, counts, history = state.read(k, opened.dim)
    if centroids is None:
        first_rows = first_centroids(opened, k, start, seed, mean, device)
        centroids = np.asarray(first_rows, dtype=np.float64)
        if mean is None:
            centroids /= np.linalg.norm(centroids, axis=1)[:, None]
    job, more = (sum_piece, ()) if device is None else (sum_on_device, (device,))
    while len(history) < passes and not _settled(history, tolerance):
        done = empty_sums(k, opened.dim)
        near = centroids.astype(np.float32)
        for first, sums in over_pieces(
            opened, job, near, mean, *more, executor=executor, block=checked.block
        ):
            done.add(sums)
            if on_step and is_shown(first, opened.rows, checked.block):
                on_step(f"pass {len(history) + 1}, row {first} of {opened.rows}")
        moved, replaced = _update(done, centroids, mean is None)
        share = done.distance / opened.rows / (2 if mean is None else 1)
        shift = float(np.sqrt(np.square(moved - centroids).sum(axis=1).mean()))
        history.append((share, shift, float((done.counts == 0).sum()), float(replaced)))
        centroids, counts = moved, done.counts.astype(np.float64)
        state.write(centroids, counts, history)
    stats = {name: freeze(v) for name, v in zip(_STATS, np.array(history).T, strict=True)}
    stored = centroids if mean is None else centroids + mean.astype(np.float64)
    return Clusters(
        centroids=freeze(stored), counts=freeze(counts), geometry=geometry,
        converged=_settled(history, tolerance), checked=checked, settings=settings, **stats,
    )  # fmt: skip


def _settled(history: list[tuple[float, ...]], tolerance: float) -> bool:
    if history and history[-1][0] == 0:
        return True
    if len(history) < 2 or history[-1][3] > 0:
        return False
    return history[-2][0] - history[-1][0] <= tolerance * history[-2][0]


def _update(done: Sums, before: Array, unit: bool) -> tuple[Array, int]:
    """Means of clusters; far rows for empty ones. Returns how many were replaced."""
    centroids = np.array(before)
    full = done.counts > 0
    centroids[full] = done.total[full] / done.counts[full, None]
    if unit:
        size = np.linalg.norm(centroids, axis=1)
        # Rows that cancel have no mean direction: the centroid stays.
        lost = size < 1e-9
        centroids[lost], size[lost] = before[lost], 1.0
        centroids /= size[:, None]
    replaced = 0
    spare = _distinct(done)
    for j, vector in zip(np.flatnonzero(~full), spare, strict=False):
        centroids[j] = vector
        replaced += 1
    return centroids, replaced


def _distinct(done: Sums) -> list[Floats]:
    found: list[Floats] = []
    for far, vector in zip(done.far, done.far_vectors, strict=True):
        # Rows that lie on their centroid, to rounding, are spoken for.
        if far > 1e-10 and not any(np.array_equal(vector, other) for other in found):
            found.append(vector)
    return found


class _State:
    """Centroids, counts and history after a pass, on disk; the two last passes are kept."""

    def __init__(self, folder: str | Path | None, key: Any) -> None:
        self.journal = None if folder is None else Journal(Path(folder), key)

    def read(self, k: int, dim: int) -> tuple[Any, Any, list[tuple[float, ...]]]:
        if self.journal is None or not self.journal.folder.is_dir():
            return None, None, []
        names = sorted(p.stem for p in self.journal.folder.glob("pass-*.npy"))
        for name in reversed(names):
            found = self.journal.read(name)
            if found is not None and found.ndim == 1 and found.size > k * (dim + 1):
                history = found[k * (dim + 1) :].reshape(-1, len(_STATS))
                return (
                    np.array(found[: k * dim].reshape(k, dim)),
                    np.array(found[k * dim : k * (dim + 1)]),
                    [tuple(row) for row in history.tolist()],
                )
        return None, None, []

    def write(self, centroids: Array, counts: Array, history: list[tuple[float, ...]]) -> None:
        if self.journal is None:
            return
        flat = np.concatenate([centroids.ravel(), counts, np.ravel(history)])
        self.journal.write(f"pass-{len(history):06d}", flat)
        for suffix in ("npy", "sha256"):
            old = self.journal.folder / f"pass-{len(history) - 2:06d}.{suffix}"
            old.unlink(missing_ok=True)

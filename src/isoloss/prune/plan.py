"""Time, memory and disk of k-means, scores and near-duplicates before anything is run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from isoloss._core.arrays import as_positive
from isoloss._core.threads import one_thread
from isoloss.errors import InputError
from isoloss.prune.dedup_rules import PANEL
from isoloss.prune.embeddings import Embeddings, open_embeddings
from isoloss.prune.kmeans_assign import FARTHEST, TILE_CENTROIDS, TILE_ROWS
from isoloss.prune.kmeans_start import sample_size
from isoloss.prune.pieces import BLOCK, BLOCKS, as_whole

FORMULA = {
    "pass_flops": "2 rows k dim",
    "flops": "passes times pass_flops, plus pass_flops to score, plus 2 sample k dim to start",
    "cpu_hours": "flops / (flops_per_second 3600), the start counted ten times, and one look: "
    "rows dim 4 bytes / look_bytes_per_second",
    "hours": "cpu_hours / workers, but the start, which one worker makes; reading is not in it",
    "sent_bytes": "k dim 8 bytes for each piece of 262,144 rows and pass, from workers to here",
    "read_bytes": "rows dim width (passes + 2): one look, the passes, the scores",
    "bytes_needed": "memory of bytes_needed(), the same for any number of rows",
    "score_bytes": "rows (4 + 4 + id width), written",
    "dedup_flops": "rows dim (uneven rows / k + 512), in panels of 512 rows",
    "uneven": "mean square of the sizes of clusters over the square of their mean; 1 if unknown",
    "dedup_cpu_hours": "dedup_flops / (dedup_flops_per_second 3600)",
    "cost": "cpu_hours price",
    "dedup_cost": "dedup_cpu_hours price",
    "dedup_bytes": "rows 32 + 512 MB",
}
"""What each number of a plan is."""

_START = 10
"""k-means++ reads its sample once for each centroid, which memory slows some ten times."""

_SCATTER, _SHARDS = 64 << 20, 10
"""Bytes of files that rows of a cluster are gathered from where that is timed, and how many."""

_CHOICES = 16
"""Clusters of that kind that take turns."""

_MOMENT, _MEMBERS = 4e10, 4096
"""Operations of a pass that is timed, and rows of a cluster."""

_LOOK = 1e9
"""Bytes a second that one worker looks at, digest and all, where it is not measured."""

_PAIRS = 0.5
"""Speed of near-duplicates as a part of that of products, where it is not measured."""

DEDUP_ROW_BYTES = 32
"""Cluster, distance, order, answer and partner of a row, held in memory."""

DEDUP_CLUSTER_BYTES = 512 << 20
"""A cluster whose rows take more is laid out in a file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrunePlan:
    """What pruning at a size takes; `FORMULA` says how each number comes about.

    Attributes
    ----------
    rows, dim, k, passes, workers, width
        The size: ``width`` is bytes of a stored number.
    flops_per_second, look_bytes_per_second, dedup_flops_per_second
        Of one worker: in a pass of k-means, in the look at all rows, among near-duplicates.
    pass_flops, flops, cpu_hours, hours
        Work of a pass and of everything, and its time.
    read_bytes, bytes_needed, score_bytes, sent_bytes
        Read from disk, held in memory by each process, written, sent by workers.
    dedup_flops, dedup_cpu_hours, dedup_bytes
        Near-duplicates, after the clusters are found.
    uneven
        What unequal clusters add to the pairs, as a factor; 1 where their sizes are not given.
    price, cost, dedup_cost
        Of a CPU hour, and of both jobs, in the same money; None where no price is given.
    """

    rows: int
    dim: int
    k: int
    passes: int
    workers: int
    width: int
    flops_per_second: float
    look_bytes_per_second: float
    dedup_flops_per_second: float
    pass_flops: float
    flops: float
    cpu_hours: float
    hours: float
    read_bytes: int
    bytes_needed: int
    score_bytes: int
    sent_bytes: int
    dedup_flops: float
    dedup_cpu_hours: float
    dedup_bytes: int
    uneven: float
    price: float | None
    cost: float | None
    dedup_cost: float | None

    def __repr__(self) -> str:
        return f"PrunePlan({self.rows:.3g} rows, k={self.k}, {self.cpu_hours:.3g} CPU hours)"

    def to_dict(self) -> dict[str, Any]:
        """Return plain types, with the formulas."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"schema": 1, **found, "formula": dict(FORMULA)}


def plan_pruning(
    rows: int,
    dim: int,
    k: int,
    *,
    passes: int = 20,
    workers: int = 1,
    width: int = 4,
    flops_per_second: float | None = None,
    price: float | None = None,
    sizes: Any = None,
) -> PrunePlan:
    """Foretell time, memory and disk of k-means, prototype scores and near-duplicates.

    Parameters
    ----------
    rows, dim, k
        The size.
    passes
        Of Lloyd's algorithm; all of them are counted.
    workers
        Processes that share the work.
    width
        Bytes of a stored number: 2, 4 or 8.
    flops_per_second
        Of one worker; where it is not given, passes, look and near-duplicates are each run for a
        fifth of a second on made-up rows of the same width.
    price
        Of a CPU hour.
    sizes
        Rows of each cluster, where they are known, (k,): near-duplicates take more in unequal ones,
        twice as much where the sizes deviate by their mean.

    Raises
    ------
    InputError
        If a size is no whole number, k exceeds the rows, or sizes do not sum to the rows.

    Examples
    --------
    >>> plan = plan_pruning(10**9, 768, 10_000, workers=64, flops_per_second=1e11)
    >>> round(plan.pass_flops / 1e16, 3), round(plan.cpu_hours), round(plan.hours, 1)
    (1.536, 897, 14.1)
    """
    rows, dim = as_whole("rows", rows), as_whole("dim", dim, 1, 10**6)
    k, passes = as_whole("k", k), as_whole("passes", passes, 1, 10**5)
    workers = as_whole("workers", workers, 1, 10**6)
    if width not in (2, 4, 8):
        raise InputError(f"width = {width!r}: numbers take 2, 4 or 8 bytes")
    if k > rows:
        raise InputError(f"k = {k}: there are {rows} rows, and a centroid needs one at least")
    uneven = _unevenness(sizes, rows, k)
    speeds = measure_speeds(dim, k, rows / k) if flops_per_second is None else None
    if speeds is None:
        given = as_positive("flops_per_second", flops_per_second)
        speeds = Speeds(given, _LOOK, _PAIRS * given)
    price = None if price is None else as_positive("price", price)
    one = 2.0 * rows * k * dim
    start = 2.0 * sample_size(rows, k, "k-means++") * k * dim
    flops = (passes + 1) * one + start
    pairs = float(rows) * dim * (uneven * rows / k + PANEL)
    alone = _START * start / speeds.passes / 3600
    shared = (flops - start) / speeds.passes / 3600 + rows * dim * 4.0 / speeds.look / 3600
    dedup_hours = pairs / speeds.pairs / 3600
    held = 2 * workers if workers > 1 else 0
    pieces = -(-rows // (BLOCK * BLOCKS)) if workers > 1 else 0
    return PrunePlan(
        rows=rows, dim=dim, k=k, passes=passes, workers=workers, width=width,
        flops_per_second=speeds.passes, look_bytes_per_second=speeds.look,
        dedup_flops_per_second=speeds.pairs, pass_flops=one, flops=flops,
        cpu_hours=shared + alone, hours=shared / workers + alone,
        read_bytes=rows * dim * width * (passes + 2),
        bytes_needed=bytes_needed(rows, dim, k, width=width, in_flight=held),
        score_bytes=rows * 16, sent_bytes=pieces * passes * k * dim * 8,
        dedup_flops=pairs, dedup_cpu_hours=dedup_hours,
        dedup_bytes=rows * DEDUP_ROW_BYTES + DEDUP_CLUSTER_BYTES, uneven=uneven, price=price,
        cost=None if price is None else price * (shared + alone),
        dedup_cost=None if price is None else price * dedup_hours,
    )  # fmt: skip


def _unevenness(sizes: Any, rows: int, k: int) -> float:
    if sizes is None:
        return 1.0
    counts = np.asarray(sizes)
    if counts.shape != (k,) or counts.dtype.kind not in "iuf" or not (counts >= 0).all():
        raise InputError(
            f"sizes: shape {counts.shape} of {counts.dtype}; give rows of {k} clusters"
        )
    wide = counts.astype(np.float64)
    if wide.sum() != rows:
        raise InputError(f"sizes: sum to {wide.sum():.17g}, and there are {rows} rows")
    return float(np.square(wide).mean() / wide.mean() ** 2)


def bytes_needed(
    rows: int, dim: int, k: int, *, width: int = 4, block: int = BLOCK, in_flight: int = 0,
    held: int = 0, start: str = "k-means++",
) -> int:  # fmt: skip
    """Memory that k-means and scores take beside the interpreter: an upper bound, flat in rows.

    Parameters
    ----------
    rows, dim, k
        The size; rows count only where they are fewer than a block, a piece or the sample.
    width
        Bytes of a stored number.
    block
        Rows read at once.
    in_flight
        Pieces handed out to workers at once, whose sums arrive here; 0 where this process works.
    held
        What reading holds beside the rows asked for; of Parquet, a row group.
    start
        How first centroids are found.

    Examples
    --------
    >>> bytes_needed(10**9, 768, 10_000) == bytes_needed(10**7, 768, 10_000)
    True
    """
    block = min(block, rows)
    piece = min(block * BLOCKS, rows)
    # As stored twice, in float32 twice, in float64, and the sums of the clusters present.
    reading = block * dim * (2 * width + 4 + 4 + 8) + min(k, block) * dim * 8
    tile = 4 * min(TILE_ROWS, block) * (min(TILE_CENTROIDS, k) + 3 * dim) + 64 * block
    # Sums of all and of a piece, centroids before and after, one copy to write; float32 ones.
    sums = k * dim * (5 * 8 + 4 + 4) + 2 * FARTHEST * dim * 4
    sample = sample_size(rows, k, start) * (dim * 4 * 3 + 32)
    scores = 48 * piece
    arriving = in_flight * k * dim * 12
    return int(max(reading + tile + sums + scores + arriving, sample + k * dim * 12) + held)


def needs_of(embeddings: Embeddings, k: int, *, in_flight: int = 0) -> int:
    """Return `bytes_needed` of embeddings that are there."""
    return bytes_needed(
        embeddings.rows, embeddings.dim, k, in_flight=in_flight,
        width=max(part.dtype.itemsize for part in embeddings.parts),
        held=2 * max(part.bytes_held for part in embeddings.parts),
    )  # fmt: skip


class Speeds(NamedTuple):
    """Operations a CPU second of one thread in passes and pairs, and bytes looked at."""

    passes: float
    look: float
    pairs: float


def measure_speeds(dim: int, k: int, members: float, *, seconds: float = 0.2) -> Speeds:
    """Run passes, look and near-duplicates for a moment each on rows like those to come."""
    from isoloss.prune.dedup import Work, compare_cluster
    from isoloss.prune.embeddings_check import check_embeddings
    from isoloss.prune.kmeans_assign import sum_piece

    width, k = min(dim, 8192), min(k, 1 << 16)
    rng = np.random.default_rng(0)
    # As many rows as a block has, but no more than a moment takes.
    rows = int(np.clip(_MOMENT / (2 * k * width), TILE_ROWS, BLOCK))
    x = rng.standard_normal((rows, width), dtype=np.float32)
    x /= np.linalg.norm(x, axis=1)[:, None]
    centroids = x[np.arange(k) % rows] + np.float32(1e-3)
    few = int(np.clip(min(members, rows), 2, _MEMBERS))
    opened, work = open_embeddings(x), Work(0.05, "greedy", None, None, DEDUP_CLUSTER_BYTES)
    with one_thread(), tempfile.TemporaryDirectory(prefix="isoloss-") as folder:
        scattered, orders = _scatter(few, int(k * members), width, Path(folder), rng)
        turns = cycle(orders)
        a_pass = _timed(lambda: sum_piece(opened, BLOCK, centroids, None), seconds)
        a_look = _timed(lambda: check_embeddings(opened), seconds)
        pairs = _timed(lambda: compare_cluster(scattered, next(turns), work), seconds)
    return Speeds(
        2.0 * rows * k * width / a_pass, rows * width * 4.0 / a_look,
        few * width * (few + PANEL) / pairs,
    )  # fmt: skip


def _scatter(
    few: int, rows: int, dim: int, folder: Path, rng: np.random.Generator
) -> tuple[Embeddings, list[Any]]:
    """Write rows to files, every second one a copy; choose as many as a cluster has, many times.

    The files are as large as the size allows, and no choice has the rows of the one before, so that
    most lie in pages of their own and in no cache, as rows of a cluster do. One row in twenty is a
    copy, as duplicates take time and their like stand apart on disk.
    """
    total = 2 * max(few, min(rows, _SCATTER // (4 * dim)) // 2)
    for i, some in enumerate(np.array_split(np.arange(total // 2), min(_SHARDS, total // 2))):
        x = rng.standard_normal((len(some), dim), dtype=np.float32)
        np.save(folder / f"{i}.npy", np.repeat(x, 2, axis=0))
    orders = []
    for _ in range(_CHOICES):
        places = 2 * rng.permutation(total // 2)[:few]
        places[: few // 20] = places[few - few // 20 :] + 1
        orders.append(rng.permutation(places))
    return open_embeddings(folder), orders


def _timed(job: Callable[[], Any], seconds: float) -> float:
    """CPU seconds of one call, after one that does not count."""
    job()
    rounds, begin, spent = 0, time.process_time(), 0.0
    while spent < seconds:
        job()
        rounds += 1
        spent = time.process_time() - begin
    return spent / rounds

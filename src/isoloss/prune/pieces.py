"""Passes over all rows: pieces and blocks cut by row number alone, answers taken in order.

Where a row is stored, who reads it and how many read do not move the cuts or the order in which
sums are added, so that they do not move the last bit of an answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.executor import Executor, cores
from isoloss._core.threads import one_thread
from isoloss.errors import InputError
from isoloss.prune.embeddings import Embeddings
from isoloss.prune.shards import Rows

Floats = npt.NDArray[np.float32]

BLOCK = 8192
"""Rows read at once."""

BLOCKS = 32
"""Blocks of a piece, which is what a task works on."""

GEOMETRIES = ("cosine", "euclidean")


def over_pieces(
    embeddings: Embeddings,
    job: Callable[..., Any],
    *arguments: Any,
    executor: Executor | None = None,
    block: int = BLOCK,
    skip: Callable[[int], bool] | None = None,
    in_flight: int | None = None,
) -> Iterator[tuple[int, Any]]:
    """Run ``job(piece, block, *arguments)`` on every piece; yield first rows and results, in order.

    Parameters
    ----------
    skip
        Which pieces to leave out, by their first row.
    in_flight
        Pieces handed out at once; their results are what memory grows with.
    """
    starts = [s for s in range(0, embeddings.rows, block * BLOCKS) if not (skip and skip(s))]
    pieces = (
        (start, embeddings.cut(start, min(embeddings.rows, start + block * BLOCKS)))
        for start in starts
    )
    calls = ((start, (piece, block, *arguments)) for start, piece in pieces)
    yield from in_order(job, calls, executor, in_flight)


def in_order(
    job: Callable[..., Any],
    calls: Iterator[tuple[int, tuple[Any, ...]]],
    executor: Executor | None,
    in_flight: int | None = None,
) -> Iterator[tuple[int, Any]]:
    """Run calls here or where an executor does; yield numbers and results in the order given."""
    if executor is None:
        for number, arguments in calls:
            yield number, _alone(job, *arguments)
        return
    waiting: deque[tuple[int, Any]] = deque()
    most = in_flight or tasks_held(executor)
    try:
        for number, arguments in calls:
            waiting.append((number, executor.submit(_alone, job, *arguments)))
            if len(waiting) >= most:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def tasks_held(executor: Any) -> int:
    """Pieces handed out at once where nothing else is said: two for each core there."""
    client = getattr(executor, "client", None)
    return 2 * max(cores(), sum(client.ncores().values()) if client is not None else 0)


def is_shown(first: int, rows: int, block: int) -> bool:
    """Whether to tell of the piece that begins at a row: some twenty times a pass."""
    size = block * BLOCKS
    return first // size % max(1, rows // size // 20) == 0


def _alone(job: Callable[..., Any], *arguments: Any) -> Any:
    # One thread: no BLAS promises the same bits however it shares work between threads.
    with one_thread():
        return job(*arguments)


def read_floats(raw: Rows) -> Floats:
    """Return float32 in C order; what does not fit becomes infinite, for the check to find."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(raw, dtype=np.float32)


def lengths(x: Floats) -> npt.NDArray[np.float64]:
    """Euclidean lengths of rows, right where squares leave float32."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        found = np.einsum("ij,ij->i", x, x).astype(np.float64)
        odd = ~((found > 1e-25) & (found < 1e30))
        if odd.any():
            found[odd] = np.square(x[odd], dtype=np.float64).sum(axis=1)
    return np.asarray(np.sqrt(found))


def prepare(raw: Rows, mean: Floats | None, *, out: Floats | None = None) -> Floats:
    """Bring rows to unit length, or, where the geometry is Euclidean, to a mean of zero.

    Distances from products lose digits far from the origin; taking off the mean keeps them.
    """
    x = read_floats(raw)
    with np.errstate(all="ignore"):
        if mean is None:
            return np.divide(x, _as_divisors(x), out=out)
        return np.subtract(x, mean, out=out)


def _as_divisors(x: Floats) -> Floats:
    return lengths(x).astype(np.float32)[:, None]


def as_geometry(geometry: str) -> str:
    """Read the name of a geometry."""
    if geometry not in GEOMETRIES:
        raise InputError(f"geometry = {geometry!r}: write cosine or euclidean")
    return geometry


def as_whole(name: str, value: Any, least: int = 1, most: int = 10**15) -> int:
    """Read a whole number."""
    good = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not good or not least <= value <= most:
        raise InputError(f"{name} = {value!r}: must be a whole number from {least} to {most:g}")
    return int(value)


def package_version() -> str:
    """Version that made a file."""
    try:
        return version("isoloss")
    except PackageNotFoundError:
        return "not installed"

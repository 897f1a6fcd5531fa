"""Time a pass of k-means and of scores beside the bare products, and beside faiss where it is.

    python benchmarks/prune.py [--rows 1000000] [--dim 256] [--k 1000]

CPU seconds on one thread and the peak of private memory, each step in a process of its own; rows
lie in shards of 100,000 on disk. The floor is the float32 products of a pass and nothing else.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from isoloss.prune import (
    bytes_needed,
    find_duplicates,
    fit_kmeans,
    open_embeddings,
    write_prototype_scores,
)
from isoloss.prune.embeddings_check import check_embeddings

SHARD = 100_000


def main() -> None:
    """Make rows, run each step, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--dedup", action="store_true", help="near-duplicates too")
    options = parser.parse_args()
    size = (options.rows, options.dim, options.k)
    steps: list[Callable[..., Any]] = [floor, look, one_pass, two_passes, faiss_assign]
    if options.dedup:
        steps.append(duplicates)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "rows", *size)
        base = None
        for step in steps:
            spent, peak, said = apart(step, folder, size)
            if spent is None:
                print(f"{step.__name__:14s} {said}")
                continue
            base = base or spent
            print(
                f"{step.__name__:14s} {spent:8.2f} CPU s  {spent / base:6.2f} of the floor  "
                f"{peak / 1e6:8.0f} MB private  {said}"
            )
    print(f"stated before the run: {bytes_needed(*size) / 1e6:.0f} MB")


def make(folder: Path, rows: int, dim: int, k: int) -> None:
    """Blobs of unequal size, a twentieth of the rows near-copies of the row before."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((3 * k, dim), dtype=np.float32)
    weight = 1 / np.sqrt(np.arange(1, 3 * k + 1))
    for i in range(0, rows, SHARD):
        n = min(SHARD, rows - i)
        x = centres[rng.choice(3 * k, n, p=weight / weight.sum())]
        x += rng.standard_normal((n, dim), dtype=np.float32)
        copies = 1 + 2 * rng.permutation((n - 1) // 2)[: n // 20]
        x[copies] = x[copies - 1] + 0.1 * rng.standard_normal((len(copies), dim), dtype=np.float32)
        np.save(folder / f"shard-{i // SHARD}.npy", x)


def floor(folder: str, rows: int, dim: int, k: int) -> str:
    """Products of a pass, in tiles of 1024 rows, on numbers that stay in memory."""
    x = np.ones((1024, dim), dtype=np.float32)
    c = np.ones((k, dim), dtype=np.float32)
    out = np.empty((1024, k), dtype=np.float32)
    for _ in range(-(-rows // 1024)):
        np.matmul(x, c.T, out=out)
    return f"{2 * rows * dim * k / 1e9:.0f} GFLOP"


def look(folder: str, rows: int, dim: int, k: int) -> str:
    """Check and digest of every row."""
    return check_embeddings(open_embeddings(f"{folder}/rows")).digest[:12]


def one_pass(folder: str, rows: int, dim: int, k: int) -> str:
    """One pass of Lloyd's algorithm, without the look and with a plain start."""
    opened = open_embeddings(f"{folder}/rows")
    checked = check_embeddings(opened)
    begin = time.process_time()
    found = fit_kmeans(opened, k, passes=1, start="sample", checked=checked)
    return f"{time.process_time() - begin:.2f} CPU s without the look; {found.objective[-1]:.5f}"


def two_passes(folder: str, rows: int, dim: int, k: int) -> str:
    """Look, k-means++, two passes, scores written."""
    opened = open_embeddings(f"{folder}/rows")
    found = fit_kmeans(opened, k, passes=2)
    return f"mean score {write_prototype_scores(opened, found, f'{folder}/out')['mean']:.5f}"


def faiss_assign(folder: str, rows: int, dim: int, k: int) -> str:
    """Nearest centroids of the first shard by faiss, scaled up."""
    import faiss

    x = np.load(f"{folder}/rows/shard-0.npy")
    faiss.normalize_L2(x)
    index = faiss.IndexFlatIP(dim)
    index.add(x[:k])
    begin = time.process_time()
    index.search(x, 1)
    spent = (time.process_time() - begin) * rows / len(x)
    return f"{spent:.2f} CPU s for all rows, from one shard"


def duplicates(folder: str, rows: int, dim: int, k: int) -> str:
    """Near-duplicates, greedy, eps 0.05."""
    found = find_duplicates(f"{folder}/rows", eps=0.05)
    return f"{found.removed.size} removed in {len(found.clusters.centroids)} clusters"


def apart(step: Callable[..., Any], folder: str, size: tuple[int, int, int]) -> Any:
    """Run a step in a process of its own: CPU seconds, peak of private memory, what it said."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_inside, args=(theirs, step.__name__, folder, size))
    process.start()
    theirs.close()
    peak = 0
    while process.is_alive() and not ours.poll(0.05):
        peak = max(peak, private(process.pid))
    answer = ours.recv()
    process.join()
    return answer[0], peak, answer[1]


def _inside(pipe: Any, name: str, folder: str, size: tuple[int, int, int]) -> None:
    begin = time.process_time()
    try:
        with threadpool_limits(1):
            said = globals()[name](folder, *size)
    except ImportError as error:
        pipe.send((None, f"left out: {error}"))
        return
    pipe.send((time.process_time() - begin, said))


def private(pid: int | None) -> int:
    """Private bytes of a process, of its own and not of files; 0 where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith("RssAnon")), "x 0")
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()

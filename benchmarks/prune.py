"""Time pruning beside its bare products, and beside faiss where it is: one table.

    python benchmarks/prune.py [--rows 1e6] [--dim 256] [--k 1000] [--scored 1e8] [--parts ...]
                                   [--device cuda]

CPU seconds of one thread and the peak of private memory, each step in a process of its own; rows
lie in shards of 100,000 on disk, scores in mapped files. Ratios are to the float32 products of a
step, timed in the same run. All of it takes some six minutes of one core, 6 GB of memory (the
selection) and 6 GB of disk; parts can be left out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
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
    plan_pruning,
    read_scores,
    select,
    write_prototype_scores,
    write_selection,
)
from isoloss.prune.embeddings_check import check_embeddings

SHARD = 100_000
PARTS = ("pass", "prototypes", "dedup", "border", "select", "flat", "faiss")
MEMBERS = 1000
"""Rows of a cluster in which near-duplicates are sought, or more where k is small."""

NEAR = 0.3
"""Noise of copies, as a part of that of blobs, where borders of clusters are looked across."""

BORDER, BORDER_ROWS = (32, 5), 2000
"""Numbers in a row and a third of the blobs, which clusters of 250 rows cut through."""

FLAT = (64, 100)
"""Numbers in a row and centroids where memory is compared at two numbers of rows."""


def main() -> None:
    """Make rows, run each step, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--scored", type=float, help="rows of the selection; 100 times --rows")
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    parser.add_argument("--device", help="cpu or cuda: a pass by torch as well")
    parser.add_argument("--scratch", help="a folder with room for the rows")
    options = parser.parse_args()
    parts = options.parts.split(",")
    size = (int(options.rows), options.dim, options.k)
    if options.device:
        os.environ["ISOLOSS_BENCHMARK_DEVICE"] = options.device
    print(f"{size[0]:.3g} rows of {size[1]}, k = {size[2]}; CPU seconds of one thread")
    print(f"{'step':14s} {'CPU time':>10s}  {'ratio':6s} {'private':>9s}")
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        if set(parts) & {"pass", "prototypes", "dedup", "faiss"}:
            make(Path(folder) / "rows", *size)
            base = run(floor, folder, size, None)
            if "pass" in parts:
                run(look, folder, size, base)
                run(one_pass, folder, size, base)
                if options.device:
                    run(device_pass, folder, size, base)
                print(f"{'':14s} stated before the run: {bytes_needed(*size) / 1e6:.0f} MB")
            if "prototypes" in parts:
                run(prototypes, folder, size, 11 * base)
            if "dedup" in parts:
                few = min(size[2], max(1, size[0] // MEMBERS))
                # Pairs take rows^2 dim / k, the floor 2 rows dim k.
                run(duplicates, folder, (*size[:2], few), base * size[0] / few / 2 / size[2])
            if "faiss" in parts:
                run(faiss_pass, folder, size, base)
                run(faiss_kmeans, folder, size, 20 * base * min(1, 256 * size[2] / size[0]))
        if "border" in parts:
            some = (max(BORDER_ROWS, size[0] // 20), *BORDER)
            make(Path(folder) / "border", *some, noise=NEAR)
            for step in (border_one, border_two):
                run(step, folder, some, None)
        if "select" in parts:
            scored = (int(options.scored or 100 * size[0]), 0, 10)
            make_scores(Path(folder) / "scored", scored[0])
            run(selection, folder, scored, None)
        if "flat" in parts:
            for rows in (size[0], 10 * size[0]):
                small = (rows, *FLAT)
                make(Path(folder) / f"flat{rows}", *small)
                run(flat, folder, small, None)


def run(
    step: Callable[..., Any], folder: str, size: tuple[int, int, int], base: float | None
) -> float:  # fmt: skip
    """Run a step apart and print its line; return its CPU seconds."""
    spent, peak, said = apart(step, folder, size)
    if spent is None:
        print(f"{step.__name__:14s} {said}")
        return 1.0
    ratio = "" if base is None else f"{spent / base:5.2f}x"
    print(
        f"{step.__name__:14s} {spent:8.2f} s  {ratio:6s} {peak / 1e6:6.0f} MB  {said}", flush=True
    )
    return float(spent)


def make(folder: Path, rows: int, dim: int, k: int, noise: float = 0.1) -> None:
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
        x[copies] = x[copies - 1] + noise * rng.standard_normal(
            (len(copies), dim), dtype=np.float32
        )
        np.save(folder / f"shard-{i // SHARD}.npy", x)


def floor(folder: str, rows: int, dim: int, k: int) -> str:
    """Products of a pass, in tiles of 1024 rows, on numbers that stay in memory."""
    x = np.ones((1024, dim), dtype=np.float32)
    c = np.ones((k, dim), dtype=np.float32)
    out = np.empty((1024, k), dtype=np.float32)
    for _ in range(-(-rows // 1024)):
        np.matmul(x, c.T, out=out)
    return f"{2 * rows * dim * k / 1e9:.0f} GFLOP"


def make_scores(folder: Path, rows: int) -> None:
    """Write scores, ids that stand in no order, and ten classes, as a folder of mapped columns."""
    from isoloss.prune.scores_format import _digest

    folder.mkdir()
    rng = np.random.default_rng(0)
    kinds = {"scores": np.float32, "ids": np.int64, "labels": np.int16}
    columns = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, (rows,))
        for name, kind in kinds.items()
    }
    span = 1 << (rows * 2).bit_length()
    for i in range(0, rows, 1 << 20):
        n = min(1 << 20, rows - i)
        columns["scores"][i : i + n] = rng.random(n, dtype=np.float32)
        columns["ids"][i : i + n] = np.arange(i, i + n) * 2654435761 % span
        columns["labels"][i : i + n] = rng.integers(10, size=n)
    for column in columns.values():
        column.flush()
    manifest = {
        "schema": 1, "direction": "high is hard", "labels": "labels.npy",
        "shards": [{"scores": "scores.npy", "ids": "ids.npy", "rows": rows}],
        "digest": _digest(folder, ["scores.npy", "ids.npy", "labels.npy"]),
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


def look(folder: str, rows: int, dim: int, k: int) -> str:
    """Check and digest of every row."""
    return check_embeddings(open_embeddings(f"{folder}/rows")).digest[:12]


def one_pass(folder: str, rows: int, dim: int, k: int) -> tuple[float, str]:
    """One pass of Lloyd's algorithm, without the look and with a plain start."""
    opened = open_embeddings(f"{folder}/rows")
    checked = check_embeddings(opened)
    begin = time.process_time()
    found = fit_kmeans(opened, k, passes=1, start="sample", checked=checked)
    return time.process_time() - begin, f"mean distance {found.objective[-1]:.5f}"


def device_pass(folder: str, rows: int, dim: int, k: int) -> tuple[float, str]:
    """Take the same pass by torch on a device, the second time."""
    device = os.environ["ISOLOSS_BENCHMARK_DEVICE"]
    opened = open_embeddings(f"{folder}/rows")
    checked = check_embeddings(opened)
    options = {"passes": 1, "start": "sample", "checked": checked, "device": device}
    fit_kmeans(opened, k, **options)
    begin, wall = time.process_time(), time.perf_counter()
    found = fit_kmeans(opened, k, **options)
    spent, wall = time.process_time() - begin, time.perf_counter() - wall
    return spent, f"on {device}, {wall:.2f} s by the clock; {found.objective[-1]:.5f}"


def prototypes(folder: str, rows: int, dim: int, k: int) -> str:
    """Look, k-means++, ten passes, scores written."""
    opened = open_embeddings(f"{folder}/rows")
    found = fit_kmeans(opened, k, passes=10, tolerance=0)
    mean = write_prototype_scores(opened, found, f"{folder}/out")["mean"]
    return f"10 passes and scores; mean score {mean:.5f}"


def duplicates(folder: str, rows: int, dim: int, k: int) -> tuple[float, str]:
    """Near-duplicates, greedy, eps 0.05, in clusters that are known."""
    from isoloss.prune import dedup

    opened = open_embeddings(f"{folder}/rows")
    clusters = fit_kmeans(opened, k, passes=2)
    assigned = list(dedup.score_pieces(opened, clusters))
    # What is timed is the comparison of rows; nearest centroids are a pass of their own.
    dedup.score_pieces = lambda *_, **__: iter(assigned)
    begin = time.process_time()
    found = find_duplicates(opened, eps=0.05, clusters=clusters)
    spent = time.process_time() - begin
    sizes = np.zeros(k)
    for _, _, _, labels in assigned:
        sizes += np.bincount(labels, minlength=k)
    plan = plan_pruning(rows, dim, k, sizes=sizes)
    planned = plan.dedup_cpu_hours * 3600
    return spent, (
        f"{found.removed.size} removed; planned {planned:.1f} s for these clusters, "
        f"{plan.uneven:.2f} times the pairs of equal ones"
    )


def border_one(folder: str, rows: int, dim: int, k: int) -> str:
    """Find planted copies within clusters that cut through blobs."""
    return _border(folder, rows, 1)


def border_two(folder: str, rows: int, dim: int, k: int) -> str:
    """Find them in the second nearest cluster of each row as well."""
    return _border(folder, rows, 2)


def _border(folder: str, rows: int, neighbours: int) -> str:
    opened, k = open_embeddings(f"{folder}/border"), rows // 250
    found = find_duplicates(opened, eps=0.05, k=k, neighbours=neighbours)
    x = opened.read(0, rows).astype(np.float64)
    x /= np.linalg.norm(x, axis=1)[:, None]
    planted = 1 + np.flatnonzero((x[1:] * x[:-1]).sum(axis=1) > 0.95)
    gone = np.zeros(rows, dtype=bool)
    gone[found.removed] = True
    seen = (gone[planted] | gone[planted - 1]).mean()
    return (
        f"{rows} rows of {opened.dim}, k = {k}, neighbours {neighbours}: one goes of {seen:.1%} of "
        f"{planted.size} planted pairs"
    )


def selection(folder: str, rows: int, dim: int, k: int) -> str:
    """Read scores, keep the hardest 30 % with a floor of half for each class, write ids."""
    times = [time.process_time()]
    table = read_scores(f"{folder}/scored")
    times.append(time.process_time())
    found = select(table, 0.3, class_floor=0.5)
    times.append(time.process_time())
    write_selection(found, f"{folder}/kept.npy")
    times.append(time.process_time())
    each = ", ".join(
        f"{name} {t:.1f}"
        for name, t in zip(("read", "select", "write"), np.diff(times), strict=True)
    )
    return f"{len(found)} of {rows:.0e} rows kept: {each}"


def flat(folder: str, rows: int, dim: int, k: int) -> tuple[float, str]:
    """Look, two passes, scores, beside what was planned: what time and memory more rows take."""
    begin = time.process_time()
    opened = open_embeddings(f"{folder}/flat{rows}")
    found = fit_kmeans(opened, k, passes=2, tolerance=0)
    write_prototype_scores(opened, found, f"{folder}/out-flat{rows}")
    spent = time.process_time() - begin
    plan = plan_pruning(rows, dim, k, passes=2)
    return spent, (
        f"{rows:.0e} rows of {dim}, k = {k}, 2 passes and scores; planned "
        f"{plan.cpu_hours * 3600:.1f} s, {plan.bytes_needed / 1e6:.0f} MB beside the interpreter"
    )


def faiss_pass(folder: str, rows: int, dim: int, k: int) -> tuple[float, str]:
    """Nearest centroids of all rows by faiss, in memory."""
    import faiss

    faiss.omp_set_num_threads(1)
    paths = [f"{folder}/rows/shard-{i}.npy" for i in range(-(-rows // SHARD))]
    begin = time.process_time()
    index = faiss.IndexFlatIP(dim)
    for path in paths:
        x = np.load(path)
        faiss.normalize_L2(x)
        if not index.ntotal:
            index.add(x[:k])
        index.search(x, 1)
    return time.process_time() - begin, "assignment of a pass, no update"


def faiss_kmeans(folder: str, rows: int, dim: int, k: int) -> tuple[float, str]:
    """Find centroids as faiss does by default: 20 passes over 256 rows for each."""
    import faiss

    faiss.omp_set_num_threads(1)
    paths = [f"{folder}/rows/shard-{i}.npy" for i in range(-(-rows // SHARD))]
    x = np.concatenate([np.load(path) for path in paths])
    faiss.normalize_L2(x)
    begin = time.process_time()
    means = faiss.Kmeans(dim, k, niter=20, spherical=True, seed=0)
    means.train(x)
    _, _ = means.index.search(x, 1)
    return time.process_time() - begin, f"20 passes over {min(rows, 256 * k)} rows, then all once"


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
    spent = time.process_time() - begin
    # A step that prepares something says what it took itself.
    pipe.send(said if isinstance(said, tuple) else (spent, said))


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

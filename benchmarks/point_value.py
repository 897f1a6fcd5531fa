"""Time the laws of single data points beside the published recipe, and a stream of many points.

    python benchmarks/point_value.py [--points 2000] [--stream 200000]

The recipe: Adam on the logarithms of both exponents, rate 0.05, 1000 steps, stopped after 100
without a gain, here for all points at once with the same exact gradient, so that only the method
differs. CPU seconds, one thread; the difference of the answers is printed.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from isoloss.theory import (
    draw_contributions,
    draw_mean_contributions,
    fit_points,
    fit_stream,
    group_contributions,
    mean_contribution,
)
from isoloss.theory.point_likelihood import HIGH, LOW, Block, terms


def main() -> None:
    """Run everything and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=2000, help="points of the comparison")
    parser.add_argument("--stream", type=int, default=200_000, help="points of the stream")
    options = parser.parse_args()
    with threadpool_limits(1):
        compare(options.points, 500, "random sizes in 100..1000, 500 samples")
        compare(options.points, 40, "ten sizes, 4 samples each", ten=True)
        stream(options.stream)


def compare(points: int, samples: int, said: str, ten: bool = False) -> None:
    """Fit points of one kind both ways."""
    rng = np.random.default_rng(0)
    shape = (points, samples)
    k = rng.integers(100, 1001, shape).astype(float)
    if ten:
        k = np.broadcast_to(np.repeat(np.arange(100.0, 1001.0, 100.0), samples // 10), shape)
    c, alpha = rng.normal(0, 3, (points, 1)), rng.uniform(0.7, 1.8, (points, 1))
    delta = draw_contributions(k, c=c, alpha=alpha, sigma=0.05, beta=1.8, rng=rng)
    ids = np.repeat(np.arange(points), samples)
    seconds, (grouped, found) = cpu(lambda: grouped_and_fitted(ids, k, delta))
    alone, _ = cpu(lambda: fit_points(grouped))
    few = min(points, 200)
    slow, nll = cpu(lambda: adam(k[:few], delta[:few]), rounds=1)
    worse = nll - found.nll[:few]
    rate, peer = points / seconds, few / slow
    print(
        f"{said:<40} {rate:9.0f} points/s ({points / alone:.0f} without grouping), recipe "
        f"{peer:.0f} points/s: {rate / peer:.0f} x; recipe worse by more than 1e-6 a sample on "
        f"{100 * np.mean(worse > 1e-6):.0f} % (most {worse.max():.1e}), better on "
        f"{100 * np.mean(worse < -1e-6):.0f} %; {int(found.ok.sum())} of {points} without doubt",
        flush=True,
    )


def grouped_and_fitted(ids: Any, k: Any, delta: Any) -> Any:
    """Sum up, then fit."""
    grouped = group_contributions(ids, k.ravel(), delta.ravel())
    return grouped, fit_points(grouped)


def adam(k: Any, delta: Any) -> Any:
    """Least negative log likelihood of each point by the recipe."""
    unit = np.sqrt(np.mean(delta**2, axis=1, keepdims=True))
    log = np.log(k)
    x = log - log.mean(axis=1, keepdims=True)
    block = Block(x, np.ones_like(k), delta / unit, np.zeros_like(k))
    q = np.tile([0.0, np.log(2.0)], (len(k), 1))
    m, v = np.zeros_like(q), np.zeros_like(q)
    best, since = np.full(len(k), np.inf), np.zeros(len(k), dtype=int)
    for step in range(1, 1001):
        now = terms(block, np.clip(q[:, 0], LOW, HIGH), np.clip(q[:, 1], LOW, HIGH))
        better = now.f < best
        best, since = np.where(better, now.f, best), np.where(better, 0, since + 1)
        if (since > 100).all():
            break
        m, v = 0.9 * m + 0.1 * now.g, 0.999 * v + 0.001 * now.g**2
        move = 0.05 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        q -= np.where((since > 100)[:, None], 0.0, move)
    return best + (np.log(2 * np.pi / k.shape[1]) + 1) / 2 + np.log(unit[:, 0])


def stream(points: int) -> None:
    """Fit many points of the exact case from chunks, in order and shuffled, and show the memory."""
    sizes = np.arange(100, 1001, 100)
    distance = np.random.default_rng(1).normal(0, 1, points)

    def chunks() -> Iterator[Any]:
        return draw_mean_contributions(distance, sizes, repeats=4, rng=2)

    def shuffled() -> Iterator[Any]:
        rng = np.random.default_rng(3)
        for point, k, delta in chunks():
            order = rng.permutation(point.size)
            yield point[order], k[order], delta[order]

    drawing, _ = cpu(lambda: sum(1 for _ in chunks()), rounds=1)
    with tempfile.TemporaryDirectory() as folder:
        for said, make, words in (
            ("in order", chunks, {}),
            ("in no order", shuffled, {"in_order": False, "folder": Path(folder)}),
        ):
            start = peak()
            seconds, (done, right) = cpu(lambda: walk(make(), distance, words), rounds=1)  # noqa: B023
            rate = points / max(seconds - drawing, 1e-9)
            print(
                f"stream {said}: {done:,} points of 40 samples, {rate:.0f} points/s without "
                f"drawing, peak memory {peak():.0f} MiB ({start:.0f} before); mean value at "
                f"k = 500 over the exact one {right:.3f}",
                flush=True,
            )


def walk(chunks: Iterator[Any], distance: Any, words: dict[str, Any]) -> tuple[int, float]:
    """Count points, and compare their values with the truth."""
    done, value, exact = 0, 0.0, 0.0
    for part in fit_stream(chunks, **words):
        done += len(part)
        value += float(np.nansum(part.value(500)))
        exact += float(mean_contribution(distance[part.point], 500.0).sum())
    return done, value / exact


def cpu(action: Callable[[], Any], rounds: int = 3) -> tuple[float, Any]:
    """Least CPU seconds of some rounds."""
    best, result = np.inf, None
    for _ in range(rounds):
        start = time.process_time()
        result = action()
        best = min(best, time.process_time() - start)
    return float(best), result


def peak() -> float:
    """Most memory held so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

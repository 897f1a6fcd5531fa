"""Time isoloss beside scipy's many-start fit on one table, in one process, and print ratios.

    python benchmarks/fit_speed.py [RUNS.csv]

Without a file, the table is 240 runs of a Chinchilla truth with one percent of noise. CPU seconds
of one thread; each figure is the best of several rounds, taken in turn.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

import isoloss


def table() -> isoloss.Runs:
    if len(sys.argv) > 1:
        runs = isoloss.read_runs(sys.argv[1])
        keep = np.sort(np.argsort(runs["loss"], kind="stable")[: min(240, len(runs))])
        return runs.select(keep)
    rng = np.random.default_rng(0)
    N = 10 ** rng.uniform(7.5, 10, 240)
    D = 10 ** rng.uniform(9, 11.5, 240)
    loss = (1.82 + 480 * N**-0.347 + 2100 * D**-0.367) * np.exp(0.005 * rng.standard_t(3, 240))
    return isoloss.read_runs({"N": N, "D": D, "loss": loss})


def cpu(action: Callable[[], object], rounds: int) -> tuple[float, object]:
    best, result = np.inf, None
    for _ in range(rounds):
        start = time.process_time()
        result = action()
        best = min(best, time.process_time() - start)
    return best, result


def many_starts(runs: isoloss.Runs, count: int) -> tuple[float, float]:
    """Huber(1e-3) of log loss by L-BFGS-B with an analytic gradient, from a grid of starts."""
    n, d, y = np.log(runs["N"]), np.log(runs["D"]), np.log(runs["loss"])

    def value(t: np.ndarray) -> tuple[float, np.ndarray]:
        terms = np.stack([t[0] - t[3] * n, t[1] - t[4] * d, np.full(len(n), t[2])])
        top = terms.max(axis=0)
        share = np.exp(terms - top)
        total = share.sum(axis=0)
        r = top + np.log(total) - y
        psi = np.clip(r, -1e-3, 1e-3)
        w = share / total * psi
        gradient = np.array([w[0].sum(), w[1].sum(), w[2].sum(), -(w[0] @ n), -(w[1] @ d)])
        return float(np.sum(psi * (r - 0.5 * psi))), gradient

    grid = np.stack(
        np.meshgrid([0.0, 5, 10, 15], [0.0, 5, 10, 15], [-0.5, 0.5], [0.2, 0.6], [0.2, 0.6]), -1
    ).reshape(-1, 5)[:count]
    start = time.process_time()
    best = min(
        minimize(value, g, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).fun for g in grid
    )
    return time.process_time() - start, float(best)


def main() -> None:
    runs = table()
    print(f"{len(runs)} runs; CPU seconds, one thread")
    with threadpool_limits(1):
        for goal in ("huber:1e-3", "lsq", "lad", "one-sided:1e-3", "lsq,linear"):
            seconds, result = cpu(lambda g=goal: isoloss.fit(runs, objective=g, draws=0), 7)
            print(f"one global fit, {goal:<15} {seconds:.4f} s  objective {result.value:.9g}")
        huber, result = cpu(lambda: isoloss.fit(runs, draws=0), 7)
        peer, best = many_starts(runs, 64)
        print(f"scipy L-BFGS-B, 64 starts        {peer:.3f} s  objective {best:.9g}")
        print(f"  ratio scipy / isoloss          {peer / huber:.0f}")
        with_draws, _ = cpu(lambda: isoloss.fit(runs, draws=4000), 3)
        print(f"fit with 4,000 bootstrap refits  {with_draws:.3f} s")
        whole, _ = cpu(lambda: isoloss.study(runs, budget=10 * runs["C"].max()), 1)
        print(f"study, 1,000 draws, back-tests   {whole:.2f} s")
    times = {name: import_seconds(name) for name in ("numpy", "isoloss")}
    print(f"import isoloss / import numpy    {times['isoloss'] / times['numpy']:.2f}")


def import_seconds(name: str) -> float:
    """Best of several fresh processes."""
    best = np.inf
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {name}"], check=True)
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()

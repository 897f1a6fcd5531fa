"""Time isoloss beside its peers on the same tables, in one process, and print ratios.

    python benchmarks/fit_speed.py [RUNS.csv] [--curves CURVES.csv] [--quick]

Without files, the runs are 240 of a Chinchilla truth with half a percent of heavy-tailed noise,
and the curve is one of M4 with the same noise. From a file, the 240 runs of least loss are taken.
CURVES.csv has columns ``Seen Examples``, ``Loss`` and, where they are there, ``Training`` (rows
with 1 are fitted) and others that name the curve. CPU seconds with one BLAS thread, children of
peers included; the least of several rounds, so isoloss has compiled its laws. Peers are timed once.

``--quick`` gives the peer `chinchilla` 3^5 starts in place of the 5^5 that it recommends (about
three minutes), and SciPy a twentieth of the refits. Peers that are absent are named.
"""

from __future__ import annotations

import argparse
import csv
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peers
from threadpoolctl import threadpool_limits

import isoloss

GOALS = ("huber:1e-3", "lsq", "lad", "one-sided:1e-3", "lsq,linear")
STARTS = peers.grid([0.0, 5, 10, 15], [0.0, 5, 10, 15], [-0.5, 0.5], [0.2, 0.6], [0.2, 0.6])[::2]


def main() -> None:
    """Run everything and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="?", help="table of runs; synthetic by default")
    parser.add_argument("--curves", help="table of learning curves; synthetic by default")
    parser.add_argument("--quick", action="store_true", help="smaller shares of the peers' work")
    options = parser.parse_args()
    peers.threads_of_peers()
    with threadpool_limits(1):
        runs = table(options.runs)
        print(f"{len(runs)} runs; CPU seconds, one thread; share = peer / isoloss\n")
        one_fit(runs, options.quick)
        refits(runs, options.quick)
        curves(load_curves(options.curves))
        many_rows()
        whole, _ = cpu(lambda: isoloss.study(runs, budget=10 * runs["C"].max()), 1)
        line("study: 1,000 draws, back-tests, plan", whole)
    times = {name: import_seconds(name) for name in ("numpy", "isoloss")}
    print(f"\nimport isoloss / import numpy: {times['isoloss'] / times['numpy']:.2f}")


def one_fit(runs: isoloss.Runs, quick: bool) -> None:
    """Time one global fit by objective."""
    n, d, loss = runs["N"], runs["D"], runs["loss"]
    ours: dict[str, float] = {}
    for name in GOALS:
        ours[name], fit = cpu(lambda g=name: isoloss.fit(runs, objective=g, draws=0), 9)
        line(f"one fit, {name}, certified", ours[name], said=f"objective {fit.value:.9g}")
        goal = fit.objective
        target = np.log(loss) if goal.log else loss
        terms = peers.chinchilla_terms(n, d, log=goal.log)
        seconds, value, _ = peers.lbfgs(terms, target, STARTS, delta=goal.delta, over=goal.over)
        value *= 2 if math.isinf(goal.delta) else 1
        said = f"objective {value:.9g}"
        line(f"  scipy L-BFGS-B, {len(STARTS)} starts", seconds, ours[name], said)
    print()
    envelope, fit = cpu(lambda: isoloss.fit(runs, objective="lad,linear,over:10", draws=0), 9)
    line("one fit, lower envelope (lad,linear,over:10)", envelope, said=parameters(fit.parameters))
    if how := peers.absent("chinchilla"):
        print(f"  chinchilla: absent, {how}")
    else:
        points = 3 if quick else 5
        seconds, found = peers.chinchilla(n, d, loss, points)
        line(f"  chinchilla 0.2.0, {points}^5 starts", seconds, envelope, parameters(found))
        r = isoloss.get_law("chinchilla")(found, runs) - loss
        reached = float(np.sum(np.abs(r) * np.where(r > 0, 10, 1)))
        print(f"    its objective {reached:.6f}, ours {fit.value:.6f}")
    linear, fit = cpu(lambda: isoloss.fit(runs, objective="lsq,linear", draws=1000), 3)
    line("lsq,linear with 1,000 draws", linear, said=parameters(fit.parameters))
    if how := peers.absent("simple_scaling_laws"):
        print(f"  simple-scaling-laws: absent, {how}")
    else:
        seconds, found = peers.simple_scaling_laws({"N": n, "D": d}, loss, 1000)
        line("  simple-scaling-laws 0.2.0", seconds, linear, parameters(found))


def refits(runs: isoloss.Runs, quick: bool) -> None:
    """Time a fit with 4,000 bootstrap refits."""
    print()
    ours, fit = cpu(lambda: isoloss.fit(runs, draws=4000), 3)
    spread = dict(zip(fit.law.names, fit.draws.std(axis=0), strict=True))
    line("Huber fit with 4,000 refits and influence", ours, said=parameters(spread))
    terms = peers.chinchilla_terms(runs["N"], runs["D"])
    y, count = np.log(runs["loss"]), 200 if quick else 4000
    p = fit.parameters
    start = np.array([*np.log([p["A"], p["B"], p["E"]]), p["alpha"], p["beta"]])[None]
    rng, total = np.random.default_rng(0), 0.0
    for _ in range(count):
        weights = rng.multinomial(len(y), np.full(len(y), 1 / len(y)))
        total += peers.lbfgs(terms, y, start, delta=1e-3, weights=weights)[0]
    share = "" if count == 4000 else f" (measured on {count})"
    line(f"  scipy L-BFGS-B, one start a refit{share}", total * 4000 / count, ours)
    if not peers.absent("simple_scaling_laws"):
        seconds, _ = peers.simple_scaling_laws({"N": runs["N"], "D": runs["D"]}, runs["loss"], 4000)
        line("  simple-scaling-laws 0.2.0, 4,000 draws (least squares)", seconds, ours)


def curves(tables: list[isoloss.Runs]) -> None:
    """Time one curve: M4 and the broken power law, Huber loss; medians over the curves."""
    starts = {
        "sigmoid_power": peers.grid([-2, -0.5], [-0.5, 1], [-2, 0, 2], [0.3, 1], [-1, 0.5]),
        "broken_power": peers.grid(
            [-2, -0.5], [-1.0], [0.1, 0.5], [-0.3, 0.5], [-2, 0, 2], [-2, 0]
        ),
    }
    made = {"sigmoid_power": peers.sigmoid_terms, "broken_power": peers.broken_terms}
    for law, begin in starts.items():
        ours, theirs, ssl, level = [], [], [], []
        for runs in tables:
            try:
                seconds, fit = cpu(lambda r=runs, name=law: isoloss.fit(r, name, draws=0), 3)
            except isoloss.FitError:
                continue
            ours.append(seconds)
            x = runs["x"] / np.exp(np.mean(np.log(runs["x"])))
            size = np.exp(np.mean(np.log(runs["loss"])))
            y = np.log(runs["loss"] / size)
            other, value, _ = peers.lbfgs(made[law](x), y, begin, delta=1e-3)
            theirs.append(other)
            level.append((value <= fit.value * (1 - 1e-6), value >= fit.value * (1 + 1e-6)))
            if law == "broken_power" and not peers.absent("simple_scaling_laws"):
                with_draws = peers.simple_scaling_laws(
                    {"x": runs["x"]}, runs["loss"], 1, "broken-power"
                )
                ssl.append(with_draws[0])
        print()
        middle = float(np.median(ours))
        line(f"{law}, one curve of {len(ours)}, median", middle, said=f"most {max(ours):.3f}")
        better, worse = np.sum(level, axis=0)
        line(
            f"  scipy L-BFGS-B, {len(begin)} starts",
            float(np.median(theirs)),
            middle,
            f"without bounds: lower objective on {better}, higher on {worse}",
        )
        if ssl:
            line("  simple-scaling-laws broken-power, 1 draw", float(np.median(ssl)), middle)


def many_rows() -> None:
    """Time a fit of a million runs."""
    print()
    runs = synthetic(10**6)
    ours, fit = cpu(lambda: isoloss.fit(runs, draws=0), 2)
    line("one fit of 1,000,000 runs", ours, said=f"objective {fit.value:.9g}")
    terms = peers.chinchilla_terms(runs["N"], runs["D"])
    start = np.array([[6.0, 7.5, 0.5, 0.33, 0.33]])
    seconds, value, _ = peers.lbfgs(terms, np.log(runs["loss"]), start, delta=1e-3)
    line("  scipy L-BFGS-B, one start", seconds, ours, f"objective {value:.9g}")


def table(path: str | None) -> isoloss.Runs:
    """Read the runs, or make them."""
    if path is None:
        return synthetic(240)
    runs = isoloss.read_runs(path)
    keep = np.sort(np.argsort(runs["loss"], kind="stable")[: min(240, len(runs))])
    return runs.select(keep)


def synthetic(count: int) -> isoloss.Runs:
    """Make runs of a Chinchilla truth."""
    rng = np.random.default_rng(0)
    n, d = 10 ** rng.uniform(7.5, 10, count), 10 ** rng.uniform(9, 11.5, count)
    noise = np.exp(0.005 * rng.standard_t(3, count))
    loss = (1.82 + 480 * n**-0.347 + 2100 * d**-0.367) * noise
    return isoloss.read_runs({"N": n, "D": d, "loss": loss})


def load_curves(path: str | None) -> list[isoloss.Runs]:
    """Read curves, every third of them, or make one."""
    if path is None:
        x = np.geomspace(1e6, 1e10, 70)
        truth = {"E": 0.5, "H": 6.0, "K": 3000.0, "c": 0.42, "a": 0.7}
        loss = isoloss.get_law("sigmoid_power")(truth, {"x": x})
        noise = np.exp(0.005 * np.random.default_rng(0).standard_normal(70))
        return [isoloss.Runs(columns={"x": x, "loss": loss * noise})]
    found: dict[tuple[str, ...], dict[float, float]] = {}
    with Path(path).open(newline="", encoding="utf8") as file:
        for row in csv.DictReader(file):
            if float(row.pop("Training", "1")) == 1:
                at, loss = float(row.pop("Seen Examples")), float(row.pop("Loss"))
                found.setdefault(tuple(row.values()), {})[at] = loss
    made = [
        isoloss.Runs(columns={"x": np.array(list(c)), "loss": np.array(list(c.values()))})
        for c in found.values()
        if len(c) >= 9
    ]
    return made[::3]


def cpu(action: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Least CPU seconds of some rounds after a first that does not count."""
    best, result = math.inf, action() if rounds > 1 else None
    for _ in range(rounds):
        start = time.process_time()
        result = action()
        best = min(best, time.process_time() - start)
    return best, result


def line(what: str, seconds: float, ours: float | None = None, said: str = "") -> None:
    """Print one line."""
    ratio = f"{seconds / ours:7.0f} x" if ours else " " * 9
    print(f"{what:<58}{seconds:9.4f} s {ratio}  {said}", flush=True)


def parameters(values: dict[str, float]) -> str:
    """Print parameters short."""
    return ", ".join(f"{k} {v:.6g}" for k, v in values.items())


def import_seconds(name: str) -> float:
    """Best wall time of several fresh processes."""
    best = math.inf
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {name}"], check=True)
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()

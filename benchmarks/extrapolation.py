"""Fit published runs below a cut, score the runs above: the default beside fixed laws.

    python benchmarks/extrapolation.py --surface RUNS.csv [--drop 5] --cut 1e20 --cut 1e21
    python benchmarks/extrapolation.py --curves CURVES.csv [CURVES.csv ...]

A surface is a table of N, D (or C) and loss; the score is the mean absolute error in percent of the
loss, and the bias. ``--drop K`` leaves out the K runs with the largest residuals of a first fit.

Curves are tables with the columns Domain, Task, Model, Seen Examples, Loss and Training (1: fitted,
0: scored), as in google-research/revisiting_neural_scaling_laws; copies of a row count once. The
score is the root mean square of the log error, median and mean over the curves of a domain.
CPU seconds are those of one ``fit_laws`` without draws, on one thread.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

import isoloss
from isoloss._core.threads import one_thread

OBJECTIVES = ("lsq,linear", "lsq", "huber:1e-3", "one-sided:1e-3")
CURVES = ("power_floor", "shifted_power", "sigmoid_power", "broken_power")


def surface(path: str, cuts: list[float], drop: int) -> None:
    runs = isoloss.read_runs(path)
    scale = runs["C"] if "C" in runs else 6 * runs["N"] * runs["D"]
    if drop:
        residuals = np.abs(isoloss.fit(runs, "chinchilla", draws=0).residuals)
        keep = np.sort(np.argsort(residuals, kind="stable")[:-drop])
        runs, scale = runs.select(keep), scale[keep]
    for cut in cuts:
        low, above = runs.select(scale < cut), runs.select(scale >= cut)
        print(f"\n{len(runs)} runs, fitted below {cut:g} ({len(low)}), scored above ({len(above)})")
        for objective in OBJECTIVES:
            fitted = isoloss.fit(low, "chinchilla", objective=objective, draws=0)
            print(f"  chinchilla, {objective:<15}{_percent(fitted.predict(above), above['loss'])}")
        start = time.process_time()
        laws = isoloss.fit_laws(low, draws=0)
        spent = time.process_time() - start
        named = ", ".join(
            f"{f.law.name} {w:.2f}" for f, w in zip(laws.fits, laws.weights, strict=True) if w > 0
        )
        print(
            f"  default{'':<20}{_percent(laws.predict(above), above['loss'])}"
            f"  {spent:.2f} s  {laws.objective.name}; {named}"
        )


def _percent(predicted: np.ndarray, loss: np.ndarray) -> str:
    error = 100 * (predicted / loss - 1)
    return f"{np.mean(np.abs(error)):6.3f} % (bias {np.mean(error):+.3f} %)"


def curves(paths: list[str]) -> None:
    points: dict[tuple[str, str, str], set[tuple[float, float, bool]]] = defaultdict(set)
    for path in paths:
        with Path(path).open(newline="") as file:
            for row in csv.DictReader(file):
                key = (row["Domain"], row["Task"], row["Model"])
                seen, loss = float(row["Seen Examples"]), float(row["Loss"])
                points[key].add((seen, loss, row["Training"] == "1"))
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    spent = []
    for (domain, *_), rows in points.items():
        table = np.array(sorted(rows))
        low = table[:, 2] == 1
        runs = isoloss.read_runs({"D": table[low, 0], "loss": table[low, 1]})
        ahead, loss = {"D": table[~low, 0]}, table[~low, 1]
        start = time.process_time()
        laws = isoloss.fit_laws(runs, draws=0)
        spent.append(time.process_time() - start)
        errors["default"][domain].append(_rms(laws.predict(ahead), loss))
        for name in CURVES:
            for objective in ("huber:1e-3", "lsq"):
                alone = isoloss.fit(runs, name, axis="D", objective=objective, draws=0)
                errors[f"{name}, {objective}"][domain].append(_rms(alone.predict(ahead), loss))
    domains = list(dict.fromkeys(key[0] for key in points))
    print("median / mean of the root mean square log error")
    print(f"{'':<28}" + "".join(f"{d:>18}" for d in domains))
    for name, found in errors.items():
        cells = [f"{np.median(found[d]):.4f} / {np.mean(found[d]):.4f}" for d in domains]
        print(f"{name:<28}" + "".join(f"{c:>18}" for c in cells))
    print(
        f"default: {np.median(spent):.3f} CPU s a curve in the median, {max(spent):.3f} at most, "
        f"{len(spent)} curves"
    )


def _rms(predicted: np.ndarray, loss: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.log(predicted / loss) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--surface", metavar="RUNS")
    parser.add_argument("--cut", type=float, action="append", default=[])
    parser.add_argument("--drop", type=int, default=0)
    parser.add_argument("--curves", nargs="+", metavar="CURVES", default=[])
    given = parser.parse_args()
    if not (given.surface or given.curves):
        parser.error("give --surface RUNS with --cut, or --curves CURVES")
    with one_thread():
        if given.surface:
            surface(given.surface, given.cut, given.drop)
        if given.curves:
            curves(given.curves)


if __name__ == "__main__":
    main()

"""Seal forecasts of the largest runs of several tables, score them, print the record.

    python benchmarks/sealed.py
    python benchmarks/sealed.py --out FOLDER --surface RUNS.csv [...] --curves CURVES.csv [...]
        [--isoflop POINTS.csv]

Without tables: the embedded runs. Of each table the largest runs are set apart, as `isoloss study`
holds them out; the rest is sealed with these as targets; then they are scored and recorded.

Curves are those of google-research/revisiting_neural_scaling_laws (Domain, Task, Model, Seen
Examples, Loss, Training); the six points that lie farthest apart of those not for training are the
targets. POINTS.csv holds the sweeps of resolving-scaling-law-discrepancies (dataset, hparams,
warmup, decay, param_count, val, flops, n, t, loss), a table for each setting.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from isoloss import IsolossError, Runs, embedded_runs, read_runs
from isoloss._core.serial import write_atomic
from isoloss._core.threads import one_thread
from isoloss.study.pipeline import hold_out
from isoloss.study.sealed import (
    add_score,
    add_sealed,
    calibration,
    read_sealed,
    score_sealed,
    seal,
)

MOST_TARGETS = 6


def surfaces(paths: list[str]) -> Iterator[tuple[str, Runs, Runs]]:
    """Tables of N and D, with the largest runs set apart."""
    tables = [(Path(p).stem, read_runs(p)) for p in paths]
    for name, runs in tables or [("embedded", embedded_runs())]:
        held = hold_out(runs)
        yield name, runs.select(~held), runs.select(held)


def curves(paths: list[str]) -> Iterator[tuple[str, Runs, Runs]]:
    """Curves of one resource, with the split of their authors."""
    points: dict[tuple[str, str, str], set[tuple[float, float, bool]]] = defaultdict(set)
    for path in paths:
        with Path(path).open(newline="", encoding="utf8") as file:
            for row in csv.DictReader(file):
                key = (row["Domain"], row["Task"], row["Model"])
                seen, loss = float(row["Seen Examples"]), float(row["Loss"])
                points[key].add((seen, loss, row["Training"] == "1"))
    for key, rows in points.items():
        table = np.array(sorted(rows))
        low = table[:, 2] == 1
        low_runs, high_runs = (
            Runs(columns={"D": part[:, 0], "loss": part[:, 1]})
            for part in (table[low], table[~low])
        )
        yield " ".join(key), low_runs, spread(high_runs, high_runs["D"])


def isoflop(path: str) -> Iterator[tuple[str, Runs, Runs]]:
    """Sweeps at fixed compute, a table a setting."""
    groups: dict[tuple[str, ...], list[tuple[float, float, float, float]]] = defaultdict(list)
    with Path(path).open(newline="", encoding="utf8") as file:
        for row in csv.DictReader(file):
            key = tuple(row[k] for k in ("dataset", "hparams", "warmup", "decay", "param_count"))
            groups[key].append(tuple(float(row[k]) for k in ("n", "t", "flops", "loss")))
    for key, rows in groups.items():
        n, t, flops, loss = np.array(rows).T
        runs = Runs(columns={"N": n, "D": t, "C": flops, "loss": loss})
        held = flops > 0.99 * flops.max()
        yield " ".join(key), runs.select(~held), spread(runs.select(held), n[held])


def spread(runs: Runs, scale: np.ndarray) -> Runs:
    """At most six runs, evenly over their order in scale: neighbours say the same twice."""
    order = np.argsort(scale, kind="stable")
    k = np.unique(np.round(np.linspace(0, len(order) - 1, MOST_TARGETS)).astype(int))
    return runs.select(np.sort(order[k]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--surface", nargs="+", metavar="RUNS", default=[])
    parser.add_argument("--curves", nargs="+", metavar="CURVES", default=[])
    parser.add_argument("--isoflop", metavar="POINTS")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    tables: list[Iterator[tuple[str, Runs, Runs]]] = []
    if given.surface or not (given.curves or given.isoflop):
        tables.append(surfaces(given.surface))
    if given.curves:
        tables.append(curves(given.curves))
    if given.isoflop:
        tables.append(isoflop(given.isoflop))
    with tempfile.TemporaryDirectory() as scratch, one_thread():
        run(tables, given.out or Path(scratch), given.draws)
        found = calibration((given.out or Path(scratch)) / "record")
    print(found.summary())
    if given.plot:
        from isoloss.plot import draw_reliability, svg_bytes

        write_atomic(given.plot, svg_bytes(draw_reliability(found.answers)))


def run(tables: list[Iterator[tuple[str, Runs, Runs]]], out: Path, draws: int) -> None:
    """Seal and score every table; the truth is read only after the file is written."""
    spent, record = time.process_time(), out / "record"
    for number, (name, low, high) in enumerate(t for group in tables for t in group):
        axes = [a for a in ("N", "D", "U") if a in low]
        # Seeds of a configuration are one target.
        distinct = dict.fromkeys(tuple(float(high[a][i]) for a in axes) for i in range(len(high)))
        targets = [dict(zip(axes, values, strict=True)) for values in distinct]
        try:
            forecast = seal(low, targets, draws=draws, note=name)
        except IsolossError as error:
            print(f"{name}: no forecast, {error}")
            continue
        file = forecast.write(out / f"{number:03d}.json")
        add_sealed(record, forecast)
        score = score_sealed(read_sealed(file), high)
        add_score(record, score)
        errors = [r["error_percent"] for r in score.rows]
        inside = sum(i["inside"] for r in score.rows for i in r["intervals"] if i["level"] == 0.9)
        print(
            f"{name}: {len(low)} runs, {len(errors)} targets up to "
            f"{max(r['reach'] for r in score.rows):.3g} times ahead, {inside} inside 90 %, errors "
            f"{min(errors):+.2f} to {max(errors):+.2f} %"
        )
    print(f"{time.process_time() - spent:.0f} CPU s")


if __name__ == "__main__":
    main()

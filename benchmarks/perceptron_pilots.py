"""Pilots of pruning, fitted: the share of a pool that a few small runs say to keep at scale.

    python benchmarks/perceptron_pilots.py                     # students in 200 dimensions
    python benchmarks/perceptron_pilots.py --curves RUNS.csv   # measured curves of easy pruning

Students of three numbers of examples and four shares are trained for real, their mean errors are
fitted by ``pruned_perceptron``, and the best share at larger sizes is compared with the theory's.
The second table has rows ``dataset, selection, drop_pct, seed, test_accuracy``: accuracies of
networks that learned from the easiest of a data set (``mem``) or random ones.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

import isoloss
from isoloss.errors import FitError, IsolossError
from isoloss.fit.result import Fit
from isoloss.laws import get_law
from isoloss.theory import frontier, pruned_perceptron, simulate_perceptron

SIZES, SHARES = (1.0, 2.0, 4.0), (0.1, 0.3, 0.6, 1.0)
AHEAD = (10.0, 30.0, 100.0)


def pilots(degrees: float, draws: int, seed: int, N: int = 200) -> dict[str, np.ndarray]:
    """Mean errors of real students."""
    rows = []
    for i, a in enumerate(SIZES):
        for j, f in enumerate(SHARES):
            made = simulate_perceptron(
                a, f, np.radians(degrees), N=N, draws=draws, rng=seed + 10 * i + j
            )
            eps = made.values["eps"]
            rows.append((a * N, f, eps.mean()))
    return dict(zip(("D", "fraction", "loss"), np.array(rows).T, strict=True))


def best_share(found: Fit, D: float) -> tuple[float, float, float]:
    """Share of least predicted error at a number of kept examples, and the ends of 90 %."""
    shares = np.geomspace(0.1, 1, 400)
    law, every = found.law, np.vstack([found.theta, found.draws])
    loss = law(every, {"D": D, "fraction": shares})
    best = shares[np.argmin(loss, axis=-1)]
    low, high = np.quantile(best[1:], [0.05, 0.95])
    return float(best[0]), float(low), float(high)


def simulated(args: argparse.Namespace) -> None:
    law = get_law("pruned_perceptron")
    for degrees in args.degrees:
        ahead = frontier(np.array(AHEAD), np.radians(degrees))
        for seed in range(args.sets):
            runs = pilots(degrees, args.draws, 1000 * seed)
            for name, form in (("E, A known", law.pin(E=0.0, A=1.0)), ("all free", law)):
                try:
                    found = isoloss.fit(runs, form, objective="lsq", draws=200)
                except FitError as error:
                    print(f"{degrees:g} degrees, set {seed}, {name}: {error}")
                    continue
                angle, M = found.intervals["theta"], found.intervals["M"]
                print(
                    f"{degrees:g} degrees, set {seed}, {name}: {found.status}, theta "
                    f"{np.degrees(found.parameters['theta']):.1f} "
                    f"[{np.degrees(angle.low):.1f}, {np.degrees(angle.high):.1f}], "
                    f"M {found.parameters['M']:.0f} [{M.low:.0f}, {M.high:.0f}]"
                )
                for a, f, eps in zip(AHEAD, ahead.fraction, ahead.eps, strict=True):
                    share, low, high = best_share(found, 200 * a)
                    got = pruned_perceptron(a, max(share, 1e-6), np.radians(degrees)).eps
                    print(
                        f"  {a:g} a dimension: keep {share:.3f} [{low:.3f}, {high:.3f}], theory "
                        f"{f:.3f}; error there over the least {float(got / eps):.3f}"
                    )


def curves(path: str) -> None:
    means: dict[str, dict[tuple[str, float], list[float]]] = defaultdict(lambda: defaultdict(list))
    with Path(path).open(newline="") as file:
        for row in csv.DictReader(file):
            kind = "mem" if row["selection"] == "mem" else "random"
            key = kind, float(row["drop_pct"])
            means[row["dataset"]][key].append(1 - float(row["test_accuracy"]))
    for name, table in means.items():
        drops = sorted({d for kind, d in table if kind == "random"} | {0.0})
        x: dict[str, list[tuple[float, float]]] = {"random": [], "mem": []}
        for (kind, drop), errors in sorted(table.items()):
            share = 1 - drop / 100
            x[kind].append((share, float(np.mean(errors))))
        easy = np.array(x["mem"] + [p for p in x["random"] if p[0] == 1.0][:1])
        random = np.array(x["random"])
        for label, law, data in (
            ("random, perceptron", "perceptron", {"D": random[:, 0], "loss": random[:, 1]}),
            (
                "easy, pruned_perceptron_easy", "pruned_perceptron_easy",
                {"D": easy[:, 0], "fraction": easy[:, 0], "loss": easy[:, 1]},
            ),
        ):  # fmt: skip
            try:
                found = isoloss.fit(data, law, objective="lsq", draws=100)
            except IsolossError as error:
                print(f"{name}, {label}: {error}")
                continue
            values = ", ".join(
                f"{n} {v:.4g} [{found.intervals[n].low:.3g}, {found.intervals[n].high:.3g}]"
                for n, v in found.parameters.items()
            )
            print(f"{name}, {label} ({len(data['loss'])} points, drops {drops}): {found.status}, "
                  f"rms {found.rms_residual:.4f}, {values}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curves", metavar="RUNS.csv")
    parser.add_argument("--degrees", type=float, nargs="+", default=[20.0])
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--sets", type=int, default=3)
    given = parser.parse_args()
    if given.curves:
        curves(given.curves)
    else:
        simulated(given)


if __name__ == "__main__":
    main()

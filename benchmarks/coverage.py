"""Simulate truths inside and outside the law set, and count how often the interval holds the truth.

    python benchmarks/coverage.py [REPEATS]

Each repeat draws an isoFLOP design with 0.3 % noise, runs the whole procedure (back-test, choice of
objective, weights, forecast) and asks whether the 90 % interval of the mean loss at 1e23 FLOPs
contains the true loss. Widths are in percent of the loss, next to those of one law alone.
"""

from __future__ import annotations

import sys

import numpy as np

import isoloss

TARGET = 1e23
TRUTHS = {
    "chinchilla": lambda N, D: 1.82 + 482 * N**-0.348 + 2085 * D**-0.366,
    "coupled k=1.15": lambda N, D: (
        1.82 + ((482 * N**-0.348) ** 1.15 + (2085 * D**-0.366) ** 1.15) ** (1 / 1.15)
    ),
    "drifting exponent": lambda N, D: (
        1.82 + 482 * N ** -(0.36 - 0.0006 * np.log(N)) + 2085 * D**-0.366
    ),
}
DESIGNS = {"20 runs": (4, 5, 1e18, 3e19), "45 runs": (5, 9, 1e18, 1e20)}


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(f"{repeats} repeats; nominal 90 %; target {TARGET:g} FLOPs")
    print(f"{'truth':<20}{'design':<10}{'set':>8}{'width':>8}{'one law':>9}{'width':>8}")
    for truth, loss in TRUTHS.items():
        for design, (budgets, sizes, low, high) in DESIGNS.items():
            hits = np.zeros((repeats, 2))
            widths = np.zeros((repeats, 2))
            for i in range(repeats):
                rng = np.random.default_rng([i, budgets])
                C = np.repeat(np.geomspace(low, high, budgets), sizes)
                N = 0.09 * C**0.5 * np.tile(np.geomspace(0.25, 4, sizes), budgets)
                D = C / (6 * N)
                y = loss(N, D) * np.exp(0.003 * rng.standard_normal(len(C)))
                runs = isoloss.read_runs({"N": N, "D": D, "loss": y})
                laws = isoloss.fit_laws(runs, draws=200)
                at = {"N": 0.09 * TARGET**0.5, "D": TARGET / 6 / (0.09 * TARGET**0.5)}
                true = float(loss(at["N"], at["D"]))
                mean = isoloss.forecast(runs, at, laws=laws)[0].mean
                alone = isoloss.fit(runs, "chinchilla", draws=200)
                single = alone.interval({a: [v] for a, v in at.items()})[0]
                for j, interval in enumerate((mean, single)):
                    hits[i, j] = true in interval
                    widths[i, j] = 100 * (interval.high - interval.low) / true
            cover, width = hits.mean(axis=0), np.median(widths, axis=0)
            print(
                f"{truth:<20}{design:<10}{cover[0]:>8.2f}{width[0]:>7.1f}%"
                f"{cover[1]:>9.2f}{width[1]:>7.1f}%",
                flush=True,
            )


if __name__ == "__main__":
    main()

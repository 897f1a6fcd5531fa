"""Which runs of two recipes tell them apart best for their FLOPs, on simulated truths.

    python benchmarks/next_arms.py [--repeats 30] [--tie E] [--floor 1.8] [--times 1]

Two recipes follow Chinchilla's law (A = 480 and 476, B = 2100 and 2085); the pilot has 12 places
for each (N from 1e7 to 1e8, D from 3e8 to 1e10), noise of 0.3 % of the loss, correlated by 0.6 in
runs of one place and seed. Each design spends what the pilot's ladder costs so many times again, on
as many runs at most, and one and the same fit (least squares of both recipes, the parameters of
--tie in common) gives the gap of log losses at the best splits of 1e22 FLOPs:

    next      plan_next_arms, with the ties of --tie, else defaults
    ladder    every place of the pilot once more, with both recipes
    largest   pairs of the pilot's largest run

Printed are root mean squares of the errors of the gap, with Monte-Carlo standard errors; for
``next`` also what it had predicted, and errors over predictions (root mean square): 1 is right.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from isoloss.laws import get_law
from isoloss.plan.next_arms import plan_next_arms
from isoloss.plan.recipes.fits import fit_each, fit_recipes
from isoloss.plan.recipes.inputs import make_place
from isoloss.runs import Runs

OLD = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
NEW = OLD | {"A": 476.0, "B": 2085.0}
N = np.repeat([1e7, 3e7, 1e8], 4)
D = np.tile([3e8, 1e9, 3e9, 1e10], 3)
NOISE, SHARED, SCALE = 3e-3, 0.6, 1e22
BOTH = ("old", "new")

Design = Sequence[tuple[Sequence[str], float, float]]


def loss_of(values: dict[str, float], n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Chinchilla's law."""
    v = values
    return v["E"] + v["A"] * n ** -v["alpha"] + v["B"] * d ** -v["beta"]


def make(design: Design, truth: dict[str, dict[str, float]], rng: np.random.Generator):
    """Make the runs of a design, as columns of each recipe."""
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in truth}
    for recipes, n, d in design:
        own = rng.standard_normal(2)
        noise = np.sqrt(SHARED) * rng.standard_normal() + np.sqrt(1 - SHARED) * own
        for i, (name, values) in enumerate(truth.items()):
            if name in recipes:
                rows[name].append((n, d, float(loss_of(values, n, d) * np.exp(NOISE * noise[i]))))
    return {name: np.array(r).reshape(-1, 3).T for name, r in rows.items()}


def table(*parts: np.ndarray) -> Runs:
    """Put columns into one table."""
    return Runs(columns=dict(zip(("N", "D", "loss"), np.hstack(parts), strict=True)))


def gap(law, paths, thetas: Sequence[np.ndarray]) -> float:
    """Gap of log losses at the scale."""
    both = [
        np.log(p.loss(t[None], np.array([SCALE]))[0, 0]) for p, t in zip(paths, thetas, strict=True)
    ]
    return float(both[0] - both[1])


def compare(repeats: int, *, tie: Sequence[str] = ("E",), floor: float = 1.8, times: int = 1):
    """Errors of the gap by design, and the error that ``next`` had predicted, (repeats,) each."""
    law = get_law("chinchilla")
    truth = {"old": OLD, "new": NEW | {"E": floor}}
    ladder = [(BOTH, n, d) for n, d in zip(N, D, strict=True)]
    budget = times * float(12 * np.sum(N * D))
    errors: dict[str, list[float]] = {"next": [], "ladder": [], "largest": [], "predicted": []}
    for seed in range(repeats):
        pilot = make(ladder, truth, np.random.default_rng(seed))
        tables = {name: table(c) for name, c in pilot.items()}
        paths = make_place(tuple(tables.values()), [law], ratio=None, size=None).paths(law)
        right = gap(law, paths, [law.theta(v) for v in truth.values()])
        plan = plan_next_arms(
            tables, f"old-vs-new@C={SCALE:g}", budget=budget, k=2 * times * len(N),
            laws=["chinchilla"], tie=list(tie), paired=SHARED,
        )  # fmt: skip
        errors["predicted"].append(plan.ties[0].error_after)
        largest = (BOTH, float(N.max()), float(D.max()))
        designs: dict[str, Design] = {
            "next": [(r.recipes, r.at["N"], r.at["D"]) for r in plan.runs for _ in range(r.seeds)],
            "ladder": ladder * times,
            "largest": [largest] * int(budget / (12 * N.max() * D.max())),
        }
        for name, design in designs.items():
            new = make(design, truth, np.random.default_rng(1000 + seed))
            grown = [table(pilot[k], new[k]) for k in BOTH]
            f = fit_recipes(
                grown, law, tie=tuple(tie), objective="lsq", draws=0, resample="auto", seed=0,
                alone=fit_each(grown, law),
            )  # fmt: skip
            found = gap(law, paths, [f.recipe.part(f.theta, i) for i in (0, 1)])
            errors[name].append(found - right)
    return {name: np.array(v) for name, v in errors.items()}


def main() -> None:
    """Print errors of every design."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--tie", default="E")
    parser.add_argument("--floor", type=float, default=1.8, help="Floor of the second recipe.")
    parser.add_argument("--times", type=int, default=1)
    given = parser.parse_args()
    tie = () if given.tie == "none" else tuple(given.tie.split(","))
    errors = compare(given.repeats, tie=tie, floor=given.floor, times=given.times)
    predicted = errors.pop("predicted")
    for name, e in errors.items():
        size = float(np.sqrt(np.mean(e**2)))
        spread = float(np.std(e**2) / np.sqrt(len(e)) / (2 * size))
        print(f"{name:<10}{100 * size:8.3f} +- {100 * spread:.3f} %")
    ratio = float(np.sqrt(np.mean((errors["next"] / predicted) ** 2)))
    mean = float(np.sqrt(np.mean(predicted**2)))
    print(f"next had predicted {100 * mean:.3f} %; errors over predictions {ratio:.2f}")


if __name__ == "__main__":
    main()

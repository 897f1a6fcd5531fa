"""How often the verdict on pruning is right, and its intervals hold, where the truth is known.

    python benchmarks/verdict.py choosing [--sets 6]     # truths that choices were made with
    python benchmarks/verdict.py judging [--sets 6]      # others, never looked at before
    python benchmarks/verdict.py students [--sets 10]    # students trained for real, 2 and 4 times
    python benchmarks/verdict.py curves RUNS.csv         # measured: dropping memorised

Every case makes tables of pilots, three shares at four sizes, and asks at 3, 10 and 30 times the
largest of them, with as large a pool as a share asks for. ``wrong`` is a policy that loses against
random, or ``none`` where some share piloted gains more than 2 percent; ``second`` one that helps,
but less than the other. How often intervals hold is counted apart where there was an answer, and
where there was none. Tables are independent, the questions and policies of one are not.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.interpolate import RectBivariateSpline

from isoloss.prune.pilots import NONE, POLICIES, read_pilots
from isoloss.prune.verdict import judge_pilots
from isoloss.prune.verdict_decide import decide
from isoloss.prune.verdict_fit import fit_forms
from isoloss.prune.verdict_result import Question
from isoloss.prune.verdict_scale import find_crossovers, find_frontier
from isoloss.theory import pruned_perceptron, simulate_perceptron

Truth = Callable[[str, np.ndarray, np.ndarray], np.ndarray]
KEEPS, SEEDS, NOISE, UP = (0.7, 0.45, 0.25), 4, 0.02, (3, 10, 30)
STUDENTS_UP = (2, 4)
SCARCE, ABUNDANT = (50, 100, 200, 400), (500, 1000, 2000, 4000)
STUDENTS_SCARCE, STUDENTS_ABUNDANT = (250, 500, 1000, 2000), (1000, 2000, 4000, 8000)
UNIT = 1000.0
"""Dimensions of the perceptron: so many examples are one a dimension."""


@lru_cache(maxsize=8)
def perceptron(degrees: float) -> Truth:
    """Exact errors, solved once on a grid and then splined: within 2e-4 of themselves."""
    keeps, sizes = np.geomspace(min(KEEPS), 1, 17), np.geomspace(15, 1.5e5, 181)
    grid = {}
    for word in POLICIES:
        eps = pruned_perceptron(sizes[None] / UNIT, keeps[:, None], np.radians(degrees), keep=word)
        grid[word] = RectBivariateSpline(np.log(keeps), np.log(sizes), np.log(eps.eps))

    def loss(policy: str, keep: np.ndarray, D: np.ndarray) -> np.ndarray:
        share, size = np.broadcast_arrays(np.log(keep), np.log(D))
        if policy == NONE:
            return np.exp(grid["hard"](np.zeros_like(share), size, grid=False))
        return np.exp(grid[policy](share, size, grid=False))

    return loss


def useless(policy: str, keep: np.ndarray, D: np.ndarray) -> np.ndarray:
    return 0.1 + 0.9 * (D / 500) ** -0.45 + 0 * keep


def broken(policy: str, keep: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Take a random law that steepens, and worths that saturate in another way than any form."""
    cut, x = -np.log(keep), np.log(D / 3000)
    m = {
        NONE: 0 * cut,
        "hard": 0.8 * cut * np.tanh(0.6 * x) - 0.1 * cut**2,
        "easy": -0.35 * cut * x,
    }
    size = D * np.exp(m[policy]) / 2000
    return 0.02 + 0.5 * size**-0.25 * (1 + size**2) ** -0.125


def floors(policy: str, keep: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Each policy ends at a floor of its own; hard examples carry wrong labels."""
    cut = -np.log(keep)
    up = {NONE: 0.0, "hard": 0.35, "easy": 0.5}[policy]
    floor = 0.05 * (1 + {NONE: 0.0, "hard": 0.25, "easy": 1.2}[policy] * (1 - keep) ** 1.5)
    return floor + 0.6 * (D * np.exp(up * cut - 0.05 * cut**2) / 700) ** -0.55


def logs(policy: str, keep: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Loss that falls with the logarithm of D, as no power does for long."""
    cut = -np.log(keep)
    up = {NONE: 0 * cut, "hard": cut * (0.25 * np.log(D / 4000)), "easy": -0.2 * cut}[policy]
    return 1 / (1 + 0.5 * np.log1p(D * np.exp(np.minimum(up, cut)) / 300)) ** 1.5


def two_powers(policy: str, keep: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Two power laws after another, so that the slope falls and no floor is near."""
    cut = -np.log(keep)
    up = {NONE: 0.0, "hard": 0.45, "easy": -0.3}[policy]
    x = D * np.exp(up * cut - 0.1 * cut**2) / 1500
    return 0.15 * x**-0.7 + 0.25 * x**-0.12


def late(policy: str, keep: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Stretched exponential towards a floor; hard examples help only where there are many."""
    cut = -np.log(keep)
    up = {NONE: 0 * cut, "hard": cut * (1 - 2.2 / (1 + (D / 2500) ** 0.8)), "easy": -0.4 * cut}
    return 0.03 + 0.9 * np.exp(-((D * np.exp(up[policy]) / 400) ** 0.3))


def table(
    truth: Truth, sizes: tuple[int, ...], seed: int, noise: float = NOISE, seeds: int = SEEDS
) -> dict[str, list]:
    # Truths do not share noise: tables of all of them are independent.
    mark = [round(1e6 * float(truth(p, np.array([0.45]), np.array([700.0]))[0])) for p in POLICIES]
    rng = np.random.default_rng([seed, *mark, round(1e4 * noise), sizes[0]])
    rows: dict[str, list] = defaultdict(list)
    for D in sizes:
        for policy, keep in [(NONE, 1.0), *((p, k) for p in POLICIES for k in KEEPS)]:
            mean = float(truth(policy, np.array([keep]), np.array([float(D)]))[0])
            for s in range(seeds):
                rows["policy"].append("random" if policy == NONE else policy)
                rows["keep"].append(keep)
                rows["D"].append(D)
                rows["seed"].append(s)
                rows["loss"].append(mean * math.exp(noise * rng.standard_normal()))
    return rows


def students(degrees: float, sizes: tuple[float, ...], seed: int, N: int = 100) -> dict[str, list]:
    """Real students; a run is the mean error of four, so that it is noisy by a few percent."""
    rows: dict[str, list] = defaultdict(list)
    for i, a in enumerate(sizes):
        cells = [(NONE, 1.0), *((p, k) for p in POLICIES for k in KEEPS)]
        for j, (policy, keep) in enumerate(cells):
            made = simulate_perceptron(
                a, keep, np.radians(degrees), keep="random" if policy == NONE else policy, N=N,
                draws=4 * SEEDS, rng=seed * 1000 + 20 * i + j,
            ).values["eps"]  # fmt: skip
            for s, block in enumerate(made.reshape(SEEDS, 4)):
                rows["policy"].append("random" if policy == NONE else policy)
                rows["keep"].append(keep)
                rows["D"].append(round(a * UNIT))
                rows["seed"].append(s)
                rows["error"].append(float(block.mean()))
    return rows


def fixed(D: float) -> Question:
    return Question(pool=math.inf, D=D, budget=D, unit="seen", epochs=1.0, tol=0.02, trainings=1.0)


class Tally:
    """Answers, and how often intervals held the truth, with an answer and without."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.held: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
        self.width: list[float] = []

    def add(self, other: Tally) -> None:
        """Take another's counts."""
        self.answers.update(other.answers)
        for name, values in other.held.items():
            self.held[name] += values
        self.width += other.width

    def line(self, name: str) -> str:
        """Print what was counted."""
        n = sum(self.answers.values())
        parts = [f"{w} {self.answers[w]}" for w in ("right", "second", "wrong", "refused")]
        held = [f"{what} {_shares(v)}" for what, v in self.held.items()]
        width = f"; width of log gain {np.median(self.width):.2f}" if self.width else ""
        return f"{name:<34} {n:>4}: {', '.join(parts)} | held: {', '.join(held)}{width}"


def _shares(pairs: list[tuple[bool, bool]]) -> str:
    found = []
    for answered in (True, False):
        held = [h for a, h in pairs if a == answered]
        found.append(f"{np.mean(held):.0%} ({len(held)})" if held else "-")
    return " / ".join(found)


def grade(truth: Truth, answer: str, D: float) -> str:
    """Compare an answer with the truth over shares that were piloted and those between."""
    if answer == "no verdict":
        return "refused"
    keeps = np.geomspace(min(KEEPS), max(KEEPS), 25)
    at = np.full(keeps.shape, D)
    base = np.log(truth(NONE, np.ones(1), np.array([D])))
    gain = {p: float(np.max(base - np.log(truth(p, keeps, at)))) for p in POLICIES}
    if answer == "none":
        return "right" if max(gain.values()) < 0.02 else "wrong"
    if gain[answer] <= 0:
        return "wrong"
    return "right" if gain[answer] >= max(gain.values()) - 0.02 else "second"


def true_rise(
    truth: Truth, winner: str, loser: str, keep: float, looked: tuple[float, float]
) -> float:
    from isoloss.prune.verdict_scale import last_rise

    sizes = np.geomspace(*looked, 400)
    share = np.full(sizes.shape, keep)
    lead = np.log(truth(loser, share if loser in POLICIES else share * 0 + 1, sizes))
    lead = lead - np.log(truth(winner, share, sizes))
    return float(last_rise(lead[None], sizes)[0])


def examine(
    truth: Truth, rows: dict[str, list], tallies: dict[int, Tally], *, draws: int, exact: bool,
    largest: float, scale: Tally, ups: tuple[int, ...] = UP,
) -> None:  # fmt: skip
    pilots = read_pilots(rows)
    outcome = pilots.outcomes[0]
    forms = fit_forms(pilots, outcome, draws=draws, rng=0, exact=exact)
    for up in ups:
        D = up * largest
        question = fixed(D)
        decision = decide(forms, question, 0.9)
        answer, found = decision.answer, decision.policies
        tally = tallies[up]
        told = answer != "no verdict"
        tally.answers[grade(truth, answer, D)] += 1
        base = float(truth(NONE, np.ones(1), np.array([D]))[0])
        for p in found:
            k = np.array([p.keep.value])
            loss = float(truth(p.policy, k, np.array([D]))[0])
            tally.held["loss"].append((told, loss in p.loss.interval))
            tally.held["gain"].append((told, 1 - loss / base in p.gain.interval))
            keeps = np.geomspace(min(p.keeps), max(p.keeps), 200)
            losses = truth(p.policy, keeps, np.full(200, D))
            best = keeps[np.argmin(losses)]
            inside = p.keep.interval
            tally.held["keep"].append((told, inside.low * 0.98 <= best <= inside.high * 1.02))
            for share, g in zip(p.keeps, p.gains, strict=True):
                true = 1 - float(truth(p.policy, np.array([share]), np.array([D]))[0]) / base
                tally.held["gains"].append((told, true in g.interval))
            ends = p.gain.interval
            if p.policy == "hard" and math.isfinite(ends.low) and ends.high < 1:
                tally.width.append(math.log((1 - ends.low) / (1 - ends.high)))
    for c in find_crossovers(forms, fixed(3 * largest), 0.9):
        if c.winner == "hard":
            loser = NONE if c.loser == "random" else c.loser
            held = true_rise(truth, c.winner, loser, c.keep, c.looked) in c.D.interval
            scale.held[f"hard over {c.loser}"].append((True, held))
    f = find_frontier(forms, 0.9)
    if f is not None:
        scale.answers["right" if f.difference.interval.low > 0 else "refused"] += 1


def run(
    name: str, truth: Truth, sizes: tuple[int, ...], args: argparse.Namespace, make: Callable,
    ups: tuple[int, ...] = UP,
) -> Tally:  # fmt: skip
    tallies, scale, total = {up: Tally() for up in ups}, Tally(), Tally()
    for seed in range(args.first, args.first + args.sets):
        examine(
            truth, make(seed), tallies, draws=args.draws, exact=not args.no_exact,
            largest=float(max(sizes)), scale=scale, ups=ups,
        )  # fmt: skip
    for up, tally in tallies.items():
        if args.each:
            print(tally.line(f"{name}, {up} times"), flush=True)
        total.add(tally)
    print(total.line(name), flush=True)
    held = ", ".join(f"{k} {_shares(v)}" for k, v in scale.held.items())
    n = sum(scale.answers.values())
    print(f"{'':<34} crossovers held: {held}; faster frontier called in "
          f"{scale.answers['right'] / max(n, 1):.0%}", flush=True)  # fmt: skip
    return total


def curves(path: str) -> None:
    """Accuracies of networks that learned without the most memorised: they keep the easy."""
    tables: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    with Path(path).open(newline="") as file:
        for row in csv.DictReader(file):
            keep, table = 1 - float(row["drop_pct"]) / 100, tables[row["dataset"]]
            table["policy"].append("easy" if row["selection"] == "mem" else "random")
            table["keep"].append(keep)
            table["pool"].append(100_000)
            table["seed"].append(f"{row['selection']} {row['seed']}")
            table["error"].append(1 - float(row["test_accuracy"]))
    for name, rows in tables.items():
        for question in ({"pool": 1e5}, {"budget": 5e4}):
            print(f"== {name}, {question}")
            print(judge_pilots(rows, **question).summary())


Case = tuple[str, Truth, tuple[int, ...], float, int]


def cases(which: str) -> list[Case]:
    """Truths, with the sizes, noise and seeds of their pilots."""
    if which == "choosing":
        return [
            ("10 degrees, scarce", perceptron(10.0), SCARCE, NOISE, SEEDS),
            ("10 degrees, abundant", perceptron(10.0), ABUNDANT, NOISE, SEEDS),
            ("broken", broken, ABUNDANT, NOISE, SEEDS),
            ("logs", logs, ABUNDANT, NOISE, SEEDS),
            ("logs, noise .5 %", logs, ABUNDANT, 0.005, SEEDS),
        ]
    sides = {"scarce": SCARCE, "abundant": ABUNDANT}
    found = [
        (f"{d:g} degrees, {side}", perceptron(d), sizes, NOISE, SEEDS)
        for d in (0.0, 3.0, 5.0, 20.0, 40.0)
        for side, sizes in sides.items()
    ]
    found += [
        ("20 degrees, abundant, noise .5 %", perceptron(20.0), ABUNDANT, 0.005, SEEDS),
        ("20 degrees, abundant, noise 6 %", perceptron(20.0), ABUNDANT, 0.06, SEEDS),
        ("20 degrees, abundant, 2 seeds", perceptron(20.0), ABUNDANT, NOISE, 2),
    ]
    for name, truth in {
        "floors": floors,
        "two powers": two_powers,
        "late": late,
        "useless": useless,
    }.items():
        found += [(name, truth, ABUNDANT, NOISE, SEEDS), (f"{name}, noise .5 %", truth, ABUNDANT,
                  0.005, SEEDS)]  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=["choosing", "judging", "students", "curves"])
    parser.add_argument("path", nargs="?")
    parser.add_argument("--sets", type=int, default=6, help="tables of each truth")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--only", default="", help="truths with this in their name")
    parser.add_argument("--degrees", type=float, nargs="+", default=[10.0, 20.0])
    parser.add_argument("--each", action="store_true", help="a line for each size asked about")
    parser.add_argument("--no-exact", action="store_true", help="without the perceptron's forms")
    args = parser.parse_args()
    start = time.process_time()
    total = Tally()
    if args.case == "curves":
        curves(args.path)
        return
    if args.case == "students":
        for degrees in args.degrees:
            for side, sizes in {"scarce": STUDENTS_SCARCE, "abundant": STUDENTS_ABUNDANT}.items():
                total.add(run(
                    f"{degrees:g} degrees, {side}, students", perceptron(degrees), sizes, args,
                    lambda seed, d=degrees, s=sizes: students(
                        d, tuple(v / UNIT for v in s), seed), STUDENTS_UP))  # fmt: skip
    else:
        for name, truth, sizes, noise, seeds in cases(args.case):
            if args.only in name:
                total.add(run(name, truth, sizes, args, lambda seed, t=truth, s=sizes, n=noise,
                              k=seeds: table(t, s, seed, n, k)))  # fmt: skip
    print(total.line("all of them"))
    print(f"{time.process_time() - start:.0f} CPU s")


if __name__ == "__main__":
    main()

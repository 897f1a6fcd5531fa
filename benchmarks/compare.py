"""How often comparisons of recipes are right: coverage, false discoveries, repeated looks.

    python benchmarks/compare.py [--quick] [--only PART] [--row TEXT] [--repeats K]

Every table is simulated from two known curves, so that the true multiplier is known. Nominal level
90 %. PART is ``coverage``, ``discovery`` or ``looks``. Twenty CPU minutes; ``--quick`` a fifth.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss.laws import Law, law_from_expression
from isoloss.plan.cost import SixND
from isoloss.plan.problem import Problem
from isoloss.plan.recipes.compare import compare_recipes
from isoloss.plan.recipes.looks import Looks
from isoloss.plan.recipes.parts import Crossover
from isoloss.plan.recipes.paths import Frontier, Line, along_axis

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
CHINCHILLA = "E + A*N**-alpha + B*D**-beta"
COUPLED = "E + ((A*N**-alpha)**k + (B*D**-beta)**k)**(1/k)"
DRIFT = "E + A*N**-alpha + B*D**-(beta - d*log(D/5.5e9))"
FLOOR = "E + A*C**-alpha"
BENT = "E + A*C**-(alpha - d*log(C/3e18))"
OLD = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
NEW = OLD | {"A": 450.0, "B": 1950.0}
STEEP = OLD | {"A": 800.0, "B": 1950.0, "alpha": 0.38}
CURVE = {"E": 1.8, "A": 300.0, "alpha": 0.13}
STEEP_CURVE = CURVE | {"A": 480.0, "alpha": 0.14}


@dataclass(frozen=True)
class Row:
    """A truth, a design, and what is asked for."""

    name: str
    formula: str
    old: dict[str, float]
    new: dict[str, float]
    shared: float = 0.7
    side: int = 5
    tails: bool = False
    tie: tuple[str, ...] | str = "auto"
    unequal: bool = False


ROWS = (
    Row("one floor, amplitudes differ", CHINCHILLA, OLD, NEW),
    Row("the same, noise not shared", CHINCHILLA, OLD, NEW, shared=0.0),
    Row("the same, unequal designs", CHINCHILLA, OLD, NEW, unequal=True),
    Row("the same, 12 cells, tails of t(3)", CHINCHILLA, OLD, NEW, side=0, tails=True),
    Row("one floor, exponents differ", CHINCHILLA, OLD, STEEP),
    Row("floors differ, 1.80 and 1.82", CHINCHILLA, OLD, NEW | {"E": 1.82}),
    Row("floors differ, 1.80 and 1.95", CHINCHILLA, OLD, NEW | {"E": 1.95}),
    Row("coupled, k = 1.2", COUPLED, OLD | {"k": 1.2}, NEW | {"k": 1.2}),
    Row("outside the set: drifting exponent", DRIFT, OLD | {"d": 0.003}, NEW | {"d": 0.003}),
    Row("one axis, exponents differ", FLOOR, CURVE, STEEP_CURVE),
    Row("one axis, floors differ", FLOOR, CURVE, CURVE | {"A": 290.0, "E": 1.81}),
    Row("one axis, outside: bent", BENT, CURVE | {"d": 2e-4}, STEEP_CURVE | {"d": 2e-4}),
    Row("one floor, --tie E", CHINCHILLA, OLD, NEW, tie=("E",)),
    Row("1.80 and 1.82, --tie E", CHINCHILLA, OLD, NEW | {"E": 1.82}, tie=("E",)),
    Row("one axis, exponents, --tie none", FLOOR, CURVE, STEEP_CURVE, tie=()),
)
REACH = np.array([1.0, 10.0, 100.0])


def design(row: Row) -> dict[str, Array]:
    """Cells."""
    if "N" not in row.formula:
        return {"C": np.geomspace(1e17, 1e20, 12)}
    sides = (row.side, row.side) if row.side else (4, 3)
    n, d = np.geomspace(2e7, 1e9, sides[0]), np.geomspace(1e9, 3e10, sides[1])
    return {"N": np.repeat(n, len(d)), "D": np.tile(d, len(n))}


def noise(rng: np.random.Generator, n: int, shared: float, tails: bool) -> tuple[Array, Array]:
    """Factors of both recipes' losses."""
    draw: Callable[..., Array] = (
        (lambda size: rng.standard_t(3, size) / np.sqrt(3)) if tails else rng.standard_normal
    )
    both = draw(n)
    first, second = (
        np.exp(0.003 * (np.sqrt(shared) * both + np.sqrt(1 - shared) * draw(n))) for _ in range(2)
    )
    return first, second


def true_multiplier(law: Law, row: Row, C: Array) -> Array:
    """Multiplier of the truth."""
    path: Frontier | Line = Frontier(Problem(law, SixND())) if "N" in law.axes else along_axis(law)
    first, second = (law.theta(t)[None] for t in (row.old, row.new))
    return np.asarray(C / path.compute(second, path.loss(first, C), C)[0])


def parts(row: Row, x: dict[str, Array]) -> tuple[Rows, Rows]:
    """Rows that each recipe has: all, or two overlapping shares of the cells."""
    n = len(next(iter(x.values())))
    if not row.unequal:
        return np.arange(n), np.arange(n)
    # The recipe lacks the smallest size and every largest amount of data but that of one size.
    keep = (x["N"] > x["N"].min()) & ((x["D"] < x["D"].max()) | (x["N"] == x["N"].max()))
    return np.arange(n), np.flatnonzero(keep)


def coverage(repeats: int, which: str = "") -> None:
    """Print how often intervals of the multiplier hold the truth."""
    print(f"\ncoverage of 90 % intervals, {repeats} tables a row (error at 0.9: "
          f"{100 * np.sqrt(0.09 / repeats):.1f} points)")  # fmt: skip
    print(f"{'truth':<36}{'within':>8}{'x10':>7}{'x100':>7}{'crossing':>10}{'width within':>14}"
          f"{'x10':>7}{'x100':>7}{'decided':>9}{'floors':>8}{'missed':>8}")  # fmt: skip
    for row in ROWS:
        if which in row.name:
            line(row, repeats)


def line(row: Row, repeats: int) -> None:
    """Print one row: shares that hold the truth, and log widths."""
    x = design(row)
    law = law_from_expression(row.formula, axes=tuple(x))
    own = parts(row, x)
    scale = x["C"] if "C" in x else 6 * x["N"] * x["D"]
    C = REACH * min(scale[i].max() for i in own)
    truth = true_multiplier(law, row, C)
    grid = np.geomspace(max(scale[i].min() for i in own), 1e3 * C[0], 2000)
    sign = np.sign(np.log(true_multiplier(law, row, grid)))
    k = np.flatnonzero(sign[1:] != sign[:-1])
    cross = grid[k[0]] if len(k) else None
    curves = [law(t, x) for t in (row.old, row.new)]
    hit, width, decided, crossed = np.zeros(3), [], 0, 0
    said = dict.fromkeys(("FLOORS_DIFFER", "LAWS_MISS"), 0)
    for i in range(repeats):
        rng = np.random.default_rng([7, i])
        both = noise(rng, len(scale), row.shared, row.tails)
        tables = {
            name: {c: v[rows] for c, v in (x | {"loss": y * e}).items()}
            for name, y, e, rows in zip("ab", curves, both, own, strict=True)
        }
        found = compare_recipes(tables, at=C, draws=200, tie=row.tie).rows[0]
        ends = [s.multiplier_interval for s in found.scales]
        hit += [t in e for t, e in zip(truth, ends, strict=True)]
        with np.errstate(divide="ignore"):
            width.append([np.log(e.high) - np.log(e.low) for e in ends])
        decided += found.main.verdict != "cannot tell"
        for r in found.reasons:
            said[r.code] = said.get(r.code, 0) + 1
        crossed += holds(found.crossover, cross)
    shares = "".join(f"{h / repeats:>{w}.2f}" for h, w in zip(hit, (8, 7, 7), strict=True))
    wide = "".join(
        f"{v:>{w}.2f}" for v, w in zip(np.median(width, axis=0), (14, 7, 7), strict=True)
    )
    print(f"{row.name:<36}{shares}{crossed / repeats:>10.2f}{wide}{decided / repeats:>9.2f}"
          f"{said['FLOORS_DIFFER'] / repeats:>8.2f}{said['LAWS_MISS'] / repeats:>8.2f}",
          flush=True)  # fmt: skip


def holds(found: Crossover, cross: float | None) -> bool:
    """Whether what is said of the crossing is true."""
    if cross is None:
        return found.status != "found"
    if found.interval is None:
        return found.status == "not identified"
    return cross in found.interval


def null_tables(
    rng: np.random.Generator, n: int, variants: int, real: int
) -> dict[str, dict[str, Array]]:
    """Baseline and variants of one axis, of which the first few are better."""
    C = np.geomspace(1e17, 1e20, n)
    both = rng.standard_normal(n)
    tables = {}
    for v in range(variants + 1):
        A = CURVE["A"] * (0.97 if 0 < v <= real else 1.0)
        loss = CURVE["E"] + A * C ** -CURVE["alpha"]
        error = 0.003 * (np.sqrt(0.7) * both + np.sqrt(0.3) * rng.standard_normal(n))
        tables[f"v{v}"] = {"C": C, "loss": loss * np.exp(error)}
    return tables


def discovery(repeats: int) -> None:
    """Print how many of the recipes found are none."""
    print(f"\nfalse discoveries, 20 variants of one axis against a baseline, {repeats} sets, "
          "rate asked for 0.10")  # fmt: skip
    print(f"{'real':>5}  {'tie':<10}{'false share, adjusted':>23}{'any false, not adjusted':>25}"
          f"{'power':>8}")  # fmt: skip
    for real, tie in ((0, "auto"), (5, "auto"), (5, ("E",))):
        share, naive, power = [], [], []
        true = {f"v{v}" for v in range(1, real + 1)}
        for i in range(repeats):
            tables = null_tables(np.random.default_rng([11, i]), 12, 20, real)
            found = compare_recipes(tables, draws=200, tie=tie)
            named = {r.recipe for r in found.found}
            share.append(len(named - true) / max(len(named), 1))
            naive.append(any(r.main.p_value <= 0.1 for r in found.rows if r.recipe not in true))
            power.append(len(named & true) / max(real, 1))
        print(f"{real:>5}  {','.join(tie) if tie != 'auto' else tie:<10}{np.mean(share):>23.3f}"
              f"{np.mean(naive):>25.3f}{np.mean(power) if real else np.nan:>8.2f}",
              flush=True)  # fmt: skip


def looks(repeats: int) -> None:
    """Print how often any of several looks at equal recipes names one better."""
    sizes = (8, 10, 12, 14, 16)
    rules = {
        "as if it were the only one": [Looks()] * 5,
        "k of 5": [Looks(number=k, planned=5) for k in range(1, 6)],
        "k, no plan": [Looks(number=k, planned=None) for k in range(1, 6)],
    }
    print(
        f"\nfive looks at equal recipes while runs are added, {repeats} sets, error asked for 0.10"
    )
    wrong = dict.fromkeys(rules, 0)
    seen = dict.fromkeys(rules, 0)
    for i in range(repeats):
        for real in (0, 1):
            whole = null_tables(np.random.default_rng([13, i]), max(sizes), 1, real)
            p = []
            for n in sizes:
                part = {k: {c: v[:n] for c, v in t.items()} for k, t in whole.items()}
                found = compare_recipes(part, draws=200)
                p.append(found.rows[0].main.p_value)
            for name, rule in rules.items():
                told = any(v <= r.alpha(0.1) for v, r in zip(p, rule, strict=True))
                (seen if real else wrong)[name] += told
    print(f"{'rule':<30}{'any look wrong':>16}{'difference seen':>18}")
    for name in rules:
        print(f"{name:<30}{wrong[name] / repeats:>16.3f}{seen[name] / repeats:>18.2f}")


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["coverage", "discovery", "looks"])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--row", default="", help="rows of coverage whose names hold this")
    given = parser.parse_args()
    repeats = max(given.repeats // 5, 4) if given.quick else given.repeats
    start = time.process_time()
    if given.only in (None, "coverage"):
        coverage(repeats, given.row)
    for name, part in (("discovery", discovery), ("looks", looks)):
        if given.only in (None, name):
            part(max(repeats // 2, 4))
    print(f"\n{time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()

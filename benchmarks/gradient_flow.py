"""Laws of gradient flow: found in models that obey them, and tried on repeated data.

    python benchmarks/gradient_flow.py --simulate
    python benchmarks/gradient_flow.py --table
    python benchmarks/gradient_flow.py RUNS.csv [--passes 4] [--most 10] [--unique 5e7]

``--simulate`` draws random features, lets them learn, fits what comes out and forecasts larger
models after longer training: endless data, then few examples seen over and over.
``--table`` says how long the tables of both functions take to make, and how far they are off.
A file with N, D, U and loss is fitted where D/U is at most ``--passes``; the runs above, up to
``--most`` passes, are scored. Runs with fewer unique examples than ``--unique`` are left out.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import isoloss
from isoloss._core.threads import one_thread
from isoloss.laws import flow, flow_unique
from isoloss.laws.expression import parse
from isoloss.laws.tape import evaluate
from isoloss.theory import power_law, simulate_gradient_flow

Array = npt.NDArray[np.float64]
FALL, BETA, FLOOR = 2.5, 0.3, 0.5
UNIQUE = ("gradient_flow_unique", "gradient_flow_unique_width")
RIVALS = ("gradient_flow_any", "chinchilla", "coupled", "kaplan")


def truth() -> dict[str, float]:
    """Parameters of the laws for features and times as they are; twice the time is D."""
    angle = math.pi / FALL
    height = angle / math.sin(math.pi * BETA)
    size = height * (angle / math.sin(angle)) ** (FALL * BETA)
    data = height / math.gamma(1 - BETA)
    return {"E": FLOOR, "A": size, "B": data, "b": FALL, "beta": BETA}


def endless(
    sizes: Sequence[int], times: Sequence[float], ranks: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Exact population loss of one draw of features for each size and time, data endless."""
    rank = np.arange(1.0, ranks + 1)
    variance, power = rank**-FALL, rank ** -(1 + FALL * BETA)
    rows = []
    for n in sizes:
        for t in times:
            mixing = rng.standard_normal((n, ranks)) * np.sqrt(variance / n)
            values, vectors = np.linalg.eigh(mixing @ mixing.T)
            seen = (vectors.T @ mixing) ** 2 / values[:, None] @ power
            loss = power.sum() - (1 - np.exp(-2 * t * values)) @ seen
            rows.append((n + 0.5, 2 * t, loss + FLOOR))
    return dict(zip(("N", "D", "loss"), np.array(rows).T, strict=True))


def repeated(
    sizes: Sequence[int], examples: Sequence[int], times: Sequence[float], ranks: int, seed: int
) -> dict[str, Array]:
    """Mean loss of a few draws for each size and number of examples; times share draws."""
    spectrum = power_law(b=FALL, a=1 + FALL * BETA, M=ranks)
    rows = []
    for n in sizes:
        for u in examples:
            found = simulate_gradient_flow(spectrum, n, u, times, draws=8, rng=seed + 1000 * n + u)
            loss = found.mean("test_excess") + FLOOR
            rows.extend((n + 0.5, 2 * t, u + 0.5, v) for t, v in zip(times, loss, strict=True))
    return dict(zip(("N", "D", "U", "loss"), np.array(rows).T, strict=True))


def simulate(seeds: int = 3) -> None:
    """Fit simulated runs, forecast larger ones."""
    print("truth:", ", ".join(f"{n} {v:.4g}" for n, v in truth().items()), "and rho 1")
    held = total = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        near = endless((20, 30, 45, 70, 105, 160), np.geomspace(20, 3e4, 8).tolist(), 4000, rng)
        far = endless((320, 500), (1e5, 1e6, 1e7), 6000, rng)
        held, total = held + _report(seed, "gradient_flow", near, far, RIVALS), total + 5
    print(f"intervals of 90 % hold {held} of {total} parameters")
    for seed in range(seeds):
        times = np.geomspace(20, 1e5, 7).tolist()
        near = repeated((24, 48, 96), (30, 60, 120, 240), times, 1500, seed)
        far = repeated((150,), (60, 400), (1e4, 1e5, 1e6), 1500, seed + 77)
        rivals = ("repetition", "repetition_joint", "chinchilla")
        _report(seed, "gradient_flow_unique", near, far, rivals)


def _report(
    seed: int, law: str, near: dict[str, Array], far: dict[str, Array], rivals: Sequence[str]
) -> int:
    true = truth() | {"rho": 1.0}
    form = isoloss.get_law(law)
    off = form(true, far) / far["loss"] - 1
    print(f"\nseed {seed}: formula over simulation, far:", *(f"{100 * e:+.1f}" for e in off), "%")
    x, held = {a: far[a] for a in form.axes}, 0
    for name in (law, *rivals):
        found = isoloss.fit(near, name, objective="lsq", draws=200)
        errors = 100 * (found.predict(x) / far["loss"] - 1)
        ranges = found.interval(x, new_run=True)
        inside = sum(v in i for v, i in zip(far["loss"], ranges, strict=True))
        print(f"  {name:<21} rms {100 * np.std(found.residuals):.2f} %; far", end=" ")
        print(*(f"{e:+.1f}" for e in errors), f"inside {inside} of {len(errors)}; {found.status}")
        if name == law:
            for n in found.law.names:
                i = found.intervals[n]
                held += true[n] in i
                mark = "" if true[n] in i else "  misses"
                print(f"    {n:<5}{found.parameters[n]:>9.4g} [{i.low:.4g}, {i.high:.4g}]{mark}")
    return held


def tables() -> None:
    """Print what the tables cost and how far they are off at random places."""
    rng, n = np.random.default_rng(0), 4000
    b, beta = flow.B_MOST ** rng.uniform(0, 1, n), rng.uniform(0.001, flow.BETA_MOST, n)
    w = rng.uniform(0.01, 1, n)
    start = time.perf_counter()
    flow._table()
    print(f"flow: made in {time.perf_counter() - start:.2f} s", end=", ")
    v = flow.ratio_of(w, b, flow.END)
    exact = flow.crossover(b * np.log(v) - flow.shift(beta) / beta, 1 / b, beta)
    leaves = {"a": np.ones(n), "d": (1 - beta) * v ** (-b * beta), "b": b, "beta": beta}
    found = evaluate([parse("flow(a, d, b, beta)", axes=[])], leaves)[0]
    _off(found / exact)
    start = time.perf_counter()
    flow_unique._table()
    print(f"flow_unique: made in {time.perf_counter() - start:.2f} s", end=", ")
    v, few = flow.ratio_of(w, b, flow_unique.END), rng.uniform(0, 1, n)
    times = b * np.log(v) - flow.shift(beta) / beta
    exact = np.array(
        [
            flow_unique.two_time(times[i : i + 1, None], 1 / b[i], few[i : i + 1], beta[i : i + 1])[
                0, 0, 0
            ]
            for i in range(n)
        ]
    )
    leaves |= {"d": (1 - beta) * v ** (-b * beta)}
    # In units where 1/N + 1/T is one.
    leaves |= {"a": (1 - few) ** (b * beta), "u": few ** (b * beta)}
    found = evaluate([parse("flow_unique(a, d, u, b, beta)", axes=[])], leaves)[0]
    _off(found / exact)


def _off(ratio: Array) -> None:
    off = np.abs(ratio - 1)
    print(
        f"off by {np.median(off):.0e} in the median, {np.quantile(off, 0.99):.0e} in 99 %, "
        f"{off.max():.0e} at most"
    )


def passes(path: str, low: float, most: float, unique: float) -> None:
    """Fit runs of few passes, score those of more."""
    runs = isoloss.read_runs(path)
    # Data that are not all seen are not repeated.
    seen = np.minimum(runs["U"], runs["D"])
    count = runs["D"] / seen
    columns = {"N": runs["N"], "D": runs["D"], "U": seen, "loss": runs["loss"]}
    inside = (count <= 1.01 * low) & (seen >= unique)
    above = (count > 1.01 * low) & (count <= 1.01 * most) & (seen >= unique)
    near, far = ({k: v[m] for k, v in columns.items()} for m in (inside, above))
    print(f"{inside.sum()} runs of at most {low:g} passes, {above.sum()} of up to {most:g}")
    for name in ("chinchilla", "repetition", "repetition_joint", *UNIQUE):
        found = isoloss.fit(near, name, draws=0)
        own = 100 * np.sqrt(np.mean(found.residuals**2))
        errors = 100 * (found.predict(far) / far["loss"] - 1)
        print(
            f"  {name:<27} fits within {own:.2f} %, ahead {np.mean(np.abs(errors)):.2f} %", end=""
        )
        print(
            f" ({np.mean(errors):+.2f}), median {np.median(np.abs(errors)):.2f} %; {found.status}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="?", metavar="RUNS.csv")
    parser.add_argument("--passes", type=float, default=4.0)
    parser.add_argument("--most", type=float, default=10.0)
    parser.add_argument("--unique", type=float, default=5e7)
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    with one_thread():
        if given.table:
            tables()
        if given.simulate:
            simulate()
        if given.runs:
            passes(given.runs, given.passes, given.most, given.unique)


if __name__ == "__main__":
    main()

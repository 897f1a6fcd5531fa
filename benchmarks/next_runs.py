"""Which design of the next runs forecasts best for its FLOPs: simulated truths, and published runs.

    python benchmarks/next_runs.py [--repeats 100] [--budget 1e20] [--fit plain] [--processes 2]
    python benchmarks/next_runs.py --replay RUNS.csv [--where CONDITION] [--repeats 50]

Simulation: a pilot of 12 runs (1e17, 3e17, 1e18 FLOPs, four sizes within four times the best one),
noise of 0.3 % of the loss. Each design then spends the same FLOPs on at most 12 further runs, and
the same law set (``fit_laws`` without draws; ``--fit plain``: Chinchilla's and the coupled law by
least squares with equal weights, a quarter of the time) forecasts the loss at the best split of
1e23 FLOPs and log N_opt there. Designs know the pilot's fit alone:

    next      plan_next_runs, goal loss@C=1e23, defaults
    isoflop   three budgets a factor of sqrt(10) apart, four sizes within four times its best
    random    evenly in log N and log D over the candidates of ``next``
    d-optimal greedy on the determinant of Chinchilla's information matrix, same candidates
    ladder    runs at the pilot's best split, each twice the compute of the one before
    next-only, next-size    asked for with --design: the loss alone; the goal N_opt@C=1e23

Truths: Chinchilla's law; the coupled law with k = 1.15; one outside the law set, where data beyond
1000 examples a parameter are worth less and less (D becomes D / sqrt(1 + D / (1000 N))).

Errors are root mean squares over repeats with their Monte-Carlo standard errors. Errors of
log N_opt are cut at 3, which also stands for fits that have no best split.

Replay: the largest runs are held out (the top eighth by C), a pilot of the cheapest fifth is
fitted, and each rule chooses from the others within a budget, ``next`` also in three rounds with a
fit after each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

import isoloss
from isoloss._core.threads import one_thread
from isoloss.errors import IsolossError
from isoloss.fit import LawSet, fit_laws
from isoloss.plan import plan_next_runs
from isoloss.plan.over_laws import allocate_over_laws
from isoloss.runs import Runs

E, A, B, ALPHA, BETA = 1.8172, 482.01, 2085.43, 0.3478, 0.3658
NOISE = 0.003
GOAL_C = 1e23
MOST = 12
OVERTRAINED = 1000.0
LIMIT = 3.0


def chinchilla(N: np.ndarray, D: np.ndarray) -> np.ndarray:
    return E + A * N**-ALPHA + B * D**-BETA


def coupled(N: np.ndarray, D: np.ndarray, k: float = 1.15) -> np.ndarray:
    return E + ((A * N**-ALPHA) ** k + (B * D**-BETA) ** k) ** (1 / k)


def overtrained(N: np.ndarray, D: np.ndarray) -> np.ndarray:
    return chinchilla(N, D / np.sqrt(1 + D / (OVERTRAINED * N)))


TRUTHS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "chinchilla": chinchilla,
    "coupled": coupled,
    "over-trained": overtrained,
}


FITS: Mapping[str, Mapping] = {
    "default": {},
    "plain": {"laws": ["chinchilla", "coupled"], "objective": "lsq", "emphasis": 0.0},
}


def fitted_set(runs: Runs, fit: str) -> LawSet:
    return fit_laws(runs, draws=0, **FITS[fit])


def best(truth: Callable[..., np.ndarray], C: float = GOAL_C) -> tuple[float, float]:
    """Log of the least loss, and of the size that has it."""
    n = np.linspace(np.log(1e8), np.log(1e12), 200_001)
    loss = truth(np.exp(n), C / 6 / np.exp(n))
    k = int(np.argmin(loss))
    return float(np.log(loss[k])), float(n[k])


def measure(truth: Callable[..., np.ndarray], N: np.ndarray, D: np.ndarray, rng) -> Runs:
    loss = truth(N, D) * np.exp(NOISE * rng.standard_normal(len(N)))
    return Runs(columns={"N": N, "D": D, "loss": loss})


def pilot_places(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    C = np.repeat([1e17, 3e17, 1e18], 4)
    # A rough guess of the best size, off by up to a factor of two.
    N = np.sqrt(C / 120) * np.tile(np.geomspace(0.25, 4, 4), 3) * np.exp(rng.uniform(-0.7, 0.7))
    return N, C / (6 * N)


def joined(*parts: Runs) -> Runs:
    return Runs(columns={a: np.concatenate([p[a] for p in parts]) for a in ("N", "D", "loss")})


def ours(
    laws: LawSet, pilot: Runs, budget: float, rng, *, goal: str = "loss", **options
) -> tuple[np.ndarray, np.ndarray]:
    found = plan_next_runs(laws, pilot, f"{goal}@C={GOAL_C}", budget=budget, k=MOST, **options)
    N, D = (np.repeat([r.at[a] for r in found.runs], [r.seeds for r in found.runs]) for a in "ND")
    return N, D


def size_at(laws: LawSet, C: np.ndarray) -> np.ndarray:
    try:
        return allocate_over_laws(laws, C, price_of_missing=False).N_opt
    except IsolossError:
        return np.sqrt(C / 120)


def isoflop(laws: LawSet, pilot: Runs, budget: float, rng) -> tuple[np.ndarray, np.ndarray]:
    shares = np.array([1.0, 10**0.5, 10.0])
    levels = budget * shares / (4 * shares.sum())
    N = np.repeat(size_at(laws, levels), 4) * np.tile(np.geomspace(0.25, 4, 4), 3)
    return N, np.repeat(levels, 4) / (6 * N)


def ladder(laws: LawSet, pilot: Runs, budget: float, rng) -> tuple[np.ndarray, np.ndarray]:
    steps = 2.0 ** -np.arange(MOST)
    C = budget * steps / steps.sum()
    N = size_at(laws, C)
    return N, C / (6 * N)


def candidates(laws: LawSet, pilot: Runs, budget: float) -> tuple[np.ndarray, np.ndarray]:
    found = plan_next_runs(laws, pilot, f"loss@C={GOAL_C}", budget=budget, k=1).considered
    return found.x["N"], found.x["D"]


def random(laws: LawSet, pilot: Runs, budget: float, rng) -> tuple[np.ndarray, np.ndarray]:
    N, D = candidates(laws, pilot, budget)
    cost, left, chosen = 6 * N * D, budget, list[int]()
    while len(chosen) < MOST:
        fits = np.flatnonzero(cost <= left)
        if not len(fits):
            break
        if len(chosen) == MOST - 1:
            # The last run spends what is left, so that no design is short of FLOPs.
            fits = fits[cost[fits] >= 0.8 * cost[fits].max()]
        chosen.append(int(rng.choice(fits)))
        left -= cost[chosen[-1]]
    return N[chosen], D[chosen]


def d_optimal(laws: LawSet, pilot: Runs, budget: float, rng) -> tuple[np.ndarray, np.ndarray]:
    N, D = candidates(laws, pilot, budget)
    cost = 6 * N * D
    fitted = next(f for f in laws.fits if f.law.name == "chinchilla")
    size = np.maximum(np.abs(fitted.theta), 0.05)

    def rows(x) -> np.ndarray:
        return fitted.law.jacobian(fitted.theta, x) * size / fitted.predict(x)[:, None] / NOISE

    begin = rows(pilot).T @ rows(pilot) + np.eye(len(size))
    J = rows({"N": N, "D": D})
    found, worth = [], []
    for power in (0.0, 0.25, 0.5, 0.75, 1.0):
        H, left, chosen = begin.copy(), budget, list[int]()
        while len(chosen) < MOST:
            fits = np.flatnonzero(cost <= left)
            if not len(fits):
                break
            gain = np.log1p(np.einsum("mp,pq,mq->m", J[fits], np.linalg.inv(H), J[fits]))
            chosen.append(int(fits[np.argmax(gain / cost[fits] ** power)]))
            H += np.outer(J[chosen[-1]], J[chosen[-1]])
            left -= cost[chosen[-1]]
        found.append(chosen)
        worth.append(np.linalg.slogdet(H)[1])
    chosen = found[int(np.argmax(worth))]
    return N[chosen], D[chosen]


DESIGNS = {
    "next": ours,
    "isoflop": isoflop,
    "random": random,
    "d-optimal": d_optimal,
    "ladder": ladder,
    "next-only": partial(ours, only=True),
    "next-size": partial(ours, goal="N_opt"),
}


def errors(laws: LawSet, truth: Callable[..., np.ndarray]) -> tuple[float, float]:
    """Errors of the log loss and of log N_opt at the goal."""
    loss, size = best(truth)
    try:
        plan = allocate_over_laws(laws, [GOAL_C], price_of_missing=False)
        found, seen = float(plan.N_opt[0]), float(plan.L_opt[0])
    except IsolossError:
        N = np.exp(size)
        found = np.inf
        seen = float(laws.predict({"N": np.array([N]), "D": np.array([GOAL_C / 6 / N])})[0])
    return np.log(seen) - loss, float(np.clip(np.log(found) - size, -LIMIT, LIMIT))


def repeat(
    job: tuple[str, int], budgets: tuple[float, ...], designs: tuple[str, ...], fit: str
) -> dict:
    """One pilot, every design at every budget; its errors and FLOPs."""
    name, seed = job
    truth, rng = TRUTHS[name], np.random.default_rng([seed, 15])
    out = {}
    with one_thread():
        pilot = measure(truth, *pilot_places(rng), rng)
        laws = fitted_set(pilot, fit)
        out["pilot", 0.0] = (*errors(laws, truth), float(np.sum(6 * pilot["N"] * pilot["D"])), 12)
        for budget in budgets:
            for design in designs:
                # The same noise for every design of a repeat, as far as they have runs.
                chance = np.random.default_rng([seed, 16])
                N, D = DESIGNS[design](laws, pilot, budget, np.random.default_rng([seed, 17]))
                runs = joined(pilot, measure(truth, N, D, chance))
                fitted = fitted_set(runs, fit)
                out[design, budget] = (*errors(fitted, truth), float(np.sum(6 * N * D)), len(N))
    return out


def rms(errors: np.ndarray) -> tuple[float, float]:
    """Root mean square and its standard error over repeats."""
    square = errors**2
    value = float(np.sqrt(square.mean()))
    return value, float(square.std(ddof=1) / np.sqrt(len(square)) / (2 * max(value, 1e-300)))


def simulate(
    repeats: int,
    budgets: tuple[float, ...],
    designs: tuple[str, ...],
    truths,
    processes: int,
    fit: str,
) -> None:
    start = time.process_time()
    for truth in truths:
        jobs = [(truth, seed) for seed in range(repeats)]
        work = partial(repeat, budgets=budgets, designs=designs, fit=fit)
        if processes > 1:
            with ProcessPoolExecutor(processes) as pool:
                found = list(pool.map(work, jobs))
        else:
            found = [work(job) for job in jobs]
        print(f"\ntruth {truth}, fit {fit}: {repeats} repeats")
        print(f"{'budget':>8}  {'design':<10}{'FLOPs':>9}{'runs':>6}  {'loss, %':>14}  log N_opt")
        for key in found[0]:
            table = np.array([f[key] for f in found])
            loss, loss_se = rms(100 * table[:, 0])
            size, size_se = rms(table[:, 1])
            print(
                f"{key[1]:8.0e}  {key[0]:<10}{table[:, 2].mean():9.2e}{table[:, 3].mean():6.1f}  "
                f"{loss:6.3f} +- {loss_se:5.3f}  {size:5.3f} +- {size_se:5.3f}",
                flush=True,
            )
    if processes == 1:
        print(f"\n{time.process_time() - start:.0f} CPU s")


def replay(path: str, where: list[str], columns: dict[str, str], repeats: int) -> None:
    """Choose from published runs; forecast the held-out largest."""
    runs = isoloss.read_runs(path, where=where or None, columns=columns or None)
    cost = runs["C"] if "C" in runs else 6 * runs["N"] * runs["D"]
    order = np.argsort(cost, kind="stable")
    held = order[-max(len(runs) // 8, 3) :]
    rest = order[: -len(held)]
    start = rest[: max(len(rest) // 5, 12)]
    pool = rest[len(start) :]
    target = {a: float(np.exp(np.mean(np.log(runs[a][held])))) for a in ("N", "D")}
    with one_thread():
        print(
            f"{len(runs)} runs: pilot of the {len(start)} cheapest (to {cost[start].max():.2g}), "
            f"pool of {len(pool)}, {len(held)} largest held out (from {cost[held].min():.2g})"
        )
        print(f"pilot alone: {_off(runs, start, held):.3f} %; all of the pool: "
              f"{_off(runs, np.append(start, pool), held):.3f} %")  # fmt: skip
        for share in (0.05, 0.2):
            budget = share * float(cost[pool].sum())
            print(f"{100 * share:.0f} % of the pool's FLOPs ({budget:.3g}), at most {MOST} runs")
            for rounds in (1, 3):
                chosen = _in_rounds(runs, start, pool, cost, target, budget, rounds)
                name = "next" if rounds == 1 else f"next, in {rounds}"
                _show(name, runs, start, chosen, held, cost)
            _show("largest", runs, start, _fill(pool[::-1], cost, budget), held, cost)
            off = [
                _off(runs, np.append(start, _fill(np.random.default_rng(s).permutation(pool),
                                                  cost, budget)), held)
                for s in range(repeats)
            ]  # fmt: skip
            value, error = rms(np.array(off))
            print(f"  {'random':<12}{'':>9}{'':>9}  {value:.3f} +- {error:.3f} % "
                  f"(median {np.median(off):.3f})")  # fmt: skip


def _in_rounds(runs: Runs, start, pool, cost, target, budget: float, rounds: int) -> np.ndarray:
    """Choose from a pool, fitting again after each part of the budget."""
    chosen, left = np.zeros(0, dtype=int), budget
    goal = f"loss@N={target['N']},D={target['D']}"
    for i in range(rounds):
        known = runs.select(np.sort(np.append(start, chosen)))
        rest = np.setdiff1d(pool, chosen)
        table = {a: runs[a][rest] for a in ("N", "D")} | {"C": cost[rest]}
        found = plan_next_runs(
            fit_laws(known, draws=0),
            known,
            goal,
            budget=left if i == rounds - 1 else budget / rounds,
            k=MOST // rounds,
            pool=table | {"name": [str(j) for j in rest]},
            most_seeds=1,
        )
        chosen = np.append(chosen, [int(r.name) for r in found.runs]).astype(int)
        left = budget - float(cost[chosen].sum())
    return chosen


def _fill(order: np.ndarray, cost: np.ndarray, budget: float) -> np.ndarray:
    chosen, left = [], budget
    for i in order:
        if cost[i] <= left and len(chosen) < MOST:
            chosen.append(i)
            left -= cost[i]
    return np.array(chosen, dtype=int)


def _off(runs: Runs, used: np.ndarray, held: np.ndarray) -> float:
    fitted = fit_laws(runs.select(np.sort(used)), draws=0)
    ahead = {a: runs[a][held] for a in fitted.axes}
    return float(100 * np.sqrt(np.mean(np.log(fitted.predict(ahead) / runs["loss"][held]) ** 2)))


def _show(name: str, runs: Runs, start, chosen, held, cost) -> None:
    off = _off(runs, np.append(start, chosen).astype(int), held)
    print(f"  {name:<12}{len(chosen):>4} runs{cost[chosen].sum():9.2e}  {off:.3f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--budget", type=float, action="append", default=[])
    parser.add_argument("--design", action="append", default=[], choices=list(DESIGNS))
    parser.add_argument("--truth", action="append", default=[], choices=list(TRUTHS))
    parser.add_argument("--fit", default="default", choices=list(FITS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--replay", metavar="RUNS")
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--columns", action="append", default=[], metavar="AXIS=COLUMN")
    given = parser.parse_args()
    if given.replay:
        columns = dict(c.split("=", 1) for c in given.columns)
        replay(given.replay, given.where, columns, given.repeats)
        return
    simulate(
        given.repeats,
        tuple(given.budget or [1e19, 1e20]),
        tuple(given.design or list(DESIGNS)[:5]),
        given.truth or list(TRUTHS),
        given.processes,
        given.fit,
    )


if __name__ == "__main__":
    main()

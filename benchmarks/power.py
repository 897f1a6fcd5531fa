"""Power of a comparison: the formula beside simulated repeats, fitted as isoloss fits.

``python benchmarks/power.py [REPEATS]``: two recipes on one ladder, with a floor in common and with
one each, seeds paired or not; how often a t test of the fits sees no difference and a real one.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from isoloss.fit import fit
from isoloss.fit.prepare import prepare
from isoloss.laws import get_law, law_from_expression
from isoloss.plan import power_to_compare
from isoloss.plan.cost import SixND
from isoloss.plan.local_model import LocalModel
from isoloss.plan.power_arms import TwoArms
from isoloss.plan.problem import make_problem
from isoloss.runs import Runs

LAW = get_law("chinchilla")
TRUTH = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
BOTH = law_from_expression(
    "E + (2 - s)*(A*N**-alpha + B*D**-beta) + (s - 1)*(A2*N**-alpha2 + B2*D**-beta2)",
    axes=("N", "D", "s"),
    starts={"A": (100, 1000), "A2": (100, 1000), "B": (500, 5000), "B2": (500, 5000)},
)
N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
PLACES = {"N": N, "D": D}


def better(multiplier: float) -> dict[str, float]:
    """Recipe B: what A reaches with ``multiplier`` times the compute, at any place."""
    root = math.sqrt(multiplier)
    return TRUTH | {
        "A": TRUTH["A"] * root ** -TRUTH["alpha"],
        "B": TRUTH["B"] * root ** -TRUTH["beta"],
    }


def losses(values: dict[str, float], noise: np.ndarray) -> np.ndarray:
    """Losses of a ladder with given log errors."""
    return np.asarray(LAW(values, PLACES) * np.exp(noise))


def fitted(
    a: np.ndarray, b: np.ndarray, *, tied: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit both recipes; parameters of each, and residuals of both."""
    if not tied:
        fits = [fit({**PLACES, "loss": y}, LAW, objective="lsq", draws=0) for y in (a, b)]
        return fits[0].theta, fits[1].theta, np.stack([f.residuals for f in fits])
    columns = {
        "N": np.tile(N, 2), "D": np.tile(D, 2), "s": np.repeat([1.0, 2.0], len(N)),
        "loss": np.concatenate([a, b]),
    }  # fmt: skip
    start = TRUTH | {f"{n}2": TRUTH[n] for n in ("A", "B", "alpha", "beta")}
    found = fit(Runs(columns=columns), BOTH, objective="lsq", draws=0, starts=[start])
    p = found.parameters
    one = np.array([p[n] for n in LAW.names])
    two = np.array([p["E"] if n == "E" else p[f"{n}2"] for n in LAW.names])
    return one, two, found.residuals.reshape(2, -1)


def rejections(
    multiplier: float, C: float, noise: float, rho: float, *, tied: bool, repeats: int, seed: int
) -> float:
    """Share of repeats in which the t test of two fitted ladders sees a difference at 5 %."""
    from scipy.special import stdtr

    rng = np.random.default_rng(seed)
    problem = make_problem(LAW, SixND(), None, None)
    twins = (np.arange(len(N)), np.arange(len(N)))
    seen = 0
    for _ in range(repeats):
        own, common = rng.standard_normal((2, len(N))), rng.standard_normal(len(N))
        chance = noise * (math.sqrt(1 - rho) * own + math.sqrt(rho) * common)
        a, b = losses(TRUTH, chance[0]), losses(better(multiplier), chance[1])
        one, two, residuals = fitted(a, b, tied=tied)
        data = prepare(Runs(columns={**PLACES, "loss": a}), LAW)
        first = LocalModel.of(data, one)
        second = first.at(two)
        # In pairs the noise of the difference is what the differences show.
        arms = TwoArms.of(first, second, ("E",) if tied else (), 1.0, rho)
        places = []
        for model in (first, second):
            split = model.split(problem, C)
            assert split is not None
            places.append({"N": np.array([split[0]]), "D": np.array([split[1]])})
        error, freedom = arms.error(arms.contrast(*places), arms.block(PLACES, PLACES, twins))
        if rho > 0:
            spread = np.sum((residuals[1] - residuals[0]) ** 2) / (2 * (1 - rho))
        else:
            spread = np.sum(residuals**2)
        gap = math.log(first.loss(places[0])[0] / second.loss(places[1])[0])
        t = abs(gap) / (error * math.sqrt(spread / freedom))
        seen += 2 * (1 - stdtr(freedom, t)) < 0.05
    return seen / repeats


CASES = (
    # floor in common, correlation, compute, multiplier
    (True, 0.0, 1e20, 1.07),
    (True, 0.6, 1e20, 1.05),
    (True, 0.0, 1e18, 1.04),
    (False, 0.0, 1e18, 1.05),
    (False, 0.0, 1e20, 1.35),
    (False, 0.6, 1e20, 1.2),
)
NOISE = 0.002


def compare(repeats: int = 200) -> list[dict[str, float]]:
    """Set formula and simulation side by side, case by case."""
    rows = []
    for k, (tied, rho, C, m) in enumerate(CASES):
        found = power_to_compare(
            Runs(columns=PLACES), at={"C": C}, effect=m, noise=NOISE, laws=["chinchilla"],
            values=TRUTH, tie=("E",) if tied else (), paired=rho,
        )  # fmt: skip
        shares = [
            rejections(x, C, NOISE, rho, tied=tied, repeats=repeats, seed=1000 * k + 7 * i)
            for i, x in enumerate((1.0, m))
        ]
        power = found.now.power
        rows.append(
            {
                "tied": float(tied), "rho": rho, "C": C, "multiplier": m, "formula": power,
                "simulated": shares[1], "false": shares[0],
                "error": math.sqrt(power * (1 - power) / repeats),
            }
        )  # fmt: skip
    return rows


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{count} repeats; in the last column the standard error of the share")
    print("floor     rho       C  multiplier  no difference  formula  simulated")
    for r in compare(count):
        floor = "common" if r["tied"] else "each"
        print(
            f"{floor:<8} {r['rho']:>4.1f} {r['C']:>7.0e}  {r['multiplier']:>10.2f}  "
            f"{r['false']:>13.3f}  {r['formula']:>7.3f}  {r['simulated']:>9.3f} "
            f"+- {r['error']:.3f}",
            flush=True,
        )

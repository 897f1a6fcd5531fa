"""Do solvable laws extrapolate? Fit tables of N, D and loss below a cut, score the runs above.

    python benchmarks/solvable.py [RUNS.csv ...] [--cut 1e20] [--share 0.125] [--add LAW]
    python benchmarks/solvable.py --simulate

Printed is the mean absolute error in percent above the cut, and in brackets the mean error: of
single laws with the back-test's choices, of the default set, and of that set with a law more,
`random_features` unless ``--add`` names another, with the weight that it then has. Without a file
the embedded runs are used with the study's own hidden ones; the cut of a file is that share of its
largest compute unless given.

``--simulate`` draws random features, trains ridge regressions at their best ridges, and fits what
comes out: are the parameters found, and is the end of the power law forecast?
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import isoloss
from isoloss._core.threads import one_thread
from isoloss.fit.procedure import default_laws
from isoloss.runs import Runs
from isoloss.study.pipeline import hold_out

Array = npt.NDArray[np.float64]
STATIC = ("chinchilla", "coupled", "kaplan", "random_features")
ALONE = (
    *STATIC,
    "random_features_finite",
    "gradient_flow",
    "gradient_flow_width",
    "gradient_flow_any",
)


def scores(low: Runs, above: Runs, more: str) -> dict[str, Array]:
    """Signed errors in percent above the cut, of each law and set."""
    usual = default_laws(low)
    sets = {name: [name] for name in ALONE}
    sets |= {"default": list(usual), "with solvable": [*usual, more]}
    found = {}
    for name, laws in sets.items():
        made = isoloss.fit_laws(low, laws, draws=0)
        found[name] = 100 * (made.predict(above) / above["loss"] - 1)
        if name == "with solvable":
            share = float(made.weights[[f.law.name for f in made.fits].index(more)])
            found["weight"] = np.array([100 * share])
    return found


def compare(tables: Sequence[tuple[str, Runs, Runs]], more: str) -> None:
    """Print one line a table."""
    names = (*ALONE, "default", "with solvable", "weight")
    print(f"{'':<44}{'below':>6}{'above':>6}" + "".join(f"{n[-15:]:>17}" for n in names))
    total = []
    for title, low, above in tables:
        found = scores(low, above, more)
        line = [(np.mean(np.abs(found[n])), np.mean(found[n])) for n in names]
        total.append([e for e, _ in line])
        cells = "".join(f"{e:>8.2f} ({b:+6.2f})" for e, b in line[:-1])
        print(
            f"{title[-43:]:<44}{len(low):>6}{len(above):>6}{cells}{line[-1][0]:>8.0f} %", flush=True
        )
    if len(total) > 1:
        mean = np.exp(np.mean(np.log([line[:-1] for line in total]), axis=0))
        print("geometric mean over the tables:")
        print("  " + ", ".join(f"{n} {m:.2f}" for n, m in zip(names[:-1], mean, strict=True)))


def simulated(
    sizes: Array, ranks: int, alpha: float, noise: float, rng: np.random.Generator, draws: int
) -> Array:
    """Excess loss of the best ridge for all pairs of sizes: N, T, loss.

    The ridge is best for the mean over draws, as in the theory; the loss of each predictor is that
    of the whole population, exact.
    """
    spectrum, targets, out = np.arange(1.0, ranks + 1) ** -(1 + alpha), 300, []
    ridges = spectrum[0] * np.geomspace(1e-9, 1.0, 200)
    for n in sizes:
        for t in sizes:
            loss = np.zeros(len(ridges))
            for _ in range(draws):
                x = rng.standard_normal((int(t), ranks)) * np.sqrt(spectrum)
                mixing = rng.standard_normal((int(n), ranks))
                truth = rng.standard_normal((ranks, targets))
                y = x @ truth + np.sqrt(noise) * rng.standard_normal((int(t), targets))
                left, s, right = np.linalg.svd(x @ mixing.T, full_matrices=False)
                basis = (right @ mixing).T
                power = basis.T @ (spectrum[:, None] * basis)
                overlap = basis.T @ (spectrum[:, None] * truth)
                heights = s[:, None] * (left.T @ y)
                own = np.sum(spectrum[:, None] * truth**2)
                for i, ridge in enumerate(ridges * n * t):
                    learned = heights / (s**2 + ridge)[:, None]
                    missed = own + np.sum(learned * (power @ learned - 2 * overlap))
                    loss[i] += missed / targets / draws
            out.append((n, t, loss.min()))
    return np.array(out)


def simulate(seeds: int = 3) -> None:
    """Fit `random_features_finite` to simulated models smaller than M, forecast beyond M."""
    ranks, alpha, noise = 300, 0.8, 0.3
    q = 1 / (1 + alpha)
    height = (np.pi * q / np.sin(np.pi * q)) ** (1 + alpha)
    s2 = noise * height * ranks**-alpha
    # Sums over ranks from one are integrals from one half.
    truth = {"E": s2, "A": height, "alpha": alpha, "rho": 1.0, "M": ranks + 0.5, "noise": noise}
    print("truth:", ", ".join(f"{n} {v:.4g}" for n, v in truth.items()))
    law = isoloss.get_law("random_features_finite")
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        small = simulated(np.array([40, 60, 90, 135, 200, 260]), ranks, alpha, s2, rng, 8)
        large = simulated(np.array([400, 900]), ranks, alpha, s2, rng, 4)
        runs = {"N": small[:, 0] + 0.5, "D": small[:, 1] + 0.5, "loss": small[:, 2] + s2}
        far = {"N": large[:, 0] + 0.5, "D": large[:, 1] + 0.5}
        loss = large[:, 2] + s2
        print(f"\nseed {seed}: formula over simulation, beyond M:", law(truth, far) / loss)
        for form in (law.pin(E=s2), law, *STATIC):
            found = isoloss.fit(runs, form, objective="lsq", draws=400)
            inside = [v in i for v, i in zip(loss, found.interval(far, new_run=True), strict=True)]
            error = 100 * (found.predict(far) / loss - 1)
            print(f"  {found.law.name:<24} rms {100 * np.std(found.residuals):.2f} %;", end=" ")
            print("beyond M", *(f"{e:+.0f} %" for e in error), f"inside {sum(inside)} of 4")
            if found.law.name == law.name:
                for name in found.law.names:
                    i = found.intervals[name]
                    mark = "" if truth[name] in i else "  misses"
                    value = found.parameters[name]
                    print(f"    {name:<6}{value:>9.4g} [{i.low:.4g}, {i.high:.4g}]{mark}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tables", nargs="*", metavar="RUNS.csv")
    parser.add_argument("--cut", type=float, action="append", default=[])
    parser.add_argument("--share", type=float, default=0.125)
    parser.add_argument("--add", default="random_features", metavar="LAW")
    parser.add_argument("--simulate", action="store_true")
    given = parser.parse_args()
    with one_thread():
        if given.simulate:
            simulate()
            return
        pairs = []
        for path in given.tables:
            runs = isoloss.read_runs(path)
            scale = runs["C"] if "C" in runs else 6 * runs["N"] * runs["D"]
            for cut in given.cut or [given.share * scale.max()]:
                title = f"{path.split('/')[-1].removesuffix('.csv')} at {cut:.3g}"
                pairs.append((title, runs.select(scale < cut), runs.select(scale >= cut)))
        if not given.tables:
            runs = isoloss.embedded_runs()
            hidden = hold_out(runs)
            pairs.append(
                ("embedded, the study's hidden runs", runs.select(~hidden), runs.select(hidden))
            )
        compare(pairs, given.add)


if __name__ == "__main__":
    main()

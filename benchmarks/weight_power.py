"""How sharply should back-test scores be believed? Compare powers of the error by rolling forward.

    python benchmarks/weight_power.py [RUNS.csv ...]

For each power m the laws' weights are error^-m. Printed is the root-mean-square over cuts of the
signed error of the whole procedure, all choices made from below the cut. The embedded runs are
used without the three that a study hides.
"""

from __future__ import annotations

import sys

import numpy as np

import isoloss
from isoloss.fit import weighting
from isoloss.study.pipeline import hold_out


def main() -> None:
    embedded = isoloss.embedded_runs()
    tables = {"embedded, without the hidden": embedded.select(~hold_out(embedded))}
    for path in sys.argv[1:]:
        runs = isoloss.read_runs(path)
        tables[f"{runs.source}, {len(runs)} runs"] = runs
        keep = np.sort(np.argsort(runs["loss"], kind="stable")[:-5])
        tables[f"{runs.source}, five worst dropped"] = runs.select(keep)
    for name, runs in tables.items():
        print(name)
        for m in (1.0, 2.0, 3.0, 4.0, 8.0):
            weighting.EFFECTIVE_CUTS = m
            laws = isoloss.fit_laws(runs, draws=0)
            rolled = np.sqrt(np.mean([s.bias**2 for s in laws.steps]))
            print(f"  m = {m:g}: {100 * rolled:.2f} % over {len(laws.steps)} cuts")
        scores = {f.law.name: laws.backtest_error(f.law.name) for f in laws.fits}
        print(
            "  by law: " + ", ".join(f"{n} {100 * (e or np.nan):.1f} %" for n, e in scores.items())
        )


if __name__ == "__main__":
    main()

"""What limits the loss of each run: size, data, or both."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoloss.errors import InputError
from isoloss.fit import LawSet
from isoloss.fit.measured_regimes import measured_regimes
from isoloss.runs import Runs

TOLERANCE = 0.1
"""A limit is reached within this share of it."""


def regimes_section(runs: Runs, laws: LawSet) -> dict[str, Any] | None:
    """Sort the runs into regimes by the heaviest law that has them: one of N and D with a limit.

    None when no law of the set has.
    """
    if not all(axis in runs for axis in ("N", "D")):
        return None
    for i in np.argsort(-laws.weights, kind="stable"):
        fit, weight = laws.fits[i], float(laws.weights[i])
        if set(fit.law.axes) != {"N", "D"} or not weight > 0:
            continue
        try:
            found = measured_regimes(fit, runs, tolerance=TOLERANCE)
        except InputError:
            continue
        table = found.to_dict()
        sentence, floor = table.pop("sentence"), table.pop("floor")
        rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        return {
            "law": fit.law.name,
            "weight": weight,
            "floor": floor,
            "tolerance": TOLERANCE,
            "sentence": f"{sentence} By {fit.law.name}, the heaviest law that can say.",
            "rows": [{"name": name, **row} for name, row in zip(runs.names, rows, strict=True)],
        }
    return None

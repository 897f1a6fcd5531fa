"""Repeated data: how good the published constants are on their own 182 runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit import Huber, fit
from isoloss.laws import PUBLISHED, get_law
from isoloss.runs import Runs
from isoloss.runs.atlas import ReleasedTable
from isoloss.study.atlas.rows import AtlasRow

FAMILY = "datablations"
LOGS = {"E": 0.6254804, "A": 6.255414, "B": 7.3049974}
GIVEN = {k: float(np.exp(v)) for k, v in LOGS.items()} | {"alpha": 0.3526596, "beta": 0.3526596}


def compare(tables: Mapping[str, ReleasedTable]) -> list[AtlasRow]:
    """Objective and R2 of the printed constants; the same two constants, then all, fitted anew."""
    name = next((n for n in tables if n in ("datablations-182", "datablations-fit")), None)
    if name is None:
        return []
    runs = tables[name].runs
    law, plain = get_law("repetition_joint"), get_law("chinchilla")
    x = runs.axes(law.axes)
    published = PUBLISHED["muennighoff-2023"].parameters
    wear = [name for name in law.names if name not in GIVEN]
    repeats = {name: published[name] for name in wear}
    printed = law(GIVEN | repeats, x)
    two = fit(runs, law.pin(**GIVEN), draws=0)
    free = fit(runs, law, draws=0)
    value = Huber(1e-3).total(np.log(printed) - np.log(runs["loss"]))

    def row(quantity: str, theirs: float | None, same: float, ours: float | None = None,
            note: str = "") -> AtlasRow:  # fmt: skip
        return AtlasRow(family=FAMILY, table=f"{len(runs)} runs", quantity=quantity, theirs=theirs,
                        same=same, ours=ours, note=note)  # fmt: skip

    return [
        row("Huber sum at the printed constants", 0.015825936570763588, value, free.value,
            "the last column fits all seven constants to these runs"),
        row("R2", 0.7722, _r2(printed, runs), _r2(law(free.theta, x), runs)),
        row("R2 without wear", 0.4452, _r2(plain(GIVEN, x), runs)),
        *(
            row(f"{name}, five constants held", published[name], two.parameters[name],
                free.parameters[name],
                f"the objective is {two.value:.6g} at our minimum and {value:.6g} at theirs: the "
                f"five held miss these runs by {_typical(printed, runs):.0%}, so it hardly tells"
                if name == wear[0]
                else "at its bound where all seven are free: not resolved"
                if name in free.certificate.at_bound
                else "")
            for name in wear
        ),
    ]  # fmt: skip


def _typical(predicted: Array, runs: Runs) -> float:
    return float(np.median(np.abs(np.log(predicted / runs["loss"]))))


def _r2(predicted: Array, runs: Runs) -> float:
    loss = runs["loss"]
    return float(1 - np.sum((predicted - loss) ** 2) / np.sum((loss - loss.mean()) ** 2))

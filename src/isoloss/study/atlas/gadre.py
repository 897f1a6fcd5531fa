"""Over-training: forecasts of the two large models from five small ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import IsolossError
from isoloss.fit import fit, regress
from isoloss.laws import PUBLISHED, Law, get_law
from isoloss.runs import Runs
from isoloss.runs.atlas import ReleasedTable, Task
from isoloss.runs.atlas.gadre import FIVE, SMALL
from isoloss.study.atlas.rows import AtlasRow, parameter_rows
from isoloss.study.downstream import Benchmark, downstream

FAMILY = "gadre"
TARGETS = {"open_lm_1b-32.0": "1.4B, M = 640", "open_lm_7b-1.0": "6.9B, M = 20"}
LOSS_ERRORS = (0.7103, 0.7320)
TASK_ERRORS = (3.6365, 0.0464)
_EXTRA, _MARGIN = "open_lm_1b-1.0", 0.1
_SELECTED_AT = "d=576_l=24_h=8-"
_ALL_SETS = ("loss", "loss_openlm", "loss_paloma_c4", "loss_code", "loss_refinedweb", "loss_ptb",
             "loss_rpj", "loss_de_en")  # fmt: skip


def compare(tables: Mapping[str, ReleasedTable]) -> list[AtlasRow]:
    """Constants, errors of the two forecasts, of all 72, and of the mean of 17 tasks."""
    table = tables.get("gadre-rpj")
    if table is None or not (_five(table.runs).sum() == len(FIVE) and _targets(table.runs)):
        return []
    runs, law = table.runs, get_law("over_training")
    five = runs.select(_five(runs))
    same = fit(five, law, objective="lsq,linear", draws=0).parameters
    ours = fit(five, law, draws=0).parameters
    printed = PUBLISHED["gadre-2024"].parameters
    rows = parameter_rows(
        FAMILY, "RedPajama, five runs", printed, same, ours,
        "theirs by least squares of the loss; ours by the default, Huber of log loss",
    )  # fmt: skip
    every = fit(runs.select(_small(runs)), law, draws=0).parameters
    for (name, words), theirs in zip(TARGETS.items(), LOSS_ERRORS, strict=True):
        at = _targets(runs)[name]
        errors = [100 * abs(float(_errors(law, p, runs, np.array([at]))[0]))
                  for p in (same, ours, every)]  # fmt: skip
        rows.append(
            AtlasRow(
                family=FAMILY,
                table="RedPajama, five runs",
                theirs=theirs,
                same=errors[0],
                ours=errors[1],
                quantity=f"error of the forecast of {words}, %",
                note=f"from all {int(_small(runs).sum())} small runs by the default: "
                f"{errors[2]:.3f} %",
            )
        )
    return rows + _wide(tables, law) + _tasks(tables, same)


def _five(runs: Runs) -> npt.NDArray[np.bool_]:
    return np.array([name.partition("-")[2] in FIVE for name in runs.names])


def _small(runs: Runs) -> npt.NDArray[np.bool_]:
    return np.array([SMALL.search(name) is not None for name in runs.names])


def _targets(runs: Runs) -> dict[str, int]:
    ends = [name.partition("-")[2] for name in runs.names]
    return {t: ends.index(t) for t in TARGETS} if set(TARGETS) <= set(ends) else {}


def _errors(law: Law, theta: Mapping[str, float], runs: Runs, at: npt.NDArray[np.int64]) -> Array:
    predicted = law(theta, {a: runs[a][at] for a in law.axes})
    return np.asarray(predicted / runs["loss"][at] - 1)


def _wide(tables: Mapping[str, ReleasedTable], law: Law) -> list[AtlasRow]:
    """Mean and median over every loss set of every training set, for the honest comparison."""
    found: dict[str, list[float]] = {"same": [], "ours": [], "every": []}
    for table in tables.values():
        for column in _ALL_SETS:
            if column not in table.runs or _five(table.runs).sum() != len(FIVE):
                continue
            runs = Runs(columns={a: table.runs[a] for a in "ND"} | {"loss": table.runs[column]},
                        names=table.runs.names)  # fmt: skip
            at = np.flatnonzero(~_small(runs))
            five, small = runs.select(_five(runs)), runs.select(_small(runs))
            for key, part, objective in (("same", five, "lsq,linear"), ("ours", five, "huber:1e-3"),
                                         ("every", small, "huber:1e-3")):  # fmt: skip
                theta = fit(part, law, objective=objective, draws=0).parameters
                found[key] += np.abs(100 * _errors(law, theta, runs, at)).tolist()
    n = len(found["same"])
    return [
        AtlasRow(
            family=FAMILY, table=f"three training sets, eight loss sets, {n} forecasts",
            quantity=f"{what} error of a forecast, %", same=float(take(found["same"])),
            ours=float(take(found["ours"])),
            note=f"from all small runs by the default: {take(found['every']):.3g} %",
        )
        for what, take in (("mean", np.mean), ("median", np.median))
    ]  # fmt: skip


def chosen_tasks(tables: Mapping[str, ReleasedTable]) -> list[str]:
    """Tasks on which some model of 154 million parameters scores ten points above guessing."""
    best: dict[str, float] = {}
    tasks: dict[str, Task] = {}
    for table in tables.values():
        rows = [i for i, name in enumerate(table.runs.names) if _SELECTED_AT in name]
        tasks.update(table.tasks)
        for column in table.tasks:
            best[column] = max([best.get(column, 0.0), *table.runs[column][rows].tolist()])
    return sorted(c for c, value in best.items() if value > tasks[c].chance + _MARGIN)


def _tasks(tables: Mapping[str, ReleasedTable], loss: Mapping[str, float]) -> list[AtlasRow]:
    runs, law = tables["gadre-rpj"].runs, get_law("over_training")
    columns = [c for c in chosen_tasks(tables) if c in runs]
    ends = [name.partition("-")[2] for name in runs.names]
    used = [i for i, end in enumerate(ends) if end in (*FIVE, _EXTRA)]
    if not columns or _EXTRA not in ends:
        return []
    error = 1 - np.mean([runs[c] for c in columns], axis=0)
    second = regress({"L": runs["loss"][used], "y": error[used]}, "eps - k*exp(-g*L)",
                     start={"eps": 0.8, "k": 2.0, "g": 1.0})  # fmt: skip
    p = second.parameters
    ours = _default_tasks(tables["gadre-rpj"], columns, 1 - error)
    rows: list[AtlasRow] = []
    for (name, words), theirs, accuracy in zip(TARGETS.items(), TASK_ERRORS, ours, strict=True):
        i = ends.index(name)
        at = float(law(loss, {a: runs[a][i] for a in law.axes})[0])
        predicted = p["eps"] - p["k"] * np.exp(-p["g"] * at)
        rows.append(
            AtlasRow(
                family=FAMILY,
                table="RedPajama, six runs",
                theirs=theirs,
                same=float(100 * abs(predicted / error[i] - 1)),
                ours=None if accuracy is None else 100 * abs((1 - accuracy) / error[i] - 1),
                quantity=f"error of the mean error on {len(columns)} tasks, {words}, %",
                note="theirs: loss from five runs, exponential of these and one of 1.4B; ours: "
                "isoloss downstream, from all small runs and none of 1.4B"
                if not rows
                else "",
            )
        )
    return rows


def _default_tasks(
    table: ReleasedTable, columns: Sequence[str], accuracy: Array
) -> list[float | None]:
    """Mean accuracy of the two targets, as `isoloss.study.downstream` has it from small runs."""
    runs, at = table.runs, _targets(table.runs)
    small = Runs(
        columns={a: runs[a] for a in ("N", "D", "loss")} | {"mean": accuracy}, names=runs.names
    ).select(_small(runs))
    chance = float(np.mean([table.tasks[c].chance for c in columns]))
    try:
        answer = downstream(
            small,
            [Benchmark(column="mean", chance=chance)],
            [{a: float(runs[a][i]) for a in ("N", "D")} for i in at.values()],
            draws=100,
        )
    except IsolossError:
        return [None] * len(at)
    found = [f.accuracy for f in answer.tasks[0].forecasts]
    return [*found] if found else [None] * len(at)

"""The kind of run that a design lacks most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.backtest import run_scale
from isoloss.fit.candidates import Candidates, candidate_runs
from isoloss.plan.audit_parts import MissingRun
from isoloss.plan.audit_questions import Asked
from isoloss.plan.audit_words import place_of
from isoloss.plan.cost import Cost
from isoloss.plan.local_model import LocalModel
from isoloss.plan.precision import Precision
from isoloss.runs import Runs

CHEAP = 0.01
"""Share of what all runs cost that a cheap run may cost."""
_MARGIN = 1.02


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """A law at the design: its rows, what they determine, and what is asked."""

    model: LocalModel
    weight: float
    seen: Precision
    asked: Mapping[str, Asked]


def missing_runs(
    runs: Runs,
    laws: Sequence[Examined],
    *,
    cost: Cost,
    noise: float,
    fixed: Mapping[str, float],
    line: bool,
) -> tuple[MissingRun, ...]:
    """Find the run that narrows all questions most, and the one among the cheap.

    The score of a candidate is the mean over questions of the logarithm of the factor on the
    standard error, averaged over laws by weight. Where the runs leave directions open, each
    parameter is taken as known to 100 % of itself beforehand, so that a first run can be named.

    Parameters
    ----------
    noise
        Of one run, in log loss.
    line
        Whether N and D lie on one line.
    """
    axes = laws[0].model.law.axes
    joint = {"N", "D"} <= set(axes)
    spent = np.asarray(cost(runs["N"], runs["D"])) if joint else run_scale(runs, axes)
    held = {a: v for a, v in fixed.items() if a in axes}
    found = candidate_runs(runs, axes, most_cost=float(spent.max()), cost=cost, fixed=held)
    # Small enough runs narrow everything, if the law held there; nobody has seen whether it does.
    known = np.all([found.x[a] >= runs[a].min() * (1 - 1e-9) for a in axes if a in runs], axis=0)
    if not known.any():
        return ()
    gains: dict[str, Array] = {}
    total = np.zeros(len(found))
    for e in laws:
        each = _gains(e, found, noise)
        for name, gain in each.items():
            gains[name] = gains.get(name, 0.0) + gain / len(laws)
        if each:
            total += np.mean([np.log1p(-g) for g in each.values()], axis=0) / len(laws)
    lead = laws[0]
    opens = int(line) or lead.seen.null.shape[1]
    share = found.cost / float(spent.sum())
    names = [n for n in gains if n in lead.asked]
    out: list[MissingRun] = []
    for most in (np.inf, CHEAP):
        allowed = np.flatnonzero(known & (share <= most))
        if not allowed.size:
            continue
        # Equal to rounding, the cheaper one: the choice must not hang on the last digit.
        worth = total[allowed]
        best = allowed[worth <= worth.min() + 1e-6 * abs(worth.min())]
        k = int(best[np.argmin(share[best])])
        if out and np.isclose(share[k], out[0].share):
            continue
        at = {a: float(found.x[a][k]) for a in axes}
        out.append(
            MissingRun(
                kind=kind_of(runs, at),
                at=at,
                place=place_of(at),
                cost=float(found.cost[k]),
                share=float(share[k]),
                narrows={n: float(gains[n][k]) for n in names},
                opens=opens,
            )
        )
    return tuple(out)


def _gains(e: Examined, found: Candidates, noise: float) -> dict[str, Array]:
    """Share by which the standard error of each question falls, by candidate."""
    seen = e.seen
    if seen.null.shape[1]:
        seen = Precision.of(np.vstack([seen.rows, np.eye(seen.rows.shape[1])]))
    rows = e.model.rows({a: found.x[a] for a in e.model.law.axes}) / noise
    gains = {}
    for name, asked in e.asked.items():
        before = seen.variance(asked.row)
        if before > 0 and np.isfinite(before):
            after = np.maximum(seen.with_each(asked.row, rows), 0.0)
            gains[name] = 1 - np.sqrt(np.maximum(after / before, 1e-12))
    return gains


def kind_of(runs: Runs, at: Mapping[str, float]) -> str:
    """Say what kind of run this is beside those that were made.

    Examples
    --------
    >>> runs = Runs(columns={"N": [1e7, 1e8, 1e9], "D": [2e8, 2e9, 3e10], "loss": [4, 3.5, 3]})
    >>> kind_of(runs, {"N": 1e7, "D": 4e9}), kind_of(runs, {"N": 4e9, "D": 1e11})
    ('small run, over-trained beyond all runs', 'run larger than any, trained about as the middle')
    """
    if "N" in at and "D" in at and "N" in runs and "D" in runs:
        size = _size(runs["N"], at["N"])
        ratio, place = runs["D"] / runs["N"], at["D"] / at["N"]
        if place > _MARGIN * ratio.max():
            trained = "over-trained beyond all runs"
        elif place < ratio.min() / _MARGIN:
            trained = "under-trained beyond all runs"
        else:
            trained = ("under-trained", "trained about as the middle", "over-trained")[
                _third(ratio, place)
            ]
        return f"{size}, {trained}"
    lead = next(iter(at))
    return _size(runs[lead], at[lead])


def _size(values: npt.NDArray[np.float64], value: float) -> str:
    if value > _MARGIN * values.max():
        return "run larger than any"
    if value < values.min() / _MARGIN:
        return "run smaller than any"
    return f"{('small', 'middle-sized', 'large')[_third(values, value)]} run"


def _third(values: npt.NDArray[np.float64], value: float) -> int:
    low, high = np.log(values.min()), np.log(values.max())
    if high <= low:
        return 1
    # A value at a border to rounding is the same in every unit.
    return int(np.clip(np.floor(3 * (np.log(value) - low) / (high - low) + 1e-9), 0, 2))

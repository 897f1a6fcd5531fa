"""What is asked, what the pilots can answer, and what to doubt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import as_positive
from isoloss.errors import InputError
from isoloss.fit.certificate import Reason
from isoloss.prune.pilots import NONE, Pilots
from isoloss.prune.verdict_cells import Cells
from isoloss.prune.verdict_fit import SOLVED, FittedForms
from isoloss.prune.verdict_result import NO_VERDICT, Question, WorstClass

FEWEST_SIZES = 3
FEWEST_CELLS = 8
FEWEST_REPEATS = 3
FAR = 30.0
"""Times beyond the pilots from which a verdict is doubted whatever its interval."""
_MISFIT = 3.0
BEYOND_MISFIT = 1.5
"""Times beyond the pilots that forms are believed which do not explain these."""
RANGES = 2.0
"""Factors beyond the pilots, over the factor that they span, that formulas are believed."""
_VARIES = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What things cost.

    Attributes
    ----------
    score, train
        Of scoring one example, and of one seen in training; ``score`` is ``None`` where unknown.
    unit
        ``flops`` or ``seen``.
    notes
        What was assumed.
    """

    score: float | None
    train: float
    unit: str
    notes: tuple[str, ...]


def settle_question(
    table: Pilots, *, budget: float | None, unit: str, pool: float | None, epochs: float | None,
    trainings: float, score_cost: float | None, tol: float,
) -> tuple[Question, Costs]:  # fmt: skip
    """Turn what the caller wants into examples kept, with the costs that the table tells.

    Raises
    ------
    InputError
        If nothing is asked, or FLOPs are asked of a table without them.
    """
    if budget is None and pool is None:
        raise InputError("budget, pool: both are missing; say what training may cost, or how many")
    if unit not in ("seen", "flops"):
        raise InputError(f"unit = {unit!r}: must be 'seen' or 'flops'")
    notes: list[str] = []
    passes = _epochs(table, epochs, notes)
    each = _ratio(table, "flops", _seen(table, passes), "flops of an example seen", notes)
    if budget is not None and unit == "flops" and each is None:
        raise InputError(
            "unit = 'flops': the table has no column flops; give the budget in examples seen"
        )
    limit = math.inf
    if budget is not None:
        price = passes * (each if unit == "flops" and each is not None else 1.0)
        limit = as_positive("budget", budget) / price
        if limit < 1:
            raise InputError(f"budget = {budget:g}: pays for less than one example")
    there = math.inf if pool is None else as_positive("pool", pool)
    if there < 1:
        raise InputError(f"pool = {pool:g}: must be 1 or more examples")
    question = Question(
        pool=there, D=limit, budget=None if budget is None else float(budget), unit=unit,
        epochs=passes, tol=tol, trainings=as_positive("trainings", trainings),
    )  # fmt: skip
    return question, _costs(table, each, score_cost, notes)


def _seen(table: Pilots, passes: float) -> Any:
    given = table.values.get("seen")
    return table.D * passes if given is None else np.where(np.isnan(given), table.D * passes, given)


def _epochs(table: Pilots, epochs: float | None, notes: list[str]) -> float:
    if epochs is not None:
        return as_positive("epochs", epochs)
    if "seen" not in table.values:
        return 1.0
    found = _ratio(table, "seen", table.D, "examples seen for each one kept", notes)
    return 1.0 if found is None else found


def _ratio(table: Pilots, name: str, over: Any, meaning: str, notes: list[str]) -> float | None:
    """Middle of a column over another, with a note where it varies."""
    if name not in table.values:
        return None
    ratio = table.values[name] / over
    ratio = ratio[np.isfinite(ratio)]
    if not ratio.size:
        return None
    middle = float(np.median(ratio))
    if np.ptp(ratio) > 2 * _VARIES * middle:
        notes.append(
            f"{meaning} vary from {ratio.min():.4g} to {ratio.max():.4g}; {middle:.4g} is taken"
        )
    return middle


def _costs(table: Pilots, each: float | None, score_cost: float | None, notes: list[str]) -> Costs:
    if score_cost is not None:
        if not (math.isfinite(score_cost) and score_cost >= 0):
            raise InputError(f"score_cost = {score_cost!r}: must be finite, zero or more")
        train, unit = (each, "flops") if each is not None else (1.0, "seen")
        return Costs(score=score_cost * train, train=train, unit=unit, notes=tuple(notes))
    chosen = np.array([p != NONE for p in table.policy])
    scored = table.take(chosen)
    score = _ratio(scored, "score_flops", scored.pool, "flops of scoring one example", notes)
    if score is None or each is None:
        return Costs(score=None, train=each or 1.0, unit="seen", notes=tuple(notes))
    return Costs(score=score, train=each, unit="flops", notes=tuple(notes))


def refusal_reasons(cells: Cells, question: Question | None) -> tuple[Reason, ...]:
    """Say why pilots cannot be judged at all, and what to run."""
    found = []
    sizes = np.unique(cells.D[cells.policy == NONE])
    if len(sizes) < FEWEST_SIZES:
        have = ", ".join(f"{s:g}" for s in sizes) or "none"
        found.append(
            Reason(
                code="TOO_FEW_SIZES",
                message=f"random or unpruned pilots have {len(sizes)} sizes ({have}), and a law "
                f"of them needs {FEWEST_SIZES}: train on random subsets, each twice the last, "
                "three seeds",
            )
        )
    if not (cells.policy != NONE).any():
        found.append(
            Reason(code="NO_POLICY", message="no pruned run has this outcome: pilot hard and easy")
        )
    if cells.freedom < FEWEST_REPEATS:
        found.append(
            Reason(
                code="ONE_SEED",
                message=f"{cells.freedom} runs repeat a setting, so that noise is unknown: train "
                "two more seeds of every setting",
            )
        )
    if len(cells.D) < FEWEST_CELLS:
        found.append(
            Reason(
                code="TOO_FEW_SETTINGS",
                message=f"{len(cells.D)} settings, and {FEWEST_CELLS} are needed: pilot two shares "
                "of each policy at three sizes",
            )
        )
    return tuple(found)


def notes_of(table: Pilots, used: Pilots, cells: Cells, costs: Costs) -> tuple[str, ...]:
    """List what was assumed."""
    notes = list(costs.notes)
    if len(used) < len(table):
        notes.append(f"{len(table) - len(used)} rows do not have this outcome, and have no part")
    if table.refused:
        first = table.refused[0]
        notes.append(f"{len(table.refused)} rows were refused; row {first.row}: {first.reason}")
    if costs.score is None:
        notes.append("what scoring costs is not known: no break-even; give flops and score_flops")
    return tuple(notes)


def doubts_of(
    forms: FittedForms, reach: float, worst: tuple[WorstClass, ...], answer: str
) -> tuple[Reason, ...]:
    """List what makes an answer doubtful."""
    found = []
    if answer != NO_VERDICT and (wrong := _misfit(forms)):
        found.append(wrong)
    if reach > FAR:
        found.append(
            Reason(
                code="FAR",
                message=f"the target is {reach:.3g} times beyond the pilots: pilot a larger size",
            )
        )
    if answer != NO_VERDICT:
        found += [
            Reason(code="WORST_CLASS", message=w.sentence)
            for w in worst
            if w.policy == answer and w.ratio.interval.low > 1
        ]
    return tuple(found)


def misfit_reason(forms: FittedForms, reach: float) -> Reason | None:
    """Say that no form explains the pilots, where the target is far beyond them."""
    return _misfit(forms) if reach > BEYOND_MISFIT else None


def far_reason(forms: FittedForms, reach: float) -> Reason | None:
    """Say that a target is further beyond the pilots than formulas fitted to them are believed.

    The exact form knows what follows; formulas do not, however well they fit.
    """
    if forms.best.name in SOLVED:
        return None
    cells = forms.world.cells
    sizes = cells.D[cells.policy == NONE]
    most = RANGES * float(sizes.max() / sizes.min())
    if reach <= most:
        return None
    return Reason(
        code="TOO_FAR",
        message=f"the target is {reach:.3g} times beyond the pilots, which span a factor of "
        f"{sizes.max() / sizes.min():.3g}; formulas fitted to them are believed up to {most:.3g}: "
        "pilot larger sizes",
    )


def _misfit(forms: FittedForms) -> Reason | None:
    misfit = min((f.misfit for f in forms.kept), default=math.inf)
    if misfit <= _MISFIT:
        return None
    return Reason(
        code="MISFIT",
        message=f"the best form misses the means of pilots by {math.sqrt(misfit):.2g} times what "
        f"seeds explain, so none is believed further than {BEYOND_MISFIT:g} times beyond the "
        "pilots: pilot closer to the target, and fewer, closer shares",
    )

"""Questions that a design may answer, each as a row in the parameters of a law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array, as_positive
from isoloss.errors import InputError
from isoloss.fit.backtest import run_scale
from isoloss.laws import Law
from isoloss.plan.audit_words import place_of
from isoloss.plan.cost import Cost
from isoloss.plan.design_places import read_ladder
from isoloss.plan.local_model import LocalModel
from isoloss.plan.problem import Problem
from isoloss.runs import Runs

AHEAD = 10.0
"""Times the largest run: the decision where the caller names none."""

NEEDED = {
    "loss": (0.01, 0.03),
    "N_opt": (0.2, 0.7),
    "exponents": (0.04, 0.1),
    "alpha": (0.02, 0.05),
    "E": (0.05, 0.15),
}
"""Standard errors up to which a question is answered, and answered roughly.

Of the loss relative; of N_opt in log N (a factor 1.2 and 2); of exponents as they are; of E in
shares of the lowest loss measured.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """The decision: a budget to split, or a place.

    Attributes
    ----------
    C
        Budget at its best split; ``None`` for a place.
    at
        The place, on every axis of the laws; ``None`` for a budget.
    title
        Where, in words.
    """

    C: float | None
    at: Mapping[str, float] | None
    title: str


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question under one law: its value and how that moves with the parameters, (p,)."""

    title: str
    value: float
    row: Array
    relative: bool


def place_under(model: LocalModel, problem: Problem, aim: Aim) -> dict[str, float] | None:
    """Where a law puts the decision; nothing where it has no best split."""
    if aim.at is not None:
        return {a: float(aim.at[a]) for a in model.law.axes}
    assert aim.C is not None
    found = model.split(problem, aim.C)
    if found is None:
        return None
    at = {"N": found[0], "D": found[1], "C": aim.C} | dict(problem.fixed)
    return {a: at[a] for a in model.law.axes}


def ask(model: LocalModel, problem: Problem, aim: Aim, *, line: bool) -> dict[str, Asked]:
    """Ask a law everything that it can say.

    Parameters
    ----------
    line
        Whether N and D lie on one line, so that no split can be asked for.
    """
    found: dict[str, Asked] = {}
    law = model.law
    at = place_under(model, problem, aim)
    if at is not None:
        x = {a: np.array([v]) for a, v in at.items()}
        loss = float(model.loss(x)[0])
        found["loss"] = Asked(f"loss {aim.title}", loss, model.rows(x)[0], True)
    if aim.C is not None and problem.splits and at is not None and not line:
        row = model.split_row(problem, aim.C)
        found["N_opt"] = Asked(f"N_opt at C = {aim.C:.3g}", at["N"], row, True)
    names = law.names
    if {"alpha", "beta"} <= set(names):
        value = float(model.theta[names.index("alpha")] - model.theta[names.index("beta")])
        row = model.parameter_row("alpha") - model.parameter_row("beta")
        found["exponents"] = Asked("alpha - beta", value, row, False)
    elif "alpha" in names and len(law.axes) == 1:
        value = float(model.theta[names.index("alpha")])
        found["alpha"] = Asked("alpha", value, model.parameter_row("alpha"), False)
    if "E" in names:
        value = float(model.theta[names.index("E")])
        found["E"] = Asked("E", value, model.parameter_row("E"), False)
    return found


def make_aim(
    table: Runs,
    law: Law,
    compute: float | None,
    at: Mapping[str, float] | None,
    cost: Cost,
    line: bool,
) -> Aim:
    """Turn what the caller decides into a place or a budget: ten times the largest run if none."""
    if at is not None:
        place = {a: as_positive(f"at {a}", v) for a, v in at.items()}
        place = fixed_axes(table, law) | place
        if "C" in law.axes and "C" not in place and {"N", "D"} <= set(place):
            place["C"] = float(cost(place["N"], place["D"]))
        if missing := [a for a in law.axes if a not in place]:
            raise InputError(f"at: {', '.join(missing)} missing; {law.name} needs it")
        place = {a: place[a] for a in law.axes}
        return Aim(C=None, at=place, title=f"at {place_of(place)}")
    joint = {"N", "D"} <= set(law.axes)
    scale = np.asarray(cost(table["N"], table["D"])) if joint else run_scale(table, law.axes)
    if compute is not None and not joint and law.axes != ("C",):
        raise InputError(f"compute: {law.name} is a law of {', '.join(law.axes)}; give at=")
    C = AHEAD * float(scale.max()) if compute is None else as_positive("compute", compute)
    if not joint:
        lead = law.axes[0]
        place = fixed_axes(table, law) | {lead: C if compute else AHEAD * float(table[lead].max())}
        return Aim(C=None, at=place, title=f"at {place_of(place)}")
    if line:
        # The runs know one D/N alone, so the decision is put there.
        ratio = float(np.exp(np.mean(np.log(table["D"] / table["N"]))))
        x = read_ladder(f"C={C!r},ratio={ratio!r}", cost)
        place = fixed_axes(table, law) | {a: float(v[0]) for a, v in x.items()}
        return Aim(C=None, at=place, title=f"at C = {C:.3g}, D/N = {ratio:.3g}")
    return Aim(C=C, at=None, title=f"at C = {C:.3g}")


def fixed_axes(table: Runs, law: Law) -> dict[str, float]:
    """Values of axes that a decision holds still, at the largest seen."""
    joint = {"N", "D"} <= set(law.axes)
    moving = ("N", "D", "C") if joint else law.axes[:1]
    return {a: float(table[a].max()) for a in law.axes if a not in moving and a in table}

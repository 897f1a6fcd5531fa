"""What a table of runs can identify, and what it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import as_positive
from isoloss.errors import InputError
from isoloss.fit.backtest import run_scale
from isoloss.laws import Law
from isoloss.plan.audit_judge import (
    find_directions,
    find_leverage,
    find_never,
    find_target,
    fitted_findings,
    judge,
    refused,
)
from isoloss.plan.audit_missing import Examined, missing_runs
from isoloss.plan.audit_parts import ANSWERED, NEVER, OPEN, ROUGHLY, Question
from isoloss.plan.audit_questions import ask, fixed_axes, make_aim
from isoloss.plan.audit_result import DesignAudit
from isoloss.plan.audit_take import (
    LEAST_NOISE,
    by_configuration,
    forms_of,
    law_shares,
    noise_of,
    places_of,
    take,
)
from isoloss.plan.audit_words import joined
from isoloss.plan.cost import Cost, as_cost
from isoloss.plan.design_findings import Finding, design_findings, is_one_line, worst_first
from isoloss.plan.design_places import cost_of_runs
from isoloss.plan.precision import Precision
from isoloss.plan.problem import Problem, make_problem
from isoloss.runs import Runs, read_runs

_LEAST = 0.02
"""Laws of less weight have no say."""
_REJECTED = 0.05
"""A law of less than this share of the largest weight is one that the runs reject."""


def audit_design(
    runs: Any,
    laws: Sequence[str | Law] | None = None,
    *,
    compute: float | None = None,
    at: Mapping[str, float] | None = None,
    noise: float | None = None,
    values: Mapping[str, float] | None = None,
    cost: Cost | Callable[[Any, Any], Any] | None = None,
    axis: str | None = None,
) -> DesignAudit:
    r"""Say what a design can answer, how well, on which runs that rests, and what it cannot.

    Each law is taken as linear near its fitted values, with J the exact derivatives of log losses
    by relative changes u of its parameters and :math:`\Sigma` the noise of the configurations'
    means. Then :math:`M = J^T \Sigma^{-1} J` is the information, an answer with derivatives g has
    the standard error :math:`(g^T M^{-1} g)^{1/2}`, and a direction v with :math:`M v = 0` is
    seen by no run, however often it is repeated.

    Parameters
    ----------
    runs
        `Runs`, or anything `read_runs` takes.
    laws
        Names, formulas or laws; by default those that suit the axes.
    compute
        The decision is a budget, at its best split; by default ten times the largest run's.
    at
        The decision is a place, such as ``{"N": 7e10, "D": 1.4e12}``.
    noise
        Standard deviation of one run's log loss; by default its scatter around the leading law.
    values
        Parameters of the one law, in place of a fit: runs that are only planned need no losses.
    cost
        C(N, D); by default that of the runs.
    axis
        Resource of a law of one resource.

    Returns
    -------
    DesignAudit

    Raises
    ------
    InputError
        For a target, noise or values that break a rule.

    Notes
    -----
    Standard errors are those of least squares, for runs of equal noise, if the law is right.
    Huber's objective with a threshold far below the noise is up to a quarter wider.

    References
    ----------
    Atkinson, Donev and Tobias 2007, *Optimum Experimental Designs*; Belsley, Kuh and Welsch 1980,
    *Regression Diagnostics* (leverage, near dependencies).

    Examples
    --------
    >>> N = np.array([1e7, 2e7, 4e7, 6e7, 8e7, 1e8])
    >>> loss = 1.8 + 480 * N**-0.35 + 2100 * 2e9**-0.37
    >>> found = audit_design({"N": N, "D": np.full(6, 2e9), "loss": loss}, ["chinchilla"])
    >>> found.question("E").state, found.never[0]
    ('never', 'E and B one from another')
    """
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    if compute is not None and at is not None:
        raise InputError("compute, at: two decisions; give one of them")
    given = None if noise is None else as_positive("noise", noise)
    if given is not None and not LEAST_NOISE <= given <= 1:
        raise InputError(
            f"noise = {noise!r}: is relative to the loss, such as 0.003; from {LEAST_NOISE:g} to 1"
        )
    forms = forms_of(table, laws, axis)
    table, taken, dropped = take(table, forms, values, given)
    least = min((len(f.names) for f in forms), default=1)
    axes = tuple(dict.fromkeys(a for f in forms for a in f.axes))
    findings = design_findings(table, axes, least)
    if not taken:
        return _failed(table, dropped, findings)
    order = np.argsort(run_scale(table, axes), kind="stable")
    weights = law_shares(taken, order)
    kept = [(t, float(w)) for t, w in zip(taken, weights, strict=True) if w >= _LEAST]
    # The first of the laws that the runs do not reject: where they tell none apart, the smallest
    # law has the largest weight, and nothing to say on what is asked.
    first = next(i for i, (_, w) in enumerate(kept) if w >= _REJECTED * weights.max())
    kept.insert(0, kept.pop(first))
    lead = kept[0][0]
    spread = noise_of(lead, given)
    line = "N" in lead.model.law.axes and "D" in lead.model.law.axes and is_one_line(
        table["N"], table["D"]
    )  # fmt: skip
    price = as_cost(cost) if cost is not None else cost_of_runs(table)
    aim = make_aim(table, lead.model.law, compute, at, price, line)
    count = np.bincount(lead.data.groups)
    examined: list[Examined] = []
    problems: list[Problem] = []
    for t, w in kept:
        fixed = fixed_axes(table, t.model.law)
        problem = make_problem(t.model.law, price, fixed, None)
        rows = by_configuration(t)
        seen = Precision.of(rows / spread.of_mean(count)[:, None])
        asked = ask(t.model, problem, aim, line=line)
        examined.append(Examined(t.model, w, seen, asked))
        problems.append(problem)
    places = places_of(lead)
    questions = tuple(
        judge(name, examined, lead, spread, count, places) for name in examined[0].asked
    )
    if line:
        questions = tuple(refused(q) if q.name == "exponents" else q for q in questions)
    directions = find_directions(examined[0], lead, spread)
    leverage = find_leverage(examined[0].seen, lead, places, table)
    target = find_target(examined[0], problems[0], aim, spread, table, axes)
    never = find_never(examined[0], questions, line=line)
    findings += fitted_findings(lead, leverage, target, spread, examined[0])
    missing = missing_runs(
        table, examined, cost=price, noise=spread.one, fixed=fixed_axes(table, lead.model.law),
        line=line,
    )  # fmt: skip
    bad = any(f.severity == "high" for f in findings) or any(q.state == NEVER for q in questions)
    return DesignAudit(
        n_runs=len(table),
        n_configurations=len(count),
        law=lead.model.law.name,
        laws={e.model.law.name: e.weight for e in examined},
        dropped=dropped,
        middle={a: float(lead.model.scales[a]) for a in lead.model.law.axes},
        noise=spread,
        findings=worst_first(findings),
        directions=directions,
        leverage=leverage,
        target=target,
        questions=questions,
        missing=missing,
        never=never,
        status="suspect" if bad else "ok",
        sentence=_sentence(questions),
    )


def _sentence(questions: tuple[Question, ...]) -> str:
    parts = []
    for state, text in (
        (ANSWERED, "answered"),
        (ROUGHLY, "roughly"),
        (OPEN, "not yet"),
        (NEVER, "by no repeating"),
    ):
        names = [q.title for q in questions if q.state == state]
        if names:
            parts.append(f"{text}: {joined(names)}")
    return "; ".join(parts) or "nothing can be asked of these laws"


def _failed(table: Runs, dropped: dict[str, str], findings: list[Finding]) -> DesignAudit:
    return DesignAudit(
        n_runs=len(table),
        n_configurations=len(np.unique(table.configurations())),
        law="",
        laws={},
        dropped=dropped,
        middle={},
        noise=None,
        findings=worst_first(findings),
        directions=(),
        leverage=(),
        target=None,
        questions=(),
        missing=(),
        never=(),
        status="failed",
        sentence="No law can be fitted to these runs, so nothing can be answered",
    )

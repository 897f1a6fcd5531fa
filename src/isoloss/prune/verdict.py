"""Is pruning worth it? The verdict on one score from a table of pilots."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, as_positive, as_seed
from isoloss.errors import FitError, InputError
from isoloss.fit.certificate import Reason
from isoloss.prune.pilots import NONE, OUTCOMES, POLICIES, Pilots, read_pilots
from isoloss.prune.verdict_cells import make_cells
from isoloss.prune.verdict_checks import (
    doubts_of,
    notes_of,
    refusal_reasons,
    settle_question,
)
from isoloss.prune.verdict_decide import decide
from isoloss.prune.verdict_fit import FittedForms, fit_forms
from isoloss.prune.verdict_gain import estimate
from isoloss.prune.verdict_next import find_next_pilots
from isoloss.prune.verdict_result import (
    NO_VERDICT,
    BreakEven,
    Curve,
    FormShare,
    PolicyFinding,
    Question,
    Verdict,
    WorstClass,
)
from isoloss.prune.verdict_scale import (
    as_factor,
    find_break_even,
    find_crossovers,
    find_frontier,
    worth,
)
from isoloss.prune.verdict_words import answer_sentence, span

OnStep = Callable[[str], None]
_WORST_DRAWS = 150
_POINTS = 31


def judge_pilots(
    pilots: Any,
    *,
    budget: float | None = None,
    unit: str = "seen",
    pool: float | None = None,
    epochs: float | None = None,
    trainings: float = 1.0,
    score_cost: float | None = None,
    tol: float = 0.02,
    metric: str | None = None,
    data: str | None = None,
    outcome: str | None = None,
    level: float = 0.9,
    draws: int = 400,
    rng: int = 0,
    on_step: OnStep | None = None,
) -> Verdict:
    r"""Judge whether pruning by a score is worth it at a target, from pilots.

    Random and unpruned pilots share a law R(D) of examples kept; a policy that keeps the share k
    makes an example worth m of them, :math:`L = R(D\,m(k, D))`, one at k = 1. Several forms of R
    and m are fitted jointly to all pilots. Intervals are those of every form that the pilots do not
    exclude, together. The answer is a policy where its gain over not pruning is above zero at some
    share, with an interval that holds for all shares and policies at once; ``none`` where the gain
    is below zero at every share piloted; else there is no verdict.

    Parameters
    ----------
    pilots
        Table as `read_pilots` takes it.
    budget, unit
        What training may cost: examples seen (``"seen"``) or ``"flops"``. The D examples kept are
        then at most ``budget/epochs``, or ``budget/(FLOPs an example seen x epochs)``.
    pool
        Examples there are before pruning; without it, as many as the share kept asks for. At least
        one of ``budget`` and ``pool`` is needed. With a pool alone, each share is compared with
        training on all of it.
    epochs
        Examples seen for each one kept. ``None``: as in the pilots, or 1.
    trainings
        Trainings that share one scoring of the pool.
    score_cost
        Cost of scoring one example of the pool, in examples seen in training. ``None``: from the
        columns ``score_flops`` and ``flops``.
    tol
        Loss above that of the full pool that counts as lossless, a part of it.
    metric, data
        Which score and data, where the table has several.
    outcome
        ``"loss"`` or ``"error"``. ``None``: the loss if it is there.
    level, draws, rng
        Of the intervals, their draws and seed.
    on_step
        Called with a sentence before each step.

    Returns
    -------
    Verdict
        Where the pilots cannot tell, ``answer`` is ``"no verdict"``, ``status`` ``"refused"``, and
        ``reasons`` and ``next_pilots`` say what to run.

    Raises
    ------
    InputError
        If the table or an argument breaks a rule.

    References
    ----------
    Sorscher, Geirhos, Shekhar, Ganguli and Morcos, arXiv:2206.14486, for the question and its exact
    answer in a model.

    Examples
    --------
    >>> import numpy as np
    >>> D = np.repeat(np.repeat([1e3, 2e3, 4e3, 8e3], 3), 3)
    >>> keep = np.tile(np.repeat([1.0, 0.6, 0.3], 3), 4)
    >>> noise = np.exp(0.01 * np.random.default_rng(0).standard_normal(36))
    >>> loss = 0.05 + 20 * (D * keep**-0.5)**-0.6
    >>> table = {"policy": ["hard"] * 36, "keep": keep, "D": D, "loss": loss * noise}
    >>> judge_pilots(table, budget=2e4, draws=100)
    Verdict(hard, keep 0.3 [0.3, 0.3], ok)
    """
    as_level(level)
    as_seed(rng)
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 50:
        raise InputError(f"draws = {draws!r}: must be a whole number, 50 or more")
    tolerance = as_positive("tol", tol)
    table = read_pilots(pilots).of(metric, data)
    what = _outcome(table, outcome)
    question, costs = settle_question(
        table, budget=budget, unit=unit, pool=pool, epochs=epochs, trainings=trainings,
        score_cost=score_cost, tol=tolerance,
    )  # fmt: skip
    cells, used = make_cells(table, what)
    verdict = Verdict(
        answer=NO_VERDICT, sentence=answer_sentence(NO_VERDICT, question, None), status="refused",
        reasons=(), notes=notes_of(table, used, cells, costs),
        metric=next((m for m, p in zip(table.metric, table.policy, strict=True) if p != NONE), ""),
        data=table.data[0], outcome=what, question=question, level=level, runs=len(used),
        refused=table.refused, source=table.source, digest=table.digest, seed=rng,
        points=_points(cells),
    )  # fmt: skip
    if reasons := refusal_reasons(cells, question):
        return replace(verdict, reasons=reasons)
    try:
        forms = fit_forms(table, what, draws=draws, rng=rng, on_step=on_step)
    except FitError as error:
        return replace(verdict, reasons=(Reason(code=error.code, message=str(error)),))
    if on_step:
        on_step("judging")
    return _judge(verdict, forms, table, costs, on_step)


def judge_metrics(pilots: Any, **options: Any) -> tuple[Verdict, ...]:
    """Judge every score and data set in a table, in order of their first rows.

    Parameters
    ----------
    pilots, options
        As of `judge_pilots`; ``metric`` and ``data`` narrow the choice.

    Raises
    ------
    InputError
        As there.

    Examples
    --------
    >>> table = {"policy": ["random", "hard", "hard"], "keep": [1, 0.5, 0.5], "pool": [100] * 3,
    ...          "loss": [0.3, 0.4, 0.5], "metric": ["", "el2n", "margin"]}
    >>> [v.metric for v in judge_metrics(table, pool=1000)]
    ['el2n', 'margin']
    """
    table = read_pilots(pilots)
    metric, data = options.pop("metric", None), options.pop("data", None)
    found = [(d, m) for d, m in table.metrics() if metric in (None, m) and data in (None, d)]
    if not found:
        table.of(metric, data)
    return tuple(judge_pilots(table, metric=m, data=d, **options) for d, m in found)


def _outcome(table: Pilots, outcome: str | None) -> str:
    there = table.outcomes
    if outcome is None:
        return next(name for name in OUTCOMES if name in there)
    if outcome not in ("loss", "error") or outcome not in there:
        raise InputError(f"outcome = {outcome!r}: the table has {', '.join(there)}")
    return outcome


def _points(cells: Any) -> tuple[dict[str, Any], ...]:
    error = cells.noise / np.sqrt(cells.runs)
    return tuple(
        {
            "policy": str(cells.policy[i]), "keep": float(cells.keep[i]),
            "pool": float(cells.pool[i]), "D": float(cells.D[i]), "runs": int(cells.runs[i]),
            "loss": math.exp(cells.log_mean[i]), "relative_error": float(error[i]),
        }
        for i in range(len(cells.D))
    )  # fmt: skip


def _judge(
    verdict: Verdict, forms: FittedForms, table: Pilots, costs: Any, on_step: OnStep | None
) -> Verdict:
    """Fill in what the fitted forms say."""
    question, level = verdict.question, verdict.level
    found = decide(forms, question, level)
    answer, chosen, policies, gains = found.answer, found.chosen, found.policies, found.gains
    shown = chosen or max(policies, key=lambda p: p.gain.value)
    worst = _worst_class(table, policies, level, verdict.seed, on_step)
    reach = float(max(p.reach for p in policies) if chosen is None else chosen.reach)
    reasons = (*found.reasons, *doubts_of(forms, reach, worst, answer))
    never = answer == NO_VERDICT
    return replace(
        verdict, answer=answer,
        sentence=answer_sentence(answer, question, chosen),
        status="refused" if never else "suspect" if reasons else "ok",
        reasons=reasons, policies=policies, reach=reach, worst_class=worst,
        keep=chosen.keep if chosen else None, loss=chosen.loss if chosen else None,
        gain=chosen.gain if chosen else None,
        loss_none=estimate(gains.none, level, exp=True),
        multiplier=as_factor(worth(forms, shown.policy, shown.keep.value, shown.D), level)
        if chosen else None,
        crossovers=find_crossovers(forms, question, level),
        frontier=find_frontier(forms, level),
        break_even=_break_even(forms, shown, question, costs, level),
        next_pilots=find_next_pilots(forms, gains, shown.policy),
        forms=tuple(_share(f) for f in forms.forms),
        curves=_curves(forms, policies, question, level),
        notes=(*verdict.notes, *_edges(chosen, forms)),
    )  # fmt: skip


def _break_even(
    forms: FittedForms, finding: PolicyFinding, question: Question, costs: Any, level: float
) -> BreakEven | None:
    if costs.score is None:
        return None
    return find_break_even(
        forms, finding.policy, finding.keep.value, question, level, score=costs.score,
        train=costs.train, unit=costs.unit,
    )  # fmt: skip


def _worst_class(
    table: Pilots, policies: tuple[PolicyFinding, ...], level: float, seed: int,
    on_step: OnStep | None,
) -> tuple[WorstClass, ...]:  # fmt: skip
    """Compare the worst class at equal numbers kept."""
    if "worst_error" not in table.values:
        return ()
    cells, _ = make_cells(table, "worst_error")
    there = set(cells.policy.tolist())
    if refusal_reasons(cells, None):
        return ()
    try:
        forms = fit_forms(
            table, "worst_error", draws=_WORST_DRAWS, rng=seed, exact=False, on_step=on_step
        )
    except FitError:
        return ()
    found = []
    for p in policies:
        if p.policy not in there:
            continue
        at = np.array([p.D])
        keep = p.keep.value
        above = forms.log_outcomes(p.policy, keep, at)
        base = forms.log_outcomes(NONE, 1.0, at)
        ratio = estimate((above - base)[:, 0], level, exp=True)
        found.append(
            WorstClass(
                policy=p.policy, keep=keep, D=p.D, ratio=ratio, sentence=_worst_words(p, ratio)
            )
        )
    return tuple(found)


def _worst_words(p: PolicyFinding, ratio: Any) -> str:
    text = f"worst class, {p.policy} at {100 * p.keep.value:.3g} %: error {span(ratio)} times that "
    text += "of as many random examples"
    if ratio.interval.low > 1:
        return text + "; it loses"
    return text + ("; it may lose" if ratio.interval.high > 1.02 else "; it does not lose")


def _share(form: Any) -> FormShare:
    return FormShare(
        form=form.name, weight=form.weight, excluded=form.excluded, misfit=form.misfit,
        discrepancy=form.missed, parameters=form.parameters,
    )  # fmt: skip


def _curves(
    forms: FittedForms, policies: tuple[PolicyFinding, ...], question: Question, level: float
) -> tuple[Curve, ...]:
    """Bands from the smallest pilot to the target."""
    cells = forms.world.cells
    top = max([cells.D.max(), *(p.D for p in policies)])
    if math.isfinite(question.D_none):
        top = max(top, question.D_none)
    sizes = np.geomspace(cells.D.min(), 1.2 * top, _POINTS)
    wanted = [(NONE, 1.0)]
    for p in policies:
        shares = sorted({*p.keeps, p.keep.value}, reverse=True)
        wanted += [(p.policy, k) for k in shares]
    return tuple(_curve(forms, name, keep, sizes, level) for name, keep in wanted)


def _curve(forms: FittedForms, policy: str, keep: float, sizes: Array, level: float) -> Curve:
    draws = forms.log_outcomes(policy, keep, sizes)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.nanquantile(draws[1:], tails, axis=0)
    return Curve(
        policy=policy, keep=keep, D=sizes, loss=np.exp(draws[0]), low=np.exp(low),
        high=np.exp(high),
    )  # fmt: skip


def _edges(chosen: PolicyFinding | None, forms: FittedForms) -> tuple[str, ...]:
    notes = []
    if chosen is not None and chosen.keep.value <= min(chosen.keeps) * 1.001:
        notes.append(
            f"the best share is the smallest that was piloted, {min(chosen.keeps):.3g}: the best "
            "may be smaller still, and pruning too much can be ruinous; pilot a smaller one"
        )
    plain = np.unique(forms.world.cells.D[forms.world.cells.policy == NONE])
    if len(plain) < 4:
        notes.append(
            "three sizes without pruning lie on every law of three parameters: how it bends beyond "
            "them the pilots hardly show; add a fourth size"
        )
    untried = [p for p in POLICIES if p not in {d.policy for d in forms.world.designs}]
    if untried:
        notes.append(f"{untried[0]} was not piloted, and is not judged")
    return tuple(notes)

"""From runs to a weighted set of laws: back-test, choose, fit, leave out, weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_seed
from isoloss._core.threads import one_thread
from isoloss.errors import FitError, InputError, IsolossError
from isoloss.fit.backtest import EMPHASES, MOST_RUNS, Backtest, backtest, run_scale, thin
from isoloss.fit.design import design_reasons
from isoloss.fit.drift import find_drifts, split_discrepancy
from isoloss.fit.fit import fit
from isoloss.fit.lawset import LawSet
from isoloss.fit.objective import Huber, LeastSquares, Objective, OneSided, parse_objective
from isoloss.fit.prepare import as_law, prepare
from isoloss.fit.result import Fit
from isoloss.fit.rolling import discrepancies, roll
from isoloss.fit.unexplained import MOST_SHARE, left_out_sentence, unexplained
from isoloss.fit.weighting import Choice, akaike, choose, law_weights, rough_noise, verdict
from isoloss.laws import Law
from isoloss.runs import Runs, read_runs

ROUNDS = 3
"""Times that runs without explanation are looked for: large ones hide smaller ones."""


def default_laws(runs: Runs) -> list[str]:
    """Names of the laws worth fitting to these runs: by their axes and how many they are."""
    n = len(np.unique(runs.configurations()))
    if "N" in runs and "D" in runs:
        names = ["chinchilla", "coupled", "additive", "kaplan"]
        if "U" in runs and bool(np.any(runs["D"] > 1.01 * runs["U"])):
            names = ["repetition", "repetition_joint", *names]
        return names
    names = ["power_floor", "shifted_power"]
    if n >= 9:
        names.append("sigmoid_power")
    if n >= 12:
        names.append("broken_power")
    return names


def fit_laws(
    runs: Any,
    laws: Sequence[str | Law] | None = None,
    *,
    objective: str | Objective = "auto",
    emphasis: str | float = "auto",
    outliers: str = "auto",
    draws: int = 1000,
    resample: str = "auto",
    level: float = 0.9,
    rng: int = 0,
    axis: str | None = None,
    journal: Path | None = None,
    on_step: Callable[[str], None] | None = None,
) -> LawSet:
    r"""Fit a set of laws and weight them by held-out extrapolation and by fit.

    Each law is fitted below several cuts in scale and scored on the runs above, with runs weighted
    equally and by powers of their scale: no law is exactly right, and the runs nearest to the
    target say most about it. Each law gets the *emphasis* p of its weights :math:`s^p` from that
    record, and half of its weight: :math:`e^{-m}` with e the geometric mean of its errors over the
    cuts and m the number of cuts, but at most 3 (2 on one axis). The other half is its Akaike
    weight, by how well it fits all runs; laws that the fit rejects keep nothing of the first.

    Parameters
    ----------
    runs
        `Runs` or anything `read_runs` takes.
    laws
        Names, formulas or laws; by default those that suit the axes of the runs.
    objective
        ``"auto"`` lets the back-test choose among Huber(1e-3), least squares and, for laws of
        several resources, a one-sided Huber, which must err a quarter less than the others.
    emphasis
        ``"auto"``, or one power for all laws; 0 weights all runs equally.
    outliers
        ``"auto"`` leaves out runs of laws of several resources that every law puts more than ten
        times its noise away (see `isoloss.fit.unexplained`), says which, and fits again;
        ``"keep"`` keeps them.
    draws, resample, level, rng, axis, journal
        As in `fit`.
    on_step
        Called with a few words before each step, to show progress.

    Raises
    ------
    FitError
        ``NO_LAW`` when no law of the set could be fitted.
    """
    as_level(level)
    as_seed(rng)
    if outliers not in ("auto", "keep"):
        raise InputError(f"outliers = {outliers!r}: write 'auto' or 'keep'")
    say = on_step or (lambda text: None)
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    names = tuple(table.columns)
    forms = _distinct([as_law(law, axis=axis, axes=names) for law in laws or default_laws(table)])
    auto = isinstance(objective, str) and objective.strip().lower() == "auto"
    task = _Task(
        table=table,
        forms=forms,
        candidates=_candidates(forms) if auto else [parse_objective(objective)],
        emphasis=None if emphasis == "auto" else _as_emphasis(emphasis),
        say=say,
        options={
            "draws": draws, "resample": resample, "level": level, "rng": rng, "journal": journal,
        },
    )  # fmt: skip
    with one_thread():
        left_out = np.zeros(len(table), dtype=bool)
        found = _fit_set(task, left_out)
        # The first points of a curve are off because it bends, which its laws are to learn.
        rounds = ROUNDS if outliers == "auto" and len(found.axes) > 1 else 0
        for _ in range(rounds):
            more = left_out | unexplained(found.fits, found.weights)
            if more.sum() == left_out.sum() or more.sum() > max(1, MOST_SHARE * len(table)):
                break
            left_out = more
            say(f"fitting again without {int(left_out.sum())} runs that no law explains")
            found = _fit_set(task, left_out)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """What `fit_laws` was asked for, checked; ``emphasis`` is ``None`` for one by back-test."""

    table: Runs
    forms: Sequence[Law]
    candidates: Sequence[Objective]
    emphasis: float | None
    say: Callable[[str], None]
    options: Mapping[str, Any]


def _fit_set(task: _Task, left_out: npt.NDArray[np.bool_]) -> LawSet:
    """Back-test, choose, fit and weight, without some runs."""
    table, kept = task.table, task.table.select(~left_out) if left_out.any() else task.table
    powers = EMPHASES if task.emphasis is None else (0.0, task.emphasis)
    fitted: list[Fit] = []
    dropped: list[tuple[str, str]] = []
    task.say("back-testing laws and objectives")
    usable = []
    for form in task.forms:
        try:
            design_reasons(prepare(kept, form))
            usable.append(form)
        except IsolossError as error:
            dropped.append((form.name, str(error)))
    if not usable:
        raise _no_law(dropped)
    axes = tuple(dict.fromkeys(a for form in usable for a in form.axes))
    test = backtest(kept, usable, task.candidates, emphases=sorted(set(powers)))
    found = choose(
        test,
        [form.name for form in usable],
        [c.name for c in task.candidates],
        parameters=[len(form.names) for form in usable],
        noise=rough_noise(test),
        curve=len(axes) == 1,
    )
    if task.emphasis is not None:
        found = replace(found, emphases=dict.fromkeys(found.emphases, task.emphasis))
    goal = next(c for c in task.candidates if c.name == found.objective)
    scale = run_scale(table, axes)
    for form in usable:
        task.say(f"fitting {form.name}")
        weights = emphasised(scale, found.emphases[form.name], left_out)
        try:
            fitted.append(fit(table, form, objective=goal, weights=weights, **task.options))
        except FitError as error:
            dropped.append((form.name, str(error)))
    if not fitted:
        raise _no_law(dropped)
    return _weighted(
        fitted,
        test,
        {c.name: c for c in task.candidates},
        found,
        table=table,
        scale=scale,
        curve=len(axes) == 1,
        dropped=tuple(dropped),
        level=task.options["level"],
        left_out=left_out,
    )


def emphasised(scale: Array, power: float, left_out: npt.NDArray[np.bool_]) -> Array | None:
    """Weights of runs: a power of their scale, zero for those left out; ``None`` for equal ones."""
    if not power > 0 and not left_out.any():
        return None
    return np.asarray((scale / scale.max()) ** max(power, 0.0) * ~left_out)


def _weighted(
    fitted: Sequence[Fit],
    test: Backtest,
    objectives: Mapping[str, Objective],
    found: Choice,
    *,
    table: Runs,
    scale: Array,
    curve: bool,
    dropped: tuple[tuple[str, str], ...],
    level: float,
    left_out: npt.NDArray[np.bool_],
) -> LawSet:
    """Put fits, their record and their evidence together."""
    titles = [f.law.name for f in fitted]
    alive = np.array([f.status != "failed" for f in fitted], dtype=np.float64)
    if not alive.any():
        alive[:] = 1.0
    noise = float(np.median([f.seed_noise for f in fitted]))
    squares = {name: bool(np.isinf(goal.delta)) for name, goal in objectives.items()}
    order = np.argsort(scale, kind="stable")
    order = order[~left_out[order]]
    parameters = [len(f.law.names) for f in fitted]
    evidence = akaike(
        np.array([f.residuals[order] for f in fitted]),
        np.array([f.weights[order] for f in fitted]),
        parameters,
        squares=squares[found.objective],
    )
    record = np.array([found.record[name] for name in titles])
    weights = law_weights(record, evidence, alive, curve=curve)
    steps = roll(
        test,
        titles,
        list(objectives),
        parameters=parameters,
        squares=squares,
        alive=alive,
        noise=noise,
        curve=curve,
    )
    drifts = find_drifts(fitted, table)
    tested = thin(table.select(~left_out), MOST_RUNS)
    each = [f.noise_at(tested) for f, w in zip(fitted, weights, strict=True) if w > 0]
    return LawSet(
        fits=tuple(fitted),
        weights=weights,
        record=record / max(record.sum(), 1e-300),
        evidence=evidence,
        emphases=np.array([found.emphases[name] for name in titles]),
        objective=objectives[found.objective],
        backtest=test,
        steps=steps,
        discrepancies=discrepancies(test, steps, noise=np.median(each, axis=0)),
        drifts=drifts,
        split_discrepancy=split_discrepancy(drifts, weights),
        dropped=dropped,
        level=level,
        sentence=verdict(test, titles, weights, record, evidence),
        left_out=left_out,
        left_out_sentence=left_out_sentence(
            [table.names[i] for i in np.flatnonzero(left_out)], len(table)
        ),
    )


def _candidates(forms: Sequence[Law]) -> list[Objective]:
    """List the objectives that a back-test chooses among."""
    even = [Huber(1e-3), LeastSquares()]
    # Runs can be tuned badly one by one; the points of a curve cannot.
    return even if len({a for f in forms for a in f.axes}) == 1 else [*even, OneSided(1e-3)]


def _as_emphasis(value: str | float) -> float:
    try:
        power = float(value)
    except ValueError:
        power = -1.0
    if not 0 <= power <= 4:
        raise InputError(f"emphasis = {value!r}: write 'auto', or a power of scale from 0 to 4")
    return power


def _no_law(dropped: Sequence[tuple[str, str]]) -> FitError:
    reasons = "; ".join(f"{name}: {reason}" for name, reason in dropped)
    return FitError("NO_LAW", f"no law could be fitted: {reasons}")


def _distinct(forms: Sequence[Law]) -> list[Law]:
    """Tell laws of the same name apart: scores and weights are kept by name."""
    seen: dict[str, int] = {}
    out = []
    for form in forms:
        seen[form.name] = count = seen.get(form.name, 0) + 1
        out.append(form if count == 1 else replace(form, name=f"{form.name}-{count}"))
    return out

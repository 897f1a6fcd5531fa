"""Several laws fitted to the same runs, weighted by how well each one extrapolated."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_seed, freeze
from isoloss._core.threads import one_thread
from isoloss.errors import FitError, InputError, IsolossError
from isoloss.fit.backtest import EMPHASES, Backtest, backtest, run_scale
from isoloss.fit.design import design_reasons
from isoloss.fit.drift import Drift, find_drifts, split_discrepancy
from isoloss.fit.fit import fit
from isoloss.fit.objective import Huber, LeastSquares, Objective, OneSided, parse_objective
from isoloss.fit.prepare import as_law, prepare
from isoloss.fit.result import Fit
from isoloss.fit.rolling import Step, discrepancy, roll
from isoloss.fit.unexplained import MOST_SHARE, left_out_sentence, unexplained
from isoloss.fit.weighting import (
    Choice,
    akaike,
    choose,
    law_weights,
    rough_noise,
    verdict,
)
from isoloss.laws import Law
from isoloss.runs import Runs, read_runs

ROUNDS = 3
"""Times that runs without explanation are looked for: large ones hide smaller ones."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LawSet:
    """Fits of rival and nested laws with weights.

    Attributes
    ----------
    fits
        One a law, in the order of the set.
    weights
        Shares that sum to one; zero for laws that failed.
    record, evidence
        Shares by extrapolation alone and by fit alone; `weights` are half of each.
    emphases
        Power p of each law's weights :math:`s^p` on runs of scale s.
    objective
        Chosen by the back-test unless given.
    backtest
        The errors that the weights come from.
    steps
        What the whole procedure forecast from below each cut, choosing objective and weights
        from below it as well.
    discrepancy
        Standard deviation, per root of a unit of log reach, by which those forecasts missed
        beyond what the noise of runs explains.
    drifts
        What the runs say about the drift of each law's exponents, one a law; ``None`` for laws
        that do not split compute.
    split_discrepancy
        Standard deviation of log N_opt, per root of a unit of log reach, that follows from them
        a thousand times ahead; 0 for laws that split nothing.
    dropped
        Laws that could not be fitted, and why.
    left_out
        Runs that no law explains and that the fits do without, (n,) of bool; see
        `isoloss.fit.unexplained`.
    left_out_sentence
        Which they are; empty where there are none.
    sentence
        Whether the runs tell the laws apart.
    """

    fits: tuple[Fit, ...]
    weights: Array
    record: Array
    evidence: Array
    emphases: Array
    objective: Objective
    backtest: Backtest
    steps: tuple[Step, ...]
    discrepancy: float
    drifts: tuple[Drift | None, ...]
    split_discrepancy: float
    dropped: tuple[tuple[str, str], ...]
    level: float
    sentence: str
    left_out: npt.NDArray[np.bool_]
    left_out_sentence: str

    def __post_init__(self) -> None:
        for name in ("weights", "record", "evidence", "emphases"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def best(self) -> Fit:
        """Fit of the law with the largest weight."""
        return self.fits[int(np.argmax(self.weights))]

    @property
    def axes(self) -> tuple[str, ...]:
        """Resources that the set needs."""
        return tuple(dict.fromkeys(a for f in self.fits for a in f.law.axes))

    def predict(self, x: Any) -> Array:
        """Weighted geometric mean of the laws' losses, (n,)."""
        used = [(f, w) for f, w in zip(self.fits, self.weights, strict=True) if w > 0]
        return np.asarray(np.exp(sum(w * np.log(f.predict(x)) for f, w in used)))

    def backtest_error(self, law: str) -> float | None:
        """Root-mean-square log error of a law over the cuts; ``None`` without a back-test."""
        emphasis = next(
            (e for f, e in zip(self.fits, self.emphases, strict=True) if f.law.name == law), 0.0
        )
        value = self.backtest.score(law, self.objective.name, float(emphasis))
        return value if np.isfinite(value) else None

    @property
    def procedure_error(self) -> float | None:
        """Root-mean-square log error of the procedure over its steps; ``None`` without any."""
        if not self.steps:
            return None
        return float(np.sqrt(np.mean([s.error**2 for s in self.steps])))

    @property
    def procedure_reach(self) -> float | None:
        """Farthest that a step forecast; ``None`` without any."""
        return max((s.reach for s in self.steps), default=None)

    def shares(self, i: int) -> dict[str, float | None]:
        """Weight of a law, what it is made of, its emphasis, its record, whether it drifts."""
        drift = self.drifts[i]
        return {
            "weight": float(self.weights[i]),
            "weight_by_extrapolation": float(self.record[i]),
            "weight_by_fit": float(self.evidence[i]),
            "emphasis": float(self.emphases[i]),
            "backtest_error": self.backtest_error(self.fits[i].law.name),
            "drift_chance": None if drift is None else drift.chance,
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        names = [f.law.name for f in self.fits]
        laws = []
        for i, f in enumerate(self.fits):
            laws.append(f.to_dict() | self.shares(i))
        return {
            "objective": self.objective.name,
            "laws": laws,
            "dropped": [{"law": n, "reason": r} for n, r in self.dropped],
            "discrepancy": self.discrepancy,
            "split_discrepancy": self.split_discrepancy,
            "left_out": np.flatnonzero(self.left_out).tolist(),
            "left_out_sentence": self.left_out_sentence,
            "sentence": self.sentence,
            "backtest": self.backtest.to_dict()
            | {
                "error": self.procedure_error,
                "reach": self.procedure_reach,
                "steps": [s.to_dict(names) for s in self.steps],
            },
        }

    def summary(self) -> str:
        """Table for people."""
        lines = [f"objective {self.objective.name}; weights from {len(self.backtest.cuts)} cuts"]
        for f, w, p in zip(self.fits, self.weights, self.emphases, strict=True):
            error = self.backtest_error(f.law.name)
            text = "not back-tested" if error is None else f"back-test error {100 * error:.2g} %"
            lean = f"emphasis {p:.2g}"
            lines.append(f"  {f.law.name:<14} weight {w:.3f}  {lean:<13} {text}  {f.status}")
        lines += [f"  {n}: left out, {r}" for n, r in self.dropped]
        lines += [self.left_out_sentence] if self.left_out_sentence else []
        return "\n".join([*lines, self.sentence])

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{f.law.name} {w:.2f}" for f, w in zip(self.fits, self.weights, strict=True)
        )
        return f"LawSet({parts}; {self.objective.name})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


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
    return LawSet(
        fits=tuple(fitted),
        weights=weights,
        record=record / max(record.sum(), 1e-300),
        evidence=evidence,
        emphases=np.array([found.emphases[name] for name in titles]),
        objective=objectives[found.objective],
        backtest=test,
        steps=steps,
        discrepancy=discrepancy(test, steps, noise=noise),
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

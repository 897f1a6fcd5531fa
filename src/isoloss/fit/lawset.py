"""Several laws fitted to the same runs, weighted by how well each one extrapolated."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, freeze
from isoloss._core.threads import one_thread
from isoloss.errors import FitError, IsolossError
from isoloss.fit.backtest import Backtest, backtest
from isoloss.fit.fit import fit
from isoloss.fit.objective import Huber, LeastSquares, Objective, OneSided, parse_objective
from isoloss.fit.prepare import as_law
from isoloss.fit.result import Fit
from isoloss.laws import Law
from isoloss.runs import Runs, read_runs

SWITCH = 0.9
"""Another objective replaces the default only if its back-test error is this much smaller."""
EFFECTIVE_CUTS = 4.0
"""Cuts share runs: they count as at most this many independent observations."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LawSet:
    """Fits of rival and nested laws with weights.

    Attributes
    ----------
    fits
        One a law, in the order of the set.
    weights
        Shares that sum to one; zero for laws that failed.
    objective
        Chosen by the back-test unless given.
    backtest
        The errors that the weights come from.
    discrepancy
        Standard deviation, per root of a unit of log reach, by which back-tested forecasts
        missed beyond what resampling and seeds explain.
    dropped
        Laws that could not be fitted, and why.
    sentence
        Whether the runs tell the laws apart.
    """

    fits: tuple[Fit, ...]
    weights: Array
    objective: Objective
    backtest: Backtest
    discrepancy: float
    dropped: tuple[tuple[str, str], ...]
    level: float
    sentence: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", freeze(self.weights))

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
        logs = np.array([np.log(f.predict(x)) for f in self.fits])
        return np.asarray(np.exp(self.weights @ logs))

    def backtest_error(self, law: str) -> float | None:
        """Root-mean-square log error of a law over the cuts; ``None`` without a back-test."""
        value = self.backtest.score(law, self.objective.name)
        return value if np.isfinite(value) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        laws = []
        for f, w in zip(self.fits, self.weights, strict=True):
            error = self.backtest_error(f.law.name)
            laws.append(f.to_dict() | {"weight": float(w), "backtest_error": error})
        return {
            "objective": self.objective.name,
            "laws": laws,
            "dropped": [{"law": n, "reason": r} for n, r in self.dropped],
            "discrepancy": self.discrepancy,
            "sentence": self.sentence,
            "backtest": self.backtest.to_dict(),
        }

    def summary(self) -> str:
        """Table for people."""
        lines = [f"objective {self.objective.name}; weights from {len(self.backtest.cuts)} cuts"]
        for f, w in zip(self.fits, self.weights, strict=True):
            error = self.backtest_error(f.law.name)
            text = "not back-tested" if error is None else f"back-test error {100 * error:.2g} %"
            lines.append(f"  {f.law.name:<14} weight {w:.3f}  {text}  {f.status}")
        lines += [f"  {n}: left out, {r}" for n, r in self.dropped]
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
    names = ["power_floor", "power", "shifted_power"]
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
    draws: int = 1000,
    resample: str = "auto",
    level: float = 0.9,
    rng: int = 0,
    axis: str | None = None,
    journal: Path | None = None,
    on_step: Callable[[str], None] | None = None,
) -> LawSet:
    r"""Fit a set of laws and weight them by held-out extrapolation.

    Each law is fitted below several compute cuts and scored on the runs above. A law whose
    weighted mean squared error over the cuts is :math:`e^2` gets a weight proportional to
    :math:`e^{-m}`, m the number of cuts but at most 4: the likelihood of m normal errors with
    their common variance integrated out.

    Parameters
    ----------
    runs
        `Runs` or anything `read_runs` takes.
    laws
        Names, formulas or laws; by default those that suit the axes of the runs.
    objective
        ``"auto"`` lets the back-test choose among Huber, least squares and a one-sided Huber;
        the default Huber(1e-3) is kept unless another errs at least a tenth less.
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
    say = on_step or (lambda text: None)
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    names = tuple(table.columns)
    forms = _distinct([as_law(law, axis=axis, axes=names) for law in laws or default_laws(table)])
    auto = isinstance(objective, str) and objective.strip().lower() == "auto"
    candidates = (
        [Huber(1e-3), LeastSquares(), OneSided(1e-3)] if auto else [parse_objective(objective)]
    )
    fitted: list[Fit] = []
    dropped: list[tuple[str, str]] = []
    with one_thread():
        say("back-testing laws and objectives")
        usable = []
        for form in forms:
            try:
                fit(table, form, objective=candidates[0], draws=0)
                usable.append(form)
            except IsolossError as error:
                dropped.append((form.name, str(error)))
        if not usable:
            raise FitError(
                "NO_LAW", "no law could be fitted: " + "; ".join(f"{n}: {r}" for n, r in dropped)
            )
        test = backtest(table, usable, candidates)
        goal = _choose(test, usable, candidates)
        for form in usable:
            say(f"fitting {form.name}")
            fitted.append(
                fit(
                    table,
                    form,
                    objective=goal,
                    draws=draws,
                    resample=resample,
                    level=level,
                    rng=rng,
                    journal=journal,
                )
            )
    weights = _weights(test, fitted, goal)
    return LawSet(
        fits=tuple(fitted),
        weights=weights,
        objective=goal,
        backtest=test,
        discrepancy=_discrepancy(test, fitted, weights, goal),
        dropped=tuple(dropped),
        level=level,
        sentence=_sentence(test, fitted, weights),
    )


def _distinct(forms: Sequence[Law]) -> list[Law]:
    """Tell laws of the same name apart: scores and weights are kept by name."""
    seen: dict[str, int] = {}
    out = []
    for form in forms:
        seen[form.name] = count = seen.get(form.name, 0) + 1
        out.append(form if count == 1 else replace(form, name=f"{form.name}-{count}"))
    return out


def _choose(test: Backtest, laws: Sequence[Law], candidates: Sequence[Objective]) -> Objective:
    default = candidates[0]
    if not test.cuts or len(candidates) == 1:
        return default
    best = {c.name: min(test.score(law.name, c.name) for law in laws) for c in candidates}
    rival = min(candidates, key=lambda c: best[c.name])
    return rival if best[rival.name] < SWITCH * best[default.name] else default


def _weights(test: Backtest, fits: Sequence[Fit], goal: Objective) -> Array:
    alive = np.array([f.status != "failed" for f in fits], dtype=np.float64)
    if not alive.any():
        alive[:] = 1.0
    error = np.array([test.score(f.law.name, goal.name) for f in fits])
    if not np.isfinite(error[alive > 0]).any():
        return np.asarray(alive / alive.sum())
    # Errors far below the noise of a run cannot rank laws.
    noise = float(np.median([f.seed_noise for f in fits]))
    error = np.sqrt(error**2 + (0.1 * noise) ** 2 + 1e-24)
    m = min(len(test.cuts), EFFECTIVE_CUTS)
    logs = np.where(np.isfinite(error) & (alive > 0), -m * np.log(error), -np.inf)
    weights = np.exp(logs - logs.max())
    weights[weights < 1e-4 * weights.sum()] = 0.0
    return np.asarray(weights / weights.sum())


def _discrepancy(test: Backtest, fits: Sequence[Fit], weights: Array, goal: Objective) -> float:
    """Error per root log reach that noise does not explain, from the combined back-test.

    The scored runs of a cut share one systematic error, estimated by their mean signed error;
    what the noise of that many runs explains is taken off.
    """
    if not test.cuts:
        return 0.0
    excess, reach = [], []
    noise = float(np.median([f.seed_noise for f in fits]))
    for i, cut in enumerate(test.cuts):
        above = test.scale >= cut.scale
        logs = [
            w * np.log(test.predictions[f.law.name, goal.name][i, above])
            for f, w in zip(fits, weights, strict=True)
            if w > 0
        ]
        bias = float(np.mean(np.sum(logs, axis=0) - np.log(test.loss[above])))
        typical = float(np.median(np.log(test.scale[above] / test.scale[~above].max())))
        excess.append(max(bias**2 - noise**2 * (1 / cut.n_test + 1 / cut.n_train), 0.0))
        reach.append(max(typical, 0.2))
    return float(np.sqrt(np.mean(np.array(excess) / np.array(reach))))


def _sentence(test: Backtest, fits: Sequence[Fit], weights: Array) -> str:
    if not test.cuts:
        return "Too few scales to hold any out: the laws are weighted equally, untested."
    order = np.argsort(-weights, kind="stable")
    first = fits[int(order[0])].law.name
    alike = [fits[int(i)].law.name for i in order if weights[int(i)] > 0.1 * weights.max()]
    if len(alike) > 1:
        return (
            f"The runs cannot tell {' and '.join(alike)} apart by extrapolation: "
            "the interval spans them."
        )
    return f"{first} extrapolated clearly best over {len(test.cuts)} cuts."

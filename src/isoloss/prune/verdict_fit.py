"""Every form fitted to the pilots of one score: which the pilots exclude, and draws of the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import FitError
from isoloss.fit import fit
from isoloss.laws.law import Law
from isoloss.prune.pilots import Pilots
from isoloss.prune.verdict_cells import Cells, World, by_policy, make_cells, make_world
from isoloss.prune.verdict_forms import (
    CURVES,
    EXACT,
    WORTHS,
    Design,
    columns,
    least_share,
    make_law,
)
from isoloss.prune.verdict_models import (
    PERFECT,
    FormulaModel,
    Model,
    all_angles,
    near_angle,
    perfect_score,
)
from isoloss.prune.verdict_refit import Departure, Problem, draw, make_problem, refine, weigh
from isoloss.runs.table import Runs

REJECTED = 0.01
"""Forms with a weight below this share of the best one's are excluded."""
SOLVED = (EXACT, PERFECT)
"""Forms that are solved models and not formulas."""
_STARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedForm:
    """One form with its draws.

    Attributes
    ----------
    theta, draws, departures
        Parameters at the best guess and drawn, and what each draw misses; in units of the mean
        size and mean outcome. Row 0 of the draws is the best guess.
    weight
        Among the forms: Akaike's, with what the forms may miss taken account of.
    excluded
        Whether the pilots exclude it.
    misfit
        Chi-squared of cell means over its degrees of freedom.
    missed
        Departure of the log gain over the range of the pilots, mean of what they allow.
    """

    model: Model
    departure: Departure
    theta: Array
    draws: Array
    departures: Array
    weight: float
    excluded: bool
    misfit: float
    missed: float

    @property
    def name(self) -> str:
        """Of the form."""
        return self.model.name

    @property
    def parameters(self) -> dict[str, float]:
        """At the optimum, in units of the mean size and mean outcome."""
        values = dict(zip(self.model.names, self.theta.tolist(), strict=True))
        return {n: math.exp(v) if n == "M" else v for n, v in values.items()}

    def log_outcome(self, world: World, policy: str, keep: Any, D: Any) -> Array:
        """Log outcome of every draw, best guess first, (1 + draws, n)."""
        at = np.atleast_1d(np.asarray(D, dtype=np.float64))
        share = np.broadcast_to(np.asarray(keep, dtype=np.float64), at.shape)
        found = self.model.values(np.vstack([self.theta, self.draws]), policy, share, at / world.x0)
        features = self.departure.features(policy, share, at, found[0])
        found = found[1:] + self.departures @ features.T
        return np.asarray(found + math.log(world.unit))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedForms:
    """All forms of one outcome, and those that count."""

    world: World
    forms: tuple[FittedForm, ...]
    dropped: tuple[tuple[str, str], ...]

    @property
    def kept(self) -> tuple[FittedForm, ...]:
        """Forms that the pilots do not exclude."""
        return tuple(f for f in self.forms if not f.excluded)

    @property
    def best(self) -> FittedForm:
        """Form with the largest weight."""
        return max(self.forms, key=lambda f: f.weight)

    def log_outcomes(self, policy: str, keep: Any, D: Any) -> Array:
        """Draws of all forms that count, as many of each as its weight; (1 + draws, n).

        Row 0 is the best guess, the mean of those of the forms.
        """
        found = [f.log_outcome(self.world, policy, keep, D) for f in self.kept]
        weights = np.array([f.weight for f in self.kept])
        first = np.average([v[0] for v in found], weights=weights, axis=0)
        return np.vstack([first[None], *(v[1:] for v in found)])


def forms_for(designs: Sequence[Design], cells: Cells, *, exact: bool) -> list[Law | str]:
    """Forms that the design can tell anything about."""
    scaled = any(d.scaled for d in designs)
    worths = [w for w in WORTHS if scaled or w == "constant"]
    laws: list[Law | str] = [
        make_law(curve, worth, designs) for curve in CURVES for worth in worths
    ]
    if exact and float(cells.keep.min()) >= least_share():
        laws += SOLVED
    return laws


def fit_forms(
    pilots: Pilots, outcome: str, *, draws: int, rng: int, exact: bool = True,
    on_step: Callable[[str], None] | None = None,
) -> FittedForms:  # fmt: skip
    """Fit every form, weigh them with what each may miss, and draw.

    Raises
    ------
    FitError
        If no form can be fitted.
    """
    cells, _ = make_cells(pilots, outcome)
    world = make_world(cells)
    found, dropped = [], []
    for form in forms_for(world.designs, cells, exact=exact):
        name = form if isinstance(form, str) else form.name
        if on_step:
            on_step(f"fitting {name}")
        try:
            found.append(_fit_one(world, form))
        except FitError as error:
            dropped.append((name, str(error)))
    if not found:
        raise FitError("NO_FORM", f"no form could be fitted: {dropped[0][1]}")
    forms = _weighed(found, world, draws, np.random.default_rng(rng))
    return FittedForms(world=world, forms=forms, dropped=tuple(dropped))


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """A form at its optimum."""

    problem: Problem
    theta: Array
    chi2: float


def _fit_one(world: World, form: Law | str) -> _Fitted:
    """Fit the means of cells by least squares of logarithms, weighted by their noise."""
    if isinstance(form, str):
        return _fit_solved(world, form)
    found = fit(
        Runs(columns=_columns(world, form)), form, objective="lsq", draws=0,
        weights=1 / np.diag(world.cells.covariance),
    )  # fmt: skip
    if found.status == "failed":
        raise FitError("NO_FORM", f"{form.name} could not be fitted; add sizes and seeds")
    theta = np.asarray(found.theta, dtype=np.float64).copy()
    model = FormulaModel(form, world.designs)
    if "M" in form.names:
        at = form.names.index("M")
        theta[at] = math.log(theta[at])
    theta = np.clip(theta, model.lower, model.upper)
    return _at(make_problem(world, model, theta), theta)


def _at(problem: Problem, theta: Array) -> _Fitted:
    away = problem.y - problem.values(theta[None])[0]
    chi2 = float(away @ np.linalg.solve(problem.world.cells.covariance, away))
    return _Fitted(problem, theta, chi2 if math.isfinite(chi2) else math.inf)


def _fit_solved(world: World, name: str) -> _Fitted:
    """Fit a solved model: all M and angles of a grid, E and A projected out, the best refined."""
    wide = perfect_score(world.designs) if name == PERFECT else all_angles(world.designs)
    angles = wide.angles[:, None]
    log_M = np.linspace(-7, 5, 61)
    places = np.array(np.meshgrid(log_M, angles)).reshape(2, -1).T
    starts = np.column_stack([np.zeros(len(places)), np.ones(len(places)), places])
    starts = starts[:, : len(wide.names)]
    chi2 = _projected(make_problem(world, wide, starts[len(starts) // 2]), starts)
    best: _Fitted | None = None
    for row in _distinct(starts, chi2):
        model = near_angle(world.designs, row[3]) if len(row) > 3 else wide
        theta = np.clip(row, model.lower, model.upper)
        theta = refine(make_problem(world, model, theta), theta)
        found = _at(make_problem(world, model, theta), theta)
        if best is None or found.chi2 < best.chi2:
            best = found
    if best is None:
        raise FitError("NO_FORM", f"{name} could not be fitted; add sizes and seeds")
    return best


def _projected(problem: Problem, starts: Array) -> Array:
    """Put the best E and A into rows of starts, by relative residuals; chi-squared of each."""
    cells, y = problem.world.cells, np.exp(problem.y)
    weight = 1 / np.diag(cells.covariance)
    eps = np.exp(problem.values(starts)) / y
    one = 1 / y
    a, b, c = one**2 @ weight, (eps * one) @ weight, eps**2 @ weight
    d, e = one @ weight, eps @ weight
    with np.errstate(all="ignore"):
        E = (d * c - b * e) / (a * c - b**2)
        E = np.where(np.isfinite(E), np.maximum(E, 0.0), 0.0)
        A = (e - b * E) / c
    starts[:, 0], starts[:, 1] = E, np.maximum(A, 1e-6)
    away = problem.y - problem.values(starts)
    found = np.einsum("bi,ij,bj->b", away, np.linalg.inv(cells.covariance), away)
    return np.asarray(np.where(np.isfinite(found) & (A > 0), found, np.inf))


def _distinct(starts: Array, chi2: Array) -> list[Array]:
    """Pick the best rows, at angles apart."""
    rows: list[Array] = []
    for i in np.argsort(chi2, kind="stable"):
        if len(rows) == _STARTS or not np.isfinite(chi2[i]):
            break
        if all(abs(math.log(starts[i, -1] / r[-1])) > 0.5 for r in rows if len(r) > 3):
            rows.append(starts[i])
        if starts.shape[1] < 4:
            break
    return rows


def _columns(world: World, law: Law) -> dict[str, Array]:
    """Columns of a form, one row a cell."""
    cells = world.cells
    found = {a: np.empty(len(cells.D)) for a in law.axes}
    for policy, at in by_policy(cells).items():
        part = columns(cells.D[at] / world.x0, policy, cells.keep[at], world.designs)
        for a in law.axes:
            found[a][at] = part[a]
    found["loss"] = np.exp(cells.log_mean) / world.unit
    return found


def _weighed(
    found: list[_Fitted], world: World, draws: int, rng: np.random.Generator
) -> tuple[FittedForm, ...]:
    """Weights of forms, and draws of each by its weight."""
    good = [f for f in found if math.isfinite(f.chi2)]
    if not good:
        raise FitError("NO_FORM", "no form could be fitted; add sizes and seeds")
    weighed = [weigh(f.problem, f.theta, solved=f.problem.model.name in SOLVED) for f in good]
    score = np.array([w.evidence - len(f.theta) for w, f in zip(weighed, good, strict=True)])
    share = np.exp(score - score.max())
    share /= share.sum()
    excluded = share < REJECTED * share.max()
    share_kept = np.where(excluded, 0.0, share)
    counts = np.ceil(draws * share_kept / share_kept.sum()).astype(int)
    forms = []
    for f, w, weight, gone, count in zip(good, weighed, share, excluded, counts, strict=True):
        theta, departures = (
            (f.theta[None], np.zeros((1, f.problem.departure.size)))
            if gone
            else draw(f.problem, f.theta, w, int(count), rng)
        )
        freedom = max(len(world.cells.D) - len(f.theta), 1)
        forms.append(
            FittedForm(
                model=f.problem.model, departure=f.problem.departure, theta=freeze(f.theta),
                draws=freeze(theta), departures=freeze(departures), weight=float(weight),
                excluded=bool(gone), misfit=f.chi2 / freedom,
                missed=math.sqrt(float(w.shares @ w.pairs[:, 1] ** 2)),
            )
        )  # fmt: skip
    return tuple(forms)

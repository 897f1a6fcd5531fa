"""Two fitted recipes as one linear model: shared and own coordinates, pairs, bends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import FitError
from isoloss.fit.fit import fit
from isoloss.fit.noise import seed_noise
from isoloss.fit.prepare import prepare
from isoloss.fit.result import Fit
from isoloss.plan.audit_take import Taken
from isoloss.plan.local_model import LocalModel
from isoloss.plan.next_arms_gain import Belief, Case, Indices
from isoloss.plan.next_belief import Frame, best_split, covariance, frame, log_losses
from isoloss.plan.power_arms import Pairs
from isoloss.plan.power_pilots import read_correlation
from isoloss.plan.recipes.fits import RecipeFit, cell_ids
from isoloss.plan.recipes.inputs import Place
from isoloss.plan.recipes.sets import TieSet
from isoloss.runs import Runs

ALIKE = 0.9
"""Share of the variance of bends that both recipes have in common."""
LEAST_NOISE = 1e-6
"""Losses computed from a formula have no noise; runs are never taken as better than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Noise of one run's log loss, and its correlation in twins, in numbers and words.

    ``fitted`` is what it counts as in the fit, whose objective may waste some of what runs tell;
    ``measured`` whether the correlation is that of the runs at hand.
    """

    one: float
    fitted: float
    correlation: float
    sentence: str
    measured: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Two recipes under one law with some parameters in common.

    Attributes
    ----------
    fitted, tie, weight
        The fit of both; which set of ties; how far it is believed there.
    arms
        The law at the values of A and of B, in the same units.
    shared
        Which parameters both have in common, (p,).
    labels
        Names of the wide coordinates, each with its recipe, 0 or 1, or ``None`` for both.
    goal
        Places of A and of B at the scale.
    prior
        Standard deviation of each wide coordinate before any run, (P,).
    case, belief
        Numbers for the search.
    logs, rows, effects
        Log losses of A and of B at the candidates, (m,), and their derivatives by wide coordinates
        and bends, (m, P) and (m, q).
    """

    fitted: RecipeFit
    tie: int
    weight: float
    arms: tuple[Frame, Frame]
    shared: npt.NDArray[np.bool_]
    labels: tuple[tuple[str, int | None], ...]
    goal: tuple[Mapping[str, float], Mapping[str, float]]
    prior: Array
    case: Case
    belief: Belief
    logs: tuple[Array, Array]
    rows: tuple[Array, Array]
    effects: tuple[Array, Array]


def stacked(pair: tuple[Runs, Runs], axes: Sequence[str]) -> Runs:
    """Put both tables into one, with the axes and the loss alone."""
    names = [*axes, "loss"]
    return Runs(columns={a: np.concatenate([t[a] for t in pair]) for a in names})


def noise_of_pair(
    pair: tuple[Runs, Runs], sets: Sequence[TieSet], twins: tuple[Pairs, Pairs], paired: float | str
) -> Noise:
    """Noise of one run, and how much of it twins share, around the fit that has most freedom."""
    heavy = max(sets, key=lambda s: s.heavy.theta.size).heavy
    base = heavy.recipe.base
    side = np.repeat([0, 1], [len(t) for t in pair])
    _, groups = np.unique(cell_ids(pair, base.axes) * 2 + side, return_inverse=True)
    one = seed_noise(heavy.residuals, groups, heavy.theta.size)
    taken = []
    for i, table in enumerate(pair):
        data = prepare(table, base)
        model = LocalModel.of(data, heavy.recipe.part(heavy.theta, i))
        taken.append(Taken(data, model, heavy.residuals[side == i], ()))
    r, text = read_correlation(paired, taken[0], taken[1], twins)
    one = max(one, LEAST_NOISE)
    wasted = math.sqrt(huber_loss(heavy.objective.delta / one))
    measured = isinstance(paired, str)
    return Noise(one=one, fitted=wasted * one, correlation=r, sentence=text, measured=measured)


def huber_loss(c: float) -> float:
    r"""Find by what factor Huber's threshold of c standard deviations widens variances.

    :math:`E\psi^2 / (E\psi')^2` under normal noise.

    References
    ----------
    Huber 1964, Annals of Mathematical Statistics 35:73.

    Examples
    --------
    >>> round(1 / huber_loss(1.345), 3), huber_loss(math.inf)
    (0.95, 1.0)
    """
    if c > 8:
        return 1.0
    from scipy.special import ndtr

    c = max(c, 0.05)
    inside = 2 * float(ndtr(c)) - 1
    density = math.exp(-0.5 * c**2) / math.sqrt(2 * math.pi)
    return (inside - 2 * c * density + c**2 * (1 - inside)) / inside**2


def join_arms(
    pair: tuple[Runs, Runs],
    sets: Sequence[TieSet],
    place: Place,
    scale: float,
    candidates: Mapping[str, Array],
    options: tuple[Indices, Indices],
    noise: Noise,
    twins: tuple[Pairs, Pairs],
    drift: float,
) -> list[Joint]:
    """Write every law of every set of ties as a linear model of both recipes.

    ``options`` are arms and places as in `isoloss.plan.next_arms_gain.Options`.

    Raises
    ------
    FitError
        ``NO_INTERIOR_OPTIMUM`` where no law has a best split at the scale.
    """
    alone: dict[str, tuple[Fit, Fit]] = {}
    found: list[Joint] = []
    for tie, s in enumerate(sets):
        for f, w in zip(s.fits, s.weights, strict=True):
            base = f.recipe.base
            if w <= 0:
                continue
            if base.name not in alone:
                a, b = (fit(t, base, draws=0) for t in pair)
                alone[base.name] = (a, b)
            one = _join(
                pair, f, alone[base.name], place, scale, candidates, options, noise, twins, drift,
                tie, float(w),
            )  # fmt: skip
            if one is not None:
                found.append(one)
    if {j.tie for j in found} != set(range(len(sets))):
        raise FitError(
            "NO_INTERIOR_OPTIMUM",
            f"no law has a best split at {place.resource} = {scale:.3g} for both recipes, so there "
            "is nothing to compare there; compare along one resource (--axis)",
        )
    total = [sum(j.weight for j in found if j.tie == t) for t in range(len(sets))]
    return [
        replace(j, weight=j.weight / total[j.tie], case=_weighted(j.case, total[j.tie]))
        for j in found
    ]


def _weighted(case: Case, total: float) -> Case:
    return replace(case, weight=case.weight / total)


def _join(
    pair: tuple[Runs, Runs],
    f: RecipeFit,
    alone: tuple[Fit, Fit],
    place: Place,
    scale: float,
    candidates: Mapping[str, Array],
    options: tuple[Indices, Indices],
    noise: Noise,
    twins: tuple[Pairs, Pairs],
    drift: float,
    tie: int,
    weight: float,
) -> Joint | None:
    base = f.recipe.base
    both = stacked(pair, base.axes)
    first, second = (
        frame(replace(alone[i], law=base, theta=f.recipe.part(f.theta, i)), both, rate=drift)
        for i in (0, 1)
    )
    arms = (first, second)
    shared = np.array([n in f.recipe.tied for n in base.names])
    goal = [_goal(arms[i], place, i, scale) for i in (0, 1)]
    if goal[0] is None or goal[1] is None:
        return None
    own = [_wide(arms[i], shared, {a: t[a] for a in base.axes}, i) for i, t in enumerate(pair)]
    aim = [
        _wide(arms[i], shared, {a: np.array([v]) for a, v in (goal[i] or {}).items()}, i)
        for i in (0, 1)
    ]
    new = [_wide(arms[i], shared, candidates, i) for i in (0, 1)]
    gap, g, phi = (np.asarray(u[0] - v[0]) for u, v in zip(*aim, strict=True))
    if not (np.isfinite(gap) and np.isfinite(g).all() and np.isfinite(phi).all()):
        return None
    X = np.vstack([own[0][1], own[1][1]]) / noise.fitted
    Y = np.vstack([own[0][2], own[1][2]]) / noise.fitted
    pairs = own[0][1][twins[0]].T @ own[1][1][twins[1]] * (noise.correlation / noise.fitted**2)
    prior = np.concatenate([first.prior[shared], first.prior[~shared], second.prior[~shared]])
    known = covariance(X, np.ones(len(X)), prior)
    case = Case(
        tie=tie,
        weight=weight,
        gap=float(gap),
        g=g,
        phi=phi,
        spread=np.concatenate(
            [math.sqrt(ALIKE) * first.bend, *(2 * [math.sqrt(1 - ALIKE) * first.bend])]
        ),
        rows=_blocks(new[0][1], new[1][1], options, noise),
        effects=_blocks(new[0][2], new[1][2], options, noise),
        correlation=noise.correlation,
    )
    labels: list[tuple[str, int | None]] = [(n, None) for n in np.array(base.names)[shared]]
    labels += [(n, i) for i in (0, 1) for n in np.array(base.names)[~shared]]
    return Joint(
        fitted=f,
        tie=tie,
        weight=weight,
        arms=arms,
        shared=shared,
        labels=tuple((str(n), i) for n, i in labels),
        goal=(goal[0], goal[1]),
        prior=prior,
        case=case,
        belief=Belief(known, pairs + pairs.T, known @ X.T @ Y),
        logs=(new[0][0], new[1][0]),
        rows=(new[0][1], new[1][1]),
        effects=(new[0][2], new[1][2]),
    )


def _goal(f: Frame, place: Place, side: int, scale: float) -> dict[str, float] | None:
    axes = f.fit.law.axes
    if len(axes) == 1:
        return {axes[0]: scale}
    split = best_split(f, scale, place.costs[side], {})
    return None if split is None else {a: float(split[3][a]) for a in axes}


def _wide(
    f: Frame, shared: npt.NDArray[np.bool_], x: Mapping[str, Array], side: int
) -> tuple[Array, Array, Array]:
    """Log losses of one recipe, with rows among the coordinates and bends of both."""
    logs, rows, bends = log_losses(f, x)
    common, own, q = int(shared.sum()), int((~shared).sum()), bends.shape[1]
    wide = np.zeros((len(rows), common + 2 * own))
    wide[:, :common] = rows[:, shared]
    start = common + side * own
    wide[:, start : start + own] = rows[:, ~shared]
    effects = np.zeros((len(rows), 3 * q))
    effects[:, :q] = bends
    effects[:, (1 + side) * q : (2 + side) * q] = bends
    return logs, wide, effects


def _blocks(a: Array, b: Array, options: tuple[Indices, Indices], noise: Noise) -> Array:
    """Rows of every option, (M, 2, ...)."""
    arm, place = options
    found = np.zeros((len(arm), 2, a.shape[1]))
    found[arm == 0, 0] = a[place[arm == 0]]
    found[arm == 1, 0] = b[place[arm == 1]]
    both = place[arm == 2]
    found[arm == 2, 0], found[arm == 2, 1] = a[both], b[both]
    return found / noise.fitted

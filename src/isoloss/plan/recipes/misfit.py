"""Whether the runs near a scale say something else than the laws do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

import numpy as np

from isoloss._core.arrays import Array
from isoloss.plan.reason import Reason
from isoloss.plan.recipes.answer import Band
from isoloss.plan.recipes.fits import RecipeFit
from isoloss.plan.recipes.inputs import Place
from isoloss.plan.recipes.scores import t_score
from isoloss.runs import Runs

_LEVEL = 0.01
"""Chance that runs which follow the law are said not to."""
_SPARE = 4
"""Runs beyond the terms of a polynomial that it needs."""
_RUNS_A_TERM = 3
_SHARE = 1 / 3
"""Of each recipe's runs, that count as near."""


def laws_miss(
    pair: tuple[Runs, Runs], fitted: RecipeFit, place: Place, C: float, losses: Array, gap: Band
) -> Reason | None:
    """Compare the gap under the laws with that of the runs near a scale.

    The residuals of each recipe's runs near C, fitted by a polynomial in the logarithms of the
    axes, correct its loss there. Laws that follow the runs leave nothing to correct.

    Parameters
    ----------
    losses
        Logarithms at C of both, (2,).
    gap
        Of the losses at C, (1,).
    """
    n = len(pair[0])
    residuals = (fitted.residuals[:n], fitted.residuals[n:])
    axes = fitted.recipe.base.axes
    off, error, freedom = np.zeros(2), np.zeros(2), []
    for i, path in enumerate(place.paths(fitted.recipe.base)):
        theta = fitted.recipe.part(fitted.theta[None], i)
        at = path.point(theta, C)
        near = _local(pair[i], axes, residuals[i], at)
        if near is None:
            return None
        off[i], error[i] = near[:2]
        freedom.append(near[2])
    moved = off[1] - off[0]
    if not abs(moved) > t_score(_LEVEL, min(freedom)) * float(np.hypot(*error)):
        return None
    seen = float(np.exp(losses[0] - off[0]) - np.exp(losses[1] - off[1]))
    if gap.low[0] <= seen <= gap.high[0]:
        return None
    return Reason(
        code="LAWS_MISS",
        message=f"at {place.resource} = {C:.3g} the runs depart from the laws by more than noise, "
        f"and than the interval of the loss gap holds, {gap.low[0]:.3g} to {gap.high[0]:.3g}: no "
        "verdict. Leave out runs that go another way, often the smallest (--where), or take "
        "other laws",
    )


def _local(
    runs: Runs,
    axes: Sequence[str],
    residuals: Array,
    at: Mapping[str, float],
) -> tuple[float, float, int] | None:
    """Residual at a point by the runs nearest to it, its error and degrees of freedom."""
    away = np.sum([np.log(runs[a] / at[a]) ** 2 for a in axes], axis=0)
    order = np.argsort(away, kind="stable")
    for degree in (3, 2, 1) if len(axes) == 1 else (2, 1):
        terms = [t for d in range(degree + 1) for t in combinations_with_replacement(axes, d)]
        size = len(terms)
        near = order[: max(_RUNS_A_TERM * size, int(_SHARE * len(order)))]
        if len(near) < size + _SPARE:
            continue
        middle = {a: float(np.log(runs[a][near]).mean()) for a in axes}
        x = {a: np.log(runs[a][near]) - middle[a] for a in axes}
        here = {a: np.log([at[a]]) - middle[a] for a in axes}
        design, row = (
            np.stack([np.prod([v[a] for a in t] or [np.ones_like(v[axes[0]])], axis=0)
                      for t in terms], axis=-1)
            for v in (x, here)
        )  # fmt: skip
        if np.linalg.matrix_rank(design) < size:
            continue
        solved, *_ = np.linalg.lstsq(design, residuals[near], rcond=None)
        freedom = len(near) - size
        left = residuals[near] - design @ solved
        pull = np.linalg.pinv(design.T @ design)
        error = np.sqrt(float(left @ left) / freedom * float(row[0] @ pull @ row[0]))
        return float(row[0] @ solved), float(error), freedom
    return None


__all__ = ["laws_miss"]

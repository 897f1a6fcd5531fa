"""Losses and multipliers of two recipes at scales, from fits of each law of a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.plan.recipes.fits import RecipeFit
from isoloss.plan.recipes.paths import Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Log losses and log multipliers at scales, (m,) for the best fit, (B, m) for draws.

    ``lost`` is the share of draws without a curve.
    """

    C: Array
    best: tuple[Array, Array, Array]
    draws: tuple[Array, Array, Array]
    lost: float


def law_curves(fitted: RecipeFit, paths: tuple[Path, Path], C: Array) -> Curves:
    """Follow both recipes under one law."""
    best = _follow(fitted, paths, fitted.theta[None], C)
    draws = _follow(fitted, paths, fitted.draws, C)
    usable = np.isfinite(draws[0] + draws[1]) & ~np.isnan(draws[2])
    good = np.asarray(usable.all(axis=1))
    return Curves(
        C=C,
        best=(best[0][0], best[1][0], best[2][0]),
        draws=(draws[0][good], draws[1][good], draws[2][good]),
        lost=1 - float(good.mean()) if len(good) else 1.0,
    )


def _follow(
    fitted: RecipeFit, paths: tuple[Path, Path], theta: Array, C: Array
) -> tuple[Array, Array, Array]:
    first, second = (fitted.recipe.part(theta, i) for i in (0, 1))
    with np.errstate(all="ignore"):
        a, b = paths[0].loss(first, C), paths[1].loss(second, C)
        needed = paths[1].compute(second, a, C)
        return np.log(a), np.log(b), np.log(C) - np.log(needed)


def mixed(curves: Sequence[Curves], weights: Array) -> Curves:
    """Mixture over laws: draws of each in proportion to its weight, logs of the best averaged."""
    most = max(len(c.draws[0]) for c in curves)
    counts = np.minimum(np.round(weights * most).astype(int), [len(c.draws[0]) for c in curves])

    def draw(i: int) -> Array:
        return np.concatenate([c.draws[i][:k] for c, k in zip(curves, counts, strict=True)])

    used = weights > 0

    def mean(i: int) -> Array:
        rows = [w * c.best[i] for c, w, u in zip(curves, weights, used, strict=True) if u]
        return np.asarray(np.sum(rows, axis=0))

    return Curves(
        C=curves[0].C,
        best=(mean(0), mean(1), mean(2)),
        draws=(draw(0), draw(1), draw(2)),
        lost=float(np.sum(weights * [c.lost for c in curves])),
    )

"""Principal components of a matrix of benchmark scores, some of which are missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array

_STEPS, _TOLERANCE = 2000, 1e-10
SHARE, MOST = 0.95, 3
"""By default as few components as explain this share of the variance, at most so many."""

SCALES = ("raw", "logit")
_CLIP = 0.02


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Capabilities:
    """What few numbers say of many scores.

    Attributes
    ----------
    values
        Capabilities of each model, (n, q).
    loadings
        Of each benchmark, standardised, on each capability, (b, q): orthonormal columns.
    explained
        Share of the variance that each component explains, (q,).
    filled
        The scores, with what was missing as the components have it, (n, b).
    converged
        Whether filling came to rest.
    """

    values: Array
    loadings: Array
    explained: Array
    filled: Array
    converged: bool


def find_capabilities(scores: Array, components: int | None = None) -> Capabilities:
    r"""Components of scores (n, b), NaN where missing.

    Columns are centred and brought to a standard deviation of one. Missing scores start at their
    column's mean and are replaced by what the first q components give, :math:`\hat B = S V^T`,
    until nothing moves: least squares over the scores that are known.

    Without a number of components q grows until they explain `SHARE` of the variance.

    References
    ----------
    Ruan, Maddison, Hashimoto 2024, arXiv:2405.10938, section 3.
    """
    if components is not None:
        return _fill(scores, components)
    most = min(MOST, scores.shape[1] - 1, len(scores) - 1)
    for q in range(1, most + 1):
        found = _fill(scores, q)
        if found.explained.sum() >= SHARE:
            break
    return found


def _fill(scores: Array, q: int) -> Capabilities:
    gaps = np.isnan(scores)
    filled = np.where(gaps, np.nanmean(scores, axis=0), scores)
    converged = not gaps.any()
    for _ in range(_STEPS):
        mean, spread = filled.mean(axis=0), filled.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        u, size, turned = np.linalg.svd((filled - mean) / spread, full_matrices=False)
        if converged:
            break
        fresh = np.where(gaps, mean + spread * ((u[:, :q] * size[:q]) @ turned[:q]), scores)
        converged = bool(np.max(np.abs(fresh - filled) / spread) < _TOLERANCE)
        filled = fresh
    loadings = turned[:q].T
    # One sign whatever the order of rows and columns: the heaviest benchmark counts upwards.
    heaviest = np.argmax(np.abs(loadings).round(9), axis=0)
    sign = np.sign(loadings.sum(axis=0))
    sign = np.where(np.abs(loadings.sum(axis=0)) > 1e-6, sign,
                    np.sign(loadings[heaviest, np.arange(q)]))  # fmt: skip
    return Capabilities(
        values=u[:, :q] * size[:q] * sign, loadings=loadings * sign,
        explained=size[:q] ** 2 / np.sum(size**2), filled=filled, converged=converged,
    )  # fmt: skip


def rescale(scores: Array, chance: float, scale: str) -> Array:
    r"""Put accuracies on a scale: raw, or :math:`\ln p/(1-p)` of :math:`p = (s - c)/(1 - c)`.

    Scores that run into their ceiling, or start from chance, are bent in log compute; logits are
    less so, but are mostly noise near chance: p is kept within 2 % of either end.

    Examples
    --------
    >>> rescale(np.array([0.25, 0.625, np.nan]), 0.25, "logit").round(3).tolist()
    [-3.892, 0.0, nan]
    """
    if scale == "raw":
        return scores
    p = np.clip((scores - chance) / (1 - chance), _CLIP, 1 - _CLIP)
    return np.asarray(np.log(p / (1 - p)))

"""Many fits of one law in few batches: below every cut, with several weightings and objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.engine import minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective
from isoloss.fit.prepare import Prepared
from isoloss.fit.splits import best_sizes, splits_compute
from isoloss.fit.starts import find_starts

RUNS_A_PARAMETER = 2
"""Weights must leave at least this many effective runs for each parameter."""
STEPS = 40
"""Forecasts hardly move after this many steps, also where a flat valley goes on for ever."""


@dataclass(frozen=True, slots=True, eq=False)
class CutFits:
    """What the fits of one law and objective below every cut say; NaN where there is none.

    Attributes
    ----------
    predicted
        Losses of all runs, (emphases, cuts, n).
    spreads
        Standard error of the mean log prediction above each cut, (emphases, cuts).
    splits, split_spreads
        Logarithm of the best size at the compute of the largest runs, and its standard error,
        (emphases, cuts); NaN also for laws that do not speak of both N and D.
    """

    predicted: Array
    spreads: Array
    splits: Array
    split_spreads: Array


def effective_runs(weights: Array) -> Array:
    r"""Kish's effective number of runs, :math:`(\sum w)^2 / \sum w^2`, over the last axis."""
    return np.asarray(np.sum(weights, axis=-1) ** 2 / np.sum(weights**2, axis=-1))


def fit_cuts(
    data: Prepared,
    objectives: Sequence[Objective],
    train: Array,
    scale: Array,
    emphases: Sequence[float],
) -> list[CutFits]:
    """Fit below every cut, and predict all runs and the best split of the largest.

    Starts are sought for the first objective with equal weights. Its answers are the starts of
    the other weightings, and of the other objectives.

    Parameters
    ----------
    train
        1 for runs below each cut, 0 above, (cuts, n).
    scale
        Of the runs, (n,), in the order of ``data``.
    emphases
        Powers of scale; the first is 0.

    Returns
    -------
    list of CutFits
        One an objective.
    """
    weights = train * data.weights
    found = []
    q: Array | None = None
    for objective in objectives:
        kernel = Kernel(data.law, data.x, data.loss, objective)
        if q is None:
            starts = [find_starts(kernel, row, keep=3) for row in weights]
            owner = np.repeat(np.arange(len(weights)), [len(s) for s in starts])
            q = _best(kernel, np.concatenate(starts), owner, weights)
        else:
            q = _best(kernel, q, np.arange(len(q)), weights)
        found.append(_lean(kernel, q, weights, scale, emphases))
    return found


def _lean(
    kernel: Kernel, q: Array, weights: Array, scale: Array, emphases: Sequence[float]
) -> CutFits:
    """Weight the runs by powers of scale, and predict."""
    cuts, n = weights.shape
    powers = np.array(emphases)[:, None, None]
    leaning = (weights * (scale / scale.max()) ** powers).reshape(-1, n)
    enough = effective_runs(leaning) >= RUNS_A_PARAMETER * kernel.p
    leans = np.repeat(powers.ravel() > 0, cuts)
    all_q = np.tile(q, (len(emphases), 1))
    use = np.flatnonzero(leans & enough & np.isfinite(all_q[:, 0]))
    if use.size:
        all_q[use] = _best(kernel, all_q[use], np.arange(len(use)), leaning[use])
    predicted = np.full((len(all_q), n), np.nan)
    spreads, splits, split_spreads = np.full((3, len(all_q)), np.nan)
    usable = np.flatnonzero(np.isfinite(all_q[:, 0]) & (enough | ~leans))
    if usable.size:
        losses = kernel.predict(all_q[usable])
        # In the engine's units: in some unit of the loss a parameter may overflow.
        scaled = np.exp(losses) if kernel.objective.log else losses
        predicted[usable] = scaled * kernel.scales["L"]
        above = weights[usable % cuts] == 0
        use_q, use_w = all_q[usable], leaning[usable]
        jac = kernel.jacobian(use_q, slice(0, kernel.n))
        mean = _mean_slopes(kernel, jac, above)
        spreads[usable] = standard_errors(kernel, jac, use_w, losses, mean)
        if splits_compute(kernel.law):
            splits[usable], slopes = best_sizes(kernel, use_q, scale)
            split_spreads[usable] = standard_errors(kernel, jac, use_w, losses, slopes)
    # Where too few runs would be left, the fit leans as far as it can.
    for i in range(cuts, len(all_q)):
        if not enough[i]:
            for found in (predicted, spreads, splits, split_spreads):
                found[i] = found[i - cuts]
    return CutFits(
        predicted.reshape(-1, cuts, n),
        spreads.reshape(-1, cuts),
        splits.reshape(-1, cuts),
        split_spreads.reshape(-1, cuts),
    )


def _best(kernel: Kernel, starts: Array, owner: npt.NDArray[np.int64], weights: Array) -> Array:
    """Optimum of each row of weights, the best over its starts; NaN without a finite start."""
    q = np.full((len(weights), kernel.p), np.nan)
    ready = np.flatnonzero(np.isfinite(starts).all(axis=1))
    if not ready.size:
        return q
    owner = owner[ready]
    solved = minimise(
        kernel,
        starts[ready],
        weights=(weights / np.mean(weights, axis=1, keepdims=True))[owner],
        max_iterations=STEPS,
        tolerance=1e-13,
    )
    for i in np.unique(owner):
        mine = np.flatnonzero(owner == i)
        best = mine[int(np.argmin(solved.value[mine]))]
        if np.isfinite(solved.value[best]):
            q[i] = solved.q[best]
    return q


def _mean_slopes(kernel: Kernel, jac: Array, above: npt.NDArray[np.bool_]) -> Array:
    """Differentiate the mean log prediction over the runs above by the parameters, (B, p)."""
    share = above / np.sum(above, axis=1, keepdims=True)
    if not kernel.objective.log:
        share = share / np.sum(share * kernel.y, axis=1, keepdims=True)
    return np.asarray((jac @ share[:, :, None])[:, :, 0])


def standard_errors(
    kernel: Kernel, jac: Array, weights: Array, predicted: Array, slopes: Array
) -> Array:
    r"""Estimate the standard error of a function of the parameters of each fit, (B,).

    With J the derivatives of the predictions, W the weights and :math:`\sigma` the noise, the
    covariance of the parameters is :math:`\sigma^2 H^{-1} J^T W^2 J H^{-1}`, :math:`H = J^T W J`.

    Parameters
    ----------
    jac, weights, predicted
        Derivatives of the predictions by internal coordinates, (B, p, n), weights of the runs
        and predictions, (B, n).
    slopes
        Derivatives of the function, (B, p).
    """
    weighted = jac * weights[:, None]
    information = weighted @ jac.transpose(0, 2, 1)
    fine = np.isfinite(information).all(axis=(1, 2))
    information[~fine] = np.eye(kernel.p)
    inverse = np.linalg.pinv(information, rcond=1e-12, hermitian=True)
    lever = np.einsum("bp,bpq,bqn->bn", slopes, inverse, weighted, optimize=True)
    size = np.where(weights > 0, np.abs(predicted - kernel.y), np.nan)
    count = np.sum(weights > 0, axis=1)
    noise = 1.4826 * np.nanmedian(size, axis=1)
    noise = noise * np.sqrt(count / np.maximum(count - kernel.p, 1))
    return np.where(fine, noise * np.sqrt(np.sum(lever**2, axis=1)), np.nan)

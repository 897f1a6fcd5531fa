"""Many fits of one law in few batches: below every cut, with several weightings and objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.engine import minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective
from isoloss.fit.prepare import Prepared
from isoloss.fit.starts import find_starts

RUNS_A_PARAMETER = 2
"""Weights must leave at least this many effective runs for each parameter."""
STEPS = 40
"""Forecasts hardly move after this many steps, also where a flat valley goes on for ever."""


def effective_runs(weights: Array) -> Array:
    r"""Kish's effective number of runs, :math:`(\sum w)^2 / \sum w^2`, over the last axis."""
    return np.asarray(np.sum(weights, axis=-1) ** 2 / np.sum(weights**2, axis=-1))


def fit_cuts(
    data: Prepared,
    objectives: Sequence[Objective],
    train: Array,
    scale: Array,
    emphases: Sequence[float],
) -> list[tuple[Array, Array]]:
    """Fit below every cut, and predict all runs.

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
    list of (predictions, spreads)
        For each objective, (emphases, cuts, n) and (emphases, cuts).
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
) -> tuple[Array, Array]:
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
    spreads = np.full(len(all_q), np.nan)
    usable = np.flatnonzero(np.isfinite(all_q[:, 0]) & (enough | ~leans))
    if usable.size:
        losses = kernel.predict(all_q[usable])
        # In the engine's units: in some unit of the loss a parameter may overflow.
        scaled = np.exp(losses) if kernel.objective.log else losses
        predicted[usable] = scaled * kernel.scales["L"]
        above = weights[usable % cuts] == 0
        spreads[usable] = _spreads(kernel, all_q[usable], leaning[usable], above, losses)
    # Where too few runs would be left, the fit leans as far as it can.
    for i in range(cuts, len(all_q)):
        if not enough[i]:
            predicted[i], spreads[i] = predicted[i - cuts], spreads[i - cuts]
    return predicted.reshape(-1, cuts, n), spreads.reshape(-1, cuts)


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


def _spreads(
    kernel: Kernel, q: Array, weights: Array, above: npt.NDArray[np.bool_], predicted: Array
) -> Array:
    r"""Estimate the standard error of the mean log prediction over the runs above, (B,).

    With J the derivatives of the predictions, W the weights and :math:`\sigma` the noise, the
    covariance of the parameters is :math:`\sigma^2 H^{-1} J^T W^2 J H^{-1}`, :math:`H = J^T W J`.
    """
    jac = kernel.jacobian(q, slice(0, kernel.n))
    weighted = jac * weights[:, None]
    information = weighted @ jac.transpose(0, 2, 1)
    fine = np.isfinite(information).all(axis=(1, 2))
    information[~fine] = np.eye(kernel.p)
    inverse = np.linalg.pinv(information, rcond=1e-12, hermitian=True)
    share = above / np.sum(above, axis=1, keepdims=True)
    if not kernel.objective.log:
        share = share / np.sum(share * kernel.y, axis=1, keepdims=True)
    mean = (jac @ share[:, :, None])[:, :, 0]
    lever = np.einsum("bp,bpq,bqn->bn", mean, inverse, weighted, optimize=True)
    size = np.where(weights > 0, np.abs(predicted - kernel.y), np.nan)
    count = np.sum(weights > 0, axis=1)
    noise = 1.4826 * np.nanmedian(size, axis=1)
    noise = noise * np.sqrt(count / np.maximum(count - kernel.p, 1))
    return np.where(fine, noise * np.sqrt(np.sum(lever**2, axis=1)), np.nan)

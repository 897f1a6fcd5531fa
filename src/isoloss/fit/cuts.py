"""Many fits of one law in few batches: below every cut, with several weightings and objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.approach import WIDE, settle
from isoloss.fit.engine import minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective, Objectives
from isoloss.fit.prepare import Prepared
from isoloss.fit.projection import median
from isoloss.fit.starts import find_starts_for

RUNS_A_PARAMETER = 2
"""Weights must leave at least this many effective runs for each parameter."""
STARTS = 3
"""Starts tried below each cut."""
APPROACH = 12
"""Steps towards a relaxed optimum."""
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
    """

    predicted: Array
    spreads: Array


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
    """Fit below every cut, and predict all runs.

    Starts are sought with equal weights and brought near a minimum of a robust objective that
    suits all of the others. From the best of each cut, equal weights and the other weightings
    alike, all weightings and objectives go on as one batch.

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
    cuts, n = weights.shape
    powers = np.array(emphases)[:, None, None]
    leaning = (weights * (scale / scale.max()) ** powers).reshape(-1, n)
    kernels = [Kernel(data.law, data.x, data.loss, goal) for goal in objectives]
    enough = effective_runs(leaning) >= RUNS_A_PARAMETER * kernels[0].p
    enough |= np.repeat(powers.ravel() == 0, cuts)
    found: list[CutFits | None] = [None] * len(kernels)
    for log in dict.fromkeys(k.objective.log for k in kernels):
        which = [i for i, k in enumerate(kernels) if k.objective.log == log]
        goals = [kernels[i].objective for i in which]
        solved = _solve(kernels[which[0]], goals, leaning, cuts, np.flatnonzero(enough))
        for i, q in zip(which, solved, strict=True):
            found[i] = _predict(kernels[i], q, leaning, cuts)
    return [f for f in found if f is not None]


def _solve(
    kernel: Kernel,
    goals: Sequence[Objective],
    weights: Array,
    cuts: int,
    use: npt.NDArray[np.int64],
) -> Array:
    """Optima for each objective and row of weights, (objectives, rows, p); NaN where not found.

    Parameters
    ----------
    weights
        Those of each cut with equal weights, then those of each cut with the next emphasis, ...
    use
        Rows that are wanted.
    """
    rows = len(weights)
    q = np.full((len(goals), rows, kernel.p), np.nan)
    weights = weights / np.mean(weights, axis=1, keepdims=True)
    starts = find_starts_for(kernel, list(weights[:cuts]), keep=STARTS)
    owner = np.repeat(np.arange(cuts), [len(s) for s in starts])
    begin = np.concatenate(starts)
    if not len(begin):
        return q
    near, value, typical = settle(kernel, begin, weights[owner], APPROACH)
    best = np.full((rows, kernel.p), np.nan)
    size = np.full(rows, np.nan)
    for i in np.unique(owner):
        mine = np.flatnonzero(owner == i)
        first = mine[int(np.argmin(value[mine]))]
        if np.isfinite(value[first]):
            best[i::cuts], size[i::cuts] = near[first], typical[first]
    use = use[np.isfinite(best[use, 0])]
    begin = np.repeat(best[None], len(goals), axis=0)
    for over in dict.fromkeys(g.over for g in goals):
        # Where the law is drawn to the lower envelope, equal weights have another optimum too.
        lean = use[use >= cuts] if over == 1.0 else use
        alike = [i for i, g in enumerate(goals) if g.over == over]
        if lean.size:
            goal = Objectives.of([Objective(delta=np.inf, over=over)], np.zeros_like(lean))
            goal = replace(goal, delta=WIDE * size[lean, None])
            begin[np.array(alike)[:, None], lean] = settle(
                kernel, best[lean], weights[lean], APPROACH, goal
            )[0]
    solved = minimise(
        kernel,
        begin[:, use].reshape(-1, kernel.p),
        weights=np.tile(weights[use], (len(goals), 1)),
        goal=Objectives.of(goals, np.repeat(np.arange(len(goals)), len(use))),
        max_iterations=STEPS,
    )
    fine = np.isfinite(solved.value).reshape(len(goals), -1)
    ends = solved.q.reshape(len(goals), -1, kernel.p)
    q[:, use] = np.where(fine[:, :, None], ends, np.nan)
    return q


def _predict(kernel: Kernel, q: Array, weights: Array, cuts: int) -> CutFits:
    """Predict all runs, with standard errors of the mean above each cut."""
    n = kernel.n
    predicted = np.full((len(q), n), np.nan)
    spreads = np.full(len(q), np.nan)
    usable = np.flatnonzero(np.isfinite(q[:, 0]))
    if usable.size:
        use_q, use_w = q[usable], weights[usable]
        losses = kernel.predict(use_q)
        # In the engine's units: in some unit of the loss a parameter may overflow.
        scaled = np.exp(losses) if kernel.objective.log else losses
        predicted[usable] = scaled * kernel.scales["L"]
        above = use_w == 0
        jac = kernel.jacobian(use_q, slice(0, n))
        mean = _mean_slopes(kernel, jac, above)
        spreads[usable] = standard_errors(kernel, jac, use_w, losses, mean)
    # Where too few runs would be left, the fit leans as far as it can.
    for i in range(cuts, len(q)):
        if np.isnan(q[i, 0]):
            predicted[i], spreads[i] = predicted[i - cuts], spreads[i - cuts]
    return CutFits(predicted.reshape(-1, cuts, n), spreads.reshape(-1, cuts))


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
    used = weights > 0
    count = np.count_nonzero(used, axis=1)
    noise = 1.4826 * median(np.abs(predicted - kernel.y), used)
    noise = noise * np.sqrt(count / np.maximum(count - kernel.p, 1))
    return np.where(fine, noise * np.sqrt(np.sum(lever**2, axis=1)), np.nan)

r"""By how much runs would reduce the variance of a goal, before they are made.

Under law k the goal G and the log loss y of a candidate are jointly normal to first order, so a run
there with noise s takes

.. math:: \frac{(g_k^T \Sigma_k j_k)^2}{s^2 + j_k^T \Sigma_k j_k}

off the variance :math:`g_k^T \Sigma_k g_k`. Other laws l of the set predict another loss there, by
:math:`\delta_{kl}`; fitted to what law k makes, they move towards it and lose weight:

.. math::
   \gamma_{kl} \to \gamma_{kl} - \frac{c_l\,\delta_{kl}}{s_l^2}, \qquad
   w_{l|k} \propto w_l\, e^{-T_{kl}}, \qquad
   T_{kl} \to T_{kl} + \frac{\delta_{kl}^2}{2 s_l^2}

with :math:`\gamma_{kl}` the difference of their goals, :math:`c_l = g_l^T \Sigma_l j_l` and
:math:`s_l^2 = s^2 + j_l^T \Sigma_l j_l`. The expected square error of the weighted set is

.. math:: Q = \sum_k w_k \Bigl[ V_k + \sum_b R_b^2 \gamma_{kb}^2
   + \bigl(\sum_l w_{l|k} \gamma_{kl}\bigr)^2 \Bigr] .

Bends b of standard deviation :math:`R_b` lead the fit astray as a rival's data would: the error
:math:`\gamma_{kb}` of the goal a unit of bend moves like :math:`\gamma_{kl}`, with
:math:`\delta_{kb}` what the fit leaves of the bend's effect at the candidate. So a run may also do
harm: one with much leverage where laws bend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array

Indices = npt.NDArray[np.int64]

_TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Laws:
    """The laws of a set at the candidates.

    Attributes
    ----------
    weights
        (K,), summing to one.
    logs
        Log losses, (K, m).
    slopes
        Their derivatives by each law's coordinates, K arrays of shape (m, P_k).
    goals
        Values of the goal and its companion, (K, 2); NaN where a law has none.
    goal_slopes
        Their derivatives, K arrays of shape (2, P_k).
    bends, goal_bends
        Effects of bends there, K arrays of shapes (m, q) and (2, q).
    spread
        Standard deviations of the bends, K arrays of shape (q,).
    noise
        Standard deviation of a run at each candidate, (m,).
    cost
        (m,).
    """

    weights: Array
    logs: Array
    slopes: Sequence[Array]
    goals: Array
    goal_slopes: Sequence[Array]
    bends: Sequence[Array]
    goal_bends: Sequence[Array]
    spread: Sequence[Array]
    noise: Array
    cost: Array


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is expected to be known after some runs.

    Attributes
    ----------
    covariance
        Of each law's coordinates.
    drag
        By how much a unit of each bend moves the fit of its law, (P_k, q).
    shift
        By how much law l moves where law k is true, ``shift[k][l]``, (P_l,).
    evidence
        Expected log likelihood ratio for k against l where k is true, (K, K).
    """

    covariance: tuple[Array, ...]
    drag: tuple[Array, ...]
    shift: tuple[tuple[Array, ...], ...]
    evidence: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """What is wanted of a batch.

    Attributes
    ----------
    companion
        Weight of the companion's log variance beside the goal's.
    worst
        Weight of the worst law beside the mean of the laws.
    """

    companion: float = 0.5
    worst: float = 0.25


def start(covariances: Sequence[Array], drag: Sequence[Array]) -> State:
    """Begin from the covariance that the runs at hand leave, and how bends move the fits."""
    zeros = tuple(np.zeros(len(c)) for c in covariances)
    k = len(covariances)
    shift = tuple(zeros for _ in range(k))
    return State(tuple(covariances), tuple(drag), shift, np.zeros((k, k)))


def risks(laws: Laws, state: State) -> Array:
    """Expect square errors of goal and companion under each law, (2, K)."""
    variance = np.array(
        [
            np.einsum("gp,pq,gq->g", g, c, g) + np.sum(((b - g @ d) * s) ** 2, axis=1)
            for g, c, b, d, s in zip(
                laws.goal_slopes,
                state.covariance,
                laws.goal_bends,
                state.drag,
                laws.spread,
                strict=True,
            )
        ]
    )
    return _together(
        laws, variance.T[..., None], _gaps(laws, state)[..., None], state.evidence[..., None]
    )[..., 0]


def _gaps(laws: Laws, state: State) -> Array:
    """Difference of law l's goals from law k's, (2, K, K)."""
    k = len(laws.weights)
    gaps = np.empty((2, k, k))
    for i in range(k):
        for j in range(k):
            moved = laws.goals[j] + laws.goal_slopes[j] @ state.shift[i][j]
            gaps[:, i, j] = moved - laws.goals[i]
    return gaps


def _together(laws: Laws, variance: Array, gaps: Array, evidence: Array) -> Array:
    """Variance, (2, K, m), gaps, (2, K, K, m), and evidence, (K, K, m), to errors, (2, K, m)."""
    shares = laws.weights[None, :, None] * np.exp(-(evidence - evidence.min(axis=1, keepdims=True)))
    known = np.isfinite(gaps)
    each = shares[None] * known
    total = np.sum(each, axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        miss = np.sum(each * np.where(known, gaps, 0.0), axis=2) / total
    return np.where(np.isfinite(variance), variance + miss**2, np.nan)


def risks_with(laws: Laws, state: State, at: Indices) -> Array:
    """Expect square errors after one more run at each of some candidates, (2, K, len(at))."""
    count, m = len(laws.weights), len(at)
    variance = np.empty((2, count, m))
    pulls, spreads = [], []
    for k, (g, c, j) in enumerate(
        zip(laws.goal_slopes, state.covariance, laws.slopes, strict=True)
    ):
        rows = j[at]
        moved = rows @ c
        spread = laws.noise[at] ** 2 + np.einsum("mp,mp->m", moved, rows)
        pull = g @ moved.T
        variance[:, k] = np.einsum("gp,pq,gq->g", g, c, g)[:, None] - pull**2 / spread
        variance[:, k] = np.maximum(variance[:, k], 0.0)
        for b, size in enumerate(laws.spread[k]):
            drag = state.drag[k][:, b]
            left = laws.bends[k][at, b] - rows @ drag
            astray = (laws.goal_bends[k][:, b] - g @ drag)[:, None] - pull * left / spread
            variance[:, k] += (size * astray) ** 2
        pulls.append(pull)
        spreads.append(spread)
    gaps = np.repeat(_gaps(laws, state)[..., None], m, axis=-1)
    evidence = np.repeat(state.evidence[..., None], m, axis=-1)
    for i in range(count):
        for k in range(count):
            if i == k:
                continue
            delta = laws.logs[k, at] + laws.slopes[k][at] @ state.shift[i][k] - laws.logs[i, at]
            gaps[:, i, k] -= pulls[k] * delta / spreads[k]
            evidence[i, k] += 0.5 * delta**2 / spreads[k]
    return _together(laws, variance, gaps, evidence)


def after(laws: Laws, state: State, i: int) -> State:
    """Expect a run at candidate i."""
    return _moved(laws, state, i, 1.0)


def without(laws: Laws, state: State, i: int) -> State:
    """Take back a run at candidate i: the same run with a variance below zero."""
    return _moved(laws, state, i, -1.0)


def _moved(laws: Laws, state: State, i: int, sign: float) -> State:
    count = len(laws.weights)
    noise = sign * float(laws.noise[i]) ** 2
    pulls = [c @ j[i] for c, j in zip(state.covariance, laws.slopes, strict=True)]
    spread = [noise + float(j[i] @ v) for v, j in zip(pulls, laws.slopes, strict=True)]
    covariance = tuple(
        c - np.outer(v, v) / s for c, v, s in zip(state.covariance, pulls, spread, strict=True)
    )
    drag = tuple(
        d + np.outer(v, b[i] - j[i] @ d) / s
        for d, v, b, j, s in zip(state.drag, pulls, laws.bends, laws.slopes, spread, strict=True)
    )
    # Evidence is counted between what was expected before the run and its outcome.
    wide = spread if sign > 0 else [noise**2 / -s for s in spread]
    shift = [list(row) for row in state.shift]
    evidence = state.evidence.copy()
    for k in range(count):
        for other in range(count):
            if k == other:
                continue
            rival = laws.logs[other, i] + laws.slopes[other][i] @ state.shift[k][other]
            delta = float(rival - laws.logs[k, i])
            shift[k][other] = shift[k][other] - pulls[other] * delta / spread[other]
            if sign < 0:
                delta *= noise / spread[other]
            evidence[k, other] += sign * 0.5 * delta**2 / wide[other]
    return State(covariance, drag, tuple(tuple(row) for row in shift), evidence)


def mean_risk(laws: Laws, errors: Array) -> Array:
    """Average over the laws that have a say, (2, ...); errors are (2, K, ...)."""
    weights = laws.weights.reshape((1, -1) + (1,) * (errors.ndim - 2))
    known = np.isfinite(errors)
    with np.errstate(invalid="ignore"):
        total = np.sum(weights * known, axis=1)
        return np.asarray(np.sum(weights * np.where(known, errors, 0.0), axis=1) / total)


def merit(laws: Laws, errors: Array, first: Array, taste: Taste) -> Array:
    """How bad errors, (2, K, ...), are beside the first ones, (2, K): 0 for alike, less is better.

    The logarithm of the mean error over that of the first, mixed with the worst law's own, of the
    goal and, by its weight, of the companion.
    """
    reference = first.reshape(first.shape + (1,) * (errors.ndim - 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.log(np.maximum(mean_risk(laws, errors), _TINY))
        mean = mean - np.log(np.maximum(mean_risk(laws, reference), _TINY))
        each = np.log(np.maximum(errors, _TINY)) - np.log(np.maximum(reference, _TINY))
        worst = np.max(np.where(np.isfinite(each), each, -np.inf), axis=1)
    both = (1 - taste.worst) * mean + taste.worst * np.where(np.isfinite(worst), worst, mean)
    value = both[0]
    if taste.companion > 0 and np.isfinite(mean_risk(laws, first)[1]):
        value = value + taste.companion * both[1]
    return np.asarray(value)


def follow(laws: Laws, begin: State, chosen: Sequence[int]) -> State:
    """Expect several runs."""
    state = begin
    for i in chosen:
        state = after(laws, state, i)
    return state


def value(laws: Laws, begin: State, chosen: Sequence[int], taste: Taste) -> float:
    """Merit of a batch."""
    first = risks(laws, begin)
    return float(merit(laws, risks(laws, follow(laws, begin, chosen)), first, taste))

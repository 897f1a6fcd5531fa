"""The student itself: the perceptron of largest margin, by an interior point method."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from isoloss._core.arrays import Array

_ROUNDS = 60
_GAP, _DRIFT = 1e-9, 1e-6
"""Duality gap and length of ``w - X^T lam`` accepted, over ``|w|^2`` and ``|w|``. Past that,
rounding in a matrix whose weights span twenty decades undoes the gain."""
_BACK = 0.995
"""Share of the way to the border that a step takes."""
_LIFTS = (0.0, 1e-14, 1e-12, 1e-10)
"""What is added to the diagonal, as parts of its largest entry, until it can be factored."""


Solver = Callable[[Array], Array]


class Separator(NamedTuple):
    """Weights of the perceptron with ``X w >= 1`` of least length; its margin is ``1/|w|``.

    ``multipliers`` belong to the examples: those above zero are the support vectors.
    """

    weights: Array
    multipliers: Array
    slack: Array
    rounds: int
    converged: bool

    @property
    def support(self) -> int:
        """Number of support vectors: multipliers that beat their slack."""
        return int(np.count_nonzero(self.multipliers > self.slack))


def separate(X: Array) -> Separator:
    """Minimise ``|w|^2/2`` subject to ``X w >= 1``, rows of X being inputs times labels, (P, N).

    Mehrotra's predictor and corrector: each round solves two systems with one matrix, of the size
    of inputs or, as weights are sums of examples, of these if they are fewer.

    Examples
    --------
    >>> found = separate(np.array([[1.0, 1.0], [1.0, -0.5], [3.0, 1.0]]))
    >>> (found.weights.round(6) + 0.0).tolist(), found.support
    ([1.0, 0.0], 2)
    """
    if X.shape[0] < X.shape[1]:
        basis, coordinates = np.linalg.qr(X.T)
        found = separate(np.ascontiguousarray(coordinates.T))
        return found._replace(weights=basis @ found.weights)
    P = X.shape[0]
    w = X.mean(axis=0)
    field = X @ w
    w /= max(float(np.abs(field).mean()), 1e-300)
    field = X @ w
    slack = np.maximum(field - 1, 1.0)
    lam = np.ones(P)
    rounds = 0
    for rounds in range(1, _ROUNDS + 1):
        short, drift = field - 1 - slack, w - lam @ X
        gap = float(lam @ slack)
        size = float(w @ w)
        if (
            gap <= _GAP * size
            and np.abs(short).max() <= 1e-9
            and float(drift @ drift) <= _DRIFT**2 * size
        ):
            return Separator(w, lam, slack, rounds - 1, True)
        solve = _factor(X, lam / slack)
        # Where the step without centring would go says how much to centre.
        ahead, _, more, gain = _step(X, solve, -lam * slack, short, drift, lam, slack)
        reach = _reach(slack, more), _reach(lam, gain)
        left = float((slack + reach[0] * more) @ (lam + reach[1] * gain))
        centre = (left / gap) ** 3 * gap / P
        ahead, move, more, gain = _step(
            X, solve, centre - lam * slack - more * gain, short, drift, lam, slack
        )
        primal, dual = (min(1.0, _BACK * _reach(v, d)) for v, d in ((slack, more), (lam, gain)))
        w, field, slack = w + primal * ahead, field + primal * move, slack + primal * more
        lam = lam + dual * gain
    return Separator(w, lam, slack, rounds, False)


def _factor(X: Array, weight: Array) -> Solver:
    """Solver of ``(1 + X^T D X) v = b``."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve
    from scipy.linalg.blas import dsyrk

    scaled = (X * np.sqrt(weight)[:, None]).T
    for lift in _LIFTS:
        matrix = dsyrk(1.0, scaled)
        diagonal = matrix.diagonal()
        # Weights of support vectors grow until the one is lost beside them.
        matrix.flat[:: matrix.shape[0] + 1] += 1.0 + lift * float(diagonal.max())
        try:
            held = cho_factor(matrix, lower=False, overwrite_a=True, check_finite=False)
            break
        except LinAlgError:
            if lift == _LIFTS[-1]:
                raise
    return lambda b: np.asarray(cho_solve(held, b, check_finite=False))


def _step(
    X: Array, solve: Solver, target: Array, short: Array, drift: Array, lam: Array, slack: Array
) -> tuple[Array, Array, Array, Array]:
    """Newton's step to ``lam slack`` equal to a target: of w, X w, slack and lam."""
    ahead = solve(((target - lam * short) / slack) @ X - drift)
    move = X @ ahead
    more = move + short
    return ahead, move, more, (target - lam * more) / slack


def _reach(values: Array, move: Array) -> float:
    """Largest step, up to one, that keeps values above zero."""
    falling = move < 0
    if not falling.any():
        return 1.0
    return min(1.0, float((-values[falling] / move[falling]).min()))

r"""The error of a max-margin perceptron that learns from random examples of another one.

Inputs are standard normal in many dimensions, labels the sign of a teacher, and there are a
examples a dimension. With k the ratio of the student's component along the teacher to the rest,
:math:`\cot(\pi\epsilon)`, and t its margin over that rest,

.. math::

    \frac{k\,t}{1 + k^2}\,\langle (t - k u - g)_+ \rangle
    = \langle u\,(t - k u - g)_+ \rangle, \qquad
    a\,\langle (t - k u - g)_+^2 \rangle = 1,

with g normal and u the absolute value of a normal variable. The error is one half less
:math:`\sqrt{2a/\pi}/\pi` at first and :math:`C_0/a` in the end, a power series in the root of a at
both. So the logarithm of :math:`\epsilon\,(2 + a/C_0)` is smooth in a ratio of that root, and zero
at both ends. It is held as one polynomial, made when first asked for.

References
----------
Sorscher, Geirhos, Shekhar, Ganguli and Morcos 2022, arXiv:2206.14486, appendix A, with nothing
pruned; `isoloss.theory.pruned_perceptron` solves the same for any share kept.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from isoloss.errors import FitError
from isoloss.laws.chebyshev import Array, Table, nodes
from isoloss.laws.expression import Node, add, call, exp, log, mul, sub
from isoloss.laws.expression import const as number

C0 = 0.5004889318
"""Error times examples a dimension in the end."""
TURN = 1.0
"""Root of a at the middle of the table."""
SIZE = 64
ORDERS = 3
OPERATIONS = {f"margin{o}": (o,) for o in range(ORDERS + 1)}
_NODES = 24
_FAR = 9.0
_CLOSE = 1e-12


def margin(w: Any, *, orders: tuple[int, ...] = (0,)) -> Any:
    """Log of the error times ``2 + a/C0``, or a derivative of it, at a root of a over all."""
    return _table()(w, 0.5, 0.5, orders=(*orders, 0, 0))


@lru_cache(maxsize=1)
def _table() -> Table:
    w = nodes(SIZE)
    a = (TURN * w / (1 - w)) ** 2
    values = np.log(random_error(a)) + np.log(2 + a / C0)
    return Table(values[:, None, None])


def excess(ratio: Node) -> Node:
    """Build the error at examples a dimension."""
    half = mul(number(0.5), log(ratio))
    w = call("logistic", half)
    # Beyond the range of numbers a product of the two would be zero times infinity.
    both = call("log_logistic", sub(number(math.log(2 * C0)), log(ratio)))
    return exp(sub(add(call("margin0", w), both), number(math.log(2))))


def random_error(a: Array) -> Array:
    """Solve both equations for the error at examples a dimension, (n,)."""
    a = np.asarray(a, dtype=np.float64)
    # In logarithms, from the nearer of the two limits.
    k = np.where(a < 2, np.sqrt(2 * a / np.pi), a / (np.pi * C0))
    t = np.where(a < 2, 1 / np.sqrt(a), 0.64)
    at = np.log(np.stack([k, t]))
    for _ in range(100):
        miss, slope = _equations(a, np.exp(at[0]), np.exp(at[1]))
        step = -np.linalg.solve(slope, miss[..., None])[..., 0].T
        step /= np.maximum(1.0, 2 * np.abs(step).max(axis=0))
        at = at + step
        if np.abs(step).max() < _CLOSE:
            return np.asarray(np.arctan(np.exp(-at[0])) / np.pi)
    raise FitError("NO_SADDLE_POINT", "the errors of random examples were not solved")


def _equations(a: Array, k: Array, t: Array) -> tuple[Array, Array]:
    """Logarithms of both sides apart, (n, 2), and slopes by those of k and t, (n, 2, 2)."""
    from scipy.special import ndtr

    x, weight = np.polynomial.legendre.leggauss(_NODES)
    ends = np.minimum((t + _FAR) / k, _FAR)
    # A field of length one across u, which is as wide as one over k.
    cuts = np.stack([0 * t, *((t + m) / k for m in (-6.0, -2.0, 2.0)), 2.0 + 0 * t, ends], axis=-1)
    cuts = np.sort(np.clip(cuts, 0.0, ends[:, None]), axis=-1)
    wide = np.diff(cuts, axis=-1)[..., None] / 2
    u = (cuts[:, :-1, None] + wide * (1 + x)).reshape(len(a), -1)
    mass = (wide * weight).reshape(u.shape) * np.exp(-(u**2) / 2) * math.sqrt(2 / math.pi)
    gap = t[:, None] - k[:, None] * u
    falls = ndtr(gap)
    first = gap * falls + np.exp(-(gap**2) / 2) / math.sqrt(2 * math.pi)
    second = gap * first + falls

    def mean(values: Array) -> Array:
        return np.asarray(np.sum(mass * values, axis=-1))

    p0, p1, p2 = (mean(falls * u**m) for m in range(3))
    m0, m1, both = mean(first), mean(first * u), mean(second)
    miss = np.stack([np.log(k * t / (1 + k * k) * m0 / m1), np.log(a * both)], axis=-1)
    slope = np.empty((len(a), 2, 2))
    slope[:, 0, 0] = (1 - k * k) / (1 + k * k) + k * (p2 / m1 - p1 / m0)
    slope[:, 0, 1] = 1 + t * (p0 / m0 - p1 / m1)
    slope[:, 1, 0] = -2 * k * m1 / both
    slope[:, 1, 1] = 2 * t * m0 / both
    return miss, slope

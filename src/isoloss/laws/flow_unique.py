r"""The excess loss of random features along gradient flow on T examples, seen over and over.

As `isoloss.laws.flow`, with gradients of the mean over T samples. The loss is a double inverse
transform of a function of two complex ridges s and s', each with its own kappa,

.. math::

    s = \kappa \Bigl(1 - \frac zN\Bigr)\Bigl(1 - \frac zT\Bigr), \quad
    k = \kappa \Bigl(1 - \frac zN\Bigr), \qquad
    \frac{(k' S - k S')/(k' - k)}{1 - (k' z' - k z)/(T (k' - k))}.

With powers for z and S, and in units where 1/N + 1/T is one, it depends on time, on the share f of
1/T in that sum, on b and on beta. Where f is one half and time endless it is infinite: the peak of
double descent. Time is held where the slowest mode of endless data has decayed by ``exp(-END)``;
beyond, the loss is at its end, but for f near one half, where the peak stays at that height. The
polynomial that holds it is off by 3e-9 in the median, by 1e-6 at most, next to the peak.

References
----------
Bordelon, Atanasov and Pehlevan 2024, arXiv:2402.01092; the same for sums over modes is in
`isoloss.theory.gradient_flow`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from isoloss.laws.chebyshev import Array, Table, nodes, resampled
from isoloss.laws.expression import MINUS_ONE, Node, add, call, exp, log, mul
from isoloss.laws.expression import const as number
from isoloss.laws.flow import (
    contour,
    exponents,
    joined,
    log_y,
    operations,
    ratio_of,
    scaled_time,
    shared,
    shift,
)

END = 50.0
"""Log of the decay of the slowest mode of endless data at which time is held."""
SIZES = (52, 40, 18, 11)
OPERATIONS = operations("overfit", 4)
_LOSS = 1e-8
"""Products of the first two directions that hold less are left out."""
_NODES = 16
"""Of Talbot's contour; nine digits."""
_LATER = 1.6
"""By how much beta shifts times at most: exp(0.4228), as beta goes to zero."""
_FOLD = 4.0
"""How much closer places are at the peak than at the ends of f."""


def overfit(*arguments: Any, orders: tuple[int, ...] = (0, 0, 0, 0)) -> Any:
    """Log of the loss times w^(beta b), or a derivative of it.

    Arguments as of `isoloss.laws.flow.flow`, but the second is the share of 1/T, folded.
    """
    return _table()(*arguments, orders=orders)


@lru_cache(maxsize=1)
def _table() -> Table:
    w, u, y, z = (nodes(n) for n in SIZES)
    b, beta = exponents(y, z)
    few = 0.5 + np.tan(math.atan(_FOLD) * (2 * u - 1)) / (2 * _FOLD)
    values = np.empty(SIZES)
    for i, rank in enumerate(b):
        # At times that do not shift with beta, contours are the same for every beta.
        wide = ratio_of(w, rank, _LATER * END)
        found = two_time(rank * np.log(wide)[:, None], 1 / rank, few, beta)
        logs = np.log(found) + beta * rank * np.log(wide / (rank + wide))[:, None, None]
        last = ratio_of(np.ones(1), rank, _LATER * END)
        for j, p in enumerate(beta):
            v = ratio_of(w, rank, END) * np.exp(-shift(p[None]) / (p * rank))
            place = v / (rank + v)
            smooth = resampled(logs[:, :, j], place * (rank + last) / last)
            values[:, :, i, j] = smooth + p * rank * np.log(w / place)[:, None]
    return Table(values, loss=_LOSS)


def two_time(log_tau: Array, mu: float, few: Array, beta: Array) -> Array:
    """Loss in units where 1/N + 1/T is one, (times, shares, betas).

    Times are twice those of the flow. The numerator is linear in S and S', so all betas share what
    is summed over pairs of nodes.
    """
    log_tau, few = np.broadcast_arrays(log_tau + math.log(0.5), few)
    s, weight = contour(_NODES)
    mus = np.full(few.shape, mu)
    y = np.stack(log_y(s, log_tau, mus, few))
    z, many = np.exp(-mu * y), 1 - few
    k = np.exp(y) * (1 - many * z)
    slope = (1 - many * z) / (1 - many * (1 - mu) * z)
    z = few * z
    found = np.zeros((*few.shape, len(beta)))
    both_k, both_z = (np.concatenate([v, v.conj()]) for v in (k, z))
    both_w = np.concatenate([weight, weight.conj()])
    for i in range(len(s)):
        total = np.zeros(few.shape, dtype=np.complex128)
        for j in range(len(both_w)):
            if j != i:
                gap = both_k[j] - k[i] - (both_k[j] * both_z[j] - k[i] * z[i])
                total += both_w[j] * both_k[j] / gap
        own = weight[i] ** 2 / (1 - z[i] * (1 - mu * slope[i]))
        plain, bent = 2 * weight[i] * total + own, own * slope[i]
        factor = plain[..., None] - bent[..., None] * beta
        found += 2 * (factor * np.exp(beta * y[i][..., None])).real
    return found


def excess(size: Node, time: Node, unique: Node, b: Node, beta: Node) -> Node:
    """Build the loss with limits as in `isoloss.laws.flow.excess`.

    ``unique`` is the loss that as many features as there are examples would end at.
    """
    # The end of 1/N + 1/T in place of 1/N, and the share of 1/T in it.
    high, gap = joined(log(size), log(unique), mul(b, beta))
    few = call("logistic", mul(MINUS_ONE, gap))
    share, base = scaled_time(high, time, b, beta, END)
    inner = mul(number(_FOLD), add(mul(number(2.0), few), MINUS_ONE))
    fold = add(mul(number(0.5 / math.atan(_FOLD)), call("atan", inner)), number(0.5))
    return exp(add(base, call("overfit0000", share, fold, *shared(b, beta))))

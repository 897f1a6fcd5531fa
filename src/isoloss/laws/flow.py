r"""The excess loss of random features along gradient flow on endless data.

Latent features have variances :math:`i^{-b}`, the target has power :math:`i^{-a}` on them; a model
of N random mixtures of them descends the gradient of its population loss for a time t. Its loss is
a single inverse Laplace transform,

.. math::

    L(t) = \frac{1}{2\pi i}\int e^{2st}\,S(\kappa)\,\frac{ds}{s}, \qquad
    s = \kappa\Bigl(1 - \frac{z(\kappa)}{N}\Bigr), \qquad
    S = \sum_i \frac{i^{-a}\kappa}{i^{-b} + \kappa}.

With endlessly many latent features whose ranks are taken as continuous, z goes as
:math:`\kappa^{-\mu}` and S as :math:`\kappa^{\beta}`, with :math:`\mu = 1/b` and
:math:`\beta = (a-1)/b`; both sums exist for b > 1 and 0 < beta < 1. In units of kappa at the end
of training the loss over that of the end is a function of one scaled time,

.. math::

    \Phi(\tau) = \frac{1}{2\pi i}\int e^{\sigma\tau}\,y^\beta\,\frac{d\sigma}{\sigma}, \qquad
    \sigma = y - y^{1-\mu},

one at its end and :math:`\tau^{-\beta}/\Gamma(1-\beta)` at its start, where it is that power times
a series in :math:`v = \tau^\mu` that converges everywhere. At the end it decays faster than any
power. So the logarithm of :math:`\Phi\,w^{\beta b}`, with w a ratio of v that is one where nothing
is left to learn, is smooth in w, log b and log(1 - beta) together. It is held as one polynomial,
made when first asked for; the loss is off by less than 1e-9 of itself.

References
----------
Bordelon, Atanasov and Pehlevan 2024, arXiv:2402.01092, gradient flow with P infinite, where the two
times of their solution meet in their sum; `isoloss.theory.gradient_flow` is the same for sums.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import LawError
from isoloss.laws.chebyshev import Array, Table, nodes
from isoloss.laws.expression import (
    MINUS_ONE,
    ONE,
    Node,
    add,
    call,
    exp,
    log,
    mul,
    power,
    sub,
)
from isoloss.laws.expression import const as number

ComplexArray = npt.NDArray[np.complex128]
B_MOST, BETA_MOST = 8.0, 0.9
"""The table ends here; b begins at one and beta at zero."""
ORDERS = 3
"""Derivatives of the table that exist as operations."""
SIZES = (40, 22, 14)
END = 25.0
"""Log of how far the loss has come to its end where the table takes it as reached."""
_NODES = 32
_REFINE = 5
"""Newton's steps from each node of the contour to the next; they leave residuals of rounding."""


def operations(name: str, arguments: int) -> dict[str, tuple[int, ...]]:
    """Names of a table's operations, and the orders of derivative that they are."""
    every = np.ndindex((ORDERS + 1,) * arguments)
    return {name + "".join(map(str, o)): o for o in every if sum(o) <= ORDERS}


OPERATIONS = operations("flow", 3)


def flow(*arguments: Any, orders: tuple[int, ...] = (0, 0, 0)) -> Any:
    r"""Log of :math:`\Phi w^{\beta b}` over beta, or a derivative of it.

    Arguments are w, log b over that of the largest b, and log(1 - beta) over that of the largest
    beta.
    """
    return _table()(*arguments, orders=orders)


@lru_cache(maxsize=1)
def _table() -> Table:
    w, y, z = np.meshgrid(*(nodes(n) for n in SIZES), indexing="ij")
    b, beta = exponents(y, z)
    log_tau = b * np.log(ratio_of(w, b, END)) - shift(beta) / beta
    return Table(np.log(crossover(log_tau, 1 / b, beta)) / beta + b * np.log(w))


def exponents(y: Array, z: Array) -> tuple[Array, Array]:
    """Find the b and the beta that two arguments of a table stand for."""
    return np.exp(math.log(B_MOST) * y), -np.expm1(math.log1p(-BETA_MOST) * z)


def shift(beta: Array) -> Array:
    """Log of gamma(2 - beta): the time limit over ``tau^-beta (1 - beta)``, inverted."""
    return np.reshape([math.lgamma(2 - p) for p in beta.flat], beta.shape)


def ratio_of(w: Array, b: Array, end: float) -> Array:
    """Find the v that w stands for: w is v/(b + v) over what that is at the last v.

    The last v is a bound on what the slowest mode of endless data needs to decay by ``exp(-end)``.
    """
    last = np.exp((math.log(end) + 1 - 0.5 / b + np.log(b)) / b)
    return np.asarray(b * w * last / (b + last * (1 - w)))


def crossover(log_tau: Any, mu: Any, beta: Any) -> Array:
    """Phi above, by Talbot's contour; arrays of one shape."""
    log_tau, mu, beta = (np.asarray(v, dtype=np.float64) for v in (log_tau, mu, beta))
    s, weight = contour(_NODES)
    found = np.zeros(log_tau.shape)
    for y, w in zip(log_y(s, log_tau, mu, np.zeros_like(mu)), weight, strict=True):
        found += 2 * (w * np.exp(beta * y)).real
    return found


def contour(count: int) -> tuple[ComplexArray, ComplexArray]:
    """Nodes above the axis at time one, and weights that hold the exponential.

    References
    ----------
    Trefethen, Weideman and Schmelzer 2006, BIT 46, 653: the cotangent contour and its constants.
    """
    theta = (np.arange(count // 2) + 0.5) * 2 * np.pi / count
    w = 0.6407 * theta
    s = count * (-0.6122 + 0.5017 * theta / np.tan(w) + 0.2645j * theta)
    slope = 0.5017 / np.tan(w) - 0.5017 * w / np.sin(w) ** 2 + 0.2645j
    return s, slope / (1j * s) * np.exp(s)


def log_y(s: ComplexArray, log_tau: Array, mu: Array, few: Array) -> list[ComplexArray]:
    r"""Solve :math:`y (1 - (1-f) y^{-\mu}) (1 - f y^{-\mu}) = s/\tau` for log y at each node s.

    ``few`` is f. The nodes follow each other around the contour, and so do the solutions; the
    first comes from the real axis. Where s is nothing y is the larger of f and 1 - f, to the
    power b; log y is found from there.
    """
    top = np.maximum(few, 1 - few)
    side, least = np.minimum(few, 1 - few) / top, np.log(top) / mu

    def ahead(y: Any, goal: Any) -> Any:
        """Newton's step on the logarithm of the equation."""
        gap = -np.expm1(-mu * y)
        other = 1 - side * (1 - gap)
        slope = 1 + mu * (1 - gap) * (1 / gap + side / other)
        return (goal - y - np.log(gap * other)) / slope

    goal = np.log(np.abs(s[0])) - log_tau - least
    y: Any = np.where(goal > 0, goal, np.log1p(np.exp(np.minimum(goal, 0.0))))
    # Concave and increasing in log y: steps from below do not overshoot.
    for _ in range(60):
        step = ahead(y, goal)
        y = np.maximum(y + step, y / 8)
        if not np.max(np.abs(step)) > 1e-6:
            break
    found = []
    for node in s:
        goal = np.log(node) - log_tau - least
        for _ in range(_REFINE):
            y = y + ahead(y, goal)
        found.append(y + least)
    return found


def excess(size: Node, time: Node, b: Node, beta: Node) -> Node:
    """Build the loss whose limits are ``size``, after endless time, and ``time``, without end."""
    share, base = scaled_time(log(size), time, b, beta, END)
    return exp(add(base, mul(beta, call("flow000", share, *shared(b, beta)))))


def shared(b: Node, beta: Node) -> tuple[Node, Node]:
    """Build the two arguments of a table that are parameters alone."""
    y = mul(number(1 / math.log(B_MOST)), log(b))
    return y, mul(number(1 / math.log1p(-BETA_MOST)), log(sub(ONE, beta)))


def scaled_time(high: Node, time: Node, b: Node, beta: Node, end: float) -> tuple[Node, Node]:
    """Build w and the logarithm of the loss at the end over ``w^(beta b)``, of which it is high.

    v to the power beta b is the ratio of the limits times 1 - beta.
    """
    alpha = mul(b, beta)
    low = add(sub(log(time), log(sub(ONE, beta))), mul(alpha, log(b)))
    both, gap = joined(high, low, alpha)
    last = sub(number(math.log(end) + 1), mul(number(0.5), power(b, MINUS_ONE)))
    last = sub(mul(add(last, log(b)), power(b, MINUS_ONE)), log(b))
    top = call("log_logistic", last)
    share = call("min", exp(sub(call("log_logistic", gap), top)), ONE)
    return share, call("max", high, add(both, mul(alpha, top)))


def joined(first: Node, second: Node, alpha: Node) -> tuple[Node, Node]:
    """Build ``alpha log(exp(first/alpha) + exp(second/alpha))`` and the gap over alpha.

    The larger and a bounded rest stand for both, so that either may be without end.
    """
    gap = mul(sub(first, second), power(alpha, MINUS_ONE))
    less = call("log_logistic", call("max", gap, mul(MINUS_ONE, gap)))
    return sub(call("max", first, second), mul(alpha, less)), gap


def slope(node: Node, d: list[Node], orders: tuple[int, ...]) -> Node:
    """Differentiate a table."""
    if sum(orders) == ORDERS:
        raise LawError(f"no derivative is known for {node.op!r}")
    name, total = node.op[: -len(orders)], number(0.0)
    for i, change in enumerate(d):
        more = "".join(str(order + (i == j)) for j, order in enumerate(orders))
        total = add(total, mul(change, call(name + more, *node.args)))
    return total

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
made when first asked for.

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
from isoloss.laws.chebyshev import Table
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

B_MOST, BETA_MOST = 8.0, 0.9
"""The table ends here; b begins at one and beta at zero."""
ORDERS = 3
"""Derivatives of the table that exist as operations."""
OPERATIONS = {
    "flow" + "".join(map(str, orders)): orders
    for orders in np.ndindex((ORDERS + 1,) * 3)
    if sum(orders) <= ORDERS
}
"""Operations and the orders of derivative that they are."""
SIZES = (40, 22, 14)
_END = 25.0
"""Log of how far the loss has come to its end where the table takes it as reached."""
_NODES = 32
_TURNS = 12


def flow_table(x: Any, y: Any, z: Any, *, orders: tuple[int, ...] = (0, 0, 0)) -> Any:
    r"""Log of :math:`\Phi w^{\beta b}` over beta, or a derivative of it.

    Arguments are w, log b over that of the largest b, and log(1 - beta) over that of the largest
    beta.
    """
    return _table()(x, y, z, orders)


@lru_cache(maxsize=1)
def _table() -> Table:
    def function(w: Any, y: Any, z: Any) -> Any:
        b, rest = np.exp(math.log(B_MOST) * y), np.exp(math.log1p(-BETA_MOST) * z)
        beta, width, last = 1 - rest, b, _last(b)
        v = w * last / (width + last * (1 - w)) * width
        shift = np.reshape([math.lgamma(1 + r) for r in rest.flat], rest.shape)
        tau = b * np.log(v) - shift / beta
        return np.log(crossover(tau, 1 / b, beta)) / beta + b * np.log(w)

    return Table(function, SIZES)


def _last(b: Any) -> Any:
    """Largest v of the table: a multiple of the time that the slowest mode takes."""
    return np.exp((math.log(_END) + 1 - 0.5 / b + np.log(b)) / b)


def crossover(log_tau: Any, mu: Any, beta: Any) -> Any:
    """Phi above, by Talbot's contour; arrays of one shape."""
    log_tau, mu, beta = (np.asarray(v, dtype=np.float64) for v in (log_tau, mu, beta))
    s, weight = _contour()
    y = _log_y(np.log(s) - log_tau[..., None], mu[..., None])
    return 2 * np.sum((np.exp(beta[..., None] * y) * weight).real, axis=-1)


def _contour() -> tuple[Any, Any]:
    """Nodes above the axis at time one, and weights that hold the exponential.

    References
    ----------
    Trefethen, Weideman and Schmelzer 2006, BIT 46, 653: the cotangent contour and its constants.
    """
    theta = (np.arange(_NODES // 2) + 0.5) * 2 * np.pi / _NODES
    w = 0.6407 * theta
    s = _NODES * (-0.6122 + 0.5017 * theta / np.tan(w) + 0.2645j * theta)
    slope = 0.5017 / np.tan(w) - 0.5017 * w / np.sin(w) ** 2 + 0.2645j
    return s, slope / (1j * s) * np.exp(s)


def _log_y(log_s: npt.NDArray[np.complex128], mu: Any) -> Any:
    """Solve ``y - y^(1 - mu) = s`` for log y, from |s| on the real axis to its angle."""
    goal = log_s.real
    # Concave and increasing in log y: steps from below do not overshoot.
    y: Any = np.maximum(goal, 0.0)
    y = np.where(goal > 0, y, np.log1p(np.exp(np.minimum(goal, 0.0))))
    for _ in range(60):
        gap = -np.expm1(-mu * y)
        step = (goal - y - np.log(gap)) / (1 + mu * (1 - gap) / gap)
        y = np.maximum(y + step, y / 8)
        if not np.max(np.abs(step)) > 1e-6:
            break
    y = y + 0j
    for turn in range(_TURNS + 5):
        angle = min((turn + 1) / _TURNS, 1.0) * log_s.imag
        gap = -np.expm1(-mu * y)
        step = goal + 1j * angle - y - np.log(gap)
        y = y + step / (1 + mu * (1 - gap) / gap)
    return y


def excess(size: Node, time: Node, b: Node, beta: Node) -> Node:
    """Build the loss whose limits are ``size``, after endless time, and ``time``, without end.

    The table's w is v/(q + v) over its value at the last v, where v^(beta b) is the ratio of the
    limits times 1 - beta and q = b. The larger of two exponentials and a bounded rest stand for
    both, so that either may vanish.
    """
    alpha, rest = mul(b, beta), sub(ONE, beta)
    high = log(size)
    low = add(sub(log(time), log(rest)), mul(alpha, log(b)))
    gap = mul(sub(high, low), power(alpha, MINUS_ONE))
    half = mul(number(-0.5), power(b, MINUS_ONE))
    last = add(add(number(math.log(_END) + 1), half), log(b))
    last = sub(mul(last, power(b, MINUS_ONE)), log(b))
    end = call("log_logistic", last)
    # Log of (q + v) over that of the larger of the two.
    far = call("max", gap, mul(MINUS_ONE, gap))
    more = mul(MINUS_ONE, call("log_logistic", far))
    sum_ = add(add(call("max", high, low), mul(alpha, more)), mul(alpha, end))
    share = call("min", exp(sub(call("log_logistic", gap), end)), ONE)
    y = mul(number(1 / math.log(B_MOST)), log(b))
    z = mul(number(1 / math.log1p(-BETA_MOST)), log(rest))
    height = mul(beta, call("flow000", share, y, z))
    return exp(add(call("max", high, sum_), height))


def slope(node: Node, d: list[Node]) -> Node:
    """Differentiate the table."""
    orders = OPERATIONS[node.op]
    if sum(orders) == ORDERS:
        raise LawError(f"no derivative is known for {node.op!r}")
    total = number(0.0)
    for i, change in enumerate(d):
        more = "".join(str(order + (i == j)) for j, order in enumerate(orders))
        total = add(total, mul(change, call(f"flow{more}", *node.args)))
    return total

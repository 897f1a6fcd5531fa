r"""The risk of a linear model with noisy labels along gradient flow, for any size, time and data.

Inputs are white, M features on D samples. With c = M/D, tau the time and :math:`\mu` the law of
Marchenko and Pastur, the share of the target that is not learned and the noise that is are

.. math::

    K = \int \mu(dl)\, e^{-2 l \tau} + (1 - 1/c)_+, \qquad
    V = c \int \mu(dl)\, \frac{(1 - e^{-l\tau})^2}{l} .

Samples and features change places with :math:`V(c, \tau) = V(1/c, c\tau)` and
:math:`K(c, \tau) = 1 - 1/c + K(1/c, c\tau)/c`, so c up to one is enough. There, with
:math:`\delta = 1 - \sqrt c`, the logarithms of :math:`K e^{2\delta^2\tau}` and of V over what it is
at first are smooth in the logarithms of :math:`1 + \sqrt\tau` and of
:math:`1 + \delta\sqrt\tau`: near c = 1 nothing depends on more. Each is held as a polynomial, made
when first asked for. Time is held at `LATEST`, in units of one over the variance; the end is
reached before, but for :math:`\delta` below some hundredths, where the peak stays finite.

References
----------
arXiv:2409.05782 for the equivalence of size and time; `isoloss.theory.scale_time` is the same at
any time.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from isoloss.laws.chebyshev import Array, Table, nodes
from isoloss.laws.expression import MINUS_ONE, ONE, Node, add, call, exp, log, mul, power, sub
from isoloss.laws.expression import const as number
from isoloss.laws.flow import operations

LATEST = 1e5
"""Time at which the tables end."""
SIZES = (96, 56)
_EARLIEST = 1e-26
"""Before this nothing has happened, and no quotient of the arguments is zero over zero."""
_PANELS = np.append(0.0, np.pi * 2.0 ** -np.arange(24.0)[::-1])
_NODES = 16
_LOSS = 1e-9
_GONE, _SHARP = 10.0, 5
"""Of gap times root of time, where nothing of the signal is left; and how abruptly that begins."""


def unlearned(x: Any, y: Any, *, orders: tuple[int, ...] = (0, 0)) -> Any:
    """Log of the target's share that is left, over its last decay; or a derivative of it."""
    return _tables()[0](x, y, 0.5, 0.5, orders=(*orders, 0, 0))


def misfit(x: Any, y: Any, *, orders: tuple[int, ...] = (0, 0)) -> Any:
    """Log of the noise that is learned, over ``c (tau/(1 + tau))^2``; or a derivative of it."""
    return _tables()[1](x, y, 0.5, 0.5, orders=(*orders, 0, 0))


@lru_cache(maxsize=1)
def _tables() -> tuple[Table, Table]:
    x, y = np.meshgrid(*(nodes(n) for n in SIZES), indexing="ij")
    root = np.expm1(x * math.log1p(math.sqrt(LATEST)))
    found = []
    for i, most in enumerate((root / (1 + (root / _GONE) ** _SHARP) ** (1 / _SHARP), root)):
        gap = np.expm1(y * np.log1p(most)) / root
        found.append(Table(np.log(integrals(gap, root**2)[i])[..., None, None], loss=_LOSS))
    return found[0], found[1]


def integrals(gap: Array, tau: Array) -> tuple[Array, Array]:
    """Both integrals as they are held, at ``gap = 1 - sqrt(c)`` between zero and one."""
    t, weight = np.polynomial.legendre.leggauss(_NODES)
    half = np.diff(_PANELS)[:, None] / 2
    angle = (_PANELS[:-1, None] + half * (1 + t)).ravel()
    mass = (half * weight).ravel() * np.sin(angle) ** 2 * (2 / np.pi)
    left, learned = np.zeros(gap.shape), np.zeros(gap.shape)
    # l = gap^2 + 4 sqrt(c) sin^2(angle/2), and all integrals are of positive functions.
    for m, s in zip(mass, 4 * np.sin(angle / 2) ** 2, strict=True):
        beyond = (1 - gap) * s
        rate = gap**2 + beyond
        left += m / rate * np.exp(-2 * beyond * tau)
        learned += m * (np.expm1(-rate * tau) / (rate * tau)) ** 2
    return left, learned * (1 + tau) ** 2


def _places(c: Node, tau: Node) -> tuple[Node, Node, Node, Node]:
    """Build c below one, the log of its root of time, the gap, and x, the first argument."""
    high = call("max", log(c), mul(MINUS_ONE, log(c)))
    time = add(log(tau), call("max", log(c), number(0.0)))
    time = call("max", call("min", time, number(math.log(LATEST))), number(math.log(_EARLIEST)))
    half = mul(number(0.5), time)
    gap = mul(MINUS_ONE, call("expm1", mul(number(-0.5), high)))
    x = mul(number(1 / math.log1p(math.sqrt(LATEST))), call("log1p", exp(half)))
    return exp(mul(MINUS_ONE, high)), half, gap, x


def _second(gap: Node, half: Node, most: Node) -> Node:
    inside = mul(call("log1p", mul(gap, exp(half))), power(call("log1p", exp(most)), MINUS_ONE))
    return call("min", inside, ONE)


def signal_left(c: Node, tau: Node) -> Node:
    """Build the share of the target that is not learned."""
    _, half, gap, x = _places(c, tau)
    bend = call("log_logistic", mul(number(-_SHARP), sub(half, number(math.log(_GONE)))))
    y = _second(gap, half, add(half, mul(number(1 / _SHARP), bend)))
    done = mul(gap, exp(half))
    part = exp(add(call("unlearned00", x, y), mul(number(-2.0), mul(done, done))))
    # Of features that no sample reaches nothing is learned.
    reach = exp(mul(MINUS_ONE, call("max", log(c), number(0.0))))
    return add(sub(ONE, reach), mul(reach, part))


def noise_learned(c: Node, tau: Node) -> Node:
    """Build the noise that is learned, over its variance."""
    less, half, gap, x = _places(c, tau)
    start = mul(number(2.0), call("log_logistic", mul(number(2.0), half)))
    y = _second(gap, half, half)
    return mul(less, exp(add(call("misfit00", x, y), start)))


TABLES = ((unlearned, operations("unlearned", 2)), (misfit, operations("misfit", 2)))
"""What to call, and the operations that it is."""
OPERATIONS = {name: orders for _, names in TABLES for name, orders in names.items()}

r"""The excess loss of random features at the best ridge, with finitely many latent features.

Ranks x = i/M of M latent features with variances :math:`x^{-b}`, b = 1 + alpha, in units of that
of the last; n = M/N and d = M/T for N random features and T examples. Everything follows from

.. math::

    \zeta(\kappa) = \int_0^1 \frac{dx}{1 + \kappa x^b} = p + S, \quad p = \frac{1}{1+\kappa}, \qquad
    \chi = -\frac{d\zeta}{d\ln\kappa} = \frac{S}{b}, \qquad
    \psi = \chi + \frac{d\chi}{d\ln\kappa}

With a = 1 - n zeta, c = 1 - d zeta, the excess at a ridge that gives kappa is

.. math::

    \frac{\kappa\chi + s d\,[(\zeta-\chi) a + n\zeta\chi]}{a c + \chi (n c + d a)}

where s is the variance of the labels' noise in units of what one loses at kappa, and its derivative
in ln kappa is, over the square of that denominator,

.. math::

    F = \kappa\,(\psi a c - 2 n d \chi^3) - s d\,[\psi a^2 + 2 n \chi^2 (a + n\chi)],

of which the best kappa is the root. The loss there is a formula in kappa and the four arguments;
as it is stationary in kappa, its first derivatives are those at fixed kappa, and the second ones
need ``dkappa = -dF/F_kappa`` alone. Both are taken on the graph, to any order that `rank` has.

References
----------
The moments of ridge regression on random features are those of Maloney, Roberts and Sully 2022,
arXiv:2210.16859, for a spectrum with a last rank; sums over ranks are replaced by integrals.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from isoloss.laws.expression import (
    MINUS_ONE,
    ONE,
    Node,
    add,
    call,
    exp,
    log,
    mul,
    parameter,
    power,
    sub,
    substitute,
)
from isoloss.laws.expression import const as number

ORDERS = 4
"""Derivatives of `rank` in q that exist as operations: enough for third derivatives of a law."""
LEAST, MOST = -46.0, 690.0
"""Range of log kappa; below it the excess is under 1e-30 and counts as none."""
_TERMS = 21
_STEPS = 60


def _weights(terms: int) -> list[float]:
    """Weights of an alternating sum whose remainder falls as 5.8^-terms (Cohen et al. 2000)."""
    d = (3 + math.sqrt(8)) ** terms
    d = (d + 1 / d) / 2
    b, c, out = -1.0, -d, []
    for k in range(terms):
        c = b - c
        out.append(c / d)
        b *= (k + terms) * (k - terms) / ((k + 0.5) * (k + 1))
    return out


_ALTERNATING = _weights(_TERMS)


def rank(x: Any, q: Any, order: int = 0) -> Any:
    r"""S above with log kappa = x and b = 1/q, or its derivative in q of an order; real or complex.

    :math:`S = \kappa\sum_j (-\kappa)^j (j+1)/(j+1+q)` and, from the integral to infinity,
    :math:`S = \frac{\pi q}{\sin \pi q}\kappa^{-q} - \sum_j (-1)^j\kappa^{-j-1}(j+1)/(j+1-q)`:
    one of them falls geometrically, or alternates, for every kappa.
    """
    x, q = np.asarray(x), np.asarray(q)
    large = np.real(x) > 0
    some, every = bool(np.any(large)), bool(np.all(large))
    if every or not some:
        return _side(x, q, order, every)
    return np.where(
        large,
        _side(np.where(large, x, 0.0), q, order, True),
        _side(np.where(large, 0.0, x), q, order, False),
    )


def _side(x: Any, q: Any, order: int, large: bool) -> Any:
    t = np.exp(-x) if large else np.exp(x)
    sign = -1.0 if large else 1.0
    height = math.factorial(order) * (-sign) ** order
    total = 0.0 * t
    for j in reversed(range(_TERMS)):
        total = total * t + _ALTERNATING[j] * height * (j + 1) / (j + 1 + sign * q) ** (order + 1)
    if not large:
        return total * t
    return _endless(x, q, order) - total * t


def _endless(x: Any, q: Any, order: int) -> Any:
    """Pi q / sin(pi q) exp(-q x), or a derivative of it in q."""
    angle = np.pi * q
    sine, cot = np.sin(angle), np.cos(angle) / np.sin(angle)
    found = [angle / sine * np.exp(-q * x)]
    slopes = [1 / q - np.pi * cot - x]
    if order > 1:
        slopes.append(-1 / q**2 + np.pi**2 / sine**2)
    if order > 2:
        slopes.append(2 / q**3 - 2 * np.pi**3 * cot / sine**2)
    for m in range(order):
        found.append(sum(math.comb(m, j) * slopes[j] * found[m - j] for j in range(m + 1)))
    return found[order]


def best_kappa(n: Any, d: Any, alpha: Any, noise: Any) -> Any:
    """Logarithm of kappa at the best ridge; ``noise`` in units of the power law at N = M."""
    arguments = [np.asarray(v) for v in (n, d, alpha, noise)]
    real = [np.real(v) for v in arguments]
    x = _search(*real)
    if not any(np.iscomplexobj(v) for v in arguments):
        return x
    # Newton again in complex arithmetic carries complex steps through.
    z = x + 0j
    for _ in range(2):
        left, right, left_x, right_x, *_ = _balance(z, *arguments)
        z = x + 1j * np.imag(z - (left - right) / (left_x - right_x))
    return z


def _height(alpha: Any) -> Any:
    """Log of (pi q / sin pi q)^(1 + alpha): kappa^-1 over the power law's loss."""
    q = 1 / (1 + alpha)
    return np.log(np.pi * q / np.sin(np.pi * q)) / q


def _balance(x: Any, n: Any, d: Any, alpha: Any, noise: Any) -> tuple[Any, ...]:
    """Both sides of F = 0 over kappa, their slopes, that of log psi, and what they are made of."""
    q = 1 / (1 + alpha)
    p = 1 / (1 + np.exp(x))
    s = rank(x, q)
    zeta, chi, bend = p + s, q * s, q * p * (1 - p)
    chi_x = bend - q * chi
    psi, psi_x = chi + chi_x, (1 - q) * chi_x + bend * (2 * p - 1)
    a, c = 1 - n * zeta, 1 - d * zeta
    heat = d * noise * np.exp(_height(alpha) - x)
    square, reach = chi * chi, a + n * chi
    inner = psi * a * a + 2 * n * square * reach
    left, right = psi * a * c, 2 * n * d * square * chi + heat * inner
    left_x = psi_x * a * c + psi * chi * (n * c + d * a)
    inner_x = psi_x * a * a + 2 * n * (a * chi * psi + 2 * chi * chi_x * reach + square * n * psi)
    right_x = 6 * n * d * square * chi_x + heat * (inner_x - inner)
    return left, right, left_x, right_x, psi_x / psi, zeta, chi, a, c


def _search(n: Any, d: Any, alpha: Any, noise: Any) -> Any:
    """Find the root in log kappa: Newton's steps on the log ratio of both sides, in a bracket."""
    n, d, alpha, noise = np.broadcast_arrays(n, d, alpha, noise)
    # The best kappa of an endless spectrum without noise, bent where ranks end.
    width = (n + d + np.sqrt((n - d) ** 2 + 8 * n * d / (alpha * (1 + alpha)))) / 2
    goal = np.minimum(1 / np.maximum(width, 1e-300), 1.0)
    height, most = _height(alpha), np.maximum(n, d)
    x = np.where(most > 1, np.exp(height - (1 + alpha) * np.log(goal)) * (1 - goal), 0.0)
    x = np.clip(np.log(x + noise * d * np.exp(height) + 1e-20), LEAST, MOST)
    # With more features and examples than ranks, and no noise, the best ridge is none.
    none = (most <= 1) & (noise <= 0)
    low, high = np.full(x.shape, LEAST), np.full(x.shape, MOST)
    for _ in range(_STEPS):
        left, right, left_x, right_x, bend, zeta, chi, a, c = _balance(x, n, d, alpha, noise)
        inside = (a > 0) & (c > 0)
        above = inside & (left > right)
        gap = left - right
        # The difference over psi and the logarithm of the ratio are both concave: from below their
        # steps stop short of the root, from above they fly past it. Take the better of the two.
        linear = -gap / (left_x - right_x - gap * bend)
        ratio = left_x / left - np.where(right > 0, right_x / right, 0.0)
        step = -np.where(right > 0, np.log(left / right), 1.0) / ratio
        step = np.where(inside, np.fmax(linear, step), (zeta - goal) / chi)
        low, high = np.where(above, low, np.maximum(low, x)), np.where(above, x, high)
        new = x + step
        fine = (new > low) & (new < high) & (inside | (high == MOST))
        fine |= inside & (np.abs(step) < 1e-7)
        new = np.where(fine, new, (low + np.minimum(high, low + 20)) / 2)
        moved = np.where(none, 0.0, np.where(inside, np.abs(new - x), high - low))
        x = new
        if not np.fmax.reduce(moved, axis=None, initial=0.0) > 1e-7:
            break
    return np.where(none, LEAST, x)


_NAMES = ("log_kappa", "n", "d", "alpha", "noise")
# No formula of a user's can hold a name with a dot.
_LEAVES = tuple(parameter(f"ridge.{name}") for name in _NAMES)


@lru_cache(maxsize=1)
def _templates() -> tuple[Node, Node]:
    """Graphs of the excess loss and of F, both in units of the power law at N = M."""
    x, n, d, alpha, noise = _LEAVES
    b = add(ONE, alpha)
    q = power(b, MINUS_ONE)
    p, rest = call("logistic", mul(MINUS_ONE, x)), call("logistic", x)
    s = call("rank0", x, q)
    zeta, chi = add(p, s), mul(q, s)
    psi = add(mul(sub(ONE, q), chi), mul(q, mul(p, rest)))
    angle = mul(number(math.pi), q)
    height = mul(b, log(mul(angle, power(call("sin", angle), MINUS_ONE))))
    kappa = exp(sub(x, height))
    a, c = sub(ONE, mul(n, zeta)), sub(ONE, mul(d, zeta))
    heat, square = mul(noise, d), mul(chi, chi)
    bottom = add(mul(a, c), mul(chi, add(mul(n, c), mul(d, a))))
    top = add(mul(sub(zeta, chi), a), mul(n, mul(zeta, chi)))
    top = add(mul(kappa, chi), mul(heat, top))
    left = sub(mul(psi, mul(a, c)), mul(number(2.0), mul(mul(n, d), mul(square, chi))))
    right = mul(mul(number(2.0), n), mul(square, add(a, mul(n, chi))))
    right = add(mul(psi, mul(a, a)), right)
    return mul(top, power(bottom, MINUS_ONE)), sub(mul(kappa, left), mul(heat, right))


def excess(n: Node, d: Node, alpha: Node, noise: Node) -> Node:
    """Build the excess loss at the best ridge over the power law's loss at N = M."""
    arguments = (call("best_kappa", n, d, alpha, noise), n, d, alpha, noise)
    return call("stationary", _put(_templates()[0], arguments), *arguments)


def _put(template: Node, arguments: tuple[Node, ...]) -> Node:
    return substitute(template, dict(zip(_LEAVES, arguments, strict=True)))


@lru_cache(maxsize=1)
def _slopes() -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """Slopes of both templates in all their leaves."""
    from isoloss.laws.calculus import derivative

    value, balance = _templates()
    return tuple(derivative(value, v) for v in _LEAVES), tuple(
        derivative(balance, v) for v in _LEAVES
    )


def slope_of_excess(node: Node, d: list[Node]) -> Node:
    """Differentiate the loss at the best kappa, held fixed: the loss is stationary there."""
    arguments = node.args[1:]
    return _dot([_put(t, arguments) for t in _slopes()[0][1:]], d[2:])


def slope_of_kappa(node: Node, d: list[Node]) -> Node:
    """Differentiate the best log kappa, of which F = 0 is the equation."""
    of_kappa, *others = (_put(t, (node, *node.args)) for t in _slopes()[1])
    return mul(mul(MINUS_ONE, power(of_kappa, MINUS_ONE)), _dot(others, d))


def slope_of_rank(node: Node, d: list[Node]) -> Node:
    """Differentiate S, or a derivative of it in q: ``S_x = p (1 - p) - q S``."""
    (x, q), order = node.args, int(node.op.removeprefix("rank"))
    by_x = mul(MINUS_ONE, mul(q, node))
    if order:
        lower = call(f"rank{order - 1}", x, q)
        by_x = sub(by_x, mul(number(float(order)), lower))
    else:
        by_x = add(by_x, mul(call("logistic", x), call("logistic", mul(MINUS_ONE, x))))
    return _dot([by_x, call(f"rank{order + 1}", x, q)], d)


def _dot(slopes: list[Node], d: list[Node]) -> Node:
    total = number(0.0)
    for slope, change in zip(slopes, d, strict=True):
        total = add(total, mul(slope, change))
    return total

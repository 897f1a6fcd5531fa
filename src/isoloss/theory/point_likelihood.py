"""Profile likelihood of the law of one point, for blocks of points at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array

LOW, HIGH = -6.0, 2.0
"""Bounds on the logarithms of both exponents; the upper one is the authors'."""

_STARTS = (
    np.log([0.03, 0.2, 0.5, 0.9, 1.4, 2.2, 3.5, 6.0]),
    np.log([0.1, 1.0, 2.0, 4.0, 6.5]),
)
_STEPS = 80
_ROUNDING = 1e-13
_CLOSE = 1e-9
_EXACT = 1e-26
"""Share of the power that is rounding: no noise is left to fit."""


@dataclass(frozen=True, slots=True)
class Block:
    """Padded sums of some points; rows that are padding have no count.

    Attributes
    ----------
    x
        Log size minus its mean over the samples of the point, (points, sizes).
    w, m, s
        Count, mean and spread of the contributions in units of their root mean square.
    """

    x: Array
    w: Array
    m: Array
    s: Array

    def of(self, index: Any) -> Block:
        """Take some of the points."""
        return Block(self.x[index], self.w[index], self.m[index], self.s[index])


@dataclass(frozen=True, slots=True)
class Terms:
    """Half the log of the weighted residual power, and its derivatives in both log exponents.

    Attributes
    ----------
    f, g, h
        Value, gradient (points, 2), Hessian as (aa, ab, bb), (points, 3).
    F, c
        Weighted residual power, and the best amplitude at the mean log size.
    A
        Sums ``w e^{(beta - 2 alpha) x} x^j`` for j = 0, 1, 2, (3, points).
    """

    f: Array
    g: Array
    h: Array
    F: Array
    c: Array
    A: Array


def terms(block: Block, a: Array, b: Array) -> Terms:
    r"""Evaluate at log exponents a, b: :math:`\frac12 \ln \sum e^{\beta x} (w (m - c v)^2 + s)`.

    ``v = exp(-alpha x)`` and c is profiled out. As x has mean zero, this is the negative log
    likelihood of a sample but for constants.
    """
    alpha, beta = np.exp(a), np.exp(b)
    x = block.x
    v, noise = np.exp(-alpha[:, None] * x), np.exp(beta[:, None] * x)
    seen = noise * block.w * v
    pull, push = seen * v, seen * block.m
    xx = x * x
    A = np.array([pull.sum(axis=1), _dot(pull, x), _dot(pull, xx)])
    B = np.array([push.sum(axis=1), _dot(push, x), _dot(push, xx)])
    c = B[0] / A[0]
    off = block.m - c[:, None] * v
    power = noise * (block.w * off * off + block.s)
    # No noise at all would be a likelihood without bound.
    F = np.maximum(power.sum(axis=1), 1e-300)
    F1, F2 = _dot(power, x), _dot(power, xx)
    slope = 2 * c * (B[1] - c * A[1])
    bend = 2 * c * (2 * c * A[2] - B[2])
    both = 2 * c * (B[2] - c * A[2])
    by_c, turn_a, turn_b = 2 * A[0], 2 * B[1] - 4 * c * A[1], 2 * (c * A[1] - B[1])
    fa, fb = slope / F / 2, F1 / F / 2
    haa = (bend - turn_a**2 / by_c) / F / 2 - 2 * fa * fa
    hab = (both - turn_a * turn_b / by_c) / F / 2 - 2 * fa * fb
    hbb = (F2 - turn_b**2 / by_c) / F / 2 - 2 * fb * fb
    g = np.stack([alpha * fa, beta * fb], axis=1)
    h = np.stack([alpha**2 * haa + g[:, 0], alpha * beta * hab, beta**2 * hbb + g[:, 1]], axis=1)
    return Terms(np.log(F) / 2, g, h, F, c, A)


@dataclass(frozen=True, slots=True)
class Optimum:
    """Best log exponents of every point.

    Attributes
    ----------
    a, b
        Log exponents, (points,).
    terms
        What is known there.
    left
        Largest gradient left that the bounds do not hold, (points,).
    done
        Whether it is small, or the point has no noise, (points,).
    """

    a: Array
    b: Array
    terms: Terms
    left: Array
    done: npt.NDArray[np.bool_]

    def take(self, index: Any, other: Optimum) -> None:
        """Take over points from another optimum, one for each place of the index."""
        for name in ("a", "b", "left", "done"):
            getattr(self, name)[index] = getattr(other, name)
        for name in ("f", "g", "h", "F", "c"):
            getattr(self.terms, name)[index] = getattr(other.terms, name)
        self.terms.A[:, index] = other.terms.A

    def of(self, index: Any) -> Optimum:
        """Take some of the points."""
        t = self.terms
        terms = Terms(t.f[index], t.g[index], t.h[index], t.F[index], t.c[index], t.A[:, index])
        return Optimum(self.a[index], self.b[index], terms, self.left[index], self.done[index])


def best_of_all(block: Block, weak: Callable[[Array], npt.NDArray[np.bool_]]) -> Optimum:
    """Find the optimum from the best start, and for points that are weak there from both ends.

    A weak effect has an exponent that the samples hardly know, and often two optima.
    """
    best = minimise(block, *_starts(block))
    again = np.flatnonzero(weak(best.terms.f))
    if again.size:
        some = block.of(again)
        for end in (_STARTS[0][0], _STARTS[0][-1]):
            other = minimise(some, np.full(again.size, end), best.b[again].copy())
            better = other.terms.f < best.terms.f[again] - 1e-12
            best.take(again[better], other.of(better))
    return best


def minimise(block: Block, a: Array, b: Array) -> Optimum:
    """Improve log exponents of every point by damped Newton steps inside the bounds."""
    a, b = a.copy(), np.clip(b, LOW, HIGH)
    now = terms(block, a, b)
    damping = np.full(a.size, 1e-3)
    left = _projected(now.g, a, b)
    open_ = np.flatnonzero((left > _CLOSE) & ~_exact(block, now))
    for _ in range(_STEPS):
        if not open_.size:
            break
        some = block.of(open_)
        p, q = a[open_], b[open_]
        step_a, step_b = _step(now.g[open_], now.h[open_], p, q, damping[open_])
        to_a, to_b = np.clip(p + step_a, LOW, HIGH), np.clip(q + step_b, LOW, HIGH)
        new = terms(some, to_a, to_b)
        better = new.f <= now.f[open_] + _ROUNDING * (1 + np.abs(now.f[open_]))
        i = open_[better]
        a[i], b[i] = to_a[better], to_b[better]
        for name in ("f", "g", "h", "F", "c"):
            getattr(now, name)[i] = getattr(new, name)[better]
        now.A[:, i] = new.A[:, better]
        damping[open_] = np.where(better, damping[open_] / 8, damping[open_] * 8)
        left = _projected(now.g, a, b)
        stuck = damping > 1e12
        open_ = np.flatnonzero((left > _CLOSE) & ~_exact(block, now) & ~stuck)
    return Optimum(a, b, now, left, (left <= 100 * _CLOSE) | _exact(block, now))


def without_effect(block: Block) -> Array:
    """Least value of the same function with no effect at all, c = 0."""
    b = np.full(block.x.shape[0], np.log(2.0))
    power = block.w * block.m**2 + block.s
    beta = np.exp(b)
    for _ in range(30):
        T = np.exp(beta[:, None] * block.x) * power
        F = T.sum(axis=1)
        first, second = _dot(T, block.x) / F, _dot(T, block.x**2) / F
        # Convex in beta, so Newton's method in it, steps of at most one.
        step = np.clip(-first / np.maximum(second - first**2, 1e-12), -1, 1)
        new = np.clip(beta + step, np.exp(LOW), np.exp(HIGH))
        if np.abs(new - beta).max() < 1e-8:
            break
        beta = new
    return np.asarray(np.log(F) / 2)


def _dot(one: Array, other: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", one, other))


def _exact(block: Block, now: Terms) -> npt.NDArray[np.bool_]:
    total = _dot(block.w, block.m**2) + block.s.sum(axis=1)
    return np.asarray(_EXACT * total >= now.F)


def _projected(g: Array, a: Array, b: Array) -> Array:
    at = np.stack([a, b], axis=1)
    free = np.where((at <= LOW) & (g > 0) | (at >= HIGH) & (g < 0), 0.0, np.abs(g))
    return np.asarray(free.max(axis=1))


def _step(g: Array, h: Array, a: Array, b: Array, damping: Array) -> tuple[Array, Array]:
    """Newton's step along the sizes of curvatures, with variables that a bound holds left alone.

    Upward curvature or downward, a step goes down: near a point without noise the function is the
    log of a parabola, and the size of its curvature points at the bottom.
    """
    at = np.stack([a, b], axis=1)
    held = (at <= LOW) & (g > 0) | (at >= HIGH) & (g < 0)
    ga, gb = np.where(held, 0.0, g).T
    hab = np.where(held.any(axis=1), 0.0, h[:, 1])
    # Each variable in a unit of its own: an exponent near its lower bound hardly matters.
    ua = 1 / np.sqrt(np.maximum(np.maximum(np.abs(h[:, 0]), np.abs(ga)), 1e-200))
    ub = 1 / np.sqrt(np.maximum(np.maximum(np.abs(h[:, 2]), np.abs(gb)), 1e-200))
    haa, hab, hbb = h[:, 0] * ua * ua, hab * ua * ub, h[:, 2] * ub * ub
    mean, half, gap = (haa + hbb) / 2, (haa - hbb) / 2, np.hypot((haa - hbb) / 2, hab)
    angle = np.arctan2(hab, half) / 2
    cos, sin = np.cos(angle), np.sin(angle)
    first = (cos * ua * ga + sin * ub * gb) / (np.maximum(np.abs(mean + gap), 1e-8) + damping)
    other = (cos * ub * gb - sin * ua * ga) / (np.maximum(np.abs(mean - gap), 1e-8) + damping)
    step = -np.stack([ua * (cos * first - sin * other), ub * (sin * first + cos * other)], axis=1)
    step /= np.maximum(1.0, np.abs(step).max(axis=1))[:, None]
    return step[:, 0], step[:, 1]


def _starts(block: Block) -> tuple[Array, Array]:
    """Best of a few pairs of exponents."""
    count = block.x.shape[0]
    best, a, b = np.full(count, np.inf), np.zeros(count), np.full(count, np.log(2.0))
    noises = [np.exp(np.exp(beta) * block.x) for beta in _STARTS[1]]
    totals = [_dot(n * block.w, block.m**2) + _dot(n, block.s) for n in noises]
    for alpha in _STARTS[0]:
        v = block.w * np.exp(-np.exp(alpha) * block.x)
        vv, vm = v * v / np.maximum(block.w, 1.0), v * block.m
        for beta, noise, total in zip(_STARTS[1], noises, totals, strict=True):
            F = total - _dot(noise, vm) ** 2 / _dot(noise, vv)
            better = best > F
            best[better], a[better], b[better] = F[better], alpha, beta
    return a, b

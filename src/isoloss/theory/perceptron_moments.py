"""Averages over kept examples that the equations of the pruned perceptron are made of.

An example has a coordinate u along the teacher, w across it in the plane of teacher and probe, and
the field of a student is ``t = R u + c w + r g``. With ``tau = (kappa - R u - c w)/r`` every
average over the noise g is a polynomial in tau times the normal density or distribution function,
and all of them are positive: no digits are lost however small r is. What is left is integrated by
Gauss's rule on panels that end where something bends.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array

Index = npt.NDArray[Any]
"""Places, or true and false."""
_ROOT = 1 / np.sqrt(2 * np.pi)
_FAR = 9.0
"""Standard deviations beyond which a normal variable is not looked for."""
_NODES = 1 << 17
"""Nodes at once: what fits a cache."""


class Moments(NamedTuple):
    """Averages over kept examples, each (n,).

    ``m1`` and ``m2`` are the means of the shortfall ``(kappa - t)_+/r`` and of its square, ``mu``
    and ``mw`` those of shortfall times u and w; ``P..`` weight with 1 where the field falls short,
    ``d..`` with the normal density of tau.
    """

    P: Array
    Pu: Array
    Pw: Array
    Puu: Array
    Puw: Array
    Pww: Array
    m1: Array
    mu: Array
    mw: Array
    m2: Array
    d0: Array
    du: Array
    dw: Array


class Law(NamedTuple):
    """Kept examples, by arrays of one shape.

    ``low`` and ``high`` bound the probe's margin |z|, ``share`` is the probability of that, and
    ``theta`` the angle between teacher and probe.
    """

    low: Array
    high: Array
    share: Array
    theta: Array

    def pick(self, which: Index) -> Law:
        """Return a part of it."""
        return Law(*(field[which] for field in self))


@lru_cache
def gauss(nodes: int) -> tuple[Array, Array]:
    """Nodes and weights of Gauss's rule on [0, 1]."""
    x, weight = np.polynomial.legendre.leggauss(nodes)
    return (x + 1) / 2, weight / 2


def panels(low: Array, high: Array, breaks: list[Array]) -> tuple[Index, Array, Array]:
    """Cut intervals where told: owner, begin and length of each piece that is not empty."""
    high = np.maximum(low, high)
    inside = [np.clip(b, low, high) for b in breaks]
    edges = np.sort(np.stack([low, *inside, high], axis=-1), axis=-1)
    length = np.diff(edges, axis=-1)
    owner, which = np.nonzero(length > 1e-12 * np.maximum(np.abs(edges[:, -1:]), length))
    return owner, edges[owner, which], length[owner, which]


def line_moments(law: Law, R: Array, r: Array, tau: Array) -> Moments:
    """Averages for a probe along the teacher, by one integral over u.

    ``tau`` is that of an example at the lower bound of the margin; w plays no part.
    """
    x, weight = gauss(16)
    slope = R / r
    end = _FAR**2 / (law.low + np.sqrt(law.low**2 + _FAR**2))
    length = np.minimum(np.minimum(law.high - law.low, end), (tau + _FAR) / slope)
    cuts = [(tau - k) / slope for k in (5.0, 1.5, -1.5, -4.5)] + [end * k for k in (0.1, 0.3, 0.6)]
    edges = np.stack([0 * end, *cuts, length], axis=-1)
    edges = np.sort(np.clip(edges, 0.0, length[..., None]), axis=-1)
    wide = np.diff(edges, axis=-1)[..., None]
    s = (edges[..., :-1, None] + wide * x).reshape(*edges.shape[:-1], -1)
    u = law.low[..., None] + s
    mass = (wide * weight).reshape(s.shape) * np.exp(-(u**2) / 2)
    mass *= (2 * _ROOT / law.share)[..., None]
    short, density, first, second = _normal(tau[..., None] - slope[..., None] * s)
    none = np.zeros_like(tau)
    short, density, first = short * mass, density * mass, first * mass
    return Moments(
        P=short.sum(-1), Pu=(short * u).sum(-1), Pw=none, Puu=(short * u * u).sum(-1), Puw=none,
        Pww=none, m1=first.sum(-1), mu=(first * u).sum(-1), mw=none, m2=(second * mass).sum(-1),
        d0=density.sum(-1), du=(density * u).sum(-1), dw=none,
    )  # fmt: skip


def plane_moments(
    law: Law, hyp: Array, chi: Array, r: Array, tau: Array, *, nodes: int = 12
) -> Moments:
    """Averages for a probe at an angle, by two integrals: over z, then across it.

    The student is ``(R, c) = hyp (cos chi, sin chi)`` in the plane, and ``tau`` that of an example
    at ``z = low`` with nothing across. Arrays are (n,).
    """
    found = np.zeros((len(Moments._fields), tau.size))
    if not tau.size:
        return Moments(*found)
    rows = _outer(law, hyp, chi, r, tau, nodes)
    step = max(1, _NODES // (4 * nodes))
    for start in range(0, rows[0].size, step):
        owner, *values = (row[start : start + step] for row in rows)
        part = _inner(law, hyp, chi, r, tau, nodes, owner, *values)
        first, last = owner[0], owner[-1] + 1
        for i, moment in enumerate(part):
            found[i, first:last] += np.bincount(owner - first, moment, last - first)
    return Moments(*(found / law.share))


def _outer(
    law: Law, hyp: Array, chi: Array, r: Array, tau: Array, nodes: int
) -> tuple[Index, Array, Array]:
    """Nodes z with weights, for every kept interval: owner, z, weight, sorted by owner."""
    S = np.sin(law.theta)
    rho, b = hyp * np.cos(law.theta - chi), hyp * np.sin(law.theta - chi)
    c = hyp * np.sin(chi)
    top = r * (tau + _FAR) + rho * law.low
    # Where the line of fields just above reach leaves the disc of likely examples.
    with np.errstate(invalid="ignore", divide="ignore"):
        cross = (rho * top + np.abs(b) * np.sqrt(_FAR**2 * hyp**2 - top**2)) / hyp**2
    reach = np.where((rho * _FAR < top) | ~np.isfinite(cross), _FAR, cross)
    reach = np.clip(reach, -_FAR, _FAR)
    kappa = r * tau + rho * law.low
    spread = np.sqrt(b**2 + r**2) / np.maximum(rho, 1e-3)
    middle = kappa / np.maximum(rho, 1e-3)
    lean = np.maximum(np.abs(c), 1e-3 * r)
    corner, turn = kappa * S / np.where(c < 0, -lean, lean), r * S / lean
    # What is as wide as the normal density needs no panels of its own.
    breaks = []
    for centre, width, steps in (
        (0.0, S, (-5.0, -2.0, 0.0, 2.0, 5.0)),
        (middle, spread, (-5.0, -2.0, 2.0, 5.0)),
        (corner, turn, (-5.0, -1.5, 1.5, 5.0)),
        (0.0, 1.0, (-5.0, -2.0, 2.0, 5.0)),
    ):
        breaks += [np.where(width < 1.2, centre + k * width, -_FAR) for k in steps]
    x, weight = gauss(nodes)
    parts = []
    easy = law.low > 0
    for low, high, within in (
        (np.where(easy, law.low, -law.high), law.high, np.ones(easy.shape, bool)),
        (np.full(S.shape, -_FAR), -law.low, easy),
    ):
        low, high = np.maximum(low, -_FAR * S), np.minimum(high, reach)
        high = np.where(within, high, low)
        parts.append(panels(low, high, breaks))
    owner, begin, length = (np.concatenate(p) for p in zip(*parts, strict=True))
    order = np.argsort(owner, kind="stable")
    owner, begin, length = owner[order], begin[order, None], length[order, None]
    z = begin + length * x
    mass = 2 * _ROOT * weight * length * np.exp(-(z**2) / 2)
    return np.repeat(owner, nodes), z.ravel(), mass.ravel()


def _inner(
    law: Law, hyp: Array, chi: Array, r: Array, tau: Array, nodes: int, owner: Index, z: Array,
    mass: Array,
) -> list[Array]:  # fmt: skip
    """Integrate across z: each moment for each node."""
    theta = law.theta
    C, S = np.cos(theta)[owner], np.sin(theta)[owner]
    lean = hyp * np.sin(theta - chi) / r
    rho = (hyp * np.cos(theta - chi) / r)[owner]
    slope = lean[owner]
    at = tau[owner] - rho * (z - law.low[owner])
    low = np.maximum(-z * C / S, -_FAR)
    steep = np.where(np.abs(slope) > 1e-3, slope, 1e-3)
    turn, width = at / steep, 1 / np.abs(steep)
    high = np.where(steep > 0, np.minimum(turn + _FAR * width, _FAR), _FAR)
    sharp = width < 1.2
    breaks = [np.where(sharp, turn + k * width, low) for k in (-5.0, -1.5, 1.5, 5.0)]
    breaks += [np.full(z.shape, k) for k in (-5.0, -2.0, 2.0, 5.0)]
    row, begin, length = panels(low, high, breaks)
    x, weight = gauss(nodes)
    v = begin[:, None] + length[:, None] * x
    share = np.exp(-(v**2) / 2)
    share *= _ROOT * weight * length[:, None]
    short, density, first, second = _normal(at[row, None] - slope[row, None] * v)
    for part in (short, density, first, second):
        part *= share
    size = z.size

    def total(values: Array) -> Array:
        return np.bincount(row, values.sum(-1), size) * mass

    P0, d0, q0, m2 = (total(part) for part in (short, density, first, second))
    short *= v
    P1, P2 = total(short), total(short * v)
    d1, q1 = total(density * v), total(first * v)
    # u = C z + S v and w = S z - C v.
    a, b = C * z, S * z
    return [
        P0, a * P0 + S * P1, b * P0 - C * P1,
        a * a * P0 + 2 * a * S * P1 + S * S * P2,
        a * b * P0 + (S * b - C * a) * P1 - C * S * P2,
        b * b * P0 - 2 * b * C * P1 + C * C * P2,
        q0, a * q0 + S * q1, b * q0 - C * q1, m2, d0, a * d0 + S * d1, b * d0 - C * d1,
    ]  # fmt: skip


def _normal(tau: Array) -> tuple[Array, Array, Array, Array]:
    """Probability, density, mean and mean square of how far a normal variable stays below tau."""
    from scipy.special import ndtr

    short = ndtr(tau)
    density = _ROOT * np.exp(-(tau**2) / 2)
    first = tau * short + density
    return short, density, first, tau * first + short

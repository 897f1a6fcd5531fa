"""Power-law spectra: their modes in blocks, and a short Gauss rule for sums over all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array

POINTS = 10
"""Nodes of each rule."""
HEAD = 32
"""Modes kept one by one before the first rule."""
SMALLEST = 1e-290
"""Eigenvalues below this would be lost in float64."""


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """Eigenvalues ``scale i**-b`` and target powers ``power i**-a`` of modes i = 1..M.

    Attributes
    ----------
    b, a
        Exponents of the eigenvalues and of the target power.
    M
        Number of modes.
    scale, power
        Eigenvalue and target power of the first mode.
    """

    b: float
    a: float
    M: float
    scale: float
    power: float

    def modes(self, start: int, stop: int) -> tuple[Array, Array]:
        """Eigenvalues and target powers of modes start+1..stop."""
        index = np.arange(start + 1, stop + 1, dtype=np.float64)
        return self.scale * index**-self.b, self.power * index**-self.a


def gauss_rule(first: float, count: float, points: int = POINTS) -> tuple[Array, Array]:
    """Nodes and weights that sum a smooth function over first, first+1, ..., first+count-1.

    The rule is Gauss's for the uniform measure on ``count`` equally spaced points, whose orthogonal
    polynomials are those of Gram: a Jacobi matrix with diagonal ``(m-1)/2`` and squared
    off-diagonal ``k**2 (m**2-k**2) / (4 (4 k**2-1))``. It is exact for polynomials of degree below
    twice the points.

    Examples
    --------
    >>> x, w = gauss_rule(33, 1000)
    >>> round(float(w @ x**2)) == sum(i * i for i in range(33, 1033))
    True
    """
    if count <= points:
        return first + np.arange(count), np.ones(int(count))
    k = np.arange(1.0, points)
    # In units of m, so that m = 1e15 keeps its digits.
    off = np.sqrt(k**2 * (1 - (k / count) ** 2) / (4 * (4 * k**2 - 1)))
    matrix = np.diag(off, 1) + np.diag(off, -1)
    nodes, vectors = np.linalg.eigh(matrix)
    return first + (count - 1) / 2 + count * nodes, count * vectors[0] ** 2


def compress(M: float, b: float, a: float) -> tuple[Array, Array]:
    """Nodes and weights for sums over modes 1..M of functions of ``i**-b`` and ``i**-a``.

    The first modes stay as they are; each later block, an octave or less, is summed by a Gauss
    rule. Steep spectra get shorter blocks: what is summed has poles at the angle pi/b in i.

    Returns
    -------
    index, weight
        Both of shape (nodes,); about ten nodes an octave.
    """
    # Steeper targets than this are lost beside what the first modes leave.
    per_octave = max(1, math.ceil(max(b, min(a, 2 * b + 20) / 2) / 1.7))
    head = HEAD * per_octave
    if head >= M:
        return np.arange(1.0, M + 1), np.ones(int(M))
    index, weight = [np.arange(1.0, head + 1)], [np.ones(head)]
    first = head + 1.0
    ratio = 2 ** (1 / per_octave)
    # Above 2**53 adding one changes nothing: the loop ends where nothing is left.
    while first < M + 1:
        count = min(max(math.floor(first * ratio) - first, 1.0), M + 1 - first)
        x, w = gauss_rule(first, count)
        index.append(x)
        weight.append(w)
        first += count
    return np.concatenate(index), np.concatenate(weight)

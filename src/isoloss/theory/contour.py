"""Contours on which functions of time are summed from functions of a complex ridge.

A function with all its singularities on [-L, 0] has, for the filter ``f(s)`` (exp(s t) for gradient
flow, (1 + eta s)^t for gradient descent), the value ``1/(2 pi i)`` times the integral of
``f(s) F(s)/s`` around them. Only nodes above the real axis are kept: F takes conjugates to
conjugates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.theory.complex_kappa import ComplexArray

NODES = 26
"""Of Talbot's contour; twelve digits."""


@dataclass(frozen=True, slots=True)
class Contour:
    """Nodes above the axis and their weights ``ds/(2 pi i s)``; twice the real part is the sum."""

    s: ComplexArray
    weight: ComplexArray


def talbot(nodes: int = NODES) -> Contour:
    """Talbot's modified contour at time one; divide the nodes by the time.

    References
    ----------
    Trefethen, Weideman and Schmelzer 2006, BIT 46, 653: the cotangent contour and its constants.
    """
    theta = (np.arange(nodes // 2) + 0.5) * 2 * np.pi / nodes
    w = 0.6407 * theta
    s = -0.6122 + 0.5017 * theta / np.tan(w) + 0.2645j * theta
    slope = 0.5017 / np.tan(w) - 0.5017 * w / np.sin(w) ** 2 + 0.2645j
    return Contour(nodes * s, slope / (1j * nodes * s))


def ellipse(length: float, steps: float, eta: float) -> Contour:
    """Ellipse around [-length, 0] for the filter ``(1 + eta s)**steps``.

    As wide as the filter allows: it grows like exp(rate) at the right end, with rate the product
    of steps, eta and length, or by rho a step where it is largest at the left end.
    """
    rate = max(steps * eta * length, 1e-300)
    log_rho = min(1.0, 4 / np.sqrt(rate))
    if eta * length >= 2:
        log_rho = max(log_rho, min(1.0, 10 / max(steps, 1.0)))
    count = int(40 / log_rho + 64) // 2 * 2
    theta = (np.arange(count // 2) + 0.5) * 2 * np.pi / count
    out, back = np.exp(log_rho + 1j * theta), np.exp(-log_rho - 1j * theta)
    s = -length / 2 + length / 4 * (out + back)
    return Contour(s, length / 4 * (out - back) / (count * s))


def two_ended(length: float, steps: float, eta: float) -> Contour:
    """Talbot's contour around zero, and its mirror image around -length where that still counts.

    For many steps the filter ``(1 + eta s)**steps`` is nothing in between.
    """
    base = talbot()
    near = Contour(base.s / (eta * steps), base.weight)
    left = eta * length - 1
    if left <= 0 or steps * np.log(left) < -42:
        return near
    far = base.s.conj() * left / (eta * steps)
    weight = base.weight.conj() * far / (length + far)
    return Contour(np.concatenate([near.s, -length - far]), np.concatenate([near.weight, weight]))


def descent(s: ComplexArray, steps: Array, eta: float) -> ComplexArray:
    """Filter ``(1 + eta s)**steps`` for each whole number of steps, (steps, nodes)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x, y = (eta * s).real, (eta * s).imag
        # numpy's own log1p forgets what is small beside one when it is complex.
        modulus = np.where(np.abs(eta * s) < 0.5, np.log1p(x * (2 + x) + y**2) / 2, 0.0)
        modulus = np.where(modulus == 0, np.log(np.abs(1 + eta * s)), modulus)
        found = np.exp(steps[:, None] * (modulus + 1j * np.arctan2(y, 1 + x)))
    return np.asarray(found, dtype=np.complex128)

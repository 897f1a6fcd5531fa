"""Activations, and what a Gaussian or spherical input sees of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError

Activation = str | Callable[[Array], Array]
_REACH = 13.0
"""Standard deviations that Gaussian means extend to."""
_NODES = 300


def named(activation: Activation) -> Callable[[Array], Array]:
    """Return the function of a name, or the function given.

    Raises
    ------
    InputError
        If the name is not known.
    """
    if callable(activation):
        return activation
    from scipy.special import erf

    known: dict[str, Callable[[Array], Array]] = {
        "relu": lambda g: np.maximum(g, 0.0),
        "erf": lambda g: np.asarray(erf(g)),
        "sign": np.sign,
        "tanh": np.tanh,
        "identity": lambda g: g,
    }
    if activation not in known:
        raise InputError(
            f"activation = {activation!r}: write one of {', '.join(known)}, or give a function"
        )
    return known[activation]


def gaussian_rule() -> tuple[Array, Array]:
    """Nodes and weights for means over a standard Gaussian, split at zero for kinks there."""
    x, w = np.polynomial.legendre.leggauss(_NODES)
    half = _REACH * (x + 1) / 2
    weight = w * _REACH / 2 * np.exp(-(half**2) / 2) / math.sqrt(2 * math.pi)
    return np.concatenate([-half[::-1], half]), np.concatenate([weight[::-1], weight])


def hermite_coefficients(activation: Activation, degree: int) -> tuple[Array, float]:
    """Normalised Hermite coefficients up to a degree, and the mean square.

    Examples
    --------
    >>> coefficients, square = hermite_coefficients("relu", 2)
    >>> coefficients.round(6).tolist(), round(square, 6)
    ([0.398942, 0.5, 0.282095], 0.5)
    """
    nodes, weight = gaussian_rule()
    values = evaluate(activation, nodes)
    before, now = np.zeros_like(nodes), np.ones_like(nodes)
    found = []
    for k in range(degree + 1):
        found.append(float(weight @ (values * now)))
        before, now = now, (nodes * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    return np.array(found), float(weight @ values**2)


def evaluate(activation: Activation, at: Array) -> Array:
    """Values of an activation, checked.

    Raises
    ------
    InputError
        If they are not finite numbers of the same shape.
    """
    values: Any = named(activation)(at)
    found = np.asarray(values, dtype=np.float64)
    if found.shape != at.shape or not np.isfinite(found).all():
        raise InputError("activation: must give one finite number for each input")
    return found

"""Means of powers over whole numbers, for very many exponents at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError

_DIRECT = 24
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160)
"""B_2j/(2j)! of the Euler-Maclaurin formula."""


def mean_power(alpha: Any, low: int, high: int) -> Array:
    r"""Mean of :math:`k^{-\alpha}` over the whole numbers from low to high.

    Parameters
    ----------
    alpha
        Exponents, any shape.
    low, high
        Whole, ``1 <= low <= high``.

    Raises
    ------
    InputError
        If low or high is not such a number.

    Examples
    --------
    >>> mean_power([0, 1, 2], 1, 2).tolist()
    [1.0, 0.75, 0.625]
    """
    for name, value in (("low", low), ("high", high)):
        if not (1 <= value < 2**53 and value == int(value)):
            raise InputError(f"{name} = {value!r}: must be a whole number, 1 or more")
    if low > high:
        raise InputError(f"low = {low!r}, high = {high!r}: low must not lie above high")
    s = np.asarray(alpha, dtype=np.float64)
    # Relative to the first term, so that nothing underflows.
    base, total = float(low), np.zeros(s.shape)
    near = min(int(high), int(low) + _DIRECT)
    for k in range(int(low), near):
        total += np.exp(-s * np.log(k / base))
    total += _rest(s, float(near), float(high), base)
    return np.asarray(total * np.exp(-s * np.log(base)) / (high - low + 1))


def _rest(s: Array, a: float, b: float, base: float) -> Array:
    """Sum of ``(k/base)^-s`` from a to b by Euler and Maclaurin."""
    fa, fb = (np.exp(-s * np.log(v / base)) for v in (a, b))
    x = (1 - s) * np.log(b / a)
    small = np.abs(x) < 1e-9
    with np.errstate(invalid="ignore"):
        growth = np.where(small, 1 + x / 2, np.expm1(x) / np.where(small, 1.0, x))
    total = fa * a * np.log(b / a) * growth + (fa + fb) / 2
    rising = s.copy()
    for j, factor in enumerate(_BERNOULLI):
        power = 2 * j + 1
        total += factor * rising * (fa / a**power - fb / b**power)
        rising = rising * (s + power) * (s + power + 1)
    return np.asarray(total)

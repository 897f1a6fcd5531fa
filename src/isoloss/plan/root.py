"""Roots of many increasing or decreasing functions at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isoloss._core.arrays import Array

_EPSILON = float(np.finfo(np.float64).eps)


def bracketed_root(
    f: Callable[[Array], Array],
    low: Array,
    high: Array,
    *,
    xtol: float = 1e-12,
    max_iterations: int = 200,
) -> Array:
    """Find x in [low, high] with f(x) = 0, elementwise; NaN where the ends have one sign.

    Chandrupatla's method: inverse quadratic steps where they are safe, bisection elsewhere, so a
    jump in f is found too (as the place of the jump).

    Parameters
    ----------
    f
        Maps an array of the common shape of the ends to values of that shape.
    xtol
        Width at which the bracket is narrow enough.

    References
    ----------
    Chandrupatla 1997, Advances in Engineering Software 28, 145.
    """
    x1, x2 = (np.array(a, dtype=np.float64) for a in np.broadcast_arrays(high, low))
    if not x1.size:
        return x1
    with np.errstate(all="ignore"):
        f1, f2 = f(x1), f(x2)
        valid = (np.sign(f1) * np.sign(f2) <= 0) & np.isfinite(x1) & np.isfinite(x2)
        t = np.full(x1.shape, 0.5)
        best = np.where(np.abs(f1) < np.abs(f2), x1, x2)
        done = ~valid | (f1 == 0) | (f2 == 0)
        for _ in range(max_iterations):
            if done.all():
                break
            x = np.where(done, best, x1 + t * (x2 - x1))
            value = f(x)
            same = np.sign(value) == np.sign(f1)
            x3, f3 = np.where(same, x1, x2), np.where(same, f1, f2)
            x2, f2 = np.where(same, x2, x1), np.where(same, f2, f1)
            x1, f1 = x, value
            best = np.where(done, best, np.where(np.abs(f1) < np.abs(f2), x1, x2))
            width = np.abs(x2 - x1)
            tolerance = 2 * _EPSILON * np.abs(best) + xtol
            done |= (width <= tolerance) | (f1 == 0)
            xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
            smooth = (1 - np.sqrt(1 - xi) < phi) & (phi < np.sqrt(xi))
            ratio = (x3 - x1) / (x2 - x1)
            step = f1 / (f1 - f2) * f3 / (f3 - f2) - ratio * f1 / (f3 - f1) * f2 / (f2 - f3)
            edge = np.minimum(0.5 * tolerance / width, 0.5)
            t = np.clip(np.where(smooth & np.isfinite(step), step, 0.5), edge, 1 - edge)
        return np.where(valid, best, np.nan)

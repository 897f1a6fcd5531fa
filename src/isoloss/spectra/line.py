"""Power laws fitted to sequences: a line in logarithms with a bend, and a decay to a floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array

_SLOWEST, _FASTEST = 0.02, 8.0
_GRID = 400


def bent_line(x: Array, values: Array, weights: Array) -> Array:
    """Slope of a line, then slope in the middle and curvature of a parabola.

    Parameters
    ----------
    x
        Logarithms of ranks, (k,), centred or not.
    values
        Logarithms of what falls, (..., k).
    weights
        Of the squares, (k,).

    Returns
    -------
    array
        Intercept and slope of the line at the weighted mean of x, curvature (half the second
        derivative), (..., 3).
    """
    root = np.sqrt(weights / weights.sum())
    z = x - (weights @ x) / weights.sum()
    found = np.empty((*values.shape[:-1], 3))
    for degree in (1, 2):
        design = np.stack([z**i for i in range(degree + 1)], axis=1) * root[:, None]
        fitted = values * root @ np.linalg.pinv(design).T
        if degree == 1:
            found[..., :2] = fitted
        else:
            found[..., 2] = fitted[..., 2]
    return found


@dataclass(frozen=True, slots=True)
class Decay:
    """``floor + height (x^-exponent - end^-exponent)``; NaN where no such decay is seen.

    ``misfit`` is the weighted root mean square of relative residuals.
    """

    floor: float
    height: float
    exponent: float
    misfit: float


def decay(
    x: Any, y: Any, weights: Any, *, floor: float | None = None, end: float = np.inf
) -> Decay:
    """Fit a decay to a floor by least squares of relative residuals.

    Floor and height are zero or more and are solved for at each exponent; the exponent is searched
    between 0.02 and 8 and is NaN at the ends: no decay, or one that is over at once.

    Parameters
    ----------
    x, y, weights
        Positive, (k,), 4 points or more.
    floor
        Known floor; fitted when absent.
    end
        Where the decay is over, as a sum of finitely many terms is.

    Examples
    --------
    >>> x = np.array([1.0, 2, 4, 8, 16, 32])
    >>> found = decay(x, 0.5 + 2 * x**-0.7, np.ones(6))
    >>> round(found.floor, 6), round(found.exponent, 6)
    (0.5, 0.7)
    """
    x, y, w = (np.asarray(v, dtype=np.float64) for v in (x, y, weights))
    if len(x) < 4 or not np.isfinite(y).all() or (y <= 0).any():
        return Decay(np.nan, np.nan, np.nan, np.nan)
    scale = float(np.exp(np.log(x).mean()))
    x, end = x / scale, end / scale
    root = np.sqrt(w / w.sum()) / y
    flat, target = root, root * y

    def solve(c: Any) -> tuple[Array, Array, Array]:
        """Squares, floors and heights at exponents, (m,)."""
        c = np.atleast_1d(c)[:, None]
        fall = root * (x**-c - end**-c)
        if floor is not None:
            left = target - floor * flat
            height = np.maximum((fall @ left) / (fall**2).sum(axis=1), 0.0)
            base = np.full(height.shape, floor)
        else:
            aa, ab, bb = flat @ flat, fall @ flat, (fall**2).sum(axis=1)
            ay, by = flat @ target, fall @ target
            det = aa * bb - ab**2
            with np.errstate(divide="ignore", invalid="ignore"):
                base = (ay * bb - by * ab) / det
            base = np.where((det > 1e-14 * aa * bb) & (base > 0), base, 0.0)
            height = np.maximum((by - base * ab) / bb, 0.0)
        squares = ((target - base[:, None] * flat - height[:, None] * fall) ** 2).sum(axis=1)
        return squares, base, height

    grid = np.geomspace(_SLOWEST, _FASTEST, _GRID)
    squares, _, _ = solve(grid)
    best = int(np.argmin(squares))
    if best in (0, _GRID - 1):
        return Decay(np.nan, np.nan, np.nan, float(np.sqrt(squares[best])))
    from scipy.optimize import minimize_scalar

    c = float(
        minimize_scalar(
            lambda v: float(solve(v)[0][0]), bounds=(grid[best - 1], grid[best + 1]),
            method="bounded", options={"xatol": 1e-10},
        ).x
    )  # fmt: skip
    square, base, height = (float(v[0]) for v in solve(c))
    if height == 0:
        return Decay(np.nan, np.nan, np.nan, float(np.sqrt(square)))
    return Decay(base, height * scale**c, c, float(np.sqrt(square)))

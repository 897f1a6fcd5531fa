"""Smooth functions held as products of Chebyshev polynomials, with exact derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
SLACK = 1e-6
"""How far beyond its box a table still answers: derivatives at a bound need a little."""
_PIECE = 1 << 20


class Table:
    """A function of three numbers in [0, 1], the last two mostly shared by many of the first.

    The value and its derivatives are those of one polynomial, so they agree with each other to
    rounding, for complex arguments too. Beyond the box the answer is NaN.

    Parameters
    ----------
    function
        Takes three arrays of one shape.
    sizes
        Coefficients in each direction.
    """

    def __init__(self, function: Callable[..., Array], sizes: tuple[int, int, int]) -> None:
        values: Array = function(*np.meshgrid(*(_nodes(n) for n in sizes), indexing="ij"))
        for axis, n in enumerate(sizes):
            summed = np.tensordot(_transform(n), values, (1, axis))
            values = np.asarray(np.moveaxis(summed, 0, axis), dtype=np.float64)
        self._kept: dict[tuple[int, ...], Array] = {(0, 0, 0): values}

    def coefficients(self, orders: tuple[int, ...] = (0, 0, 0)) -> Array:
        """Coefficients of a mixed derivative, of so many orders in each direction."""
        if orders not in self._kept:
            found = self._kept[0, 0, 0]
            for axis, order in enumerate(orders):
                # The polynomials run over [-1, 1].
                found = np.polynomial.chebyshev.chebder(found, order, scl=2, axis=axis)
            self._kept[orders] = np.ascontiguousarray(found)
        return self._kept[orders]

    def __call__(self, x: Any, y: Any, z: Any, orders: tuple[int, ...] = (0, 0, 0)) -> Any:
        """Value or derivative at real or complex arguments that broadcast together."""
        x, y, z = (np.asarray(v) for v in (x, y, z))
        shape = np.broadcast_shapes(x.shape, y.shape, z.shape)
        y, z = np.broadcast_arrays(y, z)
        # One row for every pair of y and z, if these do not change along the last axis.
        if y.ndim and y.shape[-1] != 1:
            y, z = (np.broadcast_to(v, shape)[..., None] for v in (y, z))
            x = np.broadcast_to(x, shape)[..., None]
        else:
            lead, last = shape[:-1], shape[-1:] or (1,)
            y, z = (np.broadcast_to(v, (*lead, 1)) for v in (y, z))
            x = np.broadcast_to(x, (*lead, *last))
        x, y, z = x.reshape(-1, x.shape[-1]), y.reshape(-1), z.reshape(-1)
        out = np.empty(x.shape, dtype=np.result_type(x, y, z, np.float64))
        table = self.coefficients(orders)
        step = max(1, _PIECE // (table.shape[0] * table.shape[1]))
        for i in range(0, len(x), step):
            rows = slice(i, i + step)
            out[rows] = _sum(table, x[rows], y[rows], z[rows])
        return out.reshape(shape)


def _sum(table: Array, x: Any, y: Any, z: Any) -> Any:
    inside = np.ones(len(y), dtype=bool)
    for v in (y, z):
        inside &= (np.real(v) >= -SLACK) & (np.real(v) <= 1 + SLACK)
    y, z = np.where(inside, y, 0.5), np.where(inside, z, 0.5)
    at_z = table @ _polynomials(z, table.shape[2])
    series = np.einsum("xyn,yn->xn", at_z, _polynomials(y, table.shape[1]))
    series[:, ~inside] = np.nan
    within = (np.real(x) >= -SLACK) & (np.real(x) <= 1 + SLACK)
    found = _clenshaw(series[:, :, None], np.where(within, x, 0.5))
    return found if within.all() else np.where(within, found, np.nan)


def _clenshaw(series: Any, x: Any) -> Any:
    """Sum a series whose coefficients are along the first axis."""
    twice = 4 * x - 2
    last, before = np.zeros_like(twice), 0.0
    for c in series[:0:-1]:
        last, before = twice * last - before + c, last
    return 0.5 * twice * last - before + series[0]


def _polynomials(x: Any, count: int) -> Any:
    """Values of the first Chebyshev polynomials of [0, 1], (count, n)."""
    twice = 4 * x - 2
    found = [np.ones_like(twice), 0.5 * twice]
    for _ in range(count - 2):
        found.append(twice * found[-1] - found[-2])
    return np.stack(found[:count])


def _angles(count: int) -> Array:
    return np.asarray(np.pi * (np.arange(count) + 0.5) / count)


def _nodes(count: int) -> Array:
    return np.asarray(0.5 + 0.5 * np.cos(_angles(count)))


def _transform(count: int) -> Array:
    """Matrix that makes coefficients of values at the nodes."""
    found = 2 / count * np.cos(np.arange(count)[:, None] * _angles(count))
    found[0] /= 2
    return np.asarray(found)

"""Smooth functions held as products of Chebyshev polynomials, with exact derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
SLACK = 1e-6
"""How far beyond its box a table still answers: derivatives at a bound need a little."""
_PIECE = 1 << 20


class Table:
    """A function of numbers in [0, 1]: one or two that vary, and two that many of them share.

    The value and its derivatives are those of one polynomial, so they agree with each other to
    rounding, for complex arguments too. Beyond the box the answer is NaN.

    Parameters
    ----------
    values
        The function at the `nodes` of each direction, of 3 or 4 dimensions. The last two are of
        the arguments that are shared.
    loss
        With 4 dimensions, what may be lost by keeping fewer products of the first two.
    """

    def __init__(self, values: Array, *, loss: float = 0.0) -> None:
        for axis, n in enumerate(values.shape):
            values = _apply(_transform(n), values, axis)
        # Two arguments that vary: few series of polynomials in each hold the table.
        self._bases = [_leading(values, axis, loss) for axis in (0, 1) if values.ndim == 4]
        for axis, base in enumerate(self._bases):
            values = _apply(base.T, values, axis)
        self._core = np.ascontiguousarray(values)
        self._kept: dict[tuple[int, ...], tuple[Array, ...]] = {}

    @property
    def size(self) -> tuple[int, ...]:
        """Coefficients kept in each direction."""
        return self._core.shape

    def _parts(self, orders: tuple[int, ...]) -> tuple[Array, ...]:
        """Bases and core of a mixed derivative."""
        if orders not in self._kept:
            bases = [_slope(v, o, 0) for v, o in zip(self._bases, orders, strict=False)]
            core = self._core
            for axis in range(len(bases), core.ndim):
                core = _slope(core, orders[axis], axis)
            self._kept[orders] = (*bases, np.ascontiguousarray(core))
        return self._kept[orders]

    def __call__(self, *arguments: Any, orders: tuple[int, ...]) -> Any:
        """Value or derivative at real or complex arguments that broadcast together."""
        given = [np.asarray(v) for v in arguments]
        shape = np.broadcast_shapes(*(v.shape for v in given))
        shared = np.broadcast_arrays(*given[-2:])
        # One row for every pair of shared arguments, if these do not change along the last axis.
        if shared[0].ndim and shared[0].shape[-1] != 1:
            lead, last = shape, 1
            points = [np.broadcast_to(v, shape) for v in given[:-2]]
            shared = tuple(np.broadcast_to(v, shape) for v in shared)
        else:
            lead, last = shape[:-1], (shape or (1,))[-1]
            points = [np.broadcast_to(v, (*lead, last)) for v in given[:-2]]
            shared = tuple(np.broadcast_to(v, (*lead, 1)) for v in shared)
        points = [v.reshape(-1, last) for v in points]
        y, z = (v.reshape(-1) for v in shared)
        out = np.empty((len(y), last), dtype=np.result_type(np.float64, *given))
        parts = self._parts(orders)
        step = max(1, _PIECE // (parts[-1].size // parts[-1].shape[-1]))
        for i in range(0, len(y), step):
            rows = slice(i, i + step)
            out[rows] = _sum(parts, [v[rows] for v in points], y[rows], z[rows])
        return out.reshape(shape)


def nodes(count: int) -> Array:
    """Where values are wanted in a direction of so many coefficients."""
    return np.asarray(0.5 + 0.5 * np.cos(_angles(count)))


def resampled(values: Array, places: Array) -> Array:
    """Values at other places of functions given at the `nodes`, which the first axis is of."""
    found = _apply(_transform(len(values)), values, 0)
    return np.asarray(np.tensordot(_polynomials(places, len(values)), found, (0, 0)))


def _sum(parts: tuple[Array, ...], points: list[Any], y: Any, z: Any) -> Any:
    inside = np.ones(len(y), dtype=bool)
    for v in (y, z):
        inside &= (np.real(v) >= -SLACK) & (np.real(v) <= 1 + SLACK)
    core = parts[-1] @ _polynomials(np.where(inside, z, 0.5), parts[-1].shape[-1])
    core = np.einsum("...yn,yn->n...", core, _polynomials(np.where(inside, y, 0.5), core.shape[-2]))
    core[~inside] = np.nan
    within = np.ones(points[0].shape, dtype=bool)
    for v in points:
        within &= (np.real(v) >= -SLACK) & (np.real(v) <= 1 + SLACK)
    points = [np.where(within, v, 0.5) for v in points]
    if len(points) == 1:
        found = _clenshaw(core.T[:, :, None], points[0])
    else:
        first, second = (
            np.moveaxis(_polynomials(v, len(b)), 0, -1) @ b
            for v, b in zip(points, parts, strict=False)
        )
        found = np.sum((first @ core) * second, axis=-1)
    return found if within.all() else np.where(within, found, np.nan)


def _clenshaw(series: Any, x: Any) -> Any:
    """Sum a series whose coefficients are along the first axis."""
    twice = 4 * x - 2
    last, before = np.zeros_like(twice), 0.0
    for c in series[:0:-1]:
        last, before = twice * last - before + c, last
    return 0.5 * twice * last - before + series[0]


def _polynomials(x: Any, count: int) -> Any:
    """Values of the first Chebyshev polynomials of [0, 1], along a new first axis."""
    twice = 4 * np.asarray(x) - 2
    found = np.empty((count, *twice.shape), dtype=twice.dtype)
    found[0] = 1.0
    if count > 1:
        found[1] = 0.5 * twice
    for i in range(2, count):
        found[i] = twice * found[i - 1] - found[i - 2]
    return found


def _leading(values: Array, axis: int, loss: float) -> Array:
    """Series in one direction, by their part in the table, (coefficients, kept)."""
    flat = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    left, size, _ = np.linalg.svd(flat, full_matrices=False)
    return np.asarray(left[:, : max(1, int(np.sum(size > loss)))])


def _slope(series: Array, order: int, axis: int) -> Array:
    # The polynomials run over [-1, 1].
    found = np.polynomial.chebyshev.chebder(series, order, scl=2, axis=axis)
    return np.asarray(found, dtype=np.float64)


def _apply(matrix: Array, values: Array, axis: int) -> Array:
    return np.asarray(np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis))


def _angles(count: int) -> Array:
    return np.asarray(np.pi * (np.arange(count) + 0.5) / count)


def _transform(count: int) -> Array:
    """Matrix that makes coefficients of values at the nodes."""
    found = 2 / count * np.cos(np.arange(count)[:, None] * _angles(count))
    found[0] /= 2
    return np.asarray(found)

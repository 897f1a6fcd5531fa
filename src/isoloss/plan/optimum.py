"""Optimal sizes for many budgets and parameter vectors: closed form or roots of exact slopes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.plan.cost import log_slope
from isoloss.plan.problem import Problem
from isoloss.plan.root import bracketed_root

INTERIOR, NONE, DATA_BIND = 0, 1, 2

_DECADE = float(np.log(10))
# 25 decades to either side of N = D: no unit of N or D puts the optimum outside.
_WIDE = np.arange(-25 * _DECADE, 25 * _DECADE + 0.25, 0.25)
_WIDE_COARSE = _WIDE[::4]
_WINDOW = np.arange(-12.0, 12.1, 1.5)
# Elements an array may have, so that the temporaries of a formula stay in cache.
_CHUNK = 60_000


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Optimal log sizes.

    Attributes
    ----------
    log_N
        (B, m), NaN where there is none.
    kind
        ``INTERIOR``, ``NONE`` or ``DATA_BIND``, (B, m).
    rivals
        Loss of the second-best interior minimum, infinite where there is one alone, (B, m).
    edge
        Least loss at the ends of the range searched, (B, m).
    """

    log_N: Array
    kind: npt.NDArray[np.int64]
    rivals: Array
    edge: Array


def solve(problem: Problem, theta: Array, C: Array, *, numeric: bool = False) -> Optimum:
    r"""Minimise the loss over sizes at budgets C, (m,) or (B, m), for parameters (B, p).

    With :math:`u = A N^{-\alpha}`, :math:`v = B D^{-\beta}` and a cost :math:`k N D`, all laws
    :math:`E + (u^\kappa + v^\kappa)^{1/\kappa}` have their optimum where
    :math:`\alpha u^\kappa = \beta v^\kappa`. Others are solved by bracketing the sign changes of
    the exact derivative along the budget.
    """
    shape = (len(theta), C.shape[-1])
    if not problem.splits:
        return _empty(shape)
    constants = None if numeric else problem.power_sum(theta)
    if constants is not None:
        return _closed(problem, constants, C, shape)
    with np.errstate(all="ignore"):
        if len(theta) == 1 and C.ndim == 1:
            return _search(problem, theta, C, np.log(problem.cost.balanced(C)), _WIDE)
        return _many(problem, theta, C, shape)


def _empty(shape: tuple[int, int]) -> Optimum:
    nan = np.full(shape, np.nan)
    return Optimum(nan, np.full(shape, NONE), np.full(shape, np.inf), np.full(shape, np.inf))


def _closed(problem: Problem, c: dict[str, Array], C: Array, shape: tuple[int, int]) -> Optimum:
    with np.errstate(all="ignore"):
        positive = np.min([c[n] for n in ("A", "B", "alpha", "beta", "k")], axis=0) > 0
        product = np.log(C / problem.cost(1.0, 1.0))
        log_N = (
            np.log(c["alpha"] / c["beta"]) / c["k"]
            + np.log(c["A"])
            - np.log(c["B"])
            + c["beta"] * product
        ) / (c["alpha"] + c["beta"])
    good = np.broadcast_to(positive, shape) & np.isfinite(log_N)
    empty = _empty(shape)
    return Optimum(
        np.where(good, log_N, np.nan), np.where(good, INTERIOR, NONE), empty.rivals, empty.edge
    )


def _many(problem: Problem, theta: Array, C: Array, shape: tuple[int, int]) -> Optimum:
    """Look near the answer of the median parameters first, then everywhere for the rest."""
    budgets = C if C.ndim == 1 else np.exp(np.median(np.log(C), axis=0))
    middle = np.median(theta, axis=0)[None]
    wide = np.log(problem.cost.balanced(C))
    hint = _search(problem, middle, budgets, np.log(problem.cost.balanced(budgets)), _WIDE).log_N[0]
    if C.ndim == 2:
        # Each row has budgets of its own: move the hint along with them.
        hint = hint + wide - np.log(problem.cost.balanced(budgets))
    start = np.where(np.isfinite(hint), hint, wide)
    found = _chunked(problem, theta, C, start, _WINDOW)
    lost = (found.kind == NONE).any(axis=1)
    if lost.any():
        some = C if C.ndim == 1 else C[lost]
        again = _chunked(
            problem, theta[lost], some, wide if wide.ndim == 1 else wide[lost], _WIDE_COARSE
        )
        for name in ("log_N", "kind", "rivals", "edge"):
            getattr(found, name)[lost] = getattr(again, name)
    return found


def _chunked(problem: Problem, theta: Array, C: Array, centre: Array, offsets: Array) -> Optimum:
    rows = max(1, _CHUNK // (C.shape[-1] * offsets.size))
    parts = []
    for i in range(0, len(theta), rows):
        at = slice(i, i + rows)
        some, middle = (a if a.ndim == 1 else a[at] for a in (C, centre))
        parts.append(_search(problem, theta[at], some, middle, offsets))
    return Optimum(
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("log_N", "kind", "rivals", "edge")
        )
    )


def _search(problem: Problem, theta: Array, C: Array, centre: Array, offsets: Array) -> Optimum:
    """Bracket every sign change of the slope on a grid, and polish the lowest."""
    rows, m, g = len(theta), C.shape[-1], offsets.size
    least = problem.least_size(C)
    centre = np.broadcast_to(centre, np.broadcast_shapes(centre.shape, C.shape))
    grid = centre[..., None] + offsets
    if least is not None:
        grid = np.maximum(grid, least[..., None])
    flat = (*grid.shape[:-2], m * g)
    budgets = np.broadcast_to(C[..., None], grid.shape).reshape(flat)
    slope = problem.slope(theta, grid.reshape(flat), budgets).reshape(rows, m, g)
    sign = _filled_sign(slope)
    rising = (sign[..., :-1] < 0) & (np.sign(slope[..., 1:]) > 0)
    value = problem.loss(theta, grid.reshape(flat), budgets).reshape(rows, m, g)
    value = np.where(np.isnan(value), np.inf, value)

    height = np.where(rising, np.minimum(value[..., :-1], value[..., 1:]), np.inf)
    best = np.argmin(height, axis=-1)[..., None]
    exists = np.take_along_axis(rising, best, axis=-1)[..., 0]
    grid = np.broadcast_to(grid, (rows, m, g))
    low = np.take_along_axis(grid, best, axis=-1)[..., 0]
    high = np.take_along_axis(grid, best + 1, axis=-1)[..., 0]
    log_N = bracketed_root(
        lambda n: problem.slope(theta, n, C),
        np.where(exists, low, np.nan),
        np.where(exists, high, np.nan),
    )
    kind = np.where(np.isfinite(log_N), INTERIOR, NONE)
    rivals = height.copy()
    np.put_along_axis(rivals, best, np.inf, axis=-1)
    edge = np.minimum(value[..., 0], value[..., -1])

    if least is not None:
        # At the smallest size that the data allow, a rising loss makes that size a minimum too.
        first = np.broadcast_to(least, (rows, m))
        wall = (problem.slope(theta, first, C) > 0) & np.isfinite(first)
        at_wall = problem.loss(theta, first, C)
        inside = np.where(kind == INTERIOR, problem.loss(theta, log_N, C), np.inf)
        wall &= at_wall < inside
        log_N, kind = np.where(wall, first, log_N), np.where(wall, DATA_BIND, kind)
        edge = value[..., -1]
    return Optimum(log_N, kind, rivals.min(axis=-1), edge)


def _filled_sign(slope: Array) -> Array:
    """Signs, with zeros (underflow) and NaN replaced by the last sign before them."""
    sign = np.nan_to_num(np.sign(slope))
    last = np.where(sign != 0, np.arange(sign.shape[-1]), 0)
    return np.take_along_axis(sign, np.maximum.accumulate(last, axis=-1), axis=-1)


def exponents(problem: Problem, theta: Array, C: Array, optimum: Optimum) -> tuple[Array, Array]:
    r"""Local growth :math:`d\log N_{opt}/d\log C` and :math:`d\log D_{opt}/d\log C`, (B, m).

    At an interior optimum the slope g(log N, log C) stays zero, so the growth is
    :math:`-g_C/g_N`; where the data bind it follows from the cost alone.
    """
    constants = problem.power_sum(theta) if problem.splits else None
    if constants is not None:
        grow = constants["beta"] / (constants["alpha"] + constants["beta"])
        grow = np.where(optimum.kind == INTERIOR, grow, np.nan)
        return grow, 1 - grow
    if not problem.splits:
        return optimum.log_N.copy(), optimum.log_N.copy()
    n, kind = optimum.log_N, optimum.kind
    with np.errstate(all="ignore"):
        by_N = _difference(lambda h: problem.slope(theta, n + h, C))
        by_C = _difference(lambda h: problem.slope(theta, n, C * np.exp(h)))
        grow = -by_C / by_N
        if problem.max_D is not None:
            cap = problem.max_D
            follow = log_slope(lambda h: problem.cost.size(cap, C * np.exp(h)))
            grow = np.where(kind == DATA_BIND, follow, grow)
        grow = np.where(kind == NONE, np.nan, grow)
        size = np.where(kind == NONE, 0.0, n)
        data = log_slope(
            lambda h: problem.cost.tokens(np.exp(size + np.nan_to_num(grow) * h), C * np.exp(h))
        )
    data = np.where(kind == DATA_BIND, 0.0, data)
    return grow, np.where(kind == NONE, np.nan, data)


def _difference(f: Callable[[float], Array]) -> Array:
    """Central difference of fourth order, of a slope that is itself exact."""
    step = 1e-2
    total = f(-2 * step) - 8 * f(-step) + 8 * f(step) - f(2 * step)
    return np.asarray(total / (12 * step))

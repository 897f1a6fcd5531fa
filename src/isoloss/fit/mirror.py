"""Equal optima: which of them is meant, and its last digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.covariance import polish
from isoloss.fit.engine import Solutions
from isoloss.fit.kernel import Kernel
from isoloss.fit.units import exponents, waves

SAME = 1e-10
"""Optima whose objectives differ by less than this are one, or mirror images of one."""


def choose(kernel: Kernel, solutions: Solutions, given: list[Array], weights: Array) -> Solutions:
    """Among equal optima, let one be the lowest, and take it to the last digit.

    Waves have equal optima at every frequency that the spacing of the data cannot tell apart: the
    slowest is meant. A sum of two peaks has two, for the peaks can change names: the one nearest
    the first start is meant, or else the one with the largest first parameter.
    """
    value = solutions.value
    floor = float(kernel.floor(weights))
    equal = np.flatnonzero(value <= value.min() + SAME * max(float(value.min()), floor))
    theta = kernel.natural(solutions.q[equal])
    near, wave = np.arange(len(equal)), waves(kernel.law)
    if given:
        gap = np.abs(theta - given[0]) / np.maximum(np.abs(theta) + np.abs(given[0]), 1e-300)
        # Squares: of the ways to match two rates with two, they favour the one that keeps order.
        near = _largest(near, -np.sum(gap[:, wave] ** 2, axis=1))
        near = _largest(near, -np.sum(gap**2, axis=1))
    else:
        power = exponents(kernel.law)[:, :-1].sum(axis=1)
        for i in wave:
            near = _largest(near, np.abs(theta[:, i]) ** np.sign(power[i]))
        for column in theta.T:
            near = _largest(near, column)
    # Of copies of one optimum, the most exact; their objectives differ by rounding only.
    copies = equal[near]
    exact = [polish(kernel, q, weights) for q in solutions.q[copies]]
    best = int(np.argmin([gradient for _, gradient in exact]))
    q, level = solutions.q.copy(), value.copy()
    q[copies[best]] = exact[best][0]
    level[equal] = np.maximum(value[equal], np.nextafter(value.min(), np.inf))
    level[copies[best]] = value.min()
    return replace(solutions, q=q, value=level)


def _largest(rows: npt.NDArray[np.int64], column: Array) -> npt.NDArray[np.int64]:
    top = column[rows].max()
    kept: npt.NDArray[np.int64] = rows[column[rows] >= top - 1e-6 * abs(top)]
    return kept

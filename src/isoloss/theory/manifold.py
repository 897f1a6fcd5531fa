"""Exponents that follow from the dimension of the data alone, and two learners that show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_seed, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_numbers


@dataclass(frozen=True, slots=True)
class DimensionExponents:
    """Resolution-limited exponents of data that fill d dimensions.

    Attributes
    ----------
    lipschitz
        1/d, a bound that holds for a model and a target which are only Lipschitz continuous.
    nearest
        2/d: copying the nearest sample, with a loss of second order in the error.
    linear
        4/d: interpolating linearly between neighbours; the estimate for smooth targets and
        networks of piecewise-linear units, and a lower bound where the interpolation is better.

    Examples
    --------
    >>> dimension_exponents(8).linear
    0.5
    """

    lipschitz: float
    nearest: float
    linear: float


def dimension_exponents(d: float) -> DimensionExponents:
    """Exponents of the loss in data, or in parameters, for intrinsic dimension d.

    Raises
    ------
    InputError
        If d is not above zero.

    References
    ----------
    Bahri et al., arXiv:2102.06701, theorems 2 and 3 and the estimate 4/d; Sharma and Kaplan,
    arXiv:2004.10802.

    Examples
    --------
    >>> dimension_exponents(4)
    DimensionExponents(lipschitz=0.25, nearest=0.5, linear=1.0)
    """
    d = as_above_zero("d", d)
    return DimensionExponents(1 / d, 2 / d, 4 / d)


def kernel_exponent(smoothness: float, d: float) -> float:
    """Exponent t/d of a kernel with t derivatives (at r = 0, beyond the even ones) in d dimensions.

    Its eigenvalues fall as ``n**-(1 + t/d)``: b = 1 + t/d in `isoloss.theory.power_law`.

    Raises
    ------
    InputError
        If a value is not above zero.

    References
    ----------
    Bahri et al., arXiv:2102.06701, on kernels of finite smoothness; Kuehn 1987 for the spectrum.

    Examples
    --------
    >>> kernel_exponent(1, 4)
    0.25
    """
    return as_above_zero("smoothness", smoothness) / as_above_zero("d", d)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interpolation:
    """Losses of a learner that interpolates between samples, by their number.

    Attributes
    ----------
    T
        Samples, (k,).
    loss, sem
        Mean squared error over targets and samples, and its standard error, (k,).
    """

    T: Array
    loss: Array
    sem: Array

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def exponent(self) -> float:
        """Slope of log loss in log T, by least squares, with the sign turned."""
        return -float(np.polyfit(np.log(self.T), np.log(self.loss), 1)[0])


def simulate_interpolation(
    d: int, T: Any, *, method: str = "linear", draws: int = 8, points: int = 2000, rng: int = 0
) -> Interpolation:
    """Learn smooth random functions on the unit cube of d dimensions by interpolation.

    A target is a sum of 40 waves with random directions; samples and the points of judgement are
    uniform, the latter in the inner half of the cube, away from the border.

    Parameters
    ----------
    d
        Dimension, 1 to 5 for ``linear`` (simplices grow steeply in number), any for ``nearest``.
    T
        Numbers of samples, each above d + 1.
    method
        ``"linear"`` (on simplices) or ``"nearest"``.
    draws, points
        Random targets a number of samples, and points that each is judged at.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Bahri et al., arXiv:2102.06701, on interpolation.

    Examples
    --------
    >>> found = simulate_interpolation(2, [100, 400, 1600], method="nearest", draws=4)
    >>> 0.8 < found.exponent < 1.2
    True
    """
    sizes = as_numbers("T", T).ravel()
    if not d >= 1 or d != int(d) or (method == "linear" and d > 5):
        raise InputError(f"d = {d!r}: must be a whole number from 1, and at most 5 for 'linear'")
    if method not in ("linear", "nearest"):
        raise InputError(f"method = {method!r}: write 'linear' or 'nearest'")
    if (sizes < d + 2).any() or (sizes != np.floor(sizes)).any():
        raise InputError(f"T: whole numbers of samples, at least {d + 2} in {d} dimensions")
    if draws < 2 or points < 1:
        raise InputError(f"draws = {draws!r}, points = {points!r}: at least 2 draws and 1 point")
    seed = as_seed(rng)
    found = np.empty((sizes.size, draws))
    for i, size in enumerate(sizes.astype(np.int64)):
        for k in range(draws):
            # The same targets for every number of samples, so that slopes are theirs.
            target = _waves(np.random.default_rng([seed, k]), int(d))
            rng_of = np.random.default_rng([seed, k, int(size)])
            found[i, k] = _error(rng_of, target, int(d), int(size), points, method)
    return Interpolation(
        T=sizes, loss=found.mean(axis=1), sem=found.std(axis=1, ddof=1) / np.sqrt(draws)
    )


def _waves(rng: np.random.Generator, d: int) -> Callable[[Array], Array]:
    waves = rng.standard_normal((d, 40)) * (2.0 / np.sqrt(d))
    phases, heights = rng.uniform(0, 2 * np.pi, 40), rng.standard_normal(40) / np.sqrt(40)

    def target(x: Array) -> Array:
        return np.asarray(np.sin(x @ waves + phases) @ heights)

    return target


def _error(
    rng: np.random.Generator,
    target: Callable[[Array], Array],
    d: int,
    size: int,
    points: int,
    method: str,
) -> float:
    known, judged = rng.random((size, d)), 0.25 + 0.5 * rng.random((points, d))
    values = target(known)
    if method == "nearest":
        from scipy.spatial import cKDTree

        guess = values[cKDTree(known).query(judged)[1]]
    elif d == 1:
        order = np.argsort(known[:, 0])
        guess = np.interp(judged[:, 0], known[order, 0], values[order])
    else:
        from scipy.interpolate import LinearNDInterpolator

        guess = LinearNDInterpolator(known, values)(judged)
    error = np.asarray(guess - target(judged), dtype=np.float64)
    # Few samples may leave a point outside their hull.
    return float(np.mean(error[np.isfinite(error)] ** 2))

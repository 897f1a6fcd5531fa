"""The cost of a family of models, read off its runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError
from isoloss.plan.cost import PerToken

POWERS = (1.0, 2 / 3, 1 / 3)
"""How blocks, attention over a fixed context and vocabulary grow with N at a fixed aspect ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyCost(PerToken):
    r"""C = D (a N + b N^{2/3} + c N^{1/3}), with a, b, c at or above zero.

    Blocks grow as N, attention over a fixed context as depth times width, N^(2/3), embedding and
    head as width, N^(1/3).

    Attributes
    ----------
    a, b, c
        Training FLOPs per token of each term.
    misfit
        Largest relative difference from a run.

    Examples
    --------
    >>> cost = FamilyCost(a=6.0, b=0.0, c=0.0, misfit=0.0)
    >>> float(cost(1e9, 2e10))
    1.2e+20
    """

    a: float
    b: float
    c: float
    misfit: float

    @property
    def text(self) -> str:
        """Formula for people."""
        names = (("N", self.a), ("N^(2/3)", self.b), ("N^(1/3)", self.c))
        terms = " + ".join(f"{value:.4g} {name}" for name, value in names if value)
        return f"({terms}) D"

    def per_token(self, N: Array) -> Array:
        """Sum of the three terms."""
        return np.asarray(self.a * N + self.b * np.cbrt(N) ** 2 + self.c * np.cbrt(N))

    def tilt(self, N: npt.ArrayLike, D: npt.ArrayLike) -> Array:
        """Exact: minus the mean power."""
        n = np.asarray(N, float)
        mean = self.a * n + self.b * np.cbrt(n) ** 2 * POWERS[1] + self.c * np.cbrt(n) * POWERS[2]
        return -np.broadcast_to(mean / self.per_token(n), np.broadcast_shapes(n.shape, np.shape(D)))


def family_cost(N: npt.ArrayLike, per_token: npt.ArrayLike) -> FamilyCost:
    """Fit the cost of a token to the sizes of a family, by least squares of relative errors.

    Parameters
    ----------
    N, per_token
        Size of each model, and its training FLOPs per token, (n,).

    Raises
    ------
    InputError
        For values that are not positive or of unequal length.

    Examples
    --------
    >>> family_cost([1e6, 1e7, 1e8], [6e6, 6e7, 6e8]).text
    '(6 N) D'
    """
    sizes = as_vector("N", N, positive=True)
    rates = as_vector("per_token", per_token, positive=True)
    if sizes.size != rates.size or not sizes.size:
        raise InputError(f"N, per_token: {sizes.size} and {rates.size} values; give one each")
    values = powers_of(sizes, rates)
    cost = FamilyCost(a=values[0], b=values[1], c=values[2], misfit=0.0)
    misfit = float(np.max(np.abs(cost.per_token(sizes) / rates - 1)))
    return FamilyCost(a=values[0], b=values[1], c=values[2], misfit=misfit)


def powers_of(x: Array, y: Array) -> tuple[float, float, float]:
    """Non-negative coefficients of x, x^(2/3) and x^(1/3) that give y."""
    from scipy.optimize import nnls

    basis = np.stack([x**p for p in POWERS], axis=1) / y[:, None]
    scale = np.linalg.norm(basis, axis=0)
    found: Any = nnls(basis / scale, np.ones(x.size))[0] / scale
    # Rounding leaves specks of terms that are not there.
    share = found * np.stack([x**p for p in POWERS], axis=1).max(axis=0)
    found = np.where(share < 1e-9 * share.max(), 0.0, found)
    return float(found[0]), float(found[1]), float(found[2])

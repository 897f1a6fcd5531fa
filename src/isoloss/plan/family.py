"""The cost of a family of models, read off its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError
from isoloss.plan.cost import PerToken

Terms = tuple[float, float, float]
SHALLOWEST, DEEPEST = 0.5, 0.2
"""Width grows as blocks to a power between these: at one depth, and faster than depth never."""
CONSTANT_ASPECT = 1 / 3
_NEWTON = 60
_TINY = 1e-15


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyCost(PerToken):
    r"""C = D f(b), N = n(b): size and cost of models that differ in the size b of their blocks.

    Width grows as :math:`b^w`, so that depth grows as :math:`b^{1-2w}`. Size and cost are
    :math:`a\,b + c\,b^{1-w} + e\,b^w`, coefficients at or above zero: blocks, attention over a
    fixed context (depth times width), and what has one vector a symbol (width).

    Attributes
    ----------
    width_power
        w; one third at a constant aspect ratio.
    size_terms, rate_terms
        a, c, e of N and of training FLOPs per token.
    misfit
        Largest relative difference from a model of the family, of either.

    Examples
    --------
    >>> cost = FamilyCost(size_terms=(1.0, 0.0, 0.0), rate_terms=(6.0, 0.0, 0.0))
    >>> cost.text, round(float(cost(1e9, 2e10)) / 1e20, 9)
    ('(6 N) D', 1.2)
    """

    size_terms: Terms
    rate_terms: Terms
    width_power: float = CONSTANT_ASPECT
    misfit: float = 0.0

    @property
    def text(self) -> str:
        """Formula for people."""
        rate, size = self._formula(self.rate_terms), self._formula(self.size_terms)
        if size == "b":
            return f"({rate.replace('b', 'N')}) D"
        return f"({rate}) D, where N = {size}"

    def blocks(self, N: npt.ArrayLike) -> Array:
        """Size b of the blocks of a model of size N."""
        return np.asarray(np.exp(self._root(np.asarray(N, float))))

    def size_of(self, blocks: npt.ArrayLike) -> Array:
        """Size N of a model whose blocks are of size b."""
        return np.exp(self._log(self.size_terms, np.log(np.asarray(blocks, float)))[0])

    def per_token(self, N: Array) -> Array:
        """f(b) at the b that gives N."""
        return np.exp(self._log(self.rate_terms, self._root(np.asarray(N, float)))[0])

    def tilt(self, N: npt.ArrayLike, D: npt.ArrayLike) -> Array:
        """Exact: minus the elasticity of f in N, by way of b."""
        n = np.asarray(N, float)
        x = self._root(n)
        slope = self._log(self.rate_terms, x)[1] / self._log(self.size_terms, x)[1]
        return -np.broadcast_to(slope, np.broadcast_shapes(n.shape, np.shape(D)))

    def _log(self, terms: Terms, x: Array) -> tuple[Array, Array]:
        """Log of the sum of terms at x = log b, and its slope."""
        parts = [(v, p) for v, p in zip(terms, _powers(self.width_power), strict=True) if v > 0]
        logs = np.stack([np.log(v) + p * x for v, p in parts])
        top = logs.max(axis=0)
        shares = np.exp(logs - top)
        total = shares.sum(axis=0)
        slope = sum(p * s for (_, p), s in zip(parts, shares, strict=True)) / total
        return np.asarray(top + np.log(total)), np.asarray(slope)

    def _root(self, N: Array) -> Array:
        """Log of the b that gives N.

        In logs the sum is convex with a slope between those of its terms, so that Newton's method
        converges from anywhere.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            goal = np.log(N)
            x = goal - np.log(max(self.size_terms[0], 1e-300))
            if sum(v > 0 for v in self.size_terms) == 1 and self.size_terms[0] > 0:
                return np.asarray(x)
            for _ in range(_NEWTON):
                value, slope = self._log(self.size_terms, x)
                step = (value - goal) / slope
                x = x - np.where(np.isfinite(step), step, 0.0)
                if not np.any(np.abs(step) > _TINY * (1 + np.abs(x))):
                    break
        return np.asarray(x)

    def _formula(self, terms: Terms) -> str:
        powers = _powers(self.width_power)
        return " + ".join(
            ("" if abs(v - 1) < 1e-9 else f"{v:.4g} ") + ("b" if p == 1 else f"b^{p:.3f}")
            for v, p in zip(terms, powers, strict=True)
            if v
        )


def family_cost(
    N: npt.ArrayLike,
    per_token: npt.ArrayLike,
    *,
    blocks: npt.ArrayLike | None = None,
    width_power: float | None = None,
) -> FamilyCost:
    """Fit size and cost of a token to the models of a family, by least relative squares.

    Parameters
    ----------
    N, per_token
        Size of each model, and its training FLOPs per token, (n,).
    blocks
        Size of each model's blocks, (n,); N by default.
    width_power
        Power of the blocks as which width grows; by default that which fits best.

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
    bases = sizes if blocks is None else as_vector("blocks", blocks, positive=True)
    if not sizes.size == rates.size == bases.size or not sizes.size:
        raise InputError(
            f"N, per_token, blocks: {sizes.size}, {rates.size} and {bases.size} values; give one "
            "each a model"
        )
    w = fit_width_power(bases, [sizes, rates]) if width_power is None else width_power
    size, off_size = _fit(bases, sizes, w)
    rate, off_rate = _fit(bases, rates, w)
    misfit = max(float(np.abs(off_size).max()), float(np.abs(off_rate).max()))
    return FamilyCost(size_terms=size, rate_terms=rate, width_power=w, misfit=misfit)


def fit_width_power(blocks: Array, columns: Sequence[Array]) -> float:
    """Power of the blocks as which width grows, from what depends on width."""

    def error(w: float) -> float:
        return float(sum(np.sum(_fit(blocks, y, w)[1] ** 2) for y in columns))

    grid = np.append(np.linspace(DEEPEST, SHALLOWEST, 61), CONSTANT_ASPECT)
    errors = np.array([error(w) for w in grid])
    # Where width shows nowhere, any power fits: then a constant aspect ratio is taken.
    if errors[-1] <= errors.min() * (1 + 1e-9) + 1e-20:
        return CONSTANT_ASPECT
    from scipy.optimize import minimize_scalar

    k = int(np.argmin(errors[:-1]))
    ends = grid[max(k - 1, 0)], grid[min(k + 1, grid.size - 2)]
    return float(minimize_scalar(error, bounds=ends, method="bounded", options={"xatol": 1e-9}).x)


def _powers(w: float) -> Terms:
    return 1.0, 1 - w, w


def _fit(b: Array, y: Array, w: float) -> tuple[Terms, Array]:
    """Coefficients at or above zero, and relative errors."""
    from scipy.optimize import nnls

    basis = np.stack([b**p for p in _powers(w)], axis=1) / y[:, None]
    scale = np.linalg.norm(basis, axis=0)
    found: Any = nnls(basis / scale, np.ones(b.size))[0] / scale
    # Rounding leaves specks of terms that are not there.
    share = np.max(found * basis, axis=0)
    found = np.where(share < 1e-9 * share.max(), 0.0, found)
    return (float(found[0]), float(found[1]), float(found[2])), basis @ found - 1

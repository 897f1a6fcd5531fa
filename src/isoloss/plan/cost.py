"""What a training run costs: C(N, D), and its inverses."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.plan.root import bracketed_root

# Far beyond any unit that a size or a count of examples may be measured in.
_REACH = 50 * math.log(10)
_STEP = 1e-3
# Weights of a central difference of fourth order at -2, -1, 1, 2 steps.
_STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))


def log_slope(f: Callable[[float], Array]) -> Array:
    """Differentiate ``log f(s)`` at s = 0, where s shifts the logarithm of an argument.

    Costs are the caller's functions, smooth in log-log coordinates and of order one there, which
    is where a central difference of fourth order is good to about 1e-12.
    """
    total = np.sum([w * np.log(f(i * _STEP)) for i, w in _STENCIL], axis=0)
    return np.asarray(total / _STEP)


class Cost(ABC):
    """Base of cost models; a subclass gives C(N, D), increasing in both.

    Inverses and elasticities are found numerically unless the subclass knows better.
    """

    @property
    def text(self) -> str:
        """Formula for people."""
        return type(self).__name__

    @abstractmethod
    def __call__(self, N: npt.ArrayLike, D: npt.ArrayLike) -> Array:
        """Compute of training N parameters on D examples."""

    def tokens(self, N: npt.ArrayLike, C: npt.ArrayLike) -> Array:
        """Examples D that a budget C pays for at size N."""
        sizes, budgets = np.broadcast_arrays(np.asarray(N, float), np.asarray(C, float))
        return self._invert(lambda d: self(sizes, d), budgets, "D")

    def size(self, D: npt.ArrayLike, C: npt.ArrayLike) -> Array:
        """Size N that a budget C can train on D examples."""
        data, budgets = np.broadcast_arrays(np.asarray(D, float), np.asarray(C, float))
        return self._invert(lambda n: self(n, data), budgets, "N")

    def balanced(self, C: npt.ArrayLike) -> Array:
        """Size N at which the budget pays for D = N: a centre that no choice of units upsets."""
        budgets: Array = np.asarray(C, dtype=np.float64)
        return self._invert(lambda n: self(n, n), budgets, "N = D")

    def tilt(self, N: npt.ArrayLike, D: npt.ArrayLike) -> Array:
        r"""Find :math:`d\log D/d\log N` at constant C: -1 where C depends on N D alone."""
        n, d = np.asarray(N, float), np.asarray(D, float)
        up = log_slope(lambda s: self(n * math.exp(s), d))
        right = log_slope(lambda s: self(n, d * math.exp(s)))
        return np.asarray(-up / right)

    def _invert(self, f: Callable[[Array], Array], target: Array, what: str) -> Array:
        goal = np.log(target)
        end = np.full(target.shape, _REACH)

        def gap(x: Array) -> Array:
            with np.errstate(all="ignore"):
                value = np.log(f(np.exp(x)))
            # Beyond the largest float the cost is simply too high.
            filled = np.nan_to_num(value - goal, nan=math.inf, posinf=1e300, neginf=-1e300)
            return np.asarray(filled, dtype=np.float64)

        found = bracketed_root(gap, -end, end, xtol=1e-14)
        if np.isnan(found).any():
            bad = float(target[np.isnan(found)].flat[0])
            raise InputError(
                f"cost {self.text}: no {what} costs {bad:g}; it must grow from nothing without "
                "bound as N or D grows"
            )
        return np.asarray(np.exp(found))


@dataclass(frozen=True)
class Coefficient(Cost):
    """C = k N D.

    Examples
    --------
    >>> Coefficient(8.0).tokens(1e9, 8e20)
    array(1.e+11)
    """

    k: float = 6.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.k) and self.k > 0):
            raise InputError(f"k = {self.k!r}: FLOPs per parameter and example must be positive")

    @property
    def text(self) -> str:
        """Formula for people."""
        return f"{self.k:g} N D"

    def __call__(self, N: npt.ArrayLike, D: npt.ArrayLike) -> Array:
        """Compute, in the unit of k."""
        return np.asarray(self.k * np.asarray(N, float) * np.asarray(D, float))

    def tokens(self, N: npt.ArrayLike, C: npt.ArrayLike) -> Array:
        """D = C / (k N)."""
        return np.asarray(np.asarray(C, float) / (self.k * np.asarray(N, float)))

    def size(self, D: npt.ArrayLike, C: npt.ArrayLike) -> Array:
        """N = C / (k D)."""
        return self.tokens(D, C)

    def balanced(self, C: npt.ArrayLike) -> Array:
        """N = D = sqrt(C / k)."""
        return np.asarray(np.sqrt(np.asarray(C, float) / self.k))

    def tilt(self, N: npt.ArrayLike, D: npt.ArrayLike) -> Array:
        """-1 everywhere."""
        return np.full(np.broadcast_shapes(np.shape(N), np.shape(D)), -1.0)


@dataclass(frozen=True)
class SixND(Coefficient):
    """C = 6 N D: two FLOPs a parameter and token forward, four backward.

    References
    ----------
    Kaplan et al. 2020, arXiv:2001.08361, section 2.1.
    """

    k: float = field(default=6.0, init=False)


SIX_ND = SixND()
"""The usual cost."""


class PerToken(Cost):
    """C = D f(N): a subclass gives the FLOPs of one example, `per_token`."""

    @abstractmethod
    def per_token(self, N: Array) -> Array:
        """Training FLOPs of one example at size N."""

    def __call__(self, N: npt.ArrayLike, D: npt.ArrayLike) -> Array:
        """Compute in FLOPs."""
        return np.asarray(self.per_token(np.asarray(N, float)) * np.asarray(D, float))

    def tokens(self, N: npt.ArrayLike, C: npt.ArrayLike) -> Array:
        """D = C / f(N)."""
        return np.asarray(np.asarray(C, float) / self.per_token(np.asarray(N, float)))

    def tilt(self, N: npt.ArrayLike, D: npt.ArrayLike) -> Array:
        """Minus the elasticity of f."""
        n = np.asarray(N, float)
        slope = log_slope(lambda s: self.per_token(n * math.exp(s)))
        return -np.broadcast_to(slope, np.broadcast_shapes(n.shape, np.shape(D)))


@dataclass(frozen=True, kw_only=True)
class TransformerFLOPs(PerToken):
    """Dense decoder: 6 N, attention over the context and, if asked, the output layer.

    Attributes
    ----------
    shape
        Your rule N -> (width, depth), continuous in N and written with numpy operations. Rounding
        to buildable shapes would make the cost jump; round the answer instead.
    context
        Tokens in the window.
    vocabulary
        Size of the output layer when N leaves the embeddings out; 0 when N counts them.
    causal
        Whether half of the attention scores is skipped.

    References
    ----------
    Attention 12 depth context width FLOPs a token: Chowdhery et al. 2022, arXiv:2204.02311,
    appendix B.
    """

    shape: Callable[[Array], tuple[Any, Any]]
    context: int
    vocabulary: int = 0
    causal: bool = True

    @property
    def text(self) -> str:
        """Formula for people."""
        head = " + head" if self.vocabulary else ""
        mask = ", causal" if self.causal else ""
        return f"6 N D + attention{head} (context {self.context}{mask})"

    def per_token(self, N: Array) -> Array:
        """Sum of the three terms."""
        width, depth = self.shape(N)
        attention = (6 if self.causal else 12) * self.context * np.multiply(width, depth)
        return np.asarray(6 * N + attention + 6 * self.vocabulary * np.asarray(width))


@dataclass(frozen=True, kw_only=True)
class WithAttention(PerToken):
    r"""6 N D plus attention, for a decoder of constant width/depth ratio.

    With :math:`N = 12\,\mathrm{depth}\,\mathrm{width}^2` and width = aspect depth, attention costs
    :math:`12\,T\,\mathrm{depth}\,\mathrm{width}`, half that with a causal mask.

    Attributes
    ----------
    context
        Tokens in the window.
    aspect
        Width over depth; about 100 in most published families.

    Examples
    --------
    >>> cost = WithAttention(context=4096)
    >>> round(float(cost(1e9, 1e11) / 6e20), 3)
    1.168
    """

    context: int
    aspect: float = 100.0
    causal: bool = True

    def __post_init__(self) -> None:
        if not (self.aspect > 0 and self.context > 0):
            raise InputError(
                f"context = {self.context!r}, aspect = {self.aspect!r}: both must be positive"
            )

    @property
    def text(self) -> str:
        """Formula for people."""
        mask = ", causal" if self.causal else ""
        return f"6 N D + attention (context {self.context}, width/depth {self.aspect:g}{mask})"

    def _attention(self, N: Array) -> Array:
        depth = np.cbrt(N / (12 * self.aspect**2))
        return (6 if self.causal else 12) * self.context * self.aspect * depth**2

    def per_token(self, N: Array) -> Array:
        """6 N + attention."""
        return np.asarray(6 * N + self._attention(N))

    def tilt(self, N: npt.ArrayLike, D: npt.ArrayLike) -> Array:
        """Exact: attention grows as N to the two thirds."""
        n = np.asarray(N, float)
        attention = self._attention(n)
        slope = (6 * n + 2 / 3 * attention) / (6 * n + attention)
        return -np.broadcast_to(slope, np.broadcast_shapes(n.shape, np.shape(D)))


@dataclass(frozen=True)
class FromFunction(Cost):
    """Your own C(N, D): smooth, increasing in both, written with numpy operations."""

    function: Callable[[Any, Any], Any]

    @property
    def text(self) -> str:
        """Name of the function."""
        return str(getattr(self.function, "__name__", "user's cost"))

    def __call__(self, N: npt.ArrayLike, D: npt.ArrayLike) -> Array:
        """Compute, in the function's own unit."""
        return np.asarray(self.function(np.asarray(N, float), np.asarray(D, float)), dtype=float)


def as_cost(cost: Cost | Callable[[Any, Any], Any]) -> Cost:
    """Accept a cost model or any callable C(N, D)."""
    if isinstance(cost, Cost):
        return cost
    if isinstance(cost, type) or not callable(cost):
        raise InputError(f"cost = {cost!r}: give a cost model such as SixND(), or a callable")
    return FromFunction(cost)

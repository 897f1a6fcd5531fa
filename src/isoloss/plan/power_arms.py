"""Two recipes in one linear model: shared and separate parameters, paired or independent noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.plan.local_model import LocalModel
from isoloss.plan.precision import Precision

_LARGE = 1e5
"""Degrees of freedom from which Student's distribution is the normal one."""

Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Runs of both recipes that are made, and repeated, together.

    Attributes
    ----------
    rows
        In the parameters of both recipes, divided by the noise; independent of each other.
    apart
        Those of differences within pairs alone.
    pairs, singles
        How many pairs of runs, and how many runs without a twin.
    """

    rows: Array
    apart: Array
    pairs: int
    singles: int


@dataclass(frozen=True, slots=True, eq=False)
class TwoArms:
    """Recipes A and B under one law.

    Attributes
    ----------
    first, second
        The law at the values of A and of B, in the same units.
    shared
        Which parameters both have in common, (p,) of bool.
    noise, correlation
        Standard deviation of one run's log loss; correlation of that of the two runs of a pair.
    """

    first: LocalModel
    second: LocalModel
    shared: npt.NDArray[np.bool_]
    noise: float
    correlation: float

    @classmethod
    def of(
        cls,
        first: LocalModel,
        second: LocalModel,
        shared: tuple[str, ...],
        noise: float,
        correlation: float,
    ) -> TwoArms:
        """Check the names of shared parameters."""
        names = first.law.names
        if unknown := [n for n in shared if n not in names]:
            raise InputError(
                f"shared: {first.law.name} has no parameter {unknown[0]}; it has {', '.join(names)}"
            )
        mask = np.array([n in shared for n in names])
        if mask.all():
            raise InputError("shared: all parameters in common leave nothing to tell apart")
        return cls(first, second, mask, noise, correlation)

    def _wide(self, a: Array | None, b: Array | None) -> Array:
        """Place rows of A and of B among the parameters of both: shared, A's own, B's own."""
        rows = a if a is not None else b
        assert rows is not None
        own = int((~self.shared).sum())
        common = int(self.shared.sum())
        out = np.zeros((len(rows), common + 2 * own))
        if a is not None:
            out[:, :common] += a[:, self.shared]
            out[:, common : common + own] = a[:, ~self.shared]
        if b is not None:
            out[:, :common] += b[:, self.shared]
            out[:, common + own :] = b[:, ~self.shared]
        return out

    def block(
        self, a: Mapping[str, Array], b: Mapping[str, Array], twins: tuple[Pairs, Pairs]
    ) -> Block:
        """Rows of runs at places of A and of B, of which some are twins.

        The noise of a pair has the covariance ``[[1, r], [r, 1]]``: sum and difference are
        independent, with variances of 1 + r and 1 - r.
        """
        rows_a = self._wide(self.first.rows(a), None) / self.noise
        rows_b = self._wide(None, self.second.rows(b)) / self.noise
        alone_a = np.setdiff1d(np.arange(len(rows_a)), twins[0])
        alone_b = np.setdiff1d(np.arange(len(rows_b)), twins[1])
        r = self.correlation
        both, apart = rows_a[twins[0]] + rows_b[twins[1]], rows_b[twins[1]] - rows_a[twins[0]]
        both, apart = both / math.sqrt(2 * (1 + r)), apart / math.sqrt(2 * (1 - r))
        rows = np.vstack([both, apart, rows_a[alone_a], rows_b[alone_b]])
        return Block(_triangle(rows), _triangle(apart), len(twins[0]), len(alone_a) + len(alone_b))

    def contrast(self, a: Mapping[str, Array], b: Mapping[str, Array]) -> Array:
        """Row of the log loss of A at a place less that of B at a place."""
        return np.asarray(
            self._wide(self.first.rows(a), None)[0] - self._wide(None, self.second.rows(b))[0]
        )

    def error(
        self, g: Array, base: Block | None, extra: Block | None = None, times: float = 0.0
    ) -> tuple[float, float]:
        """Find the standard error of a contrast, and with how many degrees of freedom.

        Parameters
        ----------
        base, extra, times
            Runs that are made once, and runs that are made so many times.
        """
        parts = [] if base is None else [(base, 1.0)]
        parts += [] if extra is None or times == 0 else [(extra, float(times))]
        seen = Precision.of(np.vstack([b.rows * math.sqrt(t) for b, t in parts]))
        pairs = sum(b.pairs * t for b, t in parts)
        if self.correlation > 0 and pairs > 0:
            apart = Precision.of(np.vstack([b.apart for b, _ in parts])).rank
            # Recipes at different values put what they share into differences too, a little.
            freedom = pairs - min(apart, int((~self.shared).sum()))
        else:
            freedom = 2 * pairs + sum(b.singles * t for b, t in parts) - seen.rank
        return seen.variance(g) ** 0.5, float(freedom)


def _triangle(rows: Array) -> Array:
    """Fewer rows of the same information."""
    return rows if len(rows) <= rows.shape[1] else np.asarray(np.linalg.qr(rows, mode="r"))


def t_power(ratio: float, freedom: float, level: float = 0.05) -> float:
    """Chance that a two-sided t test sees an effect of so many standard errors.

    Examples
    --------
    >>> round(t_power(2.8016, 1e9), 4), round(t_power(0.0, 10), 4), t_power(3.0, 0)
    (0.8, 0.05, 0.0)
    """
    if not (freedom > 0 and math.isfinite(ratio)):
        return 1.0 if ratio == math.inf and freedom > 0 else 0.0
    from scipy.special import nctdtr, ndtr, ndtri, stdtrit

    ratio = abs(ratio)
    if freedom >= _LARGE:
        z = float(ndtri(1 - level / 2))
        return float(ndtr(ratio - z) + ndtr(-ratio - z))
    t = float(stdtrit(freedom, 1 - level / 2))
    if ratio > 30 + t:
        return 1.0
    value = 1.0 - float(nctdtr(freedom, ratio, t))
    # The far tail may come out as no number where it is nothing.
    tail = float(nctdtr(freedom, ratio, -t))
    value += tail if math.isfinite(tail) else 0.0
    return min(max(value, 0.0), 1.0)


def ratio_for(goal: float, freedom: float, level: float = 0.05) -> float:
    """Find the effect, in standard errors, that is seen with a chance of ``goal``.

    Examples
    --------
    >>> round(ratio_for(0.8, 1e9), 4)
    2.8016
    """
    if freedom <= 0:
        return math.inf
    low, high = 0.0, 4.0
    while t_power(high, freedom, level) < goal:
        high *= 2
        if high > 1e6:
            return math.inf
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if t_power(middle, freedom, level) < goal else (low, middle)
    return high

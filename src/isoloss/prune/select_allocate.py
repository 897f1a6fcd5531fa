"""Budgets of groups: the closed form of the least-squares allocation with bounds, in integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector, freeze
from isoloss.errors import InputError
from isoloss.prune.scores_checks import as_whole

Counts = npt.NDArray[np.int64]
_SAME = 1e-6
"""Fractions closer than this tie: sums of many shares differ in their last digits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterBudgets:
    """How many examples each cluster keeps.

    Attributes
    ----------
    counts
        Whole numbers that sum to the budget, (clusters,).
    exact
        The solution of the least-squares problem before rounding.
    share
        Share of the budget that complexity alone asks for.
    level
        What is added to all clusters so that those at no bound make up the sum.
    """

    counts: Counts
    exact: Array
    share: Array
    level: float

    def __post_init__(self) -> None:
        for name in ("exact", "share"):
            object.__setattr__(self, name, freeze(getattr(self, name)))
        counts = np.array(self.counts, dtype=np.int64)
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)

    def __repr__(self) -> str:
        return f"ClusterBudgets({self.counts.size} clusters, {int(self.counts.sum())} examples)"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "counts": self.counts.tolist(), "exact": self.exact.tolist(),
            "share": self.share.tolist(), "level": self.level,
        }  # fmt: skip


def allocate_clusters(
    complexity: Any, sizes: Any, budget: int, *, temperature: float = 0.1, floor: int = 1
) -> ClusterBudgets:
    """Divide a budget over clusters by their complexity, as density-based pruning does.

    Shares are ``P = softmax(C / temperature)``; the counts are nearest to ``P budget`` in least
    squares with ``lower <= x <= size`` and the sum exact, which is ``x = clip(P budget + level,
    lower, size)`` with one level for all, found by sorting the places where the sum bends. No
    solver is needed. Counts are rounded by largest remainder.

    Parameters
    ----------
    complexity
        What `cluster_complexity` gives, (clusters,); NaN takes the mean of the others.
    sizes
        Examples in each cluster, (clusters,).
    budget
        How many to keep in all.
    temperature
        Above zero; the paper has 0.1, its code 0.5.
    floor
        Least number of each cluster, but never its last example: ``lower = min(floor, size - 1)``.

    Raises
    ------
    InputError
        If the floors or the sizes do not fit the budget.

    References
    ----------
    arXiv:2401.04578 and its code.

    Examples
    --------
    >>> from math import log
    >>> shares = [log(0.1), log(0.2), log(0.3), log(0.4)]
    >>> found = allocate_clusters(shares, [100, 50, 10, 5], 100, temperature=1)
    >>> found.exact.round(9).tolist(), found.counts.tolist()
    ([37.5, 47.5, 10.0, 5.0], [38, 47, 10, 5])
    """
    try:
        c = np.atleast_1d(np.array(complexity, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InputError("complexity: expected numbers") from error
    n = as_vector("sizes", sizes)
    if c.shape != n.shape:
        raise InputError(f"complexity: shape {c.shape} for {n.size} sizes")
    if (n != np.floor(n)).any() or (n < 1).any():
        raise InputError("sizes: must be whole numbers, 1 or more")
    if not (np.isfinite(temperature) and temperature > 0):
        raise InputError(f"temperature = {temperature!r}: must be finite and positive")
    floor, budget = as_whole("floor", floor, 0), as_whole("budget", budget, 1)
    if np.isinf(c).any() or np.isnan(c).all():
        raise InputError("complexity: must be finite, or NaN for a cluster without one")
    c[np.isnan(c)] = np.nanmean(c)
    share = np.exp((c - c.max()) / temperature)
    share /= share.sum()
    lower = np.minimum(floor, n - 1)
    counts, exact, level = spread(share * budget, lower, n, budget)
    return ClusterBudgets(counts=counts, exact=exact, share=share, level=level)


def spread(
    wanted: Any, lower: Any, upper: Any, total: int, *, prefer: Any = None
) -> tuple[Counts, Array, float]:
    """Whole numbers nearest to those wanted, within bounds, with the sum given.

    Ties of remainders go to the first, or to the least of ``prefer``.
    """
    a, low, high = (np.asarray(v, dtype=np.float64) for v in (wanted, lower, upper))
    if low.sum() > total:
        raise InputError(
            f"floors: need {int(low.sum())} of a budget of {total}; lower the floors or keep more"
        )
    if high.sum() < total:
        raise InputError(
            f"budget = {total}: the groups hold {int(high.sum())} examples; keep fewer"
        )
    level = _level(a, low, high, float(total))
    exact = np.clip(a + level, low, high)
    counts = np.floor(exact + _SAME)
    left = total - int(counts.sum())
    rest = np.round((exact - counts) / _SAME)
    order = np.lexsort((np.arange(a.size) if prefer is None else np.asarray(prefer), -rest))
    while left > 0:
        open_ = order[counts[order] < high[order]][:left]
        counts[open_] += 1
        left -= open_.size
    return counts.astype(np.int64), exact, level


def _level(a: Array, low: Array, high: Array, total: float) -> float:
    """Where ``sum clip(a + level, low, high)`` is the total."""
    bends = np.concatenate([low - a, high - a])
    turn = np.repeat([1.0, -1.0], a.size)
    order = np.argsort(bends, kind="stable")
    bends, slope = bends[order], np.cumsum(turn[order])
    sums = low.sum() + np.concatenate([[0.0], np.cumsum(slope[:-1] * np.diff(bends))])
    place = int(np.searchsorted(sums, total, side="right")) - 1
    if place < 0:
        return float(bends[0])
    if slope[place] <= 0:
        return float(bends[place])
    return float(bends[place] + (total - sums[place]) / slope[place])

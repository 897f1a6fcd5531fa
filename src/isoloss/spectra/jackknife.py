"""Errors of anything computed from rows: groups of rows are left out in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Jackknife:
    """What leaving out each group of rows in turn says of an estimate.

    Attributes
    ----------
    corrected
        Estimate without the part of its bias that falls as one over the number of rows.
    se
        Standard error.
    groups
        Number of groups.
    """

    corrected: Array
    se: Array
    groups: int

    def interval(self, level: float, *, centre: Any = None, what: str = "rows") -> Interval:
        """Interval of a single number, by Student's t with one degree of freedom a group less one.

        Parameters
        ----------
        centre
            Middle of the interval; the corrected estimate by default.
        """
        from scipy.special import stdtrit

        middle = float(self.corrected if centre is None else centre)
        half = float(stdtrit(self.groups - 1, (1 + level) / 2)) * float(self.se)
        return Interval(
            low=middle - half, high=middle + half, level=level,
            method=f"jackknife over {self.groups} groups of {what}",
        )  # fmt: skip


def jackknife(whole: Any, without: Any, sizes: Any) -> Jackknife:
    """Combine an estimate from all rows with those without each group.

    With h_j = n/n_j: pseudo-values ``h_j whole - (h_j - 1) without_j``; their spread, each over
    ``h_j - 1``, is the variance.

    Parameters
    ----------
    whole, without
        Estimate from all rows, of any shape, and from all but one group, (g, ...).
    sizes
        Rows of each group, (g,).

    References
    ----------
    Busing, Meijer and van der Leeden 1999, groups of unequal size; Shao and Wu 1989.

    Examples
    --------
    >>> x = np.arange(20.0)
    >>> found = jackknife(x.mean(), [np.delete(x, i).mean() for i in range(20)], np.ones(20))
    >>> bool(np.isclose(found.se, x.std(ddof=1) / np.sqrt(20)))
    True
    """
    every, sizes = np.asarray(without, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    g = len(sizes)
    h = (sizes.sum() / sizes).reshape(-1, *[1] * (every.ndim - 1))
    with np.errstate(invalid="ignore"):
        corrected = g * np.asarray(whole) - ((1 - 1 / h) * every).sum(axis=0)
        pseudo = h * whole - (h - 1) * every
        variance = ((pseudo - corrected) ** 2 / (h - 1)).mean(axis=0)
    return Jackknife(corrected=corrected, se=np.sqrt(variance), groups=g)


def as_groups(groups: Any, n: int, rng: np.random.Generator) -> list[Any]:
    """Rows of each group: a number of groups made by chance, or a label a row.

    Raises
    ------
    InputError
        If there are fewer than 5 groups, more groups than rows over two, or labels of another
        number than rows.
    """
    if np.ndim(groups) == 0:
        g = int(groups) if isinstance(groups, (int, np.integer)) else 0
        if not 5 <= g <= n // 2:
            raise InputError(
                f"groups = {groups!r}: must be a whole number from 5 to half of the {n} rows"
            )
        return [np.sort(part) for part in np.array_split(rng.permutation(n), g)]
    labels = np.asarray(groups).ravel()
    if labels.size != n:
        raise InputError(f"groups: {labels.size} labels for {n} rows; one for each")
    names, place = np.unique(labels, return_inverse=True)
    # Many small clusters are gathered into at most 40 groups, each kept whole.
    if len(names) > 40:
        place = rng.permutation(np.arange(len(names)) % 40)[place]
    found = [np.flatnonzero(place == i) for i in range(place.max() + 1)]
    if len(found) < 5:
        raise InputError(f"groups: {len(found)} different labels; at least 5 are needed")
    return found

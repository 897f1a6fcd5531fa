"""Choosing data points by their value: the best to add, the worst to remove, classes in balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """What was chosen, and what was not, by position in the scores.

    Attributes
    ----------
    chosen
        Positions chosen, the first choice first, (count,).
    left
        Positions that could have been chosen and were not, in the order of choice.
    refused
        Positions without a score to go by.
    score
        The scores that decided, (points,).

    Examples
    --------
    >>> found = select_points([0.1, 0.9, 0.5, 0.8], count=2, labels=[0, 1, 0, 1])
    >>> found.chosen.tolist(), found.left.tolist()
    ([1, 2], [3, 0])
    """

    chosen: Places
    left: Places
    refused: Places
    score: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", freeze(self.score))
        for name in ("chosen", "left", "refused"):
            array = np.array(getattr(self, name), dtype=np.int64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        sizes = f"{self.chosen.size} chosen, {self.left.size} left, {self.refused.size} refused"
        return f"Selection({sizes})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types; scores of what was chosen."""
        return {
            "chosen": self.chosen.tolist(), "score": self.score[self.chosen].tolist(),
            "left": int(self.left.size), "refused": int(self.refused.size),
        }  # fmt: skip


def select_points(
    score: Any, *, count: int, labels: Any = None, worst: bool = False, usable: Any = None,
    beyond: float | None = None,
) -> Selection:  # fmt: skip
    """Choose points by score, as many of each class as there are, and of the best beyond that.

    Points are taken in rounds, one of each class a round, its best first; the last round, which
    may not be whole, goes to the classes with the best scores. A class that runs out leaves its
    places to the others.

    Parameters
    ----------
    score
        Value of each point, higher is better: `PointLaws.value` at the present size of the set
        to decide what to add now, `PointLaws.mean_value` for a range, (points,).
    count
        How many to choose, if there are as many.
    labels
        Class of each point, anything that compares; without, the best of all.
    worst
        Choose the lowest scores, to remove them.
    usable
        Which scores count, (points,); those of NaN never do. `PointLaws.ok`, for example.
    beyond
        Only scores above this, or below it with ``worst``; 0 removes no point that helps.

    Raises
    ------
    InputError
        If lengths differ or the count is not a whole number above zero.

    References
    ----------
    arXiv:2405.20456, point addition and removal with classes in balance.

    Examples
    --------
    >>> select_points([0.2, -0.1, 0.4], count=3, worst=True, beyond=0).chosen.tolist()
    [1]
    """
    try:
        values = np.asarray(score, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("score: expected numbers") from error
    if values.ndim != 1:
        raise InputError(f"score: expected one dimension, got shape {values.shape}")
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise InputError(f"count = {count!r}: must be a whole number, 1 or more")
    good = ~np.isnan(values)
    for name, array in (("usable", usable), ("labels", labels)):
        if array is not None and np.shape(array) != values.shape:
            raise InputError(f"{name}: shape {np.shape(array)} for {values.size} scores")
    if usable is not None:
        good &= np.asarray(usable, dtype=bool)
    key = values if worst else -values
    open_ = good & (key < (np.inf if beyond is None else beyond if worst else -beyond))
    places = np.flatnonzero(open_)
    order = places[np.argsort(key[places], kind="stable")]
    if labels is not None:
        order = order[_rounds(np.asarray(labels)[order])]
    rest = np.flatnonzero(good & ~open_)
    return Selection(
        chosen=order[:count],
        left=np.concatenate([order[count:], rest[np.argsort(key[rest], kind="stable")]]),
        refused=np.flatnonzero(~good),
        score=values,
    )


def _rounds(labels: npt.NDArray[Any]) -> Places:
    """Order of choice in rounds, for labels that are in order of score."""
    _, classes = np.unique(labels, return_inverse=True)
    by_class = np.argsort(classes, kind="stable")
    counts = np.bincount(classes)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.empty(labels.size, dtype=np.int64)
    rank[by_class] = np.arange(labels.size) - first
    return np.argsort(rank, kind="stable")

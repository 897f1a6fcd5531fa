"""What a selection kept and dropped, with the reason for each example."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune.scores_ids import Ids, Rows, plain_ids

REASONS = (
    "rank", "class-floor", "cluster-floor", "stratum", "allocation", "budget", "suspect",
    "excluded",
)  # fmt: skip
"""Reasons by code. Kept: by the policy's order, for a floor, for its stratum, by the allocation
over clusters. Dropped: beyond the budget, for suspicion of a wrong label, excluded before."""

RANK, CLASS_FLOOR, CLUSTER_FLOOR, STRATUM, ALLOCATION, BUDGET, SUSPECT, EXCLUDED = range(8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """Every example, in the order of ids, with its score and what became of it.

    Attributes
    ----------
    ids
        All ids, rising, (n,); texts as UTF-8 bytes.
    score
        Their scores.
    reason
        Codes of `REASONS`; those below ``BUDGET`` are kept.
    row
        Row of each id in the input.
    neighbour
        Ids of what each row duplicates, where they were given.
    policy, metric, seed
        How it was made.
    cut
        Score of the last example kept by rank, where the policy is hard or easy.
    classes, clusters
        Rows and kept rows by name of the class, of the cluster.
    again
        Makes the selection of another budget; call it as `at`.
    """

    ids: Ids
    score: npt.NDArray[Any]
    reason: npt.NDArray[np.uint8]
    row: Rows
    neighbour: Ids | None
    policy: str
    metric: str
    seed: int
    cut: float | None
    classes: dict[Any, tuple[int, int]]
    clusters: dict[Any, tuple[int, int]]
    again: Callable[[float], Selection]

    def __post_init__(self) -> None:
        for name in ("ids", "score", "reason", "row", "neighbour"):
            value = getattr(self, name)
            if value is not None:
                view = value.view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.reason < BUDGET))

    def __repr__(self) -> str:
        return f"Selection({len(self)} of {self.ids.size} kept, {self.policy})"

    def at(self, budget: float) -> Selection:
        """Select with another budget; nothing is scored, read or sorted again."""
        return self.again(budget)

    @property
    def kept_ids(self) -> Ids:
        """Ids that are kept, rising."""
        return _own(self.ids[self.reason < BUDGET])

    @property
    def dropped_ids(self) -> Ids:
        """Ids that are dropped, rising."""
        return _own(self.ids[self.reason >= BUDGET])

    @property
    def kept(self) -> list[Any]:
        """Ids that are kept, as plain numbers or texts."""
        return plain_ids(self.kept_ids)

    @property
    def rows(self) -> Rows:
        """Rows of the input that are kept, rising.

        What ``torch.utils.data.Subset(data, selection.rows)`` takes, and ``Dataset.select`` of
        Hugging Face.
        """
        return _own(np.sort(self.row[self.reason < BUDGET]))

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Whether each row of the input is kept."""
        found = np.zeros(self.ids.size, dtype=bool)
        found[self.row] = self.reason < BUDGET
        return _own(found)

    @property
    def reasons(self) -> dict[str, int]:
        """How many examples have each reason, those that occur."""
        counts = np.bincount(self.reason, minlength=len(REASONS)).tolist()
        return {name: c for name, c in zip(REASONS, counts, strict=True) if c}

    def by_shard(self, lengths: Iterable[int]) -> list[Rows]:
        """Split the kept rows over the shards that the input came in.

        Parameters
        ----------
        lengths
            Rows of each shard, in the order of the input.

        Returns
        -------
        list
            Kept rows of each shard, counted from its start, rising.

        Raises
        ------
        InputError
            If the lengths do not sum to the rows.

        Examples
        --------
        >>> from isoloss.prune import select
        >>> [p.tolist() for p in select([3, 1, 2, 5], 2).by_shard([2, 2])]
        [[0], [1]]
        """
        sizes = np.asarray(list(lengths))
        if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 0).any():
            raise InputError("lengths: give the number of rows of each shard")
        if int(sizes.sum()) != self.ids.size:
            raise InputError(f"lengths: sum to {int(sizes.sum())}, and there are {self.ids.size}")
        ends = np.cumsum(sizes)
        rows = self.rows
        cuts = np.searchsorted(rows, ends)
        starts = np.concatenate([[0], cuts[:-1]])
        return [
            rows[a:b] - (end - size)
            for a, b, end, size in zip(starts, cuts, ends, sizes, strict=True)
        ]

    def to_columns(self) -> dict[str, Any]:
        """Table with one row an example, in the order of ids."""
        table: dict[str, Any] = {
            "id": np.array(plain_ids(self.ids)), "kept": self.reason < BUDGET,
            "reason": np.array(REASONS)[self.reason], "score": self.score,
        }  # fmt: skip
        if self.neighbour is not None:
            table["neighbour"] = np.array(plain_ids(self.neighbour))
        return table

    def to_dict(self) -> dict[str, Any]:
        """Plain types: the counts; ids are in `kept_ids`. A cut that is infinite is text."""
        cut = self.cut if self.cut is None or np.isfinite(self.cut) else str(self.cut)
        return {
            "schema": 1, "rows": int(self.ids.size), "kept": len(self),
            "dropped": int(self.ids.size) - len(self), "metric": self.metric,
            "policy": self.policy, "seed": self.seed, "cut": cut, "reasons": self.reasons,
            "classes": [
                {"name": str(k), "rows": rows, "kept": kept}
                for k, (rows, kept) in self.classes.items()
            ],
        }  # fmt: skip


def _own(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Close an array that nobody else holds; `seal` would copy it."""
    array.flags.writeable = False
    return array

"""Scores of examples with what they mean: the name, the exact definition, the direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune.scores_ids import Ids, as_ids, plain_ids, show_ids

DIRECTION = "high is hard"
"""The one direction of every score of this room."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """One score an example; high is hard, or informative, whatever the metric.

    Attributes
    ----------
    metric
        Short name, such as ``"el2n"``.
    definition
        What was computed, in one sentence.
    source
        Where it is defined.
    values
        Scores, (n,), float32 or float64.
    ids
        Ids of the examples, (n,): whole numbers, or texts as UTF-8 bytes.
    labels
        Class of each example, (n,), or None.
    columns
        What goes with the score, such as standard errors and counts, (n,) each.

    Examples
    --------
    >>> Scores(metric="mine", definition="a number", source="me", values=[0.5, 2.0])
    Scores(mine, 2 examples, high is hard)
    """

    metric: str
    definition: str
    source: str
    values: npt.NDArray[Any]
    ids: Ids | None = None
    labels: npt.NDArray[Any] | None = None
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = as_score_values(self.values)
        n = values.size
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "ids", seal(as_ids(self.ids, n)))
        if self.labels is not None:
            object.__setattr__(self, "labels", as_groups("labels", self.labels, n))
        columns = {k: seal(np.asarray(v)) for k, v in self.columns.items()}
        for name, column in columns.items():
            if column.shape != (n,):
                raise InputError(f"{name}: shape {column.shape} for {n} scores")
        object.__setattr__(self, "columns", columns)

    @property
    def direction(self) -> str:
        """Which end is which; the same for all scores."""
        return DIRECTION

    def __len__(self) -> int:
        return int(self.values.size)

    def __repr__(self) -> str:
        return f"Scores({self.metric}, {len(self)} examples, {DIRECTION})"

    def with_ids(self, ids: Any, labels: Any = None) -> Scores:
        """Give the examples ids, and labels if there are any."""
        return Scores(
            metric=self.metric, definition=self.definition, source=self.source,
            values=self.values, ids=ids, columns=self.columns,
            labels=self.labels if labels is None else labels,
        )  # fmt: skip

    def to_columns(self) -> dict[str, Any]:
        """Table with one row an example."""
        assert self.ids is not None
        table: dict[str, Any] = {"id": np.array(plain_ids(self.ids)), "score": self.values}
        if self.labels is not None:
            table["label"] = self.labels
        return table | dict(self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain types: what it is, and its range; the scores are in `values`."""
        finite = self.values[np.isfinite(self.values)]
        return {
            "metric": self.metric, "definition": self.definition, "source": self.source,
            "direction": DIRECTION, "rows": len(self),
            "least": float(finite.min()) if finite.size else None,
            "mean": float(finite.mean(dtype=np.float64)) if finite.size else None,
            "largest": float(finite.max()) if finite.size else None,
            "columns": list(self.columns),
        }  # fmt: skip


def seal(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the array as one that cannot be written to (a copy if it could)."""
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def as_score_values(values: Any) -> npt.NDArray[Any]:
    """Read scores of one dimension; float32 stays, all else becomes float64."""
    try:
        array = np.asarray(values)
        if array.dtype != np.float32:
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("scores: expected numbers, one for each example") from error
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"scores: shape {array.shape}; give one number for each example")
    return seal(array)


def as_groups(name: str, groups: Any, rows: int) -> npt.NDArray[Any]:
    """Read one label a row: whole numbers or texts."""
    array = np.asarray(groups)
    if array.dtype == object:
        array = np.array([str(v) for v in array.ravel()]).reshape(array.shape)
    if array.shape != (rows,):
        raise InputError(f"{name}: shape {array.shape} for {rows} rows; one for each row")
    if array.dtype.kind == "f":
        bad = np.flatnonzero(~(array == np.floor(array)))
        if bad.size:
            raise InputError(
                f"{name}[{bad[0]}] = {float(array[bad[0]])!r}: must be a whole number or a name"
            )
        array = array.astype(np.int64)
    if array.dtype.kind not in "biuSU":
        raise InputError(f"{name}: {array.dtype}; give whole numbers or names")
    return seal(array)


def refuse_nan(values: npt.NDArray[Any], ids: Ids) -> None:
    """Refuse scores that are not a number, by id."""
    bad = np.flatnonzero(np.isnan(values))
    if bad.size:
        raise InputError(
            f"scores: {bad.size} of {values.size} are NaN, ids {show_ids(np.sort(ids[bad]))}; "
            "score them again, or leave these rows out of both scores and ids"
        )

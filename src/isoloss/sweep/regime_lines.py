"""Runs along one resource, and the exponent read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError
from isoloss.sweep.exponents import Exponent, decay_exponent, variance_exponent


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegimeLine:
    """One set of runs along one resource, and the exponent read from it.

    Attributes
    ----------
    label
        What the runs share, such as ``d = 4``.
    x, loss, seed
        Of each run, (n,).
    limit
        Measured limit of each run, (n,), or ``None``: the floor of the exponent's law then.
    exponent
        From `decay_exponent` or `variance_exponent` on some range of these runs.
    expected
        Exponent that theory predicts, or ``None``.
    """

    label: str
    x: Array
    loss: Array
    seed: npt.NDArray[Any]
    limit: Array | None
    exponent: Exponent
    expected: float | None = None


def regime_line(
    rows: Sequence[Mapping[str, Any]],
    along: str,
    *,
    label: str = "",
    seed: str = "seed",
    expected: float | None = None,
    limit: npt.ArrayLike | None = None,
    **policy: Any,
) -> RegimeLine:
    """Take a line from rows of a ledger: its x, its losses, and the exponent fitted to them.

    Parameters
    ----------
    rows
        Rows that differ along the resource and in the seed; rows of runs that diverged are left
        out.
    along
        ``D``, ``N`` or another number of the row, or ``width`` of its model.
    seed
        Field of the spec that tells repetitions apart, such as ``seed`` or ``data.seed``.
    limit
        One for each row: fits the approach to it, else the loss itself.
    policy
        ``floor``, ``low``, ``high``, ``weigh``, ``level`` of the exponent.

    Raises
    ------
    InputError
        Where rows lack the field, or the exponent cannot be fitted.

    Examples
    --------
    >>> rows = [{"D": D, "loss": 3 / D, "spec": {"seed": 0}} for D in (10, 20, 40, 80)]
    >>> regime_line(rows, "D", floor=0.0).exponent.value  # doctest: +ELLIPSIS
    1.0...
    """
    far = None if limit is None else as_vector("limit", limit)
    if far is not None and len(far) != len(rows):
        raise InputError(f"limit: {len(far)} values for {len(rows)} rows; give one each")
    kept = [i for i, row in enumerate(rows) if row.get("status", "done") == "done"]
    try:
        x = np.array([_of(rows[i], along) for i in kept], dtype=np.float64)
        labels = np.array([_of(rows[i].get("spec", {}), seed) for i in kept])
        loss = np.array([rows[i]["loss"] for i in kept], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"rows: {along}, {seed} and loss are needed in each: {error}") from None
    if far is None:
        exponent = decay_exponent(x, loss, seed=labels, **policy)
    else:
        far = far[kept]
        exponent = variance_exponent(x, loss, seed=labels, limit=far, **policy)
    return RegimeLine(
        label=label, x=x, loss=loss, seed=labels, limit=far, exponent=exponent, expected=expected
    )


def _of(plain: Mapping[str, Any], name: str) -> Any:
    """Look up ``data.seed``, or ``width`` of the model of a row's spec."""
    if name == "width":
        return plain["spec"]["model"]["width"]
    value: Any = plain
    for part in name.split("."):
        value = value[part]
    return value

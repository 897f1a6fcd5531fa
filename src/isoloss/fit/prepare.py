"""From a table of runs and the name of a law to what the engine needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError, LawError
from isoloss.laws import Law, get_law, is_law_name, law_from_expression
from isoloss.laws.expression import leaves, parse
from isoloss.runs import Runs
from isoloss.runs.columns import RESOURCES
from isoloss.runs.notes import configuration_ids, is_setting


def as_law(law: str | Law, *, axis: str | None = None, axes: Any = ()) -> Law:
    """Turn a name, a formula or a law into a law.

    A law of one resource takes ``axis``, or the only resource there is.
    """
    if isinstance(law, Law):
        return law
    if is_law_name(law):
        present = [a for a in ("N", "D", "C", "x") if a in axes]
        present = present or [a for a in ("U",) if a in axes]
        chosen = axis or (present[0] if len(present) == 1 else "C" if "C" in present else "x")
        return get_law(law, axis=chosen)
    if not any(c in law for c in "+*/^("):
        return get_law(law)
    names = tuple(a for a in axes if a != "loss")
    if not names:
        return law_from_expression(law)
    used = {leaf.value for leaf in leaves(parse(law, axes=names)) if leaf.op == "axis"}
    return law_from_expression(law, axes=tuple(a for a in names if a in used))


def choose_law(
    runs: Runs, law: str | Law | None = None, *, axis: str | None = None
) -> tuple[Law, str]:
    """Turn what the caller asked for into a law; without a wish, follow the columns.

    Returns
    -------
    Law, str
        And why it was taken, empty where the caller named it.

    Raises
    ------
    LawError
        The columns do not say which law to take.

    Examples
    --------
    >>> law, why = choose_law(Runs(columns={"D": [1e6, 2e6, 4e6], "loss": [4.0, 3.5, 3.1]}))
    >>> law.formula, why
    ('E + A*D**-alpha', 'D is the only resource in the runs')
    """
    if law is not None and law != "auto":
        return as_law(law, axis=axis, axes=tuple(runs.columns)), ""
    if axis is not None:
        return get_law("power_floor", axis=axis), f"one resource was asked for: {axis}"
    if "N" in runs and "D" in runs:
        return _joint(runs)
    present = [a for a in (*RESOURCES, "x") if a in runs]
    if len(present) == 1:
        text = f"{present[0]} is the only resource in the runs"
        if others := _settings(runs, present):
            text += f" (columns not used: {', '.join(others)})"
        return get_law("power_floor", axis=present[0]), text
    if not present:
        present = _settings(runs, ())
        if len(present) == 1:
            return get_law("power_floor", axis=present[0]), f"{present[0]} is the only column"
    raise LawError(
        f"no law named, and the runs have {', '.join(present) or 'no resource'} but not N and D "
        "both: name a column of the missing one, or take a law of one resource, such as --axis "
        f"{present[0] if present else 'column'}, or write a formula with --law"
    )


def _joint(runs: Runs) -> tuple[Law, str]:
    still = [a for a in ("N", "D") if (runs[a] == runs[a][0]).all()]
    text = "the runs have N and D"
    if len(still) == 1:
        other = "D" if still == ["N"] else "N"
        text += f"; but {still[0]} is {runs[still[0]][0]:.6g} in every run: for a law of {other} "
        text += f"alone, --axis {other}"
    if "U" in runs and bool((runs["D"] > 1.01 * runs["U"]).any()):
        text += "; some data are repeated (D above U): compare the law repetition"
    return get_law("chinchilla"), text


def _settings(runs: Runs, used: Collection[str]) -> list[str]:
    """Further columns that vary and were set before the run."""
    return [
        name
        for name, values in runs.columns.items()
        if name not in (*used, "lr") and is_setting(name) and (values != values[0]).any()
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Runs in canonical order with what the engine needs."""

    law: Law
    x: dict[str, Array]
    loss: Array
    weights: Array
    groups: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]


def prepare(
    runs: Runs,
    law: Law,
    weights: npt.ArrayLike | None = None,
    *,
    outcomes: tuple[str, ...] = (),
) -> Prepared:
    """Check that the runs have the law's axes, and sort them so that their order cannot matter.

    Columns named in ``outcomes`` do not tell configurations apart, whatever their name says.
    """
    if not law.names:
        raise LawError(f"{law.name}: every parameter is pinned, so there is nothing to fit")
    missing = [a for a in law.axes if a not in runs]
    if missing:
        hint = ""
        if len(law.axes) == 1:
            hint = "; say which resource it is of: --axis NAME (in Python: axis='NAME')"
        raise LawError(
            f"{law.name} needs {', '.join(missing)}; the runs have {', '.join(runs.columns)}{hint}"
        )
    n = len(runs)
    w = np.ones(n) if weights is None else as_vector("weights", weights)
    if len(w) != n or (w < 0).any() or not w.any():
        raise InputError(f"weights: {n} non-negative numbers are needed, not all zero")
    kept = {k: v for k, v in runs.columns.items() if k not in outcomes}
    groups = configuration_ids(kept, law.axes)
    # Other columns settle ties: rows alike in all the law sees may be of two configurations.
    rest = [runs[c] for c in sorted(runs.columns) if c not in (*law.axes, "loss")]
    order = np.lexsort([*rest, w, runs["loss"], *(runs[a] for a in reversed(law.axes))])
    # Groups are numbered anew by where they first appear in that order: written from the back,
    # the first place of each is what stays.
    labels = groups[order]
    first = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    first[labels[::-1]] = np.arange(n)[::-1]
    leads = np.zeros(n, dtype=np.int64)
    leads[first] = 1
    canonical = (np.cumsum(leads) - 1)[first[labels]]
    return Prepared(
        law=law,
        x={a: np.array(runs[a][order]) for a in law.axes},
        loss=np.array(runs["loss"][order]),
        weights=w[order] / w[order].mean(),
        groups=canonical,
        order=order,
    )

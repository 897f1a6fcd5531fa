"""From a table of runs and the name of a law to what the engine needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError, LawError
from isoloss.laws import Law, get_law, is_law_name, law_from_expression
from isoloss.laws.expression import leaves, parse
from isoloss.runs import Runs
from isoloss.runs.notes import configuration_ids


def as_law(law: str | Law, *, axis: str | None = None, axes: Any = ()) -> Law:
    """Turn a name, a formula or a law into a law.

    A law of one resource takes ``axis``, or the only resource there is.
    """
    if isinstance(law, Law):
        return law
    if is_law_name(law):
        present = [a for a in ("N", "D", "C", "x") if a in axes]
        chosen = axis or (present[0] if len(present) == 1 else "C" if "C" in present else "x")
        return get_law(law, axis=chosen)
    if not any(c in law for c in "+*/^("):
        return get_law(law)
    names = tuple(a for a in axes if a != "loss")
    if not names:
        return law_from_expression(law)
    used = {leaf.value for leaf in leaves(parse(law, axes=names)) if leaf.op == "axis"}
    return law_from_expression(law, axes=tuple(a for a in names if a in used))


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
        raise LawError(
            f"{law.name} needs {', '.join(missing)}; the runs have {', '.join(runs.columns)}"
        )
    n = len(runs)
    w = np.ones(n) if weights is None else as_vector("weights", weights)
    if len(w) != n or (w < 0).any() or not w.any():
        raise InputError(f"weights: {n} non-negative numbers are needed, not all zero")
    groups = configuration_ids({k: v for k, v in runs.columns.items() if k not in outcomes})
    order = np.lexsort([w, runs["loss"], *(runs[a] for a in reversed(law.axes))])
    _, first, labels = np.unique(groups[order], return_index=True, return_inverse=True)
    canonical = np.argsort(np.argsort(first, kind="stable"), kind="stable")[labels]
    return Prepared(
        law=law,
        x={a: np.array(runs[a][order]) for a in law.axes},
        loss=np.array(runs["loss"][order]),
        weights=w[order] / w[order].mean(),
        groups=canonical,
        order=order,
    )

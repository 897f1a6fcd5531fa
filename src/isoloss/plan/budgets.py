"""Runs of one compute budget, found by the gaps between budgets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_positive, as_vector
from isoloss.errors import InputError
from isoloss.plan.reason import Reason

MIN_SIZES = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BudgetGroup:
    """Runs that spent the same compute.

    Attributes
    ----------
    C
        Geometric mean of their budgets.
    index
        Their rows, in the order of the input.
    refusal
        Why they give no isoFLOP curve, or None: ``TOO_FEW_SIZES`` or ``CHAINED``.
    """

    C: float
    index: npt.NDArray[np.int64]
    refusal: Reason | None


def group_budgets(
    C: npt.ArrayLike, N: npt.ArrayLike | None = None, *, rtol: float = 0.1
) -> tuple[BudgetGroup, ...]:
    """Group runs by gaps in log C: neighbours further apart than ``rtol`` are in two groups.

    Budgets are never rounded: 1.5e19 and 2.4e19 are two budgets, 0.99e19 and 1.01e19 are one.
    A chain of small gaps that spans more than twice ``rtol`` is no budget and is refused.

    Parameters
    ----------
    C
        Budgets, (n,).
    N
        Sizes, (n,); with them groups of fewer than 4 distinct sizes are refused.
    rtol
        Relative gap that separates budgets.

    Returns
    -------
    tuple of BudgetGroup
        In order of C; together they hold every row once.

    Examples
    --------
    >>> [g.index.tolist() for g in group_budgets([1.5e19, 2.4e19, 1.52e19])]
    [[0, 2], [1]]
    """
    budgets = as_vector("C", C, positive=True)
    gap = np.log1p(as_positive("rtol", rtol))
    sizes = None if N is None else as_vector("N", N, positive=True)
    if sizes is not None and sizes.size != budgets.size:
        raise InputError(f"N and C: {sizes.size} and {budgets.size} values; give one each a run")
    order = np.argsort(budgets, kind="stable")
    cuts = np.flatnonzero(np.diff(np.log(budgets[order])) > gap) + 1
    groups = []
    for rows in np.split(order, cuts):
        rows = np.sort(rows)
        groups.append(
            BudgetGroup(
                C=float(np.exp(np.mean(np.log(budgets[rows])))),
                index=rows,
                refusal=_refusal(budgets[rows], None if sizes is None else sizes[rows], gap),
            )
        )
    return tuple(groups)


def _refusal(C: Array, N: Array | None, gap: float) -> Reason | None:
    if np.log(C.max() / C.min()) > 2 * gap:
        return Reason(
            code="CHAINED",
            message=f"budgets from {C.min():.4g} to {C.max():.4g} run into each other; these runs "
            "were not made at fixed budgets, so fit a surface instead",
            severity="refusal",
        )
    if N is not None and (found := np.unique(N).size) < MIN_SIZES:
        return Reason(
            code="TOO_FEW_SIZES",
            message=f"{found} distinct sizes at C = {C.mean():.4g}: a curve needs {MIN_SIZES}",
            severity="refusal",
        )
    return None

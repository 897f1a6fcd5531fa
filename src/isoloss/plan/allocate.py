"""Split compute between model and data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_positive, as_vector
from isoloss.errors import InputError
from isoloss.plan.allocation import Allocation, NearOptimal, deadweight
from isoloss.plan.cost import SIX_ND, Cost
from isoloss.plan.intervals import from_draws
from isoloss.plan.optimum import DATA_BIND, INTERIOR, NONE, Optimum, exponents, solve
from isoloss.plan.problem import Problem, make_problem, read_source
from isoloss.plan.reason import Reason, overall
from isoloss.plan.root import bracketed_root

# Distances in log N at which the end of the near-optimal range is looked for: 0.01 to 25 decades.
_OUTWARD = np.concatenate([[0.0], np.geomspace(1e-2, 58.0, 60)])
# Two valleys whose depths differ by less than this share of the loss cannot be told apart.
_RIVAL = 1e-2


def allocate(
    law: Any,
    theta: Mapping[str, float] | npt.ArrayLike | None = None,
    C: npt.ArrayLike | None = None,
    *,
    cost: Cost | Callable[[Any, Any], Any] = SIX_ND,
    draws: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.9,
    tolerance: float = 0.01,
    fixed: Mapping[str, float] | None = None,
    max_D: float | None = None,
    method: str | None = None,
    near: bool = True,
) -> Allocation:
    r"""Minimise L(N, D) subject to cost(N, D) = C.

    For Chinchilla's law and :math:`C = 6 N D`:
    :math:`N_{opt} = G (C/6)^a`, :math:`a = \beta/(\alpha+\beta)`,
    :math:`G = (\alpha A / \beta B)^{1/(\alpha+\beta)}`. Other laws and costs are solved to about
    1e-12 in log N from exact derivatives.

    Parameters
    ----------
    law, theta
        A law and its values (named or a vector), or anything that has both, such as a fit, whose
        draws are then used too.
    C
        Budgets, (m,) or one, in the unit of the cost.
    cost
        A cost model or any callable C(N, D) that increases in both.
    draws, weights
        Parameters, (B, p), and their weights, (B,): give intervals.
    level
        Of the intervals.
    tolerance
        Excess loss, relative to the best, that counts as near-optimal.
    fixed
        Values of extra axes, such as ``{"U": 1e9}`` unique examples for the law of repetition. To
        a law without repetition U is the most data there are.
    max_D
        Most data that can be used.
    method
        How the draws were made, for the intervals.
    near
        Whether to look for the near-optimal range.

    Returns
    -------
    Allocation
        Where no best split exists its entries are NaN, with reason ``NO_INTERIOR_OPTIMUM``.

    Raises
    ------
    InputError
        For budgets, parameters or policy that break a rule.

    References
    ----------
    Hoffmann et al. 2022, arXiv:2203.15556, eq. 4.

    Examples
    --------
    >>> from isoloss.laws import PUBLISHED, get_law
    >>> values = PUBLISHED["hoffmann-2022-rounded"].parameters
    >>> plan = allocate(get_law("chinchilla"), values, 5.76e23)
    >>> round(float(plan.exponent_N[0]), 3), round(float(plan.D_opt[0] / plan.N_opt[0]), 1)
    (0.452, 92.6)
    """
    level, tolerance = as_level(level), as_positive("tolerance", tolerance)
    if C is None:
        raise InputError("C: give the compute budget, for example allocate(fit, C=1e22)")
    budgets = as_vector("C", C, positive=True)
    law, vector, matrix, own = read_source(law, theta, draws)
    if weights is not None and matrix is None:
        raise InputError("weights: there are no draws to weigh")
    problem = make_problem(law, cost, fixed, max_D)
    one = vector[None]

    optimum = solve(problem, one, budgets)
    N, D, L = _unfold(problem, one, budgets, optimum)
    grow_N, grow_D = exponents(problem, one, budgets, optimum)
    reasons = _reasons(problem, budgets, optimum, L)
    intervals: dict[str, Any] = dict.fromkeys(_FIELDS)
    if matrix is not None:
        drawn = solve(problem, matrix, budgets)
        columns = (
            *_unfold(problem, matrix, budgets, drawn),
            *exponents(problem, matrix, budgets, drawn),
        )
        for name, values in zip(_FIELDS, columns, strict=True):
            intervals[name], doubts = from_draws(
                values, weights=weights, level=level, method=method or own, what="best split"
            )
            reasons += [d for d in doubts if d not in reasons]
    return Allocation(
        C=budgets,
        N_opt=N[0],
        D_opt=D[0],
        L_opt=L[0],
        exponent_N=grow_N[0],
        exponent_D=grow_D[0],
        near_optimal=_near(problem, vector, budgets, optimum, L[0], tolerance) if near else (),
        status=overall(tuple(reasons), answered=bool((optimum.kind != NONE).any())),
        reasons=tuple(reasons),
        problem=problem,
        theta=vector,
        **intervals,
    )


_FIELDS = (
    "N_interval",
    "D_interval",
    "L_interval",
    "exponent_N_interval",
    "exponent_D_interval",
)


def _unfold(
    problem: Problem, theta: Array, C: Array, optimum: Optimum
) -> tuple[Array, Array, Array]:
    if not problem.splits:
        nan = optimum.log_N
        return nan, nan, nan
    known = optimum.kind != NONE
    log_N = np.where(known, optimum.log_N, 0.0)
    N = np.exp(log_N)
    D = problem.cost.tokens(N, C)
    if problem.max_D is not None:
        D = np.where(optimum.kind == DATA_BIND, problem.max_D, D)
    L = problem.loss(theta, log_N, C)
    return tuple(np.where(known, a, np.nan) for a in (N, D, L))  # type: ignore[return-value]


def _reasons(problem: Problem, C: Array, optimum: Optimum, L: Array) -> list[Reason]:
    law, reasons = problem.law, []
    if not problem.splits:
        given = ", ".join(law.axes)
        text = f"{law.name} is a law of {given}: it says nothing on how to split N and D"
        return [Reason(code="NO_INTERIOR_OPTIMUM", message=text, severity="refusal")]
    kind = optimum.kind[0]
    if (kind == NONE).any():
        text = (
            f"at C = {_listed(C[kind == NONE])} the loss of {law.name} has no minimum between "
            "all model and all data, whatever the size: the parameters do not describe a trade-off"
        )
        reasons.append(Reason(code="NO_INTERIOR_OPTIMUM", message=text, severity="refusal"))
    if (kind == DATA_BIND).any():
        text = (
            f"at C = {_listed(C[kind == DATA_BIND])} the data bind: the best split would use more "
            f"than the {problem.max_D:g} examples there are, so all are used and the rest of the "
            "compute goes into size"
        )
        reasons.append(Reason(code="DATA_BIND", message=text, severity="info"))
    lower = (kind != NONE) & (optimum.edge[0] < L[0])
    if lower.any():
        text = (
            f"at C = {_listed(C[lower])} the law promises a still lower loss at a size more than "
            "20 decades away; it is trusted only near its runs, where it has a minimum"
        )
        reasons.append(Reason(code="EDGE_LOWER", message=text))
    twin = (kind == INTERIOR) & (optimum.rivals[0] < L[0] * (1 + _RIVAL))
    if twin.any():
        text = (
            f"at C = {_listed(C[twin])} the law has two minima within {100 * _RIVAL:g} % of each "
            "other; the lower one is given"
        )
        reasons.append(Reason(code="MULTIMODAL", message=text))
    return reasons


def _listed(values: Array) -> str:
    text = ", ".join(f"{v:.3g}" for v in values[:4])
    return text + (f" and {values.size - 4} more" if values.size > 4 else "")


def _near(
    problem: Problem, theta: Array, C: Array, optimum: Optimum, L: Array, tolerance: float
) -> tuple[NearOptimal, ...]:
    nan = float("nan")
    made = [NearOptimal(tolerance=tolerance, N_low=nan, N_high=nan, deadweight=nan)] * C.size
    known = np.flatnonzero(optimum.kind[0] != NONE)
    if not known.size:
        return tuple(made)
    C, n, L = C[known], optimum.log_N[0, known], L[known]
    goal = L + tolerance * np.abs(L)
    ends = [_end(problem, theta, C, n, goal, side) for side in (-1, 1)]
    least = problem.least_size(C)
    if least is not None:
        ends[0] = np.where(np.isnan(ends[0]), least, np.maximum(ends[0], least))
    low = np.exp(np.where(np.isnan(ends[0]), -np.inf, ends[0]))
    high = np.exp(np.where(np.isnan(ends[1]), np.inf, ends[1]))
    share = deadweight(problem, theta, C, goal, L)
    for j, i in enumerate(known):
        made[i] = NearOptimal(
            tolerance=tolerance,
            N_low=float(low[j]),
            N_high=float(high[j]),
            deadweight=float(share[j]),
        )
    return tuple(made)


def _end(problem: Problem, theta: Array, C: Array, n: Array, goal: Array, side: int) -> Array:
    """Where the loss first reaches ``goal`` on one side of the optimum, NaN if nowhere."""
    grid = n[:, None] + side * _OUTWARD
    budgets = np.broadcast_to(C[:, None], grid.shape)
    one = theta[None]
    with np.errstate(all="ignore"):
        loss = problem.loss(one, grid.reshape(-1), budgets.reshape(-1)).reshape(grid.shape)
        beyond = ~(loss < goal[:, None])
        beyond[:, 0] = False
        first = np.argmax(beyond, axis=1)[:, None]
        exists = beyond.any(axis=1)
        inner = np.take_along_axis(grid, np.maximum(first - 1, 0), axis=1)[:, 0]
        outer = np.take_along_axis(grid, first, axis=1)[:, 0]
        return bracketed_root(
            lambda x: problem.loss(one, x, C)[0] - goal,
            np.where(exists, inner, np.nan),
            np.where(exists, outer, np.nan),
        )

"""The cheapest budget that reaches a loss."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_vector, freeze
from isoloss._core.interval import Interval
from isoloss.errors import FitError
from isoloss.plan.cost import SIX_ND, Cost
from isoloss.plan.intervals import from_draws
from isoloss.plan.optimum import solve
from isoloss.plan.problem import Problem, make_problem, read_source
from isoloss.plan.reason import Reason, overall
from isoloss.plan.root import bracketed_root

SCHEMA = 1
# N = D from 1e-12 to 1e40: every budget that any choice of units may call small or large.
_BALANCED = np.exp(np.arange(-28.0, 93.0, 4.0))
_BELOW = -np.concatenate([np.geomspace(80, 0.02, 28), [0.0]])


def cheapest(problem: Problem, theta: Array, loss: Array, start: Array | None = None) -> Array:
    """Least budgets that reach ``loss``, (B, n), for parameters (B, p).

    Infinite where no budget does, NaN where the law has no optimum to follow. ``start`` are
    budgets, of the shape of ``loss``, known to be more than enough.
    """
    if not problem.splits:
        return np.full((len(theta), loss.shape[-1]), np.nan)
    shape = (len(theta), loss.shape[-1])
    target = np.broadcast_to(loss, shape)
    c = problem.power_sum(theta)
    if c is not None:
        with np.errstate(all="ignore"):
            excess, total = target - c["E"], c["alpha"] + c["beta"]
            u = excess * (c["beta"] / total) ** (1 / c["k"])
            v = excess * (c["alpha"] / total) ** (1 / c["k"])
            size, data = (c["A"] / u) ** (1 / c["alpha"]), (c["B"] / v) ** (1 / c["beta"])
            good = np.isfinite(size * data) & (excess > 0)
        bad = np.where(excess > 0, np.nan, np.inf)
        return np.where(good, problem.cost(np.where(good, size, 1.0), data), bad)
    if start is None:
        line = np.log(problem.cost(_BALANCED, _BALANCED))
        low, high, reach = _bracket(problem, theta, target, line[None, None, :])
    else:
        line = np.log(np.broadcast_to(start, shape))[..., None] + _BELOW
        low, high, reach = _bracket(problem, theta, target, line)
    # Rows without a bracket get a point of the line, where no sign changes: NaN comes back.
    spare = float(line.flat[0])
    low, high = (np.where(np.isnan(a), spare, a) for a in (low, high))
    root = bracketed_root(lambda x: _best(problem, theta, np.exp(x)) - target, low, high)
    root = np.where(low < high, root, np.nan)
    return np.where(np.isnan(root), np.where(reach, np.nan, np.inf), np.exp(root))


def _best(problem: Problem, theta: Array, C: Array) -> Array:
    """Least loss at budgets (m,) or (B, m)."""
    return problem.loss(theta, solve(problem, theta, C).log_N, C)


def _bracket(
    problem: Problem, theta: Array, target: Array, line: Array
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """First pair of neighbours on ``line``, (.., n or 1, G), between which the loss is met."""
    rows, n = target.shape
    if line.shape[:2] == (1, 1):
        best = _best(problem, theta, np.exp(line[0, 0]))[:, None, :]
    elif rows == 1:
        best = _best(problem, theta, np.exp(line.reshape(-1))).reshape(1, n, -1)
    else:
        best = _best(problem, theta, np.exp(line.reshape(rows, -1))).reshape(rows, n, -1)
    best = np.broadcast_to(best, (rows, n, line.shape[-1]))
    line = np.broadcast_to(line, best.shape)
    met = (best[..., :-1] > target[..., None]) & (best[..., 1:] <= target[..., None])
    first = np.argmax(met, axis=-1)[..., None]
    exists = np.take_along_axis(met, first, axis=-1)[..., 0]
    low = np.take_along_axis(line, first, axis=-1)[..., 0]
    high = np.take_along_axis(line, first + 1, axis=-1)[..., 0]
    # A loss that is already met at the cheapest budget looked at is out of the law's range,
    # one that is not met at the dearest is below its floor.
    reachable = np.asarray((best <= target[..., None]).any(axis=-1) | np.isnan(best).all(axis=-1))
    return np.where(exists, low, np.nan), np.where(exists, high, np.nan), reachable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComputeForLoss:
    """Cheapest budgets that reach given losses.

    Attributes
    ----------
    loss, C, N, D
        Targets, budgets and how they are split, (n,). C is infinite below the floor.
    C_interval
        One for each target, without draws none; an end is infinite where that share of the draws
        never gets there.
    status, reasons
        ``ok``, ``suspect`` or ``failed``, and why.
    """

    law: str
    cost: str
    loss: Array
    C: Array
    N: Array
    D: Array
    C_interval: tuple[Interval | None, ...] | None
    status: str
    reasons: tuple[Reason, ...]

    def __post_init__(self) -> None:
        for name in ("loss", "C", "N", "D"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def require(self) -> ComputeForLoss:
        """Return the answer if its status is ok, else raise `FitError` with the first doubt."""
        if self.status != "ok":
            first = next(r for r in self.reasons if r.severity != "info")
            raise FitError(first.code, first.message)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"schema": SCHEMA, "law": self.law, "cost": self.cost} | {
            "targets": [
                {
                    "loss": float(self.loss[i]),
                    "C": float(self.C[i]),
                    "N": float(self.N[i]),
                    "D": float(self.D[i]),
                    "interval": one.to_dict() if (one := self._interval(i)) else None,
                }
                for i in range(self.loss.size)
            ],
            "status": self.status,
            "reasons": [r.to_dict() for r in self.reasons],
        }

    def to_columns(self) -> dict[str, list[float]]:
        """Table: loss, C, N, D."""
        return {n: getattr(self, n).tolist() for n in ("loss", "C", "N", "D")}

    def _interval(self, i: int) -> Interval | None:
        return self.C_interval[i] if self.C_interval else None

    def summary(self) -> str:
        """Lines for people."""
        lines = [f"{self.law}, cost {self.cost}, status {self.status}"]
        for i in range(self.loss.size):
            lines.append(
                f"  loss {self.loss[i]:.6g}: C = {self.C[i]:.4g}, N = {self.N[i]:.4g}, "
                f"D = {self.D[i]:.4g}" + (f"; C in {one}" if (one := self._interval(i)) else "")
            )
        return "\n".join(lines + [f"  {r.code}: {r.message}" for r in self.reasons])

    def __repr__(self) -> str:
        return f"ComputeForLoss({self.law}, {self.loss.size} targets; {self.status})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def compute_for_loss(
    law: Any,
    theta: Mapping[str, float] | npt.ArrayLike | None = None,
    loss: npt.ArrayLike | None = None,
    *,
    cost: Cost | Callable[[Any, Any], Any] = SIX_ND,
    draws: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.9,
    fixed: Mapping[str, float] | None = None,
    max_D: float | None = None,
    method: str | None = None,
) -> ComputeForLoss:
    """Find the cheapest budget whose best split reaches a loss.

    Parameters
    ----------
    law, theta
        A law and its values, or a fit alone.
    loss
        Targets, (n,) or one.
    cost, draws, weights, level, fixed, max_D, method
        As in `allocate`.

    Examples
    --------
    >>> from isoloss.laws import PUBLISHED, get_law
    >>> values = PUBLISHED["epoch-2024-lad"].parameters
    >>> answer = compute_for_loss(get_law("chinchilla"), values, [2.0, 1.8])
    >>> answer.C
    array([2.43...e+23,            inf])
    >>> answer.reasons[0].code
    'LOSS_BELOW_FLOOR'
    """
    level = as_level(level)
    law, vector, matrix, own = read_source(law, theta, draws)
    target = as_vector("loss", [] if loss is None else loss)
    problem = make_problem(law, cost, fixed, max_D)
    one = vector[None]
    C = cheapest(problem, one, target)[0]
    finite = np.isfinite(C)
    N = np.full(C.shape, np.nan)
    if finite.any():
        N[finite] = np.exp(solve(problem, one, C[finite]).log_N[0])
    D = np.full(C.shape, np.nan)
    D[finite] = problem.cost.tokens(N[finite], C[finite])
    reasons = []
    if np.isinf(C).any():
        bad = ", ".join(f"{v:g}" for v in target[np.isinf(C)])
        reasons.append(
            Reason(
                code="LOSS_BELOW_FLOOR",
                message=f"no budget reaches loss {bad} under {law.name}; aim above its floor",
                severity="refusal",
            )
        )
    if np.isnan(C).any():
        bad = ", ".join(f"{v:g}" for v in target[np.isnan(C)])
        reasons.append(
            Reason(
                code="NO_INTERIOR_OPTIMUM" if not problem.splits else "LOSS_OUT_OF_RANGE",
                message=f"{law.name} names no cheapest budget for loss {bad}: it has no best "
                "split of N and D there",
                severity="refusal",
            )
        )
    intervals = None
    if matrix is not None:
        drawn = cheapest(problem, matrix, target)
        intervals, doubts = from_draws(
            drawn, weights=weights, level=level, method=method or own, what="budget"
        )
        reasons += doubts
    return ComputeForLoss(
        law=law.name,
        cost=problem.cost.text,
        loss=target,
        C=C,
        N=N,
        D=D,
        C_interval=intervals,
        status=overall(tuple(reasons), answered=bool(finite.any())),
        reasons=tuple(reasons),
    )

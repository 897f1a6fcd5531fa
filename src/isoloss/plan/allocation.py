"""The result of an allocation: how to split budgets, how surely, and what missing it costs."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_vector, freeze
from isoloss._core.interval import Interval
from isoloss.errors import FitError
from isoloss.plan.cheapest import cheapest
from isoloss.plan.problem import Problem
from isoloss.plan.reason import Reason

SCHEMA = 1
RATIOS = (1 / 8, 1 / 4, 1 / 2, 1 / np.sqrt(2), 1.0, np.sqrt(2), 2.0, 4.0, 8.0)
Intervals = tuple[Interval | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearOptimal:
    """Sizes that are nearly as good as the best one at the same budget.

    Attributes
    ----------
    tolerance
        Excess loss allowed, relative to the optimal loss.
    N_low, N_high
        Ends of the range; infinite where the loss never rises that much.
    deadweight
        Share of the budget that buys nothing at either end: 1 - C_eq/C, where C_eq is the
        cheapest budget that reaches the same loss. Both ends have one loss, hence one price.
    """

    tolerance: float
    N_low: float
    N_high: float
    deadweight: float

    def to_dict(self) -> dict[str, float]:
        """Plain types, percentages."""
        return {
            "tolerance_percent": 100 * self.tolerance,
            "N_low": self.N_low,
            "N_high": self.N_high,
            "compute_price_percent": 100 * self.deadweight,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """What a size other than the best one costs.

    Attributes
    ----------
    N_ratio, N, D, loss
        Size relative to the optimum, size, data that the budget then buys, loss.
    excess
        Loss above the optimum, relative to it.
    deadweight
        Share of the budget that buys nothing: 1 - C_eq/C.
    """

    N_ratio: float
    N: float
    D: float
    loss: float
    excess: float
    deadweight: float

    def to_dict(self) -> dict[str, float]:
        """Plain types, percentages."""
        return {
            "N_ratio": self.N_ratio,
            "N": self.N,
            "D": self.D,
            "loss": self.loss,
            "excess_percent": 100 * self.excess,
            "deadweight_percent": 100 * self.deadweight,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Allocation:
    """Compute-optimal splits of budgets under one law.

    Attributes
    ----------
    C, N_opt, D_opt, L_opt
        Budgets, sizes, examples and losses, (m,); NaN where there is no optimum.
    N_interval, D_interval, L_interval, exponent_N_interval, exponent_D_interval
        One `Interval` a budget, or None where the draws give none; None without draws. They hold
        if the law is right.
    exponent_N, exponent_D
        Local growth ``d log N_opt / d log C`` and ``d log D_opt / d log C``, (m,).
    near_optimal
        Sizes within the tolerance, one entry a budget.
    status, reasons
        ``ok``, ``suspect`` or ``failed``, and why.
    """

    C: Array
    N_opt: Array
    D_opt: Array
    L_opt: Array
    exponent_N: Array
    exponent_D: Array
    N_interval: Intervals | None
    D_interval: Intervals | None
    L_interval: Intervals | None
    exponent_N_interval: Intervals | None
    exponent_D_interval: Intervals | None
    near_optimal: tuple[NearOptimal, ...]
    status: str
    reasons: tuple[Reason, ...]
    problem: Problem = field(repr=False)
    theta: Array = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("C", "N_opt", "D_opt", "L_opt", "exponent_N", "exponent_D", "theta"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def law(self) -> str:
        """Name of the law."""
        return self.problem.law.name

    @property
    def cost(self) -> str:
        """Formula of the cost."""
        return self.problem.cost.text

    def price(self, N_ratio: Sequence[float] = RATIOS, *, index: int = 0) -> tuple[PriceRow, ...]:
        """Tell what sizes other than the best cost at budget number ``index``.

        Where data are limited and a smaller model would ask for more than there are, the rest of
        the budget is left unspent.

        Examples
        --------
        >>> from isoloss.laws import PUBLISHED, get_law
        >>> from isoloss.plan import allocate
        >>> values = PUBLISHED["epoch-2024-lad"].parameters
        >>> plan = allocate(get_law("chinchilla"), values, 5.76e23)
        >>> half = plan.price([0.5])[0]
        >>> round(100 * half.excess, 2), round(100 * half.deadweight, 1)
        (0.24, 15.6)
        """
        ratios = as_vector("N_ratio", N_ratio, positive=True)
        C, best = self.C[index : index + 1], float(self.L_opt[index])
        N = ratios * self.N_opt[index]
        with np.errstate(all="ignore"):
            D = self.problem.cost.tokens(N, C) if np.isfinite(N).all() else np.full(N.shape, np.nan)
        if self.problem.max_D is not None:
            D = np.minimum(D, self.problem.max_D)
        if not np.isfinite(best):
            nan = float("nan")
            return tuple(
                PriceRow(N_ratio=r, N=nan, D=nan, loss=nan, excess=nan, deadweight=nan)
                for r in ratios.tolist()
            )
        loss = self.problem.loss(self.theta[None], np.log(N), np.broadcast_to(C, N.shape))[0]
        share = deadweight(self.problem, self.theta, np.broadcast_to(C, N.shape), loss, best)
        rows = zip(ratios, N, D, loss, (loss - best) / abs(best), share, strict=True)
        names = ("N_ratio", "N", "D", "loss", "excess", "deadweight")
        return tuple(PriceRow(**dict(zip(names, map(float, r), strict=True))) for r in rows)

    def require(self) -> Allocation:
        """Return the allocation if its status is ok, else raise `FitError` with the first doubt."""
        if self.status != "ok":
            first = next(r for r in self.reasons if r.severity != "info")
            raise FitError(first.code, first.message)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain types; numbers that do not exist are NaN here and ``null`` in JSON."""
        budgets = []
        for i in range(self.C.size):
            intervals = {
                name: one.to_dict() if (one := self._at(getattr(self, field_), i)) else None
                for name, field_ in _INTERVALS.items()
            }
            budgets.append(
                {
                    "budget": float(self.C[i]),
                    "N_opt": float(self.N_opt[i]),
                    "D_opt": float(self.D_opt[i]),
                    "L_opt": float(self.L_opt[i]),
                    "exponent_N": float(self.exponent_N[i]),
                    "exponent_D": float(self.exponent_D[i]),
                    "intervals": {n: v for n, v in intervals.items() if v},
                    "near_optimal": self.near_optimal[i].to_dict() if self.near_optimal else None,
                }
            )
        return {
            "schema": SCHEMA,
            "law": self.law,
            "cost": self.cost,
            "fixed": dict(self.problem.fixed),
            "max_D": self.problem.max_D,
            "status": self.status,
            "reasons": [r.to_dict() for r in self.reasons],
            "budgets": budgets,
        }

    def to_columns(self) -> dict[str, list[float]]:
        """Table with one row a budget; ends of intervals where there are draws."""
        table = {n: getattr(self, n).tolist() for n in ("C", "N_opt", "D_opt", "L_opt")}
        for name, field_ in _INTERVALS.items():
            found = getattr(self, field_)
            if found is not None and not name.startswith("exponent"):
                stem = name.removesuffix("_opt")
                table[f"{stem}_low"] = [i.low if i else float("nan") for i in found]
                table[f"{stem}_high"] = [i.high if i else float("nan") for i in found]
        return table

    @staticmethod
    def _at(found: Intervals | None, i: int) -> Interval | None:
        return found[i] if found else None

    def summary(self) -> str:
        """Lines for people."""
        lines = [f"{self.law}, cost {self.cost}, status {self.status}"]
        for i in range(self.C.size):
            if not np.isfinite(self.N_opt[i]):
                lines.append(f"  C = {self.C[i]:.4g}: no best split")
                continue
            per = self.D_opt[i] / self.N_opt[i]
            lines.append(
                f"  C = {self.C[i]:.4g}: N = {self.N_opt[i]:.4g}, D = {self.D_opt[i]:.4g} "
                f"({per:.3g} per parameter), loss {self.L_opt[i]:.5g}, N grows as "
                f"C^{self.exponent_N[i]:.3f}"
            )
            lines += [
                f"    {name} in {one}"
                for name, field_ in _INTERVALS.items()
                if (one := self._at(getattr(self, field_), i))
            ]
            if self.near_optimal:
                near = self.near_optimal[i]
                lines.append(
                    f"    within {100 * near.tolerance:g} % of that loss: N from {near.N_low:.3g} "
                    f"to {near.N_high:.3g}, wasting at most {100 * near.deadweight:.2g} % of C"
                )
        return "\n".join(lines + [f"  {r.code}: {r.message}" for r in self.reasons])

    def __repr__(self) -> str:
        return f"Allocation({self.law}, {self.C.size} budgets; {self.status})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


_INTERVALS = {
    "N_opt": "N_interval",
    "D_opt": "D_interval",
    "L_opt": "L_interval",
    "exponent_N": "exponent_N_interval",
    "exponent_D": "exponent_D_interval",
}


def deadweight(problem: Problem, theta: Array, C: Array, loss: Array, best: float | Array) -> Array:
    """Share of budgets C, (n,), that buys nothing when they end at ``loss``."""
    # At the optimum itself the two losses differ by rounding alone.
    target = np.maximum(loss, best)
    equal = cheapest(problem, theta[None], target, C)[0]
    share = np.maximum(1 - equal / C, 0.0)
    return np.asarray(np.where(target <= best, 0.0, share))

"""The result of approach 2."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_positive
from isoloss._core.interval import Interval
from isoloss.errors import FitError
from isoloss.plan.reason import Reason

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """A power law through minima: log y = value + exponent (log C - log_middle).

    Attributes
    ----------
    covariance
        Of value and exponent, (2, 2).
    t
        Quantile of Student's t that the level asks for; NaN where there is no error estimate.
    """

    log_middle: float
    value: float
    exponent: float
    covariance: Array
    t: float
    level: float
    method: str

    def at(self, C: float) -> float:
        """Value of the power law at C."""
        return float(np.exp(self.value + self.exponent * (np.log(C) - self.log_middle)))

    def interval_at(self, C: float) -> Interval | None:
        """Interval of `at`, multiplicative."""
        row = np.array([1.0, np.log(C) - self.log_middle])
        return self._around(np.log(self.at(C)), float(row @ self.covariance @ row), np.exp)

    @property
    def interval(self) -> Interval | None:
        """Interval of the exponent."""
        return self._around(self.exponent, float(self.covariance[1, 1]), float)

    def _around(self, middle: float, variance: float, back: Any) -> Interval | None:
        half = self.t * float(np.sqrt(variance))
        if not np.isfinite(half):
            return None
        return Interval(
            low=float(back(middle - half)),
            high=float(back(middle + half)),
            level=self.level,
            method=self.method,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoBudget:
    """One isoFLOP curve.

    Attributes
    ----------
    C, n_runs, n_sizes
        Budget, runs and distinct sizes.
    N_opt, D_opt, L_opt
        The minimum, NaN where it is refused.
    log_se
        Standard error of log N_opt, from the residuals pooled over budgets.
    curvature
        Second derivative of the loss in log N at the minimum (mean one where there is none).
    offset
        Distance of the minimum from the centre of the sampled log sizes, in half-widths.
    half_width
        Half the range of the sampled log sizes.
    refusal
        ``CONCAVE``, ``EDGE``, ``FLAT``, ``TOO_FEW_SIZES`` or ``CHAINED``, or None.
    """

    C: float
    n_runs: int
    n_sizes: int
    N_opt: float
    D_opt: float
    L_opt: float
    log_se: float
    curvature: float
    offset: float
    half_width: float
    refusal: Reason | None

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        names = ("C", "n_runs", "n_sizes", "N_opt", "D_opt", "L_opt", "log_se", "curvature")
        return {n: getattr(self, n) for n in (*names, "offset", "half_width")} | {
            "refusal": self.refusal.to_dict() if self.refusal else None
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IsoFLOP:
    """Approach 2: minima of isoFLOP curves and their growth with C.

    Attributes
    ----------
    budgets
        One entry a budget, refused ones included.
    line_N, line_D
        Power laws through the minima, None with fewer than two.
    degree, level
        Of the curves and of the intervals.
    noise
        Residual standard deviation of the loss, pooled over budgets.
    status, reasons
        ``ok``, ``suspect`` or ``failed``, and why.
    """

    budgets: tuple[IsoBudget, ...]
    line_N: Line | None
    line_D: Line | None
    degree: int
    level: float
    noise: float
    status: str
    reasons: tuple[Reason, ...]

    @property
    def exponent_N(self) -> float:
        """Growth of N_opt with C; NaN without a line."""
        return self.line_N.exponent if self.line_N else float("nan")

    @property
    def exponent_D(self) -> float:
        """Growth of D_opt with C; NaN without a line."""
        return self.line_D.exponent if self.line_D else float("nan")

    @property
    def exponent_N_interval(self) -> Interval | None:
        """Interval of `exponent_N`."""
        return self.line_N.interval if self.line_N else None

    @property
    def exponent_D_interval(self) -> Interval | None:
        """Interval of `exponent_D`."""
        return self.line_D.interval if self.line_D else None

    def at(self, C: float) -> dict[str, Any]:
        """N_opt and D_opt at a budget, each with its interval or None."""
        budget = as_positive("C", C)
        found: dict[str, Any] = {"C": budget}
        for stem, line in (("N", self.line_N), ("D", self.line_D)):
            found[f"{stem}_opt"] = line.at(budget) if line else float("nan")
            found[f"{stem}_interval"] = line.interval_at(budget) if line else None
        return found

    def require(self) -> IsoFLOP:
        """Return the result if its status is ok, else raise `FitError` with the first doubt."""
        if self.status != "ok":
            first = next(r for r in self.reasons if r.severity != "info")
            raise FitError(first.code, first.message)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        interval_N, interval_D = self.exponent_N_interval, self.exponent_D_interval
        return {
            "schema": SCHEMA,
            "degree": self.degree,
            "noise": self.noise,
            "exponent_N": self.exponent_N,
            "exponent_D": self.exponent_D,
            "intervals": {
                name: i.to_dict()
                for name, i in (("exponent_N", interval_N), ("exponent_D", interval_D))
                if i
            },
            "budgets": [b.to_dict() for b in self.budgets],
            "status": self.status,
            "reasons": [r.to_dict() for r in self.reasons],
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table with one row a budget."""
        names = ("C", "n_runs", "N_opt", "D_opt", "L_opt", "log_se", "offset")
        table: dict[str, list[Any]] = {n: [getattr(b, n) for b in self.budgets] for n in names}
        return table | {"refusal": [b.refusal.code if b.refusal else "" for b in self.budgets]}

    def summary(self) -> str:
        """Lines for people."""
        exponent = f"N grows as C^{self.exponent_N:.4f}"
        if interval := self.exponent_N_interval:
            exponent += f" {interval}"
        shape = "cubic" if self.degree == 3 else "parabola"
        lines = [f"isoFLOP ({shape} in log N), status {self.status}: {exponent}"]
        for b in self.budgets:
            lines.append(
                f"  C = {b.C:.4g}, {b.n_runs} runs: "
                + (f"refused, {b.refusal.code}" if b.refusal else f"N = {b.N_opt:.4g}")
            )
        return "\n".join(lines + [f"  {r.code}: {r.message}" for r in self.reasons])

    def __repr__(self) -> str:
        used = sum(b.refusal is None for b in self.budgets)
        return f"IsoFLOP({used} of {len(self.budgets)} budgets; {self.status})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"

"""The result of a regression, its standard errors and what to doubt in it."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, freeze
from isoloss._core.interval import Interval
from isoloss.errors import FitError
from isoloss.fit.certificate import Certificate, Reason
from isoloss.fit.objective import Objective
from isoloss.laws.law import Law

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regression:
    r"""A formula fitted to columns, with standard errors and a certificate.

    Attributes
    ----------
    law, theta
        The formula and its parameters, (p,).
    response
        Name of the column that was fitted.
    covariance
        Of the parameters, (p, p). For least squares :math:`s^2 (J^T W J)^{-1}` with the exact
        Jacobian J at the optimum and :math:`s^2 = \mathrm{RSS} / (n - p)`; for other objectives
        the sandwich :math:`H^{-1} (\sum_i w_i^2 \psi_i^2 J_i J_i^T) H^{-1}\, n / (n - p)`. NaN
        for a parameter at a bound, and where there are no degrees of freedom.
    method
        ``classical`` or ``sandwich``: how it was computed.
    objective, value
        What was minimised, and its minimum (see `Objective.total`).
    rss
        Weighted sum of squared residuals.
    residuals
        Prediction minus measurement of each row, (n,).
    freedom
        Rows with weight, minus p.
    next_step
        What one more Newton step would change, relative to the larger of parameter and standard
        error, (p,): below 1e-7 wherever the status is ok.
    status
        ``ok``, ``suspect`` or ``failed``.
    reasons
        Why it is not ok.
    certificate
        Checks of the optimum.
    weights
        As given, (n,).
    """

    law: Law
    theta: Array
    response: str
    covariance: Array
    method: str
    objective: Objective
    value: float
    rss: float
    residuals: Array
    freedom: int
    next_step: Array
    status: str
    reasons: tuple[Reason, ...]
    certificate: Certificate
    weights: Array

    def __post_init__(self) -> None:
        for name in ("theta", "covariance", "residuals", "next_step", "weights"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def parameters(self) -> dict[str, float]:
        """Values by name."""
        return dict(zip(self.law.names, self.theta.tolist(), strict=True))

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard errors by name."""
        with np.errstate(invalid="ignore"):
            errors = np.sqrt(np.diag(self.covariance))
        return dict(zip(self.law.names, errors.tolist(), strict=True))

    @property
    def residual_sd(self) -> float:
        """Root of RSS / (n - p); NaN without degrees of freedom."""
        return math.sqrt(self.rss / self.freedom) if self.freedom > 0 else math.nan

    def intervals(self, level: float = 0.9) -> dict[str, Interval]:
        """Symmetric intervals from Student's t with n - p degrees of freedom.

        They hold where the formula is nearly linear over them; resample with
        `isoloss.bootstrap` where it is not. Parameters without a standard error have none.
        """
        as_level(level)
        from scipy.stats import t

        factor = float(t.ppf(0.5 + level / 2, max(self.freedom, 1)))
        return {
            name: Interval(
                low=value - factor * error,
                high=value + factor * error,
                level=level,
                method=f"{self.method} standard errors, t",
            )
            for (name, value), error in zip(
                self.parameters.items(), self.standard_errors.values(), strict=True
            )
            if math.isfinite(error)
        }

    def predict(self, x: Mapping[str, npt.ArrayLike]) -> Array:
        """Values of the formula at ``x``, (n,)."""
        return self.law(self.theta, x)

    def prediction_errors(self, x: Mapping[str, npt.ArrayLike]) -> Array:
        """Give standard errors of the mean response at ``x``, (n,), by the delta method."""
        slope = self.law.jacobian(self.theta, x)
        variance = np.einsum("np,pq,nq->n", slope, self.covariance, slope)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))

    def require(self) -> Regression:
        """Return the result if its status is ok, else raise `FitError` with the first reason."""
        if self.status != "ok":
            first = self.reasons[0]
            raise FitError(first.code, first.message)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain types; numbers that do not exist are ``None``."""
        return {
            "schema": SCHEMA,
            "formula": self.law.formula,
            "response": self.response,
            "parameters": self.parameters,
            "standard_errors": {n: _finite(v) for n, v in self.standard_errors.items()},
            "covariance": [[_finite(v) for v in row] for row in self.covariance.tolist()],
            "method": self.method,
            "objective": {"name": self.objective.name, "value": self.value},
            "rss": self.rss,
            "residual_sd": _finite(self.residual_sd),
            "n_rows": len(self.residuals),
            "freedom": self.freedom,
            "next_step": {
                n: _finite(v) for n, v in zip(self.law.names, self.next_step.tolist(), strict=True)
            },
            "status": self.status,
            "reasons": [r.to_dict() for r in self.reasons],
            "certificate": self.certificate.to_dict(),
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of parameters: name, value, standard error."""
        return {
            "parameter": list(self.law.names),
            "value": self.theta.tolist(),
            "standard_error": [_finite(v) for v in self.standard_errors.values()],
        }

    def summary(self) -> str:
        """Table for people."""
        lines = [
            f"{self.response} = {self.law.formula}",
            f"{len(self.residuals)} rows, {self.freedom} degrees of freedom, objective "
            f"{self.objective.name}, rss {self.rss:.6g}, residual sd {self.residual_sd:.6g}, "
            f"status {self.status}",
        ]
        errors = self.standard_errors
        lines += [f"  {n:<8} {v:<14.8g} +- {errors[n]:.4g}" for n, v in self.parameters.items()]
        lines.append(f"  standard errors: {self.method}")
        lines += [f"  {r.code}: {r.message}" for r in self.reasons]
        return "\n".join(lines)

    def __repr__(self) -> str:
        values = ", ".join(f"{n}={v:.4g}" for n, v in self.parameters.items())
        return f"Regression({values}; {self.status})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""The result of a profile: the curve, the interval, and whether its ends are closed."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss._core.interval import Interval
from isoloss.fit.certificate import Reason

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """How the objective rises as a quantity is moved away from its best value.

    Attributes
    ----------
    quantity, at
        What was held fixed, and where.
    law
        Name of the law.
    estimate
        Its value at the optimum.
    interval
        Values whose rise stays below the threshold; an end is infinite or at a bound where the
        rise never reaches it.
    low_end, high_end
        ``"found"``, ``"bound"`` (the runs allow values up to the bound of the parameter),
        ``"open"`` (they allow values without end) or ``"lost"`` (the curve could not be followed).
    values
        Points of the curve, (m,), increasing.
    statistic
        Twice the rise of the objective over the variance of the residuals, (m,).
    theta
        Parameters that are best with the quantity at each value, (m, p), in the user's units.
    threshold
        Statistic at the ends of the interval.
    reasons
        Doubts.
    """

    quantity: str
    at: Mapping[str, float]
    law: str
    estimate: float
    interval: Interval
    low_end: str
    high_end: str
    values: Array
    statistic: Array
    theta: Array
    names: tuple[str, ...]
    threshold: float
    reasons: tuple[Reason, ...]

    def __post_init__(self) -> None:
        for name in ("values", "statistic", "theta"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def signed_root(self) -> Array:
        """Signed root of the statistic, (m,): a straight line where intervals are symmetric."""
        return np.asarray(np.sign(self.values - self.estimate) * np.sqrt(self.statistic))

    def to_dict(self) -> dict[str, Any]:
        """Plain types; an end at infinity becomes ``null`` in JSON, with ``"open"`` beside it."""
        return {
            "schema": SCHEMA,
            "quantity": self.quantity,
            "at": dict(self.at),
            "law": self.law,
            "estimate": self.estimate,
            "interval": self.interval.to_dict(),
            "low_end": self.low_end,
            "high_end": self.high_end,
            "threshold": self.threshold,
            "values": self.values.tolist(),
            "statistic": self.statistic.tolist(),
            "reasons": [r.to_dict() for r in self.reasons],
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of the curve: value, statistic and the other parameters."""
        columns = {"value": self.values.tolist(), "statistic": self.statistic.tolist()}
        return columns | {n: self.theta[:, i].tolist() for i, n in enumerate(self.names)}

    def summary(self) -> str:
        """Lines for people."""
        lines = [f"{self.quantity} = {self.estimate:.6g} {self.interval!r}"]
        return "\n".join([*lines, *(f"  {r.code}: {r.message}" for r in self.reasons)])

    def __repr__(self) -> str:
        return f"Profile({self.quantity} = {self.estimate:.4g} {self.interval!r})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"

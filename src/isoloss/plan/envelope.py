"""Approach 1: sizes of the runs that no cheaper run beats."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_positive, as_vector, freeze
from isoloss.errors import FitError, InputError
from isoloss.plan.reason import Reason, overall

SCHEMA = 1
MIN_POINTS = 3
# Runs within this factor of compute are rivals of a point of the envelope.
_NEAR = np.log(1.5)
NO_INTERVAL = (
    "no interval: the envelope keeps the luckiest run of each compute range, so its points are "
    "neither independent nor unbiased, and final losses do not show the choices between them"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Envelope:
    """Approach 1: the lower envelope of loss over compute, and N along it.

    Attributes
    ----------
    index
        Rows of the runs on the envelope, in order of C.
    C, N, loss
        Of those runs.
    exponent_N, log_G
        Of N = G C^exponent; NaN where there are too few points.
    status, reasons
        Never better than ``suspect``: `NO_INTERVAL` always applies.
    """

    index: npt.NDArray[np.int64]
    C: Array
    N: Array
    loss: Array
    exponent_N: float
    log_G: float
    status: str
    reasons: tuple[Reason, ...]

    def __post_init__(self) -> None:
        for name in ("C", "N", "loss"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def at(self, C: float) -> float:
        """N_opt at a budget."""
        return float(np.exp(self.log_G + self.exponent_N * np.log(as_positive("C", C))))

    def require(self) -> Envelope:
        """Raise `FitError` with the first doubt, of which there is always one."""
        if self.status != "ok":
            raise FitError(self.reasons[0].code, self.reasons[0].message)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "schema": SCHEMA,
            "exponent_N": self.exponent_N,
            "log_G": self.log_G,
            "points": self.to_columns(),
            "status": self.status,
            "reasons": [r.to_dict() for r in self.reasons],
        }

    def to_columns(self) -> dict[str, list[float]]:
        """Table of the envelope: row, C, N, loss."""
        return {
            "row": self.index.tolist(),
            "C": self.C.tolist(),
            "N": self.N.tolist(),
            "loss": self.loss.tolist(),
        }

    def summary(self) -> str:
        """Lines for people."""
        head = f"envelope of {self.C.size} runs: N grows as C^{self.exponent_N:.4f} ({self.status})"
        return "\n".join([head, *(f"  {r.code}: {r.message}" for r in self.reasons)])

    def __repr__(self) -> str:
        return f"Envelope({self.C.size} points; {self.status})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def fit_envelope(N: npt.ArrayLike, C: npt.ArrayLike, loss: npt.ArrayLike) -> Envelope:
    """Take the runs that no cheaper run beats and fit N = G C^a through them.

    The method wants whole loss curves; with final losses alone the envelope has one point for
    each run that sets a record, and its learning-rate schedule must have matched its length.

    Parameters
    ----------
    N, C, loss
        One value a run, (n,).

    References
    ----------
    Hoffmann et al. 2022, arXiv:2203.15556, section 3.1.

    Examples
    --------
    >>> answer = fit_envelope([1e7, 2e7, 1e8, 1e8], [1e17, 1e18, 1e19, 1e18], [4, 3.5, 3.0, 3.7])
    >>> answer.index.tolist(), answer.status
    ([0, 1, 2], 'suspect')
    """
    n, c, y = (as_vector(k, v, positive=True) for k, v in (("N", N), ("C", C), ("loss", loss)))
    if not n.size == c.size == y.size:
        raise InputError(f"N, C, loss: {n.size}, {c.size}, {y.size} values; give one each a run")
    order = np.lexsort((y, c))
    best = np.minimum.accumulate(np.concatenate([[np.inf], y[order][:-1]]))
    index = order[y[order] < best]
    x, size = np.log(c[index]), np.log(n[index])
    reasons = [Reason(code="NO_INTERVAL", message=NO_INTERVAL)]
    exponent = log_G = float("nan")
    if index.size < MIN_POINTS or np.ptp(x) == 0:
        text = f"{index.size} runs on the envelope: a power law needs {MIN_POINTS}"
        reasons.insert(0, Reason(code="TOO_FEW_POINTS", message=text, severity="refusal"))
    else:
        exponent, middle = (float(v) for v in np.polyfit(x - x.mean(), size, 1))
        log_G = middle - exponent * float(x.mean())
        edge = _edges(np.log(c), n, index)
        if edge:
            text = (
                f"{edge} of {index.size} runs on the envelope have no rival both smaller and "
                "larger at similar compute: there N is what was run, not what is best"
            )
            reasons.append(Reason(code="ONE_SIDED", message=text))
    return Envelope(
        index=index,
        C=c[index],
        N=n[index],
        loss=y[index],
        exponent_N=exponent,
        log_G=log_G,
        status=overall(tuple(reasons), answered=bool(np.isfinite(exponent))),
        reasons=tuple(reasons),
    )


def _edges(log_C: Array, N: Array, index: npt.NDArray[np.int64]) -> int:
    count = 0
    for i in index:
        rivals = N[np.abs(log_C - log_C[i]) <= _NEAR]
        count += not (rivals.min() < N[i] < rivals.max())
    return count

"""What a fit minimises: the loss of a residual, and the space the residual lives in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    r"""A weighted sum over runs of :math:`\rho(r)`, with r the prediction minus the measurement.

    Build one with `LeastSquares`, `Huber`, `LeastAbsolute` or `OneSided`.

    Attributes
    ----------
    delta
        :math:`\rho(r) = r^2/2` up to ``delta`` and ``delta (|r| - delta/2)`` beyond; infinite for
        least squares, zero for least absolute deviations (:math:`\rho = |r|`).
    over
        Factor on :math:`\rho` where the law lies *above* the measurement. Above 1 it pulls the
        law to the lower envelope, for runs that bad tuning can only have raised.
    log
        Whether r is a difference of log losses (relative error) or of losses.
    """

    delta: float
    over: float = 1.0
    log: bool = True

    def __post_init__(self) -> None:
        if not self.delta >= 0:
            raise InputError(f"delta = {self.delta}: must be zero or positive")
        if not (self.over > 0 and math.isfinite(self.over)):
            raise InputError(f"over = {self.over}: must be positive")

    @property
    def name(self) -> str:
        """Text that `parse_objective` reads back."""
        if math.isinf(self.delta):
            base = "lsq"
        elif self.delta == 0:
            base = "lad"
        else:
            base = f"huber:{self.delta:g}"
        if self.over != 1.0:
            base += f",over:{self.over:g}"
        return base if self.log else base + ",linear"

    def smooth(self, delta: float) -> Objective:
        """Return the Huber objective that approaches least absolute deviations."""
        return Objective(delta=delta, over=self.over, log=self.log)

    def terms(self, r: Array) -> tuple[Array, Array, Array, Array]:
        r"""Return :math:`\rho, \psi = \rho', \psi'` and the majorising weight ``psi / r``."""
        if math.isinf(self.delta):
            rho, psi = 0.5 * r * r, r
            curvature = weight = np.ones_like(r)
        else:
            rho, psi, curvature, weight = _huber(r, self.delta)
        if self.over != 1.0:
            factor = np.where(r > 0, self.over, 1.0)
            rho, psi, curvature, weight = (
                rho * factor,
                psi * factor,
                curvature * factor,
                weight * factor,
            )
        return rho, psi, curvature, weight

    def total(self, r: Array, weights: Array | float = 1.0) -> Any:
        r"""Value over the last axis, in the units that people print.

        The sum of squares for least squares, the sum of :math:`\rho` otherwise.
        """
        if self.delta == 0:
            factor = np.where(r > 0, self.over, 1.0)
            return np.sum(weights * np.abs(r) * factor, axis=-1)
        scale = 2.0 if math.isinf(self.delta) else 1.0
        return scale * np.sum(weights * self.terms(r)[0], axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class Objectives:
    """One objective a problem of a batch: thresholds and factors, (B, 1); see `Objective`."""

    delta: Array
    over: Array

    @classmethod
    def of(cls, objectives: Sequence[Objective], owner: npt.NDArray[np.int64]) -> Objectives:
        """Give each problem the objective with the number in ``owner``, (B,)."""
        delta = np.array([o.delta for o in objectives])
        over = np.array([o.over for o in objectives])
        return cls(delta[owner, None], over[owner, None])

    def part(self, batch: slice | npt.NDArray[np.int64]) -> Objectives:
        """Those of some of the problems."""
        return Objectives(self.delta[batch], self.over[batch])

    def terms(self, r: Array) -> tuple[Array, Array, Array, Array]:
        """As those of `Objective`, of residuals (B, n)."""
        found = _huber(r, self.delta)
        if not (self.over != 1.0).any():
            return found
        factor = np.where(r > 0, self.over, 1.0)
        rho, psi, curvature, weight = (part * factor for part in found)
        return rho, psi, curvature, weight


def _huber(r: Array, delta: float | Array) -> tuple[Array, Array, Array, Array]:
    """See `Objective.terms`; an infinite threshold is least squares."""
    size = np.abs(r)
    psi = np.maximum(np.minimum(r, delta), -delta)
    rho = psi * (r - 0.5 * psi)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Ends at one also where the residual is zero or the threshold infinite.
        weight = np.minimum(delta / size, 1.0)
    return rho, psi, (size <= delta).astype(np.float64), weight


def LeastSquares(*, log: bool = True) -> Objective:
    """Sum of squared residuals; optimal for even noise, defenceless against outliers.

    Examples
    --------
    >>> LeastSquares().name
    'lsq'
    """
    return Objective(delta=math.inf, log=log)


def Huber(delta: float = 1e-3, *, log: bool = True) -> Objective:
    """Quadratic within ``delta``, linear beyond: the field's default is 1e-3 in log loss."""
    return Objective(delta=float(delta), log=log)


def LeastAbsolute(*, log: bool = True) -> Objective:
    """Sum of absolute residuals: fits the median."""
    return Objective(delta=0.0, log=log)


def OneSided(delta: float = 1e-3, *, over: float = 10.0, log: bool = True) -> Objective:
    """Huber that punishes a law above a run ``over`` times as much as one below it."""
    return Objective(delta=float(delta), over=float(over), log=log)


def parse_objective(text: str | Objective) -> Objective:
    """Read ``lsq``, ``lad``, ``huber:1e-3``, ``one-sided:1e-3``, with ``,linear``, ``,over:10``.

    Examples
    --------
    >>> parse_objective("huber:0.01,linear")
    Objective(delta=0.01, over=1.0, log=False)
    """
    if isinstance(text, Objective):
        return text
    head, *options = (part.strip() for part in text.strip().lower().split(","))
    kind, _, number = head.partition(":")
    log, over = True, 1.0
    try:
        value = float(number) if number else 1e-3
        for option in options:
            key, _, setting = option.partition(":")
            if option == "linear":
                log = False
            elif option == "log":
                log = True
            elif key == "over" and setting:
                over = float(setting)
            else:
                raise ValueError(option)
        if kind in ("lsq", "least-squares", "mse"):
            return Objective(delta=math.inf, over=over, log=log)
        if kind in ("lad", "l1", "least-absolute", "mae"):
            return Objective(delta=0.0, over=over, log=log)
        if kind == "huber":
            return Objective(delta=value, over=over, log=log)
        if kind in ("one-sided", "envelope"):
            return OneSided(value, over=over if over != 1.0 else 10.0, log=log)
        raise ValueError(kind)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"objective {text!r}: cannot read {str(error)!r}; write lsq, lad, huber:1e-3 or "
            "one-sided:1e-3, and ',linear' for losses instead of log losses"
        ) from error

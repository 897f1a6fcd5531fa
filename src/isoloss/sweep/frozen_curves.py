"""Curves of the regimes on frozen features, measured and predicted, and the table of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss._core.interval import Interval
from isoloss.spectra.measure import MeasuredSpectrum

Axis = Literal["D", "P"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegimeCurve:
    """Losses along one axis, measured and predicted, and the exponent of both.

    Attributes
    ----------
    regime
        ``variance-limited``, ``resolution-limited`` or ``descent`` (through the peak at D = P).
    axis
        What varies, D or P; the other is ``fixed``.
    x, fixed
        Its values, (k,), and the other's value; inf where the features are taken themselves.
    mean, sem, predicted, predicted_se
        Losses, (k,).
    excess, excess_predicted
        What falls: loss above the floor, (k,); the floor is measured where more of the axis can be
        had (P without end), else fitted with the exponent.
    exponent, interval
        Measured, the interval by resampling draws; NaN where there is none.
    predicted_exponent, predicted_interval
        The same fit to the predicted curve; the interval from groups of rows left out.
    floor
        Of the measured curve.
    draws
        Draws measured.
    """

    regime: str
    axis: Axis
    x: Array
    fixed: float
    mean: Array
    sem: Array
    predicted: Array
    predicted_se: Array
    excess: Array
    excess_predicted: Array
    exponent: float
    interval: Interval
    predicted_exponent: float
    predicted_interval: Interval
    floor: float
    draws: int

    def __post_init__(self) -> None:
        for name in (
            "x", "mean", "sem", "predicted", "predicted_se", "excess", "excess_predicted",
        ):  # fmt: skip
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def error(self) -> float:
        """Largest relative difference of the measured loss from the predicted one, with sign."""
        off = self.mean / self.predicted - 1
        return float(off[np.nanargmax(np.abs(off))])

    @property
    def z(self) -> float:
        """Largest difference in standard errors of both."""
        return float(
            np.nanmax(np.abs(self.mean - self.predicted) / np.hypot(self.sem, self.predicted_se))
        )

    @property
    def agree(self) -> bool | None:
        """Whether the intervals of both exponents meet; None without an exponent."""
        ends = (self.exponent, self.predicted_exponent, self.interval.high)
        if not all(math.isfinite(v) for v in ends):
            return None
        mine, its = self.interval, self.predicted_interval
        return mine.low <= its.high and its.low <= mine.high

    def __repr__(self) -> str:
        return f"RegimeCurve({self.regime} in {self.axis}, exponent {self.exponent:.3g})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        arrays = ("x", "mean", "sem", "predicted", "predicted_se", "excess", "excess_predicted")
        return {"regime": self.regime, "axis": self.axis, "fixed": self.fixed} | {
            name: getattr(self, name).tolist() for name in arrays
        } | {
            "exponent": self.exponent, "interval": self.interval.to_dict(),
            "predicted_exponent": self.predicted_exponent,
            "predicted_interval": self.predicted_interval.to_dict(), "floor": self.floor,
            "draws": self.draws, "error": self.error, "z": self.z, "agree": self.agree,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrozenRegimes:
    """All regimes of one set of features and targets.

    Attributes
    ----------
    curves
        Variance-limited in D and P, resolution-limited in D and P, and the descent in D and P.
    spectrum
        Measured on rows that no regression saw.
    duality
        Loss over D at fixed P, divided by that over P at the same fixed D, at each x of the
        descents; its standard error is ``duality_se``.
    notes
        In sentences.
    """

    curves: tuple[RegimeCurve, ...]
    spectrum: MeasuredSpectrum
    duality: Array
    duality_se: Array
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("duality", "duality_se"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return f"FrozenRegimes({', '.join(f'{c.exponent:.3g}' for c in self.curves[:4])})"

    def summary(self) -> str:
        """Table for people."""
        lines = [
            f"{'regime':<22} {'fixed':>8} {'x':>12} {'measured':>22} {'predicted':>22} "
            f"{'meet':>5} {'loss off':>9} {'z':>5}"
        ]
        for c in self.curves:
            span = f"{c.x[0]:g}..{c.x[-1]:g}"
            meet = {True: "yes", False: "no", None: "-"}[c.agree]
            lines.append(
                f"{c.regime + ' ' + c.axis:<22} {c.fixed:>8g} {span:>12} "
                f"{_text(c.exponent, c.interval):>22} "
                f"{_text(c.predicted_exponent, c.predicted_interval):>22} {meet:>5} "
                f"{100 * c.error:>+7.1f} % {c.z:>5.1f}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "curves": [c.to_dict() for c in self.curves], "duality": self.duality.tolist(),
            "duality_se": self.duality_se.tolist(), "spectrum": self.spectrum.to_dict(),
            "notes": list(self.notes),
        }  # fmt: skip


def _text(value: float, interval: Interval) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"

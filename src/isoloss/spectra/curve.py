"""The learning curve that a spectrum and a target predict, before anything is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, freeze
from isoloss.errors import InputError
from isoloss.spectra.jackknife import jackknife
from isoloss.spectra.loss import Ridge, total_losses
from isoloss.spectra.measure import MeasuredSpectrum
from isoloss.spectra.resolved import resolve
from isoloss.theory.checks import as_resources, broadcast


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictedCurve:
    """Losses of ridge regression on the features, predicted from their spectrum.

    Attributes
    ----------
    N, D
        Random features of the features (inf: the features themselves), and samples.
    loss
        Expected squared error on new labels, summed over outputs; what no regression on these
        features can express, and noise, are in it. NaN out of reach: fewer rows than the prediction
        needs.
    se
        Standard error from the rows that the spectrum was measured on.
    ridge
        Ridge per sample, in units of the eigenvalues.
    low, high, level, method
        Interval of the loss.
    floor, floor_se
        Loss of endless samples, as far as the rows tell: noise and power out of reach.
    power
        Loss of predicting the mean, or zero where it was not taken out.
    draws
        Losses without each group of rows, (g, ...).
    """

    N: Array
    D: Array
    loss: Array
    se: Array
    ridge: Array
    low: Array
    high: Array
    level: float
    method: str
    floor: float
    floor_se: float
    power: float
    draws: Array

    def __post_init__(self) -> None:
        for name in ("N", "D", "loss", "se", "ridge", "low", "high", "draws"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return f"PredictedCurve(shape {self.loss.shape}, floor {self.floor:.6g})"

    def summary(self) -> str:
        """Table for people."""
        lines = [f"{'D':>8} {'N':>8} {'predicted':>11} {'low':>11} {'high':>11} {'ridge':>9}"]
        for row in zip(self.D, self.N, self.loss, self.low, self.high, self.ridge, strict=True):
            D, N, loss, low, high, ridge = row
            lines.append(f"{D:>8g} {N:>8g} {loss:>11.5g} {low:>11.5g} {high:>11.5g} {ridge:>9.3g}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        arrays = ("N", "D", "loss", "se", "ridge", "low", "high")
        return {k: getattr(self, k).tolist() for k in arrays} | {
            "level": self.level, "method": self.method, "floor": self.floor,
            "floor_se": self.floor_se, "power": self.power,
        }  # fmt: skip


def predict_curve(
    measured: MeasuredSpectrum, D: Any, *, N: Any = math.inf, ridge: Ridge = "optimal",
    level: float = 0.9,
) -> PredictedCurve:  # fmt: skip
    """Loss of ridge regression on D samples, and on N random features of the features.

    The sums over the population's spectrum that the theory needs are read off the sample's at the
    ridge that acts like kappa; what follows from them is that of `isoloss.theory.random_features`.
    Nothing is trained, no law is assumed and no eigenvalue corrected. With the mean taken out, D
    samples count as D - 1 and the loss gains 1/D for the error of the mean.

    Parameters
    ----------
    measured
        With a target.
    D, N
        Samples, 2 or more, and random features; they broadcast.
    ridge
        Penalty on the summed squared error, of the features' units squared; ``"ridgeless"``, or
        ``"optimal"`` for the least loss.
    level
        Of the intervals.

    Raises
    ------
    InputError
        If there is no target or a value breaks these rules.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859; Simon et al., arXiv:2110.03922; Wei, Hu and
    Steinhardt, arXiv:2203.06176.

    Examples
    --------
    >>> from isoloss.spectra import measure_spectrum
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((500, 40)) * np.arange(1, 41) ** -0.75
    >>> curve = predict_curve(measure_spectrum(x, x.sum(axis=1)), [10, 20, 40, 80])
    >>> bool((np.diff(curve.loss) < 0).all())
    True
    """
    measured.need_target()
    level = as_level(level)
    D, N = broadcast(D=as_resources("D", D), N=as_resources("N", N))
    if (D < 2).any():
        raise InputError(f"D = {float(D.min())!r}: must be at least 2 samples")
    ridge = as_ridge(ridge)
    at = resolve(measured.sample)
    loss, taken = total_losses(at, N, D, ridge, measured.centred)
    every = [resolve(s) for s in measured.without]
    draws = np.array([total_losses(r, N, D, ridge, measured.centred)[0] for r in every])
    found = jackknife(loss, draws, measured.sizes)
    # What some of the rows cannot reach has no error, and so no value.
    loss = np.where(np.isnan(found.se), np.nan, loss)
    floor = jackknife(at.S2[-1], [r.S2[-1] for r in every], measured.sizes)
    from scipy.special import stdtrit

    half = float(stdtrit(found.groups - 1, (1 + level) / 2)) * found.se
    return PredictedCurve(
        N=N, D=D, loss=loss, se=found.se, ridge=taken, low=np.maximum(loss - half, 0.0),
        high=loss + half, level=level, method=f"jackknife over {found.groups} groups of rows",
        floor=float(at.S2[-1]), floor_se=float(floor.se), power=measured.sample.total, draws=draws,
    )  # fmt: skip


def as_ridge(ridge: Any) -> Ridge:
    """Read a ridge: a name or a number above zero."""
    if isinstance(ridge, str):
        if ridge not in ("ridgeless", "optimal"):
            raise InputError(f"ridge = {ridge!r}: write 'ridgeless', 'optimal' or a number")
        return ridge
    try:
        value = float(ridge)
    except (TypeError, ValueError) as error:
        raise InputError(f"ridge = {ridge!r}: expected a number") from error
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"ridge = {value!r}: must be finite and zero or more")
    return value if value > 0 else "ridgeless"

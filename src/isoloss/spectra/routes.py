"""One exponent, several roads to it: how the loss should fall with data, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.spectra.check import CurveCheck
from isoloss.spectra.curve import PredictedCurve
from isoloss.spectra.dimension import Dimension
from isoloss.spectra.exponent import SpectralExponent, TargetExponent
from isoloss.spectra.jackknife import jackknife
from isoloss.spectra.line import decay


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An exponent alpha_D, loss - floor ~ D^-alpha_D, and where it comes from.

    Attributes
    ----------
    name
        ``curve``, ``target``, ``spectrum``, ``4/d``, ``2/d``, ``1/d`` or ``measured``.
    value
        Exponent; NaN where it is not identified.
    interval
        Of the exponent.
    meaning
        What it assumes, in words.
    """

    name: str
    value: float
    interval: Interval
    meaning: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "route": self.name, "alpha_D": self.value, "interval": self.interval.to_dict(),
            "meaning": self.meaning,
        }  # fmt: skip


def data_exponents(
    spectral: SpectralExponent | None,
    *,
    target: TargetExponent | None = None,
    curve: PredictedCurve | None = None,
    dimension: Dimension | None = None,
    check: CurveCheck | None = None,
    sizes: Any = None,
) -> tuple[Route, ...]:
    """Exponents of the loss in data by every route that what is given allows.

    - ``curve``: decay to a floor fitted to the predicted curve, over its D;
    - ``target``: min(a - 1, 2 b), the limit of endless modes, noise and ridge apart;
    - ``spectrum``: b - 1, the same for a target spread over the modes as the features are;
    - ``4/d``, ``2/d``, ``1/d``: from the dimension that the features fill;
    - ``measured``: decay to a floor fitted to the measured curve.

    Parameters
    ----------
    spectral, target, curve, dimension, check
        Results of this room.
    sizes
        Rows of each group of the jackknife, for the curve; equal ones when absent.

    References
    ----------
    Bordelon, Atanasov and Pehlevan, arXiv:2402.01092; Bahri et al., arXiv:2102.06701; Sharma and
    Kaplan, arXiv:2004.10802.

    Examples
    --------
    >>> from isoloss.spectra import intrinsic_dimension
    >>> x = np.random.default_rng(0).random((1000, 2))
    >>> routes = data_exponents(None, dimension=intrinsic_dimension(x))
    >>> [(r.name, round(r.value)) for r in routes]
    [('4/d', 2), ('2/d', 1), ('1/d', 1)]
    """
    found = []
    if check is not None:
        found += _measured(check)
    if curve is not None:
        found += _curve(curve, sizes)
    if target is not None and spectral is not None:
        found.append(_target(target, spectral))
    if spectral is not None:
        found.append(_spectrum(spectral))
    if dimension is not None:
        found += _dimension(dimension)
    return tuple(found)


def _decay(D: Array, loss: Array) -> float:
    return decay(D, loss, np.ones(len(D))).exponent


def _curve(curve: PredictedCurve, sizes: Any) -> list[Route]:
    use = np.isinf(curve.N) & np.isfinite(curve.loss)
    if use.sum() < 5:
        return []
    D, value = curve.D[use], _decay(curve.D[use], curve.loss[use])
    every = np.array([_decay(D, draw[use]) for draw in curve.draws])
    counts = np.ones(len(every)) if sizes is None else np.asarray(sizes)
    if np.isnan(every).any() or math.isnan(value):
        interval = Interval(low=0.0, high=math.inf, level=curve.level, method=curve.method)
    else:
        interval = jackknife(value, every, counts).interval(curve.level, centre=value)
    meaning = f"the predicted curve from D = {D.min():.4g} to {D.max():.4g}, to a floor"
    return [Route(name="curve", value=value, interval=interval, meaning=meaning)]


def _measured(check: CurveCheck) -> list[Route]:
    use = np.isinf(check.predicted.N)
    if use.sum() < 5:
        return []
    D, value = check.predicted.D[use], _decay(check.predicted.D[use], check.mean[use])
    draws = np.array([_decay(D, draw[use]) for draw in check.draws])
    level, method = check.predicted.level, f"{len(draws)} resamples of test rows and repeats"
    seen = draws[np.isfinite(draws)]
    if math.isnan(value) or len(seen) < 0.9 * len(draws):
        interval = Interval(low=0.0, high=math.inf, level=level, method=method)
    else:
        interval = Interval.from_draws(seen, level=level, method=method)
    meaning = f"ridge regressions from D = {D.min():.4g} to {D.max():.4g}, to a floor"
    return [Route(name="measured", value=value, interval=interval, meaning=meaning)]


def _target(target: TargetExponent, spectral: SpectralExponent) -> Route:
    own, other = target.interval, spectral.interval
    interval = Interval(
        low=min(own.low, 2 * other.low), high=min(own.high, 2 * other.high), level=own.level,
        method=own.method,
    )  # fmt: skip
    value = math.nan if math.isnan(target.exponent) else min(target.exponent, 2 * spectral.exponent)
    meaning = "min(a - 1, 2 b): target power and eigenvalues, in the limit of endless modes"
    return Route(name="target", value=value, interval=interval, meaning=meaning)


def _spectrum(spectral: SpectralExponent) -> Route:
    own = spectral.interval
    interval = Interval(low=own.low - 1, high=own.high - 1, level=own.level, method=own.method)
    return Route(
        name="spectrum", value=spectral.exponent - 1, interval=interval,
        meaning="b - 1: eigenvalues alone, for a target spread over the modes as the features are",
    )  # fmt: skip


def _dimension(dimension: Dimension) -> list[Route]:
    own, found = dimension.interval, []
    meanings: Mapping[int, str] = {
        4: "smooth target, piecewise-linear learner", 2: "copying the nearest row",
        1: "bound for Lipschitz target and learner",
    }  # fmt: skip
    for n, meaning in meanings.items():
        interval = Interval(
            low=n / own.high, high=n / own.low if own.low > 0 else math.inf, level=own.level,
            method=own.method,
        )  # fmt: skip
        found.append(
            Route(name=f"{n}/d", value=n / dimension.value, interval=interval, meaning=meaning)
        )
    return found

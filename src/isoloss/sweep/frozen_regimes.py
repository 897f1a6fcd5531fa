"""The regimes of scaling on frozen features, each beside what the spectrum predicts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from isoloss._core.arrays import Array, as_level, as_seed
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.spectra.check import part_of
from isoloss.spectra.curve import PredictedCurve, predict_curve
from isoloss.spectra.features import Features, as_features
from isoloss.spectra.jackknife import jackknife
from isoloss.spectra.line import decay
from isoloss.spectra.loss import Ridge
from isoloss.spectra.measure import MeasuredSpectrum, measure_spectrum
from isoloss.sweep.frozen import FrozenLosses, frozen_losses
from isoloss.sweep.frozen_curves import Axis, FrozenRegimes, RegimeCurve

_RESAMPLES = 400
_STEP = Callable[[str], None]


def frozen_regimes(
    features: Any,
    targets: Any,
    *,
    small: int = 24,
    middle: int = 96,
    ridge: Literal["ridgeless", "optimal"] = "optimal",
    noiseless: bool = False,
    draws: int = 16,
    spread: int = 100,
    share: float = 0.4,
    level: float = 0.9,
    rng: int = 0,
    on_step: _STEP | None = None,
) -> FrozenRegimes:
    """Measure the four regimes of scaling of a linear model on frozen features.

    A share of the rows goes to the spectrum alone, which predicts every curve. On the others:

    - *variance-limited* in D, at P = ``small``: ``L(D, P) - L(inf, P) ~ D^-1``, the floor fitted;
    - *variance-limited* in P, at D = ``small``: ``L(D, P) - L(D, inf) ~ P^-1``, the floor measured
      with the features themselves;
    - *resolution-limited* in D, on the features themselves, and in P, on all samples: an exponent
      of the features and the target, to a fitted floor;
    - *descent* in D at P = ``middle`` and in P at D = ``middle``, through the peak at D = P; where
      the target is spread as the features are, and without noise, both are one curve: duality.

    All but the resolution-limited curves are without a ridge.

    Parameters
    ----------
    features, targets
        As in `isoloss.spectra.measure_spectrum`.
    small, middle
        Sizes held fixed.
    ridge
        Of resolution-limited curves: ``"ridgeless"``, or ``"optimal"``: that of least loss by the
        prediction, at every point.
    noiseless
        Whether the features express the target exactly: floors are then zero and not fitted.
    draws, spread
        Draws a point; and where curves are variance-limited, whose fluctuations are far larger
        than the mean effect.
    share
        Of rows for the spectrum.
    level, rng
        Of intervals; seed.

    Raises
    ------
    InputError
        If there are too few rows or features for these sizes, or a value breaks the rules.

    References
    ----------
    Bahri et al., arXiv:2102.06701: the four regimes, and the duality of samples and features.

    Examples
    --------
    >>> from isoloss.sweep.frozen import teacher_targets
    >>> source = np.random.default_rng(0)
    >>> x = source.standard_normal((1200, 100)) * np.arange(1, 101.0) ** -0.75
    >>> found = frozen_regimes(x, teacher_targets(x), small=6, middle=30, ridge="ridgeless",
    ...                        noiseless=True, draws=3, spread=20)
    >>> [curve.axis for curve in found.curves]
    ['D', 'P', 'D', 'P', 'D', 'P']
    """
    given, seed, level = as_features(features, targets), as_seed(rng), as_level(level)
    if given.targets is None:
        raise InputError("targets: are needed to measure a loss")
    if not 0 < share < 1:
        raise InputError(f"share = {share!r}: must lie between 0 and 1, for example 0.4")
    if ridge not in ("ridgeless", "optimal"):
        raise InputError(f"ridge = {ridge!r}: write 'ridgeless' or 'optimal'")
    order = np.random.default_rng([seed, 7]).permutation(given.n)
    known = round(share * given.n)
    predicting, rest = (
        part_of(given, np.sort(order[:known])),
        part_of(given, np.sort(order[known:])),
    )
    most = rest.n - max(1, round(0.25 * rest.n))
    _fits(small, middle, most, given.p, known)
    spectrum = measure_spectrum(predicting, rng=seed, on_step=on_step)
    measure = _Measure(rest, spectrum, level, seed, on_step)
    plain: Ridge = "ridgeless"
    grid = _grid(8, min(given.p // 2, known // 4), 9)
    # At the peak itself the loss has no mean without a ridge; beside it, hardly one.
    gap = max(4, middle // 6)
    around = np.concatenate([_grid(8, middle - gap, 7), _grid(middle + gap, most, 8)])
    curves = [
        measure("variance-limited", "D", _grid(16 * small, most, 7), small, plain, spread),
        measure("variance-limited", "P", _grid(16 * small, 256 * small, 7), small, plain, spread),
        measure("resolution-limited", "D", grid, math.inf, ridge, draws, noiseless),
        measure("resolution-limited", "P", grid, most, ridge, draws, noiseless),
        measure("descent", "D", around, middle, plain, draws),
        measure("descent", "P", around, middle, plain, draws),
    ]
    over_d, over_p = curves[-2:]
    ratio = over_d.mean / over_p.mean
    spread_of = ratio * np.hypot(over_d.sem / over_d.mean, over_p.sem / over_p.mean)
    return FrozenRegimes(
        curves=tuple(curves), spectrum=spectrum, duality=ratio, duality_se=spread_of,
        notes=given.notes,
    )  # fmt: skip


def _fits(small: int, middle: int, most: int, columns: int, known: int) -> None:
    for name, value in (("small", small), ("middle", middle)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 4:
            raise InputError(f"{name} = {value!r}: must be a whole number of 4 or more")
    if most < 64 * small:
        raise InputError(f"small = {small}: needs {64 * small} samples or more, there are {most}")
    if not (20 <= middle <= min(most, columns) // 3):
        raise InputError(
            f"middle = {middle}: must lie between 20 and a third of the {min(most, columns)} "
            "samples or features"
        )
    if min(columns // 2, known // 4) < 40:
        raise InputError("features: fewer than 80 columns or too few rows span no range of sizes")


def _grid(low: float, high: float, count: int) -> Array:
    return np.unique(np.round(np.geomspace(low, high, count)))


class _Measure:
    """One curve after the other on the same rows, beside the same spectrum."""

    def __init__(
        self, rows: Features, spectrum: MeasuredSpectrum, level: float, seed: int,
        on_step: _STEP | None,
    ) -> None:  # fmt: skip
        self.rows, self.spectrum, self.level = rows, spectrum, level
        self.seed, self.on_step = seed, on_step

    def __call__(
        self, regime: str, axis: Axis, x: Array, fixed: float, ridge: Ridge, draws: int,
        noiseless: bool = False,
    ) -> RegimeCurve:  # fmt: skip
        """Measure and predict the curve, and fit both."""
        endless = regime == "variance-limited" and axis == "P"
        # The floor in P is the loss of the features themselves, one more point.
        along = np.append(x, math.inf) if endless else x
        D, P = (along, fixed) if axis == "D" else (fixed, along)
        predicted = predict_curve(self.spectrum, D, N=P, ridge=ridge, level=self.level)
        # Where nothing is worth learning the best ridge is endless; far above the trace will do.
        best = np.minimum(predicted.ridge, 1e6 * self.spectrum.trace)
        found = frozen_losses(
            self.rows,
            None,
            D,
            P,
            ridge=0.0 if ridge == "ridgeless" else best,
            draws=draws,
            rng=self.seed,
        )
        fit = _fit_of(regime, endless, noiseless)
        value, floor = fit(x, found.mean)
        interval = _resampled(fit, x, found, value, self.level, self.seed)
        its, its_interval, its_floor = _of_prediction(fit, x, predicted, self.spectrum, self.level)
        if self.on_step:
            self.on_step(f"{regime} in {axis}")
        k = len(x)
        return RegimeCurve(
            regime=regime, axis=axis, x=x, fixed=fixed, mean=found.mean[:k], sem=found.sem[:k],
            predicted=predicted.loss[:k], predicted_se=predicted.se[:k],
            excess=found.mean[:k] - floor, excess_predicted=predicted.loss[:k] - its_floor,
            exponent=value, interval=interval, predicted_exponent=its,
            predicted_interval=its_interval, floor=floor, draws=draws,
        )  # fmt: skip


_Fit = Callable[[Array, Array], tuple[float, float]]


def _fit_of(regime: str, endless: bool, noiseless: bool) -> _Fit:
    """Exponent and floor of a curve, as its regime asks for."""

    def to_floor(x: Array, y: Array) -> tuple[float, float]:
        found = decay(x, y, np.ones(len(x)), floor=0.0 if noiseless else None)
        return found.exponent, found.floor

    def above(x: Array, y: Array) -> tuple[float, float]:
        excess = y[:-1] - y[-1]
        if not (excess > 0).all():
            return math.nan, float(y[-1])
        # Points with the largest excess are known best: least squares of relative residuals.
        return decay(x, excess, np.ones(len(x)), floor=0.0).exponent, float(y[-1])

    def none(x: Array, y: Array) -> tuple[float, float]:
        return math.nan, 0.0

    if regime == "descent":
        return none
    return above if endless else to_floor


def _resampled(
    fit: _Fit, x: Array, found: FrozenLosses, value: float, level: float, seed: int
) -> Interval:
    method = f"{_RESAMPLES} resamples of {len(found.loss)} draws"
    source, count = np.random.default_rng([seed, 8]), len(found.loss)
    every = np.array(
        [
            fit(x, found.loss[source.integers(count, size=count)].mean(axis=0))[0]
            for _ in range(_RESAMPLES if math.isfinite(value) else 0)
        ]
    )
    seen = every[np.isfinite(every)]
    if not len(seen) or len(seen) < 0.9 * _RESAMPLES:
        return Interval(low=0.0, high=math.inf, level=level, method=method)
    return Interval.from_draws(seen, level=level, method=method)


def _of_prediction(
    fit: _Fit, x: Array, predicted: PredictedCurve, spectrum: MeasuredSpectrum, level: float
) -> tuple[float, Interval, float]:
    value, floor = fit(x, predicted.loss)
    every = np.array([fit(x, draw)[0] for draw in predicted.draws])
    if math.isnan(value) or np.isnan(every).any():
        interval = Interval(low=0.0, high=math.inf, level=level, method=predicted.method)
    else:
        interval = jackknife(value, every, spectrum.sizes).interval(level, centre=value)
    return value, interval, floor

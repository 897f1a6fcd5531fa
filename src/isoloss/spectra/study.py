"""Everything about one set of features, as plain answers for the command line and pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.spectra.check import CurveCheck, check_prediction
from isoloss.spectra.curve import PredictedCurve, predict_curve
from isoloss.spectra.deconvolve import Deconvolved, to_spectrum
from isoloss.spectra.dimension import Dimension, intrinsic_dimension
from isoloss.spectra.exponent import (
    SpectralExponent,
    TargetExponent,
    ends,
    spectral_exponent,
    target_exponent,
)
from isoloss.spectra.features import as_features
from isoloss.spectra.loss import Ridge
from isoloss.spectra.measure import MeasuredSpectrum, measure_spectrum
from isoloss.spectra.routes import Route, data_exponents

_VERDICTS = {"bent": "no power law", "open": "not known to be a power law"}
_TIED = 0.05
_SUSPECT = 4.0
"""Standard errors between prediction and measurement that are called a disagreement."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectrumStudy:
    """What features, and targets if there are any, say before anything is trained.

    Attributes
    ----------
    measured
        The spectrum.
    exponent, target
        Their power laws; None where the range is too short, or without targets.
    dimensions
        Intrinsic dimension by Levina-Bickel and by TwoNN; empty where too few points differ.
    curve, check
        Predicted learning curve; the same measured, where that was asked for.
    population
        The spectrum behind the sample, for the models of `isoloss.theory`.
    routes
        alpha_D by every route.
    doubts
        What to distrust, in sentences.
    level
        Of the intervals.
    """

    measured: MeasuredSpectrum
    exponent: SpectralExponent | None
    target: TargetExponent | None
    dimensions: tuple[Dimension, ...]
    curve: PredictedCurve | None
    population: Deconvolved | None
    check: CurveCheck | None
    routes: tuple[Route, ...]
    doubts: tuple[str, ...]
    level: float

    @property
    def suspect(self) -> bool:
        """Whether there is no power law, or prediction and measurement disagree."""
        straight = self.exponent is not None and self.exponent.verdict in ("power law", "nearly")
        apart = self.check is not None and np.nanmax(np.abs(self.check.z)) > _SUSPECT
        return bool(apart or not straight)

    @property
    def headline(self) -> tuple[str, ...]:
        """The answers in sentences."""
        m = self.measured
        lines = [
            f"{m.n} rows, {m.p} columns, {'centred' if m.centred else 'not centred'}: {m.method}"
        ]
        lines += [found.sentence for found in (self.exponent, self.target) if found is not None]
        lines += [
            f"dimension {d.value:.4g} {ends(d.interval)} by {d.method} on {d.points} points"
            for d in self.dimensions
        ]
        if self.curve is not None and np.isfinite(self.curve.loss).any():
            last = int(np.flatnonzero(np.isfinite(self.curve.loss))[-1])
            lines.append(
                f"predicted loss at D = {self.curve.D[last]:.4g}: {self.curve.loss[last]:.4g} "
                f"[{self.curve.low[last]:.4g}, {self.curve.high[last]:.4g}] of "
                f"{self.curve.power:.4g}, floor {self.curve.floor:.4g}"
            )
        lines += [
            f"alpha_D {r.value:.4g} {ends(r.interval)} by {r.name}: {r.meaning}"
            for r in self.routes
        ]
        if self.check is not None:
            worst = int(np.nanargmax(np.abs(self.check.error)))
            lines.append(
                f"measured on {self.check.test_rows} held-out rows: at most "
                f"{100 * self.check.error[worst]:+.0f} % from predicted, at D = "
                f"{self.check.predicted.D[worst]:g}; largest |z| "
                f"{np.nanmax(np.abs(self.check.z)):.1f}"
            )
        lines.append(
            f"brackets: {100 * self.level:g} % intervals, jackknife over groups of rows but for "
            "what is measured"
        )
        return tuple(lines)

    def __repr__(self) -> str:
        return f"SpectrumStudy({self.measured!r}, {len(self.routes)} routes)"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""

        def plain(value: Any) -> Any:
            return None if value is None else value.to_dict()

        return {
            "schema": 1,
            "headline": list(self.headline),
            "spectrum": self.measured.to_dict(),
            "exponent": plain(self.exponent),
            "target": plain(self.target),
            "dimension": [d.to_dict() for d in self.dimensions],
            "curve": plain(self.curve),
            "population": plain(self.population),
            "check": plain(self.check),
            "alpha_D": [r.to_dict() for r in self.routes],
            "doubts": list(self.doubts),
        }


def study_spectrum(
    features: Any, labels: Any = None, *, kind: str = "auto", range: tuple[int, int] | None = None,
    ridge: Ridge = "optimal", D: Any = None, N: Any = (np.inf,), check: int = 0,
    centre: bool = True, groups: Any = 20, level: float = 0.9, rng: int = 0,
    on_step: Callable[[str], None] | None = None,
) -> SpectrumStudy:  # fmt: skip
    """Measure a spectrum, its exponents and its dimension, and predict the learning curve.

    Parameters
    ----------
    features, labels, kind
        As in `isoloss.spectra.as_features`.
    range
        Ranks that the power laws are fitted over; by `default_range` when absent.
    ridge
        As in `isoloss.spectra.predict_curve`.
    D, N
        Samples, 12 numbers up to nine tenths of the rows when absent; random features.
    check
        Ridge regressions a point that measure the curve, 2 and more; 0 for none.
    centre, groups, level, rng
        As in `isoloss.spectra.measure_spectrum`.

    Raises
    ------
    InputError
        If features, labels or options cannot be used.

    References
    ----------
    Bahri et al., arXiv:2102.06701.

    Examples
    --------
    >>> source = np.random.default_rng(0)
    >>> x = source.standard_normal((600, 50)) * np.arange(1, 51) ** -0.75
    >>> found = study_spectrum(x, x.sum(axis=1))
    >>> [route.name for route in found.routes]
    ['curve', 'target', 'spectrum', '4/d', '2/d', '1/d']
    """
    if check == 1 or check < 0:
        raise InputError(f"check = {check!r}: must be 0, or 2 and more for a standard error")
    given = as_features(features, labels, kind=kind)
    if check and given.targets is None:
        raise InputError("labels: are needed to measure a learning curve; give them, or no check")
    measured = measure_spectrum(given, centre=centre, groups=groups, rng=rng, on_step=on_step)
    doubts = list(measured.notes)
    exponent = target = None
    try:
        exponent = spectral_exponent(measured, range=range, level=level)
        if measured.outputs:
            target = target_exponent(measured, range=range, level=level)
    except InputError as error:
        if range is not None:
            raise
        doubts.append(f"no exponent: {error}")
    if on_step:
        on_step("dimension")
    dimensions = _dimensions(given, groups, level, rng, doubts)
    curve = found = None
    if measured.outputs:
        curve, found = _curves(
            given, measured, D, N, ridge, check, centre, groups, level, rng, on_step
        )
    routes = data_exponents(
        exponent, target=target, curve=curve, dimension=dimensions[0] if dimensions else None,
        check=found, sizes=measured.sizes,
    )  # fmt: skip
    doubts += _doubts(measured, exponent, curve, found, dimensions)
    return SpectrumStudy(
        measured=measured, exponent=exponent, target=target, dimensions=dimensions, curve=curve,
        population=to_spectrum(measured) if measured.outputs else None, check=found,
        routes=routes, doubts=tuple(doubts), level=level,
    )  # fmt: skip


def _dimensions(
    given: Any, groups: Any, level: float, rng: int, doubts: list[str]
) -> tuple[Dimension, ...]:
    found = []
    for method in ("levina-bickel", "twonn"):
        try:
            found.append(
                intrinsic_dimension(given, method=method, groups=groups, level=level, rng=rng)
            )
        except InputError as error:
            doubts.append(f"no dimension by {method}: {error}")
    return tuple(found)


def default_samples(rows: float) -> Array:
    """Numbers of samples that a curve is predicted at: 12, as far apart as they can be.

    Examples
    --------
    >>> default_samples(1000).tolist()[:3], float(default_samples(1000)[-1])
    ([20.0, 28.0, 40.0], 900.0)
    """
    return np.unique(np.round(np.geomspace(min(20.0, rows / 4), 0.9 * rows, 12)))


def _curves(
    given: Any, measured: MeasuredSpectrum, D: Any, N: Any, ridge: Ridge, check: int, centre: bool,
    groups: Any, level: float, rng: int, on_step: Callable[[str], None] | None,
) -> tuple[PredictedCurve, CurveCheck | None]:  # fmt: skip
    # With a check, D stays within the rows that are not set aside, half of them at the default.
    rows = 0.75 * given.n / 1.8 if check else given.n
    samples = default_samples(rows) if D is None else np.atleast_1d(np.asarray(D, dtype=float))
    sizes = np.atleast_1d(np.asarray(N, dtype=float))
    both_N, both_D = (v.ravel() for v in np.meshgrid(sizes, samples, indexing="ij"))
    found = None
    if check:
        found = check_prediction(
            given, D=both_D, N=both_N, ridge=ridge, repeats=check, centre=centre, groups=groups,
            rng=rng, on_step=on_step,
        )  # fmt: skip
    curve = predict_curve(measured, both_D, N=both_N, ridge=ridge, level=level)
    return curve, found


def _doubts(
    measured: MeasuredSpectrum, exponent: SpectralExponent | None, curve: PredictedCurve | None,
    check: CurveCheck | None, dimensions: tuple[Dimension, ...],
) -> list[str]:  # fmt: skip
    found = []
    if exponent is not None and exponent.verdict in ("bent", "open"):
        found.append(f"the spectrum is {_VERDICTS[exponent.verdict]} over ranks {exponent.low} to "
                     f"{exponent.high}; exponents derived from it hold there at best")  # fmt: skip
    if curve is not None and np.isnan(curve.loss).any():
        found.append("some D and N are beyond what the rows can tell: no loss there")
    if any(d.value > 5 for d in dimensions):
        found.append("dimensions above five are estimated too low, by a fifth at ten")
    if any(d.duplicates for d in dimensions):
        count = max(d.duplicates for d in dimensions)
        found.append(f"{count} points repeat others; the dimension leaves them out")
    tied = [d for d in dimensions if d.ties > _TIED]
    if tied:
        found.append(
            f"{100 * tied[-1].ties:.0f} % of points have neighbours at one distance "
            f"({tied[-1].method}): on a grid a dimension means little"
        )
    if measured.sample.freedom < measured.p:
        found.append("rows are fewer than columns: noise and unresolved power count as one floor")
    if check is not None and np.nanmax(np.abs(check.z)) > _SUSPECT:
        found.append(
            f"prediction and measurement are {np.nanmax(np.abs(check.z)):.1f} standard errors "
            "apart: these features are not like Gaussian ones"
        )
    return found

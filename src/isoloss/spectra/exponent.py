"""Exponents of a measured spectrum and of its target, and whether they are exponents at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.spectra.gram import Sample
from isoloss.spectra.jackknife import jackknife
from isoloss.spectra.line import Decay, bent_line, decay
from isoloss.spectra.measure import MeasuredSpectrum

_FEWEST = 8
TOLERANCE = 0.2
"""Change of the exponent over the range, as a share of it, that still counts as a power law."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectralExponent:
    """Exponent b of eigenvalues ``lam_k ~ k^-b`` over a range of ranks.

    Attributes
    ----------
    low, high
        First and last rank of the range, from 1.
    exponent
        b, freed of the part of its bias that falls as one over the rows.
    interval
        Of b.
    height
        lam = height k^-exponent, for pictures.
    bend
        Change of the local exponent from the first to the last rank, as a share of b; above zero
        where the spectrum falls ever faster, as an exponential does.
    bend_interval
        Of the bend.
    verdict
        ``power law`` (the interval of the bend holds zero and lies within 0.2), ``nearly`` (it lies
        within 0.2 without zero), ``bent`` (it holds neither zero nor lies within), or ``open``.
    """

    low: int
    high: int
    exponent: float
    interval: Interval
    height: float
    bend: float
    bend_interval: Interval
    verdict: str

    def __repr__(self) -> str:
        return f"SpectralExponent({self.exponent:.4g} {self.interval!r}, {self.verdict})"

    @property
    def sentence(self) -> str:
        """What was found, for people."""
        words = {
            "power law": "a power law",
            "nearly": "nearly a power law",
            "bent": "not a power law",
            "open": "not known to be a power law or not",
        }
        way = "falling faster" if self.bend > 0 else "falling more slowly"
        return (
            f"eigenvalues fall as k^-{self.exponent:.4g} {ends(self.interval)} over ranks "
            f"{self.low} to {self.high}: {words[self.verdict]}; the exponent changes by "
            f"{100 * self.bend:+.0f} % {ends(self.bend_interval, percent=True)} over the range, "
            f"{way} towards its end"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "low": self.low, "high": self.high, "exponent": self.exponent,
            "interval": self.interval.to_dict(), "height": self.height, "bend": self.bend,
            "bend_interval": self.bend_interval.to_dict(), "verdict": self.verdict,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetExponent:
    """Exponent of the target power beyond rank k, ``floor + height (k^-exponent - end^-exponent)``.

    Attributes
    ----------
    low, high
        First and last rank of the range.
    exponent
        a - 1 where the target power of mode k is k^-a; NaN where no decay to a floor is seen.
    interval
        Of the exponent, infinite where it is not identified.
    floor, height, end
        Of the fit, with k + 1/2 for k; the floor is noise and power that no mode holds, the end the
        number of modes, or infinite where there are more of them than rows.
    misfit
        Root mean square of the relative residuals.
    ranks, tail
        The measured curve: residual variance after the first k modes, per degree of freedom.
    """

    low: int
    high: int
    exponent: float
    interval: Interval
    floor: float
    height: float
    end: float
    misfit: float
    ranks: Array
    tail: Array

    def __repr__(self) -> str:
        return f"TargetExponent({self.exponent:.4g} {self.interval!r})"

    @property
    def sentence(self) -> str:
        """What was found, for people."""
        if math.isnan(self.exponent):
            return f"target power beyond rank k: no power law over ranks {self.low} to {self.high}"
        return (
            f"target power beyond rank k falls as k^-{self.exponent:.4g} {ends(self.interval)} to "
            f"a floor of {self.floor:.3g}, over ranks {self.low} to {self.high}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "low": self.low, "high": self.high, "exponent": self.exponent,
            "interval": self.interval.to_dict(), "floor": self.floor, "height": self.height,
            "end": self.end, "misfit": self.misfit, "ranks": self.ranks.tolist(),
            "tail": self.tail.tolist(),
        }  # fmt: skip


def default_range(n: float, modes: int) -> tuple[int, int]:
    """Ranks that are fitted unless others are asked for.

    The last is a tenth of the rows, where eigenvalues of a sample are off by a tenth before their
    correction, and at most half of the modes, as the end of a finite spectrum is no power law. The
    first is its cube root: head and range are then as wide, in logarithms, as one to two.

    Examples
    --------
    >>> default_range(2000, 1000)
    (6, 200)
    """
    high = int(min(n / 10, modes / 2))
    return max(2, round(high ** (1 / 3))), high


def spectral_exponent(
    measured: MeasuredSpectrum, *, range: tuple[int, int] | None = None, level: float = 0.9
) -> SpectralExponent:
    """Fit ``log lam = c - b log k`` over a range of ranks, each e-fold of ranks counting the same.

    Eigenvalues of one sample are not independent, so the residuals of the line say nothing of its
    error: slope, bend and their intervals come from leaving out groups of rows, which also takes
    out the bias of first order in 1/n.

    Raises
    ------
    InputError
        If the range holds fewer than 8 ranks or ranks that were not resolved.

    References
    ----------
    Lawley 1956, bias of sample eigenvalues; Bahri et al., arXiv:2102.06701, b = 1 + alpha_K.

    Examples
    --------
    >>> from isoloss.spectra import measure_spectrum
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((2000, 200)) * np.arange(1, 201) ** -0.75
    >>> found = spectral_exponent(measure_spectrum(x))
    >>> abs(found.exponent - 1.5) < 0.1
    True
    """
    level = as_level(level)
    low, high = _range(measured, range)
    k = np.arange(low, high + 1, dtype=np.float64)
    part = slice(low - 1, high)

    def of(sample: Sample) -> Array:
        fitted = bent_line(np.log(k), np.log(sample.lam[part]), 1 / k)
        change = -2 * fitted[2] * math.log(high / low)
        return np.array([fitted[0], -fitted[1], change / -fitted[1]])

    found = jackknife(of(measured.sample), [of(s) for s in measured.without], measured.sizes)
    intercept, b, bend = (float(v) for v in found.corrected)
    intervals = [
        jackknife(of(measured.sample)[i], [of(s)[i] for s in measured.without], measured.sizes)
        .interval(level) for i in (1, 2)
    ]  # fmt: skip
    middle = float((1 / k) @ np.log(k) / (1 / k).sum())
    return SpectralExponent(
        low=low, high=high, exponent=b, interval=intervals[0],
        height=math.exp(intercept + b * middle), bend=bend, bend_interval=intervals[1],
        verdict=_verdict(intervals[1]),
    )  # fmt: skip


def target_exponent(
    measured: MeasuredSpectrum, *, range: tuple[int, int] | None = None,
    floor: float | None = None, level: float = 0.9,
) -> TargetExponent:  # fmt: skip
    """Fit the target power beyond rank k by ``floor + height ((k + 1/2)^-(a-1) - end^-(a-1))``.

    The power beyond k is measured as the residual sum of squares of the regression on the first k
    modes over its degrees of freedom, which is free of the noise that each fitted mode takes up.

    Parameters
    ----------
    range
        First and last rank, as in `spectral_exponent`.
    floor
        Known noise and power out of reach, 0 for a target without; fitted when absent.

    Raises
    ------
    InputError
        If there is no target, or as `spectral_exponent`.

    References
    ----------
    Bordelon, Atanasov and Pehlevan, arXiv:2402.01092, a and b; Simon et al., arXiv:2110.03922.

    Examples
    --------
    >>> from isoloss.spectra import measure_spectrum
    >>> rng = np.random.default_rng(0)
    >>> i = np.arange(1, 201.0)
    >>> x = rng.standard_normal((2000, 200)) * i**-0.75
    >>> found = target_exponent(measure_spectrum(x, x @ i**-0.25))
    >>> 0.5 < found.exponent < 1.5
    True
    """
    measured.need_target()
    level = as_level(level)
    if floor is not None and not (math.isfinite(floor) and floor >= 0):
        raise InputError(f"floor = {floor!r}: must be finite and zero or more")
    low, high = _range(measured, range)
    k = np.arange(low, high + 1, dtype=np.float64)
    # With every mode in hand the power law ends with them.
    all_known = len(measured.sample.lam) == measured.p < measured.n - 1
    end = measured.p + 0.5 if all_known else math.inf

    def of(sample: Sample) -> Decay:
        tail = tail_power(sample)[low : high + 1]
        return decay(k + 0.5, tail, 1 / k, floor=floor, end=end)

    whole = of(measured.sample)
    every = np.array([of(s).exponent for s in measured.without])
    method = f"jackknife over {len(every)} groups of rows"
    if np.isnan(every).any() or math.isnan(whole.exponent):
        interval = Interval(low=0.0, high=math.inf, level=level, method=method)
    else:
        found = jackknife(whole.exponent, every, measured.sizes)
        interval = found.interval(level, centre=whole.exponent)
    tail = tail_power(measured.sample)[: max(high + 1, min(len(measured.sample.lam), 4 * high))]
    return TargetExponent(
        low=low, high=high, exponent=whole.exponent, interval=interval, floor=whole.floor,
        height=whole.height, end=end, misfit=whole.misfit,
        ranks=np.arange(len(tail), dtype=np.float64), tail=tail,
    )  # fmt: skip


def tail_power(sample: Sample) -> Array:
    """Residual variance after the first k = 0, 1, ... modes, while degrees of freedom are left."""
    count = min(len(sample.power), int(0.9 * sample.freedom))
    rest = max(sample.total - float(sample.power.sum()), 0.0)
    beyond = np.concatenate([np.cumsum(sample.power[::-1])[::-1], [0.0]]) + rest
    k = np.arange(count + 1)
    return np.asarray(sample.freedom * beyond[: count + 1] / (sample.freedom - k))


def _range(measured: MeasuredSpectrum, wanted: tuple[int, int] | None) -> tuple[int, int]:
    modes = min(len(s.lam) for s in (measured.sample, *measured.without))
    if wanted is None:
        low, high = default_range(measured.n, modes)
        if high - low + 1 < _FEWEST:
            raise InputError(
                f"range: {measured.n} rows and {modes} modes leave ranks {low} to {high} by the "
                f"rule n/10, modes/2; give a range of {_FEWEST} ranks and more, or more rows"
            )
        return low, high
    try:
        low, high = (int(v) for v in wanted)
        whole = (low, high) == tuple(wanted)
    except (TypeError, ValueError) as error:
        raise InputError(f"range = {wanted!r}: give a first and a last rank") from error
    if not whole or low < 1 or high - low + 1 < _FEWEST or high > modes:
        raise InputError(
            f"range = {low}, {high}: give whole ranks from 1 to {modes}, at least {_FEWEST} of them"
        )
    return low, high


def _verdict(bend: Interval) -> str:
    within = bend.low >= -TOLERANCE and bend.high <= TOLERANCE
    if 0.0 in bend:
        return "power law" if within else "open"
    beyond = bend.low > TOLERANCE or bend.high < -TOLERANCE
    return "nearly" if within else "bent" if beyond else "open"


def ends(interval: Interval, *, percent: bool = False) -> str:
    """Write the ends of an interval for a sentence; how they were found stands elsewhere.

    Examples
    --------
    >>> ends(Interval(low=1.23456, high=2, level=0.9, method="jackknife"))
    '[1.235, 2]'
    """
    if percent:
        return f"[{100 * interval.low:+.0f}, {100 * interval.high:+.0f}]"
    return f"[{interval.low:.4g}, {interval.high:.4g}]"

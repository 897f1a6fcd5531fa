"""The predicted learning curve beside one that is measured: ridge regression on held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_seed, freeze
from isoloss.errors import InputError
from isoloss.spectra.curve import PredictedCurve, as_ridge, predict_curve
from isoloss.spectra.features import Features, as_features
from isoloss.spectra.gram import ROUNDING, eigen
from isoloss.spectra.loss import Ridge
from isoloss.spectra.measure import MeasuredSpectrum, measure_spectrum

_DRAWS = 400
_LARGEST = 6000
"""Smaller side of a regression up to which it is solved."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveCheck:
    """A predicted learning curve and the measured one.

    Attributes
    ----------
    predicted
        Made from the rows outside the test set alone.
    spectrum
        The spectrum of those rows.
    mean
        Mean over repeats of the squared error on the test rows, summed over outputs, (k,).
    sem
        Its standard error: spread over repeats, and over test rows.
    repeats, test_rows
        Draws of training rows a point, and rows judged.
    wrong
        Share of test rows whose largest output is not their class, (k,); NaN without classes.
    draws
        Means of resampled test rows, the same at every point, and resampled repeats, (400, k).
    """

    predicted: PredictedCurve
    spectrum: MeasuredSpectrum
    mean: Array
    sem: Array
    repeats: int
    test_rows: int
    wrong: Array
    draws: Array

    def __post_init__(self) -> None:
        for name in ("mean", "sem", "wrong", "draws"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def z(self) -> Array:
        """(measured - predicted) over the errors of both, (k,)."""
        spread = np.hypot(self.sem, self.predicted.se)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((self.mean - self.predicted.loss) / spread)

    @property
    def error(self) -> Array:
        """Measured over predicted, minus one, (k,)."""
        return np.asarray(self.mean / self.predicted.loss - 1)

    def __repr__(self) -> str:
        return f"CurveCheck({self.mean.size} points, worst |z| {np.abs(self.z).max():.2g})"

    def summary(self) -> str:
        """Table for people."""
        lines = [
            f"{'D':>8} {'N':>8} {'predicted':>11} {'measured':>11} {'sem':>8} {'error':>8} {'z':>6}"
        ]
        for i in range(self.mean.size):
            lines.append(
                f"{self.predicted.D[i]:>8g} {self.predicted.N[i]:>8g} "
                f"{self.predicted.loss[i]:>11.5g} {self.mean[i]:>11.5g} "
                f"{self.sem[i]:>8.2g} {100 * self.error[i]:>6.1f} % {self.z[i]:>6.2f}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "predicted": self.predicted.to_dict(), "measured": self.mean.tolist(),
            "sem": self.sem.tolist(), "z": self.z.tolist(), "error": self.error.tolist(),
            "wrong": self.wrong.tolist(), "repeats": self.repeats, "test_rows": self.test_rows,
        }  # fmt: skip


def check_prediction(
    features: Any, labels: Any = None, D: Any = (30, 100, 300), *, N: Any = np.inf,
    ridge: Ridge = "optimal", repeats: int = 10, test: float = 0.25, centre: bool = True,
    groups: Any = 20, rng: int = 0, on_step: Callable[[str], None] | None = None,
) -> CurveCheck:  # fmt: skip
    """Predict a learning curve from some rows, then measure it by ridge regression on them.

    Test rows are set aside first, whole groups where rows have labels. The spectrum of the others
    predicts the loss at each D, and with ``"optimal"`` also the ridge. Then D of the others are
    drawn, a ridge regression is solved exactly at that ridge, with N Gaussian random features of
    the features where N is finite, and judged on the test rows; and so on for each repeat.

    Parameters
    ----------
    features, labels, centre, groups
        As in `isoloss.spectra.measure_spectrum`.
    D, N
        Samples and random features; they broadcast. D up to the rows outside the test set.
    ridge
        As in `isoloss.spectra.predict_curve`.
    repeats, test, rng
        Draws of training rows a point, 2 or more; share of rows set aside; seed.

    Raises
    ------
    InputError
        If a value breaks these rules, or D or N is too large to be measured.

    References
    ----------
    Bahri et al., arXiv:2102.06701, learning curves on trained features.

    Examples
    --------
    >>> source = np.random.default_rng(0)
    >>> x = source.standard_normal((1200, 60)) * np.arange(1, 61) ** -0.75
    >>> found = check_prediction(x, x.sum(axis=1) + source.standard_normal(1200), [30, 100])
    >>> bool(np.abs(found.z).max() < 4)
    True
    """
    given = as_features(features, labels)
    if given.targets is None:
        raise InputError("labels: are needed to measure a learning curve")
    if not (isinstance(repeats, (int, np.integer)) and repeats >= 2):
        raise InputError(f"repeats = {repeats!r}: must be a whole number, 2 or more")
    if not 0 < test < 1:
        raise InputError(f"test = {test!r}: must lie between 0 and 1, for example 0.25")
    seed, ridge = as_seed(rng), as_ridge(ridge)
    groups = given.groups(groups)
    held, pool = _split(given.n, groups, test, np.random.default_rng([seed, 0]))
    count, known = len(held), part_of(given, pool)
    if np.ndim(groups):
        groups = groups[pool]
    spectrum = measure_spectrum(known, centre=centre, groups=groups, rng=seed, on_step=on_step)
    D, N = (
        np.atleast_1d(np.asarray(v, dtype=np.float64)).ravel() for v in np.broadcast_arrays(D, N)
    )
    _measurable(D, N, known)
    predicted = predict_curve(spectrum, D, N=N, ridge=ridge)
    losses = np.empty((len(D), repeats, count))
    wrong = np.full((len(D), repeats), np.nan)
    for i, (d, n, s) in enumerate(zip(D, N, predicted.ridge, strict=True)):
        for r in range(repeats):
            source = np.random.default_rng([seed, 1, i, r])
            rows = source.choice(known.n, int(d), replace=False)
            guess = _regress(known, rows, given, held, n, float(s), centre, source)
            truth = given.targets[held]
            losses[i, r] = ((guess - truth) ** 2).sum(axis=1)
            if given.classes:
                wrong[i, r] = np.mean(guess.argmax(axis=1) != truth.argmax(axis=1))
        if on_step:
            on_step(f"measured at D = {d:g}, N = {n:g}")
    # Repeats share the test rows, and test rows the repeats: the two spreads add.
    over_repeats = losses.mean(axis=2).var(axis=1, ddof=1) / repeats
    over_rows = losses.mean(axis=1).var(axis=1, ddof=1) / count
    return CurveCheck(
        predicted=predicted, spectrum=spectrum, mean=losses.mean(axis=(1, 2)),
        sem=np.sqrt(over_repeats + over_rows), repeats=int(repeats), test_rows=count,
        wrong=wrong.mean(axis=1), draws=_resample(losses, np.random.default_rng([seed, 2])),
    )  # fmt: skip


def _split(n: int, groups: Any, test: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """Rows to judge by and the others; rows of one group stay together."""
    count = max(round(test * n), 10)
    if np.ndim(groups) == 0:
        order = rng.permutation(n)
        return np.sort(order[:count]), np.sort(order[count:])
    place = np.unique(groups, return_inverse=True)[1].ravel()
    order = rng.permutation(place.max() + 1)
    # Whole groups, in a chance order, until the rows are enough.
    filled = np.cumsum(np.bincount(place)[order])
    chosen = order[: int(np.searchsorted(filled, count)) + 1]
    away = np.isin(place, chosen)
    if away.sum() > n - 30:
        raise InputError(f"groups: {len(order)} are too few or too large to set some aside")
    return np.flatnonzero(away), np.flatnonzero(~away)


def _resample(losses: Array, rng: np.random.Generator) -> Array:
    """Means over test rows and repeats drawn with replacement, (draws, points)."""
    points, repeats, rows = losses.shape
    by_row, by_repeat = losses.mean(axis=1), losses.mean(axis=2)
    found = np.empty((_DRAWS, points))
    for i in range(_DRAWS):
        weight = np.bincount(rng.integers(rows, size=rows), minlength=rows) / rows
        pick = rng.integers(repeats, size=(points, repeats))
        shift = np.take_along_axis(by_repeat, pick, axis=1).mean(axis=1) - by_repeat.mean(axis=1)
        found[i] = by_row @ weight + shift
    return found


def part_of(features: Features, places: Any) -> Features:
    """Keep some of the rows, with their targets."""
    targets = None if features.targets is None else freeze(features.targets[places])
    return replace(features, kept=features.kept[places], targets=targets)


def _measurable(D: Array, N: Array, known: Features) -> None:
    if (D % 1 != 0).any() or D.min() < 2 or D.max() > known.n:
        raise InputError(
            f"D = {D.tolist()}: whole numbers from 2 to {known.n}, the rows outside the test set"
        )
    finite = N[np.isfinite(N)]
    if (finite != np.floor(finite)).any() or (N < 1).any():
        raise InputError(f"N = {N.tolist()}: whole numbers of random features, or inf")
    side = np.minimum(D, np.minimum(N, known.p)).max()
    if side > _LARGEST:
        raise InputError(
            f"D = {D.max():g} with {known.p} columns: a regression of {side:g} a side; "
            f"up to {_LARGEST} are solved, take fewer samples"
        )


def _regress(
    known: Features, rows: Any, every: Features, held: Any, N: float, s: float, centre: bool,
    source: np.random.Generator,
) -> Array:  # fmt: skip
    """Guesses on the held-out rows of a ridge regression on others."""
    assert known.targets is not None
    x, y = known.take(rows), known.targets[rows]
    shift, level = (x.mean(axis=0), y.mean(axis=0)) if centre else (np.zeros(x.shape[1]), 0.0)
    x, y = x - shift, y - level
    mix = source.standard_normal((x.shape[1], int(N))) / np.sqrt(N) if np.isfinite(N) else None
    x = x if mix is None else x @ mix
    g = s * (len(x) - 1 if centre else len(x))
    # By eigenvectors of the smaller side, so that no ridge is no special case.
    tall = x.shape[0] >= x.shape[1]
    lam, V = eigen(x.T @ x if tall else x @ x.T)
    keep = lam > ROUNDING * lam[0]
    lam, V = lam[keep], V[:, keep]
    along = V.T @ (x.T @ y) if tall else V.T @ y
    weight = V @ (along / (lam + g)[:, None])
    weight = weight if tall else x.T @ weight
    weight = weight if mix is None else mix @ weight
    guess = [(block - shift) @ weight for _, block in every.blocks(held)]
    return np.asarray(np.concatenate(guess) + level)

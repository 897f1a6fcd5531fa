"""Intrinsic dimension of a cloud of points, from distances to nearest neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, as_seed, freeze
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.spectra.features import Features, as_features
from isoloss.spectra.jackknife import as_groups, jackknife
from isoloss.spectra.neighbours import distinct, nearest
from isoloss.theory.manifold import DimensionExponents, dimension_exponents

METHODS = ("levina-bickel", "twonn", "twonn-mle")
_EQUAL, _MOST_TIES = 1e-9, 0.5
_KEPT = 0.9
"""Share of points that the regression of TwoNN uses."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dimension:
    """Intrinsic dimension by one estimator.

    Attributes
    ----------
    value
        The estimate. All of these are biased downwards in high dimension, see `dimension_bias`.
    interval, se
        From leaving out groups of points, which also changes the neighbours of the others: on
        uniform points the error is a third (Levina-Bickel) to a half (TwoNN) too large, never too
        small. They do not hold the bias.
    method, k
        Estimator, and neighbours that it looks at.
    points
        Points used, after duplicates and by chance where there were too many.
    duplicates
        Points left out because they repeat an earlier one.
    ties
        Share of points whose last and first neighbour looked at are equally far, as on a grid.
    per_point
        Estimate at each point, (points,), or None.
    """

    value: float
    interval: Interval
    se: float
    method: str
    k: int
    points: int
    duplicates: int
    ties: float
    per_point: Array | None

    def __post_init__(self) -> None:
        if self.per_point is not None:
            object.__setattr__(self, "per_point", freeze(self.per_point))

    def __repr__(self) -> str:
        return f"Dimension({self.value:.4g} {self.interval!r}, {self.method})"

    @property
    def exponents(self) -> DimensionExponents:
        """Exponents 1/d, 2/d and 4/d."""
        return dimension_exponents(self.value)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "value": self.value, "se": self.se, "interval": self.interval.to_dict(),
            "method": self.method, "k": self.k, "points": self.points,
            "duplicates": self.duplicates, "ties": self.ties,
            "per_point": None if self.per_point is None else self.per_point.tolist(),
        }  # fmt: skip


def intrinsic_dimension(
    x: Any, *, method: str = "levina-bickel", k: int = 20, most: int = 10_000,
    per_point: bool = False, groups: Any = 20, level: float = 0.9,
    rng: int | np.random.Generator = 0,
) -> Dimension:  # fmt: skip
    """Estimate the dimension that data fill, whatever the number of columns.

    With distances T_1 < T_2 < ... to the neighbours of a point and mu = T_2/T_1,

    - ``levina-bickel``: ``1/d = mean of 1/(k-1) sum_{j<k} log(T_k/T_j)``, inverses averaged;
    - ``twonn``: slope through the origin of -log(1 - F(mu)) over log mu, the last tenth left out;
    - ``twonn-mle``: ``d = (n-1)/sum log mu``.

    Distances are Euclidean and exact. The answer belongs to the scale of the distances: with more
    points it looks closer.

    Parameters
    ----------
    x
        As in `isoloss.spectra.as_features`; exact duplicates are left out and counted.
    method, k
        Estimator, and neighbours for the first one, 3 and more.
    most
        Points used; more are thinned by chance.
    per_point
        Give each point's own estimate as well.
    groups, level, rng
        Groups of points for the jackknife, as in `isoloss.spectra.measure_spectrum`; level of the
        interval; seed.

    Raises
    ------
    InputError
        If a value breaks these rules, fewer points than 4 k are left, or half of them have
        neighbours at one distance.

    References
    ----------
    Levina and Bickel 2004, inverses averaged as by MacKay and Ghahramani 2005; Facco et al. 2017
    (TwoNN); both as in Bahri et al., arXiv:2102.06701.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((1000, 3)) @ np.ones((3, 10))
    >>> round(intrinsic_dimension(x, method="twonn").value, 1)
    1.0
    """
    if method not in METHODS:
        raise InputError(f"method = {method!r}: write one of {', '.join(METHODS)}")
    wanted = int(k) if method == "levina-bickel" else 2
    if k != int(k) or k < 3:
        raise InputError(f"k = {k!r}: must be a whole number of neighbours, 3 or more")
    level = as_level(level)
    seeded = rng if isinstance(rng, np.random.Generator) else np.random.default_rng(as_seed(rng))
    given = as_features(x)
    points, duplicates, kept = _points(given, most, 4 * wanted, seeded)
    labels = given.groups(groups)
    parts = as_groups(labels[kept] if np.ndim(labels) else labels, len(points), seeded)
    # Enough neighbours that some are left when a group is gone, with their own lists unchanged.
    spare = min(len(points) - 1, wanted + max(6, wanted))
    apart, who = nearest(points, spare)
    ties = float(np.mean(apart[:, wanted - 1] <= apart[:, 0] * (1 + _EQUAL)))
    if ties > _MOST_TIES:
        raise InputError(
            f"features: {100 * ties:.0f} % of points have neighbours at one distance, as on a "
            "grid; ratios of distances say nothing of their dimension"
        )
    whole = _estimate(apart[:, :wanted], method)
    member = np.empty(len(points), dtype=np.int64)
    for j, rows in enumerate(parts):
        member[rows] = j
    every = []
    for j in range(len(parts)):
        left = apart[member != j]
        alive = member[who[member != j]] != j
        # The first neighbours that are still there; a point that ran out of them is passed over.
        rank = np.cumsum(alive, axis=1)
        full = rank[:, -1] >= wanted
        chosen = alive & (rank <= wanted)
        every.append(_estimate(left[full][chosen[full]].reshape(-1, wanted), method))
    found = jackknife(whole, every, np.array([len(g) for g in parts]))
    own = _each(apart[:, :wanted], method) if per_point else None
    return Dimension(
        value=whole, se=float(found.se),
        interval=found.interval(level, centre=whole, what="points"), method=method, k=wanted,
        points=len(points), duplicates=duplicates, ties=ties, per_point=own,
    )  # fmt: skip


def dimension_bias(
    d: int, n: int, *, method: str = "levina-bickel", k: int = 20, draws: int = 4,
    shape: str = "cube", rng: int = 0,
) -> tuple[float, float]:  # fmt: skip
    """Mean and standard error of an estimate where the truth is known: n points in d dimensions.

    Parameters
    ----------
    d, n
        Dimension and points.
    method, k
        As in `intrinsic_dimension`.
    draws
        Clouds, 2 or more.
    shape
        ``"cube"`` (uniform) or ``"normal"``.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Levina and Bickel 2004, on the bias at the border of the data.

    Examples
    --------
    >>> mean, error = dimension_bias(10, 500)
    >>> 6 < mean < 9
    True
    """
    if shape not in ("cube", "normal"):
        raise InputError(f"shape = {shape!r}: write 'cube' or 'normal'")
    if not (d >= 1 and d == int(d) and n >= 100 and draws >= 2):
        raise InputError(
            f"d = {d!r}, n = {n!r}, draws = {draws!r}: whole numbers, at least 1, 100 and 2"
        )
    seed, values = as_seed(rng), []
    for i in range(draws):
        source = np.random.default_rng([seed, i])
        size = (int(n), int(d))
        x = source.random(size) if shape == "cube" else source.standard_normal(size)
        values.append(
            intrinsic_dimension(x, method=method, k=k, most=int(n), groups=5, rng=i).value
        )
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(draws))


def _points(features: Features, most: int, fewest: int, rng: np.random.Generator) -> Any:
    if most < fewest:
        raise InputError(f"most = {most!r}: at least {fewest} points are needed")
    rows = np.arange(features.n)
    if len(rows) > most:
        rows = np.sort(rng.choice(len(rows), most, replace=False))
    x = np.concatenate([block for _, block in features.blocks(rows)])
    unique = distinct(x)
    if len(unique) < fewest:
        raise InputError(
            f"features: {len(unique)} different points of {len(rows)}; at least {fewest} are needed"
        )
    # Of the size of one, so that squares of small distances stay in range.
    points = x[unique] / np.abs(x).max()
    return points, len(rows) - len(unique), rows[unique]


def _logs(apart: Array) -> Array:
    """Logarithms of the last distance over each of those before."""
    with np.errstate(divide="ignore"):
        return np.log(apart[:, -1:] / apart[:, :-1])


def _each(apart: Array, method: str) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(1 / _logs(apart).mean(axis=1))


def _estimate(apart: Array, method: str) -> float:
    logs = _logs(apart)
    if method == "levina-bickel":
        return float(1 / logs.mean())
    mu = np.sort(logs[:, 0])
    n = len(mu)
    if method == "twonn-mle":
        return float((n - 1) / mu.sum())
    used = int(_KEPT * n)
    x, y = mu[:used], -np.log1p(-np.arange(1, used + 1) / n)
    return float((x @ y) / (x @ x))

"""Value of individual data points: the law of a point's marginal contribution, and its uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero
from isoloss.theory.contributions import Chunk, Contributions, Ids
from isoloss.theory.contributions import stream_contributions as _stream
from isoloss.theory.point_likelihood import HIGH, LOW, Block, best_of_all, without_effect
from isoloss.theory.power_sums import mean_power

Estimator = Literal["likelihood", "log"]
STATUSES = ("ok", "few", "exact", "unconverged", "zero", "bound", "signs")
"""What can be said of a point, by code; all but the first are doubts."""

_BLOCK = 1 << 17
"""Numbers in a padded block: what stays in cache."""

_TELLING = 5.991464547107979
"""Twice the log likelihood that an effect must add: 95 % of chi-square with two parameters."""

_WEAK = 30.0
"""Below this the optimum is looked for from both ends as well."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointLaws:
    """Laws ``c k^-alpha`` of points, with noise of variance ``sigma^2 k^-beta``.

    Attributes
    ----------
    point
        Ids, (points,). All arrays have this shape.
    c, alpha
        Amplitude, with its sign, and exponent of the mean contribution.
    sigma, beta
        Standard deviation of one sample at size one, and exponent of the variance; NaN from the
        log estimator.
    nll
        Least negative log likelihood of a sample; NaN from the log estimator.
    r2
        Share of the log means' variance that a line explains; NaN from the likelihood.
    samples, sizes
        Samples, and different sizes among them.
    code
        Position in ``STATUSES``: ``few`` (fewer than 2 sizes or than 5 samples, 2 for the log
        estimator; no estimate), ``exact`` (no noise left: sigma is 0 and beta NaN),
        ``unconverged``, ``zero`` (an effect that the samples do not tell from none: alpha means
        nothing), ``bound`` (an exponent at the end of its range), ``signs`` (log estimator: means
        of both signs).
    gradient
        Largest derivative of ``nll`` left, in log exponents.
    centre, var_c, var_alpha, cov
        Mean log size, and variances and covariance of alpha and of the amplitude there.

    Examples
    --------
    >>> from isoloss.theory import group_contributions
    >>> k = np.repeat(np.arange(100, 1001, 100), 4)
    >>> noise = np.tile([1, -1, 0.5, -0.5], 10)
    >>> delta = 2 * k**-1.2 + 0.3 * noise / k
    >>> found = fit_points(group_contributions(np.zeros(40), k, delta))
    >>> [round(float(getattr(found, n)[0]), 6) for n in ("c", "alpha", "sigma", "beta", "nll")]
    [2.0, 1.2, 0.237171, 2.0, -6.135648]
    """

    point: Ids
    c: Array
    alpha: Array
    sigma: Array
    beta: Array
    nll: Array
    r2: Array
    samples: Array
    sizes: Array
    code: npt.NDArray[np.uint8]
    gradient: Array
    centre: Array
    var_c: Array
    var_alpha: Array
    cov: Array

    def __post_init__(self) -> None:
        for name in self.__slots__:
            kind = {"point": np.int64, "code": np.uint8}.get(name)
            if kind is None:
                object.__setattr__(self, name, freeze(getattr(self, name)))
            else:
                array = np.array(getattr(self, name), dtype=kind)
                array.flags.writeable = False
                object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return self.point.size

    def __repr__(self) -> str:
        return f"PointLaws({len(self)} points, {int(self.ok.sum())} without doubt)"

    @property
    def verdict(self) -> npt.NDArray[np.str_]:
        """Word of ``STATUSES`` of each point."""
        return np.array(STATUSES)[self.code]

    @property
    def ok(self) -> npt.NDArray[np.bool_]:
        """Whether a point has an estimate without doubt; ``exact`` counts."""
        return np.isin(self.code, [STATUSES.index("ok"), STATUSES.index("exact")])

    def value(self, k: float) -> Array:
        """Give the expected contribution to a set of size k, ``c k^-alpha``; NaN if unknown."""
        size = as_above_zero("k", k)
        with np.errstate(over="ignore"):
            return np.asarray(self.c * size**-self.alpha)

    def error(self, k: float) -> Array:
        """Give the standard error of `value` at size k; NaN from the log estimator."""
        z = np.log(as_above_zero("k", k)) - self.centre
        with np.errstate(over="ignore", invalid="ignore"):
            at_centre = self.c * np.exp(-self.alpha * self.centre)
            inside = (
                self.var_c - 2 * z * at_centre * self.cov + (z * at_centre) ** 2 * (self.var_alpha)
            )
            return np.asarray(np.exp(-self.alpha * z) * np.sqrt(np.maximum(inside, 0.0)))

    def mean_value(self, low: int, high: int) -> Array:
        """Distributional Shapley value: mean of `value` over every whole size of a range.

        Parameters
        ----------
        low, high
            Smallest and largest size, whole, ``1 <= low <= high``.

        Examples
        --------
        >>> from isoloss.theory import group_contributions
        >>> k = np.repeat(np.arange(100, 1001, 100), 4)
        >>> found = fit_points(group_contributions(np.zeros(40), k, 2 * k**-1.2))
        >>> f"{found.mean_value(100, 1000)[0]:.11f}"
        '0.00163532236'
        """
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self.c * mean_power(self.alpha, low, high))

    def to_columns(self) -> dict[str, Any]:
        """Table with one row a point."""
        names = ("point", "c", "alpha", "sigma", "beta", "nll", "r2", "samples", "sizes")
        return {n: getattr(self, n) for n in names} | {"status": self.verdict}

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {k: v.tolist() for k, v in self.to_columns().items()}


def fit_points(contributions: Contributions, *, estimator: Estimator = "likelihood") -> PointLaws:
    r"""Fit the law of every point, all at once.

    Samples at size k are taken as normal around :math:`c k^{-\alpha}` with variance
    :math:`\sigma^2 k^{-\beta}`; c and sigma are profiled out, both exponents found by Newton's
    method in their logarithms from the best of forty starts, and for weak effects from three.

    Parameters
    ----------
    contributions
        Of `group_contributions` or `stream_contributions`.
    estimator
        ``"likelihood"``, or ``"log"``: a line through the logarithms of the mean contribution at
        each size, with their signs dropped.

    Raises
    ------
    InputError
        If the estimator is another.

    References
    ----------
    arXiv:2405.20456, estimators 1 (log) and 2 (likelihood) for single points.

    Examples
    --------
    >>> from isoloss.theory import group_contributions
    >>> k = np.tile([100, 300, 900], 2)
    >>> found = fit_points(group_contributions([0] * 3 + [1] * 3, k, 5.0 / k), estimator="log")
    >>> found.alpha.round(9).tolist(), found.c.round(9).tolist()
    ([1.0, 1.0], [5.0, 5.0])
    """
    if estimator not in ("likelihood", "log"):
        raise InputError(f"estimator = {estimator!r}: write 'likelihood' or 'log'")
    fields: dict[str, Array] = {
        n: np.full(len(contributions), np.nan) for n in PointLaws.__slots__[1:]
    }
    rows = np.diff(contributions.first)
    code = np.full(rows.size, STATUSES.index("few"), dtype=np.uint8)
    fields["sizes"] = rows.astype(np.float64)
    if rows.size:
        fields["samples"] = np.add.reduceat(contributions.count, contributions.first[:-1])
    least = 5 if estimator == "likelihood" else 2
    can = np.flatnonzero((rows >= 2) & (fields["samples"] >= least))
    can = can[np.argsort(rows[can], kind="stable")]
    one = _likelihood if estimator == "likelihood" else _log
    start = 0
    while start < can.size:
        stop = start + max(1, _BLOCK // int(rows[can[start]]))
        # Rows rise, so the last point of the block says how wide it is.
        while stop > start + 1 and int(rows[can[min(stop, can.size) - 1]]) * (
            min(stop, can.size) - start
        ) > (2 * _BLOCK):
            stop = start + (min(stop, can.size) - start) // 2
        mine = can[start:stop]
        found, codes = one(_padded(contributions, mine))
        for name, values in found.items():
            fields[name][mine] = values
        code[mine] = codes
        start = stop
    del fields["code"]
    return PointLaws(point=contributions.point, code=code, **fields)


def fit_stream(
    chunks: Iterable[Chunk], *, estimator: Estimator = "likelihood", in_order: bool = True,
    **where: Any,
) -> Iterator[PointLaws]:  # fmt: skip
    """Fit points while their samples come in, so that memory holds a part of them at a time.

    Parameters
    ----------
    chunks, in_order, where
        As `stream_contributions` takes them: triples of ids, sizes and contributions.
    estimator
        As in `fit_points`.

    Yields
    ------
    PointLaws
        Of the points that are complete; none comes twice.

    Raises
    ------
    InputError
        If a value breaks the rules.

    Examples
    --------
    >>> rng, k = np.random.default_rng(0), np.geomspace(100, 1000, 50).round()
    >>> chunks = ((np.full(50, i), k, (2 + rng.normal(0, 0.1, 50)) / k) for i in range(3))
    >>> [float(part.alpha[0].round(1)) for part in fit_stream(chunks)]
    [1.0, 1.0, 1.0]
    """
    for part in _stream(chunks, in_order=in_order, **where):
        yield fit_points(part, estimator=estimator)


def _padded(contributions: Contributions, points: npt.NDArray[np.int64]) -> tuple[Array, ...]:
    """Log sizes, counts, means and spreads of some points, (points, most sizes)."""
    start, stop = contributions.first[points], contributions.first[points + 1]
    wide = int((stop - start).max())
    index = start[:, None] + np.arange(wide)
    there = index < stop[:, None]
    index = np.where(there, index, start[:, None])
    log = np.log(contributions.size[index])
    count = np.where(there, contributions.count[index], 0.0)
    mean = np.where(there, contributions.mean[index], 0.0)
    spread = np.where(there, contributions.spread[index], 0.0)
    return log, count, mean, spread


def _likelihood(rows: tuple[Array, ...]) -> tuple[dict[str, Array], npt.NDArray[np.uint8]]:
    log, count, mean, spread = rows
    n = count.sum(axis=1)
    centre = (count * log).sum(axis=1) / n
    power = (count * mean**2).sum(axis=1) + spread.sum(axis=1)
    unit = np.sqrt(power / n)
    nothing = unit == 0
    safe = np.where(nothing, 1.0, unit)[:, None]
    x = np.where(count > 0, log - centre[:, None], 0.0)
    block = Block(x, count, mean / safe, spread / safe**2)
    block.m[nothing] = 1.0
    none = without_effect(block)
    best = best_of_all(block, lambda f: n * 2 * (none - f) < _WEAK)
    a, b, now, left, done = best.a, best.b, best.terms, best.left, best.done
    alpha, beta = np.exp(a), np.exp(b)
    exact = 1e-20 * n >= now.F
    gain = n * 2 * (none - now.f)
    bound = (a <= LOW + 1e-9) | (a >= HIGH - 1e-9) | (b <= LOW + 1e-9) | (b >= HIGH - 1e-9)
    codes = np.select(
        [nothing, exact, ~done, gain < _TELLING, bound],
        [STATUSES.index(s) for s in ("zero", "exact", "unconverged", "zero", "bound")],
        STATUSES.index("ok"),
    ).astype(np.uint8)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        noise = np.where(exact, 0.0, now.F / n)
        det = now.A[0] * now.A[2] - now.A[1] ** 2
        scale = noise / det
        found = {
            "c": now.c * unit * np.exp(alpha * centre),
            "alpha": alpha,
            "sigma": np.where(exact, 0.0, np.sqrt(noise) * unit * np.exp(beta * centre / 2)),
            "beta": np.where(exact, np.nan, beta),
            "nll": np.where(exact, -np.inf, (np.log(2 * np.pi * noise) + 1) / 2 + np.log(unit)),
            "gradient": left,
            "centre": centre,
            "var_c": scale * now.A[2] * unit**2,
            "var_alpha": scale * now.A[0] / now.c**2,
            "cov": scale * now.A[1] / now.c * unit,
        }
    for name in ("c", "sigma"):
        found[name] = np.where(nothing, 0.0, found[name])
    for name in ("alpha", "beta", "nll", "var_c", "var_alpha", "cov"):
        found[name] = np.where(nothing, np.nan, found[name])
    return found, codes


def _log(rows: tuple[Array, ...]) -> tuple[dict[str, Array], npt.NDArray[np.uint8]]:
    log, count, mean, _ = rows
    seen = (count > 0) & (mean != 0)
    n = seen.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        y = np.where(seen, np.log(np.abs(mean)), 0.0)
        x = np.where(seen, log, 0.0)
        x = np.where(seen, x - (x.sum(axis=1) / n)[:, None], 0.0)
        y = np.where(seen, y - (y.sum(axis=1) / n)[:, None], 0.0)
        sxx, sxy, syy = ((p * q).sum(axis=1) for p, q in ((x, x), (x, y), (y, y)))
        alpha = -sxy / sxx
        r2 = np.where(syy > 0, sxy**2 / (sxx * syy), 1.0)
        # The amplitude takes every sample, those of mean zero too.
        v = np.exp(-alpha[:, None] * log)
        c = (count * mean * v).sum(axis=1) / (count * v * v).sum(axis=1)
    signs = (seen & (mean > 0)).any(axis=1) & (seen & (mean < 0)).any(axis=1)
    codes = np.select(
        [n < 2, signs], [STATUSES.index("few"), STATUSES.index("signs")], STATUSES.index("ok")
    ).astype(np.uint8)
    few = n < 2
    return {
        "c": np.where(few, np.nan, c), "alpha": np.where(few, np.nan, alpha),
        "r2": np.where(few, np.nan, r2),
    }, codes  # fmt: skip


def join_points(laws: Iterable[PointLaws]) -> PointLaws:
    """Join parts of a stream.

    Examples
    --------
    >>> from isoloss.theory import group_contributions
    >>> k = np.tile([100.0, 300, 900], 2)
    >>> part = fit_points(group_contributions(np.repeat([0, 1], 3), k, 1 / k), estimator="log")
    >>> len(join_points([part, part]))
    4
    """
    parts = list(laws)
    if not parts:
        raise InputError("laws: is empty; there is nothing to join")
    return PointLaws(
        **{n: np.concatenate([getattr(p, n) for p in parts]) for n in PointLaws.__slots__}
    )

"""Are size and time exchangeable in measured losses: one curve of ``N^g D``, or not."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_seed, as_vector, freeze
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero
from isoloss.theory.collapse import (
    Best,
    Plane,
    best_angle,
    resampled,
    surface_test,
    two_term_scatter,
)

Labels = npt.NDArray[np.int64]
_LEAST = 3
"""Points that a level of size needs to have a curve of its own."""

_OVERLAP = 0.75
_RUNS = 5
"""Fewer cannot stand for all that might have been run."""

_SPAN = 0.2
"""Log time that a level has to span."""

_METHOD = "bootstrap over runs"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exchange:
    """How size and time exchange.

    Attributes
    ----------
    g, interval
        Exponent at which the loss is closest to one curve of ``N^g D``, and its interval.
    root
        Model scale is ``N^(1/root)``.
    scatter
        Standard deviation of log loss around that curve.
    noise
        Standard deviation of log loss among runs of equal N and D; NaN without such runs.
    two_term
        That around ``E + A N^-alpha + B D^-beta``, fitted to the same.
    p_collapse
        Chance of departures from one curve as large as these if there were none, by an F test
        against curves that change with N; NaN where points of one run make it meaningless.
    points, runs
        Numbers of both.
    level_N
        Mean N of each level of size, (levels,).
    local_g, local_low, local_high
        Exponent between a level and the next, and its interval, (levels - 1,).
    most_g, local_most
        Largest exponents looked at, (levels - 1,) the latter: there the curves of neighbouring
        sizes overlap in a quarter of their length. An exponent that reaches it is a lower bound:
        no time in the data buys as much as the next size.
    tolerance
        Scatter within which one curve is said to hold.
    range_N, range_g, range_scatter
        Widest range of levels with one curve within the tolerance, its exponent and its scatter;
        NaN where there is none of two levels.
    """

    g: float
    interval: Interval
    root: float
    scatter: float
    noise: float
    two_term: float
    p_collapse: float
    points: int
    runs: int
    level_N: Array
    local_g: Array
    local_low: Array
    local_high: Array
    most_g: float
    local_most: Array
    tolerance: float
    range_N: tuple[float, float]
    range_g: float
    range_scatter: float

    def __post_init__(self) -> None:
        for name in ("level_N", "local_g", "local_low", "local_high", "local_most"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return f"Exchange(N^{self.g:.4g} D, scatter {100 * self.scatter:.3g} %)"

    @property
    def scale_exponent(self) -> float:
        """Exponent of the model scale, ``root g``: one where scale and time exchange exactly."""
        return self.root * self.g

    @property
    def scale_interval(self) -> Interval:
        """Interval of `scale_exponent`."""
        low, high = (self.root * v for v in (self.interval.low, self.interval.high))
        return Interval(low=low, high=high, level=self.interval.level, method=_METHOD)

    @property
    def exact(self) -> bool:
        """Whether one curve holds everywhere and scale and time may exchange one for one."""
        return self.scatter <= self.tolerance and 1.0 in self.scale_interval

    @property
    def sentence(self) -> str:
        """The answer in words."""
        known = bool(np.isfinite(self.interval.low))
        inside = f"{self.interval.low:.3g} to {self.interval.high:.3g}"
        inside = f" (at {100 * self.interval.level:g} %: {inside})" if known else ""
        said = (
            f"Closest to one curve of N^{self.g:.3g} D{inside}, scatter "
            f"{100 * self.scatter:.2g} %; the law of two terms leaves {100 * self.two_term:.2g} %"
        )
        if np.isfinite(self.noise):
            said += f", equal runs differ by {100 * self.noise:.2g} %"
        if np.isnan(self.range_g):
            said += f". No two neighbouring sizes share one curve within {100 * self.tolerance:g} %"
        else:
            low, high = self.range_N
            said += (
                f". One curve holds within {100 * self.tolerance:g} % from N = {low:.3g} to "
                f"{high:.3g}, with g = {self.range_g:.3g}"
            )
        if not known:
            return f"{said}. Of N^(1/{self.root:g}) the exponent is {self.scale_exponent:.3g}."
        word = "may be" if 1.0 in self.scale_interval else "is not"
        scale = f"N^(1/{self.root:g})"
        return (
            f"{said}. The exchange of {scale} and D {word} one for one ({scale} has exponent "
            + (f"{self.scale_exponent:.3g}).")
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        skip = ("interval", "range_N")
        plain = {n: getattr(self, n) for n in self.__slots__ if n not in skip}
        for name, value in plain.items():
            if isinstance(value, np.ndarray):
                plain[name] = value.tolist()
        return plain | {
            "interval": self.interval.to_dict(), "range_N": list(self.range_N),
            "scale_exponent": self.scale_exponent, "scale_interval": self.scale_interval.to_dict(),
            "exact": self.exact, "sentence": self.sentence,
        }  # fmt: skip


def exchange(
    N: Any, D: Any, loss: Any, *, run: Any = None, root: float = 3.0, tolerance: float = 0.01,
    draws: int = 400, level: float = 0.9, rng: int = 0,
) -> Exchange:  # fmt: skip
    """Ask of measured losses whether more size does what more time does.

    The loss is fitted by a smooth curve of ``N^g D``, any curve, and g is where its residuals are
    least. If size and time exchange, all runs lie on it; how far they do not is set beside the
    noise and beside a law with a term of its own for each. The same between neighbouring levels
    of size says over which range.

    Parameters
    ----------
    N, D, loss
        Parameters, time in tokens, examples or steps, and loss, all above zero, (n,).
    run
        Id of the run that a point belongs to, (n,), where runs have more than one point; runs are
        what is resampled. By default each point is a run.
    root
        Model scale is ``N^(1/root)``; 3 is the heuristic of the paper.
    tolerance
        Scatter of log loss within which one curve is said to hold.
    draws
        Bootstrap draws, 0 for no intervals; below five runs there are none either.
    level
        Of the intervals.
    rng
        Seed.

    Raises
    ------
    InputError
        If a value breaks these rules, there are fewer than 8 points, or N and D do not vary apart.

    References
    ----------
    arXiv:2409.05782: size and time as one resource, and the cube root of the parameters as model
    scale.

    Examples
    --------
    >>> sizes, times = 10.0 ** np.arange(6, 10), np.geomspace(1e8, 1e11, 9)
    >>> N, D = (v.ravel() for v in np.meshgrid(sizes, times))
    >>> found = exchange(N, D, 2 + (N**0.5 * D) ** -0.1, draws=50)
    >>> round(found.g, 3), found.scatter < 1e-4, found.range_N == (1e6, 1e9)
    (0.5, True, True)
    >>> exchange(N, D, 2 + 40 * N**-0.3 + 900 * D**-0.3, draws=0).scatter > 0.03
    True
    """
    size, time, value = (as_vector(n, v, positive=True) for n, v in _named(N, D, loss))
    if not size.size == time.size == value.size:
        raise InputError(f"N, D, loss: lengths differ ({size.size}, {time.size}, {value.size})")
    if size.size < 8:
        raise InputError(f"N, D, loss: {size.size} points are too few to see a curve; give 8")
    u, v, y = np.log(size), np.log(time), np.log(value)
    _check_apart(u, v)
    _, ids = np.unique(
        np.arange(size.size) if run is None else _ids(run, size.size), return_inverse=True
    )
    root, tolerance = as_above_zero("root", root), as_above_zero("tolerance", tolerance)
    level, seed = as_level(level), as_seed(rng)
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 0:
        raise InputError(f"draws = {draws!r}: must be a whole number, zero or more")
    bands = _levels(u, v)
    most = _overlapping(u, v, bands)
    plane = Plane.of(u, v, y, float(np.median(most)))
    best = best_angle(plane)
    g, interval = _interval(plane, best, ids, draws, level, seed)
    single = ids.max() + 1 == ids.size
    lows, highs, mid = [], [], []
    for i in range(len(bands) - 1):
        inside = np.concatenate(bands[i : i + 2])
        part = Plane.of(u[inside], v[inside], y[inside], most[i])
        found = best_angle(part, most=5)
        local, ends = _interval(part, found, ids[inside], min(draws, 200), level, seed)
        mid.append(local)
        lows.append(ends.low)
        highs.append(ends.high)
    widest = _widest(u, v, y, bands, most, tolerance)
    return Exchange(
        g=g, interval=interval, root=root, scatter=best.scatter, noise=_noise(u, v, y),
        two_term=two_term_scatter(u, v, y),
        p_collapse=surface_test(plane, best.angle, best.columns) if single else np.nan,
        points=size.size, runs=int(ids.max()) + 1,
        level_N=np.array([_tidy(np.exp(u[b].mean())) for b in bands]), local_g=np.array(mid),
        local_low=np.array(lows), local_high=np.array(highs), most_g=float(np.median(most)),
        local_most=most, tolerance=tolerance,
        range_N=widest[0], range_g=widest[1], range_scatter=widest[2],
    )  # fmt: skip


def _named(N: Any, D: Any, loss: Any) -> list[tuple[str, Any]]:
    return [("N", N), ("D", D), ("loss", loss)]


def _ids(run: Any, count: int) -> Any:
    ids = np.asarray(run)
    if ids.shape != (count,):
        raise InputError(f"run: shape {ids.shape} for {count} points")
    return ids


def _check_apart(u: Array, v: Array) -> None:
    if np.ptp(u) < 1e-6 or np.ptp(v) < 1e-6:
        raise InputError("N, D: both must vary, or nothing can be exchanged")
    together = np.corrcoef(u, v)[0, 1]
    if abs(together) > 1 - 1e-6:
        raise InputError(
            "N, D: rise in step, so that any exchange fits; add runs with another D at the same N"
        )


def _interval(
    plane: Plane, best: Best, ids: Labels, draws: int, level: float, seed: int
) -> tuple[float, Interval]:
    g = plane.exponent(best.angle)
    if not draws or np.unique(ids).size < _RUNS:
        return g, Interval(low=np.nan, high=np.nan, level=level, method="none")
    angles = resampled(plane, best.columns, ids, draws, np.random.default_rng(seed))
    # Residuals of a fit are smaller than noise by the parameters that it took.
    runs = np.unique(ids).size
    wider = np.sqrt(runs / max(runs - best.columns - 1, 1))
    angles = np.clip(best.angle + wider * (angles - best.angle), -plane.limit, plane.limit)
    ends = [plane.exponent(a) for a in np.quantile(angles, [(1 - level) / 2, (1 + level) / 2])]
    return g, Interval(low=ends[0], high=ends[1], level=level, method=_METHOD)


def _levels(u: Array, v: Array) -> list[Labels]:
    """Positions of the points of each level of size: each N, or shares of all where N vary."""
    values, where = np.unique(u, return_inverse=True)
    full = [np.flatnonzero(where == i) for i in range(values.size)]
    # A level whose time hardly varies has no curve to lay over another.
    full = [i for i in full if i.size >= _LEAST and np.ptp(v[i]) > _SPAN]
    if len(full) >= 2 and sum(i.size for i in full) >= 0.5 * u.size and values.size <= 40:
        return full
    order = np.argsort(u, kind="stable")
    parts = np.array_split(order, max(2, min(6, u.size // 6)))
    return [np.asarray(p, dtype=np.int64) for p in parts]


def _overlapping(u: Array, v: Array, bands: list[Labels]) -> Array:
    """Find the largest exponent between levels at which their curves overlap in a quarter."""
    found = []
    for one, other in pairwise(bands):
        gap = max(float(u[other].mean() - u[one].mean()), 1e-12)
        found.append(_OVERLAP * max(float(min(np.ptp(v[one]), np.ptp(v[other]))), 1e-6) / gap)
    return np.array(found)


def _widest(
    u: Array, v: Array, y: Array, bands: list[Labels], most: Array, tolerance: float
) -> tuple[tuple[float, float], float, float]:
    """Find the range of levels, widest in log N, whose points lie on one curve."""
    best: tuple[float, tuple[float, float], float, float] | None = None
    for i in range(len(bands)):
        for j in range(len(bands) - 1, i, -1):
            inside = np.concatenate(bands[i : j + 1])
            wide = float(np.ptp(u[inside]))
            if (best is not None and wide <= best[0]) or inside.size < 8 or np.ptp(v[inside]) == 0:
                continue
            part = Plane.of(u[inside], v[inside], y[inside], float(np.median(most[i:j])))
            found = best_angle(part, most=6)
            if found.scatter <= tolerance:
                ends = np.exp([u[inside].min(), u[inside].max()])
                best = (wide, (float(ends[0]), float(ends[1])), part.exponent(found.angle),
                        found.scatter)  # fmt: skip
                break
    if best is None:
        return (np.nan, np.nan), np.nan, np.nan
    (low, high), g, scatter = best[1:]
    return (_tidy(low), _tidy(high)), g, scatter


def _noise(u: Array, v: Array, y: Array) -> float:
    """Give the standard deviation among points of equal N and D."""
    _, where = np.unique(np.stack([u, v]), axis=1, return_inverse=True)
    where = where.ravel()
    counts = np.bincount(where)
    free = u.size - counts.size
    if free < 2:
        return float("nan")
    off = y - (np.bincount(where, weights=y) / counts)[where]
    return float(np.sqrt(off @ off / free))


def _tidy(value: float) -> float:
    """Round to twelve digits, so that sizes are given back as they came."""
    return float(f"{value:.12g}")

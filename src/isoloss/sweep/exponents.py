r"""Exponents of measured losses: how fast they fall along one resource, and how sure that is.

Two kinds are told apart. Where a resource is nearly unlimited its loss approaches a limit that
the *other* resource sets, :math:`L(x) - L(\infty) \sim x^{-a}`, and theory says :math:`a = 1`;
where it is what limits, the loss itself falls, :math:`L(x) = E + A x^{-a}`, and *a* depends on
the data and the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_vector, freeze
from isoloss._core.interval import Interval
from isoloss.errors import FitError, InputError
from isoloss.fit import fit, profile
from isoloss.laws import Law, get_law

AXIS = "D"
"""Name under which any resource goes to the fit; the law has one resource and no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponent:
    """An exponent with its interval and what it was read from.

    Attributes
    ----------
    value, interval
        The exponent, and the hull of the two intervals below.
    of_law
        From the profile of the fit to the means over seeds: it sees noise that differs from one
        x to the next and the law's misfit. An end is infinite where the points do not close it.
    of_seeds
        From leaving out each seed in turn (jackknife, Student's t); ``None`` below three seeds.
        It sees what a seed does to all x at once.
    floor, floor_interval
        The value that is approached; a number that was given has no interval.
    amplitude
        A of ``floor + A x^-value``.
    low, high
        Smallest and largest x used.
    points, seeds
        Distinct x, and seeds (1 where none were named).
    misfit
        Root mean square of the log residuals of the means.
    reasons
        Doubts in words, empty where there are none.
    """

    value: float
    interval: Interval
    of_law: Interval
    of_seeds: Interval | None
    floor: float
    floor_interval: Interval | None
    amplitude: float
    low: float
    high: float
    points: int
    seeds: int
    misfit: float
    reasons: tuple[str, ...]

    @property
    def closed(self) -> bool:
        """Whether both ends of the interval are finite numbers above zero."""
        return self.interval.low > 0 and self.interval.high < np.inf

    def predict(self, x: npt.ArrayLike) -> Array:
        """Loss at x, ``floor + amplitude x^-value``."""
        return np.asarray(self.floor + self.amplitude * np.asarray(x, dtype=float) ** -self.value)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        plain: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            plain[name] = value.to_dict() if isinstance(value, Interval) else value
        return plain | {"reasons": list(self.reasons)}

    def __repr__(self) -> str:
        low, high = self.interval.low, self.interval.high
        return f"Exponent({self.value:.3g} [{low:.3g}, {high:.3g}], floor {self.floor:.3g})"


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Means over seeds at each x, and the rows behind them."""

    x: Array
    loss: Array
    seed: npt.NDArray[np.int64]
    at: Array
    seeds: int

    def means(self, *, without: int = -1, only: int = -1) -> tuple[Array, Array]:
        """Distinct x and mean losses, of all seeds, all but one, or one."""
        keep = self.seed == only if only >= 0 else self.seed != without
        at, which = np.unique(self.x[keep], return_inverse=True)
        return at, np.bincount(which, self.loss[keep]) / np.bincount(which)

    def weights(self) -> Array | None:
        """One over the variance of each log mean, smoothed as a power of x; None if unknown."""
        spread = []
        for x in self.at:
            values = self.loss[self.x == x]
            if len(values) > 1 and np.ptp(values) > 0:
                sd = np.std(values, ddof=1) / values.mean()
                spread.append((np.log(x), np.log(sd), len(values)))
        if len(spread) < 3:
            return None
        u, v, n = np.array(spread).T
        slope, level = np.polyfit(u, v, 1, w=np.sqrt(n - 1))
        sd = np.exp(level + slope * np.log(self.at))
        count = np.array([np.sum(self.x == x) for x in self.at])
        weights = count / sd**2
        return np.asarray(weights / weights.mean())


def decay_exponent(
    x: npt.ArrayLike,
    loss: npt.ArrayLike,
    *,
    seed: npt.ArrayLike | None = None,
    floor: float | None = None,
    low: float = 0.0,
    high: float = np.inf,
    weigh: bool = False,
    level: float = 0.9,
) -> Exponent:
    r"""Fit :math:`L(x) = E + A x^{-a}` to the means over seeds.

    Parameters
    ----------
    x, loss
        Resource and loss of each run, (n,).
    seed
        Label of each run, (n,): runs of one seed share what the seed drew (a teacher, a subset,
        initial weights) at every x.
    floor
        ``None`` fits E; a number, such as 0, fixes it.
    low, high
        Only x from ``low`` to ``high`` are used.
    weigh
        Weigh each mean by one over its variance over seeds, smoothed as a power of x; by default
        all relative errors count alike, which is right where the law's misfit is the larger.
    level
        Confidence level.

    Raises
    ------
    InputError
        Values that are not positive, unequal lengths, or too few distinct x for the law.

    Notes
    -----
    The interval holds if the law is right over the range; a range that is too wide shows as
    misfit or as an exponent that moves with ``low``. `local_slopes` shows it point by point.

    Examples
    --------
    >>> x = 2.0 ** np.arange(6, 14)
    >>> found = decay_exponent(x, 0.2 + 3 * x**-0.5)
    >>> round(found.value, 4), round(found.floor, 4)
    (0.5, 0.2)
    """
    table = _table(x, loss, seed, low, high)
    if floor is not None and not (np.isfinite(floor) and floor >= 0):
        raise InputError(f"floor = {floor}: must be a finite number of at least 0, or None")
    return _exponent(table, _law(floor), weigh=weigh, level=as_level(level), limit=floor)


def variance_exponent(
    x: npt.ArrayLike,
    loss: npt.ArrayLike,
    *,
    seed: npt.ArrayLike | None = None,
    limit: npt.ArrayLike | None = None,
    low: float = 0.0,
    high: float = np.inf,
    weigh: bool = False,
    level: float = 0.9,
) -> Exponent:
    r"""Fit the approach to a limit, :math:`|L(x) - L(\infty)| = A x^{-a}`, from above.

    Without a measured limit, :math:`L(\infty)` is fitted together with *a*, as in
    `decay_exponent` with a free floor. With one, the excess over it is what is fitted.

    Parameters
    ----------
    x, loss, seed, low, high, weigh, level
        As in `decay_exponent`.
    limit
        :math:`L(\infty)` of each run, (n,), or one number. With one for each run (the loss of the
        run's own reference: the same seed at unlimited x, or the loss of the mean prediction of
        the ensemble the run belongs to) what the two have in common drops out, and the spread of
        the limits over seeds is no error.

    Raises
    ------
    InputError
        As in `decay_exponent`; or a mean excess that is not positive at some x, where the limit
        is too high or the noise too large.

    References
    ----------
    Bahri et al., arXiv:2102.06701, theorem 1: the exponent is 1 for smooth losses.

    Examples
    --------
    >>> x = 2.0 ** np.arange(4, 10)
    >>> round(variance_exponent(x, 0.5 + 2 / x, limit=0.5).value, 4)
    1.0
    """
    if limit is None:
        return decay_exponent(x, loss, seed=seed, low=low, high=high, weigh=weigh, level=level)
    far = np.broadcast_to(np.asarray(limit, dtype=np.float64), np.shape(loss))
    full = _table(x, loss, seed, low, high)
    kept = _within(as_vector("x", x), low, high)
    excess = full.loss - far[kept]
    table = replace(full, loss=excess)
    at, mean = table.means()
    if not (mean > 0).all():
        worst = int(np.argmin(mean))
        raise InputError(
            f"limit: the mean loss at x = {at[worst]:g} is not above it "
            f"(difference {mean[worst]:.3g}); leave out the largest x or add seeds"
        )
    found = _exponent(table, _law(0.0), weigh=weigh, level=as_level(level), limit=0.0)
    return replace(found, floor=float(far[kept].mean()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalSlopes:
    """Slopes ``-d log(L - floor) / d log x`` between neighbouring x.

    Attributes
    ----------
    x
        Geometric means of neighbours, (m,).
    slope, error
        Slope, and its standard error from the spread over seeds, (m,); the error is NaN below two
        seeds that both neighbours share.
    seeds
        Seeds that both neighbours share, (m,).
    """

    x: Array
    slope: Array
    error: Array
    seeds: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("x", "slope", "error"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of the slopes."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    def __repr__(self) -> str:
        return f"LocalSlopes({', '.join(f'{s:.2f}' for s in self.slope)})"


def local_slopes(
    x: npt.ArrayLike, loss: npt.ArrayLike, *, seed: npt.ArrayLike, floor: float = 0.0
) -> LocalSlopes:
    """Take slopes between neighbouring x within each seed, and average over seeds.

    Raises
    ------
    InputError
        If a loss is not above the floor, or fewer than two x are given.

    Examples
    --------
    >>> local_slopes([1, 2, 4], [1.0, 0.5, 0.25], seed=[0, 0, 0])
    LocalSlopes(1.00, 1.00)
    """
    table = _table(x, loss, seed, 0.0, np.inf)
    if len(table.at) < 2:
        raise InputError("x: one value; slopes need two")
    if not (np.isfinite(floor) and (table.loss > floor).all()):
        raise InputError(f"floor = {floor}: must be a number below every loss")
    logs = np.full((table.seeds, len(table.at)), np.nan)
    for s in range(table.seeds):
        at, mean = table.means(only=s)
        logs[s, np.searchsorted(table.at, at)] = np.log(mean - floor)
    steps = np.diff(np.log(table.at))
    found = -np.diff(logs, axis=1) / steps
    shared = np.isfinite(found).sum(0)
    error, slope = np.full(len(steps), np.nan), np.full(len(steps), np.nan)
    for j, n in enumerate(shared):
        values = found[np.isfinite(found[:, j]), j]
        if n:
            slope[j] = values.mean()
        if n > 1:
            error[j] = values.std(ddof=1) / np.sqrt(n)
    middle = np.exp((np.log(table.at[1:]) + np.log(table.at[:-1])) / 2)
    return LocalSlopes(x=middle, slope=slope, error=error, seeds=shared)


def interpolated_up_to(
    x: npt.ArrayLike, loss: npt.ArrayLike, train_loss: npt.ArrayLike, *, share: float = 0.1
) -> float:
    """Give the largest x up to which models fit their training examples; 0 if none does.

    Beyond it the optimiser or the model's size, not the resolution of the data, sets the loss. Use
    it as ``high`` of `decay_exponent` where the data's exponent is asked for.

    Parameters
    ----------
    x, loss, train_loss
        Examples, test loss and training loss of each run, (n,).
    share
        A model counts as fitting where its mean training loss is at most this share of its mean
        test loss, at this x and all smaller ones.

    Examples
    --------
    >>> interpolated_up_to([10, 20, 40], [1.0, 0.5, 0.3], [0.0, 0.01, 0.2])
    20.0
    """
    at, test = as_vector("x", x, positive=True), as_vector("loss", loss, positive=True)
    train = as_vector("train_loss", train_loss)
    if not len(at) == len(test) == len(train):
        raise InputError(
            f"x, loss, train_loss: {len(at)}, {len(test)} and {len(train)}; give one each a run"
        )
    if not 0 < share < 1:
        raise InputError(f"share = {share}: must lie between 0 and 1")
    found, which = np.unique(at, return_inverse=True)
    fits = np.bincount(which, train) <= share * np.bincount(which, test)
    count = len(found) if fits.all() else int(np.argmin(fits))
    return float(found[count - 1]) if count else 0.0


def regime_labels(
    N: npt.ArrayLike,
    D: npt.ArrayLike,
    loss: npt.ArrayLike,
    *,
    floor: float = 0.0,
    tolerance: float = 0.1,
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    r"""Name what limits each run of a measured grid, in data and in size.

    The losses of unlimited data, :math:`L(\infty, N)`, and of unlimited size are read at the
    largest D of the same N and at the largest N of the same D. No law is assumed; for the law's
    own limits use `isoloss.fit.measured_regimes`.

    Parameters
    ----------
    N, D, loss
        One entry a run, (n,); runs of equal N and D are averaged.
    floor
        Loss that neither resource removes; what lies above it is compared.
    tolerance
        A limit is reached where the loss lies within this share of it.

    Returns
    -------
    data, size
        ``variance``, ``resolution``, ``mixed`` or ``both`` as in `isoloss.theory.classify`, and
        ``edge`` for runs that are themselves a limit (of the largest D of their N or the largest
        N of their D), which say nothing about themselves, (n,).

    References
    ----------
    Bahri et al., arXiv:2102.06701, sec. 2.

    Examples
    --------
    >>> N, D = np.repeat([10, 1000], 3), np.tile([10, 1000, 100_000], 2)
    >>> data, _ = regime_labels(N, D, 1 / N + 1 / D)
    >>> [str(word) for word in data]
    ['mixed', 'variance', 'edge', 'edge', 'edge', 'edge']
    """
    # Fits of one resource need no solvable models.
    from isoloss.theory import classify

    n, d, y = as_vector("N", N), as_vector("D", D), as_vector("loss", loss)
    if not len(n) == len(d) == len(y):
        raise InputError(f"N, D, loss: {len(n)}, {len(d)} and {len(y)} values; give one each a run")
    if not len(n):
        raise InputError("loss: no runs")
    if not (np.isfinite(floor) and (y >= floor).all()):
        raise InputError(f"floor = {floor}: must be a number no larger than the least loss")
    cells, which = np.unique(np.stack([n, d]), axis=1, return_inverse=True)
    which = which.reshape(-1)
    mean = np.bincount(which, y) / np.bincount(which) - floor
    limits = []
    edge = np.zeros(len(mean), dtype=bool)
    for fixed, free in ((0, 1), (1, 0)):
        limit = np.empty(len(mean))
        for value in np.unique(cells[fixed]):
            line = np.flatnonzero(cells[fixed] == value)
            last = line[np.argmax(cells[free, line])]
            limit[line] = mean[last]
            edge[last] = True
        limits.append(limit)
    words = classify(mean, limits[0], limits[1], tolerance=tolerance)
    data, size = (np.where(edge, "edge", w)[which] for w in words)
    return data, size


def _law(floor: float | None) -> Law:
    """Law with the floor free, absent or fixed."""
    if floor is None:
        return get_law("power_floor", axis=AXIS)
    return get_law("power_floor", axis=AXIS).pin(E=floor) if floor else get_law("power", axis=AXIS)


def _table(
    x: npt.ArrayLike, loss: npt.ArrayLike, seed: npt.ArrayLike | None, low: float, high: float
) -> _Table:
    """Check the runs, and keep those in range."""
    at, y = as_vector("x", x, positive=True), as_vector("loss", loss, positive=True)
    label = np.zeros(len(at)) if seed is None else np.asarray(seed)
    if not len(at) == len(y) == len(label) or label.ndim != 1:
        raise InputError(
            f"x, loss, seed: {len(at)}, {len(y)} and {label.size}; give one each a run"
        )
    keep = _within(at, low, high)
    if not keep.any():
        raise InputError(f"low = {low:g}, high = {high:g}: no x lies between")
    _, number = np.unique(label[keep], return_inverse=True)
    return _Table(at[keep], y[keep], number, np.unique(at[keep]), int(number.max()) + 1)


def _within(x: Array, low: float, high: float) -> npt.NDArray[np.bool_]:
    return np.asarray((x >= low) & (x <= high))


def _exponent(
    table: _Table, law: Law, *, weigh: bool, level: float, limit: float | None
) -> Exponent:
    """Fit the means, profile the exponent, and leave out each seed in turn."""
    free = len(law.names)
    if len(table.at) <= free:
        raise InputError(
            f"x: {len(table.at)} distinct values in range for {free} free parameters; more are "
            "needed, or a given floor"
        )
    reasons = []
    weights = table.weights() if weigh else None
    if weigh and weights is None:
        reasons.append("no weights: fewer than three x have two seeds or more")
    if weights is None:
        weights = np.ones(len(table.at))
    at, mean = table.means()
    runs = {AXIS: at, "loss": mean}
    best = fit(runs, law, objective="lsq", weights=weights, draws=0, level=level)
    alpha = profile(runs, best, "alpha")
    of_law, value = alpha.interval, best.parameters["alpha"]
    for end, word in ((alpha.low_end, "below"), (alpha.high_end, "above")):
        if end != "found":
            reasons.append(f"the points do not bound the exponent {word}")
    of_floor = profile(runs, best, "E").interval if limit is None else None
    of_seeds, failed = _jackknife(table, law, weights, level, value)
    if failed:
        reasons.append(f"no fit without {failed} of {table.seeds} seeds; of_seeds leaves them out")
    ends = [of_law] + ([of_seeds] if of_seeds else [])
    hull = Interval(
        low=max(0.0, min(e.low for e in ends)),
        high=max(e.high for e in ends),
        level=level,
        method="hull of profile over x and jackknife over seeds" if of_seeds else of_law.method,
    )
    return Exponent(
        value=value,
        interval=hull,
        of_law=of_law,
        of_seeds=of_seeds,
        floor=best.parameters.get("E", limit or 0.0),
        floor_interval=of_floor,
        amplitude=best.parameters["A"],
        low=float(at[0]),
        high=float(at[-1]),
        points=len(at),
        seeds=table.seeds,
        misfit=best.rms_residual,
        reasons=tuple(reasons),
    )


def _jackknife(
    table: _Table, law: Law, weights: Array, level: float, value: float
) -> tuple[Interval | None, int]:
    """Interval of the exponent from leaving out seeds, and how many of these fits failed."""
    from scipy.special import stdtrit

    if table.seeds < 3:
        return None, 0
    found, failed = [], 0
    for s in range(table.seeds):
        at, mean = table.means(without=s)
        left = np.isin(table.at, at)
        try:
            one = fit(
                {AXIS: at, "loss": mean}, law, objective="lsq", weights=weights[left], draws=0
            )
        except (FitError, InputError):
            failed += 1
            continue
        found.append(one.parameters["alpha"])
    n = len(found)
    if n < 3:
        return None, failed
    error = float(np.sqrt((n - 1) / n * np.sum((np.array(found) - np.mean(found)) ** 2)))
    reach = float(stdtrit(n - 1, 0.5 * (1 + level))) * error
    return Interval(low=value - reach, high=value + reach, level=level, method="jackknife"), failed

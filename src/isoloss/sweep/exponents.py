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

from isoloss._core.arrays import Array, as_level, as_vector
from isoloss._core.interval import Interval
from isoloss.errors import FitError, InputError
from isoloss.fit import fit, profile
from isoloss.laws import Law, get_law
from isoloss.sweep.seed_table import SeedTable, seed_table, within

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
    table = seed_table(x, loss, seed, low, high)
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
    full = seed_table(x, loss, seed, low, high)
    kept = within(as_vector("x", x), low, high)
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


def _law(floor: float | None) -> Law:
    """Law with the floor free, absent or fixed."""
    if floor is None:
        return get_law("power_floor", axis=AXIS)
    return get_law("power_floor", axis=AXIS).pin(E=floor) if floor else get_law("power", axis=AXIS)


def _exponent(
    table: SeedTable, law: Law, *, weigh: bool, level: float, limit: float | None
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
    table: SeedTable, law: Law, weights: Array, level: float, value: float
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

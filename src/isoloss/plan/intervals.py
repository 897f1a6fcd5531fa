"""Intervals of planned quantities from draws of the parameters, draws without an answer told."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.plan.reason import Reason

LAW_TAKEN_AS_RIGHT = "law taken as right"


def from_draws(
    values: Array,
    *,
    weights: npt.ArrayLike | None,
    level: float,
    method: str | None,
    what: str,
) -> tuple[tuple[Interval | None, ...], list[Reason]]:
    """Interval of each column of draws, (B, m).

    Draws that have no answer (NaN) are left out and reported; where they are more than a tail of
    the interval could hold, no interval is given.
    """
    text = f"{method or 'parameter draws'}, {LAW_TAKEN_AS_RIGHT}"
    mass = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    if (
        mass.shape != (len(values),)
        or not (np.isfinite(mass) & (mass >= 0)).all()
        or not mass.any()
    ):
        raise InputError(
            f"weights: expected {len(values)} non-negative numbers, one a draw, not all zero"
        )
    mass = mass / mass.sum()
    made: list[Interval | None] = []
    worst = 0.0
    for column in values.T:
        known = ~np.isnan(column)
        missing = float(mass[~known].sum())
        worst = max(worst, missing)
        if missing >= (1 - level) / 2 or known.sum() < 2:
            made.append(None)
            continue
        made.append(_one(column[known], mass[known], level, text, weights is None))
    if not worst:
        return tuple(made), []
    message = f"{100 * worst:.3g} % of the draws have no {what}"
    message += "; no interval is given there" if None in made else " and are left out"
    return tuple(made), [Reason(code="DRAWS_WITHOUT_OPTIMUM", message=message)]


def _one(values: Array, mass: Array, level: float, text: str, equal: bool) -> Interval:
    if np.isfinite(values).all():
        return Interval.from_draws(
            values, level=level, method=text, weights=None if equal else mass
        )
    # Interpolation between a finite and an infinite draw has no meaning: take order statistics.
    order = np.argsort(values, kind="stable")
    at = np.cumsum(mass[order]) / mass.sum()
    tail = (1 - level) / 2
    place = np.minimum(np.searchsorted(at, [tail, 1 - tail]), len(at) - 1)
    low, high = values[order][place].tolist()
    return Interval(low=low, high=high, level=level, method=text)

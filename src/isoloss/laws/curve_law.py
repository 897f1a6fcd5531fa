"""Laws of whole training curves: a loss at each step, from all rates up to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError, LawError
from isoloss.laws.rate_nodes import RateNodes, rate_nodes
from isoloss.laws.schedule import Schedule


@dataclass(frozen=True, slots=True)
class RateScale:
    """Units inside: the rate and the sum of rates that count as one."""

    rate: float
    sum: float


Columns = Callable[[RateNodes, RateScale, Array], tuple[Array, Array]]


@dataclass(frozen=True, slots=True, eq=False)
class CurveLaw:
    """A law that is linear in its amplitudes: loss = amplitudes @ columns(shape).

    Attributes
    ----------
    name, formula
        For people; S1 is the sum of rates so far.
    parameters
        Names in print.
    lower, upper, starts
        Box of the shape parameters, and a lattice of starts in it.
    columns
        From nodes, units and shape: columns, shape (amplitudes, steps), and their derivatives,
        (shapes, amplitudes, steps). The first column is one; amplitudes are zero or more.
    centre, spread
        Where shape parameters are expected before any data, given the units, and how far off they
        may be.
    published, inner
        From inner parameters to those in print, and back.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    lower: list[float]
    upper: list[float]
    starts: tuple[list[float], ...]
    columns: Columns
    centre: Callable[[RateScale], list[float]]
    spread: list[float]
    published: Callable[[RateScale, Array, Array], dict[str, float]]
    inner: Callable[[RateScale, Mapping[str, float]], tuple[Array, Array]]

    def __repr__(self) -> str:
        return f"CurveLaw({self.name!r}: {self.formula})"


def curve_law_names() -> tuple[str, ...]:
    """Names of the laws of training curves."""
    return tuple(_catalogue())


def get_curve_law(law: str | CurveLaw) -> CurveLaw:
    """Find a law of training curves by its name.

    Raises
    ------
    LawError
        No such law.

    Examples
    --------
    >>> get_curve_law("annealing").parameters
    ('L0', 'A', 'alpha', 'C', 'lambda')
    """
    if isinstance(law, CurveLaw):
        return law
    known = _catalogue()
    if law not in known:
        raise LawError(f"law {str(law)[:60]!r}: no law of curves; one of {', '.join(known)}")
    return known[law]


def _catalogue() -> dict[str, CurveLaw]:
    from isoloss.laws.annealing import ANNEALING, RATE_POWER
    from isoloss.laws.multi_power import MULTI_POWER

    return {law.name: law for law in (MULTI_POWER, ANNEALING, RATE_POWER)}


def curve_loss(
    law: str | CurveLaw,
    parameters: Mapping[str, float],
    schedule: Schedule,
    *,
    at: npt.ArrayLike | None = None,
    exact: bool = False,
) -> Array:
    r"""Loss of a curve law with given parameters, at some steps of a schedule.

    Parameters
    ----------
    law
        ``"multi-power"``, ``"annealing"`` or ``"rate-power"``.
    parameters
        By their names in print.
    schedule
        Rates of all steps from the first on, warm-up included.
    at
        Steps; all of them by default.
    exact
        Whether every change of rate is summed on its own, in a time that grows with the square of
        the steps; the other way is equal to about 1e-10.

    Returns
    -------
    numpy.ndarray
        Shape (steps asked for,).

    Raises
    ------
    InputError
        A parameter is missing or cannot be, or a step lies outside the schedule.

    Examples
    --------
    With the amplitude of annealing at zero, a power law of the sum of rates:

    >>> values = {"L0": 2.0, "A": 1.0, "alpha": 0.5, "B": 0.0, "C": 1.0, "beta": 0.5, "gamma": 0.5}
    >>> curve_loss("multi-power", values, Schedule([1.0, 1.0, 2.0])).tolist()
    [3.0, 2.7071067811865475, 2.5]
    """
    found = get_curve_law(law)
    missing = set(found.parameters) - set(parameters)
    if missing:
        raise InputError(f"parameters: {', '.join(sorted(missing))} of {found.name} missing")
    for name in found.parameters:
        value = parameters[name]
        free = name in ("L0", "A", "B", "gamma") or (name == "C" and found.name == "annealing")
        if not np.isfinite(value) or (value <= 0 and not free):
            raise InputError(f"{name} = {value!r}: must be finite and positive")
    if found.name == "annealing" and not parameters["lambda"] < 1:
        raise InputError(f"lambda = {parameters['lambda']!r}: must be below 1")
    steps = check_steps(at, schedule)
    nodes = rate_nodes(schedule.rates, steps, exact=exact)
    if not nodes.sums.min() > 0:
        raise InputError("at: no rate above zero up to the first step; ask for later steps")
    scale = RateScale(schedule.peak, float(schedule.rates.sum()))
    shape, amplitudes = found.inner(scale, parameters)
    return np.asarray(amplitudes @ found.columns(nodes, scale, shape)[0])


def check_steps(at: npt.ArrayLike | None, schedule: Schedule) -> npt.NDArray[np.intp]:
    """Read steps of a schedule; all where none are named.

    Raises
    ------
    InputError
        A step is no whole number, or none of the schedule.
    """
    if at is None:
        first = int(np.argmax(schedule.rates > 0))
        return np.arange(first, len(schedule))
    steps = as_vector("at", at)
    bad = (steps < 0) | (steps > len(schedule) - 1) | (steps != np.floor(steps))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"at[{i}] = {steps[i]:g}: must be a whole step of the schedule, 0 to "
            f"{len(schedule) - 1}"
        )
    return steps.astype(np.intp)

"""Schedules of the learning rate: one rate a step, written out or named in a word."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_positive, as_vector, freeze
from isoloss.errors import InputError

MAX_STEPS = 5_000_000
"""Steps of one schedule: eight bytes each, a few times over."""


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Learning rates of steps 0, 1, 2, ..., and a name.

    Attributes
    ----------
    rates
        Shape (steps,), finite, zero or more, some above zero.
    name
        For tables and messages.

    Examples
    --------
    >>> Schedule([0.0, 1e-3, 1e-3, 5e-4], "by hand")
    Schedule('by hand', 4 steps, peak 0.001, last 0.0005)
    """

    rates: Array
    name: str = "schedule"

    def __init__(self, rates: npt.ArrayLike, name: str = "schedule") -> None:
        values = as_vector("rates", rates)
        if not 2 <= values.size <= MAX_STEPS:
            raise InputError(
                f"rates: {values.size:,} steps, must be 2 to {MAX_STEPS:,}; of a longer run count "
                "k steps as one at k times the rate"
            )
        if values.min() < 0 or values.max() <= 0:
            i = int(np.argmin(values))
            raise InputError(
                f"rates[{i}] = {values[i]:g}: rates are zero or more, and not all zero"
            )
        object.__setattr__(self, "rates", freeze(values))
        object.__setattr__(self, "name", str(name))

    def __len__(self) -> int:
        return int(self.rates.size)

    def __repr__(self) -> str:
        return (
            f"Schedule({self.name!r}, {len(self)} steps, peak {self.peak:.6g}, "
            f"last {self.rates[-1]:.6g})"
        )

    @property
    def peak(self) -> float:
        """Largest rate."""
        return float(self.rates.max())


def make_schedule(text: str, *, peak: float, floor: float = 0.0, warmup: int = 0) -> Schedule:
    r"""Write out a schedule that is named in a word.

    After ``warmup`` steps of a line from 0 to ``peak``:

    - ``constant:T``: the peak to the end;
    - ``cosine:T``, ``linear:T``: down to ``floor`` by half a cosine, or a line;
    - ``wsd:S:T``, ``wsd-linear:S:T``: the peak until step S, then down to ``floor``, in equal
      ratios or by a line;
    - ``drop:S:T:R``: the peak, and from step S on the rate R.

    Parameters
    ----------
    text
        One of these; T counts all steps, those of the warm-up included.
    peak, floor
        Rates; the floor of ``wsd`` must be above zero.
    warmup
        Steps before the peak.

    Raises
    ------
    InputError
        An unknown word, marks out of order, or rates that cannot be.

    Examples
    --------
    >>> make_schedule("wsd-linear:2:6", peak=1.0, floor=0.2).rates.round(2).tolist()
    [1.0, 1.0, 1.0, 0.8, 0.6, 0.4]
    """
    peak = as_positive("peak", peak)
    if not (math.isfinite(floor) and 0 <= floor <= peak):
        raise InputError(f"floor = {floor:g}: must lie between 0 and the peak, {peak:g}")
    kind, marks = _parse(text)
    steps = int(marks[1] if kind in ("wsd", "wsd-linear", "drop") else marks[0])
    start = int(marks[0]) if kind in ("wsd", "wsd-linear", "drop") else warmup
    if isinstance(warmup, bool) or not 0 <= warmup < steps or start > steps or start < warmup:
        raise InputError(
            f"schedule {text!r} with a warm-up of {warmup}: marks must rise, warm-up <= S <= T"
        )
    if kind == "wsd" and floor == 0:
        raise InputError("wsd falls in equal ratios: give a floor above 0, or take wsd-linear")
    t = np.arange(steps, dtype=np.float64)
    share = np.clip((t - start) / max(steps - start, 1), 0.0, 1.0)
    if kind == "cosine":
        rates = floor + (peak - floor) * (1 + np.cos(np.pi * share)) / 2
    elif kind in ("linear", "wsd-linear"):
        rates = peak + (floor - peak) * share
    elif kind == "wsd":
        rates = peak * (floor / peak) ** share
    elif kind == "drop":
        rates = np.where(t >= start, marks[2], peak)
    else:
        rates = np.full(steps, peak)
    if warmup:
        rates[:warmup] = np.linspace(0.0, peak, warmup)
    return Schedule(rates, text)


_MARKS = {"constant": 1, "cosine": 1, "linear": 1, "wsd": 2, "wsd-linear": 2, "drop": 3}


def _parse(text: str) -> tuple[str, list[float]]:
    kind, *rest = str(text).split(":")
    if kind not in _MARKS or len(rest) != _MARKS[kind]:
        raise InputError(
            f"schedule {text[:60]!r}: write constant:T, cosine:T, linear:T, wsd:S:T, "
            "wsd-linear:S:T or drop:S:T:RATE"
        )
    try:
        marks = [float(part) for part in rest]
    except ValueError:
        raise InputError(f"schedule {text[:60]!r}: {':'.join(rest)[:40]} are not numbers") from None
    counts = marks[:2]
    if not all(math.isfinite(m) and m == math.floor(m) and 0 <= m <= MAX_STEPS for m in counts):
        raise InputError(f"schedule {text[:60]!r}: steps are whole numbers up to {MAX_STEPS:,}")
    if kind == "drop" and not (math.isfinite(marks[2]) and marks[2] >= 0):
        raise InputError(f"schedule {text[:60]!r}: the rate must be zero or more")
    return kind, marks


def rates_between(steps: Array, rates: Array, last: int, *, warmup: int = 0) -> Array:
    """Rates of steps 0 to ``last`` from logged ones: lines between logs, flat beyond them.

    Before the first log the first rate is held, after a line from 0 over ``warmup`` steps.
    """
    t = np.arange(last + 1, dtype=np.float64)
    found = np.interp(t, steps, rates)
    if warmup:
        ramp = min(warmup, last + 1)
        found[:ramp] = np.minimum(found[:ramp], np.linspace(0.0, found[ramp - 1], ramp))
    return np.asarray(found)

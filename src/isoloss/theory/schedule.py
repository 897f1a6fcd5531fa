"""Schedules of the learning rate: what share of the peak each step of a run takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_whole

Fall = Literal["linear", "cosine"]
_LONGEST = 1e15
_LONGEST_LIST = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Linear warmup, a plateau, and decay to a floor, in shares of the run and of the peak.

    Attributes
    ----------
    warmup, decay
        Shares of the run, together at most 1.
    fall
        Shape of the decay, ``"linear"`` or ``"cosine"``.
    floor
        Share of the peak at the end of the decay.

    Examples
    --------
    >>> Schedule(warmup=0.5, decay=0.25)(np.array([0.25, 0.6, 0.875])).tolist()
    [0.5, 1.0, 0.5]
    """

    warmup: float = 0.0
    decay: float = 0.0
    fall: Fall = "linear"
    floor: float = 0.0

    def __post_init__(self) -> None:
        for name in ("warmup", "decay", "floor"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} = {value!r}: must lie between 0 and 1; it is a share")
        if self.warmup + self.decay > 1 + 1e-12:
            raise InputError(
                f"warmup = {self.warmup!r}, decay = {self.decay!r}: longer than the run together"
            )
        if self.fall not in get_args(Fall):
            raise InputError(f"fall = {self.fall!r}: write one of {', '.join(get_args(Fall))}")

    @property
    def breaks(self) -> tuple[float, ...]:
        """Where it bends, in shares of the run."""
        return tuple(v for v in (self.warmup, 1 - self.decay) if 0 < v < 1)

    def __call__(self, share: Array) -> Array:
        """Share of the peak at shares of the run."""
        rise = share / self.warmup if self.warmup else np.ones_like(share)
        left = (1 - share) / self.decay if self.decay else np.ones_like(share)
        left = np.clip(left, 0.0, 1.0)
        if self.fall == "cosine":
            left = np.sin(np.pi / 2 * left) ** 2
        return np.minimum(rise, 1.0) * (self.floor + (1 - self.floor) * left)


SCHEDULES = {
    "constant": Schedule(),
    "cosine": Schedule(decay=1.0, fall="cosine"),
    "linear": Schedule(decay=1.0),
    "warmup": Schedule(warmup=0.1),
    "warmup-stable-decay": Schedule(warmup=0.1, decay=0.2),
}
"""By name."""

Scheduled = str | Schedule | Callable[[Array], Any] | Any


@dataclass(frozen=True, slots=True)
class Rates:
    """Step sizes of a run of known length.

    Attributes
    ----------
    peak, length
        Step size that shares are of, and number of steps.
    shape
        Function of the share of the run; or None.
    listed
        One share a step where there is no function, (length,).
    breaks
        Steps at which the function bends.
    """

    peak: float
    length: int
    shape: Callable[[Array], Any] | None
    listed: Array | None
    breaks: tuple[int, ...]

    def at(self, step: Any) -> Array:
        """Step sizes of steps counted from zero; step k takes the share at (k + 1/2)/length."""
        if self.listed is not None:
            return np.asarray(self.peak * self.listed[np.asarray(step, dtype=np.int64)])
        assert self.shape is not None
        share = np.clip((np.asarray(step, dtype=np.float64) + 0.5) / self.length, 0.0, 1.0)
        return self.peak * _shares("schedule", self.shape(share), share.shape)

    @property
    def total(self) -> float:
        """Sum of all step sizes, to the accuracy that scales need."""
        if self.listed is not None:
            return float(self.peak * self.listed.sum())
        return float(self.at((np.arange(1000) + 0.5) * self.length / 1000 - 0.5).mean()) * (
            self.length
        )


def rates_of(schedule: Scheduled, lr: float, length: int) -> Rates:
    """Read a schedule for a run of that many steps.

    Raises
    ------
    InputError
        If it is an unknown name, not as long as the run, or not finite and above zero somewhere.
    """
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise InputError(
                f"schedule = {schedule!r}: write one of {', '.join(SCHEDULES)}, a Schedule, a "
                "function of the share of the run, or one share a step"
            )
        schedule = SCHEDULES[schedule]
    if callable(schedule):
        share = getattr(schedule, "breaks", ())
        breaks = tuple(sorted({round(v * length) for v in share} - {0, length}))
        rates = Rates(lr, length, schedule, None, breaks)
        _positive(rates.at((np.arange(1000) + 0.5) * length / 1000 - 0.5))
        return rates
    try:
        listed = np.asarray(schedule, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"schedule: expected shares of the peak, got {schedule!r}") from error
    if listed.ndim != 1 or listed.size < length:
        raise InputError(
            f"schedule: shape {listed.shape} for a run of {length} steps; give one share a step"
        )
    if length > _LONGEST_LIST:
        raise InputError(
            f"schedule: {length} listed steps are taken one by one; give a function of the share "
            f"of the run beyond {_LONGEST_LIST}"
        )
    listed = freeze(_shares("schedule", listed[:length], (length,)))
    _positive(listed)
    return Rates(lr, length, None, listed, ())


def run_length(length: Any, last: float) -> int:
    """Read the number of steps of a whole run; that of the last step wanted by default."""
    if max(last, 0 if length is None else float(np.max(length))) > _LONGEST:
        raise InputError(f"steps: at most {_LONGEST:.0e} of a schedule can be taken")
    if length is None:
        return int(last)
    found = as_whole("length", length)
    if found.ndim or found < last:
        raise InputError(
            f"length = {length!r}: one whole number, at least {last:.15g}, the last step wanted"
        )
    return int(found)


def _shares(name: str, value: Any, shape: tuple[int, ...]) -> Array:
    found = np.asarray(value, dtype=np.float64)
    if found.shape != shape:
        raise InputError(f"{name}: gives shape {found.shape} at shares of shape {shape}")
    bad = ~np.isfinite(found) | (found < 0)
    if bad.any():
        raise InputError(f"{name}: {float(found[bad].flat[0])!r} is no share; zero or more")
    return found


def _positive(found: Array) -> None:
    if found.size and not (found > 0).any():
        raise InputError("schedule: every step has size zero; nothing would be learned")

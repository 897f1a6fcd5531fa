"""Clean a curve: order, repeats, gaps, unit, warm-up; find spikes, divergence and bad endings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.runs.logs.names import RATES, UPDATES, keys, means, words
from isoloss.runs.logs.record import LoggedRun

UNITS = ("nats", "bits", "base10", "perplexity", "bpb")
_FACTORS = {"nats": 1.0, "bits": math.log(2), "base10": math.log(10), "bpb": math.log(2)}
_MEDIAN = 31
"""Logs around each that its local median is taken over."""
_SPIKE_NOISES, _SPIKE_SHARE = 8.0, 0.1
_MOST_WARMUP = 0.5
_AT_PEAK = 0.999


@dataclass(slots=True)
class Clean:
    """A curve with rising steps and finite values in nats, and what was taken out of it.

    ``spikes`` marks logs that stand out above their neighbours; ``smooth`` is the local median.
    """

    steps: Array
    values: Array
    repeated: int = 0
    restarts: int = 0
    missing: int = 0
    ends_missing: bool = False
    last_logged: float = math.nan
    warmup: float = -math.inf
    spikes: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    smooth: Array = field(default_factory=lambda: np.zeros(0))


def ordered(steps: Array, values: Array) -> tuple[Array, Array, int, int]:
    """Sort by step; of one step the last value stays. Return also repeats and steps backward."""
    restarts = int((np.diff(steps) < 0).sum())
    order = np.argsort(steps, kind="stable")
    steps, values = steps[order], values[order]
    last = np.append(steps[1:] != steps[:-1], True) if steps.size else np.zeros(0, dtype=bool)
    return steps[last], values[last], int((~last).sum()), restarts


def to_nats(values: Array, unit: str) -> Array:
    """Convert a loss to nats: nats, bits, base 10, perplexity; bits per byte to nats per byte.

    Examples
    --------
    >>> float(to_nats(np.array([np.e**2]), "perplexity")[0])
    2.0
    """
    if unit == "perplexity":
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(values))
    return values * _FACTORS[unit]


def updates_of(run: LoggedRun, wanted: str | None) -> str | None:
    """Metric that counts updates, where the log's own steps may not.

    Raises
    ------
    InputError
        The metric that the caller named is not logged.
    """
    if wanted is not None:
        if wanted in run.curves:
            return wanted
        raise InputError(f"step = {wanted}: no metric of this name")
    if not run.steps_counted:
        return None
    found = [name for name in run.curves if keys(name)[0] in UPDATES]
    found = found or [name for name in run.curves if means(name, UPDATES)]
    return found[0] if found else None


def stepped(run: LoggedRun, name: str, clock: str | None) -> tuple[Array, Array]:
    """Return a curve over updates: mapped through the metric that counts them, if there is one."""
    steps, values = run.curves[name].arrays()
    if clock is None or name == clock:
        return steps, values
    own, count = run.curves[clock].arrays()
    finite = np.isfinite(count)
    own, count, _, _ = ordered(own[finite], count[finite])
    if not own.size:
        return steps, values
    # Between two logs of the clock a line; beyond them its pace goes on.
    mapped = np.interp(steps, own, count)
    if own.size > 1 and own[-1] > own[-2]:
        pace = (count[-1] - count[-2]) / (own[-1] - own[-2])
        after = steps > own[-1]
        mapped[after] = count[-1] + pace * (steps[after] - own[-1])
    return mapped, values


def clean_curve(steps: Array, values: Array, unit: str) -> Clean:
    """Order, convert and drop what is not finite, and count all of it."""
    steps, values, repeated, restarts = ordered(steps, values)
    values = to_nats(values, unit)
    finite = np.isfinite(values)
    found = Clean(steps[finite], values[finite], repeated, restarts, int((~finite).sum()))
    found.last_logged = float(steps[-1]) if steps.size else math.nan
    found.ends_missing = bool(finite.size and not finite[-1])
    return found


def rate_curve(run: LoggedRun, clock: str | None, named: str | None) -> tuple[Array, Array] | None:
    """Learning rate over steps, where it is logged three times or more."""
    names = [named] if named in run.curves else [n for n in run.curves if means(n, RATES)]
    names = names or sorted(n for n in run.curves if "lr" in words(n))
    if not names:
        return None
    steps, values, _, _ = ordered(*stepped(run, str(names[0]), clock))
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    return (steps, values) if steps.size >= 3 and values.max() > 0 else None


def warmup_end(rate: tuple[Array, Array] | None, last: float) -> float:
    """Step at which the learning rate first reaches its peak; minus infinity for no warm-up.

    A rate that only rises, or peaks in the second half, has no warm-up in the usual sense.
    """
    if rate is None:
        return -math.inf
    steps, values = rate
    peak = int(np.argmax(values >= _AT_PEAK * values.max()))
    if peak == 0 or steps[peak] > steps[0] + _MOST_WARMUP * (last - steps[0]):
        return -math.inf
    return float(steps[peak])


def cut(curve: Clean, first: float) -> None:
    """Leave out the logs before a step."""
    keep = curve.steps >= first
    curve.steps, curve.values, curve.warmup = curve.steps[keep], curve.values[keep], first


def mark_spikes(curve: Clean) -> None:
    """Compare each log with the median of its neighbours."""
    count = curve.values.size
    if count < 5:
        curve.smooth, curve.spikes = curve.values, np.zeros(count, dtype=bool)
        return
    from scipy.ndimage import median_filter

    size = min(_MEDIAN, count // 4 * 2 + 1)
    curve.smooth = median_filter(curve.values, size=size, mode="nearest")
    above = curve.values - curve.smooth
    noise = 1.4826 * float(np.median(np.abs(above)))
    floor = np.maximum(_SPIKE_NOISES * noise, _SPIKE_SHARE * np.abs(curve.smooth))
    curve.spikes = (above > floor) if count >= _MEDIAN else np.zeros(count, dtype=bool)


def groups(marks: npt.NDArray[np.bool_]) -> int:
    """Count runs of marks that follow each other."""
    return int((marks[1:] & ~marks[:-1]).sum() + (marks[0] if marks.size else 0))


def value_at(steps: Array, values: Array, step: float) -> float:
    """Read a curve at a step: a line between logs, its last pace beyond them."""
    steps, values, _, _ = ordered(steps, values)
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if not steps.size:
        return math.nan
    if step <= steps[-1] or steps.size < 2:
        return float(np.interp(step, steps, values))
    pace = (values[-1] - values[0]) / (steps[-1] - steps[0])
    return float(values[-1] + pace * (step - steps[-1]))

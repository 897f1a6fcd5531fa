"""Signs of trouble in a curve that is still growing."""

from __future__ import annotations

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit.certificate import Reason
from isoloss.runs.curve import Curve
from isoloss.runs.logs.clean import Clean, groups, mark_spikes

_DIVERGED, _RISING = 1.1, 1.01
_FEWEST = 20
_STALLED = 3.0


def health(
    curve: Curve, expected: Array | None = None, *, ends_missing: bool = False
) -> list[Reason]:
    """List what looks wrong: ``NOT_FINITE``, ``DIVERGED``, ``RISING``, ``SPIKES``, ``PLATEAU``.

    Parameters
    ----------
    curve
        What has been logged so far.
    expected
        What the forecast says at the same steps; a plateau is told from the difference.
    ends_missing
        Whether the last log was no finite number above zero.

    Examples
    --------
    >>> step = np.arange(100.0)
    >>> [r.code for r in health(Curve(step, np.where(step < 60, 3.0, 4.0)))]
    ['DIVERGED']
    """
    found = []
    if ends_missing:
        found.append(
            Reason(code="NOT_FINITE", message="the last logged loss is no finite number above zero")
        )
    if len(curve) < _FEWEST:
        return found
    clean = Clean(curve.step, curve.loss)
    mark_spikes(clean)
    smooth = clean.smooth
    now, best = float(np.median(smooth[-max(3, len(curve) // 20) :])), float(smooth.min())
    if now > _DIVERGED * best:
        text = f"the loss is {now:.4g} after {best:.4g} at its lowest"
        found.append(Reason(code="DIVERGED", message=text))
    elif now > _RISING * best:
        text = f"the loss has risen from {best:.4g} to {now:.4g}"
        found.append(Reason(code="RISING", message=text))
    if clean.spikes.any():
        count, last = groups(clean.spikes), curve.step[np.flatnonzero(clean.spikes)[-1]]
        text = f"{count} spikes, the last at step {last:g}"
        found.append(Reason(code="SPIKES", message=text))
    if expected is not None and _stalled(curve.loss, expected):
        text = "the loss has stopped falling where the forecast says that it should fall"
        found.append(Reason(code="PLATEAU", message=text))
    return found


def _stalled(loss: Array, expected: Array) -> bool:
    """Compare the fall over the last third of the logs with the fall that was expected."""
    part = slice(-max(loss.size // 3, 9), None)
    y, f = loss[part], expected[part]
    third = y.size // 3
    ends = [float(v[:third].mean() - v[-third:].mean()) for v in (y, f)]
    line = np.polyval(np.polyfit(np.arange(y.size), y, 1), np.arange(y.size))
    # Neighbours are alike: count the noise twice.
    noise = 2 * float(np.std(y - line)) * np.sqrt(2 / third)
    return bool(ends[1] > _STALLED * noise and ends[0] < 0.2 * ends[1])

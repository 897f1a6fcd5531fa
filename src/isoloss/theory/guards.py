"""What to know before an exact loss is compared with a finite system, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.theory.spectrum import Spectrum

SMALL = 30
"""Features, samples, or their difference, below which finite systems depart by percents."""

_HALF = 0.5


def small(*sizes: Any) -> tuple[str, ...]:
    """Doubt of few features or samples."""
    if min(float(np.min(size)) for size in sizes) >= SMALL:
        return ()
    name = "min(N, T)" if len(sizes) > 1 else "N"
    return (f"{name} is below {SMALL}: a finite system may differ by several percent",)


def near_peak(N: Array, T: Array, bare: Any) -> tuple[str, ...]:
    """Doubt of N beside T at points that have no ridge (``bare``)."""
    with np.errstate(invalid="ignore"):
        near = (np.abs(N - T) < SMALL) & bare
    if not near.any():
        return ()
    return (f"|N - T| is below {SMALL} without a ridge: the error is about 1/|N - T|",)


def one_mode(share: float) -> tuple[str, ...]:
    """Doubt of a target that is mostly one mode, whose draws average little."""
    if share <= _HALF:
        return ()
    return (
        f"one mode carries {100 * share:.0f} % of the target: single draws scatter widely, so "
        "compare averages of many",
    )


def along_flow(
    spectrum: Spectrum, N: Array, T: Array, t: Any, decay: Array, kappa: Array
) -> tuple[str, ...]:
    """Doubts of losses along training until t; N, T, decay and the kappa without a ridge match.

    N beside T counts from the time at which the slowest directions, of eigenvalue about
    ``kappa ((N - T)/max(N, T))^2``, are learned, and where decay does not hold them back.
    """
    with np.errstate(invalid="ignore"):
        slowest = kappa * (np.maximum(np.abs(N - T), 1) / np.maximum(N, T)) ** 2
        late = (t * slowest >= 1) & (decay < slowest)
    return small(N, T) + near_peak(N, T, late) + one_mode(spectrum.largest_share)

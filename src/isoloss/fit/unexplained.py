"""Runs that no law of a set explains: typing errors, diverged runs, corners where laws break."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.result import Fit

FAR = 10.0
"""Runs farther from every law than this many times its noise are not noise."""
MOST_SHARE = 0.05
"""If more than this share of the runs (and more than one) are off, it is the laws that are."""
LEAST_NOISE = 1e-9
"""Losses computed from a formula leave rounding, which says nothing about runs."""
_NORMAL = 1.4826


def unexplained(fits: Sequence[Fit], weights: Array) -> npt.NDArray[np.bool_]:
    r"""Find runs that every law with a weight puts more than ten times its noise away, (n,).

    The noise of a law is 1.4826 times the median absolute log residual, each times the root of its
    weight: a fit that leans on the largest runs may miss small ones. Normal noise puts a run
    that far away once in :math:`10^{23}`, so it is a mistake in the table, a run that failed, or
    lies where the laws do not hold (almost no data for its size, say); what the others say far from
    there is better said without it. None where more than a twentieth of the runs would be: then
    it is the laws that are wrong.

    Parameters
    ----------
    fits
        Of the laws, to the same runs.
    weights
        Of the laws.

    References
    ----------
    Hampel et al. 1986, "Robust statistics", section 1.4, on rejecting outliers by the median
    deviation.

    Examples
    --------
    >>> from isoloss.fit.fit import fit
    >>> D = np.geomspace(1e6, 1e9, 24)
    >>> loss = (1 + 90 * D**-0.3) * np.exp(0.001 * np.sin(37 * np.arange(24.0)))
    >>> loss[3] *= 1.2
    >>> found = fit({"D": D, "loss": loss}, "power_floor", draws=0)
    >>> np.flatnonzero(unexplained([found], np.ones(1)))
    array([3])
    """
    far = np.ones(len(fits[0].residuals), dtype=bool)
    for f, weight in zip(fits, weights, strict=True):
        if weight > 0:
            size = np.abs(f.residuals) * np.sqrt(f.weights)
            noise = max(_NORMAL * float(np.median(size[f.weights > 0])), LEAST_NOISE)
            far &= size > FAR * noise
    most = max(1, int(MOST_SHARE * len(far)))
    return far if far.sum() <= most else np.zeros_like(far)


def left_out_sentence(names: Sequence[str], n: int) -> str:
    """Say which runs were left out and why; empty where none was.

    Examples
    --------
    >>> left_out_sentence(["7"], 30)
    '1 of 30 runs is left out: every law puts it more than ten times the noise away (7).'
    """
    if not names:
        return ""
    one = len(names) == 1
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return (
        f"{len(names)} of {n} runs {'is' if one else 'are'} left out: every law puts "
        f"{'it' if one else 'them'} more than ten times the noise away ({listed})."
    )

"""Sums over the population's spectrum, read off a sample's: no eigenvalue needs to be corrected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.spectra.gram import Sample

_POINTS = 800
_ABOVE, _BELOW = 1e4, 1e-3
"""Ridges looked at, over the largest and under the smallest eigenvalue."""
_SAFE = 3.0
"""Above the smallest eigenvalue, where modes below it were dropped."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resolved:
    """Sums over the population's spectrum at falling kappas; S1 and S2 with all noise added.

    ``z`` and ``q`` are sums of lam/(lam+kappa) and of its square, ``S1`` and ``S2`` of v2 times
    kappa/(lam+kappa) and its square, plus the floor: noise and power out of reach. ``complete``
    where the last kappa is none: every mode is known, rather than as many as there are rows.
    """

    kappa: Array
    z: Array
    q: Array
    S1: Array
    S2: Array
    complete: bool


def resolve(sample: Sample) -> Resolved:
    """Turn the sums over a sample of n rows into those over its population.

    A ridge s on the sample acts on the population as kappa, with hats for sums over the sample,

        kappa = s/(1 - z/n),  z = z^,  z - q = (z^ - q^)(n - z^)/(n - 2 z^ + q^),
        S1 = A/(1 - z/n),     S2 = R (1 - q/n)/(1 - z/n)^2,

    where A = y.s(K/n + s)^-1 y/n and R is the training loss at the ridge s. As s falls, S2 tends to
    the residual variance of the full regression where n exceeds the modes.

    References
    ----------
    The equation for kappa of arXiv:2210.16859 and arXiv:2110.03922, turned around; R over
    (1 - z/n)^2 is generalised cross-validation (Golub, Heath and Wahba 1979; as an estimate of
    learning curves Wei, Hu and Steinhardt, arXiv:2203.06176).
    """
    lam, n = sample.lam, sample.freedom
    top, end = float(lam[0]), float(lam[-1])
    low = _SAFE * end if sample.dropped else _BELOW * end
    s = np.geomspace(_ABOVE * top, low, _POINTS)[:, None]
    t = lam / (lam + s)
    p = s / (lam + s)
    far = sample.dropped / s[:, 0]
    z = t.sum(axis=1) + far
    # One minus z/n by terms of one sign, as it may be tiny.
    w = ((n - lam.size) + p.sum(axis=1) - far) / n
    e = (t * p).sum(axis=1) + far
    spare = (n - lam.size) + (p * p).sum(axis=1) - 2 * far
    fine = (w > 0) & (spare > 0)
    s, z, w, e, spare, t, p = (v[fine] for v in (s, z, w, e, spare, t, p))
    e = e * w * n / spare
    rest = max(sample.total - float(sample.power.sum()), 0.0)
    A = rest + p @ sample.power
    R = rest + (p * p) @ sample.power
    q = z - e
    complete = lam.size < n and not sample.dropped
    S2 = R * (1 - q / n) / w**2
    kappa, S1 = s[:, 0] / w, A / w
    if complete:
        # The end itself: all modes learned, the residual variance is left.
        left = rest / (1 - lam.size / n)
        ends = (kappa[-1] * 1e-3, lam.size, lam.size, left, left)
        arrays = (kappa, z, q, S1, S2)
        kappa, z, q, S1, S2 = (np.append(v, e) for v, e in zip(arrays, ends, strict=True))
    return Resolved(kappa=kappa, z=z, q=q, S1=S1, S2=S2, complete=complete)

"""Loss of ridge regression on D samples and N random features, from sums read off a sample."""

from __future__ import annotations

import math

import numpy as np

from isoloss._core.arrays import Array
from isoloss.spectra.resolved import Resolved

Ridge = float | str


def total_losses(
    at: Resolved, N: Array, D: Array, ridge: Ridge, centred: bool
) -> tuple[Array, Array]:
    """Compute the expected squared error on new labels, noise in it, and the ridge per sample.

    NaN where the sample does not reach: as many degrees of freedom as it has rows.
    """
    loss, taken = np.empty(D.shape), np.empty(D.shape)
    for i in np.ndindex(D.shape):
        # Taking out a mean costs one sample, and its error adds one over D of the loss.
        T, factor = (D[i] - 1, 1 + 1 / D[i]) if centred else (D[i], 1.0)
        value, s = _one(at, float(N[i]), float(T), ridge)
        loss[i], taken[i] = factor * value, s
    return loss, taken


def _one(at: Resolved, N: float, T: float, ridge: Ridge) -> tuple[float, float]:
    n = min(N, T)
    good = at.z < n
    if not good.any():
        return math.nan, math.nan
    last = int(np.flatnonzero(good)[-1])
    # Whether the grid of kappa ends before the degrees of freedom are used up.
    ends = last + 1 == good.size
    part = slice(0, last + 1)
    u, w = 1 - at.z[part] / N, 1 - at.z[part] / T
    with np.errstate(divide="ignore"):
        log_s = np.log(at.kappa[part] * u * w)
    if ridge == "optimal":
        every = _assemble(at.z[part], at.q[part], at.S1[part], at.S2[part], N, T)
        losses = np.log(np.maximum(every, 1e-300))
        best = int(np.argmin(losses))
        if best == 0:
            # Nothing is worth learning from so few: the best ridge has no end.
            return float(every[0]), math.inf
        if best == last:
            if ends:
                return _end(at, N, T), 0.0
            return _at(at, _place(n, at.z), N, T, n), 0.0
        shift, low = _vertex(losses, best)
        return math.exp(low), math.exp(float(np.interp(best + shift, np.arange(last + 1), log_s)))
    s = 0.0 if ridge == "ridgeless" else float(ridge) / T
    if s > 0 and math.log(s) >= log_s[-1]:
        return _at(at, _place(-math.log(s), -log_s), N, T, None), s
    # Less ridge than at the last point of the grid: between it and none.
    if ends:
        return _end(at, N, T), s
    left = s / math.exp(log_s[-1]) if s else 0.0
    return _at(at, _place(n, at.z), N, T, n - (n - at.z[last]) * left), s


def _place(value: float, rising: Array) -> float:
    return float(np.interp(value, rising, np.arange(rising.size)))


def _end(at: Resolved, N: float, T: float) -> float:
    """Loss at the last kappa, where every mode is learned; unknown where rows end the grid."""
    if not at.complete:
        return math.nan
    return float(_assemble(at.z[-1], at.q[-1], at.S1[-1], at.S2[-1], N, T))


def _at(at: Resolved, place: float, N: float, T: float, z: float | None) -> float:
    """Loss between two points of the grid; z is known exactly where there is no ridge."""
    grid = np.arange(at.z.size)
    mid, e, S1, S2 = (
        float(np.exp(np.interp(place, grid, np.log(np.maximum(v, 1e-300)))))
        for v in (at.z, at.z - at.q, at.S1, at.S2)
    )
    z = mid if z is None else z
    return float(_assemble(z, z - e, S1, S2, N, T))


def _assemble(z: Array | float, q: Array | float, S1: Array | float, S2: Array | float,
              N: float, T: float) -> Array:  # fmt: skip
    a, b = 1 / N, 1 / T
    z, q = np.asarray(z), np.asarray(q)
    u, w, e = 1 - a * z, 1 - b * z, z - q
    d = u * w + b * e * u + a * e * w
    with np.errstate(divide="ignore", invalid="ignore"):
        # Of S1 - S2 the share that the variance over features leaves.
        B = S2 + (a * e / (u + a * e)) * (np.asarray(S1) - S2)
        return np.asarray(np.where(d > 0, B * (u + a * e) / d, np.inf))


def _vertex(values: Array, best: int) -> tuple[float, float]:
    """Place, relative to the least of equally spaced values, and height of the parabola there."""
    if best in (0, len(values) - 1):
        return 0.0, float(values[best])
    left, middle, right = (float(v) for v in values[best - 1 : best + 2])
    bend = left - 2 * middle + right
    if not bend > 0:
        return 0.0, middle
    shift = (left - right) / (2 * bend)
    return shift, middle - (left - right) * shift / 4

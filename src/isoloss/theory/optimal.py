"""The ridge of least test loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.theory.checks import as_noise, as_resources, broadcast
from isoloss.theory.kappa import Point, Solution, point, solve
from isoloss.theory.moments import Moments, moments
from isoloss.theory.ridge import RidgeLoss, assemble, losses
from isoloss.theory.spectrum import Spectrum

_SPACING = 0.15
"""Of the scan in log kappa; sums over a spectrum change on the scale of one."""
_KNOTS = 3000
_ELEMENTS = 1 << 17


def optimal_ridge(spectrum: Spectrum, N: Any, T: Any, *, noise: Any = 0.0) -> RidgeLoss:
    """Losses at the ridge that minimises the test loss, for every N, T and noise.

    The loss depends on the ridge through kappa alone. It is scanned over kappa, as general targets
    have several minima, and its exact derivative is then driven to zero in the best cell. Where the
    loss only rises with kappa, the optimum is no ridge.

    Parameters
    ----------
    spectrum, N, T, noise
        As in `isoloss.theory.random_features`.

    Raises
    ------
    InputError
        As there.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859: with iid targets, M infinite and b = 2 the optimal
    ghat is pi^2/4 for all N and T, and the loss is proportional to 1/N + 1/T.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = optimal_ridge(power_law(b=2, M=1e6, iid=True), 1000, 3000)
    >>> f"{found.ridge:.5f} {found.test_excess:.6e}"
    '2.46290 3.283933e-09'
    """
    N, T, noise = broadcast(N=as_resources("N", N), T=as_resources("T", T), noise=as_noise(noise))
    shape = N.shape
    N, T, noise = N.ravel(), T.ravel(), noise.ravel()
    at = point(N, T, np.full(N.shape, -np.inf))
    bare = solve(spectrum, at)
    best = _minimise(spectrum, N, T, noise, at, bare.kappa)
    ridged = best > 0
    end = losses(spectrum, N, T, at.log_s, noise)
    kappa = np.where(ridged, best, np.where(bare.kappa > 0, bare.kappa, 1e-300))
    sums = moments(spectrum, kappa)
    short, long = _factors(spectrum, at, sums)
    parts = assemble(spectrum, N, T, Solution(kappa, short, long), sums, noise)
    # A minimum that the scan put beside the end is compared with the end itself.
    with np.errstate(invalid="ignore", over="ignore"):
        ridged &= ~(end.test_excess <= parts["test_excess"])
        s = np.where(ridged, kappa * short * long, 0.0)
        ghat = np.where(ridged, s * N * T, 0.0)
    chosen = {k: np.where(ridged, v, getattr(end, k)) for k, v in parts.items()}
    chosen |= {
        "N": N, "T": T, "noise": noise, "ridge": ghat, "ridge_per_sample": s,
        "kappa": np.where(ridged, kappa, end.kappa),
        "residual": np.where(ridged, 0.0, end.residual),
    }  # fmt: skip
    if not _learnable(spectrum):
        # Nothing to learn: the best ridge has no end.
        chosen |= {k: np.full(N.shape, np.inf) for k in ("ridge", "ridge_per_sample", "kappa")}
    return RidgeLoss(
        **{k: v.reshape(shape) for k, v in chosen.items()}, largest_share=spectrum.largest_share
    )


def slope(
    spectrum: Spectrum, a: Array, b: Array, u: Array, w: Array, sums: Moments, noise: Array
) -> Array:
    """D log(test_total) / d log kappa at fixed N and T.

    a, b are 1/N and 1/T, and u, w are 1 - z/N and 1 - z/T.

    References
    ----------
    From the formula of `isoloss.theory.random_features`, by the derivatives of z, q, S1 and S2.
    """
    ae, be, az = a * sums.e, b * sums.e, a * sums.z
    open_N = u + ae
    c = u / open_N
    d = u * w + be * u + ae * w
    d_dot = 2 * ae * be + 2 * sums.f * (b * u + a * w)
    c_dot = (ae * open_N - 2 * a * sums.f * u) / open_N**2
    B = sums.S2 + (1 - c) * sums.d
    B_dot = sums.d * (1 - c) - c_dot * sums.d + 2 * c * sums.h
    # The amplification is 1 + above: its own logarithm would forget what is small beside one.
    num = sums.q * u + az * sums.e
    num_dot = 2 * (az * sums.f - ae * sums.e) - 2 * sums.f * u
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = 1 / (1 + 1 / (b * num / d))
        return np.asarray(B_dot / (B + spectrum.v0 + noise) + (num_dot / num - d_dot / d) * share)


def _learnable(spectrum: Spectrum) -> bool:
    return bool(spectrum.multiplicity @ spectrum.v2 > 0)


def _factors(spectrum: Spectrum, at: Point, sums: Moments) -> tuple[Array, Array]:
    """1 - z/n and 1 - z/n' from the sums."""
    near = (sums.rest < sums.z) & (spectrum.tail == 0) & np.isfinite(spectrum.size)
    with np.errstate(invalid="ignore"):
        x = np.where(near, ((at.n - spectrum.size) + sums.rest) / at.n, 1 - sums.z / at.n)
    x = np.where(np.isinf(at.n), 1.0, np.maximum(x, 0.0))
    return x, at.gap + at.r * x


def _scan(spectrum: Spectrum, noise: Array, at: Point, bare: Array) -> tuple[Array, Moments]:
    """Kappas to look at, from the least one allowed to where the loss must rise."""
    # For large kappa the loss is V - 2 P/kappa + Q/kappa**2; its minimum is at Q/P.
    m, lam, v2 = spectrum.multiplicity, spectrum.lam, spectrum.v2
    P, square = m @ (v2 * lam), m @ lam**2
    a = 1 / at.n.min()
    V = spectrum.power + noise.max()
    Q = V * a * (square + a * spectrum.trace**2) + a * spectrum.trace * P + 3 * m @ (v2 * lam**2)
    high = 10 * max(Q / P, lam.max())
    open_end = bare == 0
    low = np.inf if open_end.all() else bare[~open_end].min()
    if open_end.any():
        share = (spectrum.v0 + noise[noise > 0].min() if (noise > 0).any() else spectrum.v0) / V
        low = min(low, max(lam.min() * 1e-8 * min(share, 1.0), 1e-280))
        low = max(low, 1e-60 * lam.min(), 1e-280)
    count = int(np.clip(np.log(high / low) / _SPACING, 8, _KNOTS))
    table = np.exp(np.linspace(np.log(low), np.log(high), count))
    return table, moments(spectrum, table)


def _minimise(
    spectrum: Spectrum, N: Array, T: Array, noise: Array, at: Point, bare: Array
) -> Array:
    """Kappa of least loss for each point; zero where no ridge is best."""
    if not _learnable(spectrum):
        return np.full(N.shape, 1e250)
    table, sums = _scan(spectrum, noise, at, bare)
    low, high, seen = (np.empty(N.size) for _ in range(3))
    step = max(1, _ELEMENTS // table.size)
    for i in range(0, N.size, step):
        part = slice(i, i + step)
        best, least = _scan_losses(spectrum, 1 / N[part], 1 / T[part], noise[part], sums)
        below = np.maximum(best - 1, least)
        low[part] = np.where(best == least, bare[part] * (1 + 1e-13), table[below])
        low[part] = np.maximum(low[part], table[0])
        high[part] = table[np.minimum(best + 1, table.size - 1)]
        # The end without a ridge can only be the optimum where the scan begins.
        seen[part] = np.where(best == least, 0.0, table[best])
    return _root(spectrum, N, T, noise, at, low, np.maximum(high, low), seen)


def _scan_losses(
    spectrum: Spectrum, a: Array, b: Array, noise: Array, sums: Moments
) -> tuple[Array, Array]:
    """Index of the least loss among the kappas of the scan, and of the least kappa allowed."""
    a, b = a[:, None], b[:, None]
    u, w = 1 - a * sums.z, 1 - b * sums.z
    # With every mode resolved z may round to a little above N.
    allowed = (u >= -1e-12) & (w >= -1e-12)
    u, w = np.maximum(u, 1e-300), np.maximum(w, 1e-300)
    spread = a * sums.e
    d = u * w + sums.e * b * u + spread * w
    B = sums.S2 + spread / (u + spread) * sums.d
    # The excess, not the total: much noise would hide everything else.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        above = (b * sums.q * u + spread * (b * sums.z)) / d
        excess = B + (B + (spectrum.v0 + noise)[:, None]) * above
    excess = np.where(allowed & ~np.isnan(excess), excess, np.inf)
    least = np.minimum(np.argmax(allowed, axis=1), excess.shape[1] - 1)
    return np.argmin(excess, axis=1), least


def _root(
    spectrum: Spectrum, N: Array, T: Array, noise: Array, at: Point, low: Array, high: Array,
    seen: Array,
) -> Array:  # fmt: skip
    """Zero of the slope between low and high, by the Illinois method in log kappa.

    Where the slope is never negative, or never positive, the answer is the best kappa seen.
    """

    def value(kappa: Array, i: Any) -> Array:
        sums = moments(spectrum, kappa)
        short, long = _factors(spectrum, at[i], sums)
        fewer = N[i] <= T[i]
        u, w = np.where(fewer, short, long), np.where(fewer, long, short)
        found = slope(spectrum, 1 / N[i], 1 / T[i], u, w, sums, noise[i])
        # At N = T the loss has a pole where the ridge ends, and falls away from it.
        return np.nan_to_num(found, nan=-1e3, posinf=1e3, neginf=-1e3)

    everything = np.arange(N.size)
    left, right = np.log(low), np.log(high)
    f_left, f_right = value(low, everything), value(high, everything)
    answer = np.where(f_left >= 0, seen, np.where(seen > 0, seen, high))
    active = everything[(f_left < 0) & (f_right > 0)]
    for _ in range(80):
        if not active.size:
            break
        i = active
        middle = (left[i] * f_right[i] - right[i] * f_left[i]) / (f_right[i] - f_left[i])
        f = value(np.exp(middle), i)
        answer[i] = np.exp(middle)
        rising = f > 0
        f_left[i] = np.where(rising, f_left[i] / 2, f)
        f_right[i] = np.where(rising, f, f_right[i] / 2)
        moved = np.where(rising, right[i], left[i]) - middle
        left[i], right[i] = np.where(rising, left[i], middle), np.where(rising, middle, right[i])
        ends = (np.abs(moved) < 1e-11) | (right[i] - left[i] < 1e-11) | (f == 0)
        active = active[~ends]
    return answer

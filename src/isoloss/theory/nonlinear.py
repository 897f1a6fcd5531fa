"""Spectra of nonlinear random features: Gaussian equivalence, the sphere, Hermite chaos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError
from isoloss.theory.activations import Activation, evaluate, hermite_coefficients
from isoloss.theory.power import SMALLEST
from isoloss.theory.spectrum import Spectrum, from_modes

_ANGLES = 400


def gaussian_equivalent(
    latents: Spectrum, activation: Activation, *, nonlinear_power: float = 0.0
) -> Spectrum:
    """Spectrum of centred features ``sigma(u.x)`` for latents of many dimensions.

    The features act as linear ones plus independent noise: ``lam -> mu1^2 lam`` and a tail of trace
    ``Var(sigma) - mu1^2``, with ``mu1 = E g sigma(g)``. The projections u.x are scaled to variance
    one, so that ghat is the ridge on the summed squared error itself.

    Parameters
    ----------
    latents
        Modes and target; no eigenvalue may carry much of the trace.
    activation
        ``relu``, ``erf``, ``sign``, ``tanh``, ``identity``, or a function of arrays.
    nonlinear_power
        Target power that is not linear in the latents; added to ``v0``.

    Raises
    ------
    InputError
        If the activation is not known, not finite, or has no linear part.

    References
    ----------
    arXiv:2210.16859, nonlinear features; the equivalence: Goldt et al., arXiv:2006.14709, and Hu
    and Lu, arXiv:2009.07669.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = gaussian_equivalent(power_law(b=0.3, a=1, M=400), "relu")
    >>> round(found.trace - found.tail, 6), round(found.tail, 7)
    (0.25, 0.0908451)
    """
    c, square = hermite_coefficients(activation, 1)
    linear = c[1] ** 2
    if linear < 1e-12 * max(square, 1e-300):
        raise InputError(
            "activation: has no linear part, so no latent can be learned; use the sphere's kernel"
        )
    rest = square - c[0] ** 2 - linear
    tail = max(rest, 0.0) if rest > 1e-10 * square else 0.0
    scale = linear / latents.trace
    return Spectrum(
        lam=latents.lam * scale, multiplicity=latents.multiplicity, v2=latents.v2,
        tail=tail + latents.tail * scale, v0=latents.v0 + nonlinear_power, size=latents.size,
    )  # fmt: skip


def sphere_spectrum(
    d: int, activation: Activation, power: Sequence[float], *, degrees: int | None = None
) -> Spectrum:
    """Exact spectrum of features ``sigma(sqrt(d) w.x)`` with w and x uniform on a sphere.

    Degree l has eigenvalue ``xi_l^2``, ``xi_l = E sigma(sqrt(d) t) P_l(t)`` for the Gegenbauer
    polynomial with P_l(1) = 1, and multiplicity C(d+l-1, l) - C(d+l-3, l-2). The rest of the trace
    is a tail; target power on degrees that the features lack is ``v0``.

    Parameters
    ----------
    d
        Dimension of the space that holds the sphere, 3 or more.
    activation
        As in `gaussian_equivalent`.
    power
        Target power of each degree, from degree 0.
    degrees
        Highest degree kept; enough for the target by default, and 20 at least.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    arXiv:2110.03922, sec. on the hypersphere; Gegenbauer polynomials as in any text.

    Examples
    --------
    >>> found = sphere_spectrum(10, "relu", [0, 0.5, 0.5])
    >>> round(found.trace, 6)
    0.5
    """
    if not (isinstance(d, int | np.integer) and d >= 3):
        raise InputError(f"d = {d!r}: must be a whole number, 3 or more")
    powers = as_vector("power", power)
    if (powers < 0).any():
        raise InputError("power: every degree's target power must be zero or more")
    top = max(20, powers.size - 1) if degrees is None else degrees
    if top < powers.size - 1:
        raise InputError(f"degrees = {top}: below the target's highest, {powers.size - 1}")
    x, w = np.polynomial.legendre.leggauss(_ANGLES)
    angle = math.pi / 4 * (x + 1)
    angle = np.concatenate([angle, math.pi - angle[::-1]])
    t = np.cos(angle)
    weight = np.concatenate([w, w[::-1]]) * np.sin(angle) ** (d - 2)
    weight /= weight.sum()
    values = evaluate(activation, math.sqrt(d) * t)
    before, now = np.zeros_like(t), np.ones_like(t)
    lam, count = np.empty(top + 1), np.empty(top + 1)
    for k in range(top + 1):
        lam[k] = float(weight @ (values * now)) ** 2
        count[k] = math.comb(d + k - 1, k) - (math.comb(d + k - 3, k - 2) if k > 1 else 0)
        before, now = now, ((2 * k + d - 2) * t * now - k * before) / (k + d - 2)
    square = float(weight @ values**2)
    v2 = np.zeros(top + 1)
    v2[: powers.size] = powers / count[: powers.size]
    # Degrees that the activation lacks come out as rounding, not as zero.
    lam[lam < 1e-24 * square] = 0.0
    tail = square - float(lam @ count)
    return from_modes(lam, v2, multiplicity=count, tail=tail if tail > 1e-12 * square else 0.0)


def chaos_spectrum(
    latents: Spectrum, activation: Activation, *, degree: int = 3, modes: int = 10_000
) -> Spectrum:
    """Spectrum of ``sigma(u.x)`` for Gaussian latents with its higher Hermite chaoses.

    The degree-k part has eigenvalues ``k! c_k^2 prod lam_i^n_i`` over all products of k latents,
    whose squared norm is taken as constant: M^k/k! modes in place of M, at the same exponent up to
    logarithms. So features keep learning past N and T = M.

    Parameters
    ----------
    latents
        Explicit modes (no tail), and a target that is linear in them.
    activation
        As in `gaussian_equivalent`.
    degree
        Highest degree enumerated.
    modes
        About how many of the largest eigenvalues to keep; the rest of the trace is a tail.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    arXiv:2210.16859, nonlinear features extending the spectrum.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> latents = power_law(b=1.5, a=1.5, M=60)
    >>> chaos_spectrum(latents, "relu", degree=2, modes=500).size > 400
    True
    """
    if degree < 1 or modes < 1:
        raise InputError(f"degree = {degree!r}, modes = {modes!r}: must be at least 1")
    blocks = list(latents.blocks(100_000))
    lam = np.concatenate([b[0] for b in blocks])
    v2 = np.concatenate([b[1] for b in blocks])
    order = np.argsort(-lam, kind="stable")
    lam, v2 = lam[order] / latents.trace, v2[order]
    c, square = hermite_coefficients(activation, degree)
    found = [c[1] ** 2 * lam]
    for k in range(2, degree + 1):
        if c[k] ** 2 > 1e-20 * square:
            found.append(c[k] ** 2 * math.factorial(k) * largest_products(lam, k, modes))
    every = np.concatenate(found)
    target = np.concatenate([v2, np.zeros(every.size - v2.size)])
    keep = np.argsort(-every, kind="stable")[:modes]
    every, dropped = every[keep], max(float(target.sum() - target[keep].sum()), 0.0)
    tail = square - c[0] ** 2 - float(every.sum())
    spectrum = from_modes(
        every, target[keep], tail=tail if tail > 1e-10 * square else 0.0, v0=dropped
    )
    return replace(spectrum, v0=spectrum.v0 + latents.v0)


def largest_products(lam: Array, k: int, count: int) -> Array:
    """About the ``count`` largest products of k factors of ``lam`` (falling), repeats allowed.

    Examples
    --------
    >>> largest_products(np.array([1.0, 0.5, 0.25]), 2, 3).tolist()
    [1.0, 0.5, 0.25, 0.25]
    """
    low, high = max(float(lam[-1]) ** k, SMALLEST), float(lam[0]) ** k
    best = low
    if math.comb(lam.size + k - 1, k) > count:
        for _ in range(60):
            best = math.sqrt(low * high)
            size = _products(lam, k, best, 4 * count + 100).size
            low, high = (best, high) if size >= count else (low, best)
        best = low
    return np.sort(_products(lam, k, best * (1 - 1e-12), 10**8))[::-1]


def _products(lam: Array, k: int, least: float, most: int) -> Array:
    """Products of k factors that are at least ``least``; stops early past ``most``."""
    product, last = np.ones(1), np.zeros(1, dtype=np.int64)
    for left in range(k, 0, -1):
        # The factors to come are no larger than the next one.
        ends = np.searchsorted(-lam, -((least / product) ** (1 / left)) * (1 - 1e-14), "right")
        counts = np.maximum(ends - last, 0)
        if counts.sum() > most * (1 if left == 1 else 50):
            return np.ones(most + 1)
        row = np.repeat(np.arange(product.size), counts)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        index = np.arange(row.size) - first + last[row]
        product, last = product[row] * lam[index], index
    return product[product >= least]

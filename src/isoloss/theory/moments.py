"""Sums over the spectrum that every formula of the room is made of, at many kappas at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss.theory.spectrum import Spectrum

_ELEMENTS = 1 << 16
"""Kappas times nodes of one block: three arrays of these stay in cache."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums at each kappa, real or complex, with ``t = lam/(lam+kappa)`` and ``p = 1 - t``.

    Attributes
    ----------
    z, q, e, f
        Sums of t, t**2, t p and t**2 p, the tail included; z - q = e and dq/dln kappa = -2 f.
    S2, d, h
        Sums of v2 p**2, v2 t p and v2 t p**2; with S1 the sum of v2 p, S1 - S2 = d, and
        dS2/dln kappa = 2 h.
    rest
        Sum of p: modes not resolved, ``size - z`` without its cancellation.
    """

    z: Any
    q: Any
    e: Any
    f: Any
    S2: Any
    d: Any
    h: Any
    rest: Any


def moments(spectrum: Spectrum, kappa: Any) -> Moments:
    """Compute all sums at kappa, of any shape; kappa off the negative axis or beyond it."""
    k = np.asarray(kappa)
    flat = k.reshape(-1)
    lam, m = spectrum.lam, spectrum.multiplicity
    both = np.stack([m, m * spectrum.v2], axis=1)
    out = np.empty((6, flat.size, 2), dtype=np.result_type(flat, float))
    for part in _parts(flat.size, lam.size):
        at = flat[part, None]
        inverse = 1 / (lam + at)
        t = lam * inverse
        p = at * inverse
        out[0, part] = t @ both
        out[1, part] = p @ both
        tp = np.multiply(t, p, out=inverse)
        out[2, part] = tp @ both
        out[3, part] = (t * t) @ both
        out[4, part] = (p * p) @ both
        out[5, part, 0] = np.multiply(t, tp, out=t) @ both[:, 0]
        out[5, part, 1] = np.multiply(p, tp, out=p) @ both[:, 1]
    far = _tail(spectrum, flat)
    shaped = out.reshape(6, *k.shape, 2)
    far = far.reshape(k.shape)
    return Moments(
        z=shaped[0, ..., 0] + far,
        q=shaped[3, ..., 0],
        e=shaped[2, ..., 0] + far,
        f=shaped[5, ..., 0],
        S2=shaped[4, ..., 1],
        d=shaped[2, ..., 1],
        h=shaped[5, ..., 1],
        rest=shaped[1, ..., 0],
    )


def degrees(spectrum: Spectrum, flat: Any) -> tuple[Any, Any, Any]:
    """Compute z, e and the unresolved rest alone, at a vector of kappas."""
    lam, m = spectrum.lam, spectrum.multiplicity
    z, e, rest = (np.empty(flat.size, dtype=np.result_type(flat, float)) for _ in range(3))
    for part in _parts(flat.size, lam.size):
        at = flat[part, None]
        inverse = 1 / (lam + at)
        t = lam * inverse
        inverse *= at
        z[part] = t @ m
        rest[part] = inverse @ m
        t *= inverse
        e[part] = t @ m
    far = _tail(spectrum, flat)
    return z + far, e + far, rest


def bias(spectrum: Spectrum, flat: Any) -> tuple[Any, Any, Any, Any]:
    """Compute z, e, S1 and d alone, at a vector of complex kappas."""
    lam, m = spectrum.lam, spectrum.multiplicity
    both = np.stack([m, m * spectrum.v2], axis=1)
    out = np.empty((3, flat.size, 2), dtype=np.result_type(flat, float))
    for part in _parts(flat.size, lam.size):
        at = flat[part, None]
        inverse = 1 / (lam + at)
        t = lam * inverse
        inverse *= at
        out[0, part] = t @ both
        out[1, part] = inverse @ both
        t *= inverse
        out[2, part] = t @ both
    far = _tail(spectrum, flat)
    return out[0, :, 0] + far, out[2, :, 0] + far, out[1, :, 1], out[2, :, 1]


def _tail(spectrum: Spectrum, flat: Any) -> Any:
    return spectrum.tail / flat if spectrum.tail else np.zeros_like(flat)


def _parts(count: int, nodes: int) -> list[slice]:
    step = max(1, _ELEMENTS // nodes)
    return [slice(i, i + step) for i in range(0, count, step)]

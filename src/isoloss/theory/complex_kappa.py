"""Kappa at complex ridges, for inverse Laplace transforms, and beyond the edge of the spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import FitError
from isoloss.theory.kappa import point, solve
from isoloss.theory.moments import degrees
from isoloss.theory.spectrum import Spectrum

ComplexArray = npt.NDArray[np.complex128]
_TURNS = (8, 32, 128, 1024)
"""Steps of the rotation from the positive axis; more where fewer went astray."""


@dataclass(frozen=True, slots=True)
class ComplexKappa:
    """Kappa at complex s, with ``u = 1 - z/N`` and ``w = 1 - z/T``."""

    kappa: ComplexArray
    u: ComplexArray
    w: ComplexArray


def solve_complex(spectrum: Spectrum, N: Array, T: Array, s: ComplexArray) -> ComplexKappa:
    """Solve ``kappa (1 - z/N) (1 - z/T) = s`` for vectors of N, T and s off the negative axis.

    Starts from the real solution at |s| and turns s to its place. A solution is accepted where
    kappa, kappa u and kappa w all have the sign of Im s: each of the two Marchenko-Pastur
    equations that make up this one has a single solution of that kind.

    Raises
    ------
    FitError
        If some node finds no such solution.

    References
    ----------
    Silverstein and Choi 1995 (uniqueness); arXiv:2402.01092, response functions.
    """
    # The function takes conjugates to conjugates, so the upper half plane is enough.
    lower = s.imag < 0
    up = np.where(lower, s.conj(), s)
    a, b = 1 / N, 1 / T
    kappa = solve(spectrum, point(N, T, np.log(np.abs(up)))).kappa.astype(complex)
    start = kappa.copy()
    todo = np.flatnonzero(up.imag != 0)
    for turns in _TURNS:
        kappa[todo], good = _turn(spectrum, a[todo], b[todo], up[todo], start[todo], turns)
        todo = todo[~good]
        if not todo.size:
            break
    if todo.size or not np.isfinite(kappa).all():
        raise FitError(
            "NO_KAPPA",
            f"{todo.size} of {s.size} nodes of a contour have no solution; the spectrum may have "
            "isolated eigenvalues that the contour touches",
        )
    z, _, _ = degrees(spectrum, kappa)
    u, w = _refined(N, T, z, up / kappa)
    return ComplexKappa(*(np.where(lower, v.conj(), v) for v in (kappa, u, w)))


def _turn(
    spectrum: Spectrum, a: Array, b: Array, s: ComplexArray, kappa: ComplexArray, turns: int
) -> tuple[ComplexArray, npt.NDArray[np.bool_]]:
    """Follow the solution while s turns from |s|; tell which ends can be trusted."""
    size, angle = np.abs(s), np.angle(s)
    extra = 1 if turns == _TURNS[0] else 3
    with np.errstate(all="ignore"):
        for j in range(turns + 1):
            at = size * np.exp(1j * angle * j / turns)
            repeats = extra if j else 1
            move: Any = 0.0
            for i in range(repeats):
                z, e, _ = degrees(spectrum, kappa)
                x, y = 1 - a * z, 1 - b * z
                d = x * y + e * (a * y + b * x)
                # Newton's correction, then the tangent towards the next place.
                move = (at / kappa - x * y) / d
                if i == repeats - 1 and j < turns:
                    move = move + 1j * angle / turns * x * y / d
                kappa = kappa * np.exp(move)
        active: npt.NDArray[np.intp] = np.arange(s.size)
        for _ in range(12):
            k = kappa[active]
            z, e, _ = degrees(spectrum, k)
            x, y = 1 - a[active] * z, 1 - b[active] * z
            step = (s[active] / k - x * y) / (x * y + e * (a[active] * y + b[active] * x))
            kappa[active] = k * np.exp(step)
            active = active[~(np.abs(step) < 1e-8)]
            if not active.size:
                break
        z, _, _ = degrees(spectrum, kappa)
        x, y = 1 - a * z, 1 - b * z
        # Next to zero a factor is a small difference; the other one is trusted in its place.
        least = np.minimum(np.abs(x), np.abs(y))
        error = np.abs(kappa * x * y - s) / np.abs(s)
        close = error < 1e-9 + 1e-13 / least
        tied = np.abs(z) * 1e-13 / np.maximum(np.abs(z), 1)
        signs = (kappa.imag > 0) & ((kappa * x).imag > -tied * np.abs(kappa))
        signs &= (kappa * y).imag > -tied * np.abs(kappa)
    settled = np.ones(s.size, dtype=bool)
    settled[active] = False
    return kappa, close & signs & settled & np.isfinite(kappa)


def _refined(
    N: Array, T: Array, z: ComplexArray, share: ComplexArray
) -> tuple[ComplexArray, ComplexArray]:
    """1 - z/N and 1 - z/T with their digits: ``share = s/kappa`` is their product.

    With x the smaller factor, the product is a quadratic in x; of its two roots the one beside
    the plain difference is taken.
    """
    at = point(N, T, np.zeros(N.shape))
    x = 1 - z / at.n
    root = np.sqrt(at.gap**2 + 4 * at.r * share)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = 2 * share / (at.gap + root), 2 * share / (at.gap - root)
    nearer = np.abs(second - x) < np.abs(first - x)
    x = np.where(nearer & np.isfinite(second), second, first)
    y = at.gap + at.r * x
    fewer = N <= T
    return np.where(fewer, x, y), np.where(fewer, y, x)


def edge(spectrum: Spectrum, N: float, T: float) -> float:
    """Top of the spectrum of the matrix that learning sees: features, then samples.

    It is the least value of ``-kappa (1 - z/N)(1 - z/T)`` over kappa below minus the largest
    eigenvalue.

    References
    ----------
    Silverstein and Choi 1995, on the support of a limiting spectrum.
    """
    if np.isinf(N) and np.isinf(T):
        return float(spectrum.lam.max())
    return float(_outer(spectrum, N, T)[1])


def _outer(spectrum: Spectrum, N: float, T: float) -> tuple[float, float]:
    """Position of the edge, as log of kappa's excess over the top eigenvalue, and the edge."""
    top = spectrum.lam.max()
    low, high = -30.0, np.log(1e3 * (1 + spectrum.trace / (min(N, T) * top)))
    for _ in range(6):
        grid = np.linspace(low, high, 200)
        values = _image(spectrum, N, T, grid)
        best = int(np.argmin(values))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    return float(grid[best]), float(values[best])


def _image(spectrum: Spectrum, N: float, T: float, logs: Any) -> Any:
    """Eigenvalue of the matrix that kappa = -top (1 + exp(log)) belongs to."""
    kappa = -spectrum.lam.max() * (1 + np.exp(logs))
    z, _, _ = degrees(spectrum, np.atleast_1d(kappa))
    return -kappa * (1 - z / N) * (1 - z / T)


def outer_kappa(spectrum: Spectrum, N: float, T: float, x: float) -> float:
    """Kappa < 0 at s = -x for x above the edge; NaN for x at the edge or below."""
    from scipy.optimize import brentq

    if np.isinf(N) and np.isinf(T):
        return -x if x > spectrum.lam.max() else np.nan
    place, least = _outer(spectrum, N, T)
    if not x > least:
        return np.nan
    far = np.log(2 * x / spectrum.lam.max() + 2)
    found = brentq(
        lambda v: float(_image(spectrum, N, T, v)[0]) - x, place, max(far, place + 1), xtol=1e-14
    )
    return float(-spectrum.lam.max() * (1 + np.exp(found)))

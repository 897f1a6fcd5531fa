"""Kappa at complex ridges, for inverse Laplace transforms, and beyond the edge of the spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import FitError
from isoloss.theory.kappa import Point, point, solve
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
    at = point(N, T, np.log(np.abs(up)))
    kappa = solve(spectrum, at).kappa.astype(complex)
    start = kappa.copy()
    todo = np.flatnonzero(up.imag != 0)
    for turns in _TURNS:
        kappa[todo], good = _turn(spectrum, at[todo], up[todo], start[todo], turns)
        todo = todo[~good]
        if not todo.size:
            break
    if todo.size or not np.isfinite(kappa).all():
        raise FitError(
            "NO_KAPPA",
            f"{todo.size} of {s.size} nodes of a contour have no solution; the spectrum may have "
            "isolated eigenvalues that the contour touches",
        )
    x, _, _ = _short(spectrum, at, up, kappa)
    y = at.gap + at.r * x
    fewer = N <= T
    u, w = np.where(fewer, x, y), np.where(fewer, y, x)
    return ComplexKappa(*(np.where(lower, v.conj(), v) for v in (kappa, u, w)))


def _turn(
    spectrum: Spectrum, at: Point, s: ComplexArray, kappa: ComplexArray, turns: int
) -> tuple[ComplexArray, npt.NDArray[np.bool_]]:
    """Follow the solution while s turns from |s|; tell which ends can be trusted."""
    size, angle = np.abs(s), np.angle(s)
    repeats = 1 if turns == _TURNS[0] else 3
    active: npt.NDArray[np.intp] = np.arange(s.size)
    with np.errstate(all="ignore"):
        for j in range(turns + 1):
            place = size * np.exp(1j * angle * j / turns)
            for i in range(repeats if j else 1):
                step, ahead = _newton(spectrum, at, place, kappa)
                # Newton's correction, then the tangent towards the next place.
                if i == (repeats if j else 1) - 1 and j < turns:
                    step = step + 1j * angle / turns * ahead
                kappa = kappa * np.exp(step)
        for _ in range(12):
            step, _ = _newton(spectrum, at[active], s[active], kappa[active])
            kappa[active] *= np.exp(step)
            active = active[~(np.abs(step) < 1e-8)]
            if not active.size:
                break
        x, plain, _ = _short(spectrum, at, s, kappa)
        y = at.gap + at.r * x
        error = np.abs(x - plain) / (1 + np.abs(plain))
        # Imaginary parts may be rounding where s is tiny.
        least = -1e-12 * np.abs(kappa)
        signs = (kappa.imag >= least) & ((kappa * x).imag >= least)
        signs &= (kappa * y).imag >= least
    settled = np.ones(s.size, dtype=bool)
    settled[active] = False
    return kappa, (error < 1e-9) & signs & settled & np.isfinite(kappa)


def _newton(
    spectrum: Spectrum, at: Point, s: ComplexArray, kappa: ComplexArray
) -> tuple[ComplexArray, ComplexArray]:
    """Newton's step in log kappa, and d log kappa / d log s."""
    x, plain, e = _short(spectrum, at, s, kappa)
    y = at.gap + at.r * x
    slope = x * y / (y + at.r * x)
    steep = e / at.n + slope
    return (x - plain) / steep, slope / steep


def _short(
    spectrum: Spectrum, at: Point, s: ComplexArray, kappa: ComplexArray
) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """1 - z/n with its digits, as the plain difference, and e.

    ``s/kappa`` is the product of 1 - z/n and 1 - z/n', a quadratic in the former; of its two roots
    the one beside the plain difference is taken.
    """
    z, e, rest = degrees(spectrum, kappa)
    plain = 1 - z / at.n
    if not spectrum.tail and np.isfinite(spectrum.size):
        # Most modes resolved: by those that are not.
        with np.errstate(invalid="ignore"):
            other = ((at.n - spectrum.size) + rest) / at.n
        near = (np.abs(rest) < np.abs(z)) & np.isfinite(at.n)
        plain = np.where(near, other, plain)
    share = s / kappa
    root = np.sqrt(at.gap**2 + 4 * at.r * share)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        first, second = 2 * share / (at.gap + root), 2 * share / (at.gap - root)
    nearer = (np.abs(second - plain) < np.abs(first - plain)) & np.isfinite(second)
    return np.where(nearer, second, first), plain, e


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

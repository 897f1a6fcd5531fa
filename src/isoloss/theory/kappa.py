"""The scalar that all models of the room reduce to: an effective ridge, kappa.

With N features, T samples and degrees of freedom ``z(kappa) = sum lam/(lam+kappa)``, kappa solves

    kappa (1 - z/N) (1 - z/T) = s,        s = ghat / (N T).

Let n be the smaller of N and T, n' the larger, r = n/n' and x = 1 - z/n. Then 1 - z/n' equals
1 - r + r x, and the equation is a quadratic in x for known kappa. Its root x*(s/kappa) turns the
whole into ``z(kappa)/n + x*(s/kappa) = 1``, whose left side falls steeply in log kappa with a ridge
or without, at N = T as elsewhere: Newton's method is safe and every digit of x survives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import FitError, InputError
from isoloss.theory.checks import as_amounts, as_resources, broadcast
from isoloss.theory.moments import degrees
from isoloss.theory.spectrum import Spectrum

_STEP = 0.025
"""Spacing of the table in log kappa; Newton's method needs two or three steps from there."""
_KNOTS = 6000
_TURNS = 120
_LARGEST = np.log(1e290)
_CLOSE = 1e-8
"""A Newton step this small leaves an error of its square."""


@dataclass(frozen=True, slots=True)
class Point:
    """Resources as the solver sees them; arrays of one shape.

    Attributes
    ----------
    n, r, gap
        Smaller of N and T, its ratio to the larger, and one minus that ratio, exact.
    log_s
        Logarithm of the ridge per sample and feature; -inf without a ridge.
    """

    n: Array
    r: Array
    gap: Array
    log_s: Array

    def __getitem__(self, key: Any) -> Point:
        return Point(self.n[key], self.r[key], self.gap[key], self.log_s[key])


@dataclass(frozen=True, slots=True)
class Solution:
    """Kappa with ``1 - z/min(N,T)`` and ``1 - z/max(N,T)``."""

    kappa: Array
    short: Array
    long: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kappa:
    """A solution of the equation for kappa, on a grid.

    Attributes
    ----------
    kappa
        Effective ridge, in units of the eigenvalues; zero where every mode is resolved.
    short, long
        ``1 - z/min(N,T)`` and ``1 - z/max(N,T)``, accurate also where they are tiny.
    residual
        ``|z/n + x* - 1|`` at the solution.
    converged
        Whether Newton's method ended; kappa is NaN where it did not.
    """

    kappa: Array
    short: Array
    long: Array
    residual: Array
    converged: npt.NDArray[np.bool_]

    def require(self) -> Kappa:
        """Return self, or raise where a point has no solution."""
        if not self.converged.all():
            lost = self.converged.size - np.count_nonzero(self.converged)
            raise FitError(
                "NO_KAPPA",
                f"{lost} of {self.converged.size} points: Newton's method "
                "did not end; the spectrum or the ridge spans more than float64 can hold",
            )
        return self


def solve_kappa(spectrum: Spectrum, N: Any, T: Any, *, ridge: Any = 0.0) -> Kappa:
    """Solve for kappa on the grid that N, T and the ridge span together.

    Parameters
    ----------
    spectrum
        Modes of the latent covariance.
    N, T
        Features and samples, above zero; ``inf`` is allowed.
    ridge
        ``ghat``: the penalty on the squared weights of the summed squared error, features scaled
        to variance-one projections. Zero: no ridge. With N or T infinite it is no ridge either;
        see `isoloss.theory.PerSample`.

    Raises
    ------
    InputError
        If a value breaks these rules or shapes do not broadcast.

    References
    ----------
    arXiv:2210.16859 (its Delta); arXiv:2405.00592, sec. on linear random features.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = solve_kappa(power_law(b=2, M=1000, iid=True), 100, [200, 400], ridge=1.0)
    >>> found.kappa.shape, bool(found.residual.max() < 1e-14)
    ((2,), True)
    """
    N, T, ghat = broadcast(
        N=as_resources("N", N), T=as_resources("T", T), ridge=as_amounts("ridge", ridge)
    )
    at = point(N, T, log_ridge(N, T, ghat))
    found = solve(spectrum, at)
    z, _, rest = (v.reshape(N.shape) for v in degrees(spectrum, found.kappa.ravel() + 1e-300))
    return Kappa(
        kappa=found.kappa,
        short=found.short,
        long=found.long,
        residual=residual(spectrum, at, found, z, rest),
        converged=np.isfinite(found.kappa),
    )


def log_ridge(N: Array, T: Array, ghat: Array) -> Array:
    """Logarithm of ghat/(N T), without underflow."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(ghat) - np.log(N) - np.log(T))


def point(N: Array, T: Array, log_s: Array) -> Point:
    """Sort N and T."""
    n, larger = np.minimum(N, T), np.maximum(N, T)
    with np.errstate(invalid="ignore"):
        r = np.where(np.isinf(larger), 0.0, n / larger)
        gap = np.where(np.isinf(larger), 1.0, (larger - n) / larger)
    return Point(n, r, gap, np.asarray(log_s, dtype=np.float64))


def shortage(at: Point, kappa: Array) -> tuple[Array, Array]:
    """X and 1 - r + r x, from the ridge and kappa alone."""
    # Square root first: s/kappa may underflow where its root does not.
    h = np.exp(0.5 * (at.log_s - np.log(kappa)))
    x = 2 * h * (h / (at.gap + np.hypot(at.gap, 2 * np.sqrt(at.r) * h) + 1e-320))
    return x, at.gap + at.r * x


def residual(spectrum: Spectrum, at: Point, found: Solution, z: Array, rest: Array) -> Array:
    """Distance of ``z/n + x*`` from one at a solution, given its sums."""
    limits = (found.kappa <= 1e-290) | np.isinf(at.n)
    error = np.abs(found.short - _direct(spectrum, at.n, z, rest))
    return np.where(limits, 0.0, error)


def solve(spectrum: Spectrum, at: Point) -> Solution:
    """Solve at checked points of any shape; kappa is NaN where Newton's method did not end."""
    shape = at.n.shape
    flat = Point(*(np.ravel(v) for v in (at.n, at.r, at.gap, at.log_s)))
    kappa, x, y = (np.zeros(flat.n.size) for _ in range(3))
    free = np.isneginf(flat.log_s)
    if (flat.log_s > _LARGEST).any():
        raise InputError("ridge: ghat/(N T) is above 1e290, beyond float64; take a smaller ridge")
    over = (flat.n > spectrum.size) & (spectrum.tail == 0)
    tiny = over & (flat.log_s < -_LARGEST)
    resolved = tiny | (free & (flat.n >= spectrum.size) & (spectrum.tail == 0))
    endless = np.isinf(flat.n)
    # Every mode resolved, or nothing to resolve with limits: no equation to solve.
    done = resolved | endless
    x[resolved], y[resolved] = _over(flat.n[resolved], spectrum.size, flat.r[resolved])
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa[tiny] = np.exp(flat.log_s[tiny] - np.log(x[tiny]) - np.log(y[tiny]))
    kappa[endless] = np.exp(flat.log_s[endless])
    x[endless] = y[endless] = 1.0
    ridged = np.flatnonzero(~done & ~free)
    if ridged.size:
        kappa[ridged] = _newton(spectrum, flat[ridged])
    # Without a ridge only the smaller of N and T matters.
    bare = np.flatnonzero(~done & free)
    if bare.size:
        n, back = np.unique(flat.n[bare], return_inverse=True)
        zero = np.zeros_like(n)
        kappa[bare] = _newton(spectrum, Point(n, zero, zero + 1.0, zero - np.inf))[back]
    rest = np.flatnonzero(~done)
    with np.errstate(invalid="ignore"):
        x[rest], y[rest] = shortage(flat[rest], kappa[rest])
    return Solution(*(v.reshape(shape) for v in (kappa, x, y)))


def _over(n: Array, size: float, r: Array) -> tuple[Array, Array]:
    """1 - size/n and 1 - size/n' where all modes are resolved."""
    with np.errstate(invalid="ignore"):
        x = np.where(np.isinf(n), 1.0, (n - size) / n)
    return x, 1 - r + r * x


def _newton(spectrum: Spectrum, at: Point) -> Array:
    """Solve for kappa > 0; NaN where it fails."""
    low, high = _bracket(spectrum, at)
    kappa, low, high = _start(spectrum, at, low, high)
    active = np.arange(kappa.size)
    for turn in range(_TURNS):
        part, k = at[active], kappa[active]
        z, e, rest = degrees(spectrum, k)
        x, y = shortage(part, k)
        gap = x - _direct(spectrum, part.n, z, rest)
        slope = e / part.n + x * y / (y + part.r * x + 1e-320)
        left = gap > 0
        low[active] = np.where(left, k, low[active])
        high[active] = np.where(left, high[active], k)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = gap / slope
            new = k * np.exp(step)
        # Every tenth turn halves the bracket, so that no cycle lasts.
        middle = np.sqrt(low[active]) * np.sqrt(high[active])
        out = ~((new >= low[active]) & (new <= high[active])) | (turn % 10 == 9)
        small = np.abs(step) < _CLOSE
        narrow = high[active] <= low[active] * (1 + 4e-16)
        ends = small | narrow
        new = np.where(out & ~small, middle, np.where(np.isfinite(new), new, middle))
        kappa[active] = new
        active = active[~ends]
        if not active.size:
            return kappa
    kappa[active] = np.nan
    return kappa


def _direct(spectrum: Spectrum, n: Array, z: Array, rest: Array) -> Array:
    """1 - z/n, by whichever of two sums keeps its digits."""
    near = (rest < z) & (spectrum.tail == 0) & np.isfinite(spectrum.size)
    with np.errstate(invalid="ignore"):
        return np.where(near, ((n - spectrum.size) + rest) / n, 1 - z / n)


def _bracket(spectrum: Spectrum, at: Point) -> tuple[Array, Array]:
    """Kappas surely below and above the solution."""
    s = np.exp(at.log_s)
    trace, A = spectrum.trace, 1 / at.n
    B = at.r * A
    # z <= trace/kappa makes the upper end the larger root of a quadratic.
    half, root = 0.5 * (trace * (A + B) + s), trace * np.sqrt(A * B)
    high = half + np.sqrt(half + root) * np.sqrt(np.maximum(half - root, 0.0))
    coarse = np.exp(np.linspace(-690.0, np.log(high.max()) + 1, 400))
    z, _, _ = degrees(spectrum, coarse)
    # The last coarse kappa that resolves n modes or more; the first of all if none does.
    place = np.searchsorted(-z, -at.n, side="left")
    least = coarse[np.maximum(place - 2, 0)]
    least = np.where((at.n >= spectrum.size) & (spectrum.tail == 0), 1e-300, least)
    return np.maximum(np.maximum(s, least) * (1 - 1e-9), 1e-300), high * (1 + 1e-9)


def _start(spectrum: Spectrum, at: Point, low: Array, high: Array) -> tuple[Array, Array, Array]:
    """Bisect on a table shared by all points, then one secant."""
    ends = np.log(low.min()) - 2 * _STEP, np.log(high.max()) + 2 * _STEP
    count = int(np.clip((ends[1] - ends[0]) / _STEP, 8, _KNOTS))
    logs = np.linspace(*ends, count)
    table = np.exp(logs)
    z, _, rest = degrees(spectrum, table)
    below, above = np.zeros(at.n.size, dtype=np.int64), np.full(at.n.size, count - 1)

    def height(i: Any) -> Array:
        return shortage(at, table[i])[0] - _direct(spectrum, at.n, z[i], rest[i])

    for _ in range(count.bit_length()):
        middle = (below + above) // 2
        left = height(middle) > 0
        below, above = np.where(left, middle, below), np.where(left, above, middle)
    first, second = height(below), height(above)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num(first / (first - second), nan=0.5, posinf=0.5, neginf=0.5)
    start = np.exp(logs[below] + np.clip(share, 0, 1) * (logs[above] - logs[below]))
    return start, table[below] * (1 - 1e-12), table[above] * (1 + 1e-12)

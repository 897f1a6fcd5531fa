"""One curve of a turned coordinate through points of a plane: the numerics of the exchange."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array

Labels = npt.NDArray[np.int64]
_ANGLES = 61
_KNOTS = {3: 0, 4: 0, 5: 1, 6: 2, 7: 3, 8: 4}
"""Inner knots of a curve by its number of columns; 3 is a parabola, 4 a cubic."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Points in units in which both coordinates have deviation one.

    Attributes
    ----------
    u, v, y
        Log size, log time and log loss, centred, (n,).
    ratio
        Unit of v over unit of u.
    limit
        Largest angle: beyond it sizes no longer overlap on the curve, and each would have a piece
        of it for itself.
    """

    u: Array
    v: Array
    y: Array
    ratio: float
    limit: float

    @classmethod
    def of(cls, u: Array, v: Array, y: Array, most: float) -> Plane:
        """Centre and scale; ``most`` is the largest exponent."""
        a, b = max(float(u.std()), 1e-12), max(float(v.std()), 1e-12)
        ratio = b / a
        limit = float(np.arctan(most / ratio))
        return cls((u - u.mean()) / a, (v - v.mean()) / b, y - y.mean(), ratio, limit)

    def along(self, angle: float) -> Array:
        """Coordinate of the curve: time at angle 0, size at a right angle."""
        return np.asarray(np.cos(angle) * self.v + np.sin(angle) * self.u)

    def exponent(self, angle: float) -> float:
        """Turn an angle into the exponent g of ``N^g D``."""
        return float(np.tan(angle) * self.ratio)


@dataclass(frozen=True, slots=True)
class Best:
    """Best angle, columns of the curve there, and standard deviation of what is left."""

    angle: float
    columns: int
    scatter: float


def curve_basis(x: Array, columns: int) -> Array:
    """Orthonormal columns of a cubic with knots at quantiles, (..., n, columns) for (..., n)."""
    low, high = (f(x, axis=-1, keepdims=True) for f in (np.min, np.max))
    z = 2 * (x - low) / np.maximum(high - low, 1e-300) - 1
    ranks = np.linspace(0, x.shape[-1] - 1, _KNOTS[columns] + 2)[1:-1].round().astype(int)
    knots = np.sort(z, axis=-1)[..., ranks]
    powers = [z**k for k in range(min(columns, 4))]
    bends = [np.maximum(z - knots[..., k, None], 0.0) ** 3 for k in range(ranks.size)]
    return np.asarray(np.linalg.qr(np.stack([*powers, *bends], axis=-1))[0])


def left_over(plane: Plane, angles: Array, columns: int) -> Array:
    """Sum of squares around the best curve at each angle."""
    x = np.cos(angles)[:, None] * plane.v + np.sin(angles)[:, None] * plane.u
    Q = curve_basis(x, columns)
    off = plane.y - (Q @ (plane.y @ Q)[:, :, None])[:, :, 0]
    return np.asarray(np.sum(off * off, axis=1))


def best_angle(plane: Plane, *, most: int = 8) -> Best:
    """Find the angle of least scatter, the stiffness of the curve chosen by Schwarz's criterion."""
    n, best = plane.y.size, None
    least = max(float(plane.y @ plane.y), 1e-300) * 1e-24
    for columns in _KNOTS:
        if columns > most or columns + 2 >= n:
            break
        low, high, points = -plane.limit, plane.limit, _ANGLES
        # Ever finer grids around the best of all angles.
        while True:
            angles = np.linspace(low, high, points)
            rss = left_over(plane, angles, columns)
            at = int(np.argmin(rss))
            if high - low < 1e-7:
                break
            low, high = angles[max(at - 1, 0)], angles[min(at + 1, points - 1)]
            points = 13
        value = max(float(rss[at]), least)
        score = n * np.log(value / n) + (columns + 1) * np.log(n)
        if best is None or score < best[0]:
            free = max(n - columns - 1, 1)
            best = (score, Best(float(angles[at]), columns, float(np.sqrt(value / free))))
    assert best is not None
    return best[1]


def resampled(
    plane: Plane, columns: int, ids: Labels, draws: int, rng: np.random.Generator
) -> Array:
    """Find the angles of least scatter when runs are drawn with repetition.

    The curve keeps its knots at each angle; only the weights of runs change.
    """
    _, ids = np.unique(ids, return_inverse=True)
    count = int(ids.max()) + 1
    picks = rng.integers(0, count, (draws, count))
    weights = np.array([np.bincount(row, minlength=count) for row in picks], dtype=np.float64)
    weights = weights[:, ids]
    angles = np.linspace(-plane.limit, plane.limit, 2 * _ANGLES - 1)
    rss = np.empty((angles.size, draws))
    total = weights @ plane.y**2
    for i, a in enumerate(angles):
        Q = curve_basis(plane.along(float(a)), columns)
        pairs = (Q[:, :, None] * Q[:, None, :]).reshape(len(Q), -1)
        G = (weights @ pairs).reshape(draws, columns, columns) + 1e-10 * np.eye(columns)
        rhs = weights @ (Q * plane.y[:, None])
        rss[i] = total - np.einsum("bk,bk->b", rhs, np.linalg.solve(G, rhs[:, :, None])[:, :, 0])
    low = np.clip(np.argmin(rss, axis=0), 1, angles.size - 2)
    rows = np.arange(draws)
    before, here, after = (rss[low + k, rows] for k in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.where(bend > 0, 0.5 * (before - after) / np.where(bend > 0, bend, 1.0), 0.0)
    return np.asarray(angles[low] + np.clip(shift, -1, 1) * (angles[1] - angles[0]))


def surface_test(plane: Plane, angle: float, columns: int) -> float:
    """Chance, by F, of what curves that change across the angle take off beyond one curve."""
    from scipy.special import fdtrc

    x, z = plane.along(angle), plane.along(angle + np.pi / 2)
    Q = curve_basis(x, columns)
    across = np.stack([z, x * z, x * x * z, z * z, x * z * z], axis=1)
    both = np.linalg.qr(np.concatenate([Q, across], axis=1))[0]
    one = plane.y - Q @ (Q.T @ plane.y)
    all_ = plane.y - both @ (both.T @ plane.y)
    # Turning the angle takes off one of these directions already.
    gained, free = across.shape[1] - 1, plane.y.size - columns - across.shape[1]
    if free < 3:
        return float("nan")
    rest = float(all_ @ all_) / free
    if rest <= 1e-24 * float(plane.y @ plane.y):
        return float("nan")
    ratio = max(float(one @ one) - float(all_ @ all_), 0.0) / gained / rest
    return float(fdtrc(gained, free, ratio))


def two_term_scatter(u: Array, v: Array, y: Array) -> float:
    """Give the standard deviation of log loss around ``E + A N^-alpha + B D^-beta``."""
    from scipy.optimize import least_squares

    u, v, y = u - u.mean(), v - v.mean(), y - y.mean()
    low = float(y.min())

    def parts(q: Array) -> tuple[Array, Array, Array]:
        return (
            np.full(y.size, np.exp(q[0])),
            np.exp(q[1] - np.exp(q[3]) * u),
            np.exp(q[2] - np.exp(q[4]) * v),
        )

    def off(q: Array) -> Array:
        return np.asarray(np.log(sum(parts(q))) - y)

    def slope(q: Array) -> Array:
        e, a, b = parts(q)
        columns = [e, a, b, -a * np.exp(q[3]) * u, -b * np.exp(q[4]) * v]
        return np.stack(columns, axis=1) / (e + a + b)[:, None]

    best = np.inf
    bounds = ([-40.0] * 3 + [-5.0] * 2, [8.0] * 3 + [1.5] * 2)
    for floor in (0.3, 0.9):
        for p in (-1.6, -0.5):
            for q in (-1.6, -0.5):
                rest = np.log(max(1 - floor * np.exp(low), 0.05) / 2)
                start = np.array([np.log(floor) + low, rest, rest, p, q])
                found = least_squares(off, start, jac=slope, bounds=bounds, max_nfev=300)
                best = min(best, 2 * float(found.cost))
    return float(np.sqrt(best / max(y.size - 5, 1)))

"""The minimum of one isoFLOP curve, or why it has none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Polynomial least squares of loss in x = log N - centre.

    Attributes
    ----------
    coefficients
        Of 1, x, x^2, x^3 (zero for a parabola), (4,).
    inverse
        Unscaled covariance, (4, 4).
    rss, dof
        Residual sum of squares and degrees of freedom.
    centre, half_width
        Of the sampled log N.
    """

    coefficients: Array
    inverse: Array
    rss: float
    dof: int
    centre: float
    half_width: float

    def slope(self, x: float) -> float:
        """First derivative at x."""
        _, a1, a2, a3 = self.coefficients.tolist()
        return float(a1 + 2 * a2 * x + 3 * a3 * x**2)


def fit_curve(N: Array, loss: Array, degree: int) -> Curve:
    """Fit a polynomial of the degree, or a parabola where the sizes are too few for a cubic."""
    log_N = np.log(N)
    centre = float(log_N.min() + log_N.max()) / 2
    half = float(np.ptp(log_N)) / 2
    used = degree if np.unique(N).size > degree + 1 else 2
    # Scaled to [-1, 1] for the solve; coefficients are returned in units of log N.
    design = np.vander((log_N - centre) / half, used + 1, increasing=True)
    q, r = np.linalg.qr(design)
    units = half ** -np.arange(used + 1.0)
    found = np.linalg.solve(r, q.T @ loss)
    inverse = np.linalg.inv(r)
    rest = loss - design @ found
    coefficients, covariance = np.zeros(4), np.zeros((4, 4))
    coefficients[: used + 1] = found * units
    covariance[: used + 1, : used + 1] = (inverse @ inverse.T) * np.outer(units, units)
    return Curve(coefficients, covariance, float(rest @ rest), loss.size - used - 1, centre, half)


@dataclass(frozen=True, slots=True, eq=False)
class Vertex:
    """Minimum of a curve.

    Attributes
    ----------
    x
        Place, relative to the centre of the curve; NaN where the curve has no minimum.
    curvature
        Second derivative there (at the centre where there is no minimum).
    by_x, by_curvature
        Derivatives of x and of the curvature with respect to the coefficients, (4,).
    """

    x: float
    curvature: float
    by_x: npt.NDArray[np.float64]
    by_curvature: npt.NDArray[np.float64]


def find_vertex(curve: Curve) -> Vertex:
    r"""Solve :math:`a_1 + 2 a_2 x + 3 a_3 x^2 = 0` for the root with positive curvature.

    That root is :math:`x = -a_1 / (a_2 + s)` with :math:`s = \sqrt{a_2^2 - 3 a_1 a_3}`, which
    stays exact as :math:`a_3 \to 0`, and the curvature there is :math:`2 s`.
    """
    _, a1, a2, a3 = curve.coefficients
    square = a2**2 - 3 * a1 * a3
    if square <= 0 or (a3 == 0 and a2 <= 0):
        return Vertex(
            float("nan"), 2 * float(a2), np.full(4, np.nan), np.array([0.0, 0.0, 2.0, 0.0])
        )
    s = float(np.sqrt(square))
    x = -a1 / (a2 + s) if a2 > 0 else (s - a2) / (3 * a3)
    by_x = -np.array([0.0, 1.0, 2 * x, 3 * x**2]) / (2 * s)
    by_curvature = np.array([0.0, -3 * a3, 2 * a2, -3 * a1]) / s
    return Vertex(float(x), 2 * s, by_x, by_curvature)

"""Error of the whole set against its size: a power law with a floor and noise of its own law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError
from isoloss.theory.checks import as_counts

_LOW, _HIGH = -6.0, 2.0
_GAP = 1e-6
"""The floor stays this much below the least error, as the authors have it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorCurve:
    """``floor + c k^-alpha`` with variance ``sigma^2 k^-beta``.

    Attributes
    ----------
    floor, c, alpha, sigma, beta
        Parameters.
    nll
        Negative log likelihood of a sample.
    gradient
        Largest derivative left, in log exponents that no bound holds.
    verdict
        ``ok``, ``bound`` (an exponent at the end of its range, or the floor at its upper end),
        ``exact`` (no noise) or ``unconverged``.
    """

    floor: float
    c: float
    alpha: float
    sigma: float
    beta: float
    nll: float
    gradient: float
    verdict: str

    def __repr__(self) -> str:
        return f"ErrorCurve({self.floor:.6g} + {self.c:.6g} k^-{self.alpha:.6g}, {self.verdict})"

    def __call__(self, k: Any) -> Array:
        """Error expected at sizes k."""
        return np.asarray(self.floor + self.c * as_counts("k", k) ** -self.alpha)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {name: getattr(self, name) for name in self.__slots__}


def fit_error_curve(k: Any, error: Any) -> ErrorCurve:
    r"""Fit the error of a set as a function of its size by maximum likelihood.

    Errors are normal around :math:`\epsilon + c k^{-\alpha}` with variance
    :math:`\sigma^2 k^{-\beta}`. Floor and amplitude are solved by least squares with weights
    :math:`k^\beta`, the floor between zero and just below the least error; both exponents are
    found by L-BFGS-B on their logarithms, from the best of a grid.

    Parameters
    ----------
    k, error
        Sizes, above zero, and errors, zero or more, (n,), n at least 5 with 3 different sizes.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    arXiv:2405.20456, the aggregate curve of that method.

    Examples
    --------
    >>> k = np.repeat([100, 200, 400, 800, 1600], 2)
    >>> fit_error_curve(k, 0.1 + 3 * k**-0.5 + np.tile([1, -1], 5) / k)
    ErrorCurve(0.1 + 3 k^-0.5, ok)
    """
    from scipy.optimize import minimize

    size, values = as_vector("k", k, positive=True), as_vector("error", error)
    if size.size != values.size:
        raise InputError(f"k, error: lengths differ ({size.size} and {values.size})")
    if (values < 0).any():
        raise InputError(f"error = {float(values.min())!r}: must be zero or more")
    if size.size < 5 or np.unique(size).size < 3:
        raise InputError("k: need 5 samples and 3 different sizes")
    centre = float(np.log(size).mean())
    x, unit = np.log(size) - centre, float(np.abs(values).max()) or 1.0
    y, top = values / unit, max((float(values.min()) - _GAP) / unit, 0.0)

    def solve(q: Array) -> tuple[float, Array, float, float, float]:
        a, b = np.exp(q)
        v, w = np.exp(-a * x), np.exp(b * x)
        sums = [float(np.sum(w * p)) for p in (1.0, v, v * v, y, v * y)]
        det = sums[0] * sums[2] - sums[1] ** 2
        floor = (sums[2] * sums[3] - sums[1] * sums[4]) / det if det > 0 else 0.0
        floor = min(max(floor, 0.0), top)
        c = (sums[4] - floor * sums[1]) / sums[2]
        off = y - floor - c * v
        F = max(float(np.sum(w * off * off)), 1e-300)
        # Floor and amplitude are the best there are, held or not: only the exponents move F.
        slope = np.array([a * np.sum(w * off * c * x * v), b * np.sum(w * off * off * x) / 2]) / F
        return np.log(F) / 2, slope, floor, c, F

    grid = [(p, q) for p in np.linspace(-3, 1.5, 19) for q in (-1.0, 0.0, 0.7, 1.3)]
    starts = sorted(grid, key=lambda q: solve(np.array(q))[0])[:3]
    best: Any = None
    for start in starts:
        found = minimize(
            lambda q: solve(q)[:2], np.array(start), jac=True, method="L-BFGS-B",
            bounds=[(_LOW, _HIGH)] * 2, options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 500},
        )  # fmt: skip
        if best is None or found.fun < best.fun:
            best = found
    q = np.asarray(best.x)
    f, slope, floor, c, F = solve(q)
    n, (alpha, beta) = size.size, np.exp(q)
    held = (q <= _LOW) & (slope > 0) | (q >= _HIGH) & (slope < 0)
    left = float(np.where(held, 0.0, np.abs(slope)).max())
    exact = 1e-20 * float(np.sum(y * y)) >= F
    bound = bool(((q <= _LOW + 1e-9) | (q >= _HIGH - 1e-9)).any()) or floor >= top > 0
    status = "exact" if exact else "unconverged" if left > 1e-5 else "bound" if bound else "ok"
    return ErrorCurve(
        floor=floor * unit, c=c * unit * float(np.exp(alpha * centre)), alpha=float(alpha),
        sigma=float(np.sqrt(F / n) * unit * np.exp(beta * centre / 2)), beta=float(beta),
        nll=float(f + (np.log(2 * np.pi / n) + 1) / 2 + np.log(unit)), gradient=left,
        verdict=status,
    )  # fmt: skip

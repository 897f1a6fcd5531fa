"""One-pass stochastic gradient descent on power-law random features: mean risk at any step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_noise, as_resources, as_whole
from isoloss.theory.complex_kappa import ComplexArray, edge, outer_kappa, solve_complex
from isoloss.theory.contour import ellipse, talbot
from isoloss.theory.moments import bias, degrees
from isoloss.theory.ridge import random_features
from isoloss.theory.spectrum import Spectrum, power_law

_FEW = 64
"""Steps below this are summed one by one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SgdRisk:
    """Mean risk along one-pass SGD.

    Attributes
    ----------
    steps, risk
        Steps and mean excess risk after them.
    risk_limit
        Risk after infinitely many steps; infinite where SGD diverges.
    kernel_mass
        Sum of the noise kernel: below one where SGD converges, infinite past the largest step size
        at which a single direction is stable.
    forcing_limit
        Limit without the noise of gradients, F_0.
    resolution
        Absolute error to expect of the risk where SGD converges; smaller values are rounding.
    """

    steps: Array
    risk: Array
    risk_limit: float
    kernel_mass: float
    forcing_limit: float
    resolution: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", freeze(self.steps))
        object.__setattr__(self, "risk", freeze(self.risk))

    @property
    def stable(self) -> bool:
        """Whether the risk stays finite."""
        return self.kernel_mass < 1

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "steps": self.steps.tolist(), "risk": self.risk.tolist(),
            "risk_limit": self.risk_limit, "kernel_mass": self.kernel_mass,
            "forcing_limit": self.forcing_limit, "resolution": self.resolution,
        }  # fmt: skip


def sgd_spectrum(*, alpha: float, beta: float, M: float, v0: float = 0.0) -> Spectrum:
    """Spectrum lam = j^-2alpha with target coefficients j^-beta, as in arXiv:2405.15074.

    Raises
    ------
    InputError
        As `isoloss.theory.power_law`; beta may be negative down to -alpha.

    Examples
    --------
    >>> sgd_spectrum(alpha=0.8, beta=0.6, M=800)
    Spectrum(800 modes in 82 nodes, trace 2.25558, power 1.24703)
    """
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not np.isfinite(value):
            raise InputError(f"{name} = {value!r}: must be finite")
    if alpha < 0 or alpha + beta < 0:
        raise InputError(
            f"alpha = {alpha!r}, beta = {beta!r}: alpha and alpha + beta must be zero or more"
        )
    return power_law(b=2 * alpha, a=2 * alpha + 2 * beta, M=M, v0=v0)


def one_pass_sgd(
    spectrum: Spectrum, N: float, steps: Any, *, lr: float, batch: float = 1, noise: float = 0.0
) -> SgdRisk:
    """Mean risk of one-pass SGD on N random features, from zero weights.

    Weights move by ``-lr sum_{i <= batch} f_i (f_i.theta - y_i)`` on fresh samples. In the
    eigenbasis of the features' covariance the mean squared errors obey an exact linear recursion
    with a rank-one coupling, hence a Volterra equation with forcing F and kernel K,

        R(k) = F(k) + sum_{j<k} K(k-1-j) (R(j) + noise),

    whose generating function has only two complex kappas a node: any step costs the same.

    Parameters
    ----------
    spectrum
        Modes and target; see `sgd_spectrum`.
    N
        Features, above zero; ``inf`` is allowed.
    steps
        Whole numbers, any shape.
    lr, batch
        Step size (of the sum over the batch), and samples a step.
    noise
        Variance of the label noise.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Paquette, Paquette, Xiao and Pennington, arXiv:2405.15074.

    Examples
    --------
    >>> spectrum = sgd_spectrum(alpha=0.8, beta=0.6, M=800)
    >>> found = one_pass_sgd(spectrum, 200, [10, 100, 10_000], lr=0.1)
    >>> [f"{v:.6e}" for v in found.risk]
    ['3.370346e-01', '3.021307e-02', '2.265839e-03']
    """
    n = as_resources("N", N)
    if n.ndim:
        raise InputError("N: expected one number; call once for each")
    size = float(n)
    lr, batch = as_above_zero("lr", lr), as_above_zero("batch", batch)
    if not 1e-100 <= lr * batch <= 1e100:
        raise InputError(f"lr = {lr!r}: lr times batch must lie between 1e-100 and 1e100")
    noise = float(as_noise(noise))
    counts = as_whole("steps", steps)
    flat = counts.ravel()
    model = Model(spectrum, size, lr, batch, noise + spectrum.v0)
    risk = model.risk(flat)
    rest = float(random_features(spectrum, size, np.inf).test_excess) - spectrum.v0
    mass = model.mass
    limit = (rest + model.se * mass) / (1 - mass) + spectrum.v0 if mass < 1 else np.inf
    return SgdRisk(
        steps=counts, risk=np.maximum(risk, 0.0).reshape(counts.shape) + spectrum.v0,
        risk_limit=float(limit), kernel_mass=mass, forcing_limit=rest + spectrum.v0,
        resolution=1e-12 * (spectrum.power + noise),
    )  # fmt: skip


class Model:
    """Forcing, kernel and their generating functions, for one setting."""

    def __init__(self, spectrum: Spectrum, N: float, lr: float, batch: float, se: float) -> None:
        self.spectrum, self.N, self.lr, self.batch, self.se = spectrum, N, lr, batch, se
        self.scale = lr**2 * batch
        # One step multiplies a squared error in direction x by 1 - first x + second x^2.
        self.first, self.second = 2 * lr * batch, lr**2 * batch * (batch + 1)
        self.length = edge(spectrum, N, np.inf) * (1 + 1e-6)
        # The sum of the kernel is -z/(batch + 1) at minus the step size where phi returns to one.
        top = 2 / (lr * (batch + 1))
        kappa = outer_kappa(spectrum, N, np.inf, top)
        if np.isnan(kappa):
            self.mass = np.inf
        else:
            z, _, _ = degrees(spectrum, np.array([kappa]))
            self.mass = float(-z[0] / (batch + 1))
        self._shift: float | None = None

    def sums(self, s: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
        """S1 and z at complex ridges."""
        n = np.full(s.size, self.N)
        # Below the spectrum the axis belongs to another branch.
        below = (s.imag == 0) & (s.real < 0)
        kappa = np.empty(s.size, dtype=complex)
        kappa[below] = [outer_kappa(self.spectrum, self.N, np.inf, -v) for v in s.real[below]]
        kappa[~below] = solve_complex(
            self.spectrum, n[~below], np.full(n[~below].size, np.inf), s[~below]
        ).kappa
        z, _, S1, _ = bias(self.spectrum, kappa)
        return S1, z

    def risk(self, steps: Array) -> Array:
        """Risk at each of some steps, without the power out of reach."""
        found = np.empty(steps.size)
        few = steps <= _FEW
        if few.any():
            found[few] = self.volterra(int(steps[few].max()))[steps[few].astype(np.int64)]
        for i in np.flatnonzero(~few):
            found[i] = self.at(float(steps[i]))
        return found

    def volterra(self, last: int) -> Array:
        """Risk at steps 0..last, by the sum."""
        # Polynomials of twice the degree, each factor half as steep.
        path = ellipse(self.length, 2.0 * max(last, 1), self.first / 2)
        S1, z = self.sums(path.s)
        steps = np.arange(last + 1)[:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            power = np.exp(steps * np.log(self._phi(path.s)))
            F = 2 * (power @ (path.weight * S1)).real
            K = -self.scale * 2 * (power @ (path.weight * path.s**2 * z)).real
            R = np.empty(last + 1)
            for k in range(last + 1):
                R[k] = F[k] + K[:k][::-1] @ (R[:k] + self.se)
        return np.where(np.isfinite(R), R, np.inf)

    def at(self, step: float) -> float:
        """Risk at one later step, from the generating function."""
        base, time = talbot(), step + 1
        shift = self.shift
        if shift * step > 690:
            return np.inf
        p = base.s / time
        # The contour's own weight has 1/s; what is inverted has none.
        R = self.generating(p + shift)
        found = 2 * np.sum(base.weight * np.exp(base.s) * R * p).real
        with np.errstate(over="ignore"):
            return float(found * np.exp(shift * time))

    def generating(self, p: ComplexArray) -> ComplexArray:
        """Sum of R(k) zeta^(k+1) at zeta = exp(-p): the value of step k sits at time k + 1."""
        F, K = self._both(p)
        zeta, left = np.exp(-p), -np.expm1(-p)
        return np.asarray(zeta * (F + zeta * K * self.se / left) / (1 - zeta * K))

    def _both(self, p: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
        # Roots of 1 = zeta phi(-s): where the geometric sums over steps have poles.
        zeta, left = np.exp(-p), -np.expm1(-p)
        a, b = zeta * self.second, zeta * self.first
        root = np.sqrt(b**2 + 4 * a * left)
        far = (-b - root) / (2 * a)
        near = -left / (a * far)
        half = near.size
        S1, z = self.sums(np.concatenate([near, far]))
        front = -1 / (a * (far - near))
        F = front * (S1[:half] / near - S1[half:] / far)
        K = self.scale * front * (-near * z[:half] + far * z[half:])
        return F, K

    def _phi(self, s: ComplexArray) -> ComplexArray:
        return np.asarray(1 + self.first * s + self.second * s**2)

    @property
    def shift(self) -> float:
        """Growth a step of an unstable run, by which the contour moves to the right; or zero."""
        if self.mass < 1:
            return 0.0
        if self._shift is None:
            self._shift = self._growth()
        return self._shift

    def _growth(self) -> float:
        """Largest p with exp(-p) K(exp(-p)) = 1, or where the spectrum itself is unstable."""
        from scipy.optimize import brentq

        top = 1 - self.first * self.length + self.second * self.length**2
        least = np.log(top) if top > 1 else 0.0

        def excess(p: float) -> float:
            return float(np.exp(-p) * self._both(np.array([p + 0j]))[1].real[0]) - 1

        low, high = least + 1e-9 * (1 + least), least + 1.0
        while excess(high) > 0 and high < 1e3:
            high = least + 2 * (high - least)
        if excess(low) <= 0:
            return float(least)
        return float(brentq(excess, low, high, xtol=1e-13))

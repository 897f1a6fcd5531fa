"""Power laws that the exact curves tend to, with their prefactors, for lam = i^-b and v2 = i^-a."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_counts
from isoloss.theory.contour import talbot
from isoloss.theory.moments import degrees
from isoloss.theory.spectrum import Spectrum


@dataclass(frozen=True, slots=True)
class Asymptote:
    """The power law ``prefactor x**-exponent`` in one resource, the others without limit.

    Examples
    --------
    >>> float(Asymptote(exponent=0.5, prefactor=2.0)(4))
    1.0
    """

    exponent: float
    prefactor: float

    def __call__(self, x: Any) -> Any:
        """Evaluate at x."""
        return self.prefactor * np.asarray(x, dtype=np.float64) ** -self.exponent


@dataclass(frozen=True, slots=True)
class ComputeExponents:
    """Growth of the best time and size with compute C = N t, and decay of the loss."""

    time: float
    model: float
    loss: float


def spectral_constant(b: float) -> float:
    """C in ``z + 1/2 = C kappa**(-1/b)``: (pi/b)/sin(pi/b).

    Raises
    ------
    InputError
        If b is not above 1.

    References
    ----------
    arXiv:2102.06701, solvable model, with b = 1 + alpha_K; arXiv:2210.16859.

    Examples
    --------
    >>> round(spectral_constant(1.7), 6)
    1.921342
    """
    _exponents(2.0, b)
    return math.pi / b / math.sin(math.pi / b)


def time_asymptote(*, a: float, b: float) -> Asymptote:
    """Loss of gradient flow without limits: Gamma(p)/b (2t)^-p with p = (a-1)/b.

    Raises
    ------
    InputError
        If a or b is not above 1.

    References
    ----------
    arXiv:2402.01092, time bottleneck.

    Examples
    --------
    >>> round(time_asymptote(a=1.5, b=1.25).exponent, 9)
    0.4
    """
    p = _exponents(a, b)
    return Asymptote(p, math.gamma(p) / b * 2**-p)


def data_asymptote(*, a: float, b: float) -> Asymptote:
    """Ridgeless loss of T samples: exponent min(a-1, 2b).

    Raises
    ------
    InputError
        If a or b is not above 1, or a - 1 = 2b, where logarithms take over.

    References
    ----------
    arXiv:2402.01092, data bottleneck; prefactors from the closed forms of the sums.

    Examples
    --------
    >>> data_asymptote(a=1.5, b=1.3).exponent
    0.5
    """
    p = _exponents(a, b)
    C = spectral_constant(b)
    if a - 1 < 2 * b:
        return Asymptote(a - 1, math.gamma(p) * math.gamma(2 - p) * C ** (a - 1))
    return Asymptote(2 * b, b * _zeta(a - 2 * b) * C ** (2 * b))


def model_asymptote(*, a: float, b: float) -> Asymptote:
    """Loss of N features on endless data: exponent min(a-1, b).

    The exponent min(a-1, 2b) is in print for this bottleneck as well; it is that of the infinite
    ensemble (``bias2``). A single model has the variance over features on top, which falls no
    faster than N^-b.

    Raises
    ------
    InputError
        If a or b is not above 1, or a - 1 = b, where logarithms take over.

    References
    ----------
    arXiv:2402.01092, model bottleneck; arXiv:2405.15074, limiting risk F_0, which agrees.

    Examples
    --------
    >>> model_asymptote(a=2.8, b=1.3).exponent
    1.3
    """
    p = _exponents(a, b)
    C = spectral_constant(b)
    if a - 1 < b:
        return Asymptote(a - 1, math.pi / math.sin(math.pi * p) / b * C ** (a - 1))
    return Asymptote(b, _zeta(a - b) * C**b)


def early_model_cost(spectrum: Spectrum, t: Any) -> Array:
    """Coefficient c in ``L_N(t) = L_inf(t) + c(t)/N`` for large N and endless data.

    Parameters
    ----------
    spectrum
        Modes and target.
    t
        Times above zero, any shape.

    Raises
    ------
    InputError
        If a time is not above zero.

    References
    ----------
    arXiv:2402.01092, early-time corrections: the inverse Laplace transform of
    ``z(s) sum v2 lam/(lam+s)^2`` at 2t.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> round(float(early_model_cost(power_law(a=1.5, b=1.3, M=np.inf), 100.0)), 4)
    30.5978
    """
    times = as_counts("t", t)
    base = talbot()
    s = (base.s / (2 * times.reshape(-1, 1))).ravel()
    z, _, _ = degrees(spectrum, s)
    power = spectrum.multiplicity * spectrum.v2 * spectrum.lam
    felt = (1 / (spectrum.lam + s[:, None]) ** 2) @ power
    values = (z * felt * s).reshape(-1, base.s.size)
    found = 2 * (values @ (base.weight * np.exp(base.s))).real
    return np.asarray(found.reshape(times.shape))


def compute_exponents(*, a: float, b: float) -> ComputeExponents:
    """Exponents of the compute-optimal path of gradient flow, C = N t, with endless data.

    For a - b > 1 the early cost of a finite model decides and the path differs from what the
    bottlenecks alone would give with the exponent min(a-1, 2b).

    Raises
    ------
    InputError
        If a or b is not above 1.

    References
    ----------
    arXiv:2402.01092, compute-optimal scaling, for a - b < 1.

    Examples
    --------
    >>> found = compute_exponents(a=2.8, b=1.3)
    >>> round(found.model, 4), round(found.loss, 4)
    (0.5357, 0.6429)
    """
    _exponents(a, b)
    if a - b < 1:
        return ComputeExponents(b / (1 + b), 1 / (1 + b), (a - 1) / (1 + b))
    return ComputeExponents(b / a, (a - b) / a, (a - 1) / a)


def noisy_kernel_exponent(*, a: float, b: float) -> float:
    """Decay in T of kernel regression on noisy labels at the best ridge.

    Raises
    ------
    InputError
        If a or b is not above 1.

    References
    ----------
    arXiv:2110.03922 and relatives: (a-1)/a for a - 1 < 2b, else 2b/(2b+1).

    Examples
    --------
    >>> noisy_kernel_exponent(a=1.5, b=1.3)
    0.3333333333333333
    """
    _exponents(a, b)
    return (a - 1) / a if a - 1 < 2 * b else 2 * b / (2 * b + 1)


def _exponents(a: float, b: float) -> float:
    a, b = as_above_zero("a", a), as_above_zero("b", b)
    for name, value in (("a", a), ("b", b)):
        if value <= 1:
            raise InputError(
                f"{name} = {value!r}: must be above 1 for the law of infinitely many modes; "
                "evaluate the exact curve at a finite M instead"
            )
    return (a - 1) / b


def _zeta(x: float) -> float:
    if x <= 1:
        raise InputError(
            f"exponents differ by {x!r}: at this border logarithms take over and there is no power "
            "law; evaluate the exact curve"
        )
    from scipy.special import zeta

    return float(zeta(x))

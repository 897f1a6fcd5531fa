"""The phases of compute-optimal one-pass SGD, and the terms its risk is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_resources


@dataclass(frozen=True, slots=True)
class Phase:
    """Compute-optimal scaling at one (alpha, beta).

    With compute f = N steps batch: best size N* = f^x, risk f^-y. None where risk falls with
    neither.

    Attributes
    ----------
    phase
        Name: Ia, Ib, Ic, II, III, IVa, IVb, or none.
    x, y
        Exponents of the size and of the risk.
    """

    phase: str
    x: float | None
    y: float | None

    def to_dict(self) -> dict[str, str | float | None]:
        """Plain types."""
        return {"phase": self.phase, "x": self.x, "y": self.y}


@dataclass(frozen=True, slots=True)
class Terms:
    """Parts of the risk at one size and time; their sum is the risk up to constants.

    Attributes
    ----------
    F_0
        Exponent law of what no training removes, N^(-2 alpha + max(0, 1 - 2 beta)).
    F_pp, F_ac
        Learning of the modes, and the cost of embedding them in N features.
    K_pp
        Kernel of the noise of gradients.
    """

    F_0: float
    F_pp: float
    F_ac: float
    K_pp: float


def sgd_phase(alpha: float, beta: float) -> Phase:
    """Phase of one-pass SGD on eigenvalues j^-2alpha and target coefficients j^-beta.

    The step size is constant for 2 alpha > 1; below that it shrinks as N^(2 alpha - 1), with as
    many latents as a multiple of N. On a border both phases give the same exponents.

    Parameters
    ----------
    alpha
        Above zero.
    beta
        Any finite number.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Paquette, Paquette, Xiao and Pennington, arXiv:2405.15074, table of the phases.

    Examples
    --------
    >>> sgd_phase(0.8, 0.6)
    Phase(phase='II', x=0.4285714285714286, y=0.6428571428571428)
    >>> sgd_phase(0.2, 0.2).phase
    'none'
    """
    a = as_above_zero("alpha", alpha)
    b = float(beta)
    if not math.isfinite(b):
        raise InputError(f"beta = {beta!r}: must be finite")
    both = 2 * a + 2 * b - 1
    if both <= 0:
        return Phase("none", None, None)
    if 2 * a >= 1:
        if 2 * b <= 1:
            return Phase("Ia", 1 / (2 * a + 1), both / (2 * a + 1))
        if b < a:
            return Phase("II", b / (a + b), both / (2 * (a + b)))
        return Phase("III", 0.5, 1 - 1 / (4 * a))
    if 2 * b <= 1:
        return Phase("Ib", 0.5, a + b - 0.5)
    if a < 0.25:
        shared = 3 * a + 2 * b - 1 - 2 * a * b
        return Phase("Ic", both / (2 * shared), a * both / shared)
    if a < 1 - 1 / math.sqrt(2):
        shared = 2 * a * b + a - 2 * b
        return Phase("IVb", (a - b) / shared, -(1 - 2 * a) * both / (2 * shared))
    return Phase("IVa", 0.5, a)


def sgd_terms(
    alpha: float, beta: float, *, N: float, steps: float, lr: float, batch: float = 1
) -> Terms:
    """Leading forms of the parts of the risk, at time ``tau = 2 lr batch steps``.

    Prefactors of F_pp, F_ac and K_pp are those of infinitely many latents; F_0 is a power alone.
    F_ac holds for 2 alpha > 1 and 2 beta > 1 and is bounded by F_0 elsewhere.

    Raises
    ------
    InputError
        If alpha is not above zero, 2 alpha + 2 beta not above 1, or a size not positive.

    References
    ----------
    arXiv:2405.15074, forcing and kernel terms.

    Examples
    --------
    >>> terms = sgd_terms(0.8, 0.6, N=1000, steps=1e4, lr=0.1)
    >>> f"{terms.F_pp:.4e}"
    '1.1380e-04'
    """
    a, b = as_above_zero("alpha", alpha), float(beta)
    n, k = float(as_resources("N", N)), as_above_zero("steps", steps)
    lr, batch = as_above_zero("lr", lr), as_above_zero("batch", batch)
    if 2 * a + 2 * b <= 1:
        raise InputError(f"beta = {beta!r}: 2 alpha + 2 beta must be above 1, or the risk stays")
    tau, half = 2 * lr * batch * k, 1 / (2 * a)
    p = (2 * a + 2 * b - 1) * half
    floor = n ** (-2 * a + max(0.0, 1 - 2 * b))
    if 2 * a > 1 and 2 * b > 1:
        from scipy.special import zeta

        embedding = float(zeta(2 * b)) / n * half * math.gamma(1 - half) * tau ** (half - 1)
    else:
        embedding = floor
    kernel = lr**2 * batch * half * math.gamma(2 - half) * tau ** (half - 2) if half < 2 else 0.0
    return Terms(floor, half * math.gamma(p) * tau**-p, embedding, kernel)

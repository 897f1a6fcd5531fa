"""How the losses of random-feature regression move with N, T, the ridge and the spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isoloss._core.arrays import Array, freeze
from isoloss.theory.checks import as_counts, as_noise, as_resources, broadcast
from isoloss.theory.kappa import log_ridge, point, solve
from isoloss.theory.moments import moments
from isoloss.theory.optimal import slope
from isoloss.theory.ridge import amplifier, assemble, factors
from isoloss.theory.spectrum import Spectrum


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gradients:
    """Derivatives at fixed values of the other arguments; the last axis of ``kappa_lam`` is nodes.

    Attributes
    ----------
    kappa_N, kappa_T, kappa_ridge
        Of kappa; the ridge is ghat.
    kappa_lam
        Of kappa with respect to the eigenvalue of each node (all its modes together).
    test_N, test_T, test_ridge
        Of the test loss.
    """

    kappa_N: Array
    kappa_T: Array
    kappa_ridge: Array
    kappa_lam: Array
    test_N: Array
    test_T: Array
    test_ridge: Array

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, freeze(getattr(self, name)))


def gradients(spectrum: Spectrum, N: Any, T: Any, *, ridge: Any, noise: Any = 0.0) -> Gradients:
    """Exact derivatives of kappa and of the test loss, by the implicit function theorem.

    With ``G(kappa) = kappa (N-z)(T-z) = ghat`` and ``D = dG/dkappa``: dkappa/dghat = 1/D,
    dkappa/dN = -kappa (T-z)/D, dkappa/dT = -kappa (N-z)/D.

    Parameters
    ----------
    spectrum, N, T, noise
        As in `isoloss.theory.random_features`; N and T finite.
    ridge
        ghat, above zero.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    arXiv:2210.16859, the equation of its Delta, differentiated.

    Examples
    --------
    >>> from isoloss.theory import power_law, random_features
    >>> s = power_law(b=1.5, a=1.5, M=1000)
    >>> d = gradients(s, 100, 200, ridge=1.0)
    >>> up, down = (random_features(s, 100, 200, ridge=1 + h).test_excess for h in (1e-5, -1e-5))
    >>> bool(abs((up - down) / 2e-5 / d.test_ridge - 1) < 1e-6)
    True
    """
    N, T, ridge, noise = broadcast(
        N=as_resources("N", N),
        T=as_resources("T", T),
        ridge=as_counts("ridge", ridge),
        noise=as_noise(noise),
    )
    found = solve(spectrum, point(N, T, log_ridge(N, T, ridge)))
    sums = moments(spectrum, found.kappa)
    k, a, b = found.kappa, 1 / N, 1 / T
    u, w = factors(N, T, found)
    d, _ = amplifier(a, b, u, w, sums)
    log_N, log_T = -a * w / d, -b * u / d
    total = assemble(spectrum, N, T, found, sums, noise)["test_total"]
    rise = total * slope(spectrum, a, b, u, w, sums, noise)
    open_N = u + a * sums.e
    # At fixed kappa: total = T (N-q)/D (B + se) with D' = T - q, and B falls as c rises.
    fixed_N = total * (a * (1 - a * sums.q) ** -1 - a * (1 - b * sums.q) / d)
    fixed_N -= (open_N / d) * sums.d * a**2 * sums.e / open_N**2
    fixed_T = total * (b - b * (1 - a * sums.q) / d)
    lam, m = spectrum.lam, spectrum.multiplicity
    at = k[..., None]
    share = (b * u + a * w) / d
    return Gradients(
        kappa_N=k * log_N,
        kappa_T=k * log_T,
        kappa_ridge=a * b / d,
        kappa_lam=k[..., None] * share[..., None] * m * at / (lam + at) ** 2,
        test_N=fixed_N + rise * log_N,
        test_T=fixed_T + rise * log_T,
        test_ridge=rise * a * b / (d * k),
    )

"""Kernel ridge regression through its eigenvalues: what is learned of each mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.theory.checks import as_amounts, as_resources, broadcast
from isoloss.theory.ridge import PerSample, random_features
from isoloss.theory.spectrum import Spectrum


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KernelLoss:
    """Kernel regression on T samples.

    Attributes
    ----------
    T, ridge, kappa
        Samples, ridge on the summed squared error, effective ridge.
    learnability
        ``lam/(lam+kappa)`` of each node, last axis; the mean coefficient learned. Over all modes
        it sums to ``T - ridge/kappa``: what is learned is conserved.
    overfitting
        ``T/(T-q)``, the factor on what is not learned.
    test_excess, train
        Losses.
    """

    T: Array
    ridge: Array
    kappa: Array
    learnability: Array
    overfitting: Array
    test_excess: Array
    train: Array

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, freeze(getattr(self, name)))


def kernel_regression(
    spectrum: Spectrum, T: Any, *, ridge: Any = 0.0, noise: Any = 0.0
) -> KernelLoss:
    """Loss and learnability of kernel ridge regression, in the limit of Gaussian designs.

    With ``T = z + ridge/kappa``: ``test_total = T/(T-q) (sum v2 (1-learnability)^2 + noise)`` and
    ``train = (ridge/(T kappa))^2 test_total``. Low-dimensional inputs without noise, as on a
    torus, depart from it by 10 to 50 percent in the prefactor, not in the exponent.

    Parameters
    ----------
    spectrum
        Eigenvalues of the kernel over the data, and the target on its eigenfunctions.
    T, ridge, noise
        Samples; ridge on the summed squared error, or `PerSample`; variance of the label noise.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Simon et al., arXiv:2110.03922, conservation law and loss; Canatar, Bordelon and Pehlevan 2021,
    whose kappa is T times this one.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> spectrum = power_law(b=1.5, a=1.9, M=2000)
    >>> found = kernel_regression(spectrum, 250, ridge=0.25, noise=0.01)
    >>> learned = float(found.learnability @ spectrum.multiplicity)
    >>> round(learned + 0.25 / float(found.kappa), 9)
    250.0
    """
    T = as_resources("T", T)
    if isinstance(ridge, PerSample):
        s, T = broadcast(ridge=as_amounts("ridge", ridge.s), T=T)
    else:
        delta, T = broadcast(ridge=as_amounts("ridge", ridge), T=T)
        s = delta / T
    found = random_features(spectrum, np.inf, T, ridge=PerSample(s), noise=noise)
    kappa, shape = found.kappa, found.kappa.shape
    at = kappa[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        total_ridge = np.where(s == 0, 0.0, s * T)
        factor = 1 / (1 - found.df2 / T)
    return KernelLoss(
        T=np.broadcast_to(T, shape) + 0.0,
        ridge=np.broadcast_to(total_ridge, shape) + 0.0,
        kappa=kappa,
        learnability=spectrum.lam / (spectrum.lam + at),
        overfitting=factor,
        test_excess=found.test_excess,
        train=found.train,
    )

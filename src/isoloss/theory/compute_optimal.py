"""The best size and time of gradient flow at each amount of compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.theory.checks import as_counts, as_noise, as_resources
from isoloss.theory.flow import flow_at
from isoloss.theory.spectrum import Spectrum


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComputeOptimal:
    """Best N and t for each compute C = N t, and the loss there, (k,)."""

    C: Array
    N: Array
    t: Array
    loss: Array

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def slopes(self) -> tuple[Array, Array]:
        """Local exponents of N and of the loss with C, (k-1,)."""
        step = np.diff(np.log(self.C))
        return np.diff(np.log(self.N)) / step, np.diff(np.log(self.loss)) / step


def compute_optimal(
    spectrum: Spectrum, C: Any, *, T: float = np.inf, noise: float = 0.0
) -> ComputeOptimal:
    """Minimise the exact loss of gradient flow over N at fixed compute C = N t.

    Parameters
    ----------
    spectrum
        Modes and target.
    C
        Compute, features times time, above zero; one or several.
    T, noise
        Samples and label noise.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    arXiv:2402.01092, compute-optimal scaling.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = compute_optimal(power_law(a=1.5, b=1.3, M=np.inf), [1e6, 1e8])
    >>> bool(found.slopes()[0][0] > 0.35)
    True
    """
    budget = np.atleast_1d(as_counts("C", C)).ravel()
    samples, s2 = float(as_resources("T", T)), float(as_noise(noise))
    low, high = np.zeros(budget.size), np.log(np.maximum(budget, 10.0))
    rows = np.arange(budget.size)
    for points in (49, 17, 17, 17, 17):
        logs = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, points)
        N = np.exp(logs)
        t = budget[:, None] / N
        m, n2 = np.full(N.size, samples), np.full(N.size, s2)
        loss = flow_at(spectrum, N.ravel(), m, n2, t.ravel())[0].reshape(N.shape)
        best = np.argmin(loss, axis=1)
        low, high = (logs[rows, np.clip(best + d, 0, points - 1)] for d in (-1, 1))
    return ComputeOptimal(C=budget, N=N[rows, best], t=t[rows, best], loss=loss[rows, best])

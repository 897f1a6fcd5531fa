"""How to divide a budget between features and samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_noise
from isoloss.theory.ridge import random_features
from isoloss.theory.spectrum import Spectrum


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Best N and T at each budget.

    Attributes
    ----------
    budget, N, T, loss
        One entry a budget, (k,); loss is the excess.
    constraint
        ``N*T`` or ``N+T``: what is held at the budget.
    """

    budget: Array
    N: Array
    T: Array
    loss: Array
    constraint: str

    def __post_init__(self) -> None:
        for name in ("budget", "N", "T", "loss"):
            object.__setattr__(self, name, freeze(getattr(self, name)))


def best_split(
    spectrum: Spectrum,
    budget: Any,
    *,
    constraint: str = "N*T",
    ridge: Any = "optimal",
    noise: float = 0.0,
) -> Split:
    """Find the features and samples of least test loss at a fixed ``N*T`` or ``N+T``.

    Without noise, with iid targets and at the optimal ridge the loss does not change when N and T
    are exchanged, and the best split has as many features as samples: equiparameterization.

    Parameters
    ----------
    spectrum, ridge, noise
        As in `isoloss.theory.random_features`.
    budget
        Value of the constraint, above 4; one or several.
    constraint
        ``"N*T"`` (training compute of one pass) or ``"N+T"`` (memory).

    Raises
    ------
    InputError
        If the constraint is another, or a budget is too small.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859, sec. on equiparameterization.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = best_split(power_law(b=2, M=1e6, iid=True), 1e6)
    >>> round(float(found.N[0])), round(float(found.T[0]))
    (1000, 1000)
    """
    if constraint not in ("N*T", "N+T"):
        raise InputError(f"constraint = {constraint!r}: write 'N*T' or 'N+T'")
    noise = float(as_noise(noise))
    budgets = np.array([as_above_zero("budget", v) for v in np.ravel(budget)])
    if (budgets <= 4).any():
        raise InputError(f"budget = {budgets.min()!r}: must be above 4, or there is no split")
    # Position t: log N over its range, 0 at N = 1, 1 at T = 1.
    low, high = np.zeros(budgets.size), np.ones(budgets.size)
    for points in (161, 41, 41, 41, 41, 41):
        t = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, points)
        N, T = _resources(budgets[:, None], t, constraint)
        loss = random_features(spectrum, N, T, ridge=ridge, noise=noise).test_excess
        best = np.argmin(loss, axis=1)
        rows = np.arange(budgets.size)
        low, high = (t[rows, np.clip(best + step, 0, points - 1)] for step in (-1, 1))
    return Split(
        budget=budgets, N=N[rows, best], T=T[rows, best], loss=loss[rows, best],
        constraint=constraint,
    )  # fmt: skip


def _resources(budget: Array, t: Array, constraint: str) -> tuple[Array, Array]:
    if constraint == "N*T":
        return budget**t, budget ** (1 - t)
    # Log odds of N from 1 to budget - 1.
    odds = np.exp((2 * t - 1) * np.log(budget - 1))
    return budget * odds / (1 + odds), budget / (1 + odds)

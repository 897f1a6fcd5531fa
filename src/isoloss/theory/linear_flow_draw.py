"""The linear model simulated: one data set a draw, exact in time, and beside its law."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.theory.agreement import Agreement
from isoloss.theory.checks import as_above_zero, as_amounts, as_noise
from isoloss.theory.draw import OnStep, each, whole
from isoloss.theory.linear_flow import scale_time
from isoloss.theory.simulate import Rng, Simulated

_ENTRIES = 160_000
"""Numbers in a design whose size is left to us: 400 features by 400 samples at c = 1."""


def simulate_scale_time(
    M: int, D: int, tau: Any, *, S2: float = 1.0, noise: float = 0.0, draws: int = 20,
    rng: Rng = 0, on_step: OnStep | None = None, executor: Executor | None = None,
) -> Simulated:  # fmt: skip
    """Gradient flow of linear regression on drawn data, by the singular values of the design.

    Parameters
    ----------
    M, D
        Features and samples, whole.
    tau
        Learning rate times time, zero or more, any shape; ``inf`` gives the least-norm solution.
    S2, noise
        Power of the target and variance of the label noise.
    draws, rng, on_step, executor
        As in `simulate_random_features`.

    Returns
    -------
    Simulated
        ``excess``, one row a draw and the axes of tau.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    The setting of arXiv:2409.05782.

    Examples
    --------
    >>> simulate_scale_time(30, 60, [1, 10], noise=0.1, draws=5).mean("excess").shape
    (2,)
    """
    M, D = whole("M", M), whole("D", D)
    times = as_amounts("tau", tau, infinite=True)
    power, s2 = (_one("S2", S2, as_amounts("S2", S2)), _one("noise", noise, as_noise(noise)))
    draw = partial(_excess, M, D, times.ravel(), power, s2)
    rows = np.array(each(draw, rng, draws, on_step, executor))
    return Simulated(values={"excess": rows.reshape(-1, *times.shape)})


def simulate_two_groups(
    tau: Any, *, ls: float, ln: float, Ms: int, Mn: int, D: int, S2: float = 1.0,
    noise: float = 0.0, draws: int = 20, rng: Rng = 0, on_step: OnStep | None = None,
    executor: Executor | None = None,
) -> Simulated:  # fmt: skip
    """Gradient flow of linear regression on weak signal features and strong noise features.

    Parameters
    ----------
    tau, ls, ln, Ms, Mn, D, S2, noise
        As in `two_groups`, the numbers of features and samples whole.
    draws, rng, on_step, executor
        As in `simulate_random_features`.

    Returns
    -------
    Simulated
        ``excess``, one row a draw and the axes of tau.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    The early-noise mechanism of arXiv:2409.05782.

    Examples
    --------
    >>> words = {"ls": 0.1, "ln": 1, "Ms": 10, "Mn": 20, "D": 200, "noise": 1}
    >>> simulate_two_groups([1, 10], **words, draws=5).mean("excess").shape
    (2,)
    """
    signal, other, samples = whole("Ms", Ms), whole("Mn", Mn), whole("D", D)
    slow, fast = as_above_zero("ls", ls), as_above_zero("ln", ln)
    times = as_amounts("tau", tau, infinite=True)
    power, s2 = (_one("S2", S2, as_amounts("S2", S2)), _one("noise", noise, as_noise(noise)))
    deviation = np.sqrt(np.repeat([slow, fast], [signal, other]))
    draw = partial(_weighted_excess, deviation, signal, samples, times.ravel(), power, s2)
    rows = np.array(each(draw, rng, draws, on_step, executor))
    return Simulated(values={"excess": rows.reshape(-1, *times.shape)})


def agree_scale_time(
    c: float, tau: Any, *, S2: float = 1.0, noise: float = 0.0, D: float | None = None,
    draws: int = 20, rng: Rng = 0, on_step: OnStep | None = None, executor: Executor | None = None,
) -> Agreement:  # fmt: skip
    """Solve and simulate the linear model; rows are times.

    Parameters
    ----------
    c
        Features over samples, above zero and finite. The law is taken at the ratio of the whole
        numbers that are drawn.
    D
        Samples of a draw; by default such that features times samples are 160,000.
    tau, S2, noise, draws, rng, on_step, executor
        As in `simulate_scale_time`.

    Raises
    ------
    InputError
        If a value breaks these rules, or c cannot be drawn.

    References
    ----------
    The setting of arXiv:2409.05782.

    Examples
    --------
    >>> agree_scale_time(0.5, [1, 100], noise=0.25, D=120).worst < 4
    True
    """
    ratio = as_above_zero("c", c)
    if not 1e-4 <= ratio <= 1e4:
        raise InputError(f"c = {c!r}: can be simulated from 1e-4 to 1e4")
    samples = max(1, round((_ENTRIES / ratio) ** 0.5)) if D is None else whole("D", D)
    features = max(1, round(ratio * samples))
    if features * samples > 10**8:
        raise InputError(f"D = {samples}: with {features} features too many numbers to draw")
    theory = scale_time(features / samples, tau, S2=S2, noise=noise).require()
    made = simulate_scale_time(
        features, samples, tau, S2=S2, noise=noise, draws=draws, rng=rng, on_step=on_step,
        executor=executor,
    )  # fmt: skip
    return Agreement(
        axis="tau", at=theory.tau.ravel(), theory={"excess": theory.excess.ravel()},
        mean={"excess": made.mean("excess").ravel()}, sem={"excess": made.sem("excess").ravel()},
        draws=made.draws,
    )  # fmt: skip


def _one(name: str, value: Any, array: Array) -> float:
    if array.ndim:
        raise InputError(f"{name} = {value!r}: must be one number to be simulated")
    return float(array)


def _excess(
    M: int, D: int, tau: Array, power: float, noise: float, rng: np.random.Generator
) -> Array:
    """Excess risk of one draw at each time."""
    X = rng.standard_normal((D, M))
    target = rng.standard_normal(M)
    target *= np.sqrt(power) / np.linalg.norm(target)
    y = X @ target + np.sqrt(noise) * rng.standard_normal(D)
    fewer = X.T @ X if M <= D else X @ X.T
    values, vectors = np.linalg.eigh(fewer / D)
    keep = values > 1e-13 * values[-1]
    lam, vectors = values[keep], vectors[:, keep]
    if M <= D:
        fit, aim = vectors.T @ (X.T @ y) / (D * lam), vectors.T @ target
    else:
        root = np.sqrt(D * lam)
        fit, aim = vectors.T @ y / root, vectors.T @ (X @ target) / root
    with np.errstate(over="ignore"):
        share = -np.expm1(-lam[:, None] * tau)
    rest = max(power - float(aim @ aim), 0.0)
    return np.asarray(rest + np.sum((aim[:, None] - share * fit[:, None]) ** 2, axis=0))


def _weighted_excess(
    deviation: Array, signal: int, D: int, tau: Array, power: float, noise: float,
    rng: np.random.Generator,
) -> Array:  # fmt: skip
    """Excess risk of one draw with features of several variances."""
    M = deviation.size
    if M < D:
        # The triangle of the design's QR decomposition, by Bartlett: the flow sees no more of it.
        X = np.triu(rng.standard_normal((M, M)), 1)
        X[np.arange(M), np.arange(M)] = np.sqrt(rng.chisquare(D - np.arange(M)))
    else:
        X = rng.standard_normal((D, M))
    X *= deviation
    target = np.zeros(M)
    target[:signal] = rng.standard_normal(signal)
    target *= np.sqrt(power) / np.linalg.norm(target)
    y = X @ target + np.sqrt(noise) * rng.standard_normal(len(X))
    fewer = X.T @ X if M <= D else X @ X.T
    values, vectors = np.linalg.eigh(fewer / D)
    keep = values > 1e-13 * values[-1]
    lam, vectors = values[keep], vectors[:, keep]
    if M > D:
        vectors = X.T @ vectors / np.sqrt(D * lam)
    with np.errstate(over="ignore"):
        share = -np.expm1(-lam[:, None] * tau)
    weights = vectors @ (share * (vectors.T @ (X.T @ y) / (D * lam))[:, None])
    off = deviation[:, None] * (target[:, None] - weights)
    return np.asarray(np.sum(off * off, axis=0))

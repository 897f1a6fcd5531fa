"""The models simulated: exact population losses of random draws, with standard errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_amount, as_amounts, as_noise, as_whole
from isoloss.theory.draw import OnStep, Source, draw_system, each, source_of, whole
from isoloss.theory.flow import check_decay
from isoloss.theory.ridge import PerSample
from isoloss.theory.schedule import Scheduled, rates_of, run_length
from isoloss.theory.spectrum import Spectrum

Rng = int | np.random.Generator
Learned = Callable[[Array], Array]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulated:
    """Losses of every draw.

    Attributes
    ----------
    values
        For each quantity an array with one row a draw.
    """

    values: Mapping[str, Array]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", {k: freeze(v) for k, v in self.values.items()})

    @property
    def draws(self) -> int:
        """Number of draws."""
        return len(next(iter(self.values.values())))

    def mean(self, name: str) -> Array:
        """Average over draws."""
        return np.asarray(self.values[name].mean(axis=0))

    def sem(self, name: str) -> Array:
        """Compute the standard error of the mean."""
        return np.asarray(self.values[name].std(axis=0, ddof=1) / np.sqrt(self.draws))


def simulate_random_features(
    spectrum: Spectrum,
    N: int,
    T: int,
    *,
    ridge: Any = "ridgeless",
    noise: float = 0.0,
    draws: int = 20,
    rng: Rng = 0,
    on_step: OnStep | None = None,
    executor: Executor | None = None,
    device: str | None = None,
) -> Simulated:
    """Draw features, data and noise; fit; judge by the exact population loss.

    Parameters
    ----------
    spectrum
        Modes that can be listed one by one; the target's coefficients get random signs.
    N, T
        Features and samples, whole.
    ridge
        As in `isoloss.theory.random_features`, but not ``"optimal"``; an array shares the draws.
    noise
        Variance of the label noise.
    draws
        Independent repeats, 2 or more.
    rng
        Seed or generator. Draw i is the same whatever the number of draws.
    on_step
        Called with a sentence after each draw.
    executor
        Where draws are made: a ``concurrent.futures.Executor`` such as a process pool, or Dask's
        ``Client.get_executor()``; in this process by default. The draws are the same everywhere.
    device
        On what: numpy by default; by torch on ``"cpu"`` or ``"cuda"``, in float64, with numbers
        that follow from the seed but are not numpy's. With an executor each of its workers takes
        its own device of that name.

    Returns
    -------
    Simulated
        ``test_excess`` and ``train``, one row a draw and the axes of the ridge.

    Raises
    ------
    InputError
        If a value breaks these rules.
    MissingExtra
        With a device, without torch.

    References
    ----------
    The model of Maloney, Roberts and Sully, arXiv:2210.16859.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = simulate_random_features(power_law(b=1.5, a=1.5, M=200), 30, 60, ridge=1, draws=5)
    >>> found.values["test_excess"].shape
    (5,)
    """
    N, T = whole("N", N), whole("T", T)
    if isinstance(ridge, str):
        if ridge != "ridgeless":
            raise InputError(f"ridge = {ridge!r}: write 'ridgeless' or a number to simulate")
        ridge = 0.0
    if isinstance(ridge, PerSample):
        given = as_amounts("ridge", ridge.s) * N * T
    else:
        given = as_amounts("ridge", ridge)

    learned = partial(_ridge, given.ravel())
    return _simulate(
        spectrum, N, T, noise, draws, rng, on_step, learned, given.shape, executor, device
    )


def simulate_gradient_flow(
    spectrum: Spectrum,
    N: int,
    T: int,
    t: Any,
    *,
    noise: float = 0.0,
    weight_decay: float = 0.0,
    draws: int = 20,
    rng: Rng = 0,
    on_step: OnStep | None = None,
    executor: Executor | None = None,
    device: str | None = None,
) -> Simulated:
    """Gradient flow of random draws, exact in time by their singular values.

    Parameters and results as in `simulate_random_features`, with times in place of ridges; weight
    decay as in `isoloss.theory.gradient_flow`, one number.

    Raises
    ------
    InputError
        If a value breaks these rules.
    MissingExtra
        With a device, without torch.

    References
    ----------
    The model of Bordelon, Atanasov and Pehlevan, arXiv:2402.01092.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> spectrum = power_law(b=1.5, a=1.5, M=200)
    >>> simulate_gradient_flow(spectrum, 30, 60, [1, 10], draws=5).mean("train").shape
    (2,)
    """
    N, T = whole("N", N), whole("T", T)
    times = as_amounts("t", t, infinite=True)

    ghat = as_amount("weight_decay", weight_decay) * N * T
    learned = partial(_flow, times.ravel() / (N * T), ghat)
    return _simulate(
        spectrum, N, T, noise, draws, rng, on_step, learned, times.shape, executor, device
    )


def simulate_gradient_descent(
    spectrum: Spectrum,
    N: int,
    T: int,
    steps: Any,
    *,
    eta: float,
    noise: float = 0.0,
    weight_decay: float = 0.0,
    draws: int = 20,
    rng: Rng = 0,
    on_step: OnStep | None = None,
    executor: Executor | None = None,
    device: str | None = None,
) -> Simulated:
    """Gradient descent of random draws, all steps at once by their singular values.

    Parameters and results as in `simulate_random_features`, with steps in place of ridges; weight
    decay as in `isoloss.theory.gradient_descent`, one number.

    Raises
    ------
    InputError
        If a value breaks these rules.
    MissingExtra
        With a device, without torch.

    References
    ----------
    The model of Bordelon, Atanasov and Pehlevan, arXiv:2402.01092.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> spectrum = power_law(b=1.5, a=1.5, M=200)
    >>> found = simulate_gradient_descent(spectrum, 30, 60, 10, eta=0.3, draws=5)
    >>> found.draws
    5
    """
    N, T, eta = whole("N", N), whole("T", T), as_above_zero("eta", eta)
    counts = as_whole("steps", steps)

    decay = as_amount("weight_decay", weight_decay)
    check_decay(eta, np.array(decay))
    learned = partial(_descent, eta / (N * T), counts.ravel(), decay * N * T)
    return _simulate(
        spectrum, N, T, noise, draws, rng, on_step, learned, counts.shape, executor, device
    )


def simulate_sgd(
    spectrum: Spectrum,
    N: int,
    steps: Any,
    *,
    lr: float,
    schedule: Scheduled = "constant",
    length: int | None = None,
    batch: int = 1,
    noise: float = 0.0,
    draws: int = 20,
    samples: bool = False,
    rng: Rng = 0,
    on_step: OnStep | None = None,
    executor: Executor | None = None,
    device: str | None = None,
) -> Simulated:
    """One-pass SGD on random draws of the features.

    The mean over samples is exact for each draw: squared errors along the eigenvectors of the
    features' covariance obey a linear recursion. With ``samples`` each draw is one run of SGD on
    fresh samples instead, whose heavy tails need many draws once ``lr`` times the trace passes 0.3.

    Parameters and results as in `simulate_random_features`, schedules as in
    `isoloss.theory.scheduled_sgd`; the quantity is ``risk``. Takes as many steps as the largest
    asked for.

    Raises
    ------
    InputError
        If a value breaks these rules.
    MissingExtra
        With a device, without torch.

    References
    ----------
    Paquette, Paquette, Xiao and Pennington, arXiv:2405.15074.

    Examples
    --------
    >>> from isoloss.theory import sgd_spectrum
    >>> spectrum = sgd_spectrum(alpha=0.8, beta=0.6, M=200)
    >>> simulate_sgd(spectrum, 50, [0, 10], lr=0.1, draws=3).mean("risk").shape
    (2,)
    """
    N, batch = whole("N", N), whole("batch", batch)
    lr, noise = as_above_zero("lr", lr), float(as_noise(noise))
    counts = as_whole("steps", steps)
    flat = counts.ravel().astype(np.int64)
    wanted, back = np.unique(flat, return_inverse=True)
    _look_for(device, executor)
    last = int(wanted[-1])
    rates = rates_of(schedule, lr, max(run_length(length, last), 1)).at(np.arange(last))
    draw = partial(_risks, spectrum, N, wanted, rates, batch, noise + spectrum.v0, samples, device)
    rows = [risk[back] + spectrum.v0 for risk in each(draw, rng, draws, on_step, executor)]
    return Simulated(values={"risk": np.array(rows).reshape(-1, *counts.shape)})


def _ridge(ghat: Array, squares: Array) -> Array:
    return squares[:, None] / (squares[:, None] + ghat)


def _flow(time: Array, ghat: float, squares: Array) -> Array:
    rate = squares[:, None] + ghat
    return -np.expm1(-rate * time) * (squares[:, None] / rate)


def _descent(eta: float, steps: Array, ghat: float, squares: Array) -> Array:
    rate = squares[:, None] + ghat
    return np.asarray((1 - (1 - eta * rate) ** steps) * (squares[:, None] / rate))


def _simulate(
    spectrum: Spectrum, N: int, T: int, noise: float, draws: int, rng: Rng,
    on_step: OnStep | None, learned: Learned, shape: tuple[int, ...], executor: Executor | None,
    device: str | None,
) -> Simulated:  # fmt: skip
    _look_for(device, executor)
    draw = partial(_losses, spectrum, N, T, float(as_noise(noise)), learned, device)
    test, train = zip(*each(draw, rng, draws, on_step, executor), strict=True)
    return Simulated(
        values={
            "test_excess": np.array(test).reshape(-1, *shape),
            "train": np.array(train).reshape(-1, *shape),
        }
    )


def _look_for(device: str | None, executor: Executor | None) -> None:
    """Refuse a device that is not here before anything is drawn; workers look for theirs."""
    if device is not None and executor is None:
        from isoloss.theory.on_device import check_device

        check_device(device)


def _losses(
    spectrum: Spectrum, N: int, T: int, noise: float, learned: Learned, device: str | None,
    rng: np.random.Generator,
) -> tuple[Array, Array]:  # fmt: skip
    """Test and training losses of one draw."""
    on = source_of(rng, device)
    system = draw_system(spectrum, N, T, noise, on)
    share = on.array(learned(on.numpy(system.sigma) ** 2))
    test, train = system.losses(share, spectrum.v0)
    return on.numpy(test), on.numpy(train)


def _risks(
    spectrum: Spectrum, N: int, steps: Any, lr: Array, batch: int, noise: float, samples: bool,
    device: str | None, rng: np.random.Generator,
) -> Array:  # fmt: skip
    """Risk of one draw at each step asked for (rising)."""
    run = _run if samples else _recursion
    on = source_of(rng, device)
    return run(*_directions(spectrum, N, on), steps, lr, batch, noise, rng)


def _directions(spectrum: Spectrum, N: int, on: Source) -> tuple[Array, Array, float]:
    """Eigenvalues of the features' covariance, errors at the start along them, and the rest."""
    G, h, power = on.zeros(N, N), on.zeros(N), 0.0
    for lam, v2 in spectrum.blocks(max(1, (1 << 23) // N)):
        W = on.normal(N, lam.size) * on.array(np.sqrt(lam / N))
        target = on.array(np.sqrt(v2)) * on.signs(lam.size)
        G += W @ W.T
        h += W @ target
        power += float(v2.sum())
    values, vectors = on.eigh(G)
    keep = values > 1e-13 * values[-1]
    x = on.numpy(values[keep])
    error = on.numpy(vectors[:, keep].T @ h) / x
    return x, error, max(power - float(x @ error**2), 0.0)


def _recursion(
    x: Array, error: Array, rest: float, steps: Any, lr: Array, batch: int, noise: float,
    rng: np.random.Generator,
) -> Array:  # fmt: skip
    """Mean risk at each step asked for (rising)."""
    rho, size = error**2, np.nan
    risk, now = np.empty(steps.size), 0
    with np.errstate(over="ignore", invalid="ignore"):
        for i, step in enumerate(steps):
            for now_lr in lr[now : int(step)]:
                if now_lr != size:
                    size = now_lr
                    phi = 1 - 2 * size * batch * x + size**2 * batch * (batch + 1) * x**2
                    kick = size**2 * batch * x
                rho = phi * rho + kick * (rest + x @ rho + noise)
            now = int(step)
            risk[i] = rest + x @ rho
    return risk


def _run(
    x: Array, error: Array, rest: float, steps: Any, lr: Array, batch: int, noise: float,
    rng: np.random.Generator,
) -> Array:  # fmt: skip
    """Risk of one run of SGD on samples of features and targets."""
    root, left = np.sqrt(x), error.copy()
    risk, now = np.empty(steps.size), 0
    for i, step in enumerate(steps):
        for size in lr[now : int(step)]:
            features = rng.standard_normal((batch, x.size)) * root
            miss = features @ left + np.sqrt(rest + noise) * rng.standard_normal(batch)
            left = left - size * miss @ features
        now = int(step)
        risk[i] = rest + x @ left**2
    return risk

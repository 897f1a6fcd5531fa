"""Theory and simulation side by side, with the distance between them in standard errors."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.theory.draw import OnStep
from isoloss.theory.flow import gradient_descent, gradient_flow
from isoloss.theory.ridge import random_features
from isoloss.theory.schedule import Scheduled
from isoloss.theory.scheduled import ScheduledRisk, scheduled_sgd
from isoloss.theory.sgd import SgdRisk, one_pass_sgd
from isoloss.theory.simulate import (
    Rng,
    Simulated,
    simulate_gradient_descent,
    simulate_gradient_flow,
    simulate_random_features,
    simulate_sgd,
)
from isoloss.theory.spectrum import Spectrum


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """A theory, its simulation, and the z-scores between them.

    Attributes
    ----------
    axis, at
        What the rows vary in (``ridge``, ``t``, ``steps``), and its values, (k,).
    theory, mean, sem
        By quantity: exact value, mean of the draws and its standard error, (k,).
    draws
        Number of draws.
    """

    axis: str
    at: Array
    theory: Mapping[str, Array]
    mean: Mapping[str, Array]
    sem: Mapping[str, Array]
    draws: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", freeze(self.at))
        for name in ("theory", "mean", "sem"):
            values = {k: freeze(v) for k, v in getattr(self, name).items()}
            object.__setattr__(self, name, values)

    @property
    def z(self) -> dict[str, Array]:
        """(mean - theory)/sem by quantity; zero where both are zero.

        The theory is that of infinite systems, so with enough draws every z grows: its error is
        about one over the size, and ``1/|N - T|`` without a ridge.
        """
        found = {}
        for name, exact in self.theory.items():
            gap, sem = self.mean[name] - exact, self.sem[name]
            size = 1e-12 * np.maximum(np.abs(exact), np.abs(self.mean[name]).max())
            with np.errstate(divide="ignore", invalid="ignore"):
                found[name] = np.where(np.abs(gap) <= size, 0.0, gap / sem)
        return found

    @property
    def worst(self) -> float:
        """Largest absolute z."""
        return float(max(np.abs(z).max() for z in self.z.values()))

    def to_columns(self) -> dict[str, Any]:
        """Table with one row a value and quantity."""
        names = list(self.theory)
        every = {"theory": self.theory, "mean": self.mean, "sem": self.sem, "z": self.z}
        columns: dict[str, Any] = {
            "quantity": [n for n in names for _ in self.at],
            self.axis: np.tile(self.at, len(names)),
        }
        return columns | {k: np.concatenate([v[n] for n in names]) for k, v in every.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        every = {"theory": self.theory, "mean": self.mean, "sem": self.sem, "z": self.z}
        return {"axis": self.axis, "at": self.at.tolist(), "draws": self.draws} | {
            k: {n: v[n].tolist() for n in v} for k, v in every.items()
        }

    def summary(self) -> str:
        """Table for people."""
        head = (
            f"{'quantity':<12} {self.axis:>10} {'theory':>13} {'simulated':>13} {'sem':>9} {'z':>6}"
        )
        lines = [head]
        columns = self.to_columns()
        for i, name in enumerate(columns["quantity"]):
            at, exact, mean, sem, z = (
                columns[k][i] for k in (self.axis, "theory", "mean", "sem", "z")
            )
            lines.append(
                f"{name:<12} {at:>10.4g} {exact:>13.6g} {mean:>13.6g} {sem:>9.2g} {z:>6.2f}"
            )
        return "\n".join(lines)


def agree_random_features(
    spectrum: Spectrum, N: int, T: int, *, ridge: Any = "ridgeless", noise: float = 0.0,
    draws: int = 20, rng: Rng = 0, on_step: OnStep | None = None, executor: Executor | None = None,
    device: str | None = None,
) -> Agreement:  # fmt: skip
    """Solve and simulate random-feature ridge regression; rows are ridges.

    Arguments as in `isoloss.theory.simulate_random_features`; the ridge may be ``"optimal"``.

    Raises
    ------
    InputError
        As there.

    References
    ----------
    arXiv:2210.16859.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = agree_random_features(power_law(b=1.5, a=1.5, M=500), 60, 120, ridge=[1, 10])
    >>> found.worst < 4
    True
    """
    theory = random_features(spectrum, N, T, ridge=ridge, noise=noise)
    ghat = theory.ridge
    made = simulate_random_features(
        spectrum,
        N,
        T,
        ridge=ghat,
        noise=noise,
        draws=draws,
        rng=rng,
        on_step=on_step,
        executor=executor,
        device=device,
    )
    exact = {"test_excess": theory.test_excess, "train": theory.train}
    return _agreement("ridge", ghat, exact, made)


def agree_gradient_flow(
    spectrum: Spectrum, N: int, T: int, t: Any, *, noise: float = 0.0, weight_decay: float = 0.0,
    draws: int = 20, rng: Rng = 0, on_step: OnStep | None = None, executor: Executor | None = None,
    device: str | None = None,
) -> Agreement:  # fmt: skip
    """Solve and simulate gradient flow; rows are times.

    Arguments as in `isoloss.theory.simulate_gradient_flow`.

    Raises
    ------
    InputError
        As there.

    References
    ----------
    arXiv:2402.01092.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = agree_gradient_flow(power_law(b=1.5, a=1.5, M=500), 60, 120, [1, 100])
    >>> found.worst < 4
    True
    """
    theory = gradient_flow(spectrum, N, T, t, noise=noise, weight_decay=weight_decay)
    made = simulate_gradient_flow(
        spectrum,
        N,
        T,
        t,
        noise=noise,
        weight_decay=weight_decay,
        draws=draws,
        rng=rng,
        on_step=on_step,
        executor=executor,
        device=device,
    )
    assert theory.train is not None
    exact = {"test_excess": theory.test_excess, "train": theory.train}
    return _agreement("t", theory.time, exact, made)


def agree_gradient_descent(
    spectrum: Spectrum, N: int, T: int, steps: Any, *, eta: float, noise: float = 0.0,
    weight_decay: float = 0.0, draws: int = 20, rng: Rng = 0, on_step: OnStep | None = None,
    executor: Executor | None = None,
    device: str | None = None,
) -> Agreement:  # fmt: skip
    """Solve and simulate gradient descent; rows are steps.

    Arguments as in `isoloss.theory.simulate_gradient_descent`.

    Raises
    ------
    InputError
        As there.

    References
    ----------
    arXiv:2402.01092.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> spectrum = power_law(b=1.5, a=1.5, M=500)
    >>> agree_gradient_descent(spectrum, 60, 120, [1, 10], eta=0.3).worst < 4
    True
    """
    theory = gradient_descent(
        spectrum, N, T, steps, eta=eta, noise=noise, weight_decay=weight_decay
    )
    made = simulate_gradient_descent(
        spectrum,
        N,
        T,
        steps,
        eta=eta,
        noise=noise,
        weight_decay=weight_decay,
        draws=draws,
        rng=rng,
        on_step=on_step,
        executor=executor,
        device=device,
    )
    assert theory.train is not None
    exact = {"test_excess": theory.test_excess, "train": theory.train}
    return _agreement("steps", theory.time, exact, made)


def agree_sgd(
    spectrum: Spectrum, N: int, steps: Any, *, lr: float, schedule: Scheduled | None = None,
    length: int | None = None, batch: int = 1, noise: float = 0.0, draws: int = 20,
    samples: bool = False, rng: Rng = 0, on_step: OnStep | None = None,
    executor: Executor | None = None,
    device: str | None = None,
) -> Agreement:  # fmt: skip
    """Solve and simulate one-pass SGD; rows are steps.

    Arguments as in `isoloss.theory.simulate_sgd`. Without a schedule the theory is that of
    `isoloss.theory.one_pass_sgd`, with one that of `isoloss.theory.scheduled_sgd`.

    Raises
    ------
    InputError
        As there.

    References
    ----------
    arXiv:2405.15074.

    Examples
    --------
    >>> from isoloss.theory import sgd_spectrum
    >>> spectrum = sgd_spectrum(alpha=0.8, beta=0.6, M=300)
    >>> agree_sgd(spectrum, 80, [10, 100], lr=0.1).worst < 4
    True
    """
    theory: SgdRisk | ScheduledRisk
    if schedule is None:
        theory = one_pass_sgd(spectrum, N, steps, lr=lr, batch=batch, noise=noise)
    else:
        theory = scheduled_sgd(
            spectrum, N, steps, lr=lr, schedule=schedule, length=length, batch=batch, noise=noise
        )
    made = simulate_sgd(
        spectrum, N, steps, lr=lr, schedule=schedule or "constant", length=length, batch=batch,
        noise=noise, draws=draws, samples=samples, rng=rng, on_step=on_step, executor=executor,
        device=device,
    )  # fmt: skip
    return _agreement("steps", theory.steps, {"risk": theory.risk}, made)


def _agreement(axis: str, at: Array, exact: dict[str, Array], made: Simulated) -> Agreement:
    return Agreement(
        axis=axis,
        at=np.ravel(at),
        theory={k: np.ravel(v) for k, v in exact.items()},
        mean={k: np.ravel(made.mean(k)) for k in exact},
        sem={k: np.ravel(made.sem(k)) for k in exact},
        draws=made.draws,
    )

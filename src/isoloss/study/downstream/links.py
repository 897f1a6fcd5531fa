"""The second step: error on a task as a function of the measured loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.fit import fit
from isoloss.laws import Law, law_from_expression
from isoloss.runs import Runs

_LEAST = 1e-6
"""Errors are kept above this, as the engine takes logarithms of what it weighs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A task: the column of its accuracy, what guessing scores, and how many questions it has.

    Attributes
    ----------
    column
        Accuracy of each run, between 0 and 1.
    chance
        Accuracy of guessing.
    items
        Questions; their sampling noise is left out where it is not known.
    """

    column: str
    chance: float = 0.0
    items: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.chance < 1:
            raise InputError(
                f"{self.column}: chance = {self.chance!r} must be from 0 to below 1; percents are "
                "divided by 100"
            )
        if self.items is not None and self.items < 1:
            raise InputError(f"{self.column}: items = {self.items} must be at least 1")

    def sampling(self, accuracy: Array) -> Array:
        """Estimate the standard error of accuracies from their finite number of questions."""
        if self.items is None:
            return np.zeros_like(accuracy)
        # A perfect or hopeless score of K questions is not free of noise: as if one more of each
        # had been asked.
        p = (accuracy * self.items + 1) / (self.items + 2)
        return np.asarray(np.sqrt(p * (1 - p) / self.items))


def sigmoid(chance: float) -> Law:
    """Error from that of guessing, at high loss, to a floor b: Bhagia et al. 2024."""
    top = 1 - chance
    law = law_from_expression(
        f"{top!r} - ({top!r} - b)*(1 + exp(k*(x - m)))**-1",
        axes=("x",),
        bounds={"b": (0.0, top), "k": (0.0, 40.0), "m": (-5.0, 30.0)},
        starts={"b": (0.0, 0.6 * top), "k": (0.5, 8.0), "m": (1.0, 4.0)},
        name="sigmoid",
    )
    return law


def exponential(chance: float) -> Law:
    """Error falling from eps: Gadre et al. 2024; chance plays no part."""
    return law_from_expression(
        "eps - k*exp(-g*x)",
        axes=("x",),
        bounds={"eps": (0.0, 1.5), "k": (0.0, 1e6), "g": (0.0, 20.0)},
        starts={"eps": (0.4, 1.0), "k": (0.5, 5.0), "g": (0.3, 3.0)},
        name="exponential",
    )


LINKS = {"sigmoid": sigmoid, "exponential": exponential}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Link:
    """One link fitted to one task.

    Attributes
    ----------
    scatter
        Standard deviation of an accuracy around the link beyond sampling noise.
    theta, draws
        Parameters, (p,), and resampled ones, (B, p).
    """

    law: Law
    theta: Array
    draws: Array
    scatter: float

    def accuracy(self, loss: Array, theta: Array | None = None) -> Array:
        """Mean accuracy at losses (n,), for (..., p) parameters; (..., n)."""
        error = self.law(self.theta if theta is None else theta, {"x": loss})
        return np.asarray(np.clip(1 - error, 0.0, 1.0))


def fit_link(
    kind: str, task: Benchmark, loss: Array, accuracy: Array, *, draws: int = 0, seed: int = 0
) -> Link:
    """Weighted least squares of the error, weights from questions and scatter together."""
    law = LINKS[kind](task.chance)
    sampling = task.sampling(accuracy)
    error = np.maximum(1 - accuracy, _LEAST)
    se = np.maximum(sampling, 1e-4)
    scatter = 0.0
    for last in (False, True):
        runs = Runs(columns={"x": loss, "loss": error, "se": se})
        # Errors below zero can be tried on the way, where a logarithm is not a number.
        with np.errstate(invalid="ignore", divide="ignore"):
            found = fit(
                runs, law, objective="lsq,linear", noise="column:se", resample="case",
                draws=draws if last else 0, rng=seed,
            )  # fmt: skip
        residual = 1 - law(found.theta, {"x": loss}) - accuracy
        freedom = len(loss) / max(len(loss) - len(law.names), 1)
        scatter = float(np.sqrt(np.maximum(np.mean(freedom * residual**2 - sampling**2), 0.0)))
        se = np.sqrt(np.maximum(sampling, 1e-4) ** 2 + scatter**2)
    kept = found.draws[np.isfinite(found.draws).all(axis=1)] if draws else found.theta[None]
    return Link(law=law, theta=found.theta, draws=kept, scatter=scatter)

"""Ways to draw the parameters of one fit: one short function a method, and a table of them.

Each method that fits again hands the engine one batch of weights or of measurements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.engine import CONVERGED, minimise
from isoloss.fit.jackknife import jackknife_covariance
from isoloss.fit.kernel import Kernel
from isoloss.fit.noise import seed_noise, spread_of_seeds
from isoloss.fit.perturb import inflated_errors, location, unweighted
from isoloss.fit.prepare import Prepared
from isoloss.fit.uncertainty import FEW_SIGNS, in_blocks, resample_weights, wild_factors

MOST_LEFT_OUT = 1_000
"""With more clusters than this, the jackknife leaves out `DEALT` sets of them instead."""
DEALT = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """One fit whose parameters are to be drawn.

    Attributes
    ----------
    kernel, data
        What was fitted, in canonical order.
    best
        Internal coordinates of the optimum, (p,).
    groups
        What moves together, (n,), numbered from zero.
    key
        What the draws depend on, for the journal.
    """

    kernel: Kernel
    data: Prepared
    best: Array
    draws: int
    seed: int
    groups: npt.NDArray[np.int64]
    journal: Path | None
    key: Any

    @property
    def clusters(self) -> int:
        """Number of groups with some weight."""
        return len(np.unique(self.groups[self.data.weights > 0]))

    @property
    def clustered(self) -> bool:
        """Whether some group has more than one run."""
        return self.clusters < int(np.sum(self.data.weights > 0))


Method = Callable[[Task], tuple[Array, npt.NDArray[np.bool_], str]]
"""From a task to internal coordinates, (B, p), which of the refits converged, and a name."""
Change = Callable[[np.random.Generator, range], tuple[Array, Array | None]]
"""From a stream and a range of draws to their weights and measurements, (B, n) or (n,)."""


def _refits(task: Task, change: Change, count: int) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Fit again with the weights or the measurements of each problem, all from the optimum."""

    def block(rng: np.random.Generator, rows: range) -> Array:
        weights, y = change(rng, rows)
        solved = minimise(
            task.kernel,
            np.repeat(task.best[None], len(rows), axis=0),
            weights=weights,
            y=y,
            max_iterations=300,
            tolerance=1e-9,
        )
        return np.column_stack([solved.q, solved.status == CONVERGED])

    full = in_blocks(block, count, seed=task.seed, journal=task.journal, key=task.key)
    return full[:, :-1], full[:, -1] > 0


def _rows(name: str, task: Task) -> tuple[Array, npt.NDArray[np.bool_], str]:
    """Draw runs, or clusters of them, with replacement."""

    def change(rng: np.random.Generator, rows: range) -> tuple[Array, Array | None]:
        return resample_weights(task.groups, len(rows), rng=rng) * task.data.weights, None

    return *_refits(task, change, task.draws), name


def _wild(task: Task) -> tuple[Array, npt.NDArray[np.bool_], str]:
    """Multiply the errors of each cluster, corrected for leverage, by one random factor."""
    weights = task.data.weights
    fitted = task.kernel.predict(task.best[None])[0]
    error = unweighted(inflated_errors(task.kernel, task.best, weights, task.groups), weights)

    def change(rng: np.random.Generator, rows: range) -> tuple[Array, Array | None]:
        return weights, fitted + error * wild_factors(task.groups, len(rows), rng=rng)

    name = "wild cluster bootstrap" if task.clustered else "wild bootstrap"
    points = "Webb" if len(np.unique(task.groups)) < FEW_SIGNS else "Rademacher"
    return *_refits(task, change, task.draws), f"{name}, {points}"


def _residual(task: Task) -> tuple[Array, npt.NDArray[np.bool_], str]:
    """Errors of all runs in one urn, corrected for leverage and centred, drawn with replacement.

    Errors are compared after multiplication by root weight, as weights of one over the variance
    ask.
    """
    weights = task.data.weights
    fitted = task.kernel.predict(task.best[None])[0]
    alone = np.arange(task.kernel.n)
    urn = inflated_errors(task.kernel, task.best, weights, alone)[weights > 0]
    urn = urn - location(urn, task.kernel.objective)

    def change(rng: np.random.Generator, rows: range) -> tuple[Array, Array | None]:
        drawn = urn[rng.integers(len(urn), size=(len(rows), task.kernel.n))]
        return weights, fitted + unweighted(drawn, weights)

    return *_refits(task, change, task.draws), "residual bootstrap"


def _seed(task: Task) -> tuple[Array, npt.NDArray[np.bool_], str]:
    """Draw normal noise of the size that repeated seeds show, or else the residuals."""
    data, kernel = task.data, task.kernel
    fitted = kernel.predict(task.best[None])[0]
    sigma = spread_of_seeds(data)
    source = "repeated seeds"
    if sigma is None:
        source = "the residuals"
        predicted = data.law(kernel.natural(task.best), data.x)
        root = np.sqrt(data.weights)
        residuals = root * (np.log(predicted) - np.log(data.loss))
        size = seed_noise(residuals, data.groups, kernel.p)
        sigma = unweighted(np.full(kernel.n, size), data.weights)
    if not kernel.goal.log:
        sigma = sigma * fitted

    def change(rng: np.random.Generator, rows: range) -> tuple[Array, Array | None]:
        return data.weights, fitted + sigma * rng.standard_normal((len(rows), kernel.n))

    return *_refits(task, change, task.draws), f"parametric bootstrap, noise of {source}"


def _jackknife(task: Task) -> tuple[Array, npt.NDArray[np.bool_], str]:
    """Refits without each cluster, and normal draws with their covariance."""
    present = task.data.weights > 0
    names, sets = np.unique(task.groups[present], return_inverse=True)
    count, name = len(names), "cluster jackknife" if task.clustered else "jackknife"
    if count > MOST_LEFT_OUT:
        deal = np.random.default_rng(task.seed).permutation(np.arange(count) % DEALT)
        sets, count, name = deal[sets], DEALT, f"jackknife over {DEALT} random sets"
    label = np.full(task.kernel.n, -1)
    label[present] = sets

    def change(rng: np.random.Generator, rows: range) -> tuple[Array, Array | None]:
        return (label != np.array(rows)[:, None]) * task.data.weights, None

    q, ok = _refits(task, change, count)
    ok &= np.isfinite(q).all(axis=1)
    kept = q[ok] if ok.sum() >= 2 else np.repeat(task.best[None], 2, axis=0)
    return _normal_draws(task, jackknife_covariance(kept)), ok, f"{name}, normal"


def _sandwich(task: Task) -> tuple[Array, npt.NDArray[np.bool_], str]:
    r"""Draws from the normal limit with covariance :math:`H^{-1} (\sum_g s_g s_g^T) H^{-1}`.

    The scores :math:`s_g` are sums over the runs of a group. The usual factor for k groups, n
    runs and p parameters, :math:`\frac{k}{k-1}\frac{n-1}{n-p}`, matters only when they are few.
    """
    kernel, weights, best = task.kernel, task.data.weights, task.best
    terms = kernel.terms(best[None], weights[None])
    scores = np.zeros((int(task.groups.max()) + 1, kernel.p))
    for start in range(0, kernel.n, 4096):
        rows = slice(start, min(start + 4096, kernel.n))
        jac = kernel.jacobian(best[None], rows)[0]
        r = kernel.predict(best[None], rows)[0] - kernel.y[rows]
        score = jac * (kernel.objective.terms(r)[1] * weights[rows])
        np.add.at(scores, task.groups[rows], score.T)
    inverse = np.linalg.pinv(terms.hessian[0], hermitian=True)
    k, n = task.clusters, int(np.sum(weights > 0))
    factor = k / max(k - 1, 1) * (n - 1) / max(n - kernel.p, 1)
    covariance = factor * inverse @ (scores.T @ scores) @ inverse
    name = "cluster sandwich, normal" if task.clustered else "sandwich, normal"
    return _normal_draws(task, covariance), np.ones(task.draws, dtype=bool), name


def _normal_draws(task: Task, covariance: Array) -> Array:
    """Draw from the normal around the optimum, kept within the bounds."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = np.random.default_rng(task.seed).standard_normal((task.draws, task.kernel.p))
    q = task.best + normal @ root.T
    return np.asarray(np.clip(q, task.kernel.lower, task.kernel.upper))


METHODS: dict[str, Method] = {
    "case": partial(_rows, "case bootstrap"),
    "cluster": partial(_rows, "cluster bootstrap"),
    "wild": _wild,
    "residual": _residual,
    "seed": _seed,
    "jackknife": _jackknife,
    "normal": _sandwich,
}
"""What ``resample`` may be besides ``"auto"``."""

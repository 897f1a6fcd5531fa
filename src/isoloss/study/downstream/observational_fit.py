"""Lines of families from log compute to capabilities, and the link to the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from isoloss._core.arrays import Array
from isoloss.study.downstream.capabilities import Capabilities, find_capabilities
from isoloss.study.downstream.links import Benchmark
from isoloss.study.downstream.models import Models

MEMBERS = 3
"""Models, of different compute, that a family's line takes."""
_LEAST_SD = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """One family's line: ``middle + slope (log C - centre)``, both (q,)."""

    name: str
    count: int
    centre: float
    spread: float
    middle: Array
    slope: Array

    def line(self, log_C: float) -> Array:
        """Give the expected capabilities, (q,)."""
        return self.middle + self.slope * (log_C - self.centre)

    def leverage(self, log_C: float) -> float:
        """Variance of the line there, over that of one model around it."""
        return 1 / self.count + (log_C - self.centre) ** 2 / self.spread


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    r"""All that a forecast takes.

    Attributes
    ----------
    families
        By name, those of enough models.
    around
        Covariance of a model's capabilities around its family's line, pooled, (q, q).
    freedom
        Degrees of freedom of it.
    theta, covariance
        Of the link :math:`c + (1 - c)\,\sigma(\theta_0 + \theta_1 S_1 + ...)`.
    scatter
        Standard deviation of an accuracy around the link beyond its questions.
    """

    capabilities: Capabilities
    families: Mapping[str, Family]
    around: Array
    freedom: int
    theta: Array
    covariance: Array
    scatter: float
    link_freedom: int

    def accuracy(self, S: Array, task: Benchmark, theta: Array | None = None) -> Array:
        """Accuracies at capabilities (..., q) for parameters (..., q + 1)."""
        t = self.theta if theta is None else theta
        u = t[..., 0] + np.sum(t[..., 1:] * S, axis=-1)
        return np.asarray(task.chance + (1 - task.chance) * expit(u))


def fit_models(
    models: Models, benchmarks: Sequence[str], task: Benchmark, components: int | None
) -> Fitted:
    """Components of the benchmarks, a line for each family, then the link."""
    scores = np.stack([models.scores[b] for b in benchmarks], axis=1)
    found = find_capabilities(scores, components)
    S, log_C = found.values, np.log(models.C)
    families: dict[str, Family] = {}
    rest, freedom = np.zeros((S.shape[1], S.shape[1])), 0
    kin = np.array(models.family)
    for name in sorted(set(models.family)):
        rows = np.flatnonzero(kin == name)
        if len(np.unique(log_C[rows])) < MEMBERS:
            continue
        centre = float(log_C[rows].mean())
        x, middle = log_C[rows] - centre, S[rows].mean(axis=0)
        slope = x @ (S[rows] - middle) / (x @ x)
        left = S[rows] - middle - x[:, None] * slope
        rest, freedom = rest + left.T @ left, freedom + len(rows) - 2
        families[name] = Family(
            name=name, count=len(rows), centre=centre, spread=float(x @ x), middle=middle,
            slope=slope,
        )  # fmt: skip
    y = models.scores[task.column]
    known = np.isfinite(y)
    theta, covariance, scatter = fit_target(S[known], y[known], task)
    return Fitted(
        capabilities=found, families=families, around=rest / max(freedom, 1), freedom=freedom,
        theta=theta, covariance=covariance, scatter=scatter,
        link_freedom=max(int(known.sum()) - len(theta), 1),
    )  # fmt: skip


def by_compute(below: Models, task: Benchmark, C: Array) -> Array:
    """Accuracies at computes by a sigmoid in log compute, blind to families and benchmarks."""
    y, x = below.scores[task.column], np.log(below.C)
    known = np.isfinite(y)
    middle, spread = x[known].mean(), x[known].std()
    theta, *_ = fit_target(((x - middle) / spread)[known, None], y[known], task)
    u = theta[0] + theta[1] * (np.log(C) - middle) / spread
    return np.asarray(task.chance + (1 - task.chance) * expit(u))


def fit_target(S: Array, y: Array, task: Benchmark) -> tuple[Array, Array, float]:
    """Weighted least squares: weights from the questions and the scatter together.

    Returns the parameters, (q + 1,), their covariance and the scatter beyond questions.
    """
    from scipy.optimize import least_squares

    ones, span = np.ones((len(y), 1)), 1 - task.chance
    X = np.hstack([ones, S])
    start = np.clip((y - task.chance) / span, 0.02, 0.98)
    theta = np.linalg.lstsq(X, logit(start), rcond=None)[0]
    freedom = len(y) / max(len(y) - X.shape[1], 1)
    scatter, fitted = 0.0, y
    for _ in range(3):
        # Weights by what is expected, as a lucky score is no surer than another.
        sampling = task.sampling(fitted)
        sd = np.sqrt(np.maximum(sampling, _LEAST_SD) ** 2 + scatter**2)

        def miss(t: Array, sd: Array = sd) -> Array:
            return np.asarray((task.chance + span * expit(X @ t) - y) / sd)

        def slopes(t: Array, sd: Array = sd) -> Array:
            p = expit(X @ t)
            return np.asarray((span * p * (1 - p) / sd)[:, None] * X)

        theta = least_squares(miss, theta, jac=slopes, method="lm").x
        fitted = task.chance + span * expit(X @ theta)
        scatter = float(np.sqrt(max(np.mean(freedom * (fitted - y) ** 2 - sampling**2), 0.0)))
    jac = slopes(theta)
    worse = max(float(np.sum(miss(theta) ** 2)) / max(len(y) - X.shape[1], 1), 1.0)
    return theta, worse * np.linalg.pinv(jac.T @ jac), scatter


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Draws of one forecast, (draws,), and standard deviations of what they are made of."""

    values: Array
    capabilities: Array
    parts: Mapping[str, float]


def draw_forecast(
    fit: Fitted, task: Benchmark, family: Family, C: float, beyond: float, draws: int,
    rng: np.random.Generator,
) -> Drawn:  # fmt: skip
    """Draw a new model of a family at a compute: its line, itself, the link, and its questions."""
    log_C, q = float(np.log(C)), len(fit.theta) - 1
    size, turned = np.linalg.eigh(fit.around)
    # The root that does not depend on the signs of the eigenvectors.
    root = (turned * np.sqrt(np.maximum(size, 0.0))) @ turned.T
    wide = np.sqrt(fit.freedom / rng.chisquare(fit.freedom, draws))[:, None]
    own = rng.standard_normal((draws, q)) @ root * wide
    line = rng.standard_normal((draws, q)) @ root * wide * np.sqrt(family.leverage(log_C))
    size, turned = np.linalg.eigh(fit.covariance)
    half = (turned * np.sqrt(np.maximum(size, 0.0))) @ turned.T
    unsure = np.sqrt(fit.link_freedom / rng.chisquare(fit.link_freedom, draws))[:, None]
    theta = fit.theta + rng.standard_normal((draws, q + 1)) @ half * unsure
    S = family.line(log_C)
    values = fit.accuracy(S + line + own, task, theta)
    items = task.sampling(np.array([float(np.median(values))]))[0]
    noise = np.sqrt(beyond**2 + fit.scatter**2 + task.sampling(values) ** 2)
    parts = {
        "family": float(np.std(fit.accuracy(S + line, task))),
        "model": float(np.std(fit.accuracy(S + own, task))),
        "link": float(np.std(fit.accuracy(S, task, theta))),
        "discrepancy": beyond, "scatter": fit.scatter, "items": float(items),
    }  # fmt: skip
    drawn = np.clip(values + noise * rng.standard_normal(draws), 0.0, 1.0)
    return Drawn(values=drawn, capabilities=S, parts=parts)


Rows = npt.NDArray[np.int64]


def take(models: Models, rows: Rows) -> Models:
    """Select some of the models."""
    return Models(
        names=tuple(models.names[i] for i in rows), family=tuple(models.family[i] for i in rows),
        C=models.C[rows], scores={n: v[rows] for n, v in models.scores.items()},
    )  # fmt: skip

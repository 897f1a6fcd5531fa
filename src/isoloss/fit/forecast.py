"""Forecasts whose interval holds parameters, seeds and the choice of law."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, as_positive
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.fit.backtest import run_scale
from isoloss.fit.lawset import LawSet
from isoloss.fit.result import Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class LawForecast:
    """What one law says at a target: its weight, loss, and interval if it were right."""

    law: str
    weight: float
    loss: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """Loss at a target.

    Attributes
    ----------
    at
        Resources of the target.
    loss
        Weighted median over laws and draws.
    interval
        For one new run: parameters, seeds, law and the error that back-tests showed.
    mean
        The same without the noise of a single run.
    laws
        Each law on its own.
    reach
        Scale of the target over the largest scale in the runs.
    backtest_error
        Root-mean-square log error of the procedure in its back-test; ``None`` if none was possible.
    """

    at: Mapping[str, float]
    scale: float
    loss: float
    interval: Interval
    mean: Interval
    laws: tuple[LawForecast, ...]
    reach: float
    backtest_error: float | None
    backtest_reach: float | None
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss forecast --json``."""
        return {
            "at": dict(self.at),
            "C": self.scale,
            "loss": self.loss,
            "interval": self.interval.to_dict(),
            "mean_interval": self.mean.to_dict(),
            "laws": [
                {
                    "law": f.law,
                    "weight": f.weight,
                    "loss": f.loss,
                    "low": f.interval.low,
                    "high": f.interval.high,
                    "level": f.interval.level,
                    "method": f.interval.method,
                }
                for f in self.laws
            ],
            "reach": self.reach,
            "backtest_error": self.backtest_error,
            "backtest_reach": self.backtest_reach,
            "sentence": self.sentence,
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table by law."""
        return {
            "law": [f.law for f in self.laws],
            "weight": [f.weight for f in self.laws],
            "loss": [f.loss for f in self.laws],
            "low": [f.interval.low for f in self.laws],
            "high": [f.interval.high for f in self.laws],
        }

    def summary(self) -> str:
        """Lines for people."""
        where = ", ".join(f"{n} = {v:.4g}" for n, v in self.at.items())
        lines = [f"at {where}: loss {self.loss:.4f} {self.interval!r}", self.sentence]
        lines += [
            f"  {f.law:<14} weight {f.weight:.3f}  {f.loss:.4f} "
            f"[{f.interval.low:.4f}, {f.interval.high:.4f}]"
            for f in self.laws
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Forecast(loss={self.loss:.4f}, interval={self.interval!r})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def mixture(
    laws: LawSet, x: Mapping[str, Any], *, reach: Array, seed: int = 0
) -> tuple[Array, Array, Array]:
    """Draws of the mean loss and of a new run under all laws, with their weights.

    Returns
    -------
    mean, new : ndarray of shape (draws, points)
    weights : ndarray of shape (draws,)
    """
    rng = np.random.default_rng([seed, 7])
    values, weights, noise = [], [], []
    # The chance numbers go to the laws by name, so that the order they were asked in is nothing.
    for f, w in sorted(
        zip(laws.fits, laws.weights, strict=True), key=lambda pair: pair[0].law.name
    ):
        if w == 0:
            continue
        draws = f.predict_draws(x) if len(f.draws) else f.predict(x)[None]
        draws = draws[np.isfinite(draws).all(axis=1)]
        values.append(np.log(draws))
        weights.append(np.full(len(draws), w / len(draws)))
        noise.append(np.broadcast_to(f.noise_at(x), draws.shape))
    logs = np.concatenate(values)
    # The miss that back-tests showed grows like a random walk in the logarithm of scale; below
    # the largest run there is none.
    ahead = np.sqrt(np.log(np.maximum(reach, 1.0)))
    miss = rng.standard_normal(len(logs)) * _dealt(laws.discrepancies, len(logs), rng)
    mean = logs + miss[:, None] * ahead
    new = mean + np.concatenate(noise) * rng.standard_normal(logs.shape)
    return np.exp(mean), np.exp(new), np.concatenate(weights)


def _dealt(values: Array, count: int, rng: np.random.Generator) -> Array:
    """Deal values to draws in equal shares, (count,)."""
    turns = (rng.permutation(count) + 0.5) / count
    return np.asarray(values[(turns * len(values)).astype(np.int64)])


def _median(values: Array, weights: Array) -> float:
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order])
    return float(np.interp(0.5, mass / mass[-1], values[order]))


def forecast(
    laws: LawSet, at: Mapping[str, float], *, level: float | None = None, seed: int = 0
) -> Forecast:
    """Forecast the loss of a run at given resources.

    Parameters
    ----------
    laws
        From `fit_laws`.
    at
        Resource name to value, for example ``{"N": 7e10, "D": 1.4e12}``.
    level
        Confidence level; that of the law set by default.

    Raises
    ------
    InputError
        When a resource that some law needs is missing or not positive.
    """
    missing = [a for a in laws.axes if a not in at]
    if missing:
        raise InputError(
            f"at: {', '.join(missing)} missing; give {', '.join(f'{a}=...' for a in laws.axes)}"
        )
    point = {a: as_positive(f"at {a}", v) for a, v in at.items()}
    x = {a: np.array([v]) for a, v in point.items()}
    return forecast_many(laws, x, scale=run_scale(x, laws.axes), level=level, seed=seed)[0]


def forecast_many(
    laws: LawSet,
    x: Mapping[str, Array],
    *,
    scale: Array,
    level: float | None = None,
    seed: int = 0,
) -> list[Forecast]:
    """Forecast at many points at once.

    Parameters
    ----------
    x
        Resource name to values, (m,), checked by the caller.
    scale
        Compute of each point, or what the runs are ordered by, (m,).
    """
    level = laws.level if level is None else as_level(level)
    reach = scale / float(laws.backtest.scale.max())
    mean, new, weights = mixture(laws, x, reach=reach, seed=seed)
    used = sum(w > 0 for w in laws.weights)
    method = (
        f"{laws.best.method} over {used} law{'s' if used > 1 else ''} weighted by back-test, "
        "and back-test discrepancy"
    )
    error, tested = laws.procedure_error, laws.procedure_reach
    alone = [
        (f.law.name, float(w), f.predict(x), _alone(f, x, level))
        for f, w in zip(laws.fits, laws.weights, strict=True)
    ]
    answers = []
    for i in range(len(scale)):
        inner = Interval.from_draws(mean[:, i], level=level, method=method, weights=weights)
        outer = Interval.from_draws(
            new[:, i], level=level, method=method + ", and seed noise", weights=weights
        )
        answers.append(
            Forecast(
                at={a: float(v[i]) for a, v in x.items()},
                scale=float(scale[i]),
                loss=_median(mean[:, i], weights),
                # One run varies more than the mean; with heavy tails and a thousand draws the
                # sampling error of a quantile could say otherwise.
                interval=replace(
                    outer, low=min(outer.low, inner.low), high=max(outer.high, inner.high)
                ),
                mean=inner,
                laws=tuple(
                    LawForecast(law=name, weight=w, loss=float(values[i]), interval=intervals[i])
                    for name, w, values, intervals in alone
                ),
                reach=float(reach[i]),
                backtest_error=error,
                backtest_reach=tested,
                sentence=_sentence(float(reach[i]), error, tested),
            )
        )
    return answers


def _alone(f: Fit, x: Mapping[str, Array], level: float) -> list[Interval]:
    if len(f.draws):
        return f.interval(x, level=level)
    return [
        Interval(low=float(v), high=float(v), level=level, method="no resampling")
        for v in f.predict(x)
    ]


def _sentence(reach: float, error: float | None, tested: float | None) -> str:
    if reach <= 1:
        where = "The target lies within the scale of the runs"
    else:
        where = f"The target is {reach:.3g} times the scale of the largest run"
    if error is None or tested is None:
        return f"{where}; there were too few scales for a back-test."
    text = f"{where}; the same procedure erred {100 * error:.2g} % up to {tested:.3g} times ahead"
    if reach > 3 * tested:
        return text + ", so this goes well beyond what was tested."
    return text + "."

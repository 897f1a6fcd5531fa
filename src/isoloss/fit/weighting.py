r"""From a back-test and the fits to the objective, the emphases and the weights of laws.

The same rules are applied twice: to all cuts, for the answer; and at each cut with only what was
known below it (`isoloss.fit.rolling`), for an honest record of how well the procedure has
forecast.

A law's *record* at an objective and an emphasis is the geometric mean over cuts of its mean
absolute log error. The geometric mean lets every cut rank the laws whatever the size of its
errors: it is what remains of independent normal misses when each cut's own variance is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit.backtest import Backtest
from isoloss.fit.cuts import RUNS_A_PARAMETER, effective_runs

EFFECTIVE_CUTS = 3.0
"""Cuts share runs, below and above: they count as at most this many independent observations."""
EFFECTIVE_CUTS_OF_A_CURVE = 2.0
"""On one axis neighbouring cuts share nearly everything."""
REJECTED = 0.05
"""Laws with an Akaike weight below this share of the best one's are rejected by the fit."""
UNEVEN = 0.75
"""A one-sided objective must have a record this much better: it is biased if errors are even."""
NEGLIGIBLE = 1e-3
"""Smaller weights are set to zero."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """What a record decides.

    Attributes
    ----------
    objective
        The one that extrapolated best.
    emphases
        Law to the power of scale that its runs are weighted by.
    record
        Law to its weight by extrapolation alone.
    """

    objective: str
    emphases: Mapping[str, float]
    record: Mapping[str, float]


def record(
    test: Backtest, law: str, objective: str, *, noise: float, below: int | None = None
) -> Array:
    """Logarithms of the geometric mean of a law's errors over cuts, (emphases,).

    Infinite where unknown.

    Parameters
    ----------
    noise
        Of one run, in log loss: errors far below it cannot rank laws.
    below
        Use only runs below this cut, scored from the cuts before it.
    """
    count = len(test.cuts) if below is None else below
    tried = len(test.emphases)
    if (law, objective) not in test.predictions or not count:
        return np.full(tried, 0.0 if not count else np.inf)
    ceiling = np.inf if below is None else test.cuts[below].scale
    at = np.array([cut.scale for cut in test.cuts[:count]])
    scored = (test.scale >= at[:, None]) & (test.scale < ceiling)
    used = scored.any(axis=1)
    if not used.any():
        return np.zeros(tried)
    misses = np.where(scored[used], test.misses(law, objective)[:, :count][:, used], 0.0)
    error = np.sum(misses, axis=2) / np.sum(scored[used], axis=1)
    found = np.mean(0.5 * np.log(error**2 + (0.1 * noise) ** 2 + 1e-24), axis=1)
    return np.where(np.isfinite(found), found, np.inf)


def choose(
    test: Backtest,
    laws: Sequence[str],
    objectives: Sequence[str],
    *,
    parameters: Sequence[int],
    noise: float,
    curve: bool = False,
    below: int | None = None,
) -> Choice:
    r"""Choose the objective, each law's emphasis and its weight by extrapolation.

    With :math:`s_{lp}` the records and m the effective number of cuts, the objective is that of
    the best record; a law's emphasis is the mean of those tried weighted by
    :math:`e^{-m s_{lp}}`, and its weight the mean of these.
    """
    tried = test.emphases
    table = {
        o: np.array([record(test, law, o, noise=noise, below=below) for law in laws])
        for o in objectives
    }
    handicap = {o: np.log(UNEVEN) if ",over:" in o else 0.0 for o in objectives}
    goal = sorted(objectives, key=lambda o: float(np.min(table[o])) - handicap[o])[0]
    known = np.where(np.isfinite(table[goal]), table[goal], np.inf)
    count = len(test.cuts) if below is None else below
    scale = test.scale if below is None else test.scale[test.scale < test.cuts[below].scale]
    left = np.array([effective_runs((scale / scale.max()) ** p) for p in tried])
    few = left < RUNS_A_PARAMETER * np.array(parameters)[:, None]
    known[few & (np.array(tried) > 0)] = np.inf
    if not np.isfinite(known).any() or not count:
        known[:] = np.where(np.array(tried) == tried[0], 0.0, np.inf)
    m = max(min(count, EFFECTIVE_CUTS_OF_A_CURVE if curve else EFFECTIVE_CUTS), 1.0)
    shares = np.where(np.isfinite(known), np.exp(-m * (known - np.min(known))), 0.0)
    totals = np.sum(shares, axis=1)
    means = shares @ np.array(tried) / np.fmax(totals, 1e-300)
    return Choice(
        objective=goal,
        emphases=dict(zip(laws, means.tolist(), strict=True)),
        record=dict(zip(laws, (totals / totals.sum()).tolist(), strict=True)),
    )


def rough_noise(test: Backtest) -> float:
    """Noise of one run, before the fits: what the best law leaves below the highest cut."""
    if not test.cuts:
        return 0.0
    below = test.scale < test.cuts[-1].scale
    left = [
        1.4826 * np.median(np.abs(np.log(p[0, -1, below]) - np.log(test.loss[below])))
        for p in test.predictions.values()
    ]
    left = [v for v in left if np.isfinite(v)]
    return float(min(left, default=0.0))


def akaike(residuals: Array, weights: Array, parameters: Sequence[int], *, squares: bool) -> Array:
    r"""Akaike weights of laws by how well they fit, (laws,).

    The likelihood is :math:`\sigma^{-n}`, with :math:`\sigma` the root mean square of the
    residuals for least squares and their mean absolute value (a Laplace likelihood) for robust
    objectives; n is the effective number of runs, :math:`(\sum w)^2 / \sum w^2`, times
    :math:`(1 - \rho)/(1 + \rho)` where neighbours in scale deviate alike with correlation
    :math:`\rho` from the best of the laws: many runs that share one misfit are few.

    Parameters
    ----------
    residuals
        Log residuals in order of scale, (laws, n).
    weights
        Weights that each law was fitted with, (laws, n).
    parameters
        Free parameters of each law.
    """
    share = weights / np.sum(weights, axis=1, keepdims=True)
    size = residuals**2 if squares else np.abs(residuals)
    spread = np.sum(share * size, axis=1)
    spread = np.sqrt(spread) if squares else spread
    spread = np.where(np.isfinite(spread), np.maximum(spread, 1e-12), np.inf)
    best = int(np.argmin(spread))
    if not np.isfinite(spread[best]):
        return np.full(len(residuals), 1 / len(residuals))
    centred = residuals[best] - np.mean(residuals[best])
    rho = float(centred[1:] @ centred[:-1] / max(centred @ centred, 1e-300))
    rho = min(max(rho, 0.0), 0.95)
    n = float(effective_runs(weights[best])) * (1 - rho) / (1 + rho)
    logs = -n * np.log(spread) - np.array(parameters, dtype=np.float64)
    found = np.exp(logs - logs.max())
    return np.asarray(found / found.sum())


def law_weights(extrapolation: Array, fit: Array, alive: Array, *, curve: bool = False) -> Array:
    """Combine two kinds of evidence: half by extrapolation, half by fit.

    Laws that the fit rejects have no say by extrapolation either: a lucky forecast of a law that
    misses what is known is luck. The other half keeps a law that the runs prefer in the set even
    where a few cuts with noise in them prefer a simpler one. The points of a single curve share
    what is wrong with it, so that its likelihood says little: there extrapolation alone decides.

    Parameters
    ----------
    extrapolation, fit
        Shares of the laws, from `choose` and `akaike`.
    alive
        1, or 0 for laws that failed.
    """
    fit = fit * alive
    fit = fit / fit.sum() if fit.sum() > 0 else alive / alive.sum()
    if curve:
        fit = extrapolation * alive
        fit = fit / fit.sum() if fit.sum() > 0 else alive / alive.sum()
    ahead = extrapolation * alive * (curve | (fit >= REJECTED * fit.max()))
    ahead = ahead / ahead.sum() if ahead.sum() > 0 else fit
    weights = 0.5 * ahead + 0.5 * fit
    weights[weights < NEGLIGIBLE] = 0.0
    return np.asarray(weights / weights.sum())


def verdict(
    test: Backtest, laws: Sequence[str], weights: Array, record: Array, evidence: Array
) -> str:
    """Say whether the runs tell the laws apart, and by what."""
    if not test.cuts:
        return (
            "Too few scales to hold any out: the laws are weighted by how well they fit, untested."
        )
    alike = _leading(laws, weights)
    if len(alike) > 1:
        return f"The runs cannot tell {_listed(alike)} apart: the interval spans them."
    best, ahead = alike[0], _leading(laws, record)
    cuts = f"over {len(test.cuts)} cut{'s' if len(test.cuts) > 1 else ''}"
    if ahead == [best]:
        return f"{best} extrapolated clearly best {cuts}, which is no proof that it is right."
    if _leading(laws, evidence) == [best]:
        what = "extrapolated alike" if len(ahead) > 1 else "extrapolated best"
        return (
            f"{best} fits the runs clearly best, though {_listed(ahead)} {what} {cuts}; that is "
            "no proof that it is right."
        )
    return f"{best} leads by its fit and its record {cuts}, which is no proof that it is right."


def _leading(laws: Sequence[str], shares: Array) -> list[str]:
    """Laws with more than a tenth of the largest share, largest first."""
    order = np.argsort(-shares, kind="stable")
    return [laws[int(i)] for i in order if shares[int(i)] > 0.1 * shares.max()]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]

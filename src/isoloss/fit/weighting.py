r"""From a back-test to the objective, the weights of runs and of laws, and what all this errs.

The same rules are applied twice: to all cuts, for the answer; and at each cut with only what was
known below it, for an honest record of how well the whole procedure, its choices included, has
forecast.

A law's *record* at an objective and an emphasis is the geometric mean over cuts of its mean
absolute log error. The geometric mean lets every cut rank the laws whatever the size of its
errors: it is what remains of independent normal misses when each cut's own variance is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.fit.backtest import Backtest
from isoloss.fit.cuts import RUNS_A_PARAMETER, effective_runs
from isoloss.fit.splits import weighted_split

EFFECTIVE_CUTS = 3.0
"""Cuts share runs, below and above: they count as at most this many independent observations."""
EFFECTIVE_CUTS_OF_A_CURVE = 2.0
"""On one axis neighbouring cuts share nearly everything."""
REJECTED = 0.05
"""Laws with an Akaike weight below this share of the best one's are rejected by the fit."""
UNEVEN = 0.75
"""A one-sided objective must have a record this much better: it is biased if errors are even."""
WORST_DRIFT = 2.0
"""Drifts are considered up to this many times the largest miss of a step."""
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One forecast of the procedure from below a cut, with choices made from below it too.

    Attributes
    ----------
    cut
        Index of the cut.
    objective
        Chosen by scores below the cut.
    weights
        Of the laws, likewise.
    error, bias
        Mean absolute and mean signed log error of the runs above.
    spread
        Standard error of the mean prediction above that the noise of the runs below explains.
    reach
        Largest scale above over largest below.
    typical
        Median logarithm of scale above over largest below.
    predicted
        Losses forecast for all runs, (n,).
    split, split_spread
        Mean over the laws of log N_opt at the N D of the largest runs, and the standard error
        that the noise of the runs below explains; NaN where no law has one.
    """

    cut: int
    objective: str
    weights: Array
    error: float
    bias: float
    spread: float
    reach: float
    typical: float
    predicted: Array
    split: float = np.nan
    split_spread: float = np.nan

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", freeze(self.weights))
        object.__setattr__(self, "predicted", freeze(self.predicted))

    def to_dict(self, laws: Sequence[str]) -> dict[str, Any]:
        """Plain types."""
        return {
            "cut": self.cut,
            "objective": self.objective,
            "weights": dict(zip(laws, self.weights.tolist(), strict=True)),
            "error": self.error,
            "bias": self.bias,
            "reach": self.reach,
        }


def record(
    test: Backtest,
    law: str,
    objective: str,
    emphasis: float,
    *,
    noise: float,
    below: int | None = None,
) -> float:
    """Logarithm of the geometric mean of a law's errors over cuts; infinite if unknown.

    Parameters
    ----------
    noise
        Of one run, in log loss: errors far below it cannot rank laws.
    below
        Use only runs below this cut, scored from the cuts before it.
    """
    count = len(test.cuts) if below is None else below
    if (law, objective) not in test.predictions or not count:
        return 0.0 if not count else float("inf")
    ceiling = np.inf if below is None else test.cuts[below].scale
    losses = test.predicted(law, objective, emphasis)
    logs = []
    for j in range(count):
        rows = (test.scale >= test.cuts[j].scale) & (test.scale < ceiling)
        if rows.any():
            error = np.mean(np.abs(np.log(losses[j, rows]) - np.log(test.loss[rows])))
            logs.append(0.5 * np.log(error**2 + (0.1 * noise) ** 2 + 1e-24))
    found = float(np.mean(logs)) if logs else 0.0
    return found if np.isfinite(found) else float("inf")


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
        o: np.array(
            [[record(test, law, o, p, noise=noise, below=below) for p in tried] for law in laws]
        )
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


def roll(
    test: Backtest,
    laws: Sequence[str],
    objectives: Sequence[str],
    *,
    parameters: Sequence[int],
    squares: Mapping[str, bool],
    alive: Array,
    noise: float,
    curve: bool = False,
) -> tuple[Step, ...]:
    """Run the whole procedure at each cut with what was known below it.

    The first cut has no history to choose from, and is used only when there are fewer than
    three cuts.

    Two things are taken from the fits to all runs: which laws failed altogether, and the size of
    the noise below which errors do not rank laws.
    """
    steps = []
    order = np.argsort(test.scale, kind="stable")
    for i in range(1 if len(test.cuts) > 2 else 0, len(test.cuts)):
        found = choose(
            test, laws, objectives, parameters=parameters, noise=noise, curve=curve, below=i
        )
        goal, lean = found.objective, found.emphases
        logs = np.array([np.log(test.predicted(law, goal, lean[law])[i]) for law in laws])
        spread = np.array([test.spread(law, goal, lean[law])[i] for law in laws])
        known = order[test.scale[order] < test.cuts[i].scale]
        powers = np.array([lean[law] for law in laws])
        ranked = (test.scale[known] / test.scale[known].max()) ** powers[:, None]
        fitted = akaike(
            logs[:, known] - np.log(test.loss[known]), ranked, parameters, squares=squares[goal]
        )
        usable = alive * np.isfinite(logs).all(axis=1)
        if not usable.any():
            continue
        history = np.array([found.record[law] for law in laws])
        weights = law_weights(history, fitted, usable, curve=curve)
        used = weights > 0
        mean = weights[used] @ logs[used]
        above = test.scale >= test.cuts[i].scale
        miss = mean[above] - np.log(test.loss[above])
        ahead = np.log(test.scale[above] / test.scale[~above].max())
        split, split_spread = weighted_split(
            weights,
            np.array([test.split(law, goal, lean[law])[i] for law in laws]),
            np.array([test.split_spread(law, goal, lean[law])[i] for law in laws]),
        )
        steps.append(
            Step(
                cut=i,
                objective=goal,
                weights=weights,
                error=float(np.mean(np.abs(miss))),
                bias=float(np.mean(miss)),
                spread=float(np.sqrt(weights[used] @ np.nan_to_num(spread[used]) ** 2)),
                reach=test.cuts[i].reach,
                typical=float(np.median(ahead)),
                predicted=np.exp(mean),
                split=split,
                split_spread=split_spread,
            )
        )
    return tuple(steps)


def discrepancy(test: Backtest, steps: Sequence[Step], *, noise: float) -> float:
    r"""Error of the procedure per root of log reach, beyond what the noise of runs explains.

    The runs above a cut share one systematic error, estimated by their mean signed error b. It
    is normal with variance :math:`v + \sigma^2 / t + \delta^2 \rho`: the parameters' own, which
    is drawn separately and must not count twice, the noise of t runs, and the drift over a log
    reach :math:`\rho`. Returned is the root of the mean of :math:`\delta^2` over its likelihood.
    Steps share runs and count as at most three. Precise steps weigh more than vague ones.
    """
    if not steps:
        return 0.0
    bias = np.array([s.bias for s in steps])
    reach = np.maximum([s.typical for s in steps], 0.2)
    tests = np.array([test.cuts[s.cut].n_test for s in steps])
    known = np.array([s.spread for s in steps]) ** 2 + noise**2 / tests + 1e-24
    drift = np.linspace(0.0, WORST_DRIFT * np.max(np.abs(bias) / np.sqrt(reach)), 400)
    variance = known + drift[:, None] ** 2 * reach
    logs = -0.5 * np.sum(np.log(variance) + bias**2 / variance, axis=1)
    share = min(1.0, EFFECTIVE_CUTS / len(steps))
    likelihood = np.exp(share * (logs - logs.max()))
    return float(np.sqrt(likelihood @ drift**2 / likelihood.sum()))


def split_discrepancy(steps: Sequence[Step], final: float, final_spread: float) -> float:
    r"""By how much log N_opt moves per root of log reach, beyond what noise explains.

    Each step says what the runs below its cut make of the best split of the largest compute;
    ``final`` is what all runs make of it. Were the laws right, the two would differ by noise
    alone, and an estimate from part of the runs less that from all has the variance
    :math:`V_{part} - V_{all}`.

    Parameters
    ----------
    steps
        From `roll`.
    final, final_spread
        log N_opt of the fits to all runs, and its standard error.

    References
    ----------
    Hausman 1978, Econometrica 46, section 2, doi:10.2307/1913827.
    """
    rates = [
        ((s.split - final) ** 2 - max(s.split_spread**2 - final_spread**2, 0.0))
        / max(float(np.log(s.reach)), 0.2)
        for s in steps
    ]
    rates = [r for r in rates if np.isfinite(r)]
    return float(np.sqrt(max(float(np.mean(rates)), 0.0))) if rates else 0.0


def freedom(steps: Sequence[Step]) -> int:
    """Degrees of freedom of the Student distribution that moves of the best split are drawn from.

    A standard deviation that was estimated from a handful of misses is itself uncertain, and a
    normal distribution would forget that.
    """
    return max(3, len(steps))


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

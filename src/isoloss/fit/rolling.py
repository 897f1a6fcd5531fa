"""What the procedure would have forecast at each cut, and by how much it errs beyond noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.fit.backtest import Backtest
from isoloss.fit.weighting import EFFECTIVE_CUTS, akaike, choose, law_weights

WORST_DRIFT = 1.5
"""Drifts are considered up to this many times the largest miss of a step."""
LIKELY = 200
"""Values that stand for what is believed of the drift."""


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
            )
        )
    return tuple(steps)


def discrepancies(test: Backtest, steps: Sequence[Step], *, noise: npt.ArrayLike) -> Array:
    r"""Error of the procedure per root of log reach, beyond what the noise of runs explains.

    The runs above a cut share one systematic error, estimated by their mean signed error b. It
    is normal with variance :math:`v + \sigma^2 / t + (\delta h)^2 \rho`: the parameters' own, which
    is drawn separately and must not count twice, the noise of t runs, and the drift over a log
    reach :math:`\rho`. What makes runs noisier at a smaller scale makes laws miss more there: h is
    the noise of the runs above the cut over that of the largest run. Steps share runs and count as
    at most three. Precise steps weigh more than vague ones.

    Parameters
    ----------
    noise
        Of one run, in log loss: one number, or one a run of the back-test, (n,).

    Returns
    -------
    ndarray of shape (200,)
        Values of :math:`\delta`, rising, that are equally likely by their likelihood from zero to
        one and a half times the largest miss.
    """
    if not steps:
        return np.zeros(1)
    sigma = np.broadcast_to(np.asarray(noise, dtype=np.float64), test.scale.shape)
    above = [test.scale >= test.cuts[s.cut].scale for s in steps]
    bias = np.array([s.bias for s in steps])
    reach = np.maximum([s.typical for s in steps], 0.2)
    if (sigma > 0).all():
        there = np.array([np.mean(np.log(sigma[a])) for a in above])
        reach = reach * np.exp(2 * (there - np.log(sigma[np.argmax(test.scale)])))
    runs = np.array([test.cuts[s.cut].n_test for s in steps])
    seen = np.array([np.mean(sigma[a] ** 2) for a in above]) / runs
    known = np.array([s.spread for s in steps]) ** 2 + seen + 1e-24
    drift = np.linspace(0.0, WORST_DRIFT * np.max(np.abs(bias) / np.sqrt(reach)), 400)
    variance = known + drift[:, None] ** 2 * reach
    logs = -0.5 * np.sum(np.log(variance) + bias**2 / variance, axis=1)
    share = min(1.0, EFFECTIVE_CUTS / len(steps))
    chance = np.cumsum(np.exp(share * (logs - logs.max())))
    middle = (np.arange(LIKELY) + 0.5) / LIKELY
    return np.interp(middle, (chance - chance[0]) / (chance[-1] - chance[0]), drift)

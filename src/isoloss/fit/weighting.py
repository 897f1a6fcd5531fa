"""From a back-test to the objective, the weights of the laws, and what the procedure itself errs.

The same rules are applied twice: to all cuts, for the answer; and at each cut with only what was
known below it, for an honest record of how well the whole procedure, its choices included, has
forecast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.fit.backtest import Backtest

SWITCH = 0.9
"""Another objective replaces the default only if its back-test error is this much smaller."""
EFFECTIVE_CUTS = 3.0
"""Cuts share runs, below and above: they count as at most this many independent observations."""
NEGLIGIBLE = 1e-3
"""Smaller weights are set to zero."""


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


def score(test: Backtest, law: str, objective: str, *, below: int | None = None) -> float:
    """Root-mean-square over cuts of a law's mean absolute log error; infinite if unknown.

    Parameters
    ----------
    below
        Use only runs below this cut, scored from the cuts before it.
    """
    if below is None:
        return test.score(law, objective)
    ceiling = test.cuts[below].scale
    errors, weights = [], []
    for j in range(below):
        rows = (test.scale >= test.cuts[j].scale) & (test.scale < ceiling)
        if not rows.any():
            continue
        predicted = test.predictions[law, objective][j, rows]
        errors.append(float(np.mean(np.abs(np.log(predicted) - np.log(test.loss[rows])))))
        floor = test.scale[test.scale < test.cuts[j].scale].max()
        weights.append(max(float(np.log(test.scale[rows].max() / floor)), 0.05))
    if not errors or not np.isfinite(errors).all():
        return float("inf")
    return float(np.sqrt(np.average(np.square(errors), weights=weights)))


def choose_objective(
    test: Backtest, laws: Sequence[str], objectives: Sequence[str], *, below: int | None = None
) -> str:
    """Objective whose best law errs least; the first one unless another is clearly better."""
    best = {o: min(score(test, law, o, below=below) for law in laws) for o in objectives}
    rival = min(objectives, key=lambda o: best[o])
    return rival if best[rival] < SWITCH * best[objectives[0]] else objectives[0]


def law_weights(
    test: Backtest,
    laws: Sequence[str],
    objective: str,
    *,
    alive: Array,
    noise: float,
    below: int | None = None,
) -> Array:
    r"""Weights proportional to :math:`e^{-m}`, with e the scores and m at most `EFFECTIVE_CUTS`.

    It is the likelihood of m normal errors of unknown common variance. Errors far below the
    noise of one run cannot rank laws.
    """
    error = np.array([score(test, law, objective, below=below) for law in laws])
    if not np.isfinite(error[alive > 0]).any():
        return np.asarray(alive / alive.sum())
    error = np.sqrt(error**2 + (0.1 * noise) ** 2 + 1e-24)
    m = min(len(test.cuts) if below is None else below, EFFECTIVE_CUTS)
    logs = np.where(np.isfinite(error) & (alive > 0), -m * np.log(error), -np.inf)
    weights = np.exp(logs - logs.max())
    weights[weights < NEGLIGIBLE * weights.sum()] = 0.0
    return np.asarray(weights / weights.sum())


def roll(
    test: Backtest, laws: Sequence[str], objectives: Sequence[str], *, alive: Array, noise: float
) -> tuple[Step, ...]:
    """Run the whole procedure at each cut with what was known below it.

    The first cut has no history to choose from, and is used only when there are fewer than
    three cuts.

    Two things are taken from the fits to all runs: which laws failed altogether, and the size of
    the noise below which errors do not rank laws.
    """
    steps = []
    for i in range(1 if len(test.cuts) > 2 else 0, len(test.cuts)):
        goal = choose_objective(test, laws, objectives, below=i) if i else objectives[0]
        weights = law_weights(test, laws, goal, alive=alive, noise=noise, below=i)
        logs = sum(
            w * np.log(test.predictions[law, goal][i])
            for law, w in zip(laws, weights, strict=True)
            if w > 0
        )
        cut = test.cuts[i]
        above = test.scale >= cut.scale
        miss = np.asarray(logs)[above] - np.log(test.loss[above])
        if not np.isfinite(miss).all():
            continue
        ahead = np.log(test.scale[above] / test.scale[~above].max())
        steps.append(
            Step(
                cut=i,
                objective=goal,
                weights=weights,
                error=float(np.mean(np.abs(miss))),
                bias=float(np.mean(miss)),
                reach=cut.reach,
                typical=float(np.median(ahead)),
                predicted=np.exp(np.asarray(logs)),
            )
        )
    return tuple(steps)


def discrepancy(test: Backtest, steps: Sequence[Step], *, noise: float) -> float:
    """Error of the procedure per root of log reach, beyond what the noise of runs explains.

    The runs above a cut share one systematic error, estimated by their mean signed error; what
    the noise of that many runs explains is taken off.
    """
    if not steps:
        return 0.0
    rates = []
    for s in steps:
        cut = test.cuts[s.cut]
        excess = max(s.bias**2 - noise**2 * (1 / cut.n_test + 1 / cut.n_train), 0.0)
        rates.append(excess / max(s.typical, 0.2))
    return float(np.sqrt(np.mean(rates)))


def freedom(steps: Sequence[Step]) -> int:
    """Degrees of freedom of the Student distribution that the discrepancy is drawn from.

    A standard deviation that was estimated from a handful of misses is itself uncertain, and a
    normal distribution would forget that.
    """
    return max(3, len(steps))


def verdict(test: Backtest, laws: Sequence[str], weights: Array) -> str:
    """Say whether the runs tell the laws apart."""
    if not test.cuts:
        return "Too few scales to hold any out: the laws are weighted equally, untested."
    order = np.argsort(-weights, kind="stable")
    alike = [laws[int(i)] for i in order if weights[int(i)] > 0.1 * weights.max()]
    if len(alike) > 1:
        names = ", ".join(alike[:-1]) + " and " + alike[-1]
        return f"The runs cannot tell {names} apart by extrapolation: the interval spans them."
    return (
        f"{laws[int(order[0])]} extrapolated clearly best over {len(test.cuts)} cuts, which is no "
        "proof that it is right."
    )

"""Roll forward over scale: fit below a compute cut, score above it, for many laws at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.fit.cuts import fit_cuts
from isoloss.fit.objective import Objective
from isoloss.fit.prepare import prepare
from isoloss.laws import Law
from isoloss.laws.law import is_resource
from isoloss.runs import Runs

MAX_CUTS = 6
MOST_RUNS = 5_000
"""Of more runs, this many spread over scale are back-tested: scores are averages over runs."""
LEAST_REACH = 1.5
"""Cuts look at least this far ahead, where the runs allow it."""
EMPHASES = (0.0, 0.5, 1.0, 2.0)
"""Powers of scale that runs are weighted by, to see which extrapolates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One split of the runs by scale.

    Attributes
    ----------
    scale
        Runs below it were fitted, the rest scored.
    n_train, n_test
        How many.
    reach
        Largest scored scale over largest fitted scale.
    """

    scale: float
    n_train: int
    n_test: int
    reach: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How one law with one objective did at one cut: mean absolute and mean signed log error."""

    law: str
    objective: str
    cut: int
    error: float
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backtest:
    """Errors of forecasts of runs that the fit had not seen.

    Attributes
    ----------
    scale
        Scale of each run (compute where known), (n,).
    cuts, entries
        Splits, and scores by law, objective and cut.
    emphases
        Powers p of the weights :math:`s^p` on runs of scale s that were tried.
    predictions
        (law, objective) to predicted losses, (emphases, cuts, n); NaN where the law could not be
        fitted.
    spreads
        (law, objective) to the standard error of the mean log prediction above each cut that
        follows from the noise of the runs below it, (emphases, cuts).
    """

    scale: Array
    loss: Array
    cuts: tuple[Cut, ...]
    entries: tuple[Entry, ...]
    emphases: tuple[float, ...]
    predictions: dict[tuple[str, str], Array]
    spreads: dict[tuple[str, str], Array]
    _misses: dict[tuple[str, str], Array] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", freeze(self.scale))
        object.__setattr__(self, "loss", freeze(self.loss))

    def predicted(self, law: str, objective: str, emphasis: float = 0.0) -> Array:
        """Losses predicted from below each cut, (cuts, n).

        Between the emphases that were tried, logarithms are interpolated.
        """
        tried = np.log(self.predictions[law, objective])
        return np.asarray(np.exp(_between(self.emphases, tried, emphasis)))

    def misses(self, law: str, objective: str) -> Array:
        """Absolute log errors of `predictions`, (emphases, cuts, n); computed once."""
        key = law, objective
        if key not in self._misses:
            self._misses[key] = np.abs(np.log(self.predictions[key]) - np.log(self.loss))
        return self._misses[key]

    def spread(self, law: str, objective: str, emphasis: float = 0.0) -> Array:
        """Look up the standard errors that belong to `predicted`, (cuts,)."""
        return _between(self.emphases, self.spreads[law, objective], emphasis)

    def scores(self, law: str, objective: str, emphasis: float = 0.0) -> Array:
        """Mean absolute log error at each cut; infinite where the law could not be fitted."""
        if (law, objective) not in self.predictions:
            return np.full(len(self.cuts), np.inf)
        found = []
        for cut, losses in zip(self.cuts, self.predicted(law, objective, emphasis), strict=True):
            above = self.scale >= cut.scale
            error = np.mean(np.abs(np.log(losses[above]) - np.log(self.loss[above])))
            found.append(error if np.isfinite(error) else np.inf)
        return np.array(found)

    def score(self, law: str, objective: str, emphasis: float = 0.0) -> float:
        """Root mean square of `scores`, the longer reaches counting more."""
        s = self.scores(law, objective, emphasis)
        return float(np.sqrt(np.average(s**2, weights=self.cut_weights()))) if len(s) else np.inf

    def cut_weights(self) -> Array:
        """Weight of each cut: the logarithm of its reach."""
        return np.array([max(np.log(c.reach), 0.05) for c in self.cuts])

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "cuts": [
                {"C_cut": c.scale, "n_train": c.n_train, "n_test": c.n_test, "reach": c.reach}
                for c in self.cuts
            ],
            "entries": [
                {
                    "law": e.law,
                    "objective": e.objective,
                    "cut": e.cut,
                    "error": e.error,
                    "bias": e.bias,
                }
                for e in self.entries
            ],
        }


def run_scale(x: Runs | Mapping[str, Any], axes: Collection[str] | None = None) -> Array:
    """Scale of runs or of targets: what they are ordered by, and what reach is a ratio of.

    Compute where it is given or is 6 N D; for laws of one axis, that axis; else the product of
    the axes.

    Parameters
    ----------
    x
        Runs, or axis name to values.
    axes
        Axes of the laws in question; by default all columns but losses and settings.
    """
    if axes is None:
        columns = x.columns if isinstance(x, Runs) else x
        axes = [a for a in columns if a not in ("loss", "seed", "lr")]
    axes = [a for a in axes if is_resource(a)]
    if "C" in x and (len(axes) != 1 or "C" in axes):
        return np.asarray(x["C"], dtype=np.float64)
    if "N" in axes and "D" in axes:
        return 6.0 * np.asarray(x["N"], dtype=np.float64) * np.asarray(x["D"], dtype=np.float64)
    if not axes:
        return np.ones(len(x))
    return np.asarray(np.prod([np.asarray(x[a], dtype=np.float64) for a in axes], axis=0))


def thin(runs: Runs, most: int) -> Runs:
    """At most ``most`` runs, evenly spread over scale, the smallest and largest among them."""
    if len(runs) <= most:
        return runs
    order = np.argsort(run_scale(runs), kind="stable")
    return runs.select(np.sort(order[np.linspace(0, len(runs) - 1, most).astype(np.int64)]))


def choose_cuts(scale: Array, *, least: int, most: int = MAX_CUTS) -> list[float]:
    """Scales to cut at, evenly spread in the logarithm from where enough runs lie below.

    At least ``least`` runs stay below the lowest cut, and the highest cut leaves the largest
    runs alone. Runs of equal scale are never separated.
    """
    levels = np.unique(scale)
    # Compute that differs by rounding alone is equal.
    levels = levels[np.diff(levels, prepend=-np.inf) > 1e-9 * levels]
    below = np.searchsorted(np.sort(scale), levels)
    usable = levels[(below >= least) & (levels > levels[0])]
    # A cut just below the largest runs asks for no extrapolation and would flatter every law.
    ahead = np.array([scale.max() / levels[levels < v].max() for v in usable])
    if (ahead >= LEAST_REACH).any():
        usable = usable[ahead >= LEAST_REACH]
    if not len(usable):
        return []
    marks = np.linspace(np.log(usable[0]), np.log(usable[-1]), most)
    index = np.searchsorted(np.log(usable), marks - 1e-12)
    return [float(v) for v in usable[np.unique(np.minimum(index, len(usable) - 1))]]


def _between(emphases: tuple[float, ...], tried: Array, emphasis: float) -> Array:
    """Interpolate linearly along the first axis."""
    if len(emphases) == 1:
        return np.asarray(tried[0])
    right = int(np.clip(np.searchsorted(emphases, emphasis), 1, len(emphases) - 1))
    low, high = emphases[right - 1], emphases[right]
    share = float(np.clip((emphasis - low) / (high - low), 0.0, 1.0))
    # At a tried emphasis nothing of its neighbour may leak in.
    if share in (0.0, 1.0):
        return np.asarray(tried[right - 1 + int(share)])
    return np.asarray((1 - share) * tried[right - 1] + share * tried[right])


def backtest(
    runs: Runs,
    laws: Sequence[Law],
    objectives: Sequence[Objective],
    *,
    emphases: Sequence[float] = (0.0,),
    most: int = MAX_CUTS,
) -> Backtest:
    """Fit every law with every objective below each cut, and score the runs above.

    All cuts, starts and weights of one law and objective are one batch of the engine. Very many
    runs are thinned first.

    Parameters
    ----------
    emphases
        Powers of scale to weight the runs by; the first must be 0, equal weights.
    """
    runs = thin(runs, MOST_RUNS)
    scale = run_scale(runs, list(dict.fromkeys(a for law in laws for a in law.axes)))
    widest = max(len(law.names) for law in laws)
    least = max(min(widest + 4, len(runs) // 2), len(runs) // 4, 4)
    marks = choose_cuts(scale, least=least, most=most)
    cuts = [
        Cut(
            scale=m,
            n_train=int(np.sum(scale < m)),
            n_test=int(np.sum(scale >= m)),
            reach=float(scale.max() / scale[scale < m].max()),
        )
        for m in marks
    ]
    predictions: dict[tuple[str, str], Array] = {}
    spreads: dict[tuple[str, str], Array] = {}
    if cuts:
        # Weights are per run, in the order of `runs`; `prepare` sorts, so they are sorted along.
        train = np.array([scale < m for m in marks], dtype=np.float64)
        for law in laws:
            data = prepare(runs, law)
            found = fit_cuts(data, objectives, train[:, data.order], scale[data.order], emphases)
            for objective, fits in zip(objectives, found, strict=True):
                back = np.empty_like(fits.predicted)
                back[:, :, data.order] = fits.predicted
                predictions[law.name, objective.name] = back
                spreads[law.name, objective.name] = fits.spreads
    return Backtest(
        scale=scale,
        loss=runs["loss"],
        cuts=tuple(cuts),
        entries=_entries(scale, runs["loss"], cuts, predictions),
        emphases=tuple(float(p) for p in emphases),
        predictions=predictions,
        spreads=spreads,
    )


def _entries(
    scale: Array, loss: Array, cuts: Sequence[Cut], predictions: Mapping[tuple[str, str], Array]
) -> tuple[Entry, ...]:
    """Scores of the fits with equal weights."""
    entries = []
    for (law, objective), losses in predictions.items():
        for i, cut in enumerate(cuts):
            above = scale >= cut.scale
            errors = np.log(losses[0, i, above]) - np.log(loss[above])
            if np.isfinite(errors).all():
                entries.append(
                    Entry(
                        law=law,
                        objective=objective,
                        cut=i,
                        error=float(np.mean(np.abs(errors))),
                        bias=float(np.mean(errors)),
                    )
                )
    return tuple(entries)

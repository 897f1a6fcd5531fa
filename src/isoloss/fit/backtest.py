"""Roll forward over scale: fit below a compute cut, score above it, for many laws at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.fit.engine import minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective
from isoloss.fit.prepare import Prepared, prepare
from isoloss.fit.starts import find_starts
from isoloss.laws import Law
from isoloss.runs import Runs

MAX_CUTS = 6
MOST_RUNS = 5_000
"""Of more runs, this many spread over scale are back-tested: scores are averages over runs."""
LEAST_REACH = 1.5
"""Cuts look at least this far ahead, where the runs allow it."""


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
    predictions
        (law, objective) to predicted losses, (cuts, n).
    """

    scale: Array
    loss: Array
    cuts: tuple[Cut, ...]
    entries: tuple[Entry, ...]
    predictions: dict[tuple[str, str], Array]

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", freeze(self.scale))
        object.__setattr__(self, "loss", freeze(self.loss))

    def scores(self, law: str, objective: str) -> Array:
        """Mean absolute log error at each cut; infinite where the law could not be fitted."""
        found = {e.cut: e.error for e in self.entries if (e.law, e.objective) == (law, objective)}
        return np.array([found.get(i, np.inf) for i in range(len(self.cuts))])

    def score(self, law: str, objective: str) -> float:
        """Root mean square of `scores`, the longer reaches counting more."""
        s = self.scores(law, objective)
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


def backtest(
    runs: Runs, laws: Sequence[Law], objectives: Sequence[Objective], *, most: int = MAX_CUTS
) -> Backtest:
    """Fit every law with every objective below each cut, and score the runs above.

    All cuts and starts of one law and objective are one batch of the engine. Very many runs are
    thinned first.
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
    entries: list[Entry] = []
    predictions: dict[tuple[str, str], Array] = {}
    if cuts:
        # Weights are per run, in the order of `runs`; `prepare` sorts, so they are sorted along.
        train = np.array([scale < m for m in marks], dtype=np.float64)
        for law in laws:
            data = prepare(runs, law)
            for objective in objectives:
                predicted = _fit_cuts(data, objective, train[:, data.order])
                back = np.empty_like(predicted)
                back[:, data.order] = predicted
                predictions[law.name, objective.name] = back
                for i in range(len(cuts)):
                    above = train[i] == 0
                    errors = np.log(back[i, above]) - np.log(runs["loss"][above])
                    if np.isfinite(errors).all():
                        entries.append(
                            Entry(
                                law=law.name,
                                objective=objective.name,
                                cut=i,
                                error=float(np.mean(np.abs(errors))),
                                bias=float(np.mean(errors)),
                            )
                        )
    return Backtest(
        scale=scale,
        loss=runs["loss"],
        cuts=tuple(cuts),
        entries=tuple(entries),
        predictions=predictions,
    )


def _fit_cuts(data: Prepared, objective: Objective, train: Array) -> Array:
    """Predictions for all runs from the fit below each cut, (cuts, n)."""
    kernel = Kernel(data.law, data.x, data.loss, objective)
    starts, owners = [], []
    for i, weights in enumerate(train):
        found = find_starts(kernel, weights * data.weights, keep=4)
        starts.append(found)
        owners += [i] * len(found)
    owner = np.array(owners, dtype=np.int64)
    solved = minimise(
        kernel,
        np.concatenate(starts),
        weights=train[owner] * data.weights,
        max_iterations=80,
        tolerance=1e-9,
    )
    # A law without a finite start below a cut has no prediction above it.
    theta = np.full((len(train), kernel.p), np.nan)
    for i in np.unique(owner):
        mine = np.flatnonzero(owner == i)
        theta[i] = kernel.natural(solved.q[mine[int(np.argmin(solved.value[mine]))]])
    return data.law(theta, data.x)

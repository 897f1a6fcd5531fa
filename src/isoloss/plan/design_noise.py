"""Noise of a design: what repeats of a run average away, and what they do not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.runs import Runs
from isoloss.runs.notes import configuration_ids

_FREEDOM = 3
"""Repeats beyond the first of each configuration from which seeds have a noise of their own."""
_CHANCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignNoise:
    r"""Standard deviations in log loss.

    Attributes
    ----------
    one
        Of one run around the law.
    seeds
        Of repeats of a configuration around their mean; ``None`` where too few are repeated.
    freedom
        Repeats beyond the first of each configuration.
    beyond
        What the scatter around the law has beyond seeds: more seeds do not average it away. Zero
        where it may be chance.
    given
        Whether the caller named it.
    """

    one: float
    seeds: float | None
    freedom: int
    beyond: float = 0.0
    given: bool = False

    def of_mean(self, repeats: npt.ArrayLike) -> Array:
        """Noise of the mean of repeats of a configuration."""
        within = self.one**2 - self.beyond**2
        return np.asarray(np.sqrt(self.beyond**2 + within / np.asarray(repeats, np.float64)))

    @property
    def sentence(self) -> str:
        """Where it comes from, in words."""
        text = f"one run scatters by {100 * self.one:.2g} % of the loss"
        if self.given:
            return text + ", as given"
        text += " around the leading law"
        if self.seeds is None:
            return text + "; too few configurations are repeated to know how much of it is seeds"
        sure = 100 / math.sqrt(2 * self.freedom)
        text += f"; repeated seeds by {100 * self.seeds:.2g} % ({self.freedom} repeats"
        text += f", known to {sure:.0f} % of itself)"
        if self.beyond > self.seeds:
            text += ": most of the scatter is none of seeds, and repeating does not average it away"
        return text

    def to_dict(self) -> dict[str, float | int | bool | str | None]:
        """Plain types."""
        return {
            "one_run": self.one,
            "seeds": self.seeds,
            "beyond_seeds": self.beyond,
            "freedom": self.freedom,
            "given": self.given,
            "sentence": self.sentence,
        }


def beyond_seeds(one: float, left: int, seeds: float | None, freedom: int) -> float:
    """Scatter around the law beyond that of seeds, where an F test at 5 % sees any.

    Examples
    --------
    >>> beyond_seeds(0.003, 20, 0.002, 6), round(beyond_seeds(0.005, 20, 0.003, 30), 6)
    (0.0, 0.004)
    """
    if seeds is None or one <= seeds or left < 1:
        return 0.0
    from scipy.special import fdtrc

    chance = float(fdtrc(left, freedom, (one / seeds) ** 2))
    return math.sqrt(one**2 - seeds**2) if chance < _CHANCE else 0.0


def repeat_noise(groups: npt.NDArray[np.int64], logs: Array) -> tuple[float | None, int]:
    """Pooled standard deviation of log losses within configurations, and how many repeats."""
    counts = np.maximum(np.bincount(groups), 1)
    freedom = int(np.sum(counts - 1))
    if freedom < _FREEDOM:
        return None, freedom
    means = np.bincount(groups, logs) / counts
    spread = math.sqrt(float(np.sum((logs - means[groups]) ** 2)) / freedom)
    return (spread if spread > 0 else None), freedom


def design_groups(runs: Runs, axes: Iterable[str]) -> npt.NDArray[np.int64]:
    """Group id per run of runs that repeat a configuration.

    As `isoloss.runs.notes.configuration_ids`. Where that finds no repeat and there are seeds,
    columns of another value in every run count as measured, not set: energy meters and the like
    are told apart by no name. Seeds must differ within each group that this makes.
    """
    known = tuple(axes)
    ids = configuration_ids(runs.columns, known)
    count = len(runs)
    if "seed" not in runs or len(np.unique(ids)) < count:
        return ids
    kept = {a: v for a, v in runs.columns.items() if a in known or len(np.unique(v)) < count}
    wider = configuration_ids(kept, known)
    pairs = np.stack([wider.astype(np.float64), runs["seed"]], axis=1)
    return wider if len(np.unique(pairs, axis=0)) == count else ids

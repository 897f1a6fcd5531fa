"""Whether a task can be predicted at all: what is seen in the runs, and two steps back-tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import IsolossError
from isoloss.fit import fit
from isoloss.runs import Runs
from isoloss.study.downstream.links import LINKS, Benchmark, Link, fit_link

CUTS = (0.4, 0.55, 0.7, 0.85)
"""Shares of the runs, smallest first, that the others are forecast from."""
FEWEST = 6
_SIGMAS = 3.0
_SKILL, _BETTER = 0.5, 0.8
"""A forecast must miss by at most the first part of what 'no change' misses, or by noise alone and
the second part."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Runs that a forecast was made from, those it was made for, and their forecast losses."""

    kept: npt.NDArray[np.int64]
    hidden: npt.NDArray[np.int64]
    loss: Array
    reach: Array


def make_cuts(runs: Runs, scale: Array, law: str) -> list[Cut]:
    """Fit the law below each cut and forecast the losses above; the same for every task."""
    order, cuts = np.argsort(scale, kind="stable"), []
    for share in CUTS:
        count = round(share * len(order))
        if count < FEWEST or count >= len(order):
            continue
        top = scale[order[count - 1]]
        kept, hidden = np.flatnonzero(scale <= top), np.flatnonzero(scale > top)
        if not len(hidden):
            continue
        try:
            found = fit(runs.select(kept), law, draws=0)
        except IsolossError:
            continue
        loss = found.law(found.theta, {a: runs[a][hidden] for a in found.law.axes})
        cuts.append(Cut(kept, hidden, loss, scale[hidden] / top))
    return cuts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rolled:
    """Back-test of one link on one task.

    Attributes
    ----------
    error, no_change
        Root mean square miss in accuracy: of two steps, and of the accuracy of the best kept runs.
    noise
        What a perfect forecast would miss by.
    discrepancy
        Miss of the second step alone beyond noise, for a factor e in scale.
    points
        Forecasts counted.
    """

    kind: str
    error: float
    no_change: float
    noise: float
    discrepancy: float
    points: int

    @property
    def good(self) -> bool:
        """Whether it halves what no change misses, or beats it and misses by noise alone."""
        near = self.error <= min(1.5 * self.noise, _BETTER * self.no_change)
        return self.error <= _SKILL * self.no_change or near


def roll(task: Benchmark, runs: Runs, cuts: Sequence[Cut]) -> list[Rolled]:
    """Back-test every link."""
    loss, accuracy = runs["loss"], runs[task.column]
    found = []
    for kind in LINKS:
        misses: list[Array] = []
        stays: list[Array] = []
        seconds: list[Array] = []
        noises: list[Array] = []
        for cut in cuts:
            try:
                link = fit_link(kind, task, loss[cut.kept], accuracy[cut.kept])
            except IsolossError:
                continue
            truth = accuracy[cut.hidden]
            noise = np.sqrt(task.sampling(truth) ** 2 + link.scatter**2)
            best = cut.kept[np.argsort(loss[cut.kept])[:3]]
            misses.append(link.accuracy(cut.loss) - truth)
            stays.append(accuracy[best].mean() - truth)
            extra = (link.accuracy(loss[cut.hidden]) - truth) ** 2 - noise**2
            seconds.append(extra / np.maximum(np.log(cut.reach), np.log(2.0)))
            noises.append(noise)
        if misses:
            found.append(
                Rolled(
                    kind=kind,
                    error=_rms(misses),
                    no_change=_rms(stays),
                    noise=_rms(noises),
                    discrepancy=float(np.sqrt(np.maximum(np.mean(np.concatenate(seconds)), 0.0))),
                    points=sum(len(m) for m in misses),
                )
            )
    return found


def _rms(parts: Sequence[Array]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))


def refusal(task: Benchmark, loss: Array, accuracy: Array, link: Link) -> str:
    """Say why no forecast is due, from the runs alone; empty where the accuracy rises."""
    order = np.argsort(loss)
    size = max(len(order) // 4, 2)
    low, high = order[:size], order[-size:]
    noise = np.sqrt(task.sampling(accuracy) ** 2 + link.scatter**2)
    gain = float(accuracy[low].mean() - accuracy[high].mean())
    se = float(np.sqrt(np.mean(noise[low] ** 2) / size + np.mean(noise[high] ** 2) / size))
    best, best_se = float(accuracy[low].mean()), float(np.sqrt(np.mean(noise[low] ** 2) / size))
    if gain < -_SIGMAS * se:
        return (
            f"accuracy falls as the loss falls: from {accuracy[high].mean():.3f} in the quarter of "
            f"highest loss to {best:.3f} in that of lowest"
        )
    if best < task.chance + 2 * best_se:
        return (
            f"flat at chance: {best:.3f} in the quarter of lowest loss, {task.chance:.3f} by "
            "guessing; larger runs are needed before anything can be said"
        )
    if gain < _SIGMAS * se:
        return (
            f"no rise to be seen: {gain:+.3f} between the quarters of highest and lowest loss, "
            f"with a noise of {se:.3f}"
        )
    return ""

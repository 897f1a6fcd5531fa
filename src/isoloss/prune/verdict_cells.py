"""Pilots of one setting together: means, their noise, and what seeds share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.prune.pilots import NONE, POLICIES, Pilots
from isoloss.prune.verdict_forms import Design

_SCALED_FREEDOM = 10
"""Repeated runs from which the noise is modelled as a power of scale."""
_STEEPEST = 0.5
_SURE = 2.0
"""Standard errors from which seeds are believed to share something."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Pilots of one setting together.

    Attributes
    ----------
    policy, keep, pool, D, log_mean, runs
        Policy, share, sizes, mean log outcome, number of runs, (cells,).
    noise, freedom
        Standard deviation of the log outcome of a run, pooled; repeats behind it.
    covariance
        Of the means, (cells, cells): noise may be a power of scale, and runs of equal seed and
        equal D may share a part of theirs.
    shared
        Correlation of runs of equal seed and D under different policies and shares; 0 where seeds
        say nothing of it.
    of_row
        Cell of each run.
    """

    policy: npt.NDArray[np.str_]
    keep: Array
    pool: Array
    D: Array
    log_mean: Array
    runs: Array
    noise: float
    freedom: int
    covariance: Array
    shared: float
    of_row: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """What the forms are fitted to, and their units."""

    cells: Cells
    designs: tuple[Design, ...]
    x0: float
    unit: float

    def reach(self, keep: Any, D: Any) -> Array:
        """How many times beyond the pilots a size lies, by examples kept or by pool; 1 within."""
        size, pool = np.asarray(D, dtype=np.float64), np.asarray(D / np.asarray(keep))
        up = np.maximum(size / self.cells.D.max(), pool / self.cells.pool.max())
        down = np.minimum(self.cells.D.min() / size, self.cells.pool.min() / pool)
        return np.asarray(np.maximum(np.maximum(up, down), 1.0))


def make_world(cells: Cells) -> World:
    """Set units by geometric means."""
    return World(
        cells=cells, designs=make_designs(cells), x0=math.exp(float(np.mean(np.log(cells.D)))),
        unit=math.exp(float(np.mean(cells.log_mean))),
    )  # fmt: skip


def make_cells(pilots: Pilots, outcome: str) -> tuple[Cells, Pilots]:
    """Group runs by setting; rows without the outcome are left out."""
    table = pilots.take(np.isfinite(pilots.values[outcome]))
    logs = np.log(table.values[outcome])
    keys = list(zip(table.policy, table.keep.tolist(), table.D.tolist(), strict=True))
    order = sorted(set(keys))
    number = {key: i for i, key in enumerate(order)}
    of_row = np.array([number[key] for key in keys])
    runs = np.bincount(of_row, minlength=len(order)).astype(np.float64)
    mean = np.bincount(of_row, logs) / runs
    pool = np.bincount(of_row, table.pool) / runs
    away = logs - mean[of_row]
    freedom = int(np.sum(runs - 1))
    noise = math.sqrt(float(np.sum(away**2)) / max(freedom, 1))
    D = np.array([k[2] for k in order])
    squares = np.asarray(np.bincount(of_row, away**2), dtype=np.float64)
    spread = _spread(D, runs, squares, freedom, noise)
    shared, together = _paired(table.seed, D, of_row, away / spread[of_row])
    covariance = shared * together * np.outer(spread, spread) / np.outer(runs, runs)
    np.fill_diagonal(covariance, spread**2 / runs)
    cells = Cells(
        policy=np.array([k[0] for k in order]), keep=freeze([k[1] for k in order]),
        pool=freeze(pool), D=freeze(D), log_mean=freeze(mean), runs=freeze(runs), noise=noise,
        freedom=freedom, covariance=freeze(covariance), shared=shared, of_row=of_row,
    )  # fmt: skip
    return cells, table


def _spread(D: Array, runs: Array, squares: Array, freedom: int, noise: float) -> Array:
    """Estimate the standard deviation of a run in each cell: a power of D where repeats allow."""
    again = runs > 1
    if freedom < _SCALED_FREEDOM or noise == 0 or np.ptp(D[again]) == 0:
        return np.full(len(D), max(noise, 1e-6))
    x = np.log(D) - np.average(np.log(D[again]), weights=runs[again] - 1)
    slope = 0.0
    # Newton's method for the likelihood of variances s^2 D^(2 slope), gamma distributed.
    for _ in range(20):
        size = squares[again] * np.exp(-2 * slope * x[again])
        size = size / (size.sum() / freedom)
        score = float(np.sum(x[again] * (size - (runs[again] - 1))))
        curve = 2 * float(np.sum(x[again] ** 2 * size) - np.sum(x[again] * size) ** 2 / freedom)
        slope = float(np.clip(slope + score / max(curve, 1e-12), -_STEEPEST, _STEEPEST))
    level = math.sqrt(float(np.sum(squares * np.exp(-2 * slope * x))) / freedom)
    return np.asarray(np.maximum(level * np.exp(slope * x), 1e-6))


def _paired(
    seeds: Sequence[str], D: Array, of_row: npt.NDArray[np.int64], away: Array
) -> tuple[float, Array]:
    """Estimate the correlation of runs with equal seed and D, and pairs of them by cells."""
    cells = len(D)
    none = np.zeros((cells, cells))
    names = {s: i for i, s in enumerate(dict.fromkeys(seeds))}
    if "" in names or len(names) < 2:
        return 0.0, none
    there, value = np.zeros((len(names), cells)), np.zeros((len(names), cells))
    for s, c, z in zip(seeds, of_row, away, strict=True):
        there[names[s], c] += 1
        value[names[s], c] += z
    if there.max() > 1:
        return 0.0, none
    alike = (D[:, None] == D) & ~np.eye(cells, dtype=bool)
    together = (there.T @ there) * alike
    pairs = float(together.sum()) / 2
    if pairs < 3:
        return 0.0, none
    # Deviations from means of n runs keep (n - 1)/n of a covariance, as they do of a variance.
    own = np.bincount(of_row, minlength=cells)
    kept = float(np.sum(together * (1 - 1 / np.maximum(np.minimum.outer(own, own), 1)))) / 2
    found = float(np.sum((value.T @ value) * alike)) / 2 / max(kept, 1e-12)
    # Without correlation products of pairs are uncorrelated, whichever pairs share a run.
    if not found > _SURE / math.sqrt(max(kept, 1e-12)):
        return 0.0, none
    return min(found, 0.95), together


def make_designs(cells: Cells) -> tuple[Design, ...]:
    """Say what can be told about each policy that was tried."""
    found = []
    for policy in POLICIES:
        mine = cells.policy == policy
        if not mine.any():
            continue
        keeps = np.unique(cells.keep[mine])
        sizes = [np.ptp(np.log(cells.D[mine & (cells.keep == k)])) for k in keeps]
        found.append(
            Design(policy=policy, curved=len(keeps) > 1, scaled=max(sizes) > math.log(1.5))
        )
    return tuple(found)


def by_policy(cells: Cells) -> dict[str, npt.NDArray[np.int64]]:
    """Rows of cells of each policy that is there."""
    return {p: at for p in (NONE, *POLICIES) if (at := np.flatnonzero(cells.policy == p)).size}

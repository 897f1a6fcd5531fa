"""How noisy one run is, and the weights that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError
from isoloss.fit.objective import Objective
from isoloss.fit.prepare import Prepared
from isoloss.runs import Runs

STEEPEST = 0.5
"""Noise changes with scale by no more than its power 0.5."""


def noise_column(noise: str) -> str | None:
    """Name of the column in ``"column:NAME"``; ``None`` for the other models of noise."""
    if noise in ("constant", "scale", "seeds"):
        return None
    kind, _, name = noise.partition(":")
    if kind != "column" or not name:
        raise InputError(
            f"noise = {noise!r}: write 'constant', 'scale', 'seeds' or 'column:NAME', the column "
            "of each run's standard error"
        )
    return name


def weighted(
    data: Prepared, noise: str, runs: Runs, goal: Objective, first: Callable[[], Array]
) -> Prepared:
    """Multiply the weights by what a model of the noise says: one over its variance.

    Parameters
    ----------
    noise
        As in `isoloss.fit`.
    first
        Gives the log residuals of a first fit, (n,); called by ``"scale"`` alone.
    """
    if noise == "constant":
        return data
    if noise == "scale":
        sigma = _spread_of_residuals(data, first())
    elif noise == "seeds":
        found = spread_of_seeds(data)
        if found is None:
            raise InputError(
                "noise = 'seeds': fewer than 3 runs repeat a configuration, so the noise of seeds "
                "is unknown; repeat some configurations, or write 'constant' or 'scale'"
            )
        sigma = found if goal.log else found * data.loss
    else:
        sigma = _given(data, noise_column(noise) or "", runs, goal)
    weights = data.weights / sigma**2
    return replace(data, weights=weights / weights.mean())


def _given(data: Prepared, name: str, runs: Runs, goal: Objective) -> Array:
    """Take standard errors from a column, in the unit of the loss."""
    if name not in runs:
        raise InputError(
            f"noise = 'column:{name}': no such column; the runs have {', '.join(runs.columns)}"
        )
    error = as_vector(name, runs[name], positive=True)[data.order]
    return error / data.loss if goal.log else error


def _log_scale(data: Prepared) -> Array:
    scale = np.sum([np.log(v) for v in data.x.values()], axis=0)
    return np.asarray(scale - np.mean(scale))


def _spread_of_residuals(data: Prepared, residuals: Array) -> Array:
    """Noise as a power of scale, from the residuals of a first fit.

    The regression is on the logarithm of absolute residuals, which outliers hardly move. Noise
    that grows with scale is not believed: there the law may be wrong.
    """
    r, centred = np.abs(residuals), _log_scale(data)
    size = np.log(r + 0.1 * np.median(r) + 1e-300)
    slope = float(np.clip(centred @ size / max(centred @ centred, 1e-300), -STEEPEST, 0.0))
    return np.asarray(np.exp(slope * centred))


def spread_of_seeds(data: Prepared) -> Array | None:
    """Estimate the standard deviation of one run's log loss from repeated seeds, (n,).

    A power of scale where at least three configurations are repeated, a constant below that, and
    ``None`` when fewer than three runs repeat another one.
    """
    used = data.weights > 0
    groups, logs = data.groups[used], np.log(data.loss[used])
    sizes = np.maximum(np.bincount(groups), 1)
    means = np.bincount(groups, logs) / sizes
    squares = np.bincount(groups, (logs - means[groups]) ** 2)
    repeated = sizes > 1
    freedom = sizes[repeated] - 1.0
    pooled = float(np.sum(squares) / max(np.sum(freedom), 1.0))
    if np.sum(freedom) < 3 or pooled == 0:
        return None
    everywhere = _log_scale(data)
    scale = (np.bincount(groups, everywhere[used]) / sizes)[repeated]
    slope = 0.0
    if len(scale) >= 3 and np.ptp(scale) > 0:
        from scipy.special import digamma

        # The mean logarithm of a variance from few runs lies below the logarithm of the truth.
        low = digamma(freedom / 2) - np.log(freedom / 2)
        size = 0.5 * (np.log(squares[repeated] / freedom + 0.01 * pooled) - low)
        centred = scale - np.average(scale, weights=freedom)
        total = np.sum(freedom * centred**2)
        slope = float(np.clip(np.sum(freedom * centred * size) / total, -STEEPEST, STEEPEST))
    level = np.sum(squares[repeated] * np.exp(-2 * slope * scale)) / np.sum(freedom)
    return np.asarray(np.sqrt(level) * np.exp(slope * everywhere))


def seed_noise(residuals: Array, groups: npt.NDArray[np.int64], p: int) -> float:
    """Estimate the standard deviation of one run around the law, in log loss.

    The spread of all residuals with a degrees-of-freedom correction, but no more than three
    times what the middle half of them suggests: a few outliers are reported, not spread over
    everything. Never below the spread of repeated seeds.
    """
    n = len(residuals)
    spread = float(np.sqrt(np.sum(residuals**2) / max(n - p, 1)))
    middle = 1.4826 * float(np.median(np.abs(residuals))) * (n / max(n - p, 1)) ** 0.5
    sizes = np.bincount(groups)
    means = np.bincount(groups, residuals) / np.maximum(sizes, 1)
    freedom = int(np.sum(np.maximum(sizes - 1, 0)))
    within = 0.0
    if freedom >= 3:
        within = float(np.sqrt(np.sum((residuals - means[groups]) ** 2) / freedom))
    return max(min(spread, 3 * middle) if middle > 0 else spread, within)

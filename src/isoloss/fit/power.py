"""Chance that a run tells two predictions apart, and how many seeds would."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from isoloss.fit.telling import GOAL, MOST_SEEDS


def power(discrimination: float, level: float = 0.05) -> float:
    r"""Chance that a two-sided normal test rejects, :math:`\Phi(\sqrt T - z) + \Phi(-\sqrt T - z)`.

    Examples
    --------
    >>> round(power(0.0), 6), round(power(7.849), 3)
    (0.05, 0.8)
    """
    normal = NormalDist()
    z, t = normal.inv_cdf(1 - level / 2), discrimination**0.5
    return normal.cdf(t - z) + normal.cdf(-t - z)


def seeds_needed(gap: float, variance: float, noise: float, level: float = 0.05) -> int | None:
    """Count the runs of one configuration that tell two laws apart with a chance of `GOAL`.

    Parameters
    ----------
    gap
        Squared difference of the predicted log losses.
    variance
        What seeds do not reduce: the variance of the predictions.
    noise
        Standard deviation of one run.

    Returns
    -------
    int or None
        ``None`` when more than `MOST_SEEDS` are needed, or no number will do.

    Examples
    --------
    >>> seeds_needed(0.01**2, 0.0, 0.01), seeds_needed(0.01**2, 0.01**2, 0.001)
    (8, None)
    """
    normal = NormalDist()
    needed = (normal.inv_cdf(1 - level / 2) + normal.inv_cdf(GOAL)) ** 2
    # The other tail adds less than 1e-5 to a power of 0.8.
    left = gap / needed - variance
    if not left > 0:
        return None
    count = int(np.ceil(max(noise**2 / left * (1 - 1e-12), 1.0)))
    return count if count <= MOST_SEEDS else None

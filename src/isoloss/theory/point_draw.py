"""Marginal contributions drawn: a case where they are known, and the noise model itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_seed, as_vector
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_counts, as_numbers, broadcast

Rows = tuple[npt.NDArray[np.int64], Array, Array]
_ROWS = 1 << 18


def mean_contribution(distance: Any, k: Any, *, sigma: float = 1.0) -> Array:
    r"""Exact contribution of a point to the mean of k others, :math:`-(\hat m - \mu)^2` as utility.

    .. math:: \psi_k = \frac{\sigma^2 (2 + 1/k) - d^2}{(k + 1)^2}

    For a point at distance d from the mean this is ``c k^-2`` for large k, with ``c = 2 sigma^2 -
    d^2``: points closer than ``sqrt 2`` standard deviations help, others harm.

    Parameters
    ----------
    distance
        Of the point from the true mean, any shape.
    k
        Size of the set it is added to, above zero; broadcasts with the distance.
    sigma
        Standard deviation of the data.

    Raises
    ------
    InputError
        If a value breaks these rules.

    Examples
    --------
    >>> mean_contribution([0.0, 2.0], 1.0).tolist()
    [0.75, -0.25]
    """
    far, size = broadcast(distance=as_numbers("distance", distance), k=as_counts("k", k))
    spread = as_above_zero("sigma", sigma)
    return np.asarray((spread**2 * (2 + 1 / size) - far**2) / (size + 1) ** 2)


def draw_mean_contributions(
    distance: Any, k: Any, *, repeats: int = 1, sigma: float = 1.0,
    rng: int | np.random.Generator = 0,
) -> Iterator[Rows]:  # fmt: skip
    """Draw samples of `mean_contribution`: each from a set of its own, points in order.

    Parameters
    ----------
    distance
        Of each point, (points,); ids are positions.
    k
        Sizes, (sizes,), the same for every point.
    repeats
        Sets drawn for each point and size.
    sigma
        Standard deviation of the data.
    rng
        Seed or generator.

    Yields
    ------
    tuple
        Ids, sizes and contributions, as `stream_contributions` takes them.

    Raises
    ------
    InputError
        If a value breaks these rules.

    Examples
    --------
    >>> point, k, delta = next(draw_mean_contributions([0.0, 3.0], [10, 20], repeats=2))
    >>> point.tolist(), k.astype(int).tolist()
    ([0, 0, 0, 0, 1, 1, 1, 1], [10, 10, 20, 20, 10, 10, 20, 20])
    """
    far = as_vector("distance", distance)
    sizes, spread = as_vector("k", k, positive=True), as_above_zero("sigma", sigma)
    if not (isinstance(repeats, int | np.integer) and repeats >= 1):
        raise InputError(f"repeats = {repeats!r}: must be a whole number, 1 or more")
    source = _generator(rng)
    each = np.repeat(sizes, repeats)
    step = max(1, _ROWS // each.size)
    for start in range(0, far.size, step):
        d = np.repeat(far[start : start + step], each.size)
        size = np.tile(each, d.size // each.size)
        mean = spread * source.standard_normal(d.size) / np.sqrt(size)
        delta = mean**2 - ((size * mean + d) / (size + 1)) ** 2
        yield np.repeat(np.arange(start, start + d.size // each.size), each.size), size, delta


def draw_contributions(
    k: Any, *, c: Any, alpha: Any, sigma: Any, beta: Any, rng: int | np.random.Generator = 0
) -> Array:
    """Draw from the noise model: normal around ``c k^-alpha`` with variance ``sigma^2 k^-beta``.

    Parameters
    ----------
    k, c, alpha, sigma, beta
        Sizes above zero and the law of each sample; they broadcast.
    rng
        Seed or generator.

    Raises
    ------
    InputError
        If a value breaks these rules.

    Examples
    --------
    >>> draw_contributions([100, 1000], c=2, alpha=1, sigma=0, beta=1).tolist()
    [0.02, 0.002]
    """
    size, amplitude, fall, noise, calm = broadcast(
        k=as_counts("k", k), c=as_numbers("c", c), alpha=as_numbers("alpha", alpha),
        sigma=as_numbers("sigma", sigma), beta=as_numbers("beta", beta),
    )  # fmt: skip
    chance = _generator(rng).standard_normal(size.shape)
    return np.asarray(amplitude * size**-fall + noise * size ** (-calm / 2) * chance)


def _generator(rng: int | np.random.Generator) -> np.random.Generator:
    return rng if isinstance(rng, np.random.Generator) else np.random.default_rng(as_seed(rng))

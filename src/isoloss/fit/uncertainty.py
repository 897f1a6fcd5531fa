"""Resampling: how much the answer would move with other runs of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_seed
from isoloss._core.journal import Journal
from isoloss.errors import InputError

BLOCK = 250
"""Draws a block; each block has its own random stream, so a resumed run equals a whole one."""


def resample_weights(
    groups: npt.NDArray[np.int64], draws: int, *, rng: np.random.Generator
) -> Array:
    """Multiplicities of a bootstrap over groups of runs, (draws, n).

    Groups are drawn with replacement and all runs of a group move together. With every run its
    own group it is the case bootstrap; with a group per configuration, the cluster bootstrap,
    which is right when repeated seeds share what is wrong about their configuration.
    """
    _, index = np.unique(groups, return_inverse=True)
    k = int(index.max()) + 1
    counts = rng.multinomial(k, np.full(k, 1 / k), size=draws)
    return np.asarray(counts[:, index], dtype=np.float64)


def bootstrap(
    statistic: Callable[[npt.NDArray[np.int64]], npt.ArrayLike],
    n: int,
    *,
    draws: int = 1000,
    groups: npt.ArrayLike | None = None,
    rng: int = 0,
    journal: Path | None = None,
    key: Any = None,
) -> Array:
    """Resample any fit: ``statistic`` takes row indices and returns numbers.

    Parameters
    ----------
    statistic
        Called with indices, shape (n,) with repeats (about n with groups); any estimator that
        returns an array of fixed shape.
    n
        Number of runs.
    groups
        Group of each run, (n,); each run its own group by default (the case bootstrap).
    journal
        Folder for finished blocks: a second call with the same arguments continues there.
    key
        What the statistic depends on, for example the digest of the runs and the name of the
        estimator; required with a journal, which cannot see into a function.

    Returns
    -------
    ndarray of shape (draws, ...)

    Notes
    -----
    Wrong for few groups (below about 10 the spread is too small), for order statistics, and
    for the uncertainty about the *law*, which no resampling sees.

    Examples
    --------
    >>> x = np.arange(20.0)
    >>> means = bootstrap(lambda rows: x[rows].mean(), 20, draws=500, rng=1)
    >>> bool(abs(means.std() - x.std() / 20**0.5) < 0.2)
    True
    """
    labels = np.arange(n) if groups is None else np.asarray(groups, dtype=np.int64)
    if labels.shape != (n,):
        raise InputError(f"groups: expected shape ({n},), got {labels.shape}")
    if journal is not None and key is None:
        raise InputError("journal: give key=... too, a name for the statistic and its data")

    def block(generator: np.random.Generator, size: int) -> Array:
        weights = resample_weights(labels, size, rng=generator).astype(np.int64)
        rows = [np.repeat(np.arange(n), w) for w in weights]
        return np.array([statistic(r) for r in rows], dtype=np.float64)

    return in_blocks(block, draws, seed=rng, journal=journal, key=[key, labels])


def in_blocks(
    block: Callable[[np.random.Generator, int], Array],
    draws: int,
    *,
    seed: int,
    journal: Path | None = None,
    key: Any = None,
) -> Array:
    """Run ``block`` until there are enough draws, keeping finished blocks in a journal."""
    as_seed(seed)
    if draws < 1:
        raise InputError(f"draws = {draws}: at least 1 is needed")
    store = Journal(journal, [key, seed, draws]) if journal is not None else None
    parts = []
    for i, start in enumerate(range(0, draws, BLOCK)):
        size = min(BLOCK, draws - start)
        part = store.read(f"block-{i:05d}") if store else None
        if part is None or len(part) != size:
            part = block(np.random.default_rng([seed, i]), size)
            if store:
                store.write(f"block-{i:05d}", part)
        parts.append(part)
    return np.concatenate(parts)

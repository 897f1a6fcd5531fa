"""Resampling: how much any answer would move with other runs of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_seed, as_vector
from isoloss._core.journal import Journal
from isoloss.errors import InputError

BLOCK = 250
"""Draws a block; each block has its own random stream, so a resumed run equals a whole one."""
FEW_SIGNS = 12
"""With fewer clusters than this, two signs a cluster make too few distinct samples."""


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


def wild_factors(groups: npt.NDArray[np.int64], draws: int, *, rng: np.random.Generator) -> Array:
    r"""Random factors of mean zero and variance one, the same for all runs of a group, (draws, n).

    Signs (Rademacher), or for fewer than 12 groups Webb's six points
    :math:`\pm\sqrt{1/2}, \pm 1, \pm\sqrt{3/2}`: two signs would give only :math:`2^k` samples.

    References
    ----------
    Liu 1988, Ann. Stat. 16:1696; Webb 2023, Can. J. Econ. 56:839, eq. 7.
    """
    _, index = np.unique(groups, return_inverse=True)
    k = int(index.max()) + 1
    if k < FEW_SIGNS:
        half = np.sqrt([0.5, 1.0, 1.5])
        points = np.concatenate([-half, half])
    else:
        points = np.array([-1.0, 1.0])
    return np.asarray(points[rng.integers(len(points), size=(draws, k))][:, index])


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
    labels = group_labels(groups, n)
    _keyed(journal, key)

    def block(generator: np.random.Generator, rows: range) -> Array:
        weights = resample_weights(labels, len(rows), rng=generator).astype(np.int64)
        chosen = [np.repeat(np.arange(n), w) for w in weights]
        return np.array([statistic(r) for r in chosen], dtype=np.float64)

    return in_blocks(block, draws, seed=rng, journal=journal, key=[key, labels])


def bootstrap_responses(
    statistic: Callable[[Array], npt.ArrayLike],
    fitted: npt.ArrayLike,
    measured: npt.ArrayLike,
    *,
    kind: str = "wild",
    leverage: npt.ArrayLike | None = None,
    draws: int = 1000,
    groups: npt.ArrayLike | None = None,
    rng: int = 0,
    journal: Path | None = None,
    key: Any = None,
) -> Array:
    r"""Resample any fit that takes responses: the design stays, the measurements are perturbed.

    Parameters
    ----------
    statistic
        Called with perturbed measurements, (n,), in the space of ``measured``; returns an array
        of fixed shape.
    fitted, measured
        Predictions of the fit and what was measured, (n,). Give logarithms where errors are
        relative.
    kind
        ``"wild"``: the residuals of each group times one random factor (see `wild_factors`);
        ``"residual"``: centred residuals drawn with replacement.
    leverage
        Diagonal of the hat matrix, (n,), below one; residuals are divided by
        :math:`\sqrt{1 - h_i}` because a fit is closer to its own runs than the truth is.
    groups
        Group of each run, (n,); wild only.
    draws, rng, journal, key
        As in `bootstrap`.

    Returns
    -------
    ndarray of shape (draws, ...)

    Examples
    --------
    >>> y = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 6.0])
    >>> out = bootstrap_responses(np.mean, np.full(6, y.mean()), y, kind="residual", draws=800)
    >>> bool(abs(out.std() - y.std() / 6**0.5) < 0.1)
    True
    """
    base, y = as_vector("fitted", fitted), as_vector("measured", measured)
    if base.shape != y.shape:
        raise InputError(f"fitted: {len(base)} values for {len(y)} measurements; give one each")
    if kind not in ("wild", "residual"):
        raise InputError(f"kind = {kind!r}: write 'wild' or 'residual'; for rows use bootstrap")
    if groups is not None and kind == "residual":
        raise InputError("groups: residuals are drawn one by one; use kind='wild' for groups")
    labels = group_labels(groups, len(y))
    _keyed(journal, key)
    error = y - base
    if leverage is not None:
        h = as_vector("leverage", leverage)
        if h.shape != y.shape or (h < 0).any() or (h >= 1).any():
            raise InputError(f"leverage: {len(y)} numbers from 0 to below 1 are needed")
        error = error / np.sqrt(1 - h)

    def block(generator: np.random.Generator, rows: range) -> Array:
        if kind == "wild":
            noise = error * wild_factors(labels, len(rows), rng=generator)
        else:
            noise = (error - error.mean())[generator.integers(len(y), size=(len(rows), len(y)))]
        return np.array([statistic(base + e) for e in noise], dtype=np.float64)

    return in_blocks(block, draws, seed=rng, journal=journal, key=[key, kind, labels, base, error])


def in_blocks(
    block: Callable[[np.random.Generator, range], Array],
    draws: int,
    *,
    seed: int,
    journal: Path | None = None,
    key: Any = None,
) -> Array:
    """Run ``block`` over ranges of draws, keeping finished ranges in a journal."""
    as_seed(seed)
    if draws < 1:
        raise InputError(f"draws = {draws}: at least 1 is needed")
    store = Journal(journal, [key, seed, draws]) if journal is not None else None
    parts = []
    for i, start in enumerate(range(0, draws, BLOCK)):
        rows = range(start, min(start + BLOCK, draws))
        part = store.read(f"block-{i:05d}") if store else None
        if part is None or len(part) != len(rows):
            part = block(np.random.default_rng([seed, i]), rows)
            if store:
                store.write(f"block-{i:05d}", part)
        parts.append(part)
    return np.concatenate(parts)


def group_labels(groups: npt.ArrayLike | None, n: int) -> npt.NDArray[np.int64]:
    """Check the group of each run; each its own where none is given."""
    labels = np.arange(n) if groups is None else np.asarray(groups, dtype=np.int64)
    if labels.shape != (n,):
        raise InputError(f"groups: expected shape ({n},), got {labels.shape}")
    return labels


def _keyed(journal: Path | None, key: Any) -> None:
    if journal is not None and key is None:
        raise InputError("journal: give key=... too, a name for the statistic and its data")

"""Where a regime holds: slopes of neighbours, models that fit their examples, labels of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector, freeze
from isoloss.errors import InputError
from isoloss.sweep.seed_table import seed_table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalSlopes:
    """Slopes ``-d log(L - floor) / d log x`` between neighbouring x.

    Attributes
    ----------
    x
        Geometric means of neighbours, (m,).
    slope, error
        Slope, and its standard error from the spread over seeds, (m,); the error is NaN below two
        seeds that both neighbours share.
    seeds
        Seeds that both neighbours share, (m,).
    """

    x: Array
    slope: Array
    error: Array
    seeds: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("x", "slope", "error"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of the slopes."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    def __repr__(self) -> str:
        return f"LocalSlopes({', '.join(f'{s:.2f}' for s in self.slope)})"


def local_slopes(
    x: npt.ArrayLike, loss: npt.ArrayLike, *, seed: npt.ArrayLike, floor: float = 0.0
) -> LocalSlopes:
    """Take slopes between neighbouring x within each seed, and average over seeds.

    Raises
    ------
    InputError
        If a loss is not above the floor, or fewer than two x are given.

    Examples
    --------
    >>> local_slopes([1, 2, 4], [1.0, 0.5, 0.25], seed=[0, 0, 0])
    LocalSlopes(1.00, 1.00)
    """
    table = seed_table(x, loss, seed, 0.0, np.inf)
    if len(table.at) < 2:
        raise InputError("x: one value; slopes need two")
    if not (np.isfinite(floor) and (table.loss > floor).all()):
        raise InputError(f"floor = {floor}: must be a number below every loss")
    logs = np.full((table.seeds, len(table.at)), np.nan)
    for s in range(table.seeds):
        at, mean = table.means(only=s)
        logs[s, np.searchsorted(table.at, at)] = np.log(mean - floor)
    steps = np.diff(np.log(table.at))
    found = -np.diff(logs, axis=1) / steps
    shared = np.isfinite(found).sum(0)
    error, slope = np.full(len(steps), np.nan), np.full(len(steps), np.nan)
    for j, n in enumerate(shared):
        values = found[np.isfinite(found[:, j]), j]
        if n:
            slope[j] = values.mean()
        if n > 1:
            error[j] = values.std(ddof=1) / np.sqrt(n)
    middle = np.exp((np.log(table.at[1:]) + np.log(table.at[:-1])) / 2)
    return LocalSlopes(x=middle, slope=slope, error=error, seeds=shared)


def interpolated_up_to(
    x: npt.ArrayLike, loss: npt.ArrayLike, train_loss: npt.ArrayLike, *, share: float = 0.1
) -> float:
    """Give the largest x up to which models fit their training examples; 0 if none does.

    Beyond it the optimiser or the model's size, not the resolution of the data, sets the loss. Use
    it as ``high`` of `decay_exponent` where the data's exponent is asked for.

    Parameters
    ----------
    x, loss, train_loss
        Examples, test loss and training loss of each run, (n,).
    share
        A model counts as fitting where its mean training loss is at most this share of its mean
        test loss, at this x and all smaller ones.

    Examples
    --------
    >>> interpolated_up_to([10, 20, 40], [1.0, 0.5, 0.3], [0.0, 0.01, 0.2])
    20.0
    """
    at, test = as_vector("x", x, positive=True), as_vector("loss", loss, positive=True)
    train = as_vector("train_loss", train_loss)
    if not len(at) == len(test) == len(train):
        raise InputError(
            f"x, loss, train_loss: {len(at)}, {len(test)} and {len(train)}; give one each a run"
        )
    if not 0 < share < 1:
        raise InputError(f"share = {share}: must lie between 0 and 1")
    found, which = np.unique(at, return_inverse=True)
    fits = np.bincount(which, train) <= share * np.bincount(which, test)
    count = len(found) if fits.all() else int(np.argmin(fits))
    return float(found[count - 1]) if count else 0.0


def regime_labels(
    N: npt.ArrayLike,
    D: npt.ArrayLike,
    loss: npt.ArrayLike,
    *,
    floor: float = 0.0,
    tolerance: float = 0.1,
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    r"""Name what limits each run of a measured grid, in data and in size.

    The losses of unlimited data, :math:`L(\infty, N)`, and of unlimited size are read at the
    largest D of the same N and at the largest N of the same D. No law is assumed; for the law's
    own limits use `isoloss.fit.measured_regimes`.

    Parameters
    ----------
    N, D, loss
        One entry a run, (n,); runs of equal N and D are averaged.
    floor
        Loss that neither resource removes; what lies above it is compared.
    tolerance
        A limit is reached where the loss lies within this share of it.

    Returns
    -------
    data, size
        ``variance``, ``resolution``, ``mixed`` or ``both`` as in `isoloss.theory.classify`, and
        ``edge`` for runs that are themselves a limit (of the largest D of their N or the largest
        N of their D), which say nothing about themselves, (n,).

    References
    ----------
    Bahri et al., arXiv:2102.06701, sec. 2.

    Examples
    --------
    >>> N, D = np.repeat([10, 1000], 3), np.tile([10, 1000, 100_000], 2)
    >>> data, _ = regime_labels(N, D, 1 / N + 1 / D)
    >>> [str(word) for word in data]
    ['mixed', 'variance', 'edge', 'edge', 'edge', 'edge']
    """
    # Fits of one resource need no solvable models.
    from isoloss.theory import classify

    n, d, y = as_vector("N", N), as_vector("D", D), as_vector("loss", loss)
    if not len(n) == len(d) == len(y):
        raise InputError(f"N, D, loss: {len(n)}, {len(d)} and {len(y)} values; give one each a run")
    if not len(n):
        raise InputError("loss: no runs")
    if not (np.isfinite(floor) and (y >= floor).all()):
        raise InputError(f"floor = {floor}: must be a number no larger than the least loss")
    cells, which = np.unique(np.stack([n, d]), axis=1, return_inverse=True)
    which = which.reshape(-1)
    mean = np.bincount(which, y) / np.bincount(which) - floor
    limits = []
    edge = np.zeros(len(mean), dtype=bool)
    for fixed, free in ((0, 1), (1, 0)):
        limit = np.empty(len(mean))
        for value in np.unique(cells[fixed]):
            line = np.flatnonzero(cells[fixed] == value)
            last = line[np.argmax(cells[free, line])]
            limit[line] = mean[last]
            edge[last] = True
        limits.append(limit)
    words = classify(mean, limits[0], limits[1], tolerance=tolerance)
    data, size = (np.where(edge, "edge", w)[which] for w in words)
    return data, size

"""Linear models on frozen features: measured losses over samples D and projected features P."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_seed, freeze
from isoloss.errors import InputError
from isoloss.spectra.features import as_features

_ROUNDING = 1e-13
"""Eigenvalues smaller than this share of the first are rounding."""
_LARGEST = 6000
"""Smaller side of a regression up to which it is solved."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrozenLosses:
    """Test losses of ridge regressions on the same features, draw by draw.

    Attributes
    ----------
    D, P, ridge
        Samples, random projections of the features (inf: the features themselves), ridge per
        sample, (k,).
    loss
        Squared error on the test rows, summed over outputs, (draws, k). The points of a draw share
        test rows, and samples and projections are nested: their differences are far better known
        than they are.
    train
        The same on the samples.
    test_rows
        Test rows of a draw.
    """

    D: Array
    P: Array
    ridge: Array
    loss: Array
    train: Array
    test_rows: int

    def __post_init__(self) -> None:
        for name in ("D", "P", "ridge", "loss", "train"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def mean(self) -> Array:
        """Mean over draws, (k,)."""
        return np.asarray(self.loss.mean(axis=0))

    @property
    def sem(self) -> Array:
        """Standard error of the mean over draws, (k,)."""
        return np.asarray(self.loss.std(axis=0, ddof=1) / math.sqrt(len(self.loss)))

    def __repr__(self) -> str:
        return f"FrozenLosses({self.loss.shape[1]} points, {len(self.loss)} draws)"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "D": self.D.tolist(), "P": self.P.tolist(), "ridge": self.ridge.tolist(),
            "loss": self.loss.tolist(), "train": self.train.tolist(), "test_rows": self.test_rows,
        }  # fmt: skip


def teacher_targets(
    features: Any, *, teachers: int = 32, rng: int | np.random.Generator = 0
) -> Array:
    """Targets that are linear in the features, with random coefficients.

    ``y = F w`` with w normal of variance ``1/(S teachers)`` for each of S features: the squared
    error summed over the columns is then the mean over teachers of one with variance 1/S.

    Parameters
    ----------
    features
        (n, S).
    teachers
        Columns.
    rng
        Of the coefficients.

    Returns
    -------
    array
        (n, teachers).

    References
    ----------
    Bahri et al., arXiv:2102.06701, teachers drawn from the features.

    Examples
    --------
    >>> teacher_targets(np.eye(40), teachers=2).shape
    (40, 2)
    """
    if isinstance(teachers, bool) or not isinstance(teachers, (int, np.integer)) or teachers < 1:
        raise InputError(f"teachers = {teachers!r}: must be a whole number of 1 or more")
    given = as_features(features)
    source = rng if isinstance(rng, np.random.Generator) else np.random.default_rng(as_seed(rng))
    w = source.standard_normal((given.p, int(teachers))) / math.sqrt(given.p * teachers)
    return np.asarray(given.take(np.arange(given.n)) @ w)


def frozen_losses(
    features: Any,
    targets: Any,
    D: Any,
    P: Any = math.inf,
    *,
    ridge: Any = 0.0,
    draws: int = 20,
    test: float = 0.25,
    rng: int = 0,
    on_step: Callable[[str], None] | None = None,
) -> FrozenLosses:
    """Measure the loss of ridge regression at pairs of D samples and P random features.

    Each draw sets test rows aside, puts the others in an order and draws a Gaussian projection of
    the features; a point takes the first D rows and the first P columns. Without a ridge the
    solution is that of least norm. Means are taken out: regression with an intercept.

    Parameters
    ----------
    features, targets
        As in `isoloss.spectra.measure_spectrum`.
    D, P
        Samples, 2 or more, and projections, inf for the features as they are; they broadcast.
    ridge
        Per sample, in units of the features squared; zero is the limit of a small one. Broadcasts.
    draws, test, rng
        Draws, 2 or more; share of rows set aside; seed.

    Raises
    ------
    InputError
        If a value breaks these rules, or a regression has more than 6,000 on its smaller side.

    References
    ----------
    Bahri et al., arXiv:2102.06701.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((400, 50)) * np.arange(1, 51.0) ** -0.75
    >>> found = frozen_losses(x, teacher_targets(x), [10, 20, 50, 100])
    >>> bool((np.diff(found.mean) < 0).all()), bool(found.mean[-1] < 1e-20)
    (True, True)
    """
    given = as_features(features, targets)
    if given.targets is None:
        raise InputError("targets: are needed to measure a loss")
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 2:
        raise InputError(f"draws = {draws!r}: must be a whole number, 2 or more")
    if not 0 < test < 1:
        raise InputError(f"test = {test!r}: must lie between 0 and 1, for example 0.25")
    seed = as_seed(rng)
    held = max(1, round(test * given.n))
    try:
        D, P, ridge = (
            np.atleast_1d(v).ravel()
            for v in np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (D, P, ridge)))
        )
    except (TypeError, ValueError) as error:
        raise InputError("D, P, ridge: expected numbers that broadcast") from error
    _check(D, P, ridge, given.n - held, given.p)
    rows = given.take(np.arange(given.n))
    loss, train = np.empty((2, int(draws), len(D)))
    for draw in range(int(draws)):
        order = np.random.default_rng([seed, draw, 0]).permutation(given.n)
        mix = _projection(given.p, P, np.random.default_rng([seed, draw, 1]))
        seen = rows
        if 4 * mix.shape[1] <= given.p and np.isfinite(P).all():
            # Few projections: everything happens among them.
            seen, mix = rows @ mix, np.eye(mix.shape[1])
        loss[draw], train[draw] = _one(
            seen, given.targets, order[held:], order[:held], mix, D, P, ridge
        )
        if on_step:
            on_step(f"draw {draw + 1} of {draws}")
    return FrozenLosses(D=D, P=P, ridge=ridge, loss=loss, train=train, test_rows=held)


def _check(D: Array, P: Array, ridge: Array, most: int, columns: int) -> None:
    if np.isnan(D).any() or (D % 1 != 0).any() or D.min() < 2 or D.max() > most:
        raise InputError(
            f"D = {D.tolist()}: whole numbers from 2 to {most}, the rows outside the test set"
        )
    finite = P[np.isfinite(P)]
    if np.isnan(P).any() or (P < 1).any() or (finite % 1 != 0).any():
        raise InputError(f"P = {P.tolist()}: whole numbers above zero, or inf")
    if not (np.isfinite(ridge).all() and (ridge >= 0).all()):
        raise InputError(f"ridge = {ridge.tolist()}: must be finite and zero or more")
    if (side := np.minimum(D, np.where(np.isinf(P), columns, P)).max()) > _LARGEST:
        raise InputError(
            f"D = {D.max():g}: a regression of {side:g} a side; up to {_LARGEST} are solved"
        )


def _projection(columns: int, P: Array, source: np.random.Generator) -> Array:
    """Columns of standard normal numbers, as many as the largest finite P."""
    widest = int(P[np.isfinite(P)].max(initial=0))
    # Drawn column by column, so that a wider projection begins with a narrower one.
    return source.standard_normal((widest, columns)).T


def _one(
    rows: Array, targets: Array, pool: Any, held: Any, mix: Array, D: Array, P: Array,
    ridge: Array,
) -> tuple[Array, Array]:  # fmt: skip
    """Losses of one draw on test rows and on samples, at all points."""
    loss, train = np.empty((2, len(D)))
    judged, truth = rows[held], targets[held]
    for d in np.unique(D):
        x, y = rows[pool[: int(d)]], targets[pool[: int(d)]]
        shift, level = x.mean(axis=0), y.mean(axis=0)
        x, y = x - shift, y - level
        at = np.flatnonzero(d == D)
        weights = _weights(x, y, mix, P[at], ridge[at] * (d - 1))
        for i, weight in zip(at, weights, strict=True):
            guess = (judged - shift) @ weight + level
            loss[i] = ((guess - truth) ** 2).sum(axis=1).mean()
            train[i] = ((x @ weight - y) ** 2).sum(axis=1).mean()
    return loss, train


def _weights(x: Array, y: Array, mix: Array, P: Array, ridge: Array) -> Sequence[Array]:
    """Weights of the features at each P, (features, outputs), from centred rows."""
    finite = P[np.isfinite(P)]
    widest = int(finite.max(initial=0))
    z = x @ mix[:, :widest]
    narrow = int(finite[finite < len(x)].max(initial=0))
    # One matrix of products serves all widths below D: that of a narrower one is its corner.
    gram, along = z[:, :narrow].T @ z[:, :narrow], z[:, :narrow].T @ y
    found = []
    for p, s in zip(P, ridge, strict=True):
        if math.isinf(p):
            found.append(_solved(x, y, s))
            continue
        n = int(p)
        # Projections are of variance 1/P: the ridge counts P times in units of the rows' sums.
        if n < len(x):
            weight = _filtered(gram[:n, :n], along[:n], s * n)
        else:
            weight = z[:, :n].T @ _filtered(z[:, :n] @ z[:, :n].T, y, s * n)
        found.append(mix[:, :n] @ weight)
    return found


def _solved(x: Array, y: Array, ridge: float) -> Array:
    if len(x) >= x.shape[1]:
        return _filtered(x.T @ x, x.T @ y, ridge)
    return np.asarray(x.T @ _filtered(x @ x.T, y, ridge))


def _filtered(products: Array, along: Array, ridge: float) -> Array:
    """``(products + ridge)^-1 along``, without the directions that are rounding."""
    lam, vectors = np.linalg.eigh(products)
    keep = lam > _ROUNDING * lam[-1]
    vectors = vectors[:, keep]
    return np.asarray(vectors @ ((vectors.T @ along) / (lam[keep] + ridge)[:, None]))

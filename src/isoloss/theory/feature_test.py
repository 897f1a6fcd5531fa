"""The test of features at hand: their loss against samples and against width, and the theory's."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_numbers, as_whole
from isoloss.theory.draw import OnStep, each
from isoloss.theory.guards import SMALL, one_mode
from isoloss.theory.ridge import PerSample, random_features
from isoloss.theory.simulate import Rng
from isoloss.theory.spectrum import Spectrum, from_modes

Subset = Literal["random", "pca"]
_HELD_OUT = 0.25
_RIDGES = np.geomspace(1e-7, 10.0, 25)
"""Ridges to tune over, as shares of the trace."""

_ARRAYS = ("sizes", "loss_D", "sem_D", "ridge_D", "theory_D", "loss_P", "sem_P", "ridge_P",
           "theory_P")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureCurves:
    """Held-out losses of ridge regression on given features, against samples and against width.

    Attributes
    ----------
    sizes
        Numbers of samples of the first curve and of features of the second, (k,).
    loss_D, sem_D
        Mean squared error with so many samples and every feature, averaged over draws, and its
        standard error, (k,). Draws share one table of data, whose own chance is not in it.
    loss_P, sem_P
        The same with so many features and every sample for training.
    ridge_D, ridge_P
        Ridges used, on the mean squared error (`PerSample`).
    theory_D, theory_P
        Exact high-dimensional losses for the measured spectrum.
    spectrum
        Eigenvalues of the features' covariance and the target on them, as measured.
    samples, features
        Samples for training, and features, where there are most.
    draws
        Number of draws.
    doubts
        What to know before comparing, in sentences.
    """

    sizes: Array
    loss_D: Array
    sem_D: Array
    ridge_D: Array
    theory_D: Array
    loss_P: Array
    sem_P: Array
    ridge_P: Array
    theory_P: Array
    spectrum: Spectrum
    samples: int
    features: int
    draws: int
    doubts: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return (
            f"FeatureCurves({self.sizes.size} sizes, {self.samples} samples, "
            f"{self.features} features, {self.draws} draws)"
        )

    @property
    def duality(self) -> Array:
        """Loss of few features over that of as few samples: one where the two are dual, (k,)."""
        return np.asarray(self.loss_P / self.loss_D)

    def to_columns(self) -> dict[str, Array]:
        """Columns of a table, one row a size."""
        return {name: getattr(self, name) for name in _ARRAYS} | {"duality": self.duality}

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {k: v.tolist() for k, v in self.to_columns().items()} | {
            "samples": self.samples, "features": self.features, "draws": self.draws,
            "doubts": list(self.doubts),
        }  # fmt: skip


def measured_spectrum(F: npt.ArrayLike, y: npt.ArrayLike) -> Spectrum:
    """Spectrum of given features, and the power of given labels on it.

    Features and labels are centred. The power of a mode is the squared projection of the labels,
    less what chance alone puts there; what no linear function of the features explains is ``v0``.

    Parameters
    ----------
    F
        Features, (rows, S), more rows than features.
    y
        Labels, (rows,) or (rows, outputs), whose powers are averaged.

    Raises
    ------
    InputError
        If shapes do not fit, a value is not finite, or there are too few rows.

    References
    ----------
    Bahri et al., arXiv:2102.06701, pretrained features.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> F = rng.standard_normal((4000, 2)) * [1.0, 0.4]
    >>> found = measured_spectrum(F, F @ [1.0, 1.0] + 0.1 * rng.standard_normal(4000))
    >>> found.lam.round(1).tolist(), found.v2.round(1).tolist(), round(found.v0, 2)
    ([1.0, 0.2], [1.0, 0.2], 0.01)
    """
    features, labels = _read(F, y)
    return _measure(features, labels)[0]


def feature_curves(
    F: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    *,
    sizes: Any = None,
    subset: Subset = "random",
    ridge: Any = "tuned",
    draws: int = 10,
    rng: Rng = 0,
    on_step: OnStep | None = None,
    executor: Executor | None = None,
) -> FeatureCurves:
    """Test whether features at hand scale as the theory of random features says.

    Two curves of held-out loss: against samples D with every feature, and against width P with
    every sample. Beside them stand the exact losses for the measured spectrum, ``N = inf, T = D``
    and ``N = P, T`` all samples. Where the target is spread over the modes as their eigenvalues
    are, as that of a teacher is, and without noise, samples and width are dual: the curves agree
    for sizes well below both limits.

    Parameters
    ----------
    F
        Features, (rows, S), more rows than features: embeddings of a trained network, or any.
    y
        Labels, (rows,) or (rows, outputs); by default those of a teacher, linear in the features
        with random coefficients of variance 1/S, another one in each draw.
    sizes
        Whole numbers, at most three quarters of the rows; by default some from 8 to 2 S.
    subset
        What P features are: ``"random"`` projections of all, or the leading principal components,
        ``"pca"``.
    ridge
        ``"tuned"``: at each size that of least mean loss; or a number on the mean squared error.
    draws, rng, on_step, executor
        As in `simulate_random_features`; each draw holds out another quarter of the rows and takes
        other samples and projections.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Bahri et al., arXiv:2102.06701: pretrained features, and the duality of data and width.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> F = rng.standard_normal((2000, 100)) * np.arange(1, 101.0) ** -0.75
    >>> found = feature_curves(F, sizes=[10, 20, 40], draws=20)
    >>> bool((abs(found.duality - 1) < 0.3).all())
    True
    """
    features, labels = _read(F, y)
    rows, S = features.shape
    held = max(1, round(_HELD_OUT * rows))
    most = rows - held
    at = _sizes(sizes, most, S)
    if subset not in get_args(Subset):
        raise InputError(f"subset = {subset!r}: write one of {', '.join(get_args(Subset))}")
    spectrum, axes = _measure(features, labels)
    if isinstance(ridge, str):
        if ridge != "tuned":
            raise InputError(f"ridge = {ridge!r}: write 'tuned' or a number")
        ridges = _RIDGES * spectrum.trace
    else:
        ridges = np.array([as_above_zero("ridge", ridge)])
    leading = features @ axes if subset == "pca" else None
    one = partial(_draw, features, labels, leading, at, ridges, held)
    losses = np.array(each(one, rng, draws, on_step, executor))
    best = losses.mean(axis=0).argmin(axis=-1)
    chosen = np.take_along_axis(losses, best[None, ..., None], axis=-1)[..., 0]
    mean, sem = chosen.mean(axis=0), chosen.std(axis=0, ddof=1) / np.sqrt(draws)
    told = "optimal" if isinstance(ridge, str) else PerSample(float(ridges[0]))
    return FeatureCurves(
        sizes=at.astype(np.float64), loss_D=mean[0], sem_D=sem[0], loss_P=mean[1], sem_P=sem[1],
        ridge_D=ridges[best[0]], ridge_P=ridges[best[1]],
        theory_D=random_features(spectrum, np.inf, at, ridge=told).test_total,
        theory_P=_theory_of_width(spectrum, at, most, told, subset),
        spectrum=spectrum, samples=most, features=S, draws=draws,
        doubts=_doubts(spectrum, rows, S, best, ridges, at),
    )  # fmt: skip


def _read(F: Any, y: Any) -> tuple[Array, Array | None]:
    features = as_numbers("F", F)
    if features.ndim != 2:
        raise InputError(f"F: expected rows and features, got shape {features.shape}")
    rows, S = features.shape
    if rows < S + 8:
        raise InputError(
            f"F: {rows} rows of {S} features; their spectrum needs at least {S + 8} rows; give "
            "more rows, or fewer features, as their leading principal components"
        )
    tables = {"F": features}
    if y is not None:
        labels = as_numbers("y", y)
        labels = labels[:, None] if labels.ndim == 1 else labels
        if labels.ndim != 2 or labels.shape[0] != rows:
            raise InputError(f"y: shape {np.shape(y)} for {rows} rows of features; one row each")
        tables["y"] = labels
    for name, table in tables.items():
        if not np.isfinite(table).all():
            i = np.argwhere(~np.isfinite(table))[0].tolist()
            raise InputError(f"{name}{i} = {table[tuple(i)]!r}: must be finite; drop that row")
        tables[name] = table - table.mean(axis=0)
        if not tables[name].any():
            raise InputError(f"{name}: is constant; there is nothing to learn")
    return tables["F"], tables.get("y")


def _sizes(sizes: Any, most: int, S: int) -> npt.NDArray[np.int64]:
    if sizes is None:
        end = min(2 * S, most)
        return np.unique(np.geomspace(min(8, end), end, 9).astype(np.int64))
    found = as_whole("sizes", sizes).ravel()
    if (found < 1).any() or (found > most).any():
        raise InputError(
            f"sizes: {found.min():.15g} to {found.max():.15g}; must be from 1 to {most}, the rows "
            "that are not held out"
        )
    return found.astype(np.int64)


def _measure(features: Array, labels: Array | None) -> tuple[Spectrum, Array]:
    """Spectrum, and the principal axes as columns, the leading one first."""
    rows, S = features.shape
    lam, axes = np.linalg.eigh(features.T @ features / rows)
    lam, axes = lam[::-1], axes[:, ::-1]
    keep = lam > 1e-12 * lam[0]
    lam, axes = lam[keep], axes[:, keep]
    if labels is None:
        return from_modes(lam, lam / S), axes
    along = (features @ axes / np.sqrt(rows * lam)).T @ labels / np.sqrt(rows)
    inside = along**2
    left = (labels**2).sum(axis=0) / rows - inside.sum(axis=0)
    # The mean and each mode take one row's worth of whatever cannot be explained.
    noise = np.maximum(left, 0.0) * rows / (rows - lam.size - 1)
    v2 = np.maximum(inside - noise / rows, 0.0).mean(axis=1)
    return from_modes(lam, v2, v0=float(noise.mean())), axes


def _theory_of_width(
    spectrum: Spectrum, at: npt.NDArray[np.int64], most: int, ridge: Any, subset: Subset
) -> Array:
    if subset == "random":
        return random_features(spectrum, at, most, ridge=ridge).test_total
    found = []
    for P in at:
        # What the components left out carry is noise to those that are in.
        lost = float(spectrum.v2[P:].sum())
        part = from_modes(spectrum.lam[:P], spectrum.v2[:P], v0=spectrum.v0 + lost)
        found.append(float(random_features(part, np.inf, most, ridge=ridge).test_total))
    return np.array(found)


def _draw(
    features: Array, labels: Array | None, leading: Array | None, at: npt.NDArray[np.int64],
    ridges: Array, held: int, rng: np.random.Generator,
) -> Array:  # fmt: skip
    """Held-out losses of both curves at each size and ridge, (2, sizes, ridges)."""
    rows, S = features.shape
    if labels is None:
        labels = features @ rng.standard_normal((S, 1)) / np.sqrt(S)
    order = rng.permutation(rows)
    out, pool = order[:held], order[held:]
    W = rng.standard_normal((S, int(at.max())))
    losses = np.empty((2, at.size, ridges.size))
    for i, size in enumerate(at):
        some = pool[:size]
        losses[0, i] = _losses(features[some], labels[some], features[out], labels[out], ridges)
        phi = features @ _projection(W[:, :size]) if leading is None else leading[:, :size]
        losses[1, i] = _losses(phi[pool], labels[pool], phi[out], labels[out], ridges)
    return losses


def _projection(W: Array) -> Array:
    """Projections scaled, or as few of them that have the same kernel."""
    S, P = W.shape
    return W / np.sqrt(P) if P <= S else np.linalg.cholesky(W @ W.T / P)


def _losses(A: Array, y: Array, B: Array, target: Array, ridges: Array) -> Array:
    """Mean squared error on held-out rows for each ridge on the mean squared error."""
    T, p = A.shape
    values, vectors = np.linalg.eigh((A.T @ A if p <= T else A @ A.T) / T)
    values = np.maximum(values, 0.0)
    if p <= T:
        left, right = B @ vectors, vectors.T @ (A.T @ y) / T
    else:
        left, right = B @ (A.T @ vectors), vectors.T @ y / T
    weight = right[:, :, None] / (values[:, None, None] + ridges)
    made = (left @ weight.reshape(values.size, -1)).reshape(*target.shape, ridges.size)
    return np.asarray(np.mean((made - target[:, :, None]) ** 2, axis=(0, 1)))


def _doubts(
    spectrum: Spectrum, rows: int, S: int, best: npt.NDArray[np.int64], ridges: Array,
    at: npt.NDArray[np.int64],
) -> tuple[str, ...]:  # fmt: skip
    found = []
    if rows < 5 * S:
        found.append(
            f"{rows} rows for {S} features: below five rows a feature the measured spectrum is "
            "wider than the true one"
        )
    if at.min() < SMALL:
        found.append(f"sizes below {SMALL}: a finite system may differ by several percent")
    if ridges.size > 1 and (best == ridges.size - 1).any():
        found.append("the tuned ridge is the largest tried somewhere: little is learned there")
    return (*found, *one_mode(spectrum.largest_share))

r"""Whether networks of many widths approach one limit as 1/width: bias, variance, losses.

In the maximal-update parametrisation the predictions of a network of width n are those of an
endless one plus a shift of order 1/n that all seeds share, plus a scatter of seeds whose variance
is of order 1/n, as long as training is young and the task is easy. Late in training the exponents
fall below one. Here both are measured from predictions, or from losses alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_vector, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_numbers
from isoloss.theory.width_slope import Moments, WidthExponent, leave_out

_NARROWEST, _WIDEST = 1e-3, 1e15
_LARGEST = 1e150
"""Of what is squared."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WidthConsistency:
    """Bias and variance of predictions against width, at each time.

    Attributes
    ----------
    widths
        In growing order, (w,).
    bias2
        Mean over points of the squared distance of the mean prediction from the reference, the
        scatter of seeds taken off without bias, so that it may be negative, (k, w).
    variance
        Mean over points of the variance over seeds, (k, w).
    bias
        Exponent of the root of ``bias2`` at each time. With the widest as reference it is one in
        ``1/n - 1/n_widest``, which is exact where the shift falls as 1/n.
    scatter
        Exponent of the variance at each time.
    reference
        ``widest``, ``extrapolated`` or ``given``.
    """

    widths: Array
    bias2: Array
    variance: Array
    bias: tuple[WidthExponent, ...]
    scatter: tuple[WidthExponent, ...]
    reference: str

    def __post_init__(self) -> None:
        for name in ("widths", "bias2", "variance"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return (
            f"WidthConsistency({self.widths.size} widths, {len(self.bias)} times: "
            f"bias {_counted(self.bias)}; variance {_counted(self.scatter)})"
        )

    @property
    def deviation(self) -> Array:
        """Mean squared distance of one network from the reference, bias and variance, (k, w)."""
        return np.asarray(self.bias2 + self.variance)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "widths": self.widths.tolist(),
            "reference": self.reference,
            "bias2": self.bias2.tolist(),
            "variance": self.variance.tolist(),
            "bias": [e.to_dict() for e in self.bias],
            "scatter": [e.to_dict() for e in self.scatter],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WidthLosses:
    """Losses above those of the widest networks, at each time.

    Attributes
    ----------
    widths
        All but the widest, in growing order, (w,).
    widest
        The width that is compared with.
    time
        Times in growing order, (k,); none where the losses have none.
    gap, sem
        Mean loss minus that of the widest, and its standard error, (k, w).
    exponents
        Of the gap in ``1/n - 1/n_widest``, at each time.
    """

    widths: Array
    widest: float
    time: Array | None
    gap: Array
    sem: Array
    exponents: tuple[WidthExponent, ...]

    def __post_init__(self) -> None:
        for name in ("widths", "time", "gap", "sem"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return (
            f"WidthLosses({self.widths.size} widths below {self.widest:g}: "
            f"{_counted(self.exponents)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "widths": self.widths.tolist(),
            "widest": self.widest,
            "time": None if self.time is None else self.time.tolist(),
            "gap": self.gap.tolist(),
            "sem": self.sem.tolist(),
            "exponents": [e.to_dict() for e in self.exponents],
        }

    def summary(self) -> str:
        """Table for people: a row a time."""
        heads = [f"gap at {w:g}" for w in self.widths]
        lines = ["  ".join([f"{'time':>10}", *(f"{h:>18}" for h in heads), "exponent of 1/width"])]
        for k, found in enumerate(self.exponents):
            at = "" if self.time is None else f"{self.time[k]:g}"
            pairs = zip(self.gap[k], self.sem[k], strict=True)
            cells = [f"{f'{g:.4g} +- {s:.2g}':>18}" for g, s in pairs]
            text = "" if found.interval is None else f"{found.exponent:.3f} in {found.interval}, "
            lines.append("  ".join([f"{at:>10}", *cells, text + found.verdict]))
        return "\n".join(lines)


Reference = npt.ArrayLike
"""``widest``, ``extrapolated``, or predictions of the limit."""


def width_consistency(
    predictions: Sequence[npt.ArrayLike] | npt.ArrayLike,
    widths: npt.ArrayLike,
    *,
    reference: Reference = "widest",
    level: float = 0.9,
) -> WidthConsistency:
    r"""Test whether predictions approach their limit as 1/width, in bias and in variance.

    With :math:`\bar f_n(x)` the mean over seeds at width n and :math:`f_*` the reference,

    .. math::

        \text{bias}^2_n = \langle(\bar f_n - f_*)^2\rangle_x - \text{scatter of seeds}, \qquad
        \text{variance}_n = \langle\mathrm{Var}_{seed} f_n\rangle_x,

    both without bias for any number of seeds. The variance and the root of the bias should have
    slope -1 against width in logarithms. An ensemble of narrow networks takes off the variance and
    keeps the bias.

    Parameters
    ----------
    predictions
        (width, seed, point) or (width, seed, time, point); or one array (seed, point) or
        (seed, time, point) a width, where the numbers of seeds differ. Three seeds or more.
    widths
        One positive number a width, none twice.
    reference
        ``"widest"``: the mean of the widest networks; its own scatter is taken off.
        ``"extrapolated"``: the intercept, at each point, of a line in 1/width through the means:
        it takes 1/width for granted, so that only a bend shows, and needs three widths.
        Or predictions of the limit, (point,) or (time, point).
    level
        Of the intervals.

    Returns
    -------
    WidthConsistency

    Raises
    ------
    InputError
        If shapes do not go together, a value is not finite, or widths or seeds are too few.

    References
    ----------
    Vyas, Atanasov, Bordelon, Morwani, Sainathan and Pehlevan, arXiv:2305.18411.

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> n = np.array([16, 32, 64, 128, 256])
    >>> scatter = rng.standard_normal((5, 20, 40)) / np.sqrt(n)[:, None, None]
    >>> found = width_consistency(1 + 8 / n[:, None, None] + scatter, n)
    >>> found.bias[0].verdict, found.scatter[0].verdict
    ('consistent', 'consistent')
    """
    level = as_level(level)
    n = _widths("widths", widths)
    groups = _groups(predictions, n)
    order = np.argsort(n)
    n, groups = n[order], [groups[i] for i in order]
    if (np.diff(n) == 0).any():
        raise InputError("widths: one appears twice; give all its seeds together")
    weights, fixed, name = _reference(reference, n, groups[0].shape[1:])
    # In units where nothing is large: squares of squares are taken.
    unit = _unit(*groups, np.asarray(fixed))
    groups, fixed = [g / unit for g in groups], np.asarray(fixed) / unit
    u, kept = 1 / n, slice(None)
    if name == "widest":
        # The shift against the widest is c (1/n - 1/n_widest) where the shift itself is c/n.
        u, kept = (1 / n - 1 / n[-1])[:-1], slice(0, -1)

    def both(groups: list[Moments]) -> Array:
        variance = np.stack([g.variance for g in groups], axis=-1)
        return np.stack([_bias2(groups, weights, fixed), variance])

    found = leave_out(both, groups)
    bias = 0.5 * found.map(lambda v: v[..., 0, :, kept]).power(u)
    scatter = found.map(lambda v: v[..., 1, :, :]).slope(1 / n)
    return WidthConsistency(
        widths=n,
        bias2=found.full[0] * unit**2,
        variance=found.full[1] * unit**2,
        bias=bias.exponents(level),
        scatter=scatter.exponents(level),
        reference=name,
    )


def width_losses(
    width: npt.ArrayLike, loss: npt.ArrayLike, *, time: npt.ArrayLike | None = None,
    level: float = 0.9,
) -> WidthLosses:  # fmt: skip
    """Test whether losses approach that of the widest networks as 1/width, at each time.

    Parameters
    ----------
    width, loss
        One row a run, or a run and time, (rows,): two seeds or more at each width.
    time
        When each loss was measured, in any unit; every width must be there at every time.
    level
        Of the intervals.

    Returns
    -------
    WidthLosses

    Raises
    ------
    InputError
        If a value is not finite, lengths differ, or widths or seeds are too few.

    References
    ----------
    arXiv:2305.18411.

    Notes
    -----
    The loss of an endless network is unknown: the gap to the widest is compared with
    ``1/n - 1/n_widest``, exact for an exponent of one. With one seed a width, or to extrapolate,
    fit ``power_floor`` of the width.

    Examples
    --------
    >>> width = np.repeat([32, 64, 128, 256], 3)
    >>> seeds = np.tile([0.0, 1e-3, -1e-3], 4)
    >>> width_losses(width, 2 + 6 / width + seeds).exponents[0].verdict
    'consistent'
    """
    level = as_level(level)
    w, values = _widths("width", width), as_vector("loss", loss)
    at = np.zeros(len(w)) if time is None else as_vector("time", time)
    if not len(w) == len(values) == len(at):
        raise InputError(
            f"width, loss, time: lengths {len(w)}, {len(values)}, {len(at)} differ; one each a row"
        )
    n, times, unit = np.unique(w), np.unique(at), _unit(values)
    if len(n) < 3:
        raise InputError(f"width: {len(n)} different widths; a slope beside the widest needs 3")
    u = 1 / n[:-1] - 1 / n[-1]

    def gaps(groups: list[Moments]) -> Array:
        means = np.array([g.mean[0, 0] for g in groups])
        return np.asarray(means[:-1] - means[-1])[None]

    gap, sem = [], []
    exponents: list[WidthExponent] = []
    for t in times:
        rows = [values[(w == v) & (at == t)] for v in n]
        for v, row in zip(n, rows, strict=True):
            if len(row) < 2:
                when = "" if time is None else f" at time {t:g}"
                raise InputError(
                    f"width {v:g}{when}: {len(row)} runs; 2 seeds or more are needed at each width"
                    ", or fit power_floor of the width"
                )
        found = leave_out(gaps, [row[:, None, None] / unit for row in rows])
        gap.append(found.full[0] * unit)
        sem.append(np.sqrt(found.spread()[0][0]) * unit)
        exponents += found.power(u).exponents(level)
    return WidthLosses(
        widths=n[:-1],
        widest=float(n[-1]),
        time=None if time is None else times,
        gap=np.array(gap),
        sem=np.array(sem),
        exponents=tuple(exponents),
    )


def _bias2(groups: list[Moments], weights: Array, fixed: Array | float) -> Array:
    """Squared distances from the reference, (k, w), without what the scatter of seeds adds."""
    means = np.stack([g.mean for g in groups])
    target = np.tensordot(weights, means, 1) + fixed
    noise = np.stack([g.variance / g.seeds for g in groups])
    columns = []
    for i, mean in enumerate(means):
        share = (np.arange(len(groups)) == i) - weights
        columns.append(((mean - target) ** 2).mean(axis=-1) - share**2 @ noise)
    return np.stack(columns, axis=-1)


def _widths(name: str, value: npt.ArrayLike) -> Array:
    n = as_vector(name, value, positive=True)
    if ((n < _NARROWEST) | (n > _WIDEST)).any():
        raise InputError(
            f"{name}: from {n.min():g} to {n.max():g}; between {_NARROWEST:g} and {_WIDEST:g} are "
            "supported"
        )
    return n


def _unit(*arrays: Array) -> float:
    """Return the largest size among arrays, one where all are zero."""
    most = max(float(np.abs(a).max()) for a in arrays)
    if most > _LARGEST:
        raise InputError(f"a value of size {most:.1e}: at most {_LARGEST:g} is supported")
    return most or 1.0


def _groups(predictions: Any, n: Array) -> list[Array]:
    """Read predictions as one array (seed, time, point) a width."""
    if isinstance(predictions, np.ndarray) and predictions.ndim < 3:
        raise InputError(
            f"predictions: shape {predictions.shape}; expected (width, seed, point) or "
            "(width, seed, time, point)"
        )
    found = [as_numbers(f"predictions[{i}]", g) for i, g in enumerate(predictions)]
    if len(found) != len(n):
        raise InputError(f"predictions, widths: {len(found)} and {len(n)} widths; one each")
    if len(n) < 3:
        raise InputError(f"widths: {len(n)} widths; a slope beside the widest needs 3")
    for i, g in enumerate(found):
        if g.ndim not in (2, 3) or g.shape[1:] != found[0].shape[1:]:
            raise InputError(
                f"predictions[{i}]: shape {g.shape}; expected (seed, point) or (seed, time, "
                f"point), with the points and times of the first, {found[0].shape[1:]}"
            )
        if len(g) < 3:
            raise InputError(f"predictions[{i}]: {len(g)} seeds; 3 or more are needed")
        if not np.isfinite(g).all():
            raise InputError(f"predictions[{i}]: a value is not finite; drop that run or point")
    return [g[:, None] if g.ndim == 2 else g for g in found]


def _reference(given: Any, n: Array, shape: tuple[int, ...]) -> tuple[Array, Array | float, str]:
    """Weights of the widths' means that make the reference, what is added, and its name."""
    if isinstance(given, str):
        if given == "widest":
            return np.eye(len(n))[-1], 0.0, given
        if given == "extrapolated":
            x = 1 / n - (1 / n).mean()
            return np.asarray(1 / len(n) - (1 / n).mean() * x / (x @ x)), 0.0, given
        raise InputError(
            f"reference = {given!r}: write 'widest', 'extrapolated' or give predictions"
        )
    limit = as_numbers("reference", given)
    if limit.shape not in (shape, shape[1:]) or not np.isfinite(limit).all():
        raise InputError(
            f"reference: shape {limit.shape}; expected finite predictions, (point,) or "
            f"(time, point), here {shape}"
        )
    return np.zeros(len(n)), np.broadcast_to(limit, shape), "given"


def _counted(found: Sequence[WidthExponent]) -> str:
    words = [e.verdict for e in found]
    return ", ".join(f"{w} {words.count(w)}" for w in dict.fromkeys(words))

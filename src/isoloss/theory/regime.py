"""The four scaling regimes: whether finite size or resolution limits the loss, and of which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_amounts, as_resources, broadcast
from isoloss.theory.ridge import random_features
from isoloss.theory.spectrum import Spectrum

Words = npt.NDArray[np.str_]
_NEAR = 1e-4
"""Relative step in 1/T (and 1/N) of coefficients and in log T (log N) of local exponents."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regimes:
    """What limits the loss at each point, in samples and in size.

    Attributes
    ----------
    data, size
        ``variance``: more samples (features) only remove a small correction, which falls as one
        over their number. ``resolution``: the loss is that of unlimited size (data), and falls as
        a power set by the spectrum. ``mixed``: neither. ``both``: the loss does not depend on
        either any more (a floor). Of the shape of the grid.
    loss, loss_more_data, loss_more_size
        Loss, and its limits with unlimited samples and with unlimited size.
    exponent_T, exponent_N
        Local exponents ``-dlog L/dlog T`` and ``-dlog L/dlog N``; NaN where not computed.
    coefficient_T, coefficient_N
        The corrections are ``coefficient_T / T`` and ``coefficient_N / N`` far from T = N; NaN
        where not computed or where a limit is infinite.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = regimes(power_law(b=1.5, M=1e6, iid=True), [100, 100, 10_000], [10_000, 120, 100])
    >>> found.data.tolist(), found.size.tolist()
    (['variance', 'mixed', 'resolution'], ['resolution', 'mixed', 'variance'])
    """

    data: Words
    size: Words
    loss: Array
    loss_more_data: Array
    loss_more_size: Array
    exponent_T: Array
    exponent_N: Array
    coefficient_T: Array
    coefficient_N: Array

    def __post_init__(self) -> None:
        for name in self.__slots__[2:]:
            object.__setattr__(self, name, freeze(getattr(self, name)))
        for name in ("data", "size"):
            words = np.array(getattr(self, name), dtype=np.str_)
            words.flags.writeable = False
            object.__setattr__(self, name, words)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, nested lists in the shape of the grid."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}


def classify(
    loss: npt.ArrayLike,
    loss_more_data: npt.ArrayLike,
    loss_more_size: npt.ArrayLike,
    *,
    tolerance: float = 0.1,
) -> tuple[Words, Words]:
    """Name the regime in data and in size from a loss and its two limits.

    Parameters
    ----------
    loss, loss_more_data, loss_more_size
        Losses above their floor: at the point, with unlimited data and the same size, and with
        unlimited size and the same data. Any shapes that broadcast.
    tolerance
        A limit is reached when the loss lies within this share of it.

    Returns
    -------
    data, size
        Words as in `Regimes`.

    Raises
    ------
    InputError
        If the tolerance is not between 0 and 1, or a loss is negative.

    References
    ----------
    Bahri et al., arXiv:2102.06701, sec. 2: variance-limited where the loss is near its limit in
    the other resource, resolution-limited where it is that of one resource alone.

    Examples
    --------
    >>> [str(word) for word in classify(1.02, 1.0, 0.3)]
    ['variance', 'resolution']
    """
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance = {tolerance!r}: must lie between 0 and 1, for example 0.1")
    value, by_size, by_data = broadcast(
        loss=as_amounts("loss", loss, infinite=True),
        loss_more_data=as_amounts("loss_more_data", loss_more_data, infinite=True),
        loss_more_size=as_amounts("loss_more_size", loss_more_size, infinite=True),
    )
    with np.errstate(invalid="ignore"):
        of_size = np.abs(value - by_size) <= tolerance * by_size
        of_data = np.abs(value - by_data) <= tolerance * by_data
    data = np.select(
        [of_size & of_data, of_size, of_data], ["both", "variance", "resolution"], "mixed"
    )
    size = np.select(
        [of_size & of_data, of_size, of_data], ["both", "resolution", "variance"], "mixed"
    )
    return data, size


def regimes(
    spectrum: Spectrum,
    N: Any,
    T: Any,
    *,
    ridge: Any = "ridgeless",
    noise: Any = 0.0,
    tolerance: float = 0.1,
) -> Regimes:
    r"""Say which of the four regimes random-feature regression is in, with exponents.

    With much more data than features (T >> N) the loss is resolution-limited in size,
    :math:`L(N, \infty)`, and variance-limited in data, :math:`L(N, T) - L(N, \infty) \to c_T / T`;
    with more features than data the two change places. Local exponents are of the excess loss.

    Parameters
    ----------
    spectrum, N, T, ridge, noise
        As in `isoloss.theory.random_features`.
    tolerance
        As in `classify`.

    Raises
    ------
    InputError
        As there.

    References
    ----------
    Bahri et al., arXiv:2102.06701, sec. 2 and the solvable model: without a ridge and noise
    :math:`L(N, T) - L(N) = L(N)\, N / (T - N)`.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = regimes(power_law(b=1.5, M=1e6, iid=True), 100, 1e5)
    >>> round(float(found.coefficient_T / found.loss_more_data), 3)
    100.0
    """
    N, T, noise = broadcast(
        N=as_resources("N", N), T=as_resources("T", T), noise=as_amounts("noise", noise)
    )

    def excess(n: Any, t: Any) -> Array:
        return random_features(spectrum, n, t, ridge=ridge, noise=noise).test_excess

    loss = excess(N, T)
    more_data, more_size = excess(N, np.inf), excess(np.inf, T)
    data, size = classify(loss, more_data, more_size, tolerance=tolerance)
    step = np.exp(_NEAR)
    with np.errstate(divide="ignore", invalid="ignore"):
        # At N = T without a ridge the loss is infinite, and neither side of it is its slope.
        peak = np.isinf(loss)
        by_T = np.log(excess(N, T / step) / excess(N, T * step)) / (2 * _NEAR)
        by_N = np.log(excess(N / step, T) / excess(N * step, T)) / (2 * _NEAR)
        # Two points near infinity take off the term of second order in 1/T.
        far = N / _NEAR
        c_T = far * (4 * (excess(N, far) - more_data) - (excess(N, far / 2) - more_data)) / 2
        far = T / _NEAR
        c_N = far * (4 * (excess(far, T) - more_size) - (excess(far / 2, T) - more_size)) / 2
    return Regimes(
        data=data,
        size=size,
        loss=loss,
        loss_more_data=np.broadcast_to(more_data, loss.shape),
        loss_more_size=np.broadcast_to(more_size, loss.shape),
        exponent_T=np.where(peak, np.nan, by_T),
        exponent_N=np.where(peak, np.nan, by_N),
        coefficient_T=np.broadcast_to(c_T, loss.shape),
        coefficient_N=np.broadcast_to(c_N, loss.shape),
    )

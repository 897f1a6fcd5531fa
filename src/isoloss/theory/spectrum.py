"""The spectrum that every model of the room is solved on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_amount
from isoloss.theory.power import SMALLEST, PowerLaw, compress

_FAR = 1e30
"""Where a power law without end is cut; modes beyond it act through their sums alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum:
    """Eigenvalues of the latent covariance, and what the target puts on each.

    Make one with `power_law`, `from_modes`, `from_binned`, or from features by
    `isoloss.theory.gaussian_equivalent`, `isoloss.theory.sphere_spectrum`.

    Attributes
    ----------
    lam
        Eigenvalues > 0 at the nodes, (k,), in units of squared latent features.
    multiplicity
        Modes that a node stands for, (k,); need not be whole.
    v2
        Target power of one mode, (k,), in units of squared targets: lam times the squared
        coefficient of the target on it.
    tail
        Trace carried by infinitely many modes of vanishing eigenvalue.
    v0
        Target power that no feature can express: noise to the learner, loss to the judge.
    size
        Number of modes with an eigenvalue above zero.
    law
        The power law the nodes compress, or None.

    Examples
    --------
    >>> spectrum = power_law(b=1.5, a=1.8, M=1e8)
    >>> spectrum.lam.size < 300, round(spectrum.trace, 6)
    (True, 2.612175)
    """

    lam: Array
    multiplicity: Array
    v2: Array
    tail: float = 0.0
    v0: float = 0.0
    size: float = field(default=0.0)
    law: PowerLaw | None = None

    def __post_init__(self) -> None:
        lam = as_vector("lam", self.lam, positive=True)
        object.__setattr__(self, "lam", freeze(lam))
        for name in ("multiplicity", "v2"):
            values = as_vector(name, getattr(self, name))
            if values.shape != lam.shape:
                raise InputError(f"{name}: {values.size} values for {lam.size} eigenvalues")
            if (values < 0).any():
                raise InputError(f"{name}: smallest is {values.min()!r}; must be zero or more")
            object.__setattr__(self, name, freeze(values))
        object.__setattr__(self, "tail", as_amount("tail", self.tail))
        object.__setattr__(self, "v0", as_amount("v0", self.v0))
        size = self.size or float(self.multiplicity.sum())
        object.__setattr__(self, "size", size)
        if not math.isfinite(self.trace + self.power):
            raise InputError(
                f"trace = {self.trace!r}, power = {self.power!r}: must be finite; scale the "
                "eigenvalues or the target down"
            )

    @property
    def trace(self) -> float:
        """Sum of all eigenvalues, the tail included."""
        return float(self.multiplicity @ self.lam) + self.tail

    @property
    def power(self) -> float:
        """Sum of the target power, v0 included: the loss of predicting zero."""
        return float(self.multiplicity @ self.v2) + self.v0

    @property
    def largest_share(self) -> float:
        """Largest share of that power that one mode carries."""
        return float(self.v2.max()) / self.power if self.power > 0 else 0.0

    def __repr__(self) -> str:
        extra = "".join(f", {n} {v:.4g}" for n, v in (("tail", self.tail), ("v0", self.v0)) if v)
        return (
            f"Spectrum({self.size:.6g} modes in {self.lam.size} nodes, trace {self.trace:.6g}, "
            f"power {self.power:.6g}{extra})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "schema": 1,
            "lam": self.lam.tolist(),
            "multiplicity": self.multiplicity.tolist(),
            "v2": self.v2.tolist(),
            "tail": self.tail,
            "v0": self.v0,
            "size": self.size,
        }

    def blocks(self, size: int) -> Iterator[tuple[Array, Array]]:
        """Give the modes one by one, as eigenvalues and target powers, in blocks for simulation.

        Raises
        ------
        InputError
            If the spectrum stands for infinitely many modes or its multiplicities are not whole.
        """
        if self.law is not None and math.isfinite(self.law.M):
            for start in range(0, int(self.law.M), size):
                yield self.law.modes(start, min(start + size, int(self.law.M)))
            return
        if self.tail or (self.multiplicity != np.round(self.multiplicity)).any():
            raise InputError(
                "spectrum: cannot be simulated mode by mode, as it has a tail or multiplicities "
                "that are not whole; give its modes with from_modes"
            )
        ends = np.cumsum(self.multiplicity.astype(np.int64))
        for start in range(0, int(ends[-1]), size):
            node = np.searchsorted(ends, np.arange(start, min(start + size, ends[-1])), "right")
            yield self.lam[node], self.v2[node]


def power_law(
    *,
    b: float,
    a: float | None = None,
    M: float,
    iid: bool = False,
    scale: float = 1.0,
    power: float = 1.0,
    v0: float = 0.0,
) -> Spectrum:
    """Spectrum ``lam_i = scale i**-b`` with target power ``power i**-a``, compressed.

    Costs and memory do not grow with M but with its logarithm.

    Parameters
    ----------
    b
        Exponent of the eigenvalues, zero or more (b = 1 + alpha in arXiv:2210.16859).
    a
        Exponent of the target power, zero or more; not with ``iid``.
    M
        Number of modes; ``inf`` where b > 1 and a > 1 (good for N and T below 1e20).
    iid
        Target coefficients drawn with variance ``power / M`` for every mode: v2 = lam power / M.
    scale, power
        Largest eigenvalue, and target power of the first mode (``iid``: M times the variance).
    v0
        Target power that no feature can express.

    Raises
    ------
    InputError
        If an exponent is negative, M below 1, or the smallest eigenvalue lies beyond float64.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859 (iid targets); Bordelon, Atanasov and Pehlevan,
    arXiv:2402.01092 (a and b).

    Examples
    --------
    >>> power_law(b=2, M=1000, iid=True)
    Spectrum(1000 modes in 144 nodes, trace 1.64393, power 0.00164393)
    """
    b, scale, power = as_amount("b", b), as_above_zero("scale", scale), as_amount("power", power)
    if iid == (a is not None):
        raise InputError("a: give the exponent of the target power, or iid, and not both")
    if iid and math.isinf(M):
        raise InputError("M = inf: an iid target on infinitely many modes has no power; give a")
    exponent = b if iid else as_amount("a", a)
    M = _modes(M, b, exponent)
    last = M if math.isfinite(M) else _FAR
    if b * math.log(last) - math.log(scale) > -math.log(SMALLEST):
        raise InputError(
            f"b = {b!r}, M = {M!r}: the smallest eigenvalue, M**-b, is below {SMALLEST}; take a "
            "smaller b or M"
        )
    index, weight = compress(last, b, exponent)
    lam = scale * index**-b
    v2 = lam * (power / M) if iid else power * index**-exponent
    tail = 0.0
    if math.isinf(M):
        from scipy.special import zeta

        tail = scale * float(zeta(b, last + 1))
        v0 += power * float(zeta(exponent, last + 1))
    law = PowerLaw(b, exponent, M, scale, scale * power / M if iid else power)
    return Spectrum(lam=lam, multiplicity=weight, v2=v2, tail=tail, v0=v0, size=M, law=law)


def from_modes(
    lam: npt.ArrayLike, v2: npt.ArrayLike, *, multiplicity: Any = None, tail: float = 0.0,
    v0: float = 0.0,
) -> Spectrum:  # fmt: skip
    """Spectrum from explicit eigenvalues and target powers.

    Modes of eigenvalue zero cannot be learned; their target power is counted in ``v0``.

    Parameters
    ----------
    lam, v2
        Eigenvalues and target power of each mode, zero or more, (k,).
    multiplicity
        Modes that each entry stands for, (k,); one by default.
    tail, v0
        As in `Spectrum`.

    Raises
    ------
    InputError
        If lengths differ, a value is negative or not finite, or no eigenvalue is above zero.

    Examples
    --------
    >>> from_modes([1.0, 0.5, 0.0], [1.0, 1.0, 0.25])
    Spectrum(2 modes in 2 nodes, trace 1.5, power 2.25, v0 0.25)
    """
    values, powers = as_vector("lam", lam), as_vector("v2", v2)
    counts = np.ones_like(values) if multiplicity is None else as_vector("m", multiplicity)
    if not values.shape == powers.shape == counts.shape:
        raise InputError(
            f"lam, v2: {values.size} eigenvalues, {powers.size} target powers and {counts.size} "
            "multiplicities; one of each a mode"
        )
    for name, array in (("lam", values), ("v2", powers)):
        if (array < 0).any():
            i = int(np.argmax(array < 0))
            raise InputError(f"{name}[{i}] = {array[i]!r}: must be zero or more; a covariance and "
                             "a power are never negative")  # fmt: skip
    alive = values >= SMALLEST
    if not alive.any():
        raise InputError("lam: no eigenvalue above zero; give at least one")
    v0 = as_amount("v0", v0) + float(counts[~alive] @ powers[~alive])
    return Spectrum(
        lam=values[alive], multiplicity=counts[alive], v2=powers[alive], tail=tail, v0=v0
    )


def from_binned(
    lam: npt.ArrayLike, v2: npt.ArrayLike, *, bins: int = 2000, tail: float = 0.0, v0: float = 0.0
) -> Spectrum:
    """Spectrum from many measured modes, gathered in bins of equal width in log lam.

    A bin keeps its count, its geometric mean eigenvalue and its summed target power. The error
    in the degrees of freedom is about 4e-5, 2e-6 and 1e-7 with 500, 2,000 and 8,000 bins.

    Raises
    ------
    InputError
        As `from_modes`, or if there is no bin.

    Examples
    --------
    >>> i = np.arange(1, 100_001.0)
    >>> from_binned(i**-1.5, i**-2, bins=500).lam.size < 500
    True
    """
    if bins < 1:
        raise InputError(f"bins = {bins!r}: must be at least 1")
    whole = from_modes(lam, v2, tail=tail, v0=v0)
    if whole.lam.size <= bins:
        return whole
    logs = np.log(whole.lam)
    low, high = logs.min(), logs.max()
    place = np.minimum((bins * (logs - low) / max(high - low, 1e-300)).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins).astype(np.float64)
    used = count > 0
    count = count[used]
    mean = np.bincount(place, weights=logs, minlength=bins)[used] / count
    power = np.bincount(place, weights=whole.v2, minlength=bins)[used] / count
    return Spectrum(lam=np.exp(mean), multiplicity=count, v2=power, tail=whole.tail, v0=whole.v0)


def _modes(M: float, b: float, a: float) -> float:
    try:
        value = float(M)
    except (TypeError, ValueError) as error:
        raise InputError(f"M = {M!r}: expected a number") from error
    if math.isinf(value) and value > 0:
        if b <= 1 or a <= 1:
            raise InputError(
                f"M = inf with b = {b:g}, a = {a:g}: trace or target power is infinite; give a "
                "finite M, or exponents above 1"
            )
        return value
    if not value >= 1 or value != math.floor(value):
        raise InputError(f"M = {value!r}: must be a whole number of modes, 1 or more")
    return value

"""Which of the four scaling regimes measured runs are in, by the law fitted to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.fit.result import Fit
from isoloss.runs import Runs

Words = npt.NDArray[np.str_]
FAR = 1e60
"""Resources that stand for unlimited ones: beyond any law's last digit."""
MOST_DRAWS = 400


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredRegimes:
    """Regime of each run, in data and in size.

    Attributes
    ----------
    data, size
        ``variance``, ``resolution``, ``mixed`` or ``both``, as in `isoloss.theory.Regimes`, (n,).
    data_share, size_share
        Share of the fit's draws that give the same word, (n,); NaN without draws.
    exponent_N, exponent_D
        Local exponents of the loss above the floor, by the law, (n,).
    floor
        Loss of unlimited size and data, by the law.
    sentence
        How many runs are in which regime.
    """

    data: Words
    size: Words
    data_share: Array
    size_share: Array
    exponent_N: Array
    exponent_D: Array
    floor: float
    sentence: str

    def __post_init__(self) -> None:
        for name in ("data_share", "size_share", "exponent_N", "exponent_D"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in ((n, getattr(self, n)) for n in self.__slots__)
        }


def measured_regimes(fit: Fit, runs: Runs, *, tolerance: float = 0.1) -> MeasuredRegimes:
    """Say what limits the loss of each run: size, data, both or a mixture.

    The loss above the law's floor is compared with its limits of unlimited data and of unlimited
    size. A run whose loss is near the former is resolution-limited in size and
    variance-limited in data: more data would hardly help.

    Parameters
    ----------
    fit
        Of a law of N and D.
    runs
        Any runs with N and D, those that were fitted or others.
    tolerance
        A limit is reached when the loss above the floor lies within this share of it.

    Raises
    ------
    InputError
        If the law is not one of N and D alone.

    References
    ----------
    Bahri et al., arXiv:2102.06701, sec. 2.

    Examples
    --------
    >>> from isoloss.fit.fit import fit
    >>> N, D = np.repeat([1e7, 1e8, 1e9], 4), np.tile([1e8, 1e9, 1e10, 1e12], 3)
    >>> runs = Runs(columns={"N": N, "D": D, "loss": 1.8 + 480 * N**-0.35 + 2100 * D**-0.37})
    >>> found = measured_regimes(fit(runs, draws=0), runs)
    >>> str(found.data[3]), str(found.size[3]), found.sentence
    ('variance', 'resolution', 'Limited by size: 1 of 12 runs; by data: 0; by both: 11.')
    """
    # Fits start faster without the solvable models.
    from isoloss.theory import classify

    if set(fit.law.axes) != {"N", "D"}:
        raise InputError(
            f"law = {fit.law.name}: is of {', '.join(fit.law.axes)}; regimes need a law of N and D"
        )
    every = np.vstack([fit.theta[None], _some(fit.draws)])
    N, D = np.asarray(runs["N"]), np.asarray(runs["D"])
    far = np.full(len(N), FAR)
    with np.errstate(all="ignore"):
        floor = fit.law(every, {"N": far[:1], "D": far[:1]})
        above = [
            np.maximum(fit.law(every, {"N": n, "D": d}) - floor, 0.0)
            for n, d in ((N, D), (N, far), (far, D))
        ]
    fine = np.asarray(np.isfinite(np.array(above)).all(axis=(0, 2)))
    if not fine[0]:
        raise InputError(f"law = {fit.law.name}: has no finite limit of unlimited size and data")
    data, size = classify(*(v[fine] for v in above), tolerance=tolerance)
    shares = [
        (np.mean(words[1:] == words[0], axis=0) if len(words) > 1 else np.full(len(N), np.nan))
        for words in (data, size)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        by_N, by_D = (
            -fit.law.slope(fit.theta, {"N": N, "D": D}, axis) * runs[axis] / above[0][0]
            for axis in ("N", "D")
        )
    return MeasuredRegimes(
        data=data[0],
        size=size[0],
        data_share=shares[0],
        size_share=shares[1],
        exponent_N=by_N,
        exponent_D=by_D,
        floor=float(floor[0, 0]),
        sentence=_sentence(data[0]),
    )


def _some(draws: Array) -> Array:
    return draws[:: max(1, len(draws) // MOST_DRAWS)]


def _sentence(data: Words) -> str:
    by_size, by_data = np.sum(data == "variance"), np.sum(data == "resolution")
    floor = np.sum(data == "both")
    rest = f"; at the floor: {floor}" if floor else ""
    mixed = len(data) - by_size - by_data - floor
    text = f"Limited by size: {by_size} of {len(data)} runs; by data: {by_data}; by both: {mixed}"
    return f"{text}{rest}."

"""Error of networks pruned by magnitude: one network, and a family of depths and widths.

Between a plateau at the error of the unpruned network and one at the error of an empty network
lies a power law of what is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_positive, as_vector, freeze
from isoloss.errors import InputError
from isoloss.laws.law import Law, Parameter

_SOURCE = "Rosenfeld, Frankle, Carbin and Shavit 2020, arXiv:2006.10621"


def _formula(left: str) -> str:
    return f"(({left}**2*e_np**(2/gamma) + p**2*e_up**(2/gamma))/({left}**2 + p**2))**(gamma/2)"


def _shape(unit: str) -> tuple[Parameter, ...]:
    return (
        Parameter(name="e_up", start=(0.5, 4.0), unit="L", meaning="error when nothing is left"),
        Parameter(
            name="gamma", lower=0.05, upper=20.0, start=(0.2, 3.0),
            meaning="exponent between the plateaus",
        ),
        Parameter(
            name="p", start=(0.02, 5.0), unit=unit, meaning="where the upper plateau would end"
        ),
    )  # fmt: skip


def pruned_network(axis: str = "x") -> Law:
    r"""One network pruned to a density m: two plateaus and a power law between them.

    .. math::

        e = e_{np} \left|\frac{m - i\,p\,(e_{up}/e_{np})^{1/\gamma}}{m - i\,p}\right|^\gamma
          = \left(\frac{m^2 e_{np}^{2/\gamma} + p^2 e_{up}^{2/\gamma}}{m^2 + p^2}\right)^{\gamma/2}

    a power mean of the two plateaus. It is ``e_np`` for dense networks, ``e_up`` for empty ones,
    and :math:`e_{up} (p/m)^\gamma` where p is far below m and m far below
    :math:`p (e_{up}/e_{np})^{1/\gamma}`. The axis is the density; pin ``e_np`` where the unpruned
    network was measured.

    Examples
    --------
    >>> law = pruned_network("density")
    >>> theta = {"e_np": 0.08, "e_up": 0.9, "gamma": 1.2, "p": 0.0005}
    >>> law(theta, {"density": [1e-8, 1e-3, 1.0]}).round(4)
    array([0.9  , 0.357, 0.08 ])
    """
    return Law(
        name="pruned_network",
        formula=_formula(axis),
        axes=(axis,),
        parameters=(
            Parameter(
                name="e_np", start=(0.05, 1.0), unit="L", meaning="error of the unpruned network"
            ),
            *_shape(axis),
        ),
        scaled_axes=(axis, "L"),
        source=f"{_SOURCE}, the law of a single network",
        description="error of one network against the density left by pruning",
    )


def pruned_family() -> Law:
    r"""Networks of many depths l and widths w, pruned to a density d.

    As `pruned_network`, with :math:`m = d\,l^\phi w^\psi`: networks of equal m have shares of
    their plateaus in common. ``e_np``, the error of each network before pruning, is measured and
    not fitted; the number of examples enters only through it.

    Examples
    --------
    >>> law = pruned_family()
    >>> theta = {"e_up": 0.9, "gamma": 1.2, "p": 0.01, "phi": 1.0, "psi": 1.0}
    >>> law(theta, {"density": [0.001, 0.01], "depth": 20, "width": 1, "e_np": 0.08}).round(8)
    array([0.35701768, 0.08646859])
    """
    left = "(density*depth**phi*width**psi)"
    return Law(
        name="pruned_family",
        formula=_formula(left),
        axes=("density", "depth", "width", "e_np"),
        parameters=(
            *_shape("density*depth**phi*width**psi"),
            Parameter(
                name="phi", lower=-10.0, upper=10.0, start=(0.0, 2.0), meaning="power of depth"
            ),
            Parameter(
                name="psi", lower=-10.0, upper=10.0, start=(0.0, 2.0), meaning="power of width"
            ),
        ),
        scaled_axes=("density", "depth", "width", "e_np", "L"),
        source=f"{_SOURCE}, the joint law",
        description=(
            "pruned networks of many depths and widths; needs the columns density, depth, width "
            "and e_np, the error before pruning"
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SmallestPruned:
    """The networks of a family pruned to one error.

    Attributes
    ----------
    best
        Position of the network with fewest parameters left; -1 where none reaches the error.
    density, size
        What each must be pruned to, and ``depth width^2 density`` then, (n,): infinite where the
        network does not reach the error even unpruned.
    """

    best: int
    density: Array
    size: Array

    def __post_init__(self) -> None:
        for name in ("density", "size"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        if self.best < 0:
            return f"SmallestPruned(none of {self.size.size} networks reaches the error)"
        return (
            f"SmallestPruned(network {self.best} of {self.size.size} at density "
            f"{self.density[self.best]:.4g}, size {self.size[self.best]:.4g})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "best": self.best,
            "density": self.density.tolist(),
            "size": self.size.tolist(),
        }


def smallest_pruned(
    values: Mapping[str, float],
    error: float,
    *,
    depth: npt.ArrayLike,
    width: npt.ArrayLike,
    e_np: npt.ArrayLike,
) -> SmallestPruned:
    r"""Which network of a family, pruned to a given error, has fewest parameters left.

    The law of `pruned_family` is solved for the density in closed form,

    .. math::

        d\,l^\phi w^\psi = p \sqrt{\frac{e_{up}^{2/\gamma} - e^{2/\gamma}}
                                        {e^{2/\gamma} - e_{np}^{2/\gamma}}},

    and parameters are counted as ``depth width^2 density``.

    Parameters
    ----------
    values
        Parameters of `pruned_family` by name.
    error
        Error to reach; at ``e_up`` and above an empty network reaches it.
    depth, width, e_np
        Networks to choose from, (n,): depth, width scale, measured error before pruning.

    Raises
    ------
    InputError
        If a value is missing, not positive, or the lengths differ.

    References
    ----------
    arXiv:2006.10621, the section on optimal pruning.

    Examples
    --------
    >>> theta = {"e_up": 0.9, "gamma": 1.2, "p": 0.01, "phi": 1.0, "psi": 1.0}
    >>> smallest_pruned(theta, 0.1, depth=[8, 20], width=[1, 1], e_np=[0.11, 0.08])
    SmallestPruned(network 1 of 2 at density 0.005..., size 0.1...)
    """
    names = pruned_family().names
    if missing := [n for n in names if n not in values]:
        raise InputError(f"values: no value for {', '.join(missing)}; give {', '.join(names)}")
    phi, psi = (float(as_vector(n, values[n])[0]) for n in ("phi", "psi"))
    e_up, gamma, p = (as_positive(n, values[n]) for n in ("e_up", "gamma", "p"))
    goal = as_positive("error", error)
    columns = {"depth": depth, "width": width, "e_np": e_np}
    arrays = [as_vector(n, v, positive=True) for n, v in columns.items()]
    try:
        deep, wide, unpruned = np.broadcast_arrays(*arrays)
    except ValueError as broken:
        sizes = ", ".join(f"{n} {a.size}" for n, a in zip(columns, arrays, strict=True))
        raise InputError(f"{sizes}: give one value a network, or one for all") from broken
    density = np.full(deep.shape, math.inf)
    able = unpruned < goal
    # Ratios of logarithms: 2/gamma may be large, and the powers themselves too small.
    above = np.expm1(np.maximum(2 / gamma * math.log(e_up / goal), 0.0))
    below = -np.expm1(2 / gamma * np.log(unpruned[able] / goal))
    with np.errstate(over="ignore", divide="ignore"):
        density[able] = p * np.sqrt(above / below) / (deep[able] ** phi * wide[able] ** psi)
    density[density > 1] = math.inf
    size = deep * wide**2 * density
    best = int(np.argmin(size)) if np.isfinite(size).any() else -1
    return SmallestPruned(best=best, density=density, size=size)

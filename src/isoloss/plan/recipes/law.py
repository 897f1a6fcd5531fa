"""One law over the stacked runs of two recipes, with some parameters in common."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.laws import Law, Parameter

SIDES = ("A", "B")
_INDICATORS = ("in_recipe_A", "in_recipe_B")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecipeLaw:
    """A law of two recipes at once.

    Attributes
    ----------
    base
        Law of one recipe.
    law
        Law of the stacked runs: its axes are those of ``base`` and two indicators.
    tied
        Parameters in common.
    """

    base: Law
    law: Law
    tied: tuple[str, ...]

    def part(self, theta: Array, side: int) -> Array:
        """Parameters of one recipe, (..., p), of those of both, (..., q)."""
        names = [self._name(n, side) for n in self.base.names]
        return theta[..., [self.law.names.index(n) for n in names]]

    def join(self, first: Array, second: Array) -> dict[str, float]:
        """Parameters of both recipes by name; what is tied is the mean of the two."""
        found: dict[str, float] = {}
        for i, name in enumerate(self.base.names):
            values = (float(first[i]), float(second[i]))
            for side in (0, 1):
                found[self._name(name, side)] = (
                    float(np.mean(values)) if name in self.tied else values[side]
                )
        return found

    def columns(self, x: Mapping[str, Array], side: npt.NDArray[np.int64]) -> dict[str, Array]:
        """Add the indicators to the columns of stacked runs."""
        marks = {a: (side == i).astype(np.float64) for i, a in enumerate(_INDICATORS)}
        return {a: x[a] for a in self.base.axes} | marks

    def _name(self, name: str, side: int) -> str:
        return name if name in self.tied else f"{name}_{SIDES[side]}"


def recipe_law(base: Law, tie: Collection[str] = ("E",)) -> RecipeLaw:
    r"""Write a law of two recipes, :math:`1_A f(\theta_A) + 1_B f(\theta_B)`.

    The indicators are axes, so the fit engine needs nothing new, and derivatives are exact as
    those of every formula.

    Parameters
    ----------
    base
        Law of one recipe.
    tie
        Parameters in common; those that the law lacks are passed over.

    Raises
    ------
    InputError
        An amplitude is tied whose unit depends on an exponent that is not.

    Examples
    --------
    >>> from isoloss.laws import get_law
    >>> recipe_law(get_law("power_floor", axis="C")).law.names
    ('E', 'A_A', 'alpha_A', 'A_B', 'alpha_B')
    """
    held = tuple(n for n in base.names if n in tie)
    for p in base.parameters:
        words = set(re.findall(r"[A-Za-z_]\w*", p.unit))
        loose = [n for n in base.names if n in words and n not in held]
        if p.name in held and loose:
            raise InputError(
                f"tie: {p.name} is measured in a unit that depends on {loose[0]}, so equal values "
                f"mean nothing while {loose[0]} is free; tie {loose[0]} too, or leave {p.name} free"
            )
    every = (*base.names, *base.pinned, *base.tied)
    maps = [{n: n if n in held else f"{n}_{s}" for n in every} for s in SIDES]
    formula = " + ".join(
        f"{mark}*({_renamed(base.formula, m)})" for mark, m in zip(_INDICATORS, maps, strict=True)
    )
    parameters = {m[p.name]: _moved(p, m) for m in maps for p in base.parameters}
    law = Law(
        name=f"{base.name}, two recipes",
        formula=formula,
        axes=(*base.axes, *_INDICATORS),
        parameters=tuple(parameters.values()),
        scaled_axes=base.scaled_axes,
        pinned={m[n]: v for m in maps for n, v in base.pinned.items()},
        tied={m[n]: m[t] for m in maps for n, t in base.tied.items()},
        pinned_units={m[n]: _renamed(u, m) for m in maps for n, u in base.pinned_units.items()},
    )
    return RecipeLaw(base=base, law=law, tied=held)


def _moved(parameter: Parameter, names: Mapping[str, str]) -> Parameter:
    return replace(parameter, name=names[parameter.name], unit=_renamed(parameter.unit, names))


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"[A-Za-z_]\w*", lambda m: names.get(m.group(), m.group()), text)

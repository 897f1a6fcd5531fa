"""The law: anything that maps resources to loss, with exact derivatives."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import LawError
from isoloss.laws.calculus import derivative
from isoloss.laws.expression import (
    Node,
    axis,
    const,
    leaves,
    mul,
    parameter,
    parse,
    power,
    substitute,
)
from isoloss.laws.tape import evaluate

_SHARED = {"U": "D", "e_np": "L"}
"""Axes measured in the unit of another quantity, whose scale they share."""


def is_resource(axis: str) -> bool:
    """Whether an axis is spent; the others are losses themselves, measured before."""
    return _SHARED.get(axis) != "L"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One unknown of a law.

    Attributes
    ----------
    name
        As in the formula.
    lower, upper
        Bounds. A lower bound of zero or more makes the engine work in the logarithm.
    start
        Range, in units where axes and loss are of order one, that starts are spread over.
    unit
        Formula in the axes, ``L`` and the law's parameters; says how the parameter changes when
        the axes or the loss are measured in other units. Empty when not known.
    meaning
        A few words for tables.
    """

    name: str
    lower: float = 0.0
    upper: float = math.inf
    start: tuple[float, float] = (0.05, 2.0)
    unit: str = ""
    meaning: str = ""

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise LawError(
                f"bounds of {self.name}: lower {self.lower} must be below upper {self.upper}"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Law:
    """A functional form: a formula over axes with named parameters.

    A law holds no values. Call it with parameters and resources; fit it to runs with
    `isoloss.fit`.

    Attributes
    ----------
    name
        Key in the catalogue, or ``expression``.
    formula
        Text that `isoloss.laws.expression.parse` reads.
    axes
        Measured quantities that it needs.
    parameters
        Free parameters in order.
    source, description
        Where the form comes from and when to use it.
    scaled_axes
        Axes, and ``L`` for the loss, that may be divided by their geometric mean before fitting,
        because every parameter's ``unit`` says how to undo it. U shares the scale of D, and
        ``e_np``, an error itself, that of the loss.
    special_cases
        Other laws that this one contains: name to the parameter values that give it.
    pinned, tied, pinned_units
        Fixed values, equalities, and the units of fixed values; set by `pin` and `tie`.

    Examples
    --------
    >>> from isoloss.laws import get_law
    >>> law = get_law("chinchilla")
    >>> theta = {"E": 1.7, "A": 400.0, "B": 400.0, "alpha": 0.34, "beta": 0.28}
    >>> law(theta, {"N": 7e10, "D": 1.4e12})
    array([1.9410...])
    """

    name: str
    formula: str
    axes: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    source: str = ""
    description: str = ""
    scaled_axes: tuple[str, ...] = ()
    special_cases: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    pinned: Mapping[str, float] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)
    pinned_units: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the free parameters."""
        return tuple(p.name for p in self.parameters)

    @property
    def expression(self) -> Node:
        """The formula as a graph, with pins and ties put in."""
        return _expression(
            self.formula, self.axes, tuple(self.pinned.items()), tuple(self.tied.items())
        )

    def scaled_expression(self, scales: Mapping[str, float]) -> Node:
        """Build the formula for scaled axes and loss: a pinned value is divided by its unit."""
        if not self.pinned_units:
            return self.expression
        sizes = {axis(a): const(float(s)) for a, s in scales.items()}
        sizes |= {parameter(n): const(v) for n, v in self.pinned.items()}
        values = {parameter(n): const(v) for n, v in self.pinned.items()}
        for n, unit in self.pinned_units.items():
            size = substitute(parse(unit, axes=(*self.axes, "L")), sizes)
            values[parameter(n)] = mul(values[parameter(n)], power(size, const(-1.0)))
        root = parse(self.formula, axes=self.axes)
        ties = {parameter(old): parameter(new) for old, new in self.tied.items()}
        return substitute(substitute(root, ties), values)

    def __repr__(self) -> str:
        return f"Law({self.name}: {self.formula})"

    def theta(self, values: Mapping[str, float] | npt.ArrayLike) -> Array:
        """Turn named values into a vector in the order of `names` (vectors pass through)."""
        if isinstance(values, Mapping):
            missing = [n for n in self.names if n not in values]
            if missing:
                raise LawError(f"{self.name}: no value for {', '.join(missing)}")
            return np.array([float(values[n]) for n in self.names])
        vector = np.asarray(values, dtype=np.float64)
        if vector.shape[-1:] != (len(self.names),):
            raise LawError(
                f"{self.name}: expected {len(self.names)} values ({', '.join(self.names)}), "
                f"got shape {vector.shape}"
            )
        return vector

    def _leaves(self, theta: npt.NDArray[Any], x: Mapping[str, npt.ArrayLike]) -> dict[str, Any]:
        missing = [a for a in self.axes if a not in x]
        if missing:
            raise LawError(f"{self.name} needs {', '.join(missing)}; given: {', '.join(x)}")
        columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x[a], float)) for a in self.axes))
        data = dict(zip(self.axes, columns, strict=True))
        return data | {n: theta[..., i, None] for i, n in enumerate(self.names)}

    def __call__(
        self, theta: Mapping[str, float] | npt.ArrayLike, x: Mapping[str, npt.ArrayLike]
    ) -> Array:
        """Loss at resources ``x``.

        Parameters
        ----------
        theta
            Named values, or an array of shape (..., p) in the order of `names`.
        x
            Axis name to values of shape (n,), shared by all parameter vectors, or (..., n), a row
            of resources for each of them, or scalars.

        Returns
        -------
        ndarray of shape (..., n)
        """
        vector = self.theta(theta)
        data = self._leaves(vector, x)
        value = evaluate([self.expression], data)[0]
        return np.array(np.broadcast_to(value, self._shape(vector, data)), dtype=np.float64)

    def _shape(self, vector: Array, data: Mapping[str, Any]) -> tuple[int, ...]:
        return (*vector.shape[:-1], data[self.axes[0]].shape[-1])

    def jacobian(
        self, theta: Mapping[str, float] | npt.ArrayLike, x: Mapping[str, npt.ArrayLike]
    ) -> Array:
        """Exact derivatives of the loss, shape (..., n, p)."""
        vector = self.theta(theta)
        data = self._leaves(vector, x)
        columns = evaluate(list(_gradient(self.expression, self.names)), data)
        shape = self._shape(vector, data)
        return np.stack([np.broadcast_to(c, shape) for c in columns], axis=-1).astype(np.float64)

    def slope(
        self, theta: Mapping[str, float] | npt.ArrayLike, x: Mapping[str, npt.ArrayLike], name: str
    ) -> Array:
        """Exact derivative of the loss with respect to one axis, shape (..., n)."""
        vector = self.theta(theta)
        data = self._leaves(vector, x)
        root = derivative(self.expression, axis(name))
        value = evaluate([root], data)[0]
        return np.array(np.broadcast_to(value, self._shape(vector, data)), dtype=np.float64)

    def pin(self, **values: float) -> Law:
        """Return the law with parameters fixed at given values.

        Examples
        --------
        >>> from isoloss.laws import get_law
        >>> get_law("chinchilla").pin(E=1.69).names
        ('A', 'B', 'alpha', 'beta')
        """
        self._known(values)
        kept = tuple(p for p in self.parameters if p.name not in values)
        pins = dict(self.pinned) | {n: float(v) for n, v in values.items()}
        units = {p.name: p.unit for p in self.parameters if p.name in values and p.unit}
        return replace(
            self,
            parameters=kept,
            pinned=pins,
            pinned_units=dict(self.pinned_units) | units,
            special_cases={},
        )

    def tie(self, **same: str) -> Law:
        """Return the law with parameters set equal to others: ``tie(beta="alpha")``."""
        self._known(same)
        self._known(same.values())
        kept = tuple(p for p in self.parameters if p.name not in same)
        if any(target in same for target in same.values()):
            raise LawError("a parameter cannot be tied to one that is itself tied")
        # Earlier ties to a parameter that is now tied itself follow it.
        ties = {old: same.get(target, target) for old, target in self.tied.items()} | same
        new = tuple(replace(p, unit=_rename(p.unit, same)) for p in kept)
        # Equal in the user's units is not equal in scaled units where the two units differ.
        units = {p.name: _rename(p.unit, same) for p in self.parameters}
        alike = all(units[old] == units[target] for old, target in same.items())
        return replace(
            self,
            parameters=new,
            tied=ties,
            pinned_units={n: _rename(u, same) for n, u in self.pinned_units.items()},
            scaled_axes=self.scaled_axes if alike else (),
            special_cases={},
        )

    def bound(self, **bounds: tuple[float, float]) -> Law:
        """Return the law with other bounds on parameters: ``bound(alpha=(0.2, 0.5))``."""
        self._known(bounds)
        new = []
        for p in self.parameters:
            if p.name in bounds:
                lower, upper = (float(b) for b in bounds[p.name])
                p = replace(p, lower=lower, upper=upper)
            new.append(p)
        # Bounds are in the user's units; where the unit depends on other parameters they are no
        # constants in scaled units, so such a law is fitted without scaling.
        plain = any(self._unit_varies(p) for p in self.parameters if p.name in bounds)
        return replace(self, parameters=tuple(new), scaled_axes=() if plain else self.scaled_axes)

    def _unit_varies(self, p: Parameter) -> bool:
        if not p.unit:
            return False
        found = leaves(parse(p.unit, axes=(*self.axes, "L")))
        return any(str(n.value) in self.names for n in found if n.op == "parameter")

    def _known(self, names: Any) -> None:
        unknown = [n for n in names if n not in self.names]
        if unknown:
            raise LawError(
                f"{self.name} has no free parameter {', '.join(map(str, unknown))}; "
                f"it has {', '.join(self.names)}"
            )

    def rescale(self, theta: Array, scales: Mapping[str, float]) -> Array:
        """Parameters fitted in scaled units, (..., p), expressed in the original units.

        ``scales`` maps scaled axes, and ``L`` for the loss, to the size of one scaled unit.
        """
        values: dict[str, Any] = {n: theta[..., i] for i, n in enumerate(self.names)}
        values |= dict(self.pinned) | dict.fromkeys((*self.axes, "L"), 1.0) | dict(scales)
        out = np.array(theta, dtype=np.float64)
        for i, p in enumerate(self.parameters):
            if p.unit:
                unit = _unit(p.unit, (*self.axes, "L"))
                out[..., i] = out[..., i] * evaluate([unit], values)[0]
        return out

    def scales(self, x: Mapping[str, Array], loss: Array) -> dict[str, float]:
        """Geometric means to divide by before fitting; 1 where the law does not allow it."""
        found = dict.fromkeys((*self.axes, "L"), 1.0)
        for name in self.scaled_axes:
            other = _SHARED.get(name, name)
            values = loss if other == "L" else x[other]
            found[name] = float(np.exp(np.mean(np.log(values))))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain description, for the catalogue and for artifacts."""
        return {
            "law": self.name,
            "formula": self.formula,
            "axes": list(self.axes),
            "parameters": [
                {"name": p.name, "lower": p.lower, "upper": p.upper, "meaning": p.meaning}
                for p in self.parameters
            ],
            "pinned": dict(self.pinned),
            "tied": dict(self.tied),
            "source": self.source,
            "description": self.description,
        }


def _rename(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"[A-Za-z_]\w*", lambda m: names.get(m.group(), m.group()), text)


@lru_cache(maxsize=512)
def _expression(
    formula: str,
    axes: tuple[str, ...],
    pinned: tuple[tuple[str, float], ...],
    tied: tuple[tuple[str, str], ...],
) -> Node:
    node = parse(formula, axes=axes)
    # Ties first: what a parameter is tied to may be pinned.
    node = substitute(node, {parameter(old): parameter(new) for old, new in tied})
    return substitute(node, {parameter(n): const(v) for n, v in pinned})


@lru_cache(maxsize=512)
def _unit(text: str, axes: tuple[str, ...]) -> Node:
    return parse(text, axes=axes)


@lru_cache(maxsize=512)
def _gradient(node: Node, names: tuple[str, ...]) -> tuple[Node, ...]:
    return tuple(derivative(node, parameter(n)) for n in names)


def law_from_expression(
    formula: str,
    *,
    axes: tuple[str, ...] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: Mapping[str, tuple[float, float]] | None = None,
    name: str = "expression",
) -> Law:
    """Make a law from a formula; derivatives are derived, never written or approximated.

    Parameters
    ----------
    formula
        For example ``"E + A*N**-alpha + B*D**-beta"``. Names that are no axes become
        parameters, positive unless ``bounds`` says otherwise.
    axes
        Names of measured quantities; by default those of N, D, C, U, x that occur.
    bounds
        Parameter name to (lower, upper).
    starts
        Parameter name to the range that starts are spread over.

    Raises
    ------
    LawError
        With the place of the mistake in the text.

    Examples
    --------
    >>> law_from_expression("E + A*C**-gamma").names
    ('A', 'E', 'gamma')
    """
    if axes is None:
        candidates = ("N", "D", "C", "U", "x")
        found = {str(n.value) for n in leaves(parse(formula, axes=candidates))}
        axes = tuple(a for a in candidates if a in found)
    if not axes:
        raise LawError(f"formula {formula!r} uses none of the axes; name them with axes=...")
    node = parse(formula, axes=axes)
    names = sorted(str(n.value) for n in leaves(node) if n.op == "parameter")
    if not names:
        raise LawError(f"formula {formula!r} has no parameters to fit")
    bounds, starts = bounds or {}, starts or {}
    unknown = [n for n in (*bounds, *starts) if n not in names]
    if unknown:
        raise LawError(f"no parameter {unknown[0]!r} in {formula!r}; it has {', '.join(names)}")
    made = []
    for n in names:
        lower, upper = bounds.get(n, (0.0, math.inf))
        made.append(Parameter(name=n, lower=lower, upper=upper, start=starts.get(n, (0.05, 2.0))))
    return Law(
        name=name,
        formula=formula,
        axes=axes,
        parameters=tuple(made),
        source="given by the user",
    )

"""What a regression is given, checked at the border and put into canonical order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import FitError, InputError
from isoloss.fit.certificate import Reason
from isoloss.fit.units import sizes, span
from isoloss.laws import Law, law_from_expression
from isoloss.laws.calculus import linear_parameters
from isoloss.laws.expression import leaves, parameter, parse

Start = Mapping[str, float]


class Table:
    """Columns in canonical order, so that the order of rows cannot matter, and their law."""

    def __init__(
        self,
        columns: Mapping[str, npt.ArrayLike],
        formula: str | Law,
        response: str,
        bounds: Mapping[str, tuple[float, float]] | None,
        weights: npt.ArrayLike | None,
    ) -> None:
        if response not in columns:
            raise InputError(f"response = {response!r}: the columns are {', '.join(columns)}")
        self.response = response
        y = as_vector(response, columns[response])
        if not y.any():
            raise InputError(f"{response}: every value is zero, so there is nothing to fit")
        self.law = _law(formula, columns, response, bounds)
        x = {a: as_vector(a, columns[a]) for a in self.law.axes}
        self.given = np.ones(len(y)) if weights is None else as_vector("weights", weights)
        for name, values in (*x.items(), ("weights", self.given)):
            if len(values) != len(y):
                raise InputError(
                    f"{name}: {len(values)} values, but {len(y)} of {response}; all columns must "
                    "have one length"
                )
        if (self.given < 0).any() or not self.given.any():
            raise InputError(f"weights: {len(y)} non-negative numbers are needed, not all zero")
        self.order = np.lexsort([self.given, y, *(x[a] for a in reversed(self.law.axes))])
        self.y = y[self.order]
        self.w = self.given[self.order] / self.given.mean()
        self.x = {a: v[self.order] for a, v in x.items()}
        self.size = sizes(self.law, {a: span(v) for a, v in self.x.items()}, span(self.y))
        names = [parameter(n) for n in self.law.names]
        self.nonlinear = len(linear_parameters(self.law.expression, names)) < len(names)
        self.freedom = int(np.sum(self.w > 0)) - len(self.law.names)
        self._check_design()

    def _check_design(self) -> None:
        seen = self.w > 0
        points = np.unique(np.stack([v[seen] for v in self.x.values()], axis=1), axis=0)
        if len(points) < len(self.law.names):
            raise FitError(
                "TOO_FEW_RUNS",
                f"{len(points)} distinct points cannot fix the {len(self.law.names)} parameters "
                f"of {self.law.formula}; add rows or pin parameters",
            )
        rows = np.stack([self.y[seen], *(v[seen] for v in self.x.values())], axis=1)
        times = np.unique(rows, axis=0, return_counts=True)[1]
        self.reasons: list[Reason] = []
        if times.min() > 1:
            self.reasons.append(
                Reason(
                    code="DUPLICATE",
                    message=f"every row stands at least {times.min()} times, as in a table that "
                    "was joined to itself: the standard errors are too small if so; drop the "
                    "copies, or give weights",
                )
            )


def _law(
    formula: str | Law,
    columns: Mapping[str, npt.ArrayLike],
    response: str,
    bounds: Mapping[str, tuple[float, float]] | None,
) -> Law:
    """Take a law, or read a formula; parameters have either sign unless bounds say otherwise."""
    if isinstance(formula, Law):
        law = formula.bound(**bounds) if bounds else formula
    else:
        found = leaves(parse(formula, axes=tuple(columns)))
        used = {str(n.value) for n in found if n.op == "axis"}
        free = {str(n.value): (-math.inf, math.inf) for n in found if n.op == "parameter"}
        law = law_from_expression(
            formula,
            axes=tuple(a for a in columns if a in used),
            bounds=free | dict(bounds or {}),
        )
    missing = [a for a in law.axes if a not in columns]
    if missing:
        raise InputError(
            f"the formula needs {', '.join(missing)}; the columns are {', '.join(columns)}"
        )
    if response in law.axes:
        raise InputError(f"response = {response!r} stands in the formula itself; rename one")
    if not law.names:
        raise InputError(f"{law.name}: every parameter is pinned, so there is nothing to fit")
    return law


def read_starts(law: Law, start: Start | Sequence[Start] | None) -> list[Array]:
    """Read one start, several or none, each in the order of the law's parameters."""
    if start is None:
        return []
    return [_start(law, s) for s in ([start] if isinstance(start, Mapping) else start)]


def _start(law: Law, values: Start) -> Array:
    """Read a start in the order of the law's parameters."""
    unknown = [n for n in values if n not in law.names]
    if unknown:
        raise InputError(f"start: no parameter {unknown[0]!r}; there are {', '.join(law.names)}")
    missing = [n for n in law.names if n not in values]
    if missing:
        raise InputError(f"start: no value for {', '.join(missing)}; give one for each parameter")
    vector = np.empty(len(law.names))
    for i, p in enumerate(law.parameters):
        vector[i] = as_vector(f"start of {p.name}", values[p.name])[0]
        if not p.lower <= vector[i] <= p.upper:
            raise InputError(
                f"start of {p.name} = {vector[i]:g}: must lie within its bounds {p.lower:g} and "
                f"{p.upper:g}; move it or them"
            )
    return vector

"""A law bound to data with every parameter measured in a size of its own.

Laws of the catalogue know how their parameters change with the units of the axes. A formula that
someone typed does not, so its parameters are divided by numbers of their own order instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective
from isoloss.laws import Law
from isoloss.laws.expression import Node, const, mul, parameter, substitute


class SizedLaw(Law):
    """A law whose parameters have units of their own; the sizes come with the scales."""

    __slots__ = ()

    def scaled_expression(self, scales: Mapping[str, float]) -> Node:
        """Build the formula for parameters of order one."""
        inner = {
            parameter(p.name): mul(const(scales[p.unit]), parameter(p.name))
            for p in self.parameters
        }
        return substitute(self.expression, inner)


def sized_kernel(
    law: Law, x: Mapping[str, Array], y: Array, objective: Objective, size: Array
) -> Kernel:
    """Bind data to a law in coordinates where parameters of the given sizes are of order one.

    Sizes are taken to powers of two, so that no digit changes with them, and so that many fits of
    one formula share few compiled ones.
    """
    near = 2.0 ** np.round(np.log2(np.clip(size, 1e-290, 1e290)))
    units = [f"_size_of_{n}" for n in law.names]
    sized = SizedLaw(
        name=law.name,
        formula=law.formula,
        axes=law.axes,
        parameters=tuple(replace(p, unit=u) for p, u in zip(law.parameters, units, strict=True)),
        scaled_axes=("L",),
        pinned=law.pinned,
        tied=law.tied,
    )
    scales = dict.fromkeys((*law.axes, "L"), 1.0) | dict(zip(units, near.tolist(), strict=True))
    return Kernel(sized, x, y, objective, scales=scales)

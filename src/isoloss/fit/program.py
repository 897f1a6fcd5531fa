"""A law compiled: tapes of its value, its first and its second derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws.calculus import derivative, gradient, linear_parameters
from isoloss.laws.expression import (
    ONE,
    ZERO,
    Node,
    exp,
    leaves,
    log,
    mul,
    parameter,
    substitute,
    times,
    topological,
)
from isoloss.laws.tape import Tape

MOST_AMPLITUDES = 4
"""Parameters that are projected out where a law is linear in more than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Tapes of a law, and where its second derivatives go.

    ``outer`` says that the tapes hold the loss and the kernel takes the logarithm: a sum of
    terms has few second derivatives, its logarithm has all of them.

    Where the loss is a sum of amplitudes times shapes and no other parameter is in two shapes,
    ``shapes`` has, by parameter, the shape of an amplitude or the slope of the shape that the
    parameter bends, and ``owners`` the amplitude of the latter: all first derivatives follow for
    any amplitudes.
    """

    value: Tape
    basis: Tape
    first: Tape
    full: Tape
    pairs: list[tuple[int, int]]
    spread: Array
    outer: bool
    shapes: Tape | None
    owners: tuple[int, ...]


@lru_cache(maxsize=128)
def compile_law(
    root: Node,
    names: tuple[str, ...],
    logs: tuple[bool, ...],
    log_loss: bool,
    linear: tuple[int, ...],
) -> Program:
    """Build tapes of (value), (value, gradient) and (value, gradient, Hessian)."""
    inner = {
        parameter(n): exp(parameter(n)) for n, is_log in zip(names, logs, strict=True) if is_log
    }
    value = substitute(root, inner)
    heights = [parameter(names[i]) for i in linear]
    basis = [derivative(value, a) for a in heights]
    # Linear in all of them together: what is left without them is the rest.
    rest = substitute(value, dict.fromkeys(heights, ZERO))
    shapes, owners = _shapes(basis, rest, names, linear)
    outer = log_loss and value.op == "add"
    if log_loss and not outer:
        value = log(value)
    slopes, pairs, second = _derivatives(value, names)
    spread = np.zeros((len(pairs), len(names), len(names)))
    for k, (i, j) in enumerate(pairs):
        spread[k, i, j] = spread[k, j, i] = 1.0
    return Program(
        value=Tape([value], names),
        basis=Tape([*basis, rest], names),
        first=Tape([value, *gradient(value, [parameter(n) for n in names])], names),
        full=Tape([value, *slopes, *second], names),
        pairs=pairs,
        spread=spread.reshape(len(pairs), len(names) ** 2),
        outer=outer,
        shapes=shapes,
        owners=owners,
    )


def _shapes(
    basis: list[Node], rest: Node, names: tuple[str, ...], linear: tuple[int, ...]
) -> tuple[Tape | None, tuple[int, ...]]:
    """See `Program`."""
    if rest is not ZERO:
        return None, ()
    nodes, owners = [], []
    for i, name in enumerate(names):
        if i in linear:
            nodes.append(basis[linear.index(i)])
            continue
        bent = [derivative(shape, parameter(name)) for shape in basis]
        mine = [k for k, slope in enumerate(bent) if slope is not ZERO]
        if len(mine) != 1:
            return None, ()
        nodes.append(bent[mine[0]])
        owners.append(linear[mine[0]])
    return Tape(nodes, names), tuple(owners)


def _derivatives(
    value: Node, names: tuple[str, ...]
) -> tuple[list[Node], list[tuple[int, int]], list[Node]]:
    """Slopes by each parameter, and second derivatives by the pairs that have one."""
    whole, factors = _affine_part(value)
    shared = parameter("(affine part)")
    variables = [shared if n in factors else parameter(n) for n in names]
    factor = [factors.get(n, ONE) for n in names]
    reduced = value if whole is None else substitute(value, {whole: shared})
    back = {} if whole is None else {shared: whole}
    by = {v: derivative(reduced, v) for v in dict.fromkeys(variables)}
    slopes = [times(f, substitute(by[v], back)) for f, v in zip(factor, variables, strict=True)]
    pairs, second = [], []
    bent: dict[tuple[Node, Node], Node] = {}
    for i, v in enumerate(variables):
        memo: dict[Node, Node] = {}
        for j in range(i, len(variables)):
            u = variables[j]
            if (v, u) not in bent:
                bent[v, u] = bent[u, v] = substitute(derivative(by[u], v, memo), back)
            if bent[v, u] is not ZERO:
                pairs.append((i, j))
                second.append(times(mul(factor[i], factor[j]), bent[v, u]))
    return slopes, pairs, second


def _affine_part(value: Node) -> tuple[Node | None, dict[str, Node]]:
    """Find the largest part that mixes parameters which appear nowhere else with data alone.

    As in ``log K - c log x``: all derivatives by such parameters are that by the part, times data.

    Returns
    -------
    Node or None, dict
        The part, and its derivative by each of its parameters.
    """
    for part in reversed(topological([value])):
        mine = [n for n in leaves(part) if n.op == "parameter"]
        if part.op != "add" or len(mine) < 2 or part is value:
            continue
        factors = {str(p.value): derivative(part, p) for p in mine}
        if any(n.op == "parameter" for f in factors.values() for n in leaves(f)):
            continue
        rest = substitute(value, {part: ONE})
        if not any(p in leaves(rest) for p in mine):
            return part, factors
    return None, {}


@lru_cache(maxsize=128)
def amplitudes(root: Node, names: tuple[str, ...]) -> tuple[int, ...]:
    """Find the places of the parameters that the law is linear in, the first few of them."""
    found = linear_parameters(root, [parameter(n) for n in names])
    return tuple(names.index(str(a.value)) for a in found[:MOST_AMPLITUDES])

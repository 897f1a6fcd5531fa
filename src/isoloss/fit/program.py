"""A law compiled: tapes of its value, its first and its second derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws.calculus import derivative, gradient, linear_parameters
from isoloss.laws.expression import ZERO, Node, exp, log, mul, parameter, sub, substitute
from isoloss.laws.tape import Tape

MOST_AMPLITUDES = 4
"""Parameters that are projected out where a law is linear in more than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Tapes of a law, and where its second derivatives go.

    ``outer`` says that the tapes hold the loss and the kernel takes the logarithm: a sum of
    terms has few second derivatives, its logarithm has all of them.
    """

    value: Tape
    basis: Tape
    first: Tape
    full: Tape
    pairs: list[tuple[int, int]]
    spread: Array
    outer: bool


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
    value = rest = substitute(root, inner)
    heights = [parameter(names[i]) for i in linear]
    basis = [derivative(value, a) for a in heights]
    for a, b in zip(heights, basis, strict=True):
        rest = sub(rest, mul(a, b))
    outer = log_loss and value.op == "add"
    if log_loss and not outer:
        value = log(value)
    slopes = [derivative(value, parameter(n)) for n in names]
    pairs, second = [], []
    for i in range(len(names)):
        memo: dict[Node, Node] = {}
        for j in range(i, len(names)):
            node = derivative(slopes[j], parameter(names[i]), memo)
            if node is not ZERO:
                pairs.append((i, j))
                second.append(node)
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
    )


@lru_cache(maxsize=128)
def amplitudes(root: Node, names: tuple[str, ...]) -> tuple[int, ...]:
    """Find the places of the parameters that the law is linear in, the first few of them."""
    found = linear_parameters(root, [parameter(n) for n in names])
    return tuple(names.index(str(a.value)) for a in found[:MOST_AMPLITUDES])

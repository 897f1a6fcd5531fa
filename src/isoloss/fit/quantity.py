"""What a profile holds fixed: a function of the parameters as an exact formula."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from isoloss._core.arrays import Array, as_positive
from isoloss.errors import InputError, LawError
from isoloss.fit.kernel import Kernel
from isoloss.laws.calculus import derivative
from isoloss.laws.expression import (
    Node,
    axis,
    const,
    exp,
    leaves,
    log,
    mul,
    parameter,
    parse,
    sub,
    substitute,
)
from isoloss.laws.tape import evaluate

_V = "fixed value"
_VALUE = axis(_V)


class Quantity:
    r"""An equation :math:`h(q; v) = 0` that says where a quantity of the law is v.

    For a quantity with a formula, :math:`h = g(q) - v`; the best split of a budget is known only
    by such an equation. Derivatives by the internal coordinates q are exact.

    Attributes
    ----------
    name
        For people.
    log
        Whether v is the logarithm of the quantity.
    lower, upper
        Between which v makes sense.
    """

    def __init__(
        self,
        kernel: Kernel,
        equation: Node,
        *,
        name: str,
        log: bool,
        bounds: tuple[float, float] = (-math.inf, math.inf),
    ) -> None:
        self.name, self.log = name, log
        self.lower, self.upper = bounds
        self._names = kernel.law.names
        inner = {
            parameter(n): exp(parameter(n))
            for n, is_log in zip(self._names, kernel.logs, strict=True)
            if is_log
        }
        root = substitute(equation, inner)
        first = [derivative(root, parameter(n)) for n in self._names]
        second = [derivative(d, parameter(n)) for d in first for n in self._names]
        self._nodes = [root, derivative(root, _VALUE), *first, *second]

    def terms(self, q: Array, v: Array) -> tuple[Array, Array, Array, Array]:
        """Return h (B,), its derivative by v (B,), by q (B, p), and second by q (B, p, p)."""
        size, p = q.shape
        data = {n: q[:, i] for i, n in enumerate(self._names)} | {_V: v}
        found = [np.broadcast_to(f, size) for f in evaluate(self._nodes, data)]
        gradient = np.stack(found[2 : 2 + p], axis=-1)
        hessian = np.stack(found[2 + p :], axis=-1).reshape(size, p, p)
        return np.array(found[0]), np.array(found[1]), gradient, hessian

    def reached(self, q: Array, v: Array) -> Array:
        """Value of the quantity at q, (B,), from a v close by."""
        h, slope, _, _ = self.terms(q, v)
        with np.errstate(all="ignore"):
            return np.asarray(v - h / slope)

    def user(self, v: Array) -> Array:
        """Values in the user's units."""
        with np.errstate(over="ignore"):
            return np.exp(v) if self.log else np.asarray(v)


def of_parameters(kernel: Kernel, text: str, *, positive: bool) -> Quantity:
    """Take a parameter, or a formula of parameters such as ``"beta/(alpha + beta)"``.

    ``positive``: whether its value at the optimum is above zero, so that it has a logarithm.
    """
    law = kernel.law
    try:
        node = parse(text, axes=())
    except LawError as error:
        raise InputError(f"quantity = {text!r}: {error}") from None
    known = {*law.names, *law.pinned, *law.tied}
    names = {str(n.value) for n in leaves(node) if n.op == "parameter"}
    if not names or names - known:
        raise InputError(
            f"quantity = {text!r}: write a formula of {', '.join(law.names)}; or 'loss' or "
            "'N_opt' with at=..."
        )
    if not names & {*law.names, *law.tied}:
        raise InputError(f"quantity = {text!r}: it is pinned, not fitted")
    node = substitute(node, {parameter(a): parameter(b) for a, b in law.tied.items()})
    node = substitute(node, {parameter(n): const(v) for n, v in law.pinned.items()})
    node = substitute(node, _natural(kernel))
    if text not in law.names:
        return Quantity(kernel, sub(node, _VALUE), name=text, log=False)
    i = law.names.index(text)
    lower, upper = law.parameters[i].lower, law.parameters[i].upper
    if not (positive and lower >= 0 and _spans_decades(kernel, i)):
        return Quantity(kernel, sub(node, _VALUE), name=text, log=False, bounds=(lower, upper))
    bounds = (math.log(lower) if lower > 0 else -math.inf, math.log(upper))
    return Quantity(kernel, sub(log(node), _VALUE), name=text, log=True, bounds=bounds)


def _natural(kernel: Kernel) -> dict[Node, Node]:
    """Build each parameter in the user's units from those in scaled units, as `Law.rescale`."""
    law = kernel.law
    sizes = {axis(a): const(s) for a, s in kernel.scales.items()}
    sizes |= {parameter(n): const(v) for n, v in law.pinned.items()}
    out = {}
    for p in law.parameters:
        unit = parse(p.unit, axes=(*law.axes, "L")) if p.unit else const(1.0)
        out[parameter(p.name)] = mul(parameter(p.name), substitute(unit, sizes))
    return out


def _spans_decades(kernel: Kernel, i: int) -> bool:
    """Whether a parameter runs over decades, as amplitudes do with their exponents.

    The floor does not, and has to be able to reach zero.
    """
    law, unit = kernel.law, kernel.law.parameters[i].unit
    if not unit:
        return False
    used = {str(n.value) for n in leaves(parse(unit, axes=(*law.axes, "L")))}
    return bool(kernel.logs[i]) or bool(used & set(law.names))


def of_loss(kernel: Kernel, at: Mapping[str, float]) -> Quantity:
    """Mean loss at one point."""
    root = substitute(kernel.root, _point(kernel, at, kernel.law.axes))
    node = sub(log(mul(root, const(kernel.scales["L"]))), _VALUE)
    where = ", ".join(f"{a}={at[a]:g}" for a in kernel.law.axes)
    return Quantity(kernel, node, name=f"loss at {where}", log=True)


def of_split(kernel: Kernel, at: Mapping[str, float], *, flops_per_nd: float) -> Quantity:
    r"""Size of the best model at a budget C = k N D.

    It is where the elasticities of the loss balance:
    :math:`N\,\partial L/\partial N = D\,\partial L/\partial D`.
    """
    law = kernel.law
    if "N" not in law.axes or "D" not in law.axes:
        raise InputError(f"quantity = 'N_opt': {law.name} has no N and D to split compute over")
    rest = tuple(a for a in law.axes if a not in ("N", "D"))
    budget = _point_value(at, "C") / flops_per_nd
    n, d = axis("N"), axis("D")
    balance = sub(mul(n, derivative(kernel.root, n)), mul(d, derivative(kernel.root, d)))
    size = exp(_VALUE)
    split = {
        n: mul(size, const(1 / kernel.scales["N"])),
        d: mul(const(budget / kernel.scales["D"]), exp(mul(const(-1.0), _VALUE))),
    }
    node = substitute(balance, split | _point(kernel, at, rest))
    bounds = (0.0, math.log(budget))
    return Quantity(kernel, node, name=f"N_opt at C={at['C']:g}", log=True, bounds=bounds)


def _point(kernel: Kernel, at: Mapping[str, float], axes: tuple[str, ...]) -> dict[Node, Node]:
    return {axis(a): const(_point_value(at, a) / kernel.scales[a]) for a in axes}


def _point_value(at: Mapping[str, float], name: str) -> float:
    if name not in at:
        raise InputError(f"at: {name} missing; give {name}=...")
    return as_positive(f"at {name}", at[name])

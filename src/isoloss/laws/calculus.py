"""Exact derivatives of formulas by symbolic differentiation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from isoloss.errors import LawError
from isoloss.laws import flow, flow_unique, linear, margin, margin_pruned, ridge
from isoloss.laws.expression import (
    MINUS_ONE,
    ONE,
    ZERO,
    Node,
    add,
    call,
    const,
    exp,
    mul,
    power,
    sub,
    topological,
)

_TABLES = flow.OPERATIONS | flow_unique.OPERATIONS | linear.OPERATIONS
_TABLES |= margin.OPERATIONS | margin_pruned.OPERATIONS


def derivative(node: Node, variable: Node, memo: dict[Node, Node] | None = None) -> Node:
    """Partial derivative of a formula with respect to a parameter.

    Examples
    --------
    >>> from isoloss.laws.expression import parse, parameter
    >>> derivative(parse("3*a**2", axes=[]), parameter("a")) is parse("6*a", axes=[])
    True
    """
    memo = {} if memo is None else memo
    for n in topological([node], memo):
        if n is variable:
            memo[n] = ONE
        elif not n.args:
            memo[n] = ZERO
        else:
            memo[n] = _rule(n, [memo[a] for a in n.args])
    return memo[node]


def gradient(node: Node, variables: Sequence[Node]) -> list[Node]:
    """Partial derivatives with respect to several parameters, from the root downwards.

    One pass for all of them, and fewer operations than one `derivative` each.

    Examples
    --------
    >>> from isoloss.laws.expression import parse, parameter
    >>> formula = parse("3*a**2 + b", axes=[])
    >>> gradient(formula, [parameter("a"), parameter("b")]) == [parse("6*a", axes=[]), ONE]
    True
    """
    order = topological([node])
    depends = set(variables)
    for n in order:
        if not depends.isdisjoint(n.args):
            depends.add(n)
    above = {node: ONE}
    for n in reversed(order):
        if n not in above:
            continue
        for i, a in enumerate(n.args):
            if a in depends:
                part = _rule(n, [ONE if j == i else ZERO for j in range(len(n.args))])
                term = mul(above[n], part)
                above[a] = add(above[a], term) if a in above else term
    return [above.get(v, ZERO) for v in variables]


def _rule(n: Node, d: list[Node]) -> Node:
    if all(x is ZERO for x in d):
        return ZERO
    a = n.args[0]
    match n.op:
        case "add":
            return add(*d)
        case "mul":
            b = n.args[1]
            return add(mul(d[0], b), mul(a, d[1]))
        case "pow":
            c = n.args[1]
            if c is MINUS_ONE:
                return mul(MINUS_ONE, mul(mul(n, n), d[0]))
            return mul(mul(c, power(a, add(c, MINUS_ONE))), d[0])
        case "exp":
            return mul(n, d[0])
        case "log":
            return mul(d[0], power(a, MINUS_ONE))
        case "sin":
            return mul(call("cos", a), d[0])
        case "cos":
            return mul(mul(MINUS_ONE, call("sin", a)), d[0])
        case "atan":
            return mul(d[0], power(add(ONE, mul(a, a)), MINUS_ONE))
        case "tan":
            return mul(d[0], add(ONE, mul(n, n)))
        case "asin" | "acos":
            slope = power(sub(ONE, mul(a, a)), const(-0.5))
            return mul(d[0], slope if n.op == "asin" else mul(MINUS_ONE, slope))
        case "sinh":
            return mul(call("cosh", a), d[0])
        case "cosh":
            return mul(call("sinh", a), d[0])
        case "expm1":
            return mul(add(n, ONE), d[0])
        case "log1p":
            return mul(d[0], power(add(ONE, a), MINUS_ONE))
        case "erf":
            return mul(d[0], mul(const(2 / math.sqrt(math.pi)), exp(mul(MINUS_ONE, mul(a, a)))))
        case "tanh":
            return mul(d[0], sub(ONE, mul(n, n)))
        case "less":
            return ZERO
        case "min" | "max":
            b = n.args[1]
            first = call("less", a, b) if n.op == "min" else call("less", b, a)
            return add(d[1], mul(first, sub(d[0], d[1])))
        case "logistic":
            return mul(mul(n, call("logistic", mul(MINUS_ONE, a))), d[0])
        case "log_odds":
            # With u the logistic of n, log u - alpha log(1 - u) = kappa, so
            # dn = (dkappa + log(1 - u) dalpha) / (1 - u + alpha u).
            u, rest = call("logistic", n), call("logistic", mul(MINUS_ONE, n))
            slope = power(add(rest, mul(n.args[1], u)), MINUS_ONE)
            return mul(slope, add(d[0], mul(call("log_logistic", mul(MINUS_ONE, n)), d[1])))
        case "log_logistic":
            return mul(call("logistic", mul(MINUS_ONE, a)), d[0])
        case "stationary":
            return ridge.slope_of_excess(n, d)
        case "best_kappa":
            return ridge.slope_of_kappa(n, d)
        case "rank0" | "rank1" | "rank2":
            return ridge.slope_of_rank(n, d)
        case name if name in _TABLES:
            return flow.slope(n, d, _TABLES[name])
    raise LawError(f"no derivative is known for {n.op!r}")


def linear_parameters(node: Node, parameters: list[Node]) -> list[Node]:
    """Find parameters in which the formula is jointly linear (amplitudes), first ones first.

    These can be projected out: given the others, their best values solve a linear problem.
    """
    chosen: list[Node] = []
    for p in parameters:
        slope = derivative(node, p)
        if slope is ZERO:
            continue
        if all(derivative(slope, q) is ZERO for q in [*chosen, p]):
            chosen.append(p)
    return chosen

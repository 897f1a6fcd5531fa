"""Formulas as immutable graphs, and the parser that reads them from text.

Text is never evaluated by Python: a small recursive-descent parser accepts numbers, names,
``+ - * / ** ^``, parentheses and a fixed list of functions, and builds `Node` objects. Equal
sub-expressions are the same object, so derivatives share work.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from isoloss.errors import LawError

MAX_LENGTH = 4_000
MAX_DEPTH = 60
FUNCTIONS = (
    *("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "abs", "erf"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
    *("min", "max", "saturate", "best_ridge", "flow", "flow_unique"),
    *("margin", "margin_hard", "margin_easy", "signal_left", "noise_learned"),
)
ALIASES = {"ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan"}


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation of a formula; compare by identity.

    ``op`` is ``const``, ``axis``, ``parameter``, ``add``, ``mul``, ``pow`` (constant exponent),
    ``less`` (1 where the first is smaller), ``logistic``, ``log_odds`` (the logistic of which is
    what ``saturate`` means), ``rank0`` to ``rank3``, ``best_kappa`` and ``stationary`` (of which
    `isoloss.laws.ridge` makes ``best_ridge``), ``flow000`` to ``flow300`` and
    ``overfit0000`` to ``overfit3000`` (of which `isoloss.laws.flow` and `flow_unique` make
    ``flow`` and ``flow_unique``), the tables of `isoloss.laws.margin`, `margin_pruned` and
    `linear`, or one of `FUNCTIONS` but ``saturate``, ``best_ridge``, ``flow``, ``flow_unique``,
    ``signal_left``, ``noise_learned``, those that begin with ``margin``, ``sqrt``, ``abs``,
    ``log2`` and ``log10``, which are made of the others.
    """

    op: str
    args: tuple[Node, ...]
    value: float | str | None
    serial: int


_interned: dict[tuple[object, ...], Node] = {}
_serial = count()


def _node(op: str, *args: Node, value: float | str | None = None) -> Node:
    key = (op, *(a.serial for a in args), value)
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = Node(op, args, value, next(_serial))
    return found


def const(value: float) -> Node:
    """Build a number; a number too large for float64 is an error."""
    if not math.isfinite(value):
        raise LawError(f"a constant of the formula is not a finite number: {value}")
    return _node("const", value=float(value))


def axis(name: str) -> Node:
    """Build a measured quantity, such as N or D."""
    return _node("axis", value=name)


def parameter(name: str) -> Node:
    """Build an unknown of the law."""
    return _node("parameter", value=name)


ZERO, ONE, MINUS_ONE = const(0.0), const(1.0), const(-1.0)


def _number(node: Node) -> float | None:
    return node.value if node.op == "const" and isinstance(node.value, float) else None


def add(a: Node, b: Node) -> Node:
    """Build a sum."""
    x, y = _number(a), _number(b)
    if x is not None and y is not None:
        return const(x + y)
    if x == 0.0:
        return b
    if y == 0.0:
        return a
    if a.serial > b.serial:
        a, b = b, a
    return _node("add", a, b)


def mul(a: Node, b: Node) -> Node:
    """Build a product; numbers are moved to the front."""
    x, y = _number(a), _number(b)
    if x is not None and y is not None:
        return const(x * y)
    if y is not None:
        a, b, x, y = b, a, y, x
    if x == 0.0:
        return ZERO
    if x == 1.0:
        return b
    if x is not None and b.op == "mul" and (z := _number(b.args[0])) is not None:
        return mul(const(x * z), b.args[1])
    if x is None:
        if a.op == "mul" and _number(a.args[0]) is not None:
            return mul(a.args[0], mul(a.args[1], b))
        if b.op == "mul" and _number(b.args[0]) is not None:
            return mul(b.args[0], mul(a, b.args[1]))
        if a.serial > b.serial:
            a, b = b, a
    return _node("mul", a, b)


def times(factor: Node, node: Node) -> Node:
    """Build a product and leave the numbers in the factor, which is one of data alone."""
    return mul(factor, node) if _number(factor) is not None else _node("mul", factor, node)


def sub(a: Node, b: Node) -> Node:
    """Build a difference."""
    return add(a, mul(MINUS_ONE, b))


def exp(a: Node) -> Node:
    """Build an exponential."""
    x = _number(a)
    if x is not None:
        try:
            return const(math.exp(x))
        except OverflowError as error:
            raise LawError(f"exp({x}) is not a finite number") from error
    if a.op == "log":
        return a.args[0]
    return _node("exp", a)


def log(a: Node) -> Node:
    """Build a natural logarithm; products of exponentials are split so they cannot overflow."""
    x = _number(a)
    if x is not None:
        if x <= 0:
            raise LawError(f"log of {x}: the argument must be positive")
        return const(math.log(x))
    if a.op == "exp":
        return a.args[0]
    if a.op == "mul" and any(_is_positive(b) for b in a.args):
        first, second = a.args if _is_positive(a.args[0]) else a.args[::-1]
        return add(log(first), log(second))
    if a.op == "pow" and _is_positive(a.args[0]):
        return mul(a.args[1], log(a.args[0]))
    return _node("log", a)


def _is_positive(a: Node) -> bool:
    x = _number(a)
    return a.op == "exp" or (x is not None and x > 0)


def power(base: Node, exponent: Node) -> Node:
    """Build ``base ** exponent``; a non-constant exponent needs a positive base."""
    y, x = _number(exponent), _number(base)
    if y is None:
        return exp(mul(exponent, log(base)))
    if y == 0.0:
        return ONE
    if y == 1.0:
        return base
    if x is not None:
        try:
            result = x**y
        except (OverflowError, ZeroDivisionError) as error:
            raise LawError(f"{x}**{y} is not a finite number") from error
        if isinstance(result, complex):
            raise LawError(f"{x}**{y} is not a real number")
        return const(result)
    if base.op == "exp":
        return exp(mul(exponent, base.args[0]))
    return _node("pow", base, exponent)


def merged_product(a: Node, b: Node) -> Node:
    """Build a product in which ``exp(u) * exp(v)`` becomes ``exp(u + v)``.

    Used when a law is built, where it saves range; not in derivatives, where ``exp(u)`` is
    already at hand and a new exponential would cost more than the product.
    """
    if a.op == "exp" and b.op == "exp":
        return exp(add(a.args[0], b.args[0]))
    return mul(a, b)


def call(name: str, *args: Node) -> Node:
    """Build one of `FUNCTIONS` by name."""
    if name == "exp":
        return exp(args[0])
    if name == "log":
        return log(args[0])
    if name == "sqrt":
        return power(args[0], const(0.5))
    if name == "saturate":
        return _node("logistic", _node("log_odds", *args))
    if name == "best_ridge":
        from isoloss.laws.ridge import excess

        return excess(*args)
    if name == "flow":
        from isoloss.laws import flow

        return flow.excess(*args)
    if name == "flow_unique":
        from isoloss.laws import flow_unique

        return flow_unique.excess(*args)
    if name == "margin":
        from isoloss.laws import margin

        return margin.excess(*args)
    if name in ("margin_hard", "margin_easy"):
        from isoloss.laws.margin_pruned import KEPT

        return KEPT[name.removeprefix("margin_")].excess(*args)
    if name in ("signal_left", "noise_learned"):
        from isoloss.laws import linear

        return linear.signal_left(*args) if name == "signal_left" else linear.noise_learned(*args)
    if name == "abs":
        return _node("max", args[0], mul(MINUS_ONE, args[0]))
    if name in ("log2", "log10"):
        return mul(const(1 / math.log(2.0 if name == "log2" else 10.0)), log(args[0]))
    return _node(name, *args)


def topological(roots: Sequence[Node], known: Collection[Node] = ()) -> list[Node]:
    """All nodes below the roots but not below known ones, arguments before users.

    Without recursion: a sum of a thousand terms is deeper than Python calls may nest.
    """
    order: list[Node] = []
    seen: set[Node] = set(known)
    stack: list[tuple[Node, bool]] = [(r, False) for r in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((a, False) for a in node.args if a not in seen)
    return order


def leaves(node: Node) -> set[Node]:
    """All axes and parameters below a node."""
    return {n for n in topological([node]) if n.op in ("axis", "parameter")}


def substitute(node: Node, values: Mapping[Node, Node]) -> Node:
    """Replace nodes by others and simplify again."""
    done: dict[Node, Node] = dict(values)
    for n in topological([node], done):
        args = [done[a] for a in n.args]
        match n.op:
            case "const" | "axis" | "parameter":
                done[n] = n
            case "add":
                done[n] = add(*args)
            case "mul":
                done[n] = merged_product(*args)
            case "pow":
                done[n] = power(*args)
            case _:
                done[n] = call(n.op, *args)
    return done[node]


_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<op>\*\*|[-+*/^(),]))"
)
_ARITY = dict.fromkeys((*FUNCTIONS, *ALIASES), 1)
_ARITY |= {"min": 2, "max": 2, "saturate": 2, "best_ridge": 4, "flow": 4, "flow_unique": 5}
_ARITY |= {"margin_hard": 3, "margin_easy": 3, "signal_left": 2, "noise_learned": 2}


class _Parser:
    def __init__(self, text: str, axes: Collection[str]) -> None:
        self.text, self.axes = text, set(axes)
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                bad = text[position:].lstrip()
                raise self.error(f"unexpected character {bad[0]!r}", len(text) - len(bad))
            self.tokens.append(
                (match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
            )
            position = match.end()
        self.tokens.append(("end", "end of the formula", len(text)))
        self.i = 0
        self.depth = 0

    def error(self, message: str, position: int | None = None) -> LawError:
        where = self.tokens[self.i][2] if position is None else position
        return LawError(f"formula {self.text!r}: {message} at character {where + 1}")

    def take(self, *operators: str) -> str | None:
        kind, value, _ = self.tokens[self.i]
        if kind == "op" and value in operators:
            self.i += 1
            return value
        return None

    def expect(self, operator: str) -> None:
        if not self.take(operator):
            raise self.error(f"expected {operator!r}, found {self.tokens[self.i][1]!r}")

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} deep")
        node = self.product()
        while operator := self.take("+", "-"):
            other = self.product()
            node = add(node, other) if operator == "+" else sub(node, other)
        self.depth -= 1
        return node

    def product(self) -> Node:
        node = self.signed()
        while operator := self.take("*", "/"):
            other = self.signed()
            if operator == "/":
                if _number(other) == 0.0:
                    raise self.error("division by zero")
                other = power(other, MINUS_ONE)
            node = merged_product(node, other)
        return node

    def signed(self) -> Node:
        sign = ONE
        while operator := self.take("+", "-"):
            if operator == "-":
                sign = mul(sign, MINUS_ONE)
        return mul(sign, self.power())

    def power(self) -> Node:
        base = self.atom()
        if self.take("**", "^"):
            # Right-associative, and a sign may follow: N**-alpha, 2**3**2 = 2**9.
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.error(f"nested more than {MAX_DEPTH} deep")
            exponent = self.signed()
            self.depth -= 1
            return power(base, exponent)
        return base

    def atom(self) -> Node:
        kind, value, _ = self.tokens[self.i]
        if kind == "number":
            self.i += 1
            if not math.isfinite(float(value)):
                raise self.error(f"{value} is too large a number")
            return const(float(value))
        if self.take("("):
            node = self.sum()
            self.expect(")")
            return node
        if kind == "name":
            self.i += 1
            if self.take("("):
                return self.function(value)
            if value == "pi":
                return const(math.pi)
            if value in _ARITY:
                raise self.error(f"{value} is a function: write {value}(...)")
            return axis(value) if value in self.axes else parameter(value)
        raise self.error(f"expected a number, a name or '(', found {value!r}")

    def function(self, name: str) -> Node:
        if name not in _ARITY:
            raise self.error(f"unknown function {name!r}; known: {', '.join(FUNCTIONS)}")
        args = [self.sum()]
        while self.take(","):
            args.append(self.sum())
        self.expect(")")
        if len(args) != _ARITY[name]:
            raise self.error(f"{name} takes {_ARITY[name]} argument(s), got {len(args)}")
        return call(ALIASES.get(name, name), *args)


def parse(text: str, *, axes: Collection[str]) -> Node:
    """Read a formula; every name that is no axis, function or ``pi`` is a parameter.

    Parameters
    ----------
    text
        For example ``E + A*N**-alpha + B*D**-beta``; ``^`` means ``**``.
    axes
        Names of measured quantities.

    Raises
    ------
    LawError
        With the place of the mistake.

    Examples
    --------
    >>> node = parse("E + A*N**-alpha", axes=["N"])
    >>> sorted(str(leaf.value) for leaf in leaves(node))
    ['A', 'E', 'N', 'alpha']
    """
    if len(text) > MAX_LENGTH:
        raise LawError(f"formula of {len(text)} characters: at most {MAX_LENGTH} are read")
    if not text.strip():
        raise LawError("the formula is empty; write for example 'E + A*N**-alpha'")
    parser = _Parser(text, axes)
    node = parser.sum()
    if parser.tokens[parser.i][0] != "end":
        raise parser.error(f"unexpected {parser.tokens[parser.i][1]!r}")
    return node

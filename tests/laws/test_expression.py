"""The parser: what it reads is what arithmetic says, and what it refuses it refuses by name."""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import LawError
from isoloss.laws.calculus import derivative, linear_parameters
from isoloss.laws.expression import MAX_DEPTH, MAX_LENGTH, leaves, parameter, parse, topological
from isoloss.laws.law import law_from_expression
from isoloss.laws.tape import evaluate


def value(text: str, **names: float) -> float:
    return float(evaluate([parse(text, axes=[])], names)[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2*3", 7.0),
        ("(1 + 2)*3", 9.0),
        ("8/4/2", 1.0),
        ("8 - 4 - 2", 2.0),
        ("2**3**2", 512.0),
        ("2^3^2", 512.0),
        ("-2**2", -4.0),
        ("(-2)**2", 4.0),
        ("2**-1", 0.5),
        ("2**-2**2", 0.0625),
        ("--3", 3.0),
        ("-+-3", 3.0),
        ("2*-3", -6.0),
        ("6/-2", -3.0),
        (".5 + 5. + 1e2 + 1E-2", 105.51),
        ("  1  +1 ", 2.0),
        ("pi", math.pi),
        ("sqrt(16) + exp(0) + log(1)", 5.0),
        ("max(1, 2) - min(1, 2)", 1.0),
        ("sin(0.3)**2 + cos(0.3)**2", 1.0),
        ("atan(1)*4", math.pi),
        ("tanh(0.5)", math.tanh(0.5)),
        ("tan(0.5) - sin(0.5)/cos(0.5)", 0.0),
        ("arctan(1)*4 - 2*arcsin(1)", 0.0),
        ("asin(0.3) + acos(0.3)", math.pi / 2),
        ("cosh(0.4)**2 - sinh(0.4)**2", 1.0),
        ("expm1(1e-12)", math.expm1(1e-12)),
        ("log1p(1e-12)", math.log1p(1e-12)),
        ("log10(1000) + log2(8) + ln(1)", 6.0),
        ("log10(x*50)", 2.0),
        ("abs(-2) + abs(x - y)", 3.0),
        ("erf(0.7)", math.erf(0.7)),
        ("3*x/x", 3.0),
        ("x**y", 8.0),
        ("x**0", 1.0),
    ],
)
def test_precedence_and_functions(text: str, expected: float) -> None:
    assert value(text, x=2.0, y=3.0) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("E + $", "unexpected character '\\$'", 5),
        ("E +", "expected a number, a name or '\\('", 4),
        ("E + A*(N", "expected '\\)'", 9),
        ("E A", "unexpected 'A'", 3),
        ("E + )", "found '\\)'", 5),
        ("foo(N)", "unknown function 'foo'", 5),
        ("exp + 1", "exp is a function", 5),
        ("min(1)", "min takes 2 argument", 7),
        ("exp(1, 2)", "exp takes 1 argument", 10),
        ("1/0", "division by zero", 4),
        ("1e999", "too large a number", 6),
        ("__import__('os')", "unexpected character", 12),
        ("lambda: 0", "unexpected character ':'", 7),
        ("[x for x in y]", "unexpected character '\\['", 1),
        ("x.__class__", "unexpected character '\\.'", 2),
        ("x; y", "unexpected character ';'", 2),
        ("a = 1", "unexpected character '='", 3),
        ("x if y else z", "unexpected 'if'", 3),
        ("1_000", "unexpected '_000'", 2),
        ("f'{x}'", 'unexpected character "\'"', 2),
        ("x\x00y", "unexpected character", 2),
        ("()", "found '\\)'", 2),
    ],
)
def test_errors_name_the_mistake_and_its_place(text: str, message: str, place: int) -> None:
    with pytest.raises(LawError, match=message) as caught:
        parse(text, axes=["N"])
    assert str(caught.value).endswith(f"at character {place}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "exp(1e9)",
        "1e308*10",
        "2**1e10",
        "0**-1",
        "(-8)**0.5",
        "log(0)",
        "log(-1)",
        "9**9**9**9",
        "1e308 + 1e308",
        "sqrt(-1)",
        "exp(exp(exp(9)))",
        "1",
        "N",
    ],
)
def test_hostile_or_meaningless_formulas_are_law_errors(text: str) -> None:
    with pytest.raises(LawError):
        law_from_expression(text, axes=("N",))


def test_depth_is_limited_before_python_is() -> None:
    ok = MAX_DEPTH - 1
    assert value("(" * ok + "1" + ")" * ok) == 1.0
    for text in ("(" * 500 + "1" + ")" * 500, "**".join(["x"] * 500), "exp(" * 500 + "1"):
        with pytest.raises(LawError, match="nested more than"):
            parse(text, axes=[])


def test_length_is_limited() -> None:
    assert parse("1" + " " * (MAX_LENGTH - 1), axes=[]).value == 1.0
    with pytest.raises(LawError, match=f"at most {MAX_LENGTH}"):
        parse("1" + "+1" * MAX_LENGTH, axes=[])


def test_long_sums_and_sign_runs_do_not_exhaust_the_stack() -> None:
    axes = tuple(f"x{i}" for i in range(600))
    text = f"a*({'+'.join(axes)})" + "-" * 501 + "b"
    node = parse(text, axes=axes)
    leaf = dict.fromkeys(axes, 1.0) | {"a": 2.0, "b": 5.0}
    assert evaluate([node, derivative(node, parameter("a"))], leaf) == [1195.0, 600.0]
    pinned = law_from_expression(text, axes=axes).pin(b=5.0)
    assert pinned([2.0], dict.fromkeys(axes, 1.0)) == 1195.0


def test_names_are_axes_or_parameters() -> None:
    found = {(n.op, n.value) for n in leaves(parse("E + A*N**-alpha + pi", axes=["N"]))}
    assert found == {
        ("parameter", "E"),
        ("parameter", "A"),
        ("axis", "N"),
        ("parameter", "alpha"),
    }


def test_equal_formulas_are_one_object_and_arguments_come_first() -> None:
    a, b = parse("B*D**-beta + E", axes=["D"]), parse("E + D**(-beta)*B", axes=["D"])
    assert a is b
    order = topological([a])
    assert order[-1] is a
    assert all(order.index(x) < order.index(n) for n in order for x in n.args)


def test_amplitudes_are_found() -> None:
    node = parse("E + A*N**-alpha + B*D**-beta + A*B*0", axes=["N", "D"])
    names = [parameter(n) for n in ("E", "A", "B", "alpha", "beta")]
    assert [n.value for n in linear_parameters(node, names)] == ["E", "A", "B"]
    bilinear = parse("A*B*N", axes=["N"])
    assert [n.value for n in linear_parameters(bilinear, names[1:3])] == ["A"]


# A tree of formulas with its value by plain float arithmetic, independent of the library.
Tree = tuple[Any, ...]
X = {"x": 1.7, "y": 0.6, "z": 2.3}
_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
_LEVEL = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "**": 4}

_PLAIN = ["exp", "expm1", "tanh", "atan", "sin", "cos", "tan", "sinh", "cosh", "erf"]
numbers = st.floats(0.1, 9.0).map(lambda v: ("number", repr(v)))
names = st.sampled_from(sorted(X)).map(lambda n: ("name", n))
trees = st.recursive(
    numbers | names,
    lambda sub: (
        st.tuples(st.sampled_from(["+", "-", "*", "/"]), sub, sub)
        | st.tuples(st.just("**"), names, sub)
        | st.tuples(st.just("neg"), sub)
        | st.tuples(st.sampled_from(_PLAIN), sub)
        | st.tuples(st.sampled_from(["min", "max"]), sub, sub)
    ),
    max_leaves=12,
)


def reckon(tree: Tree) -> float:
    kind, *rest = tree
    if kind == "number":
        return float(rest[0])
    if kind == "name":
        return X[rest[0]]
    args = [reckon(t) for t in rest]
    if kind in _OPERATIONS:
        return _OPERATIONS[kind](*args)
    if kind == "neg":
        return -args[0]
    if kind in ("min", "max"):
        return min(args) if kind == "min" else max(args)
    return float(getattr(math, kind)(args[0]))


def write(tree: Tree, level: int = 0) -> str:
    """Text with no more parentheses than precedence asks for."""
    kind, *rest = tree
    if kind in ("number", "name"):
        return str(rest[0])
    if kind not in _LEVEL:
        return f"{kind}({', '.join(write(t) for t in rest)})"
    mine = _LEVEL[kind]
    if kind == "neg":
        text = "-" + write(rest[0], 4)
    elif kind == "**":
        # Left of a power only atoms; right of it a sign or another power may stand bare.
        text = write(rest[0], 5) + "**" + write(rest[1], 3)
    else:
        text = write(rest[0], mine) + kind + write(rest[1], mine + 1)
    return f"({text})" if mine < level else text


@settings(max_examples=300, deadline=None)
@given(trees)
def test_random_formulas_have_the_value_of_plain_arithmetic(tree: Tree) -> None:
    try:
        expected = reckon(tree)
    except (OverflowError, ZeroDivisionError):
        return
    if isinstance(expected, complex) or not math.isfinite(expected):
        return
    try:
        found = value(write(tree), **X)
    except LawError:
        # Constants are folded when read: only then may a part of it have left the floats.
        return
    # The order of sums may change: compare on the scale of the largest part.
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 * largest(tree))


@pytest.mark.parametrize(
    "text",
    [
        "exp(p*x)",
        "log(p + x)",
        "sqrt(p*x)",
        "sin(p*x)",
        "cos(p*x)",
        "atan(p*x)",
        "tanh(p*x)",
        "tan(p*x)",
        "asin(p*x/3)",
        "acos(p*x/3)",
        "sinh(p*x)",
        "cosh(p*x)",
        "expm1(p*x)",
        "log1p(p*x)",
        "log2(p + x)",
        "log10(p + x)",
        "erf(p*x)",
        "abs(p - x)*p",
        "min(p*x, p**2)",
        "max(p*x, p**2)",
        "saturate(p*x, 0.4)",
        "saturate(0.3, p*x)",
        "x**p",
        "p**x",
        "p**-3",
        "p*x/(p + exp(p))",
        "(p - x)**3",
        "saturate(p, p)*min(p, x)",
    ],
)
def test_derivatives_of_every_function(text: str) -> None:
    p, x, step = 0.7, np.array([0.3, 1.1, 2.6]), 1e-30
    node = parse(text, axes=["x"])
    first = derivative(node, parameter("p"))
    second = derivative(first, parameter("p"))
    for formula, slope in ((node, first), (first, second)):
        exact = np.imag(evaluate([formula], {"p": p + 1j * step, "x": x})[0]) / step
        found = evaluate([slope], {"p": p, "x": x})[0]
        np.testing.assert_allclose(np.broadcast_to(found, 3), exact, rtol=1e-12, atol=1e-14)


def largest(tree: Tree) -> float:
    parts = [largest(t) for t in tree[1:] if isinstance(t, tuple)]
    try:
        return max([abs(reckon(tree)), *parts])
    except (OverflowError, ZeroDivisionError, TypeError):
        return math.inf


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(LawError):
        parse(text, axes=["N"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*"()+-*/^,.1e9NxE ", "exp", "log", "**"]), max_size=30))
def test_any_tokens_are_read_or_refused(parts: list[str]) -> None:
    with contextlib.suppress(LawError):
        parse("".join(parts), axes=["N"])

"""What a formula says about its parameters, and the starts made of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from isoloss.fit.guess import Guesser
from isoloss.fit.units import exponents, locations, sizes, span, waves
from isoloss.laws import Law, law_from_expression

FREE = (-math.inf, math.inf)


def law(formula: str, *names: str, axes: tuple[str, ...] = ("x",)) -> Law:
    return law_from_expression(formula, axes=axes, bounds=dict.fromkeys(names, FREE))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        # Powers of x and of the response, by name of the parameter.
        ("a*(1 - exp(-b*x))", {"a": (0, 1), "b": (-1, 0)}),
        ("(a + b*x + c*x**2)/(1 + d*x)", {"a": (0, 1), "b": (-1, 1), "c": (-2, 1), "d": (-1, 0)}),
        ("a*exp(-(x - m)**2/s**2)", {"a": (0, 1), "m": (1, 0), "s": (1, 0)}),
        ("a*exp(b/(x + c))", {"a": (0, 1), "b": (1, 0), "c": (1, 0)}),
        ("a + b*sin(2*pi*x/p + q)", {"a": (0, 1), "b": (0, 1), "p": (1, 0), "q": (0, 0)}),
        ("a*tanh(k*x)", {"a": (0, 1), "k": (-1, 0)}),
        ("max(a, b*x)", {"a": (0, 1), "b": (-1, 1)}),
        ("a*(x - 32)", {"a": (-1, 1)}),
        ("a*x/12", {"a": (-1, 1)}),
        ("a*(b + x)**(-1/c)", {"a": (0, 1), "b": (1, 0), "c": (0, 0)}),
    ],
)
def test_units_follow_from_the_formula(formula: str, expected: dict[str, Any]) -> None:
    form = law(formula)
    found = dict(zip(form.names, exponents(form).round(9).tolist(), strict=True))
    assert {n: tuple(v) for n, v in found.items()} == expected


def test_units_of_several_axes() -> None:
    form = law("a - b*u*exp(-c*v)", axes=("u", "v"))
    np.testing.assert_allclose(exponents(form), [[0, 0, 1], [-1, 0, 1], [0, -1, 0]], atol=1e-9)
    found = sizes(form, {"u": 10.0, "v": 4.0}, 6.0)
    np.testing.assert_allclose(found, [6.0, 0.6, 0.25], rtol=1e-9)


def test_places_and_waves() -> None:
    x = {"x": np.array([-3.0, 1.0, 7.0])}
    form = law("a*exp(-(x - m)**2) + b/(c + x) + d*x")
    places = {form.names[i]: v for i, v in locations(form, x).items()}
    assert places == {"m": (-3.0, 7.0), "c": (-7.0, 3.0)}
    form = law("a*sin(w*x + p) + b*cos(c) + exp(d*x)")
    assert [form.names[i] for i in waves(form)] == ["p", "w"]


def test_span() -> None:
    assert span(np.array([-3.0, 5.0])) == 8.0
    assert span(np.array([-3.0, -3.0])) == 3.0
    assert span(np.zeros(3)) == 1.0


def guesser(formula: str, **bounds: tuple[float, float]) -> Guesser:
    x = np.linspace(0.0, 5.0, 30)
    y = 3 * np.exp(-0.9 * x) - 1
    form = law_from_expression(
        formula, axes=("x",), bounds=dict.fromkeys(("a", "b", "k"), FREE) | bounds
    )
    size = sizes(form, {"x": span(x)}, span(y))
    return Guesser(form, {"x": x}, y, np.ones(30), size)


def test_trials_are_solved_for_what_is_linear() -> None:
    own = guesser("a*exp(-k*x) + b")
    assert [own.law.names[i] for i in own.linear] == ["a", "b"]
    solved, value = own.solved(np.array([[9.0, 9.0, 0.9], [9.0, 9.0, 2.0]]))
    np.testing.assert_allclose(solved[0], [3.0, -1.0, 0.9], rtol=1e-6)
    assert value[0] < 1e-9 < value[1]
    design = np.stack([np.exp(-2 * own.x["x"]), np.ones(30)], axis=1)
    best, rss, *_ = np.linalg.lstsq(design, own.y)
    np.testing.assert_allclose(solved[1, :2], best, rtol=1e-6)
    assert value[1] == pytest.approx(rss[0], rel=1e-6)


def test_trials_have_either_sign_and_stay_in_bounds() -> None:
    trial = guesser("a*exp(-k*x) + b").spread()[:, 2]
    assert trial.min() < -1 < 1 < trial.max()
    assert guesser("a*exp(-k*x) + b", k=(0.0, math.inf)).spread()[:, 2].min() > 0
    narrow = guesser("a*exp(-k*x) + b", k=(0.4, 0.5)).spread()[:, 2]
    assert 0.4 <= narrow.min() < 0.41 < 0.49 < narrow.max() <= 0.5
    around = guesser("a*exp(-k*x) + b").around(np.array([1.0, 1.0, -0.2]), 10.0)[:, 2]
    assert -2.0 <= around.min() < -1.8
    assert -0.022 < around.max() <= -0.02


def test_the_best_trials_differ() -> None:
    own = guesser("a*exp(-k*x) + b")
    starts = own.best([own.spread()], keep=8)
    assert len(starts) == 8
    rates = np.sort(starts[:, 2])
    assert np.all(np.diff(rates) > 0.15 * np.abs(rates[1:]))
    # The best comes first, and it is near the truth.
    assert starts[0, 2] == pytest.approx(0.9, rel=0.3)
    # A trial that is not finite is never a start.
    assert len(guesser("a*log(-k*x*k) + b").best([np.ones((4, 3))], keep=8)) == 0

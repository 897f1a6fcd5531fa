"""Laws of the perceptron: the theory at random places, limits, derivatives, borders."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import isoloss
from isoloss.errors import LawError
from isoloss.laws import get_law, margin_pruned
from isoloss.laws.calculus import derivative
from isoloss.laws.expression import parameter, parse
from isoloss.laws.margin import C0
from isoloss.laws.margin_pruned import KEPT, LEAST_ANGLE, LEAST_SHARE, MOST, RIGHT
from isoloss.laws.tape import evaluate
from isoloss.theory import many_examples, margin_constant, pruned_perceptron

ONE = {"E": 0.0, "A": 1.0, "M": 1.0}
PRUNED = [(kept.law, keep) for keep, kept in KEPT.items()]


def test_the_curve_is_the_theory() -> None:
    rng = np.random.default_rng(1)
    a = np.exp(rng.uniform(math.log(1e-5), math.log(1e6), 600))
    exact = pruned_perceptron(a, keep="random").eps
    np.testing.assert_allclose(get_law("perceptron")(ONE, {"D": a}), exact, rtol=2e-10)


def test_the_curve_has_no_end() -> None:
    assert pytest.approx(margin_constant(), abs=1e-10) == C0
    law = get_law("perceptron")
    few, many = np.array([0.0, 1e-300, 1e-12]), np.array([1e9, 1e300, np.inf])
    start = 0.5 - np.sqrt(2 * few / np.pi) / np.pi
    np.testing.assert_allclose(law(ONE, {"D": few}), start, rtol=1e-10)
    np.testing.assert_allclose(law(ONE, {"D": many}), C0 / many, rtol=1e-9)
    assert np.isfinite(law.jacobian(ONE, {"D": np.array([1e-300, 1e300])})).all()


@pytest.mark.parametrize(("name", "keep"), PRUNED)
def test_the_tables_are_the_theory(name: str, keep: str) -> None:
    rng = np.random.default_rng(5)
    n = 120
    a = np.exp(rng.uniform(math.log(1e-3), math.log(min(KEPT[keep].most, 1e4)), n))
    f = LEAST_SHARE ** rng.uniform(0, 1, n)
    angle = LEAST_ANGLE * (RIGHT / LEAST_ANGLE) ** rng.uniform(0, 1, n)
    # Where the function is sharpest.
    a[:6], f[:6], angle[:6] = [1.9, 2.1, 2.5, 3, 4, 8], LEAST_SHARE, LEAST_ANGLE
    exact = pruned_perceptron(a, f, angle, keep=keep).require().eps
    theta = np.stack([np.zeros(n), np.ones(n), np.ones(n), angle], axis=1)
    found = get_law(name)(theta, {"D": a[:, None], "fraction": f[:, None]})[:, 0]
    off = np.abs(found / exact - 1)
    assert off.max() < 1e-4
    assert np.median(off) < 5e-6


@pytest.mark.parametrize(("name", "keep"), PRUNED)
def test_what_chooses_nothing_is_no_pruning(name: str, keep: str) -> None:
    a = np.geomspace(1e-6, min(KEPT[keep].most, 1e4), 60)
    bare = get_law("perceptron")(ONE, {"D": a})
    for f, angle in ((1.0, 0.2), (1.0, 1.1), (0.1, RIGHT), (0.5, RIGHT)):
        found = get_law(name)(ONE | {"theta": angle}, {"D": a, "fraction": f})
        np.testing.assert_allclose(found, bare, rtol=1e-4)


def test_ends_of_both_kinds() -> None:
    f, angle = np.array([0.12, 0.2, 0.6]), 0.4
    hard = get_law("pruned_perceptron")(ONE | {"theta": angle}, {"D": 1e9, "fraction": f})
    np.testing.assert_allclose(hard, many_examples(f, angle) / 1e9, rtol=1e-4)
    easy = get_law("pruned_perceptron_easy")
    at = easy(ONE | {"theta": angle}, {"D": MOST, "fraction": 0.15})
    # The student knows the score by then, and little more.
    np.testing.assert_allclose(at, angle / np.pi, rtol=0.02)
    assert np.isnan(easy(ONE | {"theta": angle}, {"D": 1.01 * MOST, "fraction": 0.5})[0])


@pytest.mark.parametrize("text", ["margin(a)", "margin_hard(a, f, t)", "margin_easy(a, f, t)"])
@pytest.mark.parametrize("point", [(0.3, 0.5, 0.2), (4.0, 0.1, 0.7), (60.0, 0.9, 1.2)])
def test_derivatives_to_third_order(text: str, point: tuple[float, ...]) -> None:
    leaves: dict[str, Any] = dict(zip("aft", point, strict=True))
    nodes = [parse(text, axes=[])]
    names = [n for n in leaves if n == "a" or "f, t" in text]
    for name in (names * 3)[-3:]:
        for other in names:
            size = 1e-30 * leaves[other]
            moved = leaves | {other: leaves[other] + 1j * size}
            step = np.imag(evaluate([nodes[-1]], moved)[0]) / size
            exact = evaluate([derivative(nodes[-1], parameter(other))], leaves)[0]
            scale = abs(evaluate([nodes[-1]], leaves)[0])
            assert abs(step - exact) < 1e-9 * max(scale, abs(exact))
        nodes.append(derivative(nodes[-1], parameter(name)))
    with pytest.raises(LawError):
        derivative(nodes[-1], parameter("a"))


@pytest.mark.parametrize(("name", "keep"), PRUNED)
def test_beyond_the_box_there_is_no_number(name: str, keep: str) -> None:
    law = get_law(name)
    # Past a right angle a score is one at the rest of two, turned around: the sine knows that.
    beyond = [(0.9 * LEAST_SHARE, 0.5), (1.01, 0.5), (0.3, 0.9 * LEAST_ANGLE)]
    for f, angle in beyond + [(0.3, 1.6)] * (keep == "hard"):
        assert np.isnan(law(ONE | {"theta": angle}, {"D": 1.0, "fraction": f})[0])
    assert law.parameters[-1].lower == LEAST_ANGLE
    assert law.parameters[-1].upper == RIGHT


def test_a_table_of_another_shape_is_refused(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.npz"
    np.savez(path, core=np.ones((2, 2, 2)), **{f"base{i}": np.ones((3, 2)) for i in range(3)})
    monkeypatch.setattr(margin_pruned.Kept, "path", path)
    with pytest.raises(LawError, match="shape"):
        margin_pruned.values_of(KEPT["hard"])


def test_shares_that_the_table_lacks_are_said() -> None:
    x = {"D": np.geomspace(1e3, 1e6, 8), "fraction": np.full(8, 0.01)}
    with pytest.raises(isoloss.IsolossError):
        isoloss.fit(x | {"loss": np.linspace(0.4, 0.1, 8)}, "pruned_perceptron", draws=0)

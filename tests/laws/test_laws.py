"""Every law of the catalogue: derivatives, units, pins, ties, limits, and values by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.designs import CURVES, JOINT, TRUTHS, design, law_of
from isoloss.errors import LawError
from isoloss.laws import PUBLISHED, Law, Parameter, get_law, law_from_expression, law_names
from isoloss.laws.calculus import derivative, gradient
from isoloss.laws.expression import ZERO, const, parameter, parse
from isoloss.laws.tape import Tape, evaluate, log_odds, logistic

NAMES = sorted(TRUTHS)


def small(name: str) -> tuple[Law, np.ndarray, dict[str, np.ndarray]]:
    law = law_of(name)
    x = {a: v[:: max(1, len(v) // 40)] for a, v in design(name).items()}
    return law, law.theta(TRUTHS[name]), x


def complex_step(law: Law, theta: np.ndarray, x: dict[str, np.ndarray], name: str) -> np.ndarray:
    values: dict[str, Any] = {n: theta[i] for i, n in enumerate(law.names)} | dict(x)
    step = 1e-30 * np.abs(values[name])
    values[name] = values[name] + 1j * step
    found = evaluate([law.expression], values)[0]
    return np.imag(found) / step


def central(law: Law, theta: np.ndarray, x: dict[str, np.ndarray], name: str) -> np.ndarray:
    def at(factor: float) -> np.ndarray:
        if name in x:
            return law(theta, x | {name: x[name] * factor})
        moved = theta.copy()
        moved[law.names.index(name)] *= factor
        return law(moved, x)

    size = x[name] if name in x else theta[law.names.index(name)]
    h = 1e-4
    near, far = at(1 + h) - at(1 - h), at(1 + 2 * h) - at(1 - 2 * h)
    return (8 * near - far) / (12 * h * size)


def test_the_catalogue_is_covered() -> None:
    assert set(TRUTHS) == set(law_names())


@pytest.mark.parametrize("name", NAMES)
def test_jacobian_against_complex_steps_and_differences(name: str) -> None:
    law, theta, x = small(name)
    jac = law.jacobian(theta, x)
    assert jac.shape == (len(next(iter(x.values()))), len(law.names))
    for i, n in enumerate(law.names):
        top = np.max(np.abs(jac[:, i]))
        assert top > 0
        assert np.max(np.abs(jac[:, i] - complex_step(law, theta, x, n))) < 1e-12 * top
        assert np.max(np.abs(jac[:, i] - central(law, theta, x, n))) < 1e-7 * top


@pytest.mark.parametrize("name", NAMES)
def test_slope_against_complex_steps_and_differences(name: str) -> None:
    law, theta, x = small(name)
    for a in law.axes:
        if a in ("D", "U") and "U" in law.axes:
            # D = U is a kink of min(U, D), where no derivative exists.
            keep = np.abs(np.log(x["D"] / x["U"])) > 0.01
        else:
            keep = np.ones(len(x[a]), dtype=bool)
        part = {k: v[keep] for k, v in x.items()}
        slope = law.slope(theta, part, a)
        exact = complex_step(law, theta, part, a)
        assert np.max(np.abs(slope - exact) * part[a]) < 1e-12
        assert np.max(np.abs(slope - central(law, theta, part, a)) * part[a]) < 1e-7
        # Many passes over the same examples, or many parameters for few, may hurt.
        free = ("farseer", "information", "broken_power_2", "broken_power_3", "scale_time")
        if a == "fraction" or name.startswith("mixture"):
            # More of a pool, the same number kept: worse examples, or better. Shares rule nothing.
            continue
        if name == "precision_post" and a == "D":
            # More data make a model harder to round.
            continue
        if a in ("e_np", "sparsity") or name in ("growth", "reward_sigmoid"):
            assert (slope > 0).all(), f"more {a} must raise it"
        elif name not in free and not name.startswith("gradient_flow_unique"):
            assert (slope <= 0).all(), f"more {a} must not raise the loss"


@pytest.mark.parametrize("name", NAMES)
def test_rescaled_parameters_give_the_same_loss(name: str) -> None:
    law, theta, x = small(name)
    scales = dict.fromkeys((*law.axes, "L"), 1.0)
    sizes = {"N": 1e6, "D": 3e9, "U": 3e9, "S": 3e3, "L": 0.01, "e_np": 0.01}
    sizes |= {"density": 0.03, "depth": 20.0, "width": 1.4}
    sizes |= {"granularity": 5.0, "N_vocab": 4e7}
    scales |= {a: sizes[a] for a in law.scaled_axes}
    if not law.scaled_axes:
        return
    inverse = {a: 1 / s for a, s in scales.items()}
    inner = law.rescale(theta, inverse)
    assert not np.allclose(inner, theta, rtol=1e-3)
    scaled = law(inner, {a: v / scales[a] for a, v in x.items()})
    np.testing.assert_allclose(scaled * scales["L"], law(theta, x), rtol=1e-11)
    np.testing.assert_allclose(law.rescale(inner, scales), theta, rtol=1e-11)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", ["first", "last"])
def test_pinned_laws_scale_too(name: str, which: str) -> None:
    law, theta, x = small(name)
    pinned = law.names[0] if which == "first" else law.names[-1]
    less = law.pin(**{pinned: TRUTHS[name][pinned]})
    kept = less.theta(TRUTHS[name])
    np.testing.assert_allclose(less(kept, x), law(theta, x), rtol=1e-13)
    scales = law.scales(x, law(theta, x))
    inner = less.rescale(kept, {a: 1 / s for a, s in scales.items()})
    leaves: dict[str, Any] = {a: v / scales[a] for a, v in x.items()}
    leaves |= dict(zip(less.names, inner, strict=True))
    value = evaluate([less.scaled_expression(scales)], leaves)[0]
    np.testing.assert_allclose(value * scales["L"], law(theta, x), rtol=1e-11)


def test_pins_and_ties_in_any_order() -> None:
    law = get_law("chinchilla")
    x = {"N": [1e8, 1e9], "D": [1e10, 1e11]}
    full = {"E": 1.7, "A": 400.0, "B": 400.0, "alpha": 0.3, "beta": 0.3}
    expected = law(full, x)
    one = law.tie(beta="alpha")
    assert one.names == ("E", "A", "B", "alpha")
    assert {p.unit for p in one.parameters} >= {"L*D**alpha"}
    np.testing.assert_array_equal(one(full, x), expected)
    np.testing.assert_array_equal(one.pin(alpha=0.3)(full, x), expected)
    np.testing.assert_array_equal(law.pin(alpha=0.3).tie(B="A")(full, x), expected)
    chain = get_law("coupled").tie(beta="alpha").tie(alpha="k")
    np.testing.assert_array_equal(
        chain(full | {"k": 0.9}, x),
        get_law("coupled")(full | {"alpha": 0.9, "beta": 0.9, "k": 0.9}, x),
    )
    assert law.tie(B="A").scaled_axes == (), "A and B have different units"
    assert one.scaled_axes == law.scaled_axes
    assert law.bound(E=(1.0, 2.0)).scaled_axes == law.scaled_axes
    assert law.bound(A=(1.0, 2.0)).scaled_axes == ()
    assert law.bound(alpha=(0.2, 0.5)).parameters[3].upper == 0.5


@pytest.mark.parametrize(
    "change",
    [
        lambda law: law.pin(gamma=1.0),
        lambda law: law.pin(E=float("nan")).expression,
        lambda law: law.tie(beta="gamma"),
        lambda law: law.tie(beta="alpha", alpha="E"),
        lambda law: law.bound(alpha=(0.5, 0.2)),
        lambda law: law.theta([1.0, 2.0]),
        lambda law: law({"E": 1.0}, {"N": 1.0, "D": 1.0}),
        lambda law: law([1.7, 400.0, 400.0, 0.3, 0.3], {"N": 1.0}),
        lambda law: get_law("chinchila"),
        lambda law: get_law("bnsl").pin(d2=1.0),
        lambda law: law_from_expression("E + A*N**-a", bounds={"b": (0, 1)}),
        lambda law: Parameter(name="a", lower=1.0, upper=1.0),
    ],
)
def test_misuse_is_a_law_error(change: Any) -> None:
    with pytest.raises(LawError):
        change(get_law("chinchilla"))


def test_hoffmann_by_hand(golden: dict[str, Any]) -> None:
    law = get_law("hoffmann")
    theta = PUBLISHED["hoffmann-2022-rounded"].parameters
    loss = law(theta, {"N": 70e9, "D": 1.4e12})
    assert loss == pytest.approx(sum(golden["hoffmann"]["terms"].values()), abs=1e-7)


@pytest.mark.parametrize("key", sorted(PUBLISHED))
def test_published_constants_fit_their_law(key: str) -> None:
    entry = PUBLISHED[key]
    law = get_law(entry.law, axis=entry.axis or "x")
    assert (len(law.axes) == 1) == bool(entry.axis)
    assert set(entry.parameters) <= set(law.names)
    for name in set(law.names) - set(entry.parameters):
        assert f"{name} was not printed" in entry.caveat
    assert set(entry.intervals) <= set(entry.parameters)
    if entry.measures.startswith("loss in nats"):
        compute = 1.2 if "PF-days" in entry.measures else 1.2e20
        x = {"N": 1e9, "D": 2e10, "U": 2e10, "C": compute, "S": 2e4}
        loss = law(entry.parameters, x | {"experts": 8, "granularity": 8})
        assert 2.0 < loss[0] < 3.5
    assert "arXiv" in entry.source
    assert entry.to_dict()["parameters"] == dict(entry.parameters)


def test_published_golden_numbers_are_the_golden_numbers(golden: dict[str, Any]) -> None:
    for key in ("huber", "lad"):
        assert PUBLISHED[f"epoch-2024-{key}"].parameters == golden["epoch"][key]["value"]


@settings(max_examples=50, deadline=None)
@given(st.floats(1e6, 1e12), st.floats(1e7, 1e13), st.floats(1.0, 10.0))
def test_special_cases(n: float, d: float, more: float) -> None:
    base = get_law("chinchilla")({**JOINT["chinchilla"]}, {"N": n, "D": d})
    coupled = get_law("coupled")(JOINT["coupled"] | {"k": 1.0}, {"N": n, "D": d})
    assert coupled == pytest.approx(base, rel=1e-12)
    once = get_law("repetition")(JOINT["repetition"], {"N": n, "D": d, "U": d * more})
    assert once == pytest.approx(base, rel=1e-12)
    repeated = get_law("repetition")(JOINT["repetition"], {"N": n, "D": d, "U": d / (1 + more)})
    fewer = get_law("repetition")(
        JOINT["repetition"], {"N": n, "D": d / (1 + more), "U": d / (1 + more)}
    )
    assert base[0] < repeated[0] < fewer[0]


def test_repetition_by_hand() -> None:
    # U = 100 examples four times over, R_D = 15: D' = 100 + 1500 (1 - exp(-3/15)).
    law = get_law("repetition")
    theta = {"E": 0.0, "A": 0.0, "B": 1.0, "alpha": 1.0, "beta": 1.0, "R_D": 15.0}
    assert 1 / law(theta, {"N": 1.0, "D": 400.0, "U": 100.0})[0] == pytest.approx(
        371.903870, abs=1e-6
    )


def test_broken_power_limits() -> None:
    law = get_law("broken_power", axis="x")
    theta = {"E": 0.0, "A": 3.0, "c0": 0.2, "c1": 0.5, "d1": 1e3, "f1": 0.1}

    def exponent(x: float) -> float:
        return float(-law.slope(theta, {"x": x}, "x")[0] * x / law(theta, {"x": x})[0])

    assert exponent(1.0) == pytest.approx(0.2, abs=1e-9)
    assert exponent(1e6) == pytest.approx(0.7, abs=1e-9)
    assert exponent(1e3) == pytest.approx(0.45, abs=1e-12)
    assert law(theta, {"x": 1.0}) == pytest.approx(3.0, rel=1e-9)
    # Beyond the break: A x^-(c0 + c1) d^c1.
    assert law(theta, {"x": 1e6}) == pytest.approx(3.0 * 1e6**-0.7 * 1e3**0.5, rel=1e-9)


@pytest.mark.parametrize("alpha", [1e-3, 0.01, 0.1, 0.7, 1.0, 3.0, 20.0, 300.0])
def test_saturate_solves_its_equation(alpha: float) -> None:
    kappa = np.concatenate([np.linspace(-40, 40, 401), [-300.0, 1e-9, -1e-9, 0.0]])
    with np.errstate(over="ignore", under="ignore"):
        s = log_odds(kappa, alpha)
        u, rest = logistic(s), logistic(-s)
    inside = rest > 1e-300
    left = np.log(u[inside]) - alpha * np.log(rest[inside])
    assert np.max(np.abs(left - kappa[inside]) / np.maximum(np.abs(kappa[inside]), 1.0)) < 1e-12
    assert np.all(np.diff(u[:401]) >= 0)
    np.testing.assert_allclose(u + rest, 1.0, rtol=1e-15)


def test_saturated_runs_keep_their_derivatives() -> None:
    # So near chance that 1 - u rounds to zero; the derivatives must not become NaN or noise.
    law = get_law("m4", axis="D")
    theta = {"E": 0.1, "H": 2.0, "K": 1e9, "c": 1.0, "a": 0.3}
    x = {"D": np.array([1e-2, 1.0, 1e3, 1e9])}
    jac = law.jacobian(theta, x)
    exact = np.stack([complex_step(law, law.theta(theta), x, n) for n in law.names], axis=-1)
    np.testing.assert_allclose(jac, exact, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("name", NAMES)
def test_tape_equals_evaluation_over_shapes_and_slices(name: str) -> None:
    law, theta, x = small(name)
    n = len(next(iter(x.values())))
    roots = [law.expression, parse("2*3", axes=[]), parse(law.axes[0], axes=law.axes), const(1.5)]
    roots += [parse(law.names[0], axes=[]), law.expression]
    bound = Tape(roots, law.names).bind(x)
    rng = np.random.default_rng(3)
    for batch, rows in ((1, slice(0, n)), (5, slice(2, 9)), (3, slice(n - 1, n)), (7, slice(0, n))):
        many = theta * np.exp(0.05 * rng.standard_normal((batch, len(theta))))
        size = rows.stop - rows.start
        block = np.full((batch, len(roots), size), np.nan)
        bound.run(many, rows, size, [block[:, i] for i in range(len(roots))])
        leaves: dict[str, Any] = {a: v[rows] for a, v in x.items()}
        leaves |= {p: many[:, i, None] for i, p in enumerate(law.names)}
        for i, expected in enumerate(evaluate(roots, leaves)):
            np.testing.assert_array_equal(block[:, i], np.broadcast_to(expected, (batch, size)))


def test_batches_broadcast() -> None:
    law, theta, x = small("chinchilla")
    stack = np.stack([theta, theta * 1.01]).reshape(2, 1, 5)
    assert law(stack, x).shape == (2, 1, len(x["N"]))
    assert law.jacobian(stack, x).shape == (2, 1, len(x["N"]), 5)
    np.testing.assert_array_equal(law(stack, x)[1, 0], law(theta * 1.01, x))
    assert law(theta, {"N": 1e9, "D": [1e9, 1e10]}).shape == (2,)


def test_laws_of_one_axis_take_any_axis() -> None:
    for name in CURVES:
        theta = TRUTHS[name]
        np.testing.assert_array_equal(
            get_law(name, axis="D")(theta, {"D": [1e8, 1e9]}),
            get_law(name, axis="steps")(theta, {"steps": [1e8, 1e9]}),
        )


@pytest.mark.parametrize("name", NAMES)
def test_gradient_from_the_root_equals_one_derivative_each(name: str) -> None:
    law, theta, x = small(name)
    leaves = dict(zip(law.names, theta, strict=True)) | x
    variables = [parameter(n) for n in law.names]
    root = law.expression
    found = evaluate(gradient(root, variables), leaves)
    expected = evaluate([derivative(root, v) for v in variables], leaves)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12 * np.max(np.abs(b)))
    assert gradient(parse("1 + b", axes=[]), [parameter("a")]) == [ZERO]

"""Any formula on any columns: exact solutions, honesty, invariances and borders."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
import pytest
from scipy.optimize import curve_fit, least_squares

import isoloss
from fit.exact import CASES, Case
from isoloss.errors import FitError, InputError, LawError
from isoloss.fit import Huber, regress
from isoloss.fit.engine import Solutions, minimise
from isoloss.fit.exchange import exchanges
from isoloss.laws import law_from_expression

# The package exports a function of the module's name.
REGRESS = sys.modules["isoloss.fit.regress"]
RISE = CASES["rise"]


def digits(found: Any, expected: Any) -> float:
    gap = np.abs(np.asarray(found) - expected) / np.abs(expected)
    return float(np.min(-np.log10(np.maximum(gap, 1e-15))))


def codes(result: Any) -> set[str]:
    return {r.code for r in result.reasons}


def of(values: dict[str, float], case: Case) -> list[float]:
    return [values[n] for n in case.theta]


@pytest.mark.parametrize("name", CASES)
def test_exact_solutions_come_back_with_their_errors(name: str) -> None:
    case = CASES[name]
    found = regress(case.data(), case.formula, start=case.starts())
    assert found.status == "ok", found.summary()
    assert digits(of(found.parameters, case), list(case.theta.values())) > 7.5
    assert digits(of(found.standard_errors, case), case.errors()) > 6
    y = case.data()["y"]
    assert found.residual_sd == pytest.approx(
        math.sqrt(np.sum(found.residuals**2) / (len(y) - len(case.theta))), rel=1e-12
    )
    np.testing.assert_allclose(found.predict({"x": case.x}) - y, found.residuals, rtol=1e-12)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.alone])
def test_without_a_start_too(name: str) -> None:
    case = CASES[name]
    found = regress(case.data(), case.formula)
    assert found.status == "ok", found.summary()
    assert digits(of(found.parameters, case), list(case.theta.values())) > 7.5


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("crippled", ["1", "3", "10", "one start", "gauss", "gauss 3"])
@pytest.mark.parametrize("name", CASES)
def test_a_crippled_engine_is_never_ok_without_the_digits(
    name: str, crippled: str, start: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    options: dict[str, Any] = {"start": case.starts()} if start else {}
    if crippled == "one start":
        if not start:
            return
        options["search"] = False
    if crippled[-1].isdigit():
        options["max_iterations"] = int(crippled.split()[-1])
    if crippled.startswith("gauss"):

        def first_order(*args: Any, **given: Any) -> Solutions:
            return minimise(*args, **given | {"newton": False})

        monkeypatch.setattr(REGRESS, "minimise", first_order)
    try:
        found = regress(case.data(), case.formula, **options)
    except FitError:
        return
    truth = list(case.theta.values())
    theta = [found.parameters[n] for n in case.theta]
    # Without a start, terms may change names, and waves their length to one that looks alike.
    mirrored = name in ("two decays", "two peaks", "waves") and not start
    right = digits(theta, truth) > 6 and digits(of(found.standard_errors, case), case.errors()) > 4
    if mirrored:
        best = np.sum(
            (case.data()["y"] - np.real(case.model(np.array(truth, complex), case.x))) ** 2
        )
        right = found.rss <= best * (1 + 1e-9)
    assert right or found.status != "ok", found.summary()
    if crippled == "one start" and name != "a line":
        assert "ONE_START" in codes(found)
        assert found.status != "ok"


def test_one_iteration_says_that_digits_are_missing() -> None:
    case = CASES["growth"]
    found = regress(case.data(), case.formula, start=case.starts(), max_iterations=1)
    assert found.status != "ok"
    assert {"MAX_ITER", "DIGITS", "SECOND_ENGINE"} <= codes(found)
    assert found.next_step.max() > 1e-7
    assert any("would move" in r.message for r in found.reasons)


def test_a_linear_formula_needs_no_second_start() -> None:
    line = CASES["a line"]
    found = regress(line.data(), line.formula, start=line.starts(), search=False)
    assert found.status == "ok"


def test_a_lonely_optimum_is_doubted() -> None:
    """Two waves of unknown length: nothing can be tried densely enough."""
    x = np.arange(120.0)
    y = np.sin(2 * np.pi * x / 26.7) + 0.4 * np.cos(2 * np.pi * x / 44.3)
    formula = "a*sin(2*pi*x/p) + b*cos(2*pi*x/q)"
    found = regress({"x": x, "y": y + 0.3 * np.cos(x**1.3)}, formula)
    assert "PERIODIC" in codes(found)
    assert found.status == "suspect"


def test_an_optimum_that_few_reach_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["waves"]
    found = regress(case.data(), case.formula, start=case.starts())
    assert 2 <= found.certificate.n_agree < found.certificate.n_starts
    assert found.status == "ok"
    monkeypatch.setattr(REGRESS, "RARE", 0.95)
    found = regress(case.data(), case.formula, start=case.starts())
    assert codes(found) == {"MULTIMODAL"}


def test_mirror_images_are_told_apart_by_the_start() -> None:
    case = CASES["two decays"]
    swapped = dict(zip(("a", "b", "k", "m"), (0.5, 1.5, 0.7, 5.0), strict=True))
    one = regress(case.data(), case.formula, start=case.starts())
    two = regress(case.data(), case.formula, start=swapped)
    assert two.status == "ok"
    assert [two.parameters[n] for n in "bamk"] == pytest.approx(
        [one.parameters[n] for n in "abkm"], rel=1e-8
    )
    free = regress(case.data(), case.formula)
    assert free.parameters["a"] > free.parameters["b"]


@pytest.mark.parametrize(
    ("formula", "orders"),
    [
        ("a*exp(-k*x) + b*exp(-m*x) + c", [[0, 1, 2, 3, 4], [1, 0, 2, 4, 3]]),
        ("a*exp(-k*x) + b*exp(-k*x)", [[0, 1, 2]]),
        ("a*cos(k*x) + b*sin(k*x) + c*cos(m*x) + d*sin(m*x)",
         [[0, 1, 2, 3, 4, 5], [2, 3, 0, 1, 5, 4]]),
        ("a*exp(-k*x) + b*exp(-m*x**2)", [[0, 1, 2, 3]]),
        ("a*exp(-k*x) + b*exp(m*x)", [[0, 1, 2, 3]]),
        ("a*exp(-k*x)", [[0, 1]]),
    ],
)  # fmt: skip
def test_terms_that_may_change_places_are_found(formula: str, orders: list[list[int]]) -> None:
    law = law_from_expression(formula)
    assert sorted(exchanges(law)) == orders
    x, theta = np.linspace(0.1, 2, 5), np.linspace(0.3, 1.7, len(law.names))
    for order in exchanges(law):
        np.testing.assert_allclose(law(theta[order], {"x": x}), law(theta, {"x": x}), rtol=1e-14)


def test_terms_with_bounds_of_their_own_do_not_change_places() -> None:
    formula = "a*exp(-k*x) + b*exp(-m*x)"
    assert len(exchanges(law_from_expression(formula))) == 2
    assert len(exchanges(law_from_expression(formula, bounds={"k": (0.0, 1.0)}))) == 1


def test_the_start_names_alike_terms_even_if_no_end_comes_out_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = CASES["two decays"]
    descend = REGRESS._descend

    def exchanged(*args: Any) -> Any:
        """Every end, its smaller amplitude first; parameters are in the order a, b, k, m."""
        starts, ends = descend(*args)
        wrong = (ends[:, 0] > ends[:, 1])[:, None]
        return starts, np.where(wrong, ends[:, [1, 0, 3, 2]], ends)

    monkeypatch.setattr(REGRESS, "_descend", exchanged)
    found = regress(case.data(), case.formula, start=case.starts())
    assert found.status == "ok"
    assert digits(of(found.parameters, case), list(case.theta.values())) > 6


def test_a_rounding_residual_gives_parameters_but_no_errors() -> None:
    found = regress(RISE.data(noise=1e-13), RISE.formula, start=RISE.starts())
    assert codes(found) == {"ROUNDING"}
    assert digits(of(found.parameters, RISE), list(RISE.theta.values())) > 9


def test_as_many_parameters_as_rows() -> None:
    found = regress({"x": [1.0, 2.0], "y": [3.0, 1.0]}, "a*exp(-b*x)")
    assert found.parameters["b"] == pytest.approx(math.log(3), rel=1e-9)
    assert "FEW_CONFIGURATIONS" in codes(found)
    assert math.isnan(found.residual_sd)
    assert found.intervals() == {}
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["residual_sd"] is None


@pytest.mark.parametrize("name", ["rise", "waves", "growth", "two decays"])
def test_order_of_rows_and_units_do_not_matter(name: str) -> None:
    case = CASES[name]
    data = case.data()
    one = regress(data, case.formula, start=case.starts())
    turn = np.random.default_rng(0).permutation(len(case.x))
    two = regress({k: v[turn] for k, v in data.items()}, case.formula, start=case.starts())
    assert two.theta.tobytes() == one.theta.tobytes()
    assert two.covariance.tobytes() == one.covariance.tobytes()
    np.testing.assert_array_equal(two.residuals, one.residuals[turn])
    bare = regress(data, case.formula)
    other = regress({"x": data["x"] * 1e3, "y": data["y"] * 1e-4}, case.formula)
    assert other.rss == pytest.approx(bare.rss * 1e-8, rel=1e-10)
    np.testing.assert_allclose(
        other.theta / np.sqrt(np.diag(other.covariance)),
        bare.theta / np.sqrt(np.diag(bare.covariance)),
        rtol=1e-7,
    )


def test_agreement_with_scipy_in_weights_and_covariance() -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(-2.0, 3.0, 40)
    sigma = np.linspace(0.05, 0.3, 40)
    y = -1.5 * np.tanh(1.3 * x - 0.4) + sigma * rng.standard_normal(40)

    def model(x: Any, a: float, b: float, c: float) -> Any:
        return a * np.tanh(b * x + c)

    theirs, table = curve_fit(model, x, y, [-1.0, 1.0, 0.0], sigma=sigma, xtol=1e-15, ftol=1e-15)
    ours = regress(
        {"x": x, "y": y}, "a*tanh(b*x + c)", start={"a": -1, "b": 1, "c": 0}, weights=1 / sigma**2
    )
    assert ours.status == "ok"
    np.testing.assert_allclose(ours.theta, theirs, rtol=1e-6)
    # Their Jacobian is a difference quotient.
    np.testing.assert_allclose(ours.covariance, table, rtol=1e-5)
    assert ours.rss == pytest.approx(np.sum(((y - model(x, *theirs)) / sigma) ** 2), rel=1e-9)
    other = regress(
        {"x": x, "y": y}, "a*tanh(b*x + c)", start={"a": -1, "b": 1, "c": 0}, weights=7 / sigma**2
    )
    np.testing.assert_allclose(other.covariance, ours.covariance, rtol=1e-9)


def test_a_robust_objective_has_sandwich_errors() -> None:
    rng = np.random.default_rng(2)
    x = np.linspace(0.0, 4.0, 60)
    y = 2 * np.exp(-0.9 * x) + 0.02 * rng.standard_t(1.5, 60)
    found = regress({"x": x, "y": y}, "a*exp(-b*x)", objective="huber:0.02")
    assert found.status == "ok"
    assert found.method == "sandwich"
    theirs = least_squares(
        lambda t: t[0] * np.exp(-t[1] * x) - y,
        [1.0, 1.0],
        loss="huber",
        f_scale=0.02,
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    np.testing.assert_allclose(found.theta, theirs.x, rtol=1e-6)
    a, b = found.theta
    decay = np.exp(-b * x)
    jac = np.stack([decay, -a * x * decay], axis=1)
    r = a * decay - y
    psi = np.clip(r, -0.02, 0.02)
    bend = np.einsum("n,np,nq->pq", (np.abs(r) <= 0.02) * 1.0, jac, jac)
    bend += np.array([[0.0, 1.0], [1.0, 0.0]]) * np.sum(-psi * x * decay)
    bend[1, 1] += np.sum(psi * a * x**2 * decay)
    inverse = np.linalg.inv(bend)
    expected = inverse @ np.einsum("n,np,nq->pq", psi**2, jac, jac) @ inverse * 60 / 58
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-8)
    assert regress({"x": x, "y": y}, "a*exp(-b*x)", objective=Huber(0.02)).value == found.value


def test_intervals_cover() -> None:
    """Of 200 intervals at 90 %, fewer than 168 or more than 191 hits has probability 0.5 %."""
    rng = np.random.default_rng(3)
    x = np.linspace(0.0, 3.0, 12)
    hits = 0
    for _ in range(200):
        y = 2 * np.exp(-0.8 * x) - 1 + 0.05 * rng.standard_normal(12)
        found = regress(
            {"x": x, "y": y}, "a*exp(-b*x) - c", start={"a": 2, "b": 1, "c": 1}, search=False
        )
        hits += 0.8 in found.intervals(0.9)["b"]
    assert 168 <= hits <= 191


def test_prediction_errors_are_the_spread_of_the_mean() -> None:
    case = CASES["rise"]
    found = regress(case.data(), case.formula, start=case.starts())
    at = {"x": np.array([100.0, 900.0])}
    draws = np.random.default_rng(4).multivariate_normal(found.theta, found.covariance, 20_000)
    # The curve is not straight in b: two percent, and the noise of 20,000 draws.
    np.testing.assert_allclose(
        found.law(draws, at).std(axis=0), found.prediction_errors(at), rtol=0.03
    )


def test_bounds_hold_and_are_reported() -> None:
    case = CASES["hardly any noise"]
    found = regress(case.data(), case.formula, bounds={"b": (-0.5, 3.0), "k": (0.0, 9.0)})
    assert found.parameters["b"] == -0.5
    assert found.certificate.at_bound == ("b",)
    assert "BOUND_HIT" in codes(found)
    assert math.isnan(found.standard_errors["b"])
    assert found.standard_errors["k"] > 0
    inside = regress(case.data(), case.formula, bounds={"b": (-2.0, 3.0), "k": (0.0, 9.0)})
    assert inside.status == "ok"
    free = regress(case.data(), case.formula)
    # In a bounded parameter's logarithm, and not: the same errors.
    np.testing.assert_allclose(inside.covariance, free.covariance, rtol=1e-6)


def test_a_law_of_the_catalogue_and_pins() -> None:
    law = isoloss.law_from_expression("E + A*x**-p", bounds={"E": (-math.inf, math.inf)})
    x = np.geomspace(1.0, 100.0, 12)
    y = 0.3 + 2 * x**-0.5 + 1e-3 * np.cos(np.arange(12))
    whole = regress({"x": x, "y": y}, law)
    pinned = regress({"x": x, "y": y}, law.pin(p=whole.parameters["p"]))
    assert whole.status == pinned.status == "ok"
    assert pinned.parameters["A"] == pytest.approx(whole.parameters["A"], rel=1e-9)
    assert pinned.freedom == whole.freedom + 1
    with pytest.raises(InputError, match="pinned"):
        regress({"x": x, "y": y}, law.pin(p=0.5, A=1.0, E=0.0))


def test_very_many_rows_are_started_on_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["growth"]
    whole = regress(case.data(), case.formula)
    monkeypatch.setattr(REGRESS, "MANY", 10)
    part = regress(case.data(), case.formula)
    assert part.certificate.n_starts == 2
    np.testing.assert_allclose(part.theta, whole.theta, rtol=1e-8)


X, Y = RISE.x, RISE.data()["y"]


@pytest.mark.parametrize(
    ("columns", "formula", "options", "message"),
    [
        ({"x": X}, "a*x", {}, "response = 'y': the columns are x"),
        ({"x": X, "y": Y}, "a*x + y", {}, "stands in the formula"),
        ({"x": X, "y": Y[:5]}, "a*x", {}, "15 values, but 5 of y"),
        ({"x": X, "y": np.where(X > 400, np.nan, Y)}, "a*x", {}, r"y\[7\] = .*finite"),
        ({"x": np.where(X > 400, np.inf, X), "y": Y}, "a*x", {}, r"x\[7\] = .*finite"),
        ({"x": X, "y": 0 * Y}, "a*x", {}, "every value is zero"),
        ({"x": X, "y": Y}, "a*x", {"start": {"b": 1.0}}, "no parameter 'b'"),
        ({"x": X, "y": Y}, "a*x + b", {"start": {"b": 1.0}}, "no value for a"),
        ({"x": X, "y": Y}, "a*x", {"start": {"a": math.nan}}, "start of a"),
        (
            {"x": X, "y": Y},
            "a*x",
            {"start": {"a": 3.0}, "bounds": {"a": (0.0, 2.0)}},
            "must lie within its bounds",
        ),
        ({"x": X, "y": Y}, "a*x", {"search": False}, "needs a start"),
        ({"x": X, "y": Y}, "a*x", {"weights": -np.ones(15)}, "non-negative"),
        ({"x": X, "y": Y}, "a*x", {"weights": np.ones(3)}, "weights: 3 values"),
        ({"x": X, "y": Y}, "a*x", {"objective": "lad"}, "smooth"),
        ({"x": X, "y": Y}, "a*x", {"max_iterations": 0}, "at least 1"),
    ],
)
def test_mistakes_are_named(columns: Any, formula: str, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        regress(columns, formula, **options)


def test_formulas_without_columns_or_parameters_are_refused() -> None:
    for formula in ("a + b", "2*x", "a*(x"):
        with pytest.raises(LawError):
            regress({"x": X, "y": Y}, formula)
    with pytest.raises(LawError, match="no parameter 'c'"):
        regress({"x": X, "y": Y}, "a*x", bounds={"c": (0.0, 1.0)})


def test_no_usable_answer_has_a_code() -> None:
    with pytest.raises(FitError) as caught:
        regress({"x": [1.0, 1.0, 2.0], "y": [1.0, 2.0, 3.0]}, "a + b*x + c*x**2")
    assert caught.value.code == "TOO_FEW_RUNS"
    with pytest.raises(FitError) as caught:
        regress({"x": X, "y": Y}, "log(-exp(a)*x)", start={"a": 1.0})
    assert caught.value.code == "NO_FINITE_START"


def test_a_result_shows_itself() -> None:
    found = regress(RISE.data(), RISE.formula, start=RISE.starts())
    plain = found.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert found.to_columns()["parameter"] == ["a", "b"]
    assert "y = a*(1 - exp(-b*x))" in found.summary()
    assert "+- " in found.summary()
    assert repr(found) == "Regression(a=211, b=0.00053; ok)"
    assert "<pre>" in found._repr_html_()
    assert found.require() is found
    with pytest.raises(ValueError, match="read-only"):
        found.theta[0] = 0.0
    doubtful = regress(RISE.data(), RISE.formula, start=RISE.starts(), search=False)
    with pytest.raises(FitError, match="one start"):
        doubtful.require()

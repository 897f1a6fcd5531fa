"""Faults of the code, the data and the design: none of them may end in ``ok``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import isoloss
import isoloss.fit.approach as approach_module
import isoloss.fit.certificate as certificate_module
from fit.designs import CHINCHILLA, design, law_of, table
from isoloss.errors import FitError, InputError
from isoloss.fit import Huber, fit, regress
from isoloss.fit.engine import CONVERGED, Solutions, minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.prepare import prepare
from isoloss.runs import Runs

# The package exports a function of the module's name.
FIT = sys.modules["isoloss.fit.fit"]


@pytest.fixture(scope="module")
def noisy() -> Runs:
    return table("chinchilla", noise=0.01)


def codes(result: Any) -> set[str]:
    return {r.code for r in result.reasons}


def spoil_tape(
    monkeypatch: pytest.MonkeyPatch, slot: int, factor: float, tape: str = "_full"
) -> None:
    """Multiply one output of a tape: value, gradient, then second derivatives."""
    original = Kernel.__init__

    def broken(self: Kernel, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        bound = getattr(self, tape)
        run = bound.run

        def wrong(theta: Any, rows: Any, n: int, outs: Any) -> None:
            run(theta, rows, n, outs)
            outs[slot][...] *= factor

        bound.run = wrong

    monkeypatch.setattr(Kernel, "__init__", broken)


def is_failed(found: Any) -> bool:
    return found.status == "failed" and "DERIVATIVE" in codes(found)


@pytest.mark.parametrize("tape", ["_full", "_first"])
@pytest.mark.parametrize("factor", [-1.0, 1.01, np.nan, 0.0])
@pytest.mark.parametrize("column", range(5))
def test_a_wrong_derivative_is_noticed(
    factor: float, column: int, tape: str, noisy: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_tape(monkeypatch, 1 + column, factor, tape)
    found = fit(noisy, draws=0)
    assert is_failed(found)
    with pytest.raises(FitError):
        found.require()


@pytest.mark.parametrize("tape", ["_full", "_first", "_value"])
def test_a_wrong_prediction_is_noticed(
    tape: str, noisy: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_tape(monkeypatch, 0, 1.01, tape)
    assert is_failed(fit(noisy, draws=0))


# A sum, whose logarithm the kernel takes, and a product, whose logarithm the tape takes.
LAWS = {"chinchilla": 4, "kaplan": 10}
SECOND = [(law, pair) for law, count in LAWS.items() for pair in range(count)]


@pytest.mark.parametrize("objective", ["huber:1e-3", "lsq"])
@pytest.mark.parametrize("factor", [-1.0, 1.01, np.nan, 0.0])
@pytest.mark.parametrize(("law", "pair"), SECOND)
def test_a_wrong_second_derivative_is_noticed(
    law: str, pair: int, factor: float, objective: str, noisy: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optimum may be right all the same: what led to it is not, so it is not called good."""
    spoil_tape(monkeypatch, 1 + len(law_of(law).names) + pair, factor)
    assert is_failed(fit(noisy, law, objective=objective, draws=0))


@pytest.mark.parametrize("law", LAWS)
def test_all_second_derivatives_of_the_test_laws_were_spoiled(law: str, noisy: Runs) -> None:
    data = prepare(noisy, law_of(law))
    kernel = Kernel(data.law, data.x, data.loss, Huber(1e-3))
    assert kernel._outer == (law == "chinchilla")
    assert len(kernel.pairs) == LAWS[law]


@pytest.mark.parametrize("objective", ["huber:1e-3", "lsq"])
@pytest.mark.parametrize("entry", [(0, 0), (0, 2), (1, 3), (2, 4), (4, 4)])
def test_a_hessian_put_together_wrongly_is_noticed(
    entry: tuple[int, int], objective: str, noisy: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's own sum is examined, not only what goes into it."""
    block = Kernel._block

    def wrong(self: Kernel, *args: Any, **options: Any) -> Any:
        terms = block(self, *args, **options)
        terms.hessian[:, entry[0], entry[1]] *= 1.0001
        return terms

    monkeypatch.setattr(Kernel, "_block", wrong)
    assert is_failed(fit(noisy, objective=objective, draws=0))


@pytest.mark.parametrize("column", range(4))
def test_a_second_derivative_in_the_wrong_place_is_noticed(
    column: int, noisy: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Kernel.__init__

    def moved(self: Kernel, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        self._spread = self._spread.copy()
        self._spread[column] = np.roll(self._spread[column], 1)

    monkeypatch.setattr(Kernel, "__init__", moved)
    assert is_failed(fit(noisy, draws=0))


def test_a_wrong_derivative_at_large_scale_alone_is_noticed(
    noisy: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    jacobian = Kernel.jacobian

    def wrong(self: Kernel, q: Any, rows: Any) -> Any:
        out = jacobian(self, q, rows)
        out[:, 0] *= np.where(np.arange(self.n)[rows] >= 40, 1.01, 1.0)
        return out

    monkeypatch.setattr(Kernel, "jacobian", wrong)
    assert "DERIVATIVE" in codes(fit(noisy, draws=0))


def test_a_capped_minimiser_is_noticed(noisy: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def capped(*args: Any, **options: Any) -> Solutions:
        return minimise(*args, **options | {"max_iterations": 2})

    # Both stages are cut short: either alone still arrives.
    monkeypatch.setattr(approach_module, "STEPS", 1)
    monkeypatch.setattr(approach_module, "minimise", capped)
    found = fit(noisy, draws=0)
    assert found.status != "ok"
    assert codes(found) & {"MAX_ITER", "GRADIENT", "SECOND_ENGINE", "MULTIMODAL"}


def test_a_perturbed_optimum_is_noticed(noisy: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def perturbed(kernel: Kernel, starts: Any, *, weights: Any = None, **options: Any) -> Solutions:
        s = minimise(kernel, starts, weights=weights, **options)
        q = s.q * (1 + 1e-3)
        shared = np.ones((1, kernel.n)) if weights is None else np.atleast_2d(weights)
        return Solutions(q, kernel.terms(q, shared).value, s.status * 0 + CONVERGED, s.iterations)

    monkeypatch.setattr(approach_module, "minimise", perturbed)
    found = fit(noisy, draws=0)
    assert found.status != "ok"
    assert {"SECOND_ENGINE", "GRADIENT"} <= codes(found)


def test_a_rival_optimum_is_noticed(noisy: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine reports a point that is stationary but not the best; only the rival knows."""

    def better(kernel: Kernel, starts: Any, **options: Any) -> Solutions:
        s = minimise(kernel, starts, **options)
        return Solutions(s.q, s.value * 0.99, s.status, s.iterations)

    monkeypatch.setattr(certificate_module, "minimise", better)
    assert codes(fit(noisy, draws=0)) == {"SECOND_ENGINE"}


def test_resamples_that_do_not_converge_are_noticed(
    noisy: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def capped(kernel: Kernel, starts: Any, **options: Any) -> Solutions:
        if len(starts) == 100:
            options["max_iterations"] = 1
        return minimise(kernel, starts, **options)

    monkeypatch.setattr(sys.modules["isoloss.fit.draw_methods"], "minimise", capped)
    assert "DRAWS_LOST" in codes(fit(noisy, draws=100))


def test_predictions_that_are_nan_are_refused(noisy: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = Kernel.terms

    def broken(self: Kernel, q: Any, *args: Any, **options: Any) -> Any:
        out = terms(self, q, *args, **options)
        out.value[:] = np.inf
        return out

    monkeypatch.setattr(Kernel, "terms", broken)
    with pytest.raises(FitError) as caught:
        fit(noisy, draws=0)
    assert caught.value.code == "NO_FINITE_START"


def test_a_law_that_is_never_finite_is_refused(noisy: Runs) -> None:
    with pytest.raises(FitError) as caught:
        fit(noisy, "A*log(-1*N*a) + D*B", draws=0)
    assert caught.value.code == "NO_FINITE_START"


def design_of(n: Any, d: Any) -> Runs:
    loss = law_of("chinchilla")(CHINCHILLA, {"N": n, "D": d})
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(len(loss)))
    return Runs(
        columns={
            "N": np.broadcast_to(n, len(loss)),
            "D": np.broadcast_to(d, len(loss)),
            "loss": loss * noise,
        }
    )


N20 = np.geomspace(1e7, 1e10, 20)


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        (lambda: design_of(np.full(20, 1e8), np.full(20, 1e10)), "TOO_FEW_RUNS"),
        (lambda: design_of(N20[:4], N20[:4] * 30), "TOO_FEW_RUNS"),
        (lambda: design_of(N20[:1], N20[:1]), "TOO_FEW_RUNS"),
    ],
)
def test_too_little_is_refused(runs: Callable[[], Runs], code: str) -> None:
    with pytest.raises(FitError) as caught:
        fit(runs(), draws=20)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("runs", "code", "status"),
    [
        (lambda: design_of(N20, 20 * N20), "UNIDENTIFIED", "suspect"),
        (lambda: design_of(N20, np.full(20, 1e10)), "UNIDENTIFIED", "failed"),
        (lambda: design_of(np.full(20, 1e8), N20), "UNIDENTIFIED", "failed"),
        (lambda: design_of(N20, np.tile([1e10, 1.1e10], 10)), "NARROW_AXIS", "suspect"),
        (
            lambda: design_of(np.tile(N20[::3], 7)[:6], np.repeat(N20[::3], 7)[3:9] * 20),
            "FEW_CONFIGURATIONS",
            None,
        ),
    ],
)
def test_designs_that_cannot_identify_are_doubted(
    runs: Callable[[], Runs], code: str, status: str | None
) -> None:
    for objective in ("huber:1e-3", "lsq", "lad"):
        found = fit(runs(), objective=objective, draws=0)
        assert found.status != "ok"
        assert status is None or found.status == status
        assert code in codes(found)


def test_a_floor_that_is_not_there_is_reported() -> None:
    x = design("chinchilla")
    loss = law_of("additive")({"A": 60.0, "B": 300.0, "alpha": 0.2, "beta": 0.26}, x)
    wiggle = 1 + 0.003 * np.cos(np.arange(len(loss)))
    found = fit(Runs(columns={**x, "loss": loss * wiggle / loss**0.05}), draws=0)
    assert found.parameters["E"] == 0.0
    assert found.certificate.at_bound == ("E",)
    assert "BOUND_HIT" in codes(found)
    assert found.status == "suspect"


def test_an_exponent_that_no_run_feels_is_excused_by_an_amplitude_at_its_bound() -> None:
    n = np.tile(np.geomspace(1e7, 1e10, 6), 4)
    d = np.repeat(np.geomspace(1e9, 1e12, 4), 6)
    wiggle = 0.003 * np.cos(np.arange(24))
    loss = 1.7 + 400 * n**-0.34 + 0.01 * np.log(d)
    found = fit(
        Runs(columns={"N": n, "D": d, "loss": loss * (1 + wiggle)}), objective="lsq", draws=0
    )
    assert found.parameters["B"] == 0.0
    assert found.certificate.at_bound == ("B",)
    assert found.certificate.condition < 1e4
    assert codes(found) == {"BOUND_HIT"}


def test_a_parameter_that_no_run_feels_is_flat_where_no_bound_explains_it() -> None:
    size = np.geomspace(1e7, 1e10, 16)
    runs = Runs(columns={"N": size, "loss": 1.7 + 0.9 * np.exp(-3e-9 * size)})
    found = fit(runs, "E + A*exp(-k*N)", draws=0)
    assert "FLAT" in codes(found)
    assert np.isinf(found.certificate.condition)


@pytest.mark.parametrize("constant", [0.0, 0.4])
def test_a_term_that_can_stand_for_the_floor_is_flat_wherever_it_ends(constant: float) -> None:
    """``B D^-0`` and E are one number: the share of B may be anything, its bound included."""
    data = prepare(table("chinchilla", noise=0.01), law_of("chinchilla"))
    loss = np.exp(
        np.log(1.7 + 400 * data.x["N"] ** -0.34) + 0.003 * np.cos(np.arange(len(data.loss)))
    )
    kernel = Kernel(data.law.bound(beta=(0.0, 1e-9)), data.x, loss, Huber(1e-3))
    weights = np.ones(kernel.n)
    near = kernel.internal(np.array([1.7 - constant, 400.0, constant, 0.34, 0.0]))
    held = minimise(kernel, near[None], weights=weights)
    q = held.q.copy()
    q[0, 0], q[0, 2] = q[0, 0] + q[0, 2] - constant, constant
    ends = Solutions(q, kernel.terms(q, weights[None]).value, held.status, held.iterations)
    _, reasons = certificate_module.certify(kernel, ends, q, weights)
    assert "FLAT" in {r.code for r in reasons}


def test_weights_that_hide_runs_do_not_hide_that() -> None:
    runs = table("chinchilla", noise=0.01)
    few = np.r_[np.ones(4), np.zeros(len(runs) - 4)]
    with pytest.raises(FitError) as caught:
        fit(runs, weights=few, draws=0)
    assert caught.value.code == "TOO_FEW_RUNS"
    one_row = (runs["N"] == runs["N"][0]).astype(float)
    assert "UNIDENTIFIED" in codes(fit(runs, weights=one_row, draws=0))
    for bad in (np.zeros(len(runs)), -np.ones(len(runs)), np.ones(3), np.full(len(runs), np.nan)):
        with pytest.raises(InputError, match="weights"):
            fit(runs, weights=bad, draws=0)


@pytest.mark.parametrize(
    "formula",
    [
        "E + A*B*N**-alpha + C*D**-beta",
        "E + F + A*N**-alpha + B*D**-beta",
        "E + A*N**(-alpha-gamma) + B*D**-beta",
        "E + A*N**-alpha + C*N**-alpha + B*D**-beta",
    ],
)
def test_parameters_that_stand_for_each_other_are_noticed(formula: str, noisy: Runs) -> None:
    columns = {a: np.array(noisy[a]) for a in ("N", "D", "loss")}
    found = fit(Runs(columns=columns), formula, draws=0)
    assert found.status != "ok"
    assert codes(found) & {"FLAT", "NOT_A_MINIMUM"}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", ["N", "D", "loss"])
def test_a_number_that_is_none_is_refused_by_name(column: str, value: float, noisy: Runs) -> None:
    columns = {a: np.array(noisy[a]) for a in ("N", "D", "loss")}
    columns[column][7] = value
    with pytest.raises(InputError, match=rf"{column}\[7\]"):
        Runs(columns=columns)
    # A reader keeps going, and says which row it did not take.
    read = isoloss.read_runs(columns)
    assert [r.code for r in read.refused] == ["NOT_FINITE"]
    assert len(read) == len(noisy) - 1


def test_a_table_joined_to_itself_gives_no_better_answer(noisy: Runs) -> None:
    columns = {a: np.tile(noisy[a], 2) for a in ("N", "D", "loss")}
    read = isoloss.read_runs(columns)
    assert len(read) == len(noisy)
    assert {r.code for r in read.refused} == {"DUPLICATE"}
    # Rows that were put there by hand are kept, as seeds of one configuration that move together.
    once, twice = fit(noisy, draws=400), fit(Runs(columns=columns), draws=400)
    assert twice.method == "cluster bootstrap"
    np.testing.assert_allclose(twice.draws.std(axis=0), once.draws.std(axis=0), rtol=0.2)


X = np.linspace(-1.0, 4.0, 24)
Y = 2 * np.exp(-0.7 * X) - 1 + 0.01 * np.cos(9 * X)
CURVE = "a*exp(-k*x) - b"


def test_the_curve_that_is_spoiled_below_is_ok() -> None:
    assert regress({"x": X, "y": Y}, CURVE).status == "ok"


@pytest.mark.parametrize("factor", [-1.0, 1.01, np.nan, 0.0])
@pytest.mark.parametrize("slot", range(1, 6))
def test_a_regression_with_a_wrong_derivative_is_not_ok(
    slot: int, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots 1 to 3: first derivatives by a, b and k; 4 and 5: second ones by (a, k), (k, k)."""
    spoil_tape(monkeypatch, slot, factor)
    try:
        found = regress({"x": X, "y": Y}, CURVE)
    except FitError:
        return
    assert found.status == "failed"
    assert "DERIVATIVE" in codes(found)


@pytest.mark.parametrize(
    "formula",
    [
        "a*c*exp(-k*x) - b",
        "a*exp(-k*x) + c*exp(-k*x) - b",
        "a*exp(-k*x + c) - b",
        "a*exp(-(k + c)*x) - b",
        "a*exp(-k*x) - b + c",
        "a*exp(-k*x) - b + c*(x - x)",
        "a*sin(k) + b*x",
    ],
)
def test_a_regression_on_parameters_that_stand_for_each_other_is_not_ok(formula: str) -> None:
    found = regress({"x": X, "y": Y}, formula)
    assert found.status != "ok"
    assert codes(found) & {"FLAT", "NOT_A_MINIMUM"}


def test_a_regression_on_a_table_joined_to_itself_is_not_ok() -> None:
    found = regress({"x": np.tile(X, 2), "y": np.tile(Y, 2)}, CURVE)
    assert codes(found) == {"DUPLICATE"}
    # Two seeds that happen to agree are not that.
    some = regress({"x": np.r_[X, X[:3]], "y": np.r_[Y, Y[:3]]}, CURVE)
    assert some.status == "ok"


def test_a_regression_whose_engine_lies_about_its_end_is_not_ok(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = sys.modules["isoloss.fit.regress"]

    def perturbed(*args: Any, **options: Any) -> Solutions:
        s = minimise(*args, **options)
        return Solutions(s.q * 1.05, s.value, s.status * 0 + CONVERGED, s.iterations)

    monkeypatch.setattr(module, "minimise", perturbed)
    found = regress({"x": X, "y": Y}, CURVE)
    assert found.status != "ok"
    assert codes(found) & {"GRADIENT", "SECOND_ENGINE", "DIGITS"}

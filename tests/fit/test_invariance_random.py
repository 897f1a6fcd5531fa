"""What must not change an answer, over designs at random, nasty ones among them.

Where a fit is sure of itself, another order, unit or scale changes parameters by their unit and
predictions by less than 1e-10. Where it says that its optimum is flat, one of several or not
reached, rounding may choose: then it must say so in every unit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

import isoloss
from isoloss._core.serial import to_json
from isoloss.errors import FitError
from isoloss.fit import Fit, LawSet, LeastSquares, backtest, fit, fit_laws, forecast
from isoloss.fit.objective import parse_objective
from isoloss.plan import allocate, fit_isoflop
from isoloss.plan.cost import Coefficient
from isoloss.runs import Runs

# A design is shown by its digest, not shrunk: smaller ones are no easier to understand.
PHASES = (Phase.explicit, Phase.generate)
SOME = settings(max_examples=6, deadline=None, derandomize=True, phases=PHASES)
FEW = settings(SOME, max_examples=2)
UNSURE = {
    "FLAT", "NOT_A_MINIMUM", "GRADIENT", "MAX_ITER", "MULTIMODAL", "SECOND_ENGINE", "NOT_A_VERTEX",
}  # fmt: skip
OBJECTIVES = ["huber:1e-3", "lsq", "lad", "one-sided:1e-3", "lsq,linear", "lad,linear"]
PETAFLOP_DAY = 8.64e19


@st.composite
def designs(draw: Any, *, clean: bool = False) -> Runs:
    """Seven to forty runs of a law: any decades, any unit of the loss, repeats, noise."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(20 if clean else 7, 40))
    x = {}
    for axis in ("N", "D"):
        low = draw(st.floats(3, 9.5))
        wide = draw(st.floats(1.5 if clean else 0.5, 3.5))
        x[axis] = 10 ** rng.uniform(low, low + wide, n)
    if draw(st.booleans()) and not clean:
        rows = rng.integers(0, n, n)
        x = {a: v[rows] for a, v in x.items()}
    alpha, beta = (draw(st.floats(0.25 if clean else 0.1, 0.6)) for _ in range(2))
    floor = draw(st.sampled_from([0.5, 1.7] if clean else [0.0, 0.3, 1.7]))
    logs = [np.log(v) - np.log(v).mean() for v in x.values()]
    terms = [np.exp(-a * v) for a, v in zip((alpha, beta), logs, strict=True)]
    loss = floor + draw(st.floats(0.3, 3)) * terms[0] + draw(st.floats(0.3, 3)) * terms[1]
    noise = draw(st.sampled_from([0.003] if clean else [0.001, 0.01, 0.1]))
    loss = loss * np.exp(noise * rng.standard_normal(n)) * 10 ** draw(st.floats(-3, 3))
    return Runs(columns={**x, "loss": loss, "seed": np.arange(n)})


def solved(runs: Runs, objective: Any, **options: Any) -> Fit:
    try:
        return fit(runs, objective=objective, draws=0, **options)
    except FitError:
        assume(False)
        raise


def codes(found: Fit) -> list[str]:
    return [r.code for r in found.reasons]


def unsure(found: Fit) -> bool:
    return bool(UNSURE & set(codes(found)))


def in_units(runs: Runs, units: Mapping[str, float]) -> Runs:
    return Runs(columns={a: v / units.get(a, 1.0) for a, v in runs.columns.items()})


def same(one: Fit, other: Fit, runs: Runs, units: Mapping[str, float]) -> None:
    """Agreement of a fit with the fit to the same runs in other units."""
    if unsure(one) or unsure(other):
        assert unsure(one)
        assert unsure(other)
        return
    scale = units.get("loss", 1.0)
    x = {a: runs[a] for a in ("N", "D")}
    there = {a: runs[a] / units.get(a, 1.0) for a in ("N", "D")}
    np.testing.assert_allclose(other.predict(there) * scale, one.predict(x), rtol=1e-10)
    p, q = one.parameters, other.parameters
    assert q["E"] * scale == pytest.approx(p["E"], rel=1e-6, abs=1e-9 * runs["loss"].min())
    for amplitude, exponent, axis in (("A", "alpha", "N"), ("B", "beta", "D")):
        if p[amplitude] == 0:
            assert q[amplitude] == 0
            continue
        assert q[exponent] == pytest.approx(p[exponent], rel=1e-6)
        here = np.log(q[amplitude]) + q[exponent] * np.log(units.get(axis, 1.0)) + np.log(scale)
        assert here == pytest.approx(np.log(p[amplitude]), rel=1e-6, abs=1e-6)
    assert codes(one) == codes(other)


@pytest.mark.parametrize("objective", OBJECTIVES)
@SOME
@given(designs(), st.randoms(use_true_random=False))
def test_order_of_rows(objective: str, runs: Runs, random: Any) -> None:
    order = list(range(len(runs)))
    random.shuffle(order)
    one, other = solved(runs, objective), solved(runs.select(order), objective)
    assert one.theta.tobytes() == other.theta.tobytes()
    assert one.residuals[order].tobytes() == other.residuals.tobytes()
    assert to_json(one.certificate.to_dict()) == to_json(other.certificate.to_dict())
    assert codes(one) == codes(other)


@pytest.mark.parametrize("objective", OBJECTIVES)
@SOME
@given(designs(), st.sampled_from([{"N": 1e6, "D": 1e9}, {"N": 1e-3}, {"D": 7.3e11}]))
def test_units_of_the_axes(objective: str, runs: Runs, units: dict[str, float]) -> None:
    other = solved(in_units(runs, units), objective)
    same(solved(runs, objective), other, runs, units)


@pytest.mark.parametrize("objective", OBJECTIVES)
@SOME
@given(designs(), st.sampled_from([1e-6, 1e6, 0.6931471805599453]))
def test_unit_of_the_loss(objective: str, runs: Runs, unit: float) -> None:
    one, other = solved(runs, objective), solved(in_units(runs, {"loss": unit}), objective)
    same(one, other, runs, {"loss": unit})
    if not unsure(one):
        power = 0 if one.objective.log else 2 if np.isinf(one.objective.delta) else 1
        assert other.value * unit**power == pytest.approx(one.value, rel=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
@SOME
@given(designs(), st.sampled_from([1e-6, 1e6]))
def test_scale_of_the_weights(objective: str, runs: Runs, factor: float) -> None:
    rng = np.random.default_rng(len(runs))
    weights = rng.uniform(0.5, 2, len(runs))
    one = solved(runs, objective, weights=weights)
    same(one, solved(runs, objective, weights=factor * weights), runs, {})


@pytest.mark.parametrize("objective", OBJECTIVES)
@SOME
@given(designs(), st.integers(0, 99))
def test_a_row_twice_is_a_weight_of_two(objective: str, runs: Runs, seed: int) -> None:
    twice = np.flatnonzero(np.random.default_rng(seed).random(len(runs)) < 0.4)
    weights = np.ones(len(runs))
    weights[twice] = 2.0
    weighted = solved(runs, objective, weights=weights)
    doubled = solved(runs.select([*range(len(runs)), *twice.tolist()]), objective)
    if unsure(weighted) or unsure(doubled):
        return  # the centre of the scaled axes moves with the rows, and so do the starts
    x = {a: runs[a] for a in ("N", "D")}
    np.testing.assert_allclose(doubled.predict(x), weighted.predict(x), rtol=1e-9)
    total = weighted.value * weights.sum() / len(runs)
    assert doubled.value == pytest.approx(total, rel=1e-9)


@SOME
@given(designs(), st.permutations(["N", "D", "loss", "seed"]))
def test_order_of_columns_and_their_names(runs: Runs, order: list[str]) -> None:
    one = solved(runs, "huber:1e-3")
    shuffled = Runs(columns={a: runs[a] for a in order})
    assert solved(shuffled, "huber:1e-3").theta.tobytes() == one.theta.tobytes()
    renamed = Runs(columns={"size": runs["N"], "words": runs["D"], "loss": runs["loss"]})
    formula = "E + A*size**-alpha + B*words**-beta"
    original = solved(runs, "huber:1e-3", law="E + A*N**-alpha + B*D**-beta")
    other = solved(renamed, "huber:1e-3", law=formula)
    assert other.theta.tobytes() == original.theta.tobytes()


@SOME
@given(designs(clean=True))
def test_a_resource_may_have_the_name_of_an_outcome(runs: Runs) -> None:
    """Hours of training are an outcome in one table and the resource of the law in another."""
    law = "E + A*{0}**-alpha"
    found = [
        fit(
            Runs(columns={name: runs["D"], "loss": runs["loss"]}), law.format(name), draws=30, rng=1
        )
        for name in ("steps", "hours")
    ]
    assert found[1].method == found[0].method
    assert found[1].draws.tobytes() == found[0].draws.tobytes()


@SOME
@given(designs(clean=True))
def test_seeds_and_draws_move_nothing_but_the_draws(runs: Runs) -> None:
    state = np.random.get_state()[1].tobytes()  # type: ignore[union-attr]  # noqa: NPY002
    none, few, more = (fit(runs, draws=d, rng=3) for d in (0, 20, 30))
    other = fit(runs, draws=20, rng=4)
    assert none.theta.tobytes() == few.theta.tobytes() == other.theta.tobytes()
    assert none.certificate.to_dict() == other.certificate.to_dict()
    np.testing.assert_allclose(more.draws[: len(few.draws)], few.draws, rtol=1e-9)
    assert other.draws.tobytes() != few.draws.tobytes()
    assert np.random.get_state()[1].tobytes() == state  # type: ignore[union-attr]  # noqa: NPY002


LAWS = ["chinchilla", "additive", "kaplan"]
NUMBERS = ("loss", "interval.low", "interval.high", "mean.low", "mean.high")


def answers(laws: LawSet, units: Mapping[str, float]) -> dict[str, float]:
    at = {"N": 3e12 / units.get("N", 1.0), "D": 5e13 / units.get("D", 1.0)}
    found = forecast(laws, at)
    values = [found.loss, found.interval.low, found.interval.high, found.mean.low, found.mean.high]
    numbers = {k: v * units.get("loss", 1.0) for k, v in zip(NUMBERS, values, strict=True)}
    weights = {f.law.name: float(w) for f, w in zip(laws.fits, laws.weights, strict=True)}
    return numbers | weights | {"discrepancy": laws.discrepancy, "split": laws.split_discrepancy}


def sure(laws: LawSet) -> bool:
    return not any(unsure(f) or "BOUND_HIT" in codes(f) for f in laws.fits)


@FEW
@given(designs(clean=True), st.permutations(range(3)))
def test_law_sets_and_forecasts(runs: Runs, order: list[int]) -> None:
    """Order of rows and of laws, units, and the unit of the loss: weights, forecast, draws."""
    one = fit_laws(runs, LAWS, draws=40)
    expected = answers(one, {})
    rows = np.random.default_rng(len(runs)).permutation(len(runs))
    same_rows = answers(fit_laws(runs.select(rows), LAWS, draws=40), {})
    assert same_rows == pytest.approx(expected, rel=1e-10, abs=1e-12)
    shuffled = answers(fit_laws(runs, [LAWS[i] for i in order], draws=40), {})
    assert shuffled == pytest.approx(expected, rel=1e-10, abs=1e-12)
    for units in ({"N": 1e6, "D": 1e9}, {"loss": 1e6}, {"loss": 1e-6}):
        other = fit_laws(in_units(runs, units), LAWS, draws=40)
        if sure(one) and sure(other):
            assert answers(other, units) == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_law_sets_in_any_order_give_one_forecast() -> None:
    """Each law once drew its chance from where it stood in the list: intervals moved by 20 %."""
    rng = np.random.default_rng(2)
    N, D = 10 ** rng.uniform(6, 9, 30), 10 ** rng.uniform(8, 11, 30)
    loss = (1.8 + 480 * N**-0.35 + 2100 * D**-0.37) * np.exp(0.01 * rng.standard_normal(30))
    table = {"N": N, "D": D, "loss": loss}
    one, other = (answers(fit_laws(table, laws, draws=100), {}) for laws in (LAWS, LAWS[::-1]))
    assert one == pytest.approx(other, rel=1e-12)
    # Cuts are solved as sharply as the fit itself, or units would show in the weights.
    units = {"N": 1e6, "D": 1e9, "loss": 1e3}
    moved = {a: v / units[a] for a, v in table.items()}
    assert answers(fit_laws(moved, LAWS, draws=100), units) == pytest.approx(one, rel=1e-10)


def test_a_constant_of_a_law_may_overflow_in_one_unit_of_the_loss() -> None:
    """Kaplan's N_c is a loss to the power of one over an exponent, which may be next to nothing."""
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(6, 9, 30), 10 ** rng.uniform(8, 11, 30)
    laws = [isoloss.get_law("kaplan")]
    values = {"Nc": 1e8, "Dc": 1e10, "alpha_N": 0.01, "alpha_D": 0.1}
    loss = laws[0](values, {"N": N, "D": D}) * np.exp(1e-4 * rng.standard_normal(30))
    one, other = (
        backtest(Runs(columns={"N": N, "D": D, "loss": loss * unit}), laws, [LeastSquares()])
        for unit in (1.0, 1e6)
    )
    for key, values in one.predictions.items():
        assert np.isfinite(values).all()
        np.testing.assert_allclose(other.predictions[key] / 1e6, values, rtol=1e-8)


@SOME
@given(
    st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(-6, 6), st.floats(-6, 6), st.floats(-6, 6)
)
def test_split_of_compute(alpha: float, beta: float, n: float, d: float, c: float) -> None:
    """N in millions, tokens in billions, compute in petaflop-days, loss in anything."""
    n_unit, d_unit, loss_unit = 10**n, 10**d, 10**c
    values = {"E": 1.7, "A": 400.0, "B": 2000.0, "alpha": alpha, "beta": beta}
    moved = {
        "E": 1.7 / loss_unit,
        "A": 400.0 * n_unit**-alpha / loss_unit,
        "B": 2000.0 * d_unit**-beta / loss_unit,
        "alpha": alpha,
        "beta": beta,
    }
    law = isoloss.get_law("chinchilla")
    C = np.array([1e19, 1e23])
    cost = Coefficient(6 * n_unit * d_unit / PETAFLOP_DAY)
    one, other = allocate(law, values, C), allocate(law, moved, C / PETAFLOP_DAY, cost=cost)
    np.testing.assert_allclose(other.N_opt * n_unit, one.N_opt, rtol=1e-10)
    np.testing.assert_allclose(other.D_opt * d_unit, one.D_opt, rtol=1e-10)
    np.testing.assert_allclose(other.L_opt * loss_unit, one.L_opt, rtol=1e-10)
    np.testing.assert_allclose(other.exponent_N, one.exponent_N, rtol=1e-10)
    for a, b in zip(one.near_optimal, other.near_optimal, strict=True):
        ends = np.array([b.N_low, b.N_high]) * n_unit
        np.testing.assert_allclose(ends, [a.N_low, a.N_high], rtol=1e-9)
        assert b.deadweight == pytest.approx(a.deadweight, rel=1e-9)
    assert one.status == other.status


@SOME
@given(st.integers(0, 999), st.permutations(range(27)), st.sampled_from([1e-6, 1e6]))
def test_isoflop_minima(seed: int, order: list[int], unit: float) -> None:
    rng = np.random.default_rng(seed)
    C = np.repeat([1e19, 1e20, 1e21], 9)
    N = 0.09 * np.sqrt(C) * np.tile(np.geomspace(0.2, 5, 9), 3)
    loss = (1.8 + 480 * N**-0.35 + 2100 * (C / (6 * N)) ** -0.37) * np.exp(
        0.002 * rng.standard_normal(27)
    )
    one = fit_isoflop(N, C / (6 * N), C, loss)
    rows = np.array(order)
    other = fit_isoflop(
        N[rows] / 1e6, (C / (6 * N))[rows] / 1e9, C[rows] / PETAFLOP_DAY, loss[rows] * unit
    )
    assert [b.refusal and b.refusal.code for b in other.budgets] == [
        b.refusal and b.refusal.code for b in one.budgets
    ]
    assert [r.code for r in one.reasons] == [r.code for r in other.reasons]
    for a, b in zip(one.budgets, other.budgets, strict=True):
        if a.refusal is None:
            assert b.N_opt * 1e6 == pytest.approx(a.N_opt, rel=1e-10)
            assert b.L_opt / unit == pytest.approx(a.L_opt, rel=1e-10)
            assert b.log_se == pytest.approx(a.log_se, rel=1e-9)
    if one.line_N is not None and other.line_N is not None:
        assert other.exponent_N == pytest.approx(one.exponent_N, abs=1e-10)
        assert one.exponent_N_interval is not None
        assert other.exponent_N_interval is not None
        for end in ("low", "high"):
            here = getattr(other.exponent_N_interval, end)
            assert here == pytest.approx(getattr(one.exponent_N_interval, end), abs=1e-9)


@FEW
@given(designs(clean=True), st.sampled_from([{"loss": 1e6}, {"loss": 1e-6}, {"N": 1e6, "D": 1e9}]))
def test_influence(runs: Runs, units: dict[str, float]) -> None:
    one, other = fit(runs, draws=60), fit(in_units(runs, units), draws=60)
    assume(not unsure(one))
    assert one.influence is not None
    assert other.influence is not None
    assert one.influence.flagged.tolist() == other.influence.flagged.tolist()
    for name in ("alpha", "beta"):
        np.testing.assert_allclose(
            other.influence.quantities[name],
            one.influence.quantities[name],
            atol=1e-6 * one.influence.scales[name],
        )


def test_ties_that_only_another_column_breaks() -> None:
    """Equal in N, D and loss but of two configurations: rows once drew by their place."""
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(6, 9, 20), 10 ** rng.uniform(8, 11, 20)
    loss = (1.8 + 480 * N**-0.35 + 2100 * D**-0.37) * np.exp(0.01 * rng.standard_normal(20))
    lr = np.full(20, 0.1)
    N[1], D[1], loss[1], lr[1] = N[0], D[0], loss[0], 0.2
    N[2], D[2], lr[2] = N[0], D[0], 0.2  # a repeat of the second configuration alone
    runs = Runs(columns={"N": N, "D": D, "loss": loss, "lr": lr})
    swapped = runs.select([1, 0, *range(2, 20)])
    one, other = (fit(r, draws=30, resample="cluster") for r in (runs, swapped))
    assert one.draws.tobytes() == other.draws.tobytes()


def test_threads_change_no_byte_of_a_whole_answer() -> None:
    """Law set, forecast, plan and isoFLOP lines in processes of one and of two threads."""
    code = """
import numpy as np
from isoloss.fit import fit_laws, forecast
from isoloss.plan import allocate, fit_isoflop
from isoloss._core.serial import to_json
rng = np.random.default_rng(0)
C = np.repeat([1e19, 1e20, 1e21], 9)
N = 0.09 * np.sqrt(C) * np.tile(np.geomspace(0.2, 5, 9), 3)
D = C / (6 * N)
loss = (1.8 + 480 * N**-0.35 + 2100 * D**-0.37) * np.exp(0.002 * rng.standard_normal(27))
laws = fit_laws({"N": N, "D": D, "loss": loss}, ["chinchilla", "kaplan"], draws=40)
plan = allocate(laws.best, C=[1e22])
print(to_json([laws, forecast(laws, {"N": 1e11, "D": 1e13}), plan, fit_isoflop(N, D, C, loss)]))
"""
    printed = []
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        env = os.environ | dict.fromkeys(names, threads)
        env |= {"PYTHONPATH": str(Path(isoloss.__file__).parents[1]), "PYTHONHASHSEED": threads}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, check=True
        )
        printed.append(done.stdout)
    assert printed[0] == printed[1]
    assert len(printed[0]) > 1000


def test_objectives_here_are_all_there_are() -> None:
    assert {parse_objective(o).log for o in OBJECTIVES} == {True, False}

"""Published laws beside the joint ones: check values to the digits printed, and what must hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.laws import PUBLISHED, get_law, kaplan
from isoloss.plan import allocate


def at(name: str, **x: Any) -> np.ndarray:
    known = PUBLISHED[name]
    return get_law(known.law, axis=known.axis or "x")(known.parameters, x)


def test_m4(relatives: dict[str, Any]) -> None:
    golden = relatives["m4"]
    v = golden["theta"]
    high = v["e0"] - v["e_inf"]
    theta = {"E": v["e_inf"], "H": high, "a": v["alpha"], "c": -v["c"]}
    theta["K"] = v["b"] * high ** (v["alpha"] - 1)
    found = get_law("m4")(theta, {"x": golden["x"]})
    np.testing.assert_allclose(found, golden["error"], atol=5e-9)
    for x, e in zip(golden["x"], found, strict=True):
        left = (e - v["e_inf"]) / (v["e0"] - e) ** v["alpha"]
        assert left == pytest.approx(v["b"] * x ** v["c"], rel=1e-12)


def test_kaplan(relatives: dict[str, Any]) -> None:
    golden = relatives["kaplan"]
    n, d, both = (golden[k] for k in ("loss_at_N", "loss_at_D", "loss_at_N_D"))
    assert at("kaplan-2020-size", N=n["at"]) == pytest.approx(n["value"], abs=5e-7)
    assert at("kaplan-2020-data", D=d["at"]) == pytest.approx(d["value"], abs=5e-7)
    assert at("kaplan-2020", N=both["N"], D=both["D"]) == pytest.approx(both["value"], abs=5e-7)
    batch = golden["critical_batch"]
    assert kaplan.critical_batch(batch["loss"]) == pytest.approx(batch["value"], abs=0.5)
    assert kaplan.best_use().loss == pytest.approx(golden["exponent_rounded"], abs=5e-5)
    other = kaplan.best_use(alpha_N=0.077).loss
    assert other == pytest.approx(golden["exponent_other_alpha_N"], abs=5e-5)


def test_kaplan_hangs_together() -> None:
    """Two printed laws of compute agree to 6 %, once the fixed batch of 2^19 is adjusted for."""
    C = np.geomspace(1e-3, 10, 9)
    loss = at("kaplan-2020-compute-fixed-batch", C=C)
    least = kaplan.minimum_compute(C, 2**19, kaplan.critical_batch(loss))
    np.testing.assert_allclose(at("kaplan-2020-compute", C=least), loss, rtol=0.06)
    # Prefactors of the best use: at a PF-day D = C/(6 N), twice that at the critical batch.
    one = {k: PUBLISHED[f"kaplan-2020-optimal-{k}"].parameters["A"] for k in ("size", "data")}
    assert 6 * one["size"] * one["data"] / kaplan.PF_DAY == pytest.approx(2.0, rel=0.15)
    batch, steps = (
        PUBLISHED[f"kaplan-2020-optimal-{k}"].parameters["A"] for k in ("batch", "steps")
    )
    assert kaplan.training_flops(one["size"], batch, steps) == pytest.approx(
        kaplan.PF_DAY, rel=0.03
    )
    names = ("size", "batch", "steps")
    grown = [PUBLISHED[f"kaplan-2020-optimal-{k}"].parameters["alpha"] for k in names]
    assert sum(grown) == pytest.approx(1.0, abs=0.015)


def test_best_use_is_the_optimum() -> None:
    """The exponents are those of the least loss at 6 N B(L) S, searched by brute force."""
    v = PUBLISHED["kaplan-2020-steps"].parameters
    expected = kaplan.best_use(v["alpha_N"], v["alpha_S"], 0.21)

    def least(C: float) -> tuple[float, float, float]:
        found = (math.inf, 0.0, 0.0)
        # At fixed loss the size left over after the steps makes compute least.
        for share in np.linspace(0.001, 0.999, 4001):
            size_part, step_part = share, 1 - share
            # L = l: N = Nc (share l)^(-1/aN), S = Sc ((1 - share) l)^(-1/aS), B = 2e8 l^(-1/.21).
            power = 1 / v["alpha_N"] + 1 / v["alpha_S"] + 1 / 0.21
            front = 6 * v["Nc"] * v["Sc"] * 2e8
            front *= size_part ** (-1 / v["alpha_N"]) * step_part ** (-1 / v["alpha_S"])
            loss = (front / C) ** (1 / power)
            if loss < found[0]:
                N = v["Nc"] * (share * loss) ** (-1 / v["alpha_N"])
                S = v["Sc"] * ((1 - share) * loss) ** (-1 / v["alpha_S"])
                found = (loss, N, S)
        return found

    (l0, n0, s0), (l1, n1, s1) = least(1e18), least(1e20)
    assert math.log(l0 / l1) / math.log(100) == pytest.approx(expected.loss, rel=1e-9)
    assert math.log(n1 / n0) / math.log(100) == pytest.approx(expected.size, rel=1e-9)
    assert math.log(s1 / s0) / math.log(100) == pytest.approx(expected.steps, rel=1e-9)
    assert expected.size + expected.data == pytest.approx(1.0, rel=1e-12)
    assert set(expected.to_dict()) == {"loss", "size", "batch", "steps", "data"}


positive = st.floats(1e-3, 1e9)


@given(positive, positive, positive)
def test_batch_identities(steps: float, batch: float, critical: float) -> None:
    least = kaplan.minimum_steps(steps, batch, critical)
    assert kaplan.steps_at_batch(least, batch, critical) == pytest.approx(steps, rel=1e-12)
    assert least < steps
    # Least compute and least steps of one run lie on the hyperbola of steps and examples.
    examples, fewest = steps * batch, critical * float(least)
    if steps / least - 1 > 1e-6:
        found = kaplan.examples_for_steps(steps, least, fewest)
        assert found == pytest.approx(examples, rel=1e-6)
    compute = kaplan.training_flops(10.0, batch, steps)
    assert kaplan.minimum_compute(compute, batch, critical) == pytest.approx(
        kaplan.training_flops(10.0, critical, least), rel=1e-12
    )


def test_batch_limits() -> None:
    assert kaplan.minimum_steps(1000, 1e30, 1e6) == pytest.approx(1000)
    assert kaplan.minimum_compute(1000, 1e-30, 1e6) == pytest.approx(1000)
    assert kaplan.minimum_steps(1000, 1e6, 1e6) == 500
    assert np.isinf(kaplan.examples_for_steps([999, 1000], 1000, 1e9)).all()
    assert kaplan.examples_for_steps(1e12, 1000, 1e9) == pytest.approx(1e9)


def test_overfitting_and_early_stop() -> None:
    N, D = np.geomspace(1e6, 1e10, 5), np.geomspace(1e8, 1e12, 5)
    joint = at("kaplan-2020", N=N, D=D)
    endless = at("kaplan-2020", N=N, D=1e40)
    np.testing.assert_allclose(kaplan.overfitting(N, D), joint / endless - 1, rtol=1e-9)
    steps = PUBLISHED["kaplan-2020-steps"].parameters
    expected = steps["Sc"] * (joint - endless) ** (-1 / steps["alpha_S"])
    np.testing.assert_allclose(kaplan.early_stop(N, D), expected, rtol=1e-9)
    # The rule of thumb keeps the overfitting at a few per cent over five decades of size.
    kept = kaplan.overfitting(N, kaplan.least_data(N))
    assert ((kept > 0.018) & (kept < 0.025)).all()
    # It depends on N^(aN/aD)/D alone.
    twice = kaplan.overfitting(N * 2, D * 2 ** (0.076 / 0.103))
    np.testing.assert_allclose(twice, kaplan.overfitting(N, D), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: kaplan.critical_batch(0.0), "loss = 0.0"),
        (lambda: kaplan.critical_batch("high"), "loss: expected numbers"),
        (lambda: kaplan.minimum_steps([1, 2], [1, 2, 3], 1), "do not broadcast"),
        (lambda: kaplan.overfitting(1e9, -1.0), "D = -1.0"),
        (lambda: kaplan.early_stop(math.inf, 1e9), "N = inf"),
        (lambda: kaplan.best_use(alpha_B=0.0), "alpha_B"),
    ],
)
def test_kaplan_misuse(call: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        call()


def test_hoffmann(relatives: dict[str, Any]) -> None:
    golden = relatives["hoffmann"]
    law, rounded = get_law("chinchilla"), PUBLISHED["hoffmann-2022-rounded"].parameters
    plan = allocate(law, rounded, golden["C"])
    assert plan.N_opt[0] == pytest.approx(golden["N_opt"], abs=5e5)
    assert plan.D_opt[0] == pytest.approx(golden["D_opt"], abs=5e6)
    assert plan.L_opt[0] == pytest.approx(golden["L_opt"], abs=5e-7)
    assert law(rounded, golden["at"]) == pytest.approx(golden["loss"], abs=5e-7)
    for name, key in (
        ("hoffmann-2022", "growth_unrounded"),
        ("hoffmann-2022-rounded", "growth_rounded"),
        ("epoch-2024-lad", "growth_replication"),
    ):
        v = PUBLISHED[name].parameters
        found = v["beta"] / (v["alpha"] + v["beta"])
        assert found == pytest.approx(golden[key], abs=6e-5)


def test_approaches_add_to_one() -> None:
    for number in (1, 2, 3):
        both = [PUBLISHED[f"hoffmann-2022-approach-{number}-{k}"] for k in ("size", "data")]
        assert sum(p.parameters["alpha"] for p in both) == pytest.approx(1.0)
        for p in both:
            inside = p.parameters["alpha"] in p.intervals["alpha"]
            assert inside == ("does not hold" not in p.caveat)
            assert p.intervals["alpha"].level == 0.8


def test_clip(relatives: dict[str, Any]) -> None:
    golden = relatives["clip"]
    for whose in ("openclip", "clip"):
        for task, (amplitude, exponent) in golden[whose].items():
            known = PUBLISHED[f"{whose}-2022-{task}"]
            assert known.parameters == {"A": amplitude, "alpha": exponent}
            assert 0.05 < at(f"{whose}-2022-{task}", C=1e11)[0] < 0.9


def test_alphazero(relatives: dict[str, Any]) -> None:
    golden = relatives["alphazero"]
    for game in ("connect-four", "pentago"):
        found = {
            k: PUBLISHED[f"alphazero-2022-{game}-{k}"].parameters["alpha"] for k in golden[game]
        }
        assert found == golden[game]
        assert found["compute"] / found["size"] == pytest.approx(found["optimal-size"], abs=0.01)
    # Ten times the size is worth 400 alpha points of Elo.
    law, alpha = get_law("growth", axis="N"), golden["pentago"]["size"]
    g = law({"A": 3.0, "alpha": alpha}, {"N": [1e4, 1e5]})
    assert 400 * np.log10(g[1] / g[0]) == pytest.approx(400 * alpha, rel=1e-12)


def test_scores_between_two_levels() -> None:
    law = get_law("bounded_score", axis="nodes")
    error = {"d": 0.9, "b": 0.5, "c": 1e-4, "a": 0.1}
    accuracy = {"d": 0.9, "b": 0.5, "c": 1e-4, "a": -0.1}
    ends = {"nodes": [1e-300, 1e300]}
    np.testing.assert_allclose(law(error, ends), [0.9, 0.9 - 0.5 * 1e-4**-0.1], rtol=1e-12)
    assert law(accuracy, ends)[1] == pytest.approx(0.9 - 0.5 * 1e-4**0.1, rel=1e-12)
    x = {"nodes": np.geomspace(1, 1e8, 30)}
    assert (np.diff(law(error, x)) < 0).all()
    assert (np.diff(law(accuracy, x)) > 0).all()
    # M3 is the rising score seen from its level.
    m3 = get_law("m3", axis="nodes")({"A": 0.5, "gamma": 1e-4, "c": 0.1}, x)
    np.testing.assert_allclose(0.9 - law(accuracy, x), m3, rtol=1e-12)

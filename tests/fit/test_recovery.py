"""Fits of losses computed from a law give the law back, whatever is pinned, bounded or scaled."""

from __future__ import annotations

import numpy as np
import pytest

from fit.designs import CHINCHILLA, TRUTHS, design, law_of, table
from isoloss.errors import FitError, InputError, LawError
from isoloss.fit import Fit, LeastSquares, fit
from isoloss.laws import Law, law_from_expression
from isoloss.runs import Runs


def worst(found: Fit, truth: dict[str, float]) -> float:
    return max(abs(v / truth[n] - 1) for n, v in found.parameters.items())


def by_break(values: dict[str, float]) -> dict[str, float]:
    """Breaks are exchangeable labels: order them by place."""
    places = sorted((v, n[1:]) for n, v in values.items() if n.startswith("d"))
    renamed = {old: str(i + 1) for i, (_, old) in enumerate(places)}
    return {n[0] + renamed.get(n[1:], n[1:]): v for n, v in values.items()}


# Farseer's nine parameters leave flat valleys in which starts end: it is not promised to be
# recovered, only never to be called good (below).
@pytest.mark.parametrize("name", sorted(set(TRUTHS) - {"farseer"}))
@pytest.mark.parametrize("objective", ["huber:1e-3", "lsq,linear"])
def test_noise_free_recovery(name: str, objective: str) -> None:
    found = fit(table(name), law_of(name), objective=objective, draws=0)
    codes = {r.code for r in found.reasons}
    # Several breaks have several optima, which starts find unevenly: that may be said.
    assert codes <= ({"MULTIMODAL"} if name.startswith("broken_power_") else set()), codes
    values = found.parameters
    values = by_break(values) if name.startswith("broken") else values
    for n, v in TRUTHS[name].items():
        assert values[n] == pytest.approx(v, rel=1e-6)
    assert found.certificate.derivative_error < 1e-12


def test_farseer_is_recovered_or_doubted() -> None:
    found = fit(table("farseer"), "farseer", draws=0)
    if found.rms_residual > 1e-6:
        assert found.status != "ok"
    with pytest.raises(FitError):
        found.require()


@pytest.mark.parametrize(
    "objective", ["lsq", "lad", "lad,linear", "one-sided:1e-3", "huber:1e-3,linear", "huber:0.1"]
)
def test_every_objective_recovers(objective: str) -> None:
    found = fit(table("chinchilla"), objective=objective, draws=20)
    assert found.status == "ok", found.summary()
    assert worst(found, CHINCHILLA) < 1e-6
    np.testing.assert_allclose(found.draws, np.tile(found.theta, (20, 1)), rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["chinchilla", "sigmoid_power", "kaplan", "coupled", "repetition_joint"]
)
def test_pinning_any_parameter_at_its_truth(name: str) -> None:
    runs, law = table(name), law_of(name)
    for pinned, value in TRUTHS[name].items():
        found = fit(runs, law.pin(**{pinned: value}), draws=0)
        assert pinned not in found.parameters
        assert worst(found, TRUTHS[name]) < 1e-6, (pinned, found.summary())


def test_bounds_hold_and_are_reported() -> None:
    runs, law = table("chinchilla"), law_of("chinchilla")
    for n, v in CHINCHILLA.items():
        inside = fit(runs, law.bound(**{n: (v / 3, 3 * v)}), draws=0)
        assert worst(inside, CHINCHILLA) < 1e-6
        assert inside.status == "ok"
        outside = fit(runs, law.bound(**{n: (1.05 * v, 3 * v)}), draws=0)
        assert outside.parameters[n] == pytest.approx(1.05 * v, rel=1e-9)
        assert outside.certificate.at_bound == (n,)
        assert outside.status == "suspect"
        assert "BOUND_HIT" in [r.code for r in outside.reasons]


def test_ties_hold() -> None:
    x = design("chinchilla")
    for tie, truth in (
        ({"beta": "alpha"}, CHINCHILLA | {"beta": CHINCHILLA["alpha"]}),
        ({"B": "A"}, CHINCHILLA | {"B": CHINCHILLA["A"]}),
    ):
        loss = law_of("chinchilla")(truth, x)
        found = fit(Runs(columns={**x, "loss": loss}), law_of("chinchilla").tie(**tie), draws=0)
        assert worst(found, truth) < 1e-6


@pytest.mark.parametrize(
    ("formula", "bounds", "truth", "name"),
    [
        ("E + A*N**-alpha + B*D**-beta", {}, CHINCHILLA, "chinchilla"),
        (
            "exp(e) + exp(a - alpha*log(D))",
            {"e": (-5.0, 5.0), "a": (-5.0, 20.0)},
            {"e": np.log(1.7), "a": np.log(400.0), "alpha": 0.3},
            "power_floor",
        ),
        ("E + (D/s)**-alpha", {}, {"E": 1.7, "s": 400.0 ** (1 / 0.3), "alpha": 0.3}, "power_floor"),
    ],
)
def test_formulas_of_the_user(
    formula: str, bounds: dict[str, tuple[float, float]], truth: dict[str, float], name: str
) -> None:
    law: Law = law_from_expression(formula, bounds=bounds)
    assert worst(fit(table(name), law, draws=0), truth) < 1e-6


def test_weights_stand_for_repeated_runs() -> None:
    runs = table("chinchilla", noise=0.01)
    weights = np.r_[np.full(20, 3.0), np.ones(len(runs) - 20)]
    twice = runs.select(np.r_[np.repeat(np.arange(20), 3), np.arange(20, len(runs))])
    for objective in ("huber:1e-3", "lad"):
        a = fit(runs, objective=objective, weights=weights, draws=0)
        b = fit(twice, objective=objective, draws=0)
        np.testing.assert_allclose(a.theta, b.theta, rtol=1e-7)
    # Runs without weight change nothing.
    zero = np.r_[np.zeros(9), np.ones(len(runs) - 9)]
    for objective in ("huber:1e-3", "lad"):
        a = fit(runs, objective=objective, weights=zero, draws=0)
        b = fit(runs.select(zero > 0), objective=objective, draws=0)
        np.testing.assert_allclose(a.theta, b.theta, rtol=1e-7)
        assert a.status == b.status == "ok"


def test_noise_that_shrinks_with_scale_is_weighted() -> None:
    x = design("chinchilla")
    scale = np.log(x["N"] * x["D"])
    spread = 0.02 * np.exp(-0.4 * (scale - scale.mean()))
    better = 0
    for seed in range(6):
        noise = spread * np.random.default_rng(seed).standard_normal(len(scale))
        loss = law_of("chinchilla")(CHINCHILLA, x) * np.exp(noise)
        runs = Runs(columns={**x, "loss": loss})
        errors = [
            abs(
                fit(runs, objective=LeastSquares(), noise=n, draws=0).parameters["E"]
                - CHINCHILLA["E"]
            )
            for n in ("constant", "scale")
        ]
        better += errors[1] < errors[0]
    assert better >= 5


def test_a_start_of_the_users_own_is_tried_first() -> None:
    """A rate per parameter of the model: nothing says so, and no start is within reach of it."""
    size = np.geomspace(1e7, 1e10, 16)
    runs = Runs(columns={"N": size, "loss": 1.7 + 0.9 * np.exp(-3e-9 * size)})
    formula = "E + A*exp(-k*N)"
    alone = fit(runs, formula, draws=0)
    assert alone.status != "ok"
    found = fit(runs, formula, draws=0, starts=[{"E": 1.0, "A": 1.0, "k": 1e-9}])
    assert found.parameters["k"] == pytest.approx(3e-9, rel=1e-6)
    assert found.rms_residual < 1e-9
    with pytest.raises(LawError, match="no value for k"):
        fit(runs, formula, draws=0, starts=[{"E": 1.0, "A": 1.0}])
    with pytest.raises(InputError, match="starts"):
        fit(runs, formula, draws=0, starts=[{"E": 1.0, "A": np.nan, "k": 1.0}])


def test_starts_do_not_change_what_is_found_without_them() -> None:
    runs = table("chinchilla", noise=0.01)
    one = fit(runs, draws=0)
    other = fit(runs, draws=0, starts=[CHINCHILLA])
    assert other.value == pytest.approx(one.value, rel=1e-9)
    assert other.certificate.n_starts == one.certificate.n_starts + 1

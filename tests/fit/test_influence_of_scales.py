"""Leaving out a whole scale: levels of a design, refits, and what decides the answer."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fit.designs import CHINCHILLA, law_of
from isoloss._core.serial import to_json
from isoloss.errors import FitError
from isoloss.fit import (
    LawSet,
    Level,
    fit,
    fit_laws,
    forecast_of,
    refit_without,
    scale_influence,
    scale_levels,
)
from isoloss.fit.leave_out import measure
from isoloss.fit.scales import DECIDES
from isoloss.runs import Runs

TARGET = {"N": 1e10, "D": 2e11}
JOINT = ("N", "D")
BUDGETS, RATIOS = np.geomspace(1e18, 3e20, 6), np.geomspace(3, 400, 7)
TOP = "C = 3e+20"


def isoflop(*, seed: int = 0, noise: float = 0.005, wrong: float = 0.0) -> Runs:
    """Six budgets of seven sizes; all runs of the largest budget are off by ``wrong``."""
    C, ratio = np.repeat(BUDGETS, len(RATIOS)), np.tile(RATIOS, len(BUDGETS))
    n = np.sqrt(C / 6 / ratio)
    d = C / 6 / n
    chance = np.random.default_rng(seed).standard_normal(len(n))
    shift = np.where(0.9 * C.max() < C, wrong, 0.0)
    loss = law_of("chinchilla")(CHINCHILLA, {"N": n, "D": d}) * np.exp(noise * chance + shift)
    return Runs(columns={"N": n, "D": d, "loss": loss})


def forecast_shift(runs: Runs, laws: LawSet) -> dict:
    return {"forecast": forecast_of(laws, TARGET, "the forecast")}


@pytest.fixture(scope="module")
def wrong() -> Runs:
    return isoflop(wrong=0.02)


@pytest.fixture(scope="module")
def of_wrong(wrong: Runs) -> LawSet:
    return fit_laws(wrong, ["chinchilla", "coupled"], objective="lsq", draws=100)


# ---- levels


def test_budgets_that_are_not_met_exactly_are_levels() -> None:
    runs = isoflop()
    jitter = np.exp(np.random.default_rng(1).uniform(-0.05, 0.05, len(runs)))
    runs = Runs(columns={"N": runs["N"], "D": runs["D"] * jitter, "loss": runs["loss"]})
    levels = scale_levels(runs, JOINT)
    assert [v.n_runs for v in levels] == [7] * 6
    assert [v.extreme for v in levels] == ["smallest", "", "", "", "", "largest"]
    assert not any(v.band for v in levels)
    for level, budget in zip(levels, BUDGETS, strict=True):
        assert level.low == pytest.approx(budget, rel=0.06)
        assert level.low < level.high


def test_a_grid_has_levels_of_size_and_of_data_too() -> None:
    n, d = np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 3e10, 4)
    runs = Runs(columns={"N": np.repeat(n, 4), "D": np.tile(d, 5), "loss": np.full(20, 3.0)})
    found = {a: [v for v in scale_levels(runs, JOINT) if v.axis == a] for a in ("C", "N", "D")}
    assert [v.low for v in found["N"]] == pytest.approx(n.tolist())
    assert [v.low for v in found["D"]] == pytest.approx(d.tolist())
    for levels in found.values():
        assert np.sum([v.rows for v in levels], axis=0).tolist() == [1] * 20


def test_scales_without_levels_are_cut_into_bands() -> None:
    rng = np.random.default_rng(0)
    d = np.exp(rng.uniform(np.log(1e7), np.log(1e10), 50))
    levels = scale_levels(Runs(columns={"D": d, "loss": np.full(50, 3.0)}), ("D",))
    assert {v.axis for v in levels} == {"D"}
    assert all(v.band for v in levels)
    assert 4 <= len(levels) <= 6
    assert np.sum([v.rows for v in levels], axis=0).tolist() == [1] * 50
    widths = [np.log(v.high / v.low) for v in levels]
    assert max(widths) <= np.log(d.max() / d.min()) / 6 * (1 + 1e-6)


def test_scales_that_hardly_differ_are_left_alone() -> None:
    runs = Runs(columns={"D": np.linspace(1e9, 1.5e9, 30), "loss": np.full(30, 3.0)})
    assert scale_levels(runs, ("D",)) == ()
    found = scale_influence(fit(_curve(np.linspace(1e9, 1.5e9, 30)), "power", draws=20), runs)
    assert "too little scale" in found.sentence
    assert found.decisive is None


def _curve(d: np.ndarray) -> Runs:
    return Runs(columns={"D": d, "loss": 40 * d**-0.12})


def test_levels_do_not_depend_on_order_or_units() -> None:
    runs = isoflop()
    turned = runs.select(np.arange(len(runs))[::-1])
    scaled = Runs(columns={"N": runs["N"] / 1e6, "D": runs["D"] / 1e9, "loss": runs["loss"]})
    for other, back in ((turned, slice(None, None, -1)), (scaled, slice(None))):
        for a, b in zip(scale_levels(runs, JOINT), scale_levels(other, JOINT), strict=True):
            assert (a.rows == b.rows[back]).all()


# ---- refits


@pytest.mark.parametrize("objective", ["lsq", "huber:1e-3"])
def test_leaving_out_is_fitting_the_rest(objective: str) -> None:
    runs = isoflop(seed=3)
    f = fit(runs, objective=objective, draws=0)
    levels = scale_levels(runs, JOINT)
    found = refit_without(f, runs, np.array([v.rows for v in levels]))
    assert found.reasons == [""] * len(levels)
    for level, theta in zip(levels, found.theta, strict=True):
        alone = fit(runs.select(~level.rows), objective=objective, draws=0)
        assert theta == pytest.approx(alone.theta, rel=1e-5)


def test_weights_of_runs_are_kept() -> None:
    runs = isoflop(seed=3)
    weights = np.random.default_rng(0).uniform(0.2, 2.0, len(runs))
    f = fit(runs, objective="lsq", draws=0, weights=weights)
    out = scale_levels(runs, JOINT)[2].rows
    theta = refit_without(f, runs, out[None]).theta[0]
    alone = fit(runs.select(~out), objective="lsq", draws=0, weights=weights[~out])
    assert theta == pytest.approx(alone.theta, rel=1e-5)


def test_what_is_left_may_not_determine_the_law() -> None:
    runs = isoflop()
    f = fit(runs, objective="lsq", draws=20)
    most = runs["D"] < np.sort(runs["D"])[-4]
    found = refit_without(f, runs, np.array([most, np.ones(len(runs), dtype=bool)]))
    assert np.isnan(found.theta).all()
    assert "4 distinct configurations" in found.reasons[0]
    assert found.reasons[1] == "no run is left"
    levels = [replace_rows(scale_levels(runs, JOINT)[0], most)]
    result = scale_influence(f, runs, levels=levels)
    assert "does not determine" in result.sentence
    assert json.loads(to_json(result.to_dict()))["levels"][0]["without"]["E"] is None
    with pytest.raises(FitError):
        fit(runs.select(~most))


def test_an_axis_that_no_longer_varies_determines_nothing() -> None:
    n, d = np.repeat(np.geomspace(1e7, 1e9, 4), 8), np.tile(np.geomspace(1e9, 3e10, 8), 4)
    loss = law_of("chinchilla")(CHINCHILLA, {"N": n, "D": d})
    runs = Runs(columns={"N": n, "D": d, "loss": loss})
    found = refit_without(fit(runs, objective="lsq", draws=0), runs, (n > 1e7)[None])
    assert np.isnan(found.theta).all()
    assert "N is the same in all runs" in found.reasons[0]


def replace_rows(level: Level, rows: np.ndarray) -> Level:
    return replace(level, rows=rows)


def test_a_set_moves_by_the_weighted_mean_of_its_laws(wrong: Runs, of_wrong: LawSet) -> None:
    levels = scale_levels(wrong, JOINT)
    masks = np.array([v.rows for v in levels])
    found = measure(of_wrong, wrong, forecast_shift(wrong, of_wrong), masks)
    logs = np.zeros(len(levels))
    error = 0.0
    for f, w in zip(of_wrong.fits, of_wrong.weights, strict=True):
        for k, level in enumerate(levels):
            rest = ~level.rows
            alone = fit(
                wrong.select(rest), f.law, objective="lsq", weights=f.weights[rest], draws=0
            )
            logs[k] += w * np.log(alone.predict({a: [v] for a, v in TARGET.items()})[0])
        draws = np.log(f.predict_draws({a: [v] for a, v in TARGET.items()})[:, 0])
        error += w * np.subtract(*np.quantile(draws, [0.84, 0.16])) / 2
    assert found.without["forecast"] == pytest.approx(logs, abs=1e-6)
    assert found.error["forecast"] == pytest.approx(error)


def test_a_forecast_given_is_where_the_quantity_starts(wrong: Runs, of_wrong: LawSet) -> None:
    masks = np.array([v.rows for v in scale_levels(wrong, JOINT)])
    plain = measure(of_wrong, wrong, forecast_shift(wrong, of_wrong), masks)
    started = {"forecast": forecast_of(of_wrong, TARGET, "the forecast", loss=2.5)}
    anchored = measure(of_wrong, wrong, started, masks)
    assert np.exp(anchored.full["forecast"]) == pytest.approx(2.5)
    assert anchored.shift("forecast") == pytest.approx(plain.shift("forecast"))


# ---- what decides


def test_the_budget_that_went_wrong_decides_and_is_named(wrong: Runs, of_wrong: LawSet) -> None:
    for laws in (fit(wrong, objective="lsq", draws=200), of_wrong):
        found = scale_influence(laws, wrong, forecast_shift(wrong, laws))
        assert found.decisive is not None
        assert found.decisive.name == TOP
        assert found.decides[-1]
        assert abs(found.shift("forecast")[-1]) > DECIDES
        assert "the largest budget (C = 3e+20, 7 runs)" in found.sentence
        assert found.disagrees.tolist() == [False] * 5 + [True]
        assert "decides the answer, and it does not agree with the rest" in found.sentence
        before, after = np.exp(found.full["forecast"]), np.exp(found.without["forecast"][-1])
        assert f"from {before:.4g} to {after:.4g}" in found.sentence
        truth = law_of("chinchilla")(CHINCHILLA, {a: [v] for a, v in TARGET.items()})[0]
        assert abs(after - truth) < abs(before - truth)
    assert "weights of the laws held" in found.sentence


def test_no_level_of_good_runs_decides() -> None:
    """At 2.5 standard errors 4 % of such designs have one; 3 or more of 12 are one in 100."""
    decided = 0
    for seed in range(12):
        runs = isoflop(seed=seed)
        f = fit(runs, objective="lsq", draws=150)
        found = scale_influence(f, runs, forecast_shift(runs, f))
        decided += bool(found.decides.any())
        assert found.decides.any() == ("No one level decides" not in found.sentence)
    assert decided <= 2


def test_a_level_that_others_lean_on_is_not_the_suspect() -> None:
    """Left out, the level that is off brings the rest into agreement; others may move more."""
    n, d = np.tile([1e7, 3e7, 1e8, 3e8, 1e9], 5), np.repeat([3e8, 1e9, 3e9, 1e10, 3e10], 5)
    loss = law_of("chinchilla")(CHINCHILLA, {"N": n, "D": d}) * np.where(n == 1e9, 1.05, 1.0)
    runs = Runs(columns={"N": n, "D": d, "loss": loss})
    found = scale_influence(fit(runs, objective="lsq", draws=200), runs)
    assert found.decides.sum() > 1
    worst = np.max([np.abs(found.shift(q)) for q in found.quantities], axis=0)
    assert found.levels[int(np.argmax(worst))].name != "N = 1e+09"
    assert found.decisive is not None
    assert found.decisive.name == "N = 1e+09"
    assert "levels do" in found.sentence


def test_a_level_that_is_only_missed_does_not_disagree() -> None:
    """Without the largest of five sizes little is known of a target far beyond it."""
    n, d = np.repeat([1e7, 2e7, 4e7, 8e7, 1.6e8], 6), np.tile(np.geomspace(2e8, 1e10, 6), 5)
    for seed in range(30):
        chance = np.random.default_rng(seed).standard_normal(30)
        loss = law_of("chinchilla")(CHINCHILLA, {"N": n, "D": d}) * np.exp(0.002 * chance)
        runs = Runs(columns={"N": n, "D": d, "loss": loss})
        f = fit(runs, objective="lsq", draws=150)
        found = scale_influence(f, runs, {"forecast": forecast_of(f, TARGET, "the forecast")})
        if found.decides.any() and not found.disagrees.any():
            break
    else:
        pytest.fail("no table leaned on one level")
    assert "the answer rests on it" in found.sentence
    assert "does not agree" not in found.sentence
    k = int(np.argmax(found.decides))
    rest = fit(runs.select(~found.levels[k].rows), objective="lsq", draws=150)
    x = {a: [v] for a, v in TARGET.items()}
    spread = [
        np.subtract(*np.quantile(np.log(g.predict_draws(x)[:, 0]), [0.84, 0.16])) / 2
        for g in (f, rest)
    ]
    between = max(spread[1] ** 2 - spread[0] ** 2, spread[0] ** 2 / 4) ** 0.5
    move = abs(found.without["forecast"][k] - found.full["forecast"])
    assert found.disagreement[k] == pytest.approx(move / between)


def test_a_parameter_at_its_bound_has_no_standard_error() -> None:
    n = 1e7 * 1.3 ** np.arange(24)
    chance = np.random.default_rng(0).standard_normal(24)
    loss = law_of("chinchilla")(CHINCHILLA, {"N": n, "D": 20 * n}) * np.exp(0.002 * chance)
    runs = Runs(columns={"N": n, "D": 20 * n, "loss": loss})
    f = fit(runs, objective="lsq", draws=50)
    stuck = replace(f, theta=np.where(np.array(f.law.names) == "alpha", 0.0, f.theta),
                    draws=f.draws * (np.array(f.law.names) != "alpha"))  # fmt: skip
    found = scale_influence(stuck, runs)
    assert (np.nan_to_num(found.shift("alpha")) == 0).all()


def test_shifts_do_not_depend_on_order_or_units() -> None:
    runs = isoflop(seed=5)
    turned = runs.select(np.random.default_rng(0).permutation(len(runs)))
    scaled = Runs(columns={"N": runs["N"] / 1e6, "D": runs["D"] / 1e9, "loss": runs["loss"]})
    shifts = []
    for table, at in (
        (runs, TARGET),
        (turned, TARGET),
        (scaled, {"N": TARGET["N"] / 1e6, "D": TARGET["D"] / 1e9}),
    ):
        f = fit(table, objective="lsq", draws=100)
        found = scale_influence(f, table, {"forecast": forecast_of(f, at, "the forecast")})
        shifts.append(found.shift("forecast"))
    assert shifts[1] == pytest.approx(shifts[0], abs=1e-7)
    assert shifts[2] == pytest.approx(shifts[0], abs=1e-7)


def test_the_result_is_a_table_and_plain_types(wrong: Runs, of_wrong: LawSet) -> None:
    found = scale_influence(of_wrong, wrong, forecast_shift(wrong, of_wrong))
    table = found.to_columns()
    assert {len(v) for v in table.values()} == {6}
    assert table["level"][-1] == TOP
    answer = json.loads(to_json(found.to_dict()))
    assert answer["weights_held"].keys() == {"chinchilla", "coupled"}
    assert [row["decides"] for row in answer["levels"]] == found.decides.tolist()
    assert answer["full"]["forecast"] == pytest.approx(np.exp(found.full["forecast"]))
    assert len(found.summary().splitlines()) == 8
    assert repr(found).startswith("ScaleInfluence(6 levels")
    with pytest.raises(ValueError, match="read-only"):
        found.without["forecast"][0] = 0.0


def test_the_measured_table_leans_on_no_budget_without_its_five_outliers(epoch_240: Runs) -> None:
    f = fit(epoch_240, draws=200)
    found = scale_influence(f, epoch_240, {"forecast": forecast_of(f, TARGET, "the forecast")})
    assert len(found.levels) >= 5
    assert np.isfinite(found.shift("forecast")).all()

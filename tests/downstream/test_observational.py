"""Published models: components found again, invariances, refusals, intervals that hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from downstream import published
from isoloss.errors import InputError
from isoloss.study.downstream import Benchmark, find_capabilities, observational, read_models
from isoloss.study.downstream.observational_fit import draw_forecast, fit_models
from isoloss.study.downstream.observational_rolling import back_test

TASK = Benchmark(column="reason", chance=published.CHANCE, items=published.ITEMS)
AT = [("f0", 1e24), ("f3", 3e23)]


def ask(table: Any, at: Any = AT, **options: Any) -> Any:
    return observational(table, TASK, published.BENCHMARKS, at, **options)


def scores(table: Any) -> np.ndarray:
    return np.array([table[b] for b in published.BENCHMARKS], dtype=float).T


def angle(a: np.ndarray, b: np.ndarray) -> float:
    """Largest angle between two column spans."""
    qa, qb = np.linalg.qr(a)[0], np.linalg.qr(b)[0]
    return float(np.arccos(np.clip(np.linalg.svd(qa.T @ qb)[1].min(), -1, 1)))


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_the_span_of_the_components_is_found_again(missing: float) -> None:
    table = published.table(1, noise=0.0, missing=missing)
    known = scores(table)
    found = find_capabilities(known, 2)
    assert found.converged
    truth = published.LOADINGS / np.std(found.filled, axis=0)
    # Without noise two components hold all: what was missing comes back exactly.
    assert angle(found.loadings, truth.T) < 1e-4
    assert found.explained.sum() == pytest.approx(1, abs=1e-7)
    whole = scores(published.table(1, noise=0.0))
    np.testing.assert_allclose(found.filled, whole, atol=1e-6)
    np.testing.assert_array_equal(found.filled[~np.isnan(known)], known[~np.isnan(known)])
    np.testing.assert_allclose(found.loadings.T @ found.loadings, np.eye(2), atol=1e-12)


def test_components_without_gaps_are_those_of_the_correlation_matrix() -> None:
    known = scores(published.table(2, noise=0.3))
    found = find_capabilities(known, 3)
    size, turned = np.linalg.eigh(np.corrcoef(known.T))
    np.testing.assert_allclose(found.explained, size[::-1][:3] / 6, rtol=1e-10)
    np.testing.assert_allclose(np.abs(found.loadings), np.abs(turned[:, ::-1][:, :3]), atol=1e-8)
    few = find_capabilities(known)
    assert few.explained.sum() >= 0.95 or few.explained.size == 3


def test_a_table_without_noise_gives_lines_and_link_back() -> None:
    table = published.table(3, deviation=0.0, noise=0.0)
    family = np.array([int(f[1:]) for f in table["family"]])
    table["reason"] = published.target(
        published.skills(family, np.array(table["C"]), 3, 7)
    ).tolist()
    found = observational(
        table, Benchmark(column="reason", chance=0.25), published.BENCHMARKS, AT, components=2
    )
    for forecast in found.forecasts:
        at = np.array([int(forecast.family[1:])])
        truth = published.target(published.skills(at, np.array([forecast.C]), 3, 7))[0]
        assert forecast.accuracy == pytest.approx(truth, abs=1e-6)
        assert forecast.interval.high - forecast.interval.low < 5e-4
    assert found.verdict == "predictable"
    assert found.error == pytest.approx(0, abs=1e-5)
    assert found.points > 10
    # Families differ: compute alone cannot know.
    assert found.by_compute is not None
    assert found.by_compute > 0.02


def test_order_of_rows_and_columns_and_units_do_not_matter() -> None:
    table = published.table(4, missing=0.1)
    first = ask(table)
    order = np.random.default_rng(0).permutation(len(table["C"]))
    moved = {n: [v[i] for i in order] for n, v in reversed(table.items())}
    moved["C"] = [c / 1e15 for c in moved["C"]]
    moved["arc"] = [None if v is None else 100 * v for v in moved["arc"]]
    again = observational(
        moved, TASK, published.BENCHMARKS[::-1], [(f, c / 1e15) for f, c in AT],
        units={"arc": 0.01},
    )  # fmt: skip
    for one, two in zip(first.forecasts, again.forecasts, strict=True):
        assert two.accuracy == pytest.approx(one.accuracy, abs=1e-7)
        assert two.interval.low == pytest.approx(one.interval.low, abs=1e-6)
        assert two.interval.high == pytest.approx(one.interval.high, abs=1e-6)
        assert two.reach == pytest.approx(one.reach)
    assert again.error == pytest.approx(first.error, abs=1e-7)
    assert again.loadings["gsm"] == pytest.approx(first.loadings["gsm"], abs=1e-6)
    assert (again.verdict, again.filled) == (first.verdict, first.filled)


def test_what_was_filled_and_left_out_is_said() -> None:
    table = published.table(5, missing=0.1)
    table["wino"] = [0.5 + 0.01 * i if i < 10 else None for i in range(42)]
    for b in ("mmlu", "arc", "hella"):
        table[b][7] = None
    table["truth"][7] = 0.5
    table["gsm"][7] = 0.5
    found = ask(table)
    assert dict(found.left_out)["wino"] == "10 of 42 models have a score"
    assert dict(found.left_out)["m7"] == "has 2 of 5 scores"
    kept = [i for i in range(42) if f"m{i}" not in dict(found.left_out)]
    for b in ("mmlu", "gsm"):
        assert found.filled[b] == sum(table[b][i] is None for i in kept)
    assert "missing scores filled" in found.summary()
    assert "left out wino" in found.summary()
    assert set(found.loadings) == {"mmlu", "arc", "hella", "truth", "gsm"}


def test_parts_and_columns() -> None:
    found = ask(published.table(6))
    one = found.forecasts[0]
    assert set(one.parts) == {"family", "model", "link", "discrepancy", "scatter", "items"}
    p = one.accuracy
    assert one.parts["items"] == pytest.approx(np.sqrt(p * (1 - p) / published.ITEMS), rel=0.02)
    total = np.sqrt(sum(v**2 for v in one.parts.values()))
    assert one.interval.high - one.interval.low == pytest.approx(2 * 1.645 * total, rel=0.3)
    # Farther off a line is less sure.
    far = ask(published.table(6), [("f0", 1e23), ("f0", 1e26)]).forecasts
    assert far[1].parts["family"] > 0
    assert found.to_columns()["family"] == ["f0", "f3"]
    assert found.to_dict()["families"]["f0"]["models"] == 6
    assert repr(found).startswith("Observational(reason: ")


def test_the_back_test_never_sees_what_it_forecasts() -> None:
    table = published.table(7)
    cut = np.sort(table["C"])[round(0.75 * 42) - 1]
    models = read_models(table, [*published.BENCHMARKS, "reason"])
    shuffled = {n: list(v) for n, v in table.items()}
    for i, c in enumerate(table["C"]):
        if c > cut:
            for b in published.BENCHMARKS:
                shuffled[b][i] = 0.01
    other = read_models(shuffled, [*published.BENCHMARKS, "reason"])
    one = back_test(models, published.BENCHMARKS, TASK, 2, 0.9, 200, 0)
    two = back_test(other, published.BENCHMARKS, TASK, 2, 0.9, 200, 0)
    assert len(one.misses) > 10
    # Benchmarks of hidden models changed, and nothing else: their forecasts stay.
    np.testing.assert_array_equal(one.misses, two.misses)


def test_the_scale_of_the_scores_is_chosen_by_the_back_test() -> None:
    table = published.table(3)
    benchmarks = [Benchmark(column=b, chance=0.2) for b in published.BENCHMARKS]
    errors = {
        scale: observational(table, TASK, benchmarks, scale=scale).error
        for scale in ("raw", "logit", "auto")
    }
    assert errors["auto"] == min(errors["raw"] or 0, errors["logit"] or 0)
    assert errors["raw"] != errors["logit"]
    # Where logits are linear in skill, raw scores are bent.
    table = published.table(3, noise=0.0, deviation=0.0)
    for b in published.BENCHMARKS:
        deep = 12 * (np.array(table[b], dtype=float) - 0.5)
        table[b] = (0.2 + 0.8 / (1 + np.exp(-deep))).tolist()
    found = observational(table, TASK, benchmarks)
    raw = observational(table, TASK, benchmarks, scale="raw")
    assert found.scale == "logit"
    assert raw.scale == "raw"
    assert (found.error or 1) < 0.9 * (raw.error or 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("families", "2 families have 3 or more"),
        ("chance", "at chance"),
        ("flat", "no rise"),
        ("few", "11 models have a score"),
    ],
)
def test_refusals(change: str, words: str) -> None:
    table = published.table(8, families=2 if change == "families" else 7, members=7)
    rng = np.random.default_rng(0)
    count = len(table["C"])
    if change in ("chance", "flat"):
        level = {"chance": 0.25, "flat": 0.5}[change]
        table["reason"] = (rng.binomial(2000, level, count) / 2000).tolist()
    if change == "few":
        table["reason"][11:] = [None] * (count - 11)
    found = ask(table, [("f0", 1e24)])
    assert found.verdict == "refused"
    assert words in found.why
    assert found.forecasts == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"at": [("nobody", 1e24)]}, "no model of family 'nobody'"),
        ({"at": [("f0", -1.0)]}, "at C"),
        ({"components": 6}, "components = 6"),
        ({"draws": 5}, "at least 100"),
        ({"scale": "log"}, "auto, raw or logit"),
        ({"level": 1.5}, "level"),
        ({"compute": "flops"}, "no such column"),
        ({"units": {"other": 2.0}}, "no column that is read"),
        ({"units": {"mmlu": 10.0}}, "accuracies from 0 to 1"),
    ],
)
def test_misuse(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        ask(published.table(9), **change)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("mmlu", "much", "not a number"),
        ("mmlu", float("inf"), "not finite"),
        ("C", 0.0, "no compute above zero"),
        ("C", None, "no compute above zero"),
        ("family", "", "has no family"),
        ("reason", 55.0, "for percents"),
    ],
)
def test_bad_cells(column: str, value: Any, words: str) -> None:
    table = published.table(9)
    table[column][3] = value
    with pytest.raises(InputError, match=words):
        ask(table)


def test_a_family_of_two_models_has_no_line_and_target_is_no_benchmark() -> None:
    table = published.table(9)
    table["family"][0] = table["family"][1] = "tiny"
    with pytest.raises(InputError, match="fewer than 3 models"):
        ask(table, [("tiny", 1e24)])
    with pytest.raises(InputError, match="named twice"):
        observational(table, "mmlu", published.BENCHMARKS)
    with pytest.raises(InputError, match="too few"):
        observational(table, "reason", ["mmlu", "arc"])


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_intervals_hold_what_they_claim(missing: float) -> None:
    inside, widths, misses, stays = [], [], [], []
    for seed in range(40):
        table = published.table(100 + seed, missing=missing)
        found = ask(table, [("f0", 5e23)], draws=1000)
        rng = np.random.default_rng([seed, 9])
        skill = published.skills(np.array([0]), np.array([5e23]), 100 + seed, 7)
        skill = skill + 0.08 * rng.standard_normal((1, 2))
        score = rng.binomial(published.ITEMS, published.target(skill)[0]) / published.ITEMS
        (one,) = found.forecasts
        inside.append(score in one.interval)
        widths.append(one.interval.high - one.interval.low)
        misses.append(one.accuracy - score)
        stays.append(table["reason"][5] - score)
    # Binomial: 36 of 40 expected; below 31 once in 100.
    assert sum(inside) >= 31
    assert np.std(misses) < 0.5 * np.sqrt(np.mean(np.square(stays)))
    assert np.median(widths) < 6 * np.std(misses)


def test_draws_alone_hold_new_models_without_what_the_back_test_adds() -> None:
    inside, bare = 0, 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 9])
        table = published.table(300 + seed, deviation=0.15)
        models = read_models(table, [*published.BENCHMARKS, "reason"])
        fit = fit_models(models, published.BENCHMARKS, TASK, 2)
        skill = published.skills(np.array([0]), np.array([5e23]), 300 + seed, 7)
        skill = skill + 0.15 * rng.standard_normal((1, 2))
        score = rng.binomial(published.ITEMS, published.target(skill)[0]) / published.ITEMS
        drawn = draw_forecast(fit, TASK, fit.families["f0"], 5e23, 0.0, 1000, rng)
        low, high = np.quantile(drawn.values, [0.05, 0.95])
        inside += low <= score <= high
        sd = np.hypot(fit.scatter, drawn.parts["items"])
        bare += abs(score - np.median(drawn.values)) < 1.645 * sd
    # Binomial of 0.9: 47 to 59 of 60 but once in 100. Scatter and questions alone hold far fewer.
    assert 47 <= inside <= 59
    assert bare < 45


def test_the_error_of_a_line_is_that_of_least_squares_and_is_in_the_draws() -> None:
    table = published.table(11, members=3, deviation=0.1)
    models = read_models(table, [*published.BENCHMARKS, "reason"])
    fit = fit_models(models, published.BENCHMARKS, TASK, 2)
    own = fit.families["f2"]
    x = np.log([c for c, f in zip(table["C"], table["family"], strict=True) if f == "f2"])
    X, at = np.stack([np.ones(3), x], axis=1), np.array([1.0, np.log(1e24)])
    assert own.leverage(at[1]) == pytest.approx(at @ np.linalg.inv(X.T @ X) @ at, rel=1e-9)
    rows = [i for i, f in enumerate(table["family"]) if f == "f2"]
    line = at @ np.linalg.lstsq(X, fit.capabilities.values[rows], rcond=None)[0]
    np.testing.assert_allclose(own.line(at[1]), line, rtol=1e-8)
    drawn = draw_forecast(fit, TASK, own, 1e24, 0.0, 20_000, np.random.default_rng(0))
    parts = drawn.parts
    assert parts["family"] > parts["model"] > 0
    total = np.sqrt(sum(v**2 for v in parts.values()))
    assert np.std(drawn.values) == pytest.approx(total, rel=0.1)

"""The final loss and its standard error against independent computations and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from isoloss.errors import InputError
from isoloss.runs.logs.final import FinalRule, final_value, parse_final

X = np.arange(400.0)


def slow_error(values: np.ndarray, weights: np.ndarray) -> float:
    """The same formula by loops over pairs."""
    n = values.size
    design = np.stack([np.ones(n), np.arange(n)], axis=1)
    rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    gamma = [float(rest[: n - k] @ rest[k:]) / (n - 2) for k in range(n)]
    cut = 0
    while cut + 1 < n and gamma[cut] + gamma[cut + 1] > 0:
        cut += 2
    total = sum(
        weights[i] * weights[j] * gamma[abs(i - j)]
        for i in range(n)
        for j in range(n)
        if abs(i - j) < cut
    )
    return math.sqrt(max(total, gamma[0] * float(weights @ weights)))


def noise(count: int, memory: float, rng: np.random.Generator) -> np.ndarray:
    """Autoregression of first order with variance one."""
    out = np.empty(count)
    out[0] = rng.standard_normal()
    for i in range(1, count):
        out[i] = memory * out[i - 1] + math.sqrt(1 - memory**2) * rng.standard_normal()
    return out


@pytest.mark.parametrize("rule", [FinalRule("last", 60), FinalRule("ema", 15)])
def test_value_and_error_equal_slow_ones(rule: FinalRule) -> None:
    values = 3 + noise(400, 0.6, np.random.default_rng(1))
    found = final_value(X, values, rule)
    if rule.kind == "last":
        weights = np.full(60, 1 / 60)
    else:
        weights = np.exp(-np.arange(75)[::-1] / 15)
        weights /= weights.sum()
    tail = values[-weights.size :]
    assert found.value == pytest.approx(weights @ tail, rel=1e-12)
    assert found.error == pytest.approx(slow_error(tail, weights), rel=1e-9)


@pytest.mark.parametrize("memory", [0.0, 0.7])
def test_error_covers(memory: float) -> None:
    """Two standard errors hold the mean in 95.4 % of cases; short windows lose a few percent."""
    rng = np.random.default_rng(5)
    repeats, hits = 400, 0
    for _ in range(repeats):
        found = final_value(X, noise(400, memory, rng), FinalRule("last", 200))
        hits += abs(found.value) < 2 * found.error
    # At a false-alarm rate of 1e-4 on either side, for a true share of 88 to 98 %.
    assert binom.ppf(1e-4, repeats, 0.88) <= hits <= binom.ppf(1 - 1e-4, repeats, 0.98)


def test_independent_error_is_too_small_for_neighbours_that_are_alike() -> None:
    values = noise(400, 0.9, np.random.default_rng(3))
    found = final_value(X, values, FinalRule("last", 400))
    assert found.error > 2 * values.std() / math.sqrt(400)


def test_trend_is_no_noise_and_is_told_as_drift() -> None:
    found = final_value(X, 5 - 0.001 * X, FinalRule("last", 100))
    assert found.error == pytest.approx(0, abs=1e-12)
    assert found.drift == pytest.approx(0.001 * 49.5)
    assert found.value == pytest.approx(5 - 0.001 * (399 - 49.5))


def test_exponential_window_is_unbiased_from_its_first_log() -> None:
    assert final_value(X[:3], np.full(3, 2.5), FinalRule("ema", 50)).value == 2.5


def test_few_logs_have_no_error() -> None:
    assert math.isnan(final_value(X[:7], np.ones(7), FinalRule("last", 7)).error)
    assert math.isnan(final_value(X, np.ones(400), FinalRule("last", 1)).error)


def test_share_is_of_logs_and_ten_at_least() -> None:
    assert final_value(X, X, FinalRule("share", 0.1)).logs == 40
    assert final_value(X, X, FinalRule("share", 0.01)).logs == 10


@pytest.mark.parametrize(
    "text", ["last", "last:0", "last:1.5", "ema:0.5", "share:2", "mean:3", "x:nan"]
)
def test_bad_rules_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="final"):
        parse_final(text)


def test_scale_of_steps_and_values_carries_over() -> None:
    values = 3 + noise(400, 0.5, np.random.default_rng(2))
    one = final_value(X, values, FinalRule("last", 50))
    two = final_value(1000 * X, 10 * values, FinalRule("last", 50))
    assert two.error == pytest.approx(10 * one.error)
    assert two.drift == pytest.approx(10 * one.drift)

"""Ratings: two players by hand, strengths that are powers of size, intervals, and their borders."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.theory import elo_ratings, win_probability


def tournament(strength: np.ndarray, games: float) -> tuple[list[str], list[str], np.ndarray]:
    pairs = list(combinations(range(len(strength)), 2))
    wins = games * np.array([strength[i] / (strength[i] + strength[j]) for i, j in pairs])
    return [str(i) for i, _ in pairs], [str(j) for _, j in pairs], wins


@settings(max_examples=40, deadline=None)
@given(st.floats(1, 99))
def test_two_players_by_hand(wins: float) -> None:
    found = elo_ratings(["a"], ["b"], [wins], [100.0])
    gap = 400 * np.log10(wins / (100 - wins))
    assert found.elo[0] - found.elo[1] == pytest.approx(gap, abs=1e-6)
    assert found.elo.sum() == pytest.approx(0.0, abs=1e-9)
    assert win_probability(gap) == pytest.approx(wins / 100)
    # The variance of a log ratio of binomial counts.
    sd = 400 / np.log(10) * np.sqrt(1 / wins + 1 / (100 - wins))
    interval = found.interval("a", over="b")
    assert interval.high - interval.low == pytest.approx(2 * 1.6448536 * sd, rel=1e-6)
    assert found.interval("b", over="a").low == pytest.approx(-interval.high)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=2, max_size=7), st.floats(1, 1000))
def test_expected_games_give_the_strengths_back(logs: list[float], games: float) -> None:
    g = np.exp(np.array(logs) - np.mean(logs))
    first, second, wins = tournament(g, games)
    found = elo_ratings(first, second, wins, np.full(len(wins), games))
    place = [found.players.index(str(i)) for i in range(len(g))]
    np.testing.assert_allclose(found.strength[place], g, rtol=1e-7)
    assert found.residual < 1e-9


def test_rows_may_be_split_swapped_and_shuffled() -> None:
    g = np.array([1.0, 2.0, 5.0, 0.3])
    first, second, wins = tournament(g, 100)
    base = elo_ratings(first, second, wins, np.full(6, 100.0))
    other = elo_ratings(
        [*second, *first], [*first, *second], [*(100 - wins), *wins], np.full(12, 100.0)
    )
    place = [other.players.index(p) for p in base.players]
    np.testing.assert_allclose(other.elo[place], base.elo, atol=1e-6)
    np.testing.assert_allclose(other.covariance[np.ix_(place, place)], base.covariance / 2)


def test_strengths_that_are_a_power_of_size() -> None:
    """Elo against log N has the slope 400 alpha, the law of AlphaZero agents."""
    from isoloss.fit import fit

    N, rng = np.geomspace(1e3, 1e6, 7), np.random.default_rng(0)
    first, second, chance = tournament(N**0.88, 1.0)
    wins = rng.binomial(800, chance)
    found = elo_ratings(first, second, wins, np.full(len(wins), 800), prior=1.0)
    size = N[[int(p) for p in found.players]]
    law = fit({"N": size, "loss": found.strength}, "growth", axis="N", draws=0)
    assert law.parameters["alpha"] == pytest.approx(0.88, abs=0.03)


def test_intervals_cover() -> None:
    """90 % intervals of 200 tournaments: at least 83 %, 3.3 standard errors."""
    g = np.exp(np.array([0.0, 0.5, 1.0, 1.5]))
    first, second, chance = tournament(g, 1.0)
    held, truth = 0, 400 * np.log10(g[3] / g[0])
    rng = np.random.default_rng(1)
    for _ in range(200):
        wins = rng.binomial(60, chance)
        found = elo_ratings(first, second, wins, np.full(6, 60), prior=0.1)
        held += truth in found.interval("3", over="0")
    assert 0.83 * 200 <= held <= 0.97 * 200


def test_a_prior_makes_one_sided_results_finite() -> None:
    with pytest.raises(InputError, match="give a prior"):
        elo_ratings(["a", "b"], ["b", "c"], [10, 5], [10, 10])
    found = elo_ratings(["a", "b"], ["b", "c"], [10, 5], [10, 10], prior=2.0)
    assert found.elo[0] - found.elo[1] == pytest.approx(400 * np.log10(11 / 1))
    assert found.to_dict()["players"] == ["a", "b", "c"]
    with pytest.raises(InputError, match="connect them"):
        elo_ratings(["a", "c"], ["b", "d"], [5, 5], [10, 10], prior=2.0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"wins": [11]}, "row 0"),
        ({"wins": [-1]}, "row 0"),
        ({"games": [0]}, "row 0"),
        ({"second": ["a"]}, "two players"),
        ({"wins": [1, 2]}, "lengths"),
        ({"wins": [float("nan")]}, "finite"),
        ({"prior": -1.0}, "prior"),
        ({"level": 0.0}, "level"),
    ],
)
def test_misuse(change: dict[str, Any], match: str) -> None:
    options: dict[str, Any] = {"first": ["a"], "second": ["b"], "wins": [5], "games": [10]}
    with pytest.raises(InputError, match=match):
        elo_ratings(**options | change)
    with pytest.raises(InputError, match="not among"):
        elo_ratings(**options).interval("z")

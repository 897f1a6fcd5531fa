"""Whether size and time exchange: where they do, where they do not, and with noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.runs import embedded_runs
from isoloss.theory import exchange
from isoloss.theory.collapse import (
    Plane,
    best_angle,
    curve_basis,
    surface_test,
    two_term_scatter,
)
from theory.given import near

SIZES, TIMES = np.geomspace(1e6, 1e8, 6), np.geomspace(1e8, 1e10, 8)
N, D = (v.ravel() for v in np.meshgrid(SIZES, TIMES))


def noisy(loss, size=0.003, seed=0):
    return loss * np.exp(size * np.random.default_rng(seed).standard_normal(loss.size))


@settings(max_examples=6, deadline=None)
@given(st.floats(-0.3, 0.9), st.floats(0.05, 0.5), st.floats(0.1, 100))
def test_an_exact_exchange_is_found_whatever_the_curve(g, slope, unit):
    x = (np.log(N / 1e7) * g + np.log(D / 1e9)) * slope
    found = exchange(N, D, unit * (1.5 + np.exp(-x)), draws=0)
    assert found.g == pytest.approx(g, abs=0.01)
    assert found.scatter < 2e-3
    assert found.range_N == (1e6, 1e8)
    assert found.local_g == pytest.approx(np.full(5, g), abs=0.02)


def test_units_and_order_of_rows_do_not_matter():
    loss = noisy(2 + (N**0.5 * D) ** -0.1)
    one = exchange(N, D, loss, draws=0)
    order = np.random.default_rng(1).permutation(N.size)
    other = exchange(N[order] / 1e6, 1e3 * D[order], 7 * loss[order], draws=0)
    assert other.g == near(one.g, rel=1e-6)
    assert other.scatter == near(one.scatter, rel=1e-6)
    assert other.two_term == near(one.two_term, rel=1e-3)


@pytest.mark.slow
def test_intervals_hold_the_truth_and_the_test_keeps_its_level():
    held, refused = 0, 0
    for seed in range(20):
        loss = noisy(2 + (N**0.4 * D / 1e11) ** -0.3, 0.01, seed)
        found = exchange(N, D, loss, draws=60, rng=seed)
        held += 0.4 in found.interval
        refused += found.p_collapse < 0.05
        assert found.scatter == pytest.approx(0.01, rel=0.4)
    # 90 % and 5 %, with the least and largest counts that chance gives in 999 of 1000 cases; the
    # bootstrap knows its curve's knots, so it may be a little narrow.
    assert held >= 13
    assert refused <= 5


def test_two_terms_do_not_exchange():
    loss = noisy(1.8 + 480 * N**-0.35 + 2100 * D**-0.37, 0.002)
    found = exchange(N, D, loss, draws=50)
    assert found.p_collapse < 1e-6
    assert found.two_term == pytest.approx(0.002, rel=0.5)
    assert found.scatter > 3 * found.two_term
    # A larger model gains ever less from size.
    assert found.local_g[0] > found.local_g[-1]
    assert not found.exact
    assert found.range_N != (1e6, 1e8)


def test_exact_exchange_of_the_cube_root_is_said_so():
    loss = noisy(1 + (N ** (1 / 3) * D / 1e11) ** -0.3, 0.002)
    found = exchange(N, D, loss, draws=100)
    assert found.exact
    assert found.scale_exponent == pytest.approx(1, abs=0.1)
    assert "may be one for one" in found.sentence
    other = exchange(N, D, loss, root=1, draws=100)
    assert not other.exact
    assert "is not one for one" in other.sentence


def test_noise_is_that_of_equal_runs():
    n, d = np.tile(N, 3), np.tile(D, 3)
    found = exchange(n, d, noisy(2 + (n**0.5 * d) ** -0.1, 0.02), draws=0)
    assert found.noise == pytest.approx(0.02, rel=0.25)
    assert "equal runs differ" in found.sentence
    assert np.isnan(exchange(N, D, 1 + 1 / D, draws=0).noise)


def test_points_of_a_run_count_once():
    ids = np.repeat(np.arange(6), 8)
    n, d = SIZES[ids], np.tile(TIMES, 6)
    shared = np.exp(0.01 * np.random.default_rng(3).standard_normal(6))[ids]
    loss = (2 + (n**0.5 * d / 1e12) ** -0.3) * shared
    alone, together = exchange(n, d, loss, draws=200), exchange(n, d, loss, draws=200, run=ids)
    assert together.runs == 6
    assert np.isnan(together.p_collapse)
    width = [v.interval.high - v.interval.low for v in (alone, together)]
    assert width[1] > width[0]


def test_few_runs_have_no_interval():
    ids = np.repeat([0, 1, 2], 8)
    found = exchange(SIZES[ids], np.tile(TIMES, 3), 2 + (SIZES[ids] * np.tile(TIMES, 3)) ** -0.1,
                     run=ids)  # fmt: skip
    assert np.isnan(found.interval.low)
    assert found.interval.method == "none"
    assert "one for one" not in found.sentence


def test_sizes_without_levels_are_put_in_bands():
    rng = np.random.default_rng(5)
    n, d = 10 ** rng.uniform(6, 9, 60), 10 ** rng.uniform(8, 11, 60)
    found = exchange(n, d, 2 + (n**0.6 * d) ** -0.1, draws=0)
    assert found.g == pytest.approx(0.6, abs=0.02)
    assert found.level_N.size == 6
    assert (np.diff(found.level_N) > 0).all()


def test_the_embedded_runs_exchange_ever_less():
    runs = embedded_runs()
    found = exchange(runs["N"], runs["D"], runs["loss"], draws=0)
    # Close to no single curve, and the gain from size falls from level to level.
    assert found.scatter > 4 * found.noise
    assert found.scatter > 1.5 * found.two_term
    assert (np.diff(found.local_g) < 0).all()
    assert found.local_g[0] > 1 > found.local_g[-1] > 0


def test_the_parts_of_the_fit():
    plane = Plane.of(np.log(N), np.log(D), np.log(N), 3.0)
    assert plane.along(0.0) == near(plane.v)
    assert plane.exponent(0.0) == 0.0
    assert plane.exponent(plane.limit) == near(3.0)
    Q = curve_basis(plane.along(0.4), 6)
    assert pytest.approx(np.eye(6), abs=1e-12) == Q.T @ Q
    exact = np.log(1.7 + 300 * N**-0.3 + 900 * D**-0.3)
    assert two_term_scatter(np.log(N), np.log(D), exact) < 1e-6


def test_results_are_plain_and_frozen():
    found = exchange(N, D, noisy(2 + (N**0.5 * D) ** -0.1), draws=20)
    plain = found.to_dict()
    assert plain["range_N"] == list(found.range_N)
    assert plain["interval"]["level"] == 0.9
    assert not found.local_g.flags.writeable
    assert "scatter" in repr(found)


@pytest.mark.parametrize(
    ("words", "piece"),
    [
        ({"loss": -np.ones(48)}, "loss"),
        ({"D": D[:-1]}, "lengths differ"),
        ({"N": N[:5], "D": D[:5], "loss": D[:5]}, "too few"),
        ({"N": np.ones(48)}, "both must vary"),
        ({"D": 20 * N}, "rise in step"),
        ({"run": [1, 2]}, "run: shape"),
        ({"root": 0}, "root"),
        ({"tolerance": -1}, "tolerance"),
        ({"draws": -1}, "draws"),
        ({"level": 2}, "level"),
        ({"rng": -1}, "rng"),
    ],
)
def test_mistakes_are_named(words, piece):
    with pytest.raises(InputError, match=piece):
        exchange(**({"N": N, "D": D, "loss": 1 + 1e6 / D} | words))


def test_chances_of_departures_are_even_where_there_are_none():
    u, v = np.log(N), np.log(D)
    chances = []
    for seed in range(60):
        y = np.log(noisy(2 + (N**0.4 * D / 1e11) ** -0.3, 0.01, seed))
        plane = Plane.of(u, v, y, 1.0)
        best = best_angle(plane)
        chances.append(surface_test(plane, best.angle, best.columns))
    # Means and halves of 60 even chances, four standard errors.
    assert abs(np.mean(chances) - 0.5) < 4 / np.sqrt(12 * 60)
    assert 15 < np.sum(np.array(chances) < 0.5) < 45

"""Limits, best fractions, frontier, crossovers and the worth of an example."""

import math

import numpy as np
import pytest

from isoloss.errors import FitError, InputError
from isoloss.theory import (
    beyond_capacity,
    crossover,
    few_examples,
    frontier,
    growing_pool,
    lossless_fraction,
    many_examples,
    margin_constant,
    optimal_fraction,
    over_pruned,
    probe_angle,
    pruned_perceptron,
    version_space,
)
from isoloss.theory.perceptron_gibbs import VersionSpace
from theory.test_perceptron import GOLDEN, printed

BOTH = [["hard"], ["easy"]]


def test_constant_of_many_examples():
    assert margin_constant() == pytest.approx(0.5004889318, abs=5e-11)
    assert float(pruned_perceptron(1e6, keep="random").eps) * 1e6 == pytest.approx(
        margin_constant(), rel=1e-11
    )


@pytest.mark.parametrize(
    ("keep", "fraction", "theta", "alpha", "off"),
    [
        ("hard", 0.2, 0, 1e3, 1e-6), ("hard", 0.5, 20, 300, 3e-4), ("hard", 0.2, 45, 1e4, 1e-5),
        ("hard", 0.3, 0.5, 1e5, 1e-6), ("easy", 0.5, 0, 1e4, 1e-4), ("easy", 0.1, 0, 1e4, 1e-4),
        ("easy", 0.5, 45, 1e4, 1e-3), ("easy", 0.5, 80, 1e4, 1e-4), ("random", 0.5, 10, 1e3, 2e-6),
    ],
)  # fmt: skip
def test_many_examples_end_in_a_power_law(keep, fraction, theta, alpha, off):
    angle = np.deg2rad(theta)
    found = pruned_perceptron(alpha, fraction, angle, keep=keep).require()
    law = float(many_examples(fraction, angle, keep=keep))
    assert alpha * float(found.eps) == pytest.approx(law, rel=off)


def test_pruning_at_a_fixed_fraction_of_an_abundant_pool_costs_nothing():
    found = pruned_perceptron(alpha_tot=1e4, fraction=[0.05, 0.2, 1.0])
    np.testing.assert_allclose(found.eps, found.eps[-1], rtol=1e-6)


@pytest.mark.parametrize("theta", [0, 15, 50, 90])
def test_few_examples_add_up(theta):
    angle = np.deg2rad(theta)
    found = pruned_perceptron(1e-5, [0.05, 0.4], angle, keep=BOTH).require()
    law = few_examples([0.05, 0.4], angle, keep=BOTH)
    np.testing.assert_allclose(found.R / np.sqrt(1e-5), law, rtol=1e-4)
    np.testing.assert_allclose(found.kappa * np.sqrt(1e-5), 1, rtol=1e-4)


def test_few_examples_of_a_perfect_probe_in_closed_form():
    from scipy.special import ndtri

    phi = lambda x: np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    f = np.array([0.1, 0.5, 0.9])
    hard, easy = few_examples(f, keep=BOTH)
    np.testing.assert_allclose(hard, 2 * (phi(0) - phi(ndtri((1 + f) / 2))) / f, rtol=1e-12)
    np.testing.assert_allclose(easy, 2 * phi(ndtri(1 - f / 2)) / f, rtol=1e-12)


def test_beyond_capacity():
    table = GOLDEN["capacity"]
    for alpha, text in zip(table["alpha"], table["h"], strict=True):
        printed(beyond_capacity(alpha), text)
    for alpha, text in zip(table["excess_alpha"], table["excess"], strict=True):
        printed(beyond_capacity(alpha) / margin_constant() - 1, text)
    assert np.isinf(beyond_capacity([0.5, 2.0])).all()
    h = beyond_capacity([2.0001, 2.001, 2.01, 3, 10, 1e5])
    assert (np.diff(h) < 1e-9).all()
    assert h[-1] == pytest.approx(margin_constant(), rel=1e-9)
    found = pruned_perceptron([2.1, 2.5, 4], 1e-6).require()
    np.testing.assert_allclose(
        found.alpha_tot * found.eps, beyond_capacity([2.1, 2.5, 4]), rtol=1e-6
    )


def test_a_probe_that_is_off_leaves_a_floor():
    angle = np.deg2rad([5, 20, 60])
    found = pruned_perceptron(7.0, 1e-5, angle).require()
    np.testing.assert_allclose(found.eps, over_pruned(7.0, angle), rtol=1e-4)
    np.testing.assert_allclose(over_pruned(1e6, angle), 0.5 - angle / np.pi, rtol=1e-5)
    easy = pruned_perceptron(1e3, 0.1, np.deg2rad(10), keep="easy").require()
    assert float(easy.eps) == pytest.approx(10 / 180, rel=1e-3)


def test_error_falls_exponentially_only_with_a_pool_that_grows_so():
    rate, alpha = 0.7, np.array([3.0, 5.0, 8.0, 12.0])
    exact = pruned_perceptron(alpha, np.exp(-rate * alpha)).require()
    # The law is that of small fractions: the first is 0.12.
    np.testing.assert_allclose(exact.eps, growing_pool(alpha, rate), rtol=0.01)
    np.testing.assert_allclose(exact.eps[2:], growing_pool(alpha[2:], rate), rtol=1e-4)
    assert growing_pool(1.0, rate) == 0.5


def test_quality_of_a_probe_from_its_own_training():
    angle = probe_angle([1.0, 10.0])
    assert angle == pytest.approx(np.pi * np.array([0.26571147, 0.049183396]), rel=1e-7)
    pruned_perceptron(3, 0.3, angle).require()


def test_printed_best_fractions():
    table = GOLDEN["best"]
    found = optimal_fraction(table["alpha"])
    for i in range(len(table["alpha"])):
        assert abs(found.fraction[i] - float(table["fraction"][i])) < 2e-4
        printed(found.eps[i], table["eps"][i])
    found = optimal_fraction(alpha_tot=table["alpha_tot"], keep="easy")
    for i in range(len(table["alpha_tot"])):
        printed(found.fraction[i], table["easy_fraction"][i])
        printed(found.eps[i], table["easy_eps"][i])


def test_best_fractions_are_best():
    for words in (
        {"alpha_prune": 1.3}, {"alpha_prune": 4.0, "theta": 0.2},
        {"alpha_tot": 3.0, "keep": "easy"},
        {"alpha_tot": 2.0, "keep": "easy", "theta": 0.3}, {"alpha_tot": 30.0, "theta": 0.2},
        {"alpha_prune": 1.0, "theta": 1.0, "keep": "easy"},
    ):  # fmt: skip
        best = optimal_fraction(**words).require()
        f = float(best.fraction)
        grid = np.clip(f * np.exp(np.array([-2, -0.5, -0.01, -1e-3, 1e-3, 0.01, 0.5])), 1e-6, 1)
        others = pruned_perceptron(fraction=grid, **words).eps
        assert (best.eps <= others * (1 + 1e-12)).all(), words


def test_ends_of_the_best_fraction():
    # Nothing beats the hardest examples of a perfect probe once there are two a dimension.
    found = optimal_fraction([0.3, 1.99, 2.0, 50.0])
    assert found.fraction[0] == 1
    assert 0 < found.fraction[1] < 0.1
    assert found.fraction[2:].tolist() == [0, 0]
    assert found.eps[2:].tolist() == [0, 0]
    # With the pool held, hard examples alone are never better than all.
    held = optimal_fraction(alpha_tot=[0.5, 4, 16, 100])
    assert held.fraction.tolist() == [1, 1, 1, 1]
    assert optimal_fraction(2, keep="random").fraction == 1
    assert optimal_fraction(2, np.pi / 2).fraction == 1
    # The easiest examples hand the probe over.
    easy = optimal_fraction(3, np.deg2rad(10), keep="easy")
    assert easy.fraction == 0
    assert easy.eps == pytest.approx(10 / 180)


def test_best_fractions_at_the_ends_of_what_is_solved():
    angle = np.deg2rad([[0], [0.5]])
    ends = np.array([1e-5, 1e-3, 2.1, 1e6])
    pooled = optimal_fraction(alpha_tot=ends, theta=angle, keep="easy").require()
    assert (pooled.alpha_prune >= 1e-5).all()
    found = optimal_fraction(ends, angle).require()
    assert (found.fraction[:, 0] == 1).all()
    assert found.fraction[1, 3] < 2e-4


def test_printed_frontier_and_the_law_it_returns_to():
    for theta in (5.0, 10.0, 20.0):
        rows = [r for r in GOLDEN["frontier"]["rows"] if r["theta"] == theta]
        alpha = sorted({r["alpha"] for r in rows} | {10.0, 30.0, 100.0})
        found = frontier(alpha, np.deg2rad(theta))
        at = {a: i for i, a in enumerate(found.alpha_prune.tolist())}
        for row in rows:
            eps, text = float(found.eps[at[row["alpha"]]]), row["eps"]
            if "fraction" in row:
                printed(eps, text)
                printed(found.fraction[at[row["alpha"]]], row["fraction"])
            else:
                unit = 10.0 ** -len(text.partition(".")[2])
                assert -unit / 2 < float(text) - eps < 0.02 * eps + unit / 2
        ratio = found.eps / found.law
        assert 1.23 < ratio[at[10.0]] < 1.29
        assert 1.08 < ratio[at[30.0]] < 1.12
        assert 1.03 < ratio[at[100.0]] < 1.05
        assert 1 < found.exponent[at[100.0]] < found.exponent[at[30.0]] < found.exponent[at[10.0]]
    assert len(found.to_columns()["eps"]) == len(alpha)
    assert found.to_dict()["theta"] == pytest.approx(np.deg2rad(20))
    assert "points" in repr(found)
    sharp = frontier([1.0, 3.0])
    assert sharp.eps[1] == 0
    assert np.isinf(sharp.exponent[1])


def test_exponent_of_the_frontier_is_its_slope():
    alpha = 6 * np.exp([-0.01, 0.0, 0.01])
    found = frontier(alpha, 0.2)
    slope = -np.log(found.eps[2] / found.eps[0]) / 0.02
    assert found.exponent[1] == pytest.approx(slope, rel=1e-4)


def test_printed_crossovers():
    table = GOLDEN["crossover"]
    for other in ("easy", "random"):
        for value, text in zip(
            crossover(table["fraction"], of=("hard", other)), table[other], strict=True
        ):
            printed(value, text)
    f = np.array(table["total_fraction"])
    for other in ("random", "easy"):
        # Printed to a unit of the last digit.
        np.testing.assert_allclose(
            crossover(f, of=("hard", other)) / f,
            [float(text) for text in table[f"total_{other}"]], rtol=5e-4,
        )  # fmt: skip
    assert np.isnan(crossover(0.5, of=("random", "easy")))
    assert crossover(0.9) == pytest.approx(0.970998, abs=1e-6)


@pytest.mark.slow
def test_printed_lossless_fractions():
    table = GOLDEN["lossless"]
    for excess, texts in ((0.02, table["two"]), (0.05, table["five"])):
        found = lossless_fraction(table["alpha_tot"], excess)
        for value, text in zip(found, texts, strict=True):
            # Printed to a unit of the last digit.
            assert abs(value - float(text)) < 1e-4
    # The number kept is that at which h has come down to the excess.
    kept = 1e3 * lossless_fraction(1e3)
    assert float(beyond_capacity(kept)) / margin_constant() == pytest.approx(1.02, rel=1e-4)


def test_lossless_fraction_of_one_pool():
    found = lossless_fraction(20.0)
    printed(found, ".1696")
    eps = pruned_perceptron(alpha_tot=20, fraction=[float(found), 1.0]).eps
    assert eps[0] / eps[1] == pytest.approx(1.02, rel=1e-7)


@pytest.mark.parametrize("row", GOLDEN["gibbs"]["rows"], ids=lambda r: f"{r['keep']}-{r['alpha']}")
def test_printed_volumes(row):
    found = version_space(row["alpha"], row["fraction"], keep=row["keep"]).require()
    for name in ("q", "R", "information_gain", "entropy"):
        printed(getattr(found, name), row[name])


@pytest.mark.parametrize(
    ("keep", "fraction", "alpha"),
    [
        ("random", 1.0, 0.01), ("random", 1.0, 30.0), ("hard", 0.5, 1.0), ("hard", 0.1, 1.8),
        ("hard", 0.05, 1.9), ("hard", 1e-3, 3.0), ("easy", 0.2, 2.0), ("easy", 0.05, 50.0),
    ],
)  # fmt: skip
def test_information_is_the_fall_of_the_entropy(keep, fraction, alpha):
    step = 1e-3 * alpha
    at = version_space([alpha - step, alpha, alpha + step], fraction, keep=keep).require()
    slope = (at.entropy[2] - at.entropy[0]) / (2 * step)
    assert float(at.information_gain[1]) == pytest.approx(-slope, rel=3e-4)
    fine = version_space([alpha - step / 4, alpha + step / 4], fraction, keep=keep)
    slope = (fine.entropy[1] - fine.entropy[0]) / (step / 2)
    assert float(at.information_gain[1]) == pytest.approx(-slope, rel=2e-5)


def test_volumes_without_pruning_and_far_out():
    found = version_space([0.1, 1, 10, 1e4], keep="random").require()
    np.testing.assert_allclose(found.q, found.R, rtol=1e-12)
    # Opper and Haussler: 0.625/alpha for a student at random, 0.442/alpha for the mean of all.
    assert found.eps_gibbs[-1] * 1e4 == pytest.approx(0.625, abs=5e-4)
    assert found.eps_centre[-1] * 1e4 == pytest.approx(0.442, abs=5e-4)
    assert found.information_gain[-1] * 1e4 == pytest.approx(1, abs=1e-3)
    few = version_space(1e-5, 0.3, keep=["hard", "easy", "random"]).require()
    np.testing.assert_allclose(few.information_gain, math.log(2), rtol=1e-3)
    blind = version_space(2, [0.2, 0.7], keep="random")
    assert blind.q[0] == blind.q[1]
    # The mean of all beats the student of largest margin, and that one a student at random.
    margin = pruned_perceptron([1.0, 10.0], keep="random").eps
    assert (found.eps_centre[1:3] < margin).all()
    assert (margin < found.eps_gibbs[1:3]).all()


def test_constant_information_needs_a_pool_that_grows():
    # Beyond capacity S = log f + const, so dI = rate where f = exp(-rate alpha).
    rate, alpha = 1.0, np.array([5.0, 5.5])
    found = version_space(alpha, np.exp(-rate * alpha)).require()
    assert (found.entropy[0] - found.entropy[1]) / 0.5 == pytest.approx(rate, rel=0.25)
    fixed = version_space(5.0, np.exp([-5.0, -6.0]))
    assert fixed.entropy[0] - fixed.entropy[1] == pytest.approx(1, rel=1e-3)


def test_bad_requests_are_named():
    for call, piece in (
        (lambda: many_examples(0), "fraction"), (lambda: few_examples(1.5), "fraction"),
        (lambda: many_examples([0.1, 0.2], [0.1, 0.2, 0.3]), "broadcast"),
        (lambda: beyond_capacity(-1), "positive"), (lambda: growing_pool(3, 0), "rate"),
        (lambda: frontier([1, 2], [0.1, 0.2]), "one angle"), (lambda: frontier(0), "positive"),
        (lambda: crossover(0.2, of=("hard", "best")), "best"),
        (lambda: crossover(0.0), "fraction|above"), (lambda: lossless_fraction(3, 0), "excess"),
        (lambda: version_space(3, 0), "limit"), (lambda: version_space(0, 0.5), "positive"),
        (lambda: optimal_fraction(), "either"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=piece):
            call()


def test_volumes_are_whole():
    found = version_space([[1], [2]], [0.5, 0.2])
    assert found.q.shape == (2, 2)
    assert len(found.to_columns()["keep"]) == 4
    assert found.to_dict()["keep"][1][1] == "hard"
    assert "nats" in repr(found)
    broken = VersionSpace(
        **{name: getattr(found, name) for name in found.__slots__ if name != "residual"},
        residual=np.full((2, 2), np.nan),
    )
    with pytest.raises(FitError, match="keep hard"):
        broken.require()

"""Comparisons of recipes: exact limits, symmetries, refusals."""

import json

import numpy as np
import pytest

from isoloss._core.serial import to_json
from isoloss.errors import FitError, InputError
from isoloss.plan.recipes import compare_recipes
from isoloss.runs import Conventions, Runs
from plan.recipes.made import TINY, C, curve, grid

FACTOR = 1.7


def one(a, b, **options):
    return compare_recipes({"a": a, "b": b}, **({"draws": 100} | options)).rows[0]


@pytest.mark.parametrize("tie", ["auto", ["E"], []])
def test_a_shift_of_compute_is_the_multiplier_at_every_scale(tie):
    found = one(curve(300, 0, noise=TINY), curve(300 * FACTOR**-0.13, 1, noise=TINY), tie=tie)
    for s in found.scales:
        assert s.multiplier == pytest.approx(FACTOR, rel=1e-4)
        assert s.verdict == "better"
    assert found.crossover.status == "none"
    assert found.sentence.startswith("verdict: b is better")


def test_a_shift_of_size_and_one_of_data_multiply():
    b = grid(1, A=480 * 1.2**-0.35, B=2100 * 1.5**-0.37, noise=TINY)
    found = one(grid(0, noise=TINY), b, laws=["chinchilla"])
    for s in found.scales:
        assert s.multiplier == pytest.approx(1.2 * 1.5, rel=1e-4)


def test_curves_cross_where_they_do():
    found = one(curve(300, 0, noise=TINY), curve(300 * 3e18**0.01, 1, alpha=0.14, noise=TINY))
    assert found.crossover.status == "found"
    assert pytest.approx(3e18, rel=1e-3) == found.crossover.C
    assert found.crossover.interval.low < 3e18 < found.crossover.interval.high
    assert "a leads below, b above" in found.crossover.sentence


def test_swapping_recipes_inverts_the_answer():
    a, b = curve(300, 0), curve(290, 1)
    one_way, other = one(a, b, draws=300).main, one(b, a, draws=300).main
    assert one_way.multiplier * other.multiplier == pytest.approx(1, rel=0.01)
    assert one_way.gap == pytest.approx(-other.gap, rel=1e-6)
    assert one_way.gap_interval.low == pytest.approx(-other.gap_interval.high, rel=1e-6)
    assert (one_way.verdict, other.verdict) == ("better", "worse")


def test_order_of_rows_does_not_matter():
    a, b = curve(300, 0), curve(290, 1)
    shuffled = np.random.default_rng(3).permutation(len(a))
    plain, mixed = one(a, b).main, one(a.select(shuffled), b.select(shuffled[::-1])).main
    assert mixed.multiplier == pytest.approx(plain.multiplier, rel=1e-6)
    assert mixed.multiplier_interval.low == pytest.approx(plain.multiplier_interval.low, rel=1e-6)
    assert mixed.p_value == pytest.approx(plain.p_value, rel=1e-6)


def test_units_of_compute_and_loss_do_not_matter():
    a, b = curve(300, 0), curve(280, 1)
    scaled = [Runs(columns={"C": t["C"] * 1e-15, "loss": t["loss"] / np.log(2)}) for t in (a, b)]
    plain, other = one(a, b), one(*scaled)
    assert pytest.approx(plain.main.C * 1e-15) == other.main.C
    assert other.main.multiplier == pytest.approx(plain.main.multiplier, rel=1e-4)
    ends = (other.main.multiplier_interval, plain.main.multiplier_interval)
    assert ends[0].low == pytest.approx(ends[1].low, rel=1e-3)
    assert ends[0].high == pytest.approx(ends[1].high, rel=1e-3)


def test_noise_in_common_leaves_the_difference():
    shared = np.random.default_rng(0).standard_normal(C.size)
    own = np.random.default_rng(1).standard_normal((2, C.size))
    width = {}
    for share in (0.0, 0.95):
        tables = [
            Runs(columns={"C": C, "loss": (1.8 + A * C**-0.13) * np.exp(
                3e-3 * (np.sqrt(share) * shared + np.sqrt(1 - share) * own[i]))})
            for i, A in enumerate((300, 290))
        ]  # fmt: skip
        i = one(*tables, tie=["E"], draws=300).main.multiplier_interval
        width[share] = np.log(i.high / i.low)
    assert width[0.95] < 0.5 * width[0.0]


def test_equal_recipes_are_not_told_apart():
    found = one(curve(300, 0), curve(300, 1), draws=200)
    assert found.main.verdict == "cannot tell"
    assert 1 in found.main.multiplier_interval
    assert "no recipe is named better" in found.sentence
    assert found.next_run.startswith("to decide: run both at C = 1e+20")


def test_the_default_holds_one_floor_and_two():
    found = one(grid(0, noise=3e-3), grid(1, A=450, noise=3e-3), laws=["chinchilla"], draws=200)
    assert found.ties == (("E",), ())
    for s in found.scales:
        tied, free = s.by_tie
        i = s.multiplier_interval
        assert i.low == min(tied.interval.low, free.interval.low)
        assert i.high == max(tied.interval.high, free.interval.high)
        assert s.p_value == max(tied.p_value, free.p_value)
        assert i.low <= s.multiplier <= i.high
    far = found.scales[-1]
    assert far.by_tie[1].interval.high / far.by_tie[1].interval.low > 2 * (
        far.by_tie[0].interval.high / far.by_tie[0].interval.low
    )


def test_floors_that_differ_are_seen_and_decide():
    a, b = curve(300, 0), curve(240, 1, E=1.95)
    found = one(a, b, draws=200, tie=["E"])
    assert "FLOORS_DIFFER" in {r.code for r in found.reasons}
    assert found.status == "suspect"
    free = one(a, b, draws=200, tie=[])
    assert not any(r.code == "FLOORS_DIFFER" for r in free.reasons)
    assert free.scales[-1].verdict == "worse"


def test_a_verdict_that_needs_one_floor_says_so():
    # The gap at the end of the runs is small beside what two floors leave open ten times farther.
    found = one(curve(300, 0, noise=2e-3), curve(292, 1, noise=2e-3), at=[1e22], draws=200)
    tied, free = found.main.by_tie
    assert (tied.verdict, free.verdict) == ("better", "cannot tell")
    assert found.main.verdict == "cannot tell"
    assert "TIE_DECIDES" in {r.code for r in found.reasons}


def test_results_are_plain_and_short():
    found = compare_recipes({"a": curve(300, 0), "b": curve(280, 1), "c": curve(300, 2)}, draws=100)
    told = json.loads(to_json(found))
    assert [c["recipe"] for c in told["comparisons"]] == ["b", "c"]
    assert [c["differs"] for c in told["comparisons"]] == [True, False]
    assert found.to_columns()["recipe"] == ["b", "c"]
    assert repr(found) == "Comparisons(2 against a; 1 differ)"
    assert "b" in found.summary()
    assert found.rows[0].to_columns()["verdict"][:2] == ["better"] * 2


@pytest.mark.parametrize(
    ("tables", "options", "text"),
    [
        ({"a": curve(300)}, {}, "two recipes"),
        ({"a": curve(300), "b": curve(300)}, {}, "same runs"),
        ({"a": curve(300), "b": curve(300, 1).select(C > 9e19)}, {}, "configurations"),
        ({"a": curve(300).select(C < 1e18), "b": curve(300, 1).select(C > 1e19)}, {}, "no common"),
        ({"a": curve(300), "b": curve(300, 1)}, {"tie": "E"}, "tie = 'E'"),
        ({"a": curve(300), "b": curve(300, 1)}, {"tie": ["F"]}, "no parameter of power_floor"),
        ({"a": curve(300), "b": curve(300, 1)}, {"baseline": "z"}, "no such recipe"),
        ({"a": curve(300), "b": curve(300, 1)}, {"draws": 10}, "draws = 10"),
        ({"a": curve(300), "b": curve(300, 1)}, {"looks": "6/5"}, "look k of K"),
        ({"a": curve(300), "b": curve(300, 1)}, {"at": [-1.0]}, "at"),
        ({"a": curve(300), "b": curve(300, 1)}, {"ratio": 20.0}, "need laws of N and D"),
        ({"a": grid(0), "b": grid(1)}, {"ratio": 20.0, "size": 1e8}, "one of them"),
        ({"a": grid(0), "b": grid(1)}, {"tie": ["A"]}, "unit that depends on alpha"),
    ],
)
def test_refusals(tables, options, text):
    with pytest.raises((InputError, FitError), match=text):
        compare_recipes(tables, **({"draws": 100} | options))


def test_losses_in_other_units_are_refused():
    bits = Runs(columns=dict(curve(300, 1).columns), conventions=Conventions(loss="bits"))
    with pytest.raises(InputError, match="conventions"):
        compare_recipes({"a": curve(300, 0), "b": bits}, draws=100)


def test_a_factor_of_bits_to_nats_is_noticed():
    b = curve(300, 1)
    bits = Runs(columns={"C": b["C"], "loss": b["loss"] / np.log(2)})
    assert "LOSS_UNITS" in {r.code for r in one(curve(300, 0), bits).reasons}

"""Laws of training curves: exact limits, the plain sum, and derivatives."""

import numpy as np
import pytest

from isoloss.errors import InputError, LawError
from isoloss.laws.curve_law import RateScale, curve_law_names, curve_loss, get_curve_law
from isoloss.laws.rate_nodes import RateNodes, rate_nodes
from isoloss.laws.schedule import Schedule, make_schedule, rates_between

MULTI = {"L0": 2.6, "A": 0.6, "alpha": 0.45, "B": 440.0, "C": 2.1, "beta": 0.6, "gamma": 0.65}
ANNEAL = {"L0": 2.6, "A": 0.6, "alpha": 0.5, "C": 0.9, "lambda": 0.998}
PLAIN = {"L0": 2.6, "A": 0.6, "alpha": 0.45}
GIVEN = {"multi-power": MULTI, "annealing": ANNEAL, "rate-power": PLAIN}
KINDS = ["constant:3000", "cosine:3000", "linear:3000", "wsd:2000:3000", "wsd-linear:700:3000",
         "drop:900:3000:3e-5"]  # fmt: skip


def plan(text, **change):
    return make_schedule(text, **({"peak": 3e-4, "floor": 3e-5, "warmup": 300} | change))


def naive(p, rates, t):
    """Equation 1 of the paper, a term at a time."""
    total = 0.0
    for k in range(1, t + 1):
        since = rates[k : t + 1].sum()
        x = rates[k] ** -p["gamma"] * since if rates[k] > 0 else 0.0
        total += (rates[k - 1] - rates[k]) * (1 - (1 + p["C"] * x) ** -p["beta"])
    return p["L0"] + p["A"] * rates[: t + 1].sum() ** -p["alpha"] - p["B"] * total


@pytest.mark.parametrize("kind", KINDS)
def test_few_nodes_give_the_plain_sum(kind):
    schedule = plan(kind)
    at = np.array([5, 299, 300, 310, 901, 1200, 2001, 2500, 2999])
    found = curve_loss("multi-power", MULTI, schedule, at=at)
    plain = [naive(MULTI, schedule.rates, t) for t in at]
    assert found == pytest.approx(plain, rel=1e-10)
    assert rate_nodes(schedule.rates, at[-1:]).weight.size < 900


@pytest.mark.parametrize("floor", [0.0, 1e-9])
@pytest.mark.parametrize("warmup", [0, 300])
def test_rates_that_end_at_zero(floor, warmup):
    schedule = plan("linear:3000", floor=floor, warmup=warmup)
    at = np.array([1500, 2900, 2998, 2999])
    exact = curve_loss("multi-power", MULTI, schedule, at=at, exact=True)
    assert curve_loss("multi-power", MULTI, schedule, at=at) == pytest.approx(exact, rel=1e-10)
    assert exact == pytest.approx([naive(MULTI, schedule.rates, t) for t in at], rel=1e-10)


def test_far_in_steps_may_be_near_in_rates():
    # After the fall no block of steps lies as far back, in rates, as it is long.
    rates = np.append(np.linspace(3e-4, 2e-4, 2048), np.full(2048, 3e-9))
    given = MULTI | {"C": 500.0, "gamma": 0.2}
    pair = [
        curve_loss("multi-power", given, Schedule(rates), at=[3100, 4095], exact=e) for e in (0, 1)
    ]
    assert pair[0] == pytest.approx(pair[1], rel=1e-11)


def test_a_schedule_without_any_form_is_summed_right():
    rates = 1e-3 * np.random.default_rng(0).uniform(0.1, 1, 700)
    at = [10, 333, 699]
    found = curve_loss("multi-power", MULTI, Schedule(rates), at=at)
    assert found == pytest.approx([naive(MULTI, rates, t) for t in at], rel=1e-10)


def test_annealing_follows_its_recursion():
    rates = plan("cosine:2000").rates
    change = np.append(0.0, -np.diff(rates))
    momentum, total, s2 = 0.0, 0.0, []
    for d in change:
        momentum = ANNEAL["lambda"] * momentum + d
        total += momentum
        s2.append(total)
    s1 = np.cumsum(rates)
    at = np.array([50, 400, 1999])
    want = ANNEAL["L0"] + ANNEAL["A"] * s1[at] ** -0.5 - ANNEAL["C"] * np.array(s2)[at]
    assert curve_loss("annealing", ANNEAL, Schedule(rates), at=at) == pytest.approx(want, rel=1e-10)


def test_without_amplitude_of_annealing_a_power_law_of_the_sum():
    schedule = plan("cosine:3000")
    at = np.arange(400, 3000, 200)
    want = 2.6 + 0.6 * np.cumsum(schedule.rates)[at] ** -0.45
    zero = MULTI | {"B": 0.0}
    assert curve_loss("multi-power", zero, schedule, at=at) == pytest.approx(want, rel=1e-14)
    assert curve_loss("rate-power", PLAIN, schedule, at=at) == pytest.approx(want, rel=1e-14)
    none = ANNEAL | {"C": 0.0, "alpha": 0.45}
    assert curve_loss("annealing", none, schedule, at=at) == pytest.approx(want, rel=1e-14)


def test_a_constant_rate_anneals_nothing():
    schedule = plan("constant:3000", warmup=0)
    at = [10, 2999]
    plain = curve_loss("rate-power", PLAIN, schedule, at=at)
    assert curve_loss("multi-power", MULTI, schedule, at=at).tolist() == plain.tolist()
    # After a warm-up the effect saturates: as much at the end as far from it, to a few per cent.
    late = plan("constant:3000", warmup=30)
    off = curve_loss("multi-power", MULTI | {"beta": 2.0}, late, at=at) - curve_loss(
        "rate-power", PLAIN, late, at=at
    )
    assert off[1] == pytest.approx(440 * 3e-4, rel=1e-3)


def test_twice_the_rate_in_half_the_steps_keeps_the_sum():
    slow = plan("constant:2000", warmup=0)
    fast = plan("constant:1000", warmup=0, peak=6e-4)
    pair = [curve_loss("rate-power", PLAIN, s, at=[len(s) - 1]) for s in (slow, fast)]
    assert pair[0] == pytest.approx(pair[1], rel=1e-12)


def test_nodes_of_several_curves_are_those_of_each():
    parts = [rate_nodes(plan(k).rates, np.array([500, 2500])) for k in KINDS[:3]]
    values = [p.total(np.sqrt(p.gap)) for p in parts]
    joined = RateNodes.join(parts)
    assert joined.total(np.sqrt(joined.gap)).tolist() == np.concatenate(values).tolist()


def test_rough_nodes_are_right_to_what_they_claim():
    schedule, at = plan("cosine:3000"), np.arange(400, 3000, 100)
    law, scale = get_curve_law("multi-power"), RateScale(3e-4, 0.5)
    shape = law.inner(scale, MULTI)[0]
    fine, rough = (
        law.columns(rate_nodes(schedule.rates, at, rough=r), scale, shape)[0] for r in (0, 1)
    )
    assert np.abs(fine - rough).max() < 2e-5


@pytest.mark.parametrize("name", curve_law_names())
def test_derivatives_are_those_of_a_complex_step(name):
    law, scale = get_curve_law(name), RateScale(3e-4, 0.6)
    nodes = rate_nodes(plan("wsd:1500:2500").rates, np.array([20, 400, 1600, 2499]))
    shape, _ = law.inner(scale, GIVEN[name])
    slopes = law.columns(nodes, scale, shape)[1]
    for i in range(shape.size):
        moved = shape.astype(complex)
        moved[i] += 1e-30j
        other = law.columns(nodes, scale, moved)[0].imag / 1e-30
        assert slopes[i] == pytest.approx(other, rel=1e-11, abs=1e-14)


@pytest.mark.parametrize("name", curve_law_names())
def test_parameters_in_print_come_back(name):
    law, scale = get_curve_law(name), RateScale(2e-3, 5.0)
    back = law.published(scale, *law.inner(scale, GIVEN[name]))
    assert back == pytest.approx(GIVEN[name], rel=1e-12)
    assert len(law.lower) == len(law.upper) == len(law.spread) == len(law.centre(scale))


def test_schedules_end_where_they_say():
    wsd = plan("wsd:2000:3000")
    assert wsd.rates[1999] == wsd.peak == 3e-4
    assert wsd.rates[2500] == pytest.approx(3e-4 * 10**-0.5)
    assert plan("cosine:3000").rates[1650] == pytest.approx(1.65e-4)
    assert plan("drop:900:3000:1e-5").rates[[899, 900]].tolist() == [3e-4, 1e-5]
    assert np.diff(plan("cosine:3000").rates[:300]) == pytest.approx(3e-4 / 299)


def test_logged_rates_are_held_before_the_first_log():
    rates = rates_between(np.array([4.0, 8.0]), np.array([2.0, 1.0]), 10)
    assert rates.tolist() == [2, 2, 2, 2, 2, 1.75, 1.5, 1.25, 1, 1, 1]
    risen = rates_between(np.array([4.0, 8.0]), np.array([2.0, 1.0]), 10, warmup=3)
    assert risen[:4].tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    "text",
    ["cosine", "cosine:x", "sine:9", "wsd:10:5", "constant:1e9", "drop:1:5:-1", "linear:nan", ""],
)
def test_schedules_that_cannot_be(text):
    with pytest.raises(InputError):
        make_schedule(text, peak=1.0, floor=0.1)


def test_bad_arguments_are_named():
    schedule = plan("constant:3000")
    with pytest.raises(InputError, match="beta"):
        curve_loss("multi-power", MULTI | {"beta": -1.0}, schedule)
    with pytest.raises(InputError, match="missing"):
        curve_loss("multi-power", PLAIN, schedule)
    with pytest.raises(InputError, match=r"at\[0\] = 3000"):
        curve_loss("multi-power", MULTI, schedule, at=[3000])
    with pytest.raises(InputError, match="first step"):
        curve_loss("multi-power", MULTI, schedule, at=[0])
    with pytest.raises(InputError, match="lambda"):
        curve_loss("annealing", ANNEAL | {"lambda": 1.0}, schedule)
    with pytest.raises(InputError, match="not all zero"):
        Schedule([0.0, 0.0])
    with pytest.raises(InputError, match=r"rates\[1\]"):
        Schedule([1.0, -1.0])
    with pytest.raises(InputError, match="floor"):
        make_schedule("wsd:1:4", peak=1.0)
    with pytest.raises(LawError, match="no law of curves"):
        get_curve_law("chinchilla")

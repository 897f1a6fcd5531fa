"""One-pass SGD under schedules: exact recursions, the constant one, simulation, and mistakes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.commands import call
from isoloss.cli import theory_schedule
from isoloss.errors import InputError
from isoloss.theory import (
    Schedule,
    agree_sgd,
    from_modes,
    one_pass_sgd,
    power_law,
    scheduled_sgd,
    sgd_spectrum,
    simulate_sgd,
)
from isoloss.theory.schedule import SCHEDULES, rates_of
from isoloss.theory.scheduled import Rates, _group, find_directions
from isoloss.theory.sgd import Model
from theory.given import near

CASES = [
    (0.8, 0.6, 800, 200, 0.1, 1, 0.0), (0.6, 0.3, 300, 100, 0.2, 2, 0.1),
    (1.5, 2.0, 3000, 1000, 0.05, 4, 0.0), (0.8, 0.6, 300, math.inf, 0.3, 3, 0.1),
    (1.0, 0.7, math.inf, 1e5, 0.1, 1, 0.1), (0.3, 0.5, 200, 300, 0.05, 2, 0.1),
]  # fmt: skip


@pytest.mark.parametrize(
    "case", [*CASES[:2], *(pytest.param(case, marks=pytest.mark.slow) for case in CASES[2:])]
)
def test_a_constant_schedule_is_the_exact_answer(case):
    alpha, beta, M, N, lr, batch, noise = case
    spectrum = sgd_spectrum(alpha=alpha, beta=beta, M=M)
    steps = [0, 1, 2, 30, 1000, 10**5, 10**8]
    words = {"lr": lr, "batch": batch, "noise": noise}
    found = scheduled_sgd(spectrum, N, steps, **words)
    exact = one_pass_sgd(spectrum, N, steps, **words)
    worst = float(np.abs(found.risk / exact.risk - 1).max())
    assert worst < 4e-6
    # What is said of the error is right to a factor of a few.
    assert worst < 5 * found.error + 3e-8
    assert found.error < 2e-5
    assert found.kernel_mass == exact.kernel_mass
    assert found.stable


def by_hand(lam, v2, v0, sizes, batch, noise):
    """Mean risk of each latent mode on its own, one step after the other."""
    rho, risk = v2 / lam, []
    for lr in (*sizes, 0.0):
        risk.append(float(lam @ rho))
        phi = 1 - 2 * lr * batch * lam + lr**2 * batch * (batch + 1) * lam**2
        rho = phi * rho + lr**2 * batch * lam * (risk[-1] + noise + v0)
    return np.array(risk) + v0


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_obeys_the_recursion(name):
    spectrum = power_law(b=1.6, a=2.8, M=40, v0=0.02)
    lam, v2 = (np.concatenate(v) for v in zip(*spectrum.blocks(100), strict=True))
    length, batch, noise, lr = 20_000, 2, 0.05, 0.1
    share = SCHEDULES[name]((np.arange(length) + 0.5) / length)
    exact = by_hand(lam, v2, 0.02, lr * share, batch, noise)
    steps = [1, 50, 2000, 2500, 9000, 17_000, 19_990, 20_000]
    words = {"lr": lr, "batch": batch, "noise": noise}
    found = scheduled_sgd(spectrum, np.inf, steps, schedule=name, **words)
    assert found.risk == near(exact[steps], rel=1.5e-6)
    assert float(np.abs(found.risk / exact[steps] - 1).max()) < found.error + 1e-8
    assert found.lr == near(lr * share[np.array(steps) - 1], rel=1e-12)
    # Where the rest of the run is not looked at, it still decides the schedule.
    part = scheduled_sgd(spectrum, np.inf, 9000, schedule=name, length=length, **words)
    assert float(part.risk) == near(float(exact[9000]), rel=1.5e-6)


def test_a_list_and_a_function_are_schedules():
    spectrum = from_modes([1.0, 0.5, 0.2], [0.3, 0.5, 0.1], v0=0.02)
    share = np.array([0.2, 1.0, 0.0, 0.7, 0.1, 0.9])
    exact = by_hand(spectrum.lam, spectrum.v2, 0.02, 0.2 * share, 2, 0.05)
    found = scheduled_sgd(
        spectrum, np.inf, np.arange(7), lr=0.2, schedule=share, batch=2, noise=0.05
    )
    assert found.risk == near(exact, rel=1e-8)
    words = {"lr": 0.1, "batch": 2}
    cosine = scheduled_sgd(spectrum, 50, 10_000, schedule="cosine", **words)
    ours = scheduled_sgd(
        spectrum, 50, 10_000, schedule=lambda u: (1 + np.cos(np.pi * u)) / 2, **words
    )
    listed = (1 + np.cos(np.pi * (np.arange(10_000) + 0.5) / 10_000)) / 2
    one_by_one = scheduled_sgd(spectrum, 50, 10_000, schedule=listed, **words)
    assert float(ours.risk) == near(float(cosine.risk), rel=1e-9)
    assert float(one_by_one.risk) == near(float(cosine.risk), rel=1e-6)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(2, 60), st.floats(0.0, 0.5), st.floats(0.001, 0.3))
def test_a_group_is_its_steps(count, noise, lr):
    # Where nothing that is kicked in comes back, steps of one size in a group are exact.
    model = Model(sgd_spectrum(alpha=0.8, beta=0.6, M=50), 30.0, lr, 1, noise)
    at = find_directions(model, 2 * lr * count)
    rates = Rates(lr, count, np.ones_like, None, ())
    quiet = type(at)(at.x, at.start, 0 * at.number, at.rest)
    p, R = quiet.start, quiet.rest + float(quiet.start.sum())
    whole = _group(quiet, p, R, 0, count, rates, 1, noise)
    for k in range(count):
        p, R, _ = _group(quiet, p, R, k, k + 1, rates, 1, noise)
    assert whole[1] == near(R, rel=1e-9)


@pytest.mark.parametrize(
    ("schedule", "samples"),
    [("cosine", False), ("warmup-stable-decay", False), (Schedule(warmup=0.3, floor=0.1), True)],
)
def test_simulation_under_schedules(schedule, samples):
    spectrum = sgd_spectrum(alpha=0.8, beta=0.6, M=400)
    found = agree_sgd(
        spectrum, 100, [0, 10, 100, 1000], lr=0.05, batch=4, noise=0.01, draws=30,
        schedule=schedule, samples=samples,
    )  # fmt: skip
    assert found.worst < 4, found.summary()
    # Another schedule would be found out.
    other = scheduled_sgd(
        spectrum, 100, 1000, lr=0.05, batch=4, noise=0.01, schedule=Schedule(warmup=1.0)
    )
    gap = abs(found.mean["risk"][1] - float(other.risk))
    assert gap > 8 * found.sem["risk"][1]


def test_decay_lowers_the_noise_floor_and_unstable_peaks_diverge():
    spectrum = sgd_spectrum(alpha=0.8, beta=0.6, M=300)
    words = {"lr": 0.3, "noise": 0.1}
    level, decayed = (
        float(scheduled_sgd(spectrum, 50, 10**5, schedule=s, **words).risk)
        for s in ("constant", "cosine")
    )
    floor = one_pass_sgd(spectrum, 50, 0, **words).forcing_limit
    assert floor < decayed < floor + 0.05 * (level - floor)
    wild = scheduled_sgd(spectrum, 50, [0, 10**4], lr=2.0, schedule="constant")
    assert not wild.stable
    assert wild.risk[0] == near(spectrum.power, rel=1e-8)
    assert wild.risk[1] == math.inf
    # Smaller than what can be resolved is said to be.
    done = scheduled_sgd(sgd_spectrum(alpha=1, beta=1, M=20), np.inf, 10**7, lr=0.1)
    assert 0 <= float(done.risk) < done.resolution < 1e-12


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["linear", "cosine"]))
def test_schedules_rise_stay_and_fall(warmup, rest, floor, fall):
    made = Schedule(warmup=warmup, decay=rest * (1 - warmup), floor=floor, fall=fall)
    u = np.linspace(0, 1, 400)
    share = made(u)
    assert share.min() >= 0
    assert share.max() <= 1
    rise = np.diff(share)
    assert (rise[u[1:] < warmup] >= 0).all()
    assert (rise[u[:-1] > warmup] <= 1e-15).all()
    if made.decay > 0:
        assert float(made(np.ones(1))[0]) == near(floor, abs=1e-12)


@pytest.mark.parametrize(
    ("words", "piece"),
    [({"schedule": "cosin"}, "warmup-stable-decay"), ({"schedule": [1.0]}, "one share a step"),
     ({"schedule": lambda u: -u}, "no share"), ({"schedule": lambda u: u[:1]}, "shape"),
     ({"schedule": lambda u: 0 * u}, "size zero"), ({"length": 3}, "at least 5"),
     ({"length": 7.5}, "whole"), ({"steps": 1e16}, "at most"), ({"lr": -1}, "lr"),
     ({"schedule": [math.nan] * 5}, "no share"), ({"schedule": object()}, "expected shares")],
)  # fmt: skip
def test_mistakes_are_named(words, piece):
    arguments = {"steps": 5, "lr": 0.1} | words
    for call_ in (scheduled_sgd, simulate_sgd):
        with pytest.raises(InputError, match=piece):
            call_(sgd_spectrum(alpha=0.8, beta=0.6, M=100), 10, **arguments)
    for bad, said in (({"warmup": 1.5}, "share"), ({"warmup": 0.6, "decay": 0.6}, "longer"),
                      ({"fall": "step"}, "cosine"), ({"floor": math.nan}, "floor")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            Schedule(**bad)


def test_step_sizes_of_a_run():
    rates = rates_of("linear", 2.0, 4)
    assert rates.at(np.arange(4)).tolist() == [1.75, 1.25, 0.75, 0.25]
    assert rates.total == near(4.0)
    assert rates_of("warmup-stable-decay", 1.0, 100).breaks == (10, 80)


SGD = ("sgd", "--alpha", "0.8", "--beta", "0.6", "--M", "800", "--N", "200", "--lr", "0.1")


def test_schedules_on_the_command_line():
    assert tuple(SCHEDULES) == theory_schedule.NAMES
    words = (*SGD, "--steps", "10,1000", "--json")
    plain = json.loads(call("theory", *words).stdout)
    assert list(plain) == ["risk", "risk_limit", "kernel_mass"]
    answer = json.loads(call("theory", *words, "--schedule", "cosine", "--simulate", "3").stdout)
    assert list(answer) == ["risk", "lr", "kernel_mass", "error", "z", "simulation"]
    spectrum = sgd_spectrum(alpha=0.8, beta=0.6, M=800)
    ours = scheduled_sgd(spectrum, 200, [10, 1000], lr=0.1, schedule="cosine")
    assert answer["risk"] == near(ours.risk.tolist(), rel=1e-12)
    long = ("--schedule", "cosine", "--warmup", "0.2", "--floor", "0.1", "--length", "1e4")
    answer = json.loads(call("theory", *words, *long).stdout)
    made = Schedule(warmup=0.2, decay=0.8, fall="cosine", floor=0.1)
    ours = scheduled_sgd(spectrum, 200, [10, 1000], lr=0.1, schedule=made, length=10_000)
    assert answer["risk"] == near(ours.risk.tolist(), rel=1e-12)
    assert answer["lr"] == near(ours.lr.tolist(), rel=1e-12)
    several = json.loads(call("theory", *words, "--schedule", "cosine", "--noise", "0,0.1").stdout)
    assert np.shape(several["risk"]) == (2, 2)
    assert np.shape(several["error"]) == (2,)
    bare = call("theory", *words, "--warmup", "0.2")
    assert bare.exit_code == 2
    assert "name it with --schedule" in bare.stderr
    wrong = call("theory", *words, "--schedule", "warmup", "--length", "5")
    assert wrong.exit_code == 1
    assert "length = 5" in wrong.stderr
    wild = call("theory", *SGD, "--steps", "1000", "--schedule", "cosine", "--lr", "5")
    assert "note: the kernel mass is not below 1" in wild.stderr

"""Buildable shapes near a size, and what a training takes."""

from __future__ import annotations

import math

import pytest

from isoloss.errors import InputError
from isoloss.runs.counting import (
    HARDWARE,
    DecoderModel,
    count_model,
    model_utilisation,
    shapes_near,
    training_bill,
)

BASE = {"vocabulary": 1000, "context": 256}


def brute(N: float, *, step: int, low: float, high: float, limit: int) -> list[tuple[int, int]]:
    """Every shape of the rules, by distance."""
    found = []
    for depth in range(1, 60):
        for width in range(step, 4096, step):
            if low <= width / depth <= high:
                m = DecoderModel(width=width, depth=depth, heads=width // step, **BASE)
                found.append((abs(math.log(count_model(m).N_total / N)), depth, width))
    return [(d, w) for _, d, w in sorted(found)[:limit]]


@pytest.mark.parametrize("N", [2e6, 3.1e7, 4e8])
def test_the_nearest_shapes_are_found(N):
    rules = {"low": 32.0, "high": 160.0}
    best = brute(N, step=64, **rules, limit=1)
    found = shapes_near(N, **BASE, limit=5)
    assert [(s.model.depth, s.model.width) for s in found[:1]] == best
    distances = [abs(math.log1p(s.error)) for s in found]
    assert distances == sorted(distances)
    for s in found:
        assert count_model(s.model).N_total == s.N
        assert s.flops == count_model(s.model).flops
        assert s.model.width % 64 == 0
        assert 32 <= s.aspect <= 160


def test_as_many_as_asked_for_where_all_are_too_large():
    found = shapes_near(10, **BASE, limit=7)
    assert len(found) == 7
    assert (found[0].model.depth, found[0].model.width) == (1, 64)
    assert [s.N for s in found] == sorted(s.N for s in found)


def test_rules_hold():
    found = shapes_near(1e9, vocabulary=32000, context=2048, multiple=128, head_width=128, group=4,
                        gated=True, tied=False, mlp_multiple=256, count="non-embedding",
                        aspect=(50, 120), limit=20)  # fmt: skip
    assert found
    for s in found:
        m = s.model
        assert m.width % 128 == 0
        assert m.heads == 4 * m.key_heads
        assert m.heads * 128 == m.width
        assert m.hidden % 256 == 0
        assert abs(m.hidden - 8 / 3 * m.width) <= 128
        assert 50 <= s.aspect <= 120
        assert count_model(m).N_non_embedding == s.N
    assert abs(found[0].error) < 0.05


def test_nearest_is_nearest_and_not_the_ceiling():
    """A published planner rounded "to the nearest" power of two by taking the ceiling."""
    for exact in (300, 2000):
        model = DecoderModel(width=640, depth=10, heads=10, **BASE)
        N = count_model(model).N_total
        for wanted in (N - exact, N + exact):  # closest to that very shape, from both sides
            best = shapes_near(wanted, **BASE)[0]
            assert (best.model.width, best.model.depth) == (640, 10)


@pytest.mark.parametrize(
    ("N", "changes", "message"),
    [
        (0, {}, "N = 0: must be a finite number above 0"),
        (math.nan, {}, "N = nan"),
        ("big", {}, "N = 'big'"),
        (10**400, {}, "N = 1000"),
        (1e9, {"count": "mean"}, "count = 'mean'"),
        (1e9, {"aspect": (100, 50)}, "the lower first"),
        (1e9, {"aspect": (1, math.nan)}, "aspect"),
        (1e9, {"multiple": 0}, "multiple = 0"),
        (1e9, {"multiple": 2**19, "head_width": 3}, "common multiple"),
        (1e9, {"mlp_ratio": -1}, "mlp_ratio"),
        (1e9, {"multiple": 2**20, "aspect": (1, 2)}, "no shape has a width"),
    ],
)
def test_shapes_that_cannot_be_asked_for(N, changes, message):
    with pytest.raises(InputError, match=message):
        shapes_near(N, **BASE, **changes)


def test_a_bill_by_hand():
    bill = training_bill(3.6e18, hardware=1e12, utilisation=0.5, devices=4, price=3.0)
    assert bill.device_hours == pytest.approx(2000)
    assert bill.days == pytest.approx(2000 / 4 / 24)
    assert bill.cost == pytest.approx(6000)
    assert "6,000" in bill.summary()
    free = training_bill(3.6e18, hardware="a100", utilisation=1)
    assert (free.cost, free.price, free.days, free.devices) == (None,) * 4
    assert free.device_hours == 3.6e18 / 312e12 / 3600


def test_no_peak_is_the_one_with_sparsity():
    """Twice the peak is half the utilisation: data sheets print both figures."""
    assert HARDWARE["h100-sxm"].peak < 1e15
    for device in HARDWARE.values():
        assert device.source
        assert 1e14 < device.peak < 2e15


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"C": 0}, "C = 0"),
        ({"C": math.inf}, "C = inf"),
        ({"hardware": "abacus"}, "must be FLOPs a second of one device, or one of v100"),
        ({"hardware": -1}, "hardware = -1"),
        ({"utilisation": 40}, "a share of the peak"),
        ({"utilisation": math.nan}, "utilisation = nan"),
        ({"devices": 0}, "devices = 0"),
        ({"devices": 1.5}, "devices"),
        ({"price": -2}, "price = -2"),
    ],
)
def test_bills_that_cannot_be(changes, message):
    given = {"C": 1e20, "hardware": "h100-sxm", "utilisation": 0.4} | changes
    with pytest.raises(InputError, match=message):
        training_bill(given.pop("C"), **given)


def test_utilisation_refuses_nonsense():
    with pytest.raises(InputError, match="tokens_per_second"):
        model_utilisation(1e9, 0, hardware="a100")
    with pytest.raises(InputError, match="devices"):
        model_utilisation(1e9, 1, hardware="a100", devices=0)

"""Training and serving together: against the closed condition, a brute search, and its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

from isoloss.errors import FitError, InputError, LawError
from isoloss.fit import fit
from isoloss.laws import PUBLISHED, get_law
from isoloss.plan import allocate_served, compute_for_loss
from isoloss.runs import Runs

THETA = PUBLISHED["epoch-2024-lad"].parameters
LAW = get_law("chinchilla")


def closed(loss: float, tokens: float) -> float:
    """Sardana et al.: where the derivative of 6 N D(N) + 2 N T is zero."""
    E, A, B, a, b = (THETA[k] for k in ("E", "A", "B", "alpha", "beta"))

    def slope(log_n: float) -> float:
        n = np.exp(log_n)
        left = loss - E - A * n**-a
        data = (B / left) ** (1 / b)
        grows = -data / b * (a * A * n ** (-a - 1)) / left
        return float((6 * data + 6 * n * grows + 2 * tokens) / data)

    least = np.log((A / (loss - E)) ** (1 / a))
    return float(np.exp(brentq(slope, least + 1e-6, least + 20, xtol=1e-13)))


@pytest.mark.parametrize("loss", [2.3, 2.1, 1.95])
@pytest.mark.parametrize("tokens", [1e10, 1e12, 1e14])
def test_the_condition_of_the_paper(loss: float, tokens: float) -> None:
    found = allocate_served(LAW, THETA, loss=loss, tokens=tokens)
    assert pytest.approx(closed(loss, tokens), rel=1e-5) == found.N
    assert LAW(THETA, {"N": found.N, "D": found.D})[0] == pytest.approx(loss, rel=1e-12)
    assert found.training == pytest.approx(6 * found.N * found.D)
    assert found.serving == pytest.approx(2 * found.N * tokens)
    assert found.N_alone > found.N
    assert found.D_alone < found.D
    whole = found.training + found.serving
    alone = 6 * found.N_alone * found.D_alone + 2 * found.N_alone * tokens
    assert found.saved == pytest.approx(1 - whole / alone)
    for factor in (0.9, 1.1):
        n = factor * found.N
        left = loss - THETA["E"] - THETA["A"] * n ** -THETA["alpha"]
        assert 6 * n * (THETA["B"] / left) ** (1 / THETA["beta"]) + 2 * n * tokens > whole


def test_serving_nothing_is_the_cheapest_training() -> None:
    found = allocate_served(LAW, THETA, loss=2.0, tokens=0.0)
    plain = compute_for_loss(LAW, THETA, 2.0)
    assert found.N == pytest.approx(plain.N[0], rel=1e-5) == found.N_alone
    assert found.training == pytest.approx(plain.C[0], rel=1e-10)
    assert found.saved == 0
    assert found.serving == 0


def test_more_to_serve_and_dearer_serving_make_smaller_models() -> None:
    sizes = [allocate_served(LAW, THETA, loss=2.1, tokens=t).N for t in (0, 1e11, 1e12, 1e13)]
    assert sizes == sorted(sizes, reverse=True)
    dear = allocate_served(LAW, THETA, loss=2.1, tokens=1e12, price=10)
    assert pytest.approx(allocate_served(LAW, THETA, loss=2.1, tokens=1e13).N, rel=1e-9) == dear.N
    assert dear.serving == pytest.approx(2 * dear.N * 1e12)


def test_any_law_of_size_and_data_and_the_interval_of_a_fit() -> None:
    coupled = get_law("coupled")
    values = dict(THETA) | {"k": 1.0}
    same = allocate_served(coupled, values, loss=2.1, tokens=1e12)
    assert pytest.approx(closed(2.1, 1e12), rel=1e-5) == same.N
    n, d = np.repeat(np.geomspace(1e8, 1e10, 6), 6), np.tile(np.geomspace(1e9, 1e11, 6), 6)
    noise = np.exp(0.003 * np.random.default_rng(1).standard_normal(36))
    runs = Runs(columns={"N": n, "D": d, "loss": LAW(THETA, {"N": n, "D": d}) * noise})
    found = allocate_served(fit(runs, LAW, draws=60), loss=2.1, tokens=1e12)
    assert found.N_interval is not None
    assert found.N in found.N_interval
    assert closed(2.1, 1e12) in found.N_interval
    assert "bootstrap" in found.N_interval.method
    assert found.to_dict()["N_interval"]["level"] == 0.9
    assert "tokens served" in found.summary()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"loss": 1.8}, FitError),
        ({"loss": -1.0}, InputError),
        ({"tokens": -1.0}, InputError),
        ({"tokens": float("nan")}, InputError),
        ({"price": 0.0}, InputError),
        ({"law": get_law("power", axis="N"), "theta": {"A": 1.0, "alpha": 0.1}}, LawError),
        ({"level": 2.0}, InputError),
    ],
)
def test_misuse(change: dict[str, Any], error: type[Exception]) -> None:
    given: dict[str, Any] = {"law": LAW, "theta": THETA, "loss": 2.1, "tokens": 1e12}
    with pytest.raises(error):
        allocate_served(**(given | change))

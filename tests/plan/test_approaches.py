import json

import numpy as np
import pytest

from isoloss._core.serial import to_json
from isoloss.errors import InputError
from isoloss.laws import PUBLISHED, get_law
from isoloss.plan import allocate, compare_approaches

LAW = get_law("chinchilla")
LAD = dict(PUBLISHED["epoch-2024-lad"].parameters)


def _runs(noise=0.0):
    C = np.repeat(np.geomspace(1e18, 1e21, 5), 15)
    N = allocate(LAW, LAD, C, near=False).N_opt * np.tile(np.geomspace(1 / 4, 4, 15), 5)
    D = C / (6 * N)
    rng = np.random.default_rng(0)
    return N, D, C, LAW(LAD, {"N": N, "D": D}) * np.exp(noise * rng.standard_normal(C.size))


def test_agreement_without_noise():
    found = compare_approaches(*_runs(), LAW, LAD, 1e22)
    truth = float(allocate(LAW, LAD, 1e22).N_opt[0])
    assert [e.approach for e in found.entries] == ["1 envelope", "2 isoFLOP", "3 surface"]
    np.testing.assert_allclose([e.N_opt for e in found.entries], truth, rtol=0.01)
    assert found.status == "ok"
    assert found.reasons == ()


def test_intervals_or_the_reason_for_none():
    draws = LAW.theta(LAD) * np.exp(0.02 * np.random.default_rng(1).standard_normal((99, 5)))
    found = compare_approaches(*_runs(0.002), LAW, LAD, 1e22, draws=draws, method="bootstrap")
    one, two, three = found.entries
    assert one.N_interval is None
    assert "luckiest" in one.note
    assert two.N_opt in two.N_interval
    assert three.N_interval.method == "bootstrap, law taken as right"
    assert two.exponent_N in two.exponent_interval


def test_a_factor_of_two_is_a_disagreement():
    other = LAD | {"A": LAD["A"] * 3}
    found = compare_approaches(*_runs(), LAW, other, 1e22)
    assert found.status == "suspect"
    assert {r.code for r in found.reasons} == {"APPROACHES_DISAGREE"}
    assert any("2 isoFLOP and 3 surface" in r.message for r in found.reasons)
    assert not any("1 envelope and 2 isoFLOP" in r.message for r in found.reasons)


def test_intervals_apart_are_a_disagreement_even_when_close():
    near = LAD | {"A": LAD["A"] * 1.25}
    draws = LAW.theta(near) * np.exp(1e-4 * np.random.default_rng(1).standard_normal((99, 5)))
    assert compare_approaches(*_runs(0.0003), LAW, near, 1e22).status == "ok"
    found = compare_approaches(*_runs(0.0003), LAW, near, 1e22, draws=draws)
    assert found.status == "suspect"
    assert "intervals apart" in found.reasons[0].message


def test_refusals_are_entries_not_errors():
    rng = np.random.default_rng(2)
    N, D = (10 ** rng.uniform(7, 9, 30) for _ in range(2))
    C = 6 * N * D
    loss = LAW(LAD, {"N": N, "D": D})
    law = get_law("power", axis="C")
    found = compare_approaches(N, D, C, loss, law, {"A": 9.0, "alpha": 0.05}, 1e22)
    _, two, three = found.entries
    assert two.refused == "TOO_FEW_BUDGETS"
    assert three.refused == "NO_INTERIOR_OPTIMUM"
    assert np.isnan(three.N_opt)
    data = json.loads(to_json(found))
    assert data["approaches"][2]["N_opt"] is None
    assert set(data["approaches"][0]) >= {"approach", "exponent_N", "N_opt", "note"}
    assert "<pre>" in found._repr_html_()


def test_a_budget_is_needed():
    with pytest.raises(InputError, match="budget"):
        compare_approaches(*_runs(), LAW, LAD)

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss._core.serial import to_json
from isoloss.errors import FitError
from isoloss.laws import PUBLISHED, get_law
from isoloss.plan import allocate, fit_envelope

LAW = get_law("chinchilla")
LAD = PUBLISHED["epoch-2024-lad"].parameters


def _dense():
    C = np.repeat(np.geomspace(1e18, 1e21, 40), 81)
    best = allocate(LAW, LAD, C, near=False).N_opt
    N = best * np.tile(np.geomspace(1 / 8, 8, 81), 40)
    return N, C, LAW(LAD, {"N": N, "D": C / (6 * N)})


def test_a_dense_grid_without_noise_gives_the_optimum():
    N, C, loss = _dense()
    answer = fit_envelope(N, C, loss)
    truth = allocate(LAW, LAD, 1e22)
    assert answer.C.size == 40
    assert answer.exponent_N == pytest.approx(float(truth.exponent_N[0]), abs=1e-9)
    assert answer.at(1e22) == pytest.approx(float(truth.N_opt[0]), rel=1e-9)


def test_there_is_never_an_interval_and_it_says_why():
    answer = fit_envelope(*_dense())
    assert answer.status == "suspect"
    assert [r.code for r in answer.reasons] == ["NO_INTERVAL"]
    with pytest.raises(FitError, match="luckiest"):
        answer.require()


points = st.lists(
    st.tuples(st.floats(1e6, 1e9), st.floats(1e17, 1e20), st.floats(1.0, 5.0)),
    min_size=1,
    max_size=30,
)


@given(points)
def test_nothing_cheaper_beats_the_envelope_and_nothing_off_it_is_unbeaten(rows):
    N, C, loss = (np.array(c) for c in zip(*rows, strict=True))
    on = set(fit_envelope(N, C, loss).index.tolist())
    for i in range(len(rows)):
        beaten = ((C[i] >= C) & (loss < loss[i])) | ((C[i] > C) & (loss <= loss[i]))
        if i in on:
            assert not beaten.any()
        else:
            twin = any(C[j] == C[i] and loss[j] == loss[i] for j in on)
            assert beaten.any() or twin


def test_sizes_that_were_never_challenged_are_told():
    C = np.geomspace(1e18, 1e21, 6)
    answer = fit_envelope(np.sqrt(C), C, 4 - 0.1 * np.log10(C))
    assert "ONE_SIDED" in {r.code for r in answer.reasons}
    assert "6 of 6" in next(r.message for r in answer.reasons if r.code == "ONE_SIDED")


def test_two_points_are_no_law():
    answer = fit_envelope([1e7, 1e8], [1e18, 1e19], [3.0, 2.5])
    assert answer.status == "failed"
    assert answer.reasons[0].code == "TOO_FEW_POINTS"
    assert np.isnan(answer.at(1e20))
    data = json.loads(to_json(answer))
    assert data["exponent_N"] is None
    assert data["points"]["row"] == [0, 1]

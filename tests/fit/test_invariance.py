"""What must not change an answer, and results as tables and text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isoloss
from fit.designs import CHINCHILLA, design, law_of, table
from isoloss._core.serial import to_json
from isoloss.errors import InputError, LawError
from isoloss.fit import Huber, LeastAbsolute, LeastSquares, OneSided, fit, parse_objective
from isoloss.runs import Runs

# The package exports a function of the module's name.
FIT = sys.modules["isoloss.fit.fit"]


@pytest.fixture(scope="module")
def noisy() -> Runs:
    return table("chinchilla", noise=0.01)


@pytest.mark.parametrize("objective", ["huber:1e-3", "lsq", "lad"])
def test_row_order_is_irrelevant(objective: str) -> None:
    runs = table("chinchilla", noise=0.01)
    order = np.random.default_rng(0).permutation(len(runs))
    weights = np.random.default_rng(1).uniform(0.5, 1.5, len(runs))
    a = fit(runs, objective=objective, weights=weights, draws=40)
    b = fit(runs.select(order), objective=objective, weights=weights[order], draws=40)
    assert a.theta.tobytes() == b.theta.tobytes()
    assert a.draws.tobytes() == b.draws.tobytes()
    assert a.residuals[order].tobytes() == b.residuals.tobytes()
    one, two = a.to_dict(), b.to_dict()
    assert one["reasons"] == two["reasons"]
    for key in ("parameters", "intervals", "certificate", "digest"):
        assert to_json(one[key]) == to_json(two[key])


@pytest.mark.parametrize("objective", ["huber:1e-3", "lsq,linear", "lad", "one-sided:1e-3"])
def test_units_of_the_axes_are_irrelevant(objective: str) -> None:
    runs = table("chinchilla", noise=0.01)
    a = fit(runs, objective=objective, draws=20)
    millions = Runs(columns={"N": runs["N"] / 1e6, "D": runs["D"] / 1e6, "loss": runs["loss"]})
    b = fit(millions, objective=objective, draws=20)
    factor = np.array([1.0, 1e6 ** -a.parameters["alpha"], 1e6 ** -a.parameters["beta"], 1.0, 1.0])
    np.testing.assert_allclose(b.theta, a.theta * factor, rtol=1e-9)
    assert b.value == pytest.approx(a.value, rel=1e-10)
    np.testing.assert_allclose(b.draws[:, [0, 3, 4]], a.draws[:, [0, 3, 4]], rtol=1e-6)
    assert (a.status, [r.code for r in a.reasons]) == (b.status, [r.code for r in b.reasons])


@pytest.mark.parametrize("unit", [1e-6, 1e6])
@pytest.mark.parametrize(
    "objective",
    [
        Huber(1e-3),
        LeastSquares(),
        LeastAbsolute(),
        LeastSquares(log=False),
        LeastAbsolute(log=False),
        Huber(1e-2, log=False),
    ],
)
def test_the_unit_of_the_loss_is_irrelevant(objective: Any, unit: float) -> None:
    runs = table("chinchilla", noise=0.01)
    a = fit(runs, objective=objective, draws=20)
    if not objective.log and 0 < objective.delta < np.inf:
        objective = Huber(objective.delta * unit, log=False)
    b = fit(
        Runs(columns={**runs.columns, "loss": runs["loss"] * unit}), objective=objective, draws=20
    )
    factor = np.array([unit, unit, unit, 1.0, 1.0])
    np.testing.assert_allclose(b.theta, a.theta * factor, rtol=1e-9)
    np.testing.assert_allclose(b.draws, a.draws * factor, rtol=1e-9)
    power = 0 if objective.log else 1 if objective.delta == 0 else 2
    assert b.value == pytest.approx(a.value * unit**power, rel=1e-10)
    assert (a.status, [r.code for r in a.reasons]) == (b.status, [r.code for r in b.reasons])


def test_two_runs_give_the_same_bytes_with_any_number_of_threads() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from fit.designs import table; "
        "from isoloss.fit.fit import fit; from isoloss._core.serial import to_json; "
        "print(to_json(fit(table('chinchilla', noise=0.01), draws=40).to_dict()))"
    )
    outputs = []
    for threads in ("1", "2", "2"):
        env = os.environ | {
            "PYTHONPATH": str(Path(isoloss.__file__).parents[1]),
            "PYTHONHASHSEED": threads,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
        }
        tests = str(Path(__file__).parents[1])
        done = subprocess.run(
            [sys.executable, "-c", code, tests], env=env, capture_output=True, check=True
        )
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1] == outputs[2]
    here = to_json(fit(table("chinchilla", noise=0.01), draws=40).to_dict())
    assert outputs[0].decode() == here + "\n"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"objective": "hubert"}, InputError),
        ({"objective": "huber:x"}, InputError),
        ({"objective": "huber:-1"}, InputError),
        ({"objective": "lsq,square"}, InputError),
        ({"objective": "lsq,over:0"}, InputError),
        ({"noise": "loud"}, InputError),
        ({"resample": "rows"}, InputError),
        ({"draws": -1}, InputError),
        ({"level": 90}, InputError),
        ({"law": "repetition"}, LawError),
        ({"law": "nonsense"}, LawError),
        ({"law": "E + A*"}, LawError),
    ],
)
def test_misuse_is_typed(options: dict[str, Any], error: type[Exception], noisy: Runs) -> None:
    with pytest.raises(error):
        fit(noisy, **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_data_that_is_no_number_never_gets_in(bad: float) -> None:
    x = design("chinchilla")
    loss = law_of("chinchilla")(CHINCHILLA, x)
    loss[3] = bad
    try:
        found = fit({**x, "loss": loss}, draws=0)
    except InputError:
        return
    # A reader may drop the row, but then it says so by the count.
    assert found.n_rows == len(loss) - 1
    np.testing.assert_allclose(
        list(found.parameters.values()), list(CHINCHILLA.values()), rtol=1e-6
    )


@pytest.mark.parametrize(
    "objective",
    [
        Huber(1e-3),
        Huber(0.5, log=False),
        LeastSquares(),
        LeastAbsolute(),
        LeastAbsolute(log=False),
        OneSided(1e-3),
        OneSided(0.01, over=3, log=False),
    ],
)
def test_objectives_have_names_that_read_back(objective: Any) -> None:
    assert parse_objective(objective.name) == objective
    assert parse_objective(objective) is objective


def test_objective_terms_by_hand() -> None:
    r = np.array([-3.0, -0.5, 0.5, 3.0])
    rho, psi, curvature, weight = Huber(1.0).terms(r)
    assert rho.tolist() == [2.5, 0.125, 0.125, 2.5]
    assert psi.tolist() == [-1.0, -0.5, 0.5, 1.0]
    assert curvature.tolist() == [0.0, 1.0, 1.0, 0.0]
    np.testing.assert_allclose(weight, [1 / 3, 1.0, 1.0, 1 / 3])
    assert OneSided(1.0, over=10.0).terms(r)[0].tolist() == [2.5, 0.125, 1.25, 25.0]
    assert LeastSquares().total(r) == 18.5
    assert LeastAbsolute().total(r, np.array([1.0, 2.0, 2.0, 1.0])) == 8.0


def test_result_tables_and_text(noisy: Runs) -> None:
    found = fit(noisy, draws=50, level=0.8)
    table_ = found.to_columns()
    assert table_["parameter"] == list(CHINCHILLA)
    for i, name in enumerate(CHINCHILLA):
        interval = found.intervals[name]
        assert interval.level == 0.8
        assert interval.method == "case bootstrap"
        assert table_["low"][i] == interval.low <= found.parameters[name] <= interval.high
        assert name in found.summary()
    assert "80 %" in found.summary()
    assert found.require() is found
    assert "chinchilla" in repr(found)
    at = {"N": [1e10, 1e11], "D": [1e12, 1e13]}
    mean, new = found.interval(at), found.interval(at, new_run=True)
    for m, n in zip(mean, new, strict=True):
        assert n.low < m.low < m.high < n.high
    assert fit(noisy, draws=0).intervals == {}
    with pytest.raises(ValueError, match="read-only"):
        found.theta[0] = 1.0

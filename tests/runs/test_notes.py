"""Notes: each fires on its case and is silent on a sound design."""

from __future__ import annotations

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.runs import Note, Runs

N, D = (a.ravel() for a in np.meshgrid([1e7, 3e7, 1e8, 3e8], [1e9, 3e9, 1e10]))
LOSS = 1.7 + 400 / N**0.34 + 410 / D**0.28


def table(**changes: object) -> dict[str, str]:
    columns = {"N": N, "D": D, "C": 6 * N * D, "loss": LOSS, **changes}
    runs = Runs(
        columns={k: np.broadcast_to(v, N.shape) for k, v in columns.items() if v is not None}
    )  # type: ignore[arg-type]
    return {note.code: note.message for note in runs.notes}


def test_a_sound_grid_has_no_note() -> None:
    assert table() == {}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"D": 20 * N}, "CONFOUNDED_N_D"),
        ({"D": 1e17 / N}, "CONFOUNDED_N_D"),
        ({"D": N**1.3 * (1 + 0.02 * np.sin(np.arange(12)))}, "CONFOUNDED_N_D"),
        ({"D": 20 * N * (1 + 1e-3 * np.arange(12)), "N": N}, "CONFOUNDED_N_D"),
        ({"N": 1e7}, "CONSTANT_AXIS"),
        ({"N": np.where(N > 5e7, 1e8, 1e7)}, "CONSTANT_AXIS"),
        ({"D": np.linspace(1e9, 1.4e9, 12)}, "CONSTANT_AXIS"),
        ({"N": None, "D": None, "C": 1e18}, "CONSTANT_AXIS"),
        ({"C": np.linspace(1e18, 9e18, 12)}, "NARROW_COMPUTE"),
        ({"N": np.linspace(1, 9, 12)}, "UNITS_N"),
        ({"D": np.linspace(1, 9, 12)}, "UNITS_D"),
        ({"N": N / 1e6}, "UNITS_N"),
        ({"D": D / 1e9}, "UNITS_D"),
        ({"loss": 200 * LOSS}, "LARGE_LOSS"),
    ],
)
def test_each_warning_fires(changes: dict[str, object], code: str) -> None:
    assert code in table(**changes)


def test_few_runs() -> None:
    assert "FEW_RUNS" not in {n.code for n in Runs(columns={"N": np.arange(1.0, 11)}).notes}
    assert "FEW_RUNS" in {n.code for n in Runs(columns={"N": np.arange(1.0, 10)}).notes}


def test_pooled_spread_is_that_of_log_loss_within_configurations() -> None:
    rng = np.random.default_rng(0)
    size = np.repeat(np.geomspace(1e6, 1e9, 400), 3)
    loss = 3 * size**-0.01 * np.exp(0.02 * rng.standard_normal(size.size))
    runs = Runs(columns={"N": size, "loss": loss})
    (message,) = [n.message for n in runs.notes if n.code == "REPLICATES"]
    log = np.log(loss).reshape(400, 3)
    spread = float(np.sqrt(log.var(axis=1, ddof=1).mean()))
    assert message == (
        "400 configurations are repeated (1200 runs); "
        f"the pooled spread of their loss is {100 * spread:.3g} %"
    )
    assert spread == pytest.approx(0.02, rel=0.1)


def test_identical_losses_of_one_configuration_are_suspicious() -> None:
    columns = {"N": [1.0, 1.0, 2.0], "seed": [0.0, 1.0, 0.0], "loss": [3.0, 3.0, 3.0]}
    notes = {n.code: n.message for n in Runs(columns=columns).notes}
    assert notes["IDENTICAL_LOSS"].startswith("2 runs")


def test_extreme_values_warn_of_nothing_but_the_data() -> None:
    for low, high in ((5e-324, 1.7e308), (-1.0, 1.0), (0.0, 0.0)):
        values = np.array([low, high, low])
        Runs(columns={"N": values, "D": values[::-1], "C": values, "loss": values})


def test_severity_is_one_of_two() -> None:
    with pytest.raises(InputError, match="severity"):
        Note("X", "fatal", "")

"""The picture of a power shows the designs' own numbers."""

import numpy as np
import pytest

from isoloss.plan import power_to_compare
from isoloss.plot import draw_power, power_series
from isoloss.runs import Runs


@pytest.fixture(scope="module")
def power():
    runs = Runs(columns={"D": np.geomspace(1e7, 1e9, 8)})
    return power_to_compare(
        runs, at={"D": 1e10}, effect=1.1, noise=0.003, laws=["power_floor"],
        values={"E": 1.8, "A": 300.0, "alpha": 0.3},
    )  # fmt: skip


def test_series_are_the_designs(power):
    series = power_series(power)
    assert series["goal"] == 0.8
    assert [e["name"] for e in series["lines"]] == [d.name for d in power.designs]
    for entry, design in zip(series["lines"], power.designs, strict=True):
        assert entry["enough"] == (design.cost, design.power)
        assert design.cost in entry["cost"]


def test_every_design_is_drawn_with_its_number_of_runs(power):
    pytest.importorskip("matplotlib")
    ax = draw_power(power)
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == [f"{d.title}: {sum(d.runs)} runs" for d in power.designs]
    assert ax.get_xscale() == "log"
    drawn = [x for x in ax.lines if x.get_marker() == "o"]
    assert [float(x.get_xdata()[0]) for x in drawn] == [d.cost for d in power.designs]

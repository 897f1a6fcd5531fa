import json

import numpy as np

from isoloss.laws import PUBLISHED, get_law
from isoloss.plan import allocate, frontier

LAW = get_law("chinchilla")
LAD = PUBLISHED["epoch-2024-lad"].parameters
GRID = np.geomspace(1e18, 1e24, 60)
KEYS = {
    "C",
    "N_opt",
    "N_low",
    "N_high",
    "D_opt",
    "D_low",
    "D_high",
    "L_opt",
    "L_low",
    "L_high",
    "level",
    "method",
    "status",
    "reasons",
}


def test_path_is_allocation_in_plain_lists():
    rng = np.random.default_rng(0)
    draws = LAW.theta(LAD) * np.exp(0.02 * rng.standard_normal((100, 5)))
    path = frontier(LAW, LAD, GRID, draws=draws, level=0.8, method="case bootstrap")
    assert set(path) == KEYS
    json.dumps(path, allow_nan=False)
    plan = allocate(LAW, LAD, GRID, draws=draws, level=0.8)
    assert path["N_opt"] == plan.N_opt.tolist()
    assert path["L_high"] == [i.high for i in plan.L_interval]
    assert path["level"] == 0.8
    assert path["method"] == "case bootstrap, law taken as right"
    low, mid, high = (np.array(path[k]) for k in ("D_low", "D_opt", "D_high"))
    assert ((low < mid) & (mid < high)).all()


def test_without_draws_there_are_no_bands():
    path = frontier(LAW, LAD, [1e20, 1e21])
    assert path["N_low"] == [None, None]
    assert path["method"].startswith("no draws")


def test_without_an_optimum_there_is_no_path():
    path = frontier(get_law("power", axis="C"), {"A": 1.0, "alpha": 0.1}, [1e20])
    assert path["N_opt"] == [None]
    assert path["status"] == "failed"
    assert path["reasons"][0]["code"] == "NO_INTERIOR_OPTIMUM"

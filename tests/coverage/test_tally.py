import math

import numpy as np
import pytest

from isoloss.coverage import wilson
from isoloss.coverage.cells import ALL_CELLS
from isoloss.coverage.procedures import PROCEDURES, QUANTITIES, Settings
from isoloss.coverage.result import cell_section
from isoloss.coverage.tally import median, scores, summarise
from isoloss.errors import InputError

CELL = ALL_CELLS["chinchilla/isoflop-20/normal"]


# Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3.
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
     (1, 29, 0.0061, 0.1718)],
)  # fmt: skip
def test_wilson_is_the_published_one(hits, n, low, high):
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)
    # Misses are hits seen from the other side.
    assert wilson(n - hits, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_solves_its_equation_at_other_levels():
    for p in wilson(7, 31, level=0.8):
        z = abs(7 / 31 - p) / math.sqrt(p * (1 - p) / 31)
        assert z == pytest.approx(1.2815515655446004, rel=1e-9)


@pytest.mark.parametrize("arguments", [(1, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_cannot_be(arguments):
    with pytest.raises(InputError, match="hits"):
        wilson(*arguments)


def by_place(rows):
    return {(r["target"], r["procedure"], r["quantity"]): r for r in rows}


def test_a_procedure_of_known_coverage_is_counted_right(fake):
    repeats = [fake(CELL, i, Settings()) for i in range(1000)]
    rows = by_place(scores(CELL, repeats))
    held = {r: rows["1e23", "set", r]["covered"] for r in ("mean", "N_opt")}
    # Standard error 0.0095: outside for one seed in two thousand; the seed is fixed.
    assert all(abs(h / 1000 - 0.9) < 0.033 for h in held.values())
    narrow = [fake(CELL, i, Settings(), half=0.6744898) for i in range(1000)]
    assert abs(by_place(scores(CELL, narrow))["1e23", "set", "mean"]["coverage"] - 0.5) < 0.055


def test_widths_ratios_and_errors_are_of_logarithms(fake):
    row = by_place(scores(CELL, [fake(CELL, 0, Settings(), half=1.5)]))["1000x", "set", "mean"]
    assert row["width"] == pytest.approx(2 * 1.5 * 0.02, rel=1e-5)
    assert row["ratio"] == pytest.approx(2.0, rel=1e-5)
    z = np.random.default_rng([0, 0, *CELL.name.encode()]).standard_normal()
    assert row["error"] == pytest.approx(0.02 * abs(z), rel=1e-5)


def test_the_interval_of_one_run_is_scored_against_a_fresh_run(fake):
    repeat = fake(CELL, 0, Settings(), half=50.0)
    far = repeat.fresh[0] * 100
    object.__setattr__(repeat, "fresh", (far, far))
    rows = by_place(scores(CELL, [repeat]))
    assert rows["1e23", "set", "mean"]["hits"] == "1"
    assert rows["1e23", "set", "new_run"]["hits"] == "0"


def test_ends_belong_to_the_interval(fake):
    repeat = fake(CELL, 0, Settings())
    values = repeat.values.copy()
    values[0, 0, 0, :2] = CELL.targets[0].loss, CELL.targets[0].loss + 1
    values[1, 0, 0, :2] = CELL.targets[1].loss - 1, CELL.targets[1].loss
    object.__setattr__(repeat, "values", values)
    rows = by_place(scores(CELL, [repeat]))
    assert [rows[t, "set", "mean"]["hits"] for t in ("1e23", "1000x")] == ["1", "1"]


def test_no_answer_is_neither_hit_nor_miss(fake):
    repeats = [fake(CELL, i, Settings(), half=9.0) for i in range(3)]
    values = repeats[1].values.copy()
    values[:, PROCEDURES.index("set"), QUANTITIES.index("mean"), 1] = np.nan
    object.__setattr__(repeats[1], "values", values)
    row = by_place(scores(CELL, repeats))["1e23", "set", "mean"]
    assert (row["hits"], row["covered"], row["answered"], row["coverage"]) == ("1x1", 2, 2, 1.0)
    silent = by_place(scores(CELL, [repeats[1]]))["1e23", "set", "mean"]
    assert silent["coverage"] is silent["low"] is silent["width"] is None


def test_an_infinite_interval_holds_the_truth_and_has_no_median_width(fake):
    repeat = fake(CELL, 0, Settings())
    values = repeat.values.copy()
    values[:, 0, 0] = 1.0, np.inf, 2.0
    object.__setattr__(repeat, "values", values)
    row = by_place(scores(CELL, [repeat]))["1e23", "set", "mean"]
    assert (row["hits"], row["width"]) == ("1", None)


def test_medians_leave_out_what_is_not_there():
    assert median([3.0, None, 1.0, float("nan"), 2.0]) == 2.0
    assert median([1.0, math.inf, math.inf]) is None
    assert median([]) is None


def test_cells_of_infinite_width_weigh_in_the_pool(fake):
    names = [f"{t}/isoflop-20/normal" for t in ("chinchilla", "coupled-1.15", "coupled-0.8")]
    sections = []
    for name, high in zip(names, (10.0, np.inf, np.inf), strict=True):
        repeat = fake(ALL_CELLS[name], 0, Settings())
        values = repeat.values.copy()
        values[:, 0, 0] = 1.0, high, 2.0
        object.__setattr__(repeat, "values", values)
        sections.append(cell_section(ALL_CELLS[name], [repeat]))
    one, three = (by_place(summarise(s))["1e23", "set", "mean"] for s in (sections[:1], sections))
    assert one["width"] == pytest.approx(math.log(10), rel=1e-5)
    # Two of three are infinite, and so is the one in the middle.
    assert three["width"] is None


def test_pooling_adds_cells_and_names_the_worst(fake):
    names = ("chinchilla/isoflop-20/normal", "coupled-0.8/isoflop-45/heavy",
             "drifting/isoflop-20/normal", "curve-floor/points-12/normal")  # fmt: skip
    sections = []
    for name, half in zip(names, (9.0, 0.5, 1.0, 9.0), strict=True):
        cell = ALL_CELLS[name]
        repeats = [fake(cell, i, Settings(), half=half) for i in range(20)]
        sections.append(cell_section(cell, repeats))
    lines = summarise(sections)
    keys = ("family", "inside", "target", "procedure", "quantity")
    groups = {tuple(line[k] for k in keys): line for line in lines}
    assert len(groups) == len(lines)
    pooled = groups["joint", True, "1e23", "set", "mean"]
    parts = [by_place(s["scores"])["1e23", "set", "mean"] for s in sections[:2]]
    assert (pooled["cells"], pooled["answered"]) == (2, 40)
    assert pooled["covered"] == sum(p["covered"] for p in parts) < 40
    assert pooled["worst"] == {"cell": names[1], "coverage": parts[1]["coverage"]}
    assert (pooled["low"], pooled["high"]) == pytest.approx(wilson(pooled["covered"], 40), rel=1e-5)
    assert groups["joint", False, "1e23", "set", "mean"]["cells"] == 1
    # The set of the fake has no law of one resource.
    assert ("curve", False, "10x", "set", "mean") in groups
    assert not any(k[0] == "curve" and k[4] == "N_opt" for k in groups)

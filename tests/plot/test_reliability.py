import numpy as np
import pytest

from isoloss.plot import draw_reliability, reliability_series, svg_bytes

ANSWERS = {
    "n_targets": 4,
    "n_tables": 2,
    "coverage": [
        {"level": v, "share": s, "low": s / 2, "high": (1 + s) / 2, "low_tables": s / 4,
         "high_tables": (3 + s) / 4}
        for v, s in ((0.5, 0.25), (0.9, 0.75))
    ],
}  # fmt: skip


def test_the_series_are_percent():
    s = reliability_series(ANSWERS)
    assert s["level"].tolist() == [50, 90]
    assert s["share"].tolist() == [25, 75]
    assert s["high_tables"].tolist() == [81.25, 93.75]


def test_the_picture_shows_the_series_and_the_same_bytes_each_time():
    pytest.importorskip("matplotlib")
    ax = draw_reliability(ANSWERS)
    held = next(line for line in ax.lines if line.get_label() == "held")
    assert np.asarray(held.get_xydata()).tolist() == [[50, 25], [90, 75]]
    assert len(ax.collections) == 2
    assert "4 targets of 2 tables" in ax.get_title()
    assert svg_bytes(ax) == svg_bytes(draw_reliability(ANSWERS))


def test_an_empty_record_has_a_picture_too():
    pytest.importorskip("matplotlib")
    ax = draw_reliability({"n_targets": 0, "n_tables": 0, "coverage": []})
    assert len(ax.lines) == 1
    assert svg_bytes(ax).startswith(b"<?xml")
